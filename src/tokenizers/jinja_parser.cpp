// Implements jinja_parser.hpp: the lexer, the parser, and the checks after it.
#include "jinja_parser.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <unordered_map>

#include "jinja_builtins.hpp"
#include "python_text.hpp"
#include "transformers/base/value.hpp"
#include "transformers/tokenizers/unicode.hpp"

namespace transformers::jinja {
namespace {

constexpr std::size_t kMaxSource = std::size_t{4} << 20;
constexpr int kMaxTreeDepth = 150;

struct Token {
  enum class Type : uint8_t {
    data,
    block_begin,
    block_end,
    variable_begin,
    variable_end,
    name,
    string,
    integer,
    number,
    op,
    end
  };
  Type type;
  Position at;
  std::string text;  // of data, name, string (its value) and op
  int64_t integer = 0;
  double number = 0;
};

std::string describe(const Token& token) {
  switch (token.type) {
    case Token::Type::data:
      return "template text";
    case Token::Type::block_begin:
      return "\"{%\"";
    case Token::Type::block_end:
      return "\"%}\"";
    case Token::Type::variable_begin:
      return "\"{{\"";
    case Token::Type::variable_end:
      return "\"}}\"";
    case Token::Type::string:
      return "a string";
    case Token::Type::integer:
    case Token::Type::number:
      return "a number";
    case Token::Type::end:
      return "the end of the template";
    default:
      return quote(token.text);
  }
}

// The source as Jinja sees it: every line end a '\n', one at the very end dropped.
std::string normalize_newlines(std::string_view source, bool drop_last) {
  std::string out;
  out.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
      out += '\n';
    } else {
      out += source[i];
    }
  }
  if (drop_last && out.ends_with('\n')) out.pop_back();
  return out;
}

