// What it is: weights for measuring products: any format, all numbers small.
// Where it stands: bench; gemm_bench and the workers of the comparisons include it.
// Usage: `pack_small_numbers(WeightFormat::q8(), n, k, packed.get());`
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "transformers/kernels/kernels.hpp"

namespace transformers {

// A weight [n, k] into packed_bytes(format, n, k) bytes.
inline void pack_small_numbers(const WeightFormat& format, int64_t n, int64_t k, std::byte* to) {
  const auto size = static_cast<std::size_t>(n * k);
  if (format.kind == WeightFormat::Kind::integers) {
    const std::vector<uint8_t> q(size, 3);
    const std::vector<uint16_t> scales(size, 0x1c00);
    return pack_rows(format, QuantizedRows{q.data(), scales.data(), scales.data()}, 0, n, n, k, to);
  }
  const std::vector<uint32_t> source(size, format.kind == WeightFormat::Kind::f32 ? 0x3c000000u : 0x3c003c00u);
  pack_rows(format, source.data(), k, 0, n, n, k, to);
}

}  // namespace transformers
