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

TEST(Replace, RegexPattern) {
  Replace replace;
  const Value v = parse_json(R"({"pattern": {"Regex": " {2,}"}, "content": " "})", "x");
  read_fields(replace, v, "x");
  EXPECT_EQ(normalize(replace, "a   b c  "), "a b c ");
  EXPECT_EQ(to_json(write_fields(replace)), to_json(v));
}

TEST(ByteLevelNormalizer, BytesAsCharacters) {
  EXPECT_EQ(normalize(ByteLevelNormalizer{}, " a\xC3\xA9\n"),
            "\xC4\xA0"
            "a\xC3\x83\xC2\xA9\xC4\x8A");
}

// One rule, "a" -> "bc", in a double array made by hand: the root leads to unit 'a', that to its value at 255.
std::string one_rule(uint32_t value = 0, uint32_t words = 256) {
  std::string out;
  const auto put = [&](uint32_t v) {
    for (int i = 0; i < 4; ++i) out += static_cast<char>(v >> (8 * i));
  };
  put(words * 4);
  for (uint32_t i = 0; i < words; ++i)
    put(i == 'a' ? 'a' | 1u << 8 | ('a' ^ 255u) << 10 : i == 255 ? 1u << 31 | value : 0);
  return out + "bc" + std::string(1, '\0');
}

// A rule that fits the start of a grapheme cluster replaces all of it, if it is shorter than 6 bytes.
TEST(Precompiled, ReplacesClusters) {
  const Precompiled p{one_rule()};
  EXPECT_EQ(normalize(p, "xay"), "xbcy");
  EXPECT_EQ(normalize(p, "a\xCC\x81y"), "bcy");
  EXPECT_EQ(normalize(p, "a\xCC\x81\xCC\x81\xCC\x81y"), "bc\xCC\x81\xCC\x81\xCC\x81y");
  NormalizedString s("xay");
  p.normalize(s);
  EXPECT_EQ(s.original(1, 2), (ByteRange{1, 2}));
  EXPECT_EQ(s.original(2, 3), (ByteRange{1, 2}));
  EXPECT_EQ(s.original(3, 4), (ByteRange{2, 3}));
  const Value written = write_fields(p);
  Precompiled again;
  read_fields(again, written, "x");
  EXPECT_EQ(normalize(again, "xay"), "xbcy");
}

TEST(HostileT6, RulesThatAreNone) {
  const auto read = [](const std::string& text) {
    Precompiled p;
    read_fields(p, Value(Value::Object{{"precompiled_charsmap", Value(text)}}), "x");
  };
  EXPECT_ERROR(ErrorCode::corrupt_file, "precompiled_charsmap: expected base64", read("a*=="));
  EXPECT_ERROR(ErrorCode::corrupt_file, "precompiled_charsmap: 0 bytes are too few", read(""));
  EXPECT_ERROR(ErrorCode::corrupt_file, "precompiled_charsmap: a double array of 1024 bytes does not fit into 200",
               Precompiled(one_rule().substr(0, 200)));
  EXPECT_ERROR(ErrorCode::corrupt_file, "precompiled_charsmap: unit 97 stands for no text", Precompiled(one_rule(3)));
  EXPECT_ERROR(ErrorCode::corrupt_file, "precompiled_charsmap: unit 97 leads nowhere", Precompiled(one_rule(0, 200)));
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
