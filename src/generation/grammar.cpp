// Implements generation/grammar.hpp but for schemas: the builder, regular expressions and GBNF.
#include "transformers/generation/grammar.hpp"

#include <algorithm>
#include <utility>

#include "grammar_builder.hpp"
#include "transformers/base/error.hpp"

namespace transformers {
namespace generation {
namespace {

using Element = Grammar::Element;
using Sequence = GrammarBuilder::Sequence;

constexpr std::size_t kMostElements = std::size_t{1} << 21;
constexpr int kMostDepth = 200;
constexpr int64_t kMostRepetitions = 100000;

// ---- Code points as UTF-8 ------------------------------------------------------------------------------------------

std::vector<uint8_t> utf8(char32_t c) {
  const auto tail = [&](int shift) { return static_cast<uint8_t>(0x80 | ((c >> shift) & 0x3F)); };
  if (c < 0x80) return {static_cast<uint8_t>(c)};
  if (c < 0x800) return {static_cast<uint8_t>(0xC0 | (c >> 6)), tail(0)};
  if (c < 0x10000) return {static_cast<uint8_t>(0xE0 | (c >> 12)), tail(6), tail(0)};
  return {static_cast<uint8_t>(0xF0 | (c >> 18)), tail(12), tail(6), tail(0)};
}

// Calls emit(first, last) for parts of [a, b] whose bytes run from first's to last's independently of each other.
template <class Emit>
void split_utf8(char32_t a, char32_t b, Emit emit) {
  if (a > b) return;
  for (const char32_t last : {char32_t{0x7F}, char32_t{0x7FF}, char32_t{0xD7FF}, char32_t{0xFFFF}}) {
    if (a <= last && last < b) {
      split_utf8(a, last, emit);
      return split_utf8(last + 1, b, emit);
    }
  }
  if (a >= 0xD800 && a <= 0xDFFF) a = 0xE000;  // surrogates are no characters
  if (a > b) return;
  const int tails = a < 0x80 ? 0 : a < 0x800 ? 1 : a < 0x10000 ? 2 : 3;
  for (int i = 1; i <= tails; ++i) {
    const char32_t mask = (char32_t{1} << (6 * i)) - 1;
    if ((a & ~mask) == (b & ~mask)) continue;
    if ((a & mask) != 0) {
      split_utf8(a, a | mask, emit);
      return split_utf8((a | mask) + 1, b, emit);
    }
    if ((b & mask) != mask) {
      split_utf8(a, (b & ~mask) - 1, emit);
      return split_utf8(b & ~mask, b, emit);
    }
  }
  emit(a, b);
}

}  // namespace

Ranges normalised(Ranges ranges) {
  std::sort(ranges.begin(), ranges.end());
  Ranges out;
  for (const auto& [a, b] : ranges) {
    if (!out.empty() && a <= out.back().second + 1) {
      out.back().second = std::max(out.back().second, b);
    } else {
      out.emplace_back(a, b);
    }
  }
  return out;
}

Ranges complement(const Ranges& ranges) {
  Ranges out;
  char32_t next = 0;
  for (const auto& [a, b] : normalised(ranges)) {
    if (a > next) out.emplace_back(next, a - 1);
    next = b + 1;
  }
  if (next <= kLastCodePoint) out.emplace_back(next, kLastCodePoint);
  return out;
}

// ---- The builder ---------------------------------------------------------------------------------------------------

void GrammarBuilder::grow(std::size_t elements) {
  size_ += elements;
  if (size_ > kMostElements) {
    throw Error(ErrorCode::limit, "the constraint is too large: more than " + std::to_string(kMostElements) +
                                      " elements (long repetitions take one each)");
  }
}

int32_t GrammarBuilder::set_of(const std::bitset<256>& set) {
  const auto [at, is_new] = sets_.emplace(set.to_string(), static_cast<int32_t>(grammar_.sets.size()));
  if (is_new) grammar_.sets.push_back(set);
  return at->second;
}

Sequence GrammarBuilder::literal(std::string_view bytes) {
  Sequence out;
  for (const char c : bytes) {
    std::bitset<256> set;
    set.set(static_cast<unsigned char>(c));
    out.push_back({Element::Kind::bytes, set_of(set)});
  }
  grow(out.size());
  return out;
}

Sequence GrammarBuilder::characters(const Ranges& ranges) {
  std::bitset<256> ascii;
  std::vector<Sequence> alternatives;
  for (const auto& [first, last] : normalised(ranges)) {
    split_utf8(first, last, [&](char32_t a, char32_t b) {
      const std::vector<uint8_t> low = utf8(a), high = utf8(b);
      Sequence sequence;
      for (std::size_t i = 0; i < low.size(); ++i) {
        std::bitset<256> set;
        for (unsigned byte = low[i]; byte <= high[i]; ++byte) set.set(byte);
        if (low.size() == 1) ascii |= set;
        sequence.push_back({Element::Kind::bytes, set_of(set)});
      }
      if (low.size() > 1) alternatives.push_back(std::move(sequence));
    });
  }
  if (ascii.any()) alternatives.insert(alternatives.begin(), {{Element::Kind::bytes, set_of(ascii)}});
  return choice(std::move(alternatives));
}

Sequence GrammarBuilder::concat(Sequence a, const Sequence& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Sequence GrammarBuilder::choice(std::vector<Sequence> alternatives) {
  if (alternatives.size() == 1) return std::move(alternatives.front());
  const int32_t rule = declare({});
  define(rule, std::move(alternatives));
  return call(rule);
}

Sequence GrammarBuilder::repeat(const Sequence& sequence, int64_t least, int64_t most) {
  if (most == 0 || sequence.empty()) return {};
  Sequence one = sequence;
  if (one.size() > 1 && (least > 1 || most > 1)) {  // a rule of its own, so that it stands here once
    const int32_t rule = declare({});
    define(rule, {sequence});
    one = call(rule);
  }
  Sequence out;
  for (int64_t i = 0; i < least; ++i) {
    grow(1);
    out.insert(out.end(), one.begin(), one.end());
  }
  if (most < 0) {
    const int32_t rule = declare({});
    define(rule, {concat(one, call(rule)), {}});
    return concat(std::move(out), call(rule));
  }
  Sequence rest;
  for (int64_t i = least; i < most; ++i) rest = choice({concat(one, rest), {}});
  return concat(std::move(out), rest);
}

int32_t GrammarBuilder::declare(std::string name) {
  grammar_.rules.emplace_back();
  names_.push_back(std::move(name));
  return static_cast<int32_t>(grammar_.rules.size()) - 1;
}

void GrammarBuilder::define(int32_t rule, std::vector<Sequence> alternatives) {
  for (const Sequence& sequence : alternatives) {
    grow(sequence.size() + 1);
    grammar_.rules[static_cast<std::size_t>(rule)].push_back(static_cast<int32_t>(grammar_.elements.size()));
    grammar_.elements.insert(grammar_.elements.end(), sequence.begin(), sequence.end());
    grammar_.elements.push_back({});
  }
}

Grammar GrammarBuilder::finish(const Sequence& root) {
  grammar_.root = declare("root");
  define(grammar_.root, {root});
  const std::size_t count = grammar_.rules.size();
  const auto at = [&](int32_t p) { return grammar_.elements[static_cast<std::size_t>(p)]; };

  std::vector<bool> nullable(count, false);
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t r = 0; r < count; ++r) {
      if (nullable[r]) continue;
      for (int32_t p : grammar_.rules[r]) {
        while (at(p).kind == Element::Kind::call && nullable[static_cast<std::size_t>(at(p).value)]) ++p;
        if (at(p).kind == Element::Kind::end) changed = true, nullable[r] = true;
      }
    }
  }
  // A rule that comes back to itself before any byte, with something left to do behind it, would pile up for ever. What
  // comes back as the last thing of a rule piles up nothing.
  struct Edge {
    int32_t to;
    bool last;
  };
  std::vector<std::vector<Edge>> edges(count);
  for (std::size_t r = 0; r < count; ++r) {
    for (int32_t p : grammar_.rules[r]) {
      for (; at(p).kind == Element::Kind::call; ++p) {
        edges[r].push_back({at(p).value, at(p + 1).kind == Element::Kind::end});
        if (!nullable[static_cast<std::size_t>(at(p).value)]) break;
      }
    }
  }
  // Strongly connected components (Tarjan), without recursion.
  std::vector<int32_t> index(count, -1), low(count, 0), component(count, -1), stack;
  int32_t next = 0, components = 0;
  for (std::size_t start = 0; start < count; ++start) {
    if (index[start] >= 0) continue;
    std::vector<std::pair<std::size_t, std::size_t>> work{{start, 0}};
    while (!work.empty()) {
      const std::size_t r = work.back().first;
      if (work.back().second == 0 && index[r] < 0) {
        index[r] = low[r] = next++;
        stack.push_back(static_cast<int32_t>(r));
      }
      if (work.back().second < edges[r].size()) {
        const auto to = static_cast<std::size_t>(edges[r][work.back().second++].to);
        if (index[to] < 0) {
          work.emplace_back(to, 0);
        } else if (component[to] < 0) {
          low[r] = std::min(low[r], index[to]);
        }
        continue;
      }
      if (low[r] == index[r]) {
        for (int32_t member = -1; member != static_cast<int32_t>(r);) {
          member = stack.back();
          stack.pop_back();
          component[static_cast<std::size_t>(member)] = components;
        }
        ++components;
      }
      work.pop_back();
      if (!work.empty()) low[work.back().first] = std::min(low[work.back().first], low[r]);
    }
  }
  for (std::size_t r = 0; r < count; ++r) {
    for (const Edge& edge : edges[r]) {
      if (edge.last || component[r] != component[static_cast<std::size_t>(edge.to)]) continue;
      const std::string& name = names_[r].empty() ? names_[static_cast<std::size_t>(edge.to)] : names_[r];
      throw Error(ErrorCode::unsupported, "a rule begins with itself (left recursion)", name);
    }
  }
  return std::move(grammar_);
}

// ---- Regular expressions -------------------------------------------------------------------------------------------

namespace {

std::u32string code_points(std::string_view text, const std::string& where) {
  std::u32string out;
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const int length = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    char32_t c = length == 1 ? lead : lead & (0x7Fu >> length);
    for (int k = 1; k < length; ++k) {
      const auto byte = i + static_cast<std::size_t>(k) < text.size()
                            ? static_cast<unsigned char>(text[i + static_cast<std::size_t>(k)])
                            : 0u;
      if ((byte & 0xC0) != 0x80) throw Error(ErrorCode::invalid_argument, "text that is not UTF-8", where);
      c = c << 6 | (byte & 0x3F);
    }
    const std::vector<uint8_t> back = utf8(c);
    if (static_cast<int>(back.size()) != length || c > kLastCodePoint || (c >= 0xD800 && c < 0xE000)) {
      throw Error(ErrorCode::invalid_argument, "text that is not UTF-8", where);
    }
    out += c;
    i += static_cast<std::size_t>(length);
  }
  return out;
}

int hexadecimal(char32_t c) {
  if (c >= '0' && c <= '9') return static_cast<int>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<int>(c - 'a') + 10;
  if (c >= 'A' && c <= 'F') return static_cast<int>(c - 'A') + 10;
  return -1;
}

const Ranges kDigits{{'0', '9'}};
const Ranges kWord{{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
const Ranges kSpace{{'\t', '\r'}, {' ', ' '}};

class Regex {
 public:
  Regex(GrammarBuilder& builder, std::string_view pattern, const RegexOptions& options)
      : b_(builder), options_(options), text_(code_points(pattern, options.where)) {}

  Sequence parse() {
    Sequence all = alternatives(0, true);
    if (at_ < text_.size()) wrong("a ')' without its '('");
    return all;
  }

 private:
  [[noreturn]] void wrong(const std::string& what, ErrorCode code = ErrorCode::invalid_argument) const {
    throw Error(code, what + " at character " + std::to_string(at_), options_.where);
  }
  [[noreturn]] void unknown(const std::string& what) const {
    wrong(what + " is not supported", ErrorCode::unsupported);
  }
  bool more() const { return at_ < text_.size(); }
  char32_t peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : 0; }

  Sequence characters(const Ranges& ranges) {
    return options_.json ? json_characters(b_, ranges) : b_.characters(ranges);
  }
  Sequence anything() { return b_.repeat(characters({{0, kLastCodePoint}}), 0, -1); }

  Sequence alternatives(int depth, bool top) {
    if (depth > kMostDepth) wrong("groups inside each other too deeply", ErrorCode::limit);
    std::vector<Sequence> all;
    for (;;) {
      all.push_back(terms(depth, top));
      if (!more() || peek() != '|') break;
      ++at_;
    }
    return b_.choice(std::move(all));
  }

  Sequence terms(int depth, bool top) {
    Sequence out;
    bool from_start = false, to_end = false;
    while (more() && peek() == '^') {
      if (!top) unknown("'^' inside a group");
      from_start = true, ++at_;
    }
    while (more() && peek() != '|' && peek() != ')') {
      if (peek() == '$') {
        ++at_;
        if (!top || (more() && peek() != '|')) unknown("'$' before the end of the expression");
        to_end = true;
        break;
      }
      if (peek() == '^') unknown("'^' behind the beginning");
      const Sequence one = atom(depth);
      out = GrammarBuilder::concat(std::move(out), quantified(one));
    }
    if (options_.search && top && !from_start) out = GrammarBuilder::concat(anything(), out);
    if (options_.search && top && !to_end) out = GrammarBuilder::concat(std::move(out), anything());
    return out;
  }

  // A number, or -1.
  int64_t number() {
    if (!(peek() >= '0' && peek() <= '9')) return -1;
    int64_t n = 0;
    for (; peek() >= '0' && peek() <= '9'; ++at_) {
      n = n * 10 + static_cast<int64_t>(peek() - '0');
      if (n > kMostRepetitions)
        wrong("more than " + std::to_string(kMostRepetitions) + " repetitions", ErrorCode::limit);
    }
    return n;
  }

  Sequence quantified(const Sequence& one) {
    int64_t least = 1, most = 1;
    switch (peek()) {
      case '*':
        least = 0, most = -1, ++at_;
        break;
      case '+':
        least = 1, most = -1, ++at_;
        break;
      case '?':
        least = 0, most = 1, ++at_;
        break;
      case '{': {
        const std::size_t start = at_++;
        least = number();
        most = least;
        if (peek() == ',') {
          ++at_;
          most = number();
        }
        if (peek() != '}' || least < 0) {
          at_ = start;
          wrong("expected {m}, {m,} or {m,n} ('{' itself is \\{)");
        }
        ++at_;
        if (most >= 0 && most < least) wrong("a repetition that ends before it begins");
        break;
      }
      default:
        return one;
    }
    if (peek() == '?') {
      ++at_;  // lazy: the same texts
    } else if (peek() == '+') {
      unknown("a possessive quantifier");
    }
    if (peek() == '*' || peek() == '{' || peek() == '+' || peek() == '?') wrong("two quantifiers in a row");
    return b_.repeat(one, least, most);
  }

  Sequence atom(int depth) {
    const char32_t c = text_[at_];
    switch (c) {
      case '(': {
        ++at_;
        if (peek() == '?') {
          if (peek(1) == ':') {
            at_ += 2;
          } else if (peek(1) == 'P' && peek(2) == '<') {
            at_ += 3;
            skip_name();
          } else if (peek(1) == '<' && peek(2) != '=' && peek(2) != '!') {
            at_ += 2;
            skip_name();
          } else {
            unknown("a group of this kind, (?" + std::string(1, static_cast<char>(peek(1) < 128 ? peek(1) : '.')) +
                    "...)");
          }
        }
        Sequence inside = alternatives(depth + 1, false);
        if (!more()) wrong("a '(' without its ')'");
        ++at_;
        return inside;
      }
      case '[':
        return characters(character_class());
      case '.':
        ++at_;
        return characters(complement({{'\n', '\n'}}));
      case '*':
      case '+':
      case '?':
      case '{':
        wrong("a quantifier with nothing before it");
      case '\\': {
        Ranges ranges = escape(false);
        return characters(ranges);
      }
      default:
        ++at_;
        return characters({{c, c}});
    }
  }

  void skip_name() {
    while (more() && peek() != '>') ++at_;
    if (!more()) wrong("a name of a group without '>'");
    ++at_;
  }

  // What stands behind a backslash, as code points.
  Ranges escape(bool in_class) {
    ++at_;
    if (!more()) wrong("a backslash at the end");
    const char32_t c = text_[at_++];
    const auto digits = [&](int count) {
      char32_t value = 0;
      for (int i = 0; i < count; ++i) {
        const int digit = hexadecimal(peek());
        if (digit < 0) wrong("expected hexadecimal digits");
        value = value * 16 + static_cast<char32_t>(digit), ++at_;
      }
      return value;
    };
    const auto one = [](char32_t x) { return Ranges{{x, x}}; };
    switch (c) {
      case 'd':
        return kDigits;
      case 'D':
        return complement(kDigits);
      case 'w':
        return kWord;
      case 'W':
        return complement(kWord);
      case 's':
        return kSpace;
      case 'S':
        return complement(kSpace);
      case 'n':
        return one('\n');
      case 't':
        return one('\t');
      case 'r':
        return one('\r');
      case 'f':
        return one('\f');
      case 'v':
        return one('\v');
      case 'a':
        return one('\a');
      case 'x':
        return one(digits(2));
      case 'u': {
        if (peek() != '{') return one(digits(4));
        ++at_;
        char32_t value = 0;
        while (hexadecimal(peek()) >= 0 && value <= kLastCodePoint) {
          value = value * 16 + static_cast<char32_t>(hexadecimal(peek())), ++at_;
        }
        if (peek() != '}' || value > kLastCodePoint) wrong("expected \\u{code point}");
        ++at_;
        return one(value);
      }
      case 'b':
        if (in_class) return one('\b');
        [[fallthrough]];
      default:
        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
          --at_;
          unknown("\\" + std::string(1, static_cast<char>(c)));
        }
        return one(c);
    }
  }

  Ranges character_class() {
    ++at_;
    const bool negated = peek() == '^';
    if (negated) ++at_;
    Ranges ranges;
    bool first = true;
    for (;; first = false) {
      if (!more()) wrong("a '[' without its ']'");
      if (peek() == ']' && !first) break;
      if (peek() == '[' && peek(1) == ':') unknown("a class by name, [:...:]");
      Ranges item{{peek(), peek()}};
      if (peek() == '\\') {
        item = escape(true);
      } else {
        ++at_;
      }
      if (peek() == '-' && peek(1) != ']' && at_ + 1 < text_.size()) {
        if (item.size() != 1 || item[0].first != item[0].second) wrong("a range that begins with a class");
        ++at_;
        Ranges last{{peek(), peek()}};
        if (peek() == '\\') {
          last = escape(true);
        } else {
          ++at_;
        }
        if (last.size() != 1 || last[0].first != last[0].second) wrong("a range that ends with a class");
        if (last[0].first < item[0].first) wrong("a range that ends before it begins");
        item[0].second = last[0].first;
      }
      ranges.insert(ranges.end(), item.begin(), item.end());
    }
    ++at_;
    return negated ? complement(ranges) : ranges;
  }

  GrammarBuilder& b_;
  const RegexOptions& options_;
  std::u32string text_;
  std::size_t at_ = 0;
};

}  // namespace

