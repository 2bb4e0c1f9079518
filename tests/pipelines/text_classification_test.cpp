// Text classification: the typed API, batches, errors, cancellation, progress, loading from memory, config overrides.
#include "transformers/pipelines/text_classification.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <thread>

#include "transformers/base/error.hpp"
#include "transformers/base/model_files.hpp"
#include "transformers/base/parallel.hpp"

namespace transformers {
namespace {

const std::string kModel = std::string(TCPP_TEST_DATA) + "/pipelines/textcls-3";

// Braces mean a batch, a bare string one text: decided at compile time.
static_assert(std::is_same_v<decltype(std::declval<TextClassification>()("a")), std::vector<LabelScore>>);
static_assert(
    std::is_same_v<decltype(std::declval<TextClassification>()({"a", "b"})), std::vector<std::vector<LabelScore>>>);
static_assert(
    std::is_same_v<decltype(std::declval<TextClassification>()({"a"})), std::vector<std::vector<LabelScore>>>);

std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "(no error)";
}

std::vector<std::string> some_texts(std::size_t count) {
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < count; ++i) {
    std::string text = "a";
    for (std::size_t w = 0; w < i * 7 % 11; ++w) text += w % 3 == 0 ? " a" : w % 3 == 1 ? " I" : " .";
    texts.push_back(text);
  }
  return texts;
}

TEST(TextClassification, TopKAndOrder) {
  const auto classify = pipeline<TextClassification>({.model = kModel});
  const auto all = classify("I love this", {.top_k = std::nullopt});
  ASSERT_EQ(all.size(), 3u);
  EXPECT_GE(all[0].score, all[1].score);
  EXPECT_GE(all[1].score, all[2].score);
  EXPECT_NEAR(all[0].score + all[1].score + all[2].score, 1, 1e-6);
  const auto best = classify("I love this");
  ASSERT_EQ(best.size(), 1u);
  EXPECT_EQ(best[0].label, all[0].label);
  EXPECT_TRUE(classify("I love this", {.top_k = 0}).empty());
  EXPECT_EQ(message_of([&] { classify("x", {.top_k = -1}); }), "expected 0 or more, found -1 (top_k)");
}

TEST(TextClassification, BatchesAndThreadsGiveTheBitsOfEachTextAlone) {
  const auto classify = pipeline<TextClassification>({.model = kModel});
  const std::vector<std::string> texts = some_texts(700);  // several packed batches
  const int threads = num_threads();
  for (const int n : {1, 2}) {
    set_num_threads(n);
    const auto together = classify(std::span<const std::string>(texts), {.top_k = std::nullopt});
    ASSERT_EQ(together.size(), texts.size());
    for (std::size_t i = 0; i < texts.size(); i += 13) {
      const auto alone = classify(texts[i], {.top_k = std::nullopt});
      for (std::size_t k = 0; k < alone.size(); ++k) {
        EXPECT_EQ(alone[k].label, together[i][k].label);
        EXPECT_EQ(alone[k].score, together[i][k].score) << texts[i];
      }
    }
  }
  set_num_threads(threads);
}

