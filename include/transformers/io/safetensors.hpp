// What it is: reading and writing safetensors files.
// Where it stands: io; between the bytes of a file and the Tensors of weights.hpp, and the format of `tcpp forward`.
// Usage: `auto file = SafetensorsFile::open("model.safetensors"); Tensor t = file->tensor("embeddings.weight");`
// Source: the format of huggingface/safetensors 0.8: 8 bytes little-endian header length, a JSON header
// {"name": {"dtype", "shape", "data_offsets": [begin, end]}, "__metadata__": {strings}}, then the data without gaps.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "transformers/base/export.hpp"
#include "transformers/base/platform.hpp"
#include "transformers/tensor/tensor.hpp"

namespace transformers {

// One file, its header checked in full before any tensor can be had: types, sizes, and that the tensors fill the data
// without overlap, gap or rest. Immutable; all functions may be called concurrently. Tensors share the file's bytes and
// keep them alive; the format allows offsets that are not aligned to the type, see Tensor::aligned().
class TCPP_API SafetensorsFile {
 public:
  struct Entry {
    std::string name;
    DType dtype = DType::f32;
    Shape shape;
    std::size_t begin = 0, end = 0;  // bytes, counted from the end of the header
  };

  // Error(corrupt_file) for a file that breaks the format, Error(unsupported) for a type no Tensor has, Error(limit)
  // for a header over 100 MB, else as MappedFile::open. All name the file, and the tensor where there is one.
  static std::shared_ptr<const SafetensorsFile> open(const std::string& path, MapMode mode = MapMode::automatic);
  // A file in memory. `owner` keeps the bytes alive, `name` stands for the file in errors.
  static std::shared_ptr<const SafetensorsFile> from_buffer(std::span<const std::byte> bytes,
                                                            std::shared_ptr<const void> owner, std::string name);
  static std::shared_ptr<const SafetensorsFile> from_file(std::shared_ptr<const MappedFile> file, std::string name);

  // All tensors, in the order of their bytes.
  std::span<const Entry> entries() const noexcept { return entries_; }
  std::vector<std::string> names() const;
  const Entry* find(std::string_view name) const noexcept;  // nullptr when absent
  bool contains(std::string_view name) const noexcept { return find(name) != nullptr; }
  // Error(not_found) naming tensor and file.
  Tensor tensor(std::string_view name) const;
  Tensor tensor(const Entry& entry) const;
  // "__metadata__"; mostly {"format": "pt"}.
  const std::map<std::string, std::string>& metadata() const noexcept { return metadata_; }

  const std::string& name() const noexcept { return name_; }
  const MappedFile& file() const noexcept { return *file_; }

 private:
  SafetensorsFile(std::shared_ptr<const MappedFile> file, std::string name);

  std::shared_ptr<const MappedFile> file_;
  std::string name_;
  std::vector<Entry> entries_;
  std::vector<std::size_t> by_name_;  // indices into entries_
  std::map<std::string, std::string> metadata_;
  const std::byte* data_ = nullptr;
};

// Writes the tensors as the reference implementation does: the widest types first, then by name, the header padded with
// spaces to a multiple of 8 bytes. The file appears at once or not at all. Error(invalid_argument) on names that are
// repeated or not UTF-8, Error(io).
TCPP_API void save_safetensors(const std::string& path, std::span<const std::pair<std::string, Tensor>> tensors,
                               const std::map<std::string, std::string>& metadata = {});

}  // namespace transformers
