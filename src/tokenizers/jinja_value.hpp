// What it is: the values that chat templates compute with: Python's, with Python's equality, order, str() and repr().
// Where it stands: tokenizers; the interpreter's operands (jinja_interpreter.hpp). Values are immutable, as in the
// sandbox of Hugging Face; only a Namespace can be assigned to.
// Usage: `Val v = make_string(memory, "a"); std::string text; append_str(text, v);`
// Source: Python 3.11; jinja2 3.1.6 runtime.py, utils.py; markupsafe 3.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace transformers::jinja {

// What a rendering may use. Values count their bytes here while they live, and operations count their work.
struct Memory {
  int64_t live_bytes = 0;
  int64_t max_live_bytes = 0;
  int64_t steps = 0;
  int64_t max_steps = 0;

  void step(int64_t n) {
    steps += n;
    if (steps > max_steps) too_many_steps();
  }
  // Until the end of the rendering.
  void take(int64_t bytes);
  [[noreturn]] void too_many_steps() const;
};

// Makes `memory` that of the operations of this thread which have no other way to count (equal, compare, append_repr).
class ActiveMemory {
 public:
  explicit ActiveMemory(Memory& memory);
  ~ActiveMemory();
  ActiveMemory(const ActiveMemory&) = delete;
  ActiveMemory& operator=(const ActiveMemory&) = delete;

 private:
  Memory* saved_;
};

class Interpreter;
class Val;
struct Args;
using Vals = std::vector<Val>;

// What any failure of a value's operation throws; the interpreter turns it into an Error that says where in the
// template it happened.
struct Failure {
  enum class Kind { template_error, limit, unsupported };
  Kind kind = Kind::template_error;
  std::string message;
};
[[noreturn]] void fail(std::string message);
[[noreturn]] void fail_limit(std::string message);
[[noreturn]] void fail_unsupported(std::string message);

// Counts `bytes` in `memory` for as long as it lives.
class Counted {
 public:
  Counted(Memory* memory, std::size_t bytes);
  ~Counted();
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  Memory* memory_;
  int64_t bytes_;
};

struct Str {
  std::string text;  // well-formed UTF-8
  int64_t length;    // code points
  bool markup;       // markupsafe's Markup: text that is joined with it is escaped
  Counted counted;

  Str(Memory* memory, std::string text, bool markup);
  bool is_ascii() const { return length == static_cast<int64_t>(text.size()); }
};

struct Sequence {  // a list or a tuple
  Vals items;
  int depth;  // of nesting, 1 for one of scalars
  Counted counted;
  Sequence(Memory* memory, Vals items);
};

struct Dict;
struct Undefined {
  std::string message;
  bool unsafe = false;  // stands for something that the sandbox refuses
};
struct DictView {  // what items(), keys() and values() give
  enum class Kind { items, keys, values } kind;
  std::shared_ptr<const Dict> dict;
};
struct Range {
  int64_t start, stop, step;
  int64_t size() const;
};
struct Iterator {  // a generator or another iterator: usable once
  std::function<bool(Val&)> next;
  const char* name;
  int depth;  // of what it draws on
};
struct Namespace {
  std::vector<std::pair<std::string, Val>> attributes;
};
struct Callable {  // a function, method or macro
  std::string name;
  std::function<Val(Interpreter&, Args&)> call;
  int depth = 0;  // of what it holds
  bool is_macro = false;
};
struct Loop;  // the special variable `loop`

class Val {
 public:
  enum class Type : uint8_t {
    undefined,
    none,
    boolean,
    integer,
    number,
    string,
    list,
    tuple,
    dict,
    view,
    range,
    iterator,
    name_space,
    callable,
    loop
  };
  using Data =
      std::variant<std::shared_ptr<const Undefined>, std::monostate, bool, int64_t, double, std::shared_ptr<const Str>,
                   std::shared_ptr<const Sequence>, std::shared_ptr<const Dict>, DictView, Range,
                   std::shared_ptr<Iterator>, Namespace*, std::shared_ptr<const Callable>, std::shared_ptr<Loop>>;

  Val() : type_(Type::none), data_(std::monostate{}) {}
  explicit Val(bool b) : type_(Type::boolean), data_(b) {}
  explicit Val(int64_t i) : type_(Type::integer), data_(i) {}
  explicit Val(double d) : type_(Type::number), data_(d) {}
  Val(Type type, Data data) : type_(type), data_(std::move(data)) {}

