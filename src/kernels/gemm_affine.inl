// What it is: one block of c = activation(a b^T + bias) + residual where b is bytes in wide groups: its packing, the
//   rounding of A to int8 by the range of each group, and the product of some rows and some panels by one thread.
// Where it stands: src/kernels; beside gemm_int.inl, which shares the units. The rule of the
//   arithmetic is with WeightFormat in kernels.hpp.
// Usage: fill_gemm_int(table) puts it into the table of its ISA.
#include "kernels/epilogue.inl"
#include "kernels/kernel_table.hpp"
#include "kernels/micro.inl"

#ifndef TCPP_DOT
#define TCPP_DOT Dot
#endif

namespace transformers {
namespace TCPP_KERNELS {
namespace {

using D = TCPP_DOT;

// A unit is D::kStep neighbouring k: of one row of A 4 bytes (signed), of a panel kPanel * kUnit bytes (unsigned).
constexpr int64_t kUnit = D::kStep;
constexpr int64_t kUnitBytes = kPanel * kUnit;
constexpr int64_t kIntAhead = 4096;  // bytes
constexpr int64_t kAffineGroup = 128;
constexpr int64_t kStored = 4 * V::kWidth;  // elements that D::store_sum() stores

// Rows of a tile. Where registers suffice for the sums of integers and those over groups, both stay in them; else the
// sums over groups are in memory.
constexpr int kIntRows = D::kTileRows;
constexpr bool kSumsInRegisters = D::kSumsInRegisters;

constexpr int64_t ceil_of(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t block_count(int64_t rows) { return ceil_of(rows, kIntRows); }

// ---- A --------------------------------------------------------------------------------------------------------------

// f(g, n, load) for every four groups of x [k] from g on, n of which there are, of the groups [g0, g1); load(at) are
// the numbers from `at` on, zeros beyond the last. g0 is a multiple of 4, g1 too or the number of groups.
template <int64_t kGroup, class F>
TCPP_INLINE void each_four_groups(const float* x, int64_t k, int64_t g0, int64_t g1, F f) {
  const auto inside = [&](int64_t at) __attribute__((always_inline)) { return V::load(x + at); };
  const auto edge = [&](int64_t at) __attribute__((always_inline)) {
    return at + V::kWidth <= k ? V::load(x + at) : at < k ? V::load_partial(x + at, k - at) : V::zero();
  };
  int64_t g = g0;
  for (; g < g1 && (g + 4) * kGroup <= k; g += 4) f(g, 4, inside);
  if (g1 * kGroup <= k) {
    if (g < g1) f(g, g1 - g, inside);
  } else {
    f(g, g1 - g, edge);
  }
}

// The copy of a row: units, the scales t [groups], and the pairs [groups]. What stands beyond k is multiplied by 0.
// Rows stand an odd number of cache lines apart, so that those of a tile do not crowd into few cache sets.
struct AffineRow {
  int64_t groups, units;
  int64_t scales_at, pairs_at, bytes;  // from the start of a row

  AffineRow(int64_t k, const GemmWeight& w) {
    groups = ceil_of(k, w.group);
    units = ceil_of(k, kUnit);
    constexpr int64_t kBytes = kStored * sizeof(D::Element), kMost = kBytes > 64 ? kBytes : 64;
    scales_at = ceil_of(units * 4, kMost) * kMost;
    pairs_at = scales_at + groups * 4;
    bytes = ceil_of(pairs_at + groups * 4, 64) * 64;
    if (bytes / 64 % 2 == 0) bytes += 64;
  }
};

int64_t affine_copy_floats(int64_t rows, int64_t k, const GemmWeight& weight) noexcept {
  return rows * AffineRow(k, weight).bytes / 4;
}

// Step by step for some groups, so that nothing waits for the end of one reduction or division.
void affine_copy(const float* a, int64_t lda, int64_t rows, int64_t k, const GemmWeight& w, float* to) noexcept {
  using Reg = V::Reg;
  constexpr int64_t kGroup = kAffineGroup, kSome = 16;
  const AffineRow z(k, w);
  for (int64_t r = 0; r < rows; ++r) {
    const float* const x = a + r * lda;
    char* const row = reinterpret_cast<char*>(to) + r * z.bytes;
    D::Element* const units = reinterpret_cast<D::Element*>(row);
    float* const scales = reinterpret_cast<float*>(row + z.scales_at);
    int16_t* const pairs = reinterpret_cast<int16_t*>(row + z.pairs_at);
    for (int64_t g0 = 0; g0 < z.groups; g0 += kSome) {
      const int64_t g1 = g0 + kSome < z.groups ? g0 + kSome : z.groups;
      // Of each group, 0 being one of its numbers: -least, greatest; then what they give.
      alignas(64) float least[kSome] = {}, most[kSome] = {}, inverse[kSome], zero[kSome], scale[kSome];
      const auto find = [&](int64_t g, int64_t n, auto load) __attribute__((always_inline)) {
        Reg low[4], high[4];
#pragma GCC unroll 4
        for (int64_t j = 0; j < 4; ++j) {
          low[j] = high[j] = V::zero();
          for (int64_t i = 0; j < n && i < kGroup; i += V::kWidth) {
            const Reg y = load((g + j) * kGroup + i);
            low[j] = V::above(low[j], V::negate(y));
            high[j] = V::above(high[j], y);
          }
        }
        V::store_largest(least + g - g0, low);
        V::store_largest(most + g - g0, high);
      };
      each_four_groups<kGroup>(x, k, g0, g1, find);
      for (int64_t g = 0; g < g1 - g0; g += V::kWidth) {
        const Reg low = V::load(least + g), range = V::add(V::load(most + g), low);
        const Reg enough = V::set1(1e-36f), steps = V::set1(255.0f);
        // So small that 255 / range overflows: zeros. Not finite: the scale is NaN, and the sums of this row will be.
        const Reg factor = V::select_less(enough, range, V::div(steps, range), V::zero());
        const Reg t = V::select_less(enough, range, V::div(range, steps), V::zero());
        V::store(inverse + g, factor);
        V::store(zero + g, V::sub(V::round(V::mul(low, factor)), V::set1(128.0f)));
        V::store(scale + g, V::add(t, V::sub(range, range)));
      }
      int32_t sum[kSome];
      const auto round = [&](int64_t g, int64_t n, auto load) __attribute__((always_inline)) {
        D::Acc total[4];
#pragma GCC unroll 4
        for (int64_t j = 0; j < 4; ++j) {
          total[j] = D::zero();
          const Reg factor = V::set1(inverse[g - g0 + j]);
          const D::Acc shift = D::round(V::set1(zero[g - g0 + j]));
          for (int64_t i = 0; j < n && i < kGroup; i += kStored) {
            const int64_t at = (g + j) * kGroup + i;
            if (at >= k) break;
            D::Acc y[4];
#pragma GCC unroll 4
            for (int64_t v = 0; v < 4; ++v) {
              y[v] = D::add(D::round(V::mul(load(at + v * V::kWidth), factor)), shift);
            }
            total[j] = D::store_sum(units + at, y, total[j]);
          }
        }
        D::store_sums(sum + g - g0, total);
      };
      each_four_groups<kGroup>(x, k, g0, g1, round);
      for (int64_t g = g0; g < g1; ++g) {
        const float t = scale[g - g0];
        const int32_t zero_at = t == t ? static_cast<int32_t>(zero[g - g0]) : 0;
        // Zeros that were taken for numbers beyond the last.
        const int64_t left = k - g * kGroup, beyond = left < kGroup ? ceil_of(left, kStored) * kStored - left : 0;
        scales[g] = t;
        pairs[2 * g] = static_cast<int16_t>(t == t ? zero_at * static_cast<int32_t>(beyond) - sum[g - g0] : 0);
        pairs[2 * g + 1] = static_cast<int16_t>(-zero_at);
      }
    }
  }
}

// ---- B --------------------------------------------------------------------------------------------------------------

// A panel is, group after group: units, for each row the pair (128, sum of its weights), for each row its scale.
struct AffinePanel {
  int64_t groups, group_bytes, last_units, bytes;

  AffinePanel(int64_t k, const GemmWeight& w) {
    groups = ceil_of(k, w.group);
    last_units = groups == 0 ? 0 : ceil_of(k - (groups - 1) * w.group, kUnit);
    group_bytes = w.group / kUnit * kUnitBytes + kPanel * 8;
    bytes = groups == 0 ? 0 : (groups - 1) * group_bytes + last_units * kUnitBytes + kPanel * 8;
  }
};

int64_t affine_panel_bytes(int64_t k, const GemmWeight& weight) noexcept { return AffinePanel(k, weight).bytes; }

void affine_pack(const IntegerRows& rows, int64_t count, int64_t k, const GemmWeight& w, void* panel) noexcept {
  const AffinePanel z(k, w);
  for (int64_t g = 0; g < z.groups; ++g) {
    char* const data = static_cast<char*>(panel) + g * z.group_bytes;
    const int64_t first = g * w.group, n = k - first < w.group ? k - first : w.group;
    const int64_t bytes = ceil_of(n, kUnit) * kUnitBytes;
    if (count < kPanel || n % kUnit != 0) {
      for (int64_t i = 0; i < bytes; ++i) data[i] = 0;  // a factor of 0 beyond k
    }
    int16_t* const pairs = reinterpret_cast<int16_t*>(data + bytes);
    float* const scales = reinterpret_cast<float*>(data + bytes + kPanel * 4);
    for (int64_t j = 0; j < kPanel; ++j) {
      int sum = 0;
      if (j < count) {
        const uint8_t* const from = rows.q + j * k + first;
        for (int64_t i = 0; i < n; ++i) sum += from[i];
        sum -= static_cast<int>(n) * w.zero;
        const int64_t whole = n / kUnit;
        for (int64_t u = 0; u < whole; ++u) __builtin_memcpy(data + (u * kPanel + j) * kUnit, from + u * kUnit, kUnit);
        for (int64_t i = whole * kUnit; i < n; ++i) {
          data[(whole * kPanel + j) * kUnit + i % kUnit] = static_cast<char>(from[i]);
        }
      }
      pairs[2 * j] = static_cast<int16_t>(w.zero);
      pairs[2 * j + 1] = static_cast<int16_t>(sum);
      scales[j] = j < count ? reinterpret_cast<const float*>(rows.scales)[j * z.groups + g] : 0.0f;
    }
  }
}

void affine_unpack(const void* panel, int64_t row, int64_t k, const GemmWeight& w, bool accumulate,
                   float* out) noexcept {
  const AffinePanel z(k, w);
  for (int64_t g = 0; g < z.groups; ++g) {
    const char* const data = static_cast<const char*>(panel) + g * z.group_bytes;
    const int64_t first = g * w.group, n = k - first < w.group ? k - first : w.group;
    const float scale = reinterpret_cast<const float*>(data + ceil_of(n, kUnit) * kUnitBytes + kPanel * 4)[row];
    for (int64_t i = 0; i < n; ++i) {
      const int q = static_cast<unsigned char>(data[(i / kUnit * kPanel + row) * kUnit + i % kUnit]);
      const float x = static_cast<float>(q - w.zero) * scale;
      out[first + i] = accumulate ? out[first + i] + x : x;
    }
  }
}

// ---- the product ----------------------------------------------------------------------------------------------------

struct AffineArgs {
  const char* a;  // the first row of the tile
  const AffineRow* shape;
  int64_t group_units;
  const char* b;  // the panel
  float* tile;    // [rows, kPanel]
  // For every four units, `prefetch_lines` cache lines from here on are fetched for later.
  const char* prefetch;
  int64_t prefetch_lines;
};

template <int kRows>
void affine_tile(const AffineArgs& args) {
  using Reg = V::Reg;
  using Acc = D::Acc;
  constexpr int64_t kVector = V::kWidth * kUnit;  // bytes
  // One pointer for every three rows, the other two by index, so that registers suffice.
  constexpr int kBases = (kRows + 2) / 3;
  const AffineRow& z = *args.shape;
  const int64_t stride = z.bytes;
  const char* a[kBases];
  for (int i = 0; i < kBases; ++i) a[i] = args.a + 3 * i * stride;
  const char* b = args.b;
  const char* prefetch = args.prefetch;
  const int64_t lines = args.prefetch_lines;
  [[maybe_unused]] Reg total[kRows][kTileVectors];
  if constexpr (kSumsInRegisters) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kTileVectors; ++v) total[r][v] = V::zero();
    }
  }
  int64_t left = z.units;
  for (int64_t g = 0; g < z.groups; ++g) {
    Acc sum[kRows][kTileVectors];
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kTileVectors; ++v) sum[r][v] = D::zero();
    }
    const auto step = [&](int64_t i) __attribute__((always_inline)) {
      D::Word row[kTileVectors];
#pragma GCC unroll 4
      for (int v = 0; v < kTileVectors; ++v) row[v] = D::load(b + i * kUnitBytes + v * kVector);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        const char* const x = a[r / 3] + r % 3 * stride + i * 4;
#pragma GCC unroll 4
        for (int v = 0; v < kTileVectors; ++v) sum[r][v] = D::dot(x, row[v], sum[r][v]);
      }
    };
    const auto advance = [&](int64_t steps) __attribute__((always_inline)) {
      b += steps * kUnitBytes;
#pragma GCC unroll 8
      for (int i = 0; i < kBases; ++i) {
        a[i] += steps * 4;
        TCPP_OPAQUE(a[i]);
      }
    };
    int64_t u = left < args.group_units ? left : args.group_units;
    left -= u;
    for (; u >= 4; u -= 4) {
      for (int64_t line = 0; line < lines; ++line) V::prefetch(prefetch + line * 64);
      prefetch += lines * 64;
      step(0);
      step(1);
      step(2);
      step(3);
      advance(4);
    }
    for (; u > 0; --u) {
      step(0);
      advance(1);
    }
    // What stands behind the units of this group, of the panel and of the tile's first row.
    const char* const scales = args.a + z.scales_at + g * 4;
    const char* const pairs = args.a + z.pairs_at + g * 4;
