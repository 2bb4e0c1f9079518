// What it is: regular expressions as the package runs them, the scanners against them, and patterns that are refused.
// Where it stands: tests of tokenizers.
#include "tokenizers/regex.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support.hpp"

namespace transformers {
namespace {

std::string show(const Regex& regex, std::string_view text) {
  std::string out;
  for (const Match& m : regex.find(text)) {
    out += m.is_match ? '[' : '(';
    out.append(text.substr(m.begin, m.end - m.begin));
    out += m.is_match ? ']' : ')';
  }
  return out;
}

TEST(Regex, MatchesAndRests) {
  EXPECT_EQ(show(Regex("[0-9]+"), "a12b3"), "(a)[12](b)[3]");
  EXPECT_EQ(show(Regex("x"), "ab"), "(ab)");
  EXPECT_EQ(show(Regex("x"), ""), "()");
  EXPECT_EQ(show(Regex("b*"), "abba"), "[](a)[bb](a)[]");  // an empty match right behind a match does not count
  EXPECT_EQ(show(Regex("(?<=a)b"), "abb"), "(a)[b](b)");
}

// U+105CB is a letter since Unicode 16, whatever the installed Oniguruma knows; U+1E6C0 is since 17 and is none here.
TEST(Regex, CategoriesAreThePackages) {
  const std::string letter = "\xF0\x90\x97\x8B";
  EXPECT_EQ(show(Regex("\\p{L}+"), "a" + letter), "[a" + letter + "]");
  EXPECT_EQ(show(Regex("[^\\p{Letter}]"), letter + "1"), "(" + letter + ")[1]");
  EXPECT_EQ(show(Regex("\\p{^L}|\\P{L}"), letter + "1"), "(" + letter + ")[1]");
  EXPECT_EQ(show(Regex("\\\\p{1}"), "\\p"), "[\\p]");  // an escaped backslash is no category
  EXPECT_EQ(show(Regex("\\w+"), "a" + letter + "-"), "[a" + letter + "](-)");
  EXPECT_EQ(show(Regex("[^\\W_]+"), "_" + letter), "(_)[" + letter + "]");
  EXPECT_EQ(show(Regex("\\w"), "\xC2\xB2\xE2\x80\x8D"), "[\xC2\xB2](\xE2\x80\x8D)");  // a superscript, not the joiner
  EXPECT_EQ(show(Regex("[\\w]|\\d"), "\xC2\xB2"), "(\xC2\xB2)");                      // and none in brackets
  EXPECT_EQ(show(Regex("\\b-|\\B."), letter + "-" + letter + "a"), "(" + letter + ")[-](" + letter + ")[a]");
  EXPECT_EQ(show(Regex("\\d+"), "1\xF0\x90\xB5\x80"), "[1\xF0\x90\xB5\x80]");  // U+10D40, since 16
}

// The hand-written scanners match as Oniguruma does.
TEST(Scanners, MatchAsTheirPatternsDo) {
  const char* const contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
  const std::string tail = "+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
  const std::vector<std::pair<std::string, Scanner>> patterns = {
      {"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", Scanner::gpt2},
      {contractions + ("|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]" + tail), Scanner::cl100k},
      {contractions + ("|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]" + tail), Scanner::qwen2},
      {contractions + ("|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]" + tail),
       Scanner::qwen3_5}};
  const std::vector<std::string> atoms = {" ",
                                          " ",
                                          "  ",
                                          "\n",
                                          "\r\n",
                                          "\t",
                                          "a",
                                          "word",
                                          "Z",
                                          "'",
                                          "'s",
                                          "'S",
                                          "'ll",
                                          "'LL",
                                          "'re",
                                          "'r",
                                          "'vE",
                                          "'\xC5\xBF",
                                          "1",
                                          "123",
                                          "1234567",
                                          ".",
                                          "...",
                                          "!?",
                                          "(",
                                          "\xC3\xA9",
                                          "e\xCC\x81",
                                          "\xE4\xB8\xAD",
                                          "\xF0\x9F\x98\x80",
                                          "\xC2\xA0",
                                          "\xE3\x80\x80",
                                          "\xE2\x80\x8B",
                                          "\xC2\xBD",
                                          "\xE0\xA4\x95\xE0\xA5\x8D",
                                          "\x1F",
                                          "\v",
                                          "\xC2\x85"};
  uint32_t seed = 3;
  const auto random = [&](std::size_t n) { return (seed = seed * 1664525 + 1013904223, seed >> 8) % n; };
  for (const auto& [pattern, scanner] : patterns) {
    ASSERT_EQ(scanner_of(pattern), scanner) << pattern;
    const Regex scanned(pattern), plain(pattern, false);
    ASSERT_EQ(scanned.scanner(), scanner);
    ASSERT_EQ(plain.scanner(), Scanner::none);
    for (int round = 0; round < 4000; ++round) {
      std::string text;
      for (std::size_t n = 1 + random(9); n > 0; --n) text += atoms[random(atoms.size())];
      ASSERT_EQ(show(scanned, text), show(plain, text)) << pattern;
    }
  }
}

TEST(HostileT4, PatternsThatAreRefused) {
  EXPECT_ERROR(ErrorCode::corrupt_file,
               "the regular expression \"(\" cannot be read: end pattern with unmatched parenthesis", Regex("("));
  EXPECT_ERROR(ErrorCode::limit, "a regular expression of 1000000 bytes is too long: at most 100000",
               Regex(std::string(1'000'000, 'a')));
  EXPECT_EQ(test::error_of([] { Regex(std::string(50'000, '(') + std::string(50'000, ')')); }).code(),
            ErrorCode::corrupt_file);

  EXPECT_EQ(test::error_of([] { Regex("^(?:a|aa)+[^a]").find(std::string(5000, 'a')); }).code(), ErrorCode::limit);
}

}  // namespace
}  // namespace transformers
