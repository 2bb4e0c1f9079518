// Zero-shot classification: the typed API, batches, templates, and wrong options. Answers are compared with Hugging
// Face's in pipelines_reference_test.cpp.
#include "transformers/pipelines/zero_shot_classification.hpp"

#include <gtest/gtest.h>

#include "support.hpp"

namespace transformers {
namespace {

const std::string kModel = std::string(TCPP_TEST_DATA) + "/pipelines/zero-shot-bert";

TEST(ZeroShotClassification, BatchesGiveTheAnswersOfEachTextAlone) {
  const ZeroShotClassification classify({.model = kModel});
  const ZeroShotClassification::Options options{.candidate_labels = {"politics", "public health", "a"}};
  std::vector<std::string> texts;
  for (std::size_t i = 1; i < 200; ++i) texts.push_back("Who are you voting for, then?" + std::string(i % 9, 'a'));
  const auto together = classify(texts, options);
  for (std::size_t i = 0; i < texts.size(); i += 17) {
    const LabelScores alone = classify(texts[i], options);
    EXPECT_EQ(alone.labels, together[i].labels);
    EXPECT_EQ(alone.scores, together[i].scores);
    EXPECT_EQ(alone.sequence, texts[i]);
    EXPECT_NEAR(alone.scores[0] + alone.scores[1] + alone.scores[2], 1, 1e-6);
  }
}

TEST(ZeroShotClassification, LabelsBetweenCommasAreAList) {
  const ZeroShotClassification classify({.model = kModel});
  const auto run = [&](Value labels) {
    return classify.run({"Who are you?"}, Value::Object{{"candidate_labels", std::move(labels)}})[0];
  };
  EXPECT_EQ(run(" politics,, public health "), run(Value::Array{"politics", "public health"}));
  EXPECT_NE(run(Value::Array{"a,b", "c"}), run("a,b,c"));
}

TEST(ZeroShotClassification, WrongOptionsAreNamed) {
  const ZeroShotClassification classify({.model = kModel});
  const auto with = [&](const std::string& hypothesis) {
    return classify("a", {.candidate_labels = {"b"}, .hypothesis_template = hypothesis});
  };
  EXPECT_ERROR(ErrorCode::invalid_argument, "at least one label is needed (candidate_labels)", classify("a", {}));
  EXPECT_ERROR(ErrorCode::invalid_argument, "must not be empty (input)", classify("", {.candidate_labels = {"b"}}));
  EXPECT_ERROR(ErrorCode::invalid_argument,
               "expected {} where the label should stand, found \"none\" (hypothesis_template)", with("none"));
  for (const char* text : {"{", "}", "{} {}", "{1}", "{0} {}", "{x}", "{:>9}"}) {
    EXPECT_EQ(test::error_of([&] { with(text); }).code(), ErrorCode::invalid_argument) << text;
  }
  EXPECT_EQ(with("{{{}}}").labels.size(), 1u);
  const std::string unknown = test::error_of([&] { classify.run({"a"}, Value::Object{{"labels", "b"}}); }).what();
  for (const char* name : {"\"labels\"", "candidate_labels", "hypothesis_template", "multi_label"}) {
    EXPECT_NE(unknown.find(name), std::string::npos) << unknown;
  }
}

}  // namespace
}  // namespace transformers
