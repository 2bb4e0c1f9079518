// Loading: what is accepted as in Hugging Face, and what ends in an error that names file and field or tensor (rows D4
// to D8 of bad input). Every case is a good checkpoint with one thing changed.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "support.hpp"
#include "transformers/base/callbacks.hpp"
#include "transformers/base/model_files.hpp"
#include "transformers/base/platform.hpp"
#include "transformers/io/safetensors.hpp"
#include "transformers/models/auto.hpp"
#include "transformers/models/pretrained_model.hpp"

namespace transformers {
namespace {

namespace fs = std::filesystem;

const fs::path kBert = fs::path(TCPP_TEST_DATA) / "models" / "bert";

Value config_of(const fs::path& directory) { return parse_json(read_file(directory / "config.json"), "config.json"); }

// A checkpoint in memory: `config` with the weights of `directory`.
std::shared_ptr<const ModelFiles> with_config(const fs::path& directory, const Value& config) {
  return ModelFiles::from_memory(std::map<std::string, std::string>{
      {"config.json", to_json(config)}, {"model.safetensors", read_file(directory / "model.safetensors")}});
}

Error load_error(const std::string& key, Value value, const fs::path& directory = kBert / "seqcls-3") {
  Value config = config_of(directory);
  config.set(key, std::move(value));
  return test::error_of([&] { PretrainedModel::from_files(with_config(directory, config)); });
}

// A config alone allocates next to nothing, whatever sizes it claims: these would be terabytes.
TEST(Load, HugeConfigsEndAtTheFirstTensor) {  // D6
  for (const char* name : {"llama/lm", "gpt2/lm", "gemma2/lm", "opt/lm", "ctrl/lm", "bert/seqcls-3"}) {
    const fs::path directory = fs::path(TCPP_TEST_DATA) / "models" / name;
    Value config = config_of(directory);
    for (const char* key : {"hidden_size", "intermediate_size", "ffn_dim", "dff", "n_inner", "word_embed_proj_dim"}) {
      config.set(key, int64_t{1} << 24);
    }
    if (config.find("n_embd") != nullptr) {  // whose other name is hidden_size
      for (const char* key : {"n_embd", "hidden_size"}) config.set(key, int64_t{1} << 22);
    }
    for (const char* key : {"num_hidden_layers", "n_layer"}) config.set(key, 4096);
    for (const char* key : {"num_attention_heads", "n_head"}) config.set(key, 16);
    for (const char* key : {"head_dim", "layer_types"}) config.set(key, Value());
    config.set("attention_bias", true);
    const Error error = test::error_of([&] { PretrainedModel::from_files(with_config(directory, config)); });
    EXPECT_EQ(error.code(), ErrorCode::invalid_argument) << name << ": " << error.what();
    EXPECT_NE(std::string(error.what()).find("shape mismatch"), std::string::npos) << name << ": " << error.what();
  }
}

TEST(Load, MemoryIsKnownWithoutLoading) {
  const auto bytes = [](const char* name) {
    return PretrainedModel::memory_bytes(*ModelFiles::from_path((fs::path(TCPP_TEST_DATA) / "models" / name).string()));
  };
  // 11,664 numbers of 16 bits, 67 x 24 of them the words, which are looked up and, packed, multiplied too.
  EXPECT_GE(bytes("llama/lm-tied"), 2 * (11664 + 67 * 24));
  EXPECT_GE(bytes("llama/gguf-f32"), 4 * 13600);
  // Integers stay integers: 133,376 numbers in 103,488 bytes, and what fills the last panels.
  EXPECT_GE(bytes("llama/gguf-k"), 103488);
  EXPECT_LT(bytes("llama/gguf-k"), 2 * 133376);
}

TEST(Load, DecodersCheckTheirConfigs) {
  const fs::path llama = fs::path(TCPP_TEST_DATA) / "models" / "llama" / "lm";
  const auto message = [&](const char* key, Value value) {
    return std::string(load_error(key, std::move(value), llama).what());
  };
  EXPECT_EQ(message("num_key_value_heads", 3),
            "num_key_value_heads=3 does not divide num_attention_heads=4 (config.json)");
  EXPECT_EQ(message("rope_scaling", Value(Value::Object{{"type", "mrope"}})),
            "rope_type \"mrope\" (supported: default, linear, dynamic, yarn, longrope, llama3) (config.json)");
  EXPECT_EQ(message("rope_scaling", Value(Value::Object{{"type", "linear"}})),
            "rope_type \"linear\" needs the number \"factor\" (config.json)");
  EXPECT_EQ(message("head_dim", 5), "rotary positions of 5 columns do not fit a head of 5 (config.json)");
}

TEST(Load, SizesOfTheConfigAreCheckedBeforeUse) {  // D6
  EXPECT_STREQ(load_error("num_attention_heads", 7).what(),
               "num_attention_heads=7 does not divide hidden_size=30 (config.json)");
  EXPECT_STREQ(load_error("num_attention_heads", 0).what(),
               "num_attention_heads must be between 1 and 30, found 0 (config.json)");
  EXPECT_NE(std::string(load_error("hidden_size", -1).what()).find("hidden_size must be between 1 and"),
            std::string::npos);
  EXPECT_NE(std::string(load_error("num_hidden_layers", int64_t{1} << 40).what()).find("num_hidden_layers"),
            std::string::npos);
  EXPECT_NE(std::string(load_error("vocab_size", 0).what()).find("vocab_size"), std::string::npos);
  EXPECT_NE(std::string(load_error("hidden_size", "large").what()).find("hidden_size"), std::string::npos);
  EXPECT_EQ(load_error("hidden_act", "xielu").code(), ErrorCode::unsupported);
  EXPECT_NE(std::string(load_error("hidden_act", "xielu").what()).find("\"xielu\""), std::string::npos);
}

TEST(Load, ShapesAreComparedWithTheConfig) {  // D4
  const Error vocabulary = load_error("vocab_size", 1000);
  EXPECT_NE(std::string(vocabulary.what()).find("config.json asks for [1000, "), std::string::npos)
      << vocabulary.what();
  EXPECT_NE(std::string(vocabulary.what()).find("bert.embeddings.word_embeddings.weight"), std::string::npos);
  const Error layers = load_error("num_hidden_layers", 50);
  EXPECT_EQ(layers.code(), ErrorCode::not_found);
  EXPECT_NE(std::string(layers.what()).find("\"bert.encoder.layer."), std::string::npos) << layers.what();
}

TEST(Load, UnknownModelsAndClassesAreNamed) {  // D7
  const Error type = load_error("model_type", "xyz");
  EXPECT_EQ(type.code(), ErrorCode::unsupported);
  EXPECT_TRUE(std::string(type.what()).starts_with("model_type \"xyz\" (supported: ")) << type.what();
  EXPECT_NE(std::string(type.what()).find(" bert, "), std::string::npos) << type.what();
  const Error architecture = load_error("architectures", Value::Array{"BertForWhatever"});
  EXPECT_NE(std::string(architecture.what()).find("\"BertForWhatever\" (supported: BertModel"), std::string::npos);
}

TEST(Load, SizesOfBertsRelativesAreChecked) {
  const fs::path models = fs::path(TCPP_TEST_DATA) / "models";
  EXPECT_STREQ(load_error("pad_token_id", Value(), models / "roberta" / "mlm-tied").what(),
               "pad_token_id is null, but positions are counted from it (config.json)");
  EXPECT_STREQ(load_error("pad_token_id", 40, models / "roberta" / "mlm-tied").what(),
               "pad_token_id must be between 0 and 39, found 40 (config.json)");
  EXPECT_STREQ(load_error("inner_group_num", 0, models / "albert" / "mlm-tied").what(),
               "inner_group_num must be between 1 and 4096, found 0 (config.json)");
  EXPECT_STREQ(load_error("summary_type", "attn", models / "electra" / "choice-first").what(),
               "summary_type \"attn\" (supported: first, last, mean, cls_index) (config.json)");
  EXPECT_STREQ(load_error("relative_attention_num_buckets", 8, models / "mpnet" / "mlm-tied").what(),
               "relative_attention_num_buckets must be between 32 and 16777216, found 8 (config.json)");
  const fs::path deberta = models / "deberta_v2" / "model-v2", modernbert = models / "modernbert" / "seqcls-cls";
  EXPECT_STREQ(load_error("conv_kernel_size", 4, deberta).what(),
               "conv_kernel_size must be odd, found 4 (config.json)");
  EXPECT_STREQ(load_error("conv_groups", 5, deberta).what(),
               "conv_groups=5 does not divide hidden_size=24 (config.json)");
  EXPECT_STREQ(load_error("pooler_hidden_size", 23, deberta).what(),
               "pooler_hidden_size must be between 24 and 24, found 23 (config.json)");
  EXPECT_STREQ(load_error("pos_att_type", 3, deberta).what(), "pos_att_type must be a list or a string (config.json)");
  EXPECT_NE(std::string(load_error("conv_kernel_size", 5, deberta).what()).find("config.json asks for [24, 24, 5]"),
            std::string::npos);
  EXPECT_STREQ(load_error("layer_types", Value::Array{"full_attention"}, modernbert).what(),
               "layer_types has 1 entries for num_hidden_layers=2 (config.json)");
  EXPECT_STREQ(load_error("layer_types", Value::Array{"full_attention", "other"}, modernbert).what(),
               "layer type \"other\" (supported: full_attention, sliding_attention) (config.json)");
  EXPECT_STREQ(load_error("classifier_pooling", "max", modernbert).what(),
               "classifier_pooling must be cls or mean, found \"max\" (config.json)");
}

TEST(Load, LabelsAreNamedWhereTheConfigDoesNot) {  // D8
  Value config = config_of(kBert / "seqcls-3");
  config.set("id2label", Value::Object{{"0", "a"}, {"2", "c"}, {"7", "h"}});
  const auto sparse = PretrainedModel::from_files(with_config(kBert / "seqcls-3", config));
  EXPECT_EQ(sparse->config().label(1), "LABEL_1");
  EXPECT_EQ(sparse->config().label(2), "c");
  EXPECT_NE(std::string(load_error("id2label", Value::Object{{"x", "a"}}).what()).find("id2label"), std::string::npos);
  // Two labels for a classifier of three.
  const Error few = load_error("id2label", Value::Object{{"0", "a"}, {"1", "b"}});
  EXPECT_NE(std::string(few.what()).find("classifier.weight"), std::string::npos) << few.what();
  EXPECT_NE(std::string(load_error("problem_type", "guess").what()).find("\"guess\""), std::string::npos);
}

TEST(Load, OverridesChangeTheConfig) {
  LoadOptions options;
  options.config_overrides = Value::Object{{"id2label", Value::Object{{"0", "x"}, {"1", "y"}, {"2", "z"}}}};
  const auto model = AutoModelForSequenceClassification::from_pretrained(kBert / "seqcls-3", options);
  EXPECT_EQ(model->config().label(2), "z");
}

TEST(Load, AutoClassesPickTheHead) {
  EXPECT_EQ(AutoModel::from_pretrained(kBert / "seqcls-3")->architecture(), "BertModel");
  EXPECT_EQ(AutoModelForTokenClassification::from_pretrained(kBert / "tokencls-5")->head(), Head::token_classification);
  const Error missing = test::error_of([] { AutoModelForQuestionAnswering::from_pretrained(kBert / "model-right"); });
  EXPECT_EQ(missing.code(), ErrorCode::not_found);
  EXPECT_NE(std::string(missing.what()).find("\"qa_outputs.weight\" [2, "), std::string::npos) << missing.what();
}

TEST(Load, NotADirectoryOfAModel) {
  EXPECT_EQ(test::error_of([] { PretrainedModel::from_pretrained("no/such/directory"); }).code(), ErrorCode::not_found);
  const auto empty = ModelFiles::from_memory(std::map<std::string, std::string>{{"config.json", "[1"}});
  EXPECT_EQ(test::error_of([&] { PretrainedModel::from_files(empty); }).code(), ErrorCode::corrupt_file);
  const auto nan =
      ModelFiles::from_memory(std::map<std::string, std::string>{{"config.json", "{\"hidden_size\": NaN}"}});
  EXPECT_EQ(test::error_of([&] { PretrainedModel::from_files(nan); }).code(), ErrorCode::corrupt_file);
  const auto only_config = with_config(kBert / "seqcls-3", config_of(kBert / "seqcls-3"));
  EXPECT_NO_THROW(PretrainedModel::from_files(only_config));
}

TEST(Load, TensorsNobodyUsesAreLogged) {
  static std::string seen;
  set_log_callback([](LogLevel, std::string_view message) { seen = message; });
  AutoModel::from_pretrained(kBert / "seqcls-3");  // the classifier is left over
  set_log_callback({});
  EXPECT_NE(seen.find("classifier."), std::string::npos) << seen;
}

TEST(Forward, InputsAreChecked) {
  const auto model = PretrainedModel::from_pretrained(kBert / "model-right");
  Workspace workspace;
  const auto run = [&](std::vector<int64_t> ids, std::vector<int64_t> types = {}) {
    BatchBuilder builder(model->batch_rules());
    builder.add({.input_ids = ids, .token_type_ids = types});
    model->forward(builder.finish(), workspace);
  };
  const std::string vocabulary = std::to_string(model->vocab_size());
  EXPECT_ERROR(ErrorCode::invalid_argument,
               "id 100000 is outside the model's " + vocabulary + " embeddings (input_ids)", run({1, 100000}));
  EXPECT_ERROR(ErrorCode::invalid_argument, "id -1 is outside the model's " + vocabulary + " embeddings (input_ids)",
               run({-1}));
  EXPECT_ERROR(ErrorCode::invalid_argument, "id 9 is outside the model's 2 embeddings (token_type_ids)", run({1}, {9}));
  const int64_t maximum = model->longest_sequence();
  EXPECT_ERROR(
      ErrorCode::limit,
      std::to_string(maximum + 1) + " tokens, model maximum is " + std::to_string(maximum) + " (pass truncation=true)",
      run(std::vector<int64_t>(static_cast<std::size_t>(maximum + 1), 1)));
  EXPECT_NO_THROW(run(std::vector<int64_t>(static_cast<std::size_t>(maximum), 1)));
}

TEST(Forward, LogitsOfTheRowsThatAreKept) {
  const auto model = PretrainedModel::from_pretrained(kBert / "mlm-tied");
  Workspace all_workspace, kept_workspace;
  BatchBuilder builder(model->batch_rules());
  const std::vector<int64_t> ids{3, 1, 4, 1, 5, 9};
  builder.add({.input_ids = ids});
  const Batch batch = builder.finish();
  const ModelOutput all = model->forward(batch, all_workspace);
  const std::vector<int32_t> rows{4, 0};
  const ModelOutput kept = model->forward(batch, kept_workspace, {.logits_to_keep = rows});
  ASSERT_EQ(kept.logits->count, 2);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const auto got = kept.logits->row(static_cast<int64_t>(r)), want = all.logits->row(rows[r]);
    EXPECT_TRUE(std::equal(got.begin(), got.end(), want.begin(), want.end()));
  }
}

// RoBERTa's table of positions begins behind pad_token_id: that many tokens fewer fit.
TEST(Forward, PositionsThatAreCountedEndSooner) {
  const auto model = PretrainedModel::from_pretrained(kBert / ".." / "roberta" / "model-full-length");
  Workspace workspace;
  const auto run = [&](std::size_t tokens) {
    BatchBuilder builder(model->batch_rules());
    const std::vector<int64_t> ids(tokens, 7);
    builder.add({.input_ids = ids});
    model->forward(builder.finish(), workspace);
  };
  EXPECT_EQ(model->longest_sequence(), 38);
  EXPECT_NO_THROW(run(38));
  EXPECT_ERROR(ErrorCode::limit, "39 tokens, model maximum is 38 (pass truncation=true)", run(39));
}

TEST(Forward, NothingInNothingOut) {
  const auto model = PretrainedModel::from_pretrained(kBert / "seqcls-3");
  Workspace workspace;
  const ModelOutput none = model->forward(BatchBuilder(model->batch_rules()).finish(), workspace);
  EXPECT_EQ(none.logits->count, 0);
  BatchBuilder builder(model->batch_rules());
  builder.add({});  // a sequence without tokens
  const ModelOutput empty = model->forward(builder.finish(), workspace);
  for (const float logit : empty.logits->row(0)) EXPECT_EQ(logit, 0.0f);
}

}  // namespace
}  // namespace transformers
