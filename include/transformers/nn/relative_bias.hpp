// What it is: RelativeAttentionBias, a learned number for each head and bucket of distances, added to attention scores.
// Where it stands: nn; one table for all layers of MPNet and T5.
// Usage: `RelativeAttentionBias bias(32, 32, 128, heads, true);  layer.forward(..., bias.args(batch));`
// Source: arXiv 1910.10683 (T5); transformers T5Attention._relative_position_bucket and
//   MPNetEncoder.relative_position_bucket (5.23), the same rule.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "transformers/kernels/kernels.hpp"
#include "transformers/nn/weights.hpp"
#include "transformers/tensor/batch.hpp"

namespace transformers {

// The bucket of a distance (key position - query position): half of the small distances have a bucket each, the others
// share buckets that widen with the logarithm up to max_distance. When bidirectional, keys behind the query have the
// upper half of the buckets; otherwise they all count as distance 0. Computed in float32, as in Hugging Face: at powers
// of two the last bit decides.
inline int64_t relative_position_bucket(int64_t distance, int64_t num_buckets, int64_t max_distance,
                                        bool bidirectional) {
  int64_t first = 0;
  if (bidirectional) {
    num_buckets /= 2;
    if (distance > 0) first = num_buckets;
  } else {
    distance = std::min<int64_t>(distance, 0);
  }
  const int64_t n = std::abs(distance), max_exact = num_buckets / 2;
  if (n < max_exact) return first + n;
  const float widest = static_cast<float>(std::log(static_cast<double>(max_distance) / static_cast<double>(max_exact)));
  const float part = std::log(static_cast<float>(n) / static_cast<float>(max_exact)) / widest;
  const int64_t wide = max_exact + static_cast<int64_t>(part * static_cast<float>(num_buckets - max_exact));
  return first + std::min(wide, num_buckets - 1);
}

class RelativeAttentionBias {
 public:
  RelativeAttentionBias() = default;
  // A table of `rows` rows, at least num_buckets; max_distance > num_buckets / 4 (/ 2 when not bidirectional).
  RelativeAttentionBias(int64_t rows, int64_t num_buckets, int64_t max_distance, int64_t num_attention_heads,
                        bool bidirectional)
      : rows_(rows),
        num_buckets_(num_buckets),
        max_distance_(max_distance),
        heads_(num_attention_heads),
        bidirectional_(bidirectional) {}

  void weights(WeightVisitor& w) {
    w.table("weight", rows_, heads_, table_);
    if (table_.defined()) spread();
  }

  // What attention() is to add. Distances go by the columns of the padded rows, as in Hugging Face.
  AttentionArgs args(const Batch& batch) const {
    AttentionArgs args;
    args.query_positions = args.key_positions = batch.columns;
    args.max_distance = max_distance_;
    args.relative_bias = by_distance_.data();
    return args;
  }
  const float* by_distance() const noexcept { return by_distance_.data(); }  // [heads, 2 * max_distance + 1]
  int64_t max_distance() const noexcept { return max_distance_; }

 private:
  void spread() {
    const Tensor values = table_.to_float32();  // [rows, heads]
    const int64_t distances = 2 * max_distance_ + 1;
    by_distance_.resize(static_cast<std::size_t>(heads_ * distances));
    for (int64_t d = 0; d < distances; ++d) {
      const int64_t bucket = relative_position_bucket(d - max_distance_, num_buckets_, max_distance_, bidirectional_);
      for (int64_t h = 0; h < heads_; ++h) {
        by_distance_[static_cast<std::size_t>(h * distances + d)] = values.data<float>()[bucket * heads_ + h];
      }
    }
  }

  int64_t rows_ = 0, num_buckets_ = 0, max_distance_ = 0, heads_ = 0;
  bool bidirectional_ = true;
  Tensor table_;
  std::vector<float> by_distance_;
};

}  // namespace transformers
