// Implements tensor/blocks.hpp: written to be read; the kernels work on packed weights.
#include "transformers/tensor/blocks.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>

namespace transformers {
namespace {

float half_at(const uint8_t* bytes) { return half_to_float(static_cast<uint16_t>(bytes[0] | bytes[1] << 8)); }

// 32 numbers from 16 bytes: the low halves first, then the high ones.
void nibbles(const uint8_t* bytes, int8_t* q) {
  for (int i = 0; i < 16; ++i) {
    q[i] = static_cast<int8_t>(bytes[i] & 15);
    q[16 + i] = static_cast<int8_t>(bytes[i] >> 4);
  }
}

// The fifth bits of 32 numbers, bit i of four bytes being number i's.
void add_fifth_bits(const uint8_t* bits, int8_t* q) {
  for (int i = 0; i < 32; ++i) q[i] = static_cast<int8_t>(q[i] | (bits[i / 8] >> (i % 8) & 1) << 4);
}

void shift(int8_t* q, int count, int by) {
  for (int i = 0; i < count; ++i) q[i] = static_cast<int8_t>(q[i] + by);
}

// The eight scales and offsets of Q4_K and Q5_K, 6 bits each in 12 bytes: those of the first four groups lie in the low
// bits of bytes 0-3 and 4-7; of the last four, the low halves are in bytes 8-11 and the top bits above the first
// four's.
void k_scales(const uint8_t* block, float* scales, float* offsets) {
  const float d = half_at(block), dmin = half_at(block + 2);
  const uint8_t* s = block + 4;
  for (int g = 0; g < 4; ++g) {
    scales[g] = d * static_cast<float>(s[g] & 63);
    offsets[g] = -(dmin * static_cast<float>(s[4 + g] & 63));
    scales[4 + g] = d * static_cast<float>((s[8 + g] & 15) | (s[g] >> 6) << 4);
    offsets[4 + g] = -(dmin * static_cast<float>(s[8 + g] >> 4 | (s[4 + g] >> 6) << 4));
  }
}

// 256 numbers from 128 bytes: 32 bytes hold two groups of 32, the low halves and the high ones.
void k_nibbles(const uint8_t* bytes, int8_t* q) {
  for (int pair = 0; pair < 4; ++pair, bytes += 32, q += 64) {
    for (int i = 0; i < 32; ++i) {
      q[i] = static_cast<int8_t>(bytes[i] & 15);
      q[32 + i] = static_cast<int8_t>(bytes[i] >> 4);
    }
  }
}

void block_scales(DType dtype, const uint8_t* block, float* scales, float* offsets) {
  switch (dtype) {
    case DType::q4_k:
    case DType::q5_k:
      return k_scales(block, scales, offsets);
    case DType::q6_k: {
      const float d = half_at(block + 208);
      for (int g = 0; g < 16; ++g) scales[g] = d * static_cast<float>(static_cast<int8_t>(block[192 + g]));
      return;
    }
    default:
      scales[0] = half_at(block);
      if (block_has_offset(dtype)) offsets[0] = half_at(block + 2);
  }
}

void block_integers(DType dtype, const uint8_t* block, int8_t* q) {
  switch (dtype) {
    case DType::q4_0:
      nibbles(block + 2, q);
      return shift(q, 32, -8);
    case DType::q4_1:
      return nibbles(block + 4, q);
    case DType::q5_0:
      nibbles(block + 6, q);
      add_fifth_bits(block + 2, q);
      return shift(q, 32, -16);
    case DType::q5_1:
      nibbles(block + 8, q);
      return add_fifth_bits(block + 4, q);
    case DType::q8_0:
      std::memcpy(q, block + 2, 32);
      return;
    case DType::q4_k:
      return k_nibbles(block + 16, q);
    case DType::q5_k:
      k_nibbles(block + 48, q);
      // Bit g of byte i is the fifth bit of number i of group g.
      for (int i = 0; i < 256; ++i) q[i] = static_cast<int8_t>(q[i] | (block[16 + i % 32] >> (i / 32) & 1) << 4);
      return;
    case DType::q6_k:
      // Each half of 128 numbers: 64 bytes of low halves, then 32 bytes of four 2-bit parts.
      for (int half = 0; half < 2; ++half) {
        const uint8_t *const low = block + half * 64, *const high = block + 128 + half * 32;
        for (int j = 0; j < 32; ++j) {
          q[j] = static_cast<int8_t>((low[j] & 15) | (high[j] & 3) << 4);
          q[32 + j] = static_cast<int8_t>((low[32 + j] & 15) | (high[j] >> 2 & 3) << 4);
          q[64 + j] = static_cast<int8_t>(low[j] >> 4 | (high[j] >> 4 & 3) << 4);
          q[96 + j] = static_cast<int8_t>(low[32 + j] >> 4 | high[j] >> 6 << 4);
        }
        shift(q, 128, -32);
        q += 128;
      }
      return;
    default:
      assert(false);
  }
}

constexpr int kMostElements = 256, kMostGroups = 16;

}  // namespace

float half_to_float(uint16_t half) noexcept {
  // Moved to float32's fields and scaled by 2^112, which is exact and turns subnormals into normals.
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const uint32_t rest = static_cast<uint32_t>(half & 0x7FFF) << 13;
  if (rest >= 0x0F800000) return std::bit_cast<float>(sign | 0x70000000 | rest);  // infinity and NaN
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(std::bit_cast<float>(rest) * 0x1p112f));
}

