// What it is: which tokenizer comes out of which files, and what malformed files are answered with (hostile-input rows
// T1, T2, T8, T9). Where it stands: tests of tokenizers; directories as Hugging Face reads them are checked by
// parity_test.cpp.
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "support.hpp"
#include "transformers/base/model_files.hpp"
#include "transformers/tokenizers/tokenizer.hpp"

namespace transformers {
namespace {

using Ids = std::vector<int32_t>;
using Files = std::map<std::string, std::string>;

std::shared_ptr<const Tokenizer> load(Files files) {
  return AutoTokenizer::from_files(ModelFiles::from_memory(std::move(files)));
}

constexpr const char* kBert = R"({"tokenizer_class": "BertTokenizer"})";
constexpr const char* kVocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\nHello\n";

std::shared_ptr<const Tokenizer> from_vocab(std::string vocab, std::string config = kBert) {
  return load({{"vocab.txt", std::move(vocab)}, {"tokenizer_config.json", std::move(config)}});
}

// tokenizer.json with a WordLevel model, with one member replaced or added.
std::string json(const std::string& member = "", const std::string& value = "") {
  std::map<std::string, std::string> members{
      {"version", "\"1.0\""},
      {"added_tokens", "[]"},
      {"normalizer", "null"},
      {"pre_tokenizer", R"({"type": "WhitespaceSplit"})"},
      {"post_processor", "null"},
      {"decoder", "null"},
      {"model", R"({"type": "WordLevel", "vocab": {"a": 0, "b": 1, "<unk>": 2}, "unk_token": "<unk>"})"}};
  if (!member.empty()) members[member] = value;
  std::string out;
  for (const auto& [name, v] : members) out += (out.empty() ? "{\"" : ", \"") + name + "\": " + v;
  return out + "}";
}

std::shared_ptr<const Tokenizer> from_json(std::string text) { return load({{"tokenizer.json", std::move(text)}}); }

// --- which tokenizer -----------------------------------------------------------------------------------------------

TEST(AutoTokenizer, NoTokenizerFiles) {
  EXPECT_EQ(test::error_of([] { load({{"config.json", "{}"}}); }).code(), ErrorCode::not_found);
  test::TemporaryDirectory directory;
  const Error e = test::error_of([&] { AutoTokenizer::from_pretrained(directory.path()); });
  EXPECT_EQ(
      e.message(),
      "there is neither tokenizer.json nor vocab.txt, nor vocab.json with merges.txt, nor a model of SentencePiece "
      "or tiktoken");
  EXPECT_NE(e.where().find(directory.string()), std::string::npos);
  EXPECT_EQ(test::error_of([&] { AutoTokenizer::from_pretrained(directory / "absent"); }).code(), ErrorCode::not_found);
}

TEST(AutoTokenizer, TheClassComesFromTheConfigurationsOrTheModelType) {
  EXPECT_EQ(load({{"vocab.txt", kVocab}, {"config.json", R"({"model_type": "bert"})"}})->encode("Hello").ids,
            (Ids{2, 5, 3}));
  EXPECT_ERROR(ErrorCode::unsupported,
               "there is no tokenizer.json, and neither tokenizer_config.json (tokenizer_class) nor config.json "
               "(model_type) says "
               "which tokenizer the vocabulary belongs to",
               load({{"vocab.txt", kVocab}}));
  EXPECT_ERROR(ErrorCode::unsupported,
               "tokenizer_class \"FooTokenizer\" without tokenizer.json is not supported with these files "
               "(tokenizer_config.json)",
               from_vocab(kVocab, R"({"tokenizer_class": "FooTokenizer"})"));
  EXPECT_EQ(
      from_vocab(kVocab, R"({"tokenizer_class": "BertTokenizerFast", "do_lower_case": false})")->encode("Hello").ids,
      (Ids{2, 6, 3}));
}

TEST(AutoTokenizer, TheClassDecidesHowMuchOfTokenizerJsonCounts) {
  const std::string text = json("normalizer", R"({"type": "Prepend", "prepend": "x"})");
  const std::string wordpiece =
      R"({"type": "WordPiece", "vocab": {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3, "xa": 4}})";
  Files files{{"tokenizer.json", json("model", wordpiece)}};
  files["tokenizer.json"].replace(files["tokenizer.json"].find("\"normalizer\": null"), 18,
                                  R"("normalizer": {"type": "Prepend", "prepend": "x"})");
  EXPECT_EQ(load(files)->encode("a").ids, (Ids{4}));  // as it stands
  files["tokenizer_config.json"] = kBert;
  EXPECT_EQ(load(files)->encode("A").ids, (Ids{1, 3, 2}));  // the vocabulary only
}

// serde_json divides 39832680225372314 by 10^16 in double precision. A class that Python builds anew reads all digits.
TEST(AutoTokenizer, ScoresAreReadAsTheClassReadsThem) {
  const std::string text = json("model", R"({"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0], ["</s>", -0.5e1],
      ["<pad>", 12345678901234567890123.5], ["a", -3.9832680225372314], ["b", -1e-330], ["c", 25e-309]]})");
  const std::string crate = from_json(text)->to_json();
  EXPECT_NE(crate.find("[\"a\",-3.983268022537231]"), std::string::npos) << crate;
  EXPECT_NE(crate.find("[\"</s>\",-5.0],[\"<pad>\",1.2345678901234568e+22]"), std::string::npos) << crate;
  EXPECT_NE(crate.find("[\"b\",-0.0],[\"c\",2.5000000000000003e-308]"), std::string::npos) << crate;
  const std::string t5 =
      load({{"tokenizer.json", text}, {"tokenizer_config.json", R"({"tokenizer_class": "T5Tokenizer"})"}})->to_json();
  EXPECT_NE(t5.find("[\"a\",-3.9832680225372314]"), std::string::npos) << t5;
}

