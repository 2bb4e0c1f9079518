// What it is: SentencePiece model files, sound and broken, and tokenizers built on them and on vocab.json with
// merges.txt. Where it stands: tests of tokenizers; the recorded answers are those of transformers 5.23.
#include "tokenizers/sentencepiece.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <chrono>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support.hpp"
#include "transformers/base/error.hpp"
#include "transformers/base/model_files.hpp"
#include "transformers/tokenizers/tokenizer.hpp"

namespace transformers {
namespace {

using Ids = std::vector<int32_t>;

std::string varint(uint64_t n) {
  std::string out;
  for (; n >= 0x80; n >>= 7) out += static_cast<char>(n | 0x80);
  return out + static_cast<char>(n);
}
std::string with_length(int field, std::string_view bytes) {
  return varint(static_cast<uint64_t>(field) << 3 | 2) + varint(bytes.size()) + std::string(bytes);
}
std::string number(int field, uint64_t n) { return varint(static_cast<uint64_t>(field) << 3) + varint(n); }
std::string real(int field, float f) {
  const auto bits = std::bit_cast<uint32_t>(f);
  std::string out = varint(static_cast<uint64_t>(field) << 3 | 5);
  for (int i = 0; i < 4; ++i) out += static_cast<char>(bits >> (8 * i));
  return out;
}
std::string piece(std::string_view text, float score, int type = 1) {
  return with_length(1, with_length(1, text) + real(2, score) + number(3, static_cast<uint64_t>(type)));
}
const std::string kSpace = "\xE2\x96\x81";

// <unk> <s> </s>, then pieces in the order of BPE.
std::string bpe_model() {
  std::string out = piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("</s>", 0, 3);
  float score = 0;
  for (const std::string& text :
       {std::string("he"), std::string("ll"), kSpace + "he", std::string("llo"), kSpace + "hello", kSpace,
        std::string("h"), std::string("e"), std::string("l"), std::string("o"), std::string("w")}) {
    out += piece(text, score--);
  }
  return out + with_length(2, number(3, 2) + number(40, 0));
}

std::string unigram_model() {
  std::string out = piece("<pad>", 0, 3) + piece("</s>", 0, 3) + piece("<unk>", 0, 2);
  out += piece(kSpace + "hello", -2) + piece(kSpace, -3) + piece("wor", -4) + piece("ld", -4.5f) + piece("w", -6) +
         piece("o", -6) + piece("r", -6) + piece("l", -6) + piece("d", -6);
  return out + with_length(2, number(3, 1) + number(40, 2));
}

std::shared_ptr<const Tokenizer> load(std::map<std::string, std::string> files, const std::string& config) {
  files["tokenizer_config.json"] = config;
  return AutoTokenizer::from_files(ModelFiles::from_memory(std::move(files)));
}

TEST(SentencePiece, ReadsTheMessage) {
  const SentencePieceModel m = read_sentencepiece(
      number(99, 7) + unigram_model() + with_length(3, with_length(2, std::string("\0\1\2", 3))), "m");
  ASSERT_EQ(m.pieces.size(), 12u);
  EXPECT_EQ(m.pieces[3].text, kSpace + "hello");
  EXPECT_EQ(m.pieces[3].score, -2.0f);
  EXPECT_EQ(m.pieces[0].type, SentencePieceModel::control);
  EXPECT_EQ(m.kind, SentencePieceModel::Kind::unigram);
  EXPECT_EQ(m.unk_id, 2);
  EXPECT_EQ(m.precompiled_charsmap, std::string("\0\1\2", 3));
}

TEST(HostileT7, WhatIsNoSentencePieceModel) {
  const auto message = [](std::string_view bytes) {
    return test::error_of([&] { read_sentencepiece(bytes, "m"); }).message();
  };
  const std::string no = "no SentencePiece model: ";
  EXPECT_EQ(message(""), no + "it has no pieces");
  EXPECT_EQ(message("\x0A"), no + "the file ends within a number at byte 1");
  EXPECT_EQ(message("\x0A\x05\x61"), no + "a field of 5 bytes where 1 are left at byte 2");
  EXPECT_EQ(message(std::string(11, '\xFF')), no + "a number beyond 64 bits at byte 10");
  EXPECT_EQ(message("\x0B"), no + "wire type 3 at byte 1");
  EXPECT_EQ(message(std::string("\0", 1)), no + "a field number out of range at byte 1");
  EXPECT_EQ(message(with_length(1, "\x08\x01")), no + "field 1 has wire type 0 at byte 4");
  EXPECT_EQ(message(with_length(1, with_length(1, "\xFF"))), no + "a text that is not UTF-8 at byte 5");
  EXPECT_EQ(message(piece("a", 0) + piece("a", 0)), no + "piece 1, \"a\", stands twice at byte 24");
  EXPECT_EQ(message(piece("a", std::numeric_limits<float>::quiet_NaN())), no + "a score that is not finite at byte 12");
  EXPECT_EQ(message(piece("a", 0) + with_length(2, number(3, 9))), no + "model type 9 at byte 16");
  // Cut anywhere: an error or fewer pieces, never more than that.
  const std::string whole = bpe_model();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    try {
      EXPECT_LE(read_sentencepiece(std::string_view(whole).substr(0, size), "m").pieces.size(), 14u);
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::corrupt_file);
    }
  }
}

