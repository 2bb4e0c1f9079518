// Sentence similarity: the typed API, functions, and wrong inputs. Answers are compared with sentence-transformers' in
// pipelines_reference_test.cpp.
#include "transformers/pipelines/sentence_similarity.hpp"

#include <gtest/gtest.h>

#include "support.hpp"

namespace transformers {
namespace {

const std::string kModel = std::string(TCPP_TEST_DATA) + "/pipelines/similarity-dot";

TEST(SentenceSimilarity, ComparesEmbeddings) {
  const SentenceSimilarity similarity({.model = kModel});
  const FeatureExtraction extract({.model = kModel});
  const auto a = extract.embed("hello world"), b = extract.embed("the world");
  float dot = 0;
  for (std::size_t i = 0; i < a.size(); ++i) dot += a[i] * b[i];
  const auto scores = similarity("hello world", {"the world", "hello world"});  // dot, as the model's file says
  ASSERT_EQ(scores.size(), 2u);
  EXPECT_NEAR(scores[0], dot, 1e-4);
  EXPECT_NEAR(similarity("a", {"a"}, {.similarity_fn_name = SimilarityFunction::cosine})[0], 1, 1e-6);
  EXPECT_NEAR(similarity("a", {"a"}, {.similarity_fn_name = SimilarityFunction::euclidean})[0], 0, 1e-6);
  EXPECT_TRUE(similarity("a", std::vector<std::string>{}).empty());
  EXPECT_TRUE(similarity.run(std::span<const Value>{}).empty());
}

TEST(SentenceSimilarity, WrongInputsAndOptionsAreNamed) {
  const SentenceSimilarity similarity({.model = kModel});
  EXPECT_ERROR(ErrorCode::invalid_argument,
               "expected an object {\"source_sentence\", \"sentences\"}, found string (input)", similarity.run({"a"}));
  const auto message = [&](Value input, Value options = {}) {
    return std::string(test::error_of([&] { similarity.run({std::move(input)}, options); }).what());
  };
  EXPECT_NE(message(Value::Object{{"source_sentence", "a"}}).find("sentences"), std::string::npos);
  EXPECT_NE(message(Value::Object{{"source", "a"}, {"sentences", "b"}}).find("\"source\""), std::string::npos);
  EXPECT_NE(message(Value::Object{{"source_sentence", "a"}, {"sentences", "b"}}, Value::Object{{"function", "dot"}})
                .find("similarity_fn_name"),
            std::string::npos);
}

}  // namespace
}  // namespace transformers
