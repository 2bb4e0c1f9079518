// Implements jinja_builtins.hpp: the operators, slices, formatting and methods of Python's values.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "jinja_builtins.hpp"
#include "jinja_interpreter.hpp"
#include "python_text.hpp"
#include "transformers/tokenizers/unicode.hpp"

namespace transformers::jinja {
namespace {

using Type = Val::Type;
using Kind = Expr::Kind;

[[noreturn]] void fail_operands(const char* symbol, const Val& a, const Val& b) {
  fail(std::string("unsupported operand type(s) for ") + symbol + ": '" + type_name(a) + "' and '" + type_name(b) +
       "'");
}
[[noreturn]] void fail_beyond() { fail_limit("an integer beyond 64 bits"); }

// How many bytes a result may have before it is refused unmade.
void check_size(Interpreter& in, int64_t items, int64_t times, int64_t bytes_each) {
  if (items > 0 && times > in.memory().max_live_bytes / items / bytes_each) {
    fail_limit("the values take more than the allowed memory");
  }
}

Val repeat(Interpreter& in, const Val& v, int64_t times) {
  times = std::max<int64_t>(times, 0);
  if (v.is_string()) {
    const std::string& text = v.text();
    check_size(in, static_cast<int64_t>(text.size()), times, 1);
    in.work(text.size() * static_cast<std::size_t>(times));
    std::string out;
    if (text.empty()) times = 0;
    for (int64_t i = 0; i < times; ++i) out += text;
    return in.string(std::move(out), v.str().markup);
  }
  const auto size = static_cast<int64_t>(v.items().size());
  check_size(in, size, times, sizeof(Val));
  if (size == 0) times = 0;
  in.step(size * times);
  Vals out;
  for (int64_t i = 0; i < times; ++i) out.insert(out.end(), v.items().begin(), v.items().end());
  return v.is(Type::list) ? make_list(in.memory(), std::move(out)) : make_tuple(in.memory(), std::move(out));
}

// Text as it is joined with Markup.
std::string escaped(const Val& v) { return v.is_string() && v.str().markup ? v.text() : escape_html(str(v)); }

Val add(Interpreter& in, const Val& a, const Val& b) {
  if (a.is_int() && b.is_int()) {
    int64_t out = 0;
    if (__builtin_add_overflow(a.integer(), b.integer(), &out)) fail_beyond();
    return Val(out);
  }
  if (a.is_number() && b.is_number()) return Val(a.number() + b.number());
  if (a.is_string() && b.is_string()) {
    const bool markup = a.str().markup || b.str().markup;
    std::string out = markup ? escaped(a) + escaped(b) : a.text() + b.text();
    in.work(out.size());
    return in.string(std::move(out), markup);
  }
  if (a.is_sequence() && a.type() == b.type()) {
    in.step(static_cast<int64_t>(a.items().size() + b.items().size()));
    Vals out = a.items();
    out.insert(out.end(), b.items().begin(), b.items().end());
    return a.is(Type::list) ? make_list(in.memory(), std::move(out)) : make_tuple(in.memory(), std::move(out));
  }
  if (a.is_string()) fail(std::string("can only concatenate str (not \"") + type_name(b) + "\") to str");
  if (a.is_sequence()) {
    fail(std::string("can only concatenate ") + type_name(a) + " (not \"" + type_name(b) + "\") to " + type_name(a));
  }
  fail_operands("+", a, b);
}

int64_t floor_divide(int64_t a, int64_t b) {
  if (b == 0) fail("integer division or modulo by zero");
  if (b == -1) {
    int64_t out = 0;
    if (__builtin_sub_overflow(int64_t{0}, a, &out)) fail_beyond();
    return out;
  }
  const int64_t q = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? q - 1 : q;
}

double float_modulo(double a, double b) {
  if (b == 0) fail("float modulo");
  double out = std::fmod(a, b);
  if (out != 0 && (b < 0) != (out < 0)) out += b;
  return out == 0 ? std::copysign(0.0, b) : out;
}

double float_floor_divide(double a, double b) {
  if (b == 0) fail("float floor division by zero");
  const double rest = std::fmod(a, b);
  double q = (a - rest) / b;
  if (rest != 0 && (b < 0) != (rest < 0)) q -= 1;
  if (q == 0) return std::copysign(0.0, a / b);
  const double floor = std::floor(q);
  return q - floor > 0.5 ? floor + 1 : floor;
}

Val power(const Val& a, const Val& b) {
  if (a.is_int() && b.is_int() && b.integer() >= 0) {
    int64_t base = a.integer(), exponent = b.integer(), out = 1;
    if (base == 0 || base == 1) return Val(exponent == 0 ? int64_t{1} : base);
    if (base == -1) return Val(exponent % 2 == 0 ? int64_t{1} : int64_t{-1});
    if (exponent > 64) fail_beyond();
    for (int64_t i = 0; i < exponent; ++i) {
      if (__builtin_mul_overflow(out, base, &out)) fail_beyond();
    }
    return Val(out);
  }
  const double x = a.number(), y = b.number();
  if (x == 0 && y < 0) fail("0.0 cannot be raised to a negative power");
  if (x < 0 && y != std::floor(y) && std::isfinite(y)) fail_unsupported("complex numbers");
  const double out = std::pow(x, y);
  if (std::isinf(out) && std::isfinite(x) && std::isfinite(y)) fail("(34, 'Numerical result out of range')");
  return Val(out);
}

// ---- format specifications

struct Spec {
  std::string fill = " ";
  char align = 0, sign = 0, kind = 0, group = 0;
  bool alternative = false, zero = false;
  int64_t width = 0, precision = -1;
};
constexpr int64_t kMaxWidth = 100000;

int64_t read_number(std::string_view text, std::size_t& i) {
  int64_t out = 0;
  while (i < text.size() && text[i] >= '0' && text[i] <= '9') {
    out = out * 10 + (text[i++] - '0');
    if (out > kMaxWidth) fail_limit("a width or precision beyond " + std::to_string(kMaxWidth));
  }
  return out;
}

Spec read_spec(std::string_view text) {
  Spec s;
  std::size_t i = 0;
  const auto is_align = [&](std::size_t at) {
    return at < text.size() && std::string_view("<>=^").find(text[at]) != std::string_view::npos;
  };
  if (!text.empty()) {
    std::size_t after = 0;
    unicode::next(text, after);
    if (is_align(after)) {
      s.fill = text.substr(0, after);
      s.align = text[after];
      i = after + 1;
    } else if (is_align(0)) {
      s.align = text[0];
      i = 1;
    }
  }
  const auto take = [&](std::string_view any) {
    return i < text.size() && any.find(text[i]) != std::string_view::npos ? text[i++] : '\0';
  };
  s.sign = take("+- ");
  s.alternative = take("#") != 0;
  if (take("0")) {
    s.zero = true;
    if (!s.align) {
      s.fill = "0";
      s.align = '=';
    }
  }
  s.width = read_number(text, i);
  s.group = take(",_");
  if (take(".")) {
    if (i >= text.size() || text[i] < '0' || text[i] > '9') fail("Format specifier missing precision");
    s.precision = read_number(text, i);
  }
  if (i < text.size()) s.kind = text[i++];
  if (i != text.size()) fail("Invalid format specifier '" + std::string(text) + "'");
  return s;
}

std::string pad(std::string sign, std::string body, const Spec& s, char align) {
  const int64_t length = static_cast<int64_t>(unicode::count(sign) + unicode::count(body));
  if (s.width <= length) return sign + body;
  const int64_t room = s.width - length;
  const auto fill = [&](int64_t n) {
    std::string out;
    for (int64_t i = 0; i < n; ++i) out += s.fill;
    return out;
  };
  switch (align) {
    case '<':
      return sign + body + fill(room);
    case '^':
      return fill(room / 2) + sign + body + fill(room - room / 2);
    case '=':
      return sign + fill(room) + body;
    default:
      return fill(room) + sign + body;
  }
}

std::string group_digits(std::string digits, char mark, std::size_t every = 3) {
  if (!mark) return digits;
  std::size_t end = digits.find_first_not_of("0123456789abcdefABCDEF");
  if (end == digits.npos) end = digits.size();
  for (std::size_t at = end; at > every;) {
    at -= every;
    digits.insert(at, 1, mark);
  }
  return digits;
}

// The digits of |number| in the style of 'e', 'f', 'g' or their capitals, or '%'.
std::string float_digits(double number, char kind, int64_t precision, bool alternative) {
  const double d = std::fabs(number);
  if (std::isnan(d) || std::isinf(d)) {
    std::string out = std::isnan(d) ? "nan" : "inf";
    if (kind == 'E' || kind == 'F' || kind == 'G') out = python::upper(out);
    return kind == '%' ? out + '%' : out;
  }
  if (precision > 1000) fail_limit("a precision beyond 1000");
  std::string out(1500, '\0');
  const bool percent = kind == '%';
  const double value = percent ? d * 100 : d;
  const char low = percent ? 'f' : static_cast<char>(kind | 0x20);
  const auto style = low == 'e'   ? std::chars_format::scientific
                     : low == 'f' ? std::chars_format::fixed
                                  : std::chars_format::general;
  const auto end = std::to_chars(out.data(), out.data() + out.size(), value, style,
                                 static_cast<int>(low == 'g' && precision == 0 ? 1 : precision));
  out.resize(static_cast<std::size_t>(end.ptr - out.data()));
  if (alternative && low != 'g' && out.find('.') == out.npos) out.insert(std::min(out.find('e'), out.size()), 1, '.');
  if (kind == 'E' || kind == 'G') out = python::upper(out);
  return percent ? out + '%' : out;
}

std::string sign_text(bool negative, char sign) { return negative ? "-" : sign == '+' ? "+" : sign == ' ' ? " " : ""; }

std::string format_float(double d, const Spec& s) {
  std::string body;
  if (s.kind == 0) {
    if (s.precision < 0) {
      body = python::repr(std::fabs(d));
    } else {
      body = float_digits(d, 'g', s.precision, s.alternative);
      if (body.find_first_of(".en") == body.npos) body += ".0";
    }
  } else if (std::string_view("eEfFgG%").find(s.kind) != std::string_view::npos) {
    body = float_digits(d, s.kind, s.precision < 0 ? 6 : s.precision, s.alternative);
  } else if (s.kind == 'n') {
    fail_unsupported("the format code 'n'");
  } else {
    fail(std::string("Unknown format code '") + s.kind + "' for object of type 'float'");
  }
  return pad(sign_text(std::signbit(d) && !std::isnan(d), s.sign), group_digits(body, s.group), s,
             s.align ? s.align : '>');
}

std::string integer_digits(int64_t n, int base, bool upper) {
  char buffer[72];
  const uint64_t magnitude = n < 0 ? 0 - static_cast<uint64_t>(n) : static_cast<uint64_t>(n);
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), magnitude, base);
  std::string out(buffer, end.ptr);
  return upper ? python::upper(out) : out;
}

