// What it is: the first stage of a tokenizer, normalizers: text -> text (lower case, accents, normal forms ...).
// Where it stands: tokenizers, stage 1 of 5 (normalizer, pre_tokenizer, model, post_processor, decoder).
// Usage: `Normalizer n{BertNormalizer{.lowercase = true}}; NormalizedString s("H\xC3\xA9"); n.normalize(s);  // "he"`
// To add one: a struct with `type`, `fields` and `normalize`, and its name in Normalizer's list.
// Source: the `tokenizers` crate 0.23, normalizers/*.rs.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "transformers/base/export.hpp"
#include "transformers/base/fields.hpp"
#include "transformers/tokenizers/normalized_string.hpp"

namespace transformers {

// BERT's: drops control characters, sets Chinese characters apart with spaces, strips accents, lowers case.
struct TCPP_API BertNormalizer {
  static constexpr std::string_view type = "BertNormalizer";
  bool clean_text = true;
  bool handle_chinese_chars = true;
  std::optional<bool> strip_accents = {};  // absent: as `lowercase`
  bool lowercase = true;

  void fields(FieldVisitor& f) {
    f("clean_text", clean_text);
    f("handle_chinese_chars", handle_chinese_chars);
    f("strip_accents", strip_accents);
    f("lowercase", lowercase);
  }
  void normalize(NormalizedString& s) const;
};

struct TCPP_API Lowercase {
  static constexpr std::string_view type = "Lowercase";
  void fields(FieldVisitor&) {}
  void normalize(NormalizedString& s) const { s.lowercase(); }
};

// Drops all marks (category M), without decomposing first.
struct TCPP_API StripAccents {
  static constexpr std::string_view type = "StripAccents";
  void fields(FieldVisitor&) {}
  void normalize(NormalizedString& s) const {
    s.filter([](char32_t c) { return !unicode::is_mark(c); });
  }
};

struct TCPP_API NFC {
  static constexpr std::string_view type = "NFC";
  void fields(FieldVisitor&) {}
  void normalize(NormalizedString& s) const { s.normalize(unicode::Form::nfc); }
};

struct TCPP_API NFD {
  static constexpr std::string_view type = "NFD";
  void fields(FieldVisitor&) {}
  void normalize(NormalizedString& s) const { s.normalize(unicode::Form::nfd); }
};

struct TCPP_API NFKC {
  static constexpr std::string_view type = "NFKC";
  void fields(FieldVisitor&) {}
  void normalize(NormalizedString& s) const { s.normalize(unicode::Form::nfkc); }
};

struct TCPP_API NFKD {
  static constexpr std::string_view type = "NFKD";
  void fields(FieldVisitor&) {}
  void normalize(NormalizedString& s) const { s.normalize(unicode::Form::nfkd); }
};

// SentencePiece's clean-up of control characters and odd spaces.
struct TCPP_API Nmt {
  static constexpr std::string_view type = "Nmt";
  void fields(FieldVisitor&) {}
  void normalize(NormalizedString& s) const;
};

// White space at the ends.
struct TCPP_API Strip {
  static constexpr std::string_view type = "Strip";
  bool strip_left = true;
  bool strip_right = true;

  void fields(FieldVisitor& f) {
    f("strip_left", strip_left);
    f("strip_right", strip_right);
  }
  void normalize(NormalizedString& s) const { s.strip(strip_left, strip_right); }
};

class Regex;  // src/tokenizers/regex.hpp

// A `pattern` of tokenizer.json: {"String": "..."} or {"Regex": "..."}.
struct TCPP_API Pattern {
  std::string text;
  std::shared_ptr<const Regex> regex = {};  // absent: `text` is looked for as it stands

  static Pattern string(std::string text) { return {std::move(text), nullptr}; }
  static Pattern regular_expression(std::string text);  // Errors: see Regex
  void field(FieldVisitor& f);                          // visits "pattern"
  std::vector<Match> find(std::string_view text) const;
};

struct TCPP_API Replace {
  static constexpr std::string_view type = "Replace";
  Pattern pattern;
  std::string content;

  void fields(FieldVisitor& f) {
    pattern.field(f);
    f("content", content);
  }
  void normalize(NormalizedString& s) const { s.replace(pattern.find(s.text()), content); }
  std::vector<std::string> decode(std::vector<std::string> tokens) const;  // it is a decoder too
};

// Every byte as the visible character that stands for it in byte-level vocabularies: " " is U+0120.
struct TCPP_API ByteLevelNormalizer {
  static constexpr std::string_view type = "ByteLevel";
  void fields(FieldVisitor&) {}
  void normalize(NormalizedString& s) const;
};

// SentencePiece's normalization rules, as its models carry them: a double array of byte strings, and the texts that
// replace them. A grapheme cluster of less than 6 bytes is looked up first, then its code points one by one; the
// shortest rule that fits its start replaces all of it.
struct TCPP_API Precompiled {
  static constexpr std::string_view type = "Precompiled";

  Precompiled() = default;
  // The rules themselves, not in base64. Error(corrupt_file) for what is none.
  explicit Precompiled(std::string_view charsmap);
  void fields(FieldVisitor& f);  // "precompiled_charsmap", in base64
  void normalize(NormalizedString& s) const;
  // The text that replaces `chunk`, if there is a rule. Lives as long as this.
  std::optional<std::string_view> find(std::string_view chunk) const noexcept;
  // The longest rule that fits the start of `text`, as SentencePiece itself applies them, with the bytes it replaces.
  std::optional<std::pair<std::size_t, std::string_view>> find_longest(std::string_view text) const noexcept;

 private:
  std::shared_ptr<const std::vector<uint32_t>> units_;  // of the double array
  std::shared_ptr<const std::string> texts_;            // each ends with NUL
};

struct TCPP_API Prepend {
  static constexpr std::string_view type = "Prepend";
  std::string string;  // "prepend" in the file

  void fields(FieldVisitor& f) { f("prepend", string); }
  void normalize(NormalizedString& s) const { s.prepend(string); }
};

struct Normalizer;

// One after the other.
struct TCPP_API NormalizerSequence {
  static constexpr std::string_view type = "Sequence";
  static constexpr std::string_view children_name = "normalizers";
  std::vector<Normalizer> children;

  void fields(FieldVisitor&) {}
  void normalize(NormalizedString& s) const;
};

// Any of them. The list is the registry: the loader finds a type's struct by its `type`.
struct TCPP_API Normalizer {
  static constexpr std::string_view stage = "normalizer";
  std::variant<BertNormalizer, Lowercase, StripAccents, NFC, NFD, NFKC, NFKD, Nmt, Strip, Replace, Prepend,
               ByteLevelNormalizer, Precompiled, NormalizerSequence>
      value;

  void normalize(NormalizedString& s) const {
    std::visit([&](const auto& n) { n.normalize(s); }, value);
  }
};

inline void NormalizerSequence::normalize(NormalizedString& s) const {
  for (const Normalizer& n : children) n.normalize(s);
}

}  // namespace transformers
