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
#include "transformers/tokenizers/bpe.hpp"
#include "transformers/tokenizers/normalized_string.hpp"  // Token
#include "transformers/tokenizers/python_models.hpp"
#include "transformers/tokenizers/unigram.hpp"
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
  // The same without strings, for a word that is not too long and no token itself: fills scratch.pieces, returns false
  // for an unknown word.
  // Cost: bytes of the word times the number of different token lengths, at worst.
  bool match(std::string_view word, Scratch& scratch) const;
  // Error(corrupt_file) when unk_token is not in the vocabulary.
  int32_t unknown_id() const {
    if (unknown_id_ < 0) no_unknown_token();
    return unknown_id_;
  }

 private:
  // The tokens that may stand at one place of a word (at its start, or further on): which sizes they have, and which
  // sizes those have that begin with certain two bytes, so that few prefixes of the word need to be looked up.
  struct Sizes {
    static constexpr uint32_t kLong = 31;  // bit n of a mask: some token of n + 1 bytes; bit 31: of more than 31
    std::vector<uint32_t> longer;          // the sizes beyond 31, longest first
    std::vector<uint32_t> masks;           // by the hash of two bytes; a token of one byte is in `any`
    uint32_t any = 0;
    static std::size_t hash(char a, char b) noexcept {
      return (static_cast<unsigned char>(a) * 37u + static_cast<unsigned char>(b)) & 4095u;
    }
    void add(std::string_view token);
    void finish();
  };
  Sizes first_, next_;
  int32_t unknown_id_ = -1;
  [[noreturn]] void no_unknown_token() const;
};

// A word is a token or unknown.
struct TCPP_API WordLevel {
  static constexpr std::string_view type = "WordLevel";
  std::string unk_token = "<unk>";
  Vocab vocab;

  void fields(FieldVisitor& f) { f("unk_token", unk_token); }
  void tokenize(std::string_view word, std::vector<Token>& out) const;
};

struct TCPP_API TokenizerModel {
  static constexpr std::string_view stage = "model";
  std::variant<WordPiece, WordLevel, BPE, Unigram, SentencePiece, CTRL, TransfoXL> value;

  void tokenize(std::string_view word, std::vector<Token>& out) const {
    std::visit([&](const auto& m) { m.tokenize(word, out); }, value);
  }
  const Vocab& vocab() const {
    return std::visit([](const auto& m) -> const Vocab& { return m.vocab; }, value);
  }
};

}  // namespace transformers
