// What it is: the pickles of PyTorch checkpoints, read by an allow-list: nothing in them is ever run or imported.
// Where it stands: src/io; torch_file.cpp finds with it which bytes of a file are which tensor.
// Usage: `PickleReader reader(bytes, "pytorch_model.bin"); StateDict state = reader.read_state_dict();`
// Source: the opcodes of CPython 3.11's pickle.py up to protocol 5; what torch 2.15 puts in them
// (torch/serialization.py, torch/_utils.py).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "transformers/tensor/dtype.hpp"
#include "transformers/tensor/tensor.hpp"

namespace transformers {

// The state_dict in a pickle: what a tensor is, not yet where its bytes are.
struct StateDict {
  struct Storage {
    std::string_view key;  // its name in the file
    DType dtype = DType::f32;
    int64_t size = 0;  // elements
  };
  struct Entry {
    std::string name;
    std::size_t storage = 0;  // index into storages
    int64_t offset = 0;       // elements of the storage before the first one
    Shape shape, strides;     // strides in elements
  };
  std::vector<Storage> storages;
  std::vector<Entry> tensors;  // in the order of the dict
};

// Reads one pickle after another from `bytes`, which it borrows. Allowed are numbers, strings, tuples, lists, dicts and
// collections.OrderedDict, torch's storages by persistent id, and torch._utils._rebuild_tensor, _rebuild_tensor_v2 and
// _rebuild_parameter. Error(security) for any other global, call or class; Error(corrupt_file) for what breaks the
// format, Error(unsupported) for storages of types that no Tensor has, Error(limit) for too many objects.
class PickleReader {
 public:
  PickleReader(std::span<const std::byte> bytes, std::string where);

  // A dict: its entries that are tensors. Each lies inside its storage.
  StateDict read_state_dict();
  // A dict with strings as keys: its values that are booleans (the system info of the stream form).
  std::vector<std::pair<std::string, bool>> read_flags();
  std::vector<std::string_view> read_strings();  // a list
  // An integer: its value where that has up to 64 bits, and its little-endian bytes where it is long.
  struct Integer {
    int64_t value;
    std::string_view bytes;
  };
  Integer read_integer();

  std::size_t position() const noexcept { return at_; }  // behind the last pickle

 private:
  using Id = uint32_t;  // index into nodes_
  enum class Kind : uint8_t { none, boolean, integer, real, string, tuple, list, dict, global, storage, tensor };
  enum Global : int64_t { kOrderedDict, kRebuildTensor, kRebuildTensorV2, kRebuildParameter, kStorageTypes };
  struct Node {
    Kind kind = Kind::none;
    int64_t value = 0;      // of booleans and integers; which global; index of a storage or tensor
    std::string_view text;  // of strings, and the bytes of integers
    std::vector<Id> items;  // of a dict: key, value, key, value ...
  };

  [[noreturn]] void corrupt(const std::string& what) const;
  const std::byte* take(uint64_t bytes);
  std::string_view take_text(uint64_t bytes) { return {reinterpret_cast<const char*>(take(bytes)), bytes}; }
  std::string_view take_line();

  Id read();  // one pickle: the object it describes
  Id push(Node node);
  Id push(Kind kind, int64_t value = 0) { return push(Node{kind, value, {}, {}}); }
  Id pop();
  Id& top();
  std::vector<Id> pop_mark();
  void push_tuple(std::size_t items);
  void count_copied(std::size_t items);
  void find_global(std::string_view module, std::string_view name);
  void call();
  void load_storage();
  void rebuild_tensor(const std::vector<Id>& arguments, bool second);

  const Node& node(Id id) const { return nodes_[id]; }
  int64_t integer(Id id, const char* what) const;
  Shape integers(Id id, const char* what) const;
  std::string_view string(Id id, const char* what) const;

  std::span<const std::byte> bytes_;
  std::string where_;
  std::size_t at_ = 0;
  std::size_t opcode_at_ = 0;
  std::size_t copied_ = 0;
  std::vector<Node> nodes_;
  std::vector<Id> stack_;
  std::vector<std::size_t> marks_;  // sizes of the stack
  std::unordered_map<uint32_t, Id> memo_;
  StateDict state_;  // tensors without their names
  std::unordered_map<std::string_view, std::size_t> storage_of_key_;
};

}  // namespace transformers
