// Implements pipelines/zero_shot_classification.hpp.
#include "transformers/pipelines/zero_shot_classification.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "tokenizers/python_text.hpp"
#include "transformers/base/error.hpp"
#include "transformers/kernels/kernels.hpp"
#include "transformers/tokenizers/unicode.hpp"

namespace transformers {
namespace {

// Python's template.format(label), of fields {} and {0} and the escapes {{ and }}.
std::string format(std::string_view text, std::string_view label) {
  const auto wrong = [&](std::string_view what) {
    throw Error(ErrorCode::invalid_argument, std::string(what) + ", found " + quote(text), "hypothesis_template");
  };
  std::string out;
  int numbered = -1;  // 1: {0}, 0: {}
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c != '{' && c != '}') {
      out += c;
    } else if (i + 1 < text.size() && text[i + 1] == c) {
      out += c;
      ++i;
    } else {
      const std::size_t end = c == '{' ? text.find('}', i) : std::string_view::npos;
      if (end == std::string_view::npos) wrong("expected braces in pairs");
      const std::string_view field = text.substr(i + 1, end - i - 1);
      if (!field.empty() && field != "0") wrong("expected {} for the label");
      if (numbered == 0) wrong("expected one {} for the label");  // the second {} is the next argument
      if (numbered == 1 && field.empty()) wrong("expected {0} throughout");
      numbered = field.empty() ? 0 : 1;
      out += label;
      i = end;
    }
  }
  return out;
}

// Hugging Face's softmax, which does not take the maximum off first: nearly equal scores come out in its order. Where
// it would overflow, the other.
void softmax_as_they_are(std::span<float> x) {
  constexpr float kSafe = 80;
  if (std::any_of(x.begin(), x.end(), [](float v) { return std::abs(v) > kSafe; })) {
    return softmax(x.data(), 1, static_cast<int64_t>(x.size()));
  }
  float sum = 0;
  for (float& v : x) sum += v = std::exp(v);
  for (float& v : x) v /= sum;
}

// The column whose label begins with "entail", by label2id's order; the last one where none does.
int64_t entailment_of(const PretrainedConfig& config) {
  const auto entails = [](const std::string& label) { return python::lower(label).starts_with("entail"); };
  if (config.label2id.is_object()) {
    for (const auto& [label, id] : config.label2id.as_object()) {
      if (!entails(unicode::to_well_formed(label))) continue;
      const int64_t column = id.as_integer();
      if (column < 0 || column >= *config.num_labels) {
        throw Error(ErrorCode::invalid_argument,
                    "label2id gives " + quote(label) + " the id " + std::to_string(column) + " of " +
                        std::to_string(*config.num_labels) + " labels",
                    config.where);
      }
      return column;
    }
  } else {
    for (const auto& [id, label] : config.id2label) {
      if (id >= 0 && id < *config.num_labels && entails(unicode::to_well_formed(label))) return id;
    }
  }
  log(LogLevel::warning, "no label of the model begins with \"entail\": the last one is taken (" + config.where + ")");
  return *config.num_labels - 1;
}

}  // namespace

void ZeroShotClassificationOptions::fields(FieldVisitor& f) {
  f("candidate_labels", candidate_labels, "the labels to choose among");
  f("hypothesis_template", hypothesis_template, "what a label claims about the text, the label in place of {}");
  f("multi_label", multi_label, "several labels may be true");
}

ZeroShotClassification::ZeroShotClassification(const PipelineOptions& options)
    : EncoderPipeline(find_task("zero-shot-classification"), kHead, options),
      entailment_(entailment_of(model().config())) {}

std::string_view ZeroShotClassification::task() const noexcept { return "zero-shot-classification"; }

// Texts that are too long are cut, hypotheses are not. Where cutting the text alone is not enough nothing is cut.
std::vector<Encoding> ZeroShotClassification::tokenize_pairs(const std::vector<std::string>& texts,
                                                             const std::vector<std::string>& hypotheses) const {
  std::vector<Encoding> encodings = tokenizer().encode_pair_batch(texts, hypotheses, {.ids_only = true});
  const int64_t longest = max_length();
  for (std::size_t i = 0; i < encodings.size(); ++i) {
    if (static_cast<int64_t>(encodings[i].size()) <= longest) continue;
    try {
      encodings[i] =
          std::move(tokenizer()
                        .encode_pair_batch(
                            std::span(&texts[i], 1), std::span(&hypotheses[i], 1),
                            {.truncation = TruncationStrategy::only_first, .max_length = longest, .ids_only = true})
                        .front());
    } catch (const Error&) {  // the text is too short for that
    }
  }
  check_lengths(encodings, "");
  return encodings;
}

