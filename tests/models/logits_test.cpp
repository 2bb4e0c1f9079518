// Every model family against Hugging Face's numbers: each directory tests/data/models/<family>/<case>/ is a tiny
// checkpoint with inputs.safetensors, expected.safetensors and case.json (made by tests/reference/make_models.py,
// make_encoders.py ...). Written once: a new family adds data, not code.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <numeric>
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
    const auto input = std::find_if(std::begin(kModelInputNames), std::end(kModelInputNames),
                                    [&](const ModelInputName& i) { return i.name == name; });
    if (input == std::end(kModelInputNames)) {
      ADD_FAILURE() << "unknown input " << name;
    } else {
      c.inputs.*(input->tensor) = file->tensor(name);
    }
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
  const Value* mask_name = masks == nullptr ? nullptr : masks->find(name);
  const bool of_decoder = mask_name != nullptr && mask_name->as_string() == "decoder_attention_mask";
  const Tensor& mask = of_decoder ? c.inputs.decoder_attention_mask : c.inputs.attention_mask;
  const bool masked = mask_name != nullptr && mask.defined();
  const int64_t batch = want.dim(0), row = want.size() / std::max<int64_t>(batch, 1);
  double worst = 0;
  for (int64_t i = 0; i < want.size(); ++i) {
    const int64_t b = i / row;
    if (skipped.contains(b)) continue;
    if (masked) {
      const int64_t seq = want.dim(1), position = i % row / (row / seq);
      if (mask.data<int64_t>()[b * seq + position] == 0) continue;
    }
    const double difference = std::abs(double{got.data<float>()[i]} - double{want.data<float>()[i]});
    if (!(difference <= worst)) worst = std::isnan(difference) ? INFINITY : difference;
  }
  return worst;
}

// The table of docs/models.md: what every class was found to differ from Hugging Face by. Written at the end of a run
// that has TCPP_WRITE_MODELS_TABLE in its environment, the file's name:
//   TCPP_WRITE_MODELS_TABLE=docs/models.md build/bin/test_models --gtest_filter='*EveryOutputOnEveryIsa*'
class ModelsTable : public ::testing::Environment {
 public:
  void add(const PretrainedModel& model, const fs::path& directory, double difference) {
    Row& row = rows_[{model.config().model_type, std::string(model.architecture())}];
    row.directories.insert(directory);
    row.difference = std::max(row.difference, difference);
    for (const auto& file : fs::directory_iterator(directory)) {
      const std::string name = file.path().filename().string();
      if (name.starts_with("model") && name.ends_with(".safetensors")) row.formats.insert("safetensors");
      if (name.starts_with("pytorch_model")) row.formats.insert("bin");
      if (name.ends_with(".gguf")) row.formats.insert("GGUF");
    }
  }

  void TearDown() override {
    const char* const path = std::getenv("TCPP_WRITE_MODELS_TABLE");
    if (path == nullptr) return;
    std::ofstream out(path);
    out << "# Models\n\n"
           "Every class that a `config.json` may name in `architectures`, and how far its answers are from Hugging "
           "Face's: the\n"
           "largest absolute difference over all outputs and hidden states of its tiny reference checkpoints (random "
           "weights, odd\n"
           "shapes, options away from their defaults, ragged batches, padding on either side and masks with holes), on "
           "every\n"
           "instruction set of the machine. The reference is transformers 5.23, float32, eager attention "
           "(Transformer-XL: 4.57.6).\n"
           "Formats are those of these checkpoints; every class reads safetensors and `pytorch_model.bin`, whole or in "
           "shards.\n\n"
           "Generated: `TCPP_WRITE_MODELS_TABLE=docs/models.md build/bin/test_models "
           "--gtest_filter='*EveryOutputOnEveryIsa*'`.\n\n"
           "| model_type | class | checkpoints | formats tested | largest difference |\n| --- | --- | --- | --- | --- "
           "|\n";
    for (const auto& [name, row] : rows_) {
      std::string formats;
      for (const std::string& format : row.formats) formats += (formats.empty() ? "" : ", ") + format;
      char difference[32];
      std::snprintf(difference, sizeof difference, "%.1e", row.difference);
      out << "| " << name.first << " | " << name.second << " | " << row.directories.size() << " | " << formats << " | "
          << difference << " |\n";
    }
  }

