// What it is: the vector primitives for AVX-512 (F, BW, DQ, VL): 16 floats, masked tails.
// Where it stands: src/kernels; the *.inl algorithms are written over `V`. Included only by generated translation
// units. Usage: `V::store(y, V::fma(V::load(x), V::set1(2.0f), V::load(y)));`
#pragma once

// GCC 12 takes the undefined pass-through operands of its own intrinsics for mistakes (its bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#else
#include <immintrin.h>
#endif

#include <cstddef>
#include <cstdint>

#define TCPP_INLINE inline __attribute__((always_inline))

namespace transformers {
namespace TCPP_KERNELS {
namespace {

struct V {
  using Reg = __m512;
  static constexpr int kWidth = 16;
  // The micro-kernel's tile: 14 rows x 2 vectors, 28 of the 32 registers; the rest hold the panel's row and a
  // broadcast.
  static constexpr int kTileRows = 14;
  static constexpr int kTileVectors = 2;

  static TCPP_INLINE Reg zero() { return _mm512_setzero_ps(); }
  static TCPP_INLINE Reg set1(float x) { return _mm512_set1_ps(x); }
  static TCPP_INLINE Reg load(const float* p) { return _mm512_loadu_ps(p); }
  static TCPP_INLINE void store(float* p, Reg x) { _mm512_storeu_ps(p, x); }
  // The first n lanes, 0 <= n <= kWidth; the others read as zero and are not written.
  static TCPP_INLINE Reg load_partial(const float* p, int64_t n) { return _mm512_maskz_loadu_ps(mask(n), p); }
  static TCPP_INLINE void store_partial(float* p, int64_t n, Reg x) { _mm512_mask_storeu_ps(p, mask(n), x); }
  static TCPP_INLINE Reg load_f16(const void* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(p)));
  }
  static TCPP_INLINE Reg load_bf16(const void* p) {
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(static_cast<const __m256i*>(p)));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
  }

