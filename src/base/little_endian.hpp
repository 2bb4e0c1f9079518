// What it is: numbers of binary files, which are little-endian and at any address.
// Where it stands: src/base; the readers of safetensors, zip, pickle and GGUF.
// Usage: `const auto count = little_endian<uint64_t>(bytes);`
#pragma once

#include <cstddef>
#include <type_traits>

namespace transformers {

template <class Integer>
Integer little_endian(const std::byte* bytes) noexcept {
  std::make_unsigned_t<Integer> value = 0;
  for (std::size_t i = 0; i < sizeof(Integer); ++i) {
    value = static_cast<std::make_unsigned_t<Integer>>(
        value | static_cast<std::make_unsigned_t<Integer>>(std::to_integer<unsigned char>(bytes[i])) << (8 * i));
  }
  return static_cast<Integer>(value);
}

}  // namespace transformers