 private:
  struct Row {
    std::set<fs::path> directories;
    std::set<std::string> formats;
    double difference = 0;
  };
  std::map<std::pair<std::string, std::string>, Row> rows_;
};
ModelsTable* const models_table =
    static_cast<ModelsTable*>(::testing::AddGlobalTestEnvironment(new ModelsTable));  // gtest owns it

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
    const auto model = PretrainedModel::from_pretrained(c.directory, {.dtype = WeightType::fp32});
    EXPECT_EQ(model->architecture(), c.description.at("architecture").as_string());
    const Batch batch = make_batch(c.inputs, model->batch_rules());
    Workspace workspace;
    const ModelOutput output = model->forward(batch, workspace, {.output_hidden_states = true});
    std::set<std::string> seen;
    double largest = 0;
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
      largest = std::max(largest, difference);
      if (difference > tolerance && first_wrong.empty() && output_name.find("hidden_states.") != std::string::npos) {
        first_wrong = output_name;
      }
    }
    EXPECT_EQ(first_wrong, "") << "the first layer that differs";
    models_table->add(*model, c.directory, largest);
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
      ModelInputs one;
      for (const ModelInputName& input : kModelInputNames) {
        const Tensor& t = c.inputs.*(input.tensor);
        if (t.defined()) one.*(input.tensor) = t.slice(t.dim(0) == 1 ? 0 : i, t.dim(0) == 1 ? 1 : i + 1);
      }
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
  static constexpr int64_t kTarget[] = {2, 1};
  BatchRow row{.input_ids = {c.inputs.input_ids.data<int64_t>(), static_cast<std::size_t>(seq)}};
  if (model->batch_rules().decoder == BatchRules::Decoder::given) row.decoder_input_ids = kTarget;
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

// Columns [begin, end) of what a decoder reads; an encoder-decoder's source goes along with the first alone.
ModelInputs decoder_columns(const ModelInputs& inputs, bool pair, int64_t begin, int64_t end) {
  ModelInputs part;
  for (const ModelInputName& input : kModelInputNames) {
    const Tensor& t = inputs.*(input.tensor);
    if (!pair || input.name.starts_with("decoder_")) {
      part.*(input.tensor) = columns(t, begin, end);
    } else if (begin == 0) {
      part.*(input.tensor) = t;
    }
  }
  return part;
}

// Which rows of `got`, whose batch holds the columns from `begin` on of rows `rows` of `want`, differ in a bit.
void expect_same_bits(const ModelOutput& want, const Batch& want_batch, std::span<const int64_t> rows,
                      const ModelOutput& got, const Batch& got_batch, int64_t begin) {
  const auto all = want.named();
  for (const auto& [name, tensor] : got.named()) {
    if (tensor.rows == OutputTensor::Rows::source_tokens) continue;
    const auto same = std::find_if(all.begin(), all.end(),
                                   [&, wanted = std::string_view(name)](const auto& o) { return o.first == wanted; });
    ASSERT_NE(same, all.end()) << name;
    const Tensor b = to_padded(tensor, got_batch);
    const Tensor a = columns(to_padded(same->second, want_batch), begin, begin + b.dim(1));
    ASSERT_EQ(b.dim(0), static_cast<int64_t>(rows.size()));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const Tensor x = a.slice(rows[i], rows[i] + 1);
      const Tensor y = b.slice(static_cast<int64_t>(i), static_cast<int64_t>(i) + 1);
      ASSERT_EQ(x.shape(), y.shape());
      ASSERT_EQ(std::memcmp(x.raw(), y.raw(), x.bytes()), 0)
          << name << " of row " << rows[i] << " from column " << begin << " on, " << b.dim(1) << " at a time";
    }
  }
}

std::vector<int64_t> all_rows(const Batch& batch) {
  std::vector<int64_t> rows(static_cast<std::size_t>(batch.batch_size()));
  std::iota(rows.begin(), rows.end(), int64_t{0});
  return rows;
}

