// Tests of attention() in kernels/kernels.hpp.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/every_isa.hpp"
#include "transformers/base/error.hpp"

namespace transformers {
namespace {

float round_bf16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u;
  std::memcpy(&x, &bits, 4);
  return x;
}

// What the softmax's rounding to bf16 may change where values are within +-3.
constexpr double kBf16Tolerance = 3.0 / 256;

// A packed batch with query | key | value in every row, as a fused projection leaves them.
struct Batch {
  int64_t heads, kv_heads, head_dim;
  std::vector<int32_t> cu_seqlens{0}, key_lens;
  std::vector<float> qkv;
  bool bf16 = false;

  Batch(int64_t heads_, int64_t kv_heads_, int64_t head_dim_)
      : heads(heads_), kv_heads(kv_heads_), head_dim(head_dim_) {}

  int64_t stride() const { return (heads + 2 * kv_heads) * head_dim; }
  int64_t tokens() const { return cu_seqlens.back(); }

  void add(int32_t length, int32_t keys, uint32_t seed) {
    cu_seqlens.push_back(cu_seqlens.back() + length);
    key_lens.push_back(keys);
    const std::vector<float> rows = random_floats(length * stride(), seed);
    for (const float x : rows) qkv.push_back(3.0f * x);
  }

  std::vector<float> run(float scale) const {
    std::vector<float> out(static_cast<std::size_t>(tokens() * heads * head_dim), -77.0f);
    attention({.query = qkv.data(),
               .key = qkv.data() + heads * head_dim,
               .value = qkv.data() + (heads + kv_heads) * head_dim,
               .query_stride = stride(),
               .key_stride = stride(),
               .value_stride = stride(),
               .num_attention_heads = heads,
               .num_key_value_heads = kv_heads,
               .head_dim = head_dim,
               .scale = scale,
               .bf16 = bf16,
               .cu_seqlens = cu_seqlens,
               .key_lens = key_lens,
               .out = out.data(),
               .out_stride = heads * head_dim});
    return out;
  }

  // Row `row` of sequence `s`, head `h`, by the definition.
  std::vector<double> exact(int64_t s, int64_t row, int64_t h, double scale) const {
    const auto at = [&](int64_t token, int64_t column) {
      return double{qkv[static_cast<std::size_t>(token * stride() + column)]};
    };
    const int64_t first = cu_seqlens[static_cast<std::size_t>(s)], keys = key_lens[static_cast<std::size_t>(s)];
    const int64_t kv = heads * head_dim + h / (heads / kv_heads) * head_dim;
    std::vector<double> p, out(static_cast<std::size_t>(head_dim));
    double largest = -INFINITY, total = 0.0;
    for (int64_t j = 0; j < keys; ++j) {
      double dot = 0.0;
      for (int64_t d = 0; d < head_dim; ++d) dot += at(first + row, h * head_dim + d) * at(first + j, kv + d);
      p.push_back(dot * scale);
      largest = std::max(largest, p.back());
    }
    for (double& x : p) total += x = std::exp(x - largest);
    for (int64_t j = 0; j < keys; ++j) {
      for (int64_t d = 0; d < head_dim; ++d) {
        out[static_cast<std::size_t>(d)] +=
            p[static_cast<std::size_t>(j)] / total * at(first + j, kv + kv_heads * head_dim + d);
      }
    }
    return out;
  }

  // In float32, and in bf16 where the ISA multiplies it: over numbers that have been rounded already.
  void check(float scale, int64_t every_row = 1) {
    check(scale, every_row, 1e-5);
    for (float& x : qkv) x = round_bf16(x);
    const std::vector<float> floats = run(scale);
    bf16 = true;
    check(scale, every_row, kBf16Tolerance);
    if (!multiplies_bf16()) {
      ASSERT_EQ(run(scale), floats);
    }
    bf16 = false;
  }

