// What it is: runs a chat template: walks the tree of jinja_parser.hpp, within limits.
// Where it stands: tokenizers; ChatTemplate (chat_template.hpp) makes one for each rendering.
// Usage: `Interpreter in(program, limits); std::string text = in.run(variables);`
// Source: jinja2 3.1.6 compiler.py, runtime.py, sandbox.py.
#pragma once

#include <cstdint>
#include <ctime>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "jinja_builtins.hpp"
#include "jinja_parser.hpp"
#include "jinja_value.hpp"
#include "transformers/base/value.hpp"

namespace transformers::jinja {

struct Scope {
  Scope* parent = nullptr;
  std::vector<std::pair<int, Val>> variables;  // by name id
  bool captured = false;                       // a macro refers to it: it lives until the end

  Val* find(int id);
  void set(int id, Val value);
};

struct RunLimits {
  int64_t max_steps = 0;
  int64_t max_memory_bytes = 0;
  int64_t max_output_bytes = 0;
};

class Interpreter {
 public:
  Interpreter(const Program& program, const RunLimits& limits, std::tm now);
  Interpreter(const Interpreter&) = delete;

  // Renders with the members of `variables` as the template's variables.
  std::string run(const Value& variables);
  // What the generation blocks wrote: [begin, end) in code points of the rendering.
  std::vector<std::pair<int64_t, int64_t>> generations;

  // For builtins. All fail by throwing Failure.
  Memory& memory() { return memory_; }
  Val string(std::string text, bool markup = false) { return make_string(memory_, std::move(text), markup); }
  // Counts `bytes` of work.
  void work(std::size_t bytes) { step(1 + static_cast<int64_t>(bytes >> 7)); }
  void step(int64_t steps = 1) { memory_.step(steps); }
  Val get_attribute(const Val& object, std::string_view name);
  Val get_item(const Val& object, const Val& key);
  Val call(const Val& callee, Args& args);
  Val call_filter(const std::string& name, const Val& value, Args& args);
  bool call_test(const std::string& name, const Val& value, Args& args);
  bool contains(const Val& container, const Val& item);
  Val make_namespace(std::vector<std::pair<std::string, Val>> attributes);
  Vals list(const Val& v);  // with the work counted
  const std::tm& now() const { return now_; }

 private:
  enum class Flow { normal, leave, next };
  class Deeper;
  class Inner;

  Val convert(const Value& v, int depth);
  Flow execute(const Body& body, Scope& scope);
  Flow execute(const Stmt& s, Scope& scope);
  Flow execute_loop(const Stmt& s, Scope& scope);
  Flow run_loop(const Stmt& s, Scope& scope, const Val& iterable, int64_t depth0);
  Flow execute_branch(const Stmt& s, Scope& scope);
  void execute_call(const Stmt& s, Scope& scope);
  void execute_generation(const Stmt& s, Scope& scope);
  std::string capture(const Body& body, Scope& scope);
  void output(std::string_view text);
  void output(const Val& v);
  void assign(const Expr& target, Val value, Scope& scope);
  Val make_macro(const Stmt& s, std::string name, Scope& scope);
  Val call_macro(const Stmt& s, const std::string& name, Scope& defined_in, Args& args);

  Val evaluate(const Expr& e, Scope& scope);
  Val evaluate_any(const Expr& e, Scope& scope);
  Val evaluate_name(int id, Scope& scope);
  Val evaluate_compare(const Expr& e, Scope& scope);
  Val evaluate_item(const Expr& e, Scope& scope);
  Val evaluate_call(const Expr& e, Scope& scope, const Val* caller);
  Val evaluate_filter(const Expr& e, Scope& scope);
  Val evaluate_test(const Expr& e, Scope& scope);
  Val evaluate_container(const Expr& e, Scope& scope);
  void evaluate_arguments(const Arguments& arguments, Scope& scope, Args& out);

  Scope& keep(std::unique_ptr<Scope> scope);

  const Program& program_;
  const RunLimits limits_;
  const std::tm now_;
  Memory memory_;
  int depth_ = 0;
  Position at_;
  std::string* out_ = nullptr;
  std::string root_;
  std::size_t root_counted_bytes_ = 0;
  int64_t root_counted_ = 0;
  std::vector<Val> filter_bodies_;
  // Declared last, destroyed first: their values count in memory_.
  std::vector<std::pair<bool, Val>> context_;  // by name id: whether it is given
  std::deque<std::unique_ptr<Namespace>> namespaces_;
  std::deque<std::unique_ptr<Scope>> scopes_;
};

// The binary operators of expressions.
Val binary(Interpreter& in, Expr::Kind kind, const Val& a, const Val& b);
Val negate(const Val& v, bool negative);

}  // namespace transformers::jinja
