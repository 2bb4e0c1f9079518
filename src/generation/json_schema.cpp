// Implements Grammar::from_json_schema: a JSON Schema as rules.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "grammar_builder.hpp"
#include "transformers/base/error.hpp"
#include "transformers/generation/grammar.hpp"

namespace transformers {
namespace generation {
namespace {

using Sequence = GrammarBuilder::Sequence;

constexpr int kMostNested = 100;
constexpr int64_t kMostCount = 100000;
constexpr int64_t kMostInteger = 999999999999999;  // 15 digits: every reader keeps them

// Keywords that say nothing about the value.
constexpr std::string_view kAnnotations[] = {
    "title",    "description", "default",         "examples",    "example",         "$schema",
    "$id",      "$comment",    "$defs",           "definitions", "$anchor",         "deprecated",
    "readOnly", "writeOnly",   "contentEncoding", "$vocabulary", "contentMediaType"};
enum Type : unsigned { kNull = 1, kBoolean = 2, kInteger = 4, kNumber = 8, kString = 16, kArray = 32, kObject = 64 };
constexpr std::pair<std::string_view, Type> kTypes[] = {
    {"null", kNull},     {"boolean", kBoolean}, {"integer", kInteger}, {"number", kNumber},
    {"string", kString}, {"array", kArray},     {"object", kObject}};
constexpr unsigned kAnyType = 127;
// The type that a keyword is about.
constexpr std::pair<std::string_view, Type> kKeywords[] = {{"minLength", kString},
                                                           {"maxLength", kString},
                                                           {"pattern", kString},
                                                           {"format", kString},
                                                           {"minimum", kNumber},
                                                           {"maximum", kNumber},
                                                           {"exclusiveMinimum", kNumber},
                                                           {"exclusiveMaximum", kNumber},
                                                           {"items", kArray},
                                                           {"prefixItems", kArray},
                                                           {"additionalItems", kArray},
                                                           {"minItems", kArray},
                                                           {"maxItems", kArray},
                                                           {"uniqueItems", kArray},
                                                           {"properties", kObject},
                                                           {"required", kObject},
                                                           {"additionalProperties", kObject},
                                                           {"minProperties", kObject},
                                                           {"maxProperties", kObject}};
constexpr std::pair<std::string_view, std::string_view> kFormats[] = {
    {"date", "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])"},
    {"time", "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"},
    {"date-time",
     "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?"
     "(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"},
    {"uuid", "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"},
    {"ipv4", "((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\\.){3}(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"},
    {"hostname", "[a-z]([a-z0-9-]{0,30}[a-z0-9])?(\\.[a-z]([a-z0-9-]{0,30}[a-z0-9])?){0,3}"},
    {"email", "[a-z0-9]{1,20}([._+-][a-z0-9]{1,20}){0,2}@[a-z0-9]{1,30}(\\.[a-z]{2,10}){1,2}"},
    {"uri", "https?://[a-z0-9]{1,30}(\\.[a-z0-9]{1,30}){0,3}(/[A-Za-z0-9._~-]{0,40}){0,6}"}};

[[noreturn]] void unsupported(const std::string& path, const std::string& what) {
  throw Error(ErrorCode::unsupported, what + " is not supported", "json_schema: " + (path.empty() ? "#" : path));
}
[[noreturn]] void wrong(const std::string& path, const std::string& what) {
  throw Error(ErrorCode::invalid_argument, what, "json_schema: " + (path.empty() ? "#" : path));
}

class Schema {
 public:
  explicit Schema(const Value& root) : root_(root) {}

  Grammar compile() {
    const Sequence all = value(root_, "#", 0);
    return b_.finish(all);
  }

 private:
  Sequence text(std::string_view bytes) { return b_.literal(bytes); }
  // Behind ',' and ':': one space or none.
  Sequence behind(char c) {
    if (space_ < 0) {
      space_ = b_.declare("space");
      b_.define(space_, {text(" "), {}});
    }
    return GrammarBuilder::concat(text(std::string(1, c)), GrammarBuilder::call(space_));
  }
  Sequence concat(std::initializer_list<Sequence> parts) {
    Sequence out;
    for (const Sequence& part : parts) out.insert(out.end(), part.begin(), part.end());
    return out;
  }

  // ---- Values without a schema
  // ---------------------------------------------------------------------------------------