class Lexer {
 public:
  Lexer(const std::string& source, const std::string& where) : source_(source), where_(where) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) root();
    add(Token::Type::end, source_.size());
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void fail_at(std::size_t at, const std::string& message,
                            ErrorCode code = ErrorCode::corrupt_file) const {
    const std::string_view before = std::string_view(source_).substr(0, at);
    const std::size_t line = before.rfind('\n') + 1;  // 0 when there is none
    throw_template_error(code,
                         {static_cast<int32_t>(std::count(before.begin(), before.end(), '\n')) + 1,
                          static_cast<int32_t>(unicode::count(before.substr(line))) + 1},
                         message, where_);
  }

  bool starts(std::size_t at, std::string_view text) const { return source_.compare(at, text.size(), text) == 0; }

  Token& add(Token::Type type, std::size_t at, std::string text = {}) {
    // Tokens come in order: their places are found going along.
    for (; seen_ < at; ++seen_) {
      if (source_[seen_] == '\n') {
        place_ = {place_.line + 1, 1};
      } else if ((static_cast<unsigned char>(source_[seen_]) & 0xC0) != 0x80) {
        ++place_.column;
      }
    }
    tokens_.push_back({type, place_, std::move(text)});
    return tokens_.back();
  }

  std::size_t skip_space(std::size_t at) const {
    while (at < source_.size()) {
      std::size_t after = at;
      if (!python::is_space(unicode::next(source_, after))) break;
      at = after;
    }
    return at;
  }

  // Text before a tag that begins at `tag`, with the white space that `sign` and lstrip_blocks take from its end.
  void add_data(std::size_t tag, char sign, bool is_variable) {
    std::string_view text(source_.data() + at_, tag - at_);
    if (sign == '-') {
      text = python::strip_right(text);
    } else if (sign != '+' && !is_variable) {
      const std::size_t line = text.rfind('\n') + 1;  // 0 when there is none
      if (line > 0 || line_starting_) {
        const std::string_view last = text.substr(line);
        if (!last.empty() && python::strip_left(last).empty()) text = text.substr(0, line);
      }
    }
    if (!text.empty()) add(Token::Type::data, at_, std::string(text));
  }

  // Moves to `end`, remembering whether a line starts there.
  void move(std::size_t end) {
    line_starting_ = end > 0 && source_[end - 1] == '\n';
    at_ = end;
  }

  char sign_at(std::size_t at) const {
    return at < source_.size() && (source_[at] == '-' || source_[at] == '+') ? source_[at] : '\0';
  }

  // Where a raw block's text begins when one opens at `tag`, else npos; `sign` is its sign.
  std::size_t raw_begin(std::size_t tag, std::string_view word, bool trims, char& sign) const {
    sign = sign_at(tag + 2);
    std::size_t i = skip_space(tag + 2 + (sign != 0));
    if (!starts(i, word)) return std::string::npos;
    i = skip_space(i + word.size());
    if (starts(i, "-%}")) return skip_space(i + 3);
    if (trims && starts(i, "+%}")) return i + 3;
    if (!starts(i, "%}")) return std::string::npos;
    return i + 2 + (trims && starts(i + 2, "\n"));
  }

  void root() {
    std::size_t tag = at_;
    for (;; ++tag) {
      tag = source_.find('{', tag);
      if (tag == std::string::npos || tag + 1 >= source_.size()) {
        add(Token::Type::data, at_, source_.substr(at_));
        at_ = source_.size();
        return;
      }
      if (std::string_view("%{#").find(source_[tag + 1]) != std::string_view::npos) break;
    }
    char sign = 0;
    if (source_[tag + 1] == '%') {
      const std::size_t begin = raw_begin(tag, "raw", false, sign);
      if (begin != std::string::npos) {
        add_data(tag, sign, false);
        move(begin);
        return raw(tag);
      }
    }
    sign = sign_at(tag + 2);
    const char kind = source_[tag + 1];
    add_data(tag, sign, kind == '{');
    move(tag + 2 + (sign != 0));
    if (kind == '#') return comment(tag);
    add(kind == '%' ? Token::Type::block_begin : Token::Type::variable_begin, tag);
    expression(tag, kind == '%');
  }

  void raw(std::size_t tag) {
    for (std::size_t i = at_; (i = source_.find("{%", i)) != std::string::npos; ++i) {
      char sign = 0;
      const std::size_t end = raw_begin(i, "endraw", true, sign);
      if (end == std::string::npos) continue;
      add_data(i, sign, false);
      return move(end);
    }
    fail_at(tag, "a raw block without its endraw");
  }

  void comment(std::size_t tag) {
    const std::size_t end = source_.find("#}", at_);
    if (end == std::string::npos) fail_at(tag, "a comment without its end");
    const char sign = end > at_ ? source_[end - 1] : '\0';
    if (sign == '-') return move(skip_space(end + 2));
    move(end + 2 + (sign != '+' && starts(end + 2, "\n")));
  }

  // The inside of a block or variable tag, to its end.
  void expression(std::size_t tag, bool is_block) {
    std::string open;  // brackets not yet closed
    const std::string_view close = is_block ? "%}" : "}}";
    for (;;) {
      const std::size_t begin = at_;
      if (open.empty()) {
        std::size_t end = std::string::npos;
        if (starts(at_, close)) {
          end = at_ + 2 + (is_block && starts(at_ + 2, "\n"));
        } else if (starts(at_, std::string("-") + std::string(close))) {
          end = skip_space(at_ + 3);
        } else if (is_block && starts(at_, "+%}")) {
          end = at_ + 3;
        }
        if (end != std::string::npos) {
          add(is_block ? Token::Type::block_end : Token::Type::variable_end, begin);
          return move(end);
        }
      }
      if (at_ >= source_.size())
        fail_at(tag, is_block ? "a statement without its \"%}\"" : "an expression without its \"}}\"");
      std::size_t after = at_;
      const char32_t c = unicode::next(source_, after);
      if (python::is_space(c)) {
        at_ = skip_space(at_);
      } else if (c >= '0' && c <= '9') {
        number();
      } else if (c == '_' || python::is_identifier_part(c)) {
        name();
      } else if (c == '"' || c == '\'') {
        string();
      } else {
        operation(open);
      }
    }
  }

  void name() {
    const std::size_t begin = at_;
    std::size_t i = at_;
    const char32_t first = unicode::next(source_, i);
    if (first != '_' && !python::is_identifier_start(first)) fail_at(begin, "invalid character in a name");
    while (i < source_.size()) {
      std::size_t after = i;
      if (!python::is_identifier_part(unicode::next(source_, after))) break;
      i = after;
    }
    add(Token::Type::name, begin, source_.substr(begin, i - begin));
    at_ = i;
  }

  // Digits from `at`, which may be separated by single underscores; returns the end.
  template <class IsDigit>
  std::size_t digits(std::size_t at, const IsDigit& is_digit) const {
    while (at < source_.size()) {
      if (is_digit(source_[at])) {
        ++at;
      } else if (source_[at] == '_' && at + 1 < source_.size() && is_digit(source_[at + 1])) {
        at += 2;
      } else {
        break;
      }
    }
    return at;
  }

  void number() {
    const auto is_decimal = [](char c) { return c >= '0' && c <= '9'; };
    const std::size_t begin = at_;
    std::size_t end = digits(at_, is_decimal);
    bool is_float = false;
    if (begin == 0 || source_[begin - 1] != '.') {
      if (end + 1 < source_.size() && source_[end] == '.' && is_decimal(source_[end + 1])) {
        end = digits(end + 1, is_decimal);
        is_float = true;
      }
      std::size_t e = end;
      if (e < source_.size() && (source_[e] == 'e' || source_[e] == 'E')) {
        ++e;
        if (e < source_.size() && (source_[e] == '+' || source_[e] == '-')) ++e;
        if (e < source_.size() && is_decimal(source_[e])) {
          end = digits(e, is_decimal);
          is_float = true;
        }
      }
    }
    int base = 10;
    std::size_t first = begin;
    if (!is_float) {
      end = digits(begin, is_decimal);
      if (source_[begin] == '0') {
        const char kind = begin + 1 < source_.size() ? static_cast<char>(source_[begin + 1] | 0x20) : '\0';
        const int with_prefix = kind == 'x' ? 16 : kind == 'o' ? 8 : kind == 'b' ? 2 : 0;
        const auto is_digit = [&](char c) {
          const char low = static_cast<char>(c | 0x20);
          const int value = is_decimal(c) ? c - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : 99;
          return value < with_prefix;
        };
        const std::size_t prefixed = with_prefix ? digits(begin + 2, is_digit) : begin;
        if (with_prefix && prefixed > begin + 2) {
          base = with_prefix;
          first = begin + 2;
          end = prefixed;
        } else {  // only zeros may follow a zero
          end = digits(begin, [](char c) { return c == '0'; });
        }
      }
    }
    std::string text = source_.substr(first, end - first);
    std::erase(text, '_');
    Token& token =
        add(is_float ? Token::Type::number : Token::Type::integer, begin, source_.substr(begin, end - begin));
    if (is_float) {
      const auto result = std::from_chars(text.data(), text.data() + text.size(), token.number);
      if (result.ec != std::errc()) fail_at(begin, "a number that a float64 cannot hold", ErrorCode::limit);
    } else {
      const auto result = std::from_chars(text.data(), text.data() + text.size(), token.integer, base);
      if (result.ec != std::errc()) fail_at(begin, "an integer beyond 64 bits", ErrorCode::limit);
    }
    at_ = end;
  }

  void append_escape(std::string& out, std::size_t& i) {
    // source_[i] is what follows the backslash
    const auto hex = [&](int count) {
      uint32_t value = 0;
      const char* first = source_.data() + i + 1;
      const std::size_t room = std::min<std::size_t>(static_cast<std::size_t>(count), source_.size() - i - 1);
      const auto result = std::from_chars(first, first + room, value, 16);
      if (result.ec != std::errc() || result.ptr != first + count) fail_at(i - 1, "a truncated escape in a string");
      if (value > 0x10FFFF) fail_at(i - 1, "an escape beyond Unicode in a string");
      if (value >= 0xD800 && value < 0xE000) fail_at(i - 1, "a surrogate in a string", ErrorCode::unsupported);
      unicode::append(out, value);
      i += static_cast<std::size_t>(count) + 1;
    };
    const char c = source_[i];
    constexpr std::string_view kFrom = "\\'\"abfnrtv", kTo = "\\'\"\a\b\f\n\r\t\v";
    if (const std::size_t simple = kFrom.find(c); simple != std::string_view::npos) {
      out += kTo[simple];
      ++i;
    } else if (c == '\n') {
      ++i;
    } else if (c >= '0' && c <= '7') {
      uint32_t value = 0;
      for (int n = 0; n < 3 && i < source_.size() && source_[i] >= '0' && source_[i] <= '7'; ++n, ++i) {
        value = value * 8 + static_cast<uint32_t>(source_[i] - '0');
      }
      unicode::append(out, value);
    } else if (c == 'x') {
      hex(2);
    } else if (c == 'u') {
      hex(4);
    } else if (c == 'U') {
      hex(8);
    } else if (c == 'N') {
      fail_at(i - 1, "\\N{...} in a string", ErrorCode::unsupported);
    } else {
      out += '\\';
      if (static_cast<unsigned char>(c) < 0x80) {
        out += c;
        ++i;
        return;
      }
      // Jinja writes what is not ASCII as an escape of its own first, so that this backslash escapes that one's.
      const char32_t code = unicode::next(source_, i);
      const int count = code < 0x100 ? 2 : code < 0x10000 ? 4 : 8;
      out += count == 2 ? 'x' : count == 4 ? 'u' : 'U';
      for (int shift = 4 * (count - 1); shift >= 0; shift -= 4) out += "0123456789abcdef"[code >> shift & 15];
    }
  }

  void string() {
    const std::size_t begin = at_;
    const char mark = source_[begin];
    std::string out;
    std::size_t i = begin + 1;
    while (i < source_.size() && source_[i] != mark) {
      if (source_[i] != '\\') {
        out += source_[i++];
      } else if (++i < source_.size()) {
        append_escape(out, i);
      }
    }
    if (i >= source_.size()) fail_at(begin, "a string without its end");
    add(Token::Type::string, begin, std::move(out));
    at_ = i + 1;
  }

  void operation(std::string& open) {
    for (const std::string_view two : {"//", "**", "==", "!=", ">=", "<="}) {
      if (starts(at_, two)) {
        add(Token::Type::op, at_, std::string(two));
        at_ += 2;
        return;
      }
    }
    const char c = source_[at_];
    if (std::string_view("+-/*%~[](){}><=.:|,;").find(c) == std::string_view::npos)
      fail_at(at_, "unexpected character");
    if (c == '(' || c == '[' || c == '{') {
      open += c == '(' ? ')' : c == '[' ? ']' : '}';
    } else if (c == ')' || c == ']' || c == '}') {
      if (open.empty()) fail_at(at_, std::string("unexpected \"") + c + '"');
      if (open.back() != c) fail_at(at_, std::string("unexpected \"") + c + "\", expected \"" + open.back() + '"');
      open.pop_back();
    }
    add(Token::Type::op, at_, std::string(1, c));
    ++at_;
  }

  const std::string& source_;
  const std::string& where_;
  std::size_t at_ = 0;
  std::size_t seen_ = 0;  // up to where place_ has been counted
  Position place_;
  bool line_starting_ = true;
  std::vector<Token> tokens_;
};

