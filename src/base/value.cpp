// Implements Value of base/value.hpp; JSON text is in json.cpp.
#include "transformers/base/value.hpp"

#include <cmath>

#include "transformers/base/error.hpp"

namespace transformers {
namespace {

std::string with_article(std::string_view type) {
  if (type == "null") return "null";
  return (std::string_view("aio").find(type[0]) != std::string_view::npos ? "an " : "a ") + std::string(type);
}

// The alternative T of `data`, which `value` holds, or an error that names both types.
template <class T, class Variant>
auto& get(Variant& data, const Value& value, std::string_view expected) {
  if (auto* held = std::get_if<T>(&data)) return *held;
  throw Error(ErrorCode::invalid_argument,
              "expected " + with_article(expected) + ", found " + with_article(value.type_name()));
}

}  // namespace

std::string_view Value::type_name() const noexcept {
  constexpr std::string_view kNames[] = {"null", "boolean", "integer", "number", "number", "string", "array", "object"};
  return kNames[data_.index()];
}

bool Value::as_boolean() const { return get<bool>(data_, *this, "boolean"); }

int64_t Value::as_integer() const {
  if (is_integer() || !is_number()) return get<int64_t>(data_, *this, "integer");
  const double number = as_number();
  // 2^63 as a double is exact; the largest int64 is not.
  if (number == std::trunc(number) && number >= -9223372036854775808.0 && number < 9223372036854775808.0) {
    return static_cast<int64_t>(number);
  }
  throw Error(ErrorCode::invalid_argument,
              "expected an integer, found " + (std::isfinite(number) ? to_json(*this) : "a number that is not finite"));
}

double Value::as_number() const {
  if (const auto* i = std::get_if<int64_t>(&data_)) return static_cast<double>(*i);
  if (const auto* f = std::get_if<float>(&data_)) return static_cast<double>(*f);
  return get<double>(data_, *this, "number");
}

const std::string& Value::as_string() const { return get<std::string>(data_, *this, "string"); }
const Value::Array& Value::as_array() const { return get<Array>(data_, *this, "array"); }
const Value::Object& Value::as_object() const { return get<Object>(data_, *this, "object"); }
Value::Array& Value::as_array() { return get<Array>(data_, *this, "array"); }
Value::Object& Value::as_object() { return get<Object>(data_, *this, "object"); }

const Value* Value::find(std::string_view key) const noexcept {
  if (const auto* object = std::get_if<Object>(&data_)) {
    for (const auto& [name, value] : *object) {
      if (name == key) return &value;
    }
  }
  return nullptr;
}

const Value& Value::at(std::string_view key) const {
  if (const Value* value = find(key)) return *value;
  as_object();
  throw Error(ErrorCode::not_found, "no key " + quote(key));
}

void Value::set(std::string key, Value value) {
  if (is_null()) data_ = Object{};
  Object& object = as_object();
  for (auto& [name, old] : object) {
    if (name == key) {
      old = std::move(value);
      return;
    }
  }
  object.emplace_back(std::move(key), std::move(value));
}

}  // namespace transformers