// The promise, for decoders: the same bits in one pass, in pieces through the cache, and token by token.
TEST_P(LogitsReference, CachedEqualsUncached) {
  const Case c = read_case(GetParam());
  const auto model = PretrainedModel::from_pretrained(c.directory);
  if (!model->uses_cache()) GTEST_SKIP() << "no decoder";
  if (c.description.find("whole") != nullptr) GTEST_SKIP() << "answers depend on how the row is cut";
  if (model->head() == Head::sequence_classification) GTEST_SKIP() << "reads the whole row";
  const Batch batch = make_batch(c.inputs, model->batch_rules());
  const bool pair = batch.encoder != nullptr;
  if (pair && !c.inputs.decoder_input_ids.defined() && !c.inputs.decoder_inputs_embeds.defined()) {
    GTEST_SKIP() << "the decoder reads the whole source";
  }
  Workspace whole_workspace, workspace;
  const ModelOutput whole = model->forward(batch, whole_workspace, {.output_hidden_states = true});
  const int64_t seq = batch.padded_length;
  for (const std::vector<int64_t>& pieces : {std::vector<int64_t>{seq}, {1}, {4}, {5, 1, 2}}) {
    EncoderDecoderCache past;
    int64_t begin = 0;
    for (std::size_t p = 0; begin < seq; ++p) {
      const int64_t end = std::min(seq, begin + pieces[std::min(p, pieces.size() - 1)]);
      const Batch part = make_batch(decoder_columns(c.inputs, pair, begin, end), model->batch_rules());
      const ModelOutput output =
          model->forward(part, workspace,
                         {.output_hidden_states = true,
                          .past_key_values = &past.self_attention_cache,
                          .cross_attention_cache = pair ? &past.cross_attention_cache : nullptr});
      EXPECT_EQ(output.encoder_last_hidden_state.has_value(), pair && begin == 0) << "the encoder runs once";
      expect_same_bits(whole, batch, all_rows(batch), output, part, begin);
      if (HasFatalFailure()) return;
      begin = end;
    }
    for (int64_t i = 0; i < batch.batch_size(); ++i) {
      EXPECT_EQ(past.self_attention_cache.get_seq_length(i), batch.key_lens[static_cast<std::size_t>(i)]);
      EXPECT_EQ(past.self_attention_cache.next_column(i), seq);
    }
  }
}

// Beams: rows go on from copies of other rows' caches, sharing their sources' keys, as if they had been those rows.
TEST_P(LogitsReference, ReorderedCachesGoOn) {
  const Case c = read_case(GetParam());
  const auto model = PretrainedModel::from_pretrained(c.directory);
  if (model->head() != Head::seq2seq_lm) GTEST_SKIP() << "no source";
  if (c.description.find("whole") != nullptr) GTEST_SKIP() << "answers depend on how the row is cut";
  const Batch batch = make_batch(c.inputs, model->batch_rules());
  if (!c.inputs.decoder_input_ids.defined()) GTEST_SKIP() << "takes no decoder ids";
  Workspace whole_workspace, workspace;
  const ModelOutput whole = model->forward(batch, whole_workspace);
  const int64_t seq = batch.padded_length, last = batch.batch_size() - 1;
  EncoderDecoderCache past;
  const ForwardOptions options{.past_key_values = &past.self_attention_cache,
                               .cross_attention_cache = &past.cross_attention_cache};
  model->forward(make_batch(decoder_columns(c.inputs, true, 0, seq - 2), model->batch_rules()), workspace, options);
  const int64_t source_bytes = past.cross_attention_cache.bytes();
  const std::vector<int64_t> beams{last, 0, last, last, 0, 0};
  past.reorder_cache(beams);
  EXPECT_LE(past.cross_attention_cache.bytes(), source_bytes);
  for (int64_t begin = seq - 2; begin < seq; ++begin) {
    const ModelInputs next = decoder_columns(c.inputs, true, begin, begin + 1);
    BatchBuilder builder(model->batch_rules());
    const auto cell = [](const Tensor& t, int64_t row) {
      return t.defined() ? t.span<int64_t>().subspan(static_cast<std::size_t>(row), 1) : std::span<const int64_t>{};
    };
    for (const int64_t row : beams) {
      BatchRow r;
      r.decoder_input_ids = cell(next.decoder_input_ids, row);
      r.decoder_attention_mask = cell(next.decoder_attention_mask, row);
      builder.add(r);
    }
    const Batch part = builder.finish();
    EXPECT_EQ(part.encoder, nullptr);
    expect_same_bits(whole, batch, beams, model->forward(part, workspace, options), part, begin);
    if (HasFatalFailure()) return;
  }
}

