// What it is: byte-pair encoding: the characters of a word, joined pair by pair in the order of the merges.
// Where it stands: tokenizers, one of the models of stage 3 (models.hpp lists them).
// Usage: `BPE m; m.vocab.add("a", 0); ... m.add_merge("a", "b"); m.finish("vocab.json"); m.tokenize("ab", tokens);`
// Source: Sennrich et al., arXiv 1508.07909; the `tokenizers` crate 0.23, models/bpe/{model,word}.rs.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "transformers/base/export.hpp"
#include "transformers/base/fields.hpp"
#include "transformers/tokenizers/normalized_string.hpp"  // Token
#include "transformers/tokenizers/vocab.hpp"

namespace transformers {

// Which two tokens join to which, and in what order.
class TCPP_API MergeTable {
 public:
  struct Merge {
    uint32_t rank;  // the lowest goes first
    int32_t id;     // of the joined token
  };
  MergeTable() = default;
  void reserve(std::size_t merges);
  // A pair added again has the new rank.
  void add(int32_t left, int32_t right, Merge merge);
  std::size_t size() const noexcept { return size_; }
  // nullptr: the two do not join.
  const Merge* find(int32_t left, int32_t right) const noexcept {
    if (slots_.empty()) return nullptr;
    const uint64_t key = key_of(left, right);
    for (std::size_t i = place(key);; i = (i + 1) & mask_) {
      if (slots_[i].key == key) return &slots_[i].merge;
      if (slots_[i].key == kNone) return nullptr;
    }
  }
  // Calls f(left, right, merge) for each, in no order.
  template <class F>
  void for_each(F f) const {
    for (const Slot& s : slots_) {
      if (s.key != kNone) f(static_cast<int32_t>(s.key >> 32), static_cast<int32_t>(s.key & 0xFFFFFFFFu), s.merge);
    }
  }

 private:
  struct Slot {
    uint64_t key = kNone;
    Merge merge{};
  };
  static constexpr uint64_t kNone = ~uint64_t{0};  // ids are not negative
  static uint64_t key_of(int32_t left, int32_t right) noexcept {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  std::size_t place(uint64_t key) const noexcept { return (key * 0x9E3779B97F4A7C15u) >> shift_; }
  void grow(std::size_t slots);

  std::vector<Slot> slots_;
  std::size_t mask_ = 0, size_ = 0;
  int shift_ = 64;
};

struct TCPP_API BPE {
  static constexpr std::string_view type = "BPE";
  std::optional<float> dropout;          // of training: kept for saving, never applied here
  std::optional<std::string> unk_token;  // absent: unknown characters vanish
  std::optional<std::string> continuing_subword_prefix;
  std::optional<std::string> end_of_word_suffix;
  bool fuse_unk = false;  // neighbouring unknown characters are one token
  bool byte_fallback =
      false;  // unknown characters become the tokens <0x00> ... <0xFF> of their bytes, if all are there
  bool ignore_merges = false;  // a word that is a token is that token, whatever the merges would make of it
  Vocab vocab;

  void fields(FieldVisitor& f) {
    f("dropout", dropout);
    f("unk_token", unk_token);
    f("continuing_subword_prefix", continuing_subword_prefix);
    f("end_of_word_suffix", end_of_word_suffix);
    f("fuse_unk", fuse_unk);
    f("byte_fallback", byte_fallback);
    f("ignore_merges", ignore_merges);
  }
  // Merges in their order, by the texts of the tokens; the vocabulary may be filled before or after.
  void add_merge(std::string_view left, std::string_view right);
  // After the last change. Error(corrupt_file) naming `where` and the merge whose parts or result are no tokens.
  void finish(const std::string& where = "merges");
  // Whether a character is written otherwise within a word, or at its end.
  bool has_affixes() const {
    const auto is_set = [](const std::optional<std::string>& affix) { return affix && !affix->empty(); };
    return is_set(continuing_subword_prefix) || is_set(end_of_word_suffix);
  }
  // Appends the tokens of `word`. Error(corrupt_file) when a character is unknown and unk_token is not in the
  // vocabulary. Cost: n log n in the characters of the word.
  void tokenize(std::string_view word, std::vector<Token>& out) const;

  // One token on the way: bytes of the word that it stands for.
  struct Symbol {
    int32_t id;
    uint32_t size;            // bytes; 0: joined to the one before
    uint32_t previous, next;  // places in the vector, kNone at the ends
  };
  static constexpr uint32_t kNone = 0xFFFFFFFF;
  // The characters of the word, not joined yet.
  void split(std::string_view word, std::vector<Symbol>& out) const;
  // Joins them; `symbols` then holds the tokens.
  void merge(std::vector<Symbol>& symbols) const;

  const MergeTable& merges() const noexcept { return merges_; }

 private:
  struct PendingMerge {
    uint32_t begin, middle, end;  // of pending_text_
  };
  void merge_short(std::vector<Symbol>& symbols) const;
  void merge_long(std::vector<Symbol>& symbols) const;

  std::string pending_text_;
  std::vector<PendingMerge> pending_;
  MergeTable merges_;
  std::array<int32_t, 256> byte_ids_{};  // of <0x00> ... <0xFF>, -1 for none
  int32_t unknown_id_ = -1;
};

}  // namespace transformers
