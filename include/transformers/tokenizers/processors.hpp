// What it is: the fourth stage of a tokenizer, post-processors: special tokens and type ids around one or two texts.
// Where it stands: tokenizers, stage 4 of 5.
// Usage: `std::vector<Encoding> parts = processor.process({a, b}, true); Encoding e = merge(std::move(parts));`
// To add one: a struct with `type`, `fields`, `added_tokens` and `process`, and its name in PostProcessor's list.
// Source: the `tokenizers` crate 0.23, processors/*.rs and tokenizer/encoding.rs.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "transformers/base/export.hpp"
#include "transformers/base/fields.hpp"
#include "transformers/tokenizers/tokenizer.hpp"  // Encoding

namespace transformers {

// The vectors of an Encoding that are kept: with ids_only, those of tokens, offsets, masks and indices stay empty.
// All take the number of their tokens from `ids`.
TCPP_API void set_type_ids(Encoding& e, int32_t type_id);          // overflowing parts keep theirs, as in the crate
TCPP_API void set_sequence_ids(Encoding& e, int32_t sequence_id);  // overflowing parts too
// Appends `tail` to `e`; each combination of their overflowing parts becomes an overflowing part.
TCPP_API void append(Encoding& e, const Encoding& tail);
TCPP_API Encoding merge(std::vector<Encoding> parts);

// A special token by name and id, ["[SEP]", 102] in the file.
struct TCPP_API NamedToken {
  std::string token;
  int32_t id = 0;

  void field(FieldVisitor& f, std::string_view name);
};

// [CLS] A [SEP], [CLS] A [SEP] B [SEP]; type ids 0 and 1.
struct TCPP_API BertProcessing {
  static constexpr std::string_view type = "BertProcessing";
  NamedToken sep{"[SEP]", 102};
  NamedToken cls{"[CLS]", 101};

  void fields(FieldVisitor& f) {
    sep.field(f, "sep");
    cls.field(f, "cls");
  }
  int64_t added_tokens(bool pair) const { return pair ? 3 : 2; }
  std::vector<Encoding> process(std::vector<Encoding> encodings, bool add_special_tokens) const;
};

// <s> A </s>, <s> A </s> </s> B </s>; type ids 0 throughout. trim_offsets leaves white space out of the offsets.
struct TCPP_API RobertaProcessing {
  static constexpr std::string_view type = "RobertaProcessing";
  NamedToken sep{"</s>", 2};
  NamedToken cls{"<s>", 0};
  bool trim_offsets = true;
  bool add_prefix_space = true;

  void fields(FieldVisitor& f) {
    sep.field(f, "sep");
    cls.field(f, "cls");
    f("trim_offsets", trim_offsets);
    f("add_prefix_space", add_prefix_space);
  }
  int64_t added_tokens(bool pair) const { return pair ? 4 : 2; }
  std::vector<Encoding> process(std::vector<Encoding> encodings, bool add_special_tokens) const;
};

// Texts and special tokens in any order, written down in the file.
struct TCPP_API TemplateProcessing {
  static constexpr std::string_view type = "TemplateProcessing";
  struct Piece {
    int32_t sequence = -1;  // 0 first text, 1 second, -1: a special token
    std::string special;    // its name in `special_tokens`
    int32_t type_id = 0;
  };
  struct SpecialToken {
    std::vector<int32_t> ids;
    std::vector<std::string> tokens;  // one for each id
  };
  std::vector<Piece> single{{0, "", 0}};
  std::vector<Piece> pair{{0, "", 0}, {1, "", 1}};
  std::map<std::string, SpecialToken> special_tokens;

  // Error(corrupt_file) for a piece that names an unknown special token, a `single` with the second text, a `pair`
  // that lacks a text, ids and tokens of different number.
  void fields(FieldVisitor& f);
  int64_t added_tokens(bool is_pair) const;
  std::vector<Encoding> process(std::vector<Encoding> encodings, bool add_special_tokens) const;
};

// Leaves white space out of the offsets, as RobertaProcessing does; puts no tokens around.
struct TCPP_API ByteLevelProcessing {
  static constexpr std::string_view type = "ByteLevel";
  bool add_prefix_space = true;
  bool trim_offsets = true;
  bool use_regex = true;  // the pre-tokenizer's of that name

  void fields(FieldVisitor& f) {
    f("add_prefix_space", add_prefix_space);
    f("trim_offsets", trim_offsets);
    f("use_regex", use_regex);
  }
  int64_t added_tokens(bool) const { return 0; }
  std::vector<Encoding> process(std::vector<Encoding> encodings, bool add_special_tokens) const;
};

struct PostProcessor;

struct TCPP_API PostProcessorSequence {
  static constexpr std::string_view type = "Sequence";
  static constexpr std::string_view children_name = "processors";
  std::vector<PostProcessor> children;

  void fields(FieldVisitor&) {}
  int64_t added_tokens(bool pair) const;
  std::vector<Encoding> process(std::vector<Encoding> encodings, bool add_special_tokens) const;
};

struct TCPP_API PostProcessor {
  static constexpr std::string_view stage = "post_processor";
  std::variant<BertProcessing, RobertaProcessing, TemplateProcessing, ByteLevelProcessing, PostProcessorSequence> value;

  // Special tokens put around one text, or two.
  int64_t added_tokens(bool pair) const {
    return std::visit([&](const auto& p) { return p.added_tokens(pair); }, value);
  }
  // One or two encodings in, their parts in order out.
  std::vector<Encoding> process(std::vector<Encoding> encodings, bool add_special_tokens) const {
    return std::visit([&](const auto& p) { return p.process(std::move(encodings), add_special_tokens); }, value);
  }
};

}  // namespace transformers
