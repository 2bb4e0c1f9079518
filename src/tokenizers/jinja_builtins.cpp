// Implements jinja_builtins.hpp: filters, tests, global functions and JSON. Methods are in jinja_methods.cpp.
#include "jinja_builtins.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "jinja_interpreter.hpp"
#include "python_text.hpp"
#include "transformers/tokenizers/unicode.hpp"

namespace transformers::jinja {
namespace {

using Type = Val::Type;

// ---- arguments

bool flag(const Val* v, bool absent) { return v ? truth(*v) : absent; }
int64_t whole(const Val* v, int64_t absent) { return v ? as_index(*v) : absent; }

// An attribute path as filters take it: "a.b.0", an integer, or none.
Vals attribute_parts(Interpreter& in, const Val& attribute) {
  if (attribute.is_none()) return {};
  if (!attribute.is_string()) return {attribute};
  Vals parts;
  const std::string& text = attribute.text();
  in.work(text.size() * 8);
  for (std::size_t begin = 0;;) {
    const std::size_t end = std::min(text.find('.', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    const bool digits =
        !part.empty() && std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
    int64_t index = 0;
    if (digits && std::from_chars(part.data(), part.data() + part.size(), index).ec == std::errc()) {
      parts.emplace_back(index);
    } else {
      parts.push_back(in.string(part));
    }
    if (end == text.size()) return parts;
    begin = end + 1;
  }
}

Val ignore_case(Interpreter& in, const Val& v) {
  if (!v.is_string()) return v;
  in.work(v.text().size() * 8);
  return in.string(python::lower(v.text()), v.str().markup);
}

// What filters call on each item: an attribute of it, in lower case unless case_sensitive.
struct Getter {
  Vals parts;
  bool lower = false;
  const Val* otherwise = nullptr;  // in place of undefined

  Val operator()(Interpreter& in, const Val& item) const {
    Val value = item;
    for (const Val& part : parts) {
      value = in.get_item(value, part);
      if (otherwise && !otherwise->is_none() && value.is_undefined()) value = *otherwise;
    }
    return lower ? ignore_case(in, value) : value;
  }
};

// Stable, as Python's sorted(); reverse keeps equal items in their order.
void sort_by_keys(Interpreter& in, std::vector<std::pair<Val, Val>>& keyed, bool reverse) {
  std::stable_sort(keyed.begin(), keyed.end(), [&](const auto& a, const auto& b) {
    in.step();
    return reverse ? less(b.first, a.first) : less(a.first, b.first);
  });
}

Vals values_of(std::vector<std::pair<Val, Val>> keyed) {
  Vals out;
  for (auto& entry : keyed) out.push_back(std::move(entry.second));
  return out;
}

// ---- filters of text

Val with_text(Interpreter& in, const Val& like, std::string text) {
  in.work(text.size() * 4);
  return in.string(std::move(text), like.is_string() && like.str().markup);
}

Val filter_upper(Interpreter& in, const Val& v, Args& args) {
  bind(args, "upper", {});
  const Val s = soft_str(in, v);
  return with_text(in, s, python::upper(s.text()));
}
Val filter_lower(Interpreter& in, const Val& v, Args& args) {
  bind(args, "lower", {});
  const Val s = soft_str(in, v);
  return with_text(in, s, python::lower(s.text()));
}
Val filter_capitalize(Interpreter& in, const Val& v, Args& args) {
  bind(args, "capitalize", {});
  const Val s = soft_str(in, v);
  return with_text(in, s, python::capitalize(s.text()));
}

// Words begin after white space, a dash or an opening bracket.
Val filter_title(Interpreter& in, const Val& v, Args& args) {
  bind(args, "title", {});
  const Val s = soft_str(in, v);
  const std::string& text = s.text();
  std::string out;
  const auto is_break = [](char32_t c) {
    return c == '-' || c == '(' || c == '{' || c == '[' || c == '<' || python::is_space(c);
  };
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t begin = i;
    const bool breaks = is_break(unicode::next(text, i));
    const std::size_t first = i;
    while (i < text.size()) {
      std::size_t after = i;
      if (is_break(unicode::next(text, after)) != breaks) break;
      i = after;
    }
    out += python::upper(text.substr(begin, first - begin)) + python::lower(text.substr(first, i - first));
  }
  return with_text(in, s, std::move(out));
}

Val call_method(Interpreter& in, const Val& self, const char* name, Args& args) {
  return find_method(self, name).method(in, self, args);
}

Val filter_trim(Interpreter& in, const Val& v, Args& args) {
  const auto bound = bind(args, "trim", {"chars"});
  Args chars;
  if (bound[0]) chars.positional.push_back(*bound[0]);
  return call_method(in, soft_str(in, v), "strip", chars);
}

Val filter_center(Interpreter& in, const Val& v, Args& args) {
  const auto bound = bind(args, "center", {"width"});
  Args width{{Val(whole(bound[0], 80))}, {}};
  return call_method(in, soft_str(in, v), "center", width);
}

Val filter_replace(Interpreter& in, const Val& v, Args& args) {
  const auto bound = bind(args, "replace", {"old", "new", "count"}, 2);
  Args plain{{in.string(str(*bound[0])), in.string(str(*bound[1]))}, {}};
  if (bound[2] && !bound[2]->is_none()) plain.positional.push_back(*bound[2]);
  return call_method(in, in.string(str(v)), "replace", plain);
}

Val filter_string(Interpreter& in, const Val& v, Args& args) {
  bind(args, "string", {});
  return soft_str(in, v);
}
Val filter_safe(Interpreter& in, const Val& v, Args& args) {
  bind(args, "safe", {});
  std::string text = str(v);
  in.work(text.size());
  return in.string(std::move(text), true);
}
Val filter_escape(Interpreter& in, const Val& v, Args& args) {
  bind(args, "escape", {});
  if (v.is_string() && v.str().markup) return v;
  const std::string text = str(v);
  in.work(text.size() * 6);
  return in.string(escape_html(text), true);
}
Val filter_forceescape(Interpreter& in, const Val& v, Args& args) {
  bind(args, "forceescape", {});
  const std::string text = str(v);
  in.work(text.size() * 6);
  return in.string(escape_html(text), true);
}

// Lines as str.splitlines() cuts them.
std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  for (std::size_t begin = 0, i = 0; i < text.size();) {
    const std::size_t at = i;
    const char32_t c = unicode::next(text, i);
    const bool ends = c == '\n' || c == '\r' || c == '\v' || c == '\f' || (c >= 0x1C && c <= 0x1E) || c == 0x85 ||
                      c == 0x2028 || c == 0x2029;
    if (ends) {
      if (c == '\r' && i < text.size() && text[i] == '\n') ++i;
      lines.push_back(text.substr(begin, at - begin));
      begin = i;
    } else if (i >= text.size()) {
      lines.push_back(text.substr(begin));
    }
  }
  return lines;
}

Val filter_indent(Interpreter& in, const Val& v, Args& args) {
  const auto bound = bind(args, "indent", {"width", "first", "blank"});
  if (v.is_undefined()) fail(v.undefined_message());
  if (!v.is_string()) fail(std::string("unsupported operand type(s) for +=: '") + type_name(v) + "' and 'str'");
  const std::string indention =
      bound[0] && bound[0]->is_string()
          ? bound[0]->text()
          : std::string(static_cast<std::size_t>(std::clamp<int64_t>(whole(bound[0], 4), 0, 10000)), ' ');
  const bool first = flag(bound[1], false), blank = flag(bound[2], false);
  const std::string text = v.text() + '\n';
  const auto lines = split_lines(text);
  in.work(text.size() + lines.size() * (indention.size() + 64));
  std::string out;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out += '\n';
    if (i == 0 ? first : blank || !lines[i].empty()) out += indention;
    out += lines[i];
    if (static_cast<int64_t>(out.size()) > in.memory().max_live_bytes)
      fail_limit("the values take more than the allowed memory");
  }
  return in.string(std::move(out), v.str().markup);
}

Val filter_truncate(Interpreter& in, const Val& v, Args& args) {
  const auto bound = bind(args, "truncate", {"length", "killwords", "end", "leeway"});
  const int64_t length = whole(bound[0], 255), leeway = bound[3] && !bound[3]->is_none() ? as_index(*bound[3]) : 5;
  const Val end = bound[2] ? *bound[2] : in.string("...");
  if (!v.is_string() || !end.is_string()) fail("truncate takes strings");
  if (length < end.str().length)
    fail("expected length >= " + std::to_string(end.str().length) + ", got " + std::to_string(length));
  if (leeway < 0) fail("expected leeway >= 0, got " + std::to_string(leeway));
  if (v.str().length - length <= leeway) return v;
  const Val cut = slice(in, v, Val(), Val(length - end.str().length), Val());
  std::string text = cut.text();
  if (!flag(bound[1], false)) text = text.substr(0, text.rfind(' '));
  return with_text(in, v, text + end.text());
}

Val filter_wordcount(Interpreter& in, const Val& v, Args& args) {
  bind(args, "wordcount", {});
  const Val s = soft_str(in, v);
  in.work(s.text().size() * 8);
  int64_t words = 0;
  bool inside = false;
  for (std::size_t i = 0; i < s.text().size();) {
    const char32_t c = unicode::next(s.text(), i);
    const bool is_word = c == '_' || python::is_alnum(c);
    words += is_word && !inside;
    inside = is_word;
  }
  return Val(words);
}

std::string url_quote(std::string_view text, bool for_query) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (byte < 0x80 && std::isalnum(byte)) ||
                       std::string_view("_.-~").find(c) != std::string_view::npos || (c == '/' && !for_query);
    if (plain) {
      out += c;
    } else if (c == ' ' && for_query) {
      out += '+';
    } else {
      out += '%';
      out += "0123456789ABCDEF"[byte >> 4];
      out += "0123456789ABCDEF"[byte & 15];
    }
  }
  return out;
}

