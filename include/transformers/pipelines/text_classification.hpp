// What it is: text classification (sentiment analysis): a text or a pair of texts in, labels with scores out.
// Where it stands: pipelines; one line in tasks.def registers it.
// Usage:
//   auto classify = pipeline<TextClassification>();
//   for (const auto& [label, score] : classify("I love C++")) ...        // {"POSITIVE", 0.99}
//   auto all = classify({"good", "bad"}, {.top_k = std::nullopt});       // every label of each text, best first
// Source: transformers/pipelines/text_classification.py (5.23).
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "transformers/pipelines/encoder_pipeline.hpp"

namespace transformers {

// What turns logits into scores. `automatic` follows the config: problem_type "regression" leaves them as they are,
// "multi_label_classification" or a single label takes sigmoid, several labels softmax.
enum class ClassificationFunction { automatic, none, sigmoid, softmax };

struct LabelScore {
  std::string label;
  float score = 0;
};

struct TCPP_API TextClassificationOptions {
  std::optional<int64_t> top_k = 1;  // labels to return, best first; nullopt: all of them
  ClassificationFunction function_to_apply = ClassificationFunction::automatic;
  Truncation truncation = {};              // cut inputs that are too long; without it they are an Error(limit)
  std::optional<int64_t> max_length = {};  // tokens to cut to, special tokens included; nullopt: the model's maximum
  CallControl control = {};

  void fields(FieldVisitor& f);
};

class TCPP_API TextClassification final : public EncoderPipeline {
 public:
  using Options = TextClassificationOptions;
  static constexpr Head kHead = Head::sequence_classification;
  static constexpr InputName kInputs[] = {{"text"}, {"text_pair"}};

  explicit TextClassification(const PipelineOptions& options = {});

  // Scores of one text, best first.
  std::vector<LabelScore> operator()(std::string_view text, const Options& options = {}) const;
  // Of many: braces always mean a batch. {text, text_pair} pairs are TextInput("a", "b").
  std::vector<std::vector<LabelScore>> operator()(std::initializer_list<std::string_view> texts,
                                                  const Options& options = {}) const;
  std::vector<std::vector<LabelScore>> operator()(std::span<const std::string> texts,
                                                  const Options& options = {}) const;
  std::vector<std::vector<LabelScore>> operator()(std::span<const TextInput> inputs, const Options& options = {}) const;

  std::string_view task() const noexcept override;
  std::vector<FieldInfo> options() const override { return list_fields(Options{}); }
  // {"label", "score"} an input, or a list of them where top_k is given.
  std::vector<Value> run(std::span<const Value> inputs, const Value& options = {},
                         const CallControl& control = {}) const override;
  using Pipeline::run;
};

}  // namespace transformers
