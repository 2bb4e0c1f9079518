// Implements moses.hpp. Each step is a rule of its own over the whole line, in Moses' order.
#include "moses.hpp"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <numeric>

#include "python_text.hpp"
#include "regex.hpp"
#include "text_cleanup.hpp"
#include "transformers/base/error.hpp"
#include "transformers/tokenizers/unicode.hpp"

namespace transformers::moses {
namespace {

struct Run {
  char32_t begin;
  uint8_t flags;
};
#include "moses_tables.inc"

enum : uint8_t { kAlpha = 1, kAlphaOrSign = 2, kAlnum = 4, kNumber = 8, kLower = 16, kCurrency = 32 };

bool is(uint8_t flag, char32_t c) {
  const Run* const after =
      std::upper_bound(std::begin(kRuns), std::end(kRuns), c, [](char32_t x, const Run& run) { return x < run.begin; });
  return after != std::begin(kRuns) && (std::prev(after)->flags & flag) != 0;
}

std::u32string wide(std::string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) out += unicode::next(text, i);
  return out;
}

std::string narrow(std::u32string_view text) {
  std::string out;
  for (const char32_t c : text) unicode::append(out, c);
  return out;
}

// str.split()
std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> out;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t at = i;
    if (!python::is_space(unicode::next(text, i))) continue;
    if (at > begin) out.emplace_back(text.substr(begin, at - begin));
    begin = i;
  }
  if (begin < text.size()) out.emplace_back(text.substr(begin));
  return out;
}

std::string join(std::span<const std::string> words) {
  std::string out;
  for (const std::string& word : words) (out += &word == words.data() ? "" : " ") += word;
  return out;
}

std::string with_single_spaces(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c != ' ' || !out.ends_with(' ')) out += c;
  }
  return out;
}

// Rewrites from left to right: f(i, out) appends what stands for the characters from i on and returns how many these
// are, 0 for a character that stays.
template <class F>
void rewrite(std::u32string& text, F f) {
  std::u32string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t size = f(i, out);
    if (size == 0) out += text[i];
    i += std::max<std::size_t>(size, 1);
  }
  text = std::move(out);
}

// Puts `between` in place of the middle of three characters.
template <class Before, class After>
void rewrite_between(std::u32string& text, Before before, std::u32string_view middle, After after,
                     std::u32string_view between) {
  rewrite(text, [&](std::size_t i, std::u32string& out) -> std::size_t {
    const std::size_t next = i + 1 + middle.size();
    if (next >= text.size() || !before(text[i]) || text.compare(i + 1, middle.size(), middle) != 0 ||
        !after(text[next])) {
      return 0;
    }
    ((out += text[i]) += between) += text[next];
    return middle.size() + 2;
  });
}

// ---- punctuation --------------------------------------------------------------------------------------------------

#define NBSP "\xC2\xA0"

