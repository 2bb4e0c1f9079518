// Implements transformers/tokenizers/chat_template.hpp: what surrounds a template in transformers. The language itself
// is in jinja_*.cpp.
#include "transformers/tokenizers/chat_template.hpp"

#include "jinja_interpreter.hpp"
#include "jinja_parser.hpp"
#include "python_text.hpp"
#include "transformers/base/error.hpp"
#include "transformers/base/platform.hpp"

namespace transformers {
namespace {

// A rendering may cost this, and more for more that it is given.
constexpr int64_t kSteps = 20'000'000, kStepsPerByte = 64;
constexpr int64_t kMemory = int64_t{64} << 20, kMemoryPerByte = 64;
constexpr int64_t kOutput = int64_t{4} << 20, kOutputPerByte = 8;

constexpr std::string_view kReasoningFields[] = {"reasoning_content", "thinking", "reasoning"};
constexpr std::string_view kTag = "CONTINUE_FINAL_MESSAGE_TAG ";

int64_t bytes_of(const Value& v, int depth = 0) {
  if (v.is_string()) return 16 + static_cast<int64_t>(v.as_string().size());
  int64_t bytes = 16;
  if (depth > 200) return bytes;  // refused later
  if (v.is_array()) {
    for (const Value& item : v.as_array()) bytes += bytes_of(item, depth + 1);
  } else if (v.is_object()) {
    for (const auto& [name, value] : v.as_object())
      bytes += static_cast<int64_t>(name.size()) + bytes_of(value, depth + 1);
  }
  return bytes;
}

[[noreturn]] void fail(const std::string& message, std::string where = {}) {
  throw Error(ErrorCode::invalid_argument, message, std::move(where));
}

const Value* find_set(const Value& message, std::string_view key) {
  const Value* v = message.find(key);
  return v && !v->is_null() ? v : nullptr;
}

// Messages as templates expect them: without what is null, and the reasoning under the names that they read.
Value::Array normalize(const Value& conversation) {
  if (!conversation.is_array()) fail("expected a list of messages, found a " + std::string(conversation.type_name()));
  if (conversation.as_array().empty()) fail("an empty conversation: provide at least one message");
  Value::Array chat;
  for (const Value& message : conversation.as_array()) {
    if (!message.is_object())
      fail("expected a message, which is an object, found a " + std::string(message.type_name()));
    Value out{Value::Object{}};
    const Value* reasoning = nullptr;
    for (const std::string_view field : kReasoningFields) {
      if (!reasoning) reasoning = find_set(message, field);
    }
    if (reasoning) out.set("thinking", *reasoning);
    for (const auto& [key, value] : message.as_object()) {
      if (!value.is_null()) out.set(key, value);
    }
    if (reasoning) out.set("reasoning_content", *reasoning);
    chat.push_back(std::move(out));
  }
  return chat;
}

void check_objects(const Value& list, const char* what) {
  if (list.is_null()) return;
  if (!list.is_array()) fail("expected a list of objects, found a " + std::string(list.type_name()), what);
  for (const Value& item : list.as_array()) {
    if (!item.is_object())
      fail("expected a list of objects, found a " + std::string(item.type_name()) + " in it", what);
  }
}

// Marks the end of the field to continue; returns its text.
std::string mark_final_message(Value& message, const std::string& field, const std::string& source) {
  const char* const where = "continue_final_message";
  const Value* found = find_set(message, field);
  if (!found) fail("the final message has no " + quote(field) + " to continue", where);
  const Value value = *found;
  std::vector<std::string> fields{field};
  if (std::find(std::begin(kReasoningFields), std::end(kReasoningFields), field) != std::end(kReasoningFields)) {
    fields.clear();
    for (const std::string_view name : kReasoningFields) {
      const Value* copy = find_set(message, name);
      if (copy && *copy == value) fields.emplace_back(name);
    }
  }
  const bool accepted = std::any_of(fields.begin(), fields.end(),
                                    [&](const std::string& f) { return source.find(f) != std::string::npos; });
  if (!accepted) fail("the chat template knows no field " + quote(field), where);
  if (value.is_array()) {
    Value::Array parts = value.as_array();
    for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
      const Value* text = part->find("text");
      if (!text) continue;
      const std::string final_text = text->as_string();
      part->set("text", final_text + std::string(kTag));
      message.set(field, std::move(parts));
      return final_text;
    }
    fail("there is no text to continue in the final message", where);
  }
  if (!value.is_string()) fail("expected a string to continue, found a " + std::string(value.type_name()), where);
  for (const std::string& name : fields) message.set(name, value.as_string() + std::string(kTag));
  return value.as_string();
}

// Cuts the rendering at the mark.
void cut_at_mark(std::string& text, const std::string& final_text) {
  const std::string_view mark = python::strip(kTag);
  const std::size_t at = text.rfind(mark);
  if (at == std::string::npos || text.find(python::strip(final_text)) == std::string::npos) {
    fail("the final message does not appear in the chat after applying the chat template", "continue_final_message");
  }
  const bool keeps_space = text.compare(at, kTag.size(), kTag) == 0;
  text.resize(at);
  if (!keeps_space) text.resize(python::strip_right(text).size());
}

}  // namespace

