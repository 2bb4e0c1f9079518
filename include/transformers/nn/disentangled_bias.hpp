// What it is: what DeBERTa adds to attention scores: content to position and position to content, both by buckets of
//   the distance between query and key.
// Where it stands: nn; RelativeBuckets is shared by the layers of a forward pass, DisentangledBias belongs to one
// layer. Usage: `const auto groups = relative_groups(batch, buckets);  bias.query_bias(groups[0], q, stride, out);`
// Source: arXiv 2006.03654; transformers/models/deberta_v2/modeling_deberta_v2.py (5.23).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "transformers/base/platform.hpp"
#include "transformers/kernels/kernels.hpp"
#include "transformers/tensor/batch.hpp"

namespace transformers {

// Which of 2 * span buckets a distance falls into: the distance itself, or where buckets are given, one that beyond
// half of them widens with the logarithm until max_position. In float32, as in Hugging Face: the last bit decides at
// edges.
struct RelativeBuckets {
  int64_t span = 0;              // position_buckets, or max_relative_positions without
  int64_t position_buckets = 0;  // 0: none
  int64_t max_position = 0;

  // `relative` is query position - key position. In [0, 2 * span).
  int64_t of(int64_t relative) const {
    int64_t bucket = relative;
    const int64_t mid = position_buckets / 2;
    if (position_buckets > 0 && std::abs(relative) > mid) {
      const float widest =
          std::log(static_cast<float>(static_cast<double>(max_position - 1) / static_cast<double>(mid)));
      const float part = std::log(static_cast<float>(std::abs(relative)) / static_cast<float>(mid)) / widest;
      const float distance = std::ceil(part * static_cast<float>(mid - 1)) + static_cast<float>(mid);
      if (!(std::abs(distance) < 1e9f)) return 0;  // a max_position that leaves no room for buckets
      bucket = static_cast<int64_t>(distance) * (relative < 0 ? -1 : 1);
    }
    return std::clamp<int64_t>(bucket + span, 0, 2 * span - 1);
  }
};

// Sequences that attention takes at a time, so that the biases of a long batch stay small, and the buckets that their
// distances can reach.
struct RelativeGroup {
  int64_t first_row = 0, rows = 0;
  int64_t first_bucket = 0, num_buckets = 0;  // first_bucket is a multiple of panel_rows()
  int64_t max_distance = 0;
  std::vector<int32_t> cu_seqlens, key_lens;  // from first_row on
  std::vector<int32_t> columns;               // [rows]
  std::vector<int32_t> bias_buckets;          // [2 * max_distance + 1], counted from first_bucket

  AttentionArgs args() const {
    AttentionArgs a;
    a.cu_seqlens = cu_seqlens;
    a.key_lens = key_lens;
    a.query_positions = a.key_positions = columns;
    a.max_distance = max_distance;
    a.bias_buckets = bias_buckets;
    a.num_buckets = num_buckets;
    return a;
  }
};

inline std::vector<RelativeGroup> relative_groups(const Batch& batch, const RelativeBuckets& buckets) {
  constexpr int64_t kRows = 1024;
  std::vector<RelativeGroup> groups;
  for (int64_t i = 0; i < batch.batch_size(); ++i) {
    const std::size_t s = static_cast<std::size_t>(i);
    const int64_t begin = batch.cu_seqlens[s], end = batch.cu_seqlens[s + 1];
    if (groups.empty() || groups.back().rows + end - begin > kRows) {
      groups.emplace_back();
      groups.back().first_row = begin;
      groups.back().cu_seqlens.push_back(0);
    }
    RelativeGroup& group = groups.back();
    group.rows += end - begin;
    group.cu_seqlens.push_back(static_cast<int32_t>(group.rows));
    group.key_lens.push_back(batch.key_lens[s]);
    for (int64_t r = begin; r < end; ++r) {
      const int32_t column = batch.columns[static_cast<std::size_t>(r)];
      group.columns.push_back(column);
      group.max_distance = std::max<int64_t>(group.max_distance, column);
    }
  }
  const int64_t panel = panel_rows(DType::f32);
  for (RelativeGroup& group : groups) {
    int64_t low = std::numeric_limits<int64_t>::max(), high = 0;
    for (int64_t distance = -group.max_distance; distance <= group.max_distance; ++distance) {
      const int64_t bucket = buckets.of(-distance);  // attention counts from the query to the key
      group.bias_buckets.push_back(static_cast<int32_t>(bucket));
      low = std::min(low, bucket);
      high = std::max(high, bucket);
    }
    group.first_bucket = low / panel * panel;
    group.num_buckets = high + 1 - group.first_bucket;
    for (int32_t& bucket : group.bias_buckets) bucket -= static_cast<int32_t>(group.first_bucket);
  }
  return groups;
}

// The projected embeddings of the buckets for one layer, head by head: x . position gives the bias of x's token.
class DisentangledBias {
 public:
  // projected [buckets, num_attention_heads * head_dim], `stride` floats between rows; scale is applied here.
  DisentangledBias(const float* projected, int64_t stride, int64_t buckets, int64_t num_attention_heads,
                   int64_t head_dim, float scale)
      : buckets_(buckets), heads_(num_attention_heads), head_dim_(head_dim) {
    const std::size_t bytes = packed_bytes(DType::f32, buckets, head_dim);
    std::vector<float> rows(static_cast<std::size_t>(buckets * head_dim));
    for (int64_t h = 0; h < heads_; ++h) {
      for (int64_t b = 0; b < buckets; ++b) {
        const float* from = projected + b * stride + h * head_dim;
        std::transform(from, from + head_dim, rows.data() + b * head_dim, [=](float x) { return x * scale; });
      }
      packed_.push_back(allocate_bytes(bytes));
      pack_rows(DType::f32, rows.data(), head_dim, 0, buckets, buckets, head_dim, packed_.back().get());
    }
  }

  // x: the group's queries or keys, `stride` floats between rows -> out [rows, num_attention_heads, num_buckets].
  void forward(const RelativeGroup& group, const float* x, int64_t stride, float* out) const {
    for (int64_t h = 0; h < heads_; ++h) {
      const PackedMatrix all{packed_[static_cast<std::size_t>(h)].get(), DType::f32, buckets_, head_dim_};
      gemm({.a = x + h * head_dim_,
            .lda = stride,
            .m = group.rows,
            .b = packed_rows(all, group.first_bucket, group.num_buckets),
            .c = out + h * group.num_buckets,
            .ldc = heads_ * group.num_buckets});
    }
  }

 private:
  int64_t buckets_, heads_, head_dim_;
  std::vector<std::shared_ptr<std::byte>> packed_;  // [heads]
};

}  // namespace transformers