  Type type() const { return type_; }
  bool is(Type type) const { return type_ == type; }
  bool is_undefined() const { return type_ == Type::undefined; }
  bool is_none() const { return type_ == Type::none; }
  bool is_string() const { return type_ == Type::string; }
  bool is_sequence() const { return type_ == Type::list || type_ == Type::tuple; }
  // A Python int: an integer or a boolean.
  bool is_int() const { return type_ == Type::integer || type_ == Type::boolean; }
  bool is_number() const { return is_int() || type_ == Type::number; }

  bool boolean() const { return std::get<bool>(data_); }
  int64_t integer() const { return type_ == Type::boolean ? boolean() : std::get<int64_t>(data_); }
  double number() const { return is_int() ? static_cast<double>(integer()) : std::get<double>(data_); }
  const Str& str() const { return *std::get<std::shared_ptr<const Str>>(data_); }
  const std::string& text() const { return str().text; }
  const Vals& items() const { return std::get<std::shared_ptr<const Sequence>>(data_)->items; }
  std::shared_ptr<const Dict> shared_dict() const { return std::get<std::shared_ptr<const Dict>>(data_); }
  const Dict& dict() const { return *std::get<std::shared_ptr<const Dict>>(data_); }
  const DictView& view() const { return std::get<DictView>(data_); }
  const Range& range() const { return std::get<Range>(data_); }
  Iterator& iterator() const { return *std::get<std::shared_ptr<Iterator>>(data_); }
  Namespace& name_space() const { return *std::get<Namespace*>(data_); }
  const Callable& callable() const { return *std::get<std::shared_ptr<const Callable>>(data_); }
  Loop& loop() const { return *std::get<std::shared_ptr<Loop>>(data_); }
  const Undefined& undefined() const { return *std::get<std::shared_ptr<const Undefined>>(data_); }
  const std::string& undefined_message() const { return undefined().message; }
  const Data& data() const { return data_; }
  int depth() const;  // of nested containers, 0 for a scalar

 private:
  Type type_;
  Data data_;
};

struct Dict {
  std::vector<std::pair<Val, Val>> items;  // in the order of insertion
  int depth = 1;
  explicit Dict(Memory* memory) : memory_(memory) {}
  ~Dict();
  Dict(const Dict&) = delete;
  Dict& operator=(const Dict&) = delete;
  const Val* find(std::string_view key) const;
  const Val* find(const Val& key) const;
  // Sets or replaces; fails for a key that Python cannot hash.
  void set(Val key, Val value);

 private:
  Memory* memory_;
  int64_t bytes_ = 0;
  std::unordered_map<std::string_view, std::size_t> by_text_;  // string keys; their texts live in `items`
  bool has_other_keys_ = false;
};

struct Loop {
  Val iterable;
  std::function<bool(Val&)> next;
  int64_t index0 = -1;
  int64_t length_known = -1;
  bool has_after = false, exhausted = false;
  Val before, current, after;
  bool has_before = false;
  int64_t depth0 = 0;
  bool has_changed = false;
  Vals changed;
  std::function<Val(Val)> recurse;

  bool advance();    // to the next item: false at the end
  bool peek();       // whether there is one
  int64_t length();  // of the whole, reading it to the end if need be
};

Val make_undefined(std::string message);
Val make_string(Memory& memory, std::string text, bool markup = false);
Val make_list(Memory& memory, Vals items);
Val make_tuple(Memory& memory, Vals items);
Val make_dict(std::shared_ptr<Dict> dict);
// `source` is the deepest value that the function holds.
Val make_iterator(const Val& source, std::function<bool(Val&)> next, const char* name = "generator");
Val make_callable(const Val& source, std::string name, std::function<Val(Interpreter&, Args&)> call);

const char* type_name(const Val& v);  // Python's: "str", "dict" ...
bool truth(const Val& v);
bool equal(const Val& a, const Val& b);
// -1, 0, 1 as Python's < and > say; 2 when neither holds (nan). Fails for types without an order; `symbol` is for the
// message.
int compare(const Val& a, const Val& b, const char* symbol);
bool less(const Val& a, const Val& b);
void append_str(std::string& out, const Val& v);
void append_repr(std::string& out, const Val& v, int depth = 0);
std::string str(const Val& v);
std::string repr(const Val& v);
// The number of items, or -1 for what has no len().
int64_t size_of(const Val& v);
// Steps through `v` as Python's iter() does; fails when it cannot.
std::function<bool(Val&)> iterate(Memory& memory, const Val& v);
bool is_iterable(const Val& v);
Vals to_list(Memory& memory, const Val& v);

// markupsafe.escape of a text.
std::string escape_html(std::string_view text);

}  // namespace transformers::jinja
