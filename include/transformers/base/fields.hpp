// What it is: how structs of named fields (configs, options) are read, written and listed from one list of names.
// Where it stands: base; every config and option struct has `void fields(FieldVisitor& f)`, its single source of truth.
// Usage:
//   struct Options { std::optional<int64_t> top_k = 1;
//     void fields(FieldVisitor& f) { f("top_k", top_k, "labels to return"); } };
//   Options o;  read_fields(o, value, "config.json");
#pragma once

#include <concepts>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "transformers/base/export.hpp"
#include "transformers/base/value.hpp"

namespace transformers {

// Visits the fields of one struct. A reader leaves a field whose key is absent at the value it has (its default).
class TCPP_API FieldVisitor {
 public:
  virtual ~FieldVisitor();

  void operator()(std::string_view name, bool& v, std::string_view help = {}) { visit(name, v, help); }
  void operator()(std::string_view name, int64_t& v, std::string_view help = {}) { visit(name, v, help); }
  void operator()(std::string_view name, float& v, std::string_view help = {}) { visit(name, v, help); }
  void operator()(std::string_view name, double& v, std::string_view help = {}) { visit(name, v, help); }
  void operator()(std::string_view name, std::string& v, std::string_view help = {}) { visit(name, v, help); }
  // One integer is read as a list of one: eos_token_id is either in Hugging Face's files.
  void operator()(std::string_view name, std::vector<int64_t>& v, std::string_view help = {}) { visit(name, v, help); }
  // One string is read as a list of one.
  void operator()(std::string_view name, std::vector<std::string>& v, std::string_view help = {}) {
    visit(name, v, help);
  }
  // JSON objects with integers as keys, written as strings: id2label.
  void operator()(std::string_view name, std::map<int64_t, std::string>& v, std::string_view help = {}) {
    visit(name, v, help);
  }
  // Any value, for the few fields that have several types.
  void operator()(std::string_view name, Value& v, std::string_view help = {}) { visit(name, v, help); }

  // null (Python's None) is std::nullopt.
  template <class T>
  void operator()(std::string_view name, std::optional<T>& v, std::string_view help = {}) {
    switch (visit_optional(name, v.has_value())) {
      case Presence::unchanged:
        return;
      case Presence::null:
        v.reset();
        return;
      case Presence::value:
        break;
    }
    T value = v.value_or(T{});
    (*this)(name, value, help);
    v = std::move(value);
  }

  // An enum under the names of an array, in lower case: names[i] is the enumerator with the value i. Read in any case.
  template <class E, std::size_t N>
  requires std::is_enum_v<E>
  void choice(std::string_view name, E& v, const std::string_view (&names)[N], std::string_view help = {}) {
    std::size_t index = static_cast<std::size_t>(v);
    visit_choice(name, index, names, N, help);
    v = static_cast<E>(index);
  }

 protected:
  enum class Presence { unchanged, null, value };
  virtual void visit(std::string_view name, bool& v, std::string_view help) = 0;
  virtual void visit(std::string_view name, int64_t& v, std::string_view help) = 0;
  virtual void visit(std::string_view name, float& v, std::string_view help) = 0;
  virtual void visit(std::string_view name, double& v, std::string_view help) = 0;
  virtual void visit(std::string_view name, std::string& v, std::string_view help) = 0;
  virtual void visit(std::string_view name, std::vector<int64_t>& v, std::string_view help) = 0;
  virtual void visit(std::string_view name, std::vector<std::string>& v, std::string_view help) = 0;
  virtual void visit(std::string_view name, std::map<int64_t, std::string>& v, std::string_view help) = 0;
  virtual void visit(std::string_view name, Value& v, std::string_view help) = 0;
  virtual void visit_choice(std::string_view name, std::size_t& index, const std::string_view* names, std::size_t count,
                            std::string_view help) = 0;
  virtual Presence visit_optional(std::string_view name, bool has_value) = 0;
};

template <class T>
concept HasFields = requires(T t, FieldVisitor& f) {
  t.fields(f);
};

// Reads fields from the members of an object. Wrong type: Error(invalid_argument) naming key and file.
class TCPP_API FieldReader final : public FieldVisitor {
 public:
  // `object` must outlive the reader.
  FieldReader(const Value& object, std::string_view where);
  ~FieldReader() override;
  // Throws Error(invalid_argument) for the first member that no field has read, naming the known ones.
  void reject_unknown() const;

 protected:
  void visit(std::string_view name, bool& v, std::string_view help) override;
  void visit(std::string_view name, int64_t& v, std::string_view help) override;
  void visit(std::string_view name, float& v, std::string_view help) override;
  void visit(std::string_view name, double& v, std::string_view help) override;
  void visit(std::string_view name, std::string& v, std::string_view help) override;
  void visit(std::string_view name, std::vector<int64_t>& v, std::string_view help) override;
  void visit(std::string_view name, std::vector<std::string>& v, std::string_view help) override;
  void visit(std::string_view name, std::map<int64_t, std::string>& v, std::string_view help) override;
  void visit(std::string_view name, Value& v, std::string_view help) override;
  void visit_choice(std::string_view name, std::size_t& index, const std::string_view* names, std::size_t count,
                    std::string_view help) override;
  Presence visit_optional(std::string_view name, bool has_value) override;

 private:
  const Value* take(std::string_view name);
  [[noreturn]] void wrong_type(std::string_view name, std::string_view expected, const Value& found) const;

  const Value& object_;
  std::string where_;
  std::vector<std::string> known_;
};

// One row of a struct's list of fields.
struct FieldInfo {
  std::string name;
  std::string
      type;     // "bool", "int", "float", "string", "int list", "string list", "map", "value", or "a|b|c" of a choice
  Value value;  // the value at the time of listing, i.e. the default for a fresh struct
  std::string help;
  bool optional = false;  // null is allowed
};

TCPP_API std::vector<FieldInfo> list_fields_of(void (*visit)(void*, FieldVisitor&), void* object);

template <HasFields T>
std::vector<FieldInfo> list_fields(T object) {
  return list_fields_of([](void* o, FieldVisitor& f) { static_cast<T*>(o)->fields(f); }, &object);
}

// Reads a struct's fields; members nobody asks for are ignored, as Hugging Face ignores them in configs.
template <HasFields T>
void read_fields(T& object, const Value& value, std::string_view where) {
  FieldReader reader(value, where);
  object.fields(reader);
}

// Reads the options of a call: like read_fields, but a member that is no option is Error(invalid_argument) naming it.
// null is no options.
template <HasFields T>
void read_options(T& options, const Value& value) {
  if (value.is_null()) return;
  FieldReader reader(value, "options");
  options.fields(reader);
  reader.reject_unknown();
}

// The struct as an object, every field present, in the order of the list.
template <HasFields T>
Value write_fields(T object) {
  Value out{Value::Object{}};
  for (FieldInfo& info : list_fields(std::move(object))) out.set(std::move(info.name), std::move(info.value));
  return out;
}

}  // namespace transformers
