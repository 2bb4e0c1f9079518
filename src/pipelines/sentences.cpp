// Implements sentences.hpp.
#include "sentences.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>

#include "transformers/tokenizers/unicode.hpp"

namespace transformers {
namespace {

constexpr std::string_view kAbbreviations[] = {"Dr", "Jr",  "Mr", "Mrs", "Ms",  "No",  "Nr", "Prof", "Sr",  "St",
                                               "al", "bzw", "ca", "cf",  "etc", "fig", "pp", "usw",  "vgl", "vs"};

// Ends a sentence wherever it stands: these scripts put no space behind it.
bool ends_alone(char32_t c) {
  return c == 0x3002 || c == 0xFF01 || c == 0xFF1F || c == 0xFF61 || c == 0x0964 || c == 0x0965 || c == 0x104B;
}
bool ends_before_space(char32_t c) {
  return c == '.' || c == '!' || c == '?' || c == 0x2026 || c == 0x061F || c == 0x06D4 || c == 0x203C || c == 0x2047 ||
         c == 0x2048 || c == 0x2049 || c == 0x0589 || c == 0x1362;
}
bool closes(char32_t c) {
  return c == '"' || c == '\'' || c == ')' || c == ']' || c == '}' || c == 0xBB || c == 0x2019 || c == 0x201D ||
         c == 0x203A || c == 0x300D || c == 0x300F || c == 0xFF09 || c == 0x3011;
}
bool is_small_letter(char32_t c) {
  return (c >= 'a' && c <= 'z') || (c >= 0xDF && c <= 0xFF && c != 0xF7) || (c >= 0x3B1 && c <= 0x3C9) ||
         (c >= 0x430 && c <= 0x45F);
}

// Whether a full stop behind `word` is part of it.
bool is_abbreviation(std::string_view word) {
  if (std::find(std::begin(kAbbreviations), std::end(kAbbreviations), word) != std::end(kAbbreviations)) return true;
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (!word.empty() && word.size() <= 2 && std::all_of(word.begin(), word.end(), is_digit)) return true;
  const std::size_t dot = word.rfind('.');  // "e.g" and the like
  const std::string_view last = dot == std::string_view::npos ? word : word.substr(dot + 1);
  return unicode::count(last) == 1 && !is_digit(last[0]);
}

}  // namespace

std::vector<Sentence> split_sentences(std::string_view text) {
  std::vector<Sentence> out;
  std::size_t begin = 0, word = 0;
  const auto peek = [&](std::size_t at) { return unicode::next(text, at); };
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t at = i;
    const char32_t c = unicode::next(text, i);
    bool ends = false;
    if (unicode::is_whitespace(c)) {
      word = i;
      ends = c == '\n';
      if (!ends) continue;
      i = at;  // the white space is not the sentence's
    } else if (ends_alone(c) || ends_before_space(c)) {
      while (i < text.size() && (ends_alone(peek(i)) || ends_before_space(peek(i)))) unicode::next(text, i);
      while (i < text.size() && closes(peek(i))) unicode::next(text, i);
      ends = ends_alone(c);
      if (!ends && i < text.size() && unicode::is_whitespace(peek(i))) {
        std::size_t next = i;
        while (next < text.size() && unicode::is_whitespace(peek(next))) unicode::next(text, next);
        const bool goes_on = next < text.size() && is_small_letter(peek(next));
        ends = !goes_on && !(c == '.' && i == at + 1 && is_abbreviation(text.substr(word, at - word)));
      }
    }
    if (!ends) continue;
    std::size_t end = i;
    while (end > begin && (text[end - 1] == ' ' || text[end - 1] == '\t' || text[end - 1] == '\r')) --end;
    i = end;
    while (i < text.size() && unicode::is_whitespace(peek(i))) unicode::next(text, i);
    if (end > begin || out.empty()) {
      out.push_back({text.substr(begin, end - begin), text.substr(end, i - end)});
    }
    begin = word = i;
  }
  if (begin < text.size()) {
    std::size_t end = text.size();
    while (end > begin && (text[end - 1] == ' ' || text[end - 1] == '\t' || text[end - 1] == '\r')) --end;
    out.push_back({text.substr(begin, end - begin), text.substr(end)});
  }
  return out;
}

}  // namespace transformers
