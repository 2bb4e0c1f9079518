// What it is: the visible characters that stand for bytes in byte-level vocabularies.
// Where it stands: tokenizers; normalizer, pre-tokenizer and decoder of that name, and the compiled path, use it.
// Usage: `kByteLevel.to_char[' ']` is U+0120; `byte_of(U'A')` is 65, -1 for a character that stands for none.
// Source: GPT-2's encoder; the `tokenizers` crate 0.23, pre_tokenizers/byte_level.rs.
#pragma once

#include <array>
#include <cstdint>

#include "transformers/tokenizers/normalized_string.hpp"

namespace transformers {

struct ByteLevelTable {
  std::array<char16_t, 256> to_char{};
  std::array<int16_t, 324> to_byte{};  // by code point
};

// Printable Latin-1 stands for itself; the other 68 bytes, in order, for U+0100 and on.
inline constexpr ByteLevelTable kByteLevel = [] {
  ByteLevelTable t;
  t.to_byte.fill(-1);
  char16_t next = 0x100;
  for (unsigned b = 0; b < 256; ++b) {
    const bool printable = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
    t.to_char[b] = printable ? static_cast<char16_t>(b) : next++;
    t.to_byte[t.to_char[b]] = static_cast<int16_t>(b);
  }
  return t;
}();

inline int byte_of(char32_t c) { return c < kByteLevel.to_byte.size() ? kByteLevel.to_byte[c] : -1; }

inline void to_byte_level(NormalizedString& s) {
  std::vector<unicode::Change> changes;
  changes.reserve(s.text().size());
  for (const char c : s.text()) {
    const auto byte = static_cast<unsigned char>(c);
    changes.push_back({kByteLevel.to_char[byte], (byte & 0xC0) == 0x80 ? 1 : 0});
  }
  s.transform(0, s.text().size(), changes);
}

}  // namespace transformers
