// Implements GgufFile of base/gguf.hpp.
#include "transformers/base/gguf.hpp"

#include <algorithm>
#include <bit>
#include <limits>
#include <utility>

#include "base/little_endian.hpp"
#include "transformers/base/error.hpp"
#include "transformers/base/model_files.hpp"

namespace transformers {
namespace {

enum Type : uint32_t { kU8, kI8, kU16, kI16, kU32, kI32, kF32, kBool, kString, kArray, kU64, kI64, kF64, kTypes };
constexpr const char* kTypeNames[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                      "bool", "string", "array", "u64", "i64", "f64"};
constexpr std::size_t kTypeBytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
constexpr std::size_t kMaxRank = 4;  // ggml's

// What a key and its value, and an entry of the table of tensors, take at least.
constexpr uint64_t kLeastField = 8 + 4 + 1, kLeastTensor = 8 + 4 + 4 + 8;

std::string type_name(uint32_t type) { return type < kTypes ? kTypeNames[type] : "type " + std::to_string(type); }

// Reads forward, checking each length against what is left.
class Cursor {
 public:
  Cursor(std::span<const std::byte> bytes, const std::string& name) : bytes_(bytes), name_(name) {}

  [[noreturn]] void corrupt(const std::string& what) const {
    throw Error(ErrorCode::corrupt_file, "gguf: " + what, name_);
  }
  const std::byte* take(uint64_t bytes, const std::string& what) {
    if (bytes > left()) {
      corrupt(what + " needs " + std::to_string(bytes) + " bytes, " + std::to_string(left()) +
              " are left (incomplete download?)");
    }
    const std::byte* from = bytes_.data() + at;
    at += static_cast<std::size_t>(bytes);
    return from;
  }
  template <class Integer>
  Integer number(const std::string& what) {
    return little_endian<Integer>(take(sizeof(Integer), what));
  }
  std::string_view string(const std::string& what) {
    const auto length = number<uint64_t>(what);
    return {reinterpret_cast<const char*>(take(length, what)), static_cast<std::size_t>(length)};
  }
  uint64_t left() const noexcept { return bytes_.size() - at; }

  std::size_t at = 0;

