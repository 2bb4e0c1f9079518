// What it is: attention of a run of queries of one sequence over that sequence's keys, by one thread.
// Where it stands: src/kernels; attention.cpp cuts a batch into such runs. Written over an arithmetic `A`, that of
//   attention.inl or of attention_bf16.inl: A::kDepth neighbouring numbers along the sums of a product are a unit, the
//   4 bytes that micro.inl takes for a float.
// Usage: `table.attention[kFloats] = attention_over<Floats>();`
// Source: Dao et al., "FlashAttention" (arXiv 2205.14135) and Milakov & Gimelshein (arXiv 1805.02867): softmax by
// running
//   maximum over tiles of keys. Tiles have a fixed size counted from key 0, so a query's result depends on nothing
//   else.
#pragma once

#include "kernels/kernel_table.hpp"
#include "kernels/math.inl"
#include "kernels/micro.inl"

namespace transformers {
namespace TCPP_KERNELS {
namespace {

constexpr int64_t kKeyTile = 256;
static_assert(kKeyTile <= kPiece);
// An odd number of cache lines, so that the rows of a tile of scores do not crowd into few cache sets.
constexpr int64_t kScoreStride = kKeyTile + 16;

int64_t panels_of(int64_t columns) { return (columns + kPanel - 1) / kPanel; }

template <class A>
constexpr int64_t units_of(int64_t k) {
  return (k + A::kDepth - 1) / A::kDepth;
}

template <class A>
struct Layout {
  int64_t tile_keys;  // keys in the longest tile
  int64_t value_columns;
  int64_t keys_at, values_at, queries_at, scores_at, weights_at, sums_at, maxima_at, totals_at, end;