std::string normalize(std::string_view line) {
  std::string text(line);
  const auto all = [&](std::initializer_list<std::pair<const char*, const char*>> rules) {
    for (const auto& [from, to] : rules) replace_all(text, from, to);
  };
  const auto spaces = [&] { text = with_single_spaces(text); };
  const auto rules = [&](auto f) {
    std::u32string characters = wide(text);
    f(characters);
    text = narrow(characters);
  };
  const auto is_decimal = [](char32_t c) { return python::is_decimal(c); };

  all({{"\r", ""}, {"(", " ("}, {")", ") "}});
  spaces();
  rules([](std::u32string& s) {
    const auto stops = [](char32_t c) { return std::u32string_view(U".!:?;,").find(c) != std::u32string_view::npos; };
    rewrite_between(
        s, [](char32_t c) { return c == ')'; }, U" ", stops, U"");
  });
  all({{"( ", "("}, {" )", ")"}});
  rules([&](std::u32string& s) {
    rewrite_between(
        s, is_decimal, U" ", [](char32_t c) { return c == '%'; }, U"");
  });
  all({{" :", ":"}, {" ;", ";"}, {"`", "'"}, {"''", " \" "}});
  all({{"\u201E", "\""}, {"\u201C", "\""}, {"\u201D", "\""}, {"\u2013", "-"}, {"\u2014", " - "}});
  spaces();
  all({{"\u00B4", "'"}, {"\u2018", "'"}, {"\u201A", "'"}, {"\u2019", "'"}, {"''", "\""}, {"\u2026", "..."}});
  all({{NBSP "\u00AB" NBSP, "\""}, {"\u00AB" NBSP, "\""}, {"\u00AB", "\""}});
  all({{NBSP "\u00BB" NBSP, "\""}, {NBSP "\u00BB", "\""}, {"\u00BB", "\""}});
  all({{NBSP "%", "%"},
       {"n\u00BA" NBSP, "n\u00BA "},
       {NBSP ":", ":"},
       {NBSP "\u00BA"
             "C",
        " \u00BA"
        "C"}});
  all({{NBSP "cm", " cm"}, {NBSP "?", "?"}, {NBSP "!", "!"}, {NBSP ";", ";"}, {"," NBSP, ", "}});
  spaces();
  rules([&](std::u32string& s) {
    rewrite(s, [&](std::size_t i, std::u32string& out) -> std::size_t {
      std::size_t end = i + 1;
      while (s[i] == '"' && end < s.size() && (s[end] == ',' || s[end] == '.')) ++end;
      if (end == i + 1) return 0;
      (out += std::u32string_view(s).substr(i + 1, end - i - 1)) += U'"';
      return end - i;
    });
    rewrite_between(s, is_decimal, U"\u00A0", is_decimal, U".");
  });
  return std::string(python::strip(text));
}

#undef NBSP

// ---- words --------------------------------------------------------------------------------------------------------

// What is protected, and the mark that stands for it meanwhile.
struct Protected {
  std::vector<std::string> texts;
  std::string marker;

  std::string mark(std::size_t i) const {
    const std::string number = std::to_string(i);
    return marker + std::string(number.size() < 3 ? 3 - number.size() : 0, '0') + number;
  }
};

Protected protect(std::string& text, std::span<const std::shared_ptr<const Regex>> patterns) {
  constexpr std::size_t kMost = 1000;
  Protected out;
  for (const auto& pattern : patterns) {
    for (const Match& m : pattern->find(text)) {
      if (m.is_match) out.texts.push_back(text.substr(m.begin, m.end - m.begin));
    }
  }
  if (out.texts.size() > kMost) {
    throw Error(ErrorCode::limit, std::to_string(out.texts.size()) + " protected words in one text: at most 1000");
  }
  if (out.texts.empty()) return out;
  const std::string stem = "THISISPROTECTED";
  std::size_t longest = 0;
  bool is_there = false;
  for (std::size_t at = text.find(stem); at != std::string::npos;) {
    std::size_t end = at + stem.size();
    while (end < text.size() && text[end] == 'X') ++end;
    longest = std::max(longest, end - at - stem.size());
    is_there = true;
    at = text.find(stem, end);
  }
  out.marker = stem + std::string(is_there ? longest + 1 : 0, 'X');
  std::vector<std::size_t> order(out.texts.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return unicode::count(out.texts[a]) > unicode::count(out.texts[b]);
  });
  for (const std::size_t i : order) {
    if (!out.texts[i].empty()) replace_all(text, out.texts[i], out.mark(i));
  }
  return out;
}

