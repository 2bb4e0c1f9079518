// Implements the part of tensor/batch.hpp that only encoder-decoders need: rows that are a source and what the decoder
// reads. Source: shift_tokens_right in transformers/models/bart/modeling_bart.py and mbart/modeling_mbart.py (5.23).
#include "pair_batch.hpp"

#include <algorithm>
#include <string>

#include "transformers/base/error.hpp"

namespace transformers {
namespace {

// An input whose first two dimensions every other input must have: int64 [batch, seq], or float32 [batch, seq, hidden].
void check_main(const Tensor& t, bool floats, const char* name) {
  if (t.rank() == (floats ? 3u : 2u) && t.dtype() == (floats ? DType::f32 : DType::i64)) return;
  throw Error(ErrorCode::invalid_argument,
              std::string("expected ") + (floats ? "float32 [batch, seq, hidden_size]" : "int64 [batch, seq]") +
                  ", got " + std::string(safetensors_name(t.dtype())) + " " + to_string(t.shape()),
              name);
}

// One half of the inputs: the rows of ids or floats that say how many there are and how long, and their mask.
struct Half {
  const Tensor* floats = nullptr;
  const Tensor* ids = nullptr;
  const Tensor* mask;
  const char* floats_name;
  const char* ids_name;
  const char* mask_name;

  void check() const {
    if (floats != nullptr) check_main(*floats, true, floats_name);
    if (ids != nullptr) check_main(*ids, false, ids_name);
  }
  bool given() const { return floats != nullptr || ids != nullptr; }
  const Tensor& main() const { return floats != nullptr ? *floats : *ids; }
  const char* main_name() const { return floats != nullptr ? floats_name : ids_name; }
  int64_t hidden_size() const { return floats != nullptr ? floats->dim(2) : 0; }
  int64_t length() const { return given() ? main().dim(1) : 0; }

