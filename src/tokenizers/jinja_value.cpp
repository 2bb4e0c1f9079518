// Implements jinja_value.hpp.
#include "jinja_value.hpp"

#include <cmath>

#include "python_text.hpp"
#include "transformers/tokenizers/unicode.hpp"

namespace transformers::jinja {
namespace {

// Deeper containers are refused when they are made, so that walking one needs little stack.
constexpr int kMaxDepth = 200;
constexpr int64_t kItemBytes = sizeof(Val);

thread_local Memory* active_memory = nullptr;

// Counts one operation, and `bytes` that it goes over.
void charge(std::size_t bytes = 0) {
  if (active_memory) active_memory->step(1 + static_cast<int64_t>(bytes >> 7));
}

int one_deeper(int depth) {
  if (depth >= kMaxDepth) fail_limit("values nested more than " + std::to_string(kMaxDepth) + " deep");
  return depth + 1;
}

int depth_of(const Vals& items) {
  int depth = 0;
  for (const Val& item : items) depth = std::max(depth, item.depth());
  return one_deeper(depth);
}

int compare_sequences(const Vals& a, const Vals& b, const char* symbol) {
  const std::size_t n = std::min(a.size(), b.size());
  for (std::size_t i = 0; i < n; ++i) {
    if (!equal(a[i], b[i])) return compare(a[i], b[i], symbol);
  }
  return a.size() < b.size() ? -1 : a.size() > b.size();
}

// Exact comparison of an integer with a float, as Python's.
int compare_numbers(const Val& a, const Val& b) {
  if (a.is_int() && b.is_int()) return a.integer() < b.integer() ? -1 : a.integer() > b.integer();
  const auto x = static_cast<long double>(a.is_int() ? static_cast<long double>(a.integer()) : a.number());
  const auto y = static_cast<long double>(b.is_int() ? static_cast<long double>(b.integer()) : b.number());
  if (std::isnan(x) || std::isnan(y)) return 2;
  return x < y ? -1 : x > y;
}

}  // namespace

void fail(std::string message) { throw Failure{Failure::Kind::template_error, std::move(message)}; }
void fail_limit(std::string message) { throw Failure{Failure::Kind::limit, std::move(message)}; }
void fail_unsupported(std::string message) { throw Failure{Failure::Kind::unsupported, std::move(message)}; }

void Memory::too_many_steps() const { fail_limit("more than " + std::to_string(max_steps) + " steps"); }

void Memory::take(int64_t bytes) {
  if (live_bytes + bytes > max_live_bytes) fail_limit("the values take more than the allowed memory");
  live_bytes += bytes;
}

ActiveMemory::ActiveMemory(Memory& memory) : saved_(active_memory) { active_memory = &memory; }
ActiveMemory::~ActiveMemory() { active_memory = saved_; }

Counted::Counted(Memory* memory, std::size_t bytes) : memory_(memory), bytes_(static_cast<int64_t>(bytes)) {
  if (!memory_) return;
  memory_->take(bytes_);
}

Counted::~Counted() {
  if (memory_) memory_->live_bytes -= bytes_;
}

Str::Str(Memory* memory, std::string t, bool m)
    : text(std::move(t)),
      length(static_cast<int64_t>(unicode::count(text))),
      markup(m),
      counted(memory, text.size() + sizeof(Str)) {}

Sequence::Sequence(Memory* memory, Vals v)
    : items(std::move(v)), depth(depth_of(items)), counted(memory, items.size() * kItemBytes + sizeof(Sequence)) {}

int64_t Range::size() const {
  // Differences of two int64 fit in uint64.
  if (step > 0 && start < stop) {
    return static_cast<int64_t>(
        (static_cast<uint64_t>(stop) - static_cast<uint64_t>(start) - 1) / static_cast<uint64_t>(step) + 1);
  }
  if (step < 0 && start > stop) {
    return static_cast<int64_t>(
        (static_cast<uint64_t>(start) - static_cast<uint64_t>(stop) - 1) / (0 - static_cast<uint64_t>(step)) + 1);
  }
  return 0;
}

int Val::depth() const {
  if (is_sequence()) return std::get<std::shared_ptr<const Sequence>>(data_)->depth;
  if (is(Type::dict)) return dict().depth;
  if (is(Type::view)) return view().dict->depth + 1;
  if (is(Type::iterator)) return iterator().depth;
  if (is(Type::callable)) return callable().depth;
  return 0;
}

Dict::~Dict() {
  if (memory_) memory_->live_bytes -= bytes_;
}

const Val* Dict::find(std::string_view key) const {
  if (items.size() > 8) {
    const auto at = by_text_.find(key);
    return at == by_text_.end() ? nullptr : &items[at->second].second;
  }
  for (const auto& [k, v] : items) {
    if (k.is_string() && k.text() == key) return &v;
  }
  return nullptr;
}

const Val* Dict::find(const Val& key) const {
  if (key.is_string()) return find(key.text());
  if (!has_other_keys_) return nullptr;
  for (const auto& [k, v] : items) {
    charge();
    if (!k.is_string() && equal(k, key)) return &v;
  }
  return nullptr;
}

void Dict::set(Val key, Val value) {
  using Type = Val::Type;
  if (key.is(Type::list) || key.is(Type::dict) || key.is(Type::view))
    fail(std::string("unhashable type: '") + type_name(key) + "'");
  depth = std::max(depth, one_deeper(std::max(key.depth(), value.depth())));
  if (const Val* old = find(key)) {
    const_cast<Val&>(*old) = std::move(value);  // a Dict is changed only while it is made
    return;
  }
  constexpr int64_t kEntryBytes = 2 * kItemBytes + 64;
  if (memory_) {
    memory_->take(kEntryBytes);
    bytes_ += kEntryBytes;
  }
  if (!key.is_string()) has_other_keys_ = true;
  items.emplace_back(std::move(key), std::move(value));
  if (items.size() == 9) {  // from here on by hash
    for (std::size_t i = 0; i + 1 < items.size(); ++i) {
      if (items[i].first.is_string()) by_text_.emplace(items[i].first.text(), i);
    }
  }
  if (items.size() >= 9 && items.back().first.is_string())
    by_text_.emplace(items.back().first.text(), items.size() - 1);
}

bool Loop::advance() {
  Val item;
  if (has_after) {
    item = std::move(after);
    has_after = false;
  } else if (exhausted || !next(item)) {
    exhausted = true;
    return false;
  }
  ++index0;
  has_before = index0 > 0;
  before = std::move(current);
  current = std::move(item);
  return true;
}

bool Loop::peek() {
  if (has_after) return true;
  if (exhausted) return false;
  has_after = next(after);
  exhausted = !has_after;
  return has_after;
}

int64_t Loop::length() {
  if (length_known >= 0) return length_known;
  length_known = size_of(iterable);
  if (length_known >= 0) return length_known;
  auto rest = std::make_shared<Vals>();
  for (Val item; !exhausted && next(item);) rest->push_back(item);
  length_known = static_cast<int64_t>(rest->size()) + index0 + 1 + has_after;
  exhausted = false;
  next = [rest, i = std::size_t{0}](Val& out) mutable {
    if (i == rest->size()) return false;
    out = (*rest)[i++];
    return true;
  };
  return length_known;
}

Val make_undefined(std::string message) {
  return Val(Val::Type::undefined, std::make_shared<const Undefined>(Undefined{std::move(message), false}));
}
Val make_string(Memory& memory, std::string text, bool markup) {
  return Val(Val::Type::string, std::make_shared<const Str>(&memory, std::move(text), markup));
}
Val make_list(Memory& memory, Vals items) {
  return Val(Val::Type::list, std::make_shared<const Sequence>(&memory, std::move(items)));
}
Val make_tuple(Memory& memory, Vals items) {
  return Val(Val::Type::tuple, std::make_shared<const Sequence>(&memory, std::move(items)));
}
Val make_dict(std::shared_ptr<Dict> dict) { return Val(Val::Type::dict, std::shared_ptr<const Dict>(std::move(dict))); }
Val make_iterator(const Val& source, std::function<bool(Val&)> next, const char* name) {
  return Val(Val::Type::iterator,
             std::make_shared<Iterator>(Iterator{std::move(next), name, one_deeper(source.depth())}));
}
Val make_callable(const Val& source, std::string name, std::function<Val(Interpreter&, Args&)> call) {
  return Val(Val::Type::callable, std::make_shared<const Callable>(
                                      Callable{std::move(name), std::move(call), one_deeper(source.depth()), false}));
}

const char* type_name(const Val& v) {
  switch (v.type()) {
    case Val::Type::undefined:
      return "Undefined";
    case Val::Type::none:
      return "NoneType";
    case Val::Type::boolean:
      return "bool";
    case Val::Type::integer:
      return "int";
    case Val::Type::number:
      return "float";
    case Val::Type::string:
      return v.str().markup ? "Markup" : "str";
    case Val::Type::list:
      return "list";
    case Val::Type::tuple:
      return "tuple";
    case Val::Type::dict:
      return "dict";
    case Val::Type::view:
      return v.view().kind == DictView::Kind::items  ? "dict_items"
             : v.view().kind == DictView::Kind::keys ? "dict_keys"
                                                     : "dict_values";
    case Val::Type::range:
      return "range";
    case Val::Type::iterator:
      return v.iterator().name;
    case Val::Type::name_space:
      return "Namespace";
    case Val::Type::callable:
      return v.callable().is_macro ? "Macro" : "function";
    case Val::Type::loop:
      return "LoopContext";
  }
  return "";
}

bool truth(const Val& v) {
  switch (v.type()) {
    case Val::Type::undefined:
    case Val::Type::none:
      return false;
    case Val::Type::boolean:
      return v.boolean();
    case Val::Type::integer:
      return v.integer() != 0;
    case Val::Type::number:
      return v.number() != 0;
    case Val::Type::loop:
      return v.loop().length() != 0;
    default: {
      const int64_t size = size_of(v);
      return size != 0;  // what has no length is true
    }
  }
}

bool equal(const Val& a, const Val& b) {
  using Type = Val::Type;
  charge();
  if (a.is_number() && b.is_number()) return compare_numbers(a, b) == 0;
  if (a.type() != b.type()) return false;
  switch (a.type()) {
    case Type::undefined:
    case Type::none:
      return true;
    case Type::string:
      if (a.text().size() != b.text().size()) return false;
      charge(a.text().size());
      return a.text() == b.text();
    case Type::list:
    case Type::tuple: {
      const Vals &x = a.items(), &y = b.items();
      if (&x == &y) return true;
      if (x.size() != y.size()) return false;
      for (std::size_t i = 0; i < x.size(); ++i) {
        if (!equal(x[i], y[i])) return false;
      }
      return true;
    }
    case Type::dict: {
      const Dict &x = a.dict(), &y = b.dict();
      if (&x == &y) return true;
      if (x.items.size() != y.items.size()) return false;
      for (const auto& [key, value] : x.items) {
        const Val* other = y.find(key);
        if (!other || !equal(value, *other)) return false;
      }
      return true;
    }
    case Type::range: {
      const Range &x = a.range(), &y = b.range();
      const int64_t n = x.size();
      return n == y.size() && (n == 0 || (x.start == y.start && (n == 1 || x.step == y.step)));
    }
    case Type::view:
      return &*a.view().dict == &*b.view().dict && a.view().kind == b.view().kind;
    case Type::iterator:
      return &a.iterator() == &b.iterator();
    case Type::name_space:
      return &a.name_space() == &b.name_space();
    case Type::callable:
      return &a.callable() == &b.callable();
    case Type::loop:
      return &a.loop() == &b.loop();
    default:
      return false;
  }
}

int compare(const Val& a, const Val& b, const char* symbol) {
  charge();
  if (a.is_undefined()) fail(a.undefined_message());
  if (b.is_undefined()) fail(b.undefined_message());
  if (a.is_number() && b.is_number()) return compare_numbers(a, b);
  if (a.is_string() && b.is_string()) {  // the order of UTF-8 bytes is that of code points
    charge(std::min(a.text().size(), b.text().size()));
    const int order = a.text().compare(b.text());
    return order < 0 ? -1 : order > 0;
  }
  if (a.is_sequence() && a.type() == b.type()) return compare_sequences(a.items(), b.items(), symbol);
  fail(std::string("'") + symbol + "' not supported between instances of '" + type_name(a) + "' and '" + type_name(b) +
       "'");
}

bool less(const Val& a, const Val& b) { return compare(a, b, "<") == -1; }

void append_str(std::string& out, const Val& v) {
  if (v.is_string()) {
    charge(v.text().size());
    out += v.text();
  } else if (!v.is_undefined()) {
    append_repr(out, v);
  }
}

void append_repr(std::string& out, const Val& v, int depth) {
  using Type = Val::Type;
  charge(v.is_string() ? v.text().size() * 8 : 0);
  if (active_memory && static_cast<int64_t>(out.size()) > active_memory->max_live_bytes) {
    fail_limit("the values take more than the allowed memory");
  }
  if (depth > kMaxDepth + 1) fail_limit("values nested more than " + std::to_string(kMaxDepth) + " deep");
  const auto append_items = [&](const auto& items, char open, char close, const auto& append_one) {
    if (open) out += open;
    bool first = true;
    for (const auto& item : items) {
      if (!first) out += ", ";
      first = false;
      append_one(item);
    }
    if (close) out += close;
  };
  const auto append_one = [&](const Val& item) { append_repr(out, item, depth + 1); };
  switch (v.type()) {
    case Type::undefined:
      out += "Undefined";
      break;
    case Type::none:
      out += "None";
      break;
    case Type::boolean:
      out += v.boolean() ? "True" : "False";
      break;
    case Type::integer:
      out += std::to_string(v.integer());
      break;
    case Type::number:
      out += python::repr(v.number());
      break;
    case Type::string:
      if (v.str().markup) out += "Markup(";
      python::append_repr(out, v.text());
      if (v.str().markup) out += ')';
      break;
    case Type::list:
      append_items(v.items(), '[', ']', append_one);
      break;
    case Type::tuple:
      append_items(v.items(), '(', 0, append_one);
      out += v.items().size() == 1 ? ",)" : ")";
      break;
    case Type::dict:
      append_items(v.dict().items, '{', '}', [&](const auto& entry) {
        append_one(entry.first);
        out += ": ";
        append_one(entry.second);
      });
      break;
    case Type::view: {
      out += type_name(v);
      out += '(';
      append_items(v.view().dict->items, '[', ']', [&](const auto& entry) {
        switch (v.view().kind) {
          case DictView::Kind::keys:
            append_one(entry.first);
            break;
          case DictView::Kind::values:
            append_one(entry.second);
            break;
          case DictView::Kind::items:
            out += '(';
            append_one(entry.first);
            out += ", ";
            append_one(entry.second);
            out += ')';
            break;
        }
      });
      out += ')';
      break;
    }
    case Type::range: {
      const Range& r = v.range();
      out += "range(" + std::to_string(r.start) + ", " + std::to_string(r.stop);
      if (r.step != 1) out += ", " + std::to_string(r.step);
      out += ')';
      break;
    }
    case Type::name_space:
      out += "<Namespace ";
      append_items(v.name_space().attributes, '{', '}', [&](const auto& entry) {
        python::append_repr(out, entry.first);
        out += ": ";
        append_one(entry.second);
      });
      out += '>';
      break;
    case Type::loop:
      out += "<LoopContext " + std::to_string(v.loop().index0 + 1) + '/' + std::to_string(v.loop().length()) + '>';
      break;
    case Type::callable:
      if (v.callable().is_macro) {
        out += "<Macro ";
        python::append_repr(out, v.callable().name);
        out += '>';
        break;
      }
      [[fallthrough]];
    case Type::iterator:
      fail_unsupported(std::string("printing a ") + type_name(v) + ", whose text in Python is an address");
  }
}

std::string str(const Val& v) {
  std::string out;
  append_str(out, v);
  return out;
}

std::string repr(const Val& v) {
  std::string out;
  append_repr(out, v);
  return out;
}

int64_t size_of(const Val& v) {
  using Type = Val::Type;
  switch (v.type()) {
    case Type::undefined:
      return 0;
    case Type::string:
      return v.str().length;
    case Type::list:
    case Type::tuple:
      return static_cast<int64_t>(v.items().size());
    case Type::dict:
      return static_cast<int64_t>(v.dict().items.size());
    case Type::view:
      return static_cast<int64_t>(v.view().dict->items.size());
    case Type::range:
      return v.range().size();
    case Type::loop:
      return v.loop().length();
    default:
      return -1;
  }
}

bool is_iterable(const Val& v) { return size_of(v) >= 0 || v.is(Val::Type::iterator); }

std::function<bool(Val&)> iterate(Memory& memory, const Val& v) {
  using Type = Val::Type;
  switch (v.type()) {
    case Type::undefined:
      return [](Val&) { return false; };
    case Type::string:
      return [v, &memory, at = std::size_t{0}](Val& out) mutable {
        const std::string& text = v.text();
        if (at == text.size()) return false;
        const std::size_t begin = at;
        unicode::next(text, at);
        out = make_string(memory, text.substr(begin, at - begin), v.str().markup);
        return true;
      };
    case Type::list:
    case Type::tuple:
      return [v, i = std::size_t{0}](Val& out) mutable {
        const Vals& items = v.items();
        if (i == items.size()) return false;
        out = items[i++];
        return true;
      };
    case Type::dict:
      return [v, i = std::size_t{0}](Val& out) mutable {
        if (i == v.dict().items.size()) return false;
        out = v.dict().items[i++].first;
        return true;
      };
    case Type::view:
      return [v, &memory, i = std::size_t{0}](Val& out) mutable {
        const auto& entries = v.view().dict->items;
        if (i == entries.size()) return false;
        const auto& [key, value] = entries[i++];
        switch (v.view().kind) {
          case DictView::Kind::keys:
            out = key;
            break;
          case DictView::Kind::values:
            out = value;
            break;
          case DictView::Kind::items:
            out = make_tuple(memory, {key, value});
            break;
        }
        return true;
      };
    case Type::range:
      return [r = v.range(), i = int64_t{0}](Val& out) mutable {
        if (i == r.size()) return false;
        out = Val(static_cast<int64_t>(static_cast<uint64_t>(r.start) +
                                       static_cast<uint64_t>(i++) * static_cast<uint64_t>(r.step)));
        return true;
      };
    case Type::iterator:
      return [v](Val& out) { return v.iterator().next(out); };
    case Type::loop:
      // Python's gives (item, loop) and moves the loop itself on.
      return [v, &memory](Val& out) {
        if (!v.loop().advance()) return false;
        out = make_tuple(memory, {v.loop().current, v});
        return true;
      };
    default:
      fail(std::string("'") + type_name(v) + "' object is not iterable");
  }
}

Vals to_list(Memory& memory, const Val& v) {
  if (v.is_sequence()) return v.items();
  Vals out;
  const auto next = iterate(memory, v);
  int64_t counted = 0;
  for (Val item; next(item);) {
    charge();
    out.push_back(item);
    counted += static_cast<int64_t>(sizeof(Val));
    if (memory.live_bytes + counted > memory.max_live_bytes) fail_limit("the values take more than the allowed memory");
  }
  return out;
}

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '"':
        out += "&#34;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace transformers::jinja