  // A character of a string.
  Sequence character() {
    if (character_ < 0) {
      character_ = b_.declare("character");
      const Sequence hex = b_.characters({{'0', '9'}, {'A', 'F'}, {'a', 'f'}});
      const Sequence not_surrogate =
          b_.choice({concat({b_.characters({{'0', '9'}, {'A', 'C'}, {'E', 'F'}, {'a', 'c'}, {'e', 'f'}}), hex}),
                     concat({b_.characters({{'D', 'D'}, {'d', 'd'}}), b_.characters({{'0', '7'}})})});
      b_.define(character_, {b_.characters({{0x20, 0x21}, {0x23, 0x5B}, {0x5D, kLastCodePoint}}),
                             concat({text("\\"), b_.characters({{'"', '"'},
                                                                {'/', '/'},
                                                                {'\\', '\\'},
                                                                {'b', 'b'},
                                                                {'f', 'f'},
                                                                {'n', 'n'},
                                                                {'r', 'r'},
                                                                {'t', 't'}})}),
                             concat({text("\\u"), not_surrogate, hex, hex})});
    }
    return GrammarBuilder::call(character_);
  }
  Sequence string(int64_t least, int64_t most) {
    return concat({text("\""), b_.repeat(character(), least, most), text("\"")});
  }
  Sequence digits(int64_t least, int64_t most) { return b_.repeat(b_.characters({{'0', '9'}}), least, most); }
  Sequence natural() { return b_.choice({text("0"), concat({b_.characters({{'1', '9'}}), digits(0, 14)})}); }
  Sequence any_number() {
    const Sequence exponent = concat(
        {b_.characters({{'E', 'E'}, {'e', 'e'}}), b_.optional(b_.characters({{'+', '+'}, {'-', '-'}})), digits(1, 2)});
    return concat(
        {b_.optional(text("-")), natural(), b_.optional(concat({text("."), digits(1, 15)})), b_.optional(exponent)});
  }
  Sequence any() {
    if (any_ < 0) {
      any_ = b_.declare("value");
      const Sequence self = GrammarBuilder::call(any_);
      const Sequence member = concat({string(0, -1), behind(':'), self});
      const Sequence list = concat({self, b_.repeat(concat({behind(','), self}), 0, -1)});
      const Sequence members = concat({member, b_.repeat(concat({behind(','), member}), 0, -1)});
      b_.define(any_, {string(0, -1), any_number(), text("true"), text("false"), text("null"),
                       concat({text("["), b_.optional(list), text("]")}),
                       concat({text("{"), b_.optional(members), text("}")})});
    }
    return GrammarBuilder::call(any_);
  }

  // ---- Schemas
  // -------------------------------------------------------------------------------------------------------

  Sequence value(const Value& schema, const std::string& path, int depth) {
    if (depth > kMostNested)
      throw Error(ErrorCode::limit, "schemas inside each other too deeply", "json_schema: " + path);
    if (schema.is_boolean()) {
      if (!schema.as_boolean()) wrong(path, "false lets no value through");
      return any();
    }
    if (!schema.is_object()) wrong(path, "expected an object or a boolean, found a " + std::string(schema.type_name()));
    check_keywords(schema, path);
    if (const Value* reference = schema.find("$ref")) {
      if (only_annotations(schema, {"$ref"})) return call(*reference, path, depth);
      return value(merged(resolve(*reference, path), without(schema, {"$ref"}), path), path, depth + 1);
    }
    if (const Value* all = schema.find("allOf")) {
      Value one = without(schema, {"allOf"});
      for (const Value& part : list_of(*all, path + "/allOf")) one = merged(one, flat(part, path, 0), path);
      return value(one, path, depth + 1);
    }
    for (const std::string_view keyword : {"anyOf", "oneOf"}) {
      const Value* alternatives = schema.find(keyword);
      if (alternatives == nullptr) continue;
      const std::string here = path + "/" + std::string(keyword);
      const Value rest = without(schema, {keyword});
      std::vector<Value> parts;
      for (const Value& part : list_of(*alternatives, here)) {
        parts.push_back(only_annotations(rest, {}) ? part : merged(rest, flat(part, path, 0), path));
      }
      if (keyword == "oneOf") check_apart(parts, here);
      std::vector<Sequence> all;
      for (std::size_t i = 0; i < parts.size(); ++i)
        all.push_back(value(parts[i], here + "/" + std::to_string(i), depth + 1));
      return b_.choice(std::move(all));
    }
    if (const Value* constant = schema.find("const")) return enumerated(schema, {*constant}, path);
    if (const Value* values = schema.find("enum")) return enumerated(schema, list_of(*values, path + "/enum"), path);

    const unsigned types = types_of(schema, path);
    std::vector<Sequence> all;
    if (types & kNull) all.push_back(text("null"));
    if (types & kBoolean) all.push_back(text("true")), all.push_back(text("false"));
    if (types & kNumber) {
      all.push_back(number(schema, path));
    } else if (types & kInteger) {
      all.push_back(integer(schema, path));
    }
    if (types & kString) all.push_back(string(schema, path));
    if (types & kArray) all.push_back(array(schema, path, depth));
    if (types & kObject) all.push_back(object(schema, path, depth));
    return b_.choice(std::move(all));
  }

