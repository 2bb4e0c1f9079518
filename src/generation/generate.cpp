// Implements generation/generate.hpp.
#include "transformers/generation/generate.hpp"

#include <algorithm>
#include <utility>

#include "transformers/base/error.hpp"
#include "transformers/models/pretrained_model.hpp"
#include "transformers/tensor/batch.hpp"

namespace transformers {
namespace {

void check_shape(const Tensor& t, const Shape& expected, const char* name) {
  if (t.dtype() == DType::i64 && t.shape() == expected) return;
  throw Error(ErrorCode::invalid_argument,
              "expected int64 " + to_string(expected) + ", got " + std::string(safetensors_name(t.dtype())) + " " +
                  to_string(t.shape()),
              name);
}

std::vector<int64_t> row_of(const Tensor& t, int64_t i) {
  const int64_t* row = t.data<int64_t>() + i * t.dim(1);
  return {row, row + t.dim(1)};
}

// Where no mask is given and the pad token is among the ids, it is padding, unless it ends sequences too.
std::vector<int64_t> mask_of(const std::vector<int64_t>& ids, const GenerationConfig& config) {
  const std::vector<int64_t> eos = config.eos_token_id.value_or(std::vector<int64_t>{});
  if (!config.pad_token_id || std::find(eos.begin(), eos.end(), *config.pad_token_id) != eos.end()) return {};
  std::vector<int64_t> mask;
  for (const int64_t id : ids) mask.push_back(id != *config.pad_token_id);
  return mask;
}

}  // namespace

std::vector<GenerationResult> generate(const PretrainedModel& model, std::vector<GenerationRequest> requests,
                                       EngineOptions options) {
  Engine engine(model, options);
  std::vector<GenerationResult> results(requests.size());
  for (std::size_t i = 0; i < requests.size(); ++i) {
    try {
      engine.submit(std::move(requests[i]), [&results, i](GenerationResult result) { results[i] = std::move(result); });
    } catch (const Error& error) {
      results[i].error = error;
    }
  }
  while (engine.step()) {
  }
  return results;
}

// By Hugging Face's two rules: beam search takes a pad token of id 0 for none.
int64_t padding_id(const GenerationConfig& config) {
  const bool ends = config.eos_token_id && !config.eos_token_id->empty();
  if (config.num_beams.value_or(1) > 1) {
    if (!ends) return -1;
    return config.pad_token_id.value_or(0) != 0 ? *config.pad_token_id : config.eos_token_id->front();
  }
  return config.pad_token_id.value_or(ends ? config.eos_token_id->front() : -1);
}

GenerateOutput generate(const PretrainedModel& model, const GenerateInputs& inputs, const GenerationConfig& config,
                        const GenerateOptions& options) {
  const Tensor& ids = inputs.input_ids;
  check_argument(ids.defined(), "not given", "input_ids");
  if (ids.rank() != 2 || ids.dtype() != DType::i64)
    check_shape(ids, {ids.dim(0), ids.rank() > 1 ? ids.dim(1) : 0}, "input_ids");
  const int64_t batch = ids.dim(0);
  if (inputs.attention_mask.defined()) check_shape(inputs.attention_mask, ids.shape(), "attention_mask");
  const bool encoder_decoder = model.batch_rules().decoder != BatchRules::Decoder::none;
  const Tensor& decoder = inputs.decoder_input_ids;
  if (decoder.defined()) {
    check_shape(decoder, {batch, decoder.rank() == 2 ? decoder.dim(1) : 0}, "decoder_input_ids");
  }
  check_argument(options.streamer == nullptr || batch <= 1, "a streamer follows one prompt", "streamer");

  const std::vector<int64_t> starts = config.decoder_start_token_id.value_or(std::vector<int64_t>{});
  if (encoder_decoder && starts.size() > 1 && static_cast<int64_t>(starts.size()) != batch) {
    throw Error(ErrorCode::invalid_argument,
                std::to_string(starts.size()) + " ids for a batch of " + std::to_string(batch),
                "decoder_start_token_id");
  }

  std::vector<GenerationRequest> requests;
  for (int64_t i = 0; i < batch; ++i) {
    GenerationRequest request;
    request.input_ids = row_of(ids, i);
    if (decoder.defined()) request.decoder_input_ids = row_of(decoder, i);
    if (inputs.attention_mask.defined()) {
      request.attention_mask = row_of(inputs.attention_mask, i);
    } else if (!encoder_decoder) {
      request.attention_mask = mask_of(request.input_ids, config);
    }
    request.config = config;
    if (starts.size() > 1) request.config.decoder_start_token_id = {{starts[static_cast<std::size_t>(i)]}};
    request.logits_processor = options.logits_processor;
    request.stopping_criteria = options.stopping_criteria;
    request.prefix_allowed_tokens_fn = options.prefix_allowed_tokens_fn;
    request.batch_id = i;
    request.token_texts = options.token_texts;
    request.constraint = options.constraint;
    request.streamer = options.streamer;
    request.cancel = options.cancel;
    requests.push_back(std::move(request));
  }

  GenerateOutput out;
  for (GenerationResult& result : generate(model, std::move(requests), options.engine)) {
    if (result.error) throw *result.error;
    for (GeneratedSequence& sequence : result.sequences) out.rows.push_back(std::move(sequence));
  }
  const bool beams = config.num_beams.value_or(1) > 1;
  const int64_t fill = padding_id(config);
  std::size_t length = 0;
  for (const GeneratedSequence& row : out.rows) length = std::max(length, row.ids.size());
  const int64_t rows = static_cast<int64_t>(out.rows.size());
  out.sequences = Tensor::zeros(DType::i64, {rows, static_cast<int64_t>(length)});
  for (int64_t i = 0; i < rows; ++i) {
    const std::vector<int64_t>& row = out.rows[static_cast<std::size_t>(i)].ids;
    int64_t* to = out.sequences.mutable_data<int64_t>() + i * static_cast<int64_t>(length);
    std::fill(std::copy(row.begin(), row.end(), to), to + length, fill);
  }
  if (beams && config.output_scores.value_or(false)) {
    out.sequences_scores = Tensor::zeros(DType::f32, {rows});
    for (int64_t i = 0; i < rows; ++i) {
      out.sequences_scores.mutable_data<float>()[i] = *out.rows[static_cast<std::size_t>(i)].score;
    }
  }
  return out;
}

}  // namespace transformers