TEST(AutoTokenizer, TransformerXLsVocabulary) {
  const auto make = [](std::string config, std::string vocab = "<eos>\n<unk> 3\nthe\n@-@\nthe\n'\n") {
    return load({{"vocab.txt", std::move(vocab)},
                 {"config.json", R"({"model_type": "transfo-xl"})"},
                 {"tokenizer_config.json", std::move(config)}});
  };
  EXPECT_EQ(make("{}")->encode("the x-the<eos>'").ids, (Ids{2, 1, 3, 2, 0, 4}));
  EXPECT_EQ(make(R"({"delimiter": ""})")->encode("'x").ids, (Ids{4, 1}));
  EXPECT_ERROR(ErrorCode::unsupported,
               "words of the language \"fr\": only those of \"en\" (tokenizer_config.json: language)",
               make(R"({"language": "fr"})"));
  EXPECT_ERROR(ErrorCode::corrupt_file, "line 2 has no word (vocab.txt)", make("{}", "<unk>\n \nthe\n"));
  EXPECT_ERROR(ErrorCode::corrupt_file, "\"<unk>\" is not in the vocabulary (vocab.txt)", make("{}", "the\n"));
  EXPECT_ERROR(ErrorCode::corrupt_file, "invalid UTF-8 (vocab.txt)", make("{}", "\xFF\n"));
  std::string many;
  for (int i = 0; i <= 1000; ++i) many += "<Unk> ";
  EXPECT_ERROR(ErrorCode::limit, "1001 protected words in one text: at most 1000", make("{}")->encode(many));
  EXPECT_ERROR(
      ErrorCode::unsupported,
      "a pickled vocabulary is not read: write its words (idx2sym) to vocab.txt, one a line, in order (vocab.pkl)",
      load({{"vocab.pkl", "x"}, {"config.json", R"({"model_type": "transfo-xl"})"}}));
}

TEST(AutoTokenizer, AddedTokensOfEveryFile) {
  const auto t =
      load({{"vocab.txt", kVocab},
            {"tokenizer_config.json", R"({"tokenizer_class": "BertTokenizer", "additional_special_tokens": ["<e>"]})"},
            {"special_tokens_map.json", R"({"cls_token": {"content": "<c>", "lstrip": true}})"},
            {"added_tokens.json", R"({"<x>": 7})"}});
  EXPECT_EQ(t->token_to_id("<x>"), 7);
  EXPECT_EQ(t->token_to_id("<c>"), 8);
  EXPECT_EQ(t->token_to_id("<e>"), 9);
  EXPECT_EQ(t->cls_token_id(), 8);
  EXPECT_TRUE(t->is_special(9));
  EXPECT_FALSE(t->is_special(7));
  EXPECT_EQ(t->size(), 10);
}

