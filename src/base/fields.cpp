// Implements base/fields.hpp: the reader of a struct's fields and the lister of them.
#include "transformers/base/fields.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "transformers/base/error.hpp"

namespace transformers {
namespace {

// "a", "b", "c"
template <class Names>
std::string enumerate(const Names& names) {
  std::string out;
  for (const auto& name : names) {
    if (!out.empty()) out += ", ";
    out += quote(name);
  }
  return out;
}

// What a message shows of a value of the wrong type: the value itself when it is short.
std::string describe(const Value& value) {
  if (value.is_string()) return quote(value.as_string());
  if (value.is_array() || value.is_object()) return "an " + std::string(value.type_name());
  return to_json(value);
}

class FieldLister final : public FieldVisitor {
 public:
  std::vector<FieldInfo> rows;

 protected:
  void visit(std::string_view name, bool& v, std::string_view help) override { add(name, "bool", v, help); }
  void visit(std::string_view name, int64_t& v, std::string_view help) override { add(name, "int", v, help); }
  void visit(std::string_view name, float& v, std::string_view help) override { add(name, "float", v, help); }
  void visit(std::string_view name, double& v, std::string_view help) override { add(name, "float", v, help); }
  void visit(std::string_view name, std::string& v, std::string_view help) override { add(name, "string", v, help); }
  void visit(std::string_view name, std::vector<int64_t>& v, std::string_view help) override {
    add(name, "int list", Value::Array(v.begin(), v.end()), help);
  }
  void visit(std::string_view name, std::vector<std::string>& v, std::string_view help) override {
    add(name, "string list", Value::Array(v.begin(), v.end()), help);
  }
  void visit(std::string_view name, std::map<int64_t, std::string>& v, std::string_view help) override {
    Value::Object object;
    for (const auto& [id, label] : v) object.emplace_back(std::to_string(id), label);
    add(name, "map", std::move(object), help);
  }
  void visit(std::string_view name, Value& v, std::string_view help) override { add(name, "value", v, help); }
  void visit_choice(std::string_view name, std::size_t& index, const std::string_view* names, std::size_t count,
                    std::string_view help) override {
    std::string type(names[0]);
    for (std::size_t i = 1; i < count; ++i) type.append("|").append(names[i]);
    add(name, std::move(type), index < count ? Value(names[index]) : Value(), help);
  }
  // An optional field without a value is visited too, for its type.
  Presence visit_optional(std::string_view, bool has_value) override {
    optional_ = true;
    has_value_ = has_value;
    return Presence::value;
  }

 private:
  void add(std::string_view name, std::string type, Value value, std::string_view help) {
    if (optional_ && !has_value_) value = nullptr;
    rows.push_back({std::string(name), std::move(type), std::move(value), std::string(help), optional_});
    optional_ = false;
  }