  Layout(int64_t queries, int64_t group, int64_t keys, int64_t head_dim)
      : tile_keys(keys < kKeyTile ? keys : kKeyTile), value_columns(panels_of(head_dim) * kPanel) {
    const auto aligned = [](int64_t floats) { return (floats + 15) / 16 * 16; };
    keys_at = 0;
    values_at = keys_at + panels_of(tile_keys) * kPanel * units_of<A>(head_dim);
    queries_at = values_at + aligned(units_of<A>(tile_keys) * value_columns);
    scores_at = queries_at + aligned(kTileRows * quads_of(units_of<A>(head_dim)) * 4);
    weights_at = scores_at + kTileRows * kScoreStride;
    sums_at = weights_at + kTileRows * kScoreStride;
    maxima_at = sums_at + aligned(group * queries * value_columns);
    totals_at = maxima_at + aligned(group * queries);
    end = totals_at + aligned(group * queries);
  }
};

template <class A>
int64_t attention_scratch(int64_t queries, int64_t group, int64_t keys, int64_t head_dim) noexcept {
  return Layout<A>(queries, group, keys, head_dim).end;
}

// One row of scores over a tile of keys: scaled, exponentials taken below the running maximum and written as quads of
// units (to `weights`, the tile having `rows` rows), the row's sums brought to that maximum.
template <class A>
TCPP_INLINE void softmax_step(float* scores, int64_t keys, float scale, bool first, float* maximum, float* total,
                              float* sums, int64_t columns, float* weights, int64_t rows) {
  using Reg = V::Reg;
  constexpr int64_t kW = V::kWidth;
  const Reg factor = V::set1(scale), lowest = V::set1(-3.402823466e38f);
  Reg m = lowest;
  int64_t j = 0;
  for (; j + kW <= keys; j += kW) m = V::max(m, V::mul(V::load(scores + j), factor));
  if (j < keys) m = V::max(m, V::keep(V::mul(V::load(scores + j), factor), keys - j, lowest));
  float top = V::largest(m);
  if (!first && *maximum > top) top = *maximum;
  const Reg below = V::set1(-top);
  Reg sum = V::zero();
  for (j = 0; j + kW <= keys; j += kW) {
    const Reg x = exp(V::fma(V::load(scores + j), factor, below));
    A::store_weights(weights, j, rows, kW, x);
    sum = V::add(sum, x);
  }
  if (j < keys) {
    const Reg x = V::keep(exp(V::fma(V::load(scores + j), factor, below)), keys - j, V::zero());
    A::store_weights(weights, j, rows, keys - j, x);
    sum = V::add(sum, x);
  }
  if (first) {
    *total = V::sum(sum);
  } else {
    const Reg shrink = exp(V::set1(*maximum - top));
    *total = *total * V::first(shrink) + V::sum(sum);
    for (int64_t d = 0; d < columns; d += kW) V::store(sums + d, V::mul(V::load(sums + d), shrink));
  }
  *maximum = top;
}

void write_rows(const AttentionBlock& a, int64_t head, const float* sums, const float* totals, int64_t columns) {
  constexpr int64_t kW = V::kWidth;
  for (int64_t q = 0; q < a.queries; ++q) {
    float* out = a.out + head * a.head_dim + q * a.out_stride;
    const float* from = sums + (head * a.queries + q) * columns;
    const V::Reg factor = a.keys > 0 ? V::set1(1.0f / totals[head * a.queries + q]) : V::zero();
    int64_t d = 0;
    for (; d + kW <= a.head_dim; d += kW) {
      V::store(out + d, a.keys > 0 ? V::mul(V::load(from + d), factor) : V::zero());
    }
    if (d < a.head_dim) {
      V::store_partial(out + d, a.head_dim - d, a.keys > 0 ? V::mul(V::load(from + d), factor) : V::zero());
    }
  }
}

// Brings `rows` pieces of rows towards the cache.
inline void prefetch_rows(const float* from, int64_t stride, int64_t rows, int64_t floats) {
  for (int64_t r = 0; r < rows; ++r, from += stride) {
    for (int64_t i = 0; i < floats; i += 16) V::prefetch(from + i);
  }
}

template <class A>
void attention_block(const AttentionBlock& a) noexcept {
  const Layout<A> layout(a.queries, a.group, a.keys, a.head_dim);
  float* const keys = a.scratch + layout.keys_at;
  float* const values = a.scratch + layout.values_at;
  float* const queries = a.scratch + layout.queries_at;
  float* const scores = a.scratch + layout.scores_at;
  float* const weights = a.scratch + layout.weights_at;
  float* const sums = a.scratch + layout.sums_at;
  float* const maxima = a.scratch + layout.maxima_at;
  float* const totals = a.scratch + layout.totals_at;
  const int64_t columns = layout.value_columns;
  const int64_t blocks = (a.queries + kTileRows - 1) / kTileRows;

  for (int64_t k0 = 0; k0 < a.keys; k0 += kKeyTile) {
    const int64_t kn = a.keys - k0 < kKeyTile ? a.keys - k0 : kKeyTile;
    A::pack_keys(a.key + k0 * a.key_stride, a.key_stride, kn, a.head_dim, keys);
    A::pack_values(a.value + k0 * a.value_stride, a.value_stride, kn, a.head_dim, units_of<A>(kn), values);
    for (int64_t head = 0; head < a.group; ++head) {
      for (int64_t i = 0; i < blocks; ++i) {
        const int64_t q0 = i * a.queries / blocks, rows = (i + 1) * a.queries / blocks - q0;
        if (a.prefetch_next && k0 == 0) {
          // The next head's columns of the same rows lie far apart in memory, out of reach of the processor's own
          // prefetching.
          const int64_t turn = head * blocks + i, turns = a.group * blocks;
          const int64_t first = a.keys * turn / turns, count = a.keys * (turn + 1) / turns - first;
          prefetch_rows(a.query + (a.group + head) * a.head_dim + q0 * a.query_stride, a.query_stride, rows,
                        a.head_dim);
          prefetch_rows(a.key + a.head_dim + first * a.key_stride, a.key_stride, count, a.head_dim);
          prefetch_rows(a.value + a.head_dim + first * a.value_stride, a.value_stride, count, a.head_dim);
        }
        const float* query = a.query + head * a.head_dim + q0 * a.query_stride;
        for (int64_t r = 0; r < rows; ++r) A::copy_row(query + r * a.query_stride, a.head_dim, rows, queries + 4 * r);
        for (int64_t p = 0; p * kPanel < kn; ++p) {
          A::micro(rows, {.a = queries,
                          .lda = 0,
                          .b = keys + p * units_of<A>(a.head_dim) * kPanel,
                          .k = units_of<A>(a.head_dim),
                          .tile = scores + p * kPanel,
                          .ldt = kScoreStride,
                          .accumulate = false,
                          .prefetch = nullptr,
                          .prefetch_lines = 0});
        }
        const int64_t row0 = head * a.queries + q0;
        for (int64_t r = 0; r < rows; ++r) {
          softmax_step<A>(scores + r * kScoreStride, kn, a.scale, k0 == 0, maxima + row0 + r, totals + row0 + r,
                          sums + (row0 + r) * columns, columns, weights + r * 4, rows);
        }
        for (int64_t p = 0; p * kPanel < a.head_dim; ++p) {
          A::micro(rows, {.a = weights,
                          .lda = 0,
                          .b = values + p * kPanel * units_of<A>(kn),
                          .k = units_of<A>(kn),
                          .tile = sums + row0 * columns + p * kPanel,
                          .ldt = columns,
                          .accumulate = k0 > 0,
                          .prefetch = nullptr,
                          .prefetch_lines = 0});
        }
      }
    }
  }
  for (int64_t head = 0; head < a.group; ++head) write_rows(a, head, sums, totals, columns);
}

// ---- attention by sight: every query has its own range of keys, scores may be biased ----------------------------

constexpr int64_t kBlock = 32;  // tokens in a block of a cache: kKVBlockTokens
constexpr int64_t kTileBlocks = kKeyTile / kBlock;
static_assert(kKeyTile % kBlock == 0 && kBlock % kPanel == 0);

// A head's share of a block, in units: keys as panels [kBlock / kPanel][head_dim][kPanel], then values as panels
// [columns / kPanel][kBlock][kPanel].
template <class A>
int64_t kv_head_units(int64_t head_dim) {
  return kBlock * units_of<A>(head_dim) + units_of<A>(kBlock) * panels_of(head_dim) * kPanel;
}

// The same of rows; tokens beyond `count` are left as they are but for the last one's unit.
template <class A>
void pack_kv_block(const float* key, int64_t key_stride, const float* value, int64_t value_stride, int64_t count,
                   int64_t head_dim, float* to) {
  A::pack_keys(key, key_stride, count, head_dim, to);
  A::pack_values(value, value_stride, count, head_dim, units_of<A>(kBlock), to + kBlock * units_of<A>(head_dim));
}

template <class A>
struct SightedLayout {
  int64_t columns;
  int64_t keys_at, queries_at, scores_at, weights_at, bias_at, sums_at, maxima_at, totals_at, end;

