// Tests of packing, gemm() and the choice of ISA in kernels/kernels.hpp.
#include <Eigen/Core>
#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>

#include "kernels/every_isa.hpp"
#include "transformers/base/error.hpp"
#include "transformers/base/platform.hpp"

namespace transformers {
namespace {

constexpr DType kWeightTypes[] = {DType::f32, DType::f16, DType::bf16};

// A random weight [n, k]: stored, packed, and as the exact values that are stored.
struct Weight {
  std::vector<float> values;
  std::vector<uint16_t> halves;
  std::shared_ptr<std::byte> packed;
  PackedMatrix matrix;

  Weight(DType dtype, int64_t n, int64_t k, uint32_t seed) : values(random_floats(n * k, seed)) {
    if (dtype != DType::f32) {
      for (float& x : values) {
        halves.push_back(dtype == DType::f16 ? to_f16(x) : to_bf16(x));
        x = dtype == DType::f16 ? static_cast<float>(from_f16(halves.back())) : from_bf16(halves.back());
      }
    }
    packed = allocate_bytes(packed_bytes(dtype, n, k));
    const void* source = dtype == DType::f32 ? static_cast<const void*>(values.data()) : halves.data();
    pack_rows(dtype, source, k, 0, n, n, k, packed.get());
    matrix = {.data = packed.get(), .format = dtype, .n = n, .k = k};
  }
};

class GemmTest : public EveryIsa {};

// Every size around the tile's borders, odd strides, unaligned pointers, every epilogue; nothing written outside of C.
TEST_P(GemmTest, EqualsTheDefinition) {
  constexpr float kUntouched = 12345.0f;
  int turn = 0;
  for (const DType dtype : kWeightTypes) {
    for (const int64_t n : {1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 65}) {
      for (const int64_t k : {0, 1, 3, 4, 5, 64, 131}) {
        const Weight weight(dtype, n, k, static_cast<uint32_t>(n * 1000 + k));
        const std::vector<float> bias = random_floats(n + 1, 1);
        for (const int64_t m : {0, 1, 2, 3, 4, 5, 6, 7, 12, 13, 14, 15, 28, 29, 43}) {
          ++turn;
          const Activation activation = kAllActivations[turn % 7];
          const bool with_bias = turn % 2 == 0, with_residual = turn % 3 == 0;
          const int64_t lda = k + turn % 4, ldc = n + turn % 5, ldr = n + turn % 2;
          const std::vector<float> a = random_floats(m * lda + 1, 2), residual = random_floats(m * ldr + 1, 3);
          std::vector<float> c(static_cast<std::size_t>(m * ldc + 2), kUntouched);
          gemm({.a = a.data() + 1,
                .lda = lda,
                .m = m,
                .b = weight.matrix,
                .bias = with_bias ? bias.data() + 1 : nullptr,
                .activation = activation,
                .residual = with_residual ? residual.data() + 1 : nullptr,
                .ldr = ldr,
                .c = c.data() + 1,
                .ldc = ldc});
          ASSERT_EQ(c[0], kUntouched);
          ASSERT_EQ(c.back(), kUntouched);
          for (int64_t i = 0; i < m; ++i) {
            for (int64_t j = 0; j < ldc; ++j) {
              const float got = c[static_cast<std::size_t>(1 + i * ldc + j)];
              if (j >= n) {
                ASSERT_EQ(got, kUntouched);
                continue;
              }
              double sum = 0.0, size = 0.0;
              for (int64_t l = 0; l < k; ++l) {
                const double term = double{a[static_cast<std::size_t>(1 + i * lda + l)]} *
                                    weight.values[static_cast<std::size_t>(j * k + l)];
                sum += term;
                size += std::abs(term);
              }
              if (with_bias) sum += bias[static_cast<std::size_t>(1 + j)];
              double want = exact_activation(activation, sum);
              if (with_residual) want += residual[static_cast<std::size_t>(1 + i * ldr + j)];
              ASSERT_NEAR(got, want, 1e-6 + 1e-6 * size)
                  << "m " << m << " n " << n << " k " << k << " at " << i << ", " << j << " dtype " << to_string(dtype)
                  << " activation " << int(activation);
            }
          }
        }
      }
    }
  }
}

// Sizes at which k is cut in pieces, rows come in several groups and are copied out of colliding strides.
TEST_P(GemmTest, EqualsEigenOnLargerSizes) {
  struct Size {
    int64_t m, n, k;
  };
  for (const auto [m, n, k] : {Size{130, 70, 1700}, Size{483, 40, 512}, Size{61, 129, 1024}, Size{700, 33, 96}}) {
    for (const DType dtype : kWeightTypes) {
      const Weight weight(dtype, n, k, 7);
      const std::vector<float> a = random_floats(m * k, 8);
      std::vector<float> c(static_cast<std::size_t>(m * n));
      gemm({.a = a.data(), .lda = k, .m = m, .b = weight.matrix, .c = c.data(), .ldc = n});
      using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
      const Eigen::MatrixXd want = Eigen::Map<const Matrix>(a.data(), m, k).cast<double>() *
                                   Eigen::Map<const Matrix>(weight.values.data(), n, k).cast<double>().transpose();
      const double error = (Eigen::Map<const Matrix>(c.data(), m, n).cast<double>() - want).cwiseAbs().maxCoeff();
      EXPECT_LT(error, 1e-4) << m << " x " << n << " x " << k << " " << to_string(dtype);
    }
  }
}

// The promise: a row's bits do not depend on the number of rows, its place among them, the row stride or the threads.
TEST_P(GemmTest, RowsDoNotDependOnTheirMates) {
  for (const DType dtype : kWeightTypes) {
    for (const int64_t k : {96, 1024, 1900}) {
      const int64_t n = 77, m = 71;
      const Weight weight(dtype, n, k, 11);
      const std::vector<float> a = random_floats(m * k, 12), bias = random_floats(n, 13);
      const auto run = [&](const float* rows, int64_t count, int64_t lda) {
        std::vector<float> c(static_cast<std::size_t>(count * n));
        gemm({.a = rows,
              .lda = lda,
              .m = count,
              .b = weight.matrix,
              .bias = bias.data(),
              .activation = Activation::gelu,
              .c = c.data(),
              .ldc = n});
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
            ASSERT_TRUE(same_bits(part.data(), whole.data() + first * n, count * n))
                << count << " rows from " << first << ", k " << k << ", " << to_string(dtype);
          }
        }
      }
      const int64_t lda = 2048;
      std::vector<float> spread(static_cast<std::size_t>(m * lda));
      for (int64_t i = 0; i < m; ++i) std::copy_n(a.begin() + i * k, k, spread.begin() + i * lda);
      ASSERT_EQ(run(spread.data(), m, lda), whole);
    }
  }
}