// The encoder's output, given back in place of the source, leads to the same bits.
TEST_P(LogitsReference, EncoderOutputsStandForTheirSource) {
  const Case c = read_case(GetParam());
  const auto model = PretrainedModel::from_pretrained(c.directory);
  const Batch batch = make_batch(c.inputs, model->batch_rules());
  if (batch.encoder == nullptr) GTEST_SKIP() << "no encoder beside a decoder";
  Workspace whole_workspace, workspace;
  const ModelOutput whole = model->forward(batch, whole_workspace, {.output_hidden_states = true});
  ModelInputs inputs = c.inputs;
  inputs.encoder_outputs = to_padded(*whole.encoder_last_hidden_state, batch);
  inputs.inputs_embeds = {};
  const Batch encoded = make_batch(inputs, model->batch_rules());
  const ModelOutput output = model->forward(encoded, workspace, {.output_hidden_states = true});
  EXPECT_TRUE(output.encoder_hidden_states.empty());
  ASSERT_EQ(output.named().size() + whole.encoder_hidden_states.size(), whole.named().size());
  if (whole.logits && whole.logits->rows == OutputTensor::Rows::sequences) {
    const std::span<const float> a = whole.logits->row(0), b = output.logits->row(0);
    EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size_bytes()), 0);
  } else {
    expect_same_bits(whole, batch, all_rows(batch), output, encoded, 0);
  }
}

// Logits of chosen rows alone are those of all rows.
TEST_P(LogitsReference, KeptLogitsEqualThoseOfAllRows) {
  const Case c = read_case(GetParam());
  const auto model = PretrainedModel::from_pretrained(c.directory);
  if (model->head() != Head::causal_lm && model->head() != Head::seq2seq_lm && model->head() != Head::masked_lm) {
    GTEST_SKIP() << "no language model";
  }
  const Batch batch = make_batch(c.inputs, model->batch_rules());
  Workspace whole_workspace, workspace;
  const ModelOutput whole = model->forward(batch, whole_workspace);
  const int32_t last = static_cast<int32_t>(batch.tokens() - 1);
  for (const std::vector<int32_t>& rows : {std::vector<int32_t>{last, 0, 2, 2}, {0, 2, last}}) {
    const ModelOutput kept = model->forward(batch, workspace, {.logits_to_keep = rows});
    ASSERT_EQ(kept.logits->count, static_cast<int64_t>(rows.size()));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const std::span<const float> want = whole.logits->row(rows[i]), got = kept.logits->row(static_cast<int64_t>(i));
      EXPECT_EQ(std::memcmp(got.data(), want.data(), want.size_bytes()), 0) << "row " << rows[i];
    }
  }
}

// A head that reads one row of each sequence has the rest of the last layer computed for those rows alone, unless
// hidden states are asked for: with the same bits.
TEST_P(LogitsReference, LogitsAreThoseBesideHiddenStates) {
  const Case c = read_case(GetParam());
  const auto model = PretrainedModel::from_pretrained(c.directory);
  const Batch batch = make_batch(c.inputs, model->batch_rules());
  Workspace whole_workspace, workspace;
  const ModelOutput whole = model->forward(batch, whole_workspace, {.output_hidden_states = true});
  const ModelOutput alone = model->forward(batch, workspace);
  if (!alone.logits) GTEST_SKIP() << "no logits";
  ASSERT_EQ(alone.logits->count, whole.logits->count);
  for (int64_t i = 0; i < alone.logits->count; ++i) {
    const std::span<const float> want = whole.logits->row(i), got = alone.logits->row(i);
    EXPECT_EQ(std::memcmp(got.data(), want.data(), want.size_bytes()), 0) << "row " << i;
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
