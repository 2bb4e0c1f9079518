// Implements python_text.hpp.
#include "python_text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <iterator>

#include "transformers/tokenizers/unicode.hpp"

namespace transformers::python {
namespace {

struct CaseRun {  // first, first + step ... last each move by delta
  uint32_t first, last, step;
  int32_t delta;
};
struct CaseSpecial {  // one code point that becomes up to three
  uint32_t from;
  uint32_t to[3];
};
#include "python_text_tables.inc"

uint16_t properties(char32_t c) noexcept {
  if (c >= 0x110000) return 0;
  return kTextProperties[(static_cast<std::size_t>(kTextIndex[c >> kTextBlockShift]) << kTextBlockShift) +
                         (c & ((1u << kTextBlockShift) - 1))];
}

template <std::size_t R, std::size_t S>
void append_mapped(std::string& out, char32_t c, const CaseRun (&runs)[R], const CaseSpecial (&specials)[S]) {
  const auto special = std::lower_bound(std::begin(specials), std::end(specials), c,
                                        [](const CaseSpecial& s, char32_t x) { return s.from < x; });
  if (special != std::end(specials) && special->from == c) {
    for (const uint32_t to : special->to) {
      if (to != 0) unicode::append(out, to);
    }
    return;
  }
  // Runs of every second code point may enclose the runs that fill their gaps: look back a few.
  auto run =
      std::upper_bound(std::begin(runs), std::end(runs), c, [](char32_t x, const CaseRun& r) { return x < r.first; });
  for (int back = 0; back < 4 && run != std::begin(runs); ++back) {
    --run;
    if (c <= run->last && (c - run->first) % run->step == 0) {
      unicode::append(out, static_cast<char32_t>(static_cast<int64_t>(c) + run->delta));
      return;
    }
  }
  unicode::append(out, c);
}

void append_upper(std::string& out, char32_t c) { append_mapped(out, c, kUpperRuns, kUpperSpecials); }
void append_title(std::string& out, char32_t c) { append_mapped(out, c, kTitleRuns, kTitleSpecials); }
void append_plain_lower(std::string& out, char32_t c) { append_mapped(out, c, kLowerRuns, kLowerSpecials); }

// The code point that ends at byte `end` > 0; moves `end` before it.
char32_t previous(std::string_view text, std::size_t& end) {
  do --end;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80);
  std::size_t at = end;
  return unicode::next(text, at);
}

// Lower case of `c`, which stands at [at, after): a sigma is final when a cased letter stands before it and none
// behind.
void append_lower(std::string& out, char32_t c, std::string_view text, std::size_t at, std::size_t after) {
  constexpr char32_t kSigma = 0x3A3;
  if (c != kSigma) return append_plain_lower(out, c);
  bool final = false;
  while (at > 0) {
    const char32_t before = previous(text, at);
    if (properties(before) & kCaseIgnorable) continue;
    final = is_cased(before);
    break;
  }
  while (final && after < text.size()) {
    const char32_t behind = unicode::next(text, after);
    if (properties(behind) & kCaseIgnorable) continue;
    if (is_cased(behind)) final = false;
    break;
  }
  unicode::append(out, final ? 0x3C2 : 0x3C3);
}

}  // namespace

bool is_alpha(char32_t c) noexcept { return properties(c) & kAlpha; }
bool is_decimal(char32_t c) noexcept { return properties(c) & kDecimal; }
bool is_digit(char32_t c) noexcept { return properties(c) & kDigit; }
bool is_numeric(char32_t c) noexcept { return properties(c) & kNumeric; }
bool is_space(char32_t c) noexcept { return properties(c) & kSpace; }
bool is_printable(char32_t c) noexcept { return properties(c) & kPrintable; }
bool is_lower(char32_t c) noexcept { return properties(c) & kLower; }
bool is_upper(char32_t c) noexcept { return properties(c) & kUpper; }
bool is_cased(char32_t c) noexcept { return properties(c) & (kLower | kUpper | kTitle); }
bool is_identifier_start(char32_t c) noexcept { return properties(c) & kIdentifierStart; }
bool is_identifier_part(char32_t c) noexcept { return properties(c) & kIdentifier; }

std::string upper(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) append_upper(out, unicode::next(text, i));
  return out;
}

std::string lower(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t at = i;
    const char32_t c = unicode::next(text, i);
    append_lower(out, c, text, at, i);
  }
  return out;
}