TEST(AutoTokenizer, WrongTypesInTheConfigurations) {
  EXPECT_ERROR(ErrorCode::corrupt_file, "expected a boolean, found a string (tokenizer_config.json: do_lower_case)",
               from_vocab(kVocab, R"({"tokenizer_class": "BertTokenizer", "do_lower_case": "yes"})"));
  EXPECT_ERROR(ErrorCode::corrupt_file, "expected a string, found a integer (tokenizer_config.json: tokenizer_class)",
               from_vocab(kVocab, R"({"tokenizer_class": 5})"));
  EXPECT_ERROR(ErrorCode::corrupt_file,
               "expected \"left\" or \"right\", found \"up\" (tokenizer_config.json: padding_side)",
               from_vocab(kVocab, R"({"tokenizer_class": "BertTokenizer", "padding_side": "up"})"));
  EXPECT_ERROR(ErrorCode::corrupt_file, "expected a token, found a integer (tokenizer_config.json: cls_token)",
               from_vocab(kVocab, R"({"tokenizer_class": "BertTokenizer", "cls_token": 3})"));
  EXPECT_ERROR(ErrorCode::corrupt_file, "expected an object, found a array (tokenizer_config.json)",
               from_vocab(kVocab, "[]"));
  EXPECT_ERROR(
      ErrorCode::corrupt_file,
      "expected an id with a token's content and flags (tokenizer_config.json: added_tokens_decoder[\"x\"])",
      from_vocab(kVocab, R"({"tokenizer_class": "BertTokenizer", "added_tokens_decoder": {"x": {"content": "a"}}})"));
}

// --- T1: tokenizer.json --------------------------------------------------------------------------------------------

TEST(HostileT1, NotJson) {
  const Error e = test::error_of([] { from_json("{\"version\": \"1.0\","); });
  EXPECT_EQ(e.code(), ErrorCode::corrupt_file);
  EXPECT_NE(e.where().find("tokenizer.json"), std::string::npos);
  for (const char* text :
       {"", "null", "[]", "3", "{}", "{\"model\": null}", "{\"model\": []}", "\xFF", "{\"model\": {}} x"}) {
    EXPECT_EQ(test::error_of([&] { from_json(text); }).code(), ErrorCode::corrupt_file) << text;
  }
  EXPECT_EQ(test::error_of([] { from_json("{\"normalizer\": " + std::string(100000, '[')); }).code(),
            ErrorCode::corrupt_file);
}

TEST(HostileT1, Version) {
  EXPECT_ERROR(ErrorCode::unsupported, "expected version \"1.0\", found \"2.0\" (tokenizer.json: version)",
               from_json(json("version", "\"2.0\"")));
}

TEST(HostileT1, UnknownComponentsAreNamed) {
  const auto unknown = [](const std::string& stage, const std::string& value, const std::string& path) {
    const Error e = test::error_of([&] { from_json(json(stage, value)); });
    EXPECT_EQ(e.code(), ErrorCode::unsupported);
    EXPECT_EQ(e.message(), stage + " type \"X\" is not supported");
    EXPECT_EQ(e.where(), "tokenizer.json: " + path);
  };
  for (const char* stage : {"normalizer", "pre_tokenizer", "post_processor", "decoder", "model"}) {
    unknown(stage, R"({"type": "X", "vocab": {}})", stage);
  }
  unknown("normalizer", R"({"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "X"}]})",
          "normalizer.normalizers[1]");
  unknown("pre_tokenizer", R"({"type": "Sequence", "pretokenizers": [{"type": "X"}]})",
          "pre_tokenizer.pretokenizers[0]");
  EXPECT_ERROR(ErrorCode::corrupt_file, "a BPE model needs \"merges\" (tokenizer.json: model)",
               from_json(json("model", R"({"type": "BPE", "vocab": {"a": 0}})")));
  EXPECT_ERROR(ErrorCode::corrupt_file,
               "expected two tokens with a space between them, found \"a b c\" (tokenizer.json: model.merges[1])",
               from_json(json("model", R"({"type": "BPE", "vocab": {"a": 0, "aa": 1}, "merges": ["a a", "a b c"]})")));
  EXPECT_ERROR(ErrorCode::corrupt_file, "expected [token, token] or \"token token\" (tokenizer.json: model.merges[0])",
               from_json(json("model", R"({"type": "BPE", "vocab": {"a": 0, "aa": 1}, "merges": [["a", "a", "a"]]})")));
  EXPECT_ERROR(ErrorCode::corrupt_file, "expected [piece, score] (tokenizer.json: model.vocab[1])",
               from_json(json("model", R"({"type": "Unigram", "unk_id": 0, "vocab": [["a", 0], ["b", "c"]]})")));
}

