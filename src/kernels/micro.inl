// What it is: the innermost loop of every product: a few rows of A times one panel of B, accumulated in registers.
// Where it stands: src/kernels; gemm.inl and attention.inl are loops around it.
// Usage: `micro(rows, {.a = quads, .b = panel, .k = k, .tile = tile, .ldt = kPanel, ...});`
// Source: Goto & van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008), for the shape of the tile.
//   Each output is one chain of multiply-adds in the order of k, whatever the number of rows: no sum is ever split.
#pragma once

#include "kernels/kernel_table.hpp"

// Hides from the compiler how a pointer was computed.
#if defined(__GNUC__)
#define TCPP_OPAQUE(pointer) __asm__("" : "+r"(pointer))
#else
#define TCPP_OPAQUE(pointer) (void)0
#endif

namespace transformers {
namespace TCPP_KERNELS {
namespace {

constexpr int kTileRows = V::kTileRows;
constexpr int kTileVectors = V::kTileVectors;
constexpr int kPanel = V::kWidth * kTileVectors;  // columns of C, rows of the weight

// Rows of A are read where they are when there are at most this many. More are first copied, in pieces of at most
// kPiece steps of k, to quads: four steps of k of the first row, the same four of the second, ... of the last, the next
// four of the first. A tile then reads one stream through one pointer with short offsets, whatever the row stride was.
constexpr int64_t kDirectRows = 7;
constexpr int64_t kPiece = 384;

struct MicroArgs {
  const float* a;  // [rows, k]; for micro() in quads
  int64_t lda;     // unused by micro()
  const void* b;   // [k, kPanel]
  int64_t k;
  float* tile;  // [rows, kPanel]
  int64_t ldt;
  bool accumulate;  // continue from what `tile` holds
  // For every four steps of k, `prefetch_lines` cache lines from here on are fetched for later.
  const char* prefetch;
  int64_t prefetch_lines;
};

template <int kWeight>
constexpr int64_t kWeightBytes = kWeight == kWeightF32 ? 4 : 2;

template <int kWeight>
TCPP_INLINE V::Reg load_weight(const char* p) {
  if constexpr (kWeight == kWeightF32) {
    return V::load(reinterpret_cast<const float*>(p));
  } else if constexpr (kWeight == kWeightF16) {
    return V::load_f16(p);
  } else {
    return V::load_bf16(p);
  }
}

// What the numbers of a panel are: how a vector of them is read, and multiplied by one of A.
template <int kWeight>
struct FloatsOf {
  static constexpr int64_t kBytes = kWeightBytes<kWeight>;
  static TCPP_INLINE V::Reg load(const char* p) { return load_weight<kWeight>(p); }
  static TCPP_INLINE V::Reg multiply_add(const float* a, V::Reg row, V::Reg sum) {
    return V::fma_broadcast(a, row, sum);
  }
};

constexpr int64_t quads_of(int64_t k) { return (k + 3) / 4; }

// One row, k numbers, of a tile of `rows` rows in quads, zeros beyond k; `to` is the row's first quad.
inline void copy_row(const float* from, int64_t k, int64_t rows, float* to) {
  int64_t i = 0;
  for (; i + V::kWidth <= k; i += V::kWidth) V::store_quads(to + i * rows, 4 * rows, V::kWidth / 4, V::load(from + i));
  if (i < k) V::store_quads(to + i * rows, 4 * rows, quads_of(k - i), V::load_partial(from + i, k - i));
}

template <int kRows, class Numbers, bool kCopied>
void micro_tile(const MicroArgs& args) {
  using Reg = V::Reg;
  constexpr int64_t kStep = kPanel * Numbers::kBytes;
  // Uncopied rows: one pointer for every three, the other two by index, so that registers suffice.
  constexpr int kBases = kCopied ? 1 : (kRows + 2) / 3;
  const int64_t stride = args.lda * 4;
  const char* a[kBases];
  for (int i = 0; i < kBases; ++i) a[i] = reinterpret_cast<const char*>(args.a) + 3 * i * stride;
  const char* b = static_cast<const char*>(args.b);
  const char* prefetch = args.prefetch;
  const int64_t lines = args.prefetch_lines;
  Reg sum[kRows][kTileVectors];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kTileVectors; ++v) {
      sum[r][v] = args.accumulate ? V::load(args.tile + r * args.ldt + v * V::kWidth) : V::zero();
    }
  }
  const auto step = [&](int64_t i) __attribute__((always_inline)) {
    Reg row[kTileVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kTileVectors; ++v) {
      row[v] = Numbers::load(b + i * kStep + v * V::kWidth * Numbers::kBytes);
    }
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      if constexpr (kCopied) {
        const float* x = reinterpret_cast<const float*>(a[0]) + r * 4 + i;
#pragma GCC unroll 4
        for (int v = 0; v < kTileVectors; ++v) sum[r][v] = Numbers::multiply_add(x, row[v], sum[r][v]);
      } else {
        const Reg x = V::set1(*reinterpret_cast<const float*>(a[r / 3] + r % 3 * stride + i * 4));
#pragma GCC unroll 4
        for (int v = 0; v < kTileVectors; ++v) sum[r][v] = V::fma(x, row[v], sum[r][v]);
      }
    }
  };
  const auto advance = [&](int64_t steps) __attribute__((always_inline)) {
    b += steps * kStep;
#pragma GCC unroll 8
    for (int i = 0; i < kBases; ++i) {
      a[i] += kCopied && steps == 4 ? kRows * 16 : steps * 4;
      // Left to itself the compiler keeps a pointer per row and spills them all.
      TCPP_OPAQUE(a[i]);
    }
  };
  int64_t k = args.k;
  for (; k >= 4; k -= 4) {
    for (int64_t line = 0; line < lines; ++line) V::prefetch(prefetch + line * 64);
    prefetch += lines * 64;
    step(0);
    step(1);
    step(2);
    step(3);
    advance(4);
  }
  for (; k > 0; --k) {
    step(0);
    advance(1);
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kTileVectors; ++v) V::store(args.tile + r * args.ldt + v * V::kWidth, sum[r][v]);
  }
}

template <class Numbers, bool kCopied, int kMost, int kRows = 1>
TCPP_INLINE void micro_rows(int64_t rows, const MicroArgs& args) {
  if constexpr (kRows < kMost) {
    if (rows != kRows) return micro_rows<Numbers, kCopied, kMost, kRows + 1>(rows, args);
  }
  micro_tile<kRows, Numbers, kCopied>(args);
}

// Rows in quads, a float32 panel. 1 <= rows <= kTileRows
inline void micro(int64_t rows, const MicroArgs& args) {
  micro_rows<FloatsOf<kWeightF32>, true, kTileRows>(rows, args);
}

// Rows anywhere, any weight. 1 <= rows <= both kTileRows and kDirectRows
inline void micro_direct(int weight, int64_t rows, const MicroArgs& args) {
  constexpr int kMost = kTileRows < kDirectRows ? kTileRows : kDirectRows;
  switch (weight) {
    case kWeightF32:
      return micro_rows<FloatsOf<kWeightF32>, false, kMost>(rows, args);
    case kWeightF16:
      return micro_rows<FloatsOf<kWeightF16>, false, kMost>(rows, args);
    default:
      return micro_rows<FloatsOf<kWeightBf16>, false, kMost>(rows, args);
  }
}

}  // namespace
}  // namespace TCPP_KERNELS
}  // namespace transformers
