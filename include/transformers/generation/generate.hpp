// What it is: generate(), Hugging Face's, on a batch of token ids.
// Where it stands: generation; on top of Engine, under the pipelines and `tcpp generate`.
// Usage: `GenerateOutput out = generate(*model, {.input_ids = ids}, GenerationConfig::from_pretrained(dir).with(
//         {.max_new_tokens = 20}));`
// Source: transformers/generation/utils.py (5.23). Differences: docs/differences.md.
#pragma once

#include <optional>
#include <vector>

#include "transformers/base/export.hpp"
#include "transformers/generation/engine.hpp"
#include "transformers/tensor/tensor.hpp"

namespace transformers {

// int64 [batch, seq], padded to the left for decoders. Undefined ones are not given: attention_mask is then made from
// pad_token_id as Hugging Face does, ones for an encoder-decoder.
struct GenerateInputs {
  Tensor input_ids = {}, attention_mask = {}, decoder_input_ids = {};
};

struct GenerateOutput {
  Tensor sequences;         // int64 [batch * num_return_sequences, length]
  Tensor sequences_scores;  // float32 [batch * num_return_sequences]; beam search with output_scores, else undefined
  std::vector<GeneratedSequence> rows;  // the same, without padding at the end
};

// What a call adds to every request made from it.
struct GenerateOptions {
  std::vector<std::shared_ptr<const LogitsProcessor>> logits_processor = {};
  std::vector<std::shared_ptr<const StoppingCriteria>> stopping_criteria = {};
  PrefixAllowedTokensFn prefix_allowed_tokens_fn = {};
  std::shared_ptr<const StopStringCriteria::TokenTexts> token_texts = nullptr;
  std::shared_ptr<const Constraint> constraint = nullptr;
  std::shared_ptr<BaseStreamer> streamer = nullptr;  // for one prompt
  CancelToken cancel = {};
  EngineOptions engine = {};
};

// Error(invalid_argument) naming the input or option that is wrong; the first error of a row ends the call.
TCPP_API GenerateOutput generate(const PretrainedModel& model, const GenerateInputs& inputs,
                                 const GenerationConfig& config, const GenerateOptions& options = {});

// What fills the ends of sequences that are shorter than others.
TCPP_API int64_t padding_id(const GenerationConfig& config);

// Requests of any lengths, each by its own config: results in their order, errors inside them.
TCPP_API std::vector<GenerationResult> generate(const PretrainedModel& model, std::vector<GenerationRequest> requests,
                                                EngineOptions options = {});

}  // namespace transformers
