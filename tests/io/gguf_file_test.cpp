// Tests GGUF files: the container (base/gguf.hpp), its tensors under Hugging Face's names (io/weight_file.hpp), the
// config in its metadata, and the rows "GGUF" of the hostile inputs.
#include <gtest/gtest.h>

#include <cstring>

#include "support.hpp"
#include "transformers/base/gguf.hpp"
#include "transformers/base/model_files.hpp"
#include "transformers/io/weight_file.hpp"
#include "transformers/io/weights.hpp"
#include "transformers/tokenizers/tokenizer.hpp"
#include "weight_files.hpp"

namespace transformers {
namespace {

namespace fs = std::filesystem;
using namespace test::gguf;
using test::number;
using test::TemporaryDirectory;

// What a Llama needs: 2 heads of 4 over one head of keys.
Builder llama() {
  return {.keys = {{"general.architecture", string("llama")},
                   {"llama.context_length", u32(16)},
                   {"llama.embedding_length", u32(8)},
                   {"llama.block_count", u32(1)},
                   {"llama.feed_forward_length", u32(12)},
                   {"llama.attention.head_count", u32(2)},
                   {"llama.attention.head_count_kv", u32(1)},
                   {"llama.rope.dimension_count", u32(4)},
                   {"llama.attention.layer_norm_rms_epsilon", f32(0.5f)}}};
}
void replace(Builder& b, const std::string& key, const std::string& value) {
  for (auto& [k, v] : b.keys) {
    if (k == key) v = value;
  }
}

std::shared_ptr<const MappedFile> memory(std::string content) {
  const auto owner = std::make_shared<const std::string>(std::move(content));
  return MappedFile::from_memory(std::as_bytes(std::span<const char>(*owner)), owner);
}
std::shared_ptr<const GgufFile> container(const Builder& b) { return GgufFile::read(memory(b.str()), "x.gguf"); }
std::shared_ptr<const WeightFile> load(const Builder& b) { return open_gguf_file(memory(b.str()), "x.gguf"); }
void refused(ErrorCode code, const std::string& message, const Builder& b) {
  EXPECT_ERROR(code, "gguf: " + message + " (x.gguf)", container(b));
}
void corrupt(const std::string& message, const Builder& b) { refused(ErrorCode::corrupt_file, message, b); }
void corrupt_tensor(const std::string& message, const TensorEntry& tensor, std::size_t data_bytes) {
  Builder b = llama();
  b.tensors = {tensor};
  b.data = std::string(data_bytes, 'x');
  EXPECT_ERROR(ErrorCode::corrupt_file, "gguf: tensor \"" + tensor.name + "\": " + message + " (x.gguf)", load(b));
}

TEST(Gguf, ReadsEveryTypeOfMetadata) {
  const std::string wide(8, '\xFE');
  Builder b{.keys = {{"u8", number(uint32_t{kU8}) + "\xFE"},
                     {"i8", number(uint32_t{kI8}) + "\xFE"},
                     {"u16", number(uint32_t{kU16}) + "\xFE\xFE"},
                     {"i16", number(uint32_t{kI16}) + "\xFE\xFE"},
                     {"u32", number(uint32_t{kU32}) + "\xFE\xFE\xFE\xFE"},
                     {"i32", number(uint32_t{kI32}) + "\xFE\xFE\xFE\xFE"},
                     {"u64", number(uint32_t{kU64}) + wide},
                     {"i64", number(uint32_t{kI64}) + wide},
                     {"f32", f32(0.5f)},
                     {"f64", number(uint32_t{kF64}) + std::string("\0\0\0\0\0\0\xE0\x3F", 8)},
                     {"bool", number(uint32_t{kBool}) + "\1"},
                     {"string", string("abc")},
                     {"strings", array(kString, 2, text("a") + text(""))},
                     {"integers", array(kI16, 2, "\1\0\xFF\xFF" + std::string())},
                     {"floats", array(kF32, 1, std::string("\0\0\0\x3F", 4))}}};
  b.keys[13].second = array(kI16, 2, std::string("\1\0\xFF\xFF", 4));
  for (const uint32_t version : {2u, 3u}) {
    b.version = version;
    const auto file = container(b);
    EXPECT_EQ(file->integer("u8"), 0xFE);
    EXPECT_EQ(file->integer("i8"), -2);
    EXPECT_EQ(file->integer("u16"), 0xFEFE);
    EXPECT_EQ(file->integer("i16"), int16_t(0xFEFE));
    EXPECT_EQ(file->integer("u32"), 0xFEFEFEFE);
    EXPECT_EQ(file->integer("i32"), int32_t(0xFEFEFEFE));
    EXPECT_EQ(file->integer("i64"), int64_t(0xFEFEFEFEFEFEFEFE));
    EXPECT_ERROR(ErrorCode::corrupt_file, "gguf: key \"u64\": 18374403900871474942 is too large (x.gguf)",
                 file->integer("u64"));
    EXPECT_EQ(file->number("f32"), 0.5);
    EXPECT_EQ(file->number("f64"), 0.5);
    EXPECT_EQ(file->number("u8"), 254.0);
    EXPECT_EQ(file->boolean("bool"), true);
    EXPECT_EQ(file->string("string"), "abc");
    EXPECT_EQ(file->strings("strings"), (std::vector<std::string_view>{"a", ""}));
    EXPECT_EQ(file->integers("integers"), (std::vector<int64_t>{1, -1}));
    EXPECT_EQ(file->floats("floats"), (std::vector<float>{0.5f}));
    EXPECT_EQ(file->array_size("strings"), 2u);
    EXPECT_EQ(file->keys().size(), b.keys.size());
    EXPECT_FALSE(file->has("x"));
    EXPECT_EQ(file->integer("x"), std::nullopt);
    EXPECT_TRUE(file->strings("x").empty());
    const auto wrong = [&](const std::string& key, const std::string& types, const auto& get) {
      EXPECT_ERROR(ErrorCode::corrupt_file, "gguf: key \"" + key + "\": " + types + " (x.gguf)", get());
    };
    wrong("f32", "f32, expected an integer", [&] { return file->integer("f32"); });
    wrong("u8", "u8, expected string", [&] { return file->string("u8"); });
    wrong("u8", "u8, expected bool", [&] { return file->boolean("u8"); });
    wrong("u8", "u8, expected an array", [&] { return file->floats("u8"); });
    wrong("string", "string, expected a number", [&] { return file->number("string"); });
    wrong("integers", "an array of i16, expected f32", [&] { return file->floats("integers"); });
    wrong("floats", "an array of f32, expected integers", [&] { return file->integers("floats"); });
    wrong("floats", "an array of f32, expected string", [&] { return file->strings("floats"); });
    wrong("strings", "an array of string, expected an integer", [&] { return file->integer("strings"); });
  }
}

TEST(Gguf, NamesConfigAndRulesOfALlama) {
  Builder b = llama();
  // q: rows 0 ... 7 of two heads; k: one head. In pairs, as llama.cpp rotates.
  b.tensors = {{"blk.0.attn_q.weight", {1, 8}, 24, 0},
               {"blk.0.attn_k.weight", {1, 4}, 24, 32},
               {"blk.0.attn_norm.weight", {2}, 0, 64},
               {"other.weight", {4}, 24, 96}};
  b.data = std::string("\0\1\2\3\4\5\6\7", 8) + std::string(24, 'x') + std::string("\0\1\2\3", 4) +
           std::string(28, 'x') + std::string(32, '\0') + "abcd";
  const auto file = load(b);
  ASSERT_EQ(file->entries().size(), 4u);
  EXPECT_EQ(file->entries()[0].name, "model.layers.0.self_attn.q_proj.weight");
  EXPECT_EQ(file->entries()[1].name, "model.layers.0.self_attn.k_proj.weight");
  EXPECT_EQ(file->entries()[2].name, "model.layers.0.input_layernorm.weight");
  EXPECT_EQ(file->entries()[3].name, "other.weight");
  const auto bytes = [&](std::size_t i) {
    const Tensor t = file->tensor(i);
    return std::vector<int>(t.data<int8_t>(), t.data<int8_t>() + t.size());
  };
  EXPECT_EQ(file->entries()[0].shape, (Shape{8, 1}));
  EXPECT_EQ(bytes(0), (std::vector<int>{0, 2, 1, 3, 4, 6, 5, 7}));
  EXPECT_EQ(bytes(1), (std::vector<int>{0, 2, 1, 3}));
  EXPECT_EQ(file->tensor(3).raw(), file->file().bytes().data() + file->file().bytes().size() - 4);  // not copied
  EXPECT_EQ(to_json(gguf_config(*container(b))),
            R"({"model_type":"llama","architectures":["LlamaForCausalLM"],"max_position_embeddings":16,)"
            R"("num_hidden_layers":1,"hidden_size":8,"intermediate_size":12,"num_attention_heads":2,)"
            R"("num_key_value_heads":1,"rms_norm_eps":0.5,"head_dim":4,"tie_word_embeddings":true})");
}

TEST(Gguf, TakesOneFromNormsThatHaveItAdded) {
  Builder b = llama();
  for (auto& [key, value] : b.keys) {
    if (key.starts_with("llama.")) key = "gemma2" + key.substr(5);
  }
  b.keys[0].second = string("gemma2");
  b.tensors = {{"output_norm.weight", {2}, 0, 0}, {"blk.3.post_ffw_norm.weight", {2}, 1, 32}};
  b.data = std::string("\0\0\xC0\x3F\0\0\0\x40", 8) + std::string(24, 'x') + std::string("\0\x3E\0\x40", 4);  // 1.5, 2
  const auto file = load(b);
  EXPECT_EQ(file->entries()[0].name, "model.norm.weight");
  EXPECT_EQ(file->entries()[1].name, "model.layers.3.post_feedforward_layernorm.weight");
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(file->entries()[i].dtype, DType::f32);
    EXPECT_EQ(file->tensor(i).data<float>()[0], 0.5f);
    EXPECT_EQ(file->tensor(i).data<float>()[1], 1.0f);
  }
}

TEST(Gguf, StandsForItsDirectory) {
  const TemporaryDirectory directory;
  Builder b = llama();
  b.tensors = {{"output.weight", {8, 2}, 0, 0}};
  b.data = std::string(64, '\0');
  const std::string path = directory.write("a/tiny.gguf", b.str()).string();
  for (const std::string& name : {path, (directory / "a").string()}) {
    const auto files = ModelFiles::from_path(name);
    EXPECT_TRUE(files->has("config.json"));
    EXPECT_TRUE(files->has("tiny.gguf"));
    EXPECT_FALSE(files->has("model.safetensors"));
    EXPECT_EQ(files->where("config.json"), path + ": config.json");
    EXPECT_EQ(parse_json(files->read_text("config.json"), "").at("tie_word_embeddings").as_boolean(), false);
    const auto source = WeightSource::open(*files);
    EXPECT_EQ(source->names(), (std::vector<std::string>{"lm_head.weight"}));
    EXPECT_EQ(source->where("lm_head.weight"), path + ": lm_head.weight");
    EXPECT_EQ(source->files(), (std::vector<std::string>{"tiny.gguf"}));
  }
  // Two of them: the directory is what it is.
  directory.write("a/other.gguf", b.str());
  EXPECT_FALSE(ModelFiles::from_path((directory / "a").string())->has("config.json"));
  EXPECT_EQ(test::error_of([&] { ModelFiles::from_path((directory / "none.gguf").string()); }).code(),
            ErrorCode::not_found);
}

std::vector<int64_t> encode(const Builder& b, std::string_view text) {
  const TemporaryDirectory directory;
  const auto files = ModelFiles::from_path(directory.write("tiny.gguf", b.str()).string());
  const auto ids = AutoTokenizer::from_files(files)->encode(text).ids;
  return {ids.begin(), ids.end()};
}
std::string integers(const std::vector<int32_t>& values) {
  std::string out;
  for (const int32_t v : values) out += number(v);
  return array(kI32, values.size(), out);
}
std::string texts(const std::vector<std::string>& values) {
  std::string out;
  for (const std::string& v : values) out += test::gguf::text(v);
  return array(kString, values.size(), out);
}

TEST(Gguf, TokenizesByBytes) {
  Builder b = llama();
  b.keys.insert(b.keys.end(), {{"tokenizer.ggml.model", string("gpt2")},
                               {"tokenizer.ggml.tokens", texts({"a", "b", "ab", "\xC4\xA0", "<|end|>"})},
                               {"tokenizer.ggml.token_type", integers({1, 1, 1, 1, 3})},
                               {"tokenizer.ggml.merges", texts({"a b"})},
                               {"tokenizer.ggml.eos_token_id", u32(4)}});
  EXPECT_EQ(encode(b, "ab <|end|>b"), (std::vector<int64_t>{2, 3, 4, 1}));
  b.keys.push_back({"tokenizer.ggml.add_eos_token", number(uint32_t{kBool}) + "\1"});
  EXPECT_EQ(encode(b, "a"), (std::vector<int64_t>{0, 4}));
}

TEST(Gguf, TokenizesPieces) {
  Builder b = llama();
  const std::string bar = "\xE2\x96\x81";
  std::string scores;
  for (const float score : {0.f, 0.f, 0.f, -5.f, -6.f, -7.f, -1.f, -2.f, 0.f}) scores += f32(score).substr(4);
  b.keys.insert(b.keys.end(),
                {{"tokenizer.ggml.model", string("llama")},
                 {"tokenizer.ggml.tokens", texts({"<unk>", "<s>", "</s>", bar, "a", "b", "ab", bar + "ab", "<0x21>"})},
                 {"tokenizer.ggml.token_type", integers({2, 3, 3, 1, 1, 1, 1, 1, 6})},
                 {"tokenizer.ggml.scores", array(kF32, 9, scores)},
                 {"tokenizer.ggml.bos_token_id", u32(1)},
                 {"tokenizer.ggml.unknown_token_id", u32(0)}});
  EXPECT_EQ(encode(b, "ab!"), (std::vector<int64_t>{1, 7, 8}));
  Builder bad = b;
  replace(bad, "tokenizer.ggml.bos_token_id", u32(9));
  EXPECT_NE(std::string(test::error_of([&] { encode(bad, "a"); }).what()).find("is 9, outside of 9 tokens"),
            std::string::npos);
  bad = b;
  replace(bad, "tokenizer.ggml.scores", array(kF32, 1, scores.substr(0, 4)));
  EXPECT_NE(std::string(test::error_of([&] { encode(bad, "a"); }).what()).find("has 1 entries for 9 tokens"),
            std::string::npos);
  replace(bad, "tokenizer.ggml.scores", array(kU8, 9, "123456789"));
  EXPECT_NE(std::string(test::error_of([&] { encode(bad, "a"); }).what())
                .find("key \"tokenizer.ggml.scores\": an array of u8, expected f32"),
            std::string::npos);
  bad = b;
  replace(bad, "tokenizer.ggml.tokens", texts({"<unk>", "<s>", "</s>", "\xFF", "a", "b", "ab", "c", "<0x21>"}));
  EXPECT_NE(std::string(test::error_of([&] { encode(bad, "a"); }).what()).find("is not UTF-8"), std::string::npos);
}

TEST(Gguf, HostileHeaders) {
  EXPECT_ERROR(ErrorCode::corrupt_file, "gguf: no GGUF file: it begins with other bytes (x.gguf)",
               GgufFile::read(memory("GGML"), "x.gguf"));
  EXPECT_ERROR(ErrorCode::corrupt_file, "gguf: no GGUF file: it begins with other bytes (x.gguf)",
               GgufFile::read(memory(""), "x.gguf"));
  EXPECT_ERROR(ErrorCode::corrupt_file, "gguf: the version needs 4 bytes, 0 are left (incomplete download?) (x.gguf)",
               GgufFile::read(memory("GGUF"), "x.gguf"));
  EXPECT_EQ(test::error_of([] { GgufFile::read(memory("version https://git-lfs"), "x.gguf"); }).code(),
            ErrorCode::corrupt_file);
  Builder b;
  for (const uint32_t version : {0u, 1u, 4u}) {
    b.version = version;
    refused(ErrorCode::unsupported, "version " + std::to_string(version) + ", expected 2 or 3", b);
  }
  b.version = 0x03000000;
  refused(ErrorCode::unsupported, "a big-endian file", b);
  b = {.key_count = ~uint64_t{0}};
  corrupt("18446744073709551615 keys do not fit in a file of 24 bytes", b);
  b = {.tensor_count = ~uint64_t{0}};
  corrupt("18446744073709551615 tensors do not fit in a file of 24 bytes", b);
  // Every length there is, cut short: whatever the byte, an error.
  Builder whole = llama();
  whole.keys.push_back({"strings", array(kString, 2, text("a") + text("b"))});
  whole.tensors = {{"t", {4, 2}, 0, 0}};
  whole.data = std::string(32, 'x');
  const std::string content = whole.str();
  for (std::size_t length = 0; length < content.size(); ++length) {
    EXPECT_EQ(test::error_of([&] { open_gguf_file(memory(content.substr(0, length)), "x.gguf"); }).code(),
              ErrorCode::corrupt_file)
        << length;
  }
}

TEST(Gguf, HostileMetadata) {
  const auto key = [](const std::string& value) { return Builder{.keys = {{"k", value}}}; };
  const std::string left = " are left (incomplete download?)";
  corrupt("key \"k\" needs 18446744073709551615 bytes, 0" + left,
          key(number(uint32_t{kString}) + number(~uint64_t{0})));
  corrupt("key \"k\": 18446744073709551615 strings do not fit in the 0 bytes that are left",
          key(array(kString, ~uint64_t{0}, "")));
  corrupt("key \"k\": 2305843009213693952 elements of f64 do not fit in the 8 bytes that are left",
          key(array(kF64, uint64_t{1} << 61, std::string(8, 'x'))));
  corrupt("key \"k\": type 13 is unknown", key(number(uint32_t{13}) + "xxxxxxxx"));
  corrupt("key \"k\": type 99 is unknown", key(array(99, 1, "xxxx")));
  refused(ErrorCode::unsupported, "key \"k\": an array of arrays", key(array(kArray, 1, array(kU8, 1, "x"))));
  corrupt("key \"k\" comes twice", {.keys = {{"k", u32(1)}, {"k", u32(2)}}});
  corrupt("general.alignment must be a power of two, found 0", {.keys = {{"general.alignment", u32(0)}}});
  corrupt("general.alignment must be a power of two, found 24", {.keys = {{"general.alignment", u32(24)}}});
  corrupt("key \"general.alignment\": u64, expected u32",
          {.keys = {{"general.alignment", number(uint32_t{kU64}) + number(uint64_t{32})}}});
  const std::string lying = Builder{.key_count = 1}.str() + number(~uint64_t{0}) + "12345";
  EXPECT_ERROR(ErrorCode::corrupt_file, "gguf: key 0 needs 18446744073709551615 bytes, 5" + left + " (x.gguf)",
               GgufFile::read(memory(lying), "x.gguf"));
}

TEST(Gguf, HostileTensors) {
  const auto table = [](std::vector<TensorEntry> tensors) { return Builder{.tensors = std::move(tensors)}; };
  corrupt("duplicate tensor \"t\"", table({{"t", {1}, 0, 0}, {"t", {1}, 0, 32}}));
  corrupt("tensor \"t\": 5 dimensions, at most 4 are there", table({{"t", {1, 1, 1, 1, 1}, 0, 0}}));
  corrupt("tensor \"t\": the product of its dimensions overflows", table({{"t", {~uint64_t{0}}, 0, 0}}));
  corrupt("tensor \"t\": the product of its dimensions overflows", table({{"t", {uint64_t{1} << 62, 0, 4}, 0, 0}}));
  corrupt("tensor \"t\": offset 33 is no multiple of the alignment, 32", table({{"t", {1}, 0, 33}}));
  corrupt_tensor("2 blocks of 4 bytes at offset 0 reach beyond the 7 bytes of data (incomplete download?)",
                 {"t", {2}, 0, 0}, 7);
  corrupt_tensor("1 blocks of 4 bytes at offset 64 reach beyond the 7 bytes of data (incomplete download?)",
                 {"t", {1}, 0, 64}, 7);
  corrupt_tensor(
      "1 blocks of 4 bytes at offset 18446744073709551584 reach beyond the 7 bytes of data (incomplete "
      "download?)",
      {"t", {1}, 0, ~uint64_t{31}}, 7);
  corrupt_tensor(
      "4611686018427387903 blocks of 4 bytes at offset 0 reach beyond the 7 bytes of data (incomplete "
      "download?)",
      {"t", {(uint64_t{1} << 62) - 1}, 0, 0}, 7);
  corrupt_tensor("the last dimension of shape [3, 40] is no multiple of 32, the block of Q4_0", {"t", {40, 3}, 2, 0},
                 99);
  corrupt_tensor("the last dimension of shape [] is no multiple of 32, the block of Q4_0", {"t", {}, 2, 0}, 99);
  Builder b = llama();
  b.data = std::string(99, 'x');
  b.tensors = {{"t", {9}, 0, 0}, {"u", {1}, 0, 32}};
  EXPECT_ERROR(ErrorCode::corrupt_file, "gguf: tensor \"u\": offset 32 lies inside the tensor before it (x.gguf)",
               load(b));
  for (const auto& [type, name] :
       {std::pair{10u, "Q2_K"}, {11u, "Q3_K"}, {20u, "IQ4_NL"}, {4u, "number 4"}, {99u, "number 99"}}) {
    b.tensors = {{"t", {256}, type, 0}};
    EXPECT_ERROR(ErrorCode::unsupported,
                 "gguf: tensor \"t\": type " + std::string(name) +
                     " (supported: F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K) (x.gguf)",
                 load(b));
  }
  b.tensors = {{"blk.0.attn_q.weight", {1, 6}, 24, 0}};
  EXPECT_ERROR(ErrorCode::corrupt_file, "gguf: 2 heads do not divide its rows (x.gguf: blk.0.attn_q.weight)", load(b));
  // Two names that come to be the same.
  b.tensors = {{"token_embd.weight", {1}, 24, 0}, {"model.embed_tokens.weight", {1}, 24, 32}};
  EXPECT_ERROR(ErrorCode::corrupt_file, "duplicate tensor \"model.embed_tokens.weight\" (x.gguf)", load(b));
}

TEST(Gguf, HostileConfigs) {
  const auto config = [](const Builder& b) { return gguf_config(*container(b)); };
  EXPECT_ERROR(ErrorCode::corrupt_file, "gguf: key \"general.architecture\" is missing (x.gguf)", config({}));
  Builder b = llama();
  replace(b, "general.architecture", string("mamba"));
  EXPECT_ERROR(ErrorCode::unsupported,
               "gguf: architecture \"mamba\" (supported: llama, qwen2, qwen3, phi3, gemma, gemma2, gemma3, gpt2) "
               "(x.gguf)",
               config(b));
  b = llama();
  b.keys.erase(b.keys.begin() + 2);
  EXPECT_ERROR(ErrorCode::corrupt_file, "gguf: key \"llama.embedding_length\" is missing (x.gguf)", config(b));
  b = llama();
  replace(b, "llama.attention.head_count", u32(0));
  EXPECT_ERROR(ErrorCode::corrupt_file, "gguf: key \"llama.attention.head_count\" is 0 (x.gguf)", config(b));
  replace(b, "llama.attention.head_count", number(uint32_t{kI32}) + number(int32_t{-2}));
  EXPECT_ERROR(ErrorCode::corrupt_file, "gguf: key \"llama.attention.head_count\" is -2 (x.gguf)", config(b));
  replace(b, "llama.attention.head_count", array(kU32, 2, number(uint32_t{2}) + number(uint32_t{4})));
  EXPECT_ERROR(ErrorCode::unsupported, "gguf: key \"llama.attention.head_count\" differs from layer to layer (x.gguf)",
               config(b));
  replace(b, "llama.attention.head_count", array(kU32, 2, number(uint32_t{2}) + number(uint32_t{2})));
  EXPECT_EQ(config(b).at("num_attention_heads").as_integer(), 2);
  replace(b, "llama.attention.head_count", string("2"));
  EXPECT_ERROR(ErrorCode::corrupt_file,
               "gguf: key \"llama.attention.head_count\": string, expected an integer (x.gguf)", config(b));
  b = llama();
  replace(b, "llama.attention.layer_norm_rms_epsilon", f32(std::numeric_limits<float>::quiet_NaN()));
  EXPECT_ERROR(ErrorCode::corrupt_file,
               "gguf: key \"llama.attention.layer_norm_rms_epsilon\" is no finite number (x.gguf)", config(b));
  b = llama();
  b.keys.push_back({"llama.expert_count", u32(8)});
  EXPECT_ERROR(ErrorCode::unsupported, "gguf: a mixture of experts (llama.expert_count) (x.gguf)", config(b));
  b = llama();
  b.keys.push_back({"llama.rope.scaling.type", string("ntk")});
  EXPECT_ERROR(ErrorCode::unsupported, "gguf: rope.scaling.type \"ntk\" (x.gguf)", config(b));
  b = llama();
  b.tensors = {{"rope_freqs.weight", {3}, 0, 0}};
  b.data = std::string(12, '\0');
  EXPECT_ERROR(ErrorCode::corrupt_file, "gguf: expected 2 F32 factors inside the file (x.gguf: rope_freqs.weight)",
               config(b));
  b.tensors = {{"rope_freqs.weight", {2}, 0, 320}};
  EXPECT_ERROR(ErrorCode::corrupt_file, "gguf: expected 2 F32 factors inside the file (x.gguf: rope_freqs.weight)",
               config(b));
}

}  // namespace
}  // namespace transformers
