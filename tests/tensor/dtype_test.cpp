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
  EXPECT_EQ(std::size(rows), static_cast<std::size_t>(DType::boolean) + 1);  // the block formats follow
  EXPECT_EQ(dtype_from_safetensors("F4X"), std::nullopt);
  EXPECT_EQ(dtype_from_safetensors("f32"), std::nullopt);
  EXPECT_EQ(dtype_from_safetensors(""), std::nullopt);
}

TEST(DType, KnowsTheTypesOfGguf) {
  const struct {
    uint32_t type;
    DType dtype;
    const char* name;
    int64_t elements;
    std::size_t bytes;
  } rows[] = {
      {0, DType::f32, "F32", 1, 4},        {1, DType::f16, "F16", 1, 2},        {2, DType::q4_0, "Q4_0", 32, 18},
      {3, DType::q4_1, "Q4_1", 32, 20},    {6, DType::q5_0, "Q5_0", 32, 22},    {7, DType::q5_1, "Q5_1", 32, 24},
      {8, DType::q8_0, "Q8_0", 32, 34},    {12, DType::q4_k, "Q4_K", 256, 144}, {13, DType::q5_k, "Q5_K", 256, 176},
      {14, DType::q6_k, "Q6_K", 256, 210}, {24, DType::i8, "I8", 1, 1},         {25, DType::i16, "I16", 1, 2},
      {26, DType::i32, "I32", 1, 4},       {27, DType::i64, "I64", 1, 8},       {28, DType::f64, "F64", 1, 8},
      {30, DType::bf16, "BF16", 1, 2},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(dtype_from_gguf(row.type), row.dtype) << row.name;
    EXPECT_EQ(safetensors_name(row.dtype), row.name);
    EXPECT_EQ(dtype_block(row.dtype).elements, row.elements) << row.name;
    EXPECT_EQ(dtype_block(row.dtype).bytes, row.bytes) << row.name;
    EXPECT_EQ(dtype_bytes(row.dtype, 512), 512 / static_cast<std::size_t>(row.elements) * row.bytes) << row.name;
    if (row.elements == 1) continue;
    EXPECT_TRUE(is_block_format(row.dtype) && is_floating(row.dtype));
    EXPECT_EQ(dtype_size(row.dtype), 1u);
    EXPECT_EQ(to_string(row.dtype), row.name);
    EXPECT_EQ(dtype_from_safetensors(row.name), std::nullopt);
  }
  for (const uint32_t other : {4u, 5u, 9u, 10u, 11u, 15u, 16u, 23u, 29u, 31u, 1000u}) {
    EXPECT_EQ(dtype_from_gguf(other), std::nullopt) << other;
  }
}

}  // namespace
}  // namespace transformers
