// What it is: GgufFile, the metadata and the table of tensors of a GGUF file; and how such a file stands for a model
// directory.
// Where it stands: base; ModelFiles::from_path hands out its config and tokenizer, io/weight_file.hpp its tensors.
// Usage: `auto gguf = GgufFile::read(MappedFile::open(path), path); std::string_view arch =
//         gguf->string("general.architecture");`
// Source: ggml docs/gguf.md, versions 2 and 3.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "transformers/base/export.hpp"
#include "transformers/base/platform.hpp"
#include "transformers/base/value.hpp"

namespace transformers {

// Everything before the data is checked when the file is read: each length against the bytes that are left, before
// anything is allocated. Arrays stay where they are. Immutable; all functions may be called concurrently.
class TCPP_API GgufFile {
 public:
  struct TensorInfo {
    std::string_view name;
    uint32_t type = 0;           // ggml_type, see dtype_from_gguf
    std::vector<int64_t> shape;  // as PyTorch counts dimensions: the last moves fastest
    uint64_t offset = 0;         // bytes, a multiple of the alignment, from data_begin()
  };

  // Error(corrupt_file) naming key or tensor, Error(unsupported) for version 1, big-endian files and nested arrays.
  static std::shared_ptr<const GgufFile> read(std::shared_ptr<const MappedFile> file, std::string name);

  bool has(std::string_view key) const noexcept { return find(key) != nullptr; }
  std::vector<std::string_view> keys() const;  // sorted
  // Each is empty where the key is absent, and throws Error(corrupt_file) where it has another type: "key
  // \"tokenizer.ggml.scores\": an array of u8, expected f32". Any integer type is an integer; integers are numbers too.
  std::optional<std::string_view> string(std::string_view key) const;
  std::optional<int64_t> integer(std::string_view key) const;
  std::optional<double> number(std::string_view key) const;
  std::optional<bool> boolean(std::string_view key) const;
  std::vector<std::string_view> strings(std::string_view key) const;
  std::vector<int64_t> integers(std::string_view key) const;
  std::vector<float> floats(std::string_view key) const;
  bool is_array(std::string_view key) const noexcept;
  std::size_t array_size(std::string_view key) const noexcept;  // 0 where it is no array

  const std::vector<TensorInfo>& tensors() const noexcept { return tensors_; }  // in the order of the file
  const TensorInfo* find_tensor(std::string_view name) const noexcept;          // nullptr when absent
  std::size_t data_begin() const noexcept { return data_begin_; }               // bytes from the start of the file
  std::size_t alignment() const noexcept { return alignment_; }

  const std::string& name() const noexcept { return name_; }
  const std::shared_ptr<const MappedFile>& file() const noexcept { return file_; }

 private:
  struct Field {
    std::string_view key;
    uint32_t type = 0;  // of the elements, for an array
    bool array = false;
    uint64_t count = 1;     // elements
    std::size_t begin = 0;  // bytes from the start of the file
  };
  GgufFile(std::shared_ptr<const MappedFile> file, std::string name);
  const Field* find(std::string_view key) const noexcept;
  const Field* scalar(std::string_view key, const char* expected) const;
  const Field* array(std::string_view key) const;
  int64_t integer_at(const Field& field, std::size_t at, const char* expected) const;
  [[noreturn]] void wrong_type(const Field& field, const char* expected) const;

  std::shared_ptr<const MappedFile> file_;
  std::string name_;
  std::vector<Field> fields_;  // sorted by key
  std::vector<TensorInfo> tensors_;
  std::vector<std::size_t> by_name_;  // indices into tensors_
  std::size_t data_begin_ = 0, alignment_ = 32;
};

// How a tensor of the file becomes Hugging Face's.
struct GgufTensorRule {
  enum class Change : uint8_t {
    none,
    unpermute,     // rows of each of `heads` heads: pairs were put side by side for llama.cpp's rotation
    subtract_one,  // the file has 1 + weight
    transposed,    // the file has the transposed matrix (GPT-2's Conv1D)
  };
  std::string name;  // Hugging Face's
  Change change = Change::none;
  int64_t heads = 0;
};

// The file as config.json has it, with Hugging Face's names (4.x spelling). Error(unsupported) for an architecture
// without a class here, Error(corrupt_file) for metadata that are missing or contradict the tensors.
// Source: transformers 5.23 integrations/ggml.py (GGUF_CONFIG_MAPPING), modeling_gguf_pytorch_utils.py. Taken from the
// file beyond that: scaled rotary embeddings (rope.scaling.*, rope_freqs, rope_factors_long and _short), head sizes,
// sliding windows, soft caps, biases.
TCPP_API Value gguf_config(const GgufFile& file);
// The rules of file.tensors(), one each.
TCPP_API std::vector<GgufTensorRule> gguf_tensor_rules(const GgufFile& file);

}  // namespace transformers
