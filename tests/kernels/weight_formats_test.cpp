// Tests of the weight formats that are not plain floats: bf16 products, integers in groups, and quantize_rows.
#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "kernels/every_isa.hpp"
#include "transformers/base/error.hpp"
#include "transformers/base/parallel.hpp"
#include "transformers/base/platform.hpp"
#include "transformers/tensor/blocks.hpp"

namespace transformers {
namespace {

std::vector<WeightFormat> integer_formats() {
  std::vector<WeightFormat> formats;
  for (const DType type :
       {DType::q4_0, DType::q4_1, DType::q5_0, DType::q5_1, DType::q8_0, DType::q4_k, DType::q5_k, DType::q6_k}) {
    formats.emplace_back(type);
  }
  formats.push_back(WeightFormat::affine_q8());
  return formats;
}

// True where the ISA's multiply-add rounds once: everywhere but in plain C++.
bool fused() { return isa() != "portable"; }
float multiply_add(float a, float b, float c) { return fused() ? std::fma(a, b, c) : a * b + c; }

std::shared_ptr<std::byte> packed(const WeightFormat& format, const QuantizedRows& rows, int64_t n, int64_t k) {
  auto bytes = allocate_bytes(packed_bytes(format, n, k));
  pack_rows(format, rows, 0, n, n, k, bytes.get());
  return bytes;
}

// A weight of random integers, with its scales as stored and as float32.
struct IntegerWeight {
  WeightFormat format;
  int64_t n, k, groups;
  std::vector<uint8_t> q;
  std::vector<uint16_t> half_scales, half_offsets;
  std::vector<float> scales, offsets;
  std::shared_ptr<std::byte> bytes;

