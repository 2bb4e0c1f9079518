// Implements the chat functions of transformers/tokenizers/tokenizer.hpp: which template, and from its text to tokens.
// Source: transformers 5.23 tokenization_utils_base.py (apply_chat_template, get_chat_template).
#include <algorithm>
#include <span>

#include "tokenizer_impl.hpp"
#include "transformers/base/error.hpp"
#include "transformers/tokenizers/unicode.hpp"

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

// Calls f(text) for what each message says, but for what the assistant has said.
template <class F>
void for_each_content(Value& conversation, F f) {
  if (!conversation.is_array()) return;
  for (Value& message : conversation.as_array()) {
    if (!message.is_object()) continue;
    const Value* role = message.find("role");
    if (role && role->is_string() && role->as_string() == "assistant") continue;
    for (Value::Member& member : message.as_object()) {
      if (member.first != "content") continue;
      if (member.second.is_string()) f(member.second);
      if (!member.second.is_array()) continue;
      for (Value& part : member.second.as_array()) {
        if (!part.is_object()) continue;
        for (Value::Member& inner : part.as_object()) {
          if (inner.first == "text" && inner.second.is_string()) f(inner.second);
        }
      }
    }
  }
}

// Text with a mark before each byte of `at`.
std::string with_marks(std::string_view text, std::span<const std::size_t> at, std::string_view mark) {
  std::string out;
  std::size_t done = 0;
  for (const std::size_t i : at) {
    out.append(text.substr(done, i - done)).append(mark);
    done = i;
  }
  return out.append(text.substr(done));
}

// Removes the marks; gives where they stood, and moves the generations.
std::vector<std::size_t> remove_marks(RenderedChat& chat, std::string_view mark) {
  std::vector<std::size_t> at;
  std::vector<int64_t> code_points;  // where they stood, with the marks counted
  std::string text;
  int64_t counted = 0;
  std::size_t done = 0;
  for (std::size_t i; (i = chat.text.find(mark, done)) != std::string::npos; done = i + mark.size()) {
    const std::string_view before = std::string_view(chat.text).substr(done, i - done);
    text.append(before);
    counted += static_cast<int64_t>(unicode::count(before));
    code_points.push_back(counted++);
    at.push_back(text.size());
  }
  chat.text = text.append(chat.text, done);
  const auto moved = [&](int64_t position) {
    return position - (std::lower_bound(code_points.begin(), code_points.end(), position) - code_points.begin());
  };
  for (auto& [begin, end] : chat.generations) begin = moved(begin), end = moved(end);
  return at;
}

// Renders with a mark where a message spells a special token, a noncharacter that none of them has in it; fills in
// where the marks stood.
RenderedChat render_plain(const Tokenizer::Impl& impl, Value conversation, const ChatTemplateOptions& options,
                          std::vector<std::size_t>& plain) {
  const Normalizer* const normalizer = impl.normalizer ? &*impl.normalizer : nullptr;
  const std::string all = to_json(conversation);
  std::string mark;
  for (char32_t c = 0xFDD0; c < 0xFDF0 && (mark.empty() || all.find(mark) != std::string::npos); ++c) {
    mark.clear();
    unicode::append(mark, c);
  }
  check_argument(all.find(mark) == std::string::npos, "the conversation uses every noncharacter from U+FDD0 to U+FDEF",
                 "split_special_tokens");
  for_each_content(conversation, [&](Value& content) {
    const std::string text = unicode::to_well_formed(content.as_string());
    content = with_marks(text, impl.added.spelled_specials(text, normalizer), mark);
  });
  RenderedChat chat = render(impl, conversation, options);
  chat.text = unicode::to_well_formed(chat.text);
  plain = remove_marks(chat, mark);
  return chat;
}

}  // namespace

std::string Tokenizer::apply_chat_template(const Value& conversation, const ChatTemplateOptions& options) const {
  return render(*impl_, conversation, options).text;
}

ChatEncoding Tokenizer::encode_chat(const Value& conversation, const ChatTemplateOptions& options,
                                    const EncodeOptions& encode_options) const {
  EncodeOptions plain = encode_options;
  plain.add_special_tokens = false;
  plain.split_special_tokens = false;
  std::vector<std::size_t> plain_bytes;
  RenderedChat chat = encode_options.split_special_tokens ? render_plain(*impl_, conversation, options, plain_bytes)
                                                          : render(*impl_, conversation, options);
  Impl::Plan plan = impl_->plan(plain);
  plan.plain = plain_bytes;
  ChatEncoding out;
  out.encoding = impl_->encode({chat.text, {}, false}, nullptr, plan);
  impl_->pad({&out.encoding, 1}, plan);
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
