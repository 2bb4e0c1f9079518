// What it is: what AVX-512 BF16 adds to vec_avx512.hpp: two products of bf16 at a time.
// Where it stands: src/kernels; pairs.inl is written over it. Included only by generated translation units.
// Usage: `sum = Bf16Dot::dot(a, b, sum);`
#pragma once

#include "kernels/vec_avx512.hpp"

namespace transformers {
namespace TCPP_KERNELS {
namespace {

struct Bf16Dot {
  // sum + the products of the two bf16 at `a` with the two at b of each lane; the instruction adds one product after
  // the other, each rounded, and takes subnormal numbers for zeros.
  static TCPP_INLINE V::Reg dot(const float* a, V::Reg b, V::Reg sum) {
#if defined(__GNUC__)
    __asm__("vdpbf16ps %1%{1to16%}, %2, %0" : "+v"(sum) : "m"(*a), "v"(b));
    return sum;
#else
    const V::Reg both = V::set1(*a);
    return _mm512_dpbf16_ps(sum, (__m512bh)b, (__m512bh)both);
#endif
  }
  // 32 numbers to nearest even, neighbours sharing a lane: first those of `low`.
  static TCPP_INLINE V::Reg pairs(V::Reg low, V::Reg high) { return (V::Reg)_mm512_cvtne2ps_pbh(high, low); }
  // Lane i holds low[i] and high[i].
  static TCPP_INLINE V::Reg interleave(V::Reg low, V::Reg high) {
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                                           21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_castsi512_ps(_mm512_permutexvar_epi16(order, _mm512_castps_si512(pairs(low, high))));
  }
  // Gives the second number of each lane's pair at `p` what x has there.
  static TCPP_INLINE void store_second(float* p, V::Reg x) {
    _mm512_storeu_ps(p, _mm512_castsi512_ps(_mm512_mask_blend_epi16(0xaaaaaaaau, _mm512_castps_si512(V::load(p)),
                                                                    _mm512_castps_si512(x))));
  }
};

}  // namespace
}  // namespace TCPP_KERNELS
}  // namespace transformers
