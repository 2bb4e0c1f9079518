// Tests PretrainedModel::save_pretrained: every checkpoint of the tests, saved and loaded again, gives the same bits.
#include <gtest/gtest.h>

#include <cstring>

#include "support.hpp"
#include "transformers/base/model_files.hpp"
#include "transformers/base/platform.hpp"
#include "transformers/io/safetensors.hpp"
#include "transformers/io/weights.hpp"
#include "transformers/models/pretrained_model.hpp"

namespace transformers {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> checkpoints() {
  std::vector<fs::path> out;
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(TCPP_TEST_DATA) / "models")) {
    const fs::path directory = entry.path().parent_path();
    if (entry.path().filename() == "case.json") out.push_back(directory);
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<std::pair<std::string, Tensor>> outputs(const PretrainedModel& model, const fs::path& directory) {
  const auto file = SafetensorsFile::open(directory / "inputs.safetensors");
  ModelInputs inputs;
  for (const ModelInputName& input : kModelInputNames) {
    if (file->contains(input.name)) inputs.*(input.tensor) = file->tensor(input.name);
  }
  const Batch batch = make_batch(inputs, model.batch_rules());
  Workspace workspace;
  std::vector<std::pair<std::string, Tensor>> out;
  for (const auto& [name, tensor] : model.forward(batch, workspace).named())
    out.emplace_back(name, to_padded(tensor, batch));
  return out;
}

TEST(SavePretrained, ReloadsWithTheSameBits) {
  for (const fs::path& directory : checkpoints()) {
    SCOPED_TRACE(directory.string());
    const test::TemporaryDirectory saved;
    // In fp32: what is held as integers is written as the floats they stand for.
    const auto model = PretrainedModel::from_pretrained(directory, {.dtype = WeightType::fp32});
    model->save_pretrained(saved.string() + "/deep/er");
    const auto again = PretrainedModel::from_pretrained(saved.string() + "/deep/er");
    EXPECT_EQ(again->architecture(), model->architecture());
    const auto want = outputs(*model, directory), got = outputs(*again, directory);
    ASSERT_EQ(got.size(), want.size());
    for (std::size_t i = 0; i < want.size(); ++i) {
      EXPECT_EQ(got[i].first, want[i].first);
      ASSERT_EQ(got[i].second.shape(), want[i].second.shape());
      EXPECT_EQ(std::memcmp(got[i].second.raw(), want[i].second.raw(), want[i].second.bytes()), 0) << want[i].first;
    }
    // A second time gives the same file, byte for byte.
    again->save_pretrained(saved.string());
    EXPECT_EQ(saved.read("model.safetensors"), saved.read("deep/er/model.safetensors"));
    EXPECT_EQ(saved.read("config.json"), saved.read("deep/er/config.json"));
  }
}

// Names and values of the file that was loaded, in its own types; nothing made up.
TEST(SavePretrained, WritesWhatWasRead) {
  int same = 0;
  for (const fs::path& directory : checkpoints()) {
    if (!fs::exists(directory / "config.json")) continue;  // a GGUF file, whose tensors were changed
    SCOPED_TRACE(directory.string());
    const test::TemporaryDirectory saved;
    PretrainedModel::from_pretrained(directory)->save_pretrained(saved.string());
    const auto source = WeightSource::open(*ModelFiles::from_path(directory.string()));
    const auto file = SafetensorsFile::open(saved.string() + "/model.safetensors");
    for (const auto& entry : file->entries()) {
      const auto original = source->find(entry.name);
      if (!original || original->shape() != entry.shape) continue;
      ++same;
      const Tensor a = original->to_float32(), b = file->tensor(entry).to_float32();
      EXPECT_EQ(std::memcmp(a.raw(), b.raw(), a.bytes()), 0) << entry.name;
    }
    EXPECT_EQ(file->metadata(), (std::map<std::string, std::string>{{"format", "pt"}}));
  }
  EXPECT_GT(same, 1000);
}

TEST(SavePretrained, SaysWhereItCannotWrite) {
  const test::TemporaryDirectory directory;
  directory.write("file", "x");
  const auto model = PretrainedModel::from_pretrained(checkpoints().front());
  const Error error = test::error_of([&] { model->save_pretrained(directory.string() + "/file/x"); });
  EXPECT_EQ(error.code(), ErrorCode::io);
  EXPECT_EQ(error.where(), directory.string() + "/file/x");
}

}  // namespace
}  // namespace transformers