std::string format_value(const Val& v, std::string_view spec_text) {
  if (v.is_undefined() || v.is_none() || !(v.is_string() || v.is_number())) {
    if (!spec_text.empty()) fail(std::string("unsupported format string passed to ") + type_name(v) + ".__format__");
    return str(v);
  }
  const Spec s = read_spec(spec_text);
  if (v.is_string()) {
    if (s.kind && s.kind != 's') fail(std::string("Unknown format code '") + s.kind + "' for object of type 'str'");
    if (s.sign) fail("Sign not allowed in string format specifier");
    if (s.align == '=' && !s.zero) fail("'=' alignment not allowed in string format specifier");
    std::string_view text = v.text();
    std::size_t end = 0;
    for (int64_t i = 0; end < text.size() && (s.precision < 0 || i < s.precision); ++i) unicode::next(text, end);
    return pad("", std::string(text.substr(0, end)), s, s.align && s.align != '=' ? s.align : '<');
  }
  if (v.is(Type::boolean) && spec_text.empty()) return str(v);
  if (v.is(Type::number) || (s.kind && std::string_view("eEfFgG%").find(s.kind) != std::string_view::npos)) {
    return format_float(v.number(), s);
  }
  const int64_t n = v.integer();
  if (s.precision >= 0) fail("Precision not allowed in integer format specifier");
  std::string prefix, body;
  switch (s.kind) {
    case 0:
    case 'd':
      body = group_digits(integer_digits(n, 10, false), s.group);
      break;
    case 'x':
    case 'X':
      body = group_digits(integer_digits(n, 16, s.kind == 'X'), s.group, 4);
      prefix = s.kind == 'x' ? "0x" : "0X";
      break;
    case 'o':
      body = group_digits(integer_digits(n, 8, false), s.group, 4);
      prefix = "0o";
      break;
    case 'b':
      body = group_digits(integer_digits(n, 2, false), s.group, 4);
      prefix = "0b";
      break;
    case 'c':
      if (n < 0 || n > 0x10FFFF || (n >= 0xD800 && n < 0xE000)) fail("%c arg not in range(0x110000)");
      unicode::append(body, static_cast<char32_t>(n));
      return pad("", body, s, s.align ? s.align : '<');
    case 'n':
      fail_unsupported("the format code 'n'");
    default:
      fail(std::string("Unknown format code '") + s.kind + "' for object of type 'int'");
  }
  return pad(sign_text(n < 0, s.sign) + (s.alternative ? prefix : ""), body, s, s.align ? s.align : '>');
}

// str.format: replacement fields with attributes, items, conversions and specifications, which may hold fields too.
class Formatter {
 public:
  Formatter(Interpreter& in, Args& args) : in_(in), args_(args) {}

  std::string format(std::string_view text, int depth = 2) {
    if (depth < 0) fail("Max string recursion exceeded");
    std::string out;
    for (std::size_t i = 0; i < text.size();) {
      const char c = text[i];
      if (c != '{' && c != '}') {
        out += c;
        ++i;
      } else if (i + 1 < text.size() && text[i + 1] == c) {
        out += c;
        i += 2;
      } else if (c == '}') {
        fail("Single '}' encountered in format string");
      } else {
        out += field(text, ++i, depth);
      }
      if (static_cast<int64_t>(out.size()) > in_.memory().max_live_bytes)
        fail_limit("the values take more than the allowed memory");
    }
    in_.work(out.size());
    return out;
  }

