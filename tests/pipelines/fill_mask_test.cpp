// Mask filling: the typed API, batches, targets, and wrong options. Answers are compared with Hugging Face's in
// pipelines_reference_test.cpp.
#include "transformers/pipelines/fill_mask.hpp"

#include <gtest/gtest.h>

#include "support.hpp"

namespace transformers {
namespace {

const std::string kModel = std::string(TCPP_TEST_DATA) + "/pipelines/mask-bert";

TEST(FillMask, OneListForEachMask) {
  const FillMask fill({.model = kModel});
  const auto masks = fill("[MASK] world, the [MASK] one", {.top_k = 3});
  ASSERT_EQ(masks.size(), 2u);
  for (const auto& fills : masks) {
    ASSERT_EQ(fills.size(), 3u);
    EXPECT_GE(fills[0].score, fills[1].score);
    EXPECT_NE(fills[0].sequence.find("[MASK]"), std::string::npos);  // the other one stays
  }
  EXPECT_EQ(fill("a [MASK]")[0].size(), 5u);
  EXPECT_EQ(fill("a [MASK]", {.top_k = std::nullopt})[0].size(), 5u);
  EXPECT_TRUE(fill.run(std::span<const Value>{}).empty());
}

TEST(FillMask, BatchesGiveTheAnswersOfEachTextAlone) {
  const FillMask fill({.model = kModel});
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < 300; ++i) {
    std::string text;
    for (std::size_t w = 0; w < 1 + i * 7 % 13; ++w) text += (w + i) % 3 == 0 ? "[MASK] " : "the world ";
    texts.push_back(text + "[MASK]");
  }
  const auto together = fill(texts);
  for (std::size_t i = 0; i < texts.size(); i += 11) {
    const auto alone = fill(texts[i]);
    ASSERT_EQ(alone.size(), together[i].size());
    for (std::size_t m = 0; m < alone.size(); ++m) {
      EXPECT_EQ(alone[m][0].token, together[i][m][0].token);
      EXPECT_EQ(alone[m][0].score, together[i][m][0].score);
    }
  }
}

TEST(FillMask, TargetsKeepTheirProbability) {
  const FillMask fill({.model = kModel});
  const auto all = fill("a [MASK]", {.top_k = fill.model().vocab_size()})[0];
  const auto some = fill("a [MASK]", {.targets = std::vector<std::string>{"a", "the", "a"}})[0];
  ASSERT_EQ(some.size(), 2u);
  for (const MaskFill& chosen : some) {
    const auto same = std::find_if(all.begin(), all.end(), [&](const MaskFill& f) { return f.token == chosen.token; });
    ASSERT_NE(same, all.end());
    EXPECT_EQ(same->score, chosen.score);
  }
}

TEST(FillMask, WrongInputsAndOptionsAreNamed) {
  const FillMask fill({.model = kModel});
  EXPECT_ERROR(ErrorCode::invalid_argument, "no mask token ([MASK]) (input)", fill("a"));
  EXPECT_ERROR(ErrorCode::invalid_argument, "no mask token ([MASK]) (input 1)", fill({"[MASK]", "a"}));
  EXPECT_ERROR(ErrorCode::invalid_argument, "at least one token is needed (targets)",
               fill("[MASK]", {.targets = std::vector<std::string>{}}));
  EXPECT_NE(std::string(test::error_of([&] { fill("[MASK]", {.top_k = -1}); }).what()).find("(top_k)"),
            std::string::npos);
  EXPECT_NE(std::string(test::error_of([&] {
                          fill.run({"[MASK]"}, Value::Object{{"tokenizer_kwargs", Value::Object{{"padding", true}}}});
                        }).what())
                .find("padding"),
            std::string::npos);
  const std::string unknown = test::error_of([&] { fill.run({"[MASK]"}, Value::Object{{"topk", 2}}); }).what();
  for (const char* name : {"topk", "top_k", "targets", "tokenizer_kwargs"}) {
    EXPECT_NE(unknown.find(name), std::string::npos) << unknown;
  }
}

}  // namespace
}  // namespace transformers
