// Batches: positions first, then padding goes; masked tokens that a head reads stay behind the keys.
#include "transformers/tensor/batch.hpp"

#include <gtest/gtest.h>

#include "support.hpp"
#include "transformers/tensor/workspace.hpp"

namespace transformers {
namespace {

using Ids = std::vector<int32_t>;

Batch of(std::vector<int64_t> ids, std::vector<int64_t> mask, BatchRules rules = {}) {
  BatchBuilder builder(rules);
  builder.add({.input_ids = ids, .attention_mask = mask});
  return builder.finish();
}

TEST(Batch, DropsMaskedTokensAndKeepsTheirPositions) {
  const Batch right = of({5, 6, 7, 0}, {1, 1, 1, 0});
  EXPECT_EQ(right.input_ids, (Ids{5, 6, 7}));
  EXPECT_EQ(right.position_ids, (Ids{0, 1, 2}));
  const Batch left = of({0, 0, 5, 6}, {0, 0, 1, 1});
  EXPECT_EQ(left.input_ids, (Ids{5, 6}));
  EXPECT_EQ(left.position_ids, (Ids{2, 3}));  // counted with the padding, as Hugging Face does
  const Batch hole = of({5, 9, 6}, {1, 0, 1});
  EXPECT_EQ(hole.columns, (Ids{0, 2}));
  EXPECT_EQ(hole.key_lens, (Ids{2}));
}

TEST(Batch, LastTokenThatIsNotPad) {
  BatchRules rules{.pooled = BatchRules::Pooled::last_not_pad, .token_id = 0};
  EXPECT_EQ(of({5, 6, 0, 0}, {1, 1, 0, 0}, rules).pooled_rows, (Ids{1}));
  EXPECT_EQ(of({0, 0, 5, 6}, {0, 0, 1, 1}, rules).pooled_rows, (Ids{1}));
  const Batch masked = of({5, 6, 7, 0}, {1, 0, 0, 0}, rules);  // by id, not by mask
  EXPECT_EQ(masked.input_ids, (Ids{5, 7}));
  EXPECT_EQ(masked.columns, (Ids{0, 2}));
  EXPECT_EQ(masked.key_lens, (Ids{1}));
  EXPECT_EQ(masked.pooled_rows, (Ids{1}));
  EXPECT_EQ(of({0, 0}, {1, 1}, rules).pooled_rows, (Ids{0}));
  EXPECT_EQ(of({}, {}, rules).pooled_rows, (Ids{-1}));
  rules.token_id.reset();
  EXPECT_EQ(of({5, 0, 0}, {1, 1, 1}, rules).pooled_rows, (Ids{2}));
  const std::vector<int64_t> ids = {1, 2, 3, 4};
  ModelInputs two;
  two.input_ids = Tensor::from<int64_t>(DType::i64, {2, 2}, ids);
  EXPECT_ERROR(ErrorCode::invalid_argument,
               "a batch of 2 rows needs a pad_token_id in config.json to find their last tokens (input_ids)",
               make_batch(two, rules));
}

TEST(Batch, TokenBeforeTheFirstPad) {
  BatchRules rules{.pooled = BatchRules::Pooled::before_pad, .token_id = 0};
  rules.ignores_mask = true;
  EXPECT_EQ(of({5, 6, 0, 7, 0}, {1, 1, 1, 1, 1}, rules).pooled_rows, (Ids{1}));
  EXPECT_EQ(of({5, 6, 7}, {1, 1, 1}, rules).pooled_rows, (Ids{2}));
  EXPECT_EQ(of({0, 6, 7}, {1, 1, 1}, rules).pooled_rows, (Ids{2}));
  const Batch all = of({5, 6, 7}, {0, 1, 0}, rules);  // the mask is not looked at
  EXPECT_EQ(all.input_ids, (Ids{5, 6, 7}));
  EXPECT_EQ(all.key_lens, (Ids{3}));
}

TEST(Batch, LastTokenOfAnId) {
  const BatchRules rules{.pooled = BatchRules::Pooled::last_equal, .token_id = 2};
  EXPECT_EQ(of({2, 5, 2, 1}, {1, 1, 1, 1}, rules).pooled_rows, (Ids{2}));
  EXPECT_ERROR(ErrorCode::invalid_argument, "row 0 has no token 2, which the head reads (input_ids)",
               of({5, 6}, {1, 1}, rules));
}

TEST(Batch, PositionsCountedOverKeptTokens) {
  const BatchRules rules{.pooled = BatchRules::Pooled::first, .positions = BatchRules::Positions::kept};
  EXPECT_EQ(of({9, 5, 9, 6}, {1, 0, 1, 1}, rules).position_ids, (Ids{0, 1, 2}));
  EXPECT_EQ(of({9, 5, 6}, {0, 1, 1}, rules).position_ids, (Ids{0, 1, -1}));
  EXPECT_EQ(of({9, 5, 6}, {0, 1, 1}, rules).lengths, (Ids{3}));
}

TEST(Batch, PooledTokenStaysThoughMasked) {
  const BatchRules first{BatchRules::Pooled::first};
  const Batch kept = of({5, 6}, {1, 1}, first);
  EXPECT_EQ(kept.pooled_rows, (Ids{0}));
  const Batch masked = of({4, 5, 6}, {0, 1, 1}, first);
  EXPECT_EQ(masked.input_ids, (Ids{5, 6, 4}));  // behind the keys
  EXPECT_EQ(masked.position_ids, (Ids{1, 2, 0}));
  EXPECT_EQ(masked.key_lens, (Ids{2}));
  EXPECT_EQ(masked.pooled_rows, (Ids{2}));
  const Batch nothing = of({4, 5}, {0, 0}, first);
  EXPECT_EQ(nothing.key_lens, (Ids{0}));
  EXPECT_EQ(nothing.pooled_rows, (Ids{0}));
  EXPECT_EQ(of({}, {}, first).pooled_rows, (Ids{-1}));
}

TEST(Batch, OtherTokensThatAHeadReads) {
  const BatchRules last{.pooled = BatchRules::Pooled::last};
  EXPECT_EQ(of({5, 6, 7}, {1, 0, 1}, last).pooled_rows, (Ids{1}));
  const Batch masked = of({5, 6, 7}, {1, 1, 0}, last);
  EXPECT_EQ(masked.input_ids, (Ids{5, 6, 7}));
  EXPECT_EQ(masked.key_lens, (Ids{2}));
  EXPECT_EQ(masked.pooled_rows, (Ids{2}));
  EXPECT_EQ(of({}, {}, last).pooled_rows, (Ids{-1}));

  const BatchRules first_key{.pooled = BatchRules::Pooled::first_key};
  EXPECT_EQ(of({4, 5, 6}, {0, 1, 1}, first_key).input_ids, (Ids{5, 6}));
  EXPECT_EQ(of({4, 5, 6}, {0, 1, 1}, first_key).pooled_rows, (Ids{0}));
  EXPECT_EQ(of({4}, {0}, first_key).pooled_rows, (Ids{-1}));

  const Batch all = of({4, 5, 6, 7}, {0, 1, 0, 1}, {.pooled = BatchRules::Pooled::all});
  EXPECT_EQ(all.columns, (Ids{1, 3, 0, 2}));
  EXPECT_EQ(all.key_lens, (Ids{2}));
  EXPECT_TRUE(all.pooled_rows.empty());
}

TEST(Batch, PositionsThatCountIds) {
  const BatchRules rules{.positions = BatchRules::Positions::cumulative, .padding_idx = 1};
  // From the ids, not from the mask: a masked id counts, an attended pad id does not.
  const Batch batch = of({9, 1, 8, 7, 1, 6}, {1, 1, 0, 1, 0, 1}, rules);
  EXPECT_EQ(batch.input_ids, (Ids{9, 1, 7, 6}));
  EXPECT_EQ(batch.position_ids, (Ids{2, 1, 4, 5}));
  BatchBuilder builder(rules, 2);
  const std::vector<float> embeds{1, 2, 3, 4};
  builder.add({.inputs_embeds = embeds.data(), .length = 2});
  EXPECT_EQ(builder.finish().position_ids, (Ids{2, 3}));
}

TEST(Batch, ChoicesAreSequences) {
  const BatchRules rules{.pooled = BatchRules::Pooled::first, .multiple_choice = true};
  ModelInputs inputs;
  inputs.input_ids = Tensor::zeros(DType::i64, {2, 3, 4});
  inputs.attention_mask = Tensor::zeros(DType::i64, {2, 3, 4});
  inputs.attention_mask.mutable_data<int64_t>()[4 * 4 + 1] = 1;
  const Batch batch = make_batch(inputs, rules);
  EXPECT_EQ(batch.batch_size(), 6);
  EXPECT_EQ(batch.num_choices, 3);
  EXPECT_EQ(batch.padded_length, 4);
  EXPECT_EQ(batch.key_lens, (Ids{0, 0, 0, 0, 1, 0}));
  inputs.input_ids = Tensor::zeros(DType::i64, {6, 4});
  EXPECT_ERROR(ErrorCode::invalid_argument, "expected [batch, num_choices, seq], got [6, 4] (input_ids)",
               make_batch(inputs, rules));
  inputs.input_ids = Tensor::zeros(DType::i64, {2, 2, 4});
  EXPECT_ERROR(ErrorCode::invalid_argument, "expected int64 [4, 4], got I64 [6, 4] (attention_mask)",
               make_batch(inputs, rules));
  inputs.input_ids = Tensor::zeros(DType::i64, {2, 3, 4});
  EXPECT_ERROR(ErrorCode::invalid_argument, "expected int64 [batch, seq], got I64 [2, 3, 4] (input_ids)",
               make_batch(inputs, {}));
}

TEST(Batch, RowsOfDifferentLengthsAndOptionalTypes) {
  BatchBuilder builder({});
  const std::vector<int64_t> a{1, 2, 3}, b{4}, types{1, 1, 0};
  builder.add({.input_ids = b});
  builder.add({.input_ids = a, .token_type_ids = types});
  builder.add({.input_ids = b});
  const Batch batch = builder.finish();
  EXPECT_EQ(batch.cu_seqlens, (Ids{0, 1, 4, 5}));
  EXPECT_EQ(batch.token_type_ids, (Ids{0, 1, 1, 0, 0}));
  EXPECT_EQ(batch.padded_length, 3);
  EXPECT_EQ(batch.batch_size(), 3);
  EXPECT_EQ(batch.tokens(), 5);
}

TEST(Batch, FromAnythingWithHuggingFacesMembers) {
  struct Encoded {
    std::vector<std::vector<int64_t>> input_ids{{1, 2, 0}, {3, 4, 5}}, attention_mask{{1, 1, 0}, {1, 1, 1}},
        token_type_ids;
  };
  const Batch batch = make_batch(Encoded{}, {});
  EXPECT_EQ(batch.input_ids, (Ids{1, 2, 3, 4, 5}));
}

TEST(Batch, WrongInputsAreNamed) {
  EXPECT_ERROR(ErrorCode::invalid_argument, "expected 2 values as in input_ids, got 1 (attention_mask)",
               of({1, 2}, {1}));
  EXPECT_ERROR(ErrorCode::invalid_argument, "id 4294967296 does not fit 32 bits (input_ids)", of({4294967296}, {}));
  ModelInputs none;
  EXPECT_ERROR(ErrorCode::invalid_argument, "give exactly one of input_ids and inputs_embeds", make_batch(none, {}));
  ModelInputs wrong;
  wrong.input_ids = Tensor::zeros(DType::f32, {1, 2});
  EXPECT_ERROR(ErrorCode::invalid_argument, "expected int64 [batch, seq], got F32 [1, 2] (input_ids)",
               make_batch(wrong, {}));
  ModelInputs mask;
  mask.input_ids = Tensor::zeros(DType::i64, {2, 3});
  mask.attention_mask = Tensor::zeros(DType::i64, {2, 4});
  EXPECT_ERROR(ErrorCode::invalid_argument, "expected int64 [2, 3], got I64 [2, 4] (attention_mask)",
               make_batch(mask, {}));
}

// Encoder-decoders: the rows are the decoder's, and the source's are behind `encoder`.
Batch pair_of(const BatchRow& row, BatchRules::Decoder decoder) {
  BatchRules rules;
  rules.decoder = decoder;
  rules.decoder_start_token_id = 2;
  rules.pad_token_id = 0;
  BatchBuilder builder(rules);
  builder.add(row);
  return builder.finish();
}

TEST(PairBatch, TheDecoderReadsWhatIsGiven) {
  const std::vector<int64_t> source{5, 6, 0}, source_mask{1, 1, 0}, target{2, 7, 8}, target_mask{0, 1, 1};
  const Batch batch = pair_of({.input_ids = source,
                               .attention_mask = source_mask,
                               .decoder_input_ids = target,
                               .decoder_attention_mask = target_mask},
                              BatchRules::Decoder::given);
  EXPECT_EQ(batch.input_ids, (Ids{7, 8}));
  EXPECT_EQ(batch.position_ids, (Ids{1, 2}));
  ASSERT_NE(batch.encoder, nullptr);
  EXPECT_EQ(batch.encoder->input_ids, (Ids{5, 6}));
  EXPECT_EQ(batch.encoder->padded_length, 3);
  // A later step brings no source.
  EXPECT_EQ(pair_of({.decoder_input_ids = target}, BatchRules::Decoder::given).encoder, nullptr);
}

TEST(PairBatch, TheDecoderReadsTheSourceShifted) {
  const std::vector<int64_t> right{5, 6, 7, 0, 0}, left{0, 0, 5, 6, 7}, mask{1, 1, 1, 0, 0};
  // The source's mask is none of the decoder's.
  EXPECT_EQ(pair_of({.input_ids = right, .attention_mask = mask}, BatchRules::Decoder::shifted).input_ids,
            (Ids{2, 5, 6, 7, 0}));
  EXPECT_EQ(pair_of({.input_ids = right}, BatchRules::Decoder::wrapped).input_ids, (Ids{7, 5, 6, 7, 0}));
  EXPECT_EQ(pair_of({.input_ids = left}, BatchRules::Decoder::wrapped).input_ids, (Ids{5, 0, 0, 5, 6}));
}

TEST(PairBatch, WrongInputsAreNamed) {
  const std::vector<int64_t> ids{5, 6}, pads{0, 0}, mask{1};
  EXPECT_ERROR(ErrorCode::invalid_argument,
               "decoder_input_ids or decoder_inputs_embeds must be given: the model makes none from its source",
               pair_of({.input_ids = ids}, BatchRules::Decoder::given));
  EXPECT_ERROR(ErrorCode::invalid_argument,
               "decoder_input_ids are not given, and a source of padding alone has none to make them of",
               pair_of({.input_ids = pads}, BatchRules::Decoder::wrapped));
  EXPECT_ERROR(ErrorCode::invalid_argument, "a mask that is not as long as the decoder's row (decoder_attention_mask)",
               pair_of({.input_ids = ids, .decoder_input_ids = ids, .decoder_attention_mask = mask},
                       BatchRules::Decoder::given));
  ModelInputs foreign{.input_ids = Tensor::zeros(DType::i64, {1, 2}),
                      .decoder_input_ids = Tensor::zeros(DType::i64, {1, 2})};
  EXPECT_ERROR(ErrorCode::invalid_argument,
               "the model has no decoder beside an encoder: it takes no such input (decoder_input_ids)",
               make_batch(foreign, {}));
  BatchRules rules;
  rules.decoder = BatchRules::Decoder::given;
  foreign.decoder_input_ids = Tensor::zeros(DType::i64, {2, 2});
  EXPECT_ERROR(ErrorCode::invalid_argument, "2 rows for a batch of 1 (decoder_input_ids)", make_batch(foreign, rules));
  foreign.decoder_input_ids = Tensor::zeros(DType::i64, {1, 2});
  foreign.decoder_attention_mask = Tensor::zeros(DType::i64, {1, 3});
  EXPECT_ERROR(ErrorCode::invalid_argument, "expected int64 [1, 2], got I64 [1, 3] (decoder_attention_mask)",
               make_batch(foreign, rules));
  EXPECT_ERROR(ErrorCode::invalid_argument, "give input_ids, inputs_embeds or encoder_outputs",
               make_batch(ModelInputs{}, rules));
}

TEST(Workspace, GrowsAndIsReused) {
  Workspace ws;
  float* a = ws.floats(1000);
  a[999] = 1;
  float* big = ws.floats(10'000'000);
  big[9'999'999] = 2;
  EXPECT_EQ(a[999], 1);  // growth moves nothing that was handed out
  EXPECT_EQ(reinterpret_cast<uintptr_t>(big) % 64, 0u);
  ws.reset();
  const std::size_t held = ws.bytes();
  ws.floats(1000);
  ws.floats(10'000'000);
  EXPECT_EQ(ws.bytes(), held);
  EXPECT_THROW(ws.floats(-1), Error);
}

}  // namespace
}  // namespace transformers
