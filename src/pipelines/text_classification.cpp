// Implements pipelines/text_classification.hpp.
#include "transformers/pipelines/text_classification.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "transformers/base/error.hpp"
#include "transformers/kernels/kernels.hpp"

namespace transformers {
namespace {

constexpr std::string_view kFunctions[] = {"automatic", "none", "sigmoid", "softmax"};

ClassificationFunction function_for(const PretrainedConfig& config) {
  if (config.problem_type == "regression") return ClassificationFunction::none;
  if (config.problem_type == "multi_label_classification" || config.num_labels == 1) {
    return ClassificationFunction::sigmoid;
  }
  return ClassificationFunction::softmax;
}

std::vector<LabelScore> scores_of(std::span<const float> logits, const PretrainedConfig& config,
                                  const TextClassification::Options& options) {
  std::vector<float> scores(logits.begin(), logits.end());
  for (const float logit : logits) {
    if (std::isnan(logit)) throw Error(ErrorCode::invalid_argument, "the model's logits are not numbers", config.where);
  }
  ClassificationFunction function = options.function_to_apply;
  if (function == ClassificationFunction::automatic) function = function_for(config);
  if (function == ClassificationFunction::softmax) {
    softmax(scores.data(), 1, static_cast<int64_t>(scores.size()));
  } else if (function == ClassificationFunction::sigmoid) {
    for (float& score : scores) score = 1.0f / (1.0f + std::exp(-score));
  }
  std::vector<LabelScore> labels;
  labels.reserve(scores.size());
  for (std::size_t i = 0; i < scores.size(); ++i) labels.push_back({config.label(static_cast<int64_t>(i)), scores[i]});
  std::stable_sort(labels.begin(), labels.end(),
                   [](const LabelScore& a, const LabelScore& b) { return a.score > b.score; });
  if (options.top_k && static_cast<std::size_t>(*options.top_k) < labels.size()) {
    labels.resize(static_cast<std::size_t>(*options.top_k));
  }
  return labels;
}

Value to_value(const LabelScore& label) { return Value::Object{{"label", label.label}, {"score", label.score}}; }

}  // namespace

void TextClassificationOptions::fields(FieldVisitor& f) {
  f("top_k", top_k, "labels to return, best first; none: all of them");
  f.choice("function_to_apply", function_to_apply, kFunctions,
           "from logits to scores; automatic: by the model's problem_type and number of labels");
  truncation_field(f, truncation);
  f("max_length", max_length, "tokens to cut to, with truncation; none: the model's maximum");
}

TextClassification::TextClassification(const PipelineOptions& options)
    : EncoderPipeline(find_task("text-classification"), kHead, options) {}

std::string_view TextClassification::task() const noexcept { return "text-classification"; }

std::vector<std::vector<LabelScore>> TextClassification::operator()(std::span<const TextInput> inputs,
                                                                    const Options& options) const {
  if (options.top_k && *options.top_k < 0) {
    throw Error(ErrorCode::invalid_argument, "expected 0 or more, found " + std::to_string(*options.top_k), "top_k");
  }
  const std::vector<Encoding> encodings = tokenize(inputs, {options.truncation, options.max_length});
  std::vector<std::vector<LabelScore>> results(inputs.size());
  for_each_batch(encodings, options.control, [&](Which which, const Batch& batch, const ModelOutput& output) {
    for (int64_t i = 0; i < batch.batch_size(); ++i) {
      results[which[static_cast<std::size_t>(i)]] = scores_of(output.logits->row(i), model().config(), options);
    }
  });
  return results;
}

std::vector<LabelScore> TextClassification::operator()(std::string_view text, const Options& options) const {
  const TextInput input(text);
  return std::move((*this)(std::span<const TextInput>(&input, 1), options).front());
}

std::vector<std::vector<LabelScore>> TextClassification::operator()(std::initializer_list<std::string_view> texts,
                                                                    const Options& options) const {
  return (*this)(std::span<const TextInput>(std::vector<TextInput>(texts.begin(), texts.end())), options);
}

std::vector<std::vector<LabelScore>> TextClassification::operator()(std::span<const std::string> texts,
                                                                    const Options& options) const {
  return (*this)(std::span<const TextInput>(std::vector<TextInput>(texts.begin(), texts.end())), options);
}

std::vector<Value> TextClassification::run(std::span<const Value> inputs, const Value& options,
                                           const CallControl& control) const {
  Options typed;
  read_options(typed, options);
  typed.control = control;
  std::vector<TextInput> texts;
  texts.reserve(inputs.size());
  for (const Value& input : inputs) texts.push_back(TextInput::from(input));

  // Hugging Face's shapes: a bare result unless top_k was given, then a list.
  const bool as_list = options.find("top_k") != nullptr;
  std::vector<Value> answers;
  answers.reserve(inputs.size());
  for (const std::vector<LabelScore>& labels : (*this)(std::span<const TextInput>(texts), typed)) {
    if (!as_list) {
      answers.push_back(to_value(labels.front()));
      continue;
    }
    Value::Array list;
    for (const LabelScore& label : labels) list.push_back(to_value(label));
    answers.push_back(std::move(list));
  }
  return answers;
}

}  // namespace transformers