TEST(HostileT1, WrongShapes) {
  EXPECT_ERROR(ErrorCode::corrupt_file, "expected an object or null, found a string (tokenizer.json: decoder)",
               from_json(json("decoder", "\"WordPiece\"")));
  EXPECT_ERROR(ErrorCode::corrupt_file,
               "expected an object with a \"type\", found a object (tokenizer.json: normalizer)",
               from_json(json("normalizer", "{}")));
  EXPECT_ERROR(ErrorCode::corrupt_file, "expected an array \"decoders\" (tokenizer.json: decoder)",
               from_json(json("decoder", R"({"type": "Sequence"})")));
  EXPECT_ERROR(ErrorCode::corrupt_file, "the key \"type\" stands twice (tokenizer.json)",
               from_json(json("decoder", R"({"type": "Fuse", "type": "Fuse"})")));
  EXPECT_ERROR(ErrorCode::corrupt_file, "expected an object, found a integer (tokenizer.json: added_tokens[0])",
               from_json(json("added_tokens", "[5]")));
  EXPECT_ERROR(ErrorCode::corrupt_file, "expected an \"id\" from 0 to 2147483647 (tokenizer.json: added_tokens[0])",
               from_json(json("added_tokens", R"([{"id": -1, "content": "x"}])")));
  EXPECT_ERROR(ErrorCode::corrupt_file, "there is no \"content\" (tokenizer.json: added_tokens[0])",
               from_json(json("added_tokens", R"([{"id": 1}])")));
  EXPECT_EQ(test::error_of([] { from_json(json("normalizer", R"({"type": "Strip", "strip_left": 3})")); }).code(),
            ErrorCode::corrupt_file);
}

// --- T2: ids -------------------------------------------------------------------------------------------------------

std::shared_ptr<const Tokenizer> with_vocab(const std::string& vocab) {
  return from_json(json("model", R"({"type": "WordLevel", "unk_token": "<unk>", "vocab": )" + vocab + "}"));
}

TEST(HostileT2, NegativeTooLargeOrNoNumber) {
  const std::string expected = "expected an id from 0 to 2147483647, found ";
  EXPECT_ERROR(ErrorCode::corrupt_file, expected + "-1 (tokenizer.json: model.vocab[\"x\"])",
               with_vocab(R"({"a": 0, "x": -1})"));
  EXPECT_ERROR(ErrorCode::corrupt_file, expected + "2147483648 (tokenizer.json: model.vocab[\"x\"])",
               with_vocab(R"({"x": 2147483648})"));
  EXPECT_ERROR(ErrorCode::corrupt_file, expected + "a string (tokenizer.json: model.vocab[\"x\"])",
               with_vocab(R"({"x": "1"})"));
  EXPECT_ERROR(ErrorCode::corrupt_file, expected + "an array (tokenizer.json: model.vocab[\"x\"])",
               with_vocab(R"({"x": []})"));
  EXPECT_EQ(test::error_of([] { with_vocab(R"({"x": 1.5})"); }).code(), ErrorCode::corrupt_file);
  EXPECT_EQ(test::error_of([] { with_vocab(R"({"x": 1e300})"); }).code(), ErrorCode::corrupt_file);
  EXPECT_EQ(test::error_of([] { with_vocab("[]"); }).code(), ErrorCode::corrupt_file);
  EXPECT_EQ(test::error_of([] { with_vocab("3"); }).code(), ErrorCode::corrupt_file);
}

