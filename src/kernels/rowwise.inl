// What it is: layer norm, softmax, activations and widening of rows, by one thread.
// Where it stands: src/kernels; rowwise.cpp cuts the rows over threads.
// Usage: fill_rowwise(table) puts them into the table of its ISA.
// Every sum takes its terms in an order that depends on the length of the row alone.
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

template <int kActivation>
void activate_all(float* x, int64_t count) {
  int64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) V::store(x + i, activation<kActivation>(V::load(x + i)));
  if (i < count) V::store_partial(x + i, count - i, activation<kActivation>(V::load_partial(x + i, count - i)));
}

void activate(int act, float* x, int64_t count) noexcept {
  switch (act) {
    case kActRelu:
      return activate_all<kActRelu>(x, count);
    case kActGelu:
      return activate_all<kActGelu>(x, count);
    case kActGeluNew:
      return activate_all<kActGeluNew>(x, count);
    case kActSilu:
      return activate_all<kActSilu>(x, count);
    case kActTanh:
      return activate_all<kActTanh>(x, count);
    case kActSigmoid:
      return activate_all<kActSigmoid>(x, count);
    default:
      return;
  }
}

void widen(int weight, const void* source, int64_t count, bool accumulate, float* out) noexcept {
  widen_any(weight, source, count, accumulate, out);
}

}  // namespace

void fill_rowwise(KernelTable& table) noexcept {
  table.layer_norm = layer_norm;
  table.softmax = softmax;
  table.activate = activate;
  table.widen = widen;
}

}  // namespace TCPP_KERNELS
}  // namespace transformers
