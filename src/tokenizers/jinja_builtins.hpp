// What it is: the filters, tests, global functions and methods that chat templates can call.
// Where it stands: tokenizers; the parser asks for names, the interpreter calls.
// Usage: `if (const Filter filter = find_filter("trim")) value = filter(interpreter, value, args);`
// Source: jinja2 3.1.6 filters.py, tests.py, defaults.py; Python 3.11 str, list, tuple, dict; transformers 5.23
// utils/chat_template_utils.py for tojson, strftime_now, raise_exception, dict and namespace.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jinja_value.hpp"

namespace transformers::jinja {

// The arguments of a call.
struct Args {
  Vals positional;
  std::vector<std::pair<std::string, Val>> named;
};

// Each parameter's argument, or nullptr where none was given, by position or name; fails for too many, unknown or
// missing ones (the first `required` must be there).
std::vector<const Val*> bind(const Args& args, std::string_view function,
                             std::initializer_list<std::string_view> parameters, std::size_t required = 0);

using Filter = Val (*)(Interpreter&, const Val&, Args&);
using Test = bool (*)(Interpreter&, const Val&, Args&);
using Method = Val (*)(Interpreter&, const Val& self, Args&);

Filter find_filter(std::string_view name);          // nullptr: no such filter here
bool is_unsupported_filter(std::string_view name);  // Jinja has it, this does not
Test find_test(std::string_view name);
// A global function by name; undefined when there is none.
Val find_global(std::string_view name);

// A method of Python's str, list, tuple, dict ... by name.
struct MethodEntry {
  Method method = nullptr;
  bool exists = false;  // in Python
  bool unsafe = false;  // refused by the sandbox
};
MethodEntry find_method(const Val& self, std::string_view name);

// json.dumps as Hugging Face's tojson calls it.
struct JsonStyle {
  bool ensure_ascii = false, sort_keys = false, indented = false;
  std::string indent;  // of one level
  std::string item_separator = ", ", key_separator = ": ";
};
void append_json(Interpreter& in, std::string& out, const Val& v, const JsonStyle& style, int level = 0);

// format % values, and format(value, spec), of Python.
Val format_percent(Interpreter& in, const Val& format, const Val& values);

// s[start:stop:step] of a string, list, tuple or range; absent bounds are None.
Val slice(Interpreter& in, const Val& v, const Val& start, const Val& stop, const Val& step);

// An integer argument; fails for anything else.
int64_t as_index(const Val& v);
// A text argument: soft_str of jinja, str() of what is no string.
Val soft_str(Interpreter& in, const Val& v);

}  // namespace transformers::jinja
