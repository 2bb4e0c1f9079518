// PyTorch's checkpoints as WeightFile: implements open_torch_file of io/weight_file.hpp.
// Source: torch 2.15 torch/serialization.py (_save, _load: the zip form; _legacy_save, _legacy_load: the stream).
#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/little_endian.hpp"
#include "io/pickle.hpp"
#include "io/zip.hpp"
#include "transformers/base/error.hpp"
#include "transformers/base/model_files.hpp"
#include "transformers/base/value.hpp"
#include "transformers/io/weight_file.hpp"

namespace transformers {
namespace {

constexpr std::size_t kMaxPickleBytes = 100'000'000;  // as safetensors headers
// The long integer that opens the stream form.
constexpr std::string_view kStreamMagic("\x6C\xFC\x9C\x46\xF9\x20\x6A\xA8\x50\x19", 10);
constexpr int64_t kStreamProtocol = 1001;

bool is_row_major(const Shape& shape, const Shape& strides) {
  int64_t expected = 1;
  for (std::size_t i = shape.size(); i-- > 0;) {
    if (shape[i] == 0) return true;
    if (shape[i] != 1 && strides[i] != expected) return false;
    expected *= shape[i];
  }
  return true;
}

class TorchFile final : public WeightFile {
 public:
  TorchFile(std::shared_ptr<const MappedFile> file, std::string name) : WeightFile(std::move(file), std::move(name)) {
    const std::string_view text = file_->text();
    check_downloaded(text, name_);
    if (text.starts_with("PK\x03\x04")) {
      read_zip();
    } else if (text.starts_with(std::string_view("\x80\x02\x8A\x0A", 4)) && text.substr(4).starts_with(kStreamMagic)) {
      read_stream();
    } else if (text.size() > 262 && text.substr(257, 5) == "ustar") {
      throw Error(ErrorCode::unsupported,
                  "the tar form of PyTorch before 0.1.10: load it with PyTorch and save it as safetensors", name_);
    } else {
      corrupt("neither a zip archive nor a stream of pickles, as PyTorch writes");
    }
    check_names();
  }

  Tensor tensor(std::size_t index) const override {
    const View& view = views_[index];
    const Entry& entry = entries_[index];
    const Storage& storage = storages_[view.storage];
    check_crc(storage, index);
    const std::size_t element = dtype_size(entry.dtype);
    const std::byte* first = storage.data.data() + static_cast<std::size_t>(view.offset) * element;
    if (view.strides.empty()) return Tensor(entry.dtype, entry.shape, first, file_);
    Tensor out = Tensor::zeros(entry.dtype, entry.shape);
    if (!out.empty()) {
      copy_strided(first, entry.shape, view.strides, element, static_cast<std::byte*>(const_cast<void*>(out.raw())));
    }
    return out;
  }

 private:
  struct Storage {
    std::span<const std::byte> data;
    uint32_t crc = 0;  // 0: none
    std::unique_ptr<std::atomic<bool>> checked = std::make_unique<std::atomic<bool>>(false);
  };
  struct View {
    std::size_t storage = 0;
    int64_t offset = 0;  // elements
    Shape strides;       // elements; empty when row-major
  };

  [[noreturn]] void corrupt(const std::string& what) const { throw Error(ErrorCode::corrupt_file, what, name_); }

