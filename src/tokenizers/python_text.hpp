// What it is: Python's str methods over UTF-8: what a character is, its cases, and repr().
// Where it stands: tokenizers; chat templates are written for Python's str, and their interpreter is written with this.
// Usage: `std::string shouted = python::upper("stra\xC3\x9F" "e");   // "STRASSE"`
// Source: Python 3.11 through tests/reference/make_python_text.py.
//
// All text is well-formed UTF-8.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "transformers/base/export.hpp"

namespace transformers::python {

bool is_alpha(char32_t c) noexcept;
bool is_decimal(char32_t c) noexcept;
bool is_digit(char32_t c) noexcept;
bool is_numeric(char32_t c) noexcept;
bool is_space(char32_t c) noexcept;
bool is_printable(char32_t c) noexcept;
bool is_lower(char32_t c) noexcept;
bool is_upper(char32_t c) noexcept;
bool is_cased(char32_t c) noexcept;  // has upper, lower or title case
bool is_identifier_start(char32_t c) noexcept;
bool is_identifier_part(char32_t c) noexcept;
inline bool is_alnum(char32_t c) noexcept { return is_alpha(c) || is_numeric(c); }

std::string upper(std::string_view text);
TCPP_API std::string lower(std::string_view text);  // with the rule for the final sigma
std::string title(std::string_view text);
std::string capitalize(std::string_view text);
std::string swapcase(std::string_view text);
// str.isupper(), islower(), istitle() of a whole text.
bool is_upper(std::string_view text);
bool is_lower(std::string_view text);
bool is_title(std::string_view text);

// Without the white space at the left, the right or both ends.
TCPP_API std::string_view strip_left(std::string_view text) noexcept;
TCPP_API std::string_view strip_right(std::string_view text) noexcept;
inline std::string_view strip(std::string_view text) noexcept { return strip_right(strip_left(text)); }

// repr(text): quotes, and escapes for what is not printable.
void append_repr(std::string& out, std::string_view text);
// repr(float): the shortest digits that read back, in Python's layout.
std::string repr(double number);

}  // namespace transformers::python
