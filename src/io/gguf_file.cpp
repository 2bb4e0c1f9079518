// GGUF files as WeightFile: implements open_gguf_file of io/weight_file.hpp.
#include <cstring>
#include <utility>
#include <vector>

#include "transformers/base/error.hpp"
#include "transformers/base/gguf.hpp"
#include "transformers/base/value.hpp"
#include "transformers/io/weight_file.hpp"

namespace transformers {
namespace {

// ggml's names of the types that no Tensor has, for messages.
std::string type_name(uint32_t type) {
  constexpr std::pair<uint32_t, const char*> kNames[] = {
      {9, "Q8_1"},     {10, "Q2_K"},  {11, "Q3_K"},   {15, "Q8_K"},  {16, "IQ2_XXS"}, {17, "IQ2_XS"},
      {18, "IQ3_XXS"}, {19, "IQ1_S"}, {20, "IQ4_NL"}, {21, "IQ3_S"}, {22, "IQ2_S"},   {23, "IQ4_XS"},
      {29, "IQ1_M"},   {34, "TQ1_0"}, {35, "TQ2_0"},  {39, "MXFP4"},
  };
  for (const auto& [number, name] : kNames) {
    if (number == type) return name;
  }
  return "number " + std::to_string(type);
}

class GgufWeights final : public WeightFile {
 public:
  GgufWeights(const std::shared_ptr<const MappedFile>& file, const std::string& name)
      : WeightFile(file, name), gguf_(GgufFile::read(file, name)), rules_(gguf_tensor_rules(*gguf_)) {
    const std::size_t data_bytes = file->bytes().size() - gguf_->data_begin();
    uint64_t filled = 0;
    for (std::size_t i = 0; i < gguf_->tensors().size(); ++i) {
      const GgufFile::TensorInfo& info = gguf_->tensors()[i];
      const std::string what = "gguf: tensor " + quote(info.name);
      const auto corrupt = [&](const std::string& fault) {
        throw Error(ErrorCode::corrupt_file, what + ": " + fault, name_);
      };
      const auto dtype = dtype_from_gguf(info.type);
      if (!dtype) {
        throw Error(ErrorCode::unsupported,
                    what + ": type " + type_name(info.type) +
                        " (supported: F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K)",
                    name_);
      }
      const auto [elements, block_bytes] = dtype_block(*dtype);
      if (elements > 1 && (info.shape.empty() || info.shape.back() % elements != 0)) {
        corrupt("the last dimension of shape " + to_string(info.shape) + " is no multiple of " +
                std::to_string(elements) + ", the block of " + std::string(safetensors_name(*dtype)));
      }
      // GgufFile has seen that the product is below 2^63, and each block holds more elements than bytes, or is one
      // of 8.
      const auto count = static_cast<uint64_t>(element_count(info.shape)) / static_cast<uint64_t>(elements);
      if (count > data_bytes / block_bytes || info.offset > data_bytes - count * block_bytes) {
        corrupt(std::to_string(count) + " blocks of " + std::to_string(block_bytes) + " bytes at offset " +
                std::to_string(info.offset) + " reach beyond the " + std::to_string(data_bytes) +
                " bytes of data (incomplete download?)");
      }
      if (info.offset < filled) corrupt("offset " + std::to_string(info.offset) + " lies inside the tensor before it");
      filled = info.offset + count * block_bytes;
      entries_.push_back({rules_[i].name, *dtype, info.shape, rules_[i].change == GgufTensorRule::Change::transposed});
      if (rules_[i].change == GgufTensorRule::Change::subtract_one) {
        if (!is_floating(*dtype)) corrupt("a norm of type " + std::string(safetensors_name(*dtype)));
        entries_.back().dtype = DType::f32;
      }
    }
    check_names();
  }

  Tensor tensor(std::size_t index) const override {
    const Entry& entry = entries_[index];
    const GgufFile::TensorInfo& info = gguf_->tensors()[index];
    const Tensor stored(*dtype_from_gguf(info.type), entry.shape,
                        file_->bytes().data() + gguf_->data_begin() + info.offset, file_);
    switch (rules_[index].change) {
      case GgufTensorRule::Change::none:
      case GgufTensorRule::Change::transposed:
        return stored;
      case GgufTensorRule::Change::unpermute:
        return unpermuted(stored, rules_[index].heads);
      case GgufTensorRule::Change::subtract_one: {
        const Tensor values = stored.to_float32();
        Tensor out = Tensor::zeros(DType::f32, entry.shape);
        for (int64_t i = 0; i < out.size(); ++i) out.mutable_data<float>()[i] = values.data<float>()[i] - 1.0f;
        return out;
      }
    }
    return stored;
  }

 private:
  // llama.cpp rotates neighbouring rows of a head, Hugging Face row i with row i + half: row 2 i + j of the file is row
  // j * half + i. Blocks lie along a row, so rows move whole.
  Tensor unpermuted(const Tensor& stored, int64_t heads) const {
    Tensor out = Tensor::zeros(stored.dtype(), stored.shape());
    if (stored.empty()) return out;
    const int64_t rows = stored.dim(0), half = rows / heads / 2;
    const std::size_t row_bytes = stored.bytes() / static_cast<std::size_t>(rows);
    const auto* from = static_cast<const std::byte*>(stored.raw());
    auto* to = static_cast<std::byte*>(const_cast<void*>(out.raw()));
    for (int64_t head = 0; head < heads; ++head) {
      for (int64_t i = 0; i < half; ++i) {
        for (int64_t j = 0; j < 2; ++j, from += row_bytes) {
          std::memcpy(to + static_cast<std::size_t>((head * 2 + j) * half + i) * row_bytes, from, row_bytes);
        }
      }
    }
    file_->release({static_cast<const std::byte*>(stored.raw()), stored.bytes()});
    return out;
  }

  std::shared_ptr<const GgufFile> gguf_;
  std::vector<GgufTensorRule> rules_;
};

}  // namespace

std::shared_ptr<const WeightFile> open_gguf_file(std::shared_ptr<const MappedFile> file, std::string name) {
  return std::make_shared<GgufWeights>(file, name);
}

}  // namespace transformers
