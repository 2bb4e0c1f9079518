// What it is: GrammarBuilder, which puts a Grammar together from characters, choices and repetitions.
// Where it stands: src/generation; grammar.cpp reads regular expressions and GBNF with it, json_schema.cpp schemas.
// Usage: `GrammarBuilder b;  b.finish("root", b.concat(b.literal("a"), b.repeat(b.literal("b"), 0, -1)));`
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "transformers/generation/grammar.hpp"

namespace transformers::generation {

using Ranges = std::vector<std::pair<char32_t, char32_t>>;  // of code points, both ends included
inline constexpr char32_t kLastCodePoint = 0x10FFFF;

// Sorted and without overlaps; what is not in them.
Ranges normalised(Ranges ranges);
Ranges complement(const Ranges& ranges);

class GrammarBuilder {
 public:
  using Sequence = std::vector<Grammar::Element>;  // one thing behind another

  Sequence literal(std::string_view bytes);
  Sequence characters(const Ranges& ranges);
  static Sequence concat(Sequence a, const Sequence& b);
  Sequence choice(std::vector<Sequence> alternatives);
  // `most` < 0: no limit.
  Sequence repeat(const Sequence& sequence, int64_t least, int64_t most);
  Sequence optional(const Sequence& sequence) { return choice({sequence, {}}); }

  // A rule to be filled in later, so that it may stand in itself.
  int32_t declare(std::string name);
  void define(int32_t rule, std::vector<Sequence> alternatives);
  static Sequence call(int32_t rule) { return {{Grammar::Element::Kind::call, rule}}; }

  // Error(unsupported) for a rule that begins with itself.
  Grammar finish(const Sequence& root);

 private:
  int32_t set_of(const std::bitset<256>& set);
  void grow(std::size_t elements);

  Grammar grammar_;
  std::vector<std::string> names_;
  std::map<std::string, int32_t> sets_;  // by their bits
  std::size_t size_ = 0;
};

// A regular expression as a sequence. `character` makes one of a set of code points. `search`: it may match anywhere in
// the text, as ^ and $ allow, `any` being what else may stand there.
struct RegexOptions {
  bool search = false;
  bool json = false;  // characters as they stand inside a JSON string
  std::string where = "regex";
};
GrammarBuilder::Sequence parse_regex(GrammarBuilder& builder, std::string_view pattern, const RegexOptions& options);
// Characters as they stand inside a JSON string: escaped where they must be.
GrammarBuilder::Sequence json_characters(GrammarBuilder& builder, const Ranges& ranges);

}  // namespace transformers::generation
