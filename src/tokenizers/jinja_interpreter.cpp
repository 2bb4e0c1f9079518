// Implements jinja_interpreter.hpp.
#include "jinja_interpreter.hpp"

#include <algorithm>

#include "transformers/tokenizers/unicode.hpp"

namespace transformers::jinja {
namespace {

using Type = Val::Type;
using Kind = Expr::Kind;

constexpr int kMaxDepth = 600;  // of calls of evaluate and execute within each other

// How jinja names a value in messages.
std::string object_repr(const Val& v) {
  if (v.is_none()) return "None";
  return std::string(type_name(v)) + " object";
}

Val unsafe_attribute(const Val& object, std::string_view name) {
  return Val(
      Type::undefined,
      std::make_shared<const Undefined>(Undefined{
          "access to attribute '" + std::string(name) + "' of '" + type_name(object) + "' object is unsafe.", true}));
}

Val no_attribute(const Val& object, std::string_view name) {
  return make_undefined("'" + object_repr(object) + "' has no attribute '" + std::string(name) + "'");
}

Val loop_attribute(Interpreter& in, const Val& self, std::string_view name) {
  Loop& loop = self.loop();
  if (name == "index") return Val(loop.index0 + 1);
  if (name == "index0") return Val(loop.index0);
  if (name == "first") return Val(loop.index0 == 0);
  if (name == "last") return Val(!loop.peek());
  if (name == "length") return Val(loop.length());
  if (name == "revindex") return Val(loop.length() - loop.index0);
  if (name == "revindex0") return Val(loop.length() - loop.index0 - 1);
  if (name == "depth") return Val(loop.depth0 + 1);
  if (name == "depth0") return Val(loop.depth0);
  if (name == "previtem") return loop.has_before ? loop.before : make_undefined("there is no previous item");
  if (name == "nextitem") return loop.peek() ? loop.after : make_undefined("there is no next item");
  if (name == "cycle") {
    return make_callable(self, "cycle", [self](Interpreter&, Args& args) {
      if (args.positional.empty()) fail("no items for cycling given");
      return args.positional[static_cast<std::size_t>(self.loop().index0) % args.positional.size()];
    });
  }
  if (name == "changed") {
    return make_callable(self, "changed", [self](Interpreter&, Args& args) {
      Loop& l = self.loop();
      const bool same = l.has_changed && l.changed.size() == args.positional.size() &&
                        std::equal(l.changed.begin(), l.changed.end(), args.positional.begin(), equal);
      l.has_changed = true;
      l.changed = args.positional;
      return Val(!same);
    });
  }
  (void)in;
  return no_attribute(self, name);
}

}  // namespace

Val* Scope::find(int id) {
  for (auto& [name, value] : variables) {
    if (name == id) return &value;
  }
  return nullptr;
}

void Scope::set(int id, Val value) {
  if (Val* old = find(id)) {
    *old = std::move(value);
  } else {
    variables.emplace_back(id, std::move(value));
  }
}

// One level of recursion, at a place in the template; errors are reported for the innermost place.
class Interpreter::Deeper {
 public:
  Deeper(Interpreter& in, Position at) : in_(in), saved_(in.at_) {
    in.at_ = at;
    in.step();
    if (++in.depth_ > kMaxDepth) {
      --in.depth_;
      fail_limit("too many calls within each other");
    }
  }
  ~Deeper() {
    --in_.depth_;
    if (!failed_) in_.at_ = saved_;
  }
  // Keeps the position, for a failure on its way out.
  void failed() { failed_ = true; }

 private:
  Interpreter& in_;
  Position saved_;
  bool failed_ = false;
};

// A scope within another, which lives on when a macro made in it refers to it.
class Interpreter::Inner {
 public:
  Inner(Interpreter& in, Scope& parent) : in_(in), scope_(std::make_unique<Scope>()) { scope_->parent = &parent; }
  ~Inner() {
    if (!scope_->captured) return;
    in_.memory_.live_bytes +=
        static_cast<int64_t>(sizeof(Scope) + scope_->variables.capacity() * sizeof(scope_->variables[0]));
    in_.scopes_.push_back(std::move(scope_));
  }
  Inner(const Inner&) = delete;
  Scope& operator*() { return *scope_; }
  Scope* operator->() { return scope_.get(); }
  // An empty scope again, another one if a macro holds on to it.
  void renew() {
    if (scope_->captured) {
      Scope* const parent = scope_->parent;
      in_.keep(std::move(scope_));
      scope_ = std::make_unique<Scope>();
      scope_->parent = parent;
    }
    scope_->variables.clear();
  }

