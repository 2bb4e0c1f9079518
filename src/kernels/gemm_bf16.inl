// What it is: one block of c = activation(a b^T + bias) + residual with both operands in bf16, by the processor's own
//   instruction for it.
// Where it stands: src/kernels; beside gemm.inl, over the primitives `Bf16Dot` of vec_avx512_bf16.hpp.
// Usage: fill_gemm_bf16(table) puts it into the table of its ISA.
#include "kernels/epilogue.inl"
#include "kernels/kernel_table.hpp"
#include "kernels/micro.inl"

namespace transformers {
namespace TCPP_KERNELS {
namespace {

using D = Bf16Dot;

// A unit is two neighbouring k: of a row of A 4 bytes, of a panel kPanel * 4.
constexpr int64_t kUnitBytes = kPanel * 4;
constexpr int64_t kAheadBytes = 4096;

int64_t block_count(int64_t rows) { return (rows + kTileRows - 1) / kTileRows; }
int64_t units_of(int64_t k) { return (k + 1) / 2; }

int64_t bf16_panel_bytes(int64_t k, const GemmWeight&) noexcept { return units_of(k) * kUnitBytes; }

// The copy of a block of rows: units [units_of(k)][rows].
int64_t bf16_copy_floats(int64_t rows, int64_t k, const GemmWeight&) noexcept { return rows * units_of(k); }

void bf16_copy(const float* a, int64_t lda, int64_t rows, int64_t k, const GemmWeight&, float* to) noexcept {
  const int64_t blocks = block_count(rows), units = units_of(k);
  for (int64_t b = 0; b < blocks; ++b) {
    const int64_t r0 = b * rows / blocks, count = (b + 1) * rows / blocks - r0;
    for (int64_t r = 0; r < count; ++r) {
      const float* const x = a + (r0 + r) * lda;
      int32_t* const row = reinterpret_cast<int32_t*>(to + r0 * units) + r;
      for (int64_t i = 0; i < k; i += V::kWidth) {
        const int64_t left = k - i;
        alignas(64) uint16_t rounded[V::kWidth];
        D::store(rounded, V::round_bf16(left >= V::kWidth ? V::load(x + i) : V::load_partial(x + i, left)));
        const int64_t n = left >= V::kWidth ? V::kWidth / 2 : units_of(left);
        for (int64_t u = 0; u < n; ++u) {
          row[(i / 2 + u) * count] =
              static_cast<int32_t>(rounded[2 * u] | static_cast<uint32_t>(rounded[2 * u + 1]) << 16);
        }
      }
    }
  }
}

struct Bf16Args {
  const char* a;  // units [units][rows]
  const char* b;  // units of the panel
  int64_t units;
  float* tile;  // [rows, kPanel]
  // For every four units, `prefetch_lines` cache lines from here on are fetched for later.
  const char* prefetch;
  int64_t prefetch_lines;
};

template <int kRows>
void bf16_tile(const Bf16Args& args) {
  using Reg = V::Reg;
  const char* a = args.a;
  const char* b = args.b;
  const char* prefetch = args.prefetch;
  Reg sum[kRows][kTileVectors];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kTileVectors; ++v) sum[r][v] = V::zero();
  }
  const auto step = [&](int64_t i) __attribute__((always_inline)) {
    __m512i row[kTileVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kTileVectors; ++v) row[v] = D::load(b + i * kUnitBytes + v * 64);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kTileVectors; ++v) sum[r][v] = D::dot(a + (i * kRows + r) * 4, row[v], sum[r][v]);
    }
  };
  int64_t u = args.units;
  for (; u >= 4; u -= 4) {
    for (int64_t line = 0; line < args.prefetch_lines; ++line) V::prefetch(prefetch + line * 64);
    prefetch += args.prefetch_lines * 64;
    step(0);
    step(1);
    step(2);
    step(3);
    a += 4 * kRows * 4;
    b += 4 * kUnitBytes;
    TCPP_OPAQUE(a);
  }
  for (; u > 0; --u) {
    step(0);
    a += kRows * 4;
    b += kUnitBytes;
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kTileVectors; ++v) V::store(args.tile + r * kPanel + v * V::kWidth, sum[r][v]);
  }
}

