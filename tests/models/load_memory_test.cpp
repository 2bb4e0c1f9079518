// Tests what loading takes: the peak resident size of a process that loads a model, in every format of weights, is at
// most the packed weights, the largest tensor and 40 MB.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "support.hpp"
#include "transformers/base/model_files.hpp"
#include "transformers/base/platform.hpp"
#include "transformers/io/safetensors.hpp"
#include "transformers/io/weights.hpp"
#include "transformers/kernels/kernels.hpp"
#include "transformers/models/pretrained_model.hpp"
#include "weight_files.hpp"

namespace transformers {
namespace {

using test::number;
using test::TemporaryDirectory;
namespace gguf = test::gguf;
namespace torch = test::torch;

constexpr int64_t kHidden = 1024, kIntermediate = 3072, kVocab = 16384, kLayers = 2;

struct Weight {
  std::string name, gguf;
  Shape shape;
};

// A Llama of 42 million numbers, 168 MB in float32.
std::vector<Weight> weights() {
  std::vector<Weight> out = {{"model.embed_tokens.weight", "token_embd.weight", {kVocab, kHidden}},
                             {"model.norm.weight", "output_norm.weight", {kHidden}}};
  for (int64_t i = 0; i < kLayers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".", blk = "blk." + std::to_string(i) + ".";
    for (const auto& [name, stored, shape] :
         std::initializer_list<Weight>{{"input_layernorm", "attn_norm", {kHidden}},
                                       {"self_attn.q_proj", "attn_q", {kHidden, kHidden}},
                                       {"self_attn.k_proj", "attn_k", {kHidden / 4, kHidden}},
                                       {"self_attn.v_proj", "attn_v", {kHidden / 4, kHidden}},
                                       {"self_attn.o_proj", "attn_output", {kHidden, kHidden}},
                                       {"post_attention_layernorm", "ffn_norm", {kHidden}},
                                       {"mlp.gate_proj", "ffn_gate", {kIntermediate, kHidden}},
                                       {"mlp.up_proj", "ffn_up", {kIntermediate, kHidden}},
                                       {"mlp.down_proj", "ffn_down", {kHidden, kIntermediate}}}) {
      out.push_back({layer + name + ".weight", blk + stored + ".weight", shape});
    }
  }
  return out;
}

// Any bytes that are numbers of the type: what they are does not matter, only that they are not zeros, which a file
// system may keep as holes.
std::string bytes_of(DType dtype, const Shape& shape) {
  std::string out(dtype_bytes(dtype, element_count(shape)), '\0');
  uint32_t state = 1;
  for (char& c : out) {
    state = state * 1664525 + 1013904223;
    c = static_cast<char>(state >> 24 & 0x3B);
  }
  return out;
}

void write_config(const TemporaryDirectory& directory) {
  directory.write("config.json", to_json(Value::Object{{"model_type", "llama"},
                                                       {"architectures", Value::Array{"LlamaForCausalLM"}},
                                                       {"hidden_size", kHidden},
                                                       {"intermediate_size", kIntermediate},
                                                       {"num_hidden_layers", kLayers},
                                                       {"num_attention_heads", 16},
                                                       {"num_key_value_heads", 4},
                                                       {"vocab_size", kVocab},
                                                       {"tie_word_embeddings", true}}));
}

void write_safetensors(const TemporaryDirectory& directory, DType dtype) {
  write_config(directory);
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const Weight& w : weights()) {
    const auto bytes = std::make_shared<const std::string>(bytes_of(dtype, w.shape));
    tensors.emplace_back(w.name, Tensor(dtype, w.shape, bytes->data(), bytes));
  }
  save_safetensors(directory / "model.safetensors", tensors);
}

std::string state_dict(const std::string& type, const std::string& after_size) {
  std::string out = torch::kProto + "}(";
  int key = 0;
  for (const Weight& w : weights()) {
    const std::vector<int> shape(w.shape.begin(), w.shape.end());
    std::vector<int> strides(shape.size(), 1);
    if (shape.size() == 2) strides[0] = shape[1];
    std::string storage = torch::storage(std::to_string(key++), static_cast<int>(element_count(w.shape)), type);
    storage.insert(storage.size() - 2, after_size);
    out += torch::text(w.name) + torch::rebuild(storage, 0, shape, strides);
  }
  return out + "u.";
}

void write_torch_zip(const TemporaryDirectory& directory, DType dtype, const std::string& type) {
  write_config(directory);
  std::vector<torch::ZipEntry> entries = {{"a/data.pkl", state_dict(type, "")}};
  int key = 0;
  for (const Weight& w : weights()) entries.push_back({"a/data/" + std::to_string(key++), bytes_of(dtype, w.shape)});
  directory.write("pytorch_model.bin", torch::zip(entries));
}

void write_torch_stream(const TemporaryDirectory& directory) {
  write_config(directory);
  std::string out = torch::kProto + "\x8A\x0A\x6C\xFC\x9C\x46\xF9\x20\x6A\xA8\x50\x19." + torch::kProto + "M\xE9\x03." +
                    torch::kProto + "}." + state_dict("FloatStorage", "N") + torch::kProto + "](";
  for (std::size_t i = 0; i < weights().size(); ++i) out += torch::text(std::to_string(i));
  out += "e.";
  for (const Weight& w : weights()) {
    out += number(static_cast<uint64_t>(element_count(w.shape))) + bytes_of(DType::f32, w.shape);
  }
  directory.write("pytorch_model.bin", out);
}

void write_gguf(const TemporaryDirectory& directory, DType dtype, uint32_t type) {
  gguf::Builder b{.keys = {{"general.architecture", gguf::string("llama")},
                           {"llama.context_length", gguf::u32(2048)},
                           {"llama.embedding_length", gguf::u32(kHidden)},
                           {"llama.block_count", gguf::u32(kLayers)},
                           {"llama.feed_forward_length", gguf::u32(kIntermediate)},
                           {"llama.attention.head_count", gguf::u32(16)},
                           {"llama.attention.head_count_kv", gguf::u32(4)},
                           {"llama.attention.layer_norm_rms_epsilon", gguf::f32(1e-5f)},
                           {"llama.vocab_size", gguf::u32(kVocab)}}};
  for (const Weight& w : weights()) {
    const bool norm = w.shape.size() == 1;
    gguf::TensorEntry entry{w.gguf, {}, norm ? 0 : type, b.data.size()};
    for (std::size_t i = w.shape.size(); i-- > 0;) entry.dimensions.push_back(static_cast<uint64_t>(w.shape[i]));
    b.tensors.push_back(std::move(entry));
    b.data += bytes_of(norm ? DType::f32 : dtype, w.shape);
    b.data.resize((b.data.size() + 31) / 32 * 32);
  }
  directory.write("model.gguf", b.str());
}

// Runs in a process of its own, whose peak is that of loading alone: reports it, and what it was before.
TEST(SlowLoadMemory, DISABLED_Child) {
  const char* const directory = std::getenv("TCPP_LOAD_DIRECTORY");
  ASSERT_NE(directory, nullptr);
  const int64_t before = peak_resident_bytes();
  const auto model = PretrainedModel::from_pretrained(directory);
  test::report_peak(before);
}

struct Sizes {
  int64_t packed = 0;   // at the stored width where that is one the kernels read, else float32
  int64_t largest = 0;  // the largest tensor as it is stored
};
Sizes sizes_of(const TemporaryDirectory& directory) {
  const auto source = WeightSource::open(*ModelFiles::from_path(directory.string()));
  Sizes sizes;
  for (const std::string& name : source->names()) {
    const auto& entry = *source->entry(name);
    const int64_t k = entry.shape.back(), size = element_count(entry.shape);
    const WeightFormat format = entry.dtype == DType::f64 ? DType::f32 : entry.dtype;
    sizes.packed += static_cast<int64_t>(packed_bytes(format, size / k, k));
    sizes.largest = std::max(sizes.largest, static_cast<int64_t>(dtype_bytes(entry.dtype, size)));
  }
  return sizes;
}

void check(const char* format, const TemporaryDirectory& directory) {
  const int64_t peak =
      test::peak_of_child("SlowLoadMemory.DISABLED_Child", "TCPP_LOAD_DIRECTORY", directory.string()).peak;
  const auto [packed, largest] = sizes_of(directory);
  std::printf("%-24s packed %4lld MB, largest tensor %lld MB, peak %lld MB\n", format,
              static_cast<long long>(packed / 1000000), static_cast<long long>(largest / 1000000),
              static_cast<long long>(peak / 1000000));
  EXPECT_LE(peak, packed + largest + 40'000'000) << format;
  EXPECT_GT(peak, packed / 4) << format << ": the weights were not loaded";
}

TEST(SlowLoadMemory, PeakIsThePackedWeightsAndTheLargestTensor) {
  if (test::kSanitized) GTEST_SKIP() << "sanitizers have memory of their own";
  const auto with = [](const char* format, const auto& write) {
    const TemporaryDirectory directory;
    write(directory);
    check(format, directory);
  };
  with("safetensors F32", [](const auto& d) { write_safetensors(d, DType::f32); });
  with("safetensors F64", [](const auto& d) { write_safetensors(d, DType::f64); });
  with("safetensors F16", [](const auto& d) { write_safetensors(d, DType::f16); });
  with("pytorch_model.bin zip", [](const auto& d) { write_torch_zip(d, DType::f32, "FloatStorage"); });
  with("pytorch_model.bin F64", [](const auto& d) { write_torch_zip(d, DType::f64, "DoubleStorage"); });
  with("pytorch_model.bin BF16", [](const auto& d) { write_torch_zip(d, DType::bf16, "BFloat16Storage"); });
  with("pytorch_model.bin stream", [](const auto& d) { write_torch_stream(d); });
  with("GGUF F16", [](const auto& d) { write_gguf(d, DType::f16, 1); });
  with("GGUF Q8_0", [](const auto& d) { write_gguf(d, DType::q8_0, 8); });
  with("GGUF Q4_K", [](const auto& d) { write_gguf(d, DType::q4_k, 12); });
}

}  // namespace
}  // namespace transformers