 private:
  Interpreter& in_;
  std::unique_ptr<Scope> scope_;
};

Interpreter::Interpreter(const Program& program, const RunLimits& limits, std::tm now)
    : program_(program), limits_(limits), now_(now) {
  memory_.max_live_bytes = limits.max_memory_bytes;
  memory_.max_steps = limits.max_steps;
}

std::string Interpreter::run(const Value& variables) {
  const ActiveMemory active(memory_);
  try {
    context_.resize(program_.names.size());
    for (const auto& [name, value] : variables.as_object()) {
      if (const int id = program_.id(name); id >= 0) context_[static_cast<std::size_t>(id)] = {true, convert(value, 0)};
    }
    out_ = &root_;
    Scope& scope = keep(std::make_unique<Scope>());
    execute(program_.body, scope);
    return std::move(root_);
  } catch (const Failure& failure) {
    const ErrorCode code = failure.kind == Failure::Kind::limit         ? ErrorCode::limit
                           : failure.kind == Failure::Kind::unsupported ? ErrorCode::unsupported
                                                                        : ErrorCode::invalid_argument;
    const std::string message = (failure.kind == Failure::Kind::unsupported ? "not supported: " : "") + failure.message;
    throw_template_error(code, at_, message, program_.where);
  }
}

Val Interpreter::convert(const Value& v, int depth) {
  step();
  if (v.is_null()) return Val();
  if (v.is_boolean()) return Val(v.as_boolean());
  if (v.is_integer()) return Val(v.as_integer());
  if (v.is_number()) return Val(v.as_number());
  if (v.is_string()) {
    const std::string& text = v.as_string();
    work(text.size());
    return string(unicode::well_formed_prefix(text) == text.size() ? text : unicode::to_well_formed(text));
  }
  if (depth > 160) fail_limit("variables nested more than 160 deep");
  if (v.is_array()) {
    Vals items;
    items.reserve(v.as_array().size());
    for (const Value& item : v.as_array()) items.push_back(convert(item, depth + 1));
    return make_list(memory_, std::move(items));
  }
  auto dict = std::make_shared<Dict>(&memory_);
  for (const auto& [name, value] : v.as_object()) dict->set(convert(Value(name), depth), convert(value, depth + 1));
  return make_dict(std::move(dict));
}

Scope& Interpreter::keep(std::unique_ptr<Scope> scope) {
  memory_.take(static_cast<int64_t>(sizeof(Scope) + scope->variables.capacity() * sizeof(scope->variables[0])));
  scopes_.push_back(std::move(scope));
  return *scopes_.back();
}

Val Interpreter::make_namespace(std::vector<std::pair<std::string, Val>> attributes) {
  step();
  memory_.take(static_cast<int64_t>(sizeof(Namespace) + (1 + attributes.size()) * 2 * sizeof(Val)));
  namespaces_.push_back(std::make_unique<Namespace>(Namespace{std::move(attributes)}));
  return Val(Type::name_space, namespaces_.back().get());
}

Vals Interpreter::list(const Val& v) {
  if (v.is_sequence()) step(size_of(v));
  return to_list(memory_, v);
}

// ---- statements

void Interpreter::output(std::string_view text) {
  work(text.size());
  if (static_cast<int64_t>(out_->size() + text.size()) > limits_.max_output_bytes) {
    fail_limit("the output is longer than " + std::to_string(limits_.max_output_bytes) + " bytes");
  }
  out_->append(text);
}

void Interpreter::output(const Val& v) {
  if (v.is_string()) return output(v.text());
  if (v.is_undefined()) {
    // Where Python prints nothing for what the sandbox refuses, this says so.
    if (v.undefined().unsafe) fail(v.undefined_message());
    return;
  }
  output(str(v));
}

Interpreter::Flow Interpreter::execute(const Body& body, Scope& scope) {
  for (const auto& s : body) {
    const Flow flow = execute(*s, scope);
    if (flow != Flow::normal) return flow;
  }
  return Flow::normal;
}

Interpreter::Flow Interpreter::execute(const Stmt& s, Scope& scope) {
  Deeper deeper(*this, s.at);
  try {
    switch (s.kind) {
      case Stmt::Kind::data:
        output(s.text);
        break;
      case Stmt::Kind::output:
        output(evaluate(*s.expr, scope));
        break;
      case Stmt::Kind::loop:
        return execute_loop(s, scope);
      case Stmt::Kind::branch:
        return execute_branch(s, scope);
      case Stmt::Kind::assign:
        assign(*s.target, evaluate(*s.expr, scope), scope);
        break;
      case Stmt::Kind::capture:
      case Stmt::Kind::filter: {
        Inner inner(*this, scope);
        Val value = string(capture(s.body, *inner));
        if (s.expr) {
          filter_bodies_.push_back(std::move(value));
          value = evaluate(*s.expr, *inner);
          filter_bodies_.pop_back();
        }
        if (s.kind == Stmt::Kind::filter) {
          output(value);
        } else {
          assign(*s.target, std::move(value), scope);
        }
        break;
      }
      case Stmt::Kind::macro: {
        const std::string& name = program_.names[static_cast<std::size_t>(s.id)];
        scope.set(s.id, make_macro(s, name, scope));
        break;
      }
      case Stmt::Kind::call:
        execute_call(s, scope);
        break;
      case Stmt::Kind::with: {
        Inner inner(*this, scope);
        for (std::size_t i = 0; i < s.targets.size(); ++i)
          assign(*s.targets[i], evaluate(*s.defaults[i], scope), *inner);
        return execute(s.body, *inner);
      }
      case Stmt::Kind::generation:
        execute_generation(s, scope);
        break;
      case Stmt::Kind::leave:
        return Flow::leave;
      case Stmt::Kind::next:
        return Flow::next;
    }
    return Flow::normal;
  } catch (...) {
    deeper.failed();
    throw;
  }
}

Interpreter::Flow Interpreter::execute_branch(const Stmt& s, Scope& scope) {
  if (truth(evaluate(*s.expr, scope))) return execute(s.body, scope);
  for (const auto& [test, body] : s.branches) {
    if (truth(evaluate(*test, scope))) return execute(body, scope);
  }
  return execute(s.other, scope);
}

Interpreter::Flow Interpreter::execute_loop(const Stmt& s, Scope& scope) {
  return run_loop(s, scope, evaluate(*s.expr, scope), 0);
}

Interpreter::Flow Interpreter::run_loop(const Stmt& s, Scope& scope, const Val& iterable, int64_t depth0) {
  const auto loop = std::make_shared<Loop>();
  loop->iterable = iterable;
  loop->depth0 = depth0;
  loop->next = iterate(memory_, iterable);
  Inner tested(*this, scope);
  if (s.test) {
    // Items are tested one by one as the loop asks for them, so nothing is known about their number.
    loop->next = [this, &s, next = std::move(loop->next), &tested](Val& out) {
      while (next(out)) {
        step();
        tested.renew();
        assign(*s.target, out, *tested);
        if (truth(evaluate(*s.test, *tested))) return true;
      }
      return false;
    };
    loop->iterable = make_iterator(iterable, [](Val&) { return false; });
  }
  if (s.recursive) {
    loop->recurse = [this, &s, &scope, depth0](Val items) {
      std::string* const outer = std::exchange(out_, nullptr);
      std::string text;
      out_ = &text;
      const Deeper deeper(*this, s.at);
      run_loop(s, scope, items, depth0 + 1);
      out_ = outer;
      return string(std::move(text));
    };
  }
  const Val self(Type::loop, loop);
  Inner inner(*this, scope);
  while (loop->advance()) {
    step();
    inner.renew();
    inner->variables.emplace_back(kLoopName, self);
    assign(*s.target, loop->current, *inner);
    if (execute(s.body, *inner) == Flow::leave) break;
  }
  const bool ran = loop->index0 >= 0;
  // A loop kept in a namespace outlives this: it must not hold on to what was made with it.
  loop->recurse = nullptr;
  loop->next = [](Val&) { return false; };
  loop->changed.clear();
  if (!ran && !s.other.empty()) {
    Inner other(*this, scope);
    return execute(s.other, *other);
  }
  return Flow::normal;
}

std::string Interpreter::capture(const Body& body, Scope& scope) {
  std::string text;
  std::string* const outer = std::exchange(out_, &text);
  execute(body, scope);
  out_ = outer;
  return text;
}

void Interpreter::execute_generation(const Stmt& s, Scope& scope) {
  Inner inner(*this, scope);
  const std::string text = capture(s.body, *inner);
  // Counted from the start of the rendering, as far as it has been given out.
  root_counted_ += static_cast<int64_t>(unicode::count(std::string_view(root_).substr(root_counted_bytes_)));
  root_counted_bytes_ = root_.size();
  generations.emplace_back(root_counted_, root_counted_ + static_cast<int64_t>(unicode::count(text)));
  output(text);
}

void Interpreter::assign(const Expr& target, Val value, Scope& scope) {
  if (target.kind == Kind::name) return scope.set(target.id, std::move(value));
  if (target.kind == Kind::attribute_target) {
    const Val object = evaluate_name(target.id, scope);
    if (!object.is(Type::name_space)) fail("cannot assign attribute on non-namespace object");
    if (target.text.starts_with('_'))
      fail("a namespace cannot hold the underscore-prefixed attribute '" + target.text + "'");
    for (auto& [name, old] : object.name_space().attributes) {
      if (name == target.text) {
        old = std::move(value);
        return;
      }
    }
    object.name_space().attributes.emplace_back(target.text, std::move(value));
    return;
  }
  if (!is_iterable(value)) fail(std::string("cannot unpack non-iterable ") + type_name(value) + " object");
  const Vals values = list(value);
  if (values.size() < target.items.size()) {
    fail("not enough values to unpack (expected " + std::to_string(target.items.size()) + ", got " +
         std::to_string(values.size()) + ")");
  }
  if (values.size() > target.items.size()) {
    fail("too many values to unpack (expected " + std::to_string(target.items.size()) + ")");
  }
  for (std::size_t i = 0; i < values.size(); ++i) assign(*target.items[i], values[i], scope);
}

Val Interpreter::make_macro(const Stmt& s, std::string name, Scope& scope) {
  for (Scope* up = &scope; up && !up->captured; up = up->parent) up->captured = true;
  auto callable = std::make_shared<Callable>();
  callable->name = name;
  callable->is_macro = true;
  callable->call = [&s, &scope, name = std::move(name)](Interpreter& in, Args& args) {
    return in.call_macro(s, name, scope, args);
  };
  return Val(Type::callable, std::shared_ptr<const Callable>(std::move(callable)));
}

void Interpreter::execute_call(const Stmt& s, Scope& scope) {
  const Val caller = make_macro(s, "caller", scope);
  output(evaluate_call(*s.expr, scope, &caller));
}

Val Interpreter::call_macro(const Stmt& s, const std::string& name, Scope& defined_in, Args& args) {
  Inner inner(*this, defined_in);
  Scope& scope = *inner;
  const std::size_t count = s.parameters.size();
  const std::size_t given = std::min(args.positional.size(), count);
  std::vector<bool> missing(count, true);
  const auto take_named = [&](std::string_view key, Val& out) {
    const auto at =
        std::find_if(args.named.begin(), args.named.end(), [&](const auto& entry) { return entry.first == key; });
    if (at == args.named.end()) return false;
    out = std::move(at->second);
    args.named.erase(at);
    return true;
  };
  bool found_caller = false;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string& parameter = program_.names[static_cast<std::size_t>(s.parameters[i])];
    if (s.parameters[i] == kCallerName) found_caller = true;
    Val value;
    if (i < given) {
      value = args.positional[i];
    } else if (!take_named(parameter, value)) {
      continue;
    }
    missing[i] = false;
    scope.set(s.parameters[i], std::move(value));
  }
  if (s.uses_caller && !found_caller) {
    Val caller;
    if (!take_named("caller", caller) || caller.is_none()) caller = make_undefined("No caller defined");
    scope.set(kCallerName, std::move(caller));
  }
  if (s.uses_kwargs) {
    auto dict = std::make_shared<Dict>(&memory_);
    for (auto& [key, value] : args.named) dict->set(string(key), value);
    scope.set(kKwargsName, make_dict(std::move(dict)));
  } else if (!args.named.empty()) {
    fail("macro '" + name + "' takes no keyword argument '" + args.named.front().first + "'");
  }
  if (s.uses_varargs) {
    scope.set(kVarargsName, make_tuple(memory_, Vals(args.positional.begin() + static_cast<std::ptrdiff_t>(given),
                                                     args.positional.end())));
  } else if (args.positional.size() > count) {
    fail("macro '" + name + "' takes not more than " + std::to_string(count) + " argument(s)");
  }
  const std::size_t first_default = count - s.defaults.size();
  for (std::size_t i = 0; i < count; ++i) {
    if (!missing[i]) continue;
    scope.set(s.parameters[i],
              i < first_default
                  ? make_undefined("parameter '" + program_.names[static_cast<std::size_t>(s.parameters[i])] +
                                   "' was not provided")
                  : evaluate(*s.defaults[i - first_default], scope));
  }
  return string(capture(s.body, scope));
}

