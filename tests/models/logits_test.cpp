// Every model family against Hugging Face's numbers: each directory tests/data/models/<family>/<case>/ is a tiny
// checkpoint with inputs.safetensors, expected.safetensors and case.json (made by tests/reference/make_models.py,
// make_encoders.py ...). Written once: a new family adds data, not code.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>

#include "transformers/base/parallel.hpp"
#include "transformers/base/platform.hpp"
#include "transformers/io/safetensors.hpp"
#include "transformers/kernels/kernels.hpp"
#include "transformers/models/pretrained_model.hpp"
#include "transformers/nn/cache.hpp"
#include "transformers/nn/mlp.hpp"

namespace transformers {
namespace {

namespace fs = std::filesystem;

struct Case {
  fs::path directory;
  Value description;
  ModelInputs inputs;
  std::shared_ptr<const SafetensorsFile> expected;
};

std::vector<fs::path> case_directories() {
  std::vector<fs::path> out;
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(TCPP_TEST_DATA) / "models")) {
    if (entry.path().filename() == "case.json") out.push_back(entry.path().parent_path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

Case read_case(const fs::path& directory) {
  Case c;
  c.directory = directory;
  c.description = parse_json(read_file(directory / "case.json"), "case.json");
  c.expected = SafetensorsFile::open(directory / "expected.safetensors");
  const auto file = SafetensorsFile::open(directory / "inputs.safetensors");
  for (const std::string& name : file->names()) {
    const Tensor t = file->tensor(name);
    if (name == "input_ids")
      c.inputs.input_ids = t;
    else if (name == "attention_mask")
      c.inputs.attention_mask = t;
    else if (name == "token_type_ids")
      c.inputs.token_type_ids = t;
    else if (name == "position_ids")
      c.inputs.position_ids = t;
    else if (name == "inputs_embeds")
      c.inputs.inputs_embeds = t;
    else
      ADD_FAILURE() << "unknown input " << name;
  }
  return c;
}

// The largest difference over what counts: rows not skipped, and for outputs with a mask the positions where it is 1.
double largest_difference(const Case& c, const std::string& name, const Tensor& got, const Tensor& want) {
  EXPECT_EQ(got.shape(), want.shape()) << name;
  if (got.shape() != want.shape()) return INFINITY;
  std::set<int64_t> skipped;
  if (const Value* rows = c.description.find("skip_rows")) {
    for (const Value& row : rows->as_array()) skipped.insert(row.as_integer());
  }
  const Value* masks = c.description.find("masks");
  const bool masked = masks != nullptr && masks->find(name) != nullptr && c.inputs.attention_mask.defined();
  const int64_t batch = want.dim(0), row = want.size() / std::max<int64_t>(batch, 1);
  double worst = 0;
  for (int64_t i = 0; i < want.size(); ++i) {
    const int64_t b = i / row;
    if (skipped.contains(b)) continue;
    if (masked) {
      const int64_t seq = want.dim(1), position = i % row / (row / seq);
      if (c.inputs.attention_mask.data<int64_t>()[b * seq + position] == 0) continue;
    }
    const double difference = std::abs(double{got.data<float>()[i]} - double{want.data<float>()[i]});
    if (!(difference <= worst)) worst = std::isnan(difference) ? INFINITY : difference;
  }
  return worst;
}

class LogitsReference : public ::testing::TestWithParam<fs::path> {
 protected:
  void TearDown() override { set_isa(default_isa_); }
  std::string default_isa_{isa()};
};

TEST_P(LogitsReference, EveryOutputOnEveryIsa) {
  const Case c = read_case(GetParam());
  const double tolerance = c.description.at("tolerance").at("abs").as_number();
  for (const std::string_view name : supported_isas()) {
    SCOPED_TRACE(std::string(name));
    set_isa(name);
    const auto model = PretrainedModel::from_pretrained(c.directory);
    EXPECT_EQ(model->architecture(), c.description.at("architecture").as_string());
    const Batch batch = make_batch(c.inputs, model->batch_rules());
    Workspace workspace;
    const ModelOutput output = model->forward(batch, workspace, {.output_hidden_states = true});
    std::set<std::string> seen;
    std::string first_wrong;  // the first layer that differs says where to look
    for (const auto& [output_name, tensor] : output.named()) {
      seen.insert(output_name);
      if (!c.expected->contains(output_name)) {
        ADD_FAILURE() << output_name << " is not expected";
        continue;
      }
      const Tensor want = c.expected->tensor(output_name);
      const double difference = largest_difference(c, output_name, to_padded(tensor, batch), want);
      EXPECT_LE(difference, tolerance) << output_name;
      if (difference > tolerance && first_wrong.empty() && output_name.find("hidden_states.") != std::string::npos) {
        first_wrong = output_name;
      }
    }
    EXPECT_EQ(first_wrong, "") << "the first layer that differs";
    for (const std::string& wanted : c.expected->names()) EXPECT_TRUE(seen.contains(wanted)) << wanted << " is missing";
  }
}

// The promise: a sequence's values have the same bits alone and in any batch, on any number of threads.
TEST_P(LogitsReference, BitsDependOnNeitherBatchNorThreads) {
  const Case c = read_case(GetParam());
  const auto model = PretrainedModel::from_pretrained(c.directory);
  const Batch batch = make_batch(c.inputs, model->batch_rules());
  const Tensor& main = c.inputs.input_ids.defined() ? c.inputs.input_ids : c.inputs.inputs_embeds;
  Workspace workspace, alone_workspace;
  const int threads = num_threads();
  for (const int n : {1, 2, 3}) {
    set_num_threads(n);
    const ModelOutput together = model->forward(batch, workspace);
    for (int64_t i = 0; i < main.dim(0); ++i) {
      const auto row = [&](const Tensor& t) {
        return t.defined() ? t.slice(t.dim(0) == 1 ? 0 : i, t.dim(0) == 1 ? 1 : i + 1) : t;
      };
      const ModelInputs one{row(c.inputs.input_ids), row(c.inputs.attention_mask), row(c.inputs.token_type_ids),
                            row(c.inputs.position_ids), row(c.inputs.inputs_embeds)};
      set_num_threads(1);
      const Batch alone_batch = make_batch(one, model->batch_rules());
      const ModelOutput alone = model->forward(alone_batch, alone_workspace);
      set_num_threads(n);
      const auto named_together = together.named(), named_alone = alone.named();
      ASSERT_EQ(named_together.size(), named_alone.size());
      for (std::size_t o = 0; o < named_alone.size(); ++o) {
        const Tensor a = to_padded(named_together[o].second, batch).slice(i, i + 1);
        const Tensor b = to_padded(named_alone[o].second, alone_batch);
        ASSERT_EQ(a.bytes(), b.bytes());
        EXPECT_EQ(std::memcmp(a.raw(), b.raw(), a.bytes()), 0)
            << named_alone[o].first << " of row " << i << " with " << n << " threads";
      }
    }
  }
  set_num_threads(threads);
}

// The same for a batch so long that layers work through it in parts (FeedForward::kRows).
TEST_P(LogitsReference, BitsDoNotDependOnTheLengthOfTheBatch) {
  const Case c = read_case(GetParam());
  if (!c.inputs.input_ids.defined()) GTEST_SKIP() << "takes no ids";
  const auto model = PretrainedModel::from_pretrained(c.directory);
  const int64_t seq = c.inputs.input_ids.dim(1);
  const BatchRow row{.input_ids = {c.inputs.input_ids.data<int64_t>(), static_cast<std::size_t>(seq)}};
  BatchBuilder one_builder(model->batch_rules()), many_builder(model->batch_rules());
  const int64_t copies = 2 * FeedForward::kRows / seq + 3;
  one_builder.add(row);
  for (int64_t i = 0; i < copies; ++i) many_builder.add(row);
  const Batch one = one_builder.finish(), many = many_builder.finish();
  Workspace one_workspace, many_workspace;
  const auto want = model->forward(one, one_workspace).named(), got = model->forward(many, many_workspace).named();
  ASSERT_EQ(want.size(), got.size());
  for (std::size_t o = 0; o < want.size(); ++o) {
    const Tensor a = to_padded(want[o].second, one), all = to_padded(got[o].second, many);
    for (int64_t i = 0; i < copies; ++i) {
      ASSERT_EQ(std::memcmp(a.raw(), all.slice(i, i + 1).raw(), a.bytes()), 0) << want[o].first << " of copy " << i;
    }
  }
}

// Columns [begin, end) of a tensor [batch, seq, ...].
Tensor columns(const Tensor& t, int64_t begin, int64_t end) {
  if (!t.defined()) return t;
  Shape shape = t.shape();
  shape[1] = end - begin;
  Tensor out = Tensor::zeros(t.dtype(), shape);
  const std::size_t column = t.bytes() / static_cast<std::size_t>(t.dim(0) * t.dim(1));
  for (int64_t i = 0; i < t.dim(0); ++i) {
    std::memcpy(
        static_cast<std::byte*>(const_cast<void*>(out.raw())) + static_cast<std::size_t>(i * (end - begin)) * column,
        static_cast<const std::byte*>(t.raw()) + static_cast<std::size_t>(i * t.dim(1) + begin) * column,
        static_cast<std::size_t>(end - begin) * column);
  }
  return out;
}

// The promise, for decoders: the same bits in one pass, in pieces through the cache, and token by token.
TEST_P(LogitsReference, CachedEqualsUncached) {
  const Case c = read_case(GetParam());
  const auto model = PretrainedModel::from_pretrained(c.directory);
  if (!model->uses_cache()) GTEST_SKIP() << "no decoder";
  if (c.description.find("whole") != nullptr) GTEST_SKIP() << "angles depend on the length reached";
  if (model->head() == Head::sequence_classification) GTEST_SKIP() << "reads the whole row";
  const Batch batch = make_batch(c.inputs, model->batch_rules());
  Workspace whole_workspace, workspace;
  const auto whole = model->forward(batch, whole_workspace, {.output_hidden_states = true}).named();
  const int64_t seq = batch.padded_length;
  for (const std::vector<int64_t>& pieces : {std::vector<int64_t>{seq}, {1}, {4}, {5, 1, 2}}) {
    Cache past;
    int64_t begin = 0;
    for (std::size_t p = 0; begin < seq; ++p) {
      const int64_t end = std::min(seq, begin + pieces[std::min(p, pieces.size() - 1)]);
      const ModelInputs part{columns(c.inputs.input_ids, begin, end), columns(c.inputs.attention_mask, begin, end),
                             columns(c.inputs.token_type_ids, begin, end), columns(c.inputs.position_ids, begin, end),
                             columns(c.inputs.inputs_embeds, begin, end)};
      const Batch part_batch = make_batch(part, model->batch_rules());
      const ModelOutput output =
          model->forward(part_batch, workspace, {.output_hidden_states = true, .past_key_values = &past});
      const auto named = output.named();
      ASSERT_EQ(named.size(), whole.size());
      for (std::size_t o = 0; o < named.size(); ++o) {
        const Tensor want = columns(to_padded(whole[o].second, batch), begin, end);
        const Tensor got = to_padded(named[o].second, part_batch);
        ASSERT_EQ(got.shape(), want.shape());
        ASSERT_EQ(std::memcmp(got.raw(), want.raw(), want.bytes()), 0)
            << named[o].first << " of columns " << begin << " to " << end << " in pieces of " << pieces.front();
      }
      begin = end;
    }
    for (int64_t i = 0; i < batch.batch_size(); ++i) {
      EXPECT_EQ(past.get_seq_length(i), batch.key_lens[static_cast<std::size_t>(i)]);
      EXPECT_EQ(past.next_column(i), seq);
    }
  }
}

// Logits of chosen rows alone are those of all rows.
TEST_P(LogitsReference, KeptLogitsEqualThoseOfAllRows) {
  const Case c = read_case(GetParam());
  const auto model = PretrainedModel::from_pretrained(c.directory);
  if (model->head() != Head::causal_lm) GTEST_SKIP() << "no language model";
  const Batch batch = make_batch(c.inputs, model->batch_rules());
  Workspace whole_workspace, workspace;
  const ModelOutput whole = model->forward(batch, whole_workspace);
  const std::vector<int32_t> rows{static_cast<int32_t>(batch.tokens() - 1), 0, 2, 2};
  const ModelOutput kept = model->forward(batch, workspace, {.logits_to_keep = rows});
  ASSERT_EQ(kept.logits->count, 4);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::span<const float> want = whole.logits->row(rows[i]), got = kept.logits->row(static_cast<int64_t>(i));
    EXPECT_EQ(std::memcmp(got.data(), want.data(), want.size_bytes()), 0) << "row " << rows[i];
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, LogitsReference, ::testing::ValuesIn(case_directories()), [](const auto& param) {
  std::string name = param.param.parent_path().filename().string() + "_" + param.param.filename().string();
  for (char& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return name;
});

}  // namespace
}  // namespace transformers
