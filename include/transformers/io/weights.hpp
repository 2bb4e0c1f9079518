// What it is: WeightSource, the tensors of a model by Hugging Face's names, wherever its files keep them.
// Where it stands: io; models load from it (src/models/load.cpp), it reads ModelFiles through weight_file.hpp.
// Usage: `auto source = WeightSource::open(*ModelFiles::from_directory(dir));
//         Tensor t = *source->find("pooler.weight");`
// Source: transformers 5.23 modeling_utils.py (_get_resolved_checkpoint_files): which file is taken.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "transformers/base/export.hpp"
#include "transformers/base/model_files.hpp"
#include "transformers/io/weight_file.hpp"
#include "transformers/tensor/tensor.hpp"

namespace transformers {

// Immutable; all functions may be called concurrently. Tensors share the bytes of their file and keep them alive.
class TCPP_API WeightSource {
 public:
  // The first that is there of model.safetensors, the shards that model.safetensors.index.json names,
  // pytorch_model.bin, and the shards that pytorch_model.bin.index.json names. All headers are read and checked.
  // Error(not_found) when there are no weights or shards are missing, Error(unsupported) when they are only there in
  // another format, Error(security) for a shard name that leaves the directory, Error(corrupt_file) when the index
  // contradicts the shards, else as the functions of weight_file.hpp.
  static std::shared_ptr<const WeightSource> open(const ModelFiles& files);

  bool contains(std::string_view name) const noexcept { return locate(name) != nullptr; }
  // The tensor as WeightFile::tensor gives it: mapped, or a copy where the file keeps it in another order.
  std::optional<Tensor> find(std::string_view name) const;
  // Type and shape without the values; nullptr when absent.
  const WeightFile::Entry* entry(std::string_view name) const noexcept;
  std::vector<std::string> names() const;                                    // sorted
  std::size_t size() const noexcept { return weights_.size(); }              // tensors
  int64_t total_bytes() const noexcept { return total_bytes_; }              // of the tensors
  const std::vector<std::string>& files() const noexcept { return files_; }  // names within the model
  // "directory/file: name" for messages about a tensor; the directory alone for one that is absent.
  std::string where(std::string_view name) const;
  // The name that differs least from `name`, or "" when none is close. For messages: compares with up to 20,000 names.
  std::string nearest(std::string_view name) const;
  // Gives the memory of a tensor's mapped pages back to the system, once its values have been copied. They are read
  // again when touched.
  void release(const Tensor& tensor) const noexcept;

 private:
  struct Weight {
    const WeightFile* file;
    std::size_t index;  // into its entries
    const WeightFile::Entry& entry() const noexcept { return file->entries()[index]; }
  };
  WeightSource() = default;
  void add_file(const ModelFiles& files, const std::string& name);
  void add_shards(const ModelFiles& files, const std::string& index_name);
  const Weight* locate(std::string_view name) const noexcept;

  std::string where_;
  std::vector<std::string> files_;
  std::vector<std::shared_ptr<const WeightFile>> shards_;  // one for each of files_
  std::vector<Weight> weights_;                            // sorted by name
  int64_t total_bytes_ = 0;
};

}  // namespace transformers