// ---- expressions

Val Interpreter::evaluate(const Expr& e, Scope& scope) {
  // Constants and names cannot go deeper.
  if (e.kind == Kind::constant) return e.value;
  Deeper deeper(*this, e.at);
  try {
    return evaluate_any(e, scope);
  } catch (...) {
    deeper.failed();
    throw;
  }
}

Val Interpreter::evaluate_any(const Expr& e, Scope& scope) {
  switch (e.kind) {
    case Kind::constant:
      return e.value;
    case Kind::name:
      return evaluate_name(e.id, scope);
    case Kind::attribute:
      return get_attribute(evaluate(*e.a, scope), e.text);
    case Kind::item:
      return evaluate_item(e, scope);
    case Kind::call:
      return evaluate_call(e, scope, nullptr);
    case Kind::filter:
      return evaluate_filter(e, scope);
    case Kind::test:
      return evaluate_test(e, scope);
    case Kind::tuple:
    case Kind::list:
    case Kind::dict:
    case Kind::concat:
      return evaluate_container(e, scope);
    case Kind::compare:
      return evaluate_compare(e, scope);
    case Kind::conditional:
      if (truth(evaluate(*e.b, scope))) return evaluate(*e.a, scope);
      if (e.c) return evaluate(*e.c, scope);
      return make_undefined("the inline if-expression on line " + std::to_string(e.at.line) +
                            " evaluated to false and no else section was defined.");
    case Kind::logical_and: {
      Val left = evaluate(*e.a, scope);
      return truth(left) ? evaluate(*e.b, scope) : left;
    }
    case Kind::logical_or: {
      Val left = evaluate(*e.a, scope);
      return truth(left) ? left : evaluate(*e.b, scope);
    }
    case Kind::logical_not:
      return Val(!truth(evaluate(*e.a, scope)));
    case Kind::negate:
      return negate(evaluate(*e.a, scope), true);
    case Kind::plus:
      return negate(evaluate(*e.a, scope), false);
    case Kind::slice:
    case Kind::attribute_target:
      fail("unexpected expression");
    default: {
      const Val left = evaluate(*e.a, scope);
      return binary(*this, e.kind, left, evaluate(*e.b, scope));
    }
  }
}

