// What it is: attention of a run of queries of one sequence over that sequence's keys, by one thread.
// Where it stands: src/kernels; attention.cpp cuts a batch into such runs.
// Usage: fill_attention(table) puts it into the table of its ISA.
// Source: Dao et al., "FlashAttention" (arXiv 2205.14135) and Milakov & Gimelshein (arXiv 1805.02867): softmax by
// running
//   maximum over tiles of keys. Tiles have a fixed size counted from key 0, so a query's result depends on nothing
//   else.
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

struct Layout {
  int64_t tile_keys;  // keys in the longest tile
  int64_t value_columns;
  int64_t keys_at, values_at, queries_at, scores_at, weights_at, sums_at, maxima_at, totals_at, end;

  Layout(int64_t queries, int64_t group, int64_t keys, int64_t head_dim)
      : tile_keys(keys < kKeyTile ? keys : kKeyTile), value_columns(panels_of(head_dim) * kPanel) {
    const auto aligned = [](int64_t floats) { return (floats + 15) / 16 * 16; };
    keys_at = 0;
    values_at = keys_at + panels_of(tile_keys) * kPanel * head_dim;
    queries_at = values_at + aligned(tile_keys * value_columns);
    scores_at = queries_at + aligned(kTileRows * quads_of(head_dim) * 4);
    weights_at = scores_at + kTileRows * kScoreStride;
    sums_at = weights_at + kTileRows * kScoreStride;
    maxima_at = sums_at + aligned(group * queries * value_columns);
    totals_at = maxima_at + aligned(group * queries);
    end = totals_at + aligned(group * queries);
  }
};

int64_t attention_scratch(int64_t queries, int64_t group, int64_t keys, int64_t head_dim) noexcept {
  return Layout(queries, group, keys, head_dim).end;
}

// keys [keys, head_dim] -> panels [head_dim, kPanel] of kPanel keys each, zeros where keys are missing.
void pack_keys(const float* key, int64_t stride, int64_t keys, int64_t head_dim, float* panels) {
  constexpr int64_t kW = V::kWidth;
  for (int64_t j0 = 0; j0 < panels_of(keys) * kPanel; j0 += kW) {
    float* to = panels + j0 / kPanel * kPanel * head_dim + j0 % kPanel;
    const int64_t left = keys - j0 < kW ? keys - j0 : kW;
    int64_t d = 0;
    if (left > 0) {
      for (; d + kW <= head_dim; d += kW) V::transpose(key + j0 * stride + d, stride, left, to + d * kPanel, kPanel);
    }
    for (; d < head_dim; ++d) {
      for (int64_t j = 0; j < kW; ++j) to[d * kPanel + j] = j < left ? key[(j0 + j) * stride + d] : 0.0f;
    }
  }
}

// values [keys, head_dim] -> panels [keys, kPanel] of kPanel columns each, zeros beyond head_dim.
void pack_values(const float* value, int64_t stride, int64_t keys, int64_t head_dim, float* panels) {
  constexpr int64_t kW = V::kWidth;
  for (int64_t d0 = 0; d0 < panels_of(head_dim) * kPanel; d0 += kW) {
    float* to = panels + d0 / kPanel * kPanel * keys + d0 % kPanel;
    const float* from = value + d0;
    const int64_t left = head_dim - d0;
    if (left >= kW) {
      for (int64_t j = 0; j < keys; ++j) V::store(to + j * kPanel, V::load(from + j * stride));
    } else if (left > 0) {
      for (int64_t j = 0; j < keys; ++j) V::store(to + j * kPanel, V::load_partial(from + j * stride, left));
    } else {
      for (int64_t j = 0; j < keys; ++j) V::store(to + j * kPanel, V::zero());
    }
  }
}

// One row of scores over a tile of keys: scaled, exponentials taken below the running maximum and written as quads (to
// `weights`, the tile having `rows` rows), the row's sums brought to that maximum.
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
    V::store_quads(weights + j * rows, 4 * rows, kW / 4, x);
    sum = V::add(sum, x);
  }
  if (j < keys) {
    const Reg x = V::keep(exp(V::fma(V::load(scores + j), factor, below)), keys - j, V::zero());
    V::store_quads(weights + j * rows, 4 * rows, quads_of(keys - j), x);
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

void attention_block(const AttentionBlock& a) noexcept {
  const Layout layout(a.queries, a.group, a.keys, a.head_dim);
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
    pack_keys(a.key + k0 * a.key_stride, a.key_stride, kn, a.head_dim, keys);
    pack_values(a.value + k0 * a.value_stride, a.value_stride, kn, a.head_dim, values);
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
        copy_rows(query, a.query_stride, rows, a.head_dim, queries);
        for (int64_t p = 0; p * kPanel < kn; ++p) {
          micro(rows, {.a = queries,
                       .lda = 0,
                       .b = keys + p * a.head_dim * kPanel,
                       .k = a.head_dim,
                       .tile = scores + p * kPanel,
                       .ldt = kScoreStride,
                       .accumulate = false,
                       .prefetch = nullptr,
                       .prefetch_lines = 0});
        }
        const int64_t row0 = head * a.queries + q0;
        for (int64_t r = 0; r < rows; ++r) {
          softmax_step(scores + r * kScoreStride, kn, a.scale, k0 == 0, maxima + row0 + r, totals + row0 + r,
                       sums + (row0 + r) * columns, columns, weights + r * 4, rows);
        }
        for (int64_t p = 0; p * kPanel < a.head_dim; ++p) {
          micro(rows, {.a = weights,
                       .lda = 0,
                       .b = values + p * kPanel * kn,
                       .k = kn,
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

}  // namespace

void fill_attention(KernelTable& table) noexcept {
  table.attention_scratch = attention_scratch;
  table.attention_block = attention_block;
}

}  // namespace TCPP_KERNELS
}  // namespace transformers
