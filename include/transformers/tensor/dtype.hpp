// What it is: the element types of tensors.
// Where it stands: tensor; only Linear, Embedding and kernels/ act on them, everything else computes in float32.
// Usage: `dtype_size(DType::bf16) == 2`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "transformers/base/export.hpp"

namespace transformers {

// The last eight are GGUF's block formats: blocks of integers with scales, see tensor/blocks.hpp.
enum class DType : uint8_t {
  f32,
  f16,
  bf16,
  f64,
  i64,
  i32,
  i16,
  i8,
  u8,
  boolean,
  q4_0,
  q4_1,
  q5_0,
  q5_1,
  q8_0,
  q4_k,
  q5_k,
  q6_k,
};

// The smallest piece of a type that can be addressed: one element of a plain type, a block of a block format. Rows of a
// tensor hold whole blocks.
struct DTypeBlock {
  int64_t elements;
  std::size_t bytes;
};

constexpr DTypeBlock dtype_block(DType dtype) noexcept {
  switch (dtype) {
    case DType::f64:
    case DType::i64:
      return {1, 8};
    case DType::f32:
    case DType::i32:
      return {1, 4};
    case DType::f16:
    case DType::bf16:
    case DType::i16:
      return {1, 2};
    case DType::i8:
    case DType::u8:
    case DType::boolean:
      return {1, 1};
    case DType::q4_0:
      return {32, 18};
    case DType::q4_1:
      return {32, 20};
    case DType::q5_0:
      return {32, 22};
    case DType::q5_1:
      return {32, 24};
    case DType::q8_0:
      return {32, 34};
    case DType::q4_k:
      return {256, 144};
    case DType::q5_k:
      return {256, 176};
    case DType::q6_k:
      return {256, 210};
  }
  return {1, 0};
}

constexpr bool is_block_format(DType dtype) noexcept { return dtype_block(dtype).elements > 1; }

// Bytes of `count` elements, a whole number of blocks.
constexpr std::size_t dtype_bytes(DType dtype, int64_t count) noexcept {
  return static_cast<std::size_t>(count / dtype_block(dtype).elements) * dtype_block(dtype).bytes;
}

// Bytes of one element of a plain type; 1 for block formats, whose data is addressed as bytes.
constexpr std::size_t dtype_size(DType dtype) noexcept { return is_block_format(dtype) ? 1 : dtype_block(dtype).bytes; }

// True for what stands for real numbers, block formats included.
constexpr bool is_floating(DType dtype) noexcept {
  return dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16 || dtype == DType::f64 ||
         is_block_format(dtype);
}

// The spelling in safetensors headers: "F32", "BF16", "I64", "BOOL" ... Block formats, which safetensors does not know,
// have GGUF's: "Q4_K".
TCPP_API std::string_view safetensors_name(DType dtype) noexcept;
TCPP_API std::optional<DType> dtype_from_safetensors(std::string_view name) noexcept;
// The spelling of the command line and its results: "fp32", "fp16", "bf16", ..., "Q4_K".
TCPP_API std::string_view to_string(DType dtype) noexcept;
// The type with this number (ggml_type) in GGUF files: 0 is F32, 12 Q4_K. Null for the types that no Tensor has.
TCPP_API std::optional<DType> dtype_from_gguf(uint32_t type) noexcept;

// What weights are held as and multiplied in: --dtype.
//   stored  as the files have them, in float32 arithmetic; integers of a quantized directory or a GGUF file stay
//           integers
//   fp32    float32 arithmetic throughout: integers become float32, 16 bits stay, for they widen exactly
//   bf16    weights and activations rounded to bf16, sums in float32
//   q8, q4  weights rounded to 8 or 4 bits by groups of 32, activations to 8 bits; with q8 by groups of 128 in models
//           that do not only decode, unless the file has 8 bits by groups of 32 already
enum class WeightType : uint8_t { stored, fp32, bf16, q8, q4 };
// "fp32", "bf16", "q8", "q4"; "stored".
TCPP_API std::string_view to_string(WeightType type) noexcept;
TCPP_API std::optional<WeightType> weight_type_from(std::string_view name) noexcept;

}  // namespace transformers
