// What it is: Batch, the packed form in which sequences enter a model: no padding, one row a token.
// Where it stands: tensor; made from what a tokenizer returns or from Hugging Face's padded tensors, taken by every
// model. Usage: `Batch batch = make_batch(tokenizer({"a b", "c"}), model.batch_rules());` Source: none of Hugging
// Face's classes; positions and pooled tokens follow the models' own rules (BatchRules).
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "transformers/base/export.hpp"
#include "transformers/tensor/tensor.hpp"

namespace transformers {

// What of a padded batch a model's class needs before padding is removed. Given by the model (PretrainedModel).
struct BatchRules {
  // Which token of a row the head reads, by Hugging Face's rule; it stays in the batch even where it is masked.
  //   first         the first of the row
  //   first_key     the first whose attention_mask is 1
  //   last          the last of the row
  //   last_not_pad  the rightmost whose id is not token_id (the first of the row when all are); the last of the row
  //                 when there is no token_id or inputs_embeds are given (GPT-2's and Llama's sequence classification)
  //   last_equal    the rightmost whose id is token_id; Error(invalid_argument) for a row without (BART's EOS)
  //   all           every token: all masked ones stay
  //   before_pad    the one before the first whose id is token_id, the last of the row when there is none or it is the
  //                 first (Transformer-XL's sequence classification)
  enum class Pooled { none, first, first_key, last, last_not_pad, last_equal, all, before_pad };
  // position_ids where none are given.
  //   columns     the index in the padded row, padding counted
  //   kept        the index among the tokens whose attention_mask is 1; -1 for a masked token that is pooled (OPT)
  //   cumulative  padding_idx + how many ids up to this one are not padding_idx, whatever the attention_mask;
  //   padding_idx
  //               for those that are (RoBERTa); padding_idx + 1 + the column with inputs_embeds
  enum class Positions { columns, kept, cumulative };
  Pooled pooled = Pooled::none;
  Positions positions = Positions::columns;
  std::optional<int64_t> token_id = {};
  int64_t padding_idx = 0;
  bool ignores_mask = false;     // attention_mask is not looked at: every token given is one (Transformer-XL)
  bool multiple_choice = false;  // inputs are [batch, num_choices, seq]
  // Where the pooled token is masked, all masked tokens of its row stay: for models in which it may see no key, when
  // Hugging Face's softmax makes an average over the whole padded row.
  bool masked_together = false;

  // What the decoder of an encoder-decoder reads where neither decoder_input_ids nor decoder_inputs_embeds are given.
  //   none     there is no such decoder
  //   given    nothing: they must be given (T5, Marian)
  //   shifted  decoder_start_token_id and behind it the source without its last token (BART)
  //   wrapped  the source's last token that is not padding, and behind it the source without its last (mBART)
  enum class Decoder { none, given, shifted, wrapped };
  Decoder decoder = Decoder::none;
  std::optional<int64_t> decoder_start_token_id = {}, pad_token_id = {};

  // The position of a row's first token.
  int64_t first_position() const noexcept { return positions == Positions::cumulative ? padding_idx + 1 : 0; }
};

// Sequences one after another. Positions are assigned on the padded rows, exactly as Hugging Face does, then the tokens
// whose attention_mask is 0 are dropped. A masked token that the head reads stays as a row that is computed but never
// attended to: such rows stand behind the others of their sequence, so that the first key_lens[i] rows are its keys.
struct Batch {
  std::vector<int32_t> input_ids;       // [tokens]; empty when inputs_embeds is given
  Tensor inputs_embeds;                 // [tokens, hidden_size] float32, or undefined
  std::vector<int32_t> token_type_ids;  // [tokens]; empty: all 0
  std::vector<int32_t> position_ids;    // [tokens]; go on after past_key_values unless they were given
  bool position_ids_given = false;
  std::vector<int32_t> columns;           // [tokens]: the index in the padded row, for putting outputs back
  std::vector<int32_t> cu_seqlens{0};     // [batch + 1]: sequence i owns rows cu_seqlens[i] ... cu_seqlens[i + 1] - 1
  std::vector<int32_t> key_lens;          // [batch]: rows of sequence i that are keys
  std::vector<int32_t> lengths;           // [batch]: columns of row i as it was given, padding included
  std::vector<int32_t> position_lengths;  // [batch]: positions that row i takes: what comes after it goes on from there
  int32_t first_position = 0;             // BatchRules::first_position()
  std::vector<int32_t> pooled_rows;       // [batch] by BatchRules::pooled; -1 for a row without; empty for none and all
  int64_t padded_length = 0;              // seq of the padded form
  int64_t num_choices = 1;                // sequences that make one row of a multiple choice; divides batch_size()

  // Encoder-decoders: the rows above are the decoder's, those of `encoder` the source's. None where nothing was given
  // for the encoder: a cross-attention cache must then hold what the decoder needs of it.
  std::shared_ptr<const Batch> encoder;
  Tensor encoder_outputs;  // in `encoder` alone: its output [tokens, hidden_size] float32 as an earlier call gave it

  int64_t batch_size() const noexcept { return static_cast<int64_t>(key_lens.size()); }
  int64_t tokens() const noexcept { return cu_seqlens.back(); }
};

// One row of a batch in Hugging Face's padded form. Empty spans take Hugging Face's defaults: a mask of ones, token
// types 0, positions by the model's rule.
struct BatchRow {
  std::span<const int64_t> input_ids = {};
  const float* inputs_embeds = nullptr;  // [length, hidden_size], instead of input_ids
  int64_t length = 0;                    // used with inputs_embeds
  std::span<const int64_t> attention_mask = {};
  std::span<const int64_t> token_type_ids = {};
  std::span<const int64_t> position_ids = {};
  std::optional<int64_t> pooled_column = {};  // with Pooled::last: the token to read in place of the last

