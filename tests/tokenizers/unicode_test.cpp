// What it is: the Unicode tables against what the `tokenizers` package makes of every code point, and UTF-8 repair.
// Where it stands: tests of tokenizers; the digests come from tests/reference/make_unicode.py.
#include "transformers/tokenizers/unicode.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "transformers/base/platform.hpp"
#include "transformers/base/value.hpp"
#include "transformers/tokenizers/normalizers.hpp"

namespace transformers {
namespace {

std::string utf8(std::u32string_view text) {
  std::string out;
  for (char32_t c : text) unicode::append(out, c);
  return out;
}

class Digest {
 public:
  void add(std::string_view text) {
    for (char c : text) step(c);
    step('\n');
  }
  std::string hex() const {
    char out[17];
    std::snprintf(out, sizeof out, "%016llx", static_cast<unsigned long long>(hash_));
    return out;
  }

 private:
  void step(char c) { hash_ = (hash_ ^ static_cast<unsigned char>(c)) * 0x100000001B3u; }
  uint64_t hash_ = 0xCBF29CE484222325u;
};

// The generator of make_unicode.py.
std::vector<std::string> random_strings(int count) {
  constexpr std::pair<char32_t, char32_t> kRanges[] = {
      {0x20, 0x24F},    {0x300, 0x36F}, {0x1100, 0x11FF}, {0xAC00, 0xD7A3},   {0x1E00, 0x1FFF},   {0x900, 0xDFF},
      {0x3040, 0x30FF}, {0x590, 0x6FF}, {0xF900, 0xFAFF}, {0x1D150, 0x1D1FF}, {0x10000, 0x10FFFF}};
  uint64_t state = 1;
  const auto draw = [&](uint64_t n) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % n;
  };
  std::vector<std::string> out;
  for (int i = 0; i < count; ++i) {
    std::string text;
    for (uint64_t left = 1 + draw(8); left > 0; --left) {
      const auto [low, high] = kRanges[draw(std::size(kRanges))];
      unicode::append(text, low + static_cast<char32_t>(draw(high - low + 1)));
    }
    out.push_back(text);
  }
  return out;
}

TEST(UnicodeReference, EveryCodePointAndRandomStrings) {
  const auto path = std::filesystem::path(TCPP_TEST_DATA) / "tokenizers/unicode-digests.json";
  const Value file = parse_json(read_file(path), "unicode-digests.json");
  const std::pair<const char*, Normalizer> kinds[] = {
      {"NFC", {NFC{}}},
      {"NFD", {NFD{}}},
      {"NFKC", {NFKC{}}},
      {"NFKD", {NFKD{}}},
      {"Lowercase", {Lowercase{}}},
      {"StripAccents", {StripAccents{}}},
      {"Nmt", {Nmt{}}},
      {"BertNormalizer", {BertNormalizer{}}},
  };
  const std::vector<std::string> strings = random_strings(20000);
  ASSERT_EQ(file.at("digests").as_object().size(), std::size(kinds));
  for (const auto& [name, normalizer] : kinds) {
    const Value& want = file.at("digests").at(name);
    const auto add = [&normalizer = normalizer](Digest& d, std::string_view text) {
      NormalizedString s(text);
      normalizer.normalize(s);
      d.add(s.text());
    };
    for (char32_t block = 0; block < 0x110; ++block) {
      Digest digest;
      for (char32_t c = block << 12; c < (block + 1) << 12; ++c) {
        if (c < 0xD800 || c >= 0xE000) add(digest, utf8({&c, 1}));
      }
      EXPECT_EQ(digest.hex(), want.at("code_points").as_array().at(block).as_string())
          << name << " from U+" << std::hex << (block << 12);
    }
    Digest digest;
    for (const std::string& s : strings) add(digest, s);
    EXPECT_EQ(digest.hex(), want.at("strings").as_string()) << name << " of random strings";
  }
}

TEST(Unicode, NextAndAppendAreInverse) {
  for (const char32_t c : {0x0u, 0x41u, 0x7Fu, 0x80u, 0x7FFu, 0x800u, 0xD7FFu, 0xE000u, 0xFFFFu, 0x10000u, 0x10FFFFu}) {
    std::string text;
    unicode::append(text, c);
    EXPECT_EQ(text.size(), unicode::length(c));
    std::size_t i = 0;
    EXPECT_EQ(unicode::next(text, i), c);
    EXPECT_EQ(i, text.size());
    EXPECT_EQ(unicode::well_formed_prefix(text), text.size());
  }
}

// The table of Unicode 15, chapter 3.9 (U+FFFD substitution of maximal subparts), and Python's errors="replace".
TEST(Unicode, IllFormedSequencesBecomeReplacementCharacters) {
  const std::string r = "\xEF\xBF\xBD";
  const std::pair<std::string, std::string> cases[] = {
      {"plain", "plain"},
      {"", ""},
      {"\x80", r},
      {"a\xFF"
       "b",
       "a" + r + "b"},
      {"\xC0\xAF", r + r},                    // overlong
      {"\xE0\x80\xBF", r + r + r},            // overlong
      {"\xF0\x81\x82\x41", r + r + r + "A"},  // overlong
      {"\xED\xA0\x80", r + r + r},            // a surrogate
      {"\xED\xA0\x80\xED\xB0\x80", r + r + r + r + r + r},
      {"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", r + r + r + r + r + "A" + r + r + "B"},  // beyond U+10FFFF
      {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", r + r + r + r + "A"},                    // truncated sequences
      {"\xE2\x82", r},                                                                  // at the end
      {"\xF0\x9F\x98", r},
      {"x\xC3", "x" + r},
      {"\xF5\x80\x80\x80", r + r + r + r},
      {std::string("\0\xC3\xA9", 3), std::string("\0\xC3\xA9", 3)},
      {"0123456789abcdef\xC3", "0123456789abcdef" + r},
  };
  for (const auto& [from, to] : cases) {
    EXPECT_EQ(unicode::to_well_formed(from), to) << testing::PrintToString(from);
    EXPECT_EQ(unicode::well_formed_prefix(from) == from.size(), from == to);
  }
}

TEST(Unicode, Properties) {
  EXPECT_TRUE(unicode::is_whitespace(U'\t'));
  EXPECT_TRUE(unicode::is_whitespace(0x3000));
  EXPECT_FALSE(unicode::is_whitespace(0x200B));
  EXPECT_TRUE(unicode::is_removed(0));
  EXPECT_TRUE(unicode::is_removed(0xFFFD));
  EXPECT_TRUE(unicode::is_removed(0xE000));  // private use
  EXPECT_FALSE(unicode::is_removed(U'\n'));
  EXPECT_TRUE(unicode::is_chinese(0x4E00));
  EXPECT_FALSE(unicode::is_chinese(0x3042));  // Hiragana
  EXPECT_TRUE(unicode::is_punctuation(U'$'));
  EXPECT_TRUE(unicode::is_punctuation(0x3002));
  EXPECT_FALSE(unicode::is_punctuation(0x20AC));  // a currency sign beyond ASCII
  EXPECT_TRUE(unicode::is_nonspacing(0x301));
  EXPECT_TRUE(unicode::is_mark(0x903));
  EXPECT_FALSE(unicode::is_nonspacing(0x903));  // a spacing mark
  EXPECT_TRUE(unicode::is_numeric(0xB2));
  EXPECT_TRUE(unicode::is_word(U'_'));
  EXPECT_FALSE(unicode::is_starter(0x301));
  EXPECT_EQ(unicode::count("a\xC3\xA9\xF0\x9F\x98\x80"), 3u);
}

TEST(Unicode, ChangesTellWhereCodePointsCameFrom) {
  // U+01D5 is U, diaeresis, macron: one code point for three, then three composed to one.
  const auto split = unicode::normalize(utf8(U"\u01D5"), unicode::Form::nfd);
  ASSERT_EQ(split.size(), 3u);
  EXPECT_EQ(split[0].change, 0);
  EXPECT_EQ(split[1].change, 1);
  EXPECT_EQ(split[2].change, 1);
  const auto joined = unicode::normalize(utf8(U"U\u0308\u0304"), unicode::Form::nfc);
  ASSERT_EQ(joined.size(), 1u);
  EXPECT_EQ(joined[0].code_point, U'\u01D5');
  EXPECT_EQ(joined[0].change, -2);
}

}  // namespace
}  // namespace transformers
