// Tests of the norms, softmax, activations, rotary, gather_rows and widen in kernels/kernels.hpp.
#include <algorithm>
#include <cmath>

#include "kernels/every_isa.hpp"
#include "transformers/base/error.hpp"

namespace transformers {
namespace {

// Every length around the borders of vectors and of the unrolled loops of 16-float vectors, and a few real ones.
std::vector<int64_t> lengths() {
  std::vector<int64_t> all;
  for (int64_t n = 1; n <= 35; ++n) all.push_back(n);
  for (const int64_t n : {63, 64, 65, 97, 127, 128, 129, 384, 768, 1000}) all.push_back(n);
  return all;
}

class RowwiseTest : public EveryIsa {};

TEST_P(RowwiseTest, LayerNormEqualsTheDefinition) {
  for (const int64_t n : lengths()) {
    for (const int64_t rows : {0, 1, 3, 70}) {
      const std::vector<float> x = random_floats(rows * n + 1, static_cast<uint32_t>(n));
      const std::vector<float> weight = random_floats(n + 1, 2), bias = random_floats(n + 1, 3);
      std::vector<float> out(static_cast<std::size_t>(rows * n + 1)), in_place = x;
      layer_norm(x.data() + 1, rows, n, weight.data() + 1, bias.data() + 1, 1e-5f, out.data() + 1);
      layer_norm(in_place.data() + 1, rows, n, weight.data() + 1, bias.data() + 1, 1e-5f, in_place.data() + 1);
      ASSERT_TRUE(same_bits(in_place.data() + 1, out.data() + 1, rows * n));
      for (int64_t r = 0; r < rows; ++r) {
        const float* row = x.data() + 1 + r * n;
        double mean = 0.0, variance = 0.0;
        for (int64_t i = 0; i < n; ++i) mean += row[i] / static_cast<double>(n);
        for (int64_t i = 0; i < n; ++i) variance += (row[i] - mean) * (row[i] - mean) / static_cast<double>(n);
        for (int64_t i = 0; i < n; ++i) {
          const auto j = static_cast<std::size_t>(1 + i);
          const double want = (row[i] - mean) / std::sqrt(variance + 1e-5) * weight[j] + bias[j];
          ASSERT_NEAR(out[static_cast<std::size_t>(1 + r * n + i)], want, 4e-6) << "n " << n << " at " << i;
        }
      }
    }
  }
}

TEST_P(RowwiseTest, RmsNormEqualsTheDefinition) {
  for (const int64_t n : lengths()) {
    const int64_t rows = 7, stride = n + 3;
    const std::vector<float> x = random_floats(rows * stride, static_cast<uint32_t>(n)), weight = random_floats(n, 2);
    for (const float* w : {weight.data(), static_cast<const float*>(nullptr)}) {
      std::vector<float> out(static_cast<std::size_t>(rows * (n + 1)), -7.0f), in_place = x;
      rms_norm(x.data(), stride, rows, n, w, 1e-5f, out.data(), n + 1);
      rms_norm(in_place.data(), stride, rows, n, w, 1e-5f, in_place.data(), stride);
      for (int64_t r = 0; r < rows; ++r) {
        double square = 0.0;
        for (int64_t i = 0; i < n; ++i) {
          const double v = x[static_cast<std::size_t>(r * stride + i)];
          square += v * v / static_cast<double>(n);
        }
        for (int64_t i = 0; i < n; ++i) {
          const double want =
              x[static_cast<std::size_t>(r * stride + i)] / std::sqrt(square + 1e-5) * (w ? w[i] : 1.0f);
          ASSERT_NEAR(out[static_cast<std::size_t>(r * (n + 1) + i)], want, 2e-6) << "n " << n << " at " << i;
        }
        ASSERT_TRUE(same_bits(out.data() + r * (n + 1), in_place.data() + r * stride, n));
        ASSERT_EQ(out[static_cast<std::size_t>(r * (n + 1) + n)], -7.0f);
        ASSERT_TRUE(same_bits(in_place.data() + r * stride + n, x.data() + r * stride + n, 3));
      }
    }
  }
}

TEST_P(RowwiseTest, RotaryTurnsPairs) {
  for (const bool interleaved : {false, true}) {
    for (const int64_t half : {0, 1, 2, 3, 4, 7, 8, 9, 16, 17, 33, 64}) {
      const int64_t rows = 5, heads = 3, head_dim = 2 * half + (half % 3 == 0 ? 4 : 0), stride = heads * head_dim + 2;
      if (head_dim == 0) continue;
      const std::vector<float> x = random_floats(rows * stride, 4);
      const std::vector<float> cos = random_floats(rows * half, 5), sin = random_floats(rows * half, 6);
      std::vector<float> out = x, want = x;
      rotary({.x = out.data(),
              .x_stride = stride,
              .rows = rows,
              .heads = heads,
              .head_dim = head_dim,
              .rotary_dim = 2 * half,
              .cos = cos.data(),
              .sin = sin.data(),
              .interleaved = interleaved});
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t h = 0; h < heads; ++h) {
          for (int64_t i = 0; i < half; ++i) {
            const auto a = static_cast<std::size_t>(r * stride + h * head_dim + (interleaved ? 2 * i : i));
            const std::size_t b = a + static_cast<std::size_t>(interleaved ? 1 : half);
            const float c = cos[static_cast<std::size_t>(r * half + i)],
                        s = sin[static_cast<std::size_t>(r * half + i)];
            want[a] = x[a] * c - x[b] * s;
            want[b] = x[b] * c + x[a] * s;
          }
        }
      }
      for (std::size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(out[i], want[i], 2e-7) << "half " << half << " at " << i;
    }
  }
}

TEST_P(RowwiseTest, GatedProductAndSoftcapEqualTheDefinition) {
  for (const Activation activation : kAllActivations) {
    for (const int64_t n : {1, 5, 8, 17, 100, 6000}) {
      const int64_t rows = 4;
      const std::vector<float> both = random_floats(rows * 2 * n, 8);
      std::vector<float> out(static_cast<std::size_t>(rows * n));
      gated_product(activation, both.data(), 2 * n, both.data() + n, 2 * n, rows, n, out.data(), n);
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t i = 0; i < n; ++i) {
          const double gate = both[static_cast<std::size_t>(r * 2 * n + i)];
          const double up = both[static_cast<std::size_t>(r * 2 * n + n + i)];
          ASSERT_NEAR(out[static_cast<std::size_t>(r * n + i)], exact_activation(activation, gate) * up, 2e-6);
        }
      }
    }
  }
  std::vector<float> x = random_floats(1003, 3);
  for (float& v : x) v *= 100.0f;
  std::vector<float> out = x;
  softcap(30.0f, out.data(), 1003);
  for (std::size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(out[i], 30.0 * std::tanh(x[i] / 30.0), 1e-5);
}

