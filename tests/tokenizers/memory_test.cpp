// What it is: what a tokenizer and its work take: the peak of a process that loads one and encodes 10 MB of text is at
// most 100 bytes for each token and 20 MB, whatever files the tokenizer is made from.
// Where it stands: tests of tokenizers.
#include <gtest/gtest.h>

#include <bit>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>
#include <vector>

#include "support.hpp"
#include "transformers/base/parallel.hpp"
#include "transformers/base/platform.hpp"
#include "transformers/base/value.hpp"
#include "transformers/tokenizers/tokenizer.hpp"

namespace transformers {
namespace {

using test::TemporaryDirectory;

constexpr std::size_t kTokens = 50'000;
constexpr int64_t kOfTheProcess = 4'000'000;  // what a program takes that does nothing

uint32_t random_number(uint32_t& state, uint32_t below) {
  state = state * 1664525 + 1013904223;
  return (state >> 8) % below;
}

// Tokens of letters behind those of `first`, each made of one before it and a letter.
struct Words {
  std::vector<std::string> tokens;
  std::vector<std::pair<std::string, char>> merges;
};
Words words(std::vector<std::string> first) {
  Words out{std::move(first), {}};
  std::set<std::string> known;
  std::vector<std::string> letters;
  for (char c = 'a'; c <= 'z'; ++c) letters.emplace_back(1, c);
  for (const std::string& letter : letters) {
    if (known.insert(letter).second) out.tokens.push_back(letter);
  }
  std::vector<std::string> grown = letters;
  for (uint32_t state = 7; out.tokens.size() < kTokens;) {
    const std::string base = grown[random_number(state, static_cast<uint32_t>(grown.size()))];
    const char letter = static_cast<char>('a' + random_number(state, 26));
    if (base.size() > 8 || !known.insert(base + letter).second) continue;
    grown.push_back(base + letter);
    out.tokens.push_back(base + letter);
    out.merges.emplace_back(base, letter);
  }
  return out;
}

void write_bpe(const TemporaryDirectory& directory) {
  const Words w = words({"<unk>"});
  std::string json = R"({"version": "1.0", "added_tokens": [], "pre_tokenizer": {"type": "ByteLevel",
      "add_prefix_space": false, "trim_offsets": true}, "model": {"type": "BPE", "vocab": {)";
  for (std::size_t i = 0; i < w.tokens.size(); ++i)
    json += (i ? ",\"" : "\"") + w.tokens[i] + "\":" + std::to_string(i);
  json += R"(}, "merges": [)";
  for (std::size_t i = 0; i < w.merges.size(); ++i)
    json += (i ? ",\"" : "\"") + w.merges[i].first + ' ' + w.merges[i].second + '"';
  directory.write("tokenizer.json", json + "]}}");
}

void write_unigram(const TemporaryDirectory& directory) {
  const Words w = words({"<unk>"});
  std::string json = R"({"version": "1.0", "added_tokens": [], "pre_tokenizer": {"type": "Metaspace",
      "replacement": "_", "prepend_scheme": "never"}, "model": {"type": "Unigram", "unk_id": 0, "vocab": [)";
  for (std::size_t i = 0; i < w.tokens.size(); ++i)
    json += (i ? ",[\"" : "[\"") + w.tokens[i] + "\",-" + std::to_string(i) + ".25]";
  directory.write("tokenizer.json", json + "]}}");
}

void write_word_piece(const TemporaryDirectory& directory) {
  std::string text;
  for (const std::string& token : words({"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}).tokens) text += token + '\n';
  directory.write("vocab.txt", text);
  directory.write("tokenizer_config.json", R"({"tokenizer_class": "BertTokenizer"})");
}

void write_sentencepiece(const TemporaryDirectory& directory) {
  std::string bytes;
  float score = 0;
  for (const std::string& token : words({"<unk>", "<s>", "</s>", "\xE2\x96\x81"}).tokens) {
    const auto bits = std::bit_cast<uint32_t>(score -= 1);
    std::string piece = "\x0A" + std::string(1, static_cast<char>(token.size())) + token + '\x15';
    for (int i = 0; i < 4; ++i) piece += static_cast<char>(bits >> (8 * i));
    bytes += "\x0A" + std::string(1, static_cast<char>(piece.size())) + piece;
  }
  directory.write("tokenizer.model", bytes + "\x12\x02\x18\x02");
  directory.write("tokenizer_config.json", R"({"tokenizer_class": "LlamaTokenizer"})");
}

// Runs in a process of its own: reports its peak, and what it was before.
TEST(SlowTokenizerMemory, DISABLED_Child) {
  const char* const directory = std::getenv("TCPP_TOKENIZER_DIRECTORY");
  ASSERT_NE(directory, nullptr);
  set_num_threads(1);
  const int64_t before = peak_resident_bytes();
  const auto tokenizer = AutoTokenizer::from_pretrained(directory);
  uint32_t state = 3;
  std::size_t bytes = 0, tokens = 0;
  while (bytes < 10'000'000) {
    std::string line;
    while (line.size() < 200) {
      for (uint32_t n = 1 + random_number(state, 9); n > 0; --n)
        line += static_cast<char>('a' + random_number(state, 26));
      line += ' ';
    }
    bytes += line.size();
    tokens += tokenizer->encode(line, {.ids_only = true}).size();
  }
  EXPECT_GT(tokens, bytes / 10);
  test::report_peak(before);
}

TEST(SlowTokenizerMemory, PeakIsAHundredBytesATokenAndTwentyMegabytes) {
  if (test::kSanitized) GTEST_SKIP() << "sanitizers have memory of their own";
  for (const auto& [name, write] : {std::pair<const char*, void (*)(const TemporaryDirectory&)>{"BPE", write_bpe},
                                    {"Unigram", write_unigram},
                                    {"WordPiece", write_word_piece},
                                    {"SentencePiece", write_sentencepiece}}) {
    const TemporaryDirectory directory;
    write(directory);
    const auto [before, peak] =
        test::peak_of_child("SlowTokenizerMemory.DISABLED_Child", "TCPP_TOKENIZER_DIRECTORY", directory.string());
    std::printf("%-14s %.1f MB\n", name, static_cast<double>(peak - before) / 1e6);
    EXPECT_LE(peak - before + kOfTheProcess, static_cast<int64_t>(kTokens) * 100 + 20'000'000) << name;
    EXPECT_GT(peak - before, static_cast<int64_t>(kTokens) * 10) << name << ": nothing was loaded";
  }
}

}  // namespace
}  // namespace transformers