Sequence parse_regex(GrammarBuilder& builder, std::string_view pattern, const RegexOptions& options) {
  return Regex(builder, pattern, options).parse();
}

Sequence json_characters(GrammarBuilder& b, const Ranges& ranges) {
  Ranges plain;
  std::vector<Sequence> alternatives;
  for (const auto& [first, last] : normalised(ranges)) {
    char32_t from = first;
    for (char32_t c = first; c <= last && c <= '\\'; ++c) {
      if (c >= 0x20 && c != '"' && c != '\\') continue;
      if (c > from) plain.emplace_back(from, c - 1);
      from = c + 1;
      constexpr std::string_view kShort = "\b\f\n\r\t\"\\", kLetters = "bfnrt\"\\";
      const std::size_t at = kShort.find(static_cast<char>(c));
      std::string text = "\\";
      if (at != std::string_view::npos) {
        text += kLetters[at];
      } else {
        constexpr std::string_view kHex = "0123456789abcdef";
        text += "u00";
        text += kHex[c >> 4], text += kHex[c & 15];
      }
      alternatives.push_back(b.literal(text));
    }
    if (from <= last) plain.emplace_back(from, last);
  }
  if (!plain.empty()) alternatives.push_back(b.characters(plain));
  return b.choice(std::move(alternatives));
}

