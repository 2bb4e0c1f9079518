// What it is: the block formats of GGUF: how their blocks are laid out, and their values.
// Where it stands: tensor; Tensor::to_float32 and the packing of weights read blocks through it.
// Usage: `dequantize(DType::q4_k, tensor.raw(), tensor.size(), floats);`
// Source: the format of ggml's quantized types; values as in the Python package gguf 0.19 (quants.py), to the bit.
//
//   type   block of            numbers  groups of   a number is
//   Q4_0   f16 d, 4-bit q          32          32   d * (q - 8)
//   Q4_1   f16 d, m, 4-bit q       32          32   d * q + m
//   Q5_0   f16 d, 5-bit q          32          32   d * (q - 16)
//   Q5_1   f16 d, m, 5-bit q       32          32   d * q + m
//   Q8_0   f16 d, int8 q           32          32   d * q
//   Q4_K   f16 d, dmin, 6-bit s and t of each group, 4-bit q
//                                 256          32   (d * s) * q - dmin * t
//   Q5_K   the same, 5-bit q      256          32   (d * s) * q - dmin * t
//   Q6_K   6-bit q, int8 s of each group, f16 d
//                                 256          16   (d * s) * (q - 32)
#pragma once

#include <cstdint>

#include "transformers/base/export.hpp"
#include "transformers/tensor/dtype.hpp"

namespace transformers {

// Numbers that share a scale, 16 or 32; 0 for plain types.
constexpr int64_t block_group(DType dtype) noexcept {
  return dtype == DType::q6_k ? 16 : is_block_format(dtype) ? 32 : 0;
}

// True where a group has an offset beside its scale: Q4_1, Q5_1, Q4_K, Q5_K.
constexpr bool block_has_offset(DType dtype) noexcept {
  return dtype == DType::q4_1 || dtype == DType::q5_1 || dtype == DType::q4_k || dtype == DType::q5_k;
}

// Takes `count` numbers (whole blocks, at any address) apart without loss: number i is q[i] * scales[g] + offsets[g] in
// float32, the product rounded, g = i / block_group(dtype). `offsets` is filled with zeros where the type has none, and
// may be null then; with null `scales` or `q` what goes there is left out. q lies within 0 ... 15 (Q4_1, Q4_K), 0 ...
// 31 (Q5_1, Q5_K), -8 ... 7 (Q4_0), -16 ... 15 (Q5_0), -32 ... 31 (Q6_K), -128 ... 127 (Q8_0).
TCPP_API void decode_blocks(DType dtype, const void* blocks, int64_t count, int8_t* q, float* scales, float* offsets);

// True where a block is one group with an f16 scale, and offset: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0.
constexpr bool block_has_half_scales(DType dtype) noexcept {
  return is_block_format(dtype) && dtype != DType::q4_k && dtype != DType::q5_k && dtype != DType::q6_k;
}
// The scales of such blocks as they stand in the file, and their offsets where there are some.
TCPP_API void copy_half_scales(DType dtype, const void* blocks, int64_t count, void* scales, void* offsets);

// The same numbers as float32.
TCPP_API void dequantize(DType dtype, const void* blocks, int64_t count, float* out);

// IEEE 754 binary16 to float32, exact.
TCPP_API float half_to_float(uint16_t half) noexcept;
// The nearest binary16, ties to even. What lies beyond its range becomes its largest finite number, infinity too: these
// are scales, and have to stay usable.
TCPP_API uint16_t float_to_half(float x) noexcept;

}  // namespace transformers