  static TCPP_INLINE Reg fma(Reg a, Reg b, Reg c) { return _mm512_fmadd_ps(a, b, c); }
  // *p * b + c for one float p, broadcast by the instruction itself: one operation to decode and issue instead of two.
  // That is worth 20% when another thread shares the core. Compilers split it when p is used more than once.
  static TCPP_INLINE Reg fma_broadcast(const float* p, Reg b, Reg c) {
#if defined(__GNUC__)
    __asm__("vfmadd231ps %1%{1to16%}, %2, %0" : "+v"(c) : "m"(*p), "v"(b));
    return c;
#else
    return _mm512_fmadd_ps(_mm512_set1_ps(*p), b, c);
#endif
  }
  static TCPP_INLINE Reg fnma(Reg a, Reg b, Reg c) { return _mm512_fnmadd_ps(a, b, c); }
  static TCPP_INLINE Reg add(Reg a, Reg b) { return _mm512_add_ps(a, b); }
  static TCPP_INLINE Reg sub(Reg a, Reg b) { return _mm512_sub_ps(a, b); }
  static TCPP_INLINE Reg mul(Reg a, Reg b) { return _mm512_mul_ps(a, b); }
  static TCPP_INLINE Reg div(Reg a, Reg b) { return _mm512_div_ps(a, b); }
  static TCPP_INLINE Reg sqrt(Reg a) { return _mm512_sqrt_ps(a); }
  // Where either is NaN, b.
  static TCPP_INLINE Reg min(Reg a, Reg b) { return _mm512_min_ps(a, b); }
  static TCPP_INLINE Reg max(Reg a, Reg b) { return _mm512_max_ps(a, b); }
  static TCPP_INLINE Reg abs(Reg a) { return _mm512_abs_ps(a); }
  static TCPP_INLINE Reg negate(Reg a) { return _mm512_xor_ps(a, _mm512_set1_ps(-0.0f)); }
  static TCPP_INLINE Reg copysign(Reg magnitude, Reg sign) {
    const Reg bit = _mm512_set1_ps(-0.0f);
    return _mm512_or_ps(_mm512_andnot_ps(bit, magnitude), _mm512_and_ps(bit, sign));
  }
  // a < b ? x : y
  static TCPP_INLINE Reg select_less(Reg a, Reg b, Reg x, Reg y) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), y, x);
  }
  // Is a >= b, or either NaN, in any lane?
  static TCPP_INLINE bool any_not_below(Reg a, Reg b) { return _mm512_cmp_ps_mask(a, b, _CMP_NLT_UQ) != 0; }
  static TCPP_INLINE Reg round(Reg a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  // a * 2^n for an integral n in [-126, 127].
  static TCPP_INLINE Reg scale_by_power(Reg a, Reg n) { return _mm512_scalef_ps(a, n); }
  // The first n lanes of a, the others of b.
  static TCPP_INLINE Reg keep(Reg a, int64_t n, Reg b) { return _mm512_mask_blend_ps(mask(n), b, a); }
  static TCPP_INLINE float first(Reg a) { return _mm512_cvtss_f32(a); }
  static TCPP_INLINE float sum(Reg a) { return _mm512_reduce_add_ps(a); }
  static TCPP_INLINE float largest(Reg a) { return _mm512_reduce_max_ps(a); }

  // The greater by the bits of a, not negative, and b: NaN is above infinity.
  static TCPP_INLINE Reg above(Reg a, Reg b) {
    return _mm512_castsi512_ps(_mm512_max_epi32(_mm512_castps_si512(a), _mm512_castps_si512(b)));
  }
  // The largest lane of each of four by the bits, none negative.
  static TCPP_INLINE void store_largest(float* to, const Reg (&x)[4]) {
    const auto cast = [](Reg y) __attribute__((always_inline)) { return _mm512_castps_si512(y); };
    const auto larger = [](__m512i a, __m512i b) __attribute__((always_inline)) { return _mm512_max_epi32(a, b); };
    const __m512i y = fold(cast(x[0]), cast(x[1]), cast(x[2]), cast(x[3]), larger);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_castsi512_si128(y));
  }
  // `join` over the lanes of each of four: four results, in every quarter.
  template <class Join>
  static TCPP_INLINE __m512i fold(__m512i a, __m512i b, __m512i c, __m512i d, Join join) {
    const __m512i ab = join(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    const __m512i cd = join(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    __m512i y = join(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    y = join(y, _mm512_shuffle_i64x2(y, y, 0x4e));
    return join(y, _mm512_shuffle_i64x2(y, y, 0xb1));
  }

  // The first `quads` groups of four lanes, `stride` floats apart.
  static TCPP_INLINE void store_quads(float* to, int64_t stride, int64_t quads, Reg x) {
    _mm_storeu_ps(to, _mm512_castps512_ps128(x));
    if (quads > 1) _mm_storeu_ps(to + stride, _mm512_extractf32x4_ps(x, 1));
    if (quads > 2) _mm_storeu_ps(to + 2 * stride, _mm512_extractf32x4_ps(x, 2));
    if (quads > 3) _mm_storeu_ps(to + 3 * stride, _mm512_extractf32x4_ps(x, 3));
  }
  // kWidth columns of `rows` <= kWidth rows of `from` become kWidth rows of kWidth columns of `to`, zeros for the rows
  // that are missing.
  static TCPP_INLINE void transpose(const float* from, int64_t from_stride, int64_t rows, float* to,
                                    int64_t to_stride) {
    Reg x[16], y[16];
    for (int i = 0; i < 16; ++i) x[i] = i < rows ? load(from + i * from_stride) : zero();
    for (int i = 0; i < 16; i += 2) {
      y[i] = _mm512_unpacklo_ps(x[i], x[i + 1]);
      y[i + 1] = _mm512_unpackhi_ps(x[i], x[i + 1]);
    }
    // x[4g + c]: column c of every 128-bit lane, rows 4g ... 4g + 3
    for (int i = 0; i < 16; i += 4) {
      x[i] = _mm512_shuffle_ps(y[i], y[i + 2], 0x44);
      x[i + 1] = _mm512_shuffle_ps(y[i], y[i + 2], 0xee);
      x[i + 2] = _mm512_shuffle_ps(y[i + 1], y[i + 3], 0x44);
      x[i + 3] = _mm512_shuffle_ps(y[i + 1], y[i + 3], 0xee);
    }
    for (int c = 0; c < 4; ++c) {
      y[c] = _mm512_shuffle_f32x4(x[c], x[c + 4], 0x88);
      y[c + 4] = _mm512_shuffle_f32x4(x[c], x[c + 4], 0xdd);
      y[c + 8] = _mm512_shuffle_f32x4(x[c + 8], x[c + 12], 0x88);
      y[c + 12] = _mm512_shuffle_f32x4(x[c + 8], x[c + 12], 0xdd);
    }
    for (int c = 0; c < 4; ++c) {
      store(to + c * to_stride, _mm512_shuffle_f32x4(y[c], y[c + 8], 0x88));
      store(to + (c + 8) * to_stride, _mm512_shuffle_f32x4(y[c], y[c + 8], 0xdd));
      store(to + (c + 4) * to_stride, _mm512_shuffle_f32x4(y[c + 4], y[c + 12], 0x88));
      store(to + (c + 12) * to_stride, _mm512_shuffle_f32x4(y[c + 4], y[c + 12], 0xdd));
    }
  }

  // To bf16 by rounding to nearest even, as the float32 of the same value; NaN stays NaN.
  static TCPP_INLINE Reg round_bf16(Reg x) {
    const __m512i bits = _mm512_castps_si512(x);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i up = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    const __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
    const __m512i rounded = _mm512_mask_blend_epi32(_mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), up, quiet);
    return _mm512_castsi512_ps(_mm512_and_si512(rounded, _mm512_set1_epi32(-0x10000)));
  }

  // Into the first-level cache.
  static TCPP_INLINE void prefetch_near(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0); }
  // Into the second-level cache.
  static TCPP_INLINE void prefetch(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T1); }

 private:
  static TCPP_INLINE __mmask16 mask(int64_t n) { return static_cast<__mmask16>((1u << n) - 1u); }
};