  // <root>/data.pkl, <root>/data/<key>, <root>/byteorder ...
  void read_zip() {
    const ZipArchive zip(file_->bytes(), name_);
    std::string_view root;
    const ZipArchive::Entry* pickle = nullptr;
    for (const auto& entry : zip.entries()) {
      if (!entry.name.ends_with("/data.pkl") || entry.name.find('/') != entry.name.size() - 9) continue;
      if (pickle != nullptr) corrupt("zip archive: two entries \"data.pkl\"");
      pickle = &entry;
      root = entry.name.substr(0, entry.name.size() - 8);
    }
    if (pickle == nullptr) corrupt("zip archive without a \"data.pkl\": not what torch.save writes");
    if (zip.find(std::string(root) + "constants.pkl") != nullptr) {
      throw Error(ErrorCode::unsupported, "a TorchScript archive: save the model's state_dict instead", name_);
    }
    if (const auto* order = zip.find(std::string(root) + "byteorder"); order != nullptr) {
      const std::string_view text(reinterpret_cast<const char*>(order->data.data()), order->data.size());
      if (text == "big") throw Error(ErrorCode::unsupported, "weights in big-endian byte order", name_);
      if (text != "little") corrupt("byteorder " + quote(text) + ", expected little or big");
    }
    check_pickle_size(pickle->data.size());
    if (pickle->crc != 0 && crc32(pickle->data) != pickle->crc) corrupt("the checksum of \"data.pkl\" does not match");
    PickleReader reader(pickle->data, name_ + ", data.pkl");
    const StateDict state = reader.read_state_dict();
    if (reader.position() != pickle->data.size()) {
      corrupt("data.pkl: " + std::to_string(pickle->data.size() - reader.position()) + " bytes follow its end");
    }
    for (const auto& storage : state.storages) {
      const ZipArchive::Entry* entry = zip.find(std::string(root) + "data/" + std::string(storage.key));
      if (entry == nullptr) corrupt("storage " + quote(storage.key) + " is not in the archive");
      check_storage_size(storage, entry->data.size());
      storages_.push_back({entry->data, entry->crc});
    }
    add_tensors(state);
  }

  // Pickles of a magic number, a version, facts about the system, the state_dict and the keys of its storages; then
  // the storages in that order, each behind its number of elements.
  void read_stream() {
    const auto bytes = file_->bytes();
    PickleReader reader(bytes, name_);
    reader.read_integer();  // the magic number, seen already
    if (const int64_t version = reader.read_integer().value; version != kStreamProtocol) {
      throw Error(ErrorCode::unsupported,
                  "protocol version " + std::to_string(version) + ", expected " + std::to_string(kStreamProtocol),
                  name_);
    }
    for (const auto& [fact, is_so] : reader.read_flags()) {
      if (fact == "little_endian" && !is_so) {
        throw Error(ErrorCode::unsupported, "weights in big-endian byte order", name_);
      }
    }
    const StateDict state = reader.read_state_dict();
    std::unordered_map<std::string_view, std::size_t> index_of;
    for (std::size_t i = 0; i < state.storages.size(); ++i) index_of.emplace(state.storages[i].key, i);
    storages_.resize(state.storages.size());
    std::size_t found = 0;
    const std::vector<std::string_view> keys = reader.read_strings();
    std::size_t at = reader.position();
    for (const std::string_view key : keys) {
      const auto index = index_of.find(key);
      if (index == index_of.end()) corrupt("storage " + quote(key) + " belongs to no tensor");
      const auto& storage = state.storages[index->second];
      const std::size_t element = dtype_size(storage.dtype);
      if (bytes.size() - at < 8) corrupt("storage " + quote(key) + " is cut short (incomplete download?)");
      const auto count = little_endian<uint64_t>(bytes.data() + at);
      at += 8;
      if (count > (bytes.size() - at) / element)
        corrupt("storage " + quote(key) + " is cut short (incomplete download?)");
      const std::size_t size = static_cast<std::size_t>(count) * element;
      check_storage_size(storage, size);
      if (storages_[index->second].data.data() != nullptr) corrupt("storage " + quote(key) + " comes twice");
      storages_[index->second].data = bytes.subspan(at, size);
      at += size;
      ++found;
    }
    if (found != state.storages.size()) {
      corrupt(std::to_string(state.storages.size() - found) + " storages are not in the file");
    }
    if (at != bytes.size()) corrupt(std::to_string(bytes.size() - at) + " bytes follow the last storage");
    add_tensors(state);
  }

