// What it is: SentencePiece's unigram model: of all ways to cut a text into pieces, the one whose scores sum highest.
// Where it stands: tokenizers, one of the models of stage 3 (models.hpp lists them).
// Usage: `Unigram m; m.unk_id = 0; m.add("<unk>", 0.0); m.add("a", -1.5); m.finish(); m.tokenize("aa", tokens);`
// Source: Kudo, arXiv 1804.10959; the `tokenizers` crate 0.23, models/unigram/model.rs.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "transformers/base/export.hpp"
#include "transformers/base/fields.hpp"
#include "transformers/tokenizers/normalized_string.hpp"  // Token
#include "transformers/tokenizers/vocab.hpp"

namespace transformers {

// A set of strings as a double array: the state behind state s and byte b is base(s) ^ b, if its check says s.
class TCPP_API Trie {
 public:
  // (string, value) in any order, values not negative; of equal strings the last counts, the empty one never matches.
  void build(std::vector<std::pair<std::string_view, int32_t>> entries);
  // Calls f(size, value) for each string that `text` starts with, shortest first.
  template <class F>
  void prefixes(std::string_view text, F f) const {
    uint32_t state = 0;
    for (std::size_t i = 0; i < text.size() && state < units_.size(); ++i) {
      const uint32_t next = units_[state].base ^ static_cast<unsigned char>(text[i]);
      if (next >= units_.size() || units_[next].parent != state) return;
      state = next;
      if (units_[state].value >= 0) f(i + 1, units_[state].value);
    }
  }

 private:
  static constexpr uint32_t kNone = 0xFFFFFFFF, kRoot = 0xFFFFFFFE;  // as parent: of a free unit, of the first
  struct Unit {
    uint32_t base = 0;
    uint32_t parent = kNone;
    int32_t value = -1;
  };
  std::vector<Unit> units_;
};

struct TCPP_API Unigram {
  static constexpr std::string_view type = "Unigram";
  std::optional<int64_t> unk_id;  // absent: unknown characters are an error
  bool byte_fallback = false;     // unknown characters become the pieces <0x00> ... <0xFF> of their bytes, if all exist
  Vocab vocab;                    // filled by add
  std::vector<double> scores;     // log probability of each piece, by id

  void fields(FieldVisitor& f) {
    f("unk_id", unk_id);
    f("byte_fallback", byte_fallback);
  }
  // The next piece: its id is the number of pieces before it. Of equal pieces the last one is found.
  void add(std::string_view piece, double score);
  // After the last change. Error(corrupt_file) naming `where` when there is no piece, unk_id is none of them, or a
  // score is not finite.
  void finish(const std::string& where = "vocab");
  // Appends the tokens of `text`; neighbouring unknown characters are one. Error(corrupt_file) when there are unknown
  // characters but no unk_id. Cost: bytes of the text times the longest piece, at worst.
  void tokenize(std::string_view text, std::vector<Token>& out) const;

  struct Piece {
    int32_t id;
    uint32_t begin, end;  // bytes of the text
  };
  // The same without strings. One that stands for a byte has the extent of all that was unknown with it.
  void match(std::string_view text, std::vector<Piece>& out) const;

 private:
  Trie trie_;
  double unknown_score_ = 0;
  std::array<int32_t, 256> byte_ids_{};  // of <0x00> ... <0xFF>, -1 for none
};

}  // namespace transformers