TEST(TextClassification, ManyThreadsShareOnePipeline) {
  const auto classify = pipeline<TextClassification>({.model = kModel});
  const std::vector<std::string> texts = some_texts(40);
  const auto want = classify(std::span<const std::string>(texts));
  std::atomic<int> differing = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (std::size_t i = 0; i < texts.size(); ++i) {
        if (classify(texts[i])[0].score != want[i][0].score) ++differing;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(differing, 0);
}

TEST(TextClassification, TooLongIsAnErrorUnlessTruncated) {
  const auto classify = pipeline<TextClassification>({.model = kModel});
  std::string text;
  for (int i = 0; i < 200; ++i) text += "a ";
  EXPECT_EQ(message_of([&] { classify(text); }), "202 tokens, model maximum is 48 (pass truncation=true)");
  EXPECT_EQ(message_of([&] {
              classify({"a", text});
            }),
            "202 tokens, model maximum is 48 (pass truncation=true) (input 1)");
  EXPECT_EQ(classify(text, {.truncation = true}).size(), 1u);
}

TEST(TextClassification, UnknownOptionsAndInputsAreNamed) {
  const auto pipe = pipeline("sentiment-analysis", {.model = kModel});
  EXPECT_NE(message_of([&] { pipe->run({"a"}, Value::Object{{"topk", 1}}); }).find("\"topk\""), std::string::npos);
  EXPECT_NE(message_of([&] { pipe->run({"a"}, Value::Object{{"top_k", "x"}}); }).find("top_k"), std::string::npos);
  EXPECT_NE(message_of([&] { pipe->run({Value(3)}); }).find("found integer"), std::string::npos);
  EXPECT_NE(message_of([&] {
              pipe->run({Value::Object{{"text", "a"}, {"pair", "b"}}});
            }).find("\"pair\""),
            std::string::npos);
  EXPECT_TRUE(pipe->run(std::span<const Value>{}).empty());
  EXPECT_NE(message_of([] { pipeline("sentiment"); }).find("text-classification"), std::string::npos);
}

TEST(TextClassification, AnEmptySecondTextIsNone) {
  const auto pipe = pipeline("text-classification", {.model = kModel});
  const Value alone = pipe->run({"a I"}).front();
  EXPECT_EQ(pipe->run({Value::Object{{"text", "a I"}, {"text_pair", ""}}}).front(), alone);
  EXPECT_NE(pipe->run({Value::Object{{"text", "a I"}, {"text_pair", "a"}}}).front(), alone);
}

TEST(TextClassification, CancelAndProgress) {
  const auto classify = pipeline<TextClassification>({.model = kModel});
  const std::vector<std::string> texts = some_texts(5000);
  TextClassification::Options options;
  std::vector<int64_t> seen;
  options.control.on_progress = [&](int64_t done, int64_t total) {
    seen.push_back(done);
    EXPECT_EQ(total, 5000);
    if (seen.size() == 2) options.control.cancel.cancel();
  };
  try {
    classify(std::span<const std::string>(texts), options);
    FAIL() << "not cancelled";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::cancelled);
  }
  EXPECT_EQ(seen.size(), 2u);
  EXPECT_LT(seen[0], seen[1]);
}

TEST(TextClassification, ConfigOverridesNameTheLabels) {
  const auto classify = pipeline<TextClassification>(
      {.model = kModel,
       .load = {.config_overrides = Value::Object{{"id2label", Value::Object{{"0", "a"}, {"1", "b"}, {"2", "c"}}}}}});
  const std::string label = classify("I love this")[0].label;
  EXPECT_TRUE(label == "a" || label == "b" || label == "c") << label;
}

TEST(TextClassification, LoadsFromMemory) {
  std::map<std::string, std::shared_ptr<const MappedFile>, std::less<>> buffers;
  for (const char* name : {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}) {
    buffers[name] = MappedFile::open(std::filesystem::path(kModel) / name);
  }
  PipelineOptions options;
  options.files = ModelFiles::from_memory(std::move(buffers));
  const auto from_memory = pipeline<TextClassification>(options);
  const auto from_directory = pipeline<TextClassification>({.model = kModel});
  EXPECT_EQ(from_memory("I love this")[0].score, from_directory("I love this")[0].score);
}

TEST(TextClassification, MissingModelsAreNamed) {
  EXPECT_NE(message_of([] { pipeline<TextClassification>({.model = "no-such-model"}); }).find("no-such-model"),
            std::string::npos);
  // A base model's directory has no classifier.
  EXPECT_NE(message_of([] {
              pipeline<TextClassification>({.model = std::string(TCPP_TEST_DATA) + "/pipelines/features-bert"});
            }).find("\"classifier.weight\""),
            std::string::npos);
}

}  // namespace
}  // namespace transformers
