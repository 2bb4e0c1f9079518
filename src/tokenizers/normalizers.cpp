// What it is: the normalizers that are more than one call.
// Where it stands: tokenizers, stage 1; see normalizers.hpp.
#include "transformers/tokenizers/normalizers.hpp"

#include "base64.hpp"
#include "byte_level.hpp"
#include "regex.hpp"
#include "transformers/base/error.hpp"

namespace transformers {
namespace {

// Of a unit of Precompiled's double array: what leads from its place to that of its children.
std::size_t offset_of(uint32_t unit) noexcept { return (unit >> 10) << ((unit & 1u << 9) >> 6); }

}  // namespace

void BertNormalizer::normalize(NormalizedString& s) const {
  if (clean_text) {
    s.filter([](char32_t c) { return !unicode::is_removed(c); });
    s.map([](char32_t c) { return unicode::is_whitespace(c) ? U' ' : c; });
  }
  if (handle_chinese_chars) {
    std::vector<unicode::Change> changes;
    bool any = false;
    for (std::size_t i = 0; i < s.text().size();) {
      const char32_t c = unicode::next(s.text(), i);
      if (unicode::is_chinese(c)) {
        any = true;
        changes.insert(changes.end(), {{U' ', 0}, {c, 1}, {U' ', 1}});
      } else {
        changes.push_back({c, 0});
      }
    }
    if (any) s.transform(0, s.text().size(), changes);
  }
  if (strip_accents.value_or(lowercase)) {
    s.normalize(unicode::Form::nfd);
    s.filter([](char32_t c) { return !unicode::is_nonspacing(c); });
  }
  if (lowercase) s.lowercase();
}

void Nmt::normalize(NormalizedString& s) const {
  s.filter([](char32_t c) {
    return !((c >= 0x1 && c <= 0x8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F);
  });
  s.map([](char32_t c) {
    const bool is_space = c == 0x9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 || (c >= 0x200B && c <= 0x200F) ||
                          c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
    return is_space ? U' ' : c;
  });
}

Pattern Pattern::regular_expression(std::string text) {
  auto regex = std::make_shared<const Regex>(text);
  return {std::move(text), std::move(regex)};
}

std::vector<Match> Pattern::find(std::string_view in) const { return regex ? regex->find(in) : find_string(in, text); }

void Pattern::field(FieldVisitor& f) {
  Value v{Value::Object{{regex ? "Regex" : "String", Value(text)}}};
  f("pattern", v);
  const Value *as_string = v.find("String"), *as_regex = v.find("Regex");
  if (as_string && as_string->is_string()) {
    *this = string(as_string->as_string());
  } else if (as_regex && as_regex->is_string()) {
    if (!regex || text != as_regex->as_string()) *this = regular_expression(as_regex->as_string());
  } else {
    throw Error(ErrorCode::corrupt_file,
                "expected {\"String\": ...} or {\"Regex\": ...} as pattern, found a " + std::string(v.type_name()));
  }
}

void ByteLevelNormalizer::normalize(NormalizedString& s) const { to_byte_level(s); }

Precompiled::Precompiled(std::string_view charsmap) {
  const auto bad = [](const std::string& what) {
    throw Error(ErrorCode::corrupt_file, "precompiled_charsmap: " + what);
  };
  const auto word = [&](std::size_t at) {
    uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      value |= static_cast<uint32_t>(static_cast<unsigned char>(charsmap[at + i])) << (8 * i);
    }
    return value;
  };
  if (charsmap.size() < 4) bad(std::to_string(charsmap.size()) + " bytes are too few");
  const std::size_t size = word(0);
  if (size % 4 != 0 || size < 4 || size > charsmap.size() - 4) {
    bad("a double array of " + std::to_string(size) + " bytes does not fit into " + std::to_string(charsmap.size()));
  }
  std::vector<uint32_t> units(size / 4);
  for (std::size_t i = 0; i < units.size(); ++i) units[i] = word(4 + 4 * i);
  const std::string_view texts = charsmap.substr(4 + size);
  if (unicode::well_formed_prefix(texts) != texts.size()) bad("the texts are not UTF-8");
  for (std::size_t i = 0; i < units.size(); ++i) {
    if (units[i] >> 31) continue;  // a value
    const std::size_t children = i ^ offset_of(units[i]);
    if ((units[i] >> 8 & 1) == 0) continue;
    if (children >= units.size() || !(units[children] >> 31)) bad("unit " + std::to_string(i) + " leads nowhere");
    if ((units[children] & 0x7FFFFFFFu) >= texts.size()) bad("unit " + std::to_string(i) + " stands for no text");
  }
  units_ = std::make_shared<const std::vector<uint32_t>>(std::move(units));
  texts_ = std::make_shared<const std::string>(texts);
}

void Precompiled::fields(FieldVisitor& f) {
  std::string encoded;
  if (units_) {
    std::string bytes;
    const auto put = [&](uint32_t value) {
      for (int i = 0; i < 4; ++i) bytes += static_cast<char>(value >> (8 * i));
    };
    put(static_cast<uint32_t>(units_->size() * 4));
    for (const uint32_t unit : *units_) put(unit);
    encoded = to_base64(bytes + *texts_);
  }
  const std::string before = encoded;
  f("precompiled_charsmap", encoded);
  if (units_ && encoded == before) return;
  const std::optional<std::string> bytes = from_base64(encoded);
  if (!bytes) throw Error(ErrorCode::corrupt_file, "precompiled_charsmap: expected base64");
  *this = Precompiled(*bytes);
}

// Calls f(size, text) for each rule that fits the start of `chunk`, shortest first, until it says false.
template <class F>
static void for_each_rule(const std::vector<uint32_t>& units, const std::string& texts, std::string_view chunk, F f) {
  std::size_t at = offset_of(units[0]);
  for (std::size_t i = 0; i < chunk.size(); ++i) {
    const auto byte = static_cast<unsigned char>(chunk[i]);
    at ^= byte;
    if (byte == 0 || at >= units.size() || (units[at] & 0x800000FFu) != byte) return;
    const uint32_t unit = units[at];
    at ^= offset_of(unit);
    if ((unit >> 8 & 1) && !f(i + 1, std::string_view(texts.c_str() + (units[at] & 0x7FFFFFFFu)))) return;
  }
}

std::optional<std::string_view> Precompiled::find(std::string_view chunk) const noexcept {
  std::optional<std::string_view> found;
  if (!units_) return found;
  for_each_rule(*units_, *texts_, chunk, [&](std::size_t, std::string_view text) {
    found = text;
    return false;
  });
  return found;
}

std::optional<std::pair<std::size_t, std::string_view>> Precompiled::find_longest(
    std::string_view text) const noexcept {
  std::optional<std::pair<std::size_t, std::string_view>> found;
  if (!units_) return found;
  for_each_rule(*units_, *texts_, text, [&](std::size_t size, std::string_view to) {
    found = {size, to};
    return true;
  });
  return found;
}

void Precompiled::normalize(NormalizedString& s) const {
  const std::string& text = s.text();
  std::vector<unicode::Change> changes;
  changes.reserve(text.size());
  bool any = false;
  // Whether the chunk, which is `code_points` long, has a rule. Its code points are replaced one by one, what is over
  // of the new ones is added, and what is over of the old ones goes with the last before it.
  const auto replace = [&](std::string_view chunk, int32_t code_points) {
    const std::optional<std::string_view> rule = find(chunk);
    if (!rule) return false;
    any = true;
    int32_t replaced = 0;
    for (std::size_t i = 0; i < rule->size(); ++replaced) {
      changes.push_back({unicode::next(*rule, i), replaced < code_points ? 0 : 1});
    }
    if (replaced < code_points && !changes.empty()) changes.back().change += replaced - code_points;
    return true;
  };
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t size = unicode::cluster_length(text, begin), end = begin + size;
    const std::string_view cluster = std::string_view(text).substr(begin, size);
    if (size >= 6 || !replace(cluster, static_cast<int32_t>(unicode::count(cluster)))) {
      for (std::size_t i = begin; i < end;) {
        const std::size_t at = i;
        const char32_t c = unicode::next(text, i);
        if (!replace(std::string_view(text).substr(at, i - at), 1)) changes.push_back({c, 0});
      }
    }
    begin = end;
  }
  if (any) s.transform(0, text.size(), changes);
}

std::vector<std::string> Replace::decode(std::vector<std::string> tokens) const {
  for (std::string& token : tokens) {
    std::string out;
    for (const Match& m : pattern.find(token)) {
      if (m.is_match) {
        out += content;
      } else {
        out.append(token, m.begin, m.end - m.begin);
      }
    }
    token = std::move(out);
  }
  return tokens;
}

}  // namespace transformers