TEST_P(GemmTest, SixteenBitWeightsWidenExactly) {
  for (const DType dtype : {DType::f16, DType::bf16}) {
    const int64_t n = 50, k = 900;
    const Weight narrow(dtype, n, k, 21);
    const auto packed = allocate_bytes(packed_bytes(DType::f32, n, k));
    pack_rows(DType::f32, narrow.values.data(), k, 0, n, n, k, packed.get());
    const std::vector<float> a = random_floats(90 * k, 22);
    for (const int64_t m : {1, 9, 30, 90}) {
      std::vector<float> c(static_cast<std::size_t>(m * n)), wide = c;
      gemm({.a = a.data(), .lda = k, .m = m, .b = narrow.matrix, .c = c.data(), .ldc = n});
      const PackedMatrix matrix{.data = packed.get(), .format = DType::f32, .n = n, .k = k};
      gemm({.a = a.data(), .lda = k, .m = m, .b = matrix, .c = wide.data(), .ldc = n});
      EXPECT_EQ(c, wide);
    }
  }
}

TEST_P(GemmTest, ResidualMayBeTheOutput) {
  for (const int64_t m : {3, 50}) {
    for (const int64_t k : {64, 1600}) {
      const int64_t n = 45;
      const Weight weight(DType::f32, n, k, 31);
      const std::vector<float> a = random_floats(m * k, 32), residual = random_floats(m * n, 33);
      std::vector<float> apart(static_cast<std::size_t>(m * n)), in_place = residual;
      GemmArgs args{.a = a.data(), .lda = k, .m = m, .b = weight.matrix, .ldr = n, .ldc = n};
      args.residual = residual.data();
      args.c = apart.data();
      gemm(args);
      args.residual = args.c = in_place.data();
      gemm(args);
      EXPECT_EQ(apart, in_place);
    }
  }
}

