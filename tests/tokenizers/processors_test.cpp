// What it is: special tokens, type ids and overflowing parts of each post-processor.
// Where it stands: tests of tokenizers; the expectations are the `tokenizers` package's.
#include "transformers/tokenizers/processors.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support.hpp"
#include "transformers/base/value.hpp"

namespace transformers {
namespace {

using Ids = std::vector<int32_t>;

Encoding encoding(const Ids& ids, int32_t type_id) {
  Encoding e;
  e.ids = ids;
  e.type_ids.assign(ids.size(), type_id);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    e.tokens.push_back("t" + std::to_string(ids[i]));
    e.offsets.emplace_back(static_cast<int32_t>(3 * i), static_cast<int32_t>(3 * i + 2));
    e.word_ids.push_back(static_cast<int32_t>(i));
  }
  e.special_tokens_mask.assign(ids.size(), 0);
  e.attention_mask.assign(ids.size(), 1);
  e.sequence_ids.assign(ids.size(), type_id);
  return e;
}

template <class P>
Encoding process(const P& processor, bool add_special_tokens, const Ids& a, const Ids* b = nullptr) {
  std::vector<Encoding> parts{encoding(a, 0)};
  if (b) parts.push_back(encoding(*b, 1));
  return merge(processor.process(std::move(parts), add_special_tokens));
}

const Ids kA{10, 11}, kB{20};

TEST(BertProcessing, OneAndTwoTexts) {
  const BertProcessing p{{"[SEP]", 2}, {"[CLS]", 1}};
  const Encoding one = process(p, true, kA);
  EXPECT_EQ(one.ids, (Ids{1, 10, 11, 2}));
  EXPECT_EQ(one.word_ids, (Ids{-1, 0, 1, -1}));
  EXPECT_EQ(one.sequence_ids, (Ids{-1, 0, 0, -1}));
  EXPECT_EQ(one.special_tokens_mask, (std::vector<uint8_t>{1, 0, 0, 1}));
  const Encoding two = process(p, true, kA, &kB);
  EXPECT_EQ(two.ids, (Ids{1, 10, 11, 2, 20, 2}));
  EXPECT_EQ(two.type_ids, (Ids{0, 0, 0, 0, 1, 1}));
  EXPECT_EQ(two.sequence_ids, (Ids{-1, 0, 0, -1, 1, -1}));
  EXPECT_EQ(process(p, false, kA, &kB).ids, (Ids{10, 11, 20}));
  EXPECT_EQ(p.added_tokens(false), 2);
  EXPECT_EQ(p.added_tokens(true), 3);
}

TEST(RobertaProcessing, TypeIdsAreZeroThroughout) {
  const RobertaProcessing p{{"</s>", 2}, {"<s>", 0}, false, false};
  const Encoding two = process(p, true, kA, &kB);
  EXPECT_EQ(two.ids, (Ids{0, 10, 11, 2, 2, 20, 2}));
  EXPECT_EQ(two.type_ids, (Ids{0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(two.sequence_ids, (Ids{-1, 0, 0, -1, -1, 1, -1}));
  EXPECT_EQ(process(p, false, kA, &kB).type_ids, (Ids{0, 0, 0}));
  EXPECT_EQ(p.added_tokens(true), 4);
}

// Without special tokens the crate leaves what overflows as it was.
TEST(RobertaProcessing, TypeIdsOfOverflowingParts) {
  const RobertaProcessing p{{"</s>", 2}, {"<s>", 0}, false, false};
  for (const bool add_special_tokens : {true, false}) {
    std::vector<Encoding> parts{encoding(kA, 0), encoding(kB, 1)};
    parts[1].overflowing.push_back(encoding({30}, 1));
    const Encoding e = merge(p.process(std::move(parts), add_special_tokens));
    ASSERT_EQ(e.overflowing.size(), 1u);
    EXPECT_EQ(e.overflowing[0].type_ids, add_special_tokens ? Ids(7, 0) : (Ids{0, 0, 1}));
  }
}

TEST(RobertaProcessing, TrimsSpacesFromOffsets) {
  const auto trimmed = [](std::string token, int32_t begin, int32_t end, bool add_prefix_space) {
    Encoding e = encoding({1, 2}, 0);
    e.tokens[1] = std::move(token);
    e.offsets[1] = {begin, end};
    const RobertaProcessing p{{"</s>", 2}, {"<s>", 0}, true, add_prefix_space};
    std::vector<Encoding> parts;
    parts.push_back(e);
    return p.process(std::move(parts), false)[0].offsets[1];
  };
  using Offsets = std::pair<int32_t, int32_t>;
  EXPECT_EQ(trimmed(" x", 4, 6, true), (Offsets{5, 6}));
  EXPECT_EQ(trimmed("\xC4\xA0x ", 4, 7, true), (Offsets{5, 6}));  // the byte-level space
  EXPECT_EQ(trimmed("   ", 4, 7, true), (Offsets{7, 7}));
  EXPECT_EQ(trimmed(" x", 0, 2, true), (Offsets{0, 2}));  // the space that add_prefix_space put there
  EXPECT_EQ(trimmed(" x", 0, 2, false), (Offsets{1, 2}));
  EXPECT_EQ(trimmed("  x", 0, 3, true), (Offsets{2, 3}));
}

TemplateProcessing read_template(const char* json) {
  TemplateProcessing t;
  read_fields(t, parse_json(json, "t"), "t");
  return t;
}

constexpr const char* kOddTemplate = R"({
  "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
  "pair": [{"Sequence": {"id": "B", "type_id": 3}}, {"SpecialToken": {"id": "[SEP]", "type_id": 2}}, {"Sequence": {"id": "A", "type_id": 1}}],
  "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [1, 9], "tokens": ["[CLS]", "[X]"]}, "[SEP]": {"id": "[SEP]", "ids": [2], "tokens": ["[SEP]"]}}})";

TEST(TemplateProcessing, AnyOrderAndTokensOfSeveralIds) {
  const TemplateProcessing t = read_template(kOddTemplate);
  const Encoding one = process(t, true, kA);
  EXPECT_EQ(one.ids, (Ids{1, 9, 10, 11}));
  EXPECT_EQ(one.tokens, (std::vector<std::string>{"[CLS]", "[X]", "t10", "t11"}));
  const Encoding two = process(t, true, kA, &kB);
  EXPECT_EQ(two.ids, (Ids{20, 2, 10, 11}));
  EXPECT_EQ(two.type_ids, (Ids{3, 2, 1, 1}));
  EXPECT_EQ(two.sequence_ids, (Ids{1, -1, 0, 0}));
  EXPECT_EQ(process(t, false, kA, &kB).type_ids, (Ids{3, 1, 1}));
  EXPECT_EQ(t.added_tokens(false), 2);
  EXPECT_EQ(t.added_tokens(true), 1);
}

TEST(TemplateProcessing, OverflowingPartsKeepTheirTypeIds) {
  const TemplateProcessing t = read_template(kOddTemplate);
  std::vector<Encoding> parts{encoding(kA, 0), encoding(kB, 1)};
  parts[1].overflowing.push_back(encoding({30}, 1));
  const Encoding e = merge(t.process(std::move(parts), true));
  EXPECT_EQ(e.type_ids, (Ids{3, 2, 1, 1}));
  ASSERT_EQ(e.overflowing.size(), 1u);
  EXPECT_EQ(e.overflowing[0].ids, (Ids{30, 2, 10, 11}));
  EXPECT_EQ(e.overflowing[0].type_ids, (Ids{1, 2, 1, 1}));
}

TEST(TemplateProcessing, ATextThatComesTwiceIsItselfTheLastTime) {
  TemplateProcessing t;
  t.single = {{0, "", 3}, {0, "", 4}};
  const Encoding e = process(t, true, kA);
  EXPECT_EQ(e.ids, (Ids{10, 11, 10, 11}));
  EXPECT_EQ(e.type_ids, (Ids{3, 3, 4, 4}));
  EXPECT_EQ(e.sequence_ids, (Ids{-1, -1, 0, 0}));
}

TEST(TemplateProcessing, RoundTrip) {
  const TemplateProcessing t = read_template(kOddTemplate);
  TemplateProcessing again;
  read_fields(again, write_fields(t), "again");
  EXPECT_EQ(process(again, true, kA, &kB), process(t, true, kA, &kB));
}

TEST(TemplateProcessing, RefusesContradictions) {
  EXPECT_ERROR(ErrorCode::corrupt_file, "single: the template for one text uses the second text",
               read_template(R"({"single": [{"Sequence": {"id": "B", "type_id": 0}}]})"));
  EXPECT_ERROR(ErrorCode::corrupt_file, "pair: the template for two texts must use both",
               read_template(R"({"pair": [{"Sequence": {"id": "A", "type_id": 0}}]})"));
  EXPECT_ERROR(ErrorCode::corrupt_file,
               "the template uses the special token \"[X]\", which special_tokens does not have",
               read_template(R"({"single": [{"SpecialToken": {"id": "[X]", "type_id": 0}}]})"));
  EXPECT_ERROR(ErrorCode::corrupt_file, "special_tokens[\"x\"]: expected `ids` and `tokens` of the same length",
               read_template(R"({"special_tokens": {"x": {"ids": [1], "tokens": []}}})"));
  EXPECT_ERROR(ErrorCode::corrupt_file, "the id of a special token: expected an integer from 0 to 2147483647, found -1",
               read_template(R"({"special_tokens": {"x": {"ids": [-1], "tokens": ["x"]}}})"));
  EXPECT_ERROR(ErrorCode::corrupt_file, "single[0]: the sequence is A or B, not \"C\"",
               read_template(R"({"single": [{"Sequence": {"id": "C", "type_id": 0}}]})"));
}

TEST(Merge, CombinesOverflowingParts) {
  // a with a1, a2; b with b1: every combination but (a, b) itself, in HF's order.
  Encoding a = encoding({1}, 0), b = encoding({5}, 1);
  a.overflowing = {encoding({2}, 0), encoding({3}, 0)};
  b.overflowing = {encoding({6}, 1)};
  const Encoding all = merge({a, b});
  EXPECT_EQ(all.ids, (Ids{1, 5}));
  std::vector<Ids> parts;
  for (const Encoding& o : all.overflowing) parts.push_back(o.ids);
  EXPECT_EQ(parts, (std::vector<Ids>{{2, 5}, {2, 6}, {3, 5}, {3, 6}, {1, 6}}));
}

TEST(PostProcessorSequence, CountsAndRunsAll) {
  const PostProcessor p{PostProcessorSequence{
      {PostProcessor{BertProcessing{{"[SEP]", 2}, {"[CLS]", 1}}}, PostProcessor{read_template(kOddTemplate)}}}};
  EXPECT_EQ(p.added_tokens(false), 4);
  EXPECT_EQ(process(p, true, kA).ids, (Ids{1, 9, 1, 10, 11, 2}));
}

}  // namespace
}  // namespace transformers