  IntegerWeight(const WeightFormat& f, int64_t rows, int64_t columns, uint32_t seed)
      : format(f), n(rows), k(columns), groups((columns + f.group - 1) / f.group) {
    std::mt19937 generator(seed);
    for (int64_t i = 0; i < n * k; ++i) {
      q.push_back(static_cast<uint8_t>(generator() % (format.bits == 4 ? 16 : format.zero == 128 ? 256 : 64)));
    }
    for (const float x : random_floats(n * groups, seed + 1)) {
      half_scales.push_back(to_f16(0.01f * x + 0.02f));
      scales.push_back(format.half_scales ? static_cast<float>(from_f16(half_scales.back())) : 0.01f * x + 0.02f);
    }
    for (const float x : random_floats(n * groups, seed + 2)) {
      half_offsets.push_back(to_f16(x));
      offsets.push_back(format.half_scales ? static_cast<float>(from_f16(half_offsets.back())) : x);
    }
    bytes = packed(format, rows_(), n, k);
  }
  QuantizedRows rows_() const {
    if (format.half_scales) return {q.data(), half_scales.data(), half_offsets.data()};
    return {q.data(), scales.data(), offsets.data()};
  }
  PackedMatrix matrix() const { return {bytes.get(), format, n, k}; }
  float value(int64_t row, int64_t column) const {
    const auto i = static_cast<std::size_t>(row * k + column);
    const auto g = static_cast<std::size_t>(row * groups + column / format.group);
    return format.offsets ? static_cast<float>(q[i]) * scales[g] + offsets[g]
                          : static_cast<float>(q[i] - format.zero) * scales[g];
  }
};

// The rule of WeightFormat, one output.
float product_by_the_rule(const float* a, const IntegerWeight& w, int64_t row) {
  float sum = 0.0f;
  for (int64_t g = 0; g < w.groups; ++g) {
    const int64_t begin = g * w.format.group, end = std::min(w.k, begin + w.format.group);
    float most = 0.0f;
    for (int64_t i = begin; i < end; ++i) most = std::max(most, std::abs(a[i]));
    float t = most > 0.0f ? most / 127.0f : 0.0f, inverse = most > 0.0f ? 127.0f / most : 0.0f;
    int64_t products = 0, total = 0, highest = 127;
    if (w.format.affine) {
      const auto [low, high] = std::minmax_element(a + begin, a + end);
      const float least = std::min(*low, 0.0f), range = std::max(*high, 0.0f) - least;
      t = range / 255.0f;
      inverse = range > 0.0f ? 255.0f / range : 0.0f;
      highest = 255 + static_cast<int64_t>(std::nearbyint(least * inverse));
    }
    for (int64_t i = begin; i < end; ++i) {
      const auto q = std::min(static_cast<int64_t>(std::nearbyint(a[i] * inverse)), highest);
      total += q;
      products += q * (w.q[static_cast<std::size_t>(row * w.k + i)] - (w.format.offsets ? 0 : w.format.zero));
    }
    const auto at = static_cast<std::size_t>(row * w.groups + g);
    sum = multiply_add(static_cast<float>(products), w.scales[at] * t, sum);
    if (w.format.offsets) sum = multiply_add(w.offsets[at], t * static_cast<float>(total), sum);
  }
  return sum;
}

class WeightFormatsTest : public EveryIsa {};

TEST_P(WeightFormatsTest, IntegersFollowTheRuleToTheBit) {
  int turn = 0;
  for (const WeightFormat& type : integer_formats()) {
    for (const int64_t n : {1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 65}) {
      for (const int64_t k : {0, 1, 3, 4, 5, 16, 31, 32, 33, 64, 100, 131, 261}) {
        const IntegerWeight weight(type, n, k, static_cast<uint32_t>(n * 1000 + k));
        for (const int64_t m : {0, 1, 2, 3, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 29}) {
          if (++turn % 3 != 0 && m > 3) continue;
          const int64_t lda = k + turn % 4, ldc = n + turn % 5;
          const std::vector<float> a = random_floats(m * lda + 1, static_cast<uint32_t>(turn));
          std::vector<float> c(static_cast<std::size_t>(m * ldc + 2), 12345.0f);
          gemm({.a = a.data() + 1, .lda = lda, .m = m, .b = weight.matrix(), .c = c.data() + 1, .ldc = ldc});
          ASSERT_EQ(c[0], 12345.0f);
          for (int64_t i = 0; i < m; ++i) {
            for (int64_t j = 0; j < ldc; ++j) {
              const float got = c[static_cast<std::size_t>(1 + i * ldc + j)];
              const float want = j < n ? product_by_the_rule(a.data() + 1 + i * lda, weight, j) : 12345.0f;
              ASSERT_EQ(got, want) << to_string(type) << " m " << m << " n " << n << " k " << k << " at " << i << ", "
                                   << j;
            }
          }
        }
      }
    }
  }
}

TEST_P(WeightFormatsTest, EpiloguesAreThoseOfEveryProduct) {
  for (const WeightFormat& format : {WeightFormat::q8(), WeightFormat::affine_q8(), WeightFormat::q4()}) {
    const int64_t m = 17, n = 37, k = 70;
    const IntegerWeight weight(format, n, k, 3);
    const std::vector<float> a = random_floats(m * k, 4), bias = random_floats(n, 5),
                             residual = random_floats(m * n, 6);
    for (const Activation activation : kAllActivations) {
      std::vector<float> c(static_cast<std::size_t>(m * n));
      gemm({.a = a.data(),
            .lda = k,
            .m = m,
            .b = weight.matrix(),
            .bias = bias.data(),
            .activation = activation,
            .residual = residual.data(),
            .ldr = n,
            .c = c.data(),
            .ldc = n});
      for (int64_t i = 0; i < m; ++i) {
        for (int64_t j = 0; j < n; ++j) {
          const auto at = static_cast<std::size_t>(i * n + j);
          const double sum = product_by_the_rule(a.data() + i * k, weight, j) + bias[static_cast<std::size_t>(j)];
          const double want = exact_activation(activation, sum) + residual[at];
          ASSERT_NEAR(c[at], want, 1e-5 + 1e-7 * std::abs(want));
        }
      }
    }
  }
}

// The promise, for every format that the others do not show.
TEST_P(WeightFormatsTest, RowsDoNotDependOnTheirMates) {
  const int64_t n = 77, m = 71, k = 1000;
  const std::vector<float> a = random_floats(m * k, 12);
  std::vector<uint16_t> halves;
  for (const float x : random_floats(n * k, 13)) halves.push_back(to_bf16(x));
  const auto bf16 = allocate_bytes(packed_bytes(WeightFormat::bf16_dot(), n, k));
  pack_rows(WeightFormat::bf16_dot(), halves.data(), k, 0, n, n, k, bf16.get());
  std::vector<PackedMatrix> weights{{bf16.get(), WeightFormat::bf16_dot(), n, k}};
  std::vector<IntegerWeight> integers;
  for (const WeightFormat& type : integer_formats()) integers.emplace_back(type, n, k, 14);
  for (const IntegerWeight& w : integers) weights.push_back(w.matrix());
  for (const PackedMatrix& weight : weights) {
    const auto run = [&](const float* rows, int64_t count, int64_t lda) {
      std::vector<float> c(static_cast<std::size_t>(count * n));
      gemm({.a = rows, .lda = lda, .m = count, .b = weight, .c = c.data(), .ldc = n});
      return c;
    };
    set_num_threads(1);
    const std::vector<float> whole = run(a.data(), m, k);
    for (const int threads : {1, 2, 4}) {
      set_num_threads(threads);
      ASSERT_EQ(run(a.data(), m, k), whole) << threads << " threads";
      for (int64_t count = 1; count < m; count = count * 3 / 2 + 1) {
        for (const int64_t first : {int64_t{0}, (m - count) / 2, m - count}) {
          const std::vector<float> part = run(a.data() + first * k, count, k);
          ASSERT_TRUE(same_bits(part.data(), whole.data() + first * n, count * n)) << count << " rows from " << first;
        }
      }
    }
  }
}

// Many rows of a long k: several groups of rows, each with its own copy.
TEST_P(WeightFormatsTest, LargeProductsAreTheSumOfSmallOnes) {
  const int64_t m = 1500, n = 40, k = 3000;
  for (const WeightFormat& format : {WeightFormat::q8(), WeightFormat::affine_q8()}) {
    const IntegerWeight weight(format, n, k, 15);
    const std::vector<float> a = random_floats(m * k, 16);
    std::vector<float> c(static_cast<std::size_t>(m * n), 1.0f);
    const auto at = [&](int64_t i, int64_t j) -> float& { return c[static_cast<std::size_t>(i * n + j)]; };
    gemm({.a = a.data(),
          .lda = k,
          .m = m,
          .b = weight.matrix(),
          .residual = c.data(),
          .ldr = n,
          .c = c.data(),
          .ldc = n});
    for (const int64_t i : {int64_t{0}, int64_t{13}, int64_t{14}, int64_t{167}, int64_t{168}, m / 2, m - 1}) {
      for (int64_t j = 0; j < n; ++j) {
        ASSERT_EQ(at(i, j), product_by_the_rule(a.data() + i * k, weight, j) + 1.0f) << i;
      }
    }
  }
}

TEST_P(WeightFormatsTest, Bf16RoundsBothOperands) {
  for (const int64_t n : {1, 16, 17, 31, 33, 65}) {
    for (const int64_t k : {0, 1, 2, 3, 15, 16, 17, 33, 600}) {
      std::vector<uint16_t> weight;
      for (const float x : random_floats(n * k, 21)) weight.push_back(to_bf16(x));
      const auto bytes = allocate_bytes(packed_bytes(WeightFormat::bf16_dot(), n, k));
      pack_rows(WeightFormat::bf16_dot(), weight.data(), k, 0, n, n, k, bytes.get());
      for (const int64_t m : {1, 2, 7, 8, 14, 15, 43}) {
        const std::vector<float> a = random_floats(m * k, 22);
        std::vector<float> c(static_cast<std::size_t>(m * n));
        gemm({.a = a.data(),
              .lda = k,
              .m = m,
              .b = {bytes.get(), WeightFormat::bf16_dot(), n, k},
              .c = c.data(),
              .ldc = n});
        for (int64_t i = 0; i < m; ++i) {
          for (int64_t j = 0; j < n; ++j) {
            double want = 0.0;
            for (int64_t l = 0; l < k; ++l) {
              want += double{from_bf16(to_bf16(a[static_cast<std::size_t>(i * k + l)]))} *
                      from_bf16(weight[static_cast<std::size_t>(j * k + l)]);
            }
            // Summation alone: far below the 2^-9 that rounding A to bf16 changes.
            ASSERT_NEAR(c[static_cast<std::size_t>(i * n + j)], want, 1e-6 + 1e-6 * static_cast<double>(k));
          }
        }
      }
    }
  }
}

TEST_P(WeightFormatsTest, Bf16RoundsToNearestEven) {
  // 1 + 2^-8 lies between 1 and 1 + 2^-7, 1 + 3 * 2^-8 between that and 1 + 2^-6.
  const std::vector<float> a = {1.00390625f, 1.01171875f, 1.0f + 0x1p-8f + 0x1p-20f, 3.4e38f};
  const std::vector<float> want = {1.0f, 1.015625f, 1.0078125f, std::numeric_limits<float>::infinity()};
  const uint16_t one = to_bf16(1.0f);
  const auto bytes = allocate_bytes(packed_bytes(WeightFormat::bf16_dot(), 1, 1));
  pack_rows(WeightFormat::bf16_dot(), &one, 1, 0, 1, 1, 1, bytes.get());
  std::vector<float> c(4);
  gemm({.a = a.data(), .lda = 1, .m = 4, .b = {bytes.get(), WeightFormat::bf16_dot(), 1, 1}, .c = c.data(), .ldc = 1});
  EXPECT_EQ(c, want);
}

TEST_P(WeightFormatsTest, WhatIsNotFiniteStaysVisible) {
  const int64_t n = 5, k = 70;
  for (const WeightFormat& format : integer_formats()) {
    const IntegerWeight weight(format, n, k, 31);
    const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
    for (const float bad : {nan, -nan, infinity, -infinity}) {
      for (const int64_t at : {0, 40, 69}) {
        std::vector<float> a = random_floats(3 * k, 32), c(3 * n), clean(3 * n);
        gemm({.a = a.data(), .lda = k, .m = 3, .b = weight.matrix(), .c = clean.data(), .ldc = n});
        a[static_cast<std::size_t>(k + at)] = bad;
        gemm({.a = a.data(), .lda = k, .m = 3, .b = weight.matrix(), .c = c.data(), .ldc = n});
        for (int64_t j = 0; j < n; ++j) EXPECT_TRUE(std::isnan(c[static_cast<std::size_t>(n + j)]));
        EXPECT_TRUE(same_bits(c.data(), clean.data(), n));
        EXPECT_TRUE(same_bits(c.data() + 2 * n, clean.data() + 2 * n, n));
      }
    }
    // Values whose scale underflows are zeros, the largest there are do no harm.
    std::vector<float> a(2 * k, 1e-40f), c(2 * n);
    std::fill_n(a.begin() + k, k, 3e38f);
    gemm({.a = a.data(), .lda = k, .m = 2, .b = weight.matrix(), .c = c.data(), .ldc = n});
    for (int64_t j = 0; j < n; ++j) EXPECT_EQ(c[static_cast<std::size_t>(j)], 0.0f);
  }
}

TEST_P(WeightFormatsTest, RowsAreGatheredFromPanels) {
  for (const WeightFormat& type : integer_formats()) {
    const IntegerWeight weight(type, 70, 100, 41);
    const std::vector<int32_t> ids = {0, 69, 31, 32, 33, 5, 5};
    std::vector<float> out(ids.size() * 100, 1.0f), sum = out;
    gather_rows(weight.matrix(), ids, false, out.data());
    gather_rows(weight.matrix(), ids, true, sum.data());
    for (std::size_t t = 0; t < ids.size(); ++t) {
      for (int64_t i = 0; i < 100; ++i) {
        const std::size_t at = t * 100 + static_cast<std::size_t>(i);
        ASSERT_EQ(out[at], weight.value(ids[t], i)) << to_string(type);
        ASSERT_EQ(sum[at], 1.0f + out[at]);
      }
    }
  }
}

TEST_P(WeightFormatsTest, PacksInAnyNumberOfRanges) {
  for (const WeightFormat& type : integer_formats()) {
    const int64_t step = panel_rows(type), n = 3 * step + 5, k = 75;
    const IntegerWeight weight(type, n, k, 51);
    const auto parts = allocate_bytes(packed_bytes(type, n, k));
    const QuantizedRows all = weight.rows_();
    const int64_t scale_row = weight.groups * (weight.format.half_scales ? 2 : 4);
    for (int64_t row = 0; row < n; row += step) {
      pack_rows(type,
                QuantizedRows{all.q + row * k, static_cast<const char*>(all.scales) + row * scale_row,
                              static_cast<const char*>(all.offsets) + row * scale_row},
                row, std::min(step, n - row), n, k, parts.get());
    }
    const std::vector<float> a = random_floats(k, 52);
    std::vector<float> c(static_cast<std::size_t>(n)), want = c;
    gemm({.a = a.data(), .lda = k, .m = 1, .b = weight.matrix(), .c = want.data(), .ldc = n});
    gemm({.a = a.data(), .lda = k, .m = 1, .b = {parts.get(), type, n, k}, .c = c.data(), .ldc = n});
    EXPECT_EQ(c, want);
  }
}

TCPP_EVERY_ISA(WeightFormatsTest);

// ---- quantize_rows --------------------------------------------------------------------------------------------------

struct Quantized {
  std::vector<uint8_t> q;
  std::vector<float> values;

