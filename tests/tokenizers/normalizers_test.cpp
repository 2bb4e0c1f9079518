// What it is: each normalizer on the cases that tell it from the others.
// Where it stands: tests of tokenizers; every code point is covered by unicode_test.cpp.
#include "transformers/tokenizers/normalizers.hpp"

#include <gtest/gtest.h>

#include <string>

#include "support.hpp"
#include "transformers/base/value.hpp"

namespace transformers {
namespace {

template <class N>
std::string normalize(const N& normalizer, std::string_view text) {
  NormalizedString s(text);
  normalizer.normalize(s);
  return s.text();
}

TEST(BertNormalizer, EveryOption) {
  const std::string text = "\tH\xC3\xA9\x01llo\xE4\xB8\xAD";
  EXPECT_EQ(normalize(BertNormalizer{}, text), " hello \xE4\xB8\xAD ");
  EXPECT_EQ(normalize(BertNormalizer{.clean_text = false}, text), "\the\x01llo \xE4\xB8\xAD ");
  EXPECT_EQ(normalize(BertNormalizer{.handle_chinese_chars = false}, text), " hello\xE4\xB8\xAD");
  EXPECT_EQ(normalize(BertNormalizer{.strip_accents = false}, text), " h\xC3\xA9llo \xE4\xB8\xAD ");
  EXPECT_EQ(normalize(BertNormalizer{.lowercase = false}, text), " H\xC3\xA9llo \xE4\xB8\xAD ");
  EXPECT_EQ(normalize(BertNormalizer{.strip_accents = true, .lowercase = false}, text), " Hello \xE4\xB8\xAD ");
}

TEST(StripAccents, DoesNotDecomposeFirst) {
  EXPECT_EQ(normalize(StripAccents{}, "e\xCC\x81\xCC\x81o"), "eo");
  EXPECT_EQ(normalize(StripAccents{}, "\xC3\xA9"), "\xC3\xA9");
}

TEST(NormalForms, Differ) {
  const std::string text = "\xEF\xAC\x81\xC3\xA9";  // the ligature fi, e with acute
  EXPECT_EQ(normalize(NFC{}, "e\xCC\x81"), "\xC3\xA9");
  EXPECT_EQ(normalize(NFD{}, text),
            "\xEF\xAC\x81"
            "e\xCC\x81");
  EXPECT_EQ(normalize(NFKC{}, text), "fi\xC3\xA9");
  EXPECT_EQ(normalize(NFKD{}, text), "fie\xCC\x81");
  EXPECT_EQ(normalize(NFD{}, "\xEA\xB0\x81"), "\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8");  // a Hangul syllable
  EXPECT_EQ(normalize(NFC{}, "\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8"), "\xEA\xB0\x81");
}

TEST(Nmt, ControlCharactersAndSpaces) { EXPECT_EQ(normalize(Nmt{}, "a\x01\x7F\tb\xE2\x80\x8B\xEF\xBB\xBF"), "a b  "); }

TEST(Replace, StringPattern) {
  Replace replace;
  read_fields(replace, parse_json(R"({"pattern": {"String": "''"}, "content": "\""})", "x"), "x");
  EXPECT_EQ(normalize(replace, "a ''b''"), "a \"b\"");
  EXPECT_EQ(replace.decode({"''", "a''a"}), (std::vector<std::string>{"\"", "a\"a"}));
}

TEST(Replace, RegexPatternIsNotSupported) {
  Replace replace;
  const Value v = parse_json(R"({"pattern": {"Regex": " +"}, "content": " "})", "x");
  EXPECT_ERROR(ErrorCode::unsupported, "a Regex pattern is not supported here yet", read_fields(replace, v, "x"));
}

TEST(NormalizerSequence, OneAfterTheOther) {
  const Normalizer n{NormalizerSequence{{Normalizer{NFD{}}, Normalizer{StripAccents{}}, Normalizer{Lowercase{}},
                                         Normalizer{Prepend{"_"}}, Normalizer{Strip{}}}}};
  EXPECT_EQ(normalize(n, "\xC3\x89t\xC3\xA9 "), "_ete");
}

TEST(Normalizer, FieldsAreListedUnderTheirJsonNames) {
  EXPECT_EQ(to_json(write_fields(BertNormalizer{})),
            R"({"clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true})");
  EXPECT_EQ(to_json(write_fields(Prepend{"x"})), R"({"prepend":"x"})");
  EXPECT_EQ(to_json(write_fields(Replace{{"a"}, "b"})), R"({"pattern":{"String":"a"},"content":"b"})");
}

}  // namespace
}  // namespace transformers
