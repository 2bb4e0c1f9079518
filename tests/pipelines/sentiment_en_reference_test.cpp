// The bundled model on SST-2's validation set: with its integers as floats, which Hugging Face was given, Hugging
// Face's label on every sentence and its score within 1e-5; as it is stored, the accuracy that the model card tells.
#include <gtest/gtest.h>

#include <sstream>

#include "transformers/base/platform.hpp"
#include "transformers/pipelines/text_classification.hpp"

namespace transformers {
namespace {

std::vector<std::string> lines_of(const std::string& name) {
  std::istringstream in(read_file(std::string(TCPP_TEST_DATA) + "/sentiment-en/" + name));
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

TEST(SentimentEnReference, AnswersAsHuggingFace) {
  const std::string model = std::string(TCPP_MODELS_DIR) + "/sentiment-en";
  const auto as_floats = pipeline<TextClassification>({.model = model, .load = {.dtype = WeightType::fp32}});
  const auto as_stored = pipeline<TextClassification>({.model = model});
  const std::vector<std::string> rows = lines_of("sst2-validation.jsonl"),
                                 gold = lines_of("sst2-validation-labels.txt");
  ASSERT_EQ(rows.size(), 872u);
  ASSERT_EQ(gold.size(), 872u);
  std::vector<Value> want;
  std::vector<std::string> texts;
  for (const std::string& row : rows) {
    want.push_back(parse_json(row, "sst2-validation.jsonl"));
    texts.push_back(want.back().at("text").as_string());
  }
  const auto answers = as_floats(std::span<const std::string>(texts));
  const auto rounded = as_stored(std::span<const std::string>(texts));
  int right = 0;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(answers[i][0].label, want[i].at("label").as_string()) << texts[i];
    EXPECT_NEAR(answers[i][0].score, want[i].at("score").as_number(), 1e-5) << texts[i];
    right += rounded[i][0].label == (gold[i] == "1" ? "POSITIVE" : "NEGATIVE");
  }
  EXPECT_GE(right / 872.0, 0.90);
}

}  // namespace
}  // namespace transformers
