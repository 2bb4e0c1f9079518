// Implements JSON text: read_json of base/json_events.hpp, parse_json and to_json of base/value.hpp. The only file that
// includes nlohmann's parser, which is slow to compile.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>

#include "transformers/base/error.hpp"
#include "transformers/base/json_events.hpp"
#include "transformers/base/value.hpp"

namespace transformers {
namespace {

constexpr int kMaxDepth = 128;

[[noreturn]] void refuse(std::size_t offset, const std::string& reason, std::string_view where) {
  throw Error(ErrorCode::corrupt_file, "not valid JSON at byte " + std::to_string(offset) + ": " + reason,
              std::string(where));
}

// The bytes of a text, counted as they are read: nlohmann tells positions only for its own errors.
struct CountingIterator {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  const char* at;
  std::size_t* count;

  const char& operator*() const { return *at; }
  CountingIterator& operator++() {
    ++at;
    ++*count;
    return *this;
  }
  friend bool operator==(const CountingIterator& a, const CountingIterator& b) { return a.at == b.at; }
};

// nlohmann's SAX interface in front of JsonEvents.
struct SaxAdapter {
  JsonEvents& events;
  std::string_view text, where;
  int depth = 0;

  void enter() {
    if (++depth > kMaxDepth) {
      refuse(events.offset - 1, "more than " + std::to_string(kMaxDepth) + " levels", where);
    }
  }
  bool null() { return events.null(), true; }
  bool boolean(bool v) { return events.boolean(v), true; }
  bool number_integer(int64_t v) { return events.integer(v), true; }
  bool number_unsigned(uint64_t v) {
    if (v <= static_cast<uint64_t>(INT64_MAX)) return events.integer(static_cast<int64_t>(v)), true;
    return events.number(static_cast<double>(v), std::to_string(v)), true;
  }
  bool number_float(double v, const std::string& written) { return events.number(v, written), true; }
  bool string(std::string& v) { return events.string(v), true; }
  bool binary(nlohmann::json::binary_t&) { return false; }
  bool start_object(std::size_t) { return enter(), events.start_object(), true; }
  bool key(std::string& v) { return events.key(v), true; }
  bool end_object() { return --depth, events.end_object(), true; }
  bool start_array(std::size_t) { return enter(), events.start_array(), true; }
  bool end_array() { return --depth, events.end_array(), true; }

  // Messages read "[json.exception...] parse error at ...: syntax error while parsing CONTEXT - REASON; last read:
  // ...". Only the reason is kept: the rest may quote megabytes of the text.
  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception& error) {
    std::string_view reason = error.what();
    if (error.id == 406) {
      reason = "number out of range";
    } else {
      if (const auto dash = reason.find(" - "); dash != reason.npos) reason.remove_prefix(dash + 3);
      reason = reason.substr(0, std::min(reason.find(';'), std::size_t{80}));
    }
    refuse(std::min(position - (position > 0), text.size()), std::string(reason), where);
  }
};

// Builds a Value; the containers that are still open lie on a stack.
class ValueBuilder final : public JsonEvents {
 public:
  explicit ValueBuilder(std::string_view where) : where_(where) {}
  Value take() { return std::move(root_); }

  void null() override { add({}); }
  void boolean(bool v) override { add(v); }
  void integer(int64_t v) override { add(v); }
  void number(double v, std::string_view) override { add(v); }
  void string(std::string& v) override { add(std::move(v)); }
  void start_array() override { open_.emplace_back(Value::Array{}); }
  void start_object() override { open_.emplace_back(Value::Object{}); }
  void key(std::string& name) override { open_.back().as_object().emplace_back(std::move(name), Value()); }
  void end_array() override { close(); }
  void end_object() override {
    refuse_duplicates(open_.back().as_object());
    close();
  }

 private:
  void add(Value value) {
    if (open_.empty()) {
      root_ = std::move(value);
    } else if (open_.back().is_array()) {
      open_.back().as_array().push_back(std::move(value));
    } else {
      open_.back().as_object().back().second = std::move(value);
    }
  }
  void close() {
    Value value = std::move(open_.back());
    open_.pop_back();
    add(std::move(value));
  }
  void refuse_duplicates(const Value::Object& object) const {
    std::vector<std::string_view> keys;
    keys.reserve(object.size());
    for (const auto& member : object) keys.push_back(member.first);
    std::sort(keys.begin(), keys.end());
    const auto twice = std::adjacent_find(keys.begin(), keys.end());
    if (twice == keys.end()) return;
    refuse(offset - 1, "the object that ends here has the key " + quote(*twice) + " twice", where_);
  }