std::vector<LabelScores> ZeroShotClassification::classify(std::span<const std::string_view> texts,
                                                          const Options& options) const {
  const std::vector<std::string>& labels = options.candidate_labels;
  check_argument(!labels.empty(), "at least one label is needed", "candidate_labels");
  if (format(options.hypothesis_template, labels.front()) == options.hypothesis_template) {
    throw Error(ErrorCode::invalid_argument,
                "expected {} where the label should stand, found " + quote(options.hypothesis_template),
                "hypothesis_template");
  }
  std::vector<std::string> premises, hypotheses;
  for (const std::string_view text : texts) {
    check_argument(!text.empty(), "must not be empty", "input");
    for (const std::string& label : labels) {
      premises.emplace_back(text);
      hypotheses.push_back(format(options.hypothesis_template, label));
    }
  }
  Windows pairs{tokenize_pairs(premises, hypotheses), {}};  // those of one text after those of another
  for (std::size_t i = 0; i < pairs.encodings.size(); ++i) pairs.input.push_back(i / labels.size());

  // Of each pair the logits of entailment and contradiction.
  const int64_t contradiction = entailment_ == 0 ? *model().config().num_labels - 1 : 0;
  std::vector<float> entails, contradicts;
  for_each_batch(pairs, options.control, [&](Which, const Batch& batch, const ModelOutput& output) {
    for (int64_t i = 0; i < batch.batch_size(); ++i) {
      const std::span<const float> logits = output.logits->row(i);
      entails.push_back(logits[static_cast<std::size_t>(entailment_)]);
      contradicts.push_back(logits[static_cast<std::size_t>(contradiction)]);
      if (std::isnan(entails.back()) || std::isnan(contradicts.back())) {
        throw Error(ErrorCode::invalid_argument, "the model's logits are not numbers", model().config().where);
      }
    }
  });

  std::vector<LabelScores> results;
  for (std::size_t t = 0; t < texts.size(); ++t) {
    const std::size_t first = t * labels.size();
    std::vector<float> scores(labels.size());
    if (options.multi_label || labels.size() == 1) {
      for (std::size_t k = 0; k < labels.size(); ++k) {
        float both[] = {contradicts[first + k], entails[first + k]};
        softmax_as_they_are(both);
        scores[k] = both[1];
      }
    } else {
      std::copy_n(entails.begin() + static_cast<std::ptrdiff_t>(first), labels.size(), scores.begin());
      softmax_as_they_are(scores);
    }
    std::vector<std::size_t> order(labels.size());  // of equal scores the last label first, as in Hugging Face
    std::iota(order.rbegin(), order.rend(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
    LabelScores& result = results.emplace_back();
    result.sequence = texts[t];
    for (const std::size_t k : order) {
      result.labels.push_back(labels[k]);
      result.scores.push_back(scores[k]);
    }
  }
  return results;
}

LabelScores ZeroShotClassification::operator()(std::string_view text, const Options& options) const {
  return std::move(classify({&text, 1}, options).front());
}

std::vector<LabelScores> ZeroShotClassification::operator()(std::initializer_list<std::string_view> texts,
                                                            const Options& options) const {
  return classify({texts.begin(), texts.size()}, options);
}

std::vector<LabelScores> ZeroShotClassification::operator()(std::span<const std::string> texts,
                                                            const Options& options) const {
  return classify(std::vector<std::string_view>(texts.begin(), texts.end()), options);
}

std::vector<Value> ZeroShotClassification::run(std::span<const Value> inputs, const Value& options,
                                               const CallControl& control) const {
  Options typed;
  read_options(typed, options);
  typed.control = control;
  const Value* labels = options.find("candidate_labels");
  if (labels != nullptr && labels->is_string()) {
    typed.candidate_labels.clear();
    const std::string& text = labels->as_string();
    for (std::size_t begin = 0; begin <= text.size();) {
      const std::size_t comma = std::min(text.find(',', begin), text.size());
      const std::string part = unicode::to_well_formed(text.substr(begin, comma - begin));
      if (const std::string_view label = python::strip(part); !label.empty())
        typed.candidate_labels.emplace_back(label);
      begin = comma + 1;
    }
  }
  std::vector<std::string> texts;  // what is not UTF-8 could not be written as JSON
  for (const Value& input : inputs) texts.push_back(unicode::to_well_formed(input.as_string()));
  std::vector<Value> answers;
  for (LabelScores& result : (*this)(std::span<const std::string>(texts), typed)) {
    answers.push_back(Value::Object{{"sequence", std::move(result.sequence)},
                                    {"labels", Value::Array(result.labels.begin(), result.labels.end())},
                                    {"scores", Value::Array(result.scores.begin(), result.scores.end())}});
  }
  return answers;
}

}  // namespace transformers
