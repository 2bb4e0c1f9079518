// What it is: exp, erf, tanh and the activations, over vectors.
// Where it stands: src/kernels; included by the other *.inl after vec_<isa>.hpp.
// Usage: `V::store(y, activation<kActGelu>(V::load(x), kActGelu));`
// Source: range reductions as in Cody & Waite (1980); the coefficients are minimax fits made for this file (Lawson's
//   reweighted least squares in double), each with its error below.
#pragma once

#include "kernels/kernel_table.hpp"

namespace transformers {
namespace TCPP_KERNELS {
namespace {

using Reg = V::Reg;

// e^x, relative error below 2e-7; 0 below -87.33 (where the exact value leaves the normal numbers), the value at 88.37
// above that.
TCPP_INLINE Reg exp(Reg x) {
  const Reg lowest = V::set1(-87.33f);
  const Reg inside = V::max(lowest, V::min(V::set1(88.37f), x));
  const Reg n = V::round(V::mul(inside, V::set1(1.44269504f)));
  // ln 2 in two parts: n times the first is exact.
  Reg r = V::fnma(n, V::set1(0.693359375f), inside);
  r = V::fnma(n, V::set1(-2.12194440e-4f), r);
  // (e^r - 1 - r) / r^2 to 3e-9 on |r| <= ln(2) / 2
  Reg p = V::set1(0.001381454f);
  p = V::fma(p, r, V::set1(0.00836874512f));
  p = V::fma(p, r, V::set1(0.0416683908f));
  p = V::fma(p, r, V::set1(0.166665204f));
  p = V::fma(p, r, V::set1(0.499999934f));
  p = V::fma(V::mul(r, r), p, r);
  const Reg value = V::scale_by_power(V::add(p, V::set1(1.0f)), n);
  return V::select_less(x, lowest, V::zero(), value);
}

// erf(z), absolute error below 2e-7: z P(z^2) / Q(z^2), relative error 2e-8 on |z| <= 3.92, beyond which erf is 1 to
// the last bit. Of NaN, 1 or -1.
TCPP_INLINE Reg erf(Reg z) {
  const Reg t = V::mul(z, z);
  Reg p = V::set1(2.05008617e-06f);
  p = V::fma(p, t, V::set1(0.00028488137f));
  p = V::fma(p, t, V::set1(0.00376558022f));
  p = V::fma(p, t, V::set1(0.0527486064f));
  p = V::fma(p, t, V::set1(0.19040569f));
  p = V::fma(p, t, V::set1(1.12837915f));
  Reg q = V::set1(3.80916329e-05f);
  q = V::fma(q, t, V::set1(0.00116252564f));
  q = V::fma(q, t, V::set1(0.0149691428f));
  q = V::fma(q, t, V::set1(0.114108778f));
  q = V::fma(q, t, V::set1(0.50207539f));
  q = V::fma(q, t, V::set1(1.0f));
  return V::select_less(V::abs(z), V::set1(3.92f), V::div(V::mul(z, p), q), V::copysign(V::set1(1.0f), z));
}

// tanh(x): x + x^3 P(x^2) below 0.625 (relative error 1e-7), (1 - e^-2|x|) / (1 + e^-2|x|) above.
TCPP_INLINE Reg tanh(Reg x) {
  const Reg one = V::set1(1.0f), size = V::abs(x), t = V::mul(x, x);
  Reg p = V::set1(-0.00566078854f);
  p = V::fma(p, t, V::set1(0.0206020072f));
  p = V::fma(p, t, V::set1(-0.0537292299f));
  p = V::fma(p, t, V::set1(0.13331329f));
  p = V::fma(p, t, V::set1(-0.333332783f));
  const Reg small = V::fma(V::mul(x, t), p, x);
  const Reg e = exp(V::mul(size, V::set1(-2.0f)));
  const Reg large = V::copysign(V::div(V::sub(one, e), V::add(one, e)), x);
  return V::select_less(size, V::set1(0.625f), small, large);
}

TCPP_INLINE Reg sigmoid(Reg x) {
  const Reg one = V::set1(1.0f);
  return V::div(one, V::add(one, exp(V::sub(V::zero(), x))));
}

template <int kActivation>
struct ActivationTag {
  static constexpr int value = kActivation;
};

// Those that few models have: one function for all, so that they are not compiled into every kernel.
Reg rare_activation(int act, Reg x);

// The activation of a loop compiled for it, or for kActRare, when `act` says which.
template <int kActivation>
TCPP_INLINE Reg activation(Reg x, [[maybe_unused]] int act) {
  if constexpr (kActivation == kActRelu) {
    return V::max(V::zero(), x);
  } else if constexpr (kActivation == kActGelu) {
    const Reg half = V::mul(x, V::set1(0.5f));
    return V::fma(half, erf(V::mul(x, V::set1(0.707106781f))), half);
  } else if constexpr (kActivation == kActGeluNew) {
    const Reg cubic = V::mul(V::mul(x, x), V::mul(x, V::set1(0.044715f)));
    const Reg half = V::mul(x, V::set1(0.5f));
    return V::fma(half, tanh(V::mul(V::add(x, cubic), V::set1(0.797884561f))), half);
  } else if constexpr (kActivation == kActSilu) {
    return V::mul(x, sigmoid(x));
  } else if constexpr (kActivation == kActTanh) {
    return tanh(x);
  } else if constexpr (kActivation == kActSigmoid) {
    return sigmoid(x);
  } else if constexpr (kActivation == kActRare) {
    return rare_activation(act, x);
  } else {
    return x;
  }
}

inline Reg rare_activation(int act, Reg x) {
  const Reg positive = V::max(V::zero(), x);
  switch (act) {
    case kActGelu10:
      return V::max(V::set1(-10.0f), V::min(V::set1(10.0f), activation<kActGelu>(x, act)));
    case kActQuickGelu:
      return V::mul(x, sigmoid(V::mul(x, V::set1(1.702f))));
    case kActRelu2:
      return V::mul(positive, positive);
    case kActRelu6:
      return V::min(V::set1(6.0f), positive);
    case kActLeakyRelu:
      return V::select_less(x, V::zero(), V::mul(x, V::set1(0.01f)), x);
    case kActHardswish: {
      const Reg gate = V::min(V::set1(6.0f), V::max(V::zero(), V::add(x, V::set1(3.0f))));
      return V::div(V::mul(x, gate), V::set1(6.0f));
    }
    case kActMish: {  // tanh(ln(1 + e^x)) = (e^2x + 2 e^x) / (e^2x + 2 e^x + 2), 1 to the last bit from x = 20 on
      const Reg e = exp(V::min(V::set1(20.0f), x));
      const Reg n = V::mul(e, V::add(e, V::set1(2.0f)));
      return V::mul(x, V::div(n, V::add(n, V::set1(2.0f))));
    }
    case kActLaplace: {  // its mean and deviation, 0.707107 and 0.282095, are fixed
      const Reg z = V::div(V::sub(x, V::set1(0.707107f)), V::set1(0.398942575f));
      const Reg near = V::max(V::set1(-4.0f), V::min(V::set1(4.0f), z));
      const Reg half = V::fma(near, V::zero(), V::set1(0.5f));  // NaN where x is, which erf forgets
      return V::fma(half, erf(z), half);
    }
    default:
      return x;
  }
}

// f(compiled), the activation that a loop for `act` is compiled for.
template <class F>
void with_activation(int act, F f) {
  switch (act) {
    case kActNone:
      return f(ActivationTag<kActNone>());
    case kActRelu:
      return f(ActivationTag<kActRelu>());
    case kActGelu:
      return f(ActivationTag<kActGelu>());
    case kActGeluNew:
      return f(ActivationTag<kActGeluNew>());
    case kActSilu:
      return f(ActivationTag<kActSilu>());
    case kActTanh:
      return f(ActivationTag<kActTanh>());
    case kActSigmoid:
      return f(ActivationTag<kActSigmoid>());
    default:
      return f(ActivationTag<kActRare>());
  }
}

}  // namespace
}  // namespace TCPP_KERNELS
}  // namespace transformers
