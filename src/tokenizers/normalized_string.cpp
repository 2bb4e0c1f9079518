// What it is: edits and splits of a NormalizedString, with the bookkeeping of origins.
// Where it stands: tokenizers; see normalized_string.hpp.
#include "transformers/tokenizers/normalized_string.hpp"

#include <algorithm>

#include "transformers/base/error.hpp"

namespace transformers {
namespace {

// Bytes of the code point at byte i of well-formed UTF-8.
std::size_t length_at(std::string_view text, std::size_t i) {
  const auto b = static_cast<unsigned char>(text[i]);
  return b < 0x80 ? 1 : b < 0xE0 ? 2 : b < 0xF0 ? 3 : 4;
}

// Joins matches and rests as `behavior` says; the flag of the result means "leave out".
std::vector<Match> join(std::span<const Match> matches, SplitBehavior behavior) {
  std::vector<Match> out;
  out.reserve(matches.size());
  bool previous = false;
  switch (behavior) {
    case SplitBehavior::removed:
      out.assign(matches.begin(), matches.end());
      break;
    case SplitBehavior::isolated:
      for (const Match& m : matches) out.push_back({m.begin, m.end, false});
      break;
    case SplitBehavior::contiguous:
    case SplitBehavior::merged_with_previous:
      for (const Match& m : matches) {
        const bool joins = behavior == SplitBehavior::contiguous ? m.is_match == previous : m.is_match && !previous;
        if (joins && !out.empty()) {
          out.back().end = m.end;
        } else {
          out.push_back({m.begin, m.end, false});
        }
        previous = m.is_match;
      }
      break;
    case SplitBehavior::merged_with_next:
      for (auto m = matches.rbegin(); m != matches.rend(); ++m) {
        if (m->is_match && !previous && !out.empty()) {
          out.back().begin = m->begin;
        } else {
          out.push_back({m->begin, m->end, false});
        }
        previous = m->is_match;
      }
      std::reverse(out.begin(), out.end());
      break;
  }
  return out;
}

}  // namespace

std::vector<Match> find_string(std::string_view text, std::string_view pattern) {
  std::vector<Match> out;
  if (pattern.empty()) {
    for (std::size_t i = 0; i < text.size();) {
      const std::size_t begin = i;
      unicode::next(text, i);
      out.push_back({begin, begin, true});
      out.push_back({begin, i, false});
    }
    if (!text.empty()) out.push_back({text.size(), text.size(), true});
    return out;
  }
  std::size_t rest = 0;
  for (std::size_t at = text.find(pattern); at != std::string_view::npos; at = text.find(pattern, rest)) {
    if (rest < at) out.push_back({rest, at, false});
    rest = at + pattern.size();
    out.push_back({at, rest, true});
  }
  if (rest < text.size()) out.push_back({rest, text.size(), false});
  return out;
}

NormalizedString::NormalizedString(std::string_view original) : text_(original) {
  if (original.size() >= std::size_t{1} << 31) {
    throw Error(ErrorCode::limit,
                "a text of " + std::to_string(original.size()) + " bytes is too long: at most 2^31 - 1");
  }
  from_.resize(original.size());
  for (std::size_t i = 0; i < original.size();) {
    const std::size_t end = i + length_at(original, i);
    const ByteRange range{static_cast<uint32_t>(i), static_cast<uint32_t>(end)};
    while (i < end) from_[i++] = range;
  }
}

NormalizedString NormalizedString::slice(std::size_t begin, std::size_t end) const {
  NormalizedString out;
  out.text_ = text_.substr(begin, end - begin);
  out.from_.assign(from_.begin() + static_cast<std::ptrdiff_t>(begin),
                   from_.begin() + static_cast<std::ptrdiff_t>(end));
  out.begin_ = out.from_.empty() ? begin_ : out.from_.front().begin;
  return out;
}

std::vector<NormalizedString> NormalizedString::split(std::span<const Match> matches, SplitBehavior behavior) const {
  std::vector<NormalizedString> out;
  const std::vector<Match> joined = join(matches, behavior);
  out.reserve(joined.size());
  for (const Match& m : joined) {
    if (!m.is_match && m.begin < m.end) out.push_back(slice(m.begin, m.end));
  }
  return out;
}

void NormalizedString::transform(std::size_t begin, std::size_t end, std::span<const unicode::Change> changes,
                                 std::size_t removed) {
  std::string text;
  std::vector<ByteRange> from;
  text.reserve(end - begin);
  from.reserve(end - begin);
  std::size_t at = begin;  // the next byte of the old text that is not accounted for
  for (; removed > 0 && at < end; --removed) at += length_at(text_, at);
  for (const unicode::Change& c : changes) {
    ByteRange range{begin_, begin_};
    if (c.change > 0) {  // added: shares the origin of what stands before it
      if (at > 0) range = from_[at - 1];
    } else if (at < end) {
      range = from_[at];
      for (int32_t n = c.change; n <= 0 && at < end; ++n) at += length_at(text_, at);
    } else if (at > 0) {
      range = from_[at - 1];
    }
    unicode::append(text, c.code_point);
    from.resize(text.size(), range);
  }
  if (begin == 0 && end == text_.size()) {
    text_ = std::move(text);
    from_ = std::move(from);
    return;
  }
  text_.replace(begin, end - begin, text);
  const auto first = from_.begin() + static_cast<std::ptrdiff_t>(begin);
  from_.insert(from_.erase(first, first + static_cast<std::ptrdiff_t>(end - begin)), from.begin(), from.end());
}

void NormalizedString::lowercase() {
  std::vector<unicode::Change> changes;
  changes.reserve(text_.size());
  bool same = true;
  for (std::size_t i = 0; i < text_.size();) {
    const char32_t c = unicode::next(text_, i);
    const unicode::Mapping lower = unicode::to_lower(c);
    if (lower.size == 0) {
      changes.push_back({c, 0});
      continue;
    }
    same = false;
    for (std::size_t k = 0; k < lower.size; ++k) changes.push_back({lower.data[k], k ? 1 : 0});
  }
  if (!same) transform(0, text_.size(), changes);
}

void NormalizedString::prepend(std::string_view s) {
  if (text_.empty()) return;
  std::vector<unicode::Change> changes;
  for (std::size_t i = 0; i < s.size();) {
    const char32_t c = unicode::next(s, i);
    changes.push_back({c, changes.empty() ? 0 : 1});
  }
  std::size_t first_end = 0;
  const char32_t first = unicode::next(text_, first_end);
  changes.push_back({first, 1});
  transform(0, first_end, changes);
}

void NormalizedString::strip(bool left, bool right) {
  std::size_t begin = 0, end = text_.size();
  for (std::size_t i = 0; left && i < end;) {
    if (!unicode::is_whitespace(unicode::next(text_, i))) break;
    begin = i;
  }
  while (right && end > begin) {
    std::size_t last = end - 1;
    while ((static_cast<unsigned char>(text_[last]) & 0xC0) == 0x80) --last;
    std::size_t i = last;
    if (!unicode::is_whitespace(unicode::next(text_, i))) break;
    end = last;
  }
  text_ = text_.substr(begin, end - begin);
  from_.erase(from_.begin() + static_cast<std::ptrdiff_t>(end), from_.end());
  from_.erase(from_.begin(), from_.begin() + static_cast<std::ptrdiff_t>(begin));
}

void NormalizedString::replace(std::span<const Match> matches, std::string_view content) {
  std::string text;
  std::vector<ByteRange> from;
  for (const Match& m : matches) {
    if (!m.is_match) {
      text.append(text_, m.begin, m.end - m.begin);
      from.insert(from.end(), from_.begin() + static_cast<std::ptrdiff_t>(m.begin),
                  from_.begin() + static_cast<std::ptrdiff_t>(m.end));
      continue;
    }
    text.append(content);
    from.resize(text.size(), m.end > 0 ? from_[m.end - 1] : ByteRange{begin_, begin_});
  }
  text_ = std::move(text);
  from_ = std::move(from);
}

}  // namespace transformers