  void check(float scale, int64_t every_row, double tolerance) const {
    const std::vector<float> out = run(scale);
    for (int64_t s = 0; s + 1 < static_cast<int64_t>(cu_seqlens.size()); ++s) {
      const int64_t first = cu_seqlens[static_cast<std::size_t>(s)];
      const int64_t length = cu_seqlens[static_cast<std::size_t>(s) + 1] - first;
      for (int64_t row = 0; row < length; row += every_row) {
        for (int64_t h = 0; h < heads; ++h) {
          const std::vector<double> want = exact(s, row, h, scale);
          for (int64_t d = 0; d < head_dim; ++d) {
            ASSERT_NEAR(out[static_cast<std::size_t>(((first + row) * heads + h) * head_dim + d)],
                        want[static_cast<std::size_t>(d)], tolerance)
                << "sequence " << s << " row " << row << " head " << h << " at " << d << ", head_dim " << head_dim
                << ", length " << length;
          }
        }
      }
    }
  }
};

class AttentionTest : public EveryIsa {};

TEST_P(AttentionTest, EqualsTheDefinitionAtEveryLengthAndHeadDim) {
  for (const int64_t head_dim : {1, 2, 3, 7, 8, 9, 15, 16, 17, 32, 33, 64, 65, 80, 128}) {
    Batch batch(2, 2, head_dim);
    for (int32_t length = 0; length <= 35; length += head_dim < 33 ? 1 : 5) {
      batch.add(length, length, static_cast<uint32_t>(length));
    }
    batch.check(1.0f / std::sqrt(static_cast<float>(head_dim)));
  }
  Batch large(1, 1, 512);
  large.add(19, 19, 5);
  large.check(0.05f);
}

TEST_P(AttentionTest, EqualsTheDefinitionOverManyTilesOfKeys) {
  Batch batch(2, 1, 24);
  batch.add(1100, 1100, 1);
  batch.add(257, 256, 2);
  batch.add(300, 300, 3);
  batch.check(0.3f, 37);
}

TEST_P(AttentionTest, SharesKeyValueHeadsAmongQueryHeads) {
  for (const int64_t kv_heads : {1, 2, 6}) {
    Batch batch(6, kv_heads, 20);
    batch.add(13, 13, 1);
    batch.add(40, 40, 2);
    batch.check(0.25f);
  }
}

TEST_P(AttentionTest, RowsBeyondTheKeysAreQueriesAlone) {
  Batch batch(2, 2, 16);
  batch.add(9, 4, 1);
  batch.add(30, 29, 2);
  batch.check(0.25f);
}

TEST_P(AttentionTest, MayReplaceTheQueriesByTheResult) {
  Batch batch(4, 2, 24);
  batch.add(700, 650, 1);
  batch.add(1, 1, 2);
  batch.add(90, 90, 3);
  const std::vector<float> want = batch.run(0.2f);
  const int64_t width = batch.heads * batch.head_dim;
  attention({.query = batch.qkv.data(),
             .key = batch.qkv.data() + width,
             .value = batch.qkv.data() + width + batch.kv_heads * batch.head_dim,
             .query_stride = batch.stride(),
             .key_stride = batch.stride(),
             .value_stride = batch.stride(),
             .num_attention_heads = batch.heads,
             .num_key_value_heads = batch.kv_heads,
             .head_dim = batch.head_dim,
             .scale = 0.2f,
             .cu_seqlens = batch.cu_seqlens,
             .key_lens = batch.key_lens,
             .out = batch.qkv.data(),
             .out_stride = batch.stride()});
  for (int64_t t = 0; t < batch.tokens(); ++t) {
    const float* got = batch.qkv.data() + t * batch.stride();
    ASSERT_TRUE(std::equal(got, got + width, want.data() + t * width)) << "row " << t;
  }
}

TEST_P(AttentionTest, GivesZerosWithoutKeys) {
  Batch batch(3, 3, 10);
  batch.add(5, 5, 1);
  batch.add(7, 0, 2);
  batch.add(0, 0, 3);
  batch.add(4, 4, 4);
  const std::vector<float> out = batch.run(1.0f);
  for (std::size_t i = 5 * 30; i < 12 * 30; ++i) ASSERT_EQ(out[i], 0.0f);
  Batch none(3, 3, 10);
  EXPECT_TRUE(none.run(1.0f).empty());
}

// Scores far apart and equal scores: the running maximum must neither overflow nor lose anything.
TEST_P(AttentionTest, SurvivesExtremeScores) {
  Batch batch(1, 1, 8);
  batch.add(600, 600, 1);
  for (float& x : batch.qkv) x *= 30.0f;
  const std::vector<float> out = batch.run(1.0f);
  for (const float x : out) ASSERT_TRUE(std::isfinite(x));
  std::fill(batch.qkv.begin(), batch.qkv.end(), 2.0f);
  for (const float x : batch.run(1.0f)) ASSERT_NEAR(x, 2.0f, 1e-6f);
}

// The promise: the bits of a sequence do not depend on what else is in the batch, its place there, or the threads.
TEST_P(AttentionTest, SequencesDoNotDependOnTheirMates) {
  const std::vector<int32_t> lengths = {3, 700, 17, 128, 1, 300, 64};
  for (const int64_t head_dim : {32, 50}) {
    Batch all(4, 2, head_dim);
    all.bf16 = head_dim == 50;
    for (const int32_t length : lengths) all.add(length, length - length / 9, static_cast<uint32_t>(length));
    set_num_threads(1);
    const std::vector<float> whole = all.run(0.2f);
    for (const int threads : {1, 2, 4}) {
      set_num_threads(threads);
      ASSERT_EQ(all.run(0.2f), whole) << threads << " threads";
      for (std::size_t s = 0; s < lengths.size(); ++s) {
        Batch alone(4, 2, head_dim);
        alone.bf16 = all.bf16;
        alone.add(lengths[s], lengths[s] - lengths[s] / 9, static_cast<uint32_t>(lengths[s]));
        const std::vector<float> out = alone.run(0.2f);
        ASSERT_TRUE(
            same_bits(out.data(), whole.data() + all.cu_seqlens[s] * 4 * head_dim, static_cast<int64_t>(out.size())))
            << "sequence of " << lengths[s];
      }
    }
  }
}

// ---- attention by sight ---------------------------------------------------------------------------------------------

// Everything attention() can do, by the definition, in double: one query, all keys of its sequence.
std::vector<double> exact_attention(const AttentionArgs& a, int64_t s, int64_t row, int64_t head) {
  const std::size_t i = static_cast<std::size_t>(s);
  const int64_t kv_head = head / (a.num_attention_heads / a.num_key_value_heads);
  const std::span<const int32_t> key_rows = a.key_cu_seqlens.empty() ? a.cu_seqlens : a.key_cu_seqlens;
  const auto clamp = [&](int64_t x) { return std::clamp(x, -a.max_distance, a.max_distance) + a.max_distance; };
  const int64_t query_row = a.cu_seqlens[i] + row;
  const float* q = a.query + query_row * a.query_stride + head * a.head_dim;
  const int64_t at = a.query_positions.empty() ? row : a.query_positions[static_cast<std::size_t>(query_row)];
  std::vector<double> scores, out(static_cast<std::size_t>(a.head_dim), 0.0);
  std::vector<int64_t> seen;
  for (int64_t j = 0; j < a.key_lens[i]; ++j) {
    const int64_t key_row = key_rows[i] + j;
    const int64_t stands = a.key_positions.empty() ? j : a.key_positions[static_cast<std::size_t>(key_row)];
    if (a.causal && stands > at) continue;
    if (a.sliding_window > 0 && at - stands >= a.sliding_window) continue;
    if (a.local_window > 0 && std::abs(at - stands) > a.local_window / 2) continue;
    if (!a.first_keys.empty() && j < a.first_keys[i]) continue;
    double score = 0.0;
    for (int64_t d = 0; d < a.head_dim; ++d) {
      score += double{q[d]} * a.key[key_row * a.key_stride + kv_head * a.head_dim + d];
    }
    score *= a.scale;
    if (a.softcap > 0) score = a.softcap * std::tanh(score / a.softcap);
    const int64_t distance = clamp(stands - at);
    if (a.relative_bias) score += a.relative_bias[head * (2 * a.max_distance + 1) + distance];
    const auto by_bucket = [&](const float* bias, int64_t r) {
      const int64_t bucket = a.bias_buckets[static_cast<std::size_t>(distance)];
      return double{bias[(r * a.num_attention_heads + head) * a.num_buckets + bucket]};
    };
    if (a.query_bias) score += by_bucket(a.query_bias, query_row);
    if (a.key_bias) score += by_bucket(a.key_bias, key_row);
    scores.push_back(score);
    seen.push_back(key_row);
  }
  if (scores.empty()) return out;
  const double top = *std::max_element(scores.begin(), scores.end());
  double total = 0.0;
  for (double& x : scores) total += x = std::exp(x - top);
  for (std::size_t j = 0; j < seen.size(); ++j) {
    for (int64_t d = 0; d < a.head_dim; ++d) {
      out[static_cast<std::size_t>(d)] +=
          scores[j] / total * a.value[seen[j] * a.value_stride + kv_head * a.head_dim + d];
    }
  }
  return out;
}

// The numbers and positions of a batch, and its keys as the blocks of a cache.
struct Sighted {
  AttentionArgs args;
  std::vector<float> query, key, value, out;
  std::vector<int32_t> cu_seqlens{0}, key_lens, key_cu_seqlens{0}, query_positions, key_positions;
  std::vector<std::vector<float>> blocks;
  std::vector<const void*> block_list;
  std::vector<int32_t> first_block{0};
  KVView view;