// ---- GBNF ----------------------------------------------------------------------------------------------------------

namespace {

class Gbnf {
 public:
  explicit Gbnf(std::string_view text) : text_(code_points(text, "grammar")) {}

  Grammar parse() {
    skip_lines();
    while (more()) {
      const std::string name = this->name();
      skip_spaces();
      if (!(peek() == ':' && peek(1) == ':' && peek(2) == '=')) wrong("expected \"::=\" behind " + quote(name));
      at_ += 3;
      Known& rule = known(name);
      if (rule.defined) wrong("the rule " + quote(name) + " stands here twice");
      rule.defined = true;
      const int32_t id = rule.id;
      skip_lines();
      b_.define(id, alternatives(0));
      skip_spaces();
      if (more() && peek() != '\n' && peek() != '\r') wrong("expected the end of the rule");
      skip_lines();
    }
    for (const auto& [name, rule] : rules_) {
      if (!rule.defined) {
        throw Error(ErrorCode::invalid_argument, "there is no rule " + quote(name), "grammar");
      }
    }
    const auto root = rules_.find("root");
    if (root == rules_.end()) throw Error(ErrorCode::invalid_argument, "there is no rule \"root\"", "grammar");
    return b_.finish(GrammarBuilder::call(root->second.id));
  }

 private:
  struct Known {
    int32_t id = 0;
    bool defined = false;
  };