Val filter_urlencode(Interpreter& in, const Val& v, Args& args) {
  bind(args, "urlencode", {});
  if (v.is_string() || !is_iterable(v)) return with_text(in, Val(), url_quote(str(v), false));
  std::string out;
  const Val items = v.is(Type::dict) ? Val(Type::view, DictView{DictView::Kind::items, v.shared_dict()}) : v;
  for (const Val& item : in.list(items)) {
    const Vals pair = in.list(item);
    if (pair.size() != 2) fail("urlencode takes a mapping or pairs");
    if (!out.empty()) out += '&';
    out += url_quote(str(pair[0]), true) + '=' + url_quote(str(pair[1]), true);
  }
  return with_text(in, Val(), std::move(out));
}

Val filter_format(Interpreter& in, const Val& v, Args& args) {
  if (!args.positional.empty() && !args.named.empty())
    fail("can't handle positional and keyword arguments at the same time");
  if (args.named.empty()) return format_percent(in, soft_str(in, v), make_tuple(in.memory(), args.positional));
  auto dict = std::make_shared<Dict>(&in.memory());
  for (const auto& [name, value] : args.named) dict->set(in.string(name), value);
  return format_percent(in, soft_str(in, v), make_dict(std::move(dict)));
}

Val filter_filesizeformat(Interpreter& in, const Val& v, Args& args) {
  const auto bound = bind(args, "filesizeformat", {"binary"});
  const bool binary = flag(bound[0], false);
  Args none;
  const double bytes = v.is_number() ? v.number() : find_filter("float")(in, v, none).number();
  const double base = binary ? 1024 : 1000;
  if (bytes == 1) return in.string("1 Byte");
  if (bytes < base) return in.string(std::to_string(static_cast<int64_t>(bytes)) + " Bytes");
  constexpr std::string_view kLetters = "kMGTPEZY";
  double unit = base;
  std::size_t i = 0;
  for (;; ++i) {
    unit *= base;
    if (bytes < unit || i + 1 == kLetters.size()) break;
  }
  Val number = format_percent(in, in.string("%.1f"), Val(base * bytes / unit));
  const char letter = binary && i == 0 ? 'K' : kLetters[i];
  return in.string(number.text() + ' ' + letter + (binary ? "iB" : "B"));
}

// ---- filters of numbers

Val filter_abs(Interpreter&, const Val& v, Args& args) {
  bind(args, "abs", {});
  if (v.is_undefined()) fail(v.undefined_message());
  if (v.is_int()) return v.integer() < 0 ? negate(v, true) : Val(v.integer());
  if (v.is_number()) return Val(std::fabs(v.number()));
  fail(std::string("bad operand type for abs(): '") + type_name(v) + "'");
}