Val Interpreter::evaluate_name(int id, Scope& scope) {
  for (Scope* up = &scope; up; up = up->parent) {
    step();
    if (const Val* value = up->find(id)) return *value;
  }
  const auto index = static_cast<std::size_t>(id);
  if (context_[index].first) return context_[index].second;
  return find_global(program_.names[index]);
}

Val Interpreter::evaluate_compare(const Expr& e, Scope& scope) {
  Val left = evaluate(*e.a, scope);
  for (std::size_t i = 0; i < e.items.size(); ++i) {
    Val right = evaluate(*e.items[i], scope);
    bool holds = false;
    switch (e.text[i]) {
      case '=':
        holds = equal(left, right);
        break;
      case '!':
        holds = !equal(left, right);
        break;
      case '<':
        holds = compare(left, right, "<") == -1;
        break;
      case '>':
        holds = compare(left, right, ">") == 1;
        break;
      case '{': {
        const int order = compare(left, right, "<=");
        holds = order == -1 || order == 0;
        break;
      }
      case '}': {
        const int order = compare(left, right, ">=");
        holds = order == 1 || order == 0;
        break;
      }
      case 'i':
        holds = contains(right, left);
        break;
      default:
        holds = !contains(right, left);
        break;
    }
    if (!holds) return Val(false);
    left = std::move(right);
  }
  return Val(true);
}

