// Implements quantize_rows and the names of formats of kernels/kernels.hpp. Plain C++ with the flags of everything
// else: what is written to a file must not depend on the processor that made it.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "transformers/base/error.hpp"
#include "transformers/kernels/kernels.hpp"
#include "transformers/tensor/blocks.hpp"

namespace transformers {
namespace {

constexpr int64_t kGroup = 32;

// To the nearest integer, ties to even, for |x| < 2^22.
float nearest(float x) { return (x + 12582912.0f) - 12582912.0f; }

bool finite(const float* x, int64_t n) {
  float sum = 0.0f;
  for (int64_t i = 0; i < n; ++i) sum += x[i] * 0.0f;
  return sum == 0.0f;
}

// Integers by the largest number; the scale they stand for, made of that divided by 127.
template <class Round>
float round_q8(const float* x, int64_t n, uint8_t* q, Round round) {
  float most = 0.0f;
  for (int64_t i = 0; i < n; ++i) most = std::max(most, std::abs(x[i]));
  const float scale = round(most / 127.0f);
  const float inverse = scale > 0.0f ? 1.0f / scale : 0.0f;
  for (int64_t i = 0; i < n; ++i) {
    const float y = std::clamp(x[i] * inverse, -127.0f, 127.0f);
    q[i] = static_cast<uint8_t>(static_cast<int>(nearest(y)) + 128);
  }
  return scale;
}

struct Fit {
  uint16_t scale = 0, offset = 0;  // f16
  double error = std::numeric_limits<double>::infinity();
};

// The integers nearest to x under a scale and an offset that are f16 already, and the sum of squared errors.
Fit round_q4_with(const float* x, int64_t n, uint16_t scale, uint16_t offset, uint8_t* q) {
  const float s = half_to_float(scale), m = half_to_float(offset);
  const float inverse = s != 0.0f ? 1.0f / s : 0.0f;
  float error = 0.0f;
  for (int64_t i = 0; i < n; ++i) {
    const float y = nearest(std::clamp((x[i] - m) * inverse, 0.0f, 15.0f));
    q[i] = static_cast<uint8_t>(y);
    const float difference = y * s + m - x[i];
    error += difference * difference;
  }
  return {scale, offset, static_cast<double>(error)};
}

// The scale and the offset with the smallest error that a search finds: the whole range first, then ranges drawn in at
// both ends, each improved by least squares over the integers it gives.
Fit round_q4(const float* x, int64_t n, uint8_t* q) {
  float low = x[0], high = x[0];
  for (int64_t i = 1; i < n; ++i) {
    low = std::min(low, x[i]);
    high = std::max(high, x[i]);
  }
  uint8_t tried[kGroup];
  Fit best;
  const auto attempt = [&](float scale, float offset) {
    const Fit fit = round_q4_with(x, n, float_to_half(scale), float_to_half(offset), tried);
    if (fit.error < best.error) {
      best = fit;
      std::copy_n(tried, n, q);
    }
  };
  attempt((high - low) / 15.0f, low);
  if (best.error == 0.0) return best;
  for (int narrower = 0; narrower <= 10 && best.error > 0.0; ++narrower) {
    const float cut = (high - low) * 0.02f * static_cast<float>(narrower);
    float scale = (high - low - cut) / 15.0f, offset = low + 0.5f * cut;
    for (int round = 0; round < 2; ++round) {
      attempt(scale, offset);
      // Least squares of x over the integers just tried.
      float sum_q = 0.0f, sum_qq = 0.0f, sum_x = 0.0f, sum_qx = 0.0f;
      for (int64_t i = 0; i < n; ++i) {
        const float y = static_cast<float>(tried[i]);
        sum_q += y, sum_qq += y * y, sum_x += x[i], sum_qx += y * x[i];
      }
      const float count = static_cast<float>(n), spread = count * sum_qq - sum_q * sum_q;
      if (spread <= 0.0f) break;
      scale = (count * sum_qx - sum_q * sum_x) / spread;
      offset = (sum_x - scale * sum_q) / count;
    }
    attempt(scale, offset);
  }
  return best;
}

}  // namespace

std::string to_string(const WeightFormat& format) {
  using Kind = WeightFormat::Kind;
  switch (format.kind) {
    case Kind::f32:
      return "fp32";
    case Kind::f16:
      return "fp16";
    case Kind::bf16:
    case Kind::bf16_dot:
      return "bf16";
    case Kind::integers:
      break;
  }
  return "q" + std::to_string(int{format.bits});
}

void quantize_rows(const WeightFormat& format, const float* source, int64_t rows, int64_t k, uint8_t* q, void* scales,
                   void* offsets) {
  const bool q8 = format == WeightFormat::q8(), affine = format == WeightFormat::affine_q8();
  check_argument(q8 || affine || format == WeightFormat::q4(), "quantize_rows: neither q8 nor q4");
  auto* wide = static_cast<float*>(scales);
  auto *half = static_cast<uint16_t*>(scales), *offset = static_cast<uint16_t*>(offsets);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t begin = 0; begin < k; begin += format.group) {
      const int64_t n = std::min(format.group, k - begin);
      const float* const x = source + r * k + begin;
      uint8_t* const to = q + r * k + begin;
      const bool good = finite(x, n);  // else it stays visible: the results are NaN
      if (!good) std::fill_n(to, n, uint8_t{0});
      if (affine) {
        // A scale so small that its inverse overflows: zeros.
        const auto large = [](float scale) { return scale > 1e-38f ? scale : 0.0f; };
        *wide++ = good ? round_q8(x, n, to, large) : std::numeric_limits<float>::quiet_NaN();
      } else if (q8) {
        const auto to_half = [](float scale) { return half_to_float(float_to_half(scale)); };
        *half++ = good ? float_to_half(round_q8(x, n, to, to_half)) : uint16_t{0x7e00};
      } else {
        const Fit fit = good ? round_q4(x, n, to) : Fit{0x7e00, 0x7e00, 0.0};
        *half++ = fit.scale;
        *offset++ = fit.offset;
      }
    }
  }
}

}  // namespace transformers
