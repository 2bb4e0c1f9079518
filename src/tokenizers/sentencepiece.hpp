// What it is: reads SentencePiece model files (spiece.model, tokenizer.model ...): pieces, scores, normalization rules.
// Where it stands: tokenizers; AutoTokenizer gives what it reads to the recipe of the tokenizer's class.
// Usage: `SentencePieceModel m = read_sentencepiece(bytes, "spiece.model");`
// Source: sentencepiece 0.2 src/sentencepiece_model.proto; the protocol buffers encoding. Of the library's loader only
// the message's fields are needed here, and a reader that checks each of them is smaller than the dependency.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "transformers/tokenizers/bpe.hpp"
#include "transformers/tokenizers/unigram.hpp"
#include "transformers/tokenizers/vocab.hpp"

namespace transformers {

struct SentencePieceModel {
  enum Type : int32_t { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };
  struct Piece {
    std::string text;  // well-formed UTF-8
    float score = 0;
    int32_t type = normal;
  };
  std::vector<Piece> pieces;
  enum class Kind : int32_t { unigram = 1, bpe = 2, word = 3, character = 4 } kind = Kind::unigram;
  int32_t unk_id = 0;
  bool byte_fallback = false;
  bool treat_whitespace_as_suffix = false;
  std::string unk_surface = " \xE2\x81\x87 ";  // what the unknown piece is decoded to
  std::string precompiled_charsmap;            // raw bytes; empty for none
  bool add_dummy_prefix = true, remove_extra_whitespaces = true, escape_whitespaces = true;
};

// Error(corrupt_file) with the byte offset for what is no such message: truncated or overlong fields, groups, texts
// that are not UTF-8, pieces that stand twice, scores that are not finite; and for a file without pieces.
SentencePieceModel read_sentencepiece(std::string_view bytes, const std::string& where);

// The model that transformers builds of the pieces: their scores for Unigram; their order, which stands for the merges,
// for BPE. Error(corrupt_file) for a piece that stands twice.
void take_pieces(const std::vector<SentencePieceModel::Piece>& pieces, Unigram& unigram);
void take_pieces(const std::vector<SentencePieceModel::Piece>& pieces, BPE& bpe, Vocab& vocab,
                 const std::string& where);

}  // namespace transformers