  [[noreturn]] void wrong(const std::string& what, ErrorCode code = ErrorCode::invalid_argument) const {
    const auto lines = std::count(
        text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(std::min(at_, text_.size())), char32_t{'\n'});
    throw Error(code, what, "grammar: line " + std::to_string(lines + 1));
  }
  bool more() const { return at_ < text_.size(); }
  char32_t peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : 0; }
  static bool is_name(char32_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  }

  void skip_spaces() {
    for (; more(); ++at_) {
      if (peek() == '#') {
        while (more() && peek() != '\n') ++at_;
        --at_;
        continue;
      }
      if (peek() != ' ' && peek() != '\t') return;
    }
  }
  void skip_lines() {
    for (skip_spaces(); peek() == '\n' || peek() == '\r'; skip_spaces()) ++at_;
  }
  std::string name() {
    std::string out;
    for (; is_name(peek()); ++at_) out += static_cast<char>(peek());
    if (out.empty()) wrong("expected the name of a rule");
    return out;
  }
  Known& known(const std::string& name) {
    const auto found = rules_.find(name);
    if (found != rules_.end()) return found->second;
    return rules_.emplace(name, Known{b_.declare(name), false}).first->second;
  }

  std::vector<Sequence> alternatives(int depth) {
    if (depth > kMostDepth) wrong("groups inside each other too deeply", ErrorCode::limit);
    std::vector<Sequence> all;
    for (;;) {
      all.push_back(terms(depth));
      if (peek() != '|') return all;
      ++at_;
      skip_lines();
    }
  }

