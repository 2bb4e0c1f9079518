// Saving: the weights as they are packed, taken apart again under Hugging Face's names. Implements save_pretrained of
// models/pretrained_model.hpp. Source: transformers 5.23 modeling_utils.py, save_pretrained.
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>
#include <utility>

#include "kernels/unpack.hpp"
#include "transformers/base/error.hpp"
#include "transformers/base/platform.hpp"
#include "transformers/io/safetensors.hpp"
#include "transformers/models/pretrained_model.hpp"
#include "transformers/nn/weights.hpp"

namespace transformers {
namespace {

// The type that holds the numbers of a packed weight exactly.
DType stored_type(const WeightFormat& format) {
  switch (format.kind) {
    case WeightFormat::Kind::f16:
      return DType::f16;
    case WeightFormat::Kind::bf16:
    case WeightFormat::Kind::bf16_dot:
      return DType::bf16;
    default:
      return DType::f32;
  }
}

// Collects the tensors of a model.
class Saver final : public WeightVisitor {
 public:
  explicit Saver(const std::set<std::string, std::less<>>& present) : present_(present) {}

  void matrix(std::span<const WeightPart> parts, PackedWeight& weight) override {
    const int64_t k = weight.in_features;
    const DType type = stored_type(weight.format);
    int64_t row = 0;
    for (const WeightPart& part : parts) {
      Target target = target_of(part, type, {k});
      // About 1 MiB at a time.
      const int64_t step = std::max<int64_t>(1, (int64_t{1} << 18) / std::max<int64_t>(k, 1));
      std::vector<std::byte> rows(static_cast<std::size_t>(std::min(step, part.rows) * k) * dtype_size(type));
      for (int64_t r = 0; r < part.rows; r += step) {
        const int64_t count = std::min(step, part.rows - r);
        unpack_rows(weight.view(), row + r, count, rows.data());
        target.put(rows.data(), r, count);
      }
      row += part.rows;
      finish(part, target);
    }
  }

  void vector(std::span<const WeightPart> parts, std::vector<float>& values) override {
    const float* from = values.data();
    for (const WeightPart& part : parts) {
      Target target = target_of(part, DType::f32, {});
      target.put(reinterpret_cast<const std::byte*>(from), 0, part.rows);
      from += part.rows;
      finish(part, target);
    }
  }

  void table(std::string_view name, int64_t, int64_t, Tensor& table) override {
    if (!table.defined()) return;  // the checkpoint had none
    tensors_[full_name(name)] = is_block_format(table.dtype()) ? table.to_float32() : table;
  }

  void words(std::string_view name, int64_t rows, int64_t columns, Tensor& table, PackedWeight& packed) override {
    if (packed.bytes == nullptr) return this->table(name, rows, columns, table);
    Tensor wide = Tensor::zeros(DType::f32, {rows, columns});
    unpack_rows(packed.view(), 0, rows, wide.mutable_data<float>());
    tensors_[full_name(name)] = std::move(wide);
  }

  // As it was when the model was loaded.
  bool has(std::string_view name) override { return present_.contains(full_name(name)); }

  std::vector<std::pair<std::string, Tensor>> tensors() const { return {tensors_.begin(), tensors_.end()}; }

 private:
  // Where the rows of a part go: rows, or columns, of a tensor that several parts may share.
  struct Target {
    Tensor tensor;
    int64_t first, rows, k;  // of the tensor: rows before the part; all its rows; numbers in each
    bool transposed;

    void put(const std::byte* values, int64_t row, int64_t count) {
      auto* to = static_cast<std::byte*>(const_cast<void*>(tensor.raw()));
      const std::size_t element = dtype_size(tensor.dtype());
      if (!transposed) {
        std::memcpy(to + static_cast<std::size_t>((first + row) * k) * element, values,
                    static_cast<std::size_t>(count * k) * element);
        return;
      }
      for (int64_t r = 0; r < count; ++r) {
        for (int64_t j = 0; j < k; ++j, values += element) {
          std::memcpy(to + static_cast<std::size_t>(j * rows + first + row + r) * element, values, element);
        }
      }
    }
  };

  Target target_of(const WeightPart& part, DType type, const Shape& row_shape) {
    const int64_t rows = part.of > 0 ? part.of : part.rows, k = row_shape.empty() ? 1 : row_shape[0];
    const std::string name = full_name(part.names.front());
    const auto found = part.of > 0 && filling_.contains(name) ? tensors_.find(name) : tensors_.end();
    if (found != tensors_.end()) return {found->second, part.first, rows, k, part.transposed};
    Shape shape = {rows};
    shape.insert(shape.end(), row_shape.begin(), row_shape.end());
    if (part.transposed) std::reverse(shape.begin(), shape.end());
    if (part.taps > 0) shape = {rows, k / part.taps, part.taps};
    return {Tensor::zeros(type, std::move(shape)), part.first, rows, k, part.transposed};
  }

  // A weight with the values of the one it may be tied to is left out, as Hugging Face does: loading finds the other.
  void finish(const WeightPart& part, const Target& target) {
    for (std::size_t i = 1; i < part.names.size(); ++i) {
      const auto other = tensors_.find(full_name(part.names[i]));
      if (other == tensors_.end() || other->second.shape() != target.tensor.shape()) continue;
      const Tensor a = other->second.to_float32(), b = target.tensor.to_float32();
      if (std::memcmp(a.raw(), b.raw(), a.bytes()) == 0) return;
    }
    const std::string name = full_name(part.names.front());
    if (tensors_.contains(name) && !filling_.contains(name)) return;  // a table that is multiplied by too
    if (part.of > 0) filling_.insert(name);
    tensors_[name] = target.tensor;
  }

  const std::set<std::string, std::less<>>& present_;
  std::map<std::string, Tensor> tensors_;
  std::set<std::string> filling_;  // those that several parts share
};

}  // namespace

void PretrainedModel::save_pretrained(const std::string& directory) const {
  Saver saver(present_);
  // The visitor reads; that the function is no const one is for loading.
  const_cast<PretrainedModel*>(this)->weights(saver);
  const auto tensors = saver.tensors();

  Value config = config_json_;
  config.set("architectures", Value::Array{architecture_});
  std::set<DType> types;
  for (const auto& [name, tensor] : tensors) {
    if (tensor.rank() > 1) types.insert(tensor.dtype());
  }
  const DType type = types.size() == 1 ? *types.begin() : DType::f32;
  Value::Object& members = config.as_object();
  std::erase_if(members,
                [](const Value::Member& m) { return m.first == "torch_dtype" || m.first == "quantization_config"; });
  config.set("dtype", type == DType::f16 ? "float16" : type == DType::bf16 ? "bfloat16" : "float32");

  const std::filesystem::path path(directory);
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) throw Error(ErrorCode::io, "cannot make the directory: " + error.message(), path.string());
  save_safetensors(path / "model.safetensors", tensors, {{"format", "pt"}});
  const std::string text = to_json(config, 2) + "\n";
  const std::span<const std::byte> bytes = std::as_bytes(std::span<const char>(text));
  write_file((path / "config.json").string(), {&bytes, 1});
}

}  // namespace transformers
