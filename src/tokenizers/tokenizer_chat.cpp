// Implements the chat functions of transformers/tokenizers/tokenizer.hpp: which template, and from its text to tokens.
// Source: transformers 5.23 tokenization_utils_base.py (apply_chat_template, get_chat_template).
#include <algorithm>

#include "tokenizer_impl.hpp"
#include "transformers/base/error.hpp"

namespace transformers {
namespace {

const ChatTemplate& compiled(const Tokenizer::Impl::NamedTemplate& t) {
  std::call_once(t.once, [&] { t.compiled = std::make_unique<const ChatTemplate>(t.source, t.where); });
  return *t.compiled;
}

RenderedChat render(const Tokenizer::Impl& impl, const Value& conversation, const ChatTemplateOptions& options) {
  Value special{Value::Object{}};
  for (std::size_t name = 0; name < kSpecialNames; ++name) {
    if (impl.special_tokens[name]) special.set(std::string(kSpecialTokenKeys[name]), *impl.special_tokens[name]);
  }
  const auto find = [&](std::string_view name) {
    const auto at = std::find_if(impl.chat_templates.begin(), impl.chat_templates.end(),
                                 [&](const auto& t) { return t.name == name; });
    return at == impl.chat_templates.end() ? nullptr : &*at;
  };
  const Tokenizer::Impl::NamedTemplate* chosen = nullptr;
  if (options.chat_template) {
    // One template has no name to be asked for by.
    const bool is_single = impl.chat_templates.size() == 1 && impl.chat_templates.front().name == "default";
    if (!is_single) chosen = find(*options.chat_template);
    if (!chosen) return ChatTemplate(*options.chat_template).apply(conversation, options, special);
  } else {
    if (!options.tools.is_null()) chosen = find("tool_use");
    if (!chosen) chosen = find("default");
  }
  if (!chosen && impl.chat_templates.empty()) {
    throw Error(ErrorCode::not_found, "the model has no chat template, and none was given", "chat_template");
  }
  if (!chosen) {
    std::string names;
    for (const auto& t : impl.chat_templates) names += (names.empty() ? "" : ", ") + t.name;
    throw Error(ErrorCode::not_found, "of the model's chat templates none is the default: name one of " + names,
                "chat_template");
  }
  return compiled(*chosen).apply(conversation, options, special);
}

}  // namespace

std::string Tokenizer::apply_chat_template(const Value& conversation, const ChatTemplateOptions& options) const {
  return render(*impl_, conversation, options).text;
}

ChatEncoding Tokenizer::encode_chat(const Value& conversation, const ChatTemplateOptions& options,
                                    const EncodeOptions& encode_options) const {
  RenderedChat chat = render(*impl_, conversation, options);
  EncodeOptions plain = encode_options;
  plain.add_special_tokens = false;
  ChatEncoding out;
  out.encoding = encode(chat.text, plain);
  out.text = std::move(chat.text);
  if (plain.ids_only) return out;
  const Encoding& e = out.encoding;
  out.assistant_masks.assign(e.size(), 0);
  const auto token_at = [&](int64_t position) {
    for (std::size_t i = 0; i < e.size(); ++i) {
      if (e.sequence_ids[i] == 0 && position >= e.offsets[i].first && position < e.offsets[i].second) {
        return static_cast<int64_t>(i);
      }
    }
    return int64_t{-1};
  };
  for (const auto& [begin, end] : chat.generations) {
    const int64_t first = token_at(begin);
    if (first < 0) break;  // cut off
    const int64_t last = token_at(end - 1);
    // HF takes a last token of index 0 for none, and goes to the end.
    const int64_t stop = last > 0 ? last + 1 : static_cast<int64_t>(e.size());
    for (int64_t i = first; i < stop; ++i) out.assistant_masks[static_cast<std::size_t>(i)] = 1;
  }
  return out;
}

std::vector<std::string> Tokenizer::chat_template_names() const {
  std::vector<std::string> out;
  for (const auto& t : impl_->chat_templates) out.push_back(t.name);
  return out;
}

}  // namespace transformers
