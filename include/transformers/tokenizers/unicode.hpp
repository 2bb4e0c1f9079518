// What it is: code points of UTF-8 text, what they are (space, punctuation, ...) and what they turn into (lower case,
// normal forms), exactly as Hugging Face's `tokenizers` sees them, whatever Unicode version the system knows.
// Where it stands: tokenizers; normalizers and pre-tokenizers are written with it.
// Usage: `for (size_t i = 0; i < text.size();) { char32_t c = unicode::next(text, i); ... }`
// Source: src/tokenizers/{unicode,text}_tables.inc, found out from tokenizers 0.23.3 by
// tests/reference/make_{unicode,text_tables}.py.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "transformers/base/export.hpp"

namespace transformers::unicode {

// The code point at byte `i` of well-formed UTF-8; moves `i` behind it.
inline char32_t next(std::string_view text, std::size_t& i) {
  const auto byte = [&](std::size_t k) { return static_cast<char32_t>(static_cast<unsigned char>(text[k])); };
  const char32_t b = byte(i);
  if (b < 0x80) return ++i, b;
  if (b < 0xE0) return i += 2, (b & 0x1F) << 6 | (byte(i - 1) & 0x3F);
  if (b < 0xF0) return i += 3, (b & 0x0F) << 12 | (byte(i - 2) & 0x3F) << 6 | (byte(i - 1) & 0x3F);
  return i += 4, (b & 0x07) << 18 | (byte(i - 3) & 0x3F) << 12 | (byte(i - 2) & 0x3F) << 6 | (byte(i - 1) & 0x3F);
}

// Bytes that `c` takes in UTF-8.
inline std::size_t length(char32_t c) { return c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4; }

inline void append(std::string& out, char32_t c) {
  if (c < 0x80) {
    out.push_back(static_cast<char>(c));
  } else if (c < 0x800) {
    out.push_back(static_cast<char>(0xC0 | c >> 6));
    out.push_back(static_cast<char>(0x80 | (c & 0x3F)));
  } else if (c < 0x10000) {
    out.push_back(static_cast<char>(0xE0 | c >> 12));
    out.push_back(static_cast<char>(0x80 | (c >> 6 & 0x3F)));
    out.push_back(static_cast<char>(0x80 | (c & 0x3F)));
  } else {
    out.push_back(static_cast<char>(0xF0 | c >> 18));
    out.push_back(static_cast<char>(0x80 | (c >> 12 & 0x3F)));
    out.push_back(static_cast<char>(0x80 | (c >> 6 & 0x3F)));
    out.push_back(static_cast<char>(0x80 | (c & 0x3F)));
  }
}

// Code points of well-formed UTF-8.
TCPP_API std::size_t count(std::string_view text) noexcept;

// The bytes at the start of `text` that are well-formed UTF-8: text.size() when all of it is.
TCPP_API std::size_t well_formed_prefix(std::string_view text) noexcept;
// `text` with each maximal ill-formed subsequence replaced by U+FFFD (the rule of tokenizer.hpp).
TCPP_API std::string to_well_formed(std::string_view text);

// What a code point is: a set of these bits, and its canonical combining class (as a rank) above them.
enum Property : uint16_t {
  whitespace = 1 << 0,   // White_Space
  removed = 1 << 1,      // dropped by BertNormalizer's clean_text: NUL, U+FFFD, category C but for tab and line ends
  chinese = 1 << 2,      // a CJK ideograph, as BERT draws the line
  punctuation = 1 << 3,  // ASCII punctuation and symbols, category P
  nonspacing = 1 << 4,   // category Mn
  mark = 1 << 5,         // category M
  numeric = 1 << 6,      // category N
  word = 1 << 7,         // \w of regular expressions
  composes = 1 << 8,     // may be the second of two that compose
};
inline constexpr int kClassShift = 9;
TCPP_API uint16_t properties(char32_t c) noexcept;

inline bool is_whitespace(char32_t c) noexcept { return properties(c) & Property::whitespace; }
inline bool is_removed(char32_t c) noexcept { return properties(c) & Property::removed; }
inline bool is_chinese(char32_t c) noexcept { return properties(c) & Property::chinese; }
inline bool is_punctuation(char32_t c) noexcept { return properties(c) & Property::punctuation; }
inline bool is_nonspacing(char32_t c) noexcept { return properties(c) & Property::nonspacing; }
inline bool is_mark(char32_t c) noexcept { return properties(c) & Property::mark; }
inline bool is_numeric(char32_t c) noexcept { return properties(c) & Property::numeric; }
inline bool is_word(char32_t c) noexcept { return properties(c) & Property::word; }
// Canonical combining class 0: keeps its place in the canonical ordering.
inline bool is_starter(char32_t c) noexcept { return properties(c) >> kClassShift == 0; }

// What the package's regular expressions, and its segmentation into graphemes, take a code point for: a set of these
// bits, the class of its grapheme cluster break and that of its Indic conjunct break above them.
enum TextProperty : uint16_t {
  regex_letter = 1 << 0,  // \p{L}
  regex_number = 1 << 1,  // \p{N}
  regex_space = 1 << 2,   // \s
  regex_mark = 1 << 3,    // \p{M}
  regex_upper = 1 << 4,   // \p{Lu} \p{Lt}
  regex_lower = 1 << 5,   // \p{Ll}
};
TCPP_API uint16_t text_properties(char32_t c) noexcept;
// Its general category, as an index into kCategories.
TCPP_API uint8_t category(char32_t c) noexcept;
inline constexpr std::string_view kCategories[] = {"Cn", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd",
                                                   "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm",
                                                   "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co"};
// Bytes of the extended grapheme cluster that begins at byte `begin` of well-formed UTF-8.
// Source: Unicode annex 29, rules GB3 to GB13.
TCPP_API std::size_t cluster_length(std::string_view text, std::size_t begin) noexcept;
// The script of a code point as UnicodeScripts counts them, from 1 on (Hiragana and Katakana are Han); 0 fits any.
TCPP_API uint8_t script(char32_t c) noexcept;

// A mapping of one code point to several: `size` of them at `data`, which lives forever.
struct Mapping {
  const uint32_t* data = nullptr;
  std::size_t size = 0;  // 0: maps to itself
};
TCPP_API Mapping to_lower(char32_t c) noexcept;
// Canonical (NFD) or compatibility (NFKD) decomposition, in full; Hangul syllables are not in it (see normalize).
TCPP_API Mapping decomposition(char32_t c, bool compatible) noexcept;

enum class Form { nfc, nfd, nfkc, nfkd };

// One code point of a changed text: `change` is 1 when it was added, 0 when it stands for one code point of the old
// text, -n when it stands for that one and the n after it.
struct Change {
  char32_t code_point;
  int32_t change;
};
// The canonical decomposition of a Hangul syllable into `out`: how many code points, 0 when `c` is none.
TCPP_API std::size_t decompose_syllable(char32_t c, Change (&out)[3]) noexcept;
// The normal form of `text` (well-formed UTF-8) with the changes that lead to it. Linear but for sorting long runs of
// combining marks, which is n log n.
TCPP_API std::vector<Change> normalize(std::string_view text, Form form);

}  // namespace transformers::unicode
