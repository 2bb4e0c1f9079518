// What it is: the tasks of encoder-decoders: text2text-generation, summarization and translation, a text in, texts out.
// Where it stands: pipelines; one line for each in tasks.def registers them.
// Usage:
//   Summarization summarize({.model = "t5-small"});
//   std::string summary = summarize("A long story ...", {.generation = {.max_new_tokens = 40}})[0].text;
//   Translation translate({.model = "nllb-200-distilled-600M"});
//   std::string text = translate("Hello", {{}, "eng_Latn", "fra_Latn"})[0].text;
// Source: transformers/pipelines/text2text_generation.py, base.py (4.57.6: 5.0 removed these tasks).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "transformers/generation/generation_config.hpp"
#include "transformers/pipelines/pipeline.hpp"
#include "transformers/pipelines/text_generation.hpp"  // GeneratedText

namespace transformers {

struct TCPP_API Text2TextGenerationOptions {
  // What is set here goes before all else. Then come the task_specific_params of config.json, the pipeline's own
  // defaults max_new_tokens = 256 (unless the model's files set a max_length other than 20, or the call sets one) and
  // num_beams = 4, and the model's files.
  GenerationConfig generation = {};
  bool return_tensors = false;  // "..._token_ids" in place of text
  bool return_text = true;      // accepted: Hugging Face does not look at it either
  bool clean_up_tokenization_spaces = false;
  Truncation truncation = {};                     // cut texts that are too long to the tokenizer's model_max_length
  std::optional<std::string> stop_sequence = {};  // its first token ends the answer
  // Not in Hugging Face: each sentence of a text is answered for itself, and the answers are put together with what
  // stood between the sentences. For texts that are longer than what the model was trained on.
  bool split_sentences = false;
  CallControl control = {};

  void fields(FieldVisitor& f);
};

struct TCPP_API TranslationOptions : Text2TextGenerationOptions {
  // For models of many languages (mBART, NLLB, M2M100), by their own codes; others do not look at them. Unset: those of
  // a task like "translation_en_to_fr".
  std::optional<std::string> src_lang = {}, tgt_lang = {};

  void fields(FieldVisitor& f);
};

// A prefix of the model's for this task ("summarize: ", "translate English to German: ") is put before every text.
class TCPP_API Text2TextGeneration : public Pipeline {
 public:
  using Options = Text2TextGenerationOptions;
  static constexpr Head kHead = Head::seq2seq_lm;

  explicit Text2TextGeneration(const PipelineOptions& options = {});
  ~Text2TextGeneration() override;

  // num_return_sequences answers, the best first. `token_ids` are the decoder's, its start included.
  std::vector<GeneratedText> operator()(std::string_view text, const Options& options = {}) const;
  std::vector<std::vector<GeneratedText>> operator()(std::span<const std::string> texts,
                                                     const Options& options = {}) const;

  std::string_view task() const noexcept override { return info_.name; }
  std::vector<FieldInfo> options() const override { return info_.options(); }
  // A list of {"generated_text"}, {"summary_text"} or {"translation_text"}. An input is a text.
  std::vector<Value> run(std::span<const Value> inputs, const Value& options = {},
                         const CallControl& control = {}) const override;
  using Pipeline::run;

  const Tokenizer& tokenizer() const noexcept override { return *tokenizer_; }
  const PretrainedModel& model() const noexcept override { return *model_; }
  // Put before every text; empty for none.
  const std::string& prefix() const noexcept { return prefix_; }

 protected:
  Text2TextGeneration(std::string_view task, std::string_view result, const PipelineOptions& options);
  std::vector<std::vector<GeneratedText>> answer(std::span<const std::string> texts, const TranslationOptions& options,
                                                 const Value& call) const;
  std::vector<Value> run_with(const TranslationOptions& options, std::span<const Value> inputs, const Value& call,
                              const CallControl& control) const;

 private:
  GenerationConfig config_for(const Value& call) const;

  const TaskInfo& info_;
  std::string result_;  // "summary": the answers' name without "_text"
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::unique_ptr<PretrainedModel> model_;
  GenerationConfig config_;      // of the files and the task
  bool default_length_ = false;  // config_.max_new_tokens is the pipeline's
  std::string prefix_;
  std::optional<std::string> src_lang_, tgt_lang_;  // of the task's name
};

class TCPP_API Summarization final : public Text2TextGeneration {
 public:
  explicit Summarization(const PipelineOptions& options = {});
};

class TCPP_API Translation final : public Text2TextGeneration {
 public:
  using Options = TranslationOptions;
  // PipelineOptions::task may be "translation_en_to_fr": it chooses among the tasks of a model like T5, and names the
  // languages of one like M2M100.
  explicit Translation(const PipelineOptions& options = {});

  std::vector<GeneratedText> operator()(std::string_view text, const Options& options = {}) const;
  std::vector<std::vector<GeneratedText>> operator()(std::span<const std::string> texts,
                                                     const Options& options = {}) const;
  std::vector<Value> run(std::span<const Value> inputs, const Value& options = {},
                         const CallControl& control = {}) const override;
  using Pipeline::run;
};

}  // namespace transformers
