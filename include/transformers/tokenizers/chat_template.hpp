// What it is: chat templates: Jinja programs that turn a conversation into the text that a chat model reads.
// Where it stands: tokenizers; Tokenizer::apply_chat_template uses the template that came with the model.
// Usage:
//   ChatTemplate t("{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}");
//   std::string text = t.apply(to_value(Messages{{"user", "Hi"}}), {.add_generation_prompt = true}).text;
// Source: transformers 5.23 utils/chat_template_utils.py and tokenization_utils_base.py (apply_chat_template);
// jinja2 3.1.6. The language is that of jinja2 but for include, import, extends, block and autoescape, the filters
// pprint, random, striptags, urlize and wordwrap, the functions cycler and lipsum, and integers beyond 64 bits.
#pragma once

#include <concepts>
#include <cstdint>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "transformers/base/export.hpp"
#include "transformers/base/value.hpp"

namespace transformers {

// One turn of a conversation. Turns with tool calls, reasoning or content in parts are objects of a Value.
struct Message {
  std::string role, content;
};
using Messages = std::vector<Message>;
TCPP_API Value to_value(const Messages& messages);

// HF's continue_final_message: true, or the name of the message's field to continue.
class ContinueFinalMessage {
 public:
  ContinueFinalMessage() = default;
  template <std::same_as<bool> Bool>
  ContinueFinalMessage(Bool on) : field_(on ? "content" : "") {}
  ContinueFinalMessage(std::string field) : field_(std::move(field)) {}
  ContinueFinalMessage(const char* field) : field_(field) {}
  explicit operator bool() const { return !field_.empty(); }
  const std::string& field() const { return field_; }

 private:
  std::string field_;
};

// The arguments of HF's apply_chat_template.
struct ChatTemplateOptions {
  Value tools = {};                               // null, or an array of JSON schemas
  Value documents = {};                           // null, or an array of objects
  std::optional<std::string> chat_template = {};  // a template, or the name of one of the model's
  bool add_generation_prompt = false;
  ContinueFinalMessage continue_final_message = {};  // leave the last message open, for the model to go on
  Value template_kwargs = {};                        // null, or an object: further variables of the template
  std::optional<std::tm> now = {};                   // what strftime_now() shows; absent: the local time
};

// What a template wrote.
struct RenderedChat {
  std::string text;
  // What stands inside {% generation %}: [begin, end) in code points of `text`.
  std::vector<std::pair<int64_t, int64_t>> generations;
};

// A compiled template. Immutable; const functions may be called concurrently.
// Untrusted: a template reads nothing but its variables, and its steps, memory and output are bounded by what it is
// given. Errors of both functions: invalid_argument, corrupt_file, unsupported or limit, "TemplateError: line L col C:
// ..."; what raise_exception says stands behind that. Without a place in the template: invalid_argument for arguments
// that do not fit, as in HF.
class TCPP_API ChatTemplate {
 public:
  // `where` names the template in messages.
  explicit ChatTemplate(std::string_view source, std::string where = "chat template");
  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;

  // The members of `variables`, an object, are all that the template sees beside functions.
  RenderedChat render(const Value& variables, std::optional<std::tm> now = {}) const;
  // `conversation` is an array of messages; `special_tokens` (bos_token ...) are further variables.
  // options.chat_template is not looked at.
  RenderedChat apply(const Value& conversation, const ChatTemplateOptions& options = {},
                     const Value& special_tokens = {}) const;
  bool has_generation() const noexcept;  // {% generation %} is in it

 private:
  struct Impl;
  std::unique_ptr<const Impl> impl_;
};

}  // namespace transformers