Val Interpreter::evaluate_item(const Expr& e, Scope& scope) {
  const Val object = evaluate(*e.a, scope);
  if (e.b->kind != Kind::slice) return get_item(object, evaluate(*e.b, scope));
  const auto bound = [&](const ExprPtr& x) { return x ? evaluate(*x, scope) : Val(); };
  const Val start = bound(e.b->b), stop = bound(e.b->c), step_by = bound(e.b->d);
  return slice(*this, object, start, stop, step_by);
}

void Interpreter::evaluate_arguments(const Arguments& arguments, Scope& scope, Args& out) {
  for (const ExprPtr& x : arguments.positional) out.positional.push_back(evaluate(*x, scope));
  if (arguments.more_positional) {
    const Vals more = list(evaluate(*arguments.more_positional, scope));
    out.positional.insert(out.positional.end(), more.begin(), more.end());
  }
  for (const auto& [name, x] : arguments.named) out.named.emplace_back(name, evaluate(*x, scope));
  if (arguments.more_named) {
    const Val more = evaluate(*arguments.more_named, scope);
    if (!more.is(Type::dict)) fail(std::string("argument after ** must be a mapping, not ") + type_name(more));
    for (const auto& [key, value] : more.dict().items) {
      if (!key.is_string()) fail("keywords must be strings");
      for (const auto& [name, other] : out.named) {
        if (name == key.text()) fail("got multiple values for keyword argument '" + name + "'");
      }
      step();
      out.named.emplace_back(key.text(), value);
    }
  }
}