 private:
  std::string field(std::string_view text, std::size_t& i, int depth) {
    const std::size_t begin = i;
    int open = 1;
    for (; i < text.size(); ++i) {
      if (text[i] == '{') ++open;
      if (text[i] == '}' && --open == 0) break;
    }
    if (i >= text.size()) fail("expected '}' before end of string");
    std::string_view inside = text.substr(begin, i++ - begin);
    std::size_t name_end = 0;
    for (bool bracket = false; name_end < inside.size(); ++name_end) {
      if (inside[name_end] == '[') bracket = true;
      if (inside[name_end] == ']') bracket = false;
      if (!bracket && (inside[name_end] == '!' || inside[name_end] == ':')) break;
    }
    const std::string_view name = inside.substr(0, name_end);
    inside.remove_prefix(name_end);
    char conversion = 0;
    if (!inside.empty() && inside[0] == '!') {
      if (inside.size() < 2) fail("end of string while looking for conversion specifier");
      conversion = inside[1];
      inside.remove_prefix(2);
      if (!inside.empty() && inside[0] != ':') fail("expected ':' after conversion specifier");
    }
    std::string spec;
    if (!inside.empty()) spec = std::string(inside.substr(1));
    Val value = lookup(name);
    if (conversion == 'r') {
      value = in_.string(repr(value));
    } else if (conversion == 's') {
      value = in_.string(str(value));
    } else if (conversion == 'a') {
      fail_unsupported("the conversion '!a'");
    } else if (conversion) {
      fail(std::string("Unknown conversion specifier '") + conversion + "'");
    }
    if (spec.find('{') != spec.npos) spec = format(spec, depth - 1);
    return format_value(value, spec);
  }

  Val lookup(std::string_view name) {
    const std::size_t end = std::min(name.find_first_of(".["), name.size());
    const std::string_view first = name.substr(0, end);
    Val value;
    int64_t index = -1;
    const bool is_number = !first.empty() && std::from_chars(first.data(), first.data() + first.size(), index).ptr ==
                                                 first.data() + first.size();
    if (first.empty() || is_number) {
      if (first.empty()) {
        if (manual_) fail("cannot switch from manual field specification to automatic field numbering");
        automatic_ = true;
        index = next_++;
      } else {
        if (automatic_) fail("cannot switch from automatic field numbering to manual field specification");
        manual_ = true;
      }
      if (index < 0 || index >= static_cast<int64_t>(args_.positional.size())) {
        fail("Replacement index " + std::to_string(index) + " out of range for positional args tuple");
      }
      value = args_.positional[static_cast<std::size_t>(index)];
    } else {
      const auto at =
          std::find_if(args_.named.begin(), args_.named.end(), [&](const auto& entry) { return entry.first == first; });
      if (at == args_.named.end()) fail("KeyError: '" + std::string(first) + "'");
      value = at->second;
    }
    for (std::size_t i = end; i < name.size();) {
      const bool is_item = name[i] == '[';
      const std::size_t begin = i + 1;
      const std::size_t stop = is_item ? name.find(']', begin) : std::min(name.find_first_of(".[", begin), name.size());
      if (stop == name.npos) fail("Missing ']' in format string");
      const std::string part(name.substr(begin, stop - begin));
      if (part.empty()) fail("Empty attribute in format string");
      int64_t number = 0;
      const bool digits =
          std::from_chars(part.data(), part.data() + part.size(), number).ptr == part.data() + part.size() &&
          part[0] != '-';
      value = !is_item ? in_.get_attribute(value, part) : in_.get_item(value, digits ? Val(number) : in_.string(part));
      i = stop + is_item;
      if (is_item && i < name.size() && name[i] != '.' && name[i] != '[')
        fail("Only '.' or '[' may follow ']' in format field specifier");
    }
    return value;
  }

  Interpreter& in_;
  Args& args_;
  int64_t next_ = 0;
  bool automatic_ = false, manual_ = false;
};

// ---- methods of str

Val like(Interpreter& in, const Val& self, std::string text) {
  in.work(text.size());
  return in.string(std::move(text), self.str().markup);
}
// Work on every character of the text.
const std::string& all_of(Interpreter& in, const Val& self) {
  in.work(self.text().size() * 4);
  return self.text();
}
const std::string& text_argument(const Val& v, const char* function) {
  if (v.is_undefined()) fail(v.undefined_message());
  if (!v.is_string()) fail(std::string(function) + "() argument must be str, not " + type_name(v));
  return v.text();
}

Val str_upper(Interpreter& in, const Val& self, Args& args) {
  bind(args, "upper", {});
  return like(in, self, python::upper(all_of(in, self)));
}
Val str_lower(Interpreter& in, const Val& self, Args& args) {
  bind(args, "lower", {});
  return like(in, self, python::lower(all_of(in, self)));
}
Val str_title(Interpreter& in, const Val& self, Args& args) {
  bind(args, "title", {});
  return like(in, self, python::title(all_of(in, self)));
}
Val str_capitalize(Interpreter& in, const Val& self, Args& args) {
  bind(args, "capitalize", {});
  return like(in, self, python::capitalize(all_of(in, self)));
}
Val str_swapcase(Interpreter& in, const Val& self, Args& args) {
  bind(args, "swapcase", {});
  return like(in, self, python::swapcase(all_of(in, self)));
}

Val strip(Interpreter& in, const Val& self, Args& args, const char* name, bool left, bool right) {
  const auto bound = bind(args, name, {"chars"});
  std::string_view text = all_of(in, self);
  if (!bound[0] || bound[0]->is_none()) {
    if (left) text = python::strip_left(text);
    if (right) text = python::strip_right(text);
    return like(in, self, std::string(text));
  }
  const std::string& chars = text_argument(*bound[0], name);
  const auto is_one = [&](std::string_view c) {
    in.work(chars.size());
    for (std::size_t at = chars.find(c); at != chars.npos; at = chars.find(c, at + 1)) {
      if ((static_cast<unsigned char>(chars[at]) & 0xC0) != 0x80) return true;
    }
    return false;
  };
  while (left && !text.empty()) {
    std::size_t after = 0;
    unicode::next(text, after);
    if (!is_one(text.substr(0, after))) break;
    text.remove_prefix(after);
  }
  while (right && !text.empty()) {
    std::size_t begin = text.size() - 1;
    while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
    if (!is_one(text.substr(begin))) break;
    text = text.substr(0, begin);
  }
  return like(in, self, std::string(text));
}
Val str_strip(Interpreter& in, const Val& self, Args& args) { return strip(in, self, args, "strip", true, true); }
Val str_lstrip(Interpreter& in, const Val& self, Args& args) { return strip(in, self, args, "lstrip", true, false); }
Val str_rstrip(Interpreter& in, const Val& self, Args& args) { return strip(in, self, args, "rstrip", false, true); }

