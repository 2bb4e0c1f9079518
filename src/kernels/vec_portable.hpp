// What it is: the vector primitives in plain C++: 4 floats, for any processor (SSE2 or NEON code comes out of it).
// Where it stands: src/kernels; the *.inl algorithms are written over `V`. Included only by generated translation
// units. Usage: `V::store(y, V::fma(V::load(x), V::set1(2.0f), V::load(y)));`
#pragma once

#include <math.h>
#include <string.h>

#include <cstddef>
#include <cstdint>

#if defined(__GNUC__)
#define TCPP_INLINE inline __attribute__((always_inline))
#else
#define TCPP_INLINE __forceinline
#endif

namespace transformers {
namespace TCPP_KERNELS {
namespace {

struct V {
  static constexpr int kWidth = 4;
  // The micro-kernel's tile: 4 rows x 2 vectors, 8 of the 16 registers that the smallest targets have.
  static constexpr int kTileRows = 4;
  static constexpr int kTileVectors = 2;

#if defined(__GNUC__)
  typedef float Reg __attribute__((vector_size(16)));
#else
  struct Reg {
    float lane[4];
    float& operator[](int i) { return lane[i]; }
    float operator[](int i) const { return lane[i]; }
    friend Reg operator+(Reg a, Reg b) { return {{a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]}}; }
    friend Reg operator-(Reg a, Reg b) { return {{a[0] - b[0], a[1] - b[1], a[2] - b[2], a[3] - b[3]}}; }
    friend Reg operator*(Reg a, Reg b) { return {{a[0] * b[0], a[1] * b[1], a[2] * b[2], a[3] * b[3]}}; }
    friend Reg operator/(Reg a, Reg b) { return {{a[0] / b[0], a[1] / b[1], a[2] / b[2], a[3] / b[3]}}; }
  };
#endif

  static TCPP_INLINE Reg zero() { return set1(0.0f); }
  static TCPP_INLINE Reg set1(float x) { return Reg{x, x, x, x}; }
  static TCPP_INLINE Reg load(const float* p) {
    Reg x;
    memcpy(&x, p, sizeof x);
    return x;
  }
  static TCPP_INLINE void store(float* p, Reg x) { memcpy(p, &x, sizeof x); }
  // The first n lanes, 0 <= n <= kWidth; the others read as zero and are not written.
  static TCPP_INLINE Reg load_partial(const float* p, int64_t n) {
    Reg x = zero();
    for (int i = 0; i < kWidth; ++i) {
      if (i < n) x[i] = p[i];
    }
    return x;
  }
  static TCPP_INLINE void store_partial(float* p, int64_t n, Reg x) {
    for (int i = 0; i < kWidth; ++i) {
      if (i < n) p[i] = x[i];
    }
  }
  static TCPP_INLINE Reg load_f16(const void* p) {
    uint16_t bits[kWidth];
    memcpy(bits, p, sizeof bits);
    Reg x = zero();
    for (int i = 0; i < kWidth; ++i) {
      // Shifted into a float's place the value is 2^-112 times too small, subnormals included; infinities and NaNs
      // (exponent all ones) come out of the multiplication at 2^16 and above and get their exponent by hand.
      x[i] = from_bits(static_cast<uint32_t>(bits[i] & 0x7fff) << 13) * 0x1p112f;
      uint32_t wide = to_bits(x[i]);
      if ((bits[i] & 0x7c00) == 0x7c00) wide |= 0x7f800000u;
      x[i] = from_bits(wide | (static_cast<uint32_t>(bits[i] & 0x8000) << 16));
    }
    return x;
  }
  static TCPP_INLINE Reg load_bf16(const void* p) {
    uint16_t bits[kWidth];
    memcpy(bits, p, sizeof bits);
    Reg x = zero();
    for (int i = 0; i < kWidth; ++i) x[i] = from_bits(static_cast<uint32_t>(bits[i]) << 16);
    return x;
  }