#pragma GCC unroll 4
    for (int v = 0; v < kTileVectors; ++v) {
      const typename D::Pairs weights = D::load_pairs(b + v * V::kWidth * 4);
      const Reg scale = V::load(reinterpret_cast<const float*>(b + kPanel * 4) + v * V::kWidth);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        float* const to = args.tile + r * kPanel + v * V::kWidth;
        const Reg t = V::set1(*reinterpret_cast<const float*>(scales + r * stride));
        const Reg product = D::to_float(D::dot_pairs(pairs + r * stride, weights, sum[r][v]));
        if constexpr (kSumsInRegisters) {
          total[r][v] = V::fma(product, V::mul(scale, t), total[r][v]);
        } else {
          V::store(to, V::fma(product, V::mul(scale, t), g > 0 ? V::load(to) : V::zero()));
        }
      }
    }
    b += kPanel * 8;
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kTileVectors; ++v) {
      float* const to = args.tile + r * kPanel + v * V::kWidth;
      if constexpr (kSumsInRegisters) {
        V::store(to, total[r][v]);
      } else if (z.groups == 0) {
        V::store(to, V::zero());
      }
    }
  }
}

template <int kRows = 1>
TCPP_INLINE void affine_tiles(int64_t rows, const AffineArgs& args) {
  if constexpr (kRows < kIntRows) {
    if (rows != kRows) return affine_tiles<kRows + 1>(rows, args);
  }
  affine_tile<kRows>(args);
}

