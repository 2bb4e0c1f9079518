// What it is: what the kernel tests share: a fixture that runs a test once per ISA of this processor, random values.
// Usage: `class GemmTest : public EveryIsa {};  TEST_P(GemmTest, ...)  TCPP_EVERY_ISA(GemmTest);`
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "transformers/base/parallel.hpp"
#include "transformers/kernels/kernels.hpp"

namespace transformers {

class EveryIsa : public testing::TestWithParam<std::string_view> {
 protected:
  EveryIsa() : isa_(isa()), threads_(num_threads()) { set_isa(GetParam()); }
  ~EveryIsa() override {
    set_isa(isa_);
    set_num_threads(threads_);
  }

 private:
  std::string_view isa_;
  int threads_;
};

#define TCPP_EVERY_ISA(suite)                                               \
  INSTANTIATE_TEST_SUITE_P(Isa, suite, testing::ValuesIn(supported_isas()), \
                           [](const auto& test) { return std::string(test.param); })

// Values in (-1, 1), the same on every platform.
inline std::vector<float> random_floats(int64_t count, uint32_t seed) {
  std::mt19937 generator(seed);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& x : values) x = static_cast<float>(static_cast<int32_t>(generator())) * 0x1p-31f;
  return values;
}

inline bool same_bits(const float* a, const float* b, int64_t count) {
  return count == 0 || std::memcmp(a, b, static_cast<std::size_t>(count) * sizeof(float)) == 0;
}

// Round to nearest even, finite values within the type's normal range or zero: enough to make weights.
inline uint16_t to_bf16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
inline uint16_t to_f16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  const uint32_t sign = (bits >> 16) & 0x8000;
  const int32_t exponent = static_cast<int32_t>((bits >> 23) & 0xff) - 112;
  if (exponent <= 0) return static_cast<uint16_t>(sign);
  const uint32_t half = (static_cast<uint32_t>(exponent) << 10) | ((bits >> 13) & 0x3ff);
  return static_cast<uint16_t>(sign | half);
}
// IEEE 754 binary16 by its definition.
inline double from_f16(uint16_t h) {
  const int exponent = (h >> 10) & 31, fraction = h & 0x3ff;
  double value = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  if (exponent == 31) {
    value = fraction == 0 ? std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
  }
  return (h & 0x8000) != 0 ? -value : value;
}
inline float from_bf16(uint16_t h) {
  const uint32_t bits = static_cast<uint32_t>(h) << 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

// HF's activations in double.
inline double exact_activation(Activation activation, double x) {
  switch (activation) {
    case Activation::none:
      return x;
    case Activation::relu:
      return x > 0.0 ? x : 0.0;
    case Activation::gelu:
      return 0.5 * x * std::erfc(-x * std::sqrt(0.5));
    case Activation::gelu_new:
      return 0.5 * x * (1.0 + std::tanh(std::sqrt(2.0 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
    case Activation::silu:
      return x / (1.0 + std::exp(-x));
    case Activation::tanh:
      return std::tanh(x);
    case Activation::sigmoid:
      return 1.0 / (1.0 + std::exp(-x));
    case Activation::gelu_10:
      return std::clamp(exact_activation(Activation::gelu, x), -10.0, 10.0);
    case Activation::quick_gelu:
      return x / (1.0 + std::exp(-1.702 * x));
    case Activation::relu2:
      return x > 0.0 ? x * x : 0.0;
    case Activation::relu6:
      return std::clamp(x, 0.0, 6.0);
    case Activation::leaky_relu:
      return x < 0.0 ? 0.01 * x : x;
    case Activation::hardswish:
      return x * std::clamp(x + 3.0, 0.0, 6.0) / 6.0;
    case Activation::mish:
      return x * std::tanh(std::log1p(std::exp(x)));
    case Activation::laplace:
      return 0.5 * (1.0 + std::erf((x - 0.707107) / (0.282095 * std::sqrt(2.0))));
  }
  return x;
}

inline constexpr Activation kAllActivations[] = {
    Activation::none,  Activation::relu,       Activation::gelu,      Activation::gelu_new,   Activation::silu,
    Activation::tanh,  Activation::sigmoid,    Activation::gelu_10,   Activation::quick_gelu, Activation::relu2,
    Activation::relu6, Activation::leaky_relu, Activation::hardswish, Activation::mish,       Activation::laplace};

}  // namespace transformers
