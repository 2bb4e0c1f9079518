// The bundled sentence encoder: as floats, Hugging Face's embeddings of the same numbers; in its integers, close to
// them.
#include <gtest/gtest.h>

#include <sstream>

#include "transformers/base/platform.hpp"
#include "transformers/pipelines/feature_extraction.hpp"

namespace transformers {
namespace {

TEST(EmbeddingEnReference, EmbedsAsHuggingFace) {
  const std::string model = std::string(TCPP_MODELS_DIR) + "/embedding-en";
  const auto floats = pipeline<FeatureExtraction>({.model = model, .load = {.dtype = WeightType::fp32}});
  const auto integers = pipeline<FeatureExtraction>();  // the task's own
  std::istringstream in(read_file(std::string(TCPP_TEST_DATA) + "/embedding-en/sentences.jsonl"));
  int texts = 0;
  for (std::string line; std::getline(in, line); ++texts) {
    const Value row = parse_json(line, "sentences.jsonl");
    const std::string text(row.at("text").as_string());
    const auto& want = row.at("embedding").as_array();
    const std::vector<float> found = floats.embed(text), rounded = integers.embed(text);
    ASSERT_EQ(found.size(), want.size());
    ASSERT_EQ(rounded.size(), want.size());
    double cosine = 0.0;
    for (std::size_t i = 0; i < want.size(); ++i) {
      EXPECT_NEAR(found[i], want[i].as_number(), 1e-5) << text << " [" << i << "]";
      cosine += rounded[i] * want[i].as_number();
    }
    EXPECT_GT(cosine, 0.998) << text;
  }
  EXPECT_EQ(texts, 6);
}

}  // namespace
}  // namespace transformers