  void check_keywords(const Value& schema, const std::string& path) const {
    for (const auto& [key, unused] : schema.as_object()) {
      const std::string& name = key;
      const bool known =
          std::find(std::begin(kAnnotations), std::end(kAnnotations), name) != std::end(kAnnotations) ||
          std::any_of(std::begin(kKeywords), std::end(kKeywords), [&](const auto& k) { return k.first == name; });
      if (known || name == "type" || name == "enum" || name == "const" || name == "$ref" || name == "allOf" ||
          name == "anyOf" || name == "oneOf") {
        continue;
      }
      unsupported(path, quote(name));
    }
  }

  static const Value::Array& list_of(const Value& list, const std::string& path) {
    if (!list.is_array() || list.as_array().empty()) wrong(path, "expected a list that is not empty");
    return list.as_array();
  }
  static Value without(const Value& schema, std::initializer_list<std::string_view> keys) {
    Value out{Value::Object{}};
    for (const auto& [name, item] : schema.as_object()) {
      if (std::find(keys.begin(), keys.end(), name) == keys.end()) out.set(name, item);
    }
    return out;
  }
  static bool only_annotations(const Value& schema, std::initializer_list<std::string_view> beside) {
    return std::all_of(schema.as_object().begin(), schema.as_object().end(), [&](const Value::Member& member) {
      return std::find(beside.begin(), beside.end(), member.first) != beside.end() ||
             std::find(std::begin(kAnnotations), std::end(kAnnotations), member.first) != std::end(kAnnotations);
    });
  }

  static unsigned type_named(const Value& name, const std::string& path) {
    if (name.is_string()) {
      for (const auto& [known, type] : kTypes) {
        if (known == name.as_string()) return type;
      }
    }
    wrong(path + "/type", "there is no type " + (name.is_string() ? quote(name.as_string()) : to_json(name)));
  }
  static unsigned types_of(const Value& schema, const std::string& path) {
    if (const Value* type = schema.find("type")) {
      if (!type->is_array()) return type_named(*type, path);
      unsigned types = 0;
      for (const Value& name : list_of(*type, path + "/type")) types |= type_named(name, path);
      return types;
    }
    // Without a type its keywords tell what is meant.
    unsigned types = 0;
    for (const auto& [name, type] : kKeywords) {
      if (schema.find(name) != nullptr) types |= type;
    }
    return types == 0 ? kAnyType : types;
  }

  const Value& resolve(const Value& reference, const std::string& path) const {
    if (!reference.is_string()) wrong(path + "/$ref", "expected a string");
    const std::string& to = reference.as_string();
    if (to != "#" && !to.starts_with("#/"))
      unsupported(path, "the $ref " + quote(to) + " to another document or an anchor");
    const Value* at = &root_;
    for (std::size_t begin = 2; begin <= to.size() && to.size() > 1;) {
      const std::size_t end = std::min(to.find('/', begin), to.size());
      std::string key = to.substr(begin, end - begin);
      for (const auto& [from, with] : {std::pair{"~1", "/"}, {"~0", "~"}, {"%25", "%"}, {"%20", " "}}) {
        for (std::size_t found; (found = key.find(from)) != std::string::npos;) {
          key.replace(found, std::string_view(from).size(), with);
        }
      }
      if (at->is_array()) {
        const bool number = !key.empty() && key.size() < 6 &&
                            std::all_of(key.begin(), key.end(), [](char c) { return c >= '0' && c <= '9'; });
        const std::size_t index = number ? static_cast<std::size_t>(std::stoi(key)) : at->as_array().size();
        at = index < at->as_array().size() ? &at->as_array()[index] : nullptr;
      } else {
        at = at->find(key);
      }
      if (at == nullptr) wrong(path + "/$ref", "there is nothing at " + quote(to));
      begin = end + 1;
    }
    return *at;
  }
  // A rule for each place that is referred to, so that a schema may be inside itself.
  Sequence call(const Value& reference, const std::string& path, int depth) {
    const Value& schema = resolve(reference, path);
    const std::string& to = reference.as_string();
    const auto found = references_.find(to);
    if (found != references_.end()) return GrammarBuilder::call(found->second);
    const int32_t rule = b_.declare(to);
    references_.emplace(to, rule);
    b_.define(rule, {value(schema, to, depth + 1)});
    return GrammarBuilder::call(rule);
  }
  // A part of allOf and the like, references and allOf inside it taken apart.
  Value flat(const Value& part, const std::string& path, int depth) const {
    if (depth > kMostNested) wrong(path, "references that go round in a circle");
    if (part.is_boolean() && part.as_boolean()) return Value(Value::Object{});
    if (!part.is_object()) wrong(path, "expected an object");
    Value out = without(part, {"$ref", "allOf"});
    if (const Value* reference = part.find("$ref"))
      out = merged(flat(resolve(*reference, path), path, depth + 1), out, path);
    if (const Value* all = part.find("allOf")) {
      for (const Value& inner : list_of(*all, path)) out = merged(out, flat(inner, path, depth + 1), path);
    }
    return out;
  }

