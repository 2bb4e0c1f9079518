// The buckets of distances, against values that Hugging Face's function gives.
#include "transformers/nn/relative_bias.hpp"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace transformers {
namespace {

TEST(RelativePositionBucket, BothSides) {
  // MPNetEncoder.relative_position_bucket, 32 buckets up to 128: key behind the query.
  const std::vector<std::pair<int64_t, int64_t>> behind = {{0, 0},   {1, 17},  {7, 23},  {8, 24},   {11, 24},
                                                           {12, 25}, {16, 26}, {23, 27}, {31, 27},  {32, 28},
                                                           {64, 30}, {90, 30}, {91, 31}, {128, 31}, {100000, 31}};
  for (const auto& [distance, bucket] : behind) {
    EXPECT_EQ(relative_position_bucket(distance, 32, 128, true), bucket) << distance;
    EXPECT_EQ(relative_position_bucket(-distance, 32, 128, true), bucket % 16) << -distance;
  }
}

TEST(RelativePositionBucket, OneSide) {
  // T5Attention._relative_position_bucket, 32 buckets up to 128, as in a decoder.
  EXPECT_EQ(relative_position_bucket(5, 32, 128, false), 0);
  const std::vector<std::pair<int64_t, int64_t>> before = {{0, 0},   {15, 15}, {16, 16},  {18, 16},  {19, 17},
                                                           {32, 21}, {64, 26}, {112, 30}, {128, 31}, {100000, 31}};
  for (const auto& [distance, bucket] : before) {
    EXPECT_EQ(relative_position_bucket(-distance, 32, 128, false), bucket) << -distance;
  }
}

}  // namespace
}  // namespace transformers
