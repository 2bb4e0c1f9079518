// What it is: the syntax tree of a chat template, and the parser that makes it.
// Where it stands: tokenizers; the interpreter walks the tree (jinja_interpreter.hpp).
// Usage: `Program program = parse(source, "chat_template.jinja");`
// Source: jinja2 3.1.6 lexer.py, parser.py, and what compiler.py refuses, with trim_blocks, lstrip_blocks, loop
// controls and the generation tag: the environment of transformers 5.23 utils/chat_template_utils.py.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jinja_value.hpp"
#include "transformers/base/error.hpp"

namespace transformers::jinja {

struct Position {
  int32_t line = 1, column = 1;  // from 1; columns in code points
};

// "TemplateError: line 3 col 7: <message> (<where>)"
[[noreturn]] void throw_template_error(ErrorCode code, Position at, const std::string& message,
                                       const std::string& where);

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

struct Arguments {  // of a call
  std::vector<ExprPtr> positional;
  std::vector<std::pair<std::string, ExprPtr>> named;
  ExprPtr more_positional, more_named;  // *args, **kwargs
};

struct Expr {
  enum class Kind : uint8_t {
    constant,   // value
    name,       // id
    attribute,  // a.text
    item,       // a[b]
    slice,      // a[b:c:d], only below item
    call,       // a(arguments)
    filter,     // a|text(arguments); a is null in filter blocks: the body
    test,       // a is text(arguments)
    tuple,
    list,
    concat,       // items
    dict,         // items: key, value, key, value ...
    compare,      // a, then text[i] with items[i]
    conditional,  // a if b else c
    logical_and,
    logical_or,
    logical_not,
    add,
    subtract,
    multiply,
    divide,
    floor_divide,
    modulo,
    power,
    negate,
    plus,
    attribute_target,  // id.text, on the left of set
  };
  Kind kind;
  Position at;
  int depth = 1;  // of the tree below
  int id = -1;
  std::string text;  // for compare: one letter an operator, see kCompareOperators
  Val value;
  ExprPtr a, b, c, d;
  std::vector<ExprPtr> items;
  std::unique_ptr<Arguments> arguments;
};
// == != < <= > >= in notin
inline constexpr std::string_view kCompareOperators = "=!<{>}in";

struct Stmt;
using Body = std::vector<std::unique_ptr<Stmt>>;

struct Stmt {
  enum class Kind : uint8_t {
    data,        // text
    output,      // expr
    loop,        // for target in expr if test: body, other
    branch,      // if expr: body, branches (elif), other
    assign,      // set target = expr
    capture,     // set target: body, through the filters of expr if there are any
    macro,       // id, parameters, body
    call,        // call(parameters) expr: body
    filter,      // filter expr: body
    with,        // targets, values, body
    generation,  // body
    leave,
    next  // break, continue
  };
  Kind kind;
  Position at;
  int id = -1;
  bool recursive = false;                                               // loop
  bool uses_varargs = false, uses_kwargs = false, uses_caller = false;  // macro, call
  std::string text;
  ExprPtr target, expr, test;
  std::vector<int> parameters;
  std::vector<ExprPtr> defaults;  // of the last parameters; for with: the values
  std::vector<ExprPtr> targets;   // with
  Body body, other;
  std::vector<std::pair<ExprPtr, Body>> branches;
};

struct Program {
  std::string where;
  std::vector<std::string> names;  // by id
  Body body;
  bool has_generation = false;

  int id(std::string_view name) const;  // -1: not in the template
};

// The ids of the names that mean something to the interpreter itself.
enum NameId { kLoopName, kVarargsName, kKwargsName, kCallerName };

// Errors: corrupt_file for what is no template, unsupported for statements, filters and tests of Jinja that are not
// handled here, limit for templates that are too deeply nested or beyond 4 MB.
Program parse(std::string_view source, const std::string& where);

}  // namespace transformers::jinja
