// What it is: the third stage of a tokenizer, models: one word -> its tokens.
// Where it stands: tokenizers, stage 3 of 5.
// Usage: `TokenizerModel m{WordPiece{...}}; std::vector<Token> tokens; m.tokenize("undo", tokens);  // "un", "##do"`
// To add one: a struct with `type`, `fields`, `tokenize` and a Vocab, and its name in TokenizerModel's list.
// Source: Schuster and Nakajima 2012 and arXiv 1609.08144 (WordPiece); the `tokenizers` crate 0.23, models/*.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "transformers/base/export.hpp"
#include "transformers/base/fields.hpp"
#include "transformers/tokenizers/normalized_string.hpp"  // Token
#include "transformers/tokenizers/vocab.hpp"

namespace transformers {

// The longest token that starts the word, then the longest "##" token that goes on, and so on. One place where nothing
// fits makes the whole word unknown.
struct TCPP_API WordPiece {
  static constexpr std::string_view type = "WordPiece";
  std::string unk_token = "[UNK]";
  std::string continuing_subword_prefix = "##";
  int64_t max_input_chars_per_word = 100;  // code points; a longer word is unknown
  Vocab vocab;

  void fields(FieldVisitor& f) {
    f("unk_token", unk_token);
    f("continuing_subword_prefix", continuing_subword_prefix);
    f("max_input_chars_per_word", max_input_chars_per_word);
  }
  // After the last change of a field or of the vocabulary.
  void finish();
  // Appends the tokens of `word`. Error(corrupt_file) when the word is unknown and unk_token is not in the vocabulary.
  void tokenize(std::string_view word, std::vector<Token>& out) const;

  struct Piece {
    int32_t id;
    uint32_t begin, end;  // bytes of the word
  };
  struct Scratch {
    std::vector<Piece> pieces;  // the result
    std::vector<uint64_t> hashes;
    std::string candidate;
  };
  // The same without strings, for a word that is not too long: fills scratch.pieces, returns false for an unknown word.
  // Cost: bytes of the word times the number of different token lengths, at worst.
  bool match(std::string_view word, Scratch& scratch) const;
  // Error(corrupt_file) when unk_token is not in the vocabulary.
  int32_t unknown_id() const;

 private:
  std::vector<uint32_t> first_sizes_, next_sizes_;  // bytes of the tokens that may start or go on, longest first
};

// A word is a token or unknown.
struct TCPP_API WordLevel {
  static constexpr std::string_view type = "WordLevel";
  std::string unk_token = "<unk>";
  Vocab vocab;

  void fields(FieldVisitor& f) { f("unk_token", unk_token); }
  void finish() {}
  void tokenize(std::string_view word, std::vector<Token>& out) const;
};

struct TCPP_API TokenizerModel {
  static constexpr std::string_view stage = "model";
  std::variant<WordPiece, WordLevel> value;

  void tokenize(std::string_view word, std::vector<Token>& out) const {
    std::visit([&](const auto& m) { m.tokenize(word, out); }, value);
  }
  const Vocab& vocab() const {
    return std::visit([](const auto& m) -> const Vocab& { return m.vocab; }, value);
  }
};

}  // namespace transformers