TEST(HostileT2, TokensOrIdsTwice) {
  EXPECT_ERROR(ErrorCode::corrupt_file, "two tokens have the id 1: \"b\" and \"c\" (tokenizer.json: model.vocab)",
               with_vocab(R"({"a": 0, "b": 1, "c": 1})"));
  EXPECT_ERROR(ErrorCode::corrupt_file, "the token \"a\" stands twice (tokenizer.json: model.vocab)",
               with_vocab(R"({"a": 0, "a": 1})"));
}

TEST(HostileT2, SparseIdsNeedNoArray) {
  const auto t = with_vocab(R"({"<unk>": 0, "far": 2147483647})");
  EXPECT_EQ(t->encode("far x").ids, (Ids{2147483647, 0}));
  EXPECT_EQ(t->decode({2147483647}), "far");
  EXPECT_EQ(t->decode({5, 0}), "<unk>");  // an id between stands for nothing
}

// --- T8: vocab.txt -------------------------------------------------------------------------------------------------

TEST(HostileT8, LineEndsAndBlanks) {
  const auto crlf = from_vocab("[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\n[MASK]\r\nhello\r\n");
  EXPECT_EQ(crlf->encode("hello").ids, (Ids{2, 5, 3}));
  EXPECT_EQ(crlf->vocab_size(), 6);
  const auto blanks = from_vocab("[PAD]\n[UNK]\n\n[CLS]\n[SEP] \t\n[MASK]\n\nhello");
  EXPECT_EQ(blanks->encode("hello").ids, (Ids{3, 7, 4}));  // an empty line is a token, the last one counts
  EXPECT_EQ(blanks->token_to_id(""), 6);
}

TEST(HostileT8, ByteOrderMarkBelongsToTheFirstToken) {
  const auto t = from_vocab("\xEF\xBB\xBF[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n");
  EXPECT_EQ(t->token_to_id("\xEF\xBB\xBF[PAD]"), 0);
  EXPECT_EQ(t->pad_token_id(), 5);  // added, as the vocabulary has none
}

TEST(HostileT8, EqualLines) {
  const auto t = from_vocab("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\nx\nhello\n");
  EXPECT_EQ(t->token_to_id("hello"), 7);
  EXPECT_FALSE(t->id_to_token(5));
  EXPECT_EQ(t->vocab_size(), 7);
  EXPECT_EQ(t->decode({5, 7}), "hello");
}

TEST(HostileT8, EmptyOrNotUtf8) {
  EXPECT_ERROR(ErrorCode::corrupt_file, "the vocabulary is empty (vocab.txt)", from_vocab(""));
  EXPECT_ERROR(ErrorCode::corrupt_file, "invalid UTF-8 in line 3 (vocab.txt)", from_vocab("a\nb\nc\xFF\n"));
}

// --- T9: added tokens ----------------------------------------------------------------------------------------------

TEST(HostileT9, OddAddedTokens) {
  std::string tokens =
      R"([{"id": 3, "content": ""}, {"id": 3, "content": ".*"}, {"id": 9, "content": "(", "single_word": true})";
  for (int i = 0; i < 20000; ++i)
    tokens += R"(, {"id": )" + std::to_string(i + 5) + R"(, "content": "<)" + std::to_string(i) + R"(>"})";
  const auto t = from_json(json("added_tokens", tokens + "]"));
  EXPECT_EQ(t->token_to_id(".*"), 3);  // ids are given out in order, whatever the file says
  EXPECT_EQ(t->token_to_id("("), 4);
  EXPECT_EQ(t->token_to_id("<19999>"), 20004);
  EXPECT_EQ(t->encode("a<19999>.*b").ids, (Ids{0, 20004, 3, 1}));
  EXPECT_FALSE(t->token_to_id(""));
}

TEST(HostileT9, ANormalizedTokenMayVanish) {
  // Its normalized form is empty: it is never found.
  Files files{{"tokenizer.json", json("added_tokens", R"([{"id": 3, "content": "\u0301", "normalized": true}])")}};
  std::string& text = files["tokenizer.json"];
  text.replace(text.find("\"normalizer\": null"), 18, R"("normalizer": {"type": "StripAccents"})");
  EXPECT_EQ(load(files)->encode("a\xCC\x81 b").ids, (Ids{0, 1}));
}

}  // namespace
}  // namespace transformers