// Byte bounds of [start, end) in code points, negative ones from the end; false when start is beyond the end.
bool bounds(const Val& self, const Val* start, const Val* end, std::size_t& first, std::size_t& last) {
  const int64_t length = self.str().length;
  const auto place = [&](const Val* v, int64_t absent) {
    int64_t i = v && !v->is_none() ? as_index(*v) : absent;
    if (i < 0) i = std::max<int64_t>(i + length, 0);
    return i;
  };
  const int64_t from = place(start, 0), to = std::min(place(end, length), length);
  if (from > length || from > to) return false;
  const std::string& text = self.text();
  if (self.str().is_ascii()) {
    first = static_cast<std::size_t>(from);
    last = static_cast<std::size_t>(to);
    return true;
  }
  std::size_t at = 0;
  for (int64_t i = 0; i <= to; ++i) {
    if (i == from) first = at;
    if (i == to) last = at;
    if (i < to) unicode::next(text, at);
  }
  return true;
}

Val starts_or_ends(Interpreter& in, const Val& self, Args& args, const char* name, bool starts) {
  const auto bound = bind(args, name, {"prefix", "start", "end"}, 1);
  Vals choices{*bound[0]};
  if (bound[0]->is(Type::tuple)) {
    choices = bound[0]->items();
  } else if (!bound[0]->is_string()) {
    if (bound[0]->is_undefined()) fail(bound[0]->undefined_message());
    fail(std::string(name) + " first arg must be str or a tuple of str, not " + type_name(*bound[0]));
  }
  std::size_t first = 0, last = self.text().size();
  if (bound[1] || bound[2]) {
    all_of(in, self);
    if (!bounds(self, bound[1], bound[2], first, last)) return Val(false);
  }
  const std::string_view text = std::string_view(self.text()).substr(first, last - first);
  for (const Val& choice : choices) {
    const std::string& part = text_argument(choice, name);
    in.work(part.size());
    if (starts ? text.starts_with(part) : text.ends_with(part)) return Val(true);
  }
  return Val(false);
}
Val str_startswith(Interpreter& in, const Val& self, Args& args) {
  return starts_or_ends(in, self, args, "startswith", true);
}
Val str_endswith(Interpreter& in, const Val& self, Args& args) {
  return starts_or_ends(in, self, args, "endswith", false);
}

Val find(Interpreter& in, const Val& self, Args& args, const char* name, bool last_one, bool must) {
  const auto bound = bind(args, name, {"sub", "start", "end"}, 1);
  const std::string& part = text_argument(*bound[0], name);
  std::size_t first = 0, last = 0, at = std::string::npos;
  const std::string& text = all_of(in, self);
  if (bounds(self, bound[1], bound[2], first, last)) {
    const std::string_view window = std::string_view(text).substr(first, last - first);
    at = last_one ? window.rfind(part) : window.find(part);
    in.work(text.size() + part.size());
  }
  if (at == std::string::npos) {
    if (must) fail("substring not found");
    return Val(int64_t{-1});
  }
  return Val(static_cast<int64_t>(unicode::count(std::string_view(text).substr(0, first + at))));
}
Val str_find(Interpreter& in, const Val& self, Args& args) { return find(in, self, args, "find", false, false); }
Val str_rfind(Interpreter& in, const Val& self, Args& args) { return find(in, self, args, "rfind", true, false); }
Val str_index(Interpreter& in, const Val& self, Args& args) { return find(in, self, args, "index", false, true); }
Val str_rindex(Interpreter& in, const Val& self, Args& args) { return find(in, self, args, "rindex", true, true); }

Val str_count(Interpreter& in, const Val& self, Args& args) {
  const auto bound = bind(args, "count", {"sub", "start", "end"}, 1);
  const std::string& part = text_argument(*bound[0], "count");
  std::size_t first = 0, last = 0;
  const std::string& text = all_of(in, self);
  if (!bounds(self, bound[1], bound[2], first, last)) return Val(int64_t{0});
  const std::string_view window = std::string_view(text).substr(first, last - first);
  if (part.empty()) return Val(static_cast<int64_t>(unicode::count(window)) + 1);
  int64_t n = 0;
  for (std::size_t at = window.find(part); at != window.npos; at = window.find(part, at + part.size())) ++n;
  return Val(n);
}

Val str_replace(Interpreter& in, const Val& self, Args& args) {
  const auto bound = bind(args, "replace", {"old", "new", "count"}, 2);
  const std::string& from = text_argument(*bound[0], "replace");
  text_argument(*bound[1], "replace");
  const std::string to = self.str().markup ? escaped(*bound[1]) : bound[1]->text();
  int64_t count = bound[2] ? as_index(*bound[2]) : -1;
  if (count < 0) count = INT64_MAX;
  const std::string& text = all_of(in, self);
  std::string out;
  const auto append = [&](std::string_view part) {
    out += part;
    if (static_cast<int64_t>(out.size()) > in.memory().max_live_bytes)
      fail_limit("the values take more than the allowed memory");
  };
  std::size_t at = 0;
  if (from.empty()) {
    for (; count > 0; --count) {
      append(to);
      if (at >= text.size()) break;
      std::size_t after = at;
      unicode::next(text, after);
      append(std::string_view(text).substr(at, after - at));
      at = after;
    }
  } else {
    for (; count > 0; --count) {
      const std::size_t found = text.find(from, at);
      if (found == text.npos) break;
      append(std::string_view(text).substr(at, found - at));
      append(to);
      at = found + from.size();
    }
  }
  append(std::string_view(text).substr(std::min(at, text.size())));
  return like(in, self, std::move(out));
}

Val split(Interpreter& in, const Val& self, Args& args, const char* name, bool from_right) {
  const auto bound = bind(args, name, {"sep", "maxsplit"});
  int64_t limit = bound[1] ? as_index(*bound[1]) : -1;
  if (limit < 0) limit = INT64_MAX;
  const std::string_view text = all_of(in, self);
  std::vector<std::string_view> parts;
  if (bound[0] && !bound[0]->is_none()) {
    const std::string& mark = text_argument(*bound[0], name);
    if (mark.empty()) fail("empty separator");
    if (from_right) {
      std::size_t end = text.size();
      for (; limit > 0 && end >= mark.size(); --limit) {
        const std::size_t at = text.rfind(mark, end - mark.size());
        if (at == text.npos) break;
        parts.push_back(text.substr(at + mark.size(), end - at - mark.size()));
        end = at;
      }
      parts.push_back(text.substr(0, end));
      std::reverse(parts.begin(), parts.end());
    } else {
      std::size_t begin = 0;
      for (; limit > 0; --limit) {
        const std::size_t at = text.find(mark, begin);
        if (at == text.npos) break;
        parts.push_back(text.substr(begin, at - begin));
        begin = at + mark.size();
      }
      parts.push_back(text.substr(begin));
    }
  } else if (from_right) {
    std::string_view rest = python::strip_right(text);
    for (; limit > 0 && !rest.empty(); --limit) {
      std::size_t begin = rest.size();
      while (begin > 0) {
        std::size_t before = begin - 1;
        while (before > 0 && (static_cast<unsigned char>(rest[before]) & 0xC0) == 0x80) --before;
        std::size_t after = before;
        if (python::is_space(unicode::next(rest, after))) break;
        begin = before;
      }
      parts.push_back(rest.substr(begin));
      rest = python::strip_right(rest.substr(0, begin));
    }
    if (!rest.empty()) parts.push_back(rest);
    std::reverse(parts.begin(), parts.end());
  } else {
    std::string_view rest = python::strip_left(text);
    for (; limit > 0 && !rest.empty(); --limit) {
      std::size_t end = 0;
      while (end < rest.size()) {
        std::size_t after = end;
        if (python::is_space(unicode::next(rest, after))) break;
        end = after;
      }
      parts.push_back(rest.substr(0, end));
      rest = python::strip_left(rest.substr(end));
    }
    if (!rest.empty()) parts.push_back(rest);
  }
  Vals out;
  for (const std::string_view part : parts) {
    in.step();
    out.push_back(in.string(std::string(part), self.str().markup));
  }
  return make_list(in.memory(), std::move(out));
}
Val str_split(Interpreter& in, const Val& self, Args& args) { return split(in, self, args, "split", false); }
Val str_rsplit(Interpreter& in, const Val& self, Args& args) { return split(in, self, args, "rsplit", true); }

