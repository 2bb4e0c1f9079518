// Implements models/quantize.hpp.
#include "transformers/models/quantize.hpp"

#include <algorithm>
#include <filesystem>
#include <utility>
#include <vector>

#include "models/pack.hpp"
#include "transformers/base/error.hpp"
#include "transformers/io/safetensors.hpp"

namespace transformers {
namespace {

namespace fs = std::filesystem;

// Files of weights, in any format; what is written takes their place.
bool is_weights(std::string_view name) {
  constexpr std::string_view kEndings[] = {
      ".safetensors", ".safetensors.index.json", ".bin", ".bin.index.json", ".gguf", ".h5", ".msgpack", ".onnx", ".pt",
      ".pth"};
  return std::ranges::any_of(kEndings, [&](std::string_view ending) { return name.ends_with(ending); });
}

void write_text(const fs::path& path, std::string_view text) {
  const std::span<const std::byte> bytes = std::as_bytes(std::span<const char>(text.data(), text.size()));
  write_file(path.string(), {&bytes, 1});
}

}  // namespace

void quantize_model(const std::string& name, const std::string& out, WeightType type, std::optional<WeightType> words) {
  check_argument(type == WeightType::bf16 || type == WeightType::q8 || type == WeightType::q4,
                 "weights can be written as bf16, q8 or q4");
  const std::shared_ptr<const ModelFiles> files = ModelFiles::from_path(name);
  MatrixList list = list_matrices(*files);
  if (list.quantized) {
    throw Error(ErrorCode::invalid_argument, "the model is quantized already", files->where("config.json"));
  }
  if (const Value* model_type = list.config.find("model_type"); model_type->as_string() == "transfo-xl") {
    throw Error(ErrorCode::unsupported, "model_type \"transfo-xl\": its head shares parts of its tables of words",
                files->where("config.json"));
  }
  if (words) {
    check_argument(type != WeightType::bf16, "words are rounded where matrices become q8 or q4");
    check_argument(words == WeightType::q8 || words == WeightType::q4, "words can be rounded to q8 or q4");
    for (const auto& [table, columns] : list.words) {
      list.matrices.emplace(table,
                            MatrixUse{.in_features = columns, .role = {.over_vocabulary = true, .fine_groups = true}});
    }
  }
  std::error_code error;
  if (fs::equivalent(name, out, error)) {
    throw Error(ErrorCode::invalid_argument, "the output is the model itself", out);
  }

  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const std::string& tensor_name : list.weights->names()) {
    Tensor tensor = *list.weights->find(tensor_name);
    const bool stored_as_ours = list.weights->entry(tensor_name)->transposed;
    const auto use = list.matrices.find(tensor_name);
    const bool floats = use != list.matrices.end() && is_floating(tensor.dtype());
    if (floats && type != WeightType::bf16) {
      if (tensor.rank() > 2)
        tensor = tensor.reshaped({tensor.dim(0), use->second.in_features});  // a convolution's taps
      if (use->second.turned) tensor = transpose(tensor);
      const MatrixPart matrix{.weight = tensor, .k = use->second.in_features};
      const bool four_bits = words == WeightType::q4 && list.words.contains(tensor_name);
      const WeightFormat format = four_bits ? WeightFormat::q4() : choose_format({&matrix, 1}, type, use->second.role);
      MatrixPart rounded = quantize_matrix(matrix, format);
      tensors.emplace_back(tensor_name + std::string(kScaleSuffix), std::move(rounded.scales));
      if (rounded.offsets.defined()) {
        tensors.emplace_back(tensor_name + std::string(kOffsetSuffix), std::move(rounded.offsets));
      }
      list.weights->release(tensor);
      tensor = std::move(rounded.weight);
    } else {
      if (is_block_format(tensor.dtype())) tensor = tensor.to_float32();
      // A table of words that is the head too stays as it is: the head is rounded when it is loaded.
      if (floats && !use->second.tied) tensor = round_to_bf16(tensor);
      if (stored_as_ours) tensor = transpose(tensor);
    }
    tensors.emplace_back(tensor_name, std::move(tensor));
  }

  fs::create_directories(out, error);
  if (error) throw Error(ErrorCode::io, "cannot make the directory: " + error.message(), out);
  for (const std::string& file : files->list()) {
    if (file == "config.json" || is_weights(file)) continue;
    const fs::path target = fs::path(out) / file;
    fs::create_directories(target.parent_path(), error);
    const auto content = files->open(file);
    const std::span<const std::byte> bytes = content->bytes();
    write_file(target.string(), {&bytes, 1});
  }
  Value::Object quantization{{"quant_method", std::string(kQuantMethod)}, {"dtype", std::string(to_string(type))}};
  list.config.set("quantization_config", std::move(quantization));
  save_safetensors(fs::path(out) / "model.safetensors", tensors, {{"format", "pt"}});
  // Last: a directory that was left half-written has no config.json.
  write_text(fs::path(out) / "config.json", to_json(list.config) + "\n");
}

}  // namespace transformers
