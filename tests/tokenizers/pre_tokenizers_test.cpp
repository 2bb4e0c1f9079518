// What it is: each pre-tokenizer's words.
// Where it stands: tests of tokenizers.
#include "transformers/tokenizers/pre_tokenizers.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support.hpp"
#include "transformers/base/value.hpp"

namespace transformers {
namespace {

using Words = std::vector<std::string>;

template <class P>
Words split(const P& pre_tokenizer, std::string_view text) {
  PreTokenizedString s;
  s.pieces.push_back({NormalizedString(text), std::nullopt});
  pre_tokenizer.pre_tokenize(s);
  Words out;
  for (const auto& piece : s.pieces) out.push_back(piece.normalized.text());
  return out;
}

TEST(BertPreTokenizer, SpacesAndPunctuation) {
  EXPECT_EQ(split(BertPreTokenizer{}, " Hey friend!     How are you?!?"),
            (Words{"Hey", "friend", "!", "How", "are", "you", "?", "!", "?"}));
  EXPECT_EQ(split(BertPreTokenizer{},
                  "a\xE3\x80\x82"
                  "b"),
            (Words{"a", "\xE3\x80\x82", "b"}));
  EXPECT_TRUE(split(BertPreTokenizer{}, " \t\n").empty());
  EXPECT_TRUE(split(BertPreTokenizer{}, "").empty());
}

TEST(Whitespace, WordsAndTheRest) {
  EXPECT_EQ(split(Whitespace{}, "Hey man!?  x_1 \xC3\xA9"), (Words{"Hey", "man", "!?", "x_1", "\xC3\xA9"}));
}

TEST(WhitespaceSplit, OnlySpaces) {
  EXPECT_EQ(split(WhitespaceSplit{}, "Hey, man\xE3\x80\x80Good?"), (Words{"Hey,", "man", "Good?"}));
}

TEST(Punctuation, EveryBehavior) {
  const auto with = [](SplitBehavior b) { return split(Punctuation{b}, "Hey,, man!? a."); };
  EXPECT_EQ(with(SplitBehavior::removed), (Words{"Hey", " man", " a"}));
  EXPECT_EQ(with(SplitBehavior::isolated), (Words{"Hey", ",", ",", " man", "!", "?", " a", "."}));
  EXPECT_EQ(with(SplitBehavior::merged_with_previous), (Words{"Hey,", ",", " man!", "?", " a."}));
  EXPECT_EQ(with(SplitBehavior::merged_with_next), (Words{"Hey", ",", ", man", "!", "? a", "."}));
  EXPECT_EQ(with(SplitBehavior::contiguous), (Words{"Hey", ",,", " man", "!?", " a", "."}));
}

TEST(Punctuation, BehaviorIsSpelledToTheLetter) {
  Punctuation p;
  read_fields(p, parse_json(R"({"behavior": "MergedWithNext"})", "x"), "x");
  EXPECT_EQ(p.behavior, SplitBehavior::merged_with_next);
  EXPECT_EQ(to_json(write_fields(p)), R"({"behavior":"MergedWithNext"})");
  EXPECT_ERROR(
      ErrorCode::corrupt_file,
      "behavior: expected Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous, found \"isolated\"",
      read_fields(p, parse_json(R"({"behavior": "isolated"})", "x"), "x"));
}

TEST(Digits, TogetherOrApart) {
  EXPECT_EQ(split(Digits{false},
                  "ab12 3\xC2\xB2"
                  "c"),
            (Words{"ab", "12", " ", "3\xC2\xB2", "c"}));
  EXPECT_EQ(split(Digits{true}, "a12"), (Words{"a", "1", "2"}));
}

TEST(CharDelimiterSplit, DropsTheDelimiter) {
  EXPECT_EQ(split(CharDelimiterSplit{"-"}, "the-final--countdown"), (Words{"the", "final", "countdown"}));
}

TEST(Split, InvertedOrNot) {
  EXPECT_EQ(split(Split{{"-"}, SplitBehavior::removed, false}, "a-b"), (Words{"a", "b"}));
  EXPECT_EQ(split(Split{{"-"}, SplitBehavior::removed, true}, "a-b-"), (Words{"-", "-"}));
}

TEST(PreTokenizerSequence, EachSplitsWhatTheOneBeforeLeft) {
  const PreTokenizer p{PreTokenizerSequence{{PreTokenizer{WhitespaceSplit{}}, PreTokenizer{Digits{true}}}}};
  EXPECT_EQ(split(p, "a1 b"), (Words{"a", "1", "b"}));
}

}  // namespace
}  // namespace transformers
