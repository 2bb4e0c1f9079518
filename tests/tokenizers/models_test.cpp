// What it is: WordPiece and WordLevel on single words, and WordPiece against the rule spelled out naively.
// Where it stands: tests of tokenizers.
#include "transformers/tokenizers/models.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "support.hpp"

namespace transformers {
namespace {

WordPiece word_piece(const std::vector<std::string>& tokens, int64_t longest = 100, std::string prefix = "##") {
  WordPiece out;
  for (std::size_t i = 0; i < tokens.size(); ++i) out.vocab.add(tokens[i], static_cast<int32_t>(i));
  out.vocab.finish("test");
  out.max_input_chars_per_word = longest;
  out.continuing_subword_prefix = std::move(prefix);
  out.finish();
  return out;
}

std::string tokenize(const WordPiece& model, std::string_view word) {
  std::vector<Token> tokens;
  model.tokenize(word, tokens);
  std::string out;
  for (const Token& t : tokens) {
    out += t.value + ':' + std::to_string(t.id) + '@' + std::to_string(t.begin) + '-' + std::to_string(t.end) + ' ';
  }
  return out;
}

TEST(WordPiece, LongestFirst) {
  const WordPiece model = word_piece({"[UNK]", "a", "##a", "##", "", "##b", "aaaa"}, 5);
  EXPECT_EQ(tokenize(model, "a"), "a:1@0-1 ");
  EXPECT_EQ(tokenize(model, "aa"), "a:1@0-1 ##a:2@1-2 ");
  EXPECT_EQ(tokenize(model, "aaaaa"), "aaaa:6@0-4 ##a:2@4-5 ");
  EXPECT_EQ(tokenize(model, "ab"), "a:1@0-1 ##b:5@1-2 ");
  EXPECT_EQ(tokenize(model, "aaaaaa"), "[UNK]:0@0-6 ");  // six characters are too many
  EXPECT_EQ(tokenize(model, "b"), "[UNK]:0@0-1 ");
  EXPECT_EQ(tokenize(model, "ac"), "[UNK]:0@0-2 ");
  EXPECT_EQ(tokenize(model, "##a"), "##a:2@0-3 ");  // a word that spells a continuation
  EXPECT_EQ(tokenize(model, ""), "");
}

TEST(WordPiece, TheLimitCountsCodePoints) {
  const WordPiece model = word_piece({"[UNK]", "\xC3\xA9\xC3\xA9"}, 2);
  EXPECT_EQ(tokenize(model, "\xC3\xA9\xC3\xA9"), "\xC3\xA9\xC3\xA9:1@0-4 ");
  EXPECT_EQ(tokenize(model, "\xC3\xA9\xC3\xA9\xC3\xA9"), "[UNK]:0@0-6 ");
}

TEST(WordPiece, NoUnknownTokenIsAnErrorOnlyWhenNeeded) {
  const WordPiece model = word_piece({"a"});
  EXPECT_EQ(tokenize(model, "a"), "a:0@0-1 ");
  EXPECT_ERROR(ErrorCode::corrupt_file,
               "a word is unknown, and the unknown token \"[UNK]\" is not in the vocabulary either",
               tokenize(model, "b"));
}

// The rule as it is usually written down.
std::string naive(const WordPiece& model, const std::string& word) {
  std::string out;
  std::size_t begin = 0;
  while (begin < word.size()) {
    std::size_t end = word.size();
    for (; end > begin; --end) {
      const std::string piece = (begin ? model.continuing_subword_prefix : "") + word.substr(begin, end - begin);
      const int32_t id = model.vocab.find(piece);
      if (id < 0) continue;
      out += piece + ':' + std::to_string(id) + '@' + std::to_string(begin) + '-' + std::to_string(end) + ' ';
      break;
    }
    if (end == begin) return "[UNK]:0@0-" + std::to_string(word.size()) + ' ';
    begin = end;
  }
  return out;
}

TEST(WordPiece, EqualsTheNaiveRule) {
  std::mt19937 random(7);
  const auto word_of = [&](unsigned longest) {
    std::string word;
    for (unsigned n = 1 + random() % longest; n > 0; --n) word += static_cast<char>('a' + random() % 3);
    return word;
  };
  for (const std::string prefix : {"##", "", "a"}) {
    std::vector<std::string> tokens{"[UNK]"};
    for (int i = 0; i < 60; ++i) {
      const std::string token = (random() % 2 ? prefix : "") + word_of(5);
      if (std::find(tokens.begin(), tokens.end(), token) == tokens.end()) tokens.push_back(token);
    }
    const WordPiece model = word_piece(tokens, 100, prefix);
    for (int i = 0; i < 3000; ++i) {
      const std::string word = word_of(14);
      ASSERT_EQ(tokenize(model, word), naive(model, word)) << "prefix " << prefix;
    }
  }
}

TEST(WordPiece, TokensLongerThanTheMasks) {
  const std::string a30(30, 'a'), a31(31, 'a'), a32(32, 'a'), a60(60, 'a');
  const WordPiece model = word_piece({"[UNK]", a31, a32, a60, "##" + a30, "##" + a60, "##a"}, 1000);
  for (int n = 1; n < 200; ++n) {
    const std::string word(static_cast<std::size_t>(n), 'a');
    ASSERT_EQ(tokenize(model, word), naive(model, word)) << n;
  }
}

TEST(WordLevel, WholeWords) {
  WordLevel model;
  model.vocab.add("yes", 0);
  model.vocab.finish("test");
  std::vector<Token> out;
  model.tokenize("yes", out);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].id, 0);
  EXPECT_ERROR(ErrorCode::corrupt_file,
               "a word is unknown, and the unknown token \"<unk>\" is not in the vocabulary either",
               model.tokenize("no", out));
  model.vocab.add("<unk>", 1);
  model.tokenize("no", out);
  EXPECT_EQ(out[1].value, "<unk>");
}

}  // namespace
}  // namespace transformers
