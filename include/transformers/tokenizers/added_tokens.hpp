// What it is: added tokens ("[MASK]", "<|im_start|>" ...): found in the text before everything else, whole.
// Where it stands: tokenizers, around the five stages: it cuts the text, the stages see what lies between.
// Usage: `AddedVocabulary a; a.add({{"[MASK]", ...}}, vocab, normalizer); auto pieces = a.extract(text, normalizer,
// false);` Source: the `tokenizers` crate 0.23, tokenizer/added_vocabulary.rs; Aho and Corasick 1975, with the rule
// that of the matches the leftmost wins, and of those that start together the longest.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "transformers/base/export.hpp"
#include "transformers/base/fields.hpp"
#include "transformers/tokenizers/normalized_string.hpp"
#include "transformers/tokenizers/normalizers.hpp"
#include "transformers/tokenizers/vocab.hpp"

namespace transformers {

struct AddedToken {
  std::string content;
  bool single_word = false;  // only where no word character stands beside it
  bool lstrip = false;       // takes the white space to its left
  bool rstrip = false;       // takes the white space to its right
  bool normalized = true;    // its normalized form is looked for in the normalized text
  bool special = false;      // dropped by skip_special_tokens

  void fields(FieldVisitor& f) {
    f("content", content);
    f("single_word", single_word);
    f("lstrip", lstrip);
    f("rstrip", rstrip);
    f("normalized", normalized);
    f("special", special);
  }
  friend bool operator==(const AddedToken&, const AddedToken&) = default;
};

// Finds many strings at once, in time linear in the text whatever the strings.
class TCPP_API StringMatcher {
 public:
  struct Found {
    std::size_t begin, end;
    uint32_t pattern;  // index into what was given to the constructor; the first of equal ones
  };
  StringMatcher();
  // Empty patterns are never found.
  explicit StringMatcher(const std::vector<std::string>& patterns);

  bool empty() const noexcept { return nodes_.size() <= 2; }
  // The first match at or after byte `from`.
  std::optional<Found> find(std::string_view text, std::size_t from) const;

 private:
  struct Node {
    uint32_t child = 0, sibling = 0;  // 0: none
    uint32_t fail = 0;                // 0: give up (a match to the left is final)
    uint32_t pattern = kNone;         // of this node or of a node on its way of failing
    uint32_t depth = 0;               // bytes of that pattern
    unsigned char byte = 0;
  };
  static constexpr uint32_t kNone = 0xFFFFFFFF, kRoot = 1;
  uint32_t child(uint32_t node, unsigned char byte) const noexcept;

  std::vector<Node> nodes_;  // [0] stands for "give up", [1] is the root
  std::array<uint32_t, 256> first_{};
  int only_first_byte_ = -1;  // the byte that all patterns start with, if there is one
};

// The added tokens of a tokenizer, on top of its model's vocabulary.
class TCPP_API AddedVocabulary {
 public:
  // Adds tokens in order. One that the model knows keeps its id, the others get the next ones; a token added again
  // takes its new flags. Empty ones are ignored.
  void add(const std::vector<AddedToken>& tokens, const Vocab& vocab);
  // Makes the matchers; after the last add.
  void finish(const Normalizer* normalizer);

  std::size_t size() const noexcept { return ids_.size(); }
  const AddedToken* find(int32_t id) const noexcept;
  // What ids are decoded to: the content, in its normalized form if the token is `normalized`. nullptr for other ids.
  const std::string* text(int32_t id) const noexcept;
  std::optional<int32_t> id(std::string_view content) const;
  bool is_special(std::string_view content) const { return special_set_.contains(std::string(content)); }
  // All of them by id, in no order.
  const std::unordered_map<int32_t, AddedToken>& by_id() const noexcept { return by_id_; }
  // True when some token is looked for in the normalized text.
  bool any_normalized() const noexcept { return !normalized_.matcher.empty(); }

  // A stretch of text, and the token that it is.
  struct Part {
    std::size_t begin, end;
    int32_t id;  // -1: no added token
  };
  // Cuts raw text at the tokens that are not normalized. `split_special`: special tokens are plain text.
  void cut(std::string_view text, bool split_special, std::vector<Part>& out) const {
    cut(raw_, text, split_special, nullptr, out);
  }
  // Cuts normalized text at those that are.
  void cut_normalized(std::string_view text, bool split_special, std::vector<Part>& out) const {
    cut(normalized_, text, split_special, nullptr, out);
  }
  // Cuts raw text, normalizes what lies between the tokens found, and cuts that at the normalized tokens. Special
  // tokens that cover one of the bytes `plain` of the text are plain text too.
  PreTokenizedString extract(std::string_view text, const Normalizer* normalizer, bool split_special,
                             std::span<const std::size_t> plain = {}) const;
  // The bytes that are `plain` when the text spells no special token, however much it looks like one.
  std::vector<std::size_t> spelled_specials(std::string_view text, const Normalizer* normalizer) const;

 private:
  struct Set {
    StringMatcher matcher;
    std::vector<int32_t> ids;
  };
  // Bytes of an original text, ascending, at which no special token stands, and the text that was made of it.
  struct Plain {
    const NormalizedString& text;
    std::span<const std::size_t> bytes;
    bool covers(std::size_t begin, std::size_t end) const;
  };
  void cut(const Set& set, std::string_view text, bool split_special, const Plain* plain, std::vector<Part>& out) const;

  std::unordered_map<std::string, int32_t> ids_;
  std::unordered_map<int32_t, AddedToken> by_id_;
  std::unordered_map<int32_t, std::string> normalized_text_;  // where it differs from the content
  int64_t highest_id_ = -1;
  std::vector<AddedToken> special_, classic_;  // in the order of adding
  std::unordered_set<std::string> special_set_;
  Set raw_, normalized_;
};

}  // namespace transformers