std::string title(std::string_view text) {
  std::string out;
  bool after_cased = false;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t at = i;
    const char32_t c = unicode::next(text, i);
    if (after_cased) {
      append_lower(out, c, text, at, i);
    } else {
      append_title(out, c);
    }
    after_cased = is_cased(c);
  }
  return out;
}

std::string capitalize(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t at = i;
    const char32_t c = unicode::next(text, i);
    if (at == 0) {
      append_title(out, c);
    } else {
      append_lower(out, c, text, at, i);
    }
  }
  return out;
}

std::string swapcase(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t at = i;
    const char32_t c = unicode::next(text, i);
    if (is_upper(c)) {
      append_lower(out, c, text, at, i);
    } else if (is_lower(c)) {
      append_upper(out, c);
    } else {
      unicode::append(out, c);
    }
  }
  return out;
}

bool is_upper(std::string_view text) {
  bool cased = false;
  for (std::size_t i = 0; i < text.size();) {
    const uint16_t p = properties(unicode::next(text, i));
    if (p & (kLower | kTitle)) return false;
    cased = cased || p & kUpper;
  }
  return cased;
}

bool is_lower(std::string_view text) {
  bool cased = false;
  for (std::size_t i = 0; i < text.size();) {
    const uint16_t p = properties(unicode::next(text, i));
    if (p & (kUpper | kTitle)) return false;
    cased = cased || p & kLower;
  }
  return cased;
}

bool is_title(std::string_view text) {
  bool cased = false, after_cased = false;
  for (std::size_t i = 0; i < text.size();) {
    const uint16_t p = properties(unicode::next(text, i));
    if (p & (kUpper | kTitle)) {
      if (after_cased) return false;
      after_cased = cased = true;
    } else if (p & kLower) {
      if (!after_cased) return false;
      cased = true;
    } else {
      after_cased = false;
    }
  }
  return cased;
}

std::string_view strip_left(std::string_view text) noexcept {
  std::size_t i = 0;
  while (i < text.size()) {
    std::size_t after = i;
    if (!is_space(unicode::next(text, after))) break;
    i = after;
  }
  return text.substr(i);
}

std::string_view strip_right(std::string_view text) noexcept {
  std::size_t end = text.size();
  while (end > 0) {
    std::size_t before = end;
    if (!is_space(previous(text, before))) break;
    end = before;
  }
  return text.substr(0, end);
}

void append_repr(std::string& out, std::string_view text) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const char mark = has_single && text.find('"') == std::string_view::npos ? '"' : '\'';
  const auto hex = [&](char kind, char32_t c, int digits) {
    out += '\\';
    out += kind;
    for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) out += "0123456789abcdef"[c >> shift & 15];
  };
  out += mark;
  for (std::size_t i = 0; i < text.size();) {
    const char32_t c = unicode::next(text, i);
    if (c == static_cast<unsigned char>(mark) || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (is_printable(c)) {
      unicode::append(out, c);
    } else if (c < 0x100) {
      hex('x', c, 2);
    } else if (c < 0x10000) {
      hex('u', c, 4);
    } else {
      hex('U', c, 8);
    }
  }
  out += mark;
}

std::string repr(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number < 0 ? "-inf" : "inf";
  std::array<char, 64> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number, std::chars_format::scientific);
  std::string_view text(buffer.data(), static_cast<std::size_t>(end.ptr - buffer.data()));
  std::string out;
  if (text.front() == '-') {
    out += '-';
    text.remove_prefix(1);
  }
  const std::size_t e = text.find('e');
  std::string digits(1, text[0]);
  if (e > 1) digits += text.substr(2, e - 2);
  int exponent = 0;
  const std::size_t sign = e + 1;
  std::from_chars(text.data() + sign + (text[sign] == '+'), text.data() + text.size(), exponent);
  if (exponent < -4 || exponent >= 16) {
    out += digits[0];
    if (digits.size() > 1) out += '.' + digits.substr(1);
    out += exponent < 0 ? "e-" : "e+";
    const std::string power = std::to_string(std::abs(exponent));
    if (power.size() < 2) out += '0';
    return out + power;
  }
  const int count = static_cast<int>(digits.size());
  if (exponent < 0) return out + "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
  if (count <= exponent + 1)
    return out + digits + std::string(static_cast<std::size_t>(exponent + 1 - count), '0') + ".0";
  return out + digits.substr(0, static_cast<std::size_t>(exponent) + 1) + '.' +
         digits.substr(static_cast<std::size_t>(exponent) + 1);
}

}  // namespace transformers::python
