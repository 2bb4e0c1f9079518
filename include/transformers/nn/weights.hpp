// What it is: WeightVisitor, through which every module lists its weights under Hugging Face's names.
// Where it stands: nn; the list drives loading, counting and checking (src/models/load.cpp): there is no other weight
// map. Usage: `void weights(WeightVisitor& w) { w("dense", dense); w("LayerNorm", layer_norm); }`
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "transformers/base/export.hpp"
#include "transformers/kernels/kernels.hpp"
#include "transformers/tensor/tensor.hpp"

namespace transformers {

// A matrix [out_features, in_features] in the layout of the GEMM. `bytes` keeps it alive.
struct PackedWeight {
  int64_t out_features = 0;
  int64_t in_features = 0;
  WeightFormat format;
  std::shared_ptr<const std::byte> bytes;

  PackedMatrix view() const noexcept { return {bytes.get(), format, out_features, in_features}; }
};

// Where some rows of a matrix, or some elements of a vector, come from: the first of `names` that the checkpoint has.
// Relative names ("weight") are below the visitor's current prefix; those that begin with '/' are from the model's
// root.
struct WeightPart {
  std::vector<std::string> names;
  int64_t rows = 0;
  // Of a tensor with `of` rows, those from `first` on (projections that the file keeps in one tensor). 0: all of it.
  int64_t first = 0, of = 0;
  bool transposed = false;  // the file has [in_features, rows] (GPT-2's Conv1D)
  int64_t taps = 0;         // not 0: the file has [rows, in_features / taps, taps] (torch.nn.Conv1d)
};

class TCPP_API WeightVisitor {
 public:
  virtual ~WeightVisitor();

  // A module below `name`; a vector of modules below name.0, name.1 ... A name that is empty adds nothing.
  template <class Module>
  void operator()(std::string_view name, Module& module) {
    const std::size_t length = push(name);
    module.weights(*this);
    prefix_.resize(length);
  }
  template <class Module>
  void operator()(std::string_view name, std::vector<Module>& modules) {
    const std::size_t length = push(name);
    for (std::size_t i = 0; i < modules.size(); ++i) (*this)(std::to_string(i), modules[i]);
    prefix_.resize(length);
  }

  // The leaves, with the shapes the config asks for. Parts are stacked along dimension 0.
  virtual void matrix(std::span<const WeightPart> parts, PackedWeight& weight) = 0;
  virtual void vector(std::span<const WeightPart> parts, std::vector<float>& values) = 0;
  // A table [rows, columns] that is looked up row by row: it stays where it is, at its stored type.
  virtual void table(std::string_view name, int64_t rows, int64_t columns, Tensor& table) = 0;
  // The same for a table of words: where it is also a matrix of integers (the tied head of a quantized model) or the
  // file has integers, `packed` is filled instead, once for both.
  virtual void words(std::string_view name, int64_t rows, int64_t columns, Tensor& table, PackedWeight& packed) = 0;
  // False where the checkpoint holds no tensor called `name`: for weights that Hugging Face too can do without.
  virtual bool has(std::string_view name) = 0;

 protected:
  // The full name of a name as written in a module.
  std::string full_name(std::string_view name) const;

 private:
  std::size_t push(std::string_view name);

  std::string prefix_;  // "" or ends in '.'
};

}  // namespace transformers