  // A schema that accepts what both accept.
  static Value merged(const Value& a, const Value& b, const std::string& path) {
    if (b.is_boolean() && b.as_boolean()) return a;
    if (a.is_boolean() && a.as_boolean()) return b;
    if (!a.is_object() || !b.is_object()) wrong(path, "expected objects");
    Value out = a;
    for (const auto& [name, theirs] : b.as_object()) {
      const Value* ours = out.find(name);
      const bool says_nothing =
          std::find(std::begin(kAnnotations), std::end(kAnnotations), name) != std::end(kAnnotations);
      if (ours == nullptr || *ours == theirs || says_nothing) {
        if (ours == nullptr) out.set(name, theirs);
        continue;
      }
      if (name == "properties" && ours->is_object() && theirs.is_object()) {
        Value all = *ours;
        for (const auto& [key, schema] : theirs.as_object()) {
          const Value* known = all.find(key);
          all.set(key, known == nullptr ? schema : Value(Value::Object{{"allOf", Value::Array{*known, schema}}}));
        }
        out.set(name, all);
      } else if (name == "required" && ours->is_array() && theirs.is_array()) {
        Value::Array all = ours->as_array();
        for (const Value& key : theirs.as_array()) {
          if (std::find(all.begin(), all.end(), key) == all.end()) all.push_back(key);
        }
        out.set(name, all);
      } else if (name == "type") {
        const unsigned ours_types = widened(types_of(out, path)), both = ours_types & widened(types_of(b, path));
        Value::Array names;
        for (const auto& [known, type] : kTypes) {
          if ((both & type) && !(type == kInteger && (both & kNumber))) names.emplace_back(known);
        }
        if (names.empty()) wrong(path, "types that no value has together");
        out.set(name, names);
      } else if ((name.starts_with("min") || name == "exclusiveMinimum") && ours->is_number() && theirs.is_number()) {
        if (theirs.as_number() > ours->as_number()) out.set(name, theirs);
      } else if ((name.starts_with("max") || name == "exclusiveMaximum") && ours->is_number() && theirs.is_number()) {
        if (theirs.as_number() < ours->as_number()) out.set(name, theirs);
      } else if (name == "enum" && ours->is_array() && theirs.is_array()) {
        Value::Array both;
        for (const Value& item : ours->as_array()) {
          const Value::Array& list = theirs.as_array();
          if (std::find(list.begin(), list.end(), item) != list.end()) both.push_back(item);
        }
        if (both.empty()) wrong(path, "enumerations that share no value");
        out.set(name, both);
      } else {
        unsupported(path, quote(name) + " that differs between schemas which hold together");
      }
    }
    if (out.find("additionalProperties") != nullptr &&
        !(a.find("additionalProperties") && b.find("additionalProperties"))) {
      // One of the two forbids (or shapes) what only the other declares.
      const Value& closed = a.find("additionalProperties") ? a : b;
      const Value& other = a.find("additionalProperties") ? b : a;
      const Value* theirs = other.find("properties");
      const Value* own = closed.find("properties");
      for (const auto& [key, unused] : theirs && theirs->is_object() ? theirs->as_object() : Value::Object{}) {
        if (own == nullptr || own->find(key) == nullptr) {
          unsupported(path, "additionalProperties beside properties that only another schema declares");
        }
      }
    }
    return out;
  }
  static unsigned widened(unsigned types) { return types & kNumber ? types | kInteger : types; }