Val str_splitlines(Interpreter& in, const Val& self, Args& args) {
  const auto bound = bind(args, "splitlines", {"keepends"});
  const bool keep = bound[0] && truth(*bound[0]);
  const std::string& text = all_of(in, self);
  Vals out;
  for (std::size_t begin = 0, i = 0; i < text.size();) {
    const std::size_t at = i;
    const char32_t c = unicode::next(text, i);
    const bool ends = c == '\n' || c == '\r' || c == '\v' || c == '\f' || (c >= 0x1C && c <= 0x1E) || c == 0x85 ||
                      c == 0x2028 || c == 0x2029;
    if (!ends && i < text.size()) continue;
    if (c == '\r' && i < text.size() && text[i] == '\n') ++i;
    out.push_back(in.string(text.substr(begin, (ends && !keep ? at : i) - begin), self.str().markup));
    in.step();
    begin = i;
  }
  return make_list(in.memory(), std::move(out));
}

Val partition(Interpreter& in, const Val& self, Args& args, const char* name, bool last_one) {
  const auto bound = bind(args, name, {"sep"}, 1);
  const std::string& mark = text_argument(*bound[0], name);
  if (mark.empty()) fail("empty separator");
  const std::string& text = all_of(in, self);
  const std::size_t at = last_one ? text.rfind(mark) : text.find(mark);
  const auto part = [&](std::string s) { return in.string(std::move(s), self.str().markup); };
  if (at == text.npos) {
    return last_one ? make_tuple(in.memory(), {part(""), part(""), self})
                    : make_tuple(in.memory(), {self, part(""), part("")});
  }
  return make_tuple(in.memory(), {part(text.substr(0, at)), part(mark), part(text.substr(at + mark.size()))});
}
Val str_partition(Interpreter& in, const Val& self, Args& args) {
  return partition(in, self, args, "partition", false);
}
Val str_rpartition(Interpreter& in, const Val& self, Args& args) {
  return partition(in, self, args, "rpartition", true);
}

Val str_join(Interpreter& in, const Val& self, Args& args) {
  const auto bound = bind(args, "join", {"iterable"}, 1);
  const auto next = iterate(in.memory(), *bound[0]);
  std::string out;
  int64_t i = 0;
  for (Val item; next(item); ++i) {
    in.step();
    if (item.is_undefined()) fail(item.undefined_message());
    if (!item.is_string())
      fail("sequence item " + std::to_string(i) + ": expected str instance, " + type_name(item) + " found");
    if (i > 0) out += self.text();
    out += self.str().markup ? escaped(item) : item.text();
    in.work(self.text().size() + item.text().size());
    if (static_cast<int64_t>(out.size()) > in.memory().max_live_bytes)
      fail_limit("the values take more than the allowed memory");
  }
  return like(in, self, std::move(out));
}

Val str_removeprefix(Interpreter& in, const Val& self, Args& args) {
  const std::string& part = text_argument(*bind(args, "removeprefix", {"prefix"}, 1)[0], "removeprefix");
  return self.text().starts_with(part) ? like(in, self, self.text().substr(part.size())) : self;
}
Val str_removesuffix(Interpreter& in, const Val& self, Args& args) {
  const std::string& part = text_argument(*bind(args, "removesuffix", {"suffix"}, 1)[0], "removesuffix");
  return self.text().ends_with(part) ? like(in, self, self.text().substr(0, self.text().size() - part.size())) : self;
}

Val justify(Interpreter& in, const Val& self, Args& args, const char* name, char align) {
  const auto bound = bind(args, name, {"width", "fillchar"}, 1);
  const int64_t width = as_index(*bound[0]);
  std::string fill = " ";
  if (bound[1]) {
    fill = text_argument(*bound[1], name);
    if (unicode::count(fill) != 1) fail("The fill character must be exactly one character long");
  }
  const int64_t room = width - self.str().length;
  if (room <= 0) return self;
  check_size(in, room, static_cast<int64_t>(fill.size()), 1);
  in.work(static_cast<std::size_t>(room) * fill.size());
  // Python's center puts the odd one left when the width is odd.
  int64_t left = align == '<' ? 0 : align == '>' ? room : room / 2 + (room & width & 1);
  std::string out;
  for (int64_t i = 0; i < left; ++i) out += fill;
  out += self.text();
  for (int64_t i = left; i < room; ++i) out += fill;
  return like(in, self, std::move(out));
}
Val str_center(Interpreter& in, const Val& self, Args& args) { return justify(in, self, args, "center", '^'); }
Val str_ljust(Interpreter& in, const Val& self, Args& args) { return justify(in, self, args, "ljust", '<'); }
Val str_rjust(Interpreter& in, const Val& self, Args& args) { return justify(in, self, args, "rjust", '>'); }

Val str_zfill(Interpreter& in, const Val& self, Args& args) {
  const int64_t room = as_index(*bind(args, "zfill", {"width"}, 1)[0]) - self.str().length;
  if (room <= 0) return self;
  check_size(in, room, 1, 1);
  std::string out = self.text();
  const bool has_sign = !out.empty() && (out[0] == '+' || out[0] == '-');
  out.insert(has_sign ? 1 : 0, static_cast<std::size_t>(room), '0');
  return like(in, self, std::move(out));
}

Val str_expandtabs(Interpreter& in, const Val& self, Args& args) {
  const auto bound = bind(args, "expandtabs", {"tabsize"});
  const int64_t size = bound[0] ? std::min<int64_t>(as_index(*bound[0]), 1000) : 8;
  std::string out;
  int64_t column = 0;
  const std::string& text = all_of(in, self);
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t at = i;
    const char32_t c = unicode::next(text, i);
    if (c == '\t') {
      const int64_t spaces = size > 0 ? size - column % size : 0;
      out.append(static_cast<std::size_t>(spaces), ' ');
      column += spaces;
    } else {
      out += text.substr(at, i - at);
      column = c == '\n' || c == '\r' ? 0 : column + 1;
    }
    in.step();
  }
  return like(in, self, std::move(out));
}

