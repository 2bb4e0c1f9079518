// Tests of attention() in kernels/kernels.hpp.
#include <algorithm>
#include <cmath>

#include "kernels/every_isa.hpp"
#include "transformers/base/error.hpp"

namespace transformers {
namespace {

// A packed batch with query | key | value in every row, as a fused projection leaves them.
struct Batch {
  int64_t heads, kv_heads, head_dim;
  std::vector<int32_t> cu_seqlens{0}, key_lens;
  std::vector<float> qkv;

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

  void check(float scale, int64_t every_row = 1) const {
    const std::vector<float> out = run(scale);
    for (int64_t s = 0; s + 1 < static_cast<int64_t>(cu_seqlens.size()); ++s) {
      const int64_t first = cu_seqlens[static_cast<std::size_t>(s)];
      const int64_t length = cu_seqlens[static_cast<std::size_t>(s) + 1] - first;
      for (int64_t row = 0; row < length; row += every_row) {
        for (int64_t h = 0; h < heads; ++h) {
          const std::vector<double> want = exact(s, row, h, scale);
          for (int64_t d = 0; d < head_dim; ++d) {
            ASSERT_NEAR(out[static_cast<std::size_t>(((first + row) * heads + h) * head_dim + d)],
                        want[static_cast<std::size_t>(d)], 1e-5)
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
    for (const int32_t length : lengths) all.add(length, length - length / 9, static_cast<uint32_t>(length));
    set_num_threads(1);
    const std::vector<float> whole = all.run(0.2f);
    for (const int threads : {1, 2, 4}) {
      set_num_threads(threads);
      ASSERT_EQ(all.run(0.2f), whole) << threads << " threads";
      for (std::size_t s = 0; s < lengths.size(); ++s) {
        Batch alone(4, 2, head_dim);
        alone.add(lengths[s], lengths[s] - lengths[s] / 9, static_cast<uint32_t>(lengths[s]));
        const std::vector<float> out = alone.run(0.2f);
        ASSERT_TRUE(
            same_bits(out.data(), whole.data() + all.cu_seqlens[s] * 4 * head_dim, static_cast<int64_t>(out.size())))
            << "sequence of " << lengths[s];
      }
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
}

}  // namespace
}  // namespace transformers
