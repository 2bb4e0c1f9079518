// What it is: Grammar, the set of texts that an answer may be: from a regular expression, a JSON Schema or rules in the
// notation of GBNF.
// Where it stands: generation; a Constraint holds one against a vocabulary.
// Usage: `Grammar g = Grammar::from_json_schema(parse_json(R"({"type": "object", ...})", "schema"));`
// Source: json-schema.org/draft/2020-12; the notation of GBNF as llama.cpp's grammars/README.md describes it.
#pragma once

#include <bitset>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "transformers/base/export.hpp"
#include "transformers/base/value.hpp"

namespace transformers {

// Rules over bytes. What an input asks for and this does not know is an Error(unsupported) that names it and its place;
// one that is wrong, or that nothing satisfies, an Error(invalid_argument).
class TCPP_API Grammar {
 public:
  // The whole text matches. Known: literals, `.`, classes, \d \w \s and their negations, groups, |, * + ? {m,n}, lazy
  // forms, ^ and $ at the ends of an alternative. Not: look-around, back references, \b, \p, flags.
  static Grammar from_regex(std::string_view pattern);
  // The text is JSON, written without spaces but for one behind ',' and ':', that the schema accepts. Some valid JSON
  // is left out so that all of it is certain to be valid: members come in the order of "properties", undeclared ones
  // (whose names may repeat) only where "additionalProperties" is given and not false or nothing is declared, integers
  // have at most 15 digits.
  static Grammar from_json_schema(const Value& schema);
  // `root ::= ...` and further rules.
  static Grammar from_gbnf(std::string_view text);

  // ---- for Constraint ----------------------------------------------------------------------------------------------
  // A rule is its alternatives, an alternative where it begins in `elements`: up to the next `end`.
  struct Element {
    enum class Kind : uint8_t { bytes, call, end };
    Kind kind = Kind::end;
    int32_t value = 0;  // of `sets`, of `rules`
  };
  std::vector<Element> elements;
  std::vector<std::vector<int32_t>> rules;
  std::vector<std::bitset<256>> sets;
  int32_t root = 0;
};

}  // namespace transformers
