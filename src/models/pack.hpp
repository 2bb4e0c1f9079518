// What it is: how the tensors of a checkpoint become packed weights: which format, and the conversion, slice by slice.
// Where it stands: src/models; load.cpp finds the tensors, quantize.cpp writes the same integers to files.
// Usage: `weight.format = choose_format(parts, WeightType::q8, {});
//         weight.bytes = pack_parts(parts, weight, source, memory);`
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "transformers/base/model_files.hpp"
#include "transformers/base/value.hpp"
#include "transformers/io/weights.hpp"
#include "transformers/nn/weights.hpp"
#include "transformers/tensor/tensor.hpp"

namespace transformers {

// Some rows of a matrix as a file holds them: floats or GGUF's blocks [rows, k], or integers.
struct MatrixPart {
  Tensor weight = {};
  int64_t k = 0;                     // in_features
  Tensor scales = {}, offsets = {};  // of integers, as quantize_matrix makes them

  int64_t rows() const { return weight.dim(0); }
  // The format that holds the values without loss.
  WeightFormat stored() const;
};

// The format of integers that a quantized directory has as U8, or as I8 with scales of F32 (affine_q8) or F16
// (q8).
WeightFormat stored_integers(DType integers, DType scales);

// What the choice of a format depends on beside the values.
struct MatrixRole {
  bool over_vocabulary = false;
  // Groups of 32 with q8 too: in models that only decode, for wider ones cost SmolLM2 half a percent of perplexity, and
  // in tables that are only looked up.
  bool fine_groups = false;
};

// The format for a weight of type `wanted` (WeightType::stored: the one that holds all parts without loss). The matrix
// over the vocabulary stays q8 under q4: its errors fall on the logits themselves.
WeightFormat choose_format(std::span<const MatrixPart> parts, WeightType wanted, MatrixRole role);

// Memory for packed weights, one behind the other in large pieces: huge pages serve small matrices too, and what is
// fetched ahead at the end of one matrix is the beginning of the next. A piece lives as long as any weight in it.
class PackedMemory {
 public:
  // `expected_bytes` of all weights: no piece is larger.
  explicit PackedMemory(int64_t expected_bytes);
  // Aligned to 64 bytes.
  std::shared_ptr<std::byte> take(std::size_t bytes);

 private:
  std::size_t piece_bytes_, used_ = 0, left_ = 0;
  std::shared_ptr<std::byte> piece_;
};

// Packs the parts, stacked along their rows, into weight.format. On all threads, a slice of rows at a time, whose pages
// `source` is given back as soon as they have been read: a matrix is never resident as a whole beside what it becomes.
std::shared_ptr<const std::byte> pack_parts(std::span<const MatrixPart> parts, const PackedWeight& weight,
                                            const WeightSource& source, PackedMemory& memory);

// The rows of a part as float32, dense.
void rows_to_float(const MatrixPart& part, int64_t begin, int64_t end, float* out);

// A matrix [n, k] as tensors of integers. q8: weight I8 [n, k], scales F16 [n, ceil(k / 32)]; affine_q8 alike, scales
// F32 [n, ceil(k / 128)]; q4: weight U8 [n, ceil(k / 2)] (the first of two numbers in the low half), scales and offsets
// F16 [n, ceil(k / 32)]. pack_parts makes of them what it makes of the matrix itself.
MatrixPart quantize_matrix(const MatrixPart& matrix, const WeightFormat& format);
Tensor round_to_bf16(const Tensor& tensor);
// [n, k] to [k, n].
Tensor transpose(const Tensor& tensor);

// What a tensor of a checkpoint is to its model.
struct MatrixUse {
  int64_t in_features = 0;
  bool turned = false;  // the file has [in_features, out_features]
  MatrixRole role = {};
  bool tied = false;  // a table of words too
};
struct MatrixList {
  Value config;
  bool quantized = false;  // by tcpp quantize, already
  std::shared_ptr<const WeightSource> weights;
  std::map<std::string, MatrixUse> matrices;
  std::map<std::string, int64_t> words;  // tables over the vocabulary, and their columns
};
// The matrices of the class that config.json names. Errors as PretrainedModel::from_files.
MatrixList list_matrices(const ModelFiles& files);

// Names behind that of the weight: "x.weight_scale", "x.weight_offset".
inline constexpr std::string_view kScaleSuffix = "_scale", kOffsetSuffix = "_offset";
// quantization_config of config.json: {"quant_method": kQuantMethod, "dtype": "q8"}
inline constexpr std::string_view kQuantMethod = "tcpp";

}  // namespace transformers
