// What it is: products of bf16 by the processor's own instruction for it: micro.inl with pairs of neighbouring k in
//   place of floats.
// Where it stands: src/kernels; gemm_bf16.inl and attention_bf16.inl are written over it.
// Usage: `copy_pairs(x, k, rows, quads);  micro_pairs(rows, {.a = quads, .b = panel, .k = pairs_of(k), ...});`
#pragma once

#include "kernels/micro.inl"

namespace transformers {
namespace TCPP_KERNELS {
namespace {

using D = Bf16Dot;

constexpr int64_t pairs_of(int64_t k) { return (k + 1) / 2; }

struct Pairs {
  static constexpr int64_t kBytes = 4;
  static TCPP_INLINE V::Reg load(const char* p) { return V::load(reinterpret_cast<const float*>(p)); }
  static TCPP_INLINE V::Reg multiply_add(const float* a, V::Reg row, V::Reg sum) { return D::dot(a, row, sum); }
};

// 1 <= rows <= kTileRows
inline void micro_pairs(int64_t rows, const MicroArgs& args) { micro_rows<Pairs, true, kTileRows>(rows, args); }

// The first n of 32 numbers as pairs, zeros beyond.
TCPP_INLINE V::Reg load_pairs(const float* from, int64_t n) {
  constexpr int64_t kW = V::kWidth;
  if (n >= 2 * kW) return D::pairs(V::load(from), V::load(from + kW));
  if (n >= kW) return D::pairs(V::load(from), V::load_partial(from + kW, n - kW));
  return D::pairs(V::load_partial(from, n), V::zero());
}

// copy_row() of pairs.
inline void copy_pairs(const float* from, int64_t k, int64_t rows, float* to) {
  constexpr int64_t kW = V::kWidth;
  for (int64_t i = 0; i < k; i += 2 * kW) {
    const int64_t n = k - i < 2 * kW ? k - i : 2 * kW;
    V::store_quads(to + i / 2 * rows, 4 * rows, quads_of(pairs_of(n)), load_pairs(from + i, n));
  }
}

}  // namespace
}  // namespace TCPP_KERNELS
}  // namespace transformers
