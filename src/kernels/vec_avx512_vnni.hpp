// What it is: what AVX-512 VNNI adds to vec_avx512.hpp: four products of bytes at a time.
// Where it stands: src/kernels; gemm_int.inl is written over it. Included only by generated translation units.
// Usage: `sum = VnniDot::dot(a, VnniDot::load(b), sum);`
#pragma once

#include "kernels/vec_avx512.hpp"

#define TCPP_DOT VnniDot

namespace transformers {
namespace TCPP_KERNELS {
namespace {

// See Dot.
struct VnniDot {
  using Acc = __m512i;
  using Word = __m512i;
  using Element = int8_t;
  static constexpr int kStep = 4;
  static constexpr int kTileRows = 7;
  static constexpr bool kSumsInRegisters = true;

  static TCPP_INLINE Acc zero() { return _mm512_setzero_si512(); }
  static TCPP_INLINE Acc set1(int32_t x) { return _mm512_set1_epi32(x); }
  static TCPP_INLINE Word load(const char* p) { return _mm512_loadu_si512(p); }
  static TCPP_INLINE Word low_half(Word x) { return _mm512_and_si512(x, _mm512_set1_epi8(15)); }
  static TCPP_INLINE Word high_half(Word x) { return low_half(_mm512_srli_epi16(x, 4)); }
  static TCPP_INLINE void store_word(char* p, Word x) { _mm512_storeu_si512(p, x); }
  // The activations are broadcast by the instruction itself, see V::fma_broadcast.
  static TCPP_INLINE Acc dot(const char* a, Word b, Acc sum) {
#if defined(__GNUC__)
    __asm__("vpdpbusd %1%{1to16%}, %2, %0" : "+v"(sum) : "m"(*reinterpret_cast<const int32_t*>(a)), "v"(b));
    return sum;
#else
    return _mm512_dpbusd_epi32(sum, b, _mm512_set1_epi32(*reinterpret_cast<const int32_t*>(a)));
#endif
  }
  // Two int16 of each lane at b, and sum + their products with the two at `a`.
  using Pairs = __m512i;
  static TCPP_INLINE Pairs load_pairs(const char* b) { return _mm512_loadu_si512(b); }
  static TCPP_INLINE Acc dot_pairs(const char* a, Pairs b, Acc sum) {
    return _mm512_dpwssd_epi32(sum, b, _mm512_set1_epi32(*reinterpret_cast<const int32_t*>(a)));
  }
  static TCPP_INLINE V::Reg to_float(Acc x) { return _mm512_cvtepi32_ps(x); }
  static TCPP_INLINE Acc round(V::Reg x) { return Dot::round(x); }
  static TCPP_INLINE Acc add(Acc a, Acc b) { return Dot::add(a, b); }
  static TCPP_INLINE void store_sums(int32_t* to, const Acc (&x)[4]) { Dot::store_sums(to, x); }
  static TCPP_INLINE Acc store_sum(Element* p, const Acc (&x)[4], Acc sum) {
    const __m512i ab = _mm512_packs_epi32(x[0], x[1]), cd = _mm512_packs_epi32(x[2], x[3]);
    const __m512i y = _mm512_packs_epi16(ab, cd);  // saturated; each quarter has a unit of every vector
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    _mm512_storeu_si512(p, _mm512_permutexvar_epi32(order, y));
    return _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(1), y);
  }
  static TCPP_INLINE void store(Element* p, int64_t, Acc x) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(x));
  }
};

}  // namespace
}  // namespace TCPP_KERNELS
}  // namespace transformers