  // oneOf wants exactly one: alternatives must be seen to have nothing in common.
  void check_apart(const std::vector<Value>& parts, const std::string& path) const {
    std::vector<Value> all;
    for (const Value& part : parts) all.push_back(flat(part, path, 0));
    for (std::size_t i = 0; i < all.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        if (!apart(all[i], all[j], path, 0)) {
          unsupported(path, "oneOf whose alternatives " + std::to_string(j) + " and " + std::to_string(i) +
                                " may accept the same value");
        }
      }
    }
  }
  static std::optional<Value::Array> values_of(const Value& schema) {
    if (const Value* constant = schema.find("const")) return Value::Array{*constant};
    if (const Value* values = schema.find("enum"); values && values->is_array()) return values->as_array();
    return std::nullopt;
  }
  static unsigned type_of(const Value& v) {
    return v.is_null()      ? kNull
           : v.is_boolean() ? kBoolean
           : v.is_number()  ? kNumber | kInteger
           : v.is_string()  ? kString
           : v.is_array()   ? kArray
                            : kObject;
  }
  static bool apart(const Value& a, const Value& b, const std::string& path, int depth) {
    if (depth > 4 || !a.is_object() || !b.is_object()) return false;
    for (const Value* schema : {&a, &b}) {
      if (schema->find("anyOf") || schema->find("oneOf") || schema->find("$ref") || schema->find("allOf")) return false;
    }
    const auto mask = [&](const Value& schema, const std::optional<Value::Array>& values) {
      if (!values) return widened(types_of(schema, path));
      unsigned types = 0;
      for (const Value& v : *values) types |= type_of(v);
      return types;
    };
    const auto of_a = values_of(a), of_b = values_of(b);
    const unsigned both = mask(a, of_a) & mask(b, of_b);
    if (both == 0) return true;
    if (of_a && of_b) {
      return std::none_of(of_a->begin(), of_a->end(), [&](const Value& v) {
        return std::any_of(of_b->begin(), of_b->end(), [&](const Value& w) {
          return v == w || (v.is_number() && w.is_number() && v.as_number() == w.as_number());
        });
      });
    }
    if (both != kObject || of_a || of_b) return false;
    // A member that both require and that tells them apart.
    const Value *properties_a = a.find("properties"), *properties_b = b.find("properties");
    const Value *required_a = a.find("required"), *required_b = b.find("required");
    if (!properties_a || !properties_b || !required_a || !required_b || !required_a->is_array() ||
        !required_b->is_array()) {
      return false;
    }
    for (const Value& key : required_a->as_array()) {
      const Value::Array& others = required_b->as_array();
      if (!key.is_string() || std::find(others.begin(), others.end(), key) == others.end()) continue;
      const Value *mine = properties_a->find(key.as_string()), *theirs = properties_b->find(key.as_string());
      if (mine && theirs && apart(*mine, *theirs, path, depth + 1)) return true;
    }
    return false;
  }

  Sequence enumerated(const Value& schema, const Value::Array& values, const std::string& path) {
    for (const auto& [key, unused] : schema.as_object()) {
      const bool beside = key == "enum" || key == "const" || key == "type" ||
                          std::find(std::begin(kAnnotations), std::end(kAnnotations), key) != std::end(kAnnotations);
      if (!beside) unsupported(path, quote(key) + " beside an enumeration");
    }
    const unsigned types = schema.find("type") ? types_of(schema, path) : kAnyType;
    const Value* list = schema.find("enum");
    std::vector<Sequence> all;
    for (const Value& v : values) {
      const bool whole = v.is_integer() || (v.is_number() && v.as_number() == std::floor(v.as_number()));
      const unsigned type = v.is_number() && !whole ? kNumber : type_of(v);
      if ((types & type) == 0) continue;
      if (schema.find("const") && list &&
          std::find(list->as_array().begin(), list->as_array().end(), v) == list->as_array().end())
        continue;
      all.push_back(text(to_json(v)));
    }
    if (all.empty()) wrong(path, "no value of the enumeration has the type");
    return b_.choice(std::move(all));
  }

  static std::optional<int64_t> count(const Value& schema, std::string_view key, const std::string& path) {
    const Value* n = schema.find(key);
    if (n == nullptr) return std::nullopt;
    if (!n->is_number() || n->as_number() < 0 || n->as_number() != std::floor(n->as_number())) {
      wrong(path + "/" + std::string(key), "expected a whole number, not below 0");
    }
    if (n->as_number() > static_cast<double>(kMostCount)) {
      throw Error(ErrorCode::limit, "more than " + std::to_string(kMostCount),
                  "json_schema: " + path + "/" + std::string(key));
    }
    return n->as_integer();
  }

  Sequence string(const Value& schema, const std::string& path) {
    const auto least = count(schema, "minLength", path), most = count(schema, "maxLength", path);
    const Value *pattern = schema.find("pattern"), *format = schema.find("format");
    if (pattern == nullptr && format == nullptr) {
      if (most && *most < least.value_or(0)) wrong(path, "minLength is above maxLength");
      return string(least.value_or(0), most.value_or(-1));
    }
    if (least || most) unsupported(path, "a length beside a pattern or a format");
    if (pattern && format) unsupported(path, "a pattern beside a format");
    RegexOptions options;
    options.json = true;
    std::string expression;
    if (pattern != nullptr) {
      if (!pattern->is_string()) wrong(path + "/pattern", "expected a string");
      expression = pattern->as_string();
      options.search = true;
      options.where = "json_schema: " + path + "/pattern";
    } else {
      for (const auto& [name, known] : kFormats) {
        if (format->is_string() && name == format->as_string()) expression = known;
      }
      if (expression.empty()) unsupported(path, "the format " + to_json(*format));
    }
    return concat({text("\""), parse_regex(b_, expression, options), text("\"")});
  }

