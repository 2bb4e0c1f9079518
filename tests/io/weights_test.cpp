// Tests io/weights.hpp: weights in one file, in shards and in memory, and rows D1-D3 of the hostile inputs.
#include "transformers/io/weights.hpp"

#include <gtest/gtest.h>

#include "support.hpp"
#include "transformers/base/value.hpp"
#include "transformers/io/safetensors.hpp"

namespace transformers {
namespace {

using test::TemporaryDirectory;
namespace fs = std::filesystem;

using Tensors = std::vector<std::pair<std::string, Tensor>>;

Tensor filled(float value) {
  const float values[] = {value, value};
  return Tensor::from<float>(DType::f32, {2}, values);
}

void write_index(const TemporaryDirectory& directory, const Value::Object& weight_map) {
  directory.write("model.safetensors.index.json",
                  to_json(Value::Object{{"metadata", Value::Object{{"total_size", 24}}}, {"weight_map", weight_map}}));
}

std::shared_ptr<const WeightSource> open(const TemporaryDirectory& directory) {
  return WeightSource::open(*ModelFiles::from_directory(directory.path()));
}

// A directory with two shards, "a" and "b" in the first, "c" in the second.
struct Sharded {
  TemporaryDirectory directory;
  Sharded() {
    save_safetensors(directory / "one.safetensors", Tensors{{"a", filled(1)}, {"b", filled(2)}});
    save_safetensors(directory / "two.safetensors", Tensors{{"c", filled(3)}});
    write_index(directory, {{"a", "one.safetensors"}, {"b", "one.safetensors"}, {"c", "two.safetensors"}});
  }
};

TEST(WeightSource, ReadsTheSingleFile) {
  const TemporaryDirectory directory;
  save_safetensors(directory / "model.safetensors", Tensors{{"b", filled(2)}, {"a", filled(1)}});
  const auto source = open(directory);
  EXPECT_EQ(source->names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(source->size(), 2u);
  EXPECT_EQ(source->total_bytes(), 16);
  EXPECT_EQ(source->files(), (std::vector<std::string>{"model.safetensors"}));
  EXPECT_TRUE(source->contains("a"));
  EXPECT_FALSE(source->contains("c"));
  EXPECT_EQ(source->find("b")->data<float>()[1], 2.0f);
  EXPECT_EQ(source->find("c"), std::nullopt);
  EXPECT_EQ(source->where("b"), directory.string() + "/model.safetensors: b");
  EXPECT_EQ(source->where("c"), directory.string());
}

TEST(WeightSource, ReadsShards) {
  const Sharded sharded;
  const auto source = open(sharded.directory);
  EXPECT_EQ(source->names(), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(source->total_bytes(), 24);
  EXPECT_EQ(source->files(), (std::vector<std::string>{"one.safetensors", "two.safetensors"}));
  EXPECT_EQ(source->find("b")->data<float>()[0], 2.0f);
  EXPECT_EQ(source->find("c")->data<float>()[0], 3.0f);
  EXPECT_EQ(source->where("c"), sharded.directory.string() + "/two.safetensors: c");
}

TEST(WeightSource, PrefersTheSingleFileAsHuggingFaceDoes) {
  const Sharded sharded;
  save_safetensors(sharded.directory / "model.safetensors", Tensors{{"a", filled(9)}});
  EXPECT_EQ(open(sharded.directory)->find("a")->data<float>()[0], 9.0f);
}

TEST(WeightSource, ReadsMemory) {
  const Sharded sharded;
  std::map<std::string, std::string> files;
  for (const char* name : {"one.safetensors", "two.safetensors", "model.safetensors.index.json"}) {
    files[name] = sharded.directory.read(name);
  }
  std::optional<Tensor> tensor;
  {
    const auto source = WeightSource::open(*ModelFiles::from_memory(std::move(files)));
    EXPECT_EQ(source->where("c"), "two.safetensors: c");
    EXPECT_EQ(source->where("d"), "files in memory");
    tensor = source->find("c");
    source->release(*tensor);
  }
  EXPECT_EQ(tensor->to_float32().data<float>()[0], 3.0f);
}

TEST(WeightSource, ReleasedTensorsCanStillBeRead) {
  const Sharded sharded;
  const auto source = open(sharded.directory);
  const Tensor tensor = *source->find("c");
  source->release(tensor);
  EXPECT_EQ(tensor.data<float>()[0], 3.0f);
  source->release(filled(1));
  source->release(Tensor());
}

TEST(WeightSource, SaysWhatItLookedFor) {
  const TemporaryDirectory directory;
  const std::string where = " (" + directory.string() + ")";
  EXPECT_ERROR(ErrorCode::not_found,
               "no weights: looked for model.safetensors, pytorch_model.bin and their .index.json" + where,
               open(directory));
  directory.write("tf_model.h5", "x");
  EXPECT_ERROR(ErrorCode::unsupported,
               "the weights are in \"tf_model.h5\", a format that is not read: expected model.safetensors (Hugging "
               "Face's save_pretrained writes it)" +
                   where,
               open(directory));
  directory.write("pytorch_model.bin.index.json", "{}");
  EXPECT_ERROR(ErrorCode::corrupt_file,
               "expected an object \"weight_map\" with the shard of each tensor (" + directory.string() +
                   "/pytorch_model.bin.index.json)",
               open(directory));
  directory.write("pytorch_model.bin", "x");
  EXPECT_ERROR(
      ErrorCode::corrupt_file,
      "neither a zip archive nor a stream of pickles, as PyTorch writes (" + directory.string() + "/pytorch_model.bin)",
      open(directory));
  directory.write("model.safetensors.index.json", "{}");
  EXPECT_ERROR(ErrorCode::corrupt_file,
               "expected an object \"weight_map\" with the shard of each tensor (" + directory.string() +
                   "/model.safetensors.index.json)",
               open(directory));
  directory.write("model.safetensors", "x");
  EXPECT_ERROR(ErrorCode::corrupt_file,
               "1 bytes, shorter than the 8-byte header length (" + directory.string() + "/model.safetensors)",
               open(directory));
}

TEST(WeightSource, D1_ShardNamesThatLeaveTheDirectory) {
  const Sharded sharded;
  const TemporaryDirectory outside;
  save_safetensors(outside / "x.safetensors", Tensors{{"a", filled(1)}});
  const std::string absolute = (outside / "x.safetensors").string();
  const std::string where = " (" + sharded.directory.string() + "/model.safetensors.index.json)";
  for (const std::string& name : {"../" + outside.path().filename().string() + "/x.safetensors", absolute,
                                  std::string("sub/x.safetensors"), std::string("./one.safetensors")}) {
    write_index(sharded.directory, {{"a", name}});
    EXPECT_ERROR(ErrorCode::security,
                 "weight_map: shard " + quote(name) + " is not in the model directory itself" + where,
                 open(sharded.directory));
  }
  for (const std::string& name : {std::string(".."), std::string("..\\x.safetensors"), std::string("C:x.safetensors"),
                                  std::string("one.safetensors\0", 16), std::string()}) {
    write_index(sharded.directory, {{"a", name}});
    EXPECT_ERROR(ErrorCode::security,
                 "weight_map: the file name " + quote(name) +
                     " could leave the model directory: expected a plain relative path" + where,
                 open(sharded.directory));
  }
  fs::create_symlink(absolute, sharded.directory / "link.safetensors");
  write_index(sharded.directory, {{"a", "link.safetensors"}});
  EXPECT_ERROR(ErrorCode::security,
               "weight_map: the file \"link.safetensors\" is a link that leaves the model directory, to " +
                   quote(fs::canonical(absolute).string()) + where,
               open(sharded.directory));
}

TEST(WeightSource, D1_LinksOfHuggingFacesCacheAreFollowed) {
  const TemporaryDirectory cache;
  fs::create_directories(cache / "models--x/blobs");
  fs::create_directories(cache / "models--x/snapshots/0123");
  save_safetensors(cache / "models--x/blobs/4567", Tensors{{"a", filled(4)}});
  fs::create_symlink("../../blobs/4567", cache / "models--x/snapshots/0123/one.safetensors");
  cache.write("models--x/snapshots/0123/model.safetensors.index.json", R"({"weight_map":{"a":"one.safetensors"}})");
  const auto source = WeightSource::open(*ModelFiles::from_directory(cache / "models--x/snapshots/0123"));
  EXPECT_EQ(source->find("a")->data<float>()[0], 4.0f);
}

TEST(WeightSource, D2_MissingShards) {
  const Sharded sharded;
  fs::remove(sharded.directory / "two.safetensors");
  write_index(sharded.directory, {{"a", "one.safetensors"}, {"c", "two.safetensors"}, {"d", "three.safetensors"}});
  EXPECT_ERROR(ErrorCode::not_found,
               "shards [three.safetensors, two.safetensors] named in the index are absent (incomplete download?) (" +
                   sharded.directory.string() + "/model.safetensors.index.json)",
               open(sharded.directory));
}

TEST(WeightSource, D3_TheIndexDecides) {
  const Sharded sharded;
  const std::string where = " (" + sharded.directory.string() + "/model.safetensors.index.json)";
  write_index(sharded.directory, {{"a", "two.safetensors"}});
  EXPECT_ERROR(ErrorCode::corrupt_file, "tensor \"a\" is not in two.safetensors as the index says" + where,
               open(sharded.directory));
  // "c" lies in both shards: the stray copy is passed over, as is what the index leaves out.
  save_safetensors(sharded.directory / "one.safetensors", Tensors{{"a", filled(1)}, {"c", filled(-1)}});
  write_index(sharded.directory, {{"a", "one.safetensors"}, {"c", "two.safetensors"}});
  EXPECT_EQ(open(sharded.directory)->find("c")->data<float>()[0], 3.0f);
  write_index(sharded.directory, {{"c", "two.safetensors"}});
  EXPECT_EQ(open(sharded.directory)->names(), (std::vector<std::string>{"c"}));
}

TEST(WeightSource, D3_IndexesThatAreNone) {
  const Sharded sharded;
  const std::string where = " (" + sharded.directory.string() + "/model.safetensors.index.json)";
  for (const char* index : {"{}", "[]", "{\"weight_map\":[]}", "{\"weight_map\":{}}", "{\"weight_map\":null}"}) {
    sharded.directory.write("model.safetensors.index.json", index);
    EXPECT_ERROR(ErrorCode::corrupt_file, "expected an object \"weight_map\" with the shard of each tensor" + where,
                 open(sharded.directory));
  }
  sharded.directory.write("model.safetensors.index.json", "{\"weight_map\":{\"a\":1}}");
  EXPECT_ERROR(ErrorCode::corrupt_file, "weight_map: the shard of \"a\" must be a string" + where,
               open(sharded.directory));
  sharded.directory.write("model.safetensors.index.json", "{\"weight_map\":{\"a\":\"x\",\"a\":\"y\"}}");
  EXPECT_ERROR(ErrorCode::corrupt_file,
               "not valid JSON at byte 30: the object that ends here has the key \"a\" twice" + where,
               open(sharded.directory));
}

TEST(WeightSource, FindsTheNearestName) {
  const TemporaryDirectory directory;
  save_safetensors(directory / "model.safetensors",
                   Tensors{{"bert.encoder.layer.0.attention.self.query.weight", filled(1)},
                           {"bert.encoder.layer.0.attention.self.key.weight", filled(1)},
                           {"pooler.dense.bias", filled(1)}});
  const auto source = open(directory);
  EXPECT_EQ(source->nearest("encoder.layer.0.attention.self.query.weight"),
            "bert.encoder.layer.0.attention.self.query.weight");
  EXPECT_EQ(source->nearest("pooler.dense.weight"), "pooler.dense.bias");
  EXPECT_EQ(source->nearest("pooler.dense.bias"), "pooler.dense.bias");
  EXPECT_EQ(source->nearest("x"), "");
  EXPECT_EQ(source->nearest("classifier.out_proj"), "");
  EXPECT_EQ(source->nearest(std::string(100000, 'x')), "");
}

// What Hugging Face wrote, whole and in shards.
TEST(WeightSourceReference, ReadsHuggingFacesDirectories) {
  const fs::path models = fs::path(TCPP_TEST_DATA) / "models/bert";
  const auto sharded = WeightSource::open(*ModelFiles::from_directory(models / "model-sharded"));
  EXPECT_EQ(sharded->files().size(), 3u);
  EXPECT_EQ(sharded->find("embeddings.LayerNorm.weight")->rank(), 1u);
  const auto whole = WeightSource::open(*ModelFiles::from_directory(models / "model-right"));
  EXPECT_TRUE(whole->contains("embeddings.word_embeddings.weight"));
}

}  // namespace
}  // namespace transformers