template <int kRows = 1>
TCPP_INLINE void bf16_rows(int64_t rows, const Bf16Args& args) {
  if constexpr (kRows < kTileRows) {
    if (rows != kRows) return bf16_rows<kRows + 1>(rows, args);
  }
  bf16_tile<kRows>(args);
}

int64_t bf16_scratch(int64_t, int64_t, int64_t, const GemmWeight&) noexcept { return int64_t{kTileRows} * kPanel; }

void bf16_block(const GemmBlock& g) noexcept {
  const int64_t blocks = block_count(g.rows), units = units_of(g.k), panel_bytes = units * kUnitBytes;
  const int64_t lines = (4 * kUnitBytes / 64 + blocks - 1) / blocks;
  for (int64_t p = 0; p < g.panels; ++p) {
    const char* const panel = static_cast<const char*>(g.b) + p * panel_bytes;
    const char* const next = blocks > 1 ? panel + panel_bytes : panel + kAheadBytes;
    const int64_t column = p * kPanel;
    for (int64_t i = 0; i < blocks; ++i) {
      const int64_t r0 = i * g.rows / blocks, rows = (i + 1) * g.rows / blocks - r0;
      const Epilogue epilogue = epilogue_of(g, r0, rows, column, g.scratch);
      fetch(epilogue);
      bf16_rows(rows, {.a = reinterpret_cast<const char*>(g.a + r0 * units),
                       .b = panel,
                       .units = units,
                       .tile = g.scratch,
                       .prefetch = next + i * lines * 64 * (units / 4),
                       .prefetch_lines = lines});
      finish(g.activation, epilogue);
    }
  }
}

int64_t bf16_peak(int64_t steps, float* sink) noexcept {
  using Reg = V::Reg;
  const int32_t pair = 0x3c003c00;  // two small numbers
  const char* const x = reinterpret_cast<const char*>(&pair);
  const __m512i y = _mm512_set1_epi32(pair);
  Reg s0 = V::set1(0.1f), s1 = V::set1(0.2f), s2 = V::set1(0.3f), s3 = V::set1(0.4f), s4 = V::set1(0.5f),
      s5 = V::set1(0.6f), s6 = V::set1(0.7f), s7 = V::set1(0.8f), s8 = V::set1(0.9f), s9 = V::set1(1.0f);
  for (int64_t i = 0; i < steps; ++i) {
    s0 = D::dot(x, y, s0), s1 = D::dot(x, y, s1), s2 = D::dot(x, y, s2), s3 = D::dot(x, y, s3);
    s4 = D::dot(x, y, s4), s5 = D::dot(x, y, s5), s6 = D::dot(x, y, s6), s7 = D::dot(x, y, s7);
    s8 = D::dot(x, y, s8), s9 = D::dot(x, y, s9);
  }
  const Reg all =
      V::add(V::add(V::add(s0, s1), V::add(s2, s3)), V::add(V::add(V::add(s4, s5), V::add(s6, s7)), V::add(s8, s9)));
  *sink = V::sum(all);
  return steps * 10 * 2 * V::kWidth * 2;
}

}  // namespace

void fill_gemm_bf16(KernelTable& table) noexcept {
  table.gemm[kBf16s] = {.mr = kTileRows,
                        .nr = kPanel,
                        .step = D::kStep,
                        .panel_bytes = bf16_panel_bytes,
                        .most_copied = 512 * 1024 / 4,
                        .copied_once = false,
                        .scratch = bf16_scratch,
                        .copy_floats = bf16_copy_floats,
                        .copy = bf16_copy,
                        .block = bf16_block,
                        .pack = nullptr,
                        .unpack = nullptr,
                        .peak = bf16_peak};
}

}  // namespace TCPP_KERNELS
}  // namespace transformers
