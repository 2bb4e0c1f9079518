// Tests an argmax loop over the cached forward against what Hugging Face says: 20 prompts, 200 tokens each, of a real
// model that is too large to be here. TCPP_GREEDY_MODEL names it, a GGUF file or a directory exported from it:
//   TCPP_GREEDY_MODEL=SmolLM2-135M-Instruct.Q4_1.gguf build/bin/test_models --gtest_filter='SlowGreedy*'
// The expected tokens: tests/reference/make_greedy.py.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "transformers/base/platform.hpp"
#include "transformers/models/pretrained_model.hpp"
#include "transformers/nn/cache.hpp"

namespace transformers {
namespace {

std::vector<int64_t> integers(const Value& list) {
  std::vector<int64_t> out;
  for (const Value& v : list.as_array()) out.push_back(v.as_integer());
  return out;
}

std::vector<int64_t> continuation(const PretrainedModel& model, const std::vector<int64_t>& prompt, std::size_t count) {
  std::vector<int64_t> tokens, next = prompt;
  Cache past;
  Workspace workspace;
  while (tokens.size() < count) {
    BatchBuilder builder(model.batch_rules());
    builder.add({.input_ids = next});
    const Batch batch = builder.finish();
    const int32_t last = static_cast<int32_t>(batch.tokens() - 1);
    const ModelOutput out = model.forward(batch, workspace, {.past_key_values = &past, .logits_to_keep = {&last, 1}});
    const std::span<const float> scores = out.logits->row(0);
    tokens.push_back(std::max_element(scores.begin(), scores.end()) - scores.begin());
    next = {tokens.back()};
  }
  return tokens;
}

TEST(SlowGreedyReference, TwoHundredTokensOfARealModel) {
  const char* const path = std::getenv("TCPP_GREEDY_MODEL");
  if (path == nullptr) GTEST_SKIP() << "TCPP_GREEDY_MODEL is not set";
  const std::string expected = std::string(TCPP_TEST_DATA) + "/generation/greedy-smollm2.json";
  const Value rows = parse_json(read_file(expected), expected);
  const auto model = PretrainedModel::from_pretrained(path, {.dtype = WeightType::fp32});
  ASSERT_EQ(rows.as_array().size(), 20u);
  for (std::size_t i = 0; i < rows.as_array().size(); ++i) {
    const Value& row = rows.as_array()[i];
    const std::vector<int64_t> want = integers(row.at("tokens"));
    ASSERT_EQ(want.size(), 200u);
    EXPECT_EQ(continuation(*model, integers(row.at("prompt")), want.size()), want)
        << "prompt " << i << ", where the smallest lead of a token is " << row.at("margin").as_number();
  }
}

}  // namespace
}  // namespace transformers