  const float* floats_row(int64_t i) const {
    return floats == nullptr ? nullptr : floats->data<float>() + i * length() * hidden_size();
  }
  std::span<const int64_t> row(const Tensor& t, int64_t i, const char* name) const {
    if (!t.defined()) return {};
    const Shape expected{main().dim(0), length()};
    const bool broadcast = t.rank() == 2 && t.dim(0) == 1;
    if (t.dtype() != DType::i64 || t.rank() != 2 || (t.dim(0) != expected[0] && !broadcast) ||
        t.dim(1) != expected[1]) {
      throw Error(ErrorCode::invalid_argument,
                  "expected int64 " + to_string(expected) + ", got " + std::string(safetensors_name(t.dtype())) + " " +
                      to_string(t.shape()),
                  name);
    }
    return t.span<int64_t>().subspan(static_cast<std::size_t>((broadcast ? 0 : i) * expected[1]),
                                     static_cast<std::size_t>(expected[1]));
  }
  std::span<const int64_t> ids_row(int64_t i) const {
    return ids == nullptr ? std::span<const int64_t>{} : row(*ids, i, ids_name);
  }
  std::span<const int64_t> mask_row(int64_t i) const {
    return given() ? row(*mask, i, mask_name) : std::span<const int64_t>{};
  }
};

const Tensor* if_defined(const Tensor& t) { return t.defined() ? &t : nullptr; }

}  // namespace

// What the decoder reads where nothing is given for it.
std::vector<int64_t> BatchBuilder::decoder_ids(std::span<const int64_t> source) const {
  check_argument(rules_.decoder != BatchRules::Decoder::given,
                 "decoder_input_ids or decoder_inputs_embeds must be given: the model makes none from its source");
  check_argument(!source.empty(), "without input_ids, decoder_input_ids or decoder_inputs_embeds must be given");
  check_argument(rules_.pad_token_id.has_value(),
                 "decoder_input_ids are not given, and config.json has no pad_token_id to make them with");
  std::vector<int64_t> ids(source.begin(), source.end());
  int64_t first = 0;
  if (rules_.decoder == BatchRules::Decoder::wrapped) {
    // As many tokens are not padding: Hugging Face takes that for the index of the last of them, whatever the side that
    // is padded.
    const auto padding = std::count(ids.begin(), ids.end(), *rules_.pad_token_id);
    const int64_t last = static_cast<int64_t>(ids.size()) - padding - 1;
    check_argument(last >= 0,
                   "decoder_input_ids are not given, and a source of padding alone has none to make them of");
    first = ids[static_cast<std::size_t>(last)];
  } else {
    check_argument(rules_.decoder_start_token_id.has_value(),
                   "decoder_input_ids are not given, and config.json has no decoder_start_token_id to make them with");
    first = *rules_.decoder_start_token_id;
  }
  std::copy_backward(ids.begin(), ids.end() - 1, ids.end());
  ids.front() = first;
  return ids;
}

void BatchBuilder::add_pair(const BatchRow& row) {
  BatchRow target{.input_ids = row.decoder_input_ids,
                  .inputs_embeds = row.decoder_inputs_embeds,
                  .length = row.decoder_length,
                  .attention_mask = row.decoder_attention_mask,
                  .position_ids = row.decoder_position_ids};
  std::vector<int64_t> made;
  if (target.input_ids.empty() && target.inputs_embeds == nullptr) {
    made = decoder_ids(row.input_ids);
    target.input_ids = made;
  }
  const int64_t length =
      target.inputs_embeds != nullptr ? target.length : static_cast<int64_t>(target.input_ids.size());
  check_argument(target.attention_mask.empty() || static_cast<int64_t>(target.attention_mask.size()) == length,
                 "a mask that is not as long as the decoder's row", "decoder_attention_mask");
  source_column_.reset();
  if (rules_.pooled == BatchRules::Pooled::last_equal) {
    source_column_ = pooled_column(row, static_cast<int64_t>(row.input_ids.size()));
    if (*source_column_ >= length) {
      throw Error(ErrorCode::invalid_argument,
                  "the head reads the decoder at column " + std::to_string(*source_column_) +
                      ", where the source ends, but the decoder's row has " + std::to_string(length),
                  "decoder_input_ids");
    }
  }
  BatchRow source = row;
  source.decoder_input_ids = source.decoder_attention_mask = source.decoder_position_ids = {};
  source.decoder_inputs_embeds = source.encoder_outputs = nullptr;
  if (row.encoder_outputs != nullptr) source.inputs_embeds = row.encoder_outputs;
  encoded_ = encoded_ || row.encoder_outputs != nullptr;
  has_source_ = has_source_ || source.inputs_embeds != nullptr || !source.input_ids.empty();
  encoder_->add_row(source);
  add_row(target);
}

Batch make_pairs(const ModelInputs& inputs, BatchRules rules) {
  const bool encoded = inputs.encoder_outputs.defined();
  check_argument(!inputs.input_ids.defined() || !inputs.inputs_embeds.defined(),
                 "give one of input_ids and inputs_embeds");
  check_argument(!inputs.decoder_input_ids.defined() || !inputs.decoder_inputs_embeds.defined(),
                 "give one of decoder_input_ids and decoder_inputs_embeds");
  const Half source{.floats = encoded ? &inputs.encoder_outputs : if_defined(inputs.inputs_embeds),
                    .ids = if_defined(inputs.input_ids),
                    .mask = &inputs.attention_mask,
                    .floats_name = encoded ? "encoder_outputs" : "inputs_embeds",
                    .ids_name = "input_ids",
                    .mask_name = "attention_mask"};
  const Half target{.floats = if_defined(inputs.decoder_inputs_embeds),
                    .ids = if_defined(inputs.decoder_input_ids),
                    .mask = &inputs.decoder_attention_mask,
                    .floats_name = "decoder_inputs_embeds",
                    .ids_name = "decoder_input_ids",
                    .mask_name = "decoder_attention_mask"};
  source.check();
  target.check();
  check_argument(source.given() || target.given(), "give input_ids, inputs_embeds or encoder_outputs");
  const int64_t batch = source.given() ? source.main().dim(0) : target.main().dim(0);
  if (target.given() && target.main().dim(0) != batch) {
    throw Error(ErrorCode::invalid_argument,
                std::to_string(target.main().dim(0)) + " rows for a batch of " + std::to_string(batch),
                target.main_name());
  }
  if (batch > kMaxBatchSequences) {
    throw Error(ErrorCode::limit, "a batch holds at most " + std::to_string(kMaxBatchSequences) + " sequences",
                source.given() ? source.main_name() : target.main_name());
  }
  // A mask for rows that the model makes itself is as long as the source.
  const Half& masked = target.given() ? target : source;
  BatchBuilder builder(rules, source.hidden_size(), target.hidden_size());
  for (int64_t i = 0; i < batch; ++i) {
    builder.add({.input_ids = source.ids_row(i),
                 .inputs_embeds = encoded ? nullptr : source.floats_row(i),
                 .length = source.length(),
                 .attention_mask = source.mask_row(i),
                 .encoder_outputs = encoded ? source.floats_row(i) : nullptr,
                 .decoder_input_ids = target.ids_row(i),
                 .decoder_inputs_embeds = target.floats_row(i),
                 .decoder_length = target.length(),
                 .decoder_attention_mask = masked.row(inputs.decoder_attention_mask, i, "decoder_attention_mask")});
  }
  return builder.finish();
}

}  // namespace transformers
