// Token classification: the typed API, words, windows, and wrong options. Answers are compared with Hugging Face's in
// pipelines_reference_test.cpp.
#include "transformers/pipelines/token_classification.hpp"

#include <gtest/gtest.h>

#include "support.hpp"

namespace transformers {
namespace {

const std::string kModel = std::string(TCPP_TEST_DATA) + "/pipelines/ner-bert";
const std::string kLong =
    "Sarah Connor lives in Los Angeles and trained a small model on her laptop for thirty seven hours.";

std::vector<std::string> spans(const std::vector<TokenEntity>& entities) {
  std::vector<std::string> out;
  for (const TokenEntity& e : entities) {
    out.push_back(e.entity + " " + e.word + " " + std::to_string(e.start) + "-" + std::to_string(e.end));
  }
  return out;
}

TEST(TokenClassification, TypedAnswersAreThoseOfRun) {
  const TokenClassification tag({.model = kModel});
  const TokenClassification::Options simple{.aggregation_strategy = AggregationStrategy::simple, .ignore_labels = {}};
  const std::vector<TokenEntity> entities = tag("Sarah lives in Paris", simple);
  const Value answer = tag.run({"Sarah lives in Paris"},
                               Value::Object{{"aggregation_strategy", "simple"}, {"ignore_labels", Value::Array{}}})[0];
  ASSERT_FALSE(entities.empty());
  ASSERT_EQ(entities.size(), answer.as_array().size());
  for (std::size_t i = 0; i < entities.size(); ++i) {
    const Value& item = answer.as_array()[i];
    EXPECT_EQ(item.at("entity_group").as_string(), entities[i].entity);
    EXPECT_EQ(item.at("start").as_integer(), entities[i].start);
    EXPECT_FALSE(entities[i].index);
  }
  EXPECT_TRUE(tag("").empty());
  const auto tokens = tag({"a", "b c"}, {.ignore_labels = {}});
  ASSERT_EQ(tokens.size(), 2u);
  EXPECT_EQ(tokens[0].at(0).index, 1);
  EXPECT_TRUE(tag.run(std::span<const Value>{}).empty());
}

TEST(TokenClassification, BatchesGiveTheAnswersOfEachTextAlone) {
  const TokenClassification tag({.model = kModel});
  const TokenClassification::Options options{
      .aggregation_strategy = AggregationStrategy::max, .ignore_labels = {}, .stride = 3};
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < 60; ++i) texts.push_back(kLong.substr(i % 7, i * 5 % 97));
  const auto together = tag(texts, options);
  for (std::size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(spans(tag(texts[i], options)), spans(together[i]));
}

TEST(TokenClassification, WordsAreListsJsonOrCutAtTheDelimiter) {
  const TokenClassification tag({.model = kModel});
  const std::vector<std::vector<std::string>> sentences{{"Sarah", "lives", "in", "Los Angeles"}};
  const auto typed = tag(std::span<const std::vector<std::string>>(sentences), {.ignore_labels = {}, .delimiter = "_"});
  const auto run = [&](const Value& input) {
    return tag.run({input},
                   Value::Object{{"is_split_into_words", true}, {"delimiter", "_"}, {"ignore_labels", Value::Array{}}});
  };
  const Value list = run(Value::Array{"Sarah", "lives", "in", "Los Angeles"})[0];
  EXPECT_EQ(run("Sarah_lives_in_Los Angeles")[0], list);
  EXPECT_EQ(run("[\"Sarah\", \"lives\", \"in\", \"Los Angeles\"]")[0], list);
  EXPECT_EQ(list.as_array().back().at("end").as_integer(), 26);
  EXPECT_EQ(typed[0].back().end, 26);
}

TEST(TokenClassification, ProgressCountsTextsNotWindows) {
  const TokenClassification tag({.model = kModel});
  TokenClassification::Options options{.aggregation_strategy = AggregationStrategy::simple, .stride = 20};
  std::vector<int64_t> seen;
  options.control.on_progress = [&](int64_t done, int64_t total) {
    seen.push_back(done);
    EXPECT_EQ(total, 400);
  };
  tag(std::vector<std::string>(400, kLong), options);
  EXPECT_GT(seen.size(), 2u);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  EXPECT_EQ(seen.back(), 400);
}

TEST(TokenClassification, WrongOptionsAreNamed) {
  const TokenClassification tag({.model = kModel});
  EXPECT_ERROR(ErrorCode::invalid_argument, "must not be negative (stride)", tag("a", {.stride = -1}));
  EXPECT_ERROR(ErrorCode::invalid_argument, "expected less than the 24 tokens of a window, found 24 (stride)",
               tag("a", {.stride = 24}));
  EXPECT_ERROR(ErrorCode::invalid_argument, "windows need another aggregation_strategy than none (stride)",
               tag.run({"a"}, Value::Object{{"stride", 2}, {"aggregation_strategy", "none"}}));
  EXPECT_ERROR(ErrorCode::invalid_argument,
               "expected a text, found an array (for words pass is_split_into_words) (input)",
               tag.run({Value::Array{"a"}}));
  const std::string unknown = test::error_of([&] { tag.run({"a"}, Value::Object{{"grouped_entities", true}}); }).what();
  for (const char* name : {"grouped_entities", "aggregation_strategy", "ignore_labels", "stride", "delimiter"}) {
    EXPECT_NE(unknown.find(name), std::string::npos) << unknown;
  }
}

}  // namespace
}  // namespace transformers