  // ---- Numbers
  // -------------------------------------------------------------------------------------------------------

  Sequence digit(int from, int to) {
    return b_.characters({{static_cast<char32_t>('0' + from), static_cast<char32_t>('0' + to)}});
  }
  // The numbers of as many digits as `bound` that are at least (at most) it.
  Sequence from_bound(std::string_view bound, bool at_least) {
    if (bound.empty()) return {};
    const int first = bound[0] - '0';
    std::vector<Sequence> all{concat({digit(first, first), from_bound(bound.substr(1), at_least)})};
    const int64_t rest = static_cast<int64_t>(bound.size()) - 1;
    if (at_least ? first < 9 : first > 0) {
      all.push_back(concat({at_least ? digit(first + 1, 9) : digit(0, first - 1), digits(rest, rest)}));
    }
    return b_.choice(std::move(all));
  }
  Sequence between(std::string_view low, std::string_view high) {
    if (low.empty()) return {};
    const int a = low[0] - '0', b = high[0] - '0';
    if (a == b) return concat({digit(a, a), between(low.substr(1), high.substr(1))});
    const int64_t rest = static_cast<int64_t>(low.size()) - 1;
    std::vector<Sequence> all{concat({digit(a, a), from_bound(low.substr(1), true)}),
                              concat({digit(b, b), from_bound(high.substr(1), false)})};
    if (b - a > 1) all.push_back(concat({digit(a + 1, b - 1), digits(rest, rest)}));
    return b_.choice(std::move(all));
  }
  // 0 <= low <= high
  Sequence naturals(int64_t low, int64_t high) {
    std::vector<Sequence> all;
    for (int64_t first = 0, last = 9; first <= high; first = last + 1, last = last * 10 + 9) {
      const int64_t a = std::max(low, first), b = std::min(high, last);
      if (a <= b) all.push_back(between(std::to_string(a), std::to_string(b)));
    }
    return b_.choice(std::move(all));
  }
  // Whole numbers, none for an empty range.
  std::vector<Sequence> integers(int64_t low, int64_t high) {
    std::vector<Sequence> all;
    if (low < 0 && low <= std::min<int64_t>(high, -1)) {
      all.push_back(concat({text("-"), naturals(-std::min<int64_t>(high, -1), -low)}));
    }
    if (high >= 0 && low <= high) all.push_back(naturals(std::max<int64_t>(low, 0), high));
    return all;
  }
  struct Bounds {
    double low = -std::numeric_limits<double>::infinity(), high = std::numeric_limits<double>::infinity();
    bool open_low = false, open_high = false;
    bool any() const { return std::isfinite(low) || std::isfinite(high); }
    // The whole numbers inside.
    int64_t least() const {
      const double x = open_low && low == std::floor(low) ? low + 1 : std::ceil(low);
      return static_cast<int64_t>(std::max(x, -static_cast<double>(kMostInteger)));
    }
    int64_t most() const {
      const double x = open_high && high == std::floor(high) ? high - 1 : std::floor(high);
      return static_cast<int64_t>(std::min(x, static_cast<double>(kMostInteger)));
    }
  };
  static Bounds bounds(const Value& schema, const std::string& path) {
    Bounds out;
    const auto number = [&](const char* key) -> std::optional<double> {
      const Value* n = schema.find(key);
      if (n == nullptr) return std::nullopt;
      if (!n->is_number()) wrong(path + "/" + key, "expected a number");
      if (std::abs(n->as_number()) > static_cast<double>(kMostInteger)) {
        unsupported(path, std::string(key) + " of more than 15 digits");
      }
      return n->as_number();
    };
    if (const auto x = number("minimum")) out.low = *x;
    if (const auto x = number("maximum")) out.high = *x;
    if (const auto x = number("exclusiveMinimum"); x && *x >= out.low) out.low = *x, out.open_low = true;
    if (const auto x = number("exclusiveMaximum"); x && *x <= out.high) out.high = *x, out.open_high = true;
    return out;
  }
  Sequence integer(const Value& schema, const std::string& path) {
    const Bounds range = bounds(schema, path);
    if (!range.any()) return concat({b_.optional(text("-")), natural()});
    std::vector<Sequence> all = integers(range.least(), range.most());
    if (all.empty()) wrong(path, "no integer is between the bounds");
    return b_.choice(std::move(all));
  }
  Sequence number(const Value& schema, const std::string& path) {
    const Bounds range = bounds(schema, path);
    if (!range.any()) return any_number();
    // Whole numbers, and those with a fraction whose whole part leaves room for any: the fraction's last digit is not
    // 0, so that bounds which are left out stay out.
    const int64_t low = range.least(), high = range.most();
    std::vector<Sequence> all = integers(low, high);
    const Sequence fraction = concat({text("."), digits(0, 13), digit(1, 9)});
    const double most = static_cast<double>(kMostInteger);
    const auto whole = [&](double x) { return static_cast<int64_t>(std::clamp(x, -most, most)); };
    const int64_t up_from = std::max<int64_t>(0, whole(std::ceil(range.low))),
                  up_to = whole(std::floor(range.high)) - 1;
    if (up_from <= up_to) all.push_back(concat({naturals(up_from, up_to), fraction}));
    const int64_t down_from = std::max<int64_t>(0, whole(std::ceil(-range.high))),
                  down_to = whole(std::floor(-range.low)) - 1;
    if (down_from <= down_to) all.push_back(concat({text("-"), naturals(down_from, down_to), fraction}));
    if (all.empty()) unsupported(path, "a range of numbers within two whole ones");
    return b_.choice(std::move(all));
  }