TEST_P(RowwiseTest, LogSoftmaxEqualsTheDefinition) {
  for (const int64_t n : {1, 2, 33, 20000}) {
    const int64_t rows = 3, stride = n + 2;
    std::vector<float> x = random_floats(rows * stride, static_cast<uint32_t>(n));
    for (float& v : x) v *= 90.0f;
    const std::vector<float> before = x;
    log_softmax(x.data(), stride, rows, n);
    for (int64_t r = 0; r < rows; ++r) {
      const float* row = before.data() + r * stride;
      double total = 0.0;
      for (int64_t i = 0; i < n; ++i) total += std::exp(double{row[i]});
      for (int64_t i = 0; i < n; ++i) {
        ASSERT_NEAR(x[static_cast<std::size_t>(r * stride + i)], double{row[i]} - std::log(total), 2e-5);
      }
      ASSERT_TRUE(same_bits(x.data() + r * stride + n, row + n, 2));
    }
  }
}

TEST_P(RowwiseTest, ArgmaxTakesTheFirstOfEqualsAndFindsTheFirstNaN) {
  const float infinity = INFINITY, nan = NAN;
  for (const int64_t n : {1, 7, 64, 65, 200, 20011}) {
    std::vector<float> x = random_floats(n, static_cast<uint32_t>(n));
    const auto at = [&](int64_t i) -> float& { return x[static_cast<std::size_t>(i)]; };
    EXPECT_EQ(argmax(x.data(), n), std::max_element(x.begin(), x.end()) - x.begin());
    for (const float top : {5.0f, infinity}) {
      for (const int64_t i : {n - 1, n / 2, int64_t{0}}) {
        at(i) = top;
        EXPECT_EQ(argmax(x.data(), n), i) << n;
      }
      at(n / 2) = -infinity, at(n - 1) = top;
      EXPECT_EQ(argmax(x.data(), n), n == 1 ? 0 : n / 2 == 0 ? n - 1 : 0);
    }
    for (const int64_t i : {n - 1, n / 3}) {
      at(i) = nan;
      EXPECT_EQ(argmax(x.data(), n), -1 - i);
    }
    std::fill(x.begin(), x.end(), -infinity);
    EXPECT_EQ(argmax(x.data(), n), 0);
  }
  EXPECT_EQ(argmax(nullptr, 0), 0);
}

