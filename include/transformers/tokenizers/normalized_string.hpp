// What it is: text on its way from the original to its normalized form, every byte still knowing where it came from.
// Where it stands: tokenizers, between raw text and the model; normalizers edit it, pre-tokenizers split it.
// Usage: `NormalizedString s("H\xC3\xA9llo"); s.lowercase(); s.nfd(); s.filter([](char32_t c) { return
// !is_nonspacing(c); });` Source: the `tokenizers` crate 0.23, tokenizer/normalizer.rs and tokenizer/pre_tokenizer.rs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "transformers/base/export.hpp"
#include "transformers/tokenizers/unicode.hpp"

namespace transformers {

// Bytes [begin, end) of the original text.
struct ByteRange {
  uint32_t begin = 0;
  uint32_t end = 0;
  friend bool operator==(const ByteRange&, const ByteRange&) = default;
};

// What happens to the delimiters of a split. With '-' in "the-final--countdown":
//   removed               the | final | countdown
//   isolated              the | - | final | - | - | countdown
//   merged_with_previous  the- | final- | - | countdown
//   merged_with_next      the | -final | - | -countdown
//   contiguous            the | - | final | -- | countdown
enum class SplitBehavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };

// One stretch of a text: whether the pattern matched it.
struct Match {
  std::size_t begin;
  std::size_t end;
  bool is_match;
};

// The stretches of `text`, in order and without gaps, that are one code point with `matches(c)` each, and the rest.
template <class Predicate>
std::vector<Match> find_code_points(std::string_view text, Predicate matches) {
  std::vector<Match> out;
  std::size_t rest = 0;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t begin = i;
    if (!matches(unicode::next(text, i))) continue;
    if (rest < begin) out.push_back({rest, begin, false});
    out.push_back({begin, i, true});
    rest = i;
  }
  if (rest < text.size()) out.push_back({rest, text.size(), false});
  return out;
}
// The same for a string; the empty one matches, empty, before each code point and at the end.
TCPP_API std::vector<Match> find_string(std::string_view text, std::string_view pattern);

// Normalized text and, for each of its bytes, the range of the original text it stands for. Components change it only
// through these functions, so the ranges are right by construction. Holds well-formed UTF-8.
class TCPP_API NormalizedString {
 public:
  NormalizedString() = default;
  explicit NormalizedString(std::string_view original);

  const std::string& text() const noexcept { return text_; }
  bool empty() const noexcept { return text_.empty(); }
  // The original bytes behind [begin, end) of text(), which must not be empty.
  ByteRange original(std::size_t begin, std::size_t end) const { return {from_[begin].begin, from_[end - 1].end}; }

  // Where in the original this piece begins.
  std::size_t original_begin() const noexcept { return begin_; }

  // text() from byte `begin` to `end`, with its origins.
  NormalizedString slice(std::size_t begin, std::size_t end) const;
  std::vector<NormalizedString> split(std::span<const Match> matches, SplitBehavior behavior) const;

  // Replaces bytes [begin, end) by `changes`, after dropping the first `removed` code points of the range.
  void transform(std::size_t begin, std::size_t end, std::span<const unicode::Change> changes, std::size_t removed = 0);

  void normalize(unicode::Form form) { transform(0, text_.size(), unicode::normalize(text_, form)); }
  void lowercase();
  void prepend(std::string_view s);
  void strip(bool left, bool right);
  // Each match becomes `content`, whose bytes take the origin of the last code point replaced.
  void replace(std::span<const Match> matches, std::string_view content);

  template <class Predicate>
  void filter(Predicate keep) {
    std::vector<unicode::Change> changes;
    changes.reserve(text_.size());
    std::size_t removed_first = 0;
    bool all = true;
    for (std::size_t i = 0; i < text_.size();) {
      const char32_t c = unicode::next(text_, i);
      if (keep(c)) {
        changes.push_back({c, 0});
      } else {
        all = false;
        if (changes.empty()) {
          ++removed_first;
        } else {
          --changes.back().change;
        }
      }
    }
    if (!all) transform(0, text_.size(), changes, removed_first);
  }
  template <class Function>
  void map(Function f) {
    std::vector<unicode::Change> changes;
    changes.reserve(text_.size());
    bool same = true;
    for (std::size_t i = 0; i < text_.size();) {
      const char32_t c = unicode::next(text_, i);
      changes.push_back({f(c), 0});
      same = same && changes.back().code_point == c;
    }
    if (!same) transform(0, text_.size(), changes);
  }

 private:
  std::string text_;
  std::vector<ByteRange> from_;  // one for each byte of text_
  uint32_t begin_ = 0;           // where this piece begins in the original: the origin of what is put before it
};

// A token as a model makes it: its bytes in the text it was made from.
struct Token {
  int32_t id;
  std::string value;
  std::size_t begin;
  std::size_t end;
};

// Text cut into pieces, each of which is either still to be normalized, split and tokenized, or has its tokens already.
struct PreTokenizedString {
  struct Piece {
    NormalizedString normalized;
    std::optional<std::vector<Token>> tokens;
  };
  std::vector<Piece> pieces;

  // Replaces every piece without tokens by what `f(const NormalizedString&)` makes of it (a vector of NormalizedString
  // or of Piece), dropping empty ones.
  template <class F>
  void split(F f) {
    std::vector<Piece> out;
    out.reserve(pieces.size());
    for (Piece& piece : pieces) {
      if (piece.tokens) {
        out.push_back(std::move(piece));
        continue;
      }
      for (auto& part : f(piece.normalized)) {
        Piece made = to_piece(std::move(part));
        if (!made.normalized.empty()) out.push_back(std::move(made));
      }
    }
    pieces = std::move(out);
  }

 private:
  static Piece to_piece(NormalizedString&& s) { return {std::move(s), std::nullopt}; }
  static Piece to_piece(Piece&& p) { return std::move(p); }
};

}  // namespace transformers
