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

enum class DType : uint8_t { f32, f16, bf16, f64, i64, i32, i16, i8, u8, boolean };

// Bytes of one element.
constexpr std::size_t dtype_size(DType dtype) noexcept {
  switch (dtype) {
    case DType::f64:
    case DType::i64:
      return 8;
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::f16:
    case DType::bf16:
    case DType::i16:
      return 2;
    case DType::i8:
    case DType::u8:
    case DType::boolean:
      return 1;
  }
  return 0;
}

constexpr bool is_floating(DType dtype) noexcept {
  return dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16 || dtype == DType::f64;
}

// The spelling in safetensors headers: "F32", "BF16", "I64", "BOOL" ...
TCPP_API std::string_view safetensors_name(DType dtype) noexcept;
TCPP_API std::optional<DType> dtype_from_safetensors(std::string_view name) noexcept;
// The spelling of the command line and its results: "fp32", "fp16", "bf16", ...
TCPP_API std::string_view to_string(DType dtype) noexcept;

}  // namespace transformers