using TokenType = Token::Type;
using Kind = Expr::Kind;

class Parser {
 public:
  Parser(const std::string& source, const std::string& where) {
    program_.where = where;
    for (const char* name : {"loop", "varargs", "kwargs", "caller"}) intern(name);
    tokens_ = Lexer(source, program_.where).run();
  }

  Program run() {
    program_.body = statements({});
    return std::move(program_);
  }

 private:
  // ---- tokens
  const Token& current() const { return tokens_[at_]; }
  const Token& look() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  const Token& advance() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }
  static bool is_op(const Token& t, std::string_view op) { return t.type == TokenType::op && t.text == op; }
  static bool is_name(const Token& t, std::string_view name) { return t.type == TokenType::name && t.text == name; }
  bool at_op(std::string_view op) const { return is_op(current(), op); }
  bool at_name(std::string_view name) const { return is_name(current(), name); }
  bool skip_op(std::string_view op) { return at_op(op) && (advance(), true); }
  bool skip_name(std::string_view name) { return at_name(name) && (advance(), true); }
  void expect_op(std::string_view op) {
    if (!skip_op(op)) fail_here("expected \"" + std::string(op) + "\", found " + describe(current()));
  }
  void expect_name(std::string_view name) {
    if (!skip_name(name)) fail_here("expected \"" + std::string(name) + "\", found " + describe(current()));
  }
  void expect(TokenType type, const char* what) {
    if (current().type != type) fail_here(std::string("expected ") + what + ", found " + describe(current()));
    advance();
  }
  std::string expect_any_name() {
    if (current().type != TokenType::name) fail_here("expected a name, found " + describe(current()));
    return advance().text;
  }

  Position here() const { return current().at; }
  [[noreturn]] void fail_here(const std::string& message) const { fail_at(here(), message); }
  [[noreturn]] void fail_at(Position at, const std::string& message, ErrorCode code = ErrorCode::corrupt_file) const {
    throw_template_error(code, at, message, program_.where);
  }

  int intern(const std::string& name) {
    const auto [at, is_new] = ids_.emplace(name, static_cast<int>(program_.names.size()));
    if (is_new) program_.names.push_back(name);
    if (!uses_.empty() && at->second <= kCallerName) uses_.back()[static_cast<std::size_t>(at->second)] = true;
    return at->second;
  }

  ExprPtr make(Kind kind, Position at, ExprPtr a = nullptr, ExprPtr b = nullptr, ExprPtr c = nullptr,
               ExprPtr d = nullptr) {
    auto node = std::make_unique<Expr>();
    node->kind = kind;
    node->at = at;
    node->a = std::move(a);
    node->b = std::move(b);
    node->c = std::move(c);
    node->d = std::move(d);
    for (const ExprPtr* child : {&node->a, &node->b, &node->c, &node->d}) deepen(*node, *child);
    return node;
  }
  void deepen(Expr& node, const ExprPtr& child) {
    if (child) node.depth = std::max(node.depth, child->depth + 1);
    if (node.depth > kMaxTreeDepth) fail_at(node.at, "too deeply nested", ErrorCode::limit);
  }
  void add_item(Expr& node, ExprPtr child) {
    deepen(node, child);
    node.items.push_back(std::move(child));
  }

  // Bounds the recursion of the parser itself.
  struct Deeper {
    explicit Deeper(Parser& p) : parser(p) {
      if (++parser.depth_ > kMaxTreeDepth) parser.fail_at(parser.here(), "too deeply nested", ErrorCode::limit);
    }
    ~Deeper() { --parser.depth_; }
    Parser& parser;
  };

  // ---- statements
  bool at_any_name(std::initializer_list<std::string_view> names) const {
    return std::any_of(names.begin(), names.end(), [&](std::string_view n) { return at_name(n); });
  }

  // Up to a tag named by `ends`, whose name is the current token then; with no ends, up to the end of the template.
  Body statements(std::initializer_list<std::string_view> ends) {
    const Deeper deeper(*this);
    Body body;
    const auto add = [&](Stmt::Kind kind, Position at) -> Stmt& {
      body.push_back(std::make_unique<Stmt>());
      body.back()->kind = kind;
      body.back()->at = at;
      return *body.back();
    };
    for (;;) {
      const Position at = here();
      switch (current().type) {
        case TokenType::data:
          add(Stmt::Kind::data, at).text = advance().text;
          break;
        case TokenType::variable_begin: {
          advance();
          ExprPtr expr = tuple(Tuple::expression);
          expect(TokenType::variable_end, "\"}}\"");
          add(Stmt::Kind::output, at).expr = std::move(expr);
          break;
        }
        case TokenType::block_begin: {
          advance();
          if (at_any_name(ends)) return body;
          statement(body, add);
          expect(TokenType::block_end, "\"%}\"");
          break;
        }
        default: {
          if (ends.size() == 0) return body;
          std::string expected;
          for (const std::string_view end : ends) expected += (expected.empty() ? "" : " or ") + std::string(end);
          fail_here("the template ends where it should have " + expected);
        }
      }
    }
  }

  // The body of a statement, from the end of its opening tag.
  Body body_until(std::initializer_list<std::string_view> ends, bool drop_end = true) {
    skip_op(":");
    expect(TokenType::block_end, "\"%}\"");
    Body body = statements(ends);
    if (drop_end) advance();
    return body;
  }

  template <class Add>
  void statement(Body& body, const Add& add) {
    const Position at = here();
    if (current().type != TokenType::name) fail_here("expected the name of a statement, found " + describe(current()));
    const std::string name = advance().text;
    if (name == "for") {
      Stmt& s = add(Stmt::Kind::loop, at);
      s.target = assign_target(false, true);
      expect_name("in");
      s.expr = tuple(Tuple::iterable);
      if (skip_name("if")) s.test = expression();
      s.recursive = skip_name("recursive");
      ++loops_;
      s.body = body_until({"endfor", "else"}, false);
      --loops_;
      if (advance().text == "else") s.other = body_until({"endfor"});
    } else if (name == "if") {
      Stmt& s = add(Stmt::Kind::branch, at);
      s.expr = tuple(Tuple::no_conditional);
      s.body = body_until({"elif", "else", "endif"}, false);
      for (;;) {
        const std::string next = advance().text;
        if (next == "elif") {
          ExprPtr test = tuple(Tuple::no_conditional);
          Body branch = body_until({"elif", "else", "endif"}, false);
          s.branches.emplace_back(std::move(test), std::move(branch));
          continue;
        }
        if (next == "else") s.other = body_until({"endif"});
        break;
      }
    } else if (name == "set") {
      ExprPtr target = assign_target(true, false);
      if (skip_op("=")) {
        ExprPtr value = tuple(Tuple::expression);
        Stmt& s = add(Stmt::Kind::assign, at);
        s.target = std::move(target);
        s.expr = std::move(value);
      } else {
        Stmt& s = add(Stmt::Kind::capture, at);
        s.target = std::move(target);
        s.expr = filters(nullptr);
        s.body = function_body({"endset"}, nullptr);
      }
    } else if (name == "macro") {
      Stmt& s = add(Stmt::Kind::macro, at);
      s.id = assign_target_name();
      signature(s);
      s.body = function_body({"endmacro"}, &s);
    } else if (name == "call") {
      Stmt& s = add(Stmt::Kind::call, at);
      if (at_op("(")) signature(s);
      s.expr = expression();
      if (s.expr->kind != Kind::call) fail_at(s.expr->at, "expected a call");
      s.body = function_body({"endcall"}, &s);
    } else if (name == "filter") {
      Stmt& s = add(Stmt::Kind::filter, at);
      s.expr = filters(nullptr, true);
      s.body = body_until({"endfilter"});
    } else if (name == "with") {
      Stmt& s = add(Stmt::Kind::with, at);
      while (current().type != TokenType::block_end) {
        if (!s.targets.empty()) expect_op(",");
        s.targets.push_back(assign_target(false, false));
        expect_op("=");
        s.defaults.push_back(expression());
      }
      s.body = body_until({"endwith"});
    } else if (name == "generation") {
      Stmt& s = add(Stmt::Kind::generation, at);
      program_.has_generation = true;
      s.body = function_body({"endgeneration"}, nullptr);
    } else if (name == "print") {
      bool first = true;
      while (current().type != TokenType::block_end) {
        if (!first) expect_op(",");
        first = false;
        ExprPtr expr = expression();
        add(Stmt::Kind::output, at).expr = std::move(expr);
      }
    } else if (name == "break" || name == "continue") {
      if (loops_ == 0) fail_at(at, quote(name) + " outside of a loop");
      add(name == "break" ? Stmt::Kind::leave : Stmt::Kind::next, at);
    } else if (name == "block" || name == "extends" || name == "include" || name == "from" || name == "import" ||
               name == "autoescape") {
      fail_at(at, "the statement " + quote(name), ErrorCode::unsupported);
    } else {
      fail_at(at, "unknown statement " + quote(name));
    }
    (void)body;
  }

  // A body that is run as a function of its own: no break leaves it. Records which special names it uses in `s`.
  Body function_body(std::initializer_list<std::string_view> ends, Stmt* s) {
    const int loops = std::exchange(loops_, 0);
    uses_.push_back({});
    Body body = body_until(ends);
    if (s) {
      s->uses_varargs = uses_.back()[kVarargsName];
      s->uses_kwargs = uses_.back()[kKwargsName];
      s->uses_caller = uses_.back()[kCallerName];
    }
    const auto uses = uses_.back();
    uses_.pop_back();
    for (std::size_t i = 0; !uses_.empty() && i < uses.size(); ++i) uses_.back()[i] = uses_.back()[i] || uses[i];
    loops_ = loops;
    return body;
  }

  void signature(Stmt& s) {
    expect_op("(");
    while (!at_op(")")) {
      if (!s.parameters.empty()) expect_op(",");
      const int id = assign_target_name();
      if (std::find(s.parameters.begin(), s.parameters.end(), id) != s.parameters.end()) {
        fail_here("a parameter named twice");
      }
      s.parameters.push_back(id);
      if (skip_op("=")) {
        s.defaults.push_back(expression());
      } else if (!s.defaults.empty()) {
        fail_here("a parameter without a default after one with a default");
      }
    }
    expect_op(")");
  }

  static bool is_constant_name(std::string_view name) {
    return name == "true" || name == "false" || name == "none" || name == "True" || name == "False" || name == "None";
  }

  int assign_target_name() {
    const Position at = here();
    const std::string name = expect_any_name();
    if (is_constant_name(name)) fail_at(at, "can't assign to " + quote(name));
    return intern(name);
  }

  ExprPtr assign_target(bool with_namespace, bool in_for) {
    ExprPtr target = tuple(with_namespace ? Tuple::namespace_target : in_for ? Tuple::for_target : Tuple::target);
    check_target(*target, in_for);
    return target;
  }
  void check_target(const Expr& target, bool in_for) const {
    if (target.kind == Kind::tuple) {
      for (const ExprPtr& item : target.items) check_target(*item, in_for);
    } else if (target.kind != Kind::name && target.kind != Kind::attribute_target) {
      fail_at(target.at, "can't assign to this expression");
    } else if (in_for && target.kind == Kind::name && target.id == kLoopName) {
      fail_at(target.at, "can't assign to the special variable \"loop\"");
    }
  }

  // ---- expressions
  enum class Tuple { expression, no_conditional, iterable, parentheses, target, for_target, namespace_target };

  ExprPtr tuple(Tuple mode) {
    const Deeper deeper(*this);
    const Position at = here();
    const bool simple = mode >= Tuple::target;
    std::vector<ExprPtr> items;
    bool is_tuple = false;
    for (;;) {
      if (!items.empty()) expect_op(",");
      if (current().type == TokenType::variable_end || current().type == TokenType::block_end || at_op(")") ||
          (mode == Tuple::iterable && at_name("recursive")) || (mode == Tuple::for_target && at_name("in"))) {
        break;
      }
      items.push_back(simple ? primary(mode == Tuple::namespace_target)
                             : expression(mode != Tuple::no_conditional && mode != Tuple::iterable));
      if (!at_op(",")) break;
      is_tuple = true;
    }
    if (!is_tuple) {
      if (!items.empty()) return std::move(items[0]);
      if (mode != Tuple::parentheses) fail_here("expected an expression, found " + describe(current()));
    }
    ExprPtr node = make(Kind::tuple, at);
    for (ExprPtr& item : items) add_item(*node, std::move(item));
    return node;
  }

  ExprPtr expression(bool with_conditional = true) {
    const Deeper deeper(*this);
    if (!with_conditional) return logical_or();
    const Position at = here();
    ExprPtr value = logical_or();
    while (skip_name("if")) {
      ExprPtr test = logical_or();
      ExprPtr other = skip_name("else") ? expression() : nullptr;
      value = make(Kind::conditional, at, std::move(value), std::move(test), std::move(other));
    }
    return value;
  }

  ExprPtr logical_or() {
    const Position at = here();
    ExprPtr left = logical_and();
    while (skip_name("or")) left = make(Kind::logical_or, at, std::move(left), logical_and());
    return left;
  }

  ExprPtr logical_and() {
    const Position at = here();
    ExprPtr left = logical_not();
    while (skip_name("and")) left = make(Kind::logical_and, at, std::move(left), logical_not());
    return left;
  }

  ExprPtr logical_not() {
    const Deeper deeper(*this);
    const Position at = here();
    if (skip_name("not")) return make(Kind::logical_not, at, logical_not());
    return comparison();
  }

  ExprPtr comparison() {
    const Position at = here();
    ExprPtr first = sum();
    std::string operators;
    std::vector<ExprPtr> operands;
    for (;;) {
      constexpr std::string_view kSymbols[] = {"==", "!=", "<", "<=", ">", ">="};
      char op = 0;
      for (std::size_t i = 0; i < std::size(kSymbols); ++i) {
        if (at_op(kSymbols[i])) op = kCompareOperators[i];
      }
      if (op == 0 && at_name("in")) op = 'i';
      if (op == 0 && at_name("not") && is_name(look(), "in")) {
        advance();
        op = 'n';
      }
      if (op == 0) break;
      advance();
      operators += op;
      operands.push_back(sum());
    }
    if (operators.empty()) return first;
    ExprPtr node = make(Kind::compare, at, std::move(first));
    node->text = std::move(operators);
    for (ExprPtr& operand : operands) add_item(*node, std::move(operand));
    return node;
  }

  ExprPtr sum() {
    ExprPtr left = concatenation();
    for (;;) {
      const Position at = here();
      if (skip_op("+")) {
        left = make(Kind::add, at, std::move(left), concatenation());
      } else if (skip_op("-")) {
        left = make(Kind::subtract, at, std::move(left), concatenation());
      } else {
        return left;
      }
    }
  }

  ExprPtr concatenation() {
    const Position at = here();
    ExprPtr first = product();
    if (!at_op("~")) return first;
    ExprPtr node = make(Kind::concat, at);
    add_item(*node, std::move(first));
    while (skip_op("~")) add_item(*node, product());
    return node;
  }

  ExprPtr product() {
    ExprPtr left = power();
    for (;;) {
      const Position at = here();
      if (skip_op("*")) {
        left = make(Kind::multiply, at, std::move(left), power());
      } else if (skip_op("/")) {
        left = make(Kind::divide, at, std::move(left), power());
      } else if (skip_op("//")) {
        left = make(Kind::floor_divide, at, std::move(left), power());
      } else if (skip_op("%")) {
        left = make(Kind::modulo, at, std::move(left), power());
      } else {
        return left;
      }
    }
  }

  ExprPtr power() {
    ExprPtr left = unary();
    for (;;) {
      const Position at = here();
      if (!skip_op("**")) return left;
      left = make(Kind::power, at, std::move(left), unary());
    }
  }

  ExprPtr unary(bool with_filter = true) {
    const Deeper deeper(*this);
    const Position at = here();
    ExprPtr node;
    if (skip_op("-")) {
      node = make(Kind::negate, at, unary(false));
    } else if (skip_op("+")) {
      node = make(Kind::plus, at, unary(false));
    } else {
      node = primary();
    }
    node = postfix(std::move(node));
    return with_filter ? filters_and_tests(std::move(node)) : std::move(node);
  }

  ExprPtr constant(Position at, Val value) {
    ExprPtr node = make(Kind::constant, at);
    node->value = std::move(value);
    return node;
  }
  static Val string_value(std::string text) {
    return Val(Val::Type::string, std::make_shared<const Str>(nullptr, std::move(text), false));
  }

  ExprPtr primary(bool with_namespace = false) {
    const Deeper deeper(*this);
    const Position at = here();
    switch (current().type) {
      case TokenType::name: {
        const std::string name = advance().text;
        if (name == "true" || name == "True") return constant(at, Val(true));
        if (name == "false" || name == "False") return constant(at, Val(false));
        if (name == "none" || name == "None") return constant(at, Val());
        if (with_namespace && skip_op(".")) {
          ExprPtr node = make(Kind::attribute_target, at);
          node->id = intern(name);
          node->text = expect_any_name();
          return node;
        }
        ExprPtr node = make(Kind::name, at);
        node->id = intern(name);
        return node;
      }
      case TokenType::string: {
        std::string text = advance().text;
        while (current().type == TokenType::string) text += advance().text;
        return constant(at, string_value(std::move(text)));
      }
      case TokenType::integer:
        return constant(at, Val(advance().integer));
      case TokenType::number:
        return constant(at, Val(advance().number));
      default:
        break;
    }
    if (skip_op("(")) {
      ExprPtr node = tuple(Tuple::parentheses);
      expect_op(")");
      return node;
    }
    if (skip_op("[")) {
      ExprPtr node = make(Kind::list, at);
      while (!at_op("]")) {
        if (!node->items.empty()) expect_op(",");
        if (at_op("]")) break;
        add_item(*node, expression());
      }
      expect_op("]");
      return node;
    }
    if (skip_op("{")) {
      ExprPtr node = make(Kind::dict, at);
      while (!at_op("}")) {
        if (!node->items.empty()) expect_op(",");
        if (at_op("}")) break;
        add_item(*node, expression());
        expect_op(":");
        add_item(*node, expression());
      }
      expect_op("}");
      return node;
    }
    fail_here("unexpected " + describe(current()));
  }

  ExprPtr postfix(ExprPtr node) {
    for (;;) {
      if (at_op(".") || at_op("[")) {
        node = subscript(std::move(node));
      } else if (at_op("(")) {
        node = call(std::move(node));
      } else {
        return node;
      }
    }
  }

  ExprPtr filters_and_tests(ExprPtr node) {
    for (;;) {
      if (at_op("|")) {
        node = filters(std::move(node));
      } else if (at_name("is")) {
        node = test(std::move(node));
      } else if (at_op("(")) {
        node = call(std::move(node));
      } else {
        return node;
      }
    }
  }

  ExprPtr subscript(ExprPtr node) {
    const Position at = here();
    if (skip_op(".")) {
      if (current().type == TokenType::name) {
        ExprPtr out = make(Kind::attribute, at, std::move(node));
        out->text = advance().text;
        return out;
      }
      if (current().type != TokenType::integer) fail_here("expected a name or a number, found " + describe(current()));
      const int64_t index = advance().integer;
      return make(Kind::item, at, std::move(node), constant(at, Val(index)));
    }
    expect_op("[");
    std::vector<ExprPtr> items;
    while (!at_op("]")) {
      if (!items.empty()) expect_op(",");
      items.push_back(subscribed());
    }
    expect_op("]");
    if (items.size() == 1) return make(Kind::item, at, std::move(node), std::move(items[0]));
    ExprPtr key = make(Kind::tuple, at);
    for (ExprPtr& item : items) {
      if (item->kind == Kind::slice) fail_at(item->at, "a slice among several subscripts", ErrorCode::unsupported);
      add_item(*key, std::move(item));
    }
    return make(Kind::item, at, std::move(node), std::move(key));
  }

  ExprPtr subscribed() {
    const Position at = here();
    ExprPtr start, stop, step;
    if (!at_op(":")) {
      start = expression();
      if (!at_op(":")) return start;
    }
    expect_op(":");
    const auto ends = [&] { return at_op("]") || at_op(","); };
    if (!at_op(":") && !ends()) stop = expression();
    if (skip_op(":") && !ends()) step = expression();
    return make(Kind::slice, at, nullptr, std::move(start), std::move(stop), std::move(step));
  }

  std::unique_ptr<Arguments> arguments(Expr& owner) {
    const Position at = here();
    auto out = std::make_unique<Arguments>();
    const auto check = [&](bool ok) {
      if (!ok) fail_at(at, "invalid order of arguments in a call");
    };
    expect_op("(");
    bool comma = false;
    while (!at_op(")")) {
      if (comma) {
        expect_op(",");
        if (at_op(")")) break;
      }
      comma = true;
      if (skip_op("*")) {
        check(!out->more_positional && !out->more_named);
        out->more_positional = expression();
        deepen(owner, out->more_positional);
      } else if (skip_op("**")) {
        check(!out->more_named);
        out->more_named = expression();
        deepen(owner, out->more_named);
      } else if (current().type == TokenType::name && is_op(look(), "=")) {
        check(!out->more_named);
        std::string name = advance().text;
        advance();
        ExprPtr value = expression();
        for (const auto& [other, unused] : out->named) {
          if (other == name) fail_at(at, "keyword argument repeated: " + quote(name));
        }
        deepen(owner, value);
        out->named.emplace_back(std::move(name), std::move(value));
      } else {
        check(!out->more_positional && !out->more_named && out->named.empty());
        ExprPtr value = expression();
        deepen(owner, value);
        out->positional.push_back(std::move(value));
      }
    }
    expect_op(")");
    return out;
  }

  ExprPtr call(ExprPtr callee) {
    ExprPtr node = make(Kind::call, here(), std::move(callee));
    node->arguments = arguments(*node);
    return node;
  }

  std::string dotted_name() {
    std::string name = expect_any_name();
    while (skip_op(".")) name += '.' + expect_any_name();
    return name;
  }

  ExprPtr filters(ExprPtr node, bool first_without_pipe = false) {
    while (first_without_pipe || at_op("|")) {
      if (!first_without_pipe) advance();
      first_without_pipe = false;
      const Position at = here();
      std::string name = dotted_name();
      node = make(Kind::filter, at, std::move(node));
      node->text = std::move(name);
      node->arguments = at_op("(") ? arguments(*node) : std::make_unique<Arguments>();
    }
    return node;
  }

  ExprPtr test(ExprPtr node) {
    advance();  // is
    const bool negated = skip_name("not");
    const Position at = here();
    std::string name = dotted_name();
    ExprPtr out = make(Kind::test, at, std::move(node));
    out->text = std::move(name);
    const Token& t = current();
    if (at_op("(")) {
      out->arguments = arguments(*out);
    } else {
      out->arguments = std::make_unique<Arguments>();
      const bool has_argument = t.type == TokenType::name || t.type == TokenType::string ||
                                t.type == TokenType::integer || t.type == TokenType::number || at_op("[") || at_op("{");
      if (has_argument && !at_name("else") && !at_name("or") && !at_name("and")) {
        if (at_name("is")) fail_here("tests cannot be chained with \"is\"");
        ExprPtr argument = postfix(primary());
        deepen(*out, argument);
        out->arguments->positional.push_back(std::move(argument));
      }
    }
    return negated ? make(Kind::logical_not, at, std::move(out)) : std::move(out);
  }

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  Program program_;
  std::unordered_map<std::string, int> ids_;
  std::vector<std::array<bool, 4>> uses_;  // of the special names, by function body
  int depth_ = 0, loops_ = 0;
};

