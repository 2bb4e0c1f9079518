// What it is: what AVX-512 BF16 adds to vec_avx512.hpp: two products of bf16 at a time.
// Where it stands: src/kernels; gemm_bf16.inl is written over it. Included only by generated translation units.
// Usage: `sum = Bf16Dot::dot(a, b, sum);`
#pragma once

#include "kernels/vec_avx512.hpp"

namespace transformers {
namespace TCPP_KERNELS {
namespace {

struct Bf16Dot {
  static constexpr int kStep = 2;

  // sum + the products of the two bf16 at `a` with the two at b of each lane; the instruction adds one product after
  // the other, each rounded, and takes subnormal numbers for zeros.
  static TCPP_INLINE V::Reg dot(const char* a, __m512i b, V::Reg sum) {
#if defined(__GNUC__)
    __asm__("vdpbf16ps %1%{1to16%}, %2, %0" : "+v"(sum) : "m"(*reinterpret_cast<const int32_t*>(a)), "v"(b));
    return sum;
#else
    return _mm512_dpbf16_ps(sum, (__m512bh)b, (__m512bh)_mm512_set1_epi32(*reinterpret_cast<const int32_t*>(a)));
#endif
  }
  static TCPP_INLINE __m512i load(const char* p) { return _mm512_loadu_si512(p); }
  // kWidth numbers that round_bf16 has rounded, as bf16.
  static TCPP_INLINE void store(uint16_t* p, V::Reg x) {
    const __m512i high = _mm512_srli_epi32(_mm512_castps_si512(x), 16);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(high));
  }
};

}  // namespace
}  // namespace TCPP_KERNELS
}  // namespace transformers
