// What it is: the compiled path against the components, on recorded texts and on random ones.
// Where it stands: tests of tokenizers; the components are the specification.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "support.hpp"
#include "transformers/base/model_files.hpp"
#include "transformers/base/platform.hpp"
#include "transformers/base/value.hpp"
#include "transformers/tokenizers/tokenizer.hpp"
#include "transformers/tokenizers/unicode.hpp"

namespace transformers {
namespace {

std::string utf8(char32_t c) {
  std::string out;
  unicode::append(out, c);
  return out;
}

// A vocabulary of letters of several scripts, alone and as continuations, with some words and marks.
std::string make_vocab() {
  std::string out = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\nhello\n##ing\nstra\n##sse\nabc\n##bc\n##\n";
  const auto both = [&](char32_t c) { out += utf8(c) + "\n##" + utf8(c) + "\n"; };
  for (char32_t c = 0x21; c < 0x7F; ++c) both(c);
  for (char32_t c : {0xE9u,   0xDFu,   0x131u,  0x301u,  0x307u,  0x302Eu, 0x3B1u,   0x3C3u,  0x3C2u,  0x4E00u,
                     0x4E2Du, 0x8C48u, 0x1100u, 0x1161u, 0xAC00u, 0x3042u, 0x1F600u, 0x3002u, 0x2014u, 0x200Bu}) {
    both(c);
  }
  return out;
}

struct Variant {
  const char* name;
  const char* config;
};
constexpr Variant kVariants[] = {
    {"uncased", R"({"tokenizer_class": "BertTokenizer"})"},
    {"cased", R"({"tokenizer_class": "BertTokenizer", "do_lower_case": false})"},
    {"lower, accents kept", R"({"tokenizer_class": "BertTokenizer", "strip_accents": false})"},
    {"cased, accents stripped",
     R"({"tokenizer_class": "BertTokenizer", "do_lower_case": false, "strip_accents": true})"},
    {"no Chinese", R"({"tokenizer_class": "BertTokenizer", "tokenize_chinese_chars": false})"},
    {"added tokens",
     R"({"tokenizer_class": "BertTokenizer", "added_tokens_decoder": {
        "1000": {"content": "hell", "normalized": false}, "1001": {"content": "the", "normalized": false, "single_word": true},
        "1002": {"content": "<x>", "normalized": false, "lstrip": true, "rstrip": true, "special": true},
        "1003": {"content": "\u4e2d", "normalized": false}, "1004": {"content": " lead", "normalized": false, "rstrip": true},
        "1005": {"content": "  ", "normalized": false, "single_word": true}}})"}};

// BertNormalizer without clean_text, and words of at most three characters, which only tokenizer.json can say.
std::string make_json(const std::string& vocab) {
  std::string tokens;
  int id = 0;
  for (std::size_t begin = 0; begin < vocab.size(); ++id) {
    const std::size_t end = vocab.find('\n', begin);
    tokens +=
        (tokens.empty() ? "" : ", ") + to_json(Value(vocab.substr(begin, end - begin))) + ": " + std::to_string(id);
    begin = end + 1;
  }
  return R"({"normalizer": {"type": "BertNormalizer", "clean_text": false, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "model": {"type": "WordPiece", "unk_token": "[UNK]", "max_input_chars_per_word": 3, "vocab": {)" +
         tokens + "}}}";
}

std::string random_text(std::mt19937& random) {
  constexpr std::pair<char32_t, char32_t> kRanges[] = {
      {'a', 'z'},         {'a', 'z'},         {'A', 'Z'},         {0x20, 0x7E},     {0x0, 0x20},
      {0x80, 0x24F},      {0x300, 0x36F},     {0x370, 0x52F},     {0x590, 0x6FF},   {0x900, 0xDFF},
      {0x1100, 0x11FF},   {0xAC00, 0xAC80},   {0x1E00, 0x1FFF},   {0x2000, 0x206F}, {0x3000, 0x30FF},
      {0x4E00, 0x4E30},   {0xF900, 0xFA30},   {0xFE00, 0xFE2F},   {0xFF00, 0xFFEF}, {0x1D150, 0x1D180},
      {0x1F600, 0x1F64F}, {0x20000, 0x20010}, {0x2F800, 0x2FA1D}, {0x1, 0xD7FF},    {0xE000, 0x10FFFF}};
  constexpr const char* kWords[] = {" lead", " lead ", "the ",         "hello",  "[MASK]",   "<x>",
                                    " ",     "HELLO",  "STRA\xC3\x9F", "abcing", "\xC4\xB0", "."};
  std::string out;
  const std::size_t first = random() % std::size(kRanges), second = random() % std::size(kRanges);
  for (unsigned n = random() % 40; n > 0; --n) {
    const unsigned kind = random() % 10;
    if (kind == 0) {
      out += kWords[random() % std::size(kWords)];
    } else {
      const auto [low, high] = kRanges[kind < 4 ? first : kind < 7 ? second : random() % std::size(kRanges)];
      out += utf8(low + static_cast<char32_t>(random() % (high - low + 1)));
    }
    if (random() % 200 == 0) out += static_cast<char>(random());  // now and then a byte that is not UTF-8
  }
  return out;
}

void expect_equal(const Tokenizer& compiled, const Tokenizer& components, const std::string& text) {
  const Encoding want = components.encode(text);
  const Encoding got = compiled.encode(text);
  const Encoding ids = compiled.encode(text, {.ids_only = true});
  ASSERT_EQ(got.ids, want.ids) << testing::PrintToString(text);
  ASSERT_EQ(got.tokens, want.tokens) << testing::PrintToString(text);
  ASSERT_EQ(got.offsets, want.offsets) << testing::PrintToString(text);
  ASSERT_EQ(got, want) << testing::PrintToString(text);
  ASSERT_EQ(ids.ids, want.ids) << testing::PrintToString(text);
  ASSERT_EQ(ids.type_ids, want.type_ids);
}

std::vector<std::string> corpus() {
  std::vector<std::string> out;
  const std::string lines = read_file(std::filesystem::path(TCPP_TEST_DATA) / "tokenizers/corpus.jsonl");
  for (std::size_t begin = 0; begin < lines.size();) {
    const std::size_t end = std::min(lines.find('\n', begin), lines.size());
    out.push_back(parse_json(std::string_view(lines).substr(begin, end - begin), "corpus.jsonl").as_string());
    begin = end + 1;
  }
  return out;
}

void compare_all(const std::map<std::string, std::string>& files, unsigned seed) {
  const auto model = ModelFiles::from_memory(files);
  const auto compiled = AutoTokenizer::from_files(model);
  const auto components = AutoTokenizer::from_files(model, {.compiled = false});
  ASSERT_TRUE(compiled->has_fast_path());
  ASSERT_FALSE(components->has_fast_path());
  for (const std::string& text : corpus()) ASSERT_NO_FATAL_FAILURE(expect_equal(*compiled, *components, text));
  std::mt19937 random(seed);
  for (int i = 0; i < 4000; ++i) ASSERT_NO_FATAL_FAILURE(expect_equal(*compiled, *components, random_text(random)));
}

TEST(BertPath, EqualsTheComponents) {
  for (const Variant& v : kVariants) {
    SCOPED_TRACE(v.name);
    compare_all({{"vocab.txt", make_vocab()}, {"tokenizer_config.json", v.config}}, 1);
  }
}

TEST(BertPath, EqualsTheComponentsWithoutCleaningAndWithShortWords) {
  compare_all({{"tokenizer.json", make_json(make_vocab())}}, 2);
}

TEST(BertPath, EveryCodePointBetweenLetters) {
  const auto model = ModelFiles::from_memory(
      std::map<std::string, std::string>{{"vocab.txt", make_vocab()}, {"tokenizer_config.json", kVariants[0].config}});
  const auto compiled = AutoTokenizer::from_files(model);
  const auto components = AutoTokenizer::from_files(model, {.compiled = false});
  std::string text;
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    if (c >= 0x30000 && c % 16 != 0 && !(c >= 0xE0000 && c < 0xE0200)) continue;  // nearly all unassigned
    text += "a" + utf8(c) + "b ";
    if (text.size() < 4000) continue;
    ASSERT_NO_FATAL_FAILURE(expect_equal(*compiled, *components, text));
    text.clear();
  }
}

TEST(BertPath, IsNotTakenWhereItWouldBeWrong) {
  const auto load = [](const std::string& config) {
    return AutoTokenizer::from_files(ModelFiles::from_memory(
        std::map<std::string, std::string>{{"vocab.txt", make_vocab()}, {"tokenizer_config.json", config}}));
  };
  EXPECT_FALSE(
      load(
          R"({"tokenizer_class": "BertTokenizer", "added_tokens_decoder": {"900": {"content": "X", "normalized": true}}})")
          ->has_fast_path());
  EXPECT_TRUE(load(kVariants[0].config)->has_fast_path());
}

}  // namespace
}  // namespace transformers
