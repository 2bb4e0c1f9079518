// What it is: the public interface: options, pairs, truncation, padding, offsets, batches, threads, bytes that are not
// UTF-8, decoding (hostile-input rows T10 to T12).
// Where it stands: tests of tokenizers; what Hugging Face answers is checked by parity_test.cpp.
#include "transformers/tokenizers/tokenizer.hpp"

#include <gtest/gtest.h>

#include <array>
#include <concepts>
#include <cstdio>
#include <map>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "support.hpp"
#include "transformers/base/model_files.hpp"
#include "transformers/base/parallel.hpp"

namespace transformers {
namespace {

using Ids = std::vector<int32_t>;
using Offsets = std::vector<std::pair<int32_t, int32_t>>;
using Rows = std::vector<std::vector<int64_t>>;

// A BERT of a few words: [PAD] [UNK] [CLS] [SEP] [MASK] = 0 .. 4.
constexpr const char* kVocab =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\nworld\nun\n##do\n,\n!\none\ntwo\nthree\nfour\nfive\nhe\n\xE4\xB8\xAD\n";

std::shared_ptr<const Tokenizer> make(
    std::string config = R"({"tokenizer_class": "BertTokenizer", "model_max_length": 8})",
    const TokenizerOptions& options = {}) {
  return AutoTokenizer::from_files(ModelFiles::from_memory(std::map<std::string, std::string>{
                                       {"vocab.txt", kVocab}, {"tokenizer_config.json", std::move(config)}}),
                                   options);
}

const Tokenizer& bert() {
  static const auto tokenizer = make();
  return *tokenizer;
}

// --- calls ---------------------------------------------------------------------------------------------------------

// Braces are a batch, a bare string is one text, and neither is ambiguous.
static_assert(std::same_as<decltype(bert()({"a", "b"})), BatchEncoding>);
static_assert(std::same_as<decltype(bert()({"a"})), BatchEncoding>);
static_assert(std::same_as<decltype(bert()({"a", "b"}, {.padding = true})), BatchEncoding>);
static_assert(std::same_as<decltype(bert()("a")), BatchEncoding>);
static_assert(std::same_as<decltype(bert()("a", {.padding = true})), BatchEncoding>);
static_assert(std::same_as<decltype(bert()("a", "b")), BatchEncoding>);
static_assert(std::same_as<decltype(bert()(std::vector<std::string>{"a"})), BatchEncoding>);
static_assert(!std::is_convertible_v<const char*, Truncation> && !std::is_convertible_v<int, Padding>,
              "padding = \"longest\" must not compile as padding = true");

TEST(Call, BracesAreABatchEvenOfTwoStrings) {
  EXPECT_EQ(bert()({"hello", "world"}).input_ids, (Rows{{2, 5, 3}, {2, 6, 3}}));
  EXPECT_EQ(bert()({"hello"}).input_ids, (Rows{{2, 5, 3}}));
  EXPECT_EQ(bert()("hello").input_ids, (Rows{{2, 5, 3}}));
  EXPECT_EQ(bert()("hello", "world").input_ids, (Rows{{2, 5, 3, 6, 3}}));
  EXPECT_EQ(bert()(std::vector<std::string>{"hello", "one"}).input_ids, (Rows{{2, 5, 3}, {2, 11, 3}}));
  EXPECT_EQ(bert()(std::vector<std::string>{"hello"}, std::vector<std::string>{"one"}).token_type_ids,
            (Rows{{0, 0, 0, 1, 1}}));
}

TEST(Call, PaddedBatch) {
  const BatchEncoding b = bert()({"hello world", "one"}, {.padding = true});
  EXPECT_EQ(b.input_ids, (Rows{{2, 5, 6, 3}, {2, 11, 3, 0}}));
  EXPECT_EQ(b.attention_mask, (Rows{{1, 1, 1, 1}, {1, 1, 1, 0}}));
  EXPECT_EQ(b.token_type_ids, (Rows{{0, 0, 0, 0}, {0, 0, 0, 0}}));
  EXPECT_TRUE(b.overflow_to_sample_mapping.empty());
  EXPECT_TRUE(make(R"({"tokenizer_class": "DistilBertTokenizer"})")->operator()("one").token_type_ids.empty());
}

TEST(Call, OverflowingPartsAreRows) {
  const BatchEncoding b =
      bert()({"one two three", "four"}, {.truncation = true, .max_length = 4, .stride = 1, .return_overflowing = true});
  EXPECT_EQ(b.input_ids, (Rows{{2, 11, 12, 3}, {2, 12, 13, 3}, {2, 14, 3}}));
  EXPECT_EQ(b.overflow_to_sample_mapping, (std::vector<int64_t>{0, 0, 1}));
}

TEST(Call, PairsMustBeAsMany) {
  const std::vector<std::string> two{"a", "b"}, one{"a"};
  EXPECT_ERROR(ErrorCode::invalid_argument, "2 texts, but 1 second texts", bert().encode_pair_batch(two, one));
}

TEST(Call, NothingInNothingOut) {
  EXPECT_TRUE(bert().encode_batch(std::vector<std::string>{}).empty());
  EXPECT_EQ(bert().encode("").ids, (Ids{2, 3}));
  EXPECT_EQ(bert().encode("", {.add_special_tokens = false}).ids, Ids{});
  EXPECT_TRUE(bert().encode_words({}).size() == 2);
}

// --- one text ------------------------------------------------------------------------------------------------------

TEST(Encode, EveryField) {
  const Encoding e = bert().encode("  Hello, undo\xC2\xA0XY");
  EXPECT_EQ(e.ids, (Ids{2, 5, 9, 7, 8, 1, 3}));
  EXPECT_EQ(e.tokens, (std::vector<std::string>{"[CLS]", "hello", ",", "un", "##do", "[UNK]", "[SEP]"}));
  EXPECT_EQ(e.offsets, (Offsets{{0, 0}, {2, 7}, {7, 8}, {9, 11}, {11, 13}, {14, 16}, {0, 0}}));
  EXPECT_EQ(e.type_ids, (Ids{0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(e.special_tokens_mask, (std::vector<uint8_t>{1, 0, 0, 0, 0, 0, 1}));
  EXPECT_EQ(e.attention_mask, (std::vector<uint8_t>(7, 1)));
  EXPECT_EQ(e.word_ids, (Ids{-1, 0, 1, 2, 2, 3, -1}));
  EXPECT_EQ(e.sequence_ids, (Ids{-1, 0, 0, 0, 0, 0, -1}));
}

TEST(Encode, OffsetsCountCodePointsOfTheOriginal) {
  // Accents, a decomposed accent, a Chinese character, an emoji of one code point: each counts one.
  const std::string text =
      "\xF0\x9F\x98\x80 h\xC3\xA9llo he\xCC\x81llo\xE4\xB8\xAD\x01un\x01"
      "do";
  const Encoding e = bert().encode(text);
  EXPECT_EQ(e.tokens,
            (std::vector<std::string>{"[CLS]", "[UNK]", "hello", "hello", "\xE4\xB8\xAD", "un", "##do", "[SEP]"}));
  EXPECT_EQ(e.offsets, (Offsets{{0, 0}, {0, 1}, {2, 7}, {8, 14}, {14, 15}, {16, 18}, {19, 21}, {0, 0}}));
}

TEST(Encode, IdsOnlyGivesTheSameIds) {
  for (const char* text : {"", "hello undo, xyz!", "[MASK] hello [SEP]", "\xE4\xB8\xAD\xE4\xB8\xAD"}) {
    for (const bool special : {true, false}) {
      const Encoding all = bert().encode(text, {.add_special_tokens = special});
      const Encoding ids = bert().encode(text, {.add_special_tokens = special, .ids_only = true});
      EXPECT_EQ(ids.ids, all.ids);
      EXPECT_EQ(ids.type_ids, all.type_ids);
      EXPECT_EQ(ids.attention_mask, all.attention_mask);
      EXPECT_TRUE(ids.tokens.empty() && ids.offsets.empty() && ids.word_ids.empty());
    }
  }
}

TEST(Encode, Words) {
  const std::vector<std::string> words{"hello", "undo it", "", "one"};
  const Encoding e = bert().encode_words(words);
  EXPECT_EQ(e.ids, (Ids{2, 5, 7, 8, 1, 11, 3}));
  EXPECT_EQ(e.word_ids, (Ids{-1, 0, 1, 1, 1, 3, -1}));
  EXPECT_EQ(e.offsets, (Offsets{{0, 0}, {0, 5}, {0, 2}, {2, 4}, {5, 7}, {0, 3}, {0, 0}}));
  EXPECT_EQ(bert().encode_words(words, {.ids_only = true}).ids, e.ids);
}

TEST(Encode, TextThatSpellsSpecialTokens) {
  EXPECT_EQ(bert().encode("a[SEP]one").ids, (Ids{2, 1, 3, 11, 3}));
  const Encoding plain = bert().encode("[SEP]one", {.split_special_tokens = true});
  EXPECT_EQ(plain.tokens, (std::vector<std::string>{"[CLS]", "[UNK]", "[UNK]", "[UNK]", "one", "[SEP]"}));
}

// --- T10: any bytes ------------------------------------------------------------------------------------------------

TEST(HostileT10, BytesThatAreNotUtf8) {
  // Each maximal ill-formed subsequence is one U+FFFD, which BERT drops, and one code point of the offsets.
  const Encoding e = bert().encode(
      "\xFF"
      "hello \xE2\x82one \xED\xA0\x80two");
  EXPECT_EQ(e.tokens, (std::vector<std::string>{"[CLS]", "hello", "one", "two", "[SEP]"}));
  EXPECT_EQ(e.offsets, (Offsets{{0, 0}, {1, 6}, {8, 11}, {15, 18}, {0, 0}}));
  EXPECT_EQ(bert().encode("\xC3", {.ids_only = true}).ids, (Ids{2, 3}));
}

TEST(HostileT10, NulAndNoncharacters) {
  const Encoding e = bert().encode(std::string("one\0two \xEF\xBF\xBF", 12));
  EXPECT_EQ(e.tokens, (std::vector<std::string>{"[CLS]", "[UNK]", "[UNK]", "[SEP]"}));
  EXPECT_EQ(e.offsets, (Offsets{{0, 0}, {0, 7}, {8, 9}, {0, 0}}));
}

TEST(HostileT10, LongTextsTakeLinearTime) {
  const std::string letters(10'000'000, 'a');
  EXPECT_EQ(bert().encode(letters).ids, (Ids{2, 1, 3}));
  EXPECT_EQ(bert().encode(letters).offsets[1], (std::pair<int32_t, int32_t>{0, 10'000'000}));
  std::string marks = "he";
  for (int i = 0; i < 100'000; ++i) marks += i % 2 ? "\xCC\x81" : "\xCC\xA3";
  EXPECT_EQ(bert().encode(marks).ids, (Ids{2, 16, 3}));
  const auto components = make(R"({"tokenizer_class": "BertTokenizer"})", {.compiled = false});
  EXPECT_EQ(components->encode(marks).ids, (Ids{2, 16, 3}));
  EXPECT_EQ(components->encode(std::string(1'000'000, 'a')).ids, (Ids{2, 1, 3}));
  std::string odd;  // marks that stay: the compiled path gives these to the components
  for (int i = 0; i < 100'000; ++i) odd += "\xE3\x80\xAE";
  EXPECT_EQ(bert().encode(odd).ids, (Ids{2, 1, 3}));
}

// --- truncation and padding ----------------------------------------------------------------------------------------

TEST(Truncate, OneText) {
  const char* text = "one two three four five";
  EXPECT_EQ(bert().encode(text, {.truncation = true, .max_length = 5}).ids, (Ids{2, 11, 12, 13, 3}));
  EXPECT_EQ(bert().encode(text, {.truncation = true, .max_length = 5, .truncation_side = Side::left}).ids,
            (Ids{2, 13, 14, 15, 3}));
  EXPECT_EQ(bert().encode(text, {.add_special_tokens = false, .truncation = true, .max_length = 2}).ids, (Ids{11, 12}));
  EXPECT_EQ(bert().encode(text, {.truncation = true, .max_length = 2}).ids, (Ids{2, 3}));
  EXPECT_EQ(bert().encode(text, {.max_length = 3}).ids, (Ids{2, 11, 3}));  // max_length alone asks for it, as in HF
  EXPECT_EQ(bert().encode(text, {.truncation = false, .max_length = 3}).size(), 7u);
  EXPECT_EQ(bert().encode("one two three four five one two three", {.truncation = true}).size(),
            8u);  // model_max_length
  for (const bool ids_only : {true, false}) {
    for (const Side side : {Side::left, Side::right}) {
      const EncodeOptions o{.truncation = true, .max_length = 4, .truncation_side = side, .ids_only = ids_only};
      EXPECT_EQ(bert().encode(text, o).ids, (side == Side::left ? Ids{2, 14, 15, 3} : Ids{2, 11, 12, 3}));
    }
  }
}

TEST(Truncate, OverflowingPartsOverlapByStride) {
  const EncodeOptions o{.truncation = true, .max_length = 5, .stride = 2, .return_overflowing = true};
  const Encoding e = bert().encode("one two three four five", o);
  ASSERT_EQ(e.overflowing.size(), 2u);
  EXPECT_EQ(e.overflowing[0].ids, (Ids{2, 12, 13, 14, 3}));
  EXPECT_EQ(e.overflowing[1].ids, (Ids{2, 13, 14, 15, 3}));
  EXPECT_EQ(e.overflowing[1].offsets, (Offsets{{0, 0}, {8, 13}, {14, 18}, {19, 23}, {0, 0}}));
  EXPECT_TRUE(bert().encode("one two three four five", {.truncation = true, .max_length = 5}).overflowing.empty());
}

TEST(Truncate, Pairs) {
  const auto both = [](Truncation truncation, int64_t max_length) {
    return bert()
        .encode_pair("one two three four", "five he", {.truncation = truncation, .max_length = max_length})
        .ids;
  };
  EXPECT_EQ(both(true, 8), (Ids{2, 11, 12, 13, 3, 15, 16, 3}));
  EXPECT_EQ(both(true, 6), (Ids{2, 11, 12, 3, 15, 3}));
  EXPECT_EQ(both(TruncationStrategy::only_first, 6), (Ids{2, 11, 3, 15, 16, 3}));
  EXPECT_EQ(both(TruncationStrategy::only_second, 8), (Ids{2, 11, 12, 13, 14, 3, 15, 3}));
}

TEST(HostileT12, TooLittleRoom) {
  const char* text = "one two three";
  EXPECT_ERROR(ErrorCode::invalid_argument, "max_length 1 is less than the 2 special tokens that are added",
               bert().encode(text, {.truncation = true, .max_length = 1}));
  EXPECT_ERROR(ErrorCode::invalid_argument, "max_length 2 is less than the 3 special tokens that are added",
               bert().encode_pair(text, text, {.truncation = true, .max_length = 2, .ids_only = true}));
  EXPECT_ERROR(ErrorCode::invalid_argument,
               "stride 2 must be less than the 2 tokens that max_length leaves for this text beside special tokens",
               bert().encode(text, {.truncation = true, .max_length = 4, .stride = 2}));
  EXPECT_ERROR(ErrorCode::invalid_argument,
               "stride 3 is more than the 2 tokens that max_length leaves beside special tokens",
               bert().encode("one", {.truncation = true, .max_length = 4, .stride = 3}));  // though nothing is cut
  EXPECT_ERROR(ErrorCode::invalid_argument,
               "the second text has 1 tokens: too short to bring both to max_length 5 by truncating it alone",
               bert().encode_pair(text, "one", {.truncation = TruncationStrategy::only_second, .max_length = 5}));
  EXPECT_ERROR(ErrorCode::invalid_argument, "truncation only_second needs a second text",
               bert().encode(text, {.truncation = TruncationStrategy::only_second, .max_length = 4}));
  EXPECT_ERROR(ErrorCode::invalid_argument, "max_length must not be negative", bert().encode(text, {.max_length = -1}));
  EXPECT_ERROR(ErrorCode::invalid_argument, "stride must not be negative", bert().encode(text, {.stride = -1}));
}

TEST(Truncate, CombinationsOfOverflowingPartsAreLimited) {
  std::string text;
  for (int i = 0; i < 2000; ++i) text += "one ";
  EXPECT_ERROR(ErrorCode::limit,
               "1999 times 1999 overflowing parts of two texts are too many: truncate one of them only",
               bert().encode_pair(text, text, {.truncation = true, .max_length = 5, .return_overflowing = true}));
}

TEST(Pad, FixedAndLongestAndMultiple) {
  const auto size = [](const EncodeOptions& o) { return bert().encode("one two", o).size(); };
  EXPECT_EQ(size({.padding = true}), 4u);
  EXPECT_EQ(size({.padding = PaddingStrategy::max_length, .max_length = 6}), 6u);
  EXPECT_EQ(size({.padding = PaddingStrategy::max_length}), 8u);
  EXPECT_EQ(size({.padding = true, .pad_to_multiple_of = 5}), 5u);
  EXPECT_EQ(size({.padding = PaddingStrategy::max_length, .max_length = 2}), 4u);  // never cuts
  const Encoding left =
      bert().encode("one", {.padding = PaddingStrategy::max_length, .max_length = 5, .padding_side = Side::left});
  EXPECT_EQ(left.ids, (Ids{0, 0, 2, 11, 3}));
  EXPECT_EQ(left.attention_mask, (std::vector<uint8_t>{0, 0, 1, 1, 1}));
  EXPECT_EQ(left.special_tokens_mask, (std::vector<uint8_t>{1, 1, 1, 0, 1}));
  EXPECT_EQ(left.tokens.front(), "[PAD]");
  EXPECT_EQ(left.word_ids, (Ids{-1, -1, -1, 0, -1}));
}

TEST(Pad, WithoutLimitNothingIsDone) {
  const auto unlimited =
      make(R"({"tokenizer_class": "BertTokenizer", "model_max_length": 1000000000000000019884624838656})");
  EXPECT_FALSE(unlimited->model_max_length());
  EXPECT_EQ(unlimited->encode("one two", {.truncation = true, .padding = PaddingStrategy::max_length}).size(), 4u);
}

TEST(Pad, Refusals) {
  EXPECT_ERROR(ErrorCode::invalid_argument,
               "truncation to 6 tokens and padding to a multiple of 4 contradict each other",
               bert().encode("one", {.truncation = true, .padding = true, .max_length = 6, .pad_to_multiple_of = 4}));
  EXPECT_ERROR(ErrorCode::limit, "cannot pad to 4611686018427387904 tokens",
               bert().encode("one", {.padding = PaddingStrategy::max_length, .max_length = int64_t{1} << 62}));
  const auto no_pad = make(R"({"tokenizer_class": "BertTokenizer", "pad_token": null})");
  EXPECT_FALSE(no_pad->pad_token_id());
  EXPECT_ERROR(ErrorCode::invalid_argument, "padding was asked for, but the tokenizer has no pad token",
               no_pad->encode("one", {.padding = true}));
}

// --- decoding ------------------------------------------------------------------------------------------------------

TEST(Decode, SpecialTokensAndCleanUp) {
  EXPECT_EQ(bert().decode({2, 5, 9, 7, 8, 10, 3}), "[CLS] hello, undo! [SEP]");
  EXPECT_EQ(bert().decode({2, 5, 9, 7, 8, 10, 3}, {.skip_special_tokens = true}), "hello, undo!");
  EXPECT_EQ(bert().decode({}), "");
  const std::vector<std::vector<int32_t>> rows{{5}, {7, 8}};
  EXPECT_EQ(bert().decode_batch(rows), (std::vector<std::string>{"hello", "undo"}));
  const std::vector<std::string> tokens{"un", "##do"};
  EXPECT_EQ(bert().convert_tokens_to_string(tokens), "undo");
}

TEST(HostileT11, IdsBeyondTheVocabulary) {
  EXPECT_ERROR(ErrorCode::invalid_argument, "the id -1 is not in the vocabulary: its ids go up to 17",
               bert().decode({5, -1}));
  EXPECT_ERROR(ErrorCode::invalid_argument, "the id 18 is not in the vocabulary: its ids go up to 17",
               bert().decode({18}));
  EXPECT_ERROR(ErrorCode::invalid_argument, "the id 2147483647 is not in the vocabulary: its ids go up to 17",
               bert().decode({2147483647}, {.skip_special_tokens = true}));
  const std::vector<std::vector<int32_t>> rows{{5}, {-7}};
  EXPECT_ERROR(ErrorCode::invalid_argument, "the id -7 is not in the vocabulary: its ids go up to 17",
               bert().decode_batch(rows));
}

// --- what it knows -------------------------------------------------------------------------------------------------

TEST(Tokenizer, Lookups) {
  EXPECT_EQ(bert().token_to_id("hello"), 5);
  EXPECT_FALSE(bert().token_to_id("nothing"));
  EXPECT_EQ(bert().id_to_token(8), "##do");
  EXPECT_FALSE(bert().id_to_token(18));
  EXPECT_FALSE(bert().id_to_token(-1));
  EXPECT_EQ(bert().vocab_size(), 18);
  EXPECT_EQ(bert().size(), 18);
  EXPECT_EQ(bert().pad_token_id(), 0);
  EXPECT_EQ(bert().unk_token_id(), 1);
  EXPECT_EQ(bert().cls_token_id(), 2);
  EXPECT_EQ(bert().sep_token_id(), 3);
  EXPECT_EQ(bert().mask_token_id(), 4);
  EXPECT_FALSE(bert().bos_token_id());
  EXPECT_FALSE(bert().eos_token_id());
  EXPECT_TRUE(bert().is_special(4));
  EXPECT_FALSE(bert().is_special(5));
  EXPECT_EQ(bert().model_max_length(), 8);
  EXPECT_EQ(bert().num_special_tokens_to_add(), 2);
  EXPECT_EQ(bert().num_special_tokens_to_add(true), 3);
  EXPECT_TRUE(bert().has_fast_path());
}

TEST(Tokenizer, OptionsOverrideTheFiles) {
  const auto t = make(R"({"tokenizer_class": "BertTokenizer", "padding_side": "left"})",
                      {.model_max_length = 4, .truncation_side = Side::left, .clean_up_tokenization_spaces = true});
  EXPECT_EQ(t->model_max_length(), 4);
  EXPECT_EQ(t->padding_side(), Side::left);
  EXPECT_EQ(t->encode("one two three", {.truncation = true}).ids, (Ids{2, 12, 13, 3}));
}

// --- threads -------------------------------------------------------------------------------------------------------

TEST(Threads, ABatchIsTheSameOnAnyNumberOfThreads) {
  std::vector<std::string> texts;
  for (int i = 0; i < 500; ++i) {
    std::string text;
    for (int k = 0; k < i % 23; ++k) text += (i * k) % 3 ? "hello, " : "undo ";
    texts.push_back(text);
  }
  const int before = num_threads();
  set_num_threads(1);
  const auto one = bert().encode_batch(texts, {.padding = true});
  set_num_threads(4);
  const auto four = bert().encode_batch(texts, {.padding = true});
  set_num_threads(before);
  EXPECT_EQ(one, four);
  for (std::size_t i = 0; i < texts.size(); i += 50) {
    EXPECT_EQ(
        bert().encode(texts[i]).ids,
        Ids(one[i].ids.begin(), one[i].ids.begin() + static_cast<std::ptrdiff_t>(bert().encode(texts[i]).size())));
  }
}

TEST(Threads, OneTokenizerServesManyThreads) {
  const Encoding want = bert().encode("hello undo, xyz! [MASK] \xE4\xB8\xAD");
  std::array<bool, 4> right{};
  std::vector<std::thread> threads;
  for (bool& ok : right) {
    threads.emplace_back([&ok, &want] {
      ok = true;
      for (int i = 0; i < 200; ++i) ok = ok && bert().encode("hello undo, xyz! [MASK] \xE4\xB8\xAD") == want;
    });
  }
  for (std::thread& t : threads) t.join();
  for (bool ok : right) EXPECT_TRUE(ok);
}

TEST(Threads, AnErrorInABatchReachesTheCaller) {
  std::vector<std::string> texts(100, "one");
  texts[57] = "one two three four five";
  EXPECT_ERROR(ErrorCode::invalid_argument, "truncation only_second needs a second text",
               bert().encode_batch(texts, {.truncation = TruncationStrategy::only_second, .max_length = 4}));
}

// What Hugging Face's stop strings take tokens for (tests/reference/make_tokenizers.py).
TEST(ReferenceTokenTexts, AreTheBytesThatTokensAdd) {
  const std::string path = std::string(TCPP_TEST_DATA) + "/tokenizers/token-texts.json";
  const Value cases = parse_json(read_file(path), path);
  for (const auto& [name, expected] : cases.as_object()) {
    SCOPED_TRACE(name);
    const auto tokenizer = AutoTokenizer::from_pretrained(std::string(TCPP_TEST_DATA) + "/tokenizers/" + name);
    const std::vector<std::string> texts = tokenizer->token_texts();
    ASSERT_EQ(texts.size(), expected.as_array().size());
    for (std::size_t id = 0; id < texts.size(); ++id) {
      std::string hexadecimal;
      for (const char c : texts[id]) {
        constexpr std::string_view kDigits = "0123456789abcdef";
        const auto byte = static_cast<unsigned char>(c);
        hexadecimal += kDigits[byte >> 4];
        hexadecimal += kDigits[byte & 15];
      }
      const Value& want = expected.as_array()[id];
      EXPECT_EQ(hexadecimal, want.is_null() ? "" : want.as_string()) << "id " << id;
    }
  }
}

// Answers of the `tokenizers` crate 0.23.3: the suffix becomes bytes too, which are none of the word.
TEST(Tokenizer, BytesOfASuffixStandBehindTheWord) {
  std::string vocab;
  for (int b = 0; b < 256; ++b) {
    char token[16];
    std::snprintf(token, sizeof token, "\"<0x%02X>\": %d, ", static_cast<unsigned>(b), b);
    vocab += token;
  }
  const auto tokenizer = AutoTokenizer::from_files(ModelFiles::from_memory(std::map<std::string, std::string>{
      {"tokenizer.json",
       R"({"version": "1.0", "added_tokens": [], "normalizer": null, "pre_tokenizer": null, "post_processor": null,
        "decoder": null, "model": {"type": "BPE", "end_of_word_suffix": "</w>", "byte_fallback": true, "vocab": {)" +
           vocab + R"("a": 256}, "merges": []}})"}}));
  const Encoding e = tokenizer->encode("\t");
  EXPECT_EQ(e.ids, (std::vector<int32_t>{9, 60, 47, 119, 62}));
  EXPECT_EQ(e.offsets, (std::vector<std::pair<int32_t, int32_t>>{{0, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 5}}));
  EXPECT_EQ(tokenizer->encode("\t", {.ids_only = true}).ids, e.ids);
}

}  // namespace
}  // namespace transformers
