// DeBERTa's buckets of distances, against values that Hugging Face's function gives; the biases against a plain
// product.
#include "transformers/nn/disentangled_bias.hpp"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace transformers {
namespace {

TEST(RelativeBuckets, WidenWithTheLogarithm) {
  // make_log_bucket_position(relative, 16, 64) + 16, cut to [0, 31].
  const RelativeBuckets buckets{.span = 16, .position_buckets = 16, .max_position = 64};
  const std::vector<std::pair<int64_t, int64_t>> want = {
      {0, 16},  {1, 17},  {-1, 15}, {7, 23},  {8, 24},  {-8, 8},  {9, 25},  {-9, 7},   {10, 25},
      {11, 26}, {12, 26}, {13, 26}, {16, 27}, {20, 28}, {24, 28}, {32, 29}, {-32, 3},  {40, 30},
      {48, 31}, {62, 31}, {63, 31}, {-63, 1}, {64, 31}, {-64, 0}, {65, 31}, {200, 31}, {-200, 0}};
  for (const auto& [relative, bucket] : want) EXPECT_EQ(buckets.of(relative), bucket) << relative;
}

TEST(RelativeBuckets, AreDistancesWithoutPositionBuckets) {
  const RelativeBuckets buckets{.span = 5, .position_buckets = 0, .max_position = 5};
  EXPECT_EQ(buckets.of(0), 5);
  EXPECT_EQ(buckets.of(4), 9);
  EXPECT_EQ(buckets.of(7), 9);
  EXPECT_EQ(buckets.of(-5), 0);
  EXPECT_EQ(buckets.of(-100), 0);
}

TEST(RelativeGroups, TakeTheBucketsThatTheirDistancesReach) {
  BatchBuilder builder({});
  const std::vector<int64_t> long_row(900, 1), short_row(3, 1);
  builder.add({.input_ids = short_row});
  builder.add({.input_ids = long_row});
  builder.add({.input_ids = long_row});
  const auto groups = relative_groups(builder.finish(), {.span = 256, .position_buckets = 0, .max_position = 256});
  ASSERT_EQ(groups.size(), 2u);  // 903 rows and 900: more than one group takes
  EXPECT_EQ(groups[0].rows, 903);
  EXPECT_EQ(groups[1].first_row, 903);
  EXPECT_EQ(groups[1].cu_seqlens, (std::vector<int32_t>{0, 900}));
  BatchBuilder one({});
  one.add({.input_ids = short_row});
  const RelativeGroup small =
      relative_groups(one.finish(), {.span = 256, .position_buckets = 0, .max_position = 256})[0];
  EXPECT_EQ(small.max_distance, 2);
  ASSERT_EQ(small.bias_buckets.size(), 5u);
  EXPECT_EQ(small.first_bucket + small.bias_buckets[0], 258);  // key two before the query
  EXPECT_EQ(small.first_bucket + small.bias_buckets[4], 254);
  EXPECT_LE(small.num_buckets, 64);
}

TEST(DisentangledBias, IsTheProductWithTheBucketsReached) {
  constexpr int64_t kBuckets = 70, kHeads = 2, kDim = 5, kWidth = kHeads * kDim;
  std::vector<float> positions(kBuckets * kWidth), x(3 * kWidth);
  for (std::size_t i = 0; i < positions.size(); ++i) positions[i] = static_cast<float>((i * 37) % 19) - 9.0f;
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>((i * 11) % 7) - 3.0f;
  const DisentangledBias bias(positions.data(), kWidth, kBuckets, kHeads, kDim, 0.5f);
  BatchBuilder builder({});
  const std::vector<int64_t> ids(3, 1);
  builder.add({.input_ids = ids});
  const RelativeGroup group =
      relative_groups(builder.finish(), {.span = 35, .position_buckets = 0, .max_position = 35})[0];
  std::vector<float> out(static_cast<std::size_t>(3 * kHeads * group.num_buckets));
  bias.forward(group, x.data(), kWidth, out.data());
  for (int64_t t = 0; t < 3; ++t) {
    for (int64_t h = 0; h < kHeads; ++h) {
      for (int64_t b = 0; b < group.num_buckets; ++b) {
        float want = 0;
        for (int64_t d = 0; d < kDim; ++d) {
          want += x[static_cast<std::size_t>(t * kWidth + h * kDim + d)] * 0.5f *
                  positions[static_cast<std::size_t>((group.first_bucket + b) * kWidth + h * kDim + d)];
        }
        EXPECT_EQ(out[static_cast<std::size_t>((t * kHeads + h) * group.num_buckets + b)], want);  // exact in float32
      }
    }
  }
}

}  // namespace
}  // namespace transformers
