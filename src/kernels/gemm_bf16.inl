// What it is: one block of c = activation(a b^T + bias) + residual with both operands in bf16, by the processor's own
//   instruction for it.
// Where it stands: src/kernels; beside gemm.inl, over pairs.inl.
// Usage: fill_gemm_bf16(table) puts it into the table of its ISA.
#include "kernels/epilogue.inl"
#include "kernels/kernel_table.hpp"
#include "kernels/pairs.inl"

namespace transformers {
namespace TCPP_KERNELS {
namespace {

constexpr int64_t kPairBytes = kPanel * Pairs::kBytes;  // of a panel
constexpr int64_t kAheadBytes = 4096;

int64_t block_count(int64_t rows) { return (rows + kTileRows - 1) / kTileRows; }

int64_t bf16_panel_bytes(int64_t k, const GemmWeight&) noexcept { return pairs_of(k) * kPairBytes; }

// The copy of a row, in floats.
int64_t copied_row(int64_t k) { return quads_of(pairs_of(k)) * 4; }
int64_t bf16_copy_floats(int64_t rows, int64_t k, const GemmWeight&) noexcept { return rows * copied_row(k); }

void bf16_copy(const float* a, int64_t lda, int64_t rows, int64_t k, const GemmWeight&, float* to) noexcept {
  const int64_t blocks = block_count(rows);
  for (int64_t b = 0; b < blocks; ++b) {
    const int64_t r0 = b * rows / blocks, count = (b + 1) * rows / blocks - r0;
    for (int64_t r = 0; r < count; ++r) copy_pairs(a + (r0 + r) * lda, k, count, to + r0 * copied_row(k) + 4 * r);
  }
}

int64_t bf16_scratch(int64_t, int64_t, int64_t, const GemmWeight&) noexcept { return int64_t{kTileRows} * kPanel; }

void bf16_block(const GemmBlock& g) noexcept {
  const int64_t blocks = block_count(g.rows), pairs = pairs_of(g.k), panel_bytes = pairs * kPairBytes;
  const int64_t lines = (4 * kPairBytes / 64 + blocks - 1) / blocks;
  for (int64_t p = 0; p < g.panels; ++p) {
    const char* const panel = static_cast<const char*>(g.b) + p * panel_bytes;
    const char* const next = blocks > 1 ? panel + panel_bytes : panel + kAheadBytes;
    const int64_t column = p * kPanel;
    for (int64_t i = 0; i < blocks; ++i) {
      const int64_t r0 = i * g.rows / blocks, rows = (i + 1) * g.rows / blocks - r0;
      const Epilogue epilogue = epilogue_of(g, r0, rows, column, g.scratch);
      fetch(epilogue);
      micro_pairs(rows, {.a = g.a + r0 * copied_row(g.k),
                         .lda = 0,
                         .b = panel,
                         .k = pairs,
                         .tile = g.scratch,
                         .ldt = kPanel,
                         .accumulate = false,
                         .prefetch = next + i * lines * 64 * (pairs / 4),
                         .prefetch_lines = lines});
      finish(g.activation, epilogue);
    }
  }
}

int64_t bf16_peak(int64_t steps, float* sink) noexcept {
  using Reg = V::Reg;
  const float x[1] = {V::first(D::pairs(V::set1(0.0078125f), V::set1(0.0078125f)))};
  const Reg y = V::set1(*x);
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
                        .step = 2,
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