TEST_P(RowwiseTest, FirstNotBelowIsTheFirst) {
  for (const int64_t n : {0, 1, 15, 64, 130, 5003}) {
    const std::vector<float> x = random_floats(n, static_cast<uint32_t>(n));
    for (const float least : {-2.0f, 0.0f, 0.9f, 0.999f, 2.0f}) {
      const auto found = std::find_if(x.begin(), x.end(), [&](float v) { return v + 0.25f >= least; });
      EXPECT_EQ(first_not_below(x.data(), n, 0.25f, least), found - x.begin()) << n << " " << least;
    }
    for (const int64_t i : {n - 1, n / 2}) {
      if (i < 0 || i >= n) continue;
      std::vector<float> broken(static_cast<std::size_t>(n), -1.0f);
      broken[static_cast<std::size_t>(i)] = NAN;
      EXPECT_EQ(first_not_below(broken.data(), n, 0.0f, 1.0f), i);
    }
  }
}

TEST_P(RowwiseTest, SumExpEqualsTheDefinition) {
  for (const int64_t n : {1, 16, 1023, 1025, 50257}) {
    std::vector<float> x = random_floats(n, static_cast<uint32_t>(n));
    for (float& v : x) v *= 12.0f;
    const float top = *std::max_element(x.begin(), x.end());
    double sum = 0.0;
    for (const float v : x) sum += std::exp(static_cast<double>(v) - static_cast<double>(top));
    std::vector<float> terms(static_cast<std::size_t>(n));
    EXPECT_NEAR(sum_exp(x.data(), n, top, terms.data()) / sum, 1.0, 1e-6);
    EXPECT_EQ(sum_exp(x.data(), n, top), sum_exp(x.data(), n, top, terms.data()));
    for (std::size_t i = 0; i < terms.size(); ++i) ASSERT_NEAR(terms[i], std::exp(x[i] - top), 5e-7);
    sum_exp(x.data(), n, top, x.data());
    EXPECT_EQ(x, terms);
  }
}

TEST_P(RowwiseTest, SoftmaxEqualsTheDefinition) {
  for (const int64_t n : lengths()) {
    const int64_t rows = 5;
    std::vector<float> x = random_floats(rows * n + 1, static_cast<uint32_t>(n));
    for (float& v : x) v *= 20.0f;
    const std::vector<float> before = x;
    softmax(x.data() + 1, rows, n);
    for (int64_t r = 0; r < rows; ++r) {
      const float* row = before.data() + 1 + r * n;
      double total = 0.0;
      for (int64_t i = 0; i < n; ++i) total += std::exp(double{row[i]});
      for (int64_t i = 0; i < n; ++i) {
        ASSERT_NEAR(x[static_cast<std::size_t>(1 + r * n + i)], std::exp(double{row[i]}) / total, 1e-6);
      }
    }
  }
  std::vector<float> far = {-1e30f, 0.0f, -200.0f, 1.0f, -INFINITY};
  softmax(far.data(), 1, 5);
  EXPECT_EQ(far[0], 0.0f);
  EXPECT_EQ(far[4], 0.0f);
  EXPECT_NEAR(far[1] + far[2] + far[3], 1.0f, 1e-6f);
}

// Bits of a row alone, in the middle of many, and on several threads.
TEST_P(RowwiseTest, RowsDoNotDependOnTheirMates) {
  for (const int64_t n : {5, 63, 384}) {
    const int64_t rows = 200;
    const std::vector<float> x = random_floats(rows * n, 1), weight = random_floats(n, 2), bias = random_floats(n, 3);
    const auto norm = [&](const float* from, int64_t count) {
      std::vector<float> out(static_cast<std::size_t>(count * n));
      layer_norm(from, count, n, weight.data(), bias.data(), 1e-12f, out.data());
      softmax(out.data(), count, n);
      activate(Activation::gelu, out.data(), count * n);
      return out;
    };
    set_num_threads(1);
    const std::vector<float> whole = norm(x.data(), rows);
    for (const int threads : {1, 2, 4}) {
      set_num_threads(threads);
      ASSERT_EQ(norm(x.data(), rows), whole);
      for (int64_t r = 0; r < rows; r += 7) {
        const std::vector<float> alone = norm(x.data() + r * n, 1);
        ASSERT_TRUE(same_bits(alone.data(), whole.data() + r * n, n)) << "row " << r << " of " << n;
      }
    }
  }
}

TEST_P(RowwiseTest, ActivationsAreExactToAMillionth) {
  std::vector<float> x;
  for (float v = -12.0f; v <= 12.0f; v += 0.00093f) x.push_back(v);
  for (const float v : {0.0f, -0.0f, 1e-30f, -1e-30f, 50.0f, -50.0f, 104.0f, -104.0f, 1e10f, -1e10f}) x.push_back(v);
  for (const Activation activation : kAllActivations) {
    std::vector<float> y = x;
    activate(activation, y.data(), static_cast<int64_t>(y.size()));
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double want = exact_activation(activation, x[i]);
      ASSERT_NEAR(y[i], want, 1e-6 + 2e-7 * std::abs(want)) << "activation " << int(activation) << " at " << x[i];
    }
  }
}

