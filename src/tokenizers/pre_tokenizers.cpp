// What it is: how each pre-tokenizer splits.
// Where it stands: tokenizers, stage 2; see pre_tokenizers.hpp.
#include "transformers/tokenizers/pre_tokenizers.hpp"

#include <algorithm>
#include <iterator>

#include "transformers/base/error.hpp"

namespace transformers {
namespace {

template <class Predicate>
void split_at(PreTokenizedString& s, Predicate matches, SplitBehavior behavior) {
  s.split([&](const NormalizedString& n) { return n.split(find_code_points(n.text(), matches), behavior); });
}

}  // namespace

void visit_behavior(FieldVisitor& f, SplitBehavior& behavior) {
  constexpr std::string_view kNames[] = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"};
  std::string name(kNames[static_cast<std::size_t>(behavior)]);
  f("behavior", name, "Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous");
  const auto* const found = std::find(std::begin(kNames), std::end(kNames), name);
  if (found == std::end(kNames)) {
    throw Error(ErrorCode::corrupt_file,
                "behavior: expected Removed, Isolated, MergedWithPrevious, MergedWithNext or "
                "Contiguous, found \"" +
                    name + '"');
  }
  behavior = static_cast<SplitBehavior>(found - std::begin(kNames));
}

void BertPreTokenizer::pre_tokenize(PreTokenizedString& s) const {
  split_at(s, unicode::is_whitespace, SplitBehavior::removed);
  split_at(s, unicode::is_punctuation, SplitBehavior::isolated);
}

void Whitespace::pre_tokenize(PreTokenizedString& s) const {
  const auto kind = [](char32_t c) { return unicode::is_word(c) ? 2 : unicode::is_whitespace(c) ? 0 : 1; };
  s.split([&](const NormalizedString& n) {
    std::vector<Match> runs;  // a run of white space is a delimiter
    int last = -1;
    for (std::size_t i = 0; i < n.text().size();) {
      const std::size_t begin = i;
      const int now = kind(unicode::next(n.text(), i));
      if (now == last) {
        runs.back().end = i;
      } else {
        runs.push_back({begin, i, now == 0});
      }
      last = now;
    }
    return n.split(runs, SplitBehavior::removed);
  });
}

void WhitespaceSplit::pre_tokenize(PreTokenizedString& s) const {
  split_at(s, unicode::is_whitespace, SplitBehavior::removed);
}

void Punctuation::pre_tokenize(PreTokenizedString& s) const { split_at(s, unicode::is_punctuation, behavior); }

void Digits::pre_tokenize(PreTokenizedString& s) const {
  split_at(s, unicode::is_numeric, individual_digits ? SplitBehavior::isolated : SplitBehavior::contiguous);
}

void CharDelimiterSplit::fields(FieldVisitor& f) {
  f("delimiter", delimiter);
  if (unicode::count(delimiter) != 1) {
    throw Error(ErrorCode::corrupt_file,
                "the delimiter of CharDelimiterSplit is one character, found \"" + delimiter + '"');
  }
}

void CharDelimiterSplit::pre_tokenize(PreTokenizedString& s) const {
  s.split([&](const NormalizedString& n) { return n.split(find_string(n.text(), delimiter), SplitBehavior::removed); });
}

void Split::pre_tokenize(PreTokenizedString& s) const {
  s.split([&](const NormalizedString& n) {
    std::vector<Match> matches = pattern.find(n.text());
    if (invert) {
      for (Match& m : matches) m.is_match = !m.is_match;
    }
    return n.split(matches, behavior);
  });
}

}  // namespace transformers
