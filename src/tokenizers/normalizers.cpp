// What it is: the normalizers that are more than one call.
// Where it stands: tokenizers, stage 1; see normalizers.hpp.
#include "transformers/tokenizers/normalizers.hpp"

#include "transformers/base/error.hpp"

namespace transformers {

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

void Pattern::field(FieldVisitor& f) {
  Value v{Value::Object{{"String", Value(string)}}};
  f("pattern", v);
  if (const Value* s = v.find("String"); s && s->is_string()) {
    string = s->as_string();
  } else if (v.find("Regex")) {
    throw Error(ErrorCode::unsupported, "a Regex pattern is not supported here yet");
  } else {
    throw Error(ErrorCode::corrupt_file,
                "expected {\"String\": ...} or {\"Regex\": ...} as pattern, found a " + std::string(v.type_name()));
  }
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