int64_t affine_scratch(int64_t, int64_t, int64_t, const GemmWeight&) noexcept { return 0; }

void affine_block(const GemmBlock& g) noexcept {
  const AffineRow z(g.k, g.weight);
  const int64_t blocks = block_count(g.rows), panel_bytes = affine_panel_bytes(g.k, g.weight);
  const int64_t lines = ((4 * kUnitBytes + 63) / 64 + blocks - 1) / blocks;
  alignas(64) float tile[kIntRows * kPanel];
  for (int64_t p = 0; p < g.panels; ++p) {
    const char* const panel = static_cast<const char*>(g.b) + p * panel_bytes;
    const char* const next = blocks > 1 ? panel + panel_bytes : panel + kIntAhead;
    const int64_t column = p * kPanel;
    for (int64_t i = 0; i < blocks; ++i) {
      const int64_t r0 = i * g.rows / blocks, rows = (i + 1) * g.rows / blocks - r0;
      const Epilogue epilogue = epilogue_of(g, r0, rows, column, tile);
      fetch(epilogue);
      affine_tiles(rows, {.a = reinterpret_cast<const char*>(g.a) + r0 * z.bytes,
                          .shape = &z,
                          .group_units = g.weight.group / kUnit,
                          .b = panel,
                          .tile = tile,
                          .prefetch = next + i * lines * 64 * (z.units / 4),
                          .prefetch_lines = lines});
      finish(g.activation, epilogue);
    }
  }
}