  // Fused where the baseline of the target has the instruction (AArch64), two roundings elsewhere.
  static TCPP_INLINE Reg fma(Reg a, Reg b, Reg c) {
#ifdef __FP_FAST_FMAF
    for (int i = 0; i < kWidth; ++i) c[i] = fmaf(a[i], b[i], c[i]);
    return c;
#else
    return a * b + c;
#endif
  }
  // *p * b + c for one float p.
  static TCPP_INLINE Reg fma_broadcast(const float* p, Reg b, Reg c) { return fma(set1(*p), b, c); }
  static TCPP_INLINE Reg fnma(Reg a, Reg b, Reg c) { return fma(sub(zero(), a), b, c); }
  static TCPP_INLINE Reg add(Reg a, Reg b) { return a + b; }
  static TCPP_INLINE Reg sub(Reg a, Reg b) { return a - b; }
  static TCPP_INLINE Reg mul(Reg a, Reg b) { return a * b; }
  static TCPP_INLINE Reg div(Reg a, Reg b) { return a / b; }
  static TCPP_INLINE Reg sqrt(Reg a) {
    for (int i = 0; i < kWidth; ++i) a[i] = sqrtf(a[i]);
    return a;
  }
  // Where either is NaN, b.
  static TCPP_INLINE Reg min(Reg a, Reg b) {
    for (int i = 0; i < kWidth; ++i) b[i] = a[i] < b[i] ? a[i] : b[i];
    return b;
  }
  static TCPP_INLINE Reg max(Reg a, Reg b) {
    for (int i = 0; i < kWidth; ++i) b[i] = a[i] > b[i] ? a[i] : b[i];
    return b;
  }
  static TCPP_INLINE Reg abs(Reg a) {
    for (int i = 0; i < kWidth; ++i) a[i] = from_bits(to_bits(a[i]) & 0x7fffffffu);
    return a;
  }
  static TCPP_INLINE Reg negate(Reg a) {
    for (int i = 0; i < kWidth; ++i) a[i] = from_bits(to_bits(a[i]) ^ 0x80000000u);
    return a;
  }
  static TCPP_INLINE Reg copysign(Reg magnitude, Reg sign) {
    for (int i = 0; i < kWidth; ++i) {
      magnitude[i] = from_bits((to_bits(magnitude[i]) & 0x7fffffffu) | (to_bits(sign[i]) & 0x80000000u));
    }
    return magnitude;
  }
  // a < b ? x : y
  static TCPP_INLINE Reg select_less(Reg a, Reg b, Reg x, Reg y) {
    for (int i = 0; i < kWidth; ++i) y[i] = a[i] < b[i] ? x[i] : y[i];
    return y;
  }
  // Is a >= b, or either NaN, in any lane?
  static TCPP_INLINE bool any_not_below(Reg a, Reg b) {
    return !(a[0] < b[0] && a[1] < b[1] && a[2] < b[2] && a[3] < b[3]);
  }
  // To nearest even, for |a| < 2^22: adding 1.5 * 2^23 leaves no room for a fraction.
  static TCPP_INLINE Reg round(Reg a) { return (a + set1(12582912.0f)) - set1(12582912.0f); }
  // a * 2^n for an integral n in [-126, 127].
  static TCPP_INLINE Reg scale_by_power(Reg a, Reg n) {
    // Adding 1.5 * 2^23 leaves n, in two's complement, in the low bits.
    for (int i = 0; i < kWidth; ++i) a[i] *= from_bits((to_bits(n[i] + 12582912.0f) + 127u) << 23);
    return a;
  }
  // The first n lanes of a, the others of b.
  static TCPP_INLINE Reg keep(Reg a, int64_t n, Reg b) {
    for (int i = 0; i < kWidth; ++i) {
      if (i < n) b[i] = a[i];
    }
    return b;
  }
  static TCPP_INLINE float first(Reg a) { return a[0]; }
  static TCPP_INLINE float sum(Reg a) { return (a[0] + a[2]) + (a[1] + a[3]); }
  static TCPP_INLINE float largest(Reg a) {
    const float x = a[0] > a[1] ? a[0] : a[1], y = a[2] > a[3] ? a[2] : a[3];
    return x > y ? x : y;
  }

  // The greater by the bits of a, not negative, and b: NaN is above infinity.
  static TCPP_INLINE Reg above(Reg a, Reg b) {
    for (int i = 0; i < kWidth; ++i) {
      const int32_t x = static_cast<int32_t>(to_bits(a[i])), y = static_cast<int32_t>(to_bits(b[i]));
      a[i] = from_bits(static_cast<uint32_t>(y > x ? y : x));
    }
    return a;
  }
  // The largest lane of each of four by the bits, none negative.
  static TCPP_INLINE void store_largest(float* to, const Reg (&x)[4]) {
    for (int j = 0; j < 4; ++j) {
      uint32_t most = 0;
      for (int i = 0; i < kWidth; ++i) most = to_bits(x[j][i]) > most ? to_bits(x[j][i]) : most;
      to[j] = from_bits(most);
    }
  }

  // The first `quads` groups of four lanes, `stride` floats apart.
  static TCPP_INLINE void store_quads(float* to, int64_t, int64_t, Reg x) { store(to, x); }
  // kWidth columns of `rows` <= kWidth rows of `from` become kWidth rows of kWidth columns of `to`, zeros for the rows
  // that are missing.
  static TCPP_INLINE void transpose(const float* from, int64_t from_stride, int64_t rows, float* to,
                                    int64_t to_stride) {
    for (int c = 0; c < kWidth; ++c) {
      for (int i = 0; i < kWidth; ++i) to[c * to_stride + i] = i < rows ? from[i * from_stride + c] : 0.0f;
    }
  }