  Sequence terms(int depth) {
    Sequence out;
    for (;;) {
      depth > 0 ? skip_lines() : skip_spaces();
      Sequence one;
      if (peek() == '"') {
        ++at_;
        while (peek() != '"') {
          if (!more() || peek() == '\n') wrong("a '\"' without its end");
          const char32_t c = character();
          one = GrammarBuilder::concat(std::move(one), b_.characters({{c, c}}));
        }
        ++at_;
      } else if (peek() == '[') {
        ++at_;
        const bool negated = peek() == '^';
        if (negated) ++at_;
        Ranges ranges;
        while (peek() != ']') {
          if (!more() || peek() == '\n') wrong("a '[' without its ']'");
          const char32_t first = character();
          char32_t last = first;
          if (peek() == '-' && peek(1) != ']') {
            ++at_;
            last = character();
            if (last < first) wrong("a range that ends before it begins");
          }
          ranges.emplace_back(first, last);
        }
        ++at_;
        one = b_.characters(negated ? complement(ranges) : ranges);
      } else if (peek() == '.') {
        ++at_;
        one = b_.characters({{0, kLastCodePoint}});
      } else if (peek() == '(') {
        ++at_;
        one = b_.choice(alternatives(depth + 1));
        skip_lines();
        if (peek() != ')') wrong("a '(' without its ')'");
        ++at_;
      } else if (is_name(peek())) {
        const std::size_t start = at_;
        const std::string rule = name();
        skip_spaces();
        if (peek() == ':' && peek(1) == ':') {  // the next rule: this one has ended
          at_ = start;
          return out;
        }
        one = GrammarBuilder::call(known(rule).id);
      } else {
        return out;
      }
      out = GrammarBuilder::concat(std::move(out), repeated(one));
    }
  }

