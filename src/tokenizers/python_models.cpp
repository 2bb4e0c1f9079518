// Implements tokenizers/python_models.hpp.
#include "transformers/tokenizers/python_models.hpp"

#include <algorithm>
#include <utility>

#include "python_text.hpp"
#include "sentencepiece_processor.hpp"
#include "text_cleanup.hpp"
#include "transformers/base/error.hpp"

namespace transformers {
namespace {

int32_t unknown_id(const Vocab& vocab, const std::string& unk_token, const std::string& where) {
  const int32_t id = vocab.find(unk_token);
  if (id < 0) throw Error(ErrorCode::corrupt_file, quote(unk_token) + " is not in the vocabulary", where);
  return id;
}

}  // namespace

void SentencePiece::finish(const std::string& where) { unknown_id_ = unknown_id(vocab, unk_token, where); }

void SentencePiece::tokenize(std::string_view text, std::vector<Token>& out) const {
  const auto put = [&](std::string_view piece, std::size_t begin, std::size_t end) {
    // What stands for no text (the space put before the first word) takes the place of the character behind it.
    if (begin == end) {
      begin = std::min(begin, text.size() - 1);
      end = begin + 1;
    }
    const int32_t id = vocab.find(piece);
    out.push_back({id < 0 ? unknown_id_ : id, id < 0 ? unk_token : std::string(piece), begin, end});
  };
  std::size_t from = 0;
  if (language_codes && text.starts_with(">>")) {
    const std::size_t end = text.find("<<");
    if (end != std::string_view::npos) {
      from = end + 2;
      put(text.substr(0, from), 0, from);
    }
  }
  std::vector<SentencePieceProcessor::Piece> pieces;
  processor->encode(text.substr(from), pieces);
  for (const SentencePieceProcessor::Piece& piece : pieces) put(piece.text, from + piece.begin, from + piece.end);
}

void SentencePieceDecoder::fields(FieldVisitor&) {
  throw Error(ErrorCode::unsupported, "a decoder of type SentencePiece is made from a SentencePiece model only");
}

std::vector<std::string> SentencePieceDecoder::decode(std::vector<std::string> tokens) const {
  std::string text;
  std::size_t begin = 0;
  const auto flush = [&](std::size_t end) {
    text += processor->decode(std::span(tokens).subspan(begin, end - begin));
    begin = end + 1;
  };
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (!std::binary_search(special_tokens.begin(), special_tokens.end(), tokens[i])) continue;
    flush(i);
    text += tokens[i];
    if (space_behind_special) text += ' ';
  }
  flush(tokens.size());
  if (space_behind_special) replace_all(text, "\xE2\x96\x81", " ");
  return {std::string(python::strip(text))};
}

void CTRL::finish(const std::string& where) { unknown_id_ = unknown_id(vocab, unk_token, where); }

void CTRL::tokenize(std::string_view word, std::vector<Token>& out) const {
  std::vector<Token> symbols;
  bpe.tokenize(word, symbols);
  for (std::size_t i = 0; i < symbols.size(); ++i) {
    std::string token(word.substr(symbols[i].begin, symbols[i].end - symbols[i].begin));
    if (i + 1 < symbols.size()) token += "@@";
    const int32_t id = vocab.find(token);
    out.push_back({id < 0 ? unknown_id_ : id, id < 0 ? unk_token : std::move(token), symbols[i].begin, symbols[i].end});
  }
}

}  // namespace transformers