TEST_P(RowwiseTest, SmallTanhKeepsItsDigits) {
  for (float v = 1e-6f; v < 2.0f; v *= 1.07f) {
    float y = v;
    activate(Activation::tanh, &y, 1);
    ASSERT_NEAR(y / std::tanh(double{v}), 1.0, 4e-7) << v;
  }
}

TEST_P(RowwiseTest, ActivationsPassNaNsAndInfinities) {
  for (const Activation activation : kAllActivations) {
    std::vector<float> x = {NAN, INFINITY, -INFINITY, 1.0f};
    activate(activation, x.data(), 4);
    EXPECT_TRUE(std::isnan(x[0])) << int(activation);
    EXPECT_EQ(x[1], static_cast<float>(exact_activation(activation, INFINITY))) << int(activation);
    EXPECT_NEAR(x[3], exact_activation(activation, 1.0), 1e-6);
  }
}

// All 65536 values of both types, from an odd address.
TEST_P(RowwiseTest, WidenIsExact) {
  constexpr int64_t kCount = 65536;
  std::vector<char> bytes(2 * kCount + 1);
  for (int64_t i = 0; i < kCount; ++i) {
    const uint16_t bits = static_cast<uint16_t>(i);
    std::memcpy(bytes.data() + 1 + 2 * i, &bits, 2);
  }
  for (const DType dtype : {DType::f16, DType::bf16}) {
    std::vector<float> out(kCount);
    widen(dtype, bytes.data() + 1, kCount, out.data());
    for (int64_t i = 0; i < kCount; ++i) {
      const auto bits = static_cast<uint16_t>(i);
      const float want = dtype == DType::f16 ? static_cast<float>(from_f16(bits)) : from_bf16(bits);
      const float got = out[static_cast<std::size_t>(i)];
      if (std::isnan(want)) {
        ASSERT_TRUE(std::isnan(got)) << i;
      } else {
        ASSERT_TRUE(same_bits(&got, &want, 1)) << i << ": " << got << " instead of " << want;
      }
    }
  }
  for (int64_t count = 0; count <= 35; ++count) {
    std::vector<float> out(40, 9.0f);
    widen(DType::bf16, bytes.data() + 1 + 2 * 0x3f00, count, out.data());
    for (int64_t i = 0; i < 40; ++i) {
      ASSERT_EQ(out[static_cast<std::size_t>(i)], i < count ? from_bf16(static_cast<uint16_t>(0x3f00 + i)) : 9.0f);
    }
  }
}

TEST_P(RowwiseTest, GatherRowsReadsAndAccumulates) {
  for (const int64_t n : {1, 7, 16, 33, 384}) {
    const int64_t rows = 50;
    const std::vector<float> values = random_floats(rows * n, 1);
    std::vector<int32_t> ids;
    for (int i = 0; i < 200; ++i) ids.push_back(i * 7919 % 50);
    for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
      std::vector<char> table(static_cast<std::size_t>(rows * n) * dtype_size(dtype) + 3);
      std::vector<float> stored = values;
      for (std::size_t i = 0; i < values.size(); ++i) {
        if (dtype == DType::f32) {
          std::memcpy(table.data() + 3 + 4 * i, &values[i], 4);
        } else {
          const uint16_t half = dtype == DType::f16 ? to_f16(values[i]) : to_bf16(values[i]);
          std::memcpy(table.data() + 3 + 2 * i, &half, 2);
          stored[i] = dtype == DType::f16 ? static_cast<float>(from_f16(half)) : from_bf16(half);
        }
      }
      std::vector<float> out(ids.size() * static_cast<std::size_t>(n), -1.0f);
      for (const bool accumulate : {false, true}) {
        gather_rows(dtype, table.data() + 3, n, ids, accumulate, out.data());
        for (std::size_t t = 0; t < ids.size(); ++t) {
          for (int64_t i = 0; i < n; ++i) {
            const float once = stored[static_cast<std::size_t>(ids[t] * n + i)];
            ASSERT_EQ(out[t * static_cast<std::size_t>(n) + static_cast<std::size_t>(i)],
                      accumulate ? once + once : once);
          }
        }
      }
    }
  }
  EXPECT_THROW(gather_rows(DType::i32, nullptr, 1, {}, false, nullptr), Error);
}

TCPP_EVERY_ISA(RowwiseTest);

}  // namespace
}  // namespace transformers