int64_t int_peak(int64_t steps, float* sink) noexcept {
  const int32_t ones = 0x01010101;
  const char* x = reinterpret_cast<const char*>(&ones);
  alignas(64) char bytes[V::kWidth * kUnit] = {};
  const D::Word word = D::load(bytes);
  D::Acc s0 = D::set1(0), s1 = D::set1(1), s2 = D::set1(2), s3 = D::set1(3), s4 = D::set1(4), s5 = D::set1(5),
         s6 = D::set1(6), s7 = D::set1(7), s8 = D::set1(8), s9 = D::set1(9);
  // Every product with an address of its own, or compilers would compute one and add it ten times.
  const auto dot = [&](D::Acc sum) __attribute__((always_inline)) {
    TCPP_OPAQUE(x);
    return D::dot(x, word, sum);
  };
  for (int64_t i = 0; i < steps; ++i) {
    s0 = dot(s0), s1 = dot(s1), s2 = dot(s2), s3 = dot(s3), s4 = dot(s4);
    s5 = dot(s5), s6 = dot(s6), s7 = dot(s7), s8 = dot(s8), s9 = dot(s9);
  }
  const auto f = [](D::Acc s) __attribute__((always_inline)) { return D::to_float(s); };
  const V::Reg all = V::add(V::add(V::add(f(s0), f(s1)), V::add(f(s2), f(s3))),
                            V::add(V::add(V::add(f(s4), f(s5)), V::add(f(s6), f(s7))), V::add(f(s8), f(s9))));
  *sink = V::sum(all);
  return steps * 10 * 2 * V::kWidth * kUnit;
}

void fill_gemm_affine(KernelTable& table) noexcept {
  table.gemm[kAffineIntegers] = {.mr = kIntRows,
                                 .nr = kPanel,
                                 .step = kUnit,
                                 .panel_bytes = affine_panel_bytes,
                                 .most_copied = 384 * 1024 / 4,
                                 .copied_once = true,
                                 .scratch = affine_scratch,
                                 .copy_floats = affine_copy_floats,
                                 .copy = affine_copy,
                                 .block = affine_block,
                                 .pack = affine_pack,
                                 .unpack = affine_unpack,
                                 .peak = int_peak};
}

}  // namespace
}  // namespace TCPP_KERNELS
}  // namespace transformers