Val Interpreter::evaluate_call(const Expr& e, Scope& scope, const Val* caller) {
  const Val callee = evaluate(*e.a, scope);
  Args args;
  evaluate_arguments(*e.arguments, scope, args);
  if (caller) args.named.emplace_back("caller", *caller);
  return call(callee, args);
}

Val Interpreter::evaluate_filter(const Expr& e, Scope& scope) {
  const Val value = e.a ? evaluate(*e.a, scope) : filter_bodies_.back();
  Args args;
  evaluate_arguments(*e.arguments, scope, args);
  return call_filter(e.text, value, args);
}

Val Interpreter::evaluate_test(const Expr& e, Scope& scope) {
  const Val value = evaluate(*e.a, scope);
  Args args;
  evaluate_arguments(*e.arguments, scope, args);
  return Val(call_test(e.text, value, args));
}

Val Interpreter::evaluate_container(const Expr& e, Scope& scope) {
  if (e.kind == Kind::concat) {
    std::string text;
    for (const ExprPtr& x : e.items) append_str(text, evaluate(*x, scope));
    work(text.size());
    return string(std::move(text));
  }
  if (e.kind == Kind::dict) {
    auto dict = std::make_shared<Dict>(&memory_);
    for (std::size_t i = 0; i + 1 < e.items.size(); i += 2) {
      Val key = evaluate(*e.items[i], scope);
      dict->set(std::move(key), evaluate(*e.items[i + 1], scope));
    }
    return make_dict(std::move(dict));
  }
  Vals items;
  items.reserve(e.items.size());
  for (const ExprPtr& x : e.items) items.push_back(evaluate(*x, scope));
  return e.kind == Kind::list ? make_list(memory_, std::move(items)) : make_tuple(memory_, std::move(items));
}

// ---- objects

Val Interpreter::get_attribute(const Val& object, std::string_view name) {
  if (object.is_undefined()) fail(object.undefined_message());
  if (object.is(Type::loop) && !name.starts_with('_')) return loop_attribute(*this, object, name);
  if (object.is(Type::name_space)) {
    for (const auto& [key, value] : object.name_space().attributes) {
      if (key == name) return value;
    }
  }
  if (name.size() > 4 && name.starts_with("__") && name.ends_with("__")) return unsafe_attribute(object, name);
  const MethodEntry entry = find_method(object, name);
  if (entry.unsafe) return unsafe_attribute(object, name);
  if (entry.method) {
    return make_callable(object, std::string(name), [object, method = entry.method](Interpreter& in, Args& args) {
      return method(in, object, args);
    });
  }
  if (entry.exists) fail_unsupported("'" + std::string(name) + "' of a " + type_name(object));
  if (object.is(Type::range)) {
    if (name == "start") return Val(object.range().start);
    if (name == "stop") return Val(object.range().stop);
    if (name == "step") return Val(object.range().step);
  }
  if (object.is(Type::callable) && object.callable().is_macro && name == "name") return string(object.callable().name);
  if (object.is(Type::dict)) {
    if (const Val* value = object.dict().find(name)) return *value;
  }
  return no_attribute(object, name);
}

