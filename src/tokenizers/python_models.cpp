// Implements tokenizers/python_models.hpp.
#include "transformers/tokenizers/python_models.hpp"

#include <algorithm>
#include <utility>

#include "moses.hpp"
#include "python_text.hpp"
#include "regex.hpp"
#include "sentencepiece_processor.hpp"
#include "text_cleanup.hpp"
#include "transformers/base/error.hpp"
#include "transformers/tokenizers/unicode.hpp"

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

void TransfoXL::finish(const std::vector<std::string>& protected_words, const std::string& where) {
  unk_token_ = vocab.find("<UNK>") >= 0 ? "<UNK>" : "<unk>";
  unknown_id(vocab, unk_token_, where);
  for (const std::string& word : protected_words) {
    protected_.push_back(std::make_shared<const Regex>("(?i:" + word + ')'));
  }
}

void TransfoXL::tokenize(std::string_view text, std::vector<Token>& out) const {
  const std::string_view line = python::strip(text);
  std::vector<std::string> words;
  if (splits) {
    words = moses::tokenize(line, protected_);
  } else {
    for (std::size_t i = 0; i < line.size();) {
      const std::size_t begin = i;
      unicode::next(line, i);
      words.emplace_back(line.substr(begin, i - begin));
    }
  }
  // Moses rewrites the text: where a word stood in it is not known.
  for (std::string& word : words) {
    const int32_t id = vocab.find(word);
    out.push_back({id < 0 ? vocab.find(unk_token_) : id, id < 0 ? unk_token_ : std::move(word), 0, text.size()});
  }
}

void MosesDecoder::fields(FieldVisitor&) {
  throw Error(ErrorCode::unsupported, "a decoder of type Moses is made from a vocabulary of Transformer-XL only");
}

std::vector<std::string> MosesDecoder::decode(std::vector<std::string> tokens) const {
  std::string text;
  std::size_t begin = 0;
  bool any = false;
  const auto put = [&](std::string_view part) {
    if (any) text += ' ';
    text += part;
    any = true;
  };
  for (std::size_t i = 0; i <= tokens.size(); ++i) {
    const bool is_end = i == tokens.size();
    if (!is_end && !std::binary_search(added_tokens.begin(), added_tokens.end(), tokens[i])) continue;
    if (i > begin) {
      const std::string words = moses::detokenize(std::span(tokens).subspan(begin, i - begin));
      if (!words.empty() || is_end) put(words);
    }
    if (!is_end) put(tokens[i]);
    begin = i + 1;
  }
  return {text};
}

}  // namespace transformers