void cut_words(std::u32string& text) {
  const auto number = [](char32_t c) { return is(kNumber, c); };
  const auto no_number = [](char32_t c) { return !is(kNumber, c); };
  const auto alpha = [](char32_t c) { return is(kAlphaOrSign, c); };
  const auto no_alpha = [](char32_t c) { return !is(kAlphaOrSign, c); };
  const auto neither = [](char32_t c) { return !is(kAlphaOrSign, c) && !is(kNumber, c); };

  rewrite(text, [&](std::size_t i, std::u32string& out) -> std::size_t {
    const char32_t c = text[i];
    if (is(kAlnum, c) || python::is_space(c) || c == '.' || c == '\'' || c == '`' || c == ',' || c == '-') return 0;
    ((out += U' ') += c) += U' ';
    return 1;
  });
  rewrite(text, [&](std::size_t i, std::u32string& out) -> std::size_t {
    if (i + 2 >= text.size() || text[i + 1] != '-' || !is(kAlnum, text[i]) || !is(kAlnum, text[i + 2])) return 0;
    (out += text[i]) += U" @-@ ";
    return 2;
  });
  rewrite(text, [&](std::size_t i, std::u32string& out) -> std::size_t {
    std::size_t end = i;
    while (end < text.size() && text[end] == '.') ++end;
    if (end - i < 2) return 0;
    out += U' ';
    for (std::size_t dot = i; dot < end; ++dot) out += U"DOT";
    out += U"MULTI";
    if (end < text.size()) out += U' ';
    return end - i;
  });
  rewrite(text, [&](std::size_t i, std::u32string& out) -> std::size_t {
    if (i + 1 >= text.size() || text[i + 1] != ',' || !no_number(text[i])) return 0;
    (out += text[i]) += U" , ";
    return 2;
  });
  rewrite(text, [&](std::size_t i, std::u32string& out) -> std::size_t {
    if (i + 1 >= text.size() || text[i] != ',' || !no_number(text[i + 1])) return 0;
    (out += U" , ") += text[i + 1];
    return 2;
  });
  if (text.size() > 1 && text.back() == ',' && number(text[text.size() - 2])) {
    text.back() = U' ';
    text += U", ";
  }
  rewrite_between(text, no_alpha, U"'", no_alpha, U" ' ");
  rewrite_between(text, neither, U"'", alpha, U" ' ");
  rewrite_between(text, alpha, U"'", no_alpha, U" ' ");
  rewrite_between(text, alpha, U"'", alpha, U" '");
  rewrite_between(
      text, number, U"'", [](char32_t c) { return c == 's'; }, U" '");
}

// Sets the full stop of a word apart, unless it belongs to an abbreviation.
void cut_stops(std::vector<std::string>& words) {
  const auto has = [](const auto& list, std::string_view word) {
    return std::find(std::begin(list), std::end(list), word) != std::end(list);
  };
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i].size() < 2 || !words[i].ends_with('.')) continue;
    const std::string prefix = words[i].substr(0, words[i].size() - 1);
    const std::u32string characters = wide(prefix);
    const bool any_alpha =
        std::any_of(characters.begin(), characters.end(), [](char32_t c) { return is(kAlphaOrSign, c); });
    const bool is_last = i + 1 == words.size();
    std::size_t first = 0;
    const char32_t next = is_last ? U' ' : unicode::next(words[i + 1], first);
    if ((prefix.find('.') != std::string::npos && any_alpha) ||
        (has(kAbbreviations, prefix) && !has(kBeforeNumbers, prefix)) || (!is_last && is(kLower, next)) ||
        (has(kBeforeNumbers, prefix) && next >= '0' && next <= '9')) {
      continue;
    }
    words[i] = prefix + " .";
  }
}

void restore_dots(std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t end = i;
    while (text.compare(end, 3, "DOT") == 0) end += 3;
    if (end > i && text.compare(end, 5, "MULTI") == 0) {
      out.append((end - i) / 3, '.');
      i = end + 5;
    } else {
      out += text[i++];
    }
  }
  text = std::move(out);
}

// "1,000.5" as the vocabulary has it: "1" "@,@" "000" "@.@" "5".
void add_numbers(const std::string& word, std::vector<std::string>& out) {
  const std::u32string characters = wide(word);
  std::u32string cut;
  for (std::size_t i = 0; i < characters.size(); ++i) {
    const char32_t c = characters[i];
    const bool inside = (c == ',' || c == '.') && i > 0 && i + 1 < characters.size() &&
                        python::is_decimal(characters[i - 1]) && python::is_decimal(characters[i + 1]);
    if (inside) {
      ((cut += U" @") += c) += U"@ ";
    } else {
      cut += c;
    }
  }
  for (std::string& part : split(narrow(cut))) out.push_back(std::move(part));
}

}  // namespace

