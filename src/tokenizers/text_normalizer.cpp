// What it is: the normalizers over plain text; those without a way of their own go through NormalizedString.
// Where it stands: tokenizers; see text_normalizer.hpp.
#include "text_normalizer.hpp"

#include <algorithm>
#include <variant>

#include "transformers/tokenizers/unicode.hpp"

namespace transformers {
namespace {

bool is_ascii(char c) { return static_cast<unsigned char>(c) < 0x80; }

std::size_t first_not_ascii(std::string_view text, std::size_t from) {
  return static_cast<std::size_t>(
      std::find_if_not(text.begin() + static_cast<std::ptrdiff_t>(from), text.end(), is_ascii) - text.begin());
}

// Every ASCII character begins anew: nothing before it composes or changes places with it. So only what is not ASCII
// has to be looked at, with the character it may compose with.
bool to_form(std::string_view text, unicode::Form form, std::string& out) {
  std::size_t at = first_not_ascii(text, 0);
  if (at == text.size()) return false;
  std::size_t done = 0;
  while (at < text.size()) {
    const std::size_t begin = at > done ? at - 1 : at;
    std::size_t end = at + 1;
    while (end < text.size() && !is_ascii(text[end])) ++end;
    out.append(text, done, begin - done);
    for (const unicode::Change& c : unicode::normalize(text.substr(begin, end - begin), form)) {
      unicode::append(out, c.code_point);
    }
    done = end;
    at = first_not_ascii(text, done);
  }
  out.append(text, done);
  return true;
}

bool lowercase(std::string_view text, std::string& out) {
  for (std::size_t i = 0; i < text.size();) {
    const char b = text[i];
    if (is_ascii(b)) {
      out.push_back(b >= 'A' && b <= 'Z' ? static_cast<char>(b + 32) : b);
      ++i;
      continue;
    }
    const char32_t c = unicode::next(text, i);
    const unicode::Mapping lower = unicode::to_lower(c);
    if (lower.size == 0) unicode::append(out, c);
    for (std::size_t k = 0; k < lower.size; ++k) unicode::append(out, lower.data[k]);
  }
  return true;
}

bool strip_accents(std::string_view text, std::string& out) {
  if (first_not_ascii(text, 0) == text.size()) return false;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t begin = i;
    if (!unicode::is_mark(unicode::next(text, i))) out.append(text, begin, i - begin);
  }
  return true;
}

// The first place at or after `from` with two spaces; npos: none. Looks at a block at once, which compilers vectorise.
std::size_t two_spaces(std::string_view text, std::size_t from) {
  constexpr std::size_t kBlock = 64;
  for (; from + kBlock < text.size(); from += kBlock) {
    int any = 0;
    for (std::size_t i = from; i < from + kBlock; ++i) any |= int{text[i] == ' '} & int{text[i + 1] == ' '};
    if (any != 0) break;
  }
  return text.find("  ", from);
}

bool replace(std::string_view text, const Replace& r, std::string& out) {
  const std::string& pattern = r.pattern.text;
  // The spaces that T5, XLM-R and others make one.
  if (r.pattern.regex && pattern == " {2,}") {
    std::size_t done = 0;
    for (std::size_t at; (at = two_spaces(text, done)) != std::string_view::npos;) {
      out.append(text, done, at - done).append(r.content);
      done = std::min(text.find_first_not_of(' ', at), text.size());
    }
    if (done == 0) return false;
    out.append(text, done);
    return true;
  }
  if (!r.pattern.regex && !pattern.empty()) {
    if (pattern.size() == 1) {
      for (const char c : text) c == pattern[0] ? out.append(r.content) : (out.push_back(c), out);
      return true;
    }
    std::size_t done = 0;
    for (std::size_t at; (at = text.find(pattern, done)) != std::string_view::npos; done = at + pattern.size()) {
      out.append(text, done, at - done).append(r.content);
    }
    if (done == 0) return false;
    out.append(text, done);
    return true;
  }
  for (const Match& m : r.pattern.find(text)) {
    m.is_match ? out.append(r.content) : out.append(text, m.begin, m.end - m.begin);
  }
  return true;
}

bool precompiled(std::string_view text, const Precompiled& rules, const std::array<bool, 128>& has_rule,
                 std::string& out) {
  const auto put = [&](std::string_view chunk) {
    const auto rule = rules.find(chunk);
    if (rule) out.append(*rule);
    return rule.has_value();
  };
  // A cluster by itself: what follows is ASCII too, and the two are no line end.
  const auto stands_alone = [&](std::size_t i) {
    return is_ascii(text[i]) &&
           (i + 1 == text.size() || (is_ascii(text[i + 1]) && !(text[i] == '\r' && text[i + 1] == '\n')));
  };
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t begin = i;
    while (i < text.size() && stands_alone(i) && !has_rule[static_cast<unsigned char>(text[i])]) ++i;
    out.append(text, begin, i - begin);
    if (i == text.size()) break;
    const std::size_t end = stands_alone(i) ? i + 1 : i + unicode::cluster_length(text, i);
    if (end - i >= 6 || !put(text.substr(i, end - i))) {
      for (std::size_t at = i; i < end; at = i) {
        unicode::next(text, i);
        const std::string_view chunk = text.substr(at, i - at);
        if (!put(chunk)) out.append(chunk);
      }
    }
    i = end;
  }
  return true;
}

}  // namespace

