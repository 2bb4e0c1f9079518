// generate() against Hugging Face's on the tiny checkpoints of tests/data/models, token for token
// (tests/reference/make_generation.py).
#include <gtest/gtest.h>

#include <map>

#include "support.hpp"
#include "transformers/base/platform.hpp"
#include "transformers/generation/generate.hpp"
#include "transformers/models/pretrained_model.hpp"

namespace transformers {
namespace {

struct Case {
  std::string label;
  GenerationConfig config;
  bool whole_length = false;  // counts or reads the padding of the prompt: not the same without it
  std::vector<std::vector<int64_t>> input_ids, attention_mask, sequences;
  std::vector<float> scores;  // empty: none
};

std::vector<std::vector<int64_t>> rows_of(const Value& value) {
  std::vector<std::vector<int64_t>> rows;
  for (const Value& row : value.as_array()) {
    rows.emplace_back();
    for (const Value& id : row.as_array()) rows.back().push_back(id.as_integer());
  }
  return rows;
}

std::map<std::string, std::vector<Case>> cases_by_model() {
  const std::string path = std::string(TCPP_TEST_DATA) + "/generation/cases.json";
  const Value rows = parse_json(read_file(path), path);
  std::map<std::string, std::vector<Case>> by_model;
  for (const Value& row : rows.as_array()) {
    Case c;
    const std::string model = row.at("model").as_string();
    c.label = model + " " + row.at("name").as_string();
    c.config = GenerationConfig().with(row.at("config"));
    c.config.output_scores = true;
    for (const char* name : {"max_length", "min_length", "no_repeat_ngram_size", "encoder_repetition_penalty",
                             "encoder_no_repeat_ngram_size", "sequence_bias", "bad_words_ids"}) {
      c.whole_length |= row.at("config").find(name) != nullptr;
    }
    c.input_ids = rows_of(row.at("input_ids"));
    c.attention_mask = rows_of(row.at("attention_mask"));
    c.sequences = rows_of(row.at("sequences"));
    if (const Value* scores = row.find("sequences_scores")) {
      for (const Value& score : scores->as_array()) c.scores.push_back(static_cast<float>(score.as_number()));
    }
    by_model[model].push_back(std::move(c));
  }
  return by_model;
}

std::unique_ptr<PretrainedModel> load(const std::string& model) {
  return PretrainedModel::from_pretrained(std::string(TCPP_TEST_DATA) + "/models/" + model);
}

Tensor tensor_of(const std::vector<std::vector<int64_t>>& rows) {
  Tensor t = Tensor::zeros(DType::i64, {static_cast<int64_t>(rows.size()), static_cast<int64_t>(rows[0].size())});
  int64_t* to = t.mutable_data<int64_t>();
  for (const auto& row : rows) to = std::copy(row.begin(), row.end(), to);
  return t;
}

// The reference row without what fills it up.
void expect_row(const std::vector<int64_t>& ids, const std::vector<int64_t>& expected) {
  ASSERT_LE(ids.size(), expected.size());
  EXPECT_EQ(ids, std::vector<int64_t>(expected.begin(), expected.begin() + static_cast<std::ptrdiff_t>(ids.size())));
  if (ids.size() < expected.size()) {
    EXPECT_EQ(expected[ids.size()], expected.back());
  }
}

TEST(GenerateReference, PaddedBatchesGiveHuggingFacesSequences) {
  std::size_t count = 0;
  for (const auto& [name, cases] : cases_by_model()) {
    const auto model = load(name);
    for (const Case& c : cases) {
      SCOPED_TRACE(c.label);
      ++count;
      const GenerateInputs inputs{.input_ids = tensor_of(c.input_ids), .attention_mask = tensor_of(c.attention_mask)};
      GenerateOutput out;
      ASSERT_NO_THROW(out = generate(*model, inputs, c.config));
      ASSERT_EQ(out.sequences.shape(),
                (Shape{static_cast<int64_t>(c.sequences.size()), static_cast<int64_t>(c.sequences[0].size())}));
      const std::span<const int64_t> got = out.sequences.span<int64_t>();
      const Tensor want = tensor_of(c.sequences);
      EXPECT_EQ(std::vector<int64_t>(got.begin(), got.end()),
                std::vector<int64_t>(want.span<int64_t>().begin(), want.span<int64_t>().end()));
      ASSERT_EQ(out.sequences_scores.defined(), !c.scores.empty());
      for (std::size_t i = 0; i < c.scores.size(); ++i) {
        EXPECT_NEAR(out.sequences_scores.span<float>()[i], c.scores[i], 1e-4f) << "sequence " << i;
      }
    }
  }
  EXPECT_GE(count, 40u);
}

// All rows of all cases of a model at once in one engine, each with its own options, in pieces of prompts; and every
// row by itself without its padding.
TEST(GenerateReference, RowsAreTheSameInAnyCompanyAndAlone) {
  for (const auto& [name, cases] : cases_by_model()) {
    const auto model = load(name);
    struct Row {
      const Case* c;
      std::size_t index;
    };
    std::vector<Row> rows;
    std::vector<GenerationRequest> together, alone;
    for (const Case& c : cases) {
      for (std::size_t i = 0; i < c.input_ids.size(); ++i) {
        GenerationRequest request;
        request.config = c.config;
        request.input_ids = c.input_ids[i];
        request.attention_mask = c.attention_mask[i];
        together.push_back(request);
        if (!c.whole_length) {
          request.attention_mask.clear();
          std::size_t kept = 0;
          for (std::size_t j = 0; j < c.input_ids[i].size(); ++j) {
            if (c.attention_mask[i][j] != 0) request.input_ids[kept++] = c.input_ids[i][j];
          }
          request.input_ids.resize(kept);
        }
        alone.push_back(std::move(request));
        rows.push_back({&c, i});
      }
    }
    for (const EngineOptions& options :
         {EngineOptions{.max_sequences = 11, .max_prefill_tokens = 9}, EngineOptions{}}) {
      const std::vector<GenerationResult> results = generate(*model, together, options);
      for (std::size_t r = 0; r < rows.size(); ++r) {
        const Case& c = *rows[r].c;
        SCOPED_TRACE(c.label + " row " + std::to_string(rows[r].index));
        ASSERT_FALSE(results[r].error) << results[r].error->what();
        const std::size_t each = results[r].sequences.size();
        for (std::size_t s = 0; s < each; ++s) {
          expect_row(results[r].sequences[s].ids, c.sequences[rows[r].index * each + s]);
          if (!c.scores.empty()) {
            EXPECT_NEAR(*results[r].sequences[s].score, c.scores[rows[r].index * each + s], 1e-4f);
          }
        }
      }
    }
    const std::vector<GenerationResult> reference = generate(*model, together);
    for (std::size_t r = 0; r < rows.size(); ++r) {
      SCOPED_TRACE(rows[r].c->label + " alone, row " + std::to_string(rows[r].index));
      const GenerationResult result = std::move(generate(*model, {alone[r]})[0]);
      ASSERT_FALSE(result.error) << result.error->what();
      for (std::size_t s = 0; s < result.sequences.size(); ++s) {
        const GeneratedSequence& a = result.sequences[s];
        const GeneratedSequence& b = reference[r].sequences[s];
        EXPECT_EQ(std::vector<int64_t>(a.ids.begin() + result.prompt_length, a.ids.end()),
                  std::vector<int64_t>(b.ids.begin() + reference[r].prompt_length, b.ids.end()));
        EXPECT_EQ(a.scores, b.scores);  // the bits
      }
    }
  }
}

}  // namespace
}  // namespace transformers