  // Sequences of `queries` rows that come after keys - queries others.
  Sighted(int64_t heads, int64_t kv_heads, int64_t head_dim,
          const std::vector<std::pair<int32_t, int32_t>>& sequences) {
    for (const auto& [queries, keys] : sequences) {
      for (int32_t i = 0; i < keys; ++i) key_positions.push_back(i);
      for (int32_t i = keys - queries; i < keys; ++i) query_positions.push_back(i);
      cu_seqlens.push_back(cu_seqlens.back() + queries);
      key_lens.push_back(keys);
      key_cu_seqlens.push_back(key_cu_seqlens.back() + keys);
    }
    query = random_floats(cu_seqlens.back() * heads * head_dim, 1);
    key = random_floats(key_cu_seqlens.back() * kv_heads * head_dim, 2);
    value = random_floats(key_cu_seqlens.back() * kv_heads * head_dim, 3);
    for (float& x : query) x *= 3.0f;
    args.query_stride = args.out_stride = heads * head_dim;
    args.key_stride = args.value_stride = kv_heads * head_dim;
    args.num_attention_heads = heads, args.num_key_value_heads = kv_heads, args.head_dim = head_dim;
    args.scale = 1.0f / std::sqrt(static_cast<float>(head_dim));
    args.causal = true;
    point();
  }

