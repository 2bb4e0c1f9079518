// What it is: one block of c = activation(a b^T + bias) + residual: some rows times some panels, by one thread.
// Where it stands: src/kernels; gemm.cpp cuts the product into such blocks. Arithmetic in float32, over any weights but
//   integers; also that of bf16 where an ISA has no instruction for it: A is rounded when it is copied.
// Usage: fill_gemm(table) puts it into the table of its ISA.
// Source: Goto & van de Geijn (2008): panels of B pass through, the rows of A stay in the second-level cache.
#include "kernels/epilogue.inl"
#include "kernels/kernel_table.hpp"
#include "kernels/math.inl"
#include "kernels/micro.inl"
#include "kernels/widen.inl"

namespace transformers {
namespace TCPP_KERNELS {
namespace {

constexpr int64_t kTileFloats = int64_t{kTileRows} * kPanel;
constexpr int64_t kAhead = 4096;  // bytes

int64_t row_blocks(int64_t rows) { return (rows + kTileRows - 1) / kTileRows; }

// Many rows: k in equal pieces of at most kPiece, each but the last a multiple of four, or in one when there would be
// two and they are used often. Few rows: one piece.
int64_t piece_of(int64_t rows, int64_t k) {
  const int64_t whole = rows > 2 * kTileRows ? 2 * kPiece : kPiece;
  if (k <= whole || rows <= kDirectRows) return k > 0 ? k : 1;
  const int64_t pieces = (k + kPiece - 1) / kPiece;
  return ((k + pieces - 1) / pieces + 3) / 4 * 4;
}

int64_t panel_bytes(int64_t k, const GemmWeight& weight) noexcept {
  return k * kPanel * (weight.kind == kWeightF32 ? 4 : 2);
}

int64_t gemm_scratch(int64_t rows, int64_t panels, int64_t k, const GemmWeight& weight) noexcept {
  const int64_t piece = piece_of(rows, k);
  const int64_t tiles = piece < k ? row_blocks(rows) * panels : 1;
  return tiles * kTileFloats + (weight.kind != kWeightF32 && rows > kDirectRows ? piece * kPanel : 0);
}

// What a block of rows needs of a copy: its pieces of k one after the other, in each the tiles' rows as quads. Few rows
// need none, unless they have to be rounded: dense rows then.
int64_t gemm_copy_floats(int64_t rows, int64_t k, const GemmWeight& weight) noexcept {
  if (rows > kDirectRows) return rows * quads_of(k) * 4;
  return weight.kind == kWeightBf16Dot ? rows * k : 0;
}

void gemm_copy(const float* a, int64_t lda, int64_t rows, int64_t k, const GemmWeight& weight, float* to) noexcept {
  float* const copy = to;
  const int64_t piece = piece_of(rows, k), blocks = row_blocks(rows);
  if (rows <= kDirectRows) {
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t i = 0; i < k; ++i) to[r * k + i] = a[r * lda + i];
    }
  } else {
    for (int64_t k0 = 0; k0 < k; k0 += piece) {
      const int64_t kn = k - k0 < piece ? k - k0 : piece;
      for (int64_t i = 0; i < blocks; ++i) {
        const int64_t r0 = i * rows / blocks, r1 = (i + 1) * rows / blocks;
        for (int64_t r = r0; r < r1; ++r) copy_row(a + r * lda + k0, kn, r1 - r0, to + 4 * (r - r0));
        to += (r1 - r0) * quads_of(kn) * 4;
      }
    }
  }
  if (weight.kind != kWeightBf16Dot) return;
  const int64_t count = gemm_copy_floats(rows, k, weight);
  int64_t i = 0;
  for (; i + V::kWidth <= count; i += V::kWidth) V::store(copy + i, V::round_bf16(V::load(copy + i)));
  if (i < count) V::store_partial(copy + i, count - i, V::round_bf16(V::load_partial(copy + i, count - i)));
}

void gemm_block(const GemmBlock& g) noexcept {
  const int64_t blocks = row_blocks(g.rows), piece = piece_of(g.rows, g.k);
  const int64_t element = g.weight.kind == kWeightF32 ? 4 : 2, panel_bytes = g.k * kPanel * element;
  const bool one_piece = piece >= g.k, direct = g.rows <= kDirectRows;
  const bool widen_first = g.weight.kind != kWeightF32 && !direct;
  float* const widened = g.scratch + (one_piece ? 1 : blocks * g.panels) * kTileFloats;
  // While a piece of a panel is multiplied, the next one comes into the cache, each block of rows fetching its share.
  // With one block the piece itself comes straight from memory, so what is fetched is what this block will read a
  // little later.
  const int64_t lines = ((4 * kPanel * element + 63) / 64 + blocks - 1) / blocks;

  for (int64_t k0 = 0; k0 < g.k || k0 == 0; k0 += piece) {
    const int64_t kn = g.k - k0 < piece ? g.k - k0 : piece;
    const bool last = k0 + kn >= g.k;
    const float* const a = direct ? g.a + k0 : g.a + k0 * g.rows;
    const int64_t lda = direct && g.weight.kind == kWeightBf16Dot ? g.k : g.lda;
    const int64_t row_step = direct ? lda : quads_of(kn) * 4;
    for (int64_t p = 0; p < g.panels; ++p) {
      const char* const b = static_cast<const char*>(g.b) + p * panel_bytes + k0 * kPanel * element;
      const char* next = b + kAhead;
      if (blocks > 1) {
        next = p + 1 < g.panels ? b + panel_bytes : b + kn * kPanel * element - p * panel_bytes;
        if (p + 1 == g.panels && last) next = b + kn * kPanel * element;
      }
      const void* operand = b;
      if (widen_first) {
        widen_any(g.weight.kind, b, kn * kPanel, false, widened);
        operand = widened;
      }
      const int64_t column = p * kPanel;
      for (int64_t i = 0; i < blocks; ++i) {
        const int64_t r0 = i * g.rows / blocks, r1 = (i + 1) * g.rows / blocks;
        float* const tile = g.scratch + (one_piece ? 0 : (p * blocks + i) * kTileFloats);
        const MicroArgs args = {.a = a + r0 * row_step,
                                .lda = lda,
                                .b = operand,
                                .k = kn,
                                .tile = tile,
                                .ldt = kPanel,
                                .accumulate = k0 > 0,
                                .prefetch = next + i * lines * 64 * (kn / 4),
                                .prefetch_lines = lines};
        const Epilogue epilogue = epilogue_of(g, r0, r1 - r0, column, tile);
        if (last) fetch(epilogue);
        if (direct) {
          micro_direct(g.weight.kind, r1 - r0, args);
        } else {
          micro(r1 - r0, args);
        }
        if (last) {
          finish(g.activation, epilogue);
        }
      }
    }
  }
}

int64_t peak(int64_t steps, float* sink) noexcept {
  using Reg = V::Reg;
  const Reg x = V::set1(0.999999f), y = V::set1(1e-6f);
  Reg s0 = V::set1(0.1f), s1 = V::set1(0.2f), s2 = V::set1(0.3f), s3 = V::set1(0.4f), s4 = V::set1(0.5f),
      s5 = V::set1(0.6f), s6 = V::set1(0.7f), s7 = V::set1(0.8f), s8 = V::set1(0.9f), s9 = V::set1(1.0f);
  for (int64_t i = 0; i < steps; ++i) {
    s0 = V::fma(s0, x, y), s1 = V::fma(s1, x, y), s2 = V::fma(s2, x, y), s3 = V::fma(s3, x, y);
    s4 = V::fma(s4, x, y), s5 = V::fma(s5, x, y), s6 = V::fma(s6, x, y), s7 = V::fma(s7, x, y);
    s8 = V::fma(s8, x, y), s9 = V::fma(s9, x, y);
  }
  const Reg all =
      V::add(V::add(V::add(s0, s1), V::add(s2, s3)), V::add(V::add(V::add(s4, s5), V::add(s6, s7)), V::add(s8, s9)));
  *sink = V::sum(all);
  return steps * 10 * 2 * V::kWidth;
}

}  // namespace

void fill_gemm(KernelTable& table) noexcept {
  table.gemm[kFloats] = {.mr = kTileRows,
                         .nr = kPanel,
                         .step = 1,
                         .panel_bytes = panel_bytes,
                         .most_copied = 0,
                         .copied_once = false,
                         .scratch = gemm_scratch,
                         .copy_floats = gemm_copy_floats,
                         .copy = gemm_copy,
                         .block = gemm_block,
                         .pack = nullptr,
                         .unpack = nullptr,
                         .peak = peak};
  table.gemm[kBf16s] = table.gemm[kFloats];
}

}  // namespace TCPP_KERNELS
}  // namespace transformers
