// What it is: the vector primitives for AVX2 with FMA and F16C: 8 floats.
// Where it stands: src/kernels; the *.inl algorithms are written over `V`. Included only by generated translation
// units. Usage: `V::store(y, V::fma(V::load(x), V::set1(2.0f), V::load(y)));`
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#define TCPP_INLINE inline __attribute__((always_inline))

namespace transformers {
namespace TCPP_KERNELS {
namespace {

// Eight integers of all ones, then eight zeros: a window into it is the mask of a tail.
alignas(64) constexpr int32_t kTailMask[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};

struct V {
  using Reg = __m256;
  static constexpr int kWidth = 8;
  // The micro-kernel's tile: 6 rows x 2 vectors, 12 of the 16 registers; the rest hold the panel's row and a broadcast.
  static constexpr int kTileRows = 6;
  static constexpr int kTileVectors = 2;

  static TCPP_INLINE Reg zero() { return _mm256_setzero_ps(); }
  static TCPP_INLINE Reg set1(float x) { return _mm256_set1_ps(x); }
  static TCPP_INLINE Reg load(const float* p) { return _mm256_loadu_ps(p); }
  static TCPP_INLINE void store(float* p, Reg x) { _mm256_storeu_ps(p, x); }
  // The first n lanes, 0 <= n <= kWidth; the others read as zero and are not written.
  static TCPP_INLINE Reg load_partial(const float* p, int64_t n) { return _mm256_maskload_ps(p, mask(n)); }
  static TCPP_INLINE void store_partial(float* p, int64_t n, Reg x) { _mm256_maskstore_ps(p, mask(n), x); }
  static TCPP_INLINE Reg load_f16(const void* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(static_cast<const __m128i*>(p)));
  }
  static TCPP_INLINE Reg load_bf16(const void* p) {
    const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p)));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
  }

  static TCPP_INLINE Reg fma(Reg a, Reg b, Reg c) { return _mm256_fmadd_ps(a, b, c); }
  // *p * b + c for one float p.
  static TCPP_INLINE Reg fma_broadcast(const float* p, Reg b, Reg c) { return fma(set1(*p), b, c); }
  static TCPP_INLINE Reg fnma(Reg a, Reg b, Reg c) { return _mm256_fnmadd_ps(a, b, c); }
  static TCPP_INLINE Reg add(Reg a, Reg b) { return _mm256_add_ps(a, b); }
  static TCPP_INLINE Reg sub(Reg a, Reg b) { return _mm256_sub_ps(a, b); }
  static TCPP_INLINE Reg mul(Reg a, Reg b) { return _mm256_mul_ps(a, b); }
  static TCPP_INLINE Reg div(Reg a, Reg b) { return _mm256_div_ps(a, b); }
  static TCPP_INLINE Reg sqrt(Reg a) { return _mm256_sqrt_ps(a); }
  // Where either is NaN, b.
  static TCPP_INLINE Reg min(Reg a, Reg b) { return _mm256_min_ps(a, b); }
  static TCPP_INLINE Reg max(Reg a, Reg b) { return _mm256_max_ps(a, b); }
  static TCPP_INLINE Reg abs(Reg a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
  static TCPP_INLINE Reg negate(Reg a) { return _mm256_xor_ps(a, _mm256_set1_ps(-0.0f)); }
  static TCPP_INLINE Reg copysign(Reg magnitude, Reg sign) {
    const Reg bit = _mm256_set1_ps(-0.0f);
    return _mm256_or_ps(_mm256_andnot_ps(bit, magnitude), _mm256_and_ps(bit, sign));
  }
  // a < b ? x : y
  static TCPP_INLINE Reg select_less(Reg a, Reg b, Reg x, Reg y) {
    return _mm256_blendv_ps(y, x, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
  }
  // Is a >= b, or either NaN, in any lane?
  static TCPP_INLINE bool any_not_below(Reg a, Reg b) {
    return _mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_NLT_UQ)) != 0;
  }
  static TCPP_INLINE Reg round(Reg a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  // a * 2^n for an integral n in [-126, 127].
  static TCPP_INLINE Reg scale_by_power(Reg a, Reg n) {
    const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_mul_ps(a, _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23)));
  }
  // The first n lanes of a, the others of b.
  static TCPP_INLINE Reg keep(Reg a, int64_t n, Reg b) { return _mm256_blendv_ps(b, a, _mm256_castsi256_ps(mask(n))); }
  static TCPP_INLINE float first(Reg a) { return _mm256_cvtss_f32(a); }
  static TCPP_INLINE float sum(Reg a) {
    __m128 x = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(x, _mm_shuffle_ps(x, x, 1)));
  }
  static TCPP_INLINE float largest(Reg a) {
    __m128 x = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    x = _mm_max_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_max_ss(x, _mm_shuffle_ps(x, x, 1)));
  }

  // The greater by the bits of a, not negative, and b: NaN is above infinity.
  static TCPP_INLINE Reg above(Reg a, Reg b) {
    return _mm256_castsi256_ps(_mm256_max_epi32(_mm256_castps_si256(a), _mm256_castps_si256(b)));
  }
  // The largest lane of each of four by the bits, none negative.
  static TCPP_INLINE void store_largest(float* to, const Reg (&x)[4]) {
    const auto cast = [](Reg y) __attribute__((always_inline)) { return _mm256_castps_si256(y); };
    const auto larger = [](__m256i a, __m256i b) __attribute__((always_inline)) { return _mm256_max_epi32(a, b); };
    const __m256i y = fold(cast(x[0]), cast(x[1]), cast(x[2]), cast(x[3]), larger);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_castsi256_si128(y));
  }
  // `join` over the lanes of each of four: four results, in both halves.
  template <class Join>
  static TCPP_INLINE __m256i fold(__m256i a, __m256i b, __m256i c, __m256i d, Join join) {
    const __m256i ab = join(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
    const __m256i cd = join(_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
    const __m256i y = join(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
    return join(y, _mm256_permute2x128_si256(y, y, 0x01));
  }

  // The first `quads` groups of four lanes, `stride` floats apart.
  static TCPP_INLINE void store_quads(float* to, int64_t stride, int64_t quads, Reg x) {
    _mm_storeu_ps(to, _mm256_castps256_ps128(x));
    if (quads > 1) _mm_storeu_ps(to + stride, _mm256_extractf128_ps(x, 1));
  }
  // kWidth columns of `rows` <= kWidth rows of `from` become kWidth rows of kWidth columns of `to`, zeros for the rows
  // that are missing.
  static TCPP_INLINE void transpose(const float* from, int64_t from_stride, int64_t rows, float* to,
                                    int64_t to_stride) {
    Reg x[8], y[8];
    for (int i = 0; i < 8; ++i) x[i] = i < rows ? load(from + i * from_stride) : zero();
    for (int i = 0; i < 8; i += 2) {
      y[i] = _mm256_unpacklo_ps(x[i], x[i + 1]);
      y[i + 1] = _mm256_unpackhi_ps(x[i], x[i + 1]);
    }
    // x[4g + c]: column c of either 128-bit lane, rows 4g ... 4g + 3
    for (int i = 0; i < 8; i += 4) {
      x[i] = _mm256_shuffle_ps(y[i], y[i + 2], 0x44);
      x[i + 1] = _mm256_shuffle_ps(y[i], y[i + 2], 0xee);
      x[i + 2] = _mm256_shuffle_ps(y[i + 1], y[i + 3], 0x44);
      x[i + 3] = _mm256_shuffle_ps(y[i + 1], y[i + 3], 0xee);
    }
    for (int c = 0; c < 4; ++c) {
      store(to + c * to_stride, _mm256_permute2f128_ps(x[c], x[c + 4], 0x20));
      store(to + (c + 4) * to_stride, _mm256_permute2f128_ps(x[c], x[c + 4], 0x31));
    }
  }

  // To bf16 by rounding to nearest even, as the float32 of the same value; NaN stays NaN.
  static TCPP_INLINE Reg round_bf16(Reg x) {
    const __m256i bits = _mm256_castps_si256(x);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i up = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    const __m256 nan = _mm256_cmp_ps(x, x, _CMP_UNORD_Q);
    const __m256 rounded = _mm256_blendv_ps(_mm256_castsi256_ps(up), _mm256_castsi256_ps(quiet), nan);
    return _mm256_and_ps(rounded, _mm256_castsi256_ps(_mm256_set1_epi32(-0x10000)));
  }

  // Into the first-level cache.
  static TCPP_INLINE void prefetch_near(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0); }
  // Into the second-level cache.
  static TCPP_INLINE void prefetch(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T1); }

 private:
  static TCPP_INLINE __m256i mask(int64_t n) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kTailMask + 8 - n));
  }
};

