// Implements io/safetensors.hpp.
#include "transformers/io/safetensors.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include "base/little_endian.hpp"
#include "transformers/base/error.hpp"
#include "transformers/base/json_events.hpp"
#include "transformers/base/model_files.hpp"
#include "transformers/base/value.hpp"
#include "transformers/io/weight_file.hpp"

namespace transformers {
namespace {

constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kMaxHeaderBytes = 100'000'000;  // the reference implementation's limit

[[noreturn]] void corrupt(const std::string& message, const std::string& where) {
  throw Error(ErrorCode::corrupt_file, message, where);
}

std::string tensor_label(std::string_view name) { return "tensor " + quote(name); }

// Reads the header straight into entries: a large model has 10^5 of them. Checks the form; check_layout() the numbers.
class HeaderReader final : public JsonEvents {
 public:
  HeaderReader(const std::string& where, std::vector<SafetensorsFile::Entry>& entries,
               std::map<std::string, std::string>& metadata)
      : where_(where), entries_(entries), metadata_(metadata) {}

  void null() override {
    if (!(level_ == Level::header && in_metadata_)) scalar();
  }
  void boolean(bool) override { scalar(); }
  void number(double, std::string_view) override { scalar(); }
  void integer(int64_t value) override {
    if (level_ != Level::list || value < 0) return scalar();
    if (field_ == kShape) {
      if (entry_.shape.size() == kMaxRank) {
        corrupt(tensor_label(entry_.name) + " has more than " + std::to_string(kMaxRank) + " dimensions", where_);
      }
      entry_.shape.push_back(value);
    } else {
      if (list_size_ < 2) (list_size_ == 0 ? entry_.begin : entry_.end) = static_cast<std::size_t>(value);
    }
    ++list_size_;
  }
  void string(std::string& value) override {
    if (level_ == Level::metadata) {
      if (!metadata_.emplace(key_, std::move(value)).second)
        corrupt("duplicate key " + quote(key_) + " in __metadata__", where_);
    } else if (level_ == Level::tensor && field_ == kDtype) {
      const auto dtype = dtype_from_safetensors(value);
      if (!dtype) {
        throw Error(ErrorCode::unsupported, "dtype " + quote(value) + " of " + tensor_label(entry_.name), where_);
      }
      entry_.dtype = *dtype;
    } else {
      scalar();
    }
  }
  void start_array() override {
    if (skipping()) {
      ++skipped_levels_;
    } else if (level_ == Level::tensor && field_ != kDtype) {
      level_ = Level::list;
      list_size_ = 0;
    } else {
      reject();
    }
  }
  void end_array() override {
    if (skipped_levels_ > 0) {
      --skipped_levels_;
      return;
    }
    if (field_ == kOffsets && list_size_ != 2) {
      corrupt(tensor_label(entry_.name) + ": data_offsets must be two numbers, found " + std::to_string(list_size_),
              where_);
    }
    level_ = Level::tensor;
  }
  void start_object() override {
    if (skipping()) {
      ++skipped_levels_;
    } else if (level_ == Level::file) {
      level_ = Level::header;
    } else if (level_ == Level::header) {
      level_ = in_metadata_ ? Level::metadata : Level::tensor;
      found_ = {};
    } else {
      reject();
    }
  }
  void key(std::string& name) override {
    if (skipped_levels_ > 0) return;
    if (level_ == Level::header) {
      in_metadata_ = name == "__metadata__";
      if (in_metadata_ && std::exchange(had_metadata_, true)) corrupt("duplicate key \"__metadata__\"", where_);
      if (!in_metadata_) {
        entry_ = {};
        entry_.name = std::move(name);
      }
    } else if (level_ == Level::metadata) {
      key_ = std::move(name);
    } else {
      field_ = static_cast<Field>(std::find(kFieldNames.begin(), kFieldNames.end(), name) - kFieldNames.begin());
      if (field_ != kUnknown && std::exchange(found_[field_], true)) {
        corrupt(tensor_label(entry_.name) + " has the key " + quote(name) + " twice", where_);
      }
    }
  }
  void end_object() override {
    if (skipped_levels_ > 0) {
      --skipped_levels_;
      return;
    }
    if (level_ == Level::tensor) {
      for (std::size_t i = 0; i < found_.size(); ++i) {
        if (!found_[i]) corrupt(tensor_label(entry_.name) + " has no " + std::string(kFieldNames[i]), where_);
      }
      entries_.push_back(std::move(entry_));
    }
    level_ = Level::header;
  }

 private:
  enum class Level { file, header, metadata, tensor, list };
  enum Field { kDtype, kShape, kOffsets, kUnknown };
  static constexpr std::array<std::string_view, 3> kFieldNames = {"dtype", "shape", "data_offsets"};