TextNormalizer::TextNormalizer(const Normalizer* normalizer) {
  if (normalizer) add(*normalizer);
}

void TextNormalizer::add(const Normalizer& normalizer) {
  if (const auto* sequence = std::get_if<NormalizerSequence>(&normalizer.value)) {
    for (const Normalizer& child : sequence->children) add(child);
    return;
  }
  Step step{&normalizer, {}};
  if (const auto* rules = std::get_if<Precompiled>(&normalizer.value)) {
    for (std::size_t b = 0; b < 128; ++b) {
      const char c = static_cast<char>(b);
      step.has_rule[b] = rules->find({&c, 1}).has_value();
    }
  }
  steps_.push_back(step);
}

bool TextNormalizer::run(const Step& step, std::string_view text, std::string& out) {
  const auto& value = step.normalizer->value;
  if (std::holds_alternative<NFC>(value)) {
    // Below U+0300 every text is composed.
    const auto may_change = [](char c) { return static_cast<unsigned char>(c) >= 0xCC; };
    return std::any_of(text.begin(), text.end(), may_change) && to_form(text, unicode::Form::nfc, out);
  }
  if (std::holds_alternative<NFD>(value)) return to_form(text, unicode::Form::nfd, out);
  if (std::holds_alternative<NFKC>(value)) return to_form(text, unicode::Form::nfkc, out);
  if (std::holds_alternative<NFKD>(value)) return to_form(text, unicode::Form::nfkd, out);
  if (std::holds_alternative<Lowercase>(value)) return lowercase(text, out);
  if (std::holds_alternative<StripAccents>(value)) return strip_accents(text, out);
  if (const auto* r = std::get_if<Replace>(&value)) return replace(text, *r, out);
  if (const auto* rules = std::get_if<Precompiled>(&value)) return precompiled(text, *rules, step.has_rule, out);
  if (const auto* prepend = std::get_if<Prepend>(&value)) {
    if (text.empty()) return false;
    out.append(prepend->string).append(text);
    return true;
  }
  NormalizedString whole(text);
  step.normalizer->normalize(whole);
  out = whole.text();
  return true;
}

std::string_view TextNormalizer::run(std::string_view text, std::string& room) const {
  std::string next;
  for (const Step& step : steps_) {
    next.clear();
    next.reserve(text.size() + text.size() / 2);
    if (!run(step, text, next)) continue;
    room.swap(next);
    text = room;
  }
  return text;
}

}  // namespace transformers
