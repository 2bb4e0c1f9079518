// What it is: the second stage of a tokenizer, pre-tokenizers: text -> words, within which the model makes tokens.
// Where it stands: tokenizers, stage 2 of 5.
// Usage: `PreTokenizer p{BertPreTokenizer{}}; p.pre_tokenize(pieces);`
// To add one: a struct with `type`, `fields` and `pre_tokenize`, and its name in PreTokenizer's list.
// Source: the `tokenizers` crate 0.23, pre_tokenizers/*.rs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "transformers/base/export.hpp"
#include "transformers/base/fields.hpp"
#include "transformers/tokenizers/normalized_string.hpp"
#include "transformers/tokenizers/normalizers.hpp"  // Pattern

namespace transformers {

// Visits "behavior" under tokenizer.json's names: "Removed", "Isolated", "MergedWithPrevious", "MergedWithNext",
// "Contiguous", to the letter.
TCPP_API void visit_behavior(FieldVisitor& f, SplitBehavior& behavior);

// White space removed, every punctuation character a word of its own.
struct TCPP_API BertPreTokenizer {
  static constexpr std::string_view type = "BertPreTokenizer";
  void fields(FieldVisitor&) {}
  void pre_tokenize(PreTokenizedString& s) const;
};

// The matches of \w+|[^\w\s]+
struct TCPP_API Whitespace {
  static constexpr std::string_view type = "Whitespace";
  void fields(FieldVisitor&) {}
  void pre_tokenize(PreTokenizedString& s) const;
};

struct TCPP_API WhitespaceSplit {
  static constexpr std::string_view type = "WhitespaceSplit";
  void fields(FieldVisitor&) {}
  void pre_tokenize(PreTokenizedString& s) const;
};

struct TCPP_API Punctuation {
  static constexpr std::string_view type = "Punctuation";
  SplitBehavior behavior = SplitBehavior::isolated;

  void fields(FieldVisitor& f) { visit_behavior(f, behavior); }
  void pre_tokenize(PreTokenizedString& s) const;
};

struct TCPP_API Digits {
  static constexpr std::string_view type = "Digits";
  bool individual_digits = false;  // false: "123" stays whole

  void fields(FieldVisitor& f) { f("individual_digits", individual_digits); }
  void pre_tokenize(PreTokenizedString& s) const;
};

struct TCPP_API CharDelimiterSplit {
  static constexpr std::string_view type = "CharDelimiterSplit";
  std::string delimiter = " ";  // one code point

  void fields(FieldVisitor& f);
  void pre_tokenize(PreTokenizedString& s) const;
};

struct TCPP_API Split {
  static constexpr std::string_view type = "Split";
  Pattern pattern;
  SplitBehavior behavior = SplitBehavior::removed;
  bool invert = false;  // what the pattern matches is the words, not the delimiters

  void fields(FieldVisitor& f) {
    pattern.field(f);
    visit_behavior(f, behavior);
    f("invert", invert);
  }
  void pre_tokenize(PreTokenizedString& s) const;
};

// GPT-2's words, of bytes as visible characters. `trim_offsets` is the post-processor's of that name.
struct TCPP_API ByteLevel {
  static constexpr std::string_view type = "ByteLevel";
  bool add_prefix_space = true;  // a space before what does not begin with one
  bool trim_offsets = true;
  bool use_regex = true;  // false: what comes is split already

  void fields(FieldVisitor& f) {
    f("add_prefix_space", add_prefix_space);
    f("trim_offsets", trim_offsets);
    f("use_regex", use_regex);
  }
  void pre_tokenize(PreTokenizedString& s) const;
};

enum class PrependScheme { always, first, never };

// SentencePiece's words: spaces become `replacement`, which also stands before the first word, and begin a word each.
struct TCPP_API Metaspace {
  static constexpr std::string_view type = "Metaspace";
  std::string replacement = "\xE2\x96\x81";              // one code point; U+2581
  PrependScheme prepend_scheme = PrependScheme::always;  // first: only where the text begins
  bool split = true;

  // Error(corrupt_file) for a replacement of another length, and add_prefix_space (of older files) false with another
  // scheme than never.
  void fields(FieldVisitor& f);
  void pre_tokenize(PreTokenizedString& s) const;
};

// Words of one script each; spaces fit any, and so do unassigned code points, which are lost before the first word.
struct TCPP_API UnicodeScripts {
  static constexpr std::string_view type = "UnicodeScripts";
  void fields(FieldVisitor&) {}
  void pre_tokenize(PreTokenizedString& s) const;
};

// Words of so many code points, the last one of what is left.
struct TCPP_API FixedLength {
  static constexpr std::string_view type = "FixedLength";
  int64_t length = 5;

  void fields(FieldVisitor& f);
  void pre_tokenize(PreTokenizedString& s) const;
};

struct PreTokenizer;

struct TCPP_API PreTokenizerSequence {
  static constexpr std::string_view type = "Sequence";
  static constexpr std::string_view children_name = "pretokenizers";
  std::vector<PreTokenizer> children;

  void fields(FieldVisitor&) {}
  void pre_tokenize(PreTokenizedString& s) const;
};

struct TCPP_API PreTokenizer {
  static constexpr std::string_view stage = "pre_tokenizer";
  std::variant<BertPreTokenizer, Whitespace, WhitespaceSplit, Punctuation, Digits, CharDelimiterSplit, Split, ByteLevel,
               Metaspace, UnicodeScripts, FixedLength, PreTokenizerSequence>
      value;

  void pre_tokenize(PreTokenizedString& s) const {
    std::visit([&](const auto& p) { p.pre_tokenize(s); }, value);
  }
};

inline void PreTokenizerSequence::pre_tokenize(PreTokenizedString& s) const {
  for (const PreTokenizer& p : children) p.pre_tokenize(s);
}

}  // namespace transformers