  void check_pickle_size(std::size_t bytes) const {
    if (bytes > kMaxPickleBytes) {
      throw Error(
          ErrorCode::limit,
          "data.pkl of " + std::to_string(bytes) + " bytes exceeds the limit of " + std::to_string(kMaxPickleBytes),
          name_);
    }
  }

  void check_storage_size(const StateDict::Storage& storage, std::size_t bytes) const {
    const std::size_t element = dtype_size(storage.dtype);
    if (static_cast<uint64_t>(storage.size) != bytes / element || bytes % element != 0) {
      corrupt("storage " + quote(storage.key) + " of " + std::to_string(storage.size) + " elements of " +
              std::string(safetensors_name(storage.dtype)) + " has " + std::to_string(bytes) + " bytes");
    }
  }

  void add_tensors(const StateDict& state) {
    for (const auto& tensor : state.tensors) {
      const DType dtype = state.storages[tensor.storage].dtype;
      int64_t count = -1;
      try {
        count = element_count(tensor.shape);
      } catch (const Error&) {
        corrupt("the size of tensor " + quote(tensor.name) + " overflows: shape " + to_string(tensor.shape));
      }
      View view{tensor.storage, tensor.offset, {}};
      if (!is_row_major(tensor.shape, tensor.strides)) {
        // Strides of 0 repeat elements: a few bytes may stand for any number. What is copied is held to the file's
        // size.
        constexpr std::size_t kFree = std::size_t{64} << 20;
        const std::size_t most = std::max(kFree, file_->bytes().size()) / dtype_size(dtype);
        if (static_cast<std::size_t>(count) > most) {
          throw Error(ErrorCode::limit,
                      "tensor " + quote(tensor.name) + " of shape " + to_string(tensor.shape) +
                          " repeats its elements beyond the size of the file",
                      name_);
        }
        view.strides = tensor.strides;
      }
      entries_.push_back({tensor.name, dtype, tensor.shape});
      views_.push_back(std::move(view));
    }
  }

  static void copy_strided(const std::byte* from, const Shape& shape, const Shape& strides, std::size_t element,
                           std::byte* to) {
    // An index that counts like an odometer: no recursion, whatever the rank.
    Shape index(shape.size(), 0);
    int64_t at = 0;
    const std::size_t last = shape.size() - 1;
    for (;;) {
      for (int64_t i = 0; i < shape[last]; ++i, to += element) {
        std::memcpy(to, from + static_cast<std::size_t>(at + i * strides[last]) * element, element);
      }
      std::size_t d = last;
      for (;;) {
        if (d == 0) return;
        --d;
        at += strides[d];
        if (++index[d] < shape[d]) break;
        at -= strides[d] * shape[d];
        index[d] = 0;
      }
    }
  }

  void check_crc(const Storage& storage, std::size_t index) const {
    if (storage.crc == 0 || storage.checked->load(std::memory_order_relaxed)) return;
    // In pieces, each given back: checking must not make a large storage resident as a whole.
    constexpr std::size_t kPiece = std::size_t{4} << 20;
    uint32_t crc = 0;
    for (std::size_t at = 0; at < storage.data.size(); at += kPiece) {
      const auto piece = storage.data.subspan(at, std::min(kPiece, storage.data.size() - at));
      crc = crc32(piece, crc);
      if (storage.data.size() > kPiece) file_->release(piece);
    }
    if (crc != storage.crc) {
      throw Error(ErrorCode::corrupt_file, "the checksum of its storage does not match",
                  name_ + ": " + entries_[index].name);
    }
    storage.checked->store(true, std::memory_order_relaxed);
  }

  std::vector<Storage> storages_;
  std::vector<View> views_;
};

}  // namespace

std::shared_ptr<const WeightFile> open_torch_file(std::shared_ptr<const MappedFile> file, std::string name) {
  return std::make_shared<TorchFile>(std::move(file), std::move(name));
}

}  // namespace transformers