Val str_format(Interpreter& in, const Val& self, Args& args) {
  if (self.str().markup) fail_unsupported("format() of a text marked safe");
  return in.string(Formatter(in, args).format(self.text()));
}

template <class Is>
Val all_characters(Interpreter& in, const Val& self, Args& args, const char* name, const Is& is, bool empty = false) {
  bind(args, name, {});
  const std::string& text = all_of(in, self);
  if (text.empty()) return Val(empty);
  for (std::size_t i = 0; i < text.size();) {
    if (!is(unicode::next(text, i))) return Val(false);
  }
  return Val(true);
}
Val str_isalpha(Interpreter& in, const Val& self, Args& args) {
  return all_characters(in, self, args, "isalpha", python::is_alpha);
}
Val str_isalnum(Interpreter& in, const Val& self, Args& args) {
  return all_characters(in, self, args, "isalnum", python::is_alnum);
}
Val str_isdigit(Interpreter& in, const Val& self, Args& args) {
  return all_characters(in, self, args, "isdigit", python::is_digit);
}
Val str_isdecimal(Interpreter& in, const Val& self, Args& args) {
  return all_characters(in, self, args, "isdecimal", python::is_decimal);
}
Val str_isnumeric(Interpreter& in, const Val& self, Args& args) {
  return all_characters(in, self, args, "isnumeric", python::is_numeric);
}
Val str_isspace(Interpreter& in, const Val& self, Args& args) {
  return all_characters(in, self, args, "isspace", python::is_space);
}
Val str_isprintable(Interpreter& in, const Val& self, Args& args) {
  return all_characters(in, self, args, "isprintable", python::is_printable, true);
}
Val str_isascii(Interpreter& in, const Val& self, Args& args) {
  return all_characters(
      in, self, args, "isascii", [](char32_t c) { return c < 0x80; }, true);
}
Val str_isidentifier(Interpreter& in, const Val& self, Args& args) {
  bool first = true;
  return all_characters(in, self, args, "isidentifier", [&](char32_t c) {
    return std::exchange(first, false) ? python::is_identifier_start(c) : python::is_identifier_part(c);
  });
}
Val str_isupper(Interpreter& in, const Val& self, Args& args) {
  bind(args, "isupper", {});
  return Val(python::is_upper(all_of(in, self)));
}
Val str_islower(Interpreter& in, const Val& self, Args& args) {
  bind(args, "islower", {});
  return Val(python::is_lower(all_of(in, self)));
}
Val str_istitle(Interpreter& in, const Val& self, Args& args) {
  bind(args, "istitle", {});
  return Val(python::is_title(all_of(in, self)));
}

// ---- methods of list, tuple, range, dict

Val sequence_count(Interpreter& in, const Val& self, Args& args) {
  const Val& wanted = *bind(args, "count", {"value"}, 1)[0];
  int64_t n = 0;
  for (const Val& item : in.list(self)) n += equal(item, wanted);
  return Val(n);
}
Val sequence_index(Interpreter& in, const Val& self, Args& args) {
  const auto bound = bind(args, "index", {"value", "start", "stop"}, 1);
  const Vals items = in.list(self);
  const auto size = static_cast<int64_t>(items.size());
  const auto place = [&](const Val* v, int64_t absent) {
    int64_t i = v ? as_index(*v) : absent;
    if (i < 0) i = std::max<int64_t>(i + size, 0);
    return std::min(i, size);
  };
  for (int64_t i = place(bound[1], 0), end = place(bound[2], size); i < end; ++i) {
    if (equal(items[static_cast<std::size_t>(i)], *bound[0])) return Val(i);
  }
  fail(repr(*bound[0]) + " is not in " + type_name(self));
}
Val list_copy(Interpreter&, const Val& self, Args& args) {
  bind(args, "copy", {});
  return self;  // nothing can be changed
}

Val dict_get(Interpreter&, const Val& self, Args& args) {
  if (!args.named.empty()) fail("dict.get() takes no keyword arguments");
  const auto bound = bind(args, "get", {"key", "default"}, 1);
  if (bound[0]->is(Type::list) || bound[0]->is(Type::dict))
    fail(std::string("unhashable type: '") + type_name(*bound[0]) + "'");
  if (const Val* value = self.dict().find(*bound[0])) return *value;
  return bound[1] ? *bound[1] : Val();
}
template <DictView::Kind kind>
Val dict_view(Interpreter&, const Val& self, Args& args) {
  bind(args, "items", {});
  return Val(Type::view, DictView{kind, self.shared_dict()});
}

struct MethodRow {
  std::string_view name;
  Method method;  // nullptr: not here
  bool unsafe = false;
};

constexpr MethodRow kStrMethods[] = {{"capitalize", str_capitalize},
                                     {"casefold", nullptr},
                                     {"center", str_center},
                                     {"count", str_count},
                                     {"encode", nullptr},
                                     {"endswith", str_endswith},
                                     {"expandtabs", str_expandtabs},
                                     {"find", str_find},
                                     {"format", str_format},
                                     {"format_map", nullptr},
                                     {"index", str_index},
                                     {"isalnum", str_isalnum},
                                     {"isalpha", str_isalpha},
                                     {"isascii", str_isascii},
                                     {"isdecimal", str_isdecimal},
                                     {"isdigit", str_isdigit},
                                     {"isidentifier", str_isidentifier},
                                     {"islower", str_islower},
                                     {"isnumeric", str_isnumeric},
                                     {"isprintable", str_isprintable},
                                     {"isspace", str_isspace},
                                     {"istitle", str_istitle},
                                     {"isupper", str_isupper},
                                     {"join", str_join},
                                     {"ljust", str_ljust},
                                     {"lower", str_lower},
                                     {"lstrip", str_lstrip},
                                     {"maketrans", nullptr},
                                     {"partition", str_partition},
                                     {"removeprefix", str_removeprefix},
                                     {"removesuffix", str_removesuffix},
                                     {"replace", str_replace},
                                     {"rfind", str_rfind},
                                     {"rindex", str_rindex},
                                     {"rjust", str_rjust},
                                     {"rpartition", str_rpartition},
                                     {"rsplit", str_rsplit},
                                     {"rstrip", str_rstrip},
                                     {"split", str_split},
                                     {"splitlines", str_splitlines},
                                     {"startswith", str_startswith},
                                     {"strip", str_strip},
                                     {"swapcase", str_swapcase},
                                     {"title", str_title},
                                     {"translate", nullptr},
                                     {"upper", str_upper},
                                     {"zfill", str_zfill}};
constexpr MethodRow kListMethods[] = {{"append", nullptr, true},  {"clear", nullptr, true},  {"copy", list_copy},
                                      {"count", sequence_count},  {"extend", nullptr, true}, {"index", sequence_index},
                                      {"insert", nullptr, true},  {"pop", nullptr, true},    {"remove", nullptr, true},
                                      {"reverse", nullptr, true}, {"sort", nullptr, true}};
