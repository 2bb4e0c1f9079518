// Tests tensor/tensor.hpp: shapes, sharing, slices and conversion to float32.
#include "transformers/tensor/tensor.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>

#include "support.hpp"

namespace transformers {
namespace {

constexpr int64_t kHuge = int64_t{1} << 62;

TEST(Shape, PrintsAndMultiplies) {
  EXPECT_EQ(to_string(Shape{}), "[]");
  EXPECT_EQ(to_string(Shape{2, 3}), "[2, 3]");
  EXPECT_EQ(element_count({}), 1);
  EXPECT_EQ(element_count({2, 3, 4}), 24);
  EXPECT_EQ(element_count({5, 0, 7}), 0);
  EXPECT_EQ(element_count({kHuge}), kHuge);
  EXPECT_ERROR(ErrorCode::invalid_argument, "negative dimension in shape [2, -1]", element_count({2, -1}));
  EXPECT_ERROR(ErrorCode::invalid_argument, "negative dimension in shape [0, -1]", element_count({0, -1}));
  const std::string overflow = "the size of shape [4611686018427387904, 2] overflows";
  EXPECT_ERROR(ErrorCode::limit, overflow, element_count({kHuge, 2}));
  // A zero does not hide it: the rows of such a tensor would overflow.
  EXPECT_EQ(test::error_of([] { element_count({0, kHuge, 2}); }).code(), ErrorCode::limit);
  EXPECT_EQ(test::error_of([] { element_count({kHuge, 2, 0}); }).code(), ErrorCode::limit);
}

TEST(Tensor, DefaultIsUndefined) {
  const Tensor tensor;
  EXPECT_FALSE(tensor.defined());
  EXPECT_TRUE(tensor.empty());
  EXPECT_EQ(tensor.bytes(), 0u);
}

TEST(Tensor, ZerosOwnsItsMemory) {
  Tensor tensor = Tensor::zeros(DType::f32, {2, 3});
  EXPECT_TRUE(tensor.defined());
  EXPECT_EQ(tensor.size(), 6);
  EXPECT_EQ(tensor.bytes(), 24u);
  EXPECT_EQ(tensor.rank(), 2u);
  EXPECT_EQ(tensor.dim(1), 3);
  for (const float value : tensor.span<float>()) EXPECT_EQ(value, 0.0f);
  const Tensor copy = tensor;
  tensor.mutable_data<float>()[4] = 1.5f;
  EXPECT_EQ(copy.data<float>()[4], 1.5f);
  EXPECT_EQ(Tensor::zeros(DType::f64, {}).size(), 1);
  EXPECT_TRUE(Tensor::zeros(DType::i64, {3, 0}).defined());
}

TEST(Tensor, FromCopiesAsManyValuesAsTheShapeNeeds) {
  const int64_t values[] = {1, 2, 3, 4, 5, 6};
  const Tensor tensor = Tensor::from<int64_t>(DType::i64, {3, 2}, values);
  EXPECT_EQ(std::memcmp(tensor.raw(), values, sizeof values), 0);
  EXPECT_ERROR(ErrorCode::invalid_argument, "shape [2, 2] needs 32 bytes, the values have 48",
               Tensor::from<int64_t>(DType::i64, {2, 2}, values));
  EXPECT_TRUE(Tensor::from<float>(DType::f32, {0, 2}, {}).empty());
}

TEST(Tensor, ChecksTheElementSize) {
  const Tensor tensor = Tensor::zeros(DType::f16, {2});
  EXPECT_NO_THROW(tensor.data<uint16_t>());
  EXPECT_ERROR(ErrorCode::internal, "a tensor of fp16 read as elements of 4 bytes", tensor.data<float>());
}

TEST(Tensor, RefusesSizesThatOverflow) {
  EXPECT_ERROR(ErrorCode::limit, "the bytes of shape [4611686018427387904] overflow",
               Tensor::zeros(DType::f32, {kHuge}));
  EXPECT_ERROR(ErrorCode::out_of_memory, "out of memory: 4611686018427387904 bytes asked for",
               Tensor::zeros(DType::u8, {kHuge}));
}

TEST(Tensor, KeepsItsOwnerAlive) {
  auto owner = std::make_shared<std::vector<float>>(std::vector<float>{1, 2, 3, 4, 5, 6});
  const std::weak_ptr<std::vector<float>> alive = owner;
  {
    const void* const data = owner->data();
    Tensor row = Tensor(DType::f32, {3, 2}, data, std::move(owner)).slice(1, 2).reshaped({2, 1});
    EXPECT_EQ(row.shape(), (Shape{2, 1}));
    EXPECT_EQ(row.data<float>()[0], 3.0f);
    EXPECT_EQ(row.data<float>()[1], 4.0f);
    EXPECT_FALSE(alive.expired());
  }
  EXPECT_TRUE(alive.expired());
}

TEST(Tensor, SlicesRows) {
  const int32_t values[] = {1, 2, 3, 4, 5, 6};
  const Tensor tensor = Tensor::from<int32_t>(DType::i32, {3, 2}, values);
  EXPECT_EQ(tensor.slice(0, 3).shape(), (Shape{3, 2}));
  EXPECT_EQ(tensor.slice(2, 3).data<int32_t>()[1], 6);
  EXPECT_EQ(tensor.slice(3, 3).shape(), (Shape{0, 2}));
  EXPECT_ERROR(ErrorCode::invalid_argument, "rows [2, 4) of a tensor of shape [3, 2]", tensor.slice(2, 4));
  EXPECT_ERROR(ErrorCode::invalid_argument, "rows [-1, 1) of a tensor of shape [3, 2]", tensor.slice(-1, 1));
  EXPECT_ERROR(ErrorCode::invalid_argument, "rows [2, 1) of a tensor of shape [3, 2]", tensor.slice(2, 1));
  EXPECT_ERROR(ErrorCode::invalid_argument, "rows [0, 0) of a tensor of shape []",
               Tensor::zeros(DType::f32, {}).slice(0, 0));
  EXPECT_ERROR(ErrorCode::invalid_argument, "a tensor of shape [3, 2] cannot be reshaped to [4]", tensor.reshaped({4}));
}

// The half-precision bits as a float, by the definition of the format.
float half_by_definition(uint16_t bits) {
  const float sign = (bits & 0x8000) != 0 ? -1.0f : 1.0f;
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  if (exponent == 31) return fraction != 0 ? std::nanf("") : sign * INFINITY;
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(fraction), -24);
  return sign * std::ldexp(static_cast<float>(1024 + fraction), exponent - 25);
}

TEST(ToFloat32, ConvertsEveryHalfExactly) {
  std::vector<uint16_t> all(65536);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint16_t>(i);
  const Tensor f16 = Tensor::from<uint16_t>(DType::f16, {65536}, all).to_float32();
  const Tensor bf16 = Tensor::from<uint16_t>(DType::bf16, {65536}, all).to_float32();
  for (std::size_t i = 0; i < all.size(); ++i) {
    const float expected = half_by_definition(all[i]), found = f16.data<float>()[i];
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(found)) << i;
    } else {
      EXPECT_EQ(std::bit_cast<uint32_t>(found), std::bit_cast<uint32_t>(expected)) << i;
    }
    EXPECT_EQ(std::bit_cast<uint32_t>(bf16.data<float>()[i]), static_cast<uint32_t>(i) << 16) << i;
  }
}