// Cutting a long piece everywhere looks each half up in the time of a character.
TEST(HostileT7, APieceOfAMegabyte) {
  std::string bytes = piece("<unk>", 0, SentencePieceModel::unknown) + piece("<s>", 0) + piece("</s>", 0);
  bytes += piece(std::string(1'000'000, 'a'), -1) + piece("a", -2) + piece("aa", -3);
  const auto begin = std::chrono::steady_clock::now();
  const auto llama =
      load({{"tokenizer.model", bytes + with_length(2, number(3, 2))}},
           R"({"tokenizer_class": "LlamaTokenizer", "add_prefix_space": false, "add_bos_token": false})");
  EXPECT_EQ(llama->encode("aaa").ids, (Ids{5, 4}));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
}

TEST(SentencePiece, MakesTokenizers) {
  const auto t5 = load({{"spiece.model", unigram_model()}}, R"({"tokenizer_class": "T5Tokenizer", "extra_ids": 3})");
  EXPECT_EQ(t5->size(), 15);
  EXPECT_EQ(t5->encode("hello world <extra_id_0>x").ids, (Ids{3, 4, 5, 6, 14, 4, 2, 1}));
  const auto llama = load({{"tokenizer.model", bpe_model()}}, R"({"tokenizer_class": "LlamaTokenizer"})");
  EXPECT_EQ(llama->encode("hello hellow").ids, (Ids{7, 7, 13}));
  EXPECT_EQ(llama->decode(llama->encode("hello hellow").ids, {.skip_special_tokens = true}), "hello hellow");
  const auto xlmr = load({{"sentencepiece.bpe.model", piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("</s>", 0, 3) +
                                                          piece(kSpace + "hello", -2) + piece(kSpace, -3)}},
                         R"({"tokenizer_class": "XLMRobertaTokenizer"})");
  EXPECT_EQ(xlmr->encode("hello x").ids, (Ids{0, 4, 5, 3, 2}));
  EXPECT_EQ(xlmr->mask_token_id(), 6);
  EXPECT_ERROR(ErrorCode::unsupported,
               "tokenizer_class \"Siglip2Tokenizer\" from a SentencePiece model is not supported (tokenizer.model)",
               load({{"tokenizer.model", bpe_model()}}, R"({"tokenizer_class": "Siglip2Tokenizer"})"));
}