struct ChatTemplate::Impl {
  std::string source;
  jinja::Program program;
};

ChatTemplate::ChatTemplate(std::string_view source, std::string where)
    : impl_(std::make_unique<const Impl>(Impl{std::string(source), jinja::parse(source, where)})) {}
ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;

bool ChatTemplate::has_generation() const noexcept { return impl_->program.has_generation; }

RenderedChat ChatTemplate::render(const Value& variables, std::optional<std::tm> now) const {
  const int64_t bytes = bytes_of(variables) + static_cast<int64_t>(impl_->source.size());
  const jinja::RunLimits limits{kSteps + kStepsPerByte * bytes, kMemory + kMemoryPerByte * bytes,
                                kOutput + kOutputPerByte * bytes};
  jinja::Interpreter interpreter(impl_->program, limits, now ? *now : local_time());
  RenderedChat out;
  out.text = interpreter.run(variables);
  out.generations = std::move(interpreter.generations);
  return out;
}

RenderedChat ChatTemplate::apply(const Value& conversation, const ChatTemplateOptions& options,
                                 const Value& special_tokens) const {
  if (options.continue_final_message && options.add_generation_prompt) {
    fail("continue_final_message and add_generation_prompt exclude each other", "continue_final_message");
  }
  check_objects(options.tools, "tools");
  check_objects(options.documents, "documents");
  Value::Array chat = normalize(conversation);
  std::string final_text;
  if (options.continue_final_message) {
    final_text = mark_final_message(chat.back(), options.continue_final_message.field(), impl_->source);
  }
  Value variables{Value::Object{}};
  for (const Value* more : {&special_tokens, &options.template_kwargs}) {
    if (more->is_null()) continue;
    if (!more->is_object()) fail("expected an object, found a " + std::string(more->type_name()), "template_kwargs");
    for (const auto& [name, value] : more->as_object()) variables.set(name, value);
  }
  for (const char* name : {"messages", "tools", "documents", "add_generation_prompt"}) {
    if (options.template_kwargs.find(name)) fail("given twice, as an argument and as a variable", name);
  }
  variables.set("messages", std::move(chat));
  variables.set("tools", options.tools);
  variables.set("documents", options.documents);
  variables.set("add_generation_prompt", options.add_generation_prompt);
  RenderedChat out = render(variables, options.now);
  if (options.continue_final_message) cut_at_mark(out.text, final_text);
  return out;
}

Value to_value(const Messages& messages) {
  Value::Array out;
  for (const Message& m : messages) out.emplace_back(Value::Object{{"role", m.role}, {"content", m.content}});
  return out;
}

}  // namespace transformers