  bool optional_ = false, has_value_ = false;
};

}  // namespace

FieldVisitor::~FieldVisitor() = default;

FieldReader::FieldReader(const Value& object, std::string_view where) : object_(object), where_(where) {
  if (!object.is_object()) {
    throw Error(ErrorCode::invalid_argument, "expected an object, found " + describe(object), where_);
  }
}

FieldReader::~FieldReader() = default;

void FieldReader::reject_unknown() const {
  for (const auto& [name, value] : object_.as_object()) {
    if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
    throw Error(ErrorCode::invalid_argument, "unknown key " + quote(name) + ": expected one of " + enumerate(known_),
                where_);
  }
}

const Value* FieldReader::take(std::string_view name) {
  if (known_.empty() || known_.back() != name) known_.emplace_back(name);  // an optional field asks twice
  return object_.find(name);
}

void FieldReader::wrong_type(std::string_view name, std::string_view expected, const Value& found) const {
  throw Error(ErrorCode::invalid_argument,
              quote(name) + ": expected " + std::string(expected) + ", found " + describe(found), where_);
}

void FieldReader::visit(std::string_view name, bool& v, std::string_view) {
  const Value* value = take(name);
  if (!value) return;
  if (!value->is_boolean()) wrong_type(name, "true or false", *value);
  v = value->as_boolean();
}

void FieldReader::visit(std::string_view name, int64_t& v, std::string_view) {
  const Value* value = take(name);
  if (!value) return;
  try {
    v = value->as_integer();
  } catch (const Error&) {
    wrong_type(name, "an integer", *value);
  }
}

void FieldReader::visit(std::string_view name, float& v, std::string_view) {
  const Value* value = take(name);
  if (!value) return;
  if (!value->is_number()) wrong_type(name, "a number", *value);
  const float narrowed = static_cast<float>(value->as_number());
  if (!std::isfinite(narrowed)) wrong_type(name, "a number within float32", *value);
  v = narrowed;
}

void FieldReader::visit(std::string_view name, double& v, std::string_view) {
  const Value* value = take(name);
  if (!value) return;
  if (!value->is_number() || !std::isfinite(value->as_number())) wrong_type(name, "a number", *value);
  v = value->as_number();
}

void FieldReader::visit(std::string_view name, std::string& v, std::string_view) {
  const Value* value = take(name);
  if (!value) return;
  if (!value->is_string()) wrong_type(name, "a string", *value);
  v = value->as_string();
}

void FieldReader::visit(std::string_view name, std::vector<int64_t>& v, std::string_view) {
  const Value* value = take(name);
  if (!value) return;
  if (value->is_integer()) {
    v = {value->as_integer()};
    return;
  }
  if (!value->is_array()) wrong_type(name, "a list of integers", *value);
  std::vector<int64_t> items;
  for (const Value& item : value->as_array()) {
    if (!item.is_integer()) wrong_type(name, "a list of integers", item);
    items.push_back(item.as_integer());
  }
  v = std::move(items);
}

void FieldReader::visit(std::string_view name, std::vector<std::string>& v, std::string_view) {
  const Value* value = take(name);
  if (!value) return;
  if (value->is_string()) {
    v = {value->as_string()};
    return;
  }
  if (!value->is_array()) wrong_type(name, "a list of strings", *value);
  std::vector<std::string> items;
  for (const Value& item : value->as_array()) {
    if (!item.is_string()) wrong_type(name, "a list of strings", item);
    items.push_back(item.as_string());
  }
  v = std::move(items);
}

void FieldReader::visit(std::string_view name, std::map<int64_t, std::string>& v, std::string_view) {
  const Value* value = take(name);
  if (!value) return;
  if (!value->is_object()) wrong_type(name, "an object of strings under integers", *value);
  std::map<int64_t, std::string> items;
  for (const auto& [key, item] : value->as_object()) {
    int64_t id = 0;
    const char* const end = key.data() + key.size();
    const auto [stop, code] = std::from_chars(key.data(), end, id);
    if (code != std::errc() || stop != end) wrong_type(name, "integers as keys", key);
    if (!item.is_string()) wrong_type(name, "an object of strings under integers", item);
    if (!items.emplace(id, item.as_string()).second) wrong_type(name, "each integer once", key);
  }
  v = std::move(items);
}

void FieldReader::visit(std::string_view name, Value& v, std::string_view) {
  if (const Value* value = take(name)) v = *value;
}

void FieldReader::visit_choice(std::string_view name, std::size_t& index, const std::string_view* names,
                               std::size_t count, std::string_view) {
  const Value* value = take(name);
  if (!value) return;
  const auto* const end = names + count;
  // Hugging Face looks its enums up by name.upper().
  const auto same = [&](std::string_view candidate) {
    return std::equal(candidate.begin(), candidate.end(), value->as_string().begin(), value->as_string().end(),
                      [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b - 'A' + 'a' : b); });
  };
  const auto* const found = value->is_string() ? std::find_if(names, end, same) : end;
  if (found == end) wrong_type(name, "one of " + enumerate(std::vector<std::string_view>(names, end)), *value);
  index = static_cast<std::size_t>(found - names);
}

FieldVisitor::Presence FieldReader::visit_optional(std::string_view name, bool) {
  const Value* value = take(name);
  if (!value) return Presence::unchanged;
  return value->is_null() ? Presence::null : Presence::value;
}

std::vector<FieldInfo> list_fields_of(void (*visit)(void*, FieldVisitor&), void* object) {
  FieldLister lister;
  visit(object, lister);
  return std::move(lister.rows);
}

}  // namespace transformers
