// What it is: what the SentencePiece library does with its models: normalize a text, cut it into pieces, put it
// together again.
// Where it stands: tokenizers; the tokenizers that use the library itself are built on it (python_models.hpp). The
// others take its model's pieces for tokenizer.json's components (sentencepiece.hpp).
// Usage: `SentencePieceProcessor p(read_sentencepiece(bytes, "source.spm"), "source.spm"); p.encode(text, pieces);`
// Source: sentencepiece 0.2 src/{normalizer,unigram_model,bpe_model,sentencepiece_processor}.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sentencepiece.hpp"
#include "transformers/tokenizers/normalizers.hpp"  // Precompiled
#include "transformers/tokenizers/unigram.hpp"      // Trie

namespace transformers {

class SentencePieceProcessor {
 public:
  // Error(corrupt_file) naming `where` for a model without an unknown piece or with two, Error(unsupported) for one of
  // whole words.
  SentencePieceProcessor(SentencePieceModel model, const std::string& where);
  SentencePieceProcessor(const SentencePieceProcessor&) = delete;
  SentencePieceProcessor& operator=(const SentencePieceProcessor&) = delete;

  struct Piece {
    std::string text;  // normalized; of neighbouring unknown ones all of it
    int32_t id;
    uint32_t begin, end;  // bytes of the text given; may be none
  };
  // Appends the pieces of `text`, well-formed UTF-8. Cost: bytes of the text times the longest piece at worst, or by
  // pairs n log n.
  void encode(std::string_view text, std::vector<Piece>& out) const;
  // The text of pieces: the space before the first one vanishes, unknown pieces stand as they are, runs of bytes become
  // text.
  std::string decode(std::span<const std::string> pieces) const;
  // The unknown piece's id for what is none.
  int32_t piece_to_id(std::string_view piece) const;

 private:
  struct Normalized {
    std::string text;
    std::vector<uint32_t> from;  // of each byte and of the end: where it comes from
  };
  struct Cut {
    uint32_t begin, end;  // bytes of the normalized text
    int32_t id;
  };
  std::string_view normalize_prefix(std::string_view text, std::size_t& size) const;
  void normalize(std::string_view text, Normalized& out) const;
  void cut_unigram(std::string_view text, std::vector<Cut>& out) const;
  void cut_bpe(std::string_view text, std::vector<Cut>& out) const;
  // The longest user-defined piece at the start of `text`, 0 bytes for none.
  std::size_t user_defined(std::string_view text) const;
  int32_t type_of(int32_t id) const { return model_.pieces[static_cast<std::size_t>(id)].type; }

  SentencePieceModel model_;
  Precompiled charsmap_;
  bool has_charsmap_ = false;
  std::unordered_map<std::string_view, int32_t> ids_;
  Trie cut_at_, user_defined_;  // the pieces that a text can be cut into; those that are never cut
  bool has_user_defined_ = false;
  int32_t unk_id_ = -1;
  float lowest_ = 0, highest_ = 0;  // scores
};

}  // namespace transformers
