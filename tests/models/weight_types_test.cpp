// Models held as bf16, q8 and q4: how close they stay, that `tcpp quantize` writes what loading makes, and what is
// refused. Every family's checkpoint of tests/data/models/ takes part.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>

#include "support.hpp"
#include "transformers/base/model_files.hpp"
#include "transformers/base/parallel.hpp"
#include "transformers/base/platform.hpp"
#include "transformers/io/safetensors.hpp"
#include "transformers/kernels/kernels.hpp"
#include "transformers/models/pretrained_model.hpp"
#include "transformers/models/quantize.hpp"

namespace transformers {
namespace {

namespace fs = std::filesystem;

constexpr WeightType kTypes[] = {WeightType::bf16, WeightType::q8, WeightType::q4};

std::vector<fs::path> case_directories() {
  std::vector<fs::path> out;
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(TCPP_TEST_DATA) / "models")) {
    if (entry.path().filename() == "case.json") out.push_back(entry.path().parent_path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

struct Outputs {
  std::vector<std::pair<std::string, std::vector<float>>> tensors;

  Outputs(const PretrainedModel& model, const fs::path& directory) {
    const auto file = SafetensorsFile::open(directory / "inputs.safetensors");
    ModelInputs inputs;
    for (const std::string& name : file->names()) {
      const auto input = std::find_if(std::begin(kModelInputNames), std::end(kModelInputNames),
                                      [&](const ModelInputName& i) { return i.name == name; });
      if (input != std::end(kModelInputNames)) inputs.*(input->tensor) = file->tensor(name);
    }
    const Batch batch = make_batch(inputs, model.batch_rules());
    Workspace workspace;
    for (const auto& [name, tensor] : model.forward(batch, workspace).named()) {
      const Tensor padded = to_padded(tensor, batch);
      const auto values = padded.span<float>();
      tensors.emplace_back(name, std::vector<float>(values.begin(), values.end()));
    }
  }

  bool operator==(const Outputs& other) const {
    if (tensors.size() != other.tensors.size()) return false;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      const auto &a = tensors[i].second, &b = other.tensors[i].second;
      if (a.size() != b.size() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) != 0) return false;
    }
    return true;
  }
};

// |a - b| / |b| over all values.
double relative_difference(const Outputs& a, const Outputs& b) {
  double difference = 0.0, size = 0.0;
  for (std::size_t o = 0; o < a.tensors.size(); ++o) {
    for (std::size_t i = 0; i < a.tensors[o].second.size(); ++i) {
      const double x = a.tensors[o].second[i], y = b.tensors[o].second[i];
      difference += (x - y) * (x - y);
      size += y * y;
    }
  }
  return std::sqrt(difference / size);
}

std::unique_ptr<PretrainedModel> load(const fs::path& directory, WeightType dtype) {
  return PretrainedModel::from_pretrained(directory.string(), {.dtype = dtype});
}

class WeightTypes : public testing::TestWithParam<fs::path> {};

// Tiny models of random weights stand more rounding than real ones, which the table of docs/performance.md measures.
TEST_P(WeightTypes, StayCloseToFp32) {
  const Outputs want(*load(GetParam(), WeightType::fp32), GetParam());
  for (const WeightType type : kTypes) {
    const auto model = load(GetParam(), type);
    EXPECT_EQ(model->dtype(), type);
    const double difference = relative_difference(Outputs(*model, GetParam()), want);
    EXPECT_LT(difference, type == WeightType::q4 ? 0.8 : type == WeightType::q8 ? 0.15 : 0.05) << to_string(type);
    EXPECT_GT(difference, 0.0) << to_string(type);
  }
}

TEST_P(WeightTypes, WrittenAndLoadedAreTheBitsOfQuantizeOnLoad) {
  if (GetParam().parent_path().filename() == "transfo_xl") GTEST_SKIP() << "cannot be written";
  for (const WeightType type : kTypes) {
    const test::TemporaryDirectory directory;
    const fs::path& out = directory.path();
    quantize_model(GetParam().string(), out.string(), type);
    const auto model = load(out, WeightType::stored);
    EXPECT_EQ(model->dtype(), type);
    EXPECT_TRUE(Outputs(*model, GetParam()) == Outputs(*load(GetParam(), type), GetParam())) << to_string(type);
    // As floats again: not the numbers that were rounded, but close.
    const Outputs dequantized(*load(out, WeightType::fp32), GetParam());
    EXPECT_LT(relative_difference(dequantized, Outputs(*model, GetParam())), 0.15) << to_string(type);
  }
}

// A table of words that is only looked up becomes integers when that is asked for: in every family, close to the
// floats.
TEST_P(WeightTypes, WordsAreRoundedOnRequest) {
  if (GetParam().parent_path().filename() == "transfo_xl") GTEST_SKIP() << "cannot be written";
  const test::TemporaryDirectory directory;
  quantize_model(GetParam().string(), directory.path().string(), WeightType::q8, WeightType::q8);
  const Outputs rounded(*load(directory.path(), WeightType::stored), GetParam());
  EXPECT_LT(relative_difference(rounded, Outputs(*load(GetParam(), WeightType::q8), GetParam())), 0.15);
  EXPECT_LT(relative_difference(Outputs(*load(directory.path(), WeightType::fp32), GetParam()), rounded), 0.15);
}

INSTANTIATE_TEST_SUITE_P(Cases, WeightTypes, testing::ValuesIn(case_directories()), [](const auto& test) {
  std::string name = test.param.parent_path().filename().string() + "_" + test.param.filename().string();
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
});

const fs::path kBert = fs::path(TCPP_TEST_DATA) / "models" / "bert" / "seqcls-3";

// The case's files in memory, with one tensor of its q8 form replaced (or, undefined, left out).
std::shared_ptr<const ModelFiles> with_tensor(const fs::path& quantized, const std::string& name,
                                              const Tensor& tensor) {
  std::vector<std::pair<std::string, Tensor>> tensors;
  const auto file = SafetensorsFile::open(quantized / "model.safetensors");
  for (const std::string& other : file->names()) {
    if (other != name) tensors.emplace_back(other, file->tensor(other));
  }
  if (tensor.defined()) tensors.emplace_back(name, tensor);
  const test::TemporaryDirectory directory;
  const fs::path path = directory / "model.safetensors";
  save_safetensors(path, tensors);
  return ModelFiles::from_memory(
      std::map<std::string, std::string>{{"config.json", read_file((quantized / "config.json").string())},
                                         {"model.safetensors", read_file(path.string())}});
}

TEST(QuantizedFiles, WordsAreIntegersToo) {
  const test::TemporaryDirectory directory;
  quantize_model(kBert.string(), directory.path().string(), WeightType::q4, WeightType::q8);
  const auto file = SafetensorsFile::open(directory / "model.safetensors");
  const std::string words = "bert.embeddings.word_embeddings.weight";
  EXPECT_EQ(file->tensor(words).dtype(), DType::i8);
  EXPECT_EQ(file->tensor(words + "_scale").dtype(), DType::f16);
  EXPECT_EQ(file->tensor("bert.encoder.layer.0.intermediate.dense.weight").dtype(), DType::u8);
}

// A table of words of 4 bits: looked up, and multiplied by where it is the head too.
TEST(QuantizedFiles, WordsOfFourBits) {
  for (const fs::path& model : case_directories()) {
    const std::string family = model.parent_path().filename().string();
    if (family != "bert" && family != "llama" && family != "marian" && family != "t5" && family != "gemma") continue;
    SCOPED_TRACE(model.string());
    const test::TemporaryDirectory directory;
    quantize_model(model.string(), directory.path().string(), WeightType::q8, WeightType::q4);
    const auto file = SafetensorsFile::open(directory / "model.safetensors");
    int tables = 0, of_eight = 0;
    for (const std::string& name : file->names()) {
      const DType type = file->tensor(name).dtype();
      tables += type == DType::u8, of_eight += type == DType::i8;
      if (type == DType::u8) {
        EXPECT_TRUE(file->contains(name + "_offset")) << name;
      }
    }
    EXPECT_GE(tables, 1);
    EXPECT_GE(of_eight, 1);
    const Outputs rounded(*load(directory.path(), WeightType::stored), model);
    EXPECT_LT(relative_difference(rounded, Outputs(*load(model, WeightType::q8), model)), 0.35);
    EXPECT_LT(relative_difference(Outputs(*load(directory.path(), WeightType::fp32), model), rounded), 0.15);
  }
}

// Groups of 128 have scales in float32, those of 32 in float16; models that only decode have the latter.
TEST(QuantizedFiles, OnlyDecodersHaveSmallGroupsWithQ8) {
  const auto scales_of = [](const std::string& family) {
    std::set<DType> types;
    for (const fs::path& model : case_directories()) {
      if (model.parent_path().filename() != family) continue;
      const test::TemporaryDirectory directory;
      quantize_model(model.string(), directory.path().string(), WeightType::q8);
      const auto file = SafetensorsFile::open(directory / "model.safetensors");
      for (const std::string& name : file->names()) {
        if (name.ends_with("weight_scale")) types.insert(file->tensor(name).dtype());
      }
    }
    return types;
  };
  EXPECT_EQ(scales_of("distilbert"), std::set<DType>{DType::f32});
  EXPECT_EQ(scales_of("t5"), std::set<DType>{DType::f32});
  EXPECT_EQ(scales_of("phi3"), std::set<DType>{DType::f16});
}

TEST(QuantizedFiles, HostileOnesAreNamed) {
  const test::TemporaryDirectory directory;
  const fs::path& out = directory.path();
  quantize_model(kBert.string(), out.string(), WeightType::q4);
  const std::string weight = "bert.encoder.layer.0.intermediate.dense.weight";
  const auto file = SafetensorsFile::open(out / "model.safetensors");
  const auto message = [&](const std::string& name, const Tensor& tensor) -> std::string {
    return test::error_of([&] { PretrainedModel::from_files(with_tensor(out, name, tensor)); }).what();
  };
  const Tensor scale = file->tensor(weight + "_scale"), q = file->tensor(weight);
  const Shape wrong{scale.dim(0), scale.dim(1) + 1};
  EXPECT_EQ(message(weight + "_scale", Tensor::zeros(DType::f16, wrong)),
            "shape mismatch: config.json asks for " + to_string(scale.shape()) + ", the file has " + to_string(wrong) +
                " (model.safetensors: " + weight + "_scale)");
  EXPECT_NE(message(weight + "_scale", Tensor::zeros(DType::f32, scale.shape())).find("expected F16, found F32"),
            std::string::npos);
  EXPECT_NE(message(weight + "_offset", {}).find("\"" + weight + "_offset\""), std::string::npos);
  EXPECT_NE(message(weight, Tensor::zeros(DType::u8, {q.dim(0), q.dim(1) + 1})).find("shape mismatch"),
            std::string::npos);
  // Without scales they are no weights.
  EXPECT_NE(message(weight + "_scale", {}).find("shape mismatch"), std::string::npos);
  // Scales that are no numbers give results that are none.
  Tensor nan = Tensor::zeros(DType::f16, scale.shape());
  for (int64_t i = 0; i < nan.size(); ++i) nan.mutable_data<uint16_t>()[i] = 0x7e00;
  const auto model = PretrainedModel::from_files(with_tensor(out, weight + "_scale", nan));
  const Outputs outputs(*model, kBert);
  for (const float x : outputs.tensors.front().second) EXPECT_TRUE(std::isnan(x)) << x;
}

TEST(QuantizedFiles, MethodsOfOthersAreRefused) {
  Value config = parse_json(read_file((kBert / "config.json").string()), "config.json");
  const auto message = [&](Value quantization) -> std::string {
    config.set("quantization_config", std::move(quantization));
    return test::error_of([&] {
             PretrainedModel::from_files(ModelFiles::from_memory(std::map<std::string, std::string>{
                 {"config.json", to_json(config)},
                 {"model.safetensors", read_file((kBert / "model.safetensors").string())}}));
           })
        .what();
  };
  EXPECT_NE(message(Value::Object{{"quant_method", "gptq"}, {"bits", 4}}).find("quant_method \"gptq\""),
            std::string::npos);
  EXPECT_NE(message(Value::Object{{"quant_method", "tcpp"}, {"dtype", "q3"}}).find("dtype \"q3\""), std::string::npos);
  EXPECT_NE(message("gptq").find("quant_method \"\""), std::string::npos);
}

TEST(QuantizedFiles, WhatCannotBeWrittenIsRefused) {
  const test::TemporaryDirectory directory, again;
  const fs::path& out = directory.path();
  const auto message = [](const fs::path& from, const fs::path& to, WeightType type) -> std::string {
    return test::error_of([&] { quantize_model(from.string(), to.string(), type); }).what();
  };
  EXPECT_EQ(message(kBert, out, WeightType::fp32), "weights can be written as bf16, q8 or q4");
  const std::string bf16_words =
      test::error_of([&] { quantize_model(kBert.string(), out.string(), WeightType::bf16, WeightType::q8); }).what();
  EXPECT_NE(bf16_words.find("words are rounded where"), std::string::npos);
  const std::string words_bf16 =
      test::error_of([&] { quantize_model(kBert.string(), out.string(), WeightType::q8, WeightType::bf16); }).what();
  EXPECT_NE(words_bf16.find("words can be rounded to q8 or q4"), std::string::npos);
  EXPECT_NE(message(kBert, kBert, WeightType::q8).find("the output is the model itself"), std::string::npos);
  quantize_model(kBert.string(), out.string(), WeightType::q8);
  EXPECT_NE(message(out, again.path(), WeightType::q8).find("quantized already"), std::string::npos);
}

}  // namespace
}  // namespace transformers