TEST_P(GemmTest, PacksInAnyNumberOfRangesAndFromAnyAddress) {
  for (const DType dtype : kWeightTypes) {
    const int64_t n = 3 * panel_rows(dtype) + 5, k = 37, stride = 41;
    const std::size_t size = dtype_size(dtype), bytes = packed_bytes(dtype, n, k);
    EXPECT_EQ(bytes % 64, 0u);
    std::vector<char> source(static_cast<std::size_t>(n * stride) * size + 1);
    for (std::size_t i = 0; i < source.size(); ++i) source[i] = static_cast<char>(i * 7 + i / 251);
    std::vector<char> dense(static_cast<std::size_t>(n * k) * size);
    for (int64_t i = 0; i < n; ++i) {
      std::memcpy(dense.data() + static_cast<std::size_t>(i * k) * size,
                  source.data() + 1 + static_cast<std::size_t>(i * stride) * size, static_cast<std::size_t>(k) * size);
    }
    std::vector<char> whole(bytes, 'x'), parts(bytes, 'y');
    pack_rows(dtype, dense.data(), k, 0, n, n, k, whole.data());
    for (int64_t row = 0; row < n; row += panel_rows(dtype)) {
      pack_rows(dtype, source.data() + 1 + static_cast<std::size_t>(row * stride) * size, stride, row,
                std::min(panel_rows(dtype), n - row), n, k, parts.data());
    }
    const std::size_t used = static_cast<std::size_t>(4 * panel_rows(dtype) * k) * size;
    EXPECT_TRUE(std::equal(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(used), parts.begin()));
  }
}

TEST_P(GemmTest, NamesWhatIsWrong) {
  const Weight weight(DType::f32, 4, 3, 1);
  std::vector<float> a(6), c(8);
  const auto message = [](auto call) -> std::string {
    try {
      call();
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  GemmArgs args{.a = a.data(), .lda = 2, .m = 2, .b = weight.matrix, .c = c.data(), .ldc = 4};
  EXPECT_EQ(message([&] { gemm(args); }), "gemm: row stride less than the row");
  args.lda = 3;
  args.a = nullptr;
  EXPECT_EQ(message([&] { gemm(args); }), "gemm: null operand");
  EXPECT_EQ(message([&] { packed_bytes(DType::i64, 2, 2); }),
            "weight of dtype " + std::string(to_string(DType::i64)) + " (f32, f16 or bf16)");
  EXPECT_EQ(message([&] { packed_bytes(DType::f32, int64_t{1} << 40, int64_t{1} << 40); }),
            "weight of 1099511627776 x 1099511627776 elements");
  EXPECT_EQ(message([&] { pack_rows(DType::f32, a.data(), 3, 1, 1, 4, 3, c.data()); }),
            "pack_rows: a range that cuts a panel");
}

TEST_P(GemmTest, ServesTwoCallersAtOnce) {
  set_num_threads(2);
  const int64_t m = 60, n = 96, k = 200;
  const Weight weight(DType::f32, n, k, 41);
  const std::vector<float> a = random_floats(m * k, 42);
  const auto run = [&] {
    std::vector<float> c(static_cast<std::size_t>(m * n));
    gemm({.a = a.data(), .lda = k, .m = m, .b = weight.matrix, .c = c.data(), .ldc = n});
    return c;
  };
  const std::vector<float> want = run();
  std::atomic<int> wrong{0};
  const auto many = [&] {
    for (int i = 0; i < 50; ++i) wrong += run() != want;
  };
  std::thread other(many);
  many();
  other.join();
  EXPECT_EQ(wrong, 0);
}

TCPP_EVERY_ISA(GemmTest);

TEST(IsaTest, ListsThePortableTableFirstAndRefusesUnknownNames) {
  ASSERT_FALSE(supported_isas().empty());
  EXPECT_EQ(supported_isas().front(), "portable");
  const std::string before(isa());
  try {
    set_isa("abacus");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unsupported);
    EXPECT_NE(std::string(error.what()).find("\"abacus\" (this processor runs: portable"), std::string::npos);
  }
  EXPECT_EQ(isa(), before);
}

TEST(IsaTest, MeasuresAPositivePeak) { EXPECT_GT(measure_peak_gflops(0.001), 0.1); }

}  // namespace
}  // namespace transformers
