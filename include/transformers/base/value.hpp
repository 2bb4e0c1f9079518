// What it is: a JSON-like value, and the two functions between it and JSON text.
// Where it stands: base; configs are read from it, options and results cross the erased (run-time) pipeline API as it.
// Usage: `Value v = parse_json(text, "config.json"); int64_t n = v.at("hidden_size").as_integer();`
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "transformers/base/export.hpp"

namespace transformers {

// null, boolean, integer (64 bit, signed), float32, float64, string, array or object. Objects keep the order in which
// members were added, because Hugging Face's answers are compared to the field order. A float is kept in its own width
// so that it prints as the shortest decimal which reads back to the same float.
class TCPP_API Value {
 public:
  using Array = std::vector<Value>;
  using Member = std::pair<std::string, Value>;
  using Object = std::vector<Member>;

  Value() = default;
  Value(std::nullptr_t) {}
  Value(bool b) : data_(b) {}
  Value(float f) : data_(f) {}
  Value(double d) : data_(d) {}
  template <class I>
  requires(std::is_integral_v<I> && !std::is_same_v<I, bool>) Value(I i) : data_(static_cast<int64_t>(i)) {}
  Value(const char* s) : data_(std::string(s)) {}
  Value(std::string_view s) : data_(std::string(s)) {}
  Value(std::string s) : data_(std::move(s)) {}
  Value(Array a) : data_(std::move(a)) {}
  Value(Object o) : data_(std::move(o)) {}

  bool is_null() const noexcept { return std::holds_alternative<std::monostate>(data_); }
  bool is_boolean() const noexcept { return std::holds_alternative<bool>(data_); }
  bool is_integer() const noexcept { return std::holds_alternative<int64_t>(data_); }
  bool is_number() const noexcept {
    return is_integer() || std::holds_alternative<float>(data_) || std::holds_alternative<double>(data_);
  }
  bool is_float32() const noexcept { return std::holds_alternative<float>(data_); }
  bool is_string() const noexcept { return std::holds_alternative<std::string>(data_); }
  bool is_array() const noexcept { return std::holds_alternative<Array>(data_); }
  bool is_object() const noexcept { return std::holds_alternative<Object>(data_); }
  // "null", "boolean", "integer", "number", "string", "array" or "object": for messages.
  std::string_view type_name() const noexcept;

  // Each throws Error(invalid_argument, "expected a <type>, found a <type>") on another type. as_number widens
  // integers; as_integer takes a float that is a whole number.
  bool as_boolean() const;
  int64_t as_integer() const;
  double as_number() const;
  const std::string& as_string() const;
  const Array& as_array() const;
  const Object& as_object() const;
  Array& as_array();
  Object& as_object();

  // The member called `key`, or nullptr when there is none or this is no object.
  const Value* find(std::string_view key) const noexcept;
  // The same, throwing Error(not_found) that names the key.
  const Value& at(std::string_view key) const;
  // Sets or replaces a member; a null value becomes an object first.
  void set(std::string key, Value value);

  friend bool operator==(const Value&, const Value&) = default;

 private:
  std::variant<std::monostate, bool, int64_t, float, double, std::string, Array, Object> data_;
};

// Reads one JSON text; numbers are integers, or float64 (those beyond 64 bits too). `where` names the source in errors.
// Refused, with Error(corrupt_file) giving the byte offset: anything but JSON, NaN and Infinity literals, duplicate
// keys in one object, invalid UTF-8, more than 128 levels.
TCPP_API Value parse_json(std::string_view text, std::string_view where);

// Compact UTF-8 JSON in one line, nothing escaped beyond what JSON requires, floats as the shortest decimal that reads
// back to the same value. Error(invalid_argument) on NaN and infinities, and on strings that are not UTF-8.
// `indent` > 0 breaks lines and indents by that many spaces a level.
TCPP_API std::string to_json(const Value& value, int indent = 0);

// `text` as messages quote it: a JSON string, cut after 100 bytes, with U+FFFD for what is not UTF-8. For names out of
// files, which may be anything.
TCPP_API std::string quote(std::string_view text);

}  // namespace transformers