  Quantized(const WeightFormat& format, const std::vector<float>& x, int64_t k) : q(x.size()) {
    const auto rows = static_cast<int64_t>(x.size()) / k, groups = format.scales_of(k);
    std::vector<float> scales(static_cast<std::size_t>(rows * groups)), offsets = scales;
    std::vector<uint16_t> half_scales(scales.size()), half_offsets = half_scales;
    if (format.half_scales) {
      quantize_rows(format, x.data(), rows, k, q.data(), half_scales.data(), half_offsets.data());
      for (std::size_t g = 0; g < scales.size(); ++g) {
        scales[g] = static_cast<float>(from_f16(half_scales[g]));
        offsets[g] = static_cast<float>(from_f16(half_offsets[g]));
      }
    } else {
      quantize_rows(format, x.data(), rows, k, q.data(), scales.data(), nullptr);
    }
    for (int64_t i = 0; i < rows * k; ++i) {
      const auto g = static_cast<std::size_t>(i / k * groups + i % k / format.group), at = static_cast<std::size_t>(i);
      values.push_back(format.offsets ? static_cast<float>(q[at]) * scales[g] + offsets[g]
                                      : static_cast<float>(q[at] - format.zero) * scales[g]);
    }
  }
};

double squared_error(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
  return sum;
}

TEST(QuantizeRows, ErrorsAreThoseOfTheBits) {
  const std::vector<float> x = random_floats(7 * 100, 61);
  const Quantized q8(WeightFormat::q8(), x, 100), q4(WeightFormat::q4(), x, 100);
  const Quantized affine(WeightFormat::affine_q8(), x, 100);
  for (std::size_t i = 0; i < x.size(); ++i) {
    EXPECT_NEAR(q8.values[i], x[i], 0.0041f);  // half of 1 / 127, and the scale's own rounding
    EXPECT_NEAR(affine.values[i], x[i], 0.0041f);
    EXPECT_NEAR(q4.values[i], x[i], 0.12f);
  }
  EXPECT_LE(*std::ranges::max_element(q4.q), 15);
}

// The range alone, as Q4_1 has it, is one of the scales tried: the search can only be better.
TEST(QuantizeRows, TheSearchBeatsTheRange) {
  std::vector<float> x = random_floats(64 * 96, 62);
  for (float& v : x) v = v * v * v;
  const Quantized q4(WeightFormat::q4(), x, 96);
  std::vector<float> by_range;
  for (std::size_t g = 0; g < x.size(); g += 32) {
    const auto [low, high] = std::ranges::minmax_element(x.begin() + static_cast<std::ptrdiff_t>(g),
                                                         x.begin() + static_cast<std::ptrdiff_t>(g + 32));
    const float scale = (*high - *low) / 15.0f;
    for (std::size_t i = g; i < g + 32; ++i) by_range.push_back(std::nearbyint((x[i] - *low) / scale) * scale + *low);
  }
  EXPECT_LT(squared_error(x, q4.values), 0.9 * squared_error(x, by_range));
}

TEST(QuantizeRows, WhatWasQuantizedStaysAsItIs) {
  for (const WeightFormat& format : {WeightFormat::q8(), WeightFormat::affine_q8(), WeightFormat::q4()}) {
    std::mt19937 generator(63);
    std::vector<float> x;
    for (int g = 0; g < 40; ++g) {
      const auto scale = static_cast<float>(from_f16(to_f16(0.01f * static_cast<float>(g + 1))));
      const auto offset = static_cast<float>(from_f16(to_f16(-0.07f * static_cast<float>(g))));
      for (int64_t i = 0; i < format.group; ++i) {
        // Both ends occur, as in a file that was quantized by its range.
        const int q = format.offsets ? (i < 2 ? static_cast<int>(i) * 15 : static_cast<int>(generator() % 16))
                                     : (i == 0 ? 127 : static_cast<int>(generator() % 255) - 127);
        x.push_back(format.offsets ? static_cast<float>(q) * scale + offset : static_cast<float>(q) * scale);
      }
    }
    EXPECT_EQ(Quantized(format, x, 32 * 8).values, x);
  }
}

// A host's pool that begins something else on the caller's thread before it does what it was asked for.
class Distracted : public Executor {
 public:
  explicit Distracted(std::function<void()> other) : other_(std::move(other)) { set_executor(this); }
  ~Distracted() override { set_executor(nullptr); }
  int num_threads() const noexcept override { return 2; }
  void parallel_for(int64_t count, IndexFunction f) override {
    if (const auto other = std::exchange(other_, nullptr)) {
      other();
      other_ = other;
    }
    for (int64_t i = 0; i < count; ++i) f(i);
  }

