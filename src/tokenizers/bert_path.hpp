// What it is: BertNormalizer + BertPreTokenizer + WordPiece in one pass over the bytes of the text.
// Where it stands: tokenizers, beside the components, whose results it must equal; Tokenizer::Impl chooses it when all
// three are there and no added token is looked for in normalized text.
// Usage: `BertPath path(normalizer, word_piece); path.encode(text, ids);`
//
// Why it may work code point by code point: every step of the normalizer maps one code point to some, whatever stands
// beside it, but for the canonical ordering of combining marks. With strip_accents the marks that are ordered are
// dropped right afterwards; the few that have a combining class and are not dropped make the path give up (it returns
// false), and the components take over. So each mapped code point has the origin of the one it was made from.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "transformers/tokenizers/models.hpp"
#include "transformers/tokenizers/normalizers.hpp"
#include "transformers/tokenizers/tokenizer.hpp"

namespace transformers {

class BertPath {
 public:
  // `model` must outlive it.
  BertPath(const BertNormalizer& normalizer, const WordPiece& model);

  // Appends the ids of `text`, which is well-formed UTF-8. False, with `ids` as before: not for this path.
  bool encode(std::string_view text, std::vector<int32_t>& ids) const;
  // Appends ids, tokens, offsets and word_ids: offsets count code points from `first_code_point`, words from
  // `first_word`, which is moved on.
  bool encode(std::string_view text, int32_t first_code_point, int32_t& first_word, Encoding& out) const;

 private:
  struct Scratch;
  template <bool kWithOffsets>
  bool run(std::string_view text, int32_t first_code_point, int32_t* word_id, std::vector<int32_t>& ids,
           Encoding* out) const;
  template <bool kWithOffsets>
  void emit(Scratch& s, std::vector<int32_t>& ids, Encoding* out, int32_t* word_id) const;

  BertNormalizer normalizer_;
  bool strip_accents_;
  const WordPiece& model_;
  uint32_t longest_word_;           // in code points
  std::array<uint8_t, 256> class_;  // of an ASCII byte; kOther for the rest
  std::array<char, 128> lower_;
};

}  // namespace transformers
