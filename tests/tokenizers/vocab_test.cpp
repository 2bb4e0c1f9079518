// What it is: the vocabulary's table against std::map.
// Where it stands: tests of tokenizers.
#include "transformers/tokenizers/vocab.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "support.hpp"

namespace transformers {
namespace {

TEST(Vocab, FindsWhatWasAdded) {
  Vocab vocab;
  std::map<std::string, int32_t> want;
  for (int32_t i = 0; i < 5000; ++i) {
    const std::string token = "t" + std::to_string(i * 7919 % 5000) + (i % 3 ? "" : "##");
    EXPECT_EQ(vocab.add(token, i), want.emplace(token, i).second);
    want[token] = i;
  }
  vocab.finish("test");
  EXPECT_EQ(vocab.size(), want.size());
  for (const auto& [token, id] : want) {
    EXPECT_EQ(vocab.find(token), id);
    EXPECT_EQ(vocab.token(id), token);
  }
  EXPECT_EQ(vocab.find("t"), -1);
  EXPECT_EQ(vocab.find(""), -1);
  EXPECT_FALSE(vocab.token(-1));
  EXPECT_FALSE(vocab.token(1 << 30));
}

TEST(Vocab, EmptyAndEmbeddedNul) {
  Vocab vocab;
  EXPECT_EQ(vocab.find("x"), -1);
  const std::string nul("a\0b", 3);
  vocab.add(nul, 1);
  vocab.add("a", 2);
  vocab.add("", 3);
  vocab.finish("test");
  EXPECT_EQ(vocab.find(nul), 1);
  EXPECT_EQ(vocab.find("a"), 2);
  EXPECT_EQ(vocab.find(""), 3);
  EXPECT_EQ(vocab.token(1), nul);
  EXPECT_FALSE(vocab.token(0));
}

TEST(Vocab, SparseIdsTakeNoMoreMemoryThanDenseOnes) {
  Vocab vocab;
  vocab.add("first", 0);
  vocab.add("last", 2147483647);
  vocab.finish("test");
  EXPECT_EQ(vocab.find("last"), 2147483647);
  EXPECT_EQ(vocab.token(2147483647), "last");
  EXPECT_EQ(vocab.token(0), "first");
  EXPECT_FALSE(vocab.token(1));
}

TEST(Vocab, TwoTokensOfOneId) {
  Vocab vocab;
  vocab.add("a", 5);
  vocab.add("b", 5);
  EXPECT_ERROR(ErrorCode::corrupt_file, "two tokens have the id 5: \"a\" and \"b\" (f)", vocab.finish("f"));
  Vocab sparse;
  sparse.add("a", 2000000000);
  sparse.add("b", 2000000000);
  EXPECT_ERROR(ErrorCode::corrupt_file, "two tokens have the id 2000000000: \"a\" and \"b\" (f)", sparse.finish("f"));
}

}  // namespace
}  // namespace transformers