uint16_t float_to_half(float x) noexcept {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  const uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000);
  const float size = std::bit_cast<float>(bits & 0x7fffffffu);
  if (size != size) return static_cast<uint16_t>(sign | 0x7e00);
  if (size >= 65504.0f) return static_cast<uint16_t>(sign | 0x7bff);
  if (size < 0x1p-14f) {  // subnormal: a multiple of 2^-24, rounded by adding 1.5 * 2^23 of those
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(size * 0x1p24f + 12582912.0f) & 0x7ff));
  }
  const uint32_t magnitude = bits & 0x7fffffffu;
  const uint32_t rounded = magnitude + 0xfff + ((magnitude >> 13) & 1);
  return static_cast<uint16_t>(sign | ((rounded >> 13) - (112 << 10)));
}

void decode_blocks(DType dtype, const void* blocks, int64_t count, int8_t* q, float* scales, float* offsets) {
  const auto* block = static_cast<const uint8_t*>(blocks);
  const auto [elements, bytes] = dtype_block(dtype);
  const int64_t groups = elements / block_group(dtype);
  if (!block_has_offset(dtype) && scales != nullptr && offsets != nullptr)
    std::fill_n(offsets, count / block_group(dtype), 0.0f);
  for (int64_t i = 0; i < count; i += elements, block += bytes) {
    if (q != nullptr) block_integers(dtype, block, q + i);
    if (scales == nullptr) continue;
    block_scales(dtype, block, scales, offsets);
    scales += groups;
    if (offsets != nullptr) offsets += groups;
  }
}

void copy_half_scales(DType dtype, const void* blocks, int64_t count, void* scales, void* offsets) {
  const auto* block = static_cast<const uint8_t*>(blocks);
  const auto [elements, bytes] = dtype_block(dtype);
  auto *scale = static_cast<uint8_t*>(scales), *offset = static_cast<uint8_t*>(offsets);
  for (int64_t i = 0; i < count; i += elements, block += bytes, scale += 2) {
    std::memcpy(scale, block, 2);
    if (!block_has_offset(dtype)) continue;
    std::memcpy(offset, block + 2, 2);
    offset += 2;
  }
}

void dequantize(DType dtype, const void* blocks, int64_t count, float* out) {
  const auto* block = static_cast<const uint8_t*>(blocks);
  const auto [elements, bytes] = dtype_block(dtype);
  const int64_t group = block_group(dtype);
  const bool has_offset = block_has_offset(dtype);
  int8_t q[kMostElements];
  float scales[kMostGroups], offsets[kMostGroups];
  for (int64_t begin = 0; begin < count; begin += elements, block += bytes) {
    block_integers(dtype, block, q);
    block_scales(dtype, block, scales, offsets);
    for (int64_t i = 0; i < elements; ++i) {
      const float product = scales[i / group] * static_cast<float>(q[i]);
      // Without an offset nothing is added, so that a product of -0 stays one.
      out[begin + i] = has_offset ? product + offsets[i / group] : product;
    }
  }
}

}  // namespace transformers