  std::string_view where_;
  std::vector<Value> open_;
  Value root_;
};

// The length of the UTF-8 sequence that `text` begins with, or 0 when it is none (RFC 3629).
std::size_t utf8_sequence(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto between = [&](std::size_t i, unsigned low, unsigned high) { return byte(i) >= low && byte(i) <= high; };
  const auto tail = [&](std::size_t i) { return between(i, 0x80, 0xBF); };
  const unsigned first = byte(0);
  if (first < 0x80) return text.empty() ? 0 : 1;
  if (first >= 0xC2 && first <= 0xDF) return tail(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    return between(1, first == 0xE0 ? 0xA0 : 0x80, first == 0xED ? 0x9F : 0xBF) && tail(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    return between(1, first == 0xF0 ? 0x90 : 0x80, first == 0xF4 ? 0x8F : 0xBF) && tail(2) && tail(3) ? 4 : 0;
  }
  return 0;
}

void append_escaped(std::string& out, std::string_view sequence) {
  constexpr char kHex[] = "0123456789abcdef";
  const char c = sequence[0];
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    case '\b':
      out += "\\b";
      return;
    case '\f':
      out += "\\f";
      return;
    default:
      break;
  }
  if (static_cast<unsigned char>(c) >= 0x20) {
    out += sequence;
  } else {
    out += "\\u00";
    out += kHex[c >> 4];
    out += kHex[c & 15];
  }
}

// The shortest digits that read back to the same value, laid out as Python does: an exponent below 1e-4 and from 1e16
// on,
// ".0" behind a whole number.
template <class Float>
void append_float(std::string& out, Float value) {
  if (!std::isfinite(value)) throw Error(ErrorCode::invalid_argument, "JSON has no NaN and no infinity");
  char buffer[48];
  const char* const end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
  std::string_view text(buffer, static_cast<std::size_t>(end - buffer));
  if (text[0] == '-') {
    out += '-';
    text.remove_prefix(1);
  }
  const std::size_t e = text.find('e');
  int exponent = 0;
  std::from_chars(text.data() + e + (text[e + 1] == '+' ? 2 : 1), end, exponent);
  if (exponent < -4 || exponent >= 16) {
    out += text;
    return;
  }
  std::string digits(1, text[0]);
  if (e > 2) digits += text.substr(2, e - 2);
  if (exponent < 0) {
    out.append("0.").append(static_cast<std::size_t>(-exponent - 1), '0').append(digits);
    return;
  }
  const std::size_t whole = static_cast<std::size_t>(exponent) + 1;
  if (digits.size() <= whole) digits.append(whole + 1 - digits.size(), '0');
  out.append(digits, 0, whole).append(1, '.').append(digits, whole);
}

class Writer {
 public:
  explicit Writer(int indent) : indent_(indent) {}
  std::string take() { return std::move(out_); }

  void value(const Value& v) {
    if (v.is_null()) {
      out_ += "null";
    } else if (v.is_boolean()) {
      out_ += v.as_boolean() ? "true" : "false";
    } else if (v.is_integer()) {
      out_ += std::to_string(v.as_integer());
    } else if (v.is_float32()) {
      append_float(out_, static_cast<float>(v.as_number()));
    } else if (v.is_number()) {
      append_float(out_, v.as_number());
    } else if (v.is_string()) {
      string(v.as_string());
    } else if (v.is_array()) {
      list('[', v.as_array(), ']', [this](const Value& item) { value(item); });
    } else {
      list('{', v.as_object(), '}', [this](const Value::Member& member) {
        string(member.first);
        out_ += indent_ > 0 ? ": " : ":";
        value(member.second);
      });
    }
  }

 private:
  template <class List, class WriteItem>
  void list(char open, const List& items, char close, WriteItem write_item) {
    out_ += open;
    ++depth_;
    const char* separator = "";
    for (const auto& item : items) {
      out_ += separator;
      separator = ",";
      break_line();
      write_item(item);
    }
    --depth_;
    if (!items.empty()) break_line();
    out_ += close;
  }
  void break_line() {
    if (indent_ > 0) out_.append(1, '\n').append(static_cast<std::size_t>(indent_) * depth_, ' ');
  }
  void string(std::string_view text) {
    out_ += '"';
    for (std::size_t i = 0, length; i < text.size(); i += length) {
      length = utf8_sequence(text.substr(i, 4));
      if (length == 0) {
        throw Error(ErrorCode::invalid_argument,
                    "the string " + quote(text) + " is not UTF-8 at byte " + std::to_string(i));
      }
      append_escaped(out_, text.substr(i, length));
    }
    out_ += '"';
  }

  int indent_;
  std::size_t depth_ = 0;
  std::string out_;
};

}  // namespace

JsonEvents::~JsonEvents() = default;

void read_json(std::string_view text, std::string_view where, JsonEvents& events) {
  events.offset = 0;
  SaxAdapter sax{events, text, where};
  const char* const begin = text.data();
  nlohmann::json::sax_parse(CountingIterator{begin, &events.offset},
                            CountingIterator{begin + text.size(), &events.offset}, &sax);
  // To nlohmann's parser a NUL is the end of the text.
  if (text[events.offset - 1] == '\0') refuse(events.offset - 1, "a NUL byte", where);
}

Value parse_json(std::string_view text, std::string_view where) {
  ValueBuilder builder(where);
  read_json(text, where, builder);
  return builder.take();
}

std::string to_json(const Value& value, int indent) {
  Writer writer(indent);
  writer.value(value);
  return writer.take();
}

std::string quote(std::string_view text) {
  constexpr std::size_t kMaxBytes = 100;
  std::string out = "\"";
  std::size_t i = 0;
  while (i < text.size() && i < kMaxBytes) {
    const std::size_t length = utf8_sequence(text.substr(i, 4));
    if (length == 0) {
      out += "\xEF\xBF\xBD";
    } else {
      append_escaped(out, text.substr(i, length));
    }
    i += std::max(length, std::size_t{1});
  }
  return out + (i < text.size() ? "...\"" : "\"");
}

}  // namespace transformers
