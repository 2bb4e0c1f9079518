// What it is: EncoderPipeline, what the tasks of encoder models share: tokenizer, model, packed batches, progress.
// Where it stands: pipelines; text_classification.hpp and feature_extraction.hpp derive from it.
// Usage: `for_each_batch(encodings, control, [&](int64_t first, const Batch& b, const ModelOutput& out) { ... });`
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "transformers/base/function.hpp"
#include "transformers/pipelines/pipeline.hpp"

namespace transformers {

// One input of a text task: a text, or a pair of texts that the tokenizer joins. An empty second text is none, as in a
// call of Hugging Face's tokenizer with one text.
struct TextInput {
  std::string text;
  std::optional<std::string> text_pair;

  TextInput() = default;
  TextInput(std::string t) : text(std::move(t)) {}
  TextInput(std::string_view t) : text(t) {}
  TextInput(const char* t) : text(t) {}
  TextInput(std::string t, std::string pair) : text(std::move(t)), text_pair(std::move(pair)) {}

  // "text", {"text": ..., "text_pair": ...}, or Hugging Face's old [["text", "pair"]].
  static TextInput from(const Value& value);
};

// The option `truncation` as Hugging Face takes it: false, true (longest_first), or the name of a strategy.
TCPP_API void truncation_field(FieldVisitor& f, Truncation& truncation);

class TCPP_API EncoderPipeline : public Pipeline {
 public:
  ~EncoderPipeline() override;
  const Tokenizer& tokenizer() const noexcept override { return *tokenizer_; }
  const PretrainedModel& model() const noexcept override { return *model_; }

 protected:
  EncoderPipeline(const TaskInfo& task, Head head, const PipelineOptions& options);

  struct TokenizeOptions {
    Truncation truncation = {};
    std::optional<int64_t> max_length = {};  // tokens; with truncation, else the model's maximum
  };
  // Error(limit) naming the first input that is longer than the model allows and is not to be truncated.
  std::vector<Encoding> tokenize(std::span<const TextInput> inputs, const TokenizeOptions& options) const;
  // Tokens an input may have: what the tokenizer's files say, and no more than the model has positions for.
  int64_t max_length() const noexcept;
  // Error(limit), with `hint`, naming the first input that is longer than the model allows.
  void check_lengths(std::span<const Encoding> encodings, const char* hint) const;

  // Inputs cut into windows that overlap.
  struct Windows {
    std::vector<Encoding> encodings;  // those of one input after those of another
    std::vector<std::size_t> input;   // which input each is of
    // Each encoding and behind it what overflowed of it.
    static Windows of(std::vector<Encoding> encodings);
  };

  // Runs the model over all encodings in packed batches of a bounded number of tokens and hands each batch's output to
  // `consume`; sequence i of the batch is encodings[which[i]]. Sequences of like length go together. Looks at the
  // cancel token before each batch and reports progress after it.
  using Which = std::span<const std::size_t>;
  using Consume = Function<void(Which which, const Batch& batch, const ModelOutput& output)>;
  void for_each_batch(std::span<const Encoding> encodings, const CallControl& control, const Consume& consume) const {
    run_batches(encodings, {}, control, nullptr, consume);
  }
  // The same over windows, in their order; progress counts inputs.
  void for_each_batch(const Windows& windows, const CallControl& control, const Consume& consume) const {
    run_batches(windows.encodings, windows.input, control, nullptr, consume);
  }
  // The same for a language model, whose logits are those of the rows that `keep` names, in its order.
  void for_each_batch(std::span<const Encoding> encodings, const CallControl& control,
                      const Function<std::vector<int32_t>(const Batch& batch)>& keep, const Consume& consume) const {
    run_batches(encodings, {}, control, keep, consume);
  }

  const std::shared_ptr<const ModelFiles>& files() const noexcept { return files_; }

 private:
  class WorkspacePool;
  void run_batches(std::span<const Encoding> encodings, std::span<const std::size_t> input_of,
                   const CallControl& control, const Function<std::vector<int32_t>(const Batch&)>& keep,
                   const Consume& consume) const;

  std::shared_ptr<const ModelFiles> files_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::unique_ptr<PretrainedModel> model_;
  std::unique_ptr<WorkspacePool> workspaces_;  // one for each call that ran at the same time
};

}  // namespace transformers
