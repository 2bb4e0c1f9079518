// Pipelines against what Hugging Face's pipeline() and sentence-transformers returned: each
// tests/data/pipelines/<case>/ is a model directory with calls.json (made by tests/reference/make_pipelines.py and
// make_task_pipelines.py), or a calls.json that names a bundled model (models/recipes/make_reference.py).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "transformers/base/error.hpp"
#include "transformers/base/platform.hpp"
#include "transformers/pipelines/feature_extraction.hpp"
#include "transformers/pipelines/text_classification.hpp"

namespace transformers {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> case_directories() {
  std::vector<fs::path> out;
  for (const auto& entry : fs::directory_iterator(fs::path(TCPP_TEST_DATA) / "pipelines")) {
    if (fs::exists(entry.path() / "calls.json")) out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

// Same type, strings, field names and order; numbers within `tolerance`.
void expect_same(const Value& got, const Value& want, double tolerance, const std::string& path) {
  if (want.is_number()) {
    ASSERT_TRUE(got.is_number()) << path;
    EXPECT_NEAR(got.as_number(), want.as_number(), tolerance) << path;
  } else if (want.is_array()) {
    ASSERT_TRUE(got.is_array()) << path;
    ASSERT_EQ(got.as_array().size(), want.as_array().size()) << path;
    for (std::size_t i = 0; i < want.as_array().size(); ++i) {
      expect_same(got.as_array()[i], want.as_array()[i], tolerance, path + "[" + std::to_string(i) + "]");
    }
  } else if (want.is_object()) {
    ASSERT_TRUE(got.is_object()) << path;
    ASSERT_EQ(got.as_object().size(), want.as_object().size()) << path;
    for (std::size_t i = 0; i < want.as_object().size(); ++i) {
      ASSERT_EQ(got.as_object()[i].first, want.as_object()[i].first) << path;
      expect_same(got.as_object()[i].second, want.as_object()[i].second, tolerance,
                  path + "." + want.as_object()[i].first);
    }
  } else {
    EXPECT_EQ(got, want) << path;
  }
}

// Hugging Face's keyword arguments under our names; false where a call uses one that is left out on purpose.
bool translate(const Value& options, Value& out) {
  out = Value::Object{};
  for (const auto& [name, value] : options.as_object()) {
    if (name == "batch_size") continue;  // batches are packed: nothing to choose
    if (name == "tokenize_kwargs") {
      for (const auto& [inner, v] : value.as_object()) {
        if (inner == "add_special_tokens") return false;
        out.set(inner, v);
      }
    } else {
      out.set(name, value);
    }
  }
  return true;
}

class PipelinesReference : public ::testing::TestWithParam<fs::path> {};

TEST_P(PipelinesReference, EveryCall) {
  const Value file = parse_json(read_file(GetParam() / "calls.json"), "calls.json");
  const std::string& task = file.at("task").as_string();
  const double tolerance = file.at("tolerance").at("score").as_number();
  const bool sentences = task == "sentence-embeddings";
  PipelineOptions of{.model = GetParam().string()};
  if (const Value* bundled = file.find("model"); bundled != nullptr) {
    // Hugging Face was given the floats that the bundled model's integers stand for.
    of = {.model = std::string(TCPP_MODELS_DIR) + "/" + bundled->as_string(), .load = {.dtype = WeightType::fp32}};
  }
  const auto pipe = pipeline(sentences ? "feature-extraction" : task, of);
  int compared = 0;
  for (const Value& call : file.at("calls").as_array()) {
    SCOPED_TRACE(to_json(call.at("input")).substr(0, 100) + " " + to_json(call.at("options")));
    Value options;
    if (!translate(call.at("options"), options)) continue;
    const Value& input = call.at("input");
    std::vector<Value> inputs{input};
    const bool words = options.find("is_split_into_words") != nullptr && input.is_array() &&
                       !input.as_array().front().is_array();  // one sentence
    const bool chat = task == "text-generation" && input.is_array() && input.as_array().front().is_object();
    const bool list = input.is_array() && !chat;
    if (list && !words) inputs = input.as_array();
    if (sentences) {
      const Value* normalize = options.find("normalize_embeddings");
      options = Value::Object{{"pooling", "automatic"}, {"truncation", true}};
      if (normalize != nullptr) options.set("normalize", true);
    }
    if (call.find("error") != nullptr) {
      EXPECT_THROW(pipe->run(inputs, options), Error);
      continue;
    }
    std::vector<Value> answers = pipe->run(inputs, options);
    Value got;
    if (sentences) {  // ours keeps a batch dimension of 1
      for (Value& answer : answers) answer = answer.as_array().front();
      got = list ? Value(answers) : answers.front();
    } else if (list) {
      got = Value(answers);
    } else {
      // One text: Hugging Face gives text classification's bare result in a list.
      // Of several questions, or one of several answers, what it gives is what run() gives.
      const bool bare = answers.front().is_object() && call.at("want").is_array();
      got = bare ? Value(answers) : answers.front();
    }
    expect_same(got, call.at("want"), tolerance, "answer");
    ++compared;
  }
  EXPECT_GE(compared, 7);
}

INSTANTIATE_TEST_SUITE_P(Cases, PipelinesReference, ::testing::ValuesIn(case_directories()), [](const auto& param) {
  std::string name = param.param.filename().string();
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace transformers
