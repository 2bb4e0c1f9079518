// What it is: the fifth stage of a tokenizer, decoders: tokens -> text.
// Where it stands: tokenizers, stage 5 of 5.
// Usage: `Decoder d{WordPieceDecoder{}}; std::string s = d.decode({"un", "##do"});  // "undo"`
// To add one: a struct with `type`, `fields` and `decode`, and its name in Decoder's list.
// Source: the `tokenizers` crate 0.23, decoders/*.rs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "transformers/base/export.hpp"
#include "transformers/base/fields.hpp"
#include "transformers/tokenizers/normalizers.hpp"     // Replace
#include "transformers/tokenizers/pre_tokenizers.hpp"  // Metaspace
#include "transformers/tokenizers/python_models.hpp"   // SentencePieceDecoder

namespace transformers {

// "un" "##do" -> "un" "do", other tokens with a space before them; cleanup: no space before "." and the like.
struct TCPP_API WordPieceDecoder {
  static constexpr std::string_view type = "WordPiece";
  std::string prefix = "##";
  bool cleanup = true;

  void fields(FieldVisitor& f) {
    f("prefix", prefix);
    f("cleanup", cleanup);
  }
  std::vector<std::string> decode(std::vector<std::string> tokens) const;
};

// All tokens in one.
struct TCPP_API Fuse {
  static constexpr std::string_view type = "Fuse";
  void fields(FieldVisitor&) {}
  std::vector<std::string> decode(std::vector<std::string> tokens) const;
};

// Up to `start` and `stop` times `content` cut off either end of each token.
struct TCPP_API StripDecoder {
  static constexpr std::string_view type = "Strip";
  std::string content = " ";  // one code point
  int64_t start = 0;
  int64_t stop = 0;

  void fields(FieldVisitor& f);
  std::vector<std::string> decode(std::vector<std::string> tokens) const;
};

// The characters of byte-level tokens back to bytes, all tokens in one; one with another character stays as it is.
struct TCPP_API ByteLevelDecoder {
  static constexpr std::string_view type = "ByteLevel";
  bool add_prefix_space = true, trim_offsets = true, use_regex = true;  // the pre-tokenizer's of that name: only kept

  void fields(FieldVisitor& f) {
    f("add_prefix_space", add_prefix_space);
    f("trim_offsets", trim_offsets);
    f("use_regex", use_regex);
  }
  std::vector<std::string> decode(std::vector<std::string> tokens) const;
};

// `replacement` back to spaces; those of the first token, which Metaspace put there, vanish.
struct TCPP_API MetaspaceDecoder : Metaspace {
  std::vector<std::string> decode(std::vector<std::string> tokens) const;
};

// `suffix` (the end of a word) becomes a space, at the last token nothing.
struct TCPP_API BPEDecoder {
  static constexpr std::string_view type = "BPEDecoder";
  std::string suffix = "</w>";
  void fields(FieldVisitor& f) { f("suffix", suffix); }
  std::vector<std::string> decode(std::vector<std::string> tokens) const;
};

// Connectionist temporal classification: repeated tokens count once, pad_token separates them, word_delimiter_token
// is a space.
struct TCPP_API CTC {
  static constexpr std::string_view type = "CTC";
  std::string pad_token = "<pad>";
  std::string word_delimiter_token = "|";
  bool cleanup = true;

  void fields(FieldVisitor& f) {
    f("pad_token", pad_token);
    f("word_delimiter_token", word_delimiter_token);
    f("cleanup", cleanup);
  }
  std::vector<std::string> decode(std::vector<std::string> tokens) const;
};

// Runs of <0x00> ... <0xFF> to the text whose bytes they are, to U+FFFD each where they are not UTF-8.
struct TCPP_API ByteFallback {
  static constexpr std::string_view type = "ByteFallback";
  void fields(FieldVisitor&) {}
  std::vector<std::string> decode(std::vector<std::string> tokens) const;
};

struct Decoder;

struct TCPP_API DecoderSequence {
  static constexpr std::string_view type = "Sequence";
  static constexpr std::string_view children_name = "decoders";
  std::vector<Decoder> children;

  void fields(FieldVisitor&) {}
  std::vector<std::string> decode(std::vector<std::string> tokens) const;
};

struct TCPP_API Decoder {
  static constexpr std::string_view stage = "decoder";
  std::variant<WordPieceDecoder, Fuse, StripDecoder, Replace, ByteLevelDecoder, MetaspaceDecoder, BPEDecoder, CTC,
               ByteFallback, SentencePieceDecoder, MosesDecoder, DecoderSequence>
      value;

  std::vector<std::string> decode_chain(std::vector<std::string> tokens) const {
    return std::visit([&](const auto& d) { return d.decode(std::move(tokens)); }, value);
  }
  std::string decode(std::vector<std::string> tokens) const;
};

}  // namespace transformers