constexpr MethodRow kTupleMethods[] = {{"count", sequence_count}, {"index", sequence_index}};
constexpr MethodRow kDictMethods[] = {{"clear", nullptr, true},
                                      {"copy", list_copy},
                                      {"fromkeys", nullptr},
                                      {"get", dict_get},
                                      {"items", dict_view<DictView::Kind::items>},
                                      {"keys", dict_view<DictView::Kind::keys>},
                                      {"pop", nullptr, true},
                                      {"popitem", nullptr, true},
                                      {"setdefault", nullptr, true},
                                      {"update", nullptr, true},
                                      {"values", dict_view<DictView::Kind::values>}};
constexpr MethodRow kIntMethods[] = {{"as_integer_ratio", nullptr},
                                     {"bit_count", nullptr},
                                     {"bit_length", nullptr},
                                     {"conjugate", nullptr},
                                     {"denominator", nullptr},
                                     {"from_bytes", nullptr},
                                     {"imag", nullptr},
                                     {"numerator", nullptr},
                                     {"real", nullptr},
                                     {"to_bytes", nullptr}};
constexpr MethodRow kFloatMethods[] = {
    {"as_integer_ratio", nullptr}, {"conjugate", nullptr}, {"fromhex", nullptr}, {"hex", nullptr}, {"imag", nullptr},
    {"is_integer", nullptr},       {"real", nullptr}};
constexpr MethodRow kViewMethods[] = {{"isdisjoint", nullptr}, {"mapping", nullptr}};

template <std::size_t N>
MethodEntry find_row(const MethodRow (&rows)[N], std::string_view name) {
  const auto at = std::lower_bound(std::begin(rows), std::end(rows), name,
                                   [](const MethodRow& r, std::string_view n) { return r.name < n; });
  if (at == std::end(rows) || at->name != name) return {};
  return {at->method, true, at->unsafe};
}

}  // namespace

MethodEntry find_method(const Val& self, std::string_view name) {
  switch (self.type()) {
    case Type::string:
      return find_row(kStrMethods, name);
    case Type::list:
      return find_row(kListMethods, name);
    case Type::tuple:
    case Type::range:
      return find_row(kTupleMethods, name);
    case Type::dict:
      return find_row(kDictMethods, name);
    case Type::boolean:
    case Type::integer:
      return find_row(kIntMethods, name);
    case Type::number:
      return find_row(kFloatMethods, name);
    case Type::view:
      return find_row(kViewMethods, name);
    default:
      return {};
  }
}

Val binary(Interpreter& in, Kind kind, const Val& a, const Val& b) {
  const bool formats = kind == Kind::modulo && a.is_string();
  if (a.is_undefined()) fail(a.undefined_message());
  if (b.is_undefined() && !formats) fail(b.undefined_message());
  if (formats) return format_percent(in, a, b);
  const bool integers = a.is_int() && b.is_int(), numbers = a.is_number() && b.is_number();
  int64_t out = 0;
  switch (kind) {
    case Kind::add:
      return add(in, a, b);
    case Kind::subtract:
      if (integers) {
        if (__builtin_sub_overflow(a.integer(), b.integer(), &out)) fail_beyond();
        return Val(out);
      }
      if (!numbers) fail_operands("-", a, b);
      return Val(a.number() - b.number());
    case Kind::multiply:
      if ((a.is_string() || a.is_sequence()) && b.is_int()) return repeat(in, a, b.integer());
      if ((b.is_string() || b.is_sequence()) && a.is_int()) return repeat(in, b, a.integer());
      if (integers) {
        if (__builtin_mul_overflow(a.integer(), b.integer(), &out)) fail_beyond();
        return Val(out);
      }
      if (!numbers) fail_operands("*", a, b);
      return Val(a.number() * b.number());
    case Kind::divide:
      if (!numbers) fail_operands("/", a, b);
      if (b.number() == 0) fail(integers ? "division by zero" : "float division by zero");
      return Val(a.number() / b.number());
    case Kind::floor_divide:
      if (integers) return Val(floor_divide(a.integer(), b.integer()));
      if (!numbers) fail_operands("//", a, b);
      return Val(float_floor_divide(a.number(), b.number()));
    case Kind::modulo:
      if (integers) {
        const int64_t n = a.integer(), d = b.integer();
        if (d == 0) fail("integer division or modulo by zero");
        if (d == -1) return Val(int64_t{0});
        const int64_t rest = n % d;
        return Val(rest != 0 && (rest < 0) != (d < 0) ? rest + d : rest);
      }
      if (!numbers) fail_operands("%", a, b);
      return Val(float_modulo(a.number(), b.number()));
    default:
      if (!numbers) fail_operands("** or pow()", a, b);
      return power(a, b);
  }
}

Val negate(const Val& v, bool negative) {
  if (v.is_undefined()) fail(v.undefined_message());
  if (v.is_int()) {
    if (!negative) return Val(v.integer());
    int64_t out = 0;
    if (__builtin_sub_overflow(int64_t{0}, v.integer(), &out)) fail_beyond();
    return Val(out);
  }
  if (!v.is(Type::number))
    fail(std::string("bad operand type for unary ") + (negative ? "-" : "+") + ": '" + type_name(v) + "'");
  return Val(negative ? -v.number() : v.number());
}

Val slice(Interpreter& in, const Val& v, const Val& start, const Val& stop, const Val& step) {
  if (v.is_undefined()) fail(v.undefined_message());
  if (!v.is_string() && !v.is_sequence() && !v.is(Type::range)) {
    fail(v.is(Type::dict) ? "unhashable type: 'slice'"
                          : std::string("'") + type_name(v) + "' object is not subscriptable");
  }
  const int64_t size = size_of(v);
  const int64_t by = step.is_none() ? 1 : as_index(step);
  if (by == 0) fail("slice step cannot be zero");
  const auto place = [&](const Val& bound, int64_t absent) {
    if (bound.is_none()) return absent;
    if (bound.is_undefined() || !bound.is_int())
      fail("slice indices must be integers or None or have an __index__ method");
    int64_t i = bound.integer();
    if (i < 0) {
      i = i < -size ? -1 : i + size;
      if (i < 0) i = by < 0 ? -1 : 0;
    } else if (i >= size) {
      i = by < 0 ? size - 1 : size;
    }
    return i;
  };
  const int64_t first = place(start, by < 0 ? size - 1 : 0), last = place(stop, by < 0 ? -1 : size);
  const int64_t count = Range{first, last, by}.size();
  in.step(1 + count / 16);
  if (v.is(Type::range)) {
    const Range& r = v.range();
    // Bounds just outside of the range may not fit; they wrap, and still give `count` items.
    const auto at = [&](int64_t i) {
      return static_cast<int64_t>(static_cast<uint64_t>(r.start) +
                                  static_cast<uint64_t>(i) * static_cast<uint64_t>(r.step));
    };
    if (count <= 1)
      return Val(Type::range, Range{at(first), at(first) + (count ? r.step > 0 ? 1 : -1 : 0), r.step > 0 ? 1 : -1});
    return Val(Type::range, Range{at(first), at(last), r.step * by});
  }
  if (v.is_string()) {
    const std::string& text = v.text();
    const bool markup = v.str().markup;
    if (by == 1) {
      if (v.str().is_ascii()) {
        return in.string(count > 0 ? text.substr(static_cast<std::size_t>(first), static_cast<std::size_t>(count)) : "",
                         markup);
      }
      in.work(text.size() * 4);
      std::size_t at = 0;
      for (int64_t i = 0; i < first && at < text.size(); ++i) unicode::next(text, at);
      const std::size_t begin = at;
      for (int64_t i = 0; i < count; ++i) unicode::next(text, at);
      return in.string(text.substr(begin, at - begin), markup);
    }
    in.work(text.size() * 16);
    std::vector<std::string_view> characters;
    for (std::size_t i = 0; i < text.size();) {
      const std::size_t begin = i;
      unicode::next(text, i);
      characters.push_back(std::string_view(text).substr(begin, i - begin));
    }
    std::string out;
    for (int64_t i = 0; i < count; ++i) out += characters[static_cast<std::size_t>(first + i * by)];
    return in.string(std::move(out), markup);
  }
  Vals out;
  out.reserve(static_cast<std::size_t>(count));
  for (int64_t i = 0; i < count; ++i) out.push_back(v.items()[static_cast<std::size_t>(first + i * by)]);
  return v.is(Type::list) ? make_list(in.memory(), std::move(out)) : make_tuple(in.memory(), std::move(out));
}

