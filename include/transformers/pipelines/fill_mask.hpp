// What it is: mask filling: a text with mask tokens in, the likeliest tokens for each of them out.
// Where it stands: pipelines; one line in tasks.def registers it.
// Usage:
//   FillMask fill({.model = "bert-base-uncased"});
//   for (const MaskFill& f : fill("The capital of France is [MASK].")[0]) ...   // f.token_str "paris", f.score 0.4
// Source: transformers/pipelines/fill_mask.py (5.23).
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

struct MaskFill {
  float score = 0;        // its probability among all tokens, targets or not
  int32_t token = 0;      // its id
  std::string token_str;  // its text
  std::string sequence;   // the text with it in place of the mask; of several masks the others stay
};

struct TCPP_API FillMaskOptions {
  std::optional<int64_t> top_k = 5;                      // tokens for each mask, best first; nullopt: 5
  std::optional<std::vector<std::string>> targets = {};  // the tokens to choose among; unset: all
  Truncation truncation = {};                            // cut inputs that are too long
  std::optional<int64_t> max_length = {};                // tokens to cut to; nullopt: the model's maximum
  Value tokenizer_kwargs = {};                           // {"truncation", "max_length"}, as Hugging Face takes them
  CallControl control = {};

  void fields(FieldVisitor& f);
};

class TCPP_API FillMask final : public EncoderPipeline {
 public:
  using Options = FillMaskOptions;
  static constexpr Head kHead = Head::masked_lm;

  // Error(invalid_argument) where the tokenizer has no mask token.
  explicit FillMask(const PipelineOptions& options = {});

  // For each mask of the text a list, best first. Error(invalid_argument) where there is no mask.
  std::vector<std::vector<MaskFill>> operator()(std::string_view text, const Options& options = {}) const;
  std::vector<std::vector<std::vector<MaskFill>>> operator()(std::initializer_list<std::string_view> texts,
                                                             const Options& options = {}) const;
  std::vector<std::vector<std::vector<MaskFill>>> operator()(std::span<const std::string> texts,
                                                             const Options& options = {}) const;

  std::string_view task() const noexcept override;
  std::vector<FieldInfo> options() const override { return list_fields(Options{}); }
  // A list an input, of {"score", "token", "token_str", "sequence"}; of several masks a list of such lists.
  std::vector<Value> run(std::span<const Value> inputs, const Value& options = {},
                         const CallControl& control = {}) const override;
  using Pipeline::run;

 private:
  std::vector<std::vector<std::vector<MaskFill>>> fill(std::span<const TextInput> inputs, const Options& options) const;
  std::vector<int32_t> target_ids(const std::vector<std::string>& targets) const;
  std::string decode(std::span<const int32_t> ids, bool skip_special_tokens) const;

  int32_t mask_;
};

}  // namespace transformers
