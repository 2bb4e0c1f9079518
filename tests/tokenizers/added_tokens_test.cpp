// What it is: the matcher against brute force, and the rules of added tokens (hostile-input row T9).
// Where it stands: tests of tokenizers.
#include "transformers/tokenizers/added_tokens.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <random>
#include <string>
#include <vector>

#include "support.hpp"

namespace transformers {
namespace {

// Leftmost, then longest, then first: tried at every place.
std::optional<StringMatcher::Found> brute_force(const std::vector<std::string>& patterns, std::string_view text,
                                                std::size_t from) {
  for (std::size_t i = from; i < text.size(); ++i) {
    std::optional<StringMatcher::Found> best;
    for (std::size_t p = 0; p < patterns.size(); ++p) {
      if (patterns[p].empty() || text.substr(i, patterns[p].size()) != patterns[p]) continue;
      if (!best || patterns[p].size() > best->end - best->begin) {
        best = StringMatcher::Found{i, i + patterns[p].size(), static_cast<uint32_t>(p)};
      }
    }
    if (best) return best;
  }
  return std::nullopt;
}

TEST(StringMatcher, EqualsBruteForce) {
  std::mt19937 random(3);
  const auto word = [&](unsigned longest, unsigned letters) {
    std::string out;
    for (unsigned n = random() % (longest + 1); n > 0; --n) out += static_cast<char>('a' + random() % letters);
    return out;
  };
  for (int round = 0; round < 3000; ++round) {
    const unsigned letters = 1 + random() % 3;
    std::vector<std::string> patterns(random() % 7);
    for (std::string& p : patterns) p = word(5, letters);
    const StringMatcher matcher(patterns);
    const std::string text = word(30, letters);
    std::size_t from = 0;
    while (true) {
      const auto got = matcher.find(text, from);
      const auto want = brute_force(patterns, text, from);
      ASSERT_EQ(got.has_value(), want.has_value()) << text << " from " << from;
      if (!got) break;
      ASSERT_EQ(got->begin, want->begin) << text;
      ASSERT_EQ(got->end, want->end) << text;
      ASSERT_EQ(got->pattern, want->pattern) << text;
      from = got->end;
    }
  }
}

TEST(StringMatcher, IsLinearWhateverThePatterns) {
  // Every place of the text starts a long prefix of the pattern: trying each would take 5 * 10^11 steps.
  const StringMatcher matcher({std::string(500000, 'a') + "b"});
  EXPECT_FALSE(matcher.find(std::string(1000000, 'a'), 0));
}

TEST(StringMatcher, AMillionPatterns) {
  std::vector<std::string> patterns;
  for (int i = 0; i < 1000000; ++i) patterns.push_back("<extra_id_" + std::to_string(i) + ">");
  const StringMatcher matcher(patterns);
  const auto found = matcher.find("x <extra_id_123456> y", 0);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->pattern, 123456u);
}

struct Added {
  Vocab vocab;
  AddedVocabulary tokens;
  std::optional<Normalizer> normalizer;

  explicit Added(const std::vector<AddedToken>& added, std::optional<Normalizer> n = {}) : normalizer(std::move(n)) {
    vocab.add("known", 0);
    vocab.finish("test");
    tokens.add(added, vocab);
    tokens.finish(normalizer ? &*normalizer : nullptr);
  }
  // The pieces of the text, added tokens in brackets with their id.
  std::string cut(std::string_view text, bool split_special = false) const {
    std::string out;
    for (const auto& p : tokens.extract(text, normalizer ? &*normalizer : nullptr, split_special).pieces) {
      out += p.tokens ? '[' + p.normalized.text() + ':' + std::to_string(p.tokens->front().id) + ']'
                      : '|' + p.normalized.text() + '|';
    }
    return out;
  }
};

AddedToken plain(std::string content) { return {std::move(content), false, false, false, false, false}; }

TEST(AddedVocabulary, IdsFollowTheVocabulary) {
  const Added added({plain("x"), plain("known"), plain(""), plain("y"), plain("x")});
  EXPECT_EQ(added.tokens.id("x"), 1);
  EXPECT_EQ(added.tokens.id("known"), 0);
  EXPECT_EQ(added.tokens.id("y"), 2);
  EXPECT_EQ(added.tokens.size(), 3u);
  EXPECT_FALSE(added.tokens.id(""));
}

TEST(AddedVocabulary, LongestOfOverlapping) {
  const Added added({plain("ab"), plain("abc"), plain("bcd"), plain("d.*")});
  EXPECT_EQ(added.cut("xabcd"), "|x|[abc:2]|d|");
  EXPECT_EQ(added.cut("abd.*"), "[ab:1][d.*:4]");  // nothing is a regular expression
  EXPECT_EQ(added.cut(""), "");
}

TEST(AddedVocabulary, SingleWord) {
  const Added added({{"me", true, false, false, false, false}});
  EXPECT_EQ(added.cut("me some me, me_ me"), "[me:1]| some |[me:1]|, me_ |[me:1]");
  EXPECT_EQ(added.cut("\xC3\xA9me"), "|\xC3\xA9me|");
}

TEST(AddedVocabulary, StripsEitherSide) {
  const Added added({{"<m>", false, true, true, false, false}});
  EXPECT_EQ(added.cut("a \t<m>\xE3\x80\x80 b"), "|a|[ \t<m>\xE3\x80\x80 :1]|b|");
  EXPECT_EQ(added.cut("<m> <m>"), "[<m> :1][<m>:1]");  // the space belongs to the first
}

TEST(AddedVocabulary, NormalizedTokensAreFoundInNormalizedText) {
  const Added added({{"YES", false, false, false, true, false}, plain("NO")}, Normalizer{Lowercase{}});
  EXPECT_EQ(added.cut("Yes NO no"), "[yes:1]| |[NO:2]| no|");
  EXPECT_EQ(*added.tokens.text(1), "yes");
  EXPECT_EQ(*added.tokens.text(2), "NO");
}

TEST(AddedVocabulary, SpecialTokensAsPlainText) {
  const Added added({{"[S]", false, false, false, false, true}, plain("[P]")});
  EXPECT_EQ(added.cut("[S][P]"), "[[S]:1][[P]:2]");
  EXPECT_EQ(added.cut("[S][P]", true), "|[S]|[[P]:2]");
  EXPECT_TRUE(added.tokens.is_special("[S]"));
  EXPECT_FALSE(added.tokens.is_special("[P]"));
}

TEST(AddedVocabulary, ATokenAddedAgainTakesItsNewFlags) {
  Added added({plain("x")});
  added.tokens.add({{"x", false, false, true, false, true}}, added.vocab);
  added.tokens.finish(nullptr);
  EXPECT_EQ(added.tokens.id("x"), 1);
  EXPECT_EQ(added.cut("x  y"), "[x  :1]|y|");
  EXPECT_TRUE(added.tokens.is_special("x"));
}

}  // namespace
}  // namespace transformers