 private:
  std::span<const std::byte> bytes_;
  const std::string& name_;
};

}  // namespace

GgufFile::GgufFile(std::shared_ptr<const MappedFile> file, std::string name)
    : file_(std::move(file)), name_(std::move(name)) {
  const auto bytes = file_->bytes();
  check_downloaded(file_->text(), name_);
  Cursor cursor(bytes, name_);
  if (!file_->text().starts_with("GGUF")) cursor.corrupt("no GGUF file: it begins with other bytes");
  cursor.take(4, "the magic number");
  const auto version = cursor.number<uint32_t>("the version");
  if (version != 2 && version != 3) {
    const bool big = version == 0x02000000 || version == 0x03000000;
    throw Error(ErrorCode::unsupported,
                big ? "gguf: a big-endian file" : "gguf: version " + std::to_string(version) + ", expected 2 or 3",
                name_);
  }
  const auto tensor_count = cursor.number<uint64_t>("the number of tensors");
  const auto field_count = cursor.number<uint64_t>("the number of keys");
  if (field_count > cursor.left() / kLeastField) {
    cursor.corrupt(std::to_string(field_count) + " keys do not fit in a file of " + std::to_string(bytes.size()) +
                   " bytes");
  }
  fields_.reserve(static_cast<std::size_t>(field_count));
  for (uint64_t i = 0; i < field_count; ++i) {
    Field field;
    field.key = cursor.string("key " + std::to_string(i));
    const std::string what = "key " + quote(field.key);
    field.type = cursor.number<uint32_t>(what);
    if (field.type == kArray) {
      field.array = true;
      field.type = cursor.number<uint32_t>(what);
      field.count = cursor.number<uint64_t>(what);
      if (field.type == kArray) throw Error(ErrorCode::unsupported, "gguf: " + what + ": an array of arrays", name_);
    }
    if (field.type >= kTypes) cursor.corrupt(what + ": " + type_name(field.type) + " is unknown");
    field.begin = cursor.at;
    if (field.type == kString) {
      if (field.count > cursor.left() / 8) {
        cursor.corrupt(what + ": " + std::to_string(field.count) + " strings do not fit in the " +
                       std::to_string(cursor.left()) + " bytes that are left");
      }
      for (uint64_t j = 0; j < field.count; ++j) cursor.string(what);
    } else {
      const std::size_t element = kTypeBytes[field.type];
      if (field.count > cursor.left() / element) {
        cursor.corrupt(what + ": " + std::to_string(field.count) + " elements of " + type_name(field.type) +
                       " do not fit in the " + std::to_string(cursor.left()) + " bytes that are left");
      }
      cursor.take(field.count * element, what);
    }
    fields_.push_back(field);
  }
  std::ranges::sort(fields_, {}, &Field::key);
  if (const auto twice = std::ranges::adjacent_find(fields_, {}, &Field::key); twice != fields_.end()) {
    cursor.corrupt("key " + quote(twice->key) + " comes twice");
  }
  if (const Field* field = find("general.alignment")) {
    if (field->array || field->type != kU32) wrong_type(*field, "u32");
    alignment_ = little_endian<uint32_t>(bytes.data() + field->begin);
    if (!std::has_single_bit(alignment_)) {
      cursor.corrupt("general.alignment must be a power of two, found " + std::to_string(alignment_));
    }
  }

  if (tensor_count > cursor.left() / kLeastTensor) {
    cursor.corrupt(std::to_string(tensor_count) + " tensors do not fit in a file of " + std::to_string(bytes.size()) +
                   " bytes");
  }
  tensors_.reserve(static_cast<std::size_t>(tensor_count));
  for (uint64_t i = 0; i < tensor_count; ++i) {
    TensorInfo tensor;
    tensor.name = cursor.string("tensor " + std::to_string(i));
    const std::string what = "tensor " + quote(tensor.name);
    const auto rank = cursor.number<uint32_t>(what);
    if (rank > kMaxRank) {
      cursor.corrupt(what + ": " + std::to_string(rank) + " dimensions, at most " + std::to_string(kMaxRank) +
                     " are there");
    }
    uint64_t size = 1;
    for (uint32_t d = 0; d < rank; ++d) {
      const auto dimension = cursor.number<uint64_t>(what);
      constexpr uint64_t kMost = std::numeric_limits<int64_t>::max();
      if (dimension > kMost || (dimension != 0 && size > kMost / dimension)) {
        cursor.corrupt(what + ": the product of its dimensions overflows");
      }
      size *= std::max<uint64_t>(dimension, 1);
      tensor.shape.push_back(static_cast<int64_t>(dimension));
    }
    std::ranges::reverse(tensor.shape);
    tensor.type = cursor.number<uint32_t>(what);
    tensor.offset = cursor.number<uint64_t>(what);
    if (tensor.offset % alignment_ != 0) {
      cursor.corrupt(what + ": offset " + std::to_string(tensor.offset) + " is no multiple of the alignment, " +
                     std::to_string(alignment_));
    }
    tensors_.push_back(std::move(tensor));
  }
  by_name_.resize(tensors_.size());
  for (std::size_t i = 0; i < by_name_.size(); ++i) by_name_[i] = i;
  const auto name_of = [this](std::size_t i) { return tensors_[i].name; };
  std::ranges::sort(by_name_, {}, name_of);
  if (const auto twice = std::ranges::adjacent_find(by_name_, {}, name_of); twice != by_name_.end()) {
    cursor.corrupt("duplicate tensor " + quote(name_of(*twice)));
  }
  // The data begin at the next multiple of the alignment; a file without tensors may end before.
  data_begin_ = cursor.at + std::min<std::size_t>((alignment_ - cursor.at % alignment_) % alignment_,
                                                  static_cast<std::size_t>(cursor.left()));
}

std::shared_ptr<const GgufFile> GgufFile::read(std::shared_ptr<const MappedFile> file, std::string name) {
  return std::shared_ptr<const GgufFile>(new GgufFile(std::move(file), std::move(name)));
}

const GgufFile::Field* GgufFile::find(std::string_view key) const noexcept {
  const auto found = std::ranges::lower_bound(fields_, key, {}, &Field::key);
  return found != fields_.end() && found->key == key ? &*found : nullptr;
}

const GgufFile::TensorInfo* GgufFile::find_tensor(std::string_view name) const noexcept {
  const auto name_of = [this](std::size_t i) { return tensors_[i].name; };
  const auto found = std::ranges::lower_bound(by_name_, name, {}, name_of);
  return found != by_name_.end() && name_of(*found) == name ? &tensors_[*found] : nullptr;
}

std::vector<std::string_view> GgufFile::keys() const {
  std::vector<std::string_view> out;
  for (const Field& field : fields_) out.push_back(field.key);
  return out;
}

void GgufFile::wrong_type(const Field& field, const char* expected) const {
  throw Error(ErrorCode::corrupt_file,
              "gguf: key " + quote(field.key) + ": " + (field.array ? "an array of " : "") + type_name(field.type) +
                  ", expected " + expected,
              name_);
}

const GgufFile::Field* GgufFile::scalar(std::string_view key, const char* expected) const {
  const Field* field = find(key);
  if (field != nullptr && field->array) wrong_type(*field, expected);
  return field;
}

const GgufFile::Field* GgufFile::array(std::string_view key) const {
  const Field* field = find(key);
  if (field != nullptr && !field->array) wrong_type(*field, "an array");
  return field;
}

int64_t GgufFile::integer_at(const Field& field, std::size_t at, const char* expected) const {
  const std::byte* p = file_->bytes().data() + at;
  switch (field.type) {
    case kU8:
      return little_endian<uint8_t>(p);
    case kI8:
      return little_endian<int8_t>(p);
    case kU16:
      return little_endian<uint16_t>(p);
    case kI16:
      return little_endian<int16_t>(p);
    case kU32:
      return little_endian<uint32_t>(p);
    case kI32:
      return little_endian<int32_t>(p);
    case kBool:
      return little_endian<uint8_t>(p) != 0;
    case kI64:
      return little_endian<int64_t>(p);
    case kU64: {
      const auto value = little_endian<uint64_t>(p);
      if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
        throw Error(ErrorCode::corrupt_file,
                    "gguf: key " + quote(field.key) + ": " + std::to_string(value) + " is too large", name_);
      }
      return static_cast<int64_t>(value);
    }
    default:
      wrong_type(field, expected);
  }
}