  SightedLayout(int64_t queries, int64_t group, int64_t head_dim) : columns(panels_of(head_dim) * kPanel) {
    const auto aligned = [](int64_t floats) { return (floats + 15) / 16 * 16; };
    keys_at = 0;
    queries_at = keys_at + kTileBlocks * aligned(kv_head_units<A>(head_dim));
    scores_at = queries_at + aligned(kTileRows * quads_of(units_of<A>(head_dim)) * 4);
    weights_at = scores_at + kTileRows * kScoreStride;
    bias_at = weights_at + kTileRows * kScoreStride;
    sums_at = bias_at + kScoreStride;
    maxima_at = sums_at + aligned(group * queries * columns);
    totals_at = maxima_at + aligned(group * queries);
    end = totals_at + aligned(group * queries);
  }
};

template <class A>
int64_t sighted_attention_scratch(int64_t queries, int64_t group, int64_t head_dim) noexcept {
  return SightedLayout<A>(queries, group, head_dim).end;
}

// bias[j] for the keys k0 + j, j in [begin, end), of query q under head h of the group.
void gather_bias(const SightedAttentionBlock& a, int64_t q, int64_t h, int64_t k0, int64_t begin, int64_t end,
                 float* bias) {
  const int64_t most = a.max_distance, at = a.query_positions[q];
  const int32_t* const positions = a.key_positions + k0;
  const float* const relative = a.relative_bias ? a.relative_bias + h * (2 * most + 1) + most : nullptr;
  const float* const of_query = a.query_bias ? a.query_bias + q * a.query_bias_stride + h * a.num_buckets : nullptr;
  const float* const of_key = a.key_bias ? a.key_bias + k0 * a.key_bias_stride + h * a.num_buckets : nullptr;
  for (int64_t j = begin; j < end; ++j) {
    int64_t distance = positions[j] - at;
    distance = distance < -most ? -most : distance > most ? most : distance;
    float sum = relative ? relative[distance] : 0.0f;
    if (of_query || of_key) {
      const int64_t bucket = a.bias_buckets[distance + most];
      if (of_query) sum += of_query[bucket];
      if (of_key) sum += of_key[j * a.key_bias_stride + bucket];
    }
    bias[j] = sum;
  }
}

// One row of scores over the keys [begin, end) of a tile: made final in place, exponentials below the running maximum
// as quads of units from key `from` (a multiple of kPanel, at most begin) to key `to`, zeros outside [begin, end).
template <class A>
TCPP_INLINE void sighted_softmax_step(float* scores, int64_t from, int64_t to, int64_t begin, int64_t end, float scale,
                                      float cap, const float* bias, float* maximum, float* total, float* sums,
                                      int64_t columns, float* weights, int64_t rows) {
  using Reg = V::Reg;
  constexpr int64_t kW = V::kWidth;
  const Reg factor = V::set1(scale), lowest = V::set1(-3.402823466e38f);
  const Reg ceiling = V::set1(cap), inverse = V::set1(cap > 0.0f ? 1.0f / cap : 0.0f);
  Reg m = lowest;
  for (int64_t j = from; j < to; j += kW) {
    Reg x = V::mul(V::load(scores + j), factor);
    if (cap > 0.0f) x = V::mul(tanh(V::mul(x, inverse)), ceiling);
    if (bias) x = V::add(x, V::load(bias + j));
    if (j < begin) x = V::keep(lowest, begin - j < kW ? begin - j : kW, x);
    if (j + kW > end) x = V::keep(x, end > j ? end - j : 0, lowest);
    V::store(scores + j, x);
    m = V::max(m, x);
  }
  float top = V::largest(m);
  if (*maximum > top) top = *maximum;
  const Reg shift = V::set1(top);
  Reg sum = V::zero();
  for (int64_t j = from; j < to; j += kW) {
    const Reg x = exp(V::sub(V::load(scores + j), shift));
    A::store_weights(weights, j - from, rows, kW, x);
    sum = V::add(sum, x);
  }
  if (*total == 0.0f) {
    *total = V::sum(sum);
  } else {
    const Reg shrink = exp(V::set1(*maximum - top));
    *total = *total * V::first(shrink) + V::sum(sum);
    for (int64_t d = 0; d < columns; d += kW) V::store(sums + d, V::mul(V::load(sums + d), shrink));
  }
  *maximum = top;
}

template <class A>
void sighted_attention_block(const SightedAttentionBlock& a) noexcept {
  constexpr int64_t kW = V::kWidth;
  const SightedLayout<A> layout(a.queries, a.group, a.head_dim);
  float* const packed = a.scratch + layout.keys_at;
  float* const queries = a.scratch + layout.queries_at;
  float* const scores = a.scratch + layout.scores_at;
  float* const weights = a.scratch + layout.weights_at;
  float* const biases = a.scratch + layout.bias_at;
  float* const sums = a.scratch + layout.sums_at;
  float* const maxima = a.scratch + layout.maxima_at;
  float* const totals = a.scratch + layout.totals_at;
  const int64_t columns = layout.columns, rows_all = a.queries * a.group;
  const int64_t units = units_of<A>(a.head_dim), head_units = kv_head_units<A>(a.head_dim);
  const int64_t row_blocks = (rows_all + kTileRows - 1) / kTileRows;
  const bool biased = a.relative_bias || a.query_bias || a.key_bias;

  for (int64_t i = 0; i < rows_all * columns; ++i) sums[i] = 0.0f;
  for (int64_t r = 0; r < rows_all; ++r) maxima[r] = -3.402823466e38f, totals[r] = 0.0f;
  int64_t all_begin = a.key_begin[0], all_end = 0;
  for (int64_t q = 0; q < a.queries; ++q) {
    if (a.key_begin[q] >= a.key_end[q]) continue;
    if (a.key_begin[q] < all_begin || all_end == 0) all_begin = a.key_begin[q];
    if (a.key_end[q] > all_end) all_end = a.key_end[q];
  }

  for (int64_t k0 = all_begin / kKeyTile * kKeyTile; k0 < all_end; k0 += kKeyTile) {
    const float* block[kTileBlocks];
    for (int64_t b = 0; b < kTileBlocks; ++b) {
      const int64_t key = k0 + b * kBlock;
      if (key >= all_end || key + kBlock <= all_begin) continue;
      if (a.key) {
        block[b] = packed + b * head_units;
        pack_kv_block<A>(a.key + key * a.key_stride, a.key_stride, a.value + key * a.value_stride, a.value_stride,
                         all_end - key < kBlock ? all_end - key : kBlock, a.head_dim, packed + b * head_units);
      } else {
        const char* const stored = static_cast<const char*>(a.blocks[key / kBlock]) + a.block_offset;
        block[b] = reinterpret_cast<const float*>(stored);
        if constexpr (A::kStored == kKVF32) {
          if (a.kv_type != kKVF32) {
            A::widen_kv_head(a.kv_type, stored, a.head_dim, packed + b * head_units);
            block[b] = packed + b * head_units;
          }
        }
      }
    }
    for (int64_t i = 0; i < row_blocks; ++i) {
      const int64_t row0 = i * rows_all / row_blocks, rows = (i + 1) * rows_all / row_blocks - row0;
      // What any of these rows sees in this tile.
      int64_t begin = kKeyTile, end = 0;
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t q = (row0 + r) / a.group;
        if (a.key_begin[q] >= a.key_end[q]) continue;
        if (a.key_begin[q] - k0 < begin) begin = a.key_begin[q] - k0;
        if (a.key_end[q] - k0 > end) end = a.key_end[q] - k0;
      }
      if (begin < 0) begin = 0;
      if (end > kKeyTile) end = kKeyTile;
      if (begin >= end) continue;
      begin = begin / kBlock * kBlock;

      for (int64_t r = 0; r < rows; ++r) {
        const int64_t q = (row0 + r) / a.group, h = (row0 + r) % a.group;
        A::copy_row(a.query + q * a.query_stride + h * a.head_dim, a.head_dim, rows, queries + 4 * r);
      }
      // Blocks lie far apart in memory: while one is read, the next comes into the cache, the values behind the keys
      // and the next tile's keys behind those.
      const auto keys_at = [&](int64_t j) { return block[j / kBlock] + j % kBlock * units; };
      const float* const first_values = block[begin / kBlock] + kBlock * units;
      const int64_t lines = i == 0 && !a.key && a.kv_type == A::kStored ? kPanel / 4 : 0;
      for (int64_t j = begin; j < end; j += kPanel) {
        const float* const next = j + kPanel < end ? keys_at(j + kPanel) : first_values;
        A::micro(rows, {.a = queries,
                        .lda = 0,
                        .b = keys_at(j),
                        .k = units,
                        .tile = scores + j,
                        .ldt = kScoreStride,
                        .accumulate = false,
                        .prefetch = reinterpret_cast<const char*>(next),
                        .prefetch_lines = lines});
      }
      const int64_t last = (end + kW - 1) / kW * kW;
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t row = row0 + r, q = row / a.group, h = row % a.group;
        int64_t b = a.key_begin[q] - k0, e = a.key_end[q] - k0;
        b = b < 0 ? 0 : b;
        e = e > kKeyTile ? kKeyTile : e;
        if (b >= e) {
          for (int64_t j = begin; j < last; j += kW) {
            A::store_weights(weights + 4 * r, j - begin, rows, kW, V::zero());
          }
          continue;
        }
        if (biased) gather_bias(a, q, h, k0, b, e, biases);
        sighted_softmax_step<A>(scores + r * kScoreStride, begin, last, b, e, a.scale, a.softcap,
                                biased ? biases : nullptr, maxima + row, totals + row, sums + row * columns, columns,
                                weights + 4 * r, rows);
      }
      for (int64_t j = begin; j < end; j += kBlock) {
        const float* const values = block[j / kBlock] + kBlock * units;
        const float* after = values;
        if (j + kBlock < end) {
          after = block[j / kBlock + 1] + kBlock * units;
        } else if (k0 + kKeyTile < all_end && lines > 0) {
          after = reinterpret_cast<const float*>(static_cast<const char*>(a.blocks[k0 / kBlock + kTileBlocks]) +
                                                 a.block_offset);
        }
        for (int64_t p = 0; p * kPanel < columns; ++p) {
          const float* const next =
              (p + 1) * kPanel < columns ? values + (p + 1) * units_of<A>(kBlock) * kPanel : after;
          A::micro(rows, {.a = weights + units_of<A>(j - begin) * rows,
                          .lda = 0,
                          .b = values + p * units_of<A>(kBlock) * kPanel,
                          .k = units_of<A>(end - j < kBlock ? end - j : kBlock),
                          .tile = sums + row0 * columns + p * kPanel,
                          .ldt = columns,
                          .accumulate = true,
                          .prefetch = reinterpret_cast<const char*>(next),
                          .prefetch_lines = lines});
        }
      }
    }
  }

  for (int64_t row = 0; row < rows_all; ++row) {
    float* const out = a.out + row / a.group * a.out_stride + row % a.group * a.head_dim;
    const float* const from = sums + row * columns;
    const V::Reg factor = totals[row] > 0.0f ? V::set1(1.0f / totals[row]) : V::zero();
    int64_t d = 0;
    for (; d + kW <= a.head_dim; d += kW) V::store(out + d, V::mul(V::load(from + d), factor));
    if (d < a.head_dim) V::store_partial(out + d, a.head_dim - d, V::mul(V::load(from + d), factor));
  }
}

template <class A>
AttentionKernels attention_over() noexcept {
  return {.scratch = attention_scratch<A>,
          .block = attention_block<A>,
          .sighted_scratch = sighted_attention_scratch<A>,
          .sighted_block = sighted_attention_block<A>};
}

}  // namespace
}  // namespace TCPP_KERNELS
}  // namespace transformers