  void point() {
    args.query = query.data(), args.key = key.data(), args.value = value.data();
    args.cu_seqlens = cu_seqlens, args.key_lens = key_lens, args.key_cu_seqlens = key_cu_seqlens;
    args.query_positions = query_positions, args.key_positions = key_positions;
  }

  std::vector<float> run() {
    out.assign(query.size(), -77.0f);
    args.out = out.data();
    attention(args);
    return out;
  }

  // The same out of blocks of a cache, filled a few tokens at a time.
  std::vector<float> run_cached(KVType type = KVType::f32) {
    blocks.clear(), block_list.clear(), first_block.assign(1, 0);
    const int64_t stride = args.key_stride;
    for (std::size_t s = 0; s < key_lens.size(); ++s) {
      for (int64_t t = 0; t < key_lens[s];) {
        if (t % kKVBlockTokens == 0) {
          const int64_t bytes = kv_block_bytes(type, args.num_key_value_heads, args.head_dim);
          blocks.emplace_back(static_cast<std::size_t>(bytes / 4), 0.0f);
        }
        const int64_t count = std::min({int64_t{3}, kKVBlockTokens - t % kKVBlockTokens, key_lens[s] - t});
        const int64_t row = key_cu_seqlens[s] + t;
        store_kv(type, key.data() + row * stride, stride, value.data() + row * stride, stride, count,
                 args.num_key_value_heads, args.head_dim, t % kKVBlockTokens, blocks.back().data());
        t += count;
      }
      first_block.push_back(static_cast<int32_t>(blocks.size()));
    }
    for (const auto& block : blocks) block_list.push_back(block.data());
    view = {block_list, first_block, type};
    args.cache = &view;
    std::vector<float> result = run();
    args.cache = nullptr;
    return result;
  }