  // ---- Arrays and objects
  // --------------------------------------------------------------------------------------------

  Sequence array(const Value& schema, const std::string& path, int depth) {
    const int64_t least = count(schema, "minItems", path).value_or(0);
    std::optional<int64_t> most = count(schema, "maxItems", path);
    const Value* items = schema.find("items");
    const Value* prefix = schema.find("prefixItems");
    std::string rest_path = path + "/items", prefix_path = path + "/prefixItems";
    if (items != nullptr && items->is_array()) {  // as before 2020
      prefix = items, prefix_path = path + "/items";
      items = schema.find("additionalItems"), rest_path = path + "/additionalItems";
    }
    if (const Value* unique = schema.find("uniqueItems");
        unique && unique->is_boolean() && unique->as_boolean() && most.value_or(2) > 1) {
      unsupported(path, "uniqueItems");
    }
    static const Value kAnything = true;
    const Value& rest_schema = items == nullptr ? kAnything : *items;
    const Value::Array first = prefix != nullptr ? list_of(*prefix, prefix_path) : Value::Array{};
    const int64_t fixed = static_cast<int64_t>(first.size());
    if (rest_schema.is_boolean() && !rest_schema.as_boolean()) most = std::min(most.value_or(fixed), fixed);
    if (most && *most < least)
      wrong(path, "no array is long enough for minItems and short enough for what else is asked");
    // What may follow the first i items, its comma first.
    Sequence more;
    if (!most || *most > fixed) {
      const Sequence item = concat({behind(','), value(rest_schema, rest_path, depth + 1)});
      // Without prefix items the first item has no comma: it is not counted here.
      const int64_t before = std::max<int64_t>(fixed, 1);
      more = b_.repeat(item, std::max<int64_t>(least - before, 0), most ? *most - before : -1);
    }
    Sequence content;
    if (fixed == 0) {
      if (!most || *most > 0) {
        content = concat({value(rest_schema, rest_path, depth + 1), more});
        if (least == 0) content = b_.optional(content);
      }
    } else {
      content = more;
      for (int64_t i = fixed; i-- > 0;) {
        if (most && i >= *most) {
          content = {};
          continue;
        }
        const Sequence item =
            value(first[static_cast<std::size_t>(i)], prefix_path + "/" + std::to_string(i), depth + 1);
        content = concat({i > 0 ? behind(',') : Sequence{}, item, content});
        if (i >= least) content = b_.optional(content);
      }
    }
    return concat({text("["), content, text("]")});
  }

  // A string that is none of `names`, written without escapes.
  Sequence other_key(const std::vector<std::string>& names, std::size_t prefix) {
    const Ranges all{{0x20, 0x21}, {0x23, 0x5B}, {0x5D, kLastCodePoint}};
    std::map<char, std::vector<std::string>> children;
    bool taken = false;
    for (const std::string& name : names) {
      if (name.size() == prefix) {
        taken = true;
      } else {
        children[name[prefix]].push_back(name);
      }
    }
    Ranges others = complement(all);
    for (const auto& [c, unused] : children) {
      // Names with other letters are told apart by their first ASCII letters, or not at all.
      if (static_cast<unsigned char>(c) < 0x80)
        others.emplace_back(static_cast<unsigned char>(c), static_cast<unsigned char>(c));
    }
    const bool beyond = std::any_of(children.begin(), children.end(),
                                    [](const auto& child) { return static_cast<unsigned char>(child.first) >= 0x80; });
    if (beyond) others.emplace_back(0x80, kLastCodePoint);
    std::vector<Sequence> alternatives;
    if (!taken) alternatives.emplace_back();
    alternatives.push_back(concat({b_.characters(complement(others)), b_.repeat(b_.characters(all), 0, -1)}));
    for (const auto& [c, below] : children) {
      if (static_cast<unsigned char>(c) < 0x80 && c >= 0x20 && c != '"' && c != '\\') {
        alternatives.push_back(concat({text(std::string(1, c)), other_key(below, prefix + 1)}));
      }
    }
    return b_.choice(std::move(alternatives));
  }