// Products of unsigned weights and int8 activations, summed in int32: two neighbouring k at a time, widened to 16 bits.
struct Dot {
  using Acc = __m512i;      // kWidth sums
  using Word = __m512i;     // kWidth * kStep weights
  using Element = int16_t;  // of A
  static constexpr int kStep = 2;
  static constexpr int kTileRows = 7;
  static constexpr bool kSumsInRegisters = true;

  static TCPP_INLINE Acc zero() { return _mm512_setzero_si512(); }
  static TCPP_INLINE Acc set1(int32_t x) { return _mm512_set1_epi32(x); }
  static TCPP_INLINE Word load(const char* p) {
    return _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  // The low and the high four bits of each byte.
  static TCPP_INLINE Word low_half(Word x) { return _mm512_and_si512(x, _mm512_set1_epi16(15)); }
  static TCPP_INLINE Word high_half(Word x) { return _mm512_srli_epi16(x, 4); }
  static TCPP_INLINE void store_word(char* p, Word x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi16_epi8(x));
  }
  // sum + the products of the kStep activations at `a` with each lane's weights.
  static TCPP_INLINE Acc dot(const char* a, Word b, Acc sum) {
    const __m512i x = _mm512_broadcastd_epi32(_mm_loadu_si32(a));
    return _mm512_add_epi32(sum, _mm512_madd_epi16(b, x));
  }
  // Two int16 of each lane at b, and sum + their products with the two at `a`.
  using Pairs = __m512i;
  static TCPP_INLINE Pairs load_pairs(const char* b) { return _mm512_loadu_si512(b); }
  static TCPP_INLINE Acc dot_pairs(const char* a, Pairs b, Acc sum) { return dot(a, b, sum); }
  static TCPP_INLINE V::Reg to_float(Acc x) { return _mm512_cvtepi32_ps(x); }
  // To nearest even.
  static TCPP_INLINE Acc round(V::Reg x) { return _mm512_cvtps_epi32(x); }
  static TCPP_INLINE Acc add(Acc a, Acc b) { return _mm512_add_epi32(a, b); }
  // The sum of the lanes of each of four.
  static TCPP_INLINE void store_sums(int32_t* to, const Acc (&x)[4]) {
    const __m512i y = V::fold(x[0], x[1], x[2], x[3], add);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_castsi512_si128(y));
  }
  // Four times kWidth elements of A, at most 127, on from p; `sum` and they, in whatever lanes.
  static TCPP_INLINE Acc store_sum(Element* p, const Acc (&x)[4], Acc sum) {
    for (int j = 0; j < 4; ++j) {
      const Acc y = _mm512_min_epi32(x[j], _mm512_set1_epi32(127));
      sum = add(sum, y);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + j * V::kWidth), _mm512_cvtepi32_epi16(y));
    }
    return sum;
  }
  // kWidth elements of A, those beyond four units `stride` elements on.
  static TCPP_INLINE void store(Element* p, int64_t stride, Acc x) {
    const __m256i packed = _mm512_cvtepi32_epi16(x);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_castsi256_si128(packed));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p + stride), _mm256_extracti128_si256(packed, 1));
  }
};

}  // namespace
}  // namespace TCPP_KERNELS
}  // namespace transformers
