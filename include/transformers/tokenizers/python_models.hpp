// What it is: the models of the tokenizers that transformers runs in Python, which have no tokenizer.json: the
// SentencePiece library's own algorithms with a vocabulary beside them (Marian, M2M100), CTRL's BPE and
// Transformer-XL's words. Where it stands: tokenizers, models of stage 3 (models.hpp lists them) and the decoder of the
// first. Usage: AutoTokenizer makes them from source.spm, target.spm and vocab.json; from vocab.json and merges.txt;
// from vocab.txt. Source: transformers 5.23 models/{marian,m2m_100,ctrl}/tokenization_*.py; sentencepiece 0.2;
// transformers 4.57.6 models/deprecated/transfo_xl/tokenization_transfo_xl.py.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "transformers/base/export.hpp"
#include "transformers/base/fields.hpp"
#include "transformers/tokenizers/bpe.hpp"
#include "transformers/tokenizers/normalized_string.hpp"  // Token
#include "transformers/tokenizers/vocab.hpp"

namespace transformers {

class Regex;                   // src/tokenizers/regex.hpp
class SentencePieceProcessor;  // src/tokenizers/sentencepiece_processor.hpp

// Normalizes and cuts a whole text itself; the pieces are looked up in a vocabulary of their own.
struct TCPP_API SentencePiece {
  static constexpr std::string_view type = "SentencePiece";
  std::shared_ptr<const SentencePieceProcessor> processor;
  std::string unk_token = "<unk>";
  bool language_codes = false;  // Marian's: ">>fra<<" at the start of a text is one token
  Vocab vocab;

  // Error(corrupt_file) when unk_token is not in the vocabulary.
  void finish(const std::string& where);
  void tokenize(std::string_view text, std::vector<Token>& out) const;

 private:
  int32_t unknown_id_ = -1;
};

// Pieces back to text as the library does it, special tokens as they stand.
struct TCPP_API SentencePieceDecoder {
  static constexpr std::string_view type = "SentencePiece";
  std::shared_ptr<const SentencePieceProcessor> processor;
  std::vector<std::string> special_tokens;  // sorted
  bool space_behind_special = false;        // Marian's

  void fields(FieldVisitor& f);  // Error(unsupported): no tokenizer.json has one
  std::vector<std::string> decode(std::vector<std::string> tokens) const;
};

// Words by BPE with "</w>" at their ends; of a word's tokens all but the last are written with "@@" behind them.
struct TCPP_API CTRL {
  static constexpr std::string_view type = "CTRL";
  std::string unk_token = "<unk>";
  BPE bpe;  // over characters and what merges.txt makes of them
  Vocab vocab;

  void finish(const std::string& where);
  void tokenize(std::string_view word, std::vector<Token>& out) const;

 private:
  int32_t unknown_id_ = -1;
};

// Words cut by Moses' rules for English, each a token or unknown.
struct TCPP_API TransfoXL {
  static constexpr std::string_view type = "TransfoXL";
  bool splits = true;  // false, with an empty delimiter: every character is a word
  Vocab vocab;

  // `protected_words`, regular expressions, are not cut in any case. Error(corrupt_file) when the vocabulary has
  // neither "<UNK>" nor "<unk>", or for such a word that is no regular expression.
  void finish(const std::vector<std::string>& protected_words, const std::string& where);
  void tokenize(std::string_view text, std::vector<Token>& out) const;

 private:
  std::string unk_token_;
  std::vector<std::shared_ptr<const Regex>> protected_;
};

// The words of a text put together by Moses' rules; added tokens stand by themselves.
struct TCPP_API MosesDecoder {
  static constexpr std::string_view type = "Moses";
  std::vector<std::string> added_tokens;  // sorted

  void fields(FieldVisitor& f);  // Error(unsupported): no tokenizer.json has one
  std::vector<std::string> decode(std::vector<std::string> tokens) const;
};

}  // namespace transformers
