// What it is: Engine, which runs many generation requests at once on one model, each as if it were alone.
// Where it stands: generation; generate() runs one batch on it, servers keep one running.
// Usage: `Engine engine(model);  engine.submit(std::move(request), [](GenerationResult r) { ... });
//         while (engine.step()) {}`
// Source: none of Hugging Face's classes; what each request goes through is transformers/generation/utils.py (5.23).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "transformers/base/callbacks.hpp"
#include "transformers/base/error.hpp"
#include "transformers/base/export.hpp"
#include "transformers/base/function.hpp"
#include "transformers/generation/generation_config.hpp"
#include "transformers/generation/logits_processor.hpp"
#include "transformers/generation/stopping_criteria.hpp"
#include "transformers/generation/streamers.hpp"
#include "transformers/kernels/kernels.hpp"

namespace transformers {

class Constraint;

class PretrainedModel;

struct GenerationRequest {
  // The prompt, or an encoder-decoder's source. Empty without an encoder: bos_token_id.
  std::vector<int64_t> input_ids;
  std::vector<int64_t> attention_mask;  // of input_ids; empty: ones
  // The decoder's prompt; empty: decoder_start_token_id (else bos_token_id), which is put before it where it is
  // missing.
  std::vector<int64_t> decoder_input_ids;
  GenerationConfig config;  // complete: GenerationConfig::with()

  std::vector<std::shared_ptr<const LogitsProcessor>> logits_processor;
  std::vector<std::shared_ptr<const StoppingCriteria>> stopping_criteria;
  PrefixAllowedTokensFn prefix_allowed_tokens_fn;
  int64_t batch_id = 0;                                               // what that function is told
  std::shared_ptr<const StopStringCriteria::TokenTexts> token_texts;  // for stop_strings
  std::shared_ptr<const Constraint> constraint;                       // which texts the answer may be
  std::shared_ptr<BaseStreamer> streamer;                             // not with beam search
  CancelToken cancel;
};

struct GeneratedSequence {
  std::vector<int64_t> ids;  // prompt (the decoder's) and new tokens
  // Beam search: sum of the log probabilities / length^length_penalty.
  std::optional<float> score;
  // With output_scores, for each new token: its score after the processors, and the log of its probability among them.
  // (Beam search's scores are such logs already.)
  std::vector<float> scores, logprobs;
  std::vector<int32_t> beam_indices;  // beam search: the beam each new token came from
  // With output_logits, not with beam search: the model's logits of each step, [new tokens, vocab_size].
  std::vector<float> logits;
};

struct GenerationResult {
  int64_t id = 0;
  int64_t prompt_length = 0;                 // of ids, in tokens, padding included
  std::vector<GeneratedSequence> sequences;  // num_return_sequences of them, unless there is an error
  std::optional<Error> error;                // why there are none
};

struct EngineOptions {
  // Sequences computed in one step; a request takes num_beams or num_return_sequences of them. Those beyond wait.
  int64_t max_sequences = 256;
  // Prompt tokens computed between two steps of the running sequences.
  int64_t max_prefill_tokens = 2048;
  // Bytes of keys and values; 0: no limit. Requests wait for room; one that finds none alone fails with Error(limit).
  int64_t max_cache_bytes = 0;
  // What keys and values are held as: half and a quarter of the memory, at the price of rounding.
  std::optional<KVType> cache_type = std::nullopt;
  // Tokens of earlier requests whose keys and values are kept, so that a prompt which begins as one of them did goes on
  // from there. They make room when memory is short.
  int64_t max_prefix_tokens = 0;
  // A smaller decoder with the same vocabulary that guesses ahead (num_assistant_tokens) for requests of one sequence.
  // The tokens are the same without, with the same seed also when they are drawn. Must outlive the engine.
  const PretrainedModel* assistant_model = nullptr;
};

// submit() and cancel() may be called from any thread, step() from one at a time. Callbacks run inside step(), may
// submit and cancel, and what they throw fails their own request only.
class TCPP_API Engine {
 public:
  using OnDone = Function<void(GenerationResult result)>;

  // The model must outlive the engine. Error(unsupported) for a model without a language modelling head.
  explicit Engine(const PretrainedModel& model, EngineOptions options = {});
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Queues a request and returns its id. Error(invalid_argument) for what is wrong with it, at once.
  int64_t submit(GenerationRequest request, OnDone on_done);
  // Ends a request wherever it is with Error(cancelled), before its next token. False when it is done already.
  bool cancel(int64_t id);
  // Makes one token for every running sequence, then starts waiting requests where there is room, in the order in which
  // they came, up to their first token. False when nothing is left to do.
  bool step();

  int64_t running() const noexcept;  // requests being computed
  int64_t waiting() const noexcept;  // requests queued
  int64_t cache_bytes() const noexcept;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace transformers