Val Interpreter::get_item(const Val& object, const Val& key) {
  if (object.is_undefined()) fail(object.undefined_message());
  if (object.is(Type::dict)) {
    if (const Val* value = object.dict().find(key)) return *value;
  } else if (key.is_int() && (object.is_sequence() || object.is_string() || object.is(Type::range))) {
    const int64_t size = size_of(object);
    int64_t index = key.integer();
    if (index < 0) index += size;
    if (index >= 0 && index < size) {
      if (object.is_sequence()) return object.items()[static_cast<std::size_t>(index)];
      if (object.is(Type::range)) return Val(object.range().start + index * object.range().step);
      const std::string& text = object.text();
      if (object.str().is_ascii())
        return string(std::string(1, text[static_cast<std::size_t>(index)]), object.str().markup);
      work(static_cast<std::size_t>(index));
      std::size_t at = 0;
      for (int64_t i = 0; i < index; ++i) unicode::next(text, at);
      const std::size_t begin = at;
      unicode::next(text, at);
      return string(text.substr(begin, at - begin), object.str().markup);
    }
  }
  if (key.is_string()) {
    if (object.is(Type::dict)) {  // its keys are done
      const std::string& name = key.text();
      const MethodEntry entry = find_method(object, name);
      const bool is_internal = name.size() > 4 && name.starts_with("__") && name.ends_with("__");
      return entry.exists || is_internal ? get_attribute(object, name) : no_attribute(object, name);
    }
    return get_attribute(object, key.text());
  }
  return make_undefined(object_repr(object) + " has no element " + repr(key));
}

Val Interpreter::call(const Val& callee, Args& args) {
  step();
  if (callee.is_undefined()) fail(callee.undefined_message());
  if (callee.is(Type::loop)) {
    const auto& recurse = callee.loop().recurse;
    if (!recurse) fail("The loop must have the 'recursive' marker to be called recursively.");
    if (args.positional.size() != 1 || !args.named.empty()) fail("a loop is called with one iterable");
    return recurse(args.positional[0]);
  }
  if (!callee.is(Type::callable)) fail(std::string("'") + type_name(callee) + "' object is not callable");
  return callee.callable().call(*this, args);
}

Val Interpreter::call_filter(const std::string& name, const Val& value, Args& args) {
  step();
  const Filter filter = find_filter(name);
  if (!filter) {
    if (is_unsupported_filter(name)) fail_unsupported("the filter '" + name + "'");
    fail("no filter named '" + name + "'");
  }
  return filter(*this, value, args);
}

bool Interpreter::call_test(const std::string& name, const Val& value, Args& args) {
  step();
  const Test test = find_test(name);
  if (!test) fail("no test named '" + name + "'");
  return test(*this, value, args);
}

bool Interpreter::contains(const Val& container, const Val& item) {
  switch (container.type()) {
    case Type::string:
      if (!item.is_string()) fail(std::string("'in <string>' requires string as left operand, not ") + type_name(item));
      work(container.text().size());
      return container.text().find(item.text()) != std::string::npos;
    case Type::dict:
      if (item.is(Type::list) || item.is(Type::dict)) fail(std::string("unhashable type: '") + type_name(item) + "'");
      return container.dict().find(item) != nullptr;
    case Type::range:
      if (item.is_int()) {
        const Range& r = container.range();
        const int64_t n = r.size();
        if (n == 0) return false;
        // Counted in uint64, where differences of int64 fit.
        const auto distance = [](int64_t from, int64_t to) {
          return static_cast<uint64_t>(to) - static_cast<uint64_t>(from);
        };
        const bool up = r.step > 0;
        if (up ? item.integer() < r.start : item.integer() > r.start) return false;
        const uint64_t offset = up ? distance(r.start, item.integer()) : distance(item.integer(), r.start);
        const uint64_t step_by = up ? static_cast<uint64_t>(r.step) : 0 - static_cast<uint64_t>(r.step);
        return offset % step_by == 0 && offset / step_by < static_cast<uint64_t>(n);
      }
      [[fallthrough]];
    default: {
      if (!is_iterable(container)) fail(std::string("argument of type '") + type_name(container) + "' is not iterable");
      const auto next = iterate(memory_, container);
      for (Val other; next(other);) {
        step();
        if (equal(other, item)) return true;
      }
      return false;
    }
  }
}

}  // namespace transformers::jinja
