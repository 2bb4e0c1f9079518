// Tests tensor/dtype.hpp: sizes and spellings of every type.
#include "transformers/tensor/dtype.hpp"

#include <gtest/gtest.h>

namespace transformers {
namespace {

TEST(DType, HasSizeAndSpellings) {
  const struct {
    DType dtype;
    std::size_t size;
    bool floating;
    const char *safetensors, *name;
  } rows[] = {
      {DType::f32, 4, true, "F32", "fp32"},   {DType::f16, 2, true, "F16", "fp16"},
      {DType::bf16, 2, true, "BF16", "bf16"}, {DType::f64, 8, true, "F64", "fp64"},
      {DType::i64, 8, false, "I64", "int64"}, {DType::i32, 4, false, "I32", "int32"},
      {DType::i16, 2, false, "I16", "int16"}, {DType::i8, 1, false, "I8", "int8"},
      {DType::u8, 1, false, "U8", "uint8"},   {DType::boolean, 1, false, "BOOL", "bool"},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(dtype_size(row.dtype), row.size) << row.name;
    EXPECT_EQ(is_floating(row.dtype), row.floating) << row.name;
    EXPECT_EQ(safetensors_name(row.dtype), row.safetensors);
    EXPECT_EQ(to_string(row.dtype), row.name);
    EXPECT_EQ(dtype_from_safetensors(row.safetensors), row.dtype);
  }
  EXPECT_EQ(std::size(rows), static_cast<std::size_t>(DType::boolean) + 1);
  EXPECT_EQ(dtype_from_safetensors("F4X"), std::nullopt);
  EXPECT_EQ(dtype_from_safetensors("f32"), std::nullopt);
  EXPECT_EQ(dtype_from_safetensors(""), std::nullopt);
}

}  // namespace
}  // namespace transformers
