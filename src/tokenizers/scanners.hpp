// What it is: hand-written scanners for the patterns that most byte-level tokenizers split with.
// Where it stands: tokenizers; Regex uses them in place of Oniguruma, and the compiled path directly.
// Usage: `std::size_t end = scan_word(Scanner::gpt2, text, begin);  // text[begin, end) is the next word`
// Source: the patterns themselves (in scanners.cpp), as Oniguruma matches them; every position matches some
// alternative, so words follow each other without gaps.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "transformers/tokenizers/unicode.hpp"

namespace transformers {

enum class Scanner : uint8_t {
  none,
  gpt2,     // GPT-2's, and ByteLevel's own
  cl100k,   // cl100k_base and Llama 3: numbers in threes
  qwen2,    // the same with single digits
  qwen3_5,  // and with marks among the letters
};

// The scanner that matches as `pattern` does, or none.
Scanner scanner_of(std::string_view pattern);

namespace scan {

enum Kind : uint8_t { kOther, kLetter, kNumber, kSpace };

extern const std::array<uint8_t, 128> kAscii;  // Kind of each

struct Char {
  uint8_t kind;
  const char* next;
};

template <bool kMarks>
inline Char read(const char* p, const char* end) {
  const auto b = static_cast<unsigned char>(*p);
  if (b < 0x80) return {kAscii[b], p + 1};
  std::size_t size = 0;
  const char32_t c = unicode::next({p, static_cast<std::size_t>(end - p)}, size);
  const uint16_t is = unicode::text_properties(c);
  constexpr uint16_t kLetters = unicode::regex_letter | (kMarks ? unicode::regex_mark : 0);
  const uint8_t kind = is & kLetters                ? kLetter
                       : is & unicode::regex_number ? kNumber
                       : is & unicode::regex_space  ? kSpace
                                                    : kOther;
  return {kind, p + size};
}

template <uint8_t kKind, bool kMarks>
inline const char* run(const char* p, const char* end) {
  while (p < end) {
    while (p < end && static_cast<unsigned char>(*p) < 0x80 && kAscii[static_cast<unsigned char>(*p)] == kKind) ++p;
    if (p == end || static_cast<unsigned char>(*p) < 0x80) return p;
    const Char c = read<kMarks>(p, end);
    if (c.kind != kKind) return p;
    p = c.next;
  }
  return p;
}

// Bytes of 's 't 're 've 'm 'll 'd at p, 0 for none.
template <bool kAnyCase>
inline std::size_t contraction(const char* p, const char* end) {
  const auto at = [&](std::ptrdiff_t i) {
    const char c = p + i < end ? p[i] : '\0';
    return kAnyCase && c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  };
  switch (at(1)) {
    case 's':
    case 't':
    case 'm':
    case 'd':
      return 2;
    case 'r':
    case 'v':
      return at(2) == 'e' ? 3 : 0;
    case 'l':
      return at(2) == 'l' ? 3 : 0;
    case '\xC5':  // the long s is an s in another case
      return kAnyCase && at(2) == '\xBF' ? 3 : 0;
    default:
      return 0;
  }
}

// The white space from p on: all that reaches the end of the text, else all but the last of several.
template <bool kNewlines, bool kMarks>
inline const char* spaces(const char* p, const char* end) {
  const char* const begin = p;
  const char* last = p;                  // where the last code point begins
  const char* behind_newline = nullptr;  // behind the last line end
  while (p < end) {
    const Char c = read<kMarks>(p, end);
    if (c.kind != kSpace) break;
    if (kNewlines && (*p == '\r' || *p == '\n')) behind_newline = c.next;
    last = p;
    p = c.next;
  }
  if (kNewlines && behind_newline) return behind_newline;
  return p == end || last == begin ? p : last;
}

// GPT-2:  's|'t|'re|'ve|'m|'ll|'d| ?L+| ?N+| ?[^\sLN]+|\s+(?!\S)|\s+
inline const char* gpt2(const char* p, const char* end) {
  if (*p == '\'') {
    if (const std::size_t n = contraction<false>(p, end)) return p + n;
  }
  Char c = read<false>(p, end);
  if (*p == ' ' && c.next < end) {
    const Char second = read<false>(c.next, end);
    if (second.kind != kSpace) c = second;
  }
  switch (c.kind) {
    case kLetter:
      return run<kLetter, false>(c.next, end);
    case kNumber:
      return run<kNumber, false>(c.next, end);
    case kOther:
      return run<kOther, false>(c.next, end);
    default:
      return spaces<false, false>(p, end);
  }
}

// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\nLN]?L+|N{1,digits}| ?[^\sLN]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
template <int kDigits, bool kMarks>
inline const char* cl100k(const char* p, const char* end) {
  if (*p == '\'') {
    if (const std::size_t n = contraction<true>(p, end)) return p + n;
  }
  Char c = read<kMarks>(p, end);
  if (c.kind == kLetter) return run<kLetter, kMarks>(c.next, end);
  if (c.kind == kNumber) {
    for (int n = 1; n < kDigits && c.next < end; ++n) {
      const Char more = read<kMarks>(c.next, end);
      if (more.kind != kNumber) break;
      c = more;
    }
    return c.next;
  }
  if (*p != '\r' && *p != '\n' && c.next < end) {
    const Char second = read<kMarks>(c.next, end);
    if (second.kind == kLetter) return run<kLetter, kMarks>(second.next, end);
    if (*p == ' ' && second.kind == kOther) c = second;
  }
  if (c.kind == kSpace) return spaces<true, kMarks>(p, end);
  p = run<kOther, kMarks>(c.next, end);
  while (p < end && (*p == '\r' || *p == '\n')) ++p;
  return p;
}

template <Scanner kScanner>
inline const char* word(const char* p, const char* end) {
  if constexpr (kScanner == Scanner::cl100k) return cl100k<3, false>(p, end);
  if constexpr (kScanner == Scanner::qwen2) return cl100k<1, false>(p, end);
  if constexpr (kScanner == Scanner::qwen3_5) return cl100k<1, true>(p, end);
  return gpt2(p, end);
}

}  // namespace scan

// Calls f with the scanner as a template argument: f.template operator()<Scanner::gpt2>().
template <class F>
decltype(auto) with_scanner(Scanner scanner, F f) {
  switch (scanner) {
    case Scanner::cl100k:
      return f.template operator()<Scanner::cl100k>();
    case Scanner::qwen2:
      return f.template operator()<Scanner::qwen2>();
    case Scanner::qwen3_5:
      return f.template operator()<Scanner::qwen3_5>();
    default:
      return f.template operator()<Scanner::gpt2>();
  }
}

// Where the word that begins at byte `begin` of `text` ends. begin < text.size().
inline std::size_t scan_word(Scanner scanner, std::string_view text, std::size_t begin) {
  const char* const end = text.data() + text.size();
  const char* const p = text.data() + begin;
  return static_cast<std::size_t>(
      with_scanner(scanner, [&]<Scanner kScanner>() { return scan::word<kScanner>(p, end); }) - text.data());
}

}  // namespace transformers
