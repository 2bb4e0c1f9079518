// What it is: The unigram model: best cut, ties, unknown characters, and the vocabularies it refuses.
// Where it stands: tests of tokenizers.
#include "transformers/tokenizers/unigram.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "support.hpp"

namespace transformers {
namespace {

std::string show(const Unigram& model, std::string_view text) {
  std::vector<Token> tokens;
  model.tokenize(text, tokens);
  std::string out;
  for (const Token& t : tokens) {
    if (!out.empty()) out += ' ';
    out += t.value + '/' + std::to_string(t.id) + '[' + std::to_string(t.begin) + ',' + std::to_string(t.end) + ')';
  }
  return out;
}

Unigram small() {
  Unigram m;
  m.unk_id = 0;
  for (const auto& [piece, score] : std::vector<std::pair<const char*, double>>{{"<unk>", 0.0},
                                                                                {"a", -1.0},
                                                                                {"b", -1.5},
                                                                                {"ab", -2.5},
                                                                                {"abab", -5.0},
                                                                                {"ba", -2.5},
                                                                                {"<0xC3>", -9.0},
                                                                                {"<0xA9>", -9.0},
                                                                                {"xy", -100.0}}) {
    m.add(piece, score);
  }
  return m;
}

Unigram finished(Unigram m) {
  m.finish();
  return m;
}

// Answers of the `tokenizers` crate 0.23.3; all cuts of "ab", "abab" and "aabb" have equal scores.
TEST(Unigram, BestCut) {
  const Unigram m = finished(small());
  EXPECT_EQ(show(m, "ab"), "ab/3[0,2)");
  EXPECT_EQ(show(m, "abab"), "abab/4[0,4)");
  EXPECT_EQ(show(m, "aabb"), "a/1[0,1) ab/3[1,3) b/2[3,4)");
  EXPECT_EQ(show(m, ""), "");
}

TEST(Unigram, UnknownCharacters) {
  Unigram m = small();
  EXPECT_EQ(show(finished(m), "xay"), "x/0[0,1) a/1[1,2) y/0[2,3)");
  EXPECT_EQ(show(finished(m), "xyxa"), "xy/8[0,2) x/0[2,3) a/1[3,4)");
  EXPECT_EQ(show(finished(m), "\xC3\xA9"), "\xC3\xA9/0[0,2)");
  EXPECT_EQ(show(finished(m), "<unk>"), "<unk>/0[0,5)");
  m.byte_fallback = true;
  EXPECT_EQ(show(finished(m),
                 "\xC3\xA9\xC3\xA9"
                 "a"),
            "<0xC3>/6[0,4) <0xA9>/7[0,4) <0xC3>/6[0,4) <0xA9>/7[0,4) a/1[4,5)");
  EXPECT_EQ(show(finished(m), "xay"), "x/0[0,1) a/1[1,2) y/0[2,3)");
}

TEST(Unigram, EqualPieces) {
  Unigram m;
  m.unk_id = 0;
  m.add("a", -1.0);
  m.add("a", -2.0);
  m.add("aa", -2.5);
  m.finish();
  EXPECT_EQ(show(m, "aa"), "aa/2[0,2)");
  EXPECT_EQ(m.vocab.find("a"), 1);
  EXPECT_EQ(m.vocab.token(0), "a");
  EXPECT_EQ(m.vocab.size(), 3u);
}

TEST(Trie, FindsWhatAMapFinds) {
  std::map<std::string, int32_t, std::less<>> map;
  std::vector<std::string> keys;
  uint32_t seed = 7;
  const auto random = [&] { return seed = seed * 1664525 + 1013904223, seed >> 16; };
  for (int i = 0; i < 20000; ++i) {
    std::string key;
    for (uint32_t n = random() % 6; n < 7; ++n) key += static_cast<char>(random() % (i % 3 ? 256 : 4));
    keys.push_back(key);
  }
  std::vector<std::pair<std::string_view, int32_t>> entries;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    entries.emplace_back(keys[i], static_cast<int32_t>(i));
    map[keys[i]] = static_cast<int32_t>(i);
  }
  Trie trie;
  trie.build(entries);
  for (const std::string& key : keys) {
    const std::string text = key + "xyz";
    std::size_t last = 0;
    int found = 0, expected = 0;
    for (std::size_t n = 1; n <= text.size(); ++n) expected += map.contains(text.substr(0, n));
    trie.prefixes(text, [&](std::size_t size, int32_t value) {
      ASSERT_GT(size, last);
      last = size;
      ++found;
      ASSERT_EQ(map.at(text.substr(0, size)), value);
    });
    ASSERT_EQ(found, expected);
  }
}

TEST(HostileT5, VocabulariesThatAreRefused) {
  Unigram m;
  EXPECT_ERROR(ErrorCode::corrupt_file, "the vocabulary is empty (vocab)", finished(m));
  m.add("a", -1.0);
  EXPECT_ERROR(ErrorCode::corrupt_file, "a character is unknown, and the model has no unk_id", show(finished(m), "ab"));
  m.unk_id = 1;
  EXPECT_ERROR(ErrorCode::corrupt_file, "unk_id is 1, but there are 1 pieces (vocab)", finished(m));
  m.unk_id = 0;
  m.add("b", NAN);
  EXPECT_ERROR(ErrorCode::corrupt_file, "the score of piece 1 is not a finite number (vocab)", finished(m));
}

}  // namespace
}  // namespace transformers
