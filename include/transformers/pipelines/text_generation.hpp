// What it is: text generation: a prompt, or a chat, in; the text that goes on from it out.
// Where it stands: pipelines; one line in tasks.def registers it.
// Usage:
//   TextGeneration generate({.model = "gpt2"});
//   std::string text = generate("Once upon a time", {.generation = {.max_new_tokens = 20, .do_sample =
//   false}})[0].text;
// Source: transformers/pipelines/text_generation.py (5.23).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "transformers/base/function.hpp"
#include "transformers/generation/generation_config.hpp"
#include "transformers/generation/stopping_criteria.hpp"
#include "transformers/pipelines/pipeline.hpp"

namespace transformers {

struct TCPP_API TextGenerationOptions {
  // What is set here goes before the model's generation_config.json, and that before the pipeline's own defaults:
  // max_new_tokens = 256 (unless a max_length is set), do_sample = true, temperature = 0.7.
  GenerationConfig generation = {};
  bool return_full_text = true;  // the prompt, or the chat, before what was made
  bool return_tensors = false;   // "generated_token_ids" in place of text
  bool skip_special_tokens = true;
  std::optional<bool> clean_up_tokenization_spaces = {};
  std::string prefix = {};                          // put before every prompt
  std::optional<bool> continue_final_message = {};  // a chat: go on with its last message; unset: an assistant's
  // Called with each piece of text as it is made, of one prompt with one answer; false stops.
  Function<bool(std::string_view piece)> on_text = {};
  CallControl control = {};

  void fields(FieldVisitor& f);
};

struct GeneratedText {
  std::string text;                // what was made, without the prompt
  std::vector<int64_t> token_ids;  // prompt and what was made
};

class TCPP_API TextGeneration final : public Pipeline {
 public:
  using Options = TextGenerationOptions;
  static constexpr Head kHead = Head::causal_lm;

  explicit TextGeneration(const PipelineOptions& options = {});
  ~TextGeneration() override;

  // num_return_sequences answers.
  std::vector<GeneratedText> operator()(std::string_view prompt, const Options& options = {}) const;
  // To a chat. Error(not_found) where the model has no chat template.
  std::vector<GeneratedText> operator()(const Messages& messages, const Options& options = {}) const;

  std::string_view task() const noexcept override;
  std::vector<FieldInfo> options() const override { return list_fields(Options{}); }
  // A list of {"generated_text"}, the text or, for chats, the messages. An input is a text or a list of messages.
  std::vector<Value> run(std::span<const Value> inputs, const Value& options = {},
                         const CallControl& control = {}) const override;
  using Pipeline::run;

  const Tokenizer& tokenizer() const noexcept override { return *tokenizer_; }
  const PretrainedModel& model() const noexcept override { return *model_; }

 private:
  std::vector<std::vector<GeneratedText>> generate_all(std::span<const Value> inputs, const Options& options,
                                                       const Value& call) const;
  std::vector<GeneratedText> answer(const Value& input, const Options& options) const;
  GenerationConfig config_for(const Value& call) const;
  bool goes_on(const Value& messages, const Options& options) const;

  std::shared_ptr<const Tokenizer> tokenizer_;
  std::unique_ptr<PretrainedModel> model_;
  GenerationConfig config_;  // of the model's files
};

}  // namespace transformers