  // To bf16 by rounding to nearest even, as the float32 of the same value; NaN stays NaN.
  static TCPP_INLINE Reg round_bf16(Reg x) {
    for (int i = 0; i < kWidth; ++i) {
      const uint32_t bits = to_bits(x[i]);
      const bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
      x[i] = from_bits((nan ? bits | 0x400000u : bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff0000u);
    }
    return x;
  }

  // Into the first-level cache, or as near as prefetch() brings it.
  static TCPP_INLINE void prefetch_near(const void* p) { prefetch(p); }
  // Into the second-level cache.
  static TCPP_INLINE void prefetch(const void* p) {
#if defined(__GNUC__)
    __builtin_prefetch(p, 0, 2);
#else
    (void)p;
#endif
  }

 private:
  static TCPP_INLINE float from_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
  }
  static TCPP_INLINE uint32_t to_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
  }
};

// Products of unsigned weights and int8 activations, summed in int32, two neighbouring k at a time.
struct Dot {
  struct Acc {  // kWidth sums
    int32_t lane[V::kWidth];
  };
  struct Word {  // kWidth * kStep weights
    int16_t lane[V::kWidth * 2];
  };
  using Element = int16_t;  // of A
  static constexpr int kStep = 2;
  static constexpr int kTileRows = V::kTileRows;
  static constexpr bool kSumsInRegisters = false;

  static TCPP_INLINE Acc zero() { return {}; }
  static TCPP_INLINE Acc set1(int32_t x) {
    Acc sum;
    for (int i = 0; i < V::kWidth; ++i) sum.lane[i] = x;
    return sum;
  }
  static TCPP_INLINE Word load(const char* p) {
    Word x;
    for (int i = 0; i < 2 * V::kWidth; ++i) x.lane[i] = static_cast<unsigned char>(p[i]);
    return x;
  }
  // The low and the high four bits of each byte.
  static TCPP_INLINE Word low_half(Word x) {
    for (int i = 0; i < 2 * V::kWidth; ++i) x.lane[i] = static_cast<int16_t>(x.lane[i] & 15);
    return x;
  }
  static TCPP_INLINE Word high_half(Word x) {
    for (int i = 0; i < 2 * V::kWidth; ++i) x.lane[i] = static_cast<int16_t>(x.lane[i] >> 4);
    return x;
  }
  static TCPP_INLINE void store_word(char* p, Word x) {
    for (int i = 0; i < 2 * V::kWidth; ++i) p[i] = static_cast<char>(x.lane[i]);
  }
  // sum + the products of the kStep activations at `a` with each lane's weights.
  static TCPP_INLINE Acc dot(const char* a, Word b, Acc sum) {
    int16_t x[2];
    memcpy(x, a, sizeof x);
    for (int i = 0; i < V::kWidth; ++i) sum.lane[i] += b.lane[2 * i] * x[0] + b.lane[2 * i + 1] * x[1];
    return sum;
  }
  // Two int16 of each lane at b, and sum + their products with the two at `a`.
  using Pairs = Word;
  static TCPP_INLINE Pairs load_pairs(const char* b) {
    Word x;
    memcpy(x.lane, b, sizeof x.lane);
    return x;
  }
  static TCPP_INLINE Acc dot_pairs(const char* a, Pairs b, Acc sum) { return dot(a, b, sum); }
  static TCPP_INLINE V::Reg to_float(Acc x) {
    V::Reg y = V::zero();
    for (int i = 0; i < V::kWidth; ++i) y[i] = static_cast<float>(x.lane[i]);
    return y;
  }
  // To nearest even, for |x| < 2^15; of NaN, anything.
  static TCPP_INLINE Acc round(V::Reg x) {
    Acc y;
    for (int i = 0; i < V::kWidth; ++i) {
      const float shifted = x[i] + 12582912.0f;  // 1.5 * 2^23: the integer is in the low bits
      int32_t bits;
      memcpy(&bits, &shifted, sizeof bits);
      y.lane[i] = static_cast<int16_t>(bits & 0xffff);
    }
    return y;
  }
  static TCPP_INLINE Acc add(Acc a, Acc b) {
    for (int i = 0; i < V::kWidth; ++i) a.lane[i] += b.lane[i];
    return a;
  }
  // The sum of the lanes of each of four.
  static TCPP_INLINE void store_sums(int32_t* to, const Acc (&x)[4]) {
    for (int j = 0; j < 4; ++j) to[j] = (x[j].lane[0] + x[j].lane[1]) + (x[j].lane[2] + x[j].lane[3]);
  }
  // Four times kWidth elements of A, at most 127, on from p; `sum` and they, in whatever lanes.
  static TCPP_INLINE Acc store_sum(Element* p, const Acc (&x)[4], Acc sum) {
    for (int j = 0; j < 4; ++j) {
      for (int i = 0; i < V::kWidth; ++i) {
        const int32_t y = x[j].lane[i] < 127 ? x[j].lane[i] : 127;
        p[j * V::kWidth + i] = static_cast<int16_t>(y);
        sum.lane[i] += y;
      }
    }
    return sum;
  }
  // kWidth elements of A, those beyond four units `stride` elements on.
  static TCPP_INLINE void store(Element* p, int64_t, Acc x) {
    for (int i = 0; i < V::kWidth; ++i) p[i] = static_cast<int16_t>(x.lane[i]);
  }
};

}  // namespace
}  // namespace TCPP_KERNELS
}  // namespace transformers