  // Members of a tensor that the format does not know are passed over, as the reference implementation does.
  bool skipping() const { return skipped_levels_ > 0 || (level_ == Level::tensor && field_ == kUnknown); }
  void scalar() const {
    if (!skipping()) reject();
  }
  // What is being read has the wrong type for its place.
  [[noreturn]] void reject() const {
    const std::string tensor = tensor_label(entry_.name);
    if (level_ == Level::file) corrupt("the header must be a JSON object", where_);
    if (in_metadata_) corrupt("__metadata__ must be an object of strings", where_);
    if (level_ == Level::header) corrupt(tensor + " must be an object", where_);
    const std::string field(kFieldNames[field_]);
    if (level_ == Level::list) {
      corrupt(tensor + ": " + field + "[" + std::to_string(list_size_) + "] must be a non-negative integer", where_);
    }
    corrupt(tensor + ": " + field + " must be a " + (field_ == kDtype ? "string" : "list of numbers"), where_);
  }

  const std::string& where_;
  std::vector<SafetensorsFile::Entry>& entries_;
  std::map<std::string, std::string>& metadata_;
  Level level_ = Level::file;
  bool in_metadata_ = false, had_metadata_ = false;
  int skipped_levels_ = 0;
  SafetensorsFile::Entry entry_;
  std::string key_;
  Field field_ = kDtype;
  std::array<bool, 3> found_ = {};
  std::size_t list_size_ = 0;
};

// Throws unless shape and type of the entry need just the bytes its offsets give.
void check_size(const SafetensorsFile::Entry& entry, const std::string& where) {
  const auto element = static_cast<int64_t>(dtype_size(entry.dtype));
  int64_t count = 0;
  bool overflows = false;
  try {
    count = element_count(entry.shape);
    overflows = count > std::numeric_limits<int64_t>::max() / element;
  } catch (const Error&) {
    overflows = true;
  }
  if (overflows) {
    corrupt("the size of " + tensor_label(entry.name) + " overflows: shape " + to_string(entry.shape), where);
  }
  if (static_cast<std::size_t>(count * element) != entry.end - entry.begin) {
    corrupt(tensor_label(entry.name) + ": shape " + to_string(entry.shape) + " " +
                std::string(safetensors_name(entry.dtype)) + " needs " + std::to_string(count * element) +
                " bytes, data_offsets give " + std::to_string(entry.end - entry.begin),
            where);
  }
}

// Sorts the entries by offset and throws unless they fill `data_bytes` one after another.
void check_layout(std::vector<SafetensorsFile::Entry>& entries, std::size_t data_bytes, const std::string& where) {
  std::stable_sort(entries.begin(), entries.end(),
                   [](const auto& a, const auto& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  std::size_t filled = 0;
  const std::string* previous = nullptr;
  for (const auto& entry : entries) {
    std::string fault;
    if (entry.begin > entry.end) {
      fault = "end before they begin";
    } else if (entry.end > data_bytes) {
      fault = "reach beyond the " + std::to_string(data_bytes) + " bytes of data (incomplete download?)";
    } else if (entry.begin < filled) {
      fault = "overlap those of " + tensor_label(*previous);
    } else if (entry.begin > filled) {
      fault = "leave a hole of " + std::to_string(entry.begin - filled) + " bytes before them";
    }
    if (!fault.empty()) {
      corrupt(tensor_label(entry.name) + ": data_offsets [" + std::to_string(entry.begin) + ", " +
                  std::to_string(entry.end) + "] " + fault,
              where);
    }
    check_size(entry, where);
    filled = entry.end;
    previous = &entry.name;
  }
  if (filled != data_bytes) {
    corrupt(std::to_string(data_bytes - filled) + " bytes follow the last tensor", where);
  }
}

}  // namespace

SafetensorsFile::SafetensorsFile(std::shared_ptr<const MappedFile> file, std::string name)
    : file_(std::move(file)), name_(std::move(name)) {
  const std::span<const std::byte> bytes = file_->bytes();
  check_downloaded(file_->text(), name_);
  if (bytes.size() < kLengthBytes) {
    corrupt(std::to_string(bytes.size()) + " bytes, shorter than the 8-byte header length", name_);
  }
  if (file_->text().starts_with("PK\x03\x04")) {
    corrupt("this is a zip archive, as PyTorch writes, and no safetensors file", name_);
  }
  const uint64_t header_bytes = little_endian<uint64_t>(bytes.data());
  if (header_bytes > bytes.size() - kLengthBytes) {
    corrupt("the header needs " + std::to_string(header_bytes) + " bytes, the file has " +
                std::to_string(bytes.size() - kLengthBytes) + " (incomplete download?)",
            name_);
  }
  if (header_bytes > kMaxHeaderBytes) {
    throw Error(
        ErrorCode::limit,
        "header length " + std::to_string(header_bytes) + " exceeds the limit of " + std::to_string(kMaxHeaderBytes),
        name_);
  }
  HeaderReader reader(name_, entries_, metadata_);
  read_json(file_->text().substr(kLengthBytes, header_bytes), name_ + ", header", reader);
  check_layout(entries_, bytes.size() - kLengthBytes - header_bytes, name_);
  data_ = bytes.data() + kLengthBytes + header_bytes;

  by_name_.resize(entries_.size());
  for (std::size_t i = 0; i < by_name_.size(); ++i) by_name_[i] = i;
  const auto name_of = [this](std::size_t i) -> const std::string& { return entries_[i].name; };
  std::ranges::sort(by_name_, {}, name_of);
  const auto twice = std::ranges::adjacent_find(by_name_, {}, name_of);
  if (twice != by_name_.end()) corrupt("duplicate " + tensor_label(name_of(*twice)), name_);
}

std::shared_ptr<const SafetensorsFile> SafetensorsFile::open(const std::string& path, MapMode mode) {
  return from_file(MappedFile::open(path, mode), path);
}

std::shared_ptr<const SafetensorsFile> SafetensorsFile::from_buffer(std::span<const std::byte> bytes,
                                                                    std::shared_ptr<const void> owner,
                                                                    std::string name) {
  return from_file(MappedFile::from_memory(bytes, std::move(owner)), std::move(name));
}

std::shared_ptr<const SafetensorsFile> SafetensorsFile::from_file(std::shared_ptr<const MappedFile> file,
                                                                  std::string name) {
  return std::shared_ptr<const SafetensorsFile>(new SafetensorsFile(std::move(file), std::move(name)));
}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  names.reserve(entries_.size());
  for (const Entry& entry : entries_) names.push_back(entry.name);
  return names;
}

const SafetensorsFile::Entry* SafetensorsFile::find(std::string_view name) const noexcept {
  const auto found = std::lower_bound(by_name_.begin(), by_name_.end(), name,
                                      [this](std::size_t i, std::string_view n) { return entries_[i].name < n; });
  return found != by_name_.end() && entries_[*found].name == name ? &entries_[*found] : nullptr;
}

Tensor SafetensorsFile::tensor(std::string_view name) const {
  if (const Entry* entry = find(name)) return tensor(*entry);
  throw Error(ErrorCode::not_found, "no " + tensor_label(name), name_);
}

Tensor SafetensorsFile::tensor(const Entry& entry) const {
  return Tensor(entry.dtype, entry.shape, data_ + entry.begin, file_);
}

void save_safetensors(const std::string& path, std::span<const std::pair<std::string, Tensor>> tensors,
                      const std::map<std::string, std::string>& metadata) {
  constexpr DType kOrder[] = {DType::i64, DType::f64, DType::f32, DType::i32, DType::bf16,
                              DType::f16, DType::i16, DType::i8,  DType::u8,  DType::boolean};
  const auto key = [&](const auto* item) {
    return std::pair(std::ranges::find(kOrder, item->second.dtype()), std::string_view(item->first));
  };
  std::vector<const std::pair<std::string, Tensor>*> items;
  for (const auto& item : tensors) items.push_back(&item);
  const auto name_of = [](const auto* item) { return std::string_view(item->first); };
  std::ranges::sort(items, {}, name_of);
  const auto refuse = [&](const auto* item, const char* fault) {
    throw Error(ErrorCode::invalid_argument, tensor_label(item->first) + fault, path);
  };
  if (const auto twice = std::ranges::adjacent_find(items, {}, name_of); twice != items.end()) {
    refuse(*twice, " is given twice");
  }
  for (const auto* item : items) {
    if (item->first == "__metadata__") refuse(item, ": the name is reserved");
    if (!item->second.defined()) refuse(item, " is undefined");
    if (is_block_format(item->second.dtype())) refuse(item, ": safetensors files have no block formats");
  }
  std::ranges::sort(items, {}, key);

  std::string header = "{";
  if (!metadata.empty()) {
    Value::Object object;
    for (const auto& [name, text] : metadata) object.emplace_back(name, text);
    header += "\"__metadata__\":" + to_json(std::move(object));
  }
  std::vector<std::span<const std::byte>> parts(2);
  std::size_t end = 0;
  for (const auto* item : items) {
    const Tensor& tensor = item->second;
    const auto begin = static_cast<int64_t>(end);
    end += tensor.bytes();
    const Value entry = Value::Object{
        {"dtype", safetensors_name(tensor.dtype())},
        {"shape", Value::Array(tensor.shape().begin(), tensor.shape().end())},
        {"data_offsets", Value::Array{begin, end}},
    };
    if (header.size() > 1) header += ',';
    header += to_json(item->first) + ':' + to_json(entry);
    parts.emplace_back(static_cast<const std::byte*>(tensor.raw()), tensor.bytes());
  }
  header += '}';
  header.resize((header.size() + 7) / 8 * 8, ' ');
  std::array<std::byte, kLengthBytes> length;
  for (std::size_t i = 0; i < kLengthBytes; ++i) length[i] = static_cast<std::byte>(header.size() >> (8 * i));
  parts[0] = length;
  parts[1] = std::as_bytes(std::span(header));
  write_file(path, parts);
}

}  // namespace transformers