// float(text) of Python; nothing when the text is no number.
bool parse_float(std::string_view text, double& out) {
  text = python::strip(text);
  std::string clean;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '_') {
      const bool between = i > 0 && i + 1 < text.size() && std::isdigit(static_cast<unsigned char>(text[i - 1])) &&
                           std::isdigit(static_cast<unsigned char>(text[i + 1]));
      if (!between) return false;
    } else {
      clean += text[i];
    }
  }
  std::string_view digits = clean;
  bool negative = false;
  if (!digits.empty() && (digits[0] == '+' || digits[0] == '-')) {
    negative = digits[0] == '-';
    digits.remove_prefix(1);
  }
  if (digits.empty() || digits[0] == '+' || digits[0] == '-') return false;
  const std::string lower = python::lower(digits);
  if (lower == "inf" || lower == "infinity") {
    out = negative ? -INFINITY : INFINITY;
    return true;
  }
  if (lower == "nan") {
    out = NAN;
    return true;
  }
  if (!std::isdigit(static_cast<unsigned char>(digits[0])) && digits[0] != '.') return false;
  double value = 0;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (result.ptr != digits.data() + digits.size() || result.ec == std::errc::invalid_argument) return false;
  // Out of range: from_chars does not say on which side.
  if (result.ec == std::errc::result_out_of_range)
    value = digits.find("e-") != digits.npos || digits.find("E-") != digits.npos ? 0 : INFINITY;
  out = negative ? -value : value;
  return true;
}

// int(text, base) of Python.
bool parse_int(std::string_view text, int64_t base, int64_t& out) {
  text = python::strip(text);
  bool negative = false;
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  const char kind = text.size() > 1 && text[0] == '0' ? static_cast<char>(text[1] | 0x20) : '\0';
  const int64_t prefix = kind == 'x' ? 16 : kind == 'o' ? 8 : kind == 'b' ? 2 : 0;
  bool after_prefix = false;
  if (prefix && (base == prefix || base == 0)) {
    base = prefix;
    text.remove_prefix(2);
    after_prefix = true;
  } else if (base == 0) {
    base = 10;
    if (text.size() > 1 && text[0] == '0' && text.find_first_not_of("0_") != text.npos) return false;
  }
  if (base < 2 || base > 36) return false;
  std::string clean;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      clean += text[i];
    } else if ((i == 0 && !after_prefix) || i + 1 == text.size() || text[i + 1] == '_') {
      return false;
    }
  }
  if (clean.empty() || clean[0] == '-') return false;
  if (negative) clean.insert(0, "-");
  const auto result = std::from_chars(clean.data(), clean.data() + clean.size(), out, static_cast<int>(base));
  if (result.ptr != clean.data() + clean.size()) return false;
  if (result.ec == std::errc::result_out_of_range) fail_limit("an integer beyond 64 bits");
  return result.ec == std::errc();
}

bool float_to_int(double d, int64_t& out) {
  if (!std::isfinite(d)) return false;
  d = std::trunc(d);
  if (d < -9223372036854775808.0 || d >= 9223372036854775808.0) fail_limit("an integer beyond 64 bits");
  out = static_cast<int64_t>(d);
  return true;
}

Val filter_int(Interpreter& in, const Val& v, Args& args) {
  const auto bound = bind(args, "int", {"default", "base"});
  const Val otherwise = bound[0] ? *bound[0] : Val(int64_t{0});
  if (v.is_undefined()) fail(v.undefined_message());
  int64_t out = 0;
  if (v.is_int()) return Val(v.integer());
  if (v.is(Type::number)) {
    if (std::isinf(v.number())) fail("cannot convert float infinity to integer");
    return float_to_int(v.number(), out) ? Val(out) : otherwise;
  }
  if (!v.is_string()) return otherwise;
  in.work(v.text().size() * 8);
  if (parse_int(v.text(), whole(bound[1], 10), out)) return Val(out);
  double d = 0;
  return parse_float(v.text(), d) && float_to_int(d, out) ? Val(out) : otherwise;
}

Val filter_float(Interpreter& in, const Val& v, Args& args) {
  const auto bound = bind(args, "float", {"default"});
  if (v.is_undefined()) fail(v.undefined_message());
  if (v.is_number()) return Val(v.number());
  double d = 0;
  if (v.is_string()) {
    in.work(v.text().size() * 8);
    if (parse_float(v.text(), d)) return Val(d);
  }
  return bound[0] ? *bound[0] : Val(0.0);
}

