// Implements tensor/dtype.hpp.
#include "transformers/tensor/dtype.hpp"

namespace transformers {
namespace {

// In the order of the enum.
constexpr std::string_view kSafetensors[] = {"F32",  "F16",  "BF16", "F64",  "I64",  "I32",  "I16",  "I8",   "U8",
                                             "BOOL", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"};
constexpr std::string_view kNames[] = {"fp32", "fp16", "bf16", "fp64", "int64", "int32", "int16", "int8", "uint8",
                                       "bool", "Q4_0", "Q4_1", "Q5_0", "Q5_1",  "Q8_0",  "Q4_K",  "Q5_K", "Q6_K"};
static_assert(std::size(kSafetensors) == static_cast<std::size_t>(DType::q6_k) + 1);
static_assert(std::size(kNames) == std::size(kSafetensors));

constexpr std::string_view kWeightTypes[] = {"stored", "fp32", "bf16", "q8", "q4"};

struct GgufType {
  uint32_t type;
  DType dtype;
};
constexpr GgufType kGguf[] = {
    {0, DType::f32},  {1, DType::f16},   {2, DType::q4_0},  {3, DType::q4_1},  {6, DType::q5_0}, {7, DType::q5_1},
    {8, DType::q8_0}, {12, DType::q4_k}, {13, DType::q5_k}, {14, DType::q6_k}, {24, DType::i8},  {25, DType::i16},
    {26, DType::i32}, {27, DType::i64},  {28, DType::f64},  {30, DType::bf16},
};

}  // namespace

std::string_view safetensors_name(DType dtype) noexcept { return kSafetensors[static_cast<std::size_t>(dtype)]; }

std::optional<DType> dtype_from_safetensors(std::string_view name) noexcept {
  for (std::size_t i = 0; i < std::size(kSafetensors); ++i) {
    const auto dtype = static_cast<DType>(i);
    if (kSafetensors[i] == name && !is_block_format(dtype)) return dtype;
  }
  return std::nullopt;
}

std::string_view to_string(DType dtype) noexcept { return kNames[static_cast<std::size_t>(dtype)]; }

std::optional<DType> dtype_from_gguf(uint32_t type) noexcept {
  for (const GgufType& row : kGguf) {
    if (row.type == type) return row.dtype;
  }
  return std::nullopt;
}

std::string_view to_string(WeightType type) noexcept { return kWeightTypes[static_cast<std::size_t>(type)]; }

std::optional<WeightType> weight_type_from(std::string_view name) noexcept {
  for (std::size_t i = 0; i < std::size(kWeightTypes); ++i) {
    if (kWeightTypes[i] == name) return static_cast<WeightType>(i);
  }
  return std::nullopt;
}

}  // namespace transformers
