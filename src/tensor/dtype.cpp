// Implements tensor/dtype.hpp.
#include "transformers/tensor/dtype.hpp"

namespace transformers {
namespace {

// In the order of the enum.
constexpr std::string_view kSafetensors[] = {"F32", "F16", "BF16", "F64", "I64", "I32", "I16", "I8", "U8", "BOOL"};
constexpr std::string_view kNames[] = {"fp32",  "fp16",  "bf16", "fp64",  "int64",
                                       "int32", "int16", "int8", "uint8", "bool"};
static_assert(std::size(kSafetensors) == static_cast<std::size_t>(DType::boolean) + 1);
static_assert(std::size(kNames) == std::size(kSafetensors));

}  // namespace

std::string_view safetensors_name(DType dtype) noexcept { return kSafetensors[static_cast<std::size_t>(dtype)]; }

std::optional<DType> dtype_from_safetensors(std::string_view name) noexcept {
  for (std::size_t i = 0; i < std::size(kSafetensors); ++i) {
    if (kSafetensors[i] == name) return static_cast<DType>(i);
  }
  return std::nullopt;
}

std::string_view to_string(DType dtype) noexcept { return kNames[static_cast<std::size_t>(dtype)]; }

}  // namespace transformers
