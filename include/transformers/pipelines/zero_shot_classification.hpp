// What it is: zero-shot classification: a text and any labels in, how well each fits out, by a model of inference
// (NLI). Where it stands: pipelines; one line in tasks.def registers it. Usage:
//   ZeroShotClassification classify({.model = "bart-large-mnli"});
//   LabelScores r = classify("My phone is broken", {.candidate_labels = {"urgent", "holiday"}});   // r.labels[0]
// Source: transformers/pipelines/zero_shot_classification.py (5.23).
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "transformers/pipelines/encoder_pipeline.hpp"

namespace transformers {

struct LabelScores {
  std::string sequence;             // the text
  std::vector<std::string> labels;  // best first
  std::vector<float> scores;        // of labels[i]
};

struct TCPP_API ZeroShotClassificationOptions {
  std::vector<std::string> candidate_labels = {};  // at least one
  // The claim that a label makes about the text, the label in place of {}.
  std::string hypothesis_template = "This example is {}.";
  bool multi_label = false;  // several may be true: each has a probability of its own
  CallControl control = {};

  void fields(FieldVisitor& f);
};

class TCPP_API ZeroShotClassification final : public EncoderPipeline {
 public:
  using Options = ZeroShotClassificationOptions;
  static constexpr Head kHead = Head::sequence_classification;

  explicit ZeroShotClassification(const PipelineOptions& options = {});

  LabelScores operator()(std::string_view text, const Options& options) const;
  std::vector<LabelScores> operator()(std::initializer_list<std::string_view> texts, const Options& options) const;
  std::vector<LabelScores> operator()(std::span<const std::string> texts, const Options& options) const;

  std::string_view task() const noexcept override;
  std::vector<FieldInfo> options() const override { return list_fields(Options{}); }
  // {"sequence", "labels", "scores"} an input. candidate_labels may be one text, the labels between commas.
  std::vector<Value> run(std::span<const Value> inputs, const Value& options = {},
                         const CallControl& control = {}) const override;
  using Pipeline::run;

 private:
  std::vector<LabelScores> classify(std::span<const std::string_view> texts, const Options& options) const;
  std::vector<Encoding> tokenize_pairs(const std::vector<std::string>& texts,
                                       const std::vector<std::string>& hypotheses) const;

  int64_t entailment_;  // column of the logits
};

}  // namespace transformers