// Products of unsigned weights and int8 activations, summed in int32: two neighbouring k at a time, widened to 16 bits
// (vpmaddubsw, which needs no widening, would saturate).
struct Dot {
  using Acc = __m256i;      // kWidth sums
  using Word = __m256i;     // kWidth * kStep weights
  using Element = int16_t;  // of A
  static constexpr int kStep = 2;
  static constexpr int kTileRows = V::kTileRows;
  static constexpr bool kSumsInRegisters = false;

  static TCPP_INLINE Acc zero() { return _mm256_setzero_si256(); }
  static TCPP_INLINE Acc set1(int32_t x) { return _mm256_set1_epi32(x); }
  static TCPP_INLINE Word load(const char* p) {
    return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  // The low and the high four bits of each byte.
  static TCPP_INLINE Word low_half(Word x) { return _mm256_and_si256(x, _mm256_set1_epi16(15)); }
  static TCPP_INLINE Word high_half(Word x) { return _mm256_srli_epi16(x, 4); }
  static TCPP_INLINE void store_word(char* p, Word x) {
    const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
  }
  // sum + the products of the kStep activations at `a` with each lane's weights.
  static TCPP_INLINE Acc dot(const char* a, Word b, Acc sum) {
    const __m256i x = _mm256_castps_si256(_mm256_broadcast_ss(reinterpret_cast<const float*>(a)));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(b, x));
  }
  // Two int16 of each lane at b, and sum + their products with the two at `a`.
  using Pairs = __m256i;
  static TCPP_INLINE Pairs load_pairs(const char* b) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b)); }
  static TCPP_INLINE Acc dot_pairs(const char* a, Pairs b, Acc sum) { return dot(a, b, sum); }
  static TCPP_INLINE V::Reg to_float(Acc x) { return _mm256_cvtepi32_ps(x); }
  // To nearest even.
  static TCPP_INLINE Acc round(V::Reg x) { return _mm256_cvtps_epi32(x); }
  static TCPP_INLINE Acc add(Acc a, Acc b) { return _mm256_add_epi32(a, b); }
  // The sum of the lanes of each of four.
  static TCPP_INLINE void store_sums(int32_t* to, const Acc (&x)[4]) {
    const __m256i y = V::fold(x[0], x[1], x[2], x[3], add);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_castsi256_si128(y));
  }
  // Four times kWidth elements of A, at most 127, on from p; `sum` and they, in whatever lanes.
  static TCPP_INLINE Acc store_sum(Element* p, const Acc (&x)[4], Acc sum) {
    for (int j = 0; j < 4; ++j) {
      const Acc y = _mm256_min_epi32(x[j], _mm256_set1_epi32(127));
      sum = add(sum, y);
      store(p + j * V::kWidth, 0, y);
    }
    return sum;
  }
  // kWidth elements of A, those beyond four units `stride` elements on.
  static TCPP_INLINE void store(Element* p, int64_t, Acc x) {
    const __m128i packed = _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), packed);
  }
};

}  // namespace
}  // namespace TCPP_KERNELS
}  // namespace transformers