  Sequence object(const Value& schema, const std::string& path, int depth) {
    struct Member {
      std::string name;
      Sequence written;
      bool required;
    };
    const Value* properties = schema.find("properties");
    const Value* additional = schema.find("additionalProperties");
    if (properties && !properties->is_object()) wrong(path + "/properties", "expected an object");
    std::vector<std::string> required;
    if (const Value* list = schema.find("required")) {
      if (!list->is_array()) wrong(path + "/required", "expected a list of names");
      for (const Value& name : list->as_array()) {
        if (!name.is_string()) wrong(path + "/required", "expected a list of names");
        if (std::find(required.begin(), required.end(), name.as_string()) == required.end())
          required.push_back(name.as_string());
      }
    }
    const bool closed = additional && additional->is_boolean() && !additional->as_boolean();
    static const Value kAnything = true;
    const Value& other_schema = additional ? *additional : kAnything;
    std::vector<Member> members;
    std::vector<std::string> names;
    const auto add = [&](const std::string& name, const Value& of, const std::string& where, bool is_required) {
      if (of.is_boolean() && !of.as_boolean() && !is_required) return names.push_back(name);
      members.push_back(
          {name, concat({text(to_json(Value(name))), behind(':'), value(of, where, depth + 1)}), is_required});
      names.push_back(name);
    };
    if (properties) {
      for (const auto& [name, of] : properties->as_object()) {
        add(name, of, path + "/properties/" + name,
            std::find(required.begin(), required.end(), name) != required.end());
      }
    }
    for (const std::string& name : required) {
      if (std::find(names.begin(), names.end(), name) != names.end()) continue;
      if (closed) wrong(path + "/required", quote(name) + " is required and not allowed");
      add(name, other_schema, path + "/additionalProperties", true);
    }
    const bool open = !closed && (additional != nullptr || members.empty());
    const int64_t fixed = std::count_if(members.begin(), members.end(), [](const Member& m) { return m.required; });
    const int64_t at_least = count(schema, "minProperties", path).value_or(0);
    const auto at_most = count(schema, "maxProperties", path);
    int64_t others_least = 0, others_most = open ? -1 : 0;
    if (at_least > fixed) {
      if (!open || fixed != static_cast<int64_t>(members.size()))
        unsupported(path, "minProperties beyond the required ones");
      others_least = at_least - fixed;
      if (others_least > 1) unsupported(path, "minProperties of undeclared names, which may come twice");
    }
    if (at_most && *at_most < static_cast<int64_t>(members.size()))
      unsupported(path, "maxProperties below the declared ones");
    if (at_most && open) others_most = *at_most - static_cast<int64_t>(members.size());

    // What may follow from member i on: the first that is written has no comma. From the last back.
    Sequence first, later;
    if (others_most != 0) {
      const Sequence other = concat({text("\""), other_key(names, 0), text("\""), behind(':'),
                                     value(other_schema, path + "/additionalProperties", depth + 1)});
      const Sequence with_comma = concat({behind(','), other});
      later = b_.repeat(with_comma, others_least, others_most);
      first = concat({other, b_.repeat(with_comma, std::max<int64_t>(others_least - 1, 0),
                                       others_most < 0 ? -1 : others_most - 1)});
      if (others_least == 0) first = b_.optional(first);
    }
    for (std::size_t i = members.size(); i-- > 0;) {
      const Member& m = members[i];
      const Sequence now_first = concat({m.written, later}), now_later = concat({behind(','), m.written, later});
      first = m.required ? now_first : b_.choice({now_first, first});
      later = m.required ? now_later : b_.choice({now_later, later});
      // As rules, or they would be written out again and again.
      first = rule(first), later = rule(later);
    }
    return concat({text("{"), first, text("}")});
  }
  Sequence rule(const Sequence& sequence) {
    if (sequence.size() <= 1) return sequence;
    const int32_t id = b_.declare({});
    b_.define(id, {sequence});
    return GrammarBuilder::call(id);
  }

  const Value& root_;
  GrammarBuilder b_;
  int32_t space_ = -1, character_ = -1, any_ = -1;
  std::map<std::string, int32_t> references_;
};

}  // namespace
}  // namespace generation

Grammar Grammar::from_json_schema(const Value& schema) { return generation::Schema(schema).compile(); }

}  // namespace transformers