std::optional<std::string_view> GgufFile::string(std::string_view key) const {
  const Field* field = scalar(key, "string");
  if (field == nullptr) return std::nullopt;
  if (field->type != kString) wrong_type(*field, "string");
  const std::byte* p = file_->bytes().data() + field->begin;
  return std::string_view(reinterpret_cast<const char*>(p + 8), static_cast<std::size_t>(little_endian<uint64_t>(p)));
}

std::optional<int64_t> GgufFile::integer(std::string_view key) const {
  const Field* field = scalar(key, "an integer");
  if (field == nullptr) return std::nullopt;
  return integer_at(*field, field->begin, "an integer");
}

std::optional<double> GgufFile::number(std::string_view key) const {
  const Field* field = scalar(key, "a number");
  if (field == nullptr) return std::nullopt;
  const std::byte* p = file_->bytes().data() + field->begin;
  if (field->type == kF32) return std::bit_cast<float>(little_endian<uint32_t>(p));
  if (field->type == kF64) return std::bit_cast<double>(little_endian<uint64_t>(p));
  return static_cast<double>(integer_at(*field, field->begin, "a number"));
}

std::optional<bool> GgufFile::boolean(std::string_view key) const {
  const Field* field = scalar(key, "bool");
  if (field == nullptr) return std::nullopt;
  if (field->type != kBool) wrong_type(*field, "bool");
  return integer_at(*field, field->begin, "bool") != 0;
}

std::vector<std::string_view> GgufFile::strings(std::string_view key) const {
  const Field* field = array(key);
  if (field == nullptr) return {};
  if (field->type != kString) wrong_type(*field, "string");
  std::vector<std::string_view> out;
  out.reserve(static_cast<std::size_t>(field->count));
  const std::byte* p = file_->bytes().data() + field->begin;
  for (uint64_t i = 0; i < field->count; ++i) {
    const auto length = static_cast<std::size_t>(little_endian<uint64_t>(p));
    out.emplace_back(reinterpret_cast<const char*>(p + 8), length);
    p += 8 + length;
  }
  return out;
}

std::vector<int64_t> GgufFile::integers(std::string_view key) const {
  const Field* field = array(key);
  if (field == nullptr) return {};
  std::vector<int64_t> out;
  out.reserve(static_cast<std::size_t>(field->count));
  for (std::size_t i = 0; i < field->count; ++i) {
    out.push_back(integer_at(*field, field->begin + i * kTypeBytes[field->type], "integers"));
  }
  return out;
}

std::vector<float> GgufFile::floats(std::string_view key) const {
  const Field* field = array(key);
  if (field == nullptr) return {};
  if (field->type != kF32) wrong_type(*field, "f32");
  std::vector<float> out;
  out.reserve(static_cast<std::size_t>(field->count));
  const std::byte* p = file_->bytes().data() + field->begin;
  for (uint64_t i = 0; i < field->count; ++i) out.push_back(std::bit_cast<float>(little_endian<uint32_t>(p + i * 4)));
  return out;
}

bool GgufFile::is_array(std::string_view key) const noexcept {
  const Field* field = find(key);
  return field != nullptr && field->array;
}

std::size_t GgufFile::array_size(std::string_view key) const noexcept {
  const Field* field = find(key);
  return field != nullptr && field->array ? static_cast<std::size_t>(field->count) : 0;
}

}  // namespace transformers