  // In float32, and in bf16 where the ISA multiplies it.
  void check() {
    check(KVType::f32, 2e-5);
    if (!multiplies_bf16()) return;
    const std::vector<float> numbers[] = {query, key, value};
    args.bf16 = true;
    const std::vector<float> rounded_inside = run();
    for (std::vector<float>* list : {&query, &key, &value}) {
      for (float& x : *list) x = round_bf16(x);
    }
    check(KVType::bf16, kBf16Tolerance);
    ASSERT_EQ(out, rounded_inside);
    query = numbers[0], key = numbers[1], value = numbers[2];
    args.bf16 = false;
    point();
  }

  void check(KVType type, double tolerance) {
    const std::vector<float> got = run();
    ASSERT_TRUE(same_bits(run_cached(type).data(), got.data(), static_cast<int64_t>(got.size())));
    const int64_t heads = args.num_attention_heads, head_dim = args.head_dim;
    for (std::size_t s = 0; s < key_lens.size(); ++s) {
      for (int64_t row = 0; row < cu_seqlens[s + 1] - cu_seqlens[s]; ++row) {
        for (int64_t h = 0; h < heads; ++h) {
          const std::vector<double> want = exact_attention(args, static_cast<int64_t>(s), row, h);
          for (int64_t d = 0; d < head_dim; ++d) {
            ASSERT_NEAR(got[static_cast<std::size_t>(((cu_seqlens[s] + row) * heads + h) * head_dim + d)],
                        want[static_cast<std::size_t>(d)], tolerance)
                << "sequence " << s << " row " << row << " head " << h << " at " << d << ", head_dim " << head_dim;
          }
        }
      }
    }
  }
};

TEST_P(AttentionTest, CausalEqualsTheDefinition) {
  for (const int64_t head_dim : {1, 3, 8, 16, 20, 33, 64}) {
    Sighted batch(2, 2, head_dim, {{1, 1}, {2, 2}, {7, 7}, {0, 0}, {33, 33}, {1, 40}, {5, 70}});
    batch.check();
  }
  Sighted grouped(6, 2, 24, {{70, 70}, {1, 300}, {9, 300}});
  grouped.check();
  Sighted many(1, 1, 16, {{600, 600}, {40, 520}});
  many.check();
}

// Of every token and head, what bf16 and q8 make of it: the attention over that is the one over such a cache, to the
// bit.
TEST_P(AttentionTest, CachesOfOtherTypesHoldRoundedNumbers) {
  for (const int64_t head_dim : {1, 5, 16, 33, 64}) {
    Sighted batch(4, 2, head_dim, {{5, 5}, {1, 70}, {3, 290}});
    const std::vector<float> key = batch.key, value = batch.value;
    const std::vector<float> bf16 = batch.run_cached(KVType::bf16), q8 = batch.run_cached(KVType::q8);
    for (std::vector<float>* numbers : {&batch.key, &batch.value}) {
      for (float& x : *numbers) x = round_bf16(x);
    }
    batch.args.bf16 = true;
    const std::vector<float> of_bf16 = batch.run();
    batch.args.bf16 = false;
    EXPECT_TRUE(same_bits(bf16.data(), of_bf16.data(), static_cast<int64_t>(bf16.size()))) << head_dim;
    batch.key = key, batch.value = value;
    for (std::vector<float>* numbers : {&batch.key, &batch.value}) {
      for (auto row = numbers->begin(); row != numbers->end(); row += head_dim) {
        float most = 0.0f;
        for (int64_t d = 0; d < head_dim; ++d) most = std::max(most, std::abs(row[d]));
        const float scale = most / 127.0f, inverse = 1.0f / scale;
        for (int64_t d = 0; d < head_dim; ++d) row[d] = std::nearbyint(row[d] * inverse) * scale;
      }
    }
    batch.point();
    const std::vector<float> of_q8 = batch.run();
    EXPECT_TRUE(same_bits(q8.data(), of_q8.data(), static_cast<int64_t>(q8.size()))) << head_dim;
  }
}

TEST_P(AttentionTest, DefaultsToTheSequencesOwnRowsAndTheirOrder) {
  Sighted batch(2, 1, 12, {{5, 5}, {40, 40}});
  const std::vector<float> whole = batch.run();
  batch.args.key_cu_seqlens = {}, batch.args.query_positions = {}, batch.args.key_positions = {};
  EXPECT_EQ(batch.run(), whole);
}

TEST_P(AttentionTest, SlidingAndLocalWindowsGoByPosition) {
  for (const int64_t window : {1, 2, 5, 31, 32, 300}) {
    Sighted batch(2, 1, 20, {{50, 50}, {3, 400}, {1, 90}});
    for (std::size_t i = 20; i < batch.key_positions.size(); ++i) {  // a hole
      if (i < 50) batch.key_positions[i] += 7, batch.query_positions[i] += 7;
    }
    batch.args.sliding_window = window;
    batch.check();
    batch.args.causal = false;
    batch.args.sliding_window = 0;
    batch.args.local_window = window;
    batch.check();
  }
}

TEST_P(AttentionTest, QueriesAloneSeeWhatStandsBeforeThem) {
  Sighted batch(2, 2, 16, {{6, 6}});
  batch.key_lens = {4};
  batch.query_positions = {1, 2, 5, 6, 0, 3};
  batch.key_positions = {1, 2, 5, 6, 90, 91};
  batch.check();
  for (int i = 0; i < 32; ++i) EXPECT_EQ(batch.run()[static_cast<std::size_t>(4 * 32 + i)], 0.0f);
}

TEST_P(AttentionTest, CrossAttentionAndFirstKeys) {
  Sighted batch(4, 2, 12, {{3, 40}, {17, 2}, {2, 0}, {1, 290}});
  batch.args.causal = false;
  batch.args.query_positions = {};
  batch.check();
  const std::vector<int32_t> first = {7, 0, 0, 280};
  batch.args.first_keys = first;
  batch.check();
}

TEST_P(AttentionTest, SoftcapAndBiases) {
  Sighted batch(4, 4, 20, {{45, 45}, {4, 290}, {1, 33}});
  batch.args.softcap = 2.0f;
  batch.check();
  const int64_t most = 9, distances = 2 * most + 1;
  const std::vector<float> relative = random_floats(4 * distances, 9);
  batch.args.max_distance = most;
  batch.args.relative_bias = relative.data();
  batch.check();
  batch.args.softcap = 0.0f;
  batch.args.causal = false;
  batch.check();
  std::vector<int32_t> buckets;
  for (int64_t i = 0; i < distances; ++i) buckets.push_back(static_cast<int32_t>(i * i % 5));
  const std::vector<float> of_query = random_floats(batch.cu_seqlens.back() * 4 * 5, 10);
  const std::vector<float> of_key = random_floats(batch.key_cu_seqlens.back() * 4 * 5, 11);
  batch.args.bias_buckets = buckets;
  batch.args.num_buckets = 5;
  batch.args.query_bias = of_query.data();
  batch.check();
  batch.args.key_bias = of_key.data();
  batch.check();
  batch.args.relative_bias = nullptr;
  batch.check();
}

// The promise: a query's bits depend neither on how many come with it nor on threads.
TEST_P(AttentionTest, EveryCutGivesTheSameBits) {
  for (const int64_t window : {0, 37}) {
    Sighted whole(6, 2, 20, {{600, 600}});
    whole.args.sliding_window = window;
    set_num_threads(1);
    const std::vector<float> all = whole.run();
    for (const int threads : {1, 3}) {
      set_num_threads(threads);
      for (const auto& [begin, end] : {std::pair<int32_t, int32_t>{0, 1}, {5, 6}, {200, 207}, {256, 300}, {599, 600}}) {
        Sighted part(6, 2, 20, {{end - begin, end}});
        const std::size_t floats = 6 * 20;
        part.query.assign(whole.query.begin() + static_cast<std::ptrdiff_t>(begin * floats),
                          whole.query.begin() + static_cast<std::ptrdiff_t>(end * floats));
        std::copy_n(whole.key.begin(), part.key.size(), part.key.begin());
        std::copy_n(whole.value.begin(), part.value.size(), part.value.begin());
        part.args.sliding_window = window;
        part.point();
        const std::vector<float> got = part.run_cached();
        ASSERT_TRUE(same_bits(got.data(), all.data() + begin * 120, static_cast<int64_t>(got.size())))
            << begin << " to " << end << ", " << threads << " threads";
      }
    }
  }
}

// Beams read the very same blocks of their source: computed together, with the same bits as apart.
TEST_P(AttentionTest, SequencesMayShareTheirBlocks) {
  for (const bool causal : {false, true}) {
    Sighted batch(4, 2, 20, {{1, 40}, {1, 40}, {3, 40}, {1, 40}, {1, 300}, {0, 300}, {1, 300}, {1, 41}});
    batch.args.causal = causal;
    const int64_t floats = batch.args.key_stride;
    for (std::size_t s = 1; s < batch.key_lens.size(); ++s) {  // the same keys where there are as many
      if (batch.key_lens[s] != batch.key_lens[s - 1]) continue;
      for (std::vector<float>* rows : {&batch.key, &batch.value}) {
        std::copy_n(rows->begin() + batch.key_cu_seqlens[s - 1] * floats, batch.key_lens[s] * floats,
                    rows->begin() + batch.key_cu_seqlens[s] * floats);
      }
    }
    batch.point();
    const std::vector<float> apart = batch.run_cached();
    for (std::size_t s = 1; s < batch.key_lens.size(); ++s) {
      if (batch.key_lens[s] != batch.key_lens[s - 1]) continue;
      std::copy(batch.block_list.begin() + batch.first_block[s - 1], batch.block_list.begin() + batch.first_block[s],
                batch.block_list.begin() + batch.first_block[s]);
    }
    batch.args.cache = &batch.view;
    for (const int threads : {1, 3}) {
      set_num_threads(threads);
      const std::vector<float> together = batch.run();
      ASSERT_TRUE(same_bits(together.data(), apart.data(), static_cast<int64_t>(apart.size())));
    }
  }
}

TCPP_EVERY_ISA(AttentionTest);

TEST(AttentionArgumentsTest, NamesWhatIsWrong) {
  const auto message = [](Batch batch) -> std::string {
    try {
      batch.run(1.0f);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  Batch batch(4, 3, 8);
  EXPECT_EQ(message(batch), "attention: num_key_value_heads must divide num_attention_heads");
  batch = Batch(4, 4, 8);
  batch.add(2, 3, 1);
  EXPECT_EQ(message(batch), "attention: a sequence with more keys than rows");
  batch.key_lens.push_back(1);
  EXPECT_EQ(message(batch), "attention: cu_seqlens must have one entry more than key_lens");
  Sighted sighted(2, 2, 8, {{3, 3}});
  const auto sighted_message = [&]() -> std::string {
    try {
      sighted.run();
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  sighted.key_positions[2] = 1;
  EXPECT_EQ(sighted_message(), "attention: key_positions must rise");
  sighted.args.key_positions = std::span(sighted.key_positions).first(2);
  EXPECT_EQ(sighted_message(), "attention: key_positions must have an entry for each key");
  sighted.args.key_positions = {};
  const std::vector<float> bias(100);
  sighted.args.query_bias = bias.data();
  EXPECT_EQ(sighted_message(), "attention: bias_buckets must have 2 * max_distance + 1 entries");
  const std::vector<int32_t> buckets = {2};
  sighted.args.bias_buckets = buckets;
  sighted.args.num_buckets = 2;
  EXPECT_EQ(sighted_message(), "attention: a bucket beyond num_buckets");
}

}  // namespace
}  // namespace transformers
