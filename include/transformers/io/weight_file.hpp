// What it is: WeightFile, one file of weights whatever its format, and how each format is opened.
// Where it stands: io; WeightSource (weights.hpp) puts a model's files together.
// Usage: `auto file = open_torch_file(files.open("pytorch_model.bin"), "pytorch_model.bin"); Tensor t =
// file->tensor(0);`
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "transformers/base/export.hpp"
#include "transformers/base/platform.hpp"
#include "transformers/tensor/tensor.hpp"

namespace transformers {

inline constexpr std::size_t kMaxRank = 64;  // of a tensor in a file: PyTorch's limit

// Immutable; all functions may be called concurrently.
class TCPP_API WeightFile {
 public:
  struct Entry {
    std::string name;
    DType dtype = DType::f32;
    Shape shape;
    // The matrix is the transposed one of Hugging Face's tensor, as GGUF has GPT-2's Conv1D: [out_features,
    // in_features].
    bool transposed = false;
  };

  virtual ~WeightFile();
  WeightFile(const WeightFile&) = delete;
  WeightFile& operator=(const WeightFile&) = delete;

  // All tensors; names may occur once only.
  std::span<const Entry> entries() const noexcept { return entries_; }
  // The values of entries()[index]. They share the file's bytes, unless those lie in another order (see the functions
  // below): then they are a copy. Error(corrupt_file) where the format has a checksum and the bytes do not match it.
  virtual Tensor tensor(std::size_t index) const = 0;

  // How messages call the file.
  const std::string& name() const noexcept { return name_; }
  const MappedFile& file() const noexcept { return *file_; }

 protected:
  WeightFile(std::shared_ptr<const MappedFile> file, std::string name)
      : file_(std::move(file)), name_(std::move(name)) {}
  // Error(corrupt_file) when a name occurs twice.
  void check_names() const;

  std::shared_ptr<const MappedFile> file_;
  std::string name_;
  std::vector<Entry> entries_;
};

// model.safetensors. Errors: see SafetensorsFile.
TCPP_API std::shared_ptr<const WeightFile> open_safetensors_file(std::shared_ptr<const MappedFile> file,
                                                                 std::string name);

// pytorch_model.bin, what torch.save(state_dict) writes: a zip archive (since 1.6) or a stream of pickles (before). A
// tensor whose strides are not those of its shape is copied. The checksum of a zip entry is compared when the first of
// its tensors is asked for; 0 is none (torch.serialization.set_crc32_options(False)).
// Error(security) for a pickle that would run anything, see src/io/pickle.hpp; Error(corrupt_file), naming the tensor
// where there is one; Error(unsupported) for the tar form (before 0.1.10), TorchScript, big-endian files and types that
// no Tensor has; Error(limit).
TCPP_API std::shared_ptr<const WeightFile> open_torch_file(std::shared_ptr<const MappedFile> file, std::string name);

// A GGUF file under Hugging Face's names. What llama.cpp's converter changed is undone: rows of queries and keys are
// put back in order (a copy, in the file's own type), and 1 is taken from norms that have it added (a copy, float32).
// Error(corrupt_file) naming tensor and file, Error(unsupported) for types no Tensor has; see GgufFile and gguf_config.
TCPP_API std::shared_ptr<const WeightFile> open_gguf_file(std::shared_ptr<const MappedFile> file, std::string name);

}  // namespace transformers