  Sequence repeated(const Sequence& one) {
    int64_t least = 1, most = 1;
    if (peek() == '*') {
      least = 0, most = -1;
    } else if (peek() == '+') {
      most = -1;
    } else if (peek() == '?') {
      least = 0;
    } else if (peek() == '{') {
      ++at_;
      least = number();
      most = least;
      if (peek() == ',') {
        ++at_;
        most = peek() == '}' ? -1 : number();
      }
      if (peek() != '}') wrong("expected {m}, {m,} or {m,n}");
      if (most >= 0 && most < least) wrong("a repetition that ends before it begins");
    } else {
      return one;
    }
    ++at_;
    return b_.repeat(one, least, most);
  }

  int64_t number() {
    if (!(peek() >= '0' && peek() <= '9')) wrong("expected a number of repetitions");
    int64_t n = 0;
    for (; peek() >= '0' && peek() <= '9'; ++at_) {
      n = n * 10 + static_cast<int64_t>(peek() - '0');
      if (n > kMostRepetitions)
        wrong("more than " + std::to_string(kMostRepetitions) + " repetitions", ErrorCode::limit);
    }
    return n;
  }

  char32_t character() {
    char32_t c = text_[at_++];
    if (c == '\\') {
      if (!more()) wrong("a backslash at the end");
      c = text_[at_++];
      const int digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
      if (digits > 0) {
        uint64_t value = 0;
        for (int i = 0; i < digits; ++i, ++at_) {
          if (hexadecimal(peek()) < 0) wrong("expected hexadecimal digits");
          value = value * 16 + static_cast<uint64_t>(hexadecimal(peek()));
        }
        if (value > kLastCodePoint) wrong("a code point beyond U+10FFFF");
        c = static_cast<char32_t>(value);
      } else if (c == 'n' || c == 't' || c == 'r') {
        c = c == 'n' ? '\n' : c == 't' ? '\t' : '\r';
      } else if (c != '"' && c != '\\' && c != '[' && c != ']' && c != '-' && c != '^') {
        wrong("an escape that is not known (\\n, \\t, \\r, \\\", \\\\, \\[, \\], \\x.., \\u...., \\U........)");
      }
    }
    return c;
  }

  GrammarBuilder b_;
  std::u32string text_;
  std::size_t at_ = 0;
  std::map<std::string, Known> rules_;
};

}  // namespace
}  // namespace generation

Grammar Grammar::from_regex(std::string_view pattern) {
  generation::GrammarBuilder builder;
  const generation::RegexOptions options;
  const generation::GrammarBuilder::Sequence all = generation::parse_regex(builder, pattern, options);
  return builder.finish(all);
}

Grammar Grammar::from_gbnf(std::string_view text) { return generation::Gbnf(text).parse(); }

}  // namespace transformers