 private:
  std::function<void()> other_;
};

TEST_P(WeightFormatsTest, ProductsMayBeginWhileAnotherOfTheThreadWaits) {
  for (const WeightFormat& type : integer_formats()) {
    const IntegerWeight weight(type, 65, 256, 1), other(type, 33, 512, 2);
    const std::vector<float> a = random_floats(40 * 256, 3), b = random_floats(40 * 512, 4);
    const auto multiply = [](const IntegerWeight& w, const std::vector<float>& x) {
      std::vector<float> c(static_cast<std::size_t>(40 * w.n));
      gemm({.a = x.data(), .lda = w.k, .m = 40, .b = w.matrix(), .c = c.data(), .ldc = w.n});
      return c;
    };
    const std::vector<float> alone = multiply(weight, a);
    const Distracted host([&] { multiply(other, b); });
    EXPECT_EQ(multiply(weight, a), alone) << to_string(type);
  }
}

TEST(QuantizeRows, ExtremesAndEmptyRows) {
  const float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for (const WeightFormat& format : {WeightFormat::q8(), WeightFormat::affine_q8(), WeightFormat::q4()}) {
    for (const float bad : {infinity, nan}) {
      std::vector<float> x(256, 0.5f);
      x[240] = bad;
      const Quantized q(format, x, 256);
      EXPECT_NEAR(q.values[3], 0.5f, 1e-4f);
      EXPECT_TRUE(std::isnan(q.values[240]));
    }
    const Quantized zeros(format, std::vector<float>(33, 0.0f), 33), same(format, std::vector<float>(33, 0.25f), 33);
    EXPECT_EQ(zeros.values, std::vector<float>(33, 0.0f));
    for (const float v : same.values) EXPECT_NEAR(v, 0.25f, 1e-4f);
    for (const float v : Quantized(format, std::vector<float>(32, 3e38f), 32).values) EXPECT_TRUE(std::isfinite(v));
    for (const float v : Quantized(format, std::vector<float>(32, 1e-30f), 32).values) EXPECT_NEAR(v, 0.0f, 1e-7f);
    EXPECT_TRUE(Quantized(format, {}, 32).values.empty());
  }
  EXPECT_THROW(quantize_rows(DType::q4_k, nullptr, 0, 32, nullptr, nullptr, nullptr), Error);
}

}  // namespace
}  // namespace transformers