  // Encoder-decoders: the above is the source; without a decoder row the model's rule makes one.
  const float* encoder_outputs = nullptr;  // [length, hidden_size]: the source need not be encoded
  std::span<const int64_t> decoder_input_ids = {};
  const float* decoder_inputs_embeds = nullptr;  // [decoder_length, hidden_size]
  int64_t decoder_length = 0;                    // used with decoder_inputs_embeds
  std::span<const int64_t> decoder_attention_mask = {};
  std::span<const int64_t> decoder_position_ids = {};
};

// Adds rows one at a time. Error(limit) beyond 2^31 - 1 tokens, Error(invalid_argument) on lengths that differ within a
// row, ids beyond 32 bits, or rows with and rows without an optional member.
class TCPP_API BatchBuilder {
 public:
  // hidden_size: floats in a row of inputs_embeds (or encoder_outputs), decoder_hidden_size in one of
  // decoder_inputs_embeds; 0 where ids are given.
  explicit BatchBuilder(BatchRules rules, int64_t hidden_size = 0, int64_t decoder_hidden_size = 0);
  void add(const BatchRow& row);
  Batch finish();

 private:
  int64_t pooled_column(const BatchRow& row, int64_t length) const;
  void add_row(const BatchRow& row);
  void add_pair(const BatchRow& row);  // source and decoder row
  std::vector<int64_t> decoder_ids(std::span<const int64_t> source) const;

  BatchRules rules_;
  int64_t hidden_size_;
  Batch batch_;
  std::vector<float> embeds_;
  // Encoder-decoders: what collects the sources, whether there are any, whether they are encoder_outputs, and where the
  // token that the head reads stands in the source being added.
  std::unique_ptr<BatchBuilder> encoder_;
  bool has_source_ = false, encoded_ = false;
  std::optional<int64_t> source_column_;
  std::vector<int32_t> cumulative_;  // positions of the row being added
};

// Hugging Face's forward arguments as tensors: input_ids, attention_mask, token_type_ids, position_ids int64 [batch,
// seq] (position_ids also [1, seq]), inputs_embeds float32 [batch, seq, hidden_size]; for a multiple choice [batch,
// num_choices, seq] and [batch, num_choices, seq, hidden_size]; mc_token_ids [batch, num_choices] is the token of each
// sequence that a second head reads (GPT2DoubleHeadsModel). Undefined ones are not given.
// Encoder-decoders take encoder_outputs [batch, seq, hidden_size] in place of encoding, and decoder_input_ids and
// decoder_attention_mask [batch, target], decoder_inputs_embeds [batch, target, hidden_size].
struct ModelInputs {
  Tensor input_ids = {}, attention_mask = {}, token_type_ids = {}, position_ids = {}, inputs_embeds = {};
  Tensor mc_token_ids = {};
  Tensor encoder_outputs = {}, decoder_input_ids = {}, decoder_attention_mask = {}, decoder_inputs_embeds = {};
};
struct ModelInputName {
  std::string_view name;
  Tensor ModelInputs::*tensor;
  bool floats = false;
};
// All of them under Hugging Face's names.
inline constexpr ModelInputName kModelInputNames[] = {
    {"input_ids", &ModelInputs::input_ids},
    {"attention_mask", &ModelInputs::attention_mask},
    {"token_type_ids", &ModelInputs::token_type_ids},
    {"position_ids", &ModelInputs::position_ids},
    {"inputs_embeds", &ModelInputs::inputs_embeds, true},
    {"mc_token_ids", &ModelInputs::mc_token_ids},
    {"encoder_outputs", &ModelInputs::encoder_outputs, true},
    {"decoder_input_ids", &ModelInputs::decoder_input_ids},
    {"decoder_attention_mask", &ModelInputs::decoder_attention_mask},
    {"decoder_inputs_embeds", &ModelInputs::decoder_inputs_embeds, true},
};
// Error(invalid_argument) naming the tensor whose shape or type is wrong.
TCPP_API Batch make_batch(const ModelInputs& inputs, BatchRules rules);

// What a tokenizer call returns: rows of any lengths under Hugging Face's names, attention_mask and token_type_ids
// empty when not produced. Any type with these members will do, so that neither side includes the other.
template <class T>
concept BatchEncodingLike = requires(const T& e) {
  { e.input_ids[0][0] } -> std::convertible_to<int64_t>;
  { e.attention_mask[0][0] } -> std::convertible_to<int64_t>;
  { e.token_type_ids[0][0] } -> std::convertible_to<int64_t>;
};

template <BatchEncodingLike T>
Batch make_batch(const T& encoding, BatchRules rules) {
  BatchBuilder builder(rules);
  const auto row_of = [](const auto& rows, std::size_t i, std::vector<int64_t>& buffer) {
    if (i >= rows.size()) return std::span<const int64_t>{};
    buffer.assign(rows[i].begin(), rows[i].end());
    return std::span<const int64_t>(buffer);
  };
  std::vector<int64_t> ids, mask, types;
  for (std::size_t i = 0; i < encoding.input_ids.size(); ++i) {
    builder.add({.input_ids = row_of(encoding.input_ids, i, ids),
                 .attention_mask = row_of(encoding.attention_mask, i, mask),
                 .token_type_ids = row_of(encoding.token_type_ids, i, types)});
  }
  return builder.finish();
}

}  // namespace transformers