TEST(SentencePiece, MakesTokenizersThatRunInPython) {
  const std::string vocab =
      R"({"</s>": 0, "<unk>": 1, "\u2581hello": 2, "\u2581": 3, "wor": 4, "ld": 5, ">>fra<<": 6})";
  const std::string config = R"({"tokenizer_class": "MarianTokenizer"})";
  const auto marian = load({{"source.spm", unigram_model()}, {"target.spm", ""}, {"vocab.json", vocab}}, config);
  EXPECT_EQ(marian->encode(">>fra<< hello  world").ids, (Ids{6, 2, 3, 4, 5, 0}));
  EXPECT_EQ(marian->decode({6, 2, 3, 4, 5, 0}), ">>fra<< hello world</s>");
  EXPECT_EQ(marian->decode({2, 99, 0}, {.skip_special_tokens = true}), "hello<unk>");
  EXPECT_EQ(marian->model_max_length(), 512);
  EXPECT_FALSE(marian->has_languages());
  const auto message = [&](std::map<std::string, std::string> files, const std::string& settings) {
    return test::error_of([&] { load(std::move(files), settings); }).message();
  };
  EXPECT_EQ(message({{"source.spm", unigram_model()}, {"vocab.json", R"({"a": 0})"}}, config),
            "\"<unk>\" is not in the vocabulary");
  EXPECT_EQ(message({{"source.spm", piece("a", 0)}, {"vocab.json", vocab}}, config), "no unknown piece");
  EXPECT_EQ(message({{"source.spm", piece("a", 0, 2) + piece("b", 0, 2)}, {"vocab.json", vocab}}, config),
            "two unknown pieces");
  EXPECT_EQ(message({{"source.spm", piece("a", 0, 2) + piece("", 0)}, {"vocab.json", vocab}}, config),
            "an empty piece");
  EXPECT_EQ(message({{"source.spm", piece("a", 0, 2) + with_length(2, number(3, 3))}, {"vocab.json", vocab}}, config),
            "a SentencePiece model of whole words is not supported");
  EXPECT_EQ(message({{"source.spm", unigram_model()}, {"vocab.json", vocab}},
                    R"({"tokenizer_class": "MarianTokenizer", "separate_vocabs": true})"),
            "separate_vocabs is not supported");
  EXPECT_EQ(message({{"sentencepiece.bpe.model", unigram_model()}, {"vocab.json", vocab}},
                    R"({"tokenizer_class": "M2M100Tokenizer", "language_codes": "all"})"),
            "expected \"m2m100\" or \"wmt21\", found \"all\"");
}

TEST(Languages, AreMarkedByWhatACallSays) {
  const std::string vocab = R"({"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "\u2581hello": 4})";
  const auto m2m = load({{"sentencepiece.bpe.model", unigram_model()}, {"vocab.json", vocab}},
                        R"({"tokenizer_class": "M2M100Tokenizer"})");
  ASSERT_TRUE(m2m->has_languages());
  const int32_t en = *m2m->token_to_id("__en__"), fr = m2m->language_id("fr");
  EXPECT_NE(en, fr);
  EXPECT_EQ(m2m->encode("hello").ids, (Ids{en, 4, 2}));
  EncodeOptions french;
  french.src_lang = "fr";
  EXPECT_EQ(m2m->encode("hello", french).ids, (Ids{fr, 4, 2}));
  EXPECT_EQ(m2m->encode("hello", french).tokens[0], "__fr__");
  french.ids_only = true;
  EXPECT_EQ(m2m->encode("hello", french).ids, (Ids{fr, 4, 2}));
  french.add_special_tokens = false;
  EXPECT_EQ(m2m->encode("hello", french).ids, (Ids{4}));
  EXPECT_ERROR(ErrorCode::invalid_argument, "the tokenizer has no language \"xx\"", m2m->language_id("xx"));
  const auto plain = load({{"spiece.model", unigram_model()}}, R"({"tokenizer_class": "T5Tokenizer"})");
  EXPECT_ERROR(ErrorCode::invalid_argument, "the tokenizer knows no languages (src_lang)", plain->encode("a", french));
}

TEST(OldFiles, VocabularyAndMergesMakeTokenizers) {
  const std::string vocab =
      R"({"h": 0, "e": 1, "l": 2, "o": 3, "he": 4, "ll": 5, "llo": 6, "hello": 7, "<|endoftext|>": 8})";
  const std::string merges = "#version: 0.2\nh e\nl l\nll o\nhe llo\n";
  const auto gpt2 = load({{"vocab.json", vocab}, {"merges.txt", merges}}, R"({"tokenizer_class": "GPT2Tokenizer"})");
  EXPECT_EQ(gpt2->encode("helloheo<|endoftext|>").ids, (Ids{7, 4, 3, 8}));
  EXPECT_EQ(gpt2->eos_token_id(), 8);
  const Error bad = test::error_of([&] {
    load({{"vocab.json", vocab}, {"merges.txt", merges + "x y\n"}}, R"({"tokenizer_class": "GPT2Tokenizer"})");
  });
  EXPECT_EQ(bad.code(), ErrorCode::corrupt_file);
  EXPECT_NE(std::string(bad.what()).find("vocab.json"), std::string::npos) << bad.what();
  const Error array = test::error_of([&] {
    load({{"vocab.json", "[]"}, {"merges.txt", merges}}, R"({"tokenizer_class": "GPT2Tokenizer"})");
  });
  EXPECT_EQ(array.code(), ErrorCode::corrupt_file);
}

}  // namespace
}  // namespace transformers
