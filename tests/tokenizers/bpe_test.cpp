// What it is: Byte-pair encoding: the order of merges, unknown characters, and the sizes that must not hurt.
// Where it stands: tests of tokenizers.
#include "transformers/tokenizers/bpe.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support.hpp"

namespace transformers {
namespace {

std::string show(const BPE& model, std::string_view word) {
  std::vector<Token> tokens;
  model.tokenize(word, tokens);
  std::string out;
  for (const Token& t : tokens) {
    if (!out.empty()) out += ' ';
    out += t.value + '/' + std::to_string(t.id) + '[' + std::to_string(t.begin) + ',' + std::to_string(t.end) + ')';
  }
  return out;
}

BPE small() {
  BPE m;
  int32_t id = 0;
  for (const char* token : {"<unk>", "a", "b", "c", "ab", "bc", "abc", "aa", "aaaa"}) m.vocab.add(token, id++);
  m.add_merge("b", "c");
  m.add_merge("a", "b");
  m.add_merge("ab", "c");
  m.add_merge("a", "a");
  m.add_merge("aa", "aa");
  return m;
}

BPE finished(BPE m) {
  m.vocab.finish("vocab");
  m.finish();
  return m;
}

// Answers of the `tokenizers` crate 0.23.3.
TEST(BPE, MergesInOrder) {
  const BPE m = finished(small());
  EXPECT_EQ(show(m, "abc"), "a/1[0,1) bc/5[1,3)");
  EXPECT_EQ(show(m, "aabc"), "aa/7[0,2) bc/5[2,4)");
  EXPECT_EQ(show(m, "aaaaaaa"), "aaaa/8[0,4) aa/7[4,6) a/1[6,7)");
  EXPECT_EQ(show(m, ""), "");
}

TEST(BPE, UnknownCharacters) {
  BPE m = small();
  EXPECT_EQ(show(finished(m), "axxb"), "ab/4[0,2)");  // they vanish, and the offsets with them
  m.unk_token = "<unk>";
  EXPECT_EQ(show(finished(m), "axxb"), "a/1[0,1) <unk>/0[1,2) <unk>/0[2,3) b/2[3,4)");
  EXPECT_EQ(show(finished(m),
                 "\xC3\xA9"
                 "a"),
            "<unk>/0[0,2) a/1[2,3)");
  m.fuse_unk = true;
  EXPECT_EQ(show(finished(m), "axxb"), "a/1[0,1) <unk>/0[1,3) b/2[3,4)");
  m.unk_token = "[UNK]";
  EXPECT_ERROR(ErrorCode::corrupt_file,
               "a character is unknown, and the unknown token \"[UNK]\" is not in the vocabulary",
               show(finished(m), "ax"));
}

TEST(BPE, ByteFallback) {
  BPE m = small();
  m.unk_token = "<unk>";
  m.byte_fallback = m.fuse_unk = true;
  m.vocab.add("<0xC3>", 9);
  m.vocab.add("<0xA9>", 10);
  m = finished(m);
  EXPECT_EQ(show(m,
                 "\xC3\xA9"
                 "a"),
            "<0xC3>/9[0,1) <0xA9>/10[1,2) a/1[2,3)");
  EXPECT_EQ(show(m,
                 "x\xC3\xA9"
                 "b"),
            "<0xC3>/9[0,1) <0xA9>/10[1,2) <unk>/0[2,3) b/2[3,4)");
}

TEST(BPE, PrefixAndSuffix) {
  BPE m;
  int32_t id = 0;
  for (const char* token : {"a", "##b", "##c", "ab", "abc", "##c</w>", "abc</w>", "##bc</w>"}) m.vocab.add(token, id++);
  m.continuing_subword_prefix = "##";
  m.end_of_word_suffix = "</w>";
  m.add_merge("a", "##b");
  m.add_merge("ab", "##c</w>");
  m = finished(m);
  EXPECT_EQ(show(m, "abc"), "abc</w>/6[0,3)");
  EXPECT_EQ(show(m, "ab"), "a/0[0,1)");
  EXPECT_EQ(show(m, "acb"), "a/0[0,1) ##c/2[1,2)");
}

TEST(BPE, IgnoreMerges) {
  BPE m = small();
  m.ignore_merges = true;
  EXPECT_EQ(show(finished(m), "abc"), "abc/6[0,3)");
}

// Both ways of merging give the same.
TEST(BPE, ShortAndLongWordsMergeAlike) {
  BPE m = small();
  m.vocab.add("bcaa", 9);
  m.add_merge("bc", "aa");
  m.vocab.add("cb", 10);
  m.add_merge("c", "b");
  m = finished(m);
  uint32_t seed = 1;
  for (int round = 0; round < 300; ++round) {
    std::string word;
    for (int i = 0; i < 40; ++i)
      word += "abc"[(seed = seed * 1664525 + 1013904223) >> 24 & 1 ? 0 : seed >> 20 & 1 ? 1 : 2];
    std::string padded = word;  // separated by a character that merges with nothing
    BPE with_stop = m;
    with_stop.vocab.add(".", 11);
    with_stop.vocab.finish("vocab");
    padded += std::string(60, '.');
    std::vector<Token> short_way, long_way;
    with_stop.tokenize(word, short_way);
    with_stop.tokenize(padded, long_way);
    ASSERT_EQ(long_way.size(), short_way.size() + 60);
    for (std::size_t i = 0; i < short_way.size(); ++i) ASSERT_EQ(long_way[i].id, short_way[i].id) << word;
  }
}

TEST(HostileT3, MergesThatFitNoToken) {
  BPE m = small();
  m.add_merge("a", "x");
  EXPECT_ERROR(ErrorCode::corrupt_file, "merge 5 \"a x\": \"x\" is not in the vocabulary (merges)", finished(m));
  m = small();
  m.add_merge("a", "c");
  EXPECT_ERROR(ErrorCode::corrupt_file, "merge 5 \"a c\": \"ac\" is not in the vocabulary (merges)", finished(m));
}

TEST(HostileT10, TenMegabytesOfOneLetterMergeInTime) {
  const BPE m = finished(small());
  std::vector<Token> tokens;
  m.tokenize(std::string(10'000'000, 'a'), tokens);
  EXPECT_EQ(tokens.size(), 2'500'000u);
}

}  // namespace
}  // namespace transformers
