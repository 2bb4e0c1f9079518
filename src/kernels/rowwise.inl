// What it is: norms, softmax, activations, gated products, rotary positions and widening of rows, by one thread.
// Where it stands: src/kernels; rowwise.cpp cuts the rows over threads.
// Usage: fill_rowwise(table) puts them into the table of its ISA.
// Every sum takes its terms in an order that depends on the length of the row alone.
#include <math.h>

#include "kernels/kernel_table.hpp"
#include "kernels/math.inl"
#include "kernels/micro.inl"
#include "kernels/widen.inl"

namespace transformers {
namespace TCPP_KERNELS {
namespace {

constexpr int64_t kWidth = V::kWidth;

// The sum of term(x, i) over vectors x of the row, lanes beyond its end left out. Four sums side by side hide the
// latency of the addition.
template <class Term>
TCPP_INLINE float sum_of(const float* x, int64_t n, Term term) {
  using Reg = V::Reg;
  Reg s0 = V::zero(), s1 = V::zero(), s2 = V::zero(), s3 = V::zero();
  int64_t i = 0;
  for (; i + 4 * kWidth <= n; i += 4 * kWidth) {
    s0 = V::add(s0, term(V::load(x + i)));
    s1 = V::add(s1, term(V::load(x + i + kWidth)));
    s2 = V::add(s2, term(V::load(x + i + 2 * kWidth)));
    s3 = V::add(s3, term(V::load(x + i + 3 * kWidth)));
  }
  for (; i + kWidth <= n; i += kWidth) s0 = V::add(s0, term(V::load(x + i)));
  float tail = 0.0f;
  if (i < n) {
    // Lanes beyond the end hold term(0), which need not be 0.
    float lanes[kWidth];
    V::store(lanes, term(V::load_partial(x + i, n - i)));
    for (int64_t j = 0; j < n - i; ++j) tail += lanes[j];
  }
  return V::sum(V::add(V::add(s0, s1), V::add(s2, s3))) + tail;
}

int64_t first_not_below(const float* x, int64_t n, float add, float least) noexcept {
  const Reg more = V::set1(add), bar = V::set1(least);
  const auto at = [&](int64_t i) __attribute__((always_inline)) { return V::add(V::load(x + i), more); };
  int64_t i = 0;
  for (; i + 4 * kWidth <= n; i += 4 * kWidth) {
    const Reg a = at(i), b = at(i + kWidth), c = at(i + 2 * kWidth), d = at(i + 3 * kWidth);
    if (V::any_not_below(a, bar) || V::any_not_below(b, bar) || V::any_not_below(c, bar) || V::any_not_below(d, bar)) {
      break;
    }
  }
  for (; i < n; ++i) {
    if (!(x[i] + add < least)) return i;
  }
  return n;
}

void layer_norm(const float* x, int64_t rows, int64_t n, const float* weight, const float* bias, float eps,
                float* out) noexcept {
  using Reg = V::Reg;
  const float count = static_cast<float>(n);
  for (int64_t r = 0; r < rows; ++r, x += n, out += n) {
    const float mean = sum_of(
                           x, n, [](Reg v) __attribute__((always_inline)) { return v; }) /
                       count;
    const Reg m = V::set1(mean);
    const float variance = sum_of(
                               x, n,
                               [m](Reg v) __attribute__((always_inline)) {
                                 const Reg d = V::sub(v, m);
                                 return V::mul(d, d);
                               }) /
                           count;
    const Reg scale = V::div(V::set1(1.0f), V::sqrt(V::set1(variance + eps)));
    int64_t i = 0;
    for (; i + kWidth <= n; i += kWidth) {
      const Reg y = V::mul(V::sub(V::load(x + i), m), scale);
      V::store(out + i, V::fma(y, V::load(weight + i), V::load(bias + i)));
    }
    if (i < n) {
      const int64_t left = n - i;
      const Reg y = V::mul(V::sub(V::load_partial(x + i, left), m), scale);
      V::store_partial(out + i, left, V::fma(y, V::load_partial(weight + i, left), V::load_partial(bias + i, left)));
    }
  }
}

void rms_norm(const float* x, int64_t x_stride, int64_t rows, int64_t n, const float* weight, float eps, float* out,
              int64_t out_stride) noexcept {
  using Reg = V::Reg;
  const float count = static_cast<float>(n);
  for (int64_t r = 0; r < rows; ++r, x += x_stride, out += out_stride) {
    const float mean = sum_of(
                           x, n, [](Reg v) __attribute__((always_inline)) { return V::mul(v, v); }) /
                       count;
    const Reg scale = V::div(V::set1(1.0f), V::sqrt(V::set1(mean + eps)));
    int64_t i = 0;
    for (; i + kWidth <= n; i += kWidth) {
      const Reg y = V::mul(V::load(x + i), scale);
      V::store(out + i, weight ? V::mul(y, V::load(weight + i)) : y);
    }
    if (i < n) {
      const int64_t left = n - i;
      const Reg y = V::mul(V::load_partial(x + i, left), scale);
      V::store_partial(out + i, left, weight ? V::mul(y, V::load_partial(weight + i, left)) : y);
    }
  }
}

void rotary(float* x, int64_t x_stride, int64_t rows, int64_t heads, int64_t head_dim, int64_t rotary_dim,
            const float* cos, const float* sin, bool interleaved) noexcept {
  using Reg = V::Reg;
  const int64_t half = rotary_dim / 2;
  for (int64_t r = 0; r < rows; ++r, x += x_stride, cos += half, sin += half) {
    for (int64_t h = 0; h < heads; ++h) {
      float* const a = x + h * head_dim;
      if (interleaved) {
        for (int64_t i = 0; i < half; ++i) {
          const float u = a[2 * i], v = a[2 * i + 1];
          a[2 * i] = u * cos[i] - v * sin[i];
          a[2 * i + 1] = v * cos[i] + u * sin[i];
        }
        continue;
      }
      float* const b = a + half;
      int64_t i = 0;
      for (; i + kWidth <= half; i += kWidth) {
        const Reg u = V::load(a + i), v = V::load(b + i), c = V::load(cos + i), s = V::load(sin + i);
        V::store(a + i, V::sub(V::mul(u, c), V::mul(v, s)));
        V::store(b + i, V::add(V::mul(v, c), V::mul(u, s)));
      }
      for (; i < half; ++i) {
        const float u = a[i], v = b[i];
        a[i] = u * cos[i] - v * sin[i];
        b[i] = v * cos[i] + u * sin[i];
      }
    }
  }
}

void softmax(float* x, int64_t rows, int64_t n) noexcept {
  using Reg = V::Reg;
  for (int64_t r = 0; r < rows; ++r, x += n) {
    Reg m = V::set1(-3.402823466e38f);
    int64_t i = 0;
    for (; i + kWidth <= n; i += kWidth) m = V::max(m, V::load(x + i));
    float largest = V::largest(m);
    for (; i < n; ++i) largest = x[i] > largest ? x[i] : largest;
    const Reg top = V::set1(largest);
    for (i = 0; i + kWidth <= n; i += kWidth) V::store(x + i, exp(V::sub(V::load(x + i), top)));
    if (i < n) V::store_partial(x + i, n - i, exp(V::sub(V::load_partial(x + i, n - i), top)));
    const Reg sum = V::set1(sum_of(
        x, n, [](Reg v) __attribute__((always_inline)) { return v; }));
    for (i = 0; i + kWidth <= n; i += kWidth) V::store(x + i, V::div(V::load(x + i), sum));
    if (i < n) V::store_partial(x + i, n - i, V::div(V::load_partial(x + i, n - i), sum));
  }
}

// Rows of scores, a vocabulary wide.

int64_t argmax(const float* x, int64_t n) noexcept {
  // Minus infinity stands for what is missing at the end. x < infinity holds neither for infinity nor for NaN, and of
  // these only NaN makes a NaN of their sum.
  const Reg infinity = V::set1(HUGE_VALF), none = V::set1(-HUGE_VALF), zero = V::zero();
  Reg largest[4] = {none, none, none, none}, odd[4] = {zero, zero, zero, zero};
  const auto take = [&](int lane, Reg v) __attribute__((always_inline)) {
    largest[lane] = V::max(largest[lane], v);
    odd[lane] = V::add(odd[lane], V::select_less(v, infinity, zero, v));
  };
  int64_t i = 0;
  for (; i + 4 * kWidth <= n; i += 4 * kWidth) {
    take(0, V::load(x + i));
    take(1, V::load(x + i + kWidth));
    take(2, V::load(x + i + 2 * kWidth));
    take(3, V::load(x + i + 3 * kWidth));
  }
  for (; i + kWidth <= n; i += kWidth) take(0, V::load(x + i));
  if (i < n) take(1, V::keep(V::load_partial(x + i, n - i), n - i, none));
  const float sum = V::sum(V::add(V::add(odd[0], odd[1]), V::add(odd[2], odd[3])));
  if (sum != sum) {
    for (i = 0; i < n; ++i) {
      if (x[i] != x[i]) return -1 - i;
    }
  }
  const float top = V::largest(V::max(V::max(largest[0], largest[1]), V::max(largest[2], largest[3])));
  i = first_not_below(x, n, 0.0f, top);
  return i < n ? i : 0;
}

// In blocks of float sums: an error of 1e-7, at the speed of floats.
double sum_exp(const float* x, int64_t n, float top, float* out) noexcept {
  constexpr int64_t kBlock = 1024;
  const Reg t = V::set1(top);
  float values[kBlock];
  double sum = 0.0;
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    const int64_t count = n - begin < kBlock ? n - begin : kBlock;
    float* const to = out != nullptr ? out + begin : values;
    int64_t i = 0;
    for (; i + kWidth <= count; i += kWidth) V::store(to + i, exp(V::sub(V::load(x + begin + i), t)));
    if (i < count) V::store_partial(to + i, count - i, exp(V::sub(V::load_partial(x + begin + i, count - i), t)));
    sum += static_cast<double>(sum_of(
        to, count, [](Reg v) __attribute__((always_inline)) { return v; }));
  }
  return sum;
}

void subtract_twice(const float* x, int64_t n, float a, float b, float* out) noexcept {
  const Reg first = V::set1(a), second = V::set1(b);
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) V::store(out + i, V::sub(V::sub(V::load(x + i), first), second));
  if (i < n) V::store_partial(out + i, n - i, V::sub(V::sub(V::load_partial(x + i, n - i), first), second));
}

void gated_product(int act, const float* gate, int64_t gate_stride, const float* up, int64_t up_stride, int64_t rows,
                   int64_t n, float* out, int64_t out_stride) noexcept {
  with_activation(act, [&](auto tag) {
    constexpr int kActivation = decltype(tag)::value;
    for (int64_t r = 0; r < rows; ++r, gate += gate_stride, up += up_stride, out += out_stride) {
      int64_t i = 0;
      for (; i + kWidth <= n; i += kWidth) {
        V::store(out + i, V::mul(activation<kActivation>(V::load(gate + i), act), V::load(up + i)));
      }
      if (i < n) {
        const Reg g = activation<kActivation>(V::load_partial(gate + i, n - i), act);
        V::store_partial(out + i, n - i, V::mul(g, V::load_partial(up + i, n - i)));
      }
    }
  });
}

void softcap(float cap, float* x, int64_t count) noexcept {
  const Reg ceiling = V::set1(cap), inverse = V::set1(1.0f / cap);
  int64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) {
    V::store(x + i, V::mul(tanh(V::mul(V::load(x + i), inverse)), ceiling));
  }
  if (i < count) {
    V::store_partial(x + i, count - i, V::mul(tanh(V::mul(V::load_partial(x + i, count - i), inverse)), ceiling));
  }
}

void activate(int act, float* x, int64_t count) noexcept {
  if (act == kActNone) return;
  with_activation(act, [&](auto tag) {
    constexpr int kActivation = decltype(tag)::value;
    int64_t i = 0;
    for (; i + kWidth <= count; i += kWidth) V::store(x + i, activation<kActivation>(V::load(x + i), act));
    if (i < count) V::store_partial(x + i, count - i, activation<kActivation>(V::load_partial(x + i, count - i), act));
  });
}

void widen(int weight, const void* source, int64_t count, bool accumulate, float* out) noexcept {
  widen_any(weight, source, count, accumulate, out);
}

}  // namespace

void fill_rowwise(KernelTable& table) noexcept {
  table.layer_norm = layer_norm;
  table.rms_norm = rms_norm;
  table.rotary = rotary;
  table.gated_product = gated_product;
  table.softcap = softcap;
  table.softmax = softmax;
  table.argmax = argmax;
  table.sum_exp = sum_exp;
  table.subtract_twice = subtract_twice;
  table.first_not_below = first_not_below;
  table.activate = activate;
  table.widen = widen;
}

}  // namespace TCPP_KERNELS
}  // namespace transformers