std::vector<std::string> tokenize(std::string_view line,
                                  std::span<const std::shared_ptr<const Regex>> protected_patterns) {
  std::string text;
  for (const char32_t c : wide(normalize(line))) {
    if (python::is_space(c)) {
      if (!text.ends_with(' ')) text += ' ';
    } else if (c >= 0x20) {
      unicode::append(text, c);
    }
  }
  const Protected kept = protect(text, protected_patterns);
  std::u32string characters = wide(python::strip(text));
  cut_words(characters);
  std::vector<std::string> words = split(narrow(characters));
  cut_stops(words);
  text = join(words);
  if (text.ends_with(".'")) text = text.substr(0, text.size() - 2) + " . ' ";
  for (std::size_t i = 0; i < kept.texts.size(); ++i) replace_all(text, kept.mark(i), kept.texts[i]);
  restore_dots(text);
  std::vector<std::string> out;
  for (const std::string& word : split(text)) add_numbers(word, out);
  return out;
}

std::string detokenize(std::span<const std::string> words) {
  std::string text = ' ' + join(words) + ' ';
  for (const auto& [from, to] : std::initializer_list<std::pair<const char*, const char*>>{{" @-@ ", "-"},
                                                                                           {"&bar;", "|"},
                                                                                           {"&#124;", "|"},
                                                                                           {"&lt;", "<"},
                                                                                           {"&gt;", ">"},
                                                                                           {"&bra;", "["},
                                                                                           {"&ket;", "]"},
                                                                                           {"&quot;", "\""},
                                                                                           {"&apos;", "'"},
                                                                                           {"&#91;", "["},
                                                                                           {"&#93;", "]"},
                                                                                           {"&amp;", "&"}}) {
    replace_all(text, from, to);
  }
  const auto is_cjk = [](char32_t c) {
    constexpr std::pair<char32_t, char32_t> kRanges[] = {{0x1100, 0x11FF},   {0x2E80, 0xA4CF},   {0xA840, 0xA87F},
                                                         {0xAC00, 0xD7AF},   {0xF900, 0xFAFF},   {0xFE30, 0xFE4F},
                                                         {0xFF65, 0xFFDC},   {0x17000, 0x18AFF}, {0x1B000, 0x1B12F},
                                                         {0x1B170, 0x1B2FF}, {0x20000, 0x2FFFF}};
    return std::any_of(std::begin(kRanges), std::end(kRanges),
                       [c](const auto& range) { return c >= range.first && c <= range.second; });
  };
  const auto consists_of = [](const std::u32string& word, std::u32string_view of, bool currency = false) {
    return std::all_of(word.begin(), word.end(), [&](char32_t c) {
      return of.find(c) != std::u32string_view::npos || (currency && is(kCurrency, c));
    });
  };
  std::map<std::u32string, int> quotes;
  std::string out;
  std::u32string before;  // the word before
  bool space = true;
  for (const std::string& word : split(text)) {
    const std::u32string characters = wide(word);
    const bool is_first = before.empty();
    bool joined = false, space_behind = true;  // to the left; before the next
    if (is_cjk(characters[0])) {
      if (!is_first && is_cjk(before.back())) joined = true;
    } else if (consists_of(characters, U"([{\u00BF\u00A1", true)) {
      space_behind = false;
    } else if (consists_of(characters, U",.?!:;\\%}])") ||
               (!is_first && characters.size() > 1 && characters[0] == '\'' && is(kAlpha, characters[1]))) {
      joined = true;
    } else if (consists_of(characters, U"'\"\u201E\u201C`")) {
      int& count = quotes[consists_of(characters, U"\u201E\u201C\u201D") ? U"\"" : characters];
      if (count % 2 == 0 && characters == U"'" && !is_first && before.back() == 's') {
        joined = true;
      } else {
        joined = count % 2 != 0;
        space_behind = joined;
        ++count;
      }
    }
    if (!joined && space) out += ' ';
    out += word;
    space = space_behind;
    before = characters;
  }
  out = with_single_spaces(out);
  out = std::string(python::strip(out));
  replace_all(out, " @,@ ", ",");
  replace_all(out, " @.@ ", ".");
  return std::string(python::strip(out));
}

}  // namespace transformers::moses
