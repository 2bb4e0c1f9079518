// What it is: how each pre-tokenizer splits.
// Where it stands: tokenizers, stage 2; see pre_tokenizers.hpp.
#include "transformers/tokenizers/pre_tokenizers.hpp"

#include <algorithm>
#include <iterator>

#include "byte_level.hpp"
#include "scanners.hpp"
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

void ByteLevel::pre_tokenize(PreTokenizedString& s) const {
  s.split([&](NormalizedString& n) {
    if (add_prefix_space && !n.text().starts_with(' ')) n.prepend(" ");
    std::vector<NormalizedString> words;
    if (use_regex) {
      std::vector<Match> matches;
      for (std::size_t begin = 0; begin < n.text().size();) {
        const std::size_t end = scan_word(Scanner::gpt2, n.text(), begin);
        matches.push_back({begin, end, true});
        begin = end;
      }
      words = n.split(matches, SplitBehavior::isolated);
    } else {
      words.push_back(std::move(n));
    }
    for (NormalizedString& word : words) to_byte_level(word);
    return words;
  });
}

void Metaspace::fields(FieldVisitor& f) {
  f("replacement", replacement);
  if (unicode::count(replacement) != 1) {
    throw Error(ErrorCode::corrupt_file, "the replacement of Metaspace is one character, found \"" + replacement + '"');
  }
  constexpr std::string_view kNames[] = {"always", "first", "never"};
  f.choice("prepend_scheme", prepend_scheme, kNames);
  f("split", split);
  Value add_prefix_space;  // what older files say: read, never written
  f("add_prefix_space", add_prefix_space);
  if (!add_prefix_space.is_null() && !add_prefix_space.is_boolean()) {
    throw Error(ErrorCode::corrupt_file,
                "add_prefix_space is a boolean, found a " + std::string(add_prefix_space.type_name()));
  }
  if (add_prefix_space == Value(false) && prepend_scheme != PrependScheme::never) {
    throw Error(ErrorCode::corrupt_file, "add_prefix_space is false, but prepend_scheme is not \"never\"");
  }
}

void Metaspace::pre_tokenize(PreTokenizedString& s) const {
  s.split([&](NormalizedString& n) {
    n.replace(find_string(n.text(), " "), replacement);
    const bool prepends =
        prepend_scheme == PrependScheme::always || (prepend_scheme == PrependScheme::first && n.original_begin() == 0);
    if (prepends && !n.text().starts_with(replacement)) n.prepend(replacement);
    if (split) return n.split(find_string(n.text(), replacement), SplitBehavior::merged_with_next);
    std::vector<NormalizedString> whole;
    whole.push_back(std::move(n));
    return whole;
  });
}

void UnicodeScripts::pre_tokenize(PreTokenizedString& s) const {
  s.split([&](const NormalizedString& n) {
    std::vector<NormalizedString> words;
    std::size_t begin = n.text().size();
    int last = 0;
    for (std::size_t i = 0; i < n.text().size();) {
      const std::size_t at = i;
      const int script = unicode::script(unicode::next(n.text(), i));
      if (script == 0 || script == last) continue;
      if (last != 0) words.push_back(n.slice(begin, at));
      begin = at;
      last = script;
    }
    if (last != 0) words.push_back(n.slice(begin, n.text().size()));
    return words;
  });
}

void FixedLength::fields(FieldVisitor& f) {
  f("length", length);
  if (length <= 0) {
    throw Error(ErrorCode::corrupt_file, "the length of FixedLength is 1 or more, found " + std::to_string(length));
  }
}

void FixedLength::pre_tokenize(PreTokenizedString& s) const {
  s.split([&](const NormalizedString& n) {
    std::vector<NormalizedString> words;
    std::size_t begin = 0;
    int64_t code_points = 0;
    for (std::size_t i = 0; i < n.text().size();) {
      unicode::next(n.text(), i);
      if (++code_points % length != 0 && i < n.text().size()) continue;
      words.push_back(n.slice(begin, i));
      begin = i;
    }
    return words;
  });
}

}  // namespace transformers