Val format_percent(Interpreter& in, const Val& format, const Val& values) {
  const std::string& text = format.text();
  const bool markup = format.str().markup;
  in.work(text.size());
  const bool is_tuple = values.is(Type::tuple);
  std::size_t used = 0;
  const auto next_value = [&]() -> Val {
    if (is_tuple) {
      if (used >= values.items().size()) fail("not enough arguments for format string");
      return values.items()[used++];
    }
    if (used++ > 0) fail("not enough arguments for format string");
    return values;
  };
  std::string out;
  bool by_name = false;
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] != '%') {
      out += text[i++];
      continue;
    }
    if (++i >= text.size()) fail("incomplete format");
    Val named;
    bool has_name = false;
    if (text[i] == '(') {
      if (!values.is(Type::dict)) fail("format requires a mapping");
      std::size_t end = i + 1;
      for (int open = 1; end < text.size(); ++end) {
        if (text[end] == '(') ++open;
        if (text[end] == ')' && --open == 0) break;
      }
      if (end >= text.size()) fail("incomplete format key");
      const std::string key = text.substr(i + 1, end - i - 1);
      const Val* found = values.dict().find(key);
      if (!found) fail("KeyError: '" + key + "'");
      named = *found;
      has_name = by_name = true;
      i = end + 1;
    }
    Spec s;
    bool left = false;
    for (; i < text.size() && std::string_view("-+ #0").find(text[i]) != std::string_view::npos; ++i) {
      if (text[i] == '-') left = true;
      if (text[i] == '+') s.sign = '+';
      if (text[i] == ' ' && s.sign != '+') s.sign = ' ';
      if (text[i] == '#') s.alternative = true;
      if (text[i] == '0') s.zero = true;
    }
    const auto number = [&](int64_t absent) {
      if (i < text.size() && text[i] == '*') {
        ++i;
        const Val v = next_value();
        if (!v.is_int()) fail("* wants int");
        if (v.integer() > kMaxWidth || v.integer() < -kMaxWidth)
          fail_limit("a width or precision beyond " + std::to_string(kMaxWidth));
        return v.integer();
      }
      return i < text.size() && text[i] >= '0' && text[i] <= '9' ? read_number(text, i) : absent;
    };
    s.width = number(0);
    if (s.width < 0) {
      left = true;
      s.width = -s.width;
    }
    if (i < text.size() && text[i] == '.') {
      ++i;
      s.precision = std::max<int64_t>(number(0), 0);
    }
    while (i < text.size() && std::string_view("hlL").find(text[i]) != std::string_view::npos) ++i;
    if (i >= text.size()) fail("incomplete format");
    const char kind = text[i++];
    if (kind == '%') {
      out += '%';
      continue;
    }
    const Val v = has_name ? named : next_value();
    const auto put = [&](const std::string& sign, const std::string& body, bool zeros) {
      if (zeros && s.zero && !left) {
        s.fill = "0";
        out += pad(sign, body, s, '=');
      } else {
        s.fill = " ";
        out += pad(sign, body, s, left ? '<' : '>');
      }
    };
    switch (kind) {
      case 's':
      case 'r': {
        std::string body = kind == 'r' ? repr(v) : markup ? escaped(v) : str(v);
        if (s.precision >= 0) {
          std::size_t end = 0;
          for (int64_t n = 0; n < s.precision && end < body.size(); ++n) unicode::next(body, end);
          body.resize(end);
        }
        put("", body, false);
        break;
      }
      case 'd':
      case 'i':
      case 'u':
      case 'x':
      case 'X':
      case 'o': {
        if (v.is_undefined()) fail(v.undefined_message());
        int64_t n = 0;
        if (v.is_int()) {
          n = v.integer();
        } else if (v.is_number() && kind != 'x' && kind != 'X' && kind != 'o') {
          if (!std::isfinite(v.number())) fail("cannot convert float to integer");
          if (std::fabs(v.number()) >= 9.2e18) fail_beyond();
          n = static_cast<int64_t>(v.number());
        } else {
          fail(std::string("%") + kind + " format: a number is required, not " + type_name(v));
        }
        const int base = kind == 'o' ? 8 : kind == 'x' || kind == 'X' ? 16 : 10;
        std::string body = integer_digits(n, base, kind == 'X');
        if (static_cast<int64_t>(body.size()) < s.precision)
          body.insert(0, static_cast<std::size_t>(s.precision) - body.size(), '0');
        const std::string prefix = !s.alternative || base == 10 ? "" : base == 8 ? "0o" : kind == 'x' ? "0x" : "0X";
        put(sign_text(n < 0, s.sign) + prefix, body, true);
        break;
      }
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
        if (v.is_undefined()) fail(v.undefined_message());
        if (!v.is_number()) fail(std::string("must be real number, not ") + type_name(v));
        put(sign_text(std::signbit(v.number()), s.sign),
            float_digits(v.number(), kind, s.precision < 0 ? 6 : s.precision, s.alternative), true);
        break;
      case 'c': {
        std::string body;
        if (v.is_string() && v.str().length == 1) {
          body = v.text();
        } else if (v.is_int() && v.integer() >= 0 && v.integer() < 0x110000 &&
                   !(v.integer() >= 0xD800 && v.integer() < 0xE000)) {
          unicode::append(body, static_cast<char32_t>(v.integer()));
        } else {
          fail("%c requires int or char");
        }
        put("", body, false);
        break;
      }
      case 'a':
        fail_unsupported("the format code 'a'");
      default:
        fail(std::string("unsupported format character '") + kind + "'");
    }
    if (static_cast<int64_t>(out.size()) > in.memory().max_live_bytes)
      fail_limit("the values take more than the allowed memory");
  }
  const bool all_used =
      is_tuple ? used >= values.items().size()
               : used > 0 || by_name || values.is_undefined() || values.is(Type::dict) || values.is(Type::list);
  if (!all_used) fail("not all arguments converted during string formatting");
  return in.string(std::move(out), markup);
}

}  // namespace transformers::jinja