TEST(ToFloat32, ConvertsEveryOtherType) {
  const auto converted = [](auto value, DType dtype) {
    return Tensor::from<decltype(value)>(dtype, {1}, std::span<const decltype(value)>(&value, 1))
        .to_float32()
        .template data<float>()[0];
  };
  EXPECT_EQ(converted(0.1, DType::f64), 0.1f);
  EXPECT_EQ(converted(int64_t{-5}, DType::i64), -5.0f);
  EXPECT_EQ(converted(int32_t{-70000}, DType::i32), -70000.0f);
  EXPECT_EQ(converted(int16_t{-300}, DType::i16), -300.0f);
  EXPECT_EQ(converted(int8_t{-3}, DType::i8), -3.0f);
  EXPECT_EQ(converted(uint8_t{200}, DType::u8), 200.0f);
  EXPECT_EQ(converted(uint8_t{200}, DType::boolean), 1.0f);
  EXPECT_EQ(converted(uint8_t{0}, DType::boolean), 0.0f);
}

TEST(ToFloat32, SharesFloatsThatAreAligned) {
  const Tensor tensor = Tensor::zeros(DType::f32, {4});
  EXPECT_EQ(tensor.to_float32().raw(), tensor.raw());
  EXPECT_EQ(tensor.to_aligned().raw(), tensor.raw());
}

TEST(ToFloat32, CopiesWhatIsNotAligned) {
  const auto bytes = std::make_shared<std::vector<std::byte>>(100);
  const float values[] = {1.5f, -2.0f};
  const int64_t integers[] = {7, -8};
  std::memcpy(bytes->data() + 1, values, sizeof values);
  std::memcpy(bytes->data() + 21, integers, sizeof integers);
  const Tensor floats(DType::f32, {2}, bytes->data() + 1, bytes);
  EXPECT_FALSE(floats.aligned());
  EXPECT_EQ(floats.to_float32().data<float>()[1], -2.0f);
  const Tensor ints(DType::i64, {2}, bytes->data() + 21, bytes);
  EXPECT_FALSE(ints.aligned());
  EXPECT_EQ(ints.to_float32().data<float>()[1], -8.0f);
  EXPECT_EQ(ints.to_aligned().data<int64_t>()[0], 7);
  EXPECT_EQ(ints.to_aligned().shape(), (Shape{2}));
}

}  // namespace
}  // namespace transformers