// Filters and tests that do not exist are errors before anything is rendered, except below an `if`, where they are
// errors when they are reached: templates ask for what only some environments have.
class NameCheck {
 public:
  explicit NameCheck(const Program& program) : program_(program) {}

  void check(const Body& body, bool lenient) const {
    for (const auto& s : body) check(*s, lenient);
  }

 private:
  void check(const Stmt& s, bool lenient) const {
    const bool is_branch = s.kind == Stmt::Kind::branch;
    // What has a scope of its own starts anew.
    const bool below = is_branch || ((s.kind == Stmt::Kind::data || s.kind == Stmt::Kind::output) && lenient);
    check(s.expr, s.kind == Stmt::Kind::filter || s.kind == Stmt::Kind::capture ? false : lenient || is_branch);
    check(s.test, false);
    for (const ExprPtr& e : s.defaults) check(e, s.kind == Stmt::Kind::with && lenient);
    check(s.body, below);
    check(s.other, below);
    for (const auto& [test, body] : s.branches) {
      check(test, true);
      check(body, true);
    }
  }

  void check(const ExprPtr& e, bool lenient) const {
    if (!e) return;
    lenient = lenient || e->kind == Kind::conditional;
    for (const ExprPtr* child : {&e->a, &e->b, &e->c, &e->d}) check(*child, lenient);
    for (const ExprPtr& item : e->items) check(item, lenient);
    if (e->arguments) {
      for (const ExprPtr& item : e->arguments->positional) check(item, lenient);
      for (const auto& [name, item] : e->arguments->named) check(item, lenient);
      check(e->arguments->more_positional, lenient);
      check(e->arguments->more_named, lenient);
    }
    if (lenient || (e->kind != Kind::filter && e->kind != Kind::test)) return;
    const bool is_filter = e->kind == Kind::filter;
    if (is_filter ? find_filter(e->text) != nullptr : find_test(e->text) != nullptr) return;
    if (is_filter && is_unsupported_filter(e->text)) {
      throw_template_error(ErrorCode::unsupported, e->at, "the filter " + quote(e->text), program_.where);
    }
    throw_template_error(ErrorCode::corrupt_file, e->at,
                         std::string(is_filter ? "no filter named " : "no test named ") + quote(e->text),
                         program_.where);
  }

  const Program& program_;
};

}  // namespace

void throw_template_error(ErrorCode code, Position at, const std::string& message, const std::string& where) {
  throw Error(code,
              "TemplateError: line " + std::to_string(at.line) + " col " + std::to_string(at.column) + ": " + message,
              where);
}

int Program::id(std::string_view name) const {
  const auto at = std::find(names.begin(), names.end(), name);
  return at == names.end() ? -1 : static_cast<int>(at - names.begin());
}

Program parse(std::string_view source, const std::string& where) {
  if (source.size() > kMaxSource) {
    throw Error(ErrorCode::limit,
                "TemplateError: the template has " + std::to_string(source.size()) + " bytes, " +
                    std::to_string(kMaxSource) + " are allowed",
                where);
  }
  if (unicode::well_formed_prefix(source) != source.size()) {
    throw Error(ErrorCode::corrupt_file,
                "TemplateError: invalid UTF-8 at byte " + std::to_string(unicode::well_formed_prefix(source)), where);
  }
  const std::string normalized = normalize_newlines(source, true);
  Program program = Parser(normalized, where).run();
  NameCheck(program).check(program.body, false);
  return program;
}

}  // namespace transformers::jinja
