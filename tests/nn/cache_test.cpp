// The cache: shares blocks, copies on write, and gives attention the same keys whatever was done to it.
#include "transformers/nn/cache.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "support.hpp"

namespace transformers {
namespace {

constexpr int64_t kHeads = 2, kHeadDim = 4, kWidth = kHeads * kHeadDim;

// A token is one number; its key and value rows are made of it, so that what attention reads can be told.
std::vector<float> rows_of(const std::vector<int>& tokens, float sign) {
  std::vector<float> rows;
  for (const int token : tokens) {
    for (int64_t i = 0; i < kWidth; ++i) rows.push_back(sign * static_cast<float>(token * 100 + i));
  }
  return rows;
}

Batch batch_of(const std::vector<std::vector<int>>& sequences, const Cache& past) {
  Batch batch;
  for (std::size_t s = 0; s < sequences.size(); ++s) {
    for (std::size_t i = 0; i < sequences[s].size(); ++i) {
      batch.input_ids.push_back(sequences[s][i]);
      const bool known = static_cast<int64_t>(s) < past.batch_size();
      batch.columns.push_back(static_cast<int32_t>(i) +
                              (known ? static_cast<int32_t>(past.next_column(static_cast<int64_t>(s))) : 0));
    }
    batch.key_lens.push_back(static_cast<int32_t>(sequences[s].size()));
    batch.lengths.push_back(batch.key_lens.back());
    batch.position_lengths.push_back(batch.key_lens.back());
    batch.cu_seqlens.push_back(batch.cu_seqlens.back() + batch.key_lens.back());
  }
  batch.position_ids = batch.columns;
  return batch;
}

AttentionArgs args_of(const std::vector<float>& keys, const std::vector<float>& values, int64_t window = 0) {
  return {.key = keys.data(),
          .value = values.data(),
          .key_stride = kWidth,
          .value_stride = kWidth,
          .num_key_value_heads = kHeads,
          .head_dim = kHeadDim,
          .sliding_window = window};
}

void append(Cache& cache, const std::vector<std::vector<int>>& sequences, int64_t window = 0) {
  const Batch batch = batch_of(sequences, cache);
  const std::vector<int> tokens(batch.input_ids.begin(), batch.input_ids.end());
  const std::vector<float> keys = rows_of(tokens, 1.0f), values = rows_of(tokens, -1.0f);
  cache.begin(batch);
  for (const int64_t layer : {0, 1}) {
    cache.update(layer, batch, args_of(keys, values, layer == 1 ? window : 0));
  }
  cache.commit();
}

// The tokens of sequence s as attention sees them: a query that sees one key alone returns its value.
std::vector<int> tokens_of(const Cache& cache, int64_t s, int64_t layer = 0) {
  const KVView view = cache.view(layer);
  std::vector<int> tokens;
  const int64_t length = cache.get_seq_length(s);
  std::vector<int32_t> positions(static_cast<std::size_t>(length));
  for (int64_t i = 0; i < length; ++i) positions[static_cast<std::size_t>(i)] = static_cast<int32_t>(i);
  for (int64_t i = 0; i < length; ++i) {
    const std::vector<float> query(kWidth, 0.0f);
    std::vector<float> out(kWidth);
    const int32_t cu[] = {0, 1}, lens[] = {static_cast<int32_t>(length)}, at[] = {static_cast<int32_t>(i)};
    const int32_t keys[] = {0, lens[0]};
    const KVView own{view.blocks, view.first_block.subspan(static_cast<std::size_t>(s)), view.type};
    attention({.query = query.data(),
               .query_stride = kWidth,
               .num_attention_heads = kHeads,
               .num_key_value_heads = kHeads,
               .head_dim = kHeadDim,
               .cu_seqlens = cu,
               .key_lens = lens,
               .key_cu_seqlens = keys,
               .cache = &own,
               .causal = true,
               .sliding_window = 1,
               .query_positions = at,
               .key_positions = positions,
               .out = out.data(),
               .out_stride = kWidth});
    const int token = static_cast<int>(-out[0] / 100.0f);
    for (int64_t d = 0; d < kWidth; ++d) {
      EXPECT_EQ(out[static_cast<std::size_t>(d)], -static_cast<float>(token * 100 + d));
    }
    tokens.push_back(token);
  }
  return tokens;
}

std::vector<int> count(int from, int to) {
  std::vector<int> tokens;
  for (int i = from; i < to; ++i) tokens.push_back(i);
  return tokens;
}

TEST(Cache, TakesTokensInAnyPieces) {
  Cache cache;
  EXPECT_EQ(cache.batch_size(), 0);
  EXPECT_EQ(cache.get_seq_length(), 0);
  append(cache, {count(0, 30), count(100, 101)});
  append(cache, {{}, count(101, 200)});
  append(cache, {count(30, 71), {200}});
  EXPECT_EQ(cache.get_seq_length(0), 71);
  EXPECT_EQ(cache.get_seq_length(1), 101);
  for (const int64_t layer : {0, 1}) {
    EXPECT_EQ(tokens_of(cache, 0, layer), count(0, 71));
    EXPECT_EQ(tokens_of(cache, 1, layer), count(100, 201));
  }
}

TEST(Cache, ReorderedSequencesGoTheirOwnWays) {
  Cache cache;
  append(cache, {count(0, 40), count(50, 60)});
  const int64_t before = cache.bytes();
  cache.reorder_cache(std::vector<int64_t>{0, 0, 1});
  EXPECT_EQ(cache.bytes(), before);  // shared
  append(cache, {{1000}, {1001}, {1002}});
  std::vector<int> first = count(0, 40), second = first, third = count(50, 60);
  first.push_back(1000), second.push_back(1001), third.push_back(1002);
  EXPECT_EQ(tokens_of(cache, 0), first);
  EXPECT_EQ(tokens_of(cache, 1), second);
  EXPECT_EQ(tokens_of(cache, 2), third);
  EXPECT_ERROR(ErrorCode::invalid_argument, "reorder_cache: an index beyond the batch (beam_idx)",
               cache.reorder_cache(std::vector<int64_t>{3}));
}

TEST(Cache, CloneAndCrop) {
  Cache cache;
  append(cache, {count(0, 70)});
  Cache copy = cache.clone();
  const int64_t before = cache.bytes();
  cache.crop(33);
  append(cache, {count(500, 510)});
  std::vector<int> want = count(0, 33);
  for (const int token : count(500, 510)) want.push_back(token);
  EXPECT_EQ(tokens_of(cache, 0), want);
  EXPECT_EQ(tokens_of(copy, 0), count(0, 70));
  EXPECT_GT(cache.bytes(), before);
  copy.crop(-69);
  EXPECT_EQ(tokens_of(copy, 0), count(0, 1));
  copy.crop(0);
  EXPECT_EQ(copy.get_seq_length(), 0);
  append(copy, {count(7, 9)});
  EXPECT_EQ(tokens_of(copy, 0), count(7, 9));
}

TEST(Cache, AppendedSequencesShareTheirBlocks) {
  Cache cache;
  append(cache, {count(0, 40)});
  Cache more = cache.fresh();
  EXPECT_EQ(more.batch_size(), 0);
  append(more, {count(60, 70), count(80, 90)});
  const int64_t before = cache.bytes();
  cache.append(more);
  EXPECT_EQ(cache.bytes(), before);
  append(cache, {{40}, {70}, {90}});
  EXPECT_EQ(tokens_of(cache, 0), count(0, 41));
  EXPECT_EQ(tokens_of(cache, 1), count(60, 71));
  EXPECT_EQ(tokens_of(cache, 2), count(80, 91));
  EXPECT_EQ(tokens_of(more, 1), count(80, 90));
  Cache empty;
  empty.append(more);
  EXPECT_EQ(tokens_of(empty, 0), count(60, 70));
  cache.reorder_cache({});
  cache.append(more);
  EXPECT_EQ(tokens_of(cache, 1), count(80, 90));
}

TEST(Cache, APassThatFailsLeavesItAsItWas) {
  Cache cache;
  append(cache, {count(0, 31)});
  const Batch batch = batch_of({count(80, 90)}, cache);
  const std::vector<float> rows(10 * kWidth, 3.0f);
  cache.begin(batch);
  cache.update(0, batch, args_of(rows, rows));
  EXPECT_EQ(cache.get_seq_length(), 31);
  append(cache, {count(31, 34)});
  EXPECT_EQ(tokens_of(cache, 0), count(0, 34));
}

TEST(Cache, APassThatFindsNoRoomLeavesSharedBlocksAsTheyWere) {
  // Two sequences share a block in each of two layers: there is room for one copy of it.
  Cache cache({.max_bytes = 3 * kv_block_bytes(KVType::f32, kHeads, kHeadDim)});
  append(cache, {count(0, 20)});
  cache.reorder_cache(std::vector<int64_t>{0, 0});
  const Cache other = cache.clone();
  for (int i = 0; i < 2; ++i) {
    EXPECT_THROW(append(cache, {count(20, 22), count(30, 32)}), Error);
    EXPECT_EQ(tokens_of(cache, 0), count(0, 20));
    EXPECT_EQ(tokens_of(cache, 1), count(0, 20));
    EXPECT_EQ(tokens_of(other, 0), count(0, 20));
  }
}

TEST(Cache, RefusesWhatDoesNotFit) {
  Cache cache({.max_bytes = 3 * kv_block_bytes(KVType::f32, kHeads, kHeadDim)});
  append(cache, {count(0, 20)});  // two layers, a block each
  EXPECT_ERROR(ErrorCode::limit,
               "past_key_values would take more than the " +
                   std::to_string(3 * kv_block_bytes(KVType::f32, kHeads, kHeadDim)) + " bytes allowed (sequence 0)",
               append(cache, {count(20, 40)}));
  EXPECT_EQ(tokens_of(cache, 0), count(0, 20));
  EXPECT_ERROR(ErrorCode::invalid_argument, "past_key_values holds 1 sequences, the batch has 2",
               append(cache, {{1}, {2}}));
}

TEST(Cache, SlidingWindowsLetGoOfWholeBlocks) {
  Cache whole, sliding;
  for (int i = 0; i < 40; ++i) {
    append(whole, {count(10 * i, 10 * i + 10)});
    append(sliding, {count(10 * i, 10 * i + 10)}, 20);
  }
  EXPECT_LT(sliding.bytes(), whole.bytes() * 3 / 4);
  EXPECT_EQ(tokens_of(sliding, 0, 0), count(0, 400));
  EXPECT_EQ(sliding.view(1).blocks.front(), nullptr);
  EXPECT_NE(sliding.view(1).blocks.back(), nullptr);
  sliding.crop(380);  // a draft taken back
  EXPECT_ERROR(ErrorCode::invalid_argument,
               "crop to 100 of 380 tokens: a sliding window has let go of tokens that would be seen again (sequence 0)",
               sliding.crop(100));
  sliding.crop(0);
  append(sliding, {count(3, 5)}, 20);
  EXPECT_EQ(tokens_of(sliding, 0, 1), count(3, 5));
}

}  // namespace
}  // namespace transformers
