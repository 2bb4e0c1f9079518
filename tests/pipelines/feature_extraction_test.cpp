// Feature extraction: shapes, pooling options, and modules.json as hostile input. Answers are compared with Hugging
// Face's in pipelines_reference_test.cpp.
#include "transformers/pipelines/feature_extraction.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "support.hpp"

namespace transformers {
namespace {

const std::filesystem::path kModel = std::filesystem::path(TCPP_TEST_DATA) / "pipelines" / "sentences-mean-normalize";

TEST(FeatureExtraction, Shapes) {
  const auto extract = pipeline<FeatureExtraction>({.model = kModel.string()});
  const Features tokens = extract("hello world");
  EXPECT_GT(tokens.rows, 2);
  EXPECT_EQ(static_cast<int64_t>(tokens.values.size()), tokens.rows * tokens.width);
  const Features pooled = extract("hello world", {.pooling = Pooling::max});
  EXPECT_EQ(pooled.rows, 1);
  EXPECT_EQ(pooled.width, tokens.width);
  EXPECT_EQ(extract.embed("hello world"), extract("hello world", {.pooling = Pooling::automatic}).values);
}

// modules.json names a folder: it must not lead out of the model's directory.
TEST(FeatureExtraction, ModulesCannotLeaveTheDirectory) {
  for (const std::string path : {"../elsewhere", "/etc", "link"}) {
    const test::TemporaryDirectory outside, model;
    outside.write("config.json", "{\"pooling_mode\": \"mean\"}");
    for (const char* name : {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}) {
      std::filesystem::copy(kModel / name, model / name);
    }
    std::filesystem::create_directory_symlink(outside.path(), model / "link");
    model.write("modules.json", "[{\"type\": \"x.Pooling\", \"path\": \"" + path + "\"}]");
    EXPECT_EQ(test::error_of([&] { FeatureExtraction extract({.model = model.string()}); }).code(), ErrorCode::security)
        << path;
  }
}

}  // namespace
}  // namespace transformers