Val filter_round(Interpreter&, const Val& v, Args& args) {
  const auto bound = bind(args, "round", {"precision", "method"});
  const int64_t precision = whole(bound[0], 0);
  const std::string method = bound[1] ? str(*bound[1]) : "common";
  if (method != "common" && method != "ceil" && method != "floor") fail("method must be common, ceil or floor");
  if (v.is_undefined()) fail(v.undefined_message());
  if (!v.is_number()) fail(std::string("type ") + type_name(v) + " doesn't define __round__ method");
  if (method != "common") {
    if (precision < -300 || precision > 300) fail_limit("a precision beyond 300");
    const double scale = std::pow(10.0, static_cast<double>(precision));
    const double scaled = v.number() * scale;
    if (!std::isfinite(scaled)) fail("cannot convert float to integer");
    return Val((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
  }
  if (v.is_int()) {
    if (precision >= 0) return Val(v.integer());
    if (precision < -18) return Val(int64_t{0});
    int64_t unit = 1;
    for (int64_t i = 0; i < -precision; ++i) unit *= 10;
    const int64_t n = v.integer();
    int64_t quotient = n / unit, rest = n % unit;
    if (rest < 0) {
      rest += unit;
      --quotient;
    }
    if (rest > unit - rest || (rest == unit - rest && quotient % 2 != 0)) ++quotient;
    int64_t out = 0;
    if (__builtin_mul_overflow(quotient, unit, &out)) fail_limit("an integer beyond 64 bits");
    return Val(out);
  }
  const double d = v.number();
  if (!std::isfinite(d) || precision > 323) return v;
  if (precision < -308) return Val(std::copysign(0.0, d));
  if (precision < 0) {
    const double unit = std::pow(10.0, static_cast<double>(-precision));
    return Val(std::nearbyint(d / unit) * unit);
  }
  // The decimal of the exact value, rounded half to even, read back: what Python does.
  char buffer[800];
  const auto end =
      std::to_chars(buffer, buffer + sizeof(buffer), d, std::chars_format::fixed, static_cast<int>(precision));
  double out = d;
  std::from_chars(buffer, end.ptr, out);
  return Val(out);
}

// ---- filters of sequences

Val filter_length(Interpreter&, const Val& v, Args& args) {
  bind(args, "length", {});
  const int64_t size = size_of(v);
  if (size < 0) fail(std::string("object of type '") + type_name(v) + "' has no len()");
  return Val(size);
}

Val filter_default(Interpreter& in, const Val& v, Args& args) {
  const auto bound = bind(args, "default", {"default_value", "boolean"});
  if (v.is_undefined() || (flag(bound[1], false) && !truth(v))) return bound[0] ? *bound[0] : in.string("");
  return v;
}

Val filter_list(Interpreter& in, const Val& v, Args& args) {
  bind(args, "list", {});
  return make_list(in.memory(), in.list(v));
}

Val filter_first(Interpreter& in, const Val& v, Args& args) {
  bind(args, "first", {});
  Val out;
  return iterate(in.memory(), v)(out) ? out : make_undefined("No first item, sequence was empty.");
}

Val filter_last(Interpreter& in, const Val& v, Args& args) {
  bind(args, "last", {});
  if (v.is(Type::iterator) || size_of(v) < 0) fail(std::string("'") + type_name(v) + "' object is not reversible");
  const Vals items = in.list(v);
  return items.empty() ? make_undefined("No last item, sequence was empty.") : items.back();
}

Val filter_join(Interpreter& in, const Val& v, Args& args) {
  const auto bound = bind(args, "join", {"d", "attribute"});
  const std::string between = bound[0] ? str(*bound[0]) : "";
  Getter get;
  if (bound[1]) get.parts = attribute_parts(in, *bound[1]);
  const auto next = iterate(in.memory(), v);
  std::string out;
  bool first = true;
  for (Val item; next(item);) {
    if (!first) out += between;
    first = false;
    append_str(out, get(in, item));
    in.work(between.size());
    if (static_cast<int64_t>(out.size()) > in.memory().max_live_bytes)
      fail_limit("the values take more than the allowed memory");
  }
  return in.string(std::move(out));
}

Val filter_reverse(Interpreter& in, const Val& v, Args& args) {
  bind(args, "reverse", {});
  if (v.is_string()) return slice(in, v, Val(), Val(), Val(int64_t{-1}));
  if (!is_iterable(v)) fail("argument must be iterable");
  Vals items = in.list(v);
  std::reverse(items.begin(), items.end());
  const Val list = make_list(in.memory(), std::move(items));
  if (v.is(Type::iterator)) return list;
  return make_iterator(list, iterate(in.memory(), list), "reversed");
}

Val filter_items(Interpreter& in, const Val& v, Args& args) {
  bind(args, "items", {});
  if (v.is_undefined()) return make_iterator(Val(), [](Val&) { return false; });
  if (!v.is(Type::dict)) fail("Can only get item pairs from a mapping.");
  return make_iterator(v, iterate(in.memory(), Val(Type::view, DictView{DictView::Kind::items, v.shared_dict()})));
}

Val filter_dictsort(Interpreter& in, const Val& v, Args& args) {
  const auto bound = bind(args, "dictsort", {"case_sensitive", "by", "reverse"});
  const std::string by = bound[1] ? str(*bound[1]) : "key";
  if (by != "key" && by != "value") fail("You can only sort by either \"key\" or \"value\"");
  if (v.is_undefined()) fail(v.undefined_message());
  if (!v.is(Type::dict)) fail(std::string("'") + type_name(v) + "' object has no attribute 'items'");
  std::vector<std::pair<Val, Val>> keyed;
  for (const auto& [key, value] : v.dict().items) {
    const Val& by_what = by == "key" ? key : value;
    keyed.emplace_back(flag(bound[0], false) ? by_what : ignore_case(in, by_what),
                       make_tuple(in.memory(), {key, value}));
  }
  sort_by_keys(in, keyed, flag(bound[2], false));
  return make_list(in.memory(), values_of(std::move(keyed)));
}

Val filter_sort(Interpreter& in, const Val& v, Args& args) {
  const auto bound = bind(args, "sort", {"reverse", "case_sensitive", "attribute"});
  const bool lower = !flag(bound[1], false);
  std::vector<Getter> getters;
  if (bound[2] && bound[2]->is_string()) {
    const std::string& text = bound[2]->text();
    for (std::size_t begin = 0;;) {
      const std::size_t end = std::min(text.find(',', begin), text.size());
      getters.push_back({attribute_parts(in, in.string(text.substr(begin, end - begin))), lower, nullptr});
      if (end == text.size()) break;
      begin = end + 1;
    }
  } else {
    getters.push_back({bound[2] ? attribute_parts(in, *bound[2]) : Vals{}, lower, nullptr});
  }
  std::vector<std::pair<Val, Val>> keyed;
  for (const Val& item : in.list(v)) {
    Vals keys;
    for (const Getter& get : getters) keys.push_back(get(in, item));
    keyed.emplace_back(make_list(in.memory(), std::move(keys)), item);
  }
  sort_by_keys(in, keyed, flag(bound[0], false));
  return make_list(in.memory(), values_of(std::move(keyed)));
}

Val filter_unique(Interpreter& in, const Val& v, Args& args) {
  const auto bound = bind(args, "unique", {"case_sensitive", "attribute"});
  Getter get{bound[1] ? attribute_parts(in, *bound[1]) : Vals{}, !flag(bound[0], false), nullptr};
  const auto seen = std::make_shared<Dict>(&in.memory());
  return make_iterator(v, [&in, get, seen, next = iterate(in.memory(), v)](Val& out) {
    while (next(out)) {
      in.step();
      const Val key = get(in, out);
      if (seen->find(key)) continue;
      seen->set(key, Val());
      return true;
    }
    return false;
  });
}

Val extreme(Interpreter& in, const Val& v, Args& args, const char* name, bool largest) {
  const auto bound = bind(args, name, {"case_sensitive", "attribute"});
  const Getter get{bound[1] ? attribute_parts(in, *bound[1]) : Vals{}, !flag(bound[0], false), nullptr};
  const Vals items = in.list(v);
  if (items.empty()) return make_undefined("No aggregated item, sequence was empty.");
  const Val* best = &items[0];
  Val best_key = get(in, *best);
  for (std::size_t i = 1; i < items.size(); ++i) {
    Val key = get(in, items[i]);
    if (compare(key, best_key, largest ? ">" : "<") != (largest ? 1 : -1)) continue;
    best = &items[i];
    best_key = std::move(key);
  }
  return *best;
}
Val filter_min(Interpreter& in, const Val& v, Args& args) { return extreme(in, v, args, "min", false); }
Val filter_max(Interpreter& in, const Val& v, Args& args) { return extreme(in, v, args, "max", true); }

Val filter_sum(Interpreter& in, const Val& v, Args& args) {
  const auto bound = bind(args, "sum", {"attribute", "start"});
  const Getter get{bound[0] ? attribute_parts(in, *bound[0]) : Vals{}, false, nullptr};
  Val total = bound[1] ? *bound[1] : Val(int64_t{0});
  if (total.is_string()) fail("sum() can't sum strings [use ''.join(seq) instead]");
  const auto next = iterate(in.memory(), v);
  for (Val item; next(item);) total = binary(in, Expr::Kind::add, total, get(in, item));
  return total;
}

Val filter_batch(Interpreter& in, const Val& v, Args& args) {
  const auto bound = bind(args, "batch", {"linecount", "fill_with"}, 1);
  const int64_t count = as_index(*bound[0]);
  const Val fill = bound[1] ? *bound[1] : Val();
  if (count < 1) fail_unsupported("batch with a line count below 1");
  return make_iterator(v, [&in, count, fill, next = iterate(in.memory(), v)](Val& out) {
    Vals line;
    for (Val item; static_cast<int64_t>(line.size()) < count && next(item);) line.push_back(item);
    if (line.empty()) return false;
    if (!fill.is_none()) {
      if (count > 1000000) fail_limit("a batch of more than 1000000");
      in.step(count);
      line.resize(static_cast<std::size_t>(count), fill);
    }
    out = make_list(in.memory(), std::move(line));
    return true;
  });
}

Val filter_slice(Interpreter& in, const Val& v, Args& args) {
  const auto bound = bind(args, "slice", {"slices", "fill_with"}, 1);
  const int64_t slices = as_index(*bound[0]);
  const Val fill = bound[1] ? *bound[1] : Val();
  const Vals items = in.list(v);
  const auto length = static_cast<int64_t>(items.size());
  if (slices == 0) fail("integer modulo by zero");
  Vals out;
  int64_t offset = 0;
  for (int64_t i = 0; i < slices; ++i) {
    in.step();
    const int64_t per = length / slices, extra = length % slices;
    const int64_t start = offset + i * per;
    if (i < extra) ++offset;
    const int64_t end = offset + (i + 1) * per;
    Vals part(items.begin() + start, items.begin() + end);
    if (!fill.is_none() && i >= extra) part.push_back(fill);
    out.push_back(make_list(in.memory(), std::move(part)));
  }
  const Val list = make_list(in.memory(), std::move(out));
  return make_iterator(list, iterate(in.memory(), list));
}

Val filter_groupby(Interpreter& in, const Val& v, Args& args) {
  const auto bound = bind(args, "groupby", {"attribute", "default", "case_sensitive"}, 1);
  const Vals parts = attribute_parts(in, *bound[0]);
  const Getter key{parts, !flag(bound[2], false), bound[1]}, plain{parts, false, bound[1]};
  std::vector<std::pair<Val, Val>> keyed;
  for (const Val& item : in.list(v)) keyed.emplace_back(key(in, item), item);
  sort_by_keys(in, keyed, false);
  Vals groups;
  for (std::size_t i = 0; i < keyed.size();) {
    Vals members;
    const std::size_t first = i;
    for (; i < keyed.size() && equal(keyed[i].first, keyed[first].first); ++i) members.push_back(keyed[i].second);
    Val grouper = plain(in, keyed[first].second);
    groups.push_back(make_tuple(in.memory(), {std::move(grouper), make_list(in.memory(), std::move(members))}));
  }
  return make_list(in.memory(), std::move(groups));
}

Val filter_attr(Interpreter& in, const Val& v, Args& args) {
  const auto bound = bind(args, "attr", {"name"}, 1);
  if (!bound[0]->is_string()) fail("attribute name must be string");
  const std::string& name = bound[0]->text();
  // No fallback to an item.
  if (v.is(Type::dict) && !find_method(v, name).exists && !(name.starts_with("__") && name.ends_with("__"))) {
    return make_undefined("'dict object' has no attribute '" + name + "'");
  }
  return in.get_attribute(v, name);
}

// map, select and their like: what is called on each item.
Val filter_map(Interpreter& in, const Val& v, Args& args) {
  if (!truth(v)) return make_iterator(Val(), [](Val&) { return false; });
  if (args.positional.empty()) {
    Val attribute, otherwise;
    bool found = false;
    for (const auto& [name, value] : args.named) {
      if (name == "attribute") {
        attribute = value;
        found = true;
      } else if (name == "default") {
        otherwise = value;
      } else {
        fail("Unexpected keyword argument '" + name + "'");
      }
    }
    if (!found) fail("map requires a filter argument");
    return make_iterator(
        v, [&in, parts = attribute_parts(in, attribute), otherwise, next = iterate(in.memory(), v)](Val& out) {
          Val item;
          if (!next(item)) return false;
          out = Getter{parts, false, &otherwise}(in, item);
          return true;
        });
  }
  const std::string name = str(args.positional[0]);
  args.positional.erase(args.positional.begin());
  return make_iterator(v, [&in, name, args, next = iterate(in.memory(), v)](Val& out) {
    Val item;
    if (!next(item)) return false;
    Args copy = args;
    out = in.call_filter(name, item, copy);
    return true;
  });
}

Val select_or_reject(Interpreter& in, const Val& v, Args& args, bool by_attribute, bool wanted) {
  if (!truth(v)) return make_iterator(Val(), [](Val&) { return false; });
  Vals parts;
  if (by_attribute) {
    if (args.positional.empty()) fail("Missing parameter for attribute name");
    parts = attribute_parts(in, args.positional[0]);
    args.positional.erase(args.positional.begin());
  }
  std::string test;
  const bool has_test = !args.positional.empty();
  if (has_test) {
    test = str(args.positional[0]);
    args.positional.erase(args.positional.begin());
  }
  return make_iterator(v, [&in, parts, has_test, test, args, wanted, next = iterate(in.memory(), v)](Val& out) {
    while (next(out)) {
      in.step();
      const Val value = Getter{parts, false, nullptr}(in, out);
      Args copy = args;
      if ((has_test ? in.call_test(test, value, copy) : truth(value)) == wanted) return true;
    }
    return false;
  });
}
Val filter_select(Interpreter& in, const Val& v, Args& args) { return select_or_reject(in, v, args, false, true); }
Val filter_reject(Interpreter& in, const Val& v, Args& args) { return select_or_reject(in, v, args, false, false); }
Val filter_selectattr(Interpreter& in, const Val& v, Args& args) { return select_or_reject(in, v, args, true, true); }
Val filter_rejectattr(Interpreter& in, const Val& v, Args& args) { return select_or_reject(in, v, args, true, false); }

Val filter_xmlattr(Interpreter& in, const Val& v, Args& args) {
  const auto bound = bind(args, "xmlattr", {"autospace"});
  if (!v.is(Type::dict)) fail(std::string("'") + type_name(v) + "' object has no attribute 'items'");
  std::string out;
  for (const auto& [key, value] : v.dict().items) {
    if (value.is_none() || value.is_undefined()) continue;
    if (!key.is_string() || key.text().find_first_of(" \t\n\r\f\v/>=") != std::string::npos) {
      fail("Invalid character in attribute name: " + repr(key));
    }
    const auto escaped = [](const Val& x) { return x.is_string() && x.str().markup ? x.text() : escape_html(str(x)); };
    if (!out.empty()) out += ' ';
    out += escaped(key) + "=\"" + escaped(value) + '"';
  }
  if (flag(bound[0], true) && !out.empty()) out.insert(0, 1, ' ');
  return with_text(in, Val(), std::move(out));
}

Val filter_tojson(Interpreter& in, const Val& v, Args& args) {
  const auto bound = bind(args, "tojson", {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ensure_ascii = flag(bound[0], false);
  style.sort_keys = flag(bound[3], false);
  if (bound[1] && !bound[1]->is_none()) {
    style.indented = true;
    style.item_separator = ",";
    if (bound[1]->is_string()) {
      style.indent = bound[1]->text();
    } else {
      style.indent.assign(static_cast<std::size_t>(std::clamp<int64_t>(as_index(*bound[1]), 0, 10000)), ' ');
    }
  }
  if (bound[2] && !bound[2]->is_none()) {
    const Vals separators = in.list(*bound[2]);
    if (separators.size() != 2 || !separators[0].is_string() || !separators[1].is_string())
      fail("separators must be two strings");
    style.item_separator = separators[0].text();
    style.key_separator = separators[1].text();
  }
  std::string out;
  append_json(in, out, v, style);
  return in.string(std::move(out));
}

// ---- tests

bool no_arguments(Args& args, const char* name) {
  bind(args, name, {});
  return true;
}
template <Type type>
bool test_type(Interpreter&, const Val& v, Args& args) {
  return no_arguments(args, "test") && v.is(type);
}
bool test_defined(Interpreter&, const Val& v, Args& args) { return no_arguments(args, "defined") && !v.is_undefined(); }
bool test_true(Interpreter&, const Val& v, Args& args) {
  return no_arguments(args, "true") && v.is(Type::boolean) && v.boolean();
}
bool test_false(Interpreter&, const Val& v, Args& args) {
  return no_arguments(args, "false") && v.is(Type::boolean) && !v.boolean();
}
bool test_number(Interpreter&, const Val& v, Args& args) { return no_arguments(args, "number") && v.is_number(); }
bool test_sequence(Interpreter&, const Val& v, Args& args) {
  return no_arguments(args, "sequence") &&
         (v.is_undefined() || v.is_sequence() || v.is_string() || v.is(Type::dict) || v.is(Type::range));
}
bool test_iterable(Interpreter&, const Val& v, Args& args) { return no_arguments(args, "iterable") && is_iterable(v); }
bool test_callable(Interpreter&, const Val& v, Args& args) {
  return no_arguments(args, "callable") && (v.is(Type::callable) || v.is(Type::loop) || v.is_undefined());
}
bool test_escaped(Interpreter&, const Val& v, Args& args) {
  return no_arguments(args, "escaped") && v.is_string() && v.str().markup;
}
bool test_lower(Interpreter&, const Val& v, Args& args) {
  return no_arguments(args, "lower") && python::is_lower(str(v));
}
bool test_upper(Interpreter&, const Val& v, Args& args) {
  return no_arguments(args, "upper") && python::is_upper(str(v));
}

const Val& other(Args& args, const char* name) { return *bind(args, name, {"other"}, 1)[0]; }

bool test_odd(Interpreter& in, const Val& v, Args& args) {
  return no_arguments(args, "odd") && equal(binary(in, Expr::Kind::modulo, v, Val(int64_t{2})), Val(int64_t{1}));
}
bool test_even(Interpreter& in, const Val& v, Args& args) {
  return no_arguments(args, "even") && equal(binary(in, Expr::Kind::modulo, v, Val(int64_t{2})), Val(int64_t{0}));
}
bool test_divisibleby(Interpreter& in, const Val& v, Args& args) {
  return equal(binary(in, Expr::Kind::modulo, v, *bind(args, "divisibleby", {"num"}, 1)[0]), Val(int64_t{0}));
}
bool test_filter(Interpreter&, const Val& v, Args& args) {
  return no_arguments(args, "filter") && v.is_string() && (find_filter(v.text()) || is_unsupported_filter(v.text()));
}
bool test_test(Interpreter&, const Val& v, Args& args) {
  return no_arguments(args, "test") && v.is_string() && find_test(v.text());
}
bool test_in(Interpreter& in, const Val& v, Args& args) { return in.contains(*bind(args, "in", {"seq"}, 1)[0], v); }
bool test_eq(Interpreter&, const Val& v, Args& args) { return equal(v, other(args, "eq")); }
bool test_ne(Interpreter&, const Val& v, Args& args) { return !equal(v, other(args, "ne")); }
bool test_lt(Interpreter&, const Val& v, Args& args) { return compare(v, other(args, "lt"), "<") == -1; }
bool test_gt(Interpreter&, const Val& v, Args& args) { return compare(v, other(args, "gt"), ">") == 1; }
bool test_le(Interpreter&, const Val& v, Args& args) {
  const int order = compare(v, other(args, "le"), "<=");
  return order == -1 || order == 0;
}
bool test_ge(Interpreter&, const Val& v, Args& args) {
  const int order = compare(v, other(args, "ge"), ">=");
  return order == 1 || order == 0;
}
bool test_sameas(Interpreter&, const Val& v, Args& args) {
  const Val& o = other(args, "sameas");
  if (v.type() != o.type()) return false;
  switch (v.type()) {
    case Type::none:
      return true;
    case Type::boolean:
      return v.boolean() == o.boolean();
    case Type::integer:
      return v.integer() == o.integer() && v.integer() >= -5 && v.integer() <= 256;  // Python shares these
    case Type::string:
      return &v.str() == &o.str();
    case Type::list:
    case Type::tuple:
      return &v.items() == &o.items();
    case Type::dict:
      return &v.dict() == &o.dict();
    case Type::name_space:
      return &v.name_space() == &o.name_space();
    default:
      return false;
  }
}

// ---- globals

Val make_range(Interpreter& in, Args& args) {
  if (args.positional.empty() || args.positional.size() > 3 || !args.named.empty())
    fail("range expected 1 to 3 arguments");
  Range r{0, 0, 1};
  if (args.positional.size() == 1) {
    r.stop = as_index(args.positional[0]);
  } else {
    r.start = as_index(args.positional[0]);
    r.stop = as_index(args.positional[1]);
    if (args.positional.size() == 3) r.step = as_index(args.positional[2]);
  }
  if (r.step == 0) fail("range() arg 3 must not be zero");
  constexpr int64_t kMaxRange = 100000;
  const int64_t size = r.size();
  if (size < 0 || size > kMaxRange)
    fail_limit("Range too big. The sandbox blocks ranges larger than " + std::to_string(kMaxRange));
  (void)in;
  return Val(Type::range, r);
}

// dict(mapping or pairs, **more)
std::shared_ptr<Dict> build_dict(Interpreter& in, Args& args) {
  if (args.positional.size() > 1)
    fail("dict expected at most 1 argument, got " + std::to_string(args.positional.size()));
  auto dict = std::make_shared<Dict>(&in.memory());
  if (!args.positional.empty()) {
    const Val& from = args.positional[0];
    if (from.is(Type::dict)) {
      for (const auto& [key, value] : from.dict().items) {
        in.step();
        dict->set(key, value);
      }
    } else {
      for (const Val& item : in.list(from)) {
        const Vals pair = in.list(item);
        if (pair.size() != 2)
          fail("dictionary update sequence element has length " + std::to_string(pair.size()) + "; 2 is required");
        dict->set(pair[0], pair[1]);
      }
    }
  }
  for (const auto& [name, value] : args.named) dict->set(in.string(name), value);
  return dict;
}

Val make_namespace(Interpreter& in, Args& args) {
  const auto dict = build_dict(in, args);
  std::vector<std::pair<std::string, Val>> attributes;
  for (const auto& [key, value] : dict->items) {
    if (!key.is_string()) fail_unsupported("a namespace with names that are no strings");
    if (key.text().starts_with('_'))
      fail("a namespace cannot hold the underscore-prefixed attribute '" + key.text() + "'");
    attributes.emplace_back(key.text(), value);
  }
  return in.make_namespace(std::move(attributes));
}

Val strftime_now(Interpreter& in, Args& args) {
  const Val& format = *bind(args, "strftime_now", {"format"}, 1)[0];
  if (!format.is_string()) fail(std::string("strftime() argument 1 must be str, not ") + type_name(format));
  if (format.text().size() > 4096) fail_limit("a date format of more than 4096 bytes");
  // Python's own: microseconds, and nothing for the zone of a naive time.
  std::string clean;
  for (std::size_t i = 0; i < format.text().size(); ++i) {
    const char c = format.text()[i];
    if (c == '%' && i + 1 < format.text().size()) {
      const char kind = format.text()[++i];
      if (kind == 'f') {
        clean += "000000";
      } else if (kind != 'z' && kind != 'Z' && kind != '\0') {
        clean += c;
        clean += kind;
      }
    } else if (c != '\0') {
      clean += c;
    }
  }
  if (clean.empty()) return in.string("");
  std::string out(clean.size() * 64 + 256, '\0');
  const std::size_t size = std::strftime(out.data(), out.size(), clean.c_str(), &in.now());
  out.resize(size);
  if (unicode::well_formed_prefix(out) != out.size()) out = unicode::to_well_formed(out);
  return in.string(std::move(out));
}

Val make_joiner(Interpreter& in, Args& args) {
  const auto bound = bind(args, "joiner", {"sep"});
  const Val between = bound[0] ? *bound[0] : in.string(", ");
  return make_callable(between, "joiner",
                       [between, used = std::make_shared<bool>(false)](Interpreter& inner, Args& none) {
                         bind(none, "joiner", {});
                         return std::exchange(*used, true) ? between : inner.string("");
                       });
}

template <class T>
struct Entry {
  std::string_view name;
  T function;
};

constexpr Entry<Filter> kFilters[] = {{"abs", filter_abs},
                                      {"attr", filter_attr},
                                      {"batch", filter_batch},
                                      {"capitalize", filter_capitalize},
                                      {"center", filter_center},
                                      {"count", filter_length},
                                      {"d", filter_default},
                                      {"default", filter_default},
                                      {"dictsort", filter_dictsort},
                                      {"e", filter_escape},
                                      {"escape", filter_escape},
                                      {"filesizeformat", filter_filesizeformat},
                                      {"first", filter_first},
                                      {"float", filter_float},
                                      {"forceescape", filter_forceescape},
                                      {"format", filter_format},
                                      {"groupby", filter_groupby},
                                      {"indent", filter_indent},
                                      {"int", filter_int},
                                      {"items", filter_items},
                                      {"join", filter_join},
                                      {"last", filter_last},
                                      {"length", filter_length},
                                      {"list", filter_list},
                                      {"lower", filter_lower},
                                      {"map", filter_map},
                                      {"max", filter_max},
                                      {"min", filter_min},
                                      {"reject", filter_reject},
                                      {"rejectattr", filter_rejectattr},
                                      {"replace", filter_replace},
                                      {"reverse", filter_reverse},
                                      {"round", filter_round},
                                      {"safe", filter_safe},
                                      {"select", filter_select},
                                      {"selectattr", filter_selectattr},
                                      {"slice", filter_slice},
                                      {"sort", filter_sort},
                                      {"string", filter_string},
                                      {"sum", filter_sum},
                                      {"title", filter_title},
                                      {"tojson", filter_tojson},
                                      {"trim", filter_trim},
                                      {"truncate", filter_truncate},
                                      {"unique", filter_unique},
                                      {"upper", filter_upper},
                                      {"urlencode", filter_urlencode},
                                      {"wordcount", filter_wordcount},
                                      {"xmlattr", filter_xmlattr}};
constexpr std::string_view kUnsupportedFilters[] = {"pprint", "random", "striptags", "urlize", "wordwrap"};

constexpr Entry<Test> kTests[] = {{"!=", test_ne},
                                  {"<", test_lt},
                                  {"<=", test_le},
                                  {"==", test_eq},
                                  {">", test_gt},
                                  {">=", test_ge},
                                  {"boolean", test_type<Type::boolean>},
                                  {"callable", test_callable},
                                  {"defined", test_defined},
                                  {"divisibleby", test_divisibleby},
                                  {"eq", test_eq},
                                  {"equalto", test_eq},
                                  {"escaped", test_escaped},
                                  {"even", test_even},
                                  {"false", test_false},
                                  {"filter", test_filter},
                                  {"float", test_type<Type::number>},
                                  {"ge", test_ge},
                                  {"greaterthan", test_gt},
                                  {"gt", test_gt},
                                  {"in", test_in},
                                  {"integer", test_type<Type::integer>},
                                  {"iterable", test_iterable},
                                  {"le", test_le},
                                  {"lessthan", test_lt},
                                  {"lower", test_lower},
                                  {"lt", test_lt},
                                  {"mapping", test_type<Type::dict>},
                                  {"ne", test_ne},
                                  {"none", test_type<Type::none>},
                                  {"number", test_number},
                                  {"odd", test_odd},
                                  {"sameas", test_sameas},
                                  {"sequence", test_sequence},
                                  {"string", test_type<Type::string>},
                                  {"test", test_test},
                                  {"true", test_true},
                                  {"undefined", test_type<Type::undefined>},
                                  {"upper", test_upper}};

template <class T, std::size_t N>
T find_entry(const Entry<T> (&entries)[N], std::string_view name) {
  const auto at = std::lower_bound(std::begin(entries), std::end(entries), name,
                                   [](const Entry<T>& e, std::string_view n) { return e.name < n; });
  return at != std::end(entries) && at->name == name ? at->function : nullptr;
}

void append_json_string(std::string& out, std::string_view text, bool ensure_ascii) {
  const auto hex = [&](char32_t c) {
    out += "\\u";
    for (int shift = 12; shift >= 0; shift -= 4) out += "0123456789abcdef"[c >> shift & 15];
  };
  out += '"';
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t at = i;
    const char32_t c = unicode::next(text, i);
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\b':
        out += "\\b";
        break;
      default:
        if (c < 0x20 || (ensure_ascii && c > 0x7E && c < 0x10000)) {
          hex(c);
        } else if (ensure_ascii && c >= 0x10000) {
          hex(0xD800 + ((c - 0x10000) >> 10));
          hex(0xDC00 + ((c - 0x10000) & 0x3FF));
        } else {
          out += text.substr(at, i - at);
        }
    }
  }
  out += '"';
}

std::string json_number(double d) {
  if (std::isnan(d)) return "NaN";
  if (std::isinf(d)) return d < 0 ? "-Infinity" : "Infinity";
  return python::repr(d);
}

}  // namespace

std::vector<const Val*> bind(const Args& args, std::string_view function,
                             std::initializer_list<std::string_view> parameters, std::size_t required) {
  std::vector<const Val*> bound(parameters.size(), nullptr);
  if (args.positional.size() > parameters.size()) {
    fail(std::string(function) + "() takes at most " + std::to_string(parameters.size()) + " argument(s), " +
         std::to_string(args.positional.size()) + " given");
  }
  for (std::size_t i = 0; i < args.positional.size(); ++i) bound[i] = &args.positional[i];
  for (const auto& [name, value] : args.named) {
    const auto at = std::find(parameters.begin(), parameters.end(), name);
    if (at == parameters.end()) fail(std::string(function) + "() got an unexpected keyword argument '" + name + "'");
    const Val*& slot = bound[static_cast<std::size_t>(at - parameters.begin())];
    if (slot) fail(std::string(function) + "() got multiple values for argument '" + name + "'");
    slot = &value;
  }
  for (std::size_t i = 0; i < required; ++i) {
    if (!bound[i]) fail(std::string(function) + "() missing the argument '" + std::string(parameters.begin()[i]) + "'");
  }
  return bound;
}

int64_t as_index(const Val& v) {
  if (v.is_undefined()) fail(v.undefined_message());
  if (!v.is_int()) fail(std::string("'") + type_name(v) + "' object cannot be interpreted as an integer");
  return v.integer();
}

Val soft_str(Interpreter& in, const Val& v) { return v.is_string() ? v : in.string(str(v)); }

Filter find_filter(std::string_view name) { return find_entry(kFilters, name); }
bool is_unsupported_filter(std::string_view name) {
  return std::find(std::begin(kUnsupportedFilters), std::end(kUnsupportedFilters), name) !=
         std::end(kUnsupportedFilters);
}
Test find_test(std::string_view name) { return find_entry(kTests, name); }

Val find_global(std::string_view name) {
  if (name == "range") return make_callable(Val(), "range", make_range);
  if (name == "namespace") return make_callable(Val(), "namespace", make_namespace);
  if (name == "dict") {
    return make_callable(Val(), "dict", [](Interpreter& in, Args& args) { return make_dict(build_dict(in, args)); });
  }
  if (name == "raise_exception") {
    return make_callable(Val(), "raise_exception", [](Interpreter&, Args& args) -> Val {
      fail(str(*bind(args, "raise_exception", {"message"}, 1)[0]));
    });
  }
  if (name == "strftime_now") return make_callable(Val(), "strftime_now", strftime_now);
  if (name == "joiner") return make_callable(Val(), "joiner", make_joiner);
  if (name == "cycler" || name == "lipsum") {
    return make_callable(Val(), std::string(name), [name = std::string(name)](Interpreter&, Args&) -> Val {
      fail_unsupported("the function '" + name + "'");
    });
  }
  return make_undefined("'" + std::string(name) + "' is undefined");
}

void append_json(Interpreter& in, std::string& out, const Val& v, const JsonStyle& style, int level) {
  in.step();
  if (static_cast<int64_t>(out.size()) > in.memory().max_live_bytes)
    fail_limit("the values take more than the allowed memory");
  const auto new_line = [&](int depth) {
    if (!style.indented) return;
    out += '\n';
    in.work(style.indent.size() * static_cast<std::size_t>(depth));
    for (int i = 0; i < depth; ++i) out += style.indent;
  };
  switch (v.type()) {
    case Type::none:
      out += "null";
      return;
    case Type::boolean:
      out += v.boolean() ? "true" : "false";
      return;
    case Type::integer:
      out += std::to_string(v.integer());
      return;
    case Type::number:
      out += json_number(v.number());
      return;
    case Type::string:
      in.work(v.text().size() * 4);
      return append_json_string(out, v.text(), style.ensure_ascii);
    case Type::list:
    case Type::tuple: {
      if (v.items().empty()) {
        out += "[]";
        return;
      }
      out += '[';
      for (std::size_t i = 0; i < v.items().size(); ++i) {
        if (i > 0) out += style.item_separator;
        new_line(level + 1);
        append_json(in, out, v.items()[i], style, level + 1);
      }
      new_line(level);
      out += ']';
      return;
    }
    case Type::dict: {
      std::vector<std::pair<Val, Val>> entries = v.dict().items;
      in.step(static_cast<int64_t>(entries.size()));
      if (entries.empty()) {
        out += "{}";
        return;
      }
      if (style.sort_keys) sort_by_keys(in, entries, false);
      out += '{';
      bool first = true;
      for (const auto& [key, value] : entries) {
        if (!first) out += style.item_separator;
        first = false;
        new_line(level + 1);
        std::string name;
        switch (key.type()) {
          case Type::string:
            name = key.text();
            break;
          case Type::none:
            name = "null";
            break;
          case Type::boolean:
            name = key.boolean() ? "true" : "false";
            break;
          case Type::integer:
            name = std::to_string(key.integer());
            break;
          case Type::number:
            name = json_number(key.number());
            break;
          default:
            fail(std::string("keys must be str, int, float, bool or None, not ") + type_name(key));
        }
        append_json_string(out, name, style.ensure_ascii);
        out += style.key_separator;
        append_json(in, out, value, style, level + 1);
      }
      new_line(level);
      out += '}';
      return;
    }
    default:
      fail(std::string("Object of type ") + type_name(v) + " is not JSON serializable");
  }
}

}  // namespace transformers::jinja
