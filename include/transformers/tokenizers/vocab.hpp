// What it is: a vocabulary, token <-> id: one arena of bytes and an open-addressing hash table over it.
// Where it stands: tokenizers; the models (WordPiece, WordLevel, ...) own one each.
// Usage: `Vocab v; v.add("hello", 7592); v.finish("vocab.txt"); int32_t id = v.find("hello");  // -1: not in it`
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "transformers/base/export.hpp"

namespace transformers {

class TCPP_API Vocab {
 public:
  // The hash of a token is made byte by byte, so that one pass over a text gives those of all its prefixes.
  static constexpr uint64_t kHashStart = 0x51ED270B9F3D4C15u;
  static uint64_t hash_step(uint64_t hash, char byte) noexcept {
    return (hash ^ static_cast<unsigned char>(byte)) * 0x9FB21C651E98DF25u;
  }
  static uint64_t hash_of(std::string_view token, uint64_t hash = kHashStart) noexcept {
    for (char byte : token) hash = hash_step(hash, byte);
    return hash;
  }

  Vocab();
  void reserve(std::size_t tokens, std::size_t bytes);
  // Returns false when the token was there already; it then has the new id.
  bool add(std::string_view token, int32_t id);
  // The same, but a token that was there already keeps its old id beside the new one: both ids mean it, it means the
  // new one.
  void add_again(std::string_view token, int32_t id);
  // Makes id -> token; call it after the last add. Error(corrupt_file) when two tokens have one id.
  void finish(std::string_view where);

  std::size_t size() const noexcept { return entries_.size(); }
  // The id of a token, -1 for none.
  int32_t find(std::string_view token) const noexcept { return find(token, hash_of(token)); }
  // The same with hash_of(token) at hand.
  int32_t find(std::string_view token, uint64_t hash) const noexcept {
    const uint32_t tag = tag_of(hash);
    for (std::size_t i = hash >> shift_;; i = (i + 1) & mask_) {
      const Slot& slot = slots_[i];
      if (slot.entry == kNone) return -1;
      if (slot.tag != tag) continue;
      const Entry& entry = entries_[slot.entry];
      if (entry.size == token.size() && std::memcmp(arena_.data() + entry.offset, token.data(), token.size()) == 0) {
        return entry.id;
      }
    }
  }
  std::optional<std::string_view> token(int32_t id) const noexcept;

  // Calls f(std::string_view token, int32_t id) for each, in the order of adding.
  template <class F>
  void for_each(F f) const {
    for (const Entry& entry : entries_) f(view(entry), entry.id);
  }

 private:
  struct Slot {
    uint32_t tag;
    uint32_t entry;
  };
  struct Entry {
    uint32_t offset;
    uint32_t size;
    int32_t id;
  };
  static constexpr uint32_t kNone = 0xFFFFFFFF;
  static uint32_t tag_of(uint64_t hash) noexcept { return static_cast<uint32_t>(hash >> 8); }
  std::string_view view(const Entry& e) const noexcept { return {arena_.data() + e.offset, e.size}; }
  void grow(std::size_t slots);

  std::string arena_;
  std::vector<Entry> entries_;
  std::vector<Slot> slots_;
  std::size_t mask_ = 0;
  int shift_ = 0;
  std::vector<uint32_t> by_id_;                       // id -> entry, when ids are dense
  std::vector<std::pair<int32_t, uint32_t>> sorted_;  // (id, entry) by id, when they are not
};

}  // namespace transformers
