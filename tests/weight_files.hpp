// What it is: files of weights written by hand: PyTorch's zip archives and pickles, and GGUF.
// Usage: `torch::zip({{"a/data.pkl", pickle}, {"a/data/0", bytes}})`, `gguf::Builder{.keys = ...}.str()`.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "io/zip.hpp"

namespace transformers::test {

// Little-endian.
template <class Integer>
std::string number(Integer value) {
  std::string out;
  for (std::size_t i = 0; i < sizeof(Integer); ++i) out += static_cast<char>(static_cast<uint64_t>(value) >> (8 * i));
  return out;
}

namespace torch {

struct ZipEntry {
  std::string name, data;
  uint16_t method = 0, flags = 0;
  int crc_change = 0, size_change = 0;
  std::string local_name = {};
  bool wide = false;       // sizes and offset in the zip64 field
  std::string extra = {};  // in place of that field
};

// An archive written by hand: entry after entry, the directory, the end record.
inline std::string zip(const std::vector<ZipEntry>& entries, const std::string& tail = {}) {
  std::string out, directory;
  for (const ZipEntry& e : entries) {
    const uint32_t crc = crc32(std::as_bytes(std::span<const char>(e.data))) + static_cast<uint32_t>(e.crc_change);
    const auto size = static_cast<uint32_t>(static_cast<int>(e.data.size()) + e.size_change);
    const std::string& local = e.local_name.empty() ? e.name : e.local_name;
    const std::size_t offset = out.size();
    const auto fields = number(e.flags) + number(e.method) + number(uint32_t{0}) + number(crc);
    out += "PK\3\4" + number(uint16_t{20}) + fields + number(size) + number(size) +
           number(static_cast<uint16_t>(local.size())) + number(uint16_t{0}) + local + e.data;
    std::string extra = e.extra;
    if (e.wide && extra.empty()) {
      extra = number(uint16_t{1}) + number(uint16_t{24}) + number(uint64_t{size}) + number(uint64_t{size}) +
              number(uint64_t{offset});
    }
    const uint32_t all = 0xFFFFFFFF;
    directory += "PK\1\2" + number(uint16_t{20}) + number(uint16_t{20}) + fields + number(e.wide ? all : size) +
                 number(e.wide ? all : size) + number(static_cast<uint16_t>(e.name.size())) +
                 number(static_cast<uint16_t>(extra.size())) + std::string(10, '\0') +
                 number(e.wide ? all : static_cast<uint32_t>(offset)) + e.name + extra;
  }
  if (!tail.empty()) return out + directory + tail;
  const auto count = static_cast<uint16_t>(entries.size());
  return out + directory + "PK\5\6" + std::string(4, '\0') + number(count) + number(count) +
         number(static_cast<uint32_t>(directory.size())) + number(static_cast<uint32_t>(out.size())) +
         std::string(2, '\0');
}

// Pieces of pickles.
inline const std::string kProto = "\x80\x02";
inline std::string text(const std::string& s) { return "X" + number(static_cast<uint32_t>(s.size())) + s; }
inline std::string global(const std::string& module, const std::string& name) {
  return "c" + module + "\n" + name + "\n";
}
inline std::string small(int value) { return "J" + number(value); }
inline std::string storage(const std::string& key, int size, const std::string& type = "FloatStorage") {
  return "(" + text("storage") + global("torch", type) + text(key) + text("cpu") + small(size) + "tQ";
}
inline std::string tuple(const std::vector<int>& values) {
  std::string out = "(";
  for (const int v : values) out += small(v);
  return out + "t";
}
inline std::string rebuild(const std::string& store, int offset, const std::vector<int>& size,
                           const std::vector<int>& stride) {
  return global("torch._utils", "_rebuild_tensor_v2") + "(" + store + small(offset) + tuple(size) + tuple(stride) +
         "\x89" + global("collections", "OrderedDict") + ")RtR";
}
inline std::string dict(const std::string& name, const std::string& tensor) {
  return kProto + "}(" + text(name) + tensor + "u.";
}

}  // namespace torch

namespace gguf {

inline std::string text(const std::string& s) { return number(uint64_t{s.size()}) + s; }

// Values of metadata, each behind its type.
enum Type : uint32_t { kU8, kI8, kU16, kI16, kU32, kI32, kF32, kBool, kString, kArray, kU64, kI64, kF64 };
inline std::string u32(uint32_t v) { return number(uint32_t{kU32}) + number(v); }
inline std::string f32(float v) {
  std::string out = number(uint32_t{kF32}) + std::string(4, '\0');
  std::memcpy(out.data() + 4, &v, 4);
  return out;
}
inline std::string string(const std::string& s) { return number(uint32_t{kString}) + text(s); }
inline std::string array(uint32_t type, uint64_t count, const std::string& elements) {
  return number(uint32_t{kArray}) + number(type) + number(count) + elements;
}

struct TensorEntry {
  std::string name;
  std::vector<uint64_t> dimensions;  // as ggml counts: the first moves fastest
  uint32_t type = 0;
  uint64_t offset = 0;
};

// A file written by hand.
struct Builder {
  std::vector<std::pair<std::string, std::string>> keys = {};
  std::vector<TensorEntry> tensors = {};
  std::string data = {};
  uint32_t version = 3;
  uint64_t alignment = 32;
  std::optional<uint64_t> key_count = {}, tensor_count = {};

  std::string str() const {
    std::string out = "GGUF" + number(version) + number(tensor_count.value_or(tensors.size())) +
                      number(key_count.value_or(keys.size()));
    for (const auto& [key, value] : keys) out += text(key) + value;
    for (const TensorEntry& t : tensors) {
      out += text(t.name) + number(static_cast<uint32_t>(t.dimensions.size()));
      for (const uint64_t d : t.dimensions) out += number(d);
      out += number(t.type) + number(t.offset);
    }
    if (!data.empty()) out.resize((out.size() + alignment - 1) / alignment * alignment);
    return out + data;
  }
};

}  // namespace gguf
}  // namespace transformers::test
