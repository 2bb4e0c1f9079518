// What it is: chat templates against what transformers rendered (tests/data/chat-templates, made by
// tests/reference/make_chat_templates.py), and against templates that mean harm.
// Where it stands: tests of tokenizers.
#include "transformers/tokenizers/chat_template.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support.hpp"
#include "transformers/base/error.hpp"
#include "transformers/base/model_files.hpp"
#include "transformers/base/platform.hpp"
#include "transformers/base/value.hpp"
#include "transformers/tokenizers/tokenizer.hpp"

namespace transformers {
namespace {

const std::string kData = std::string(TCPP_TEST_DATA) + "/chat-templates";

// The time that the recorded templates saw: Saturday, 7 March 2026, 09:05:03.
std::tm recorded_time() {
  std::tm t{};
  t.tm_year = 126;
  t.tm_mon = 2;
  t.tm_mday = 7;
  t.tm_hour = 9;
  t.tm_min = 5;
  t.tm_sec = 3;
  t.tm_wday = 6;
  t.tm_yday = 65;
  return t;
}

std::string fnv1a(std::string_view text) {
  uint64_t h = 0xCBF29CE484222325u;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  char out[17];
  std::snprintf(out, sizeof out, "%016llx", static_cast<unsigned long long>(h));
  return out;
}

Value load(const std::string& name) { return parse_json(read_file(kData + "/" + name), name); }

ChatTemplateOptions options_of(const Value& c) {
  ChatTemplateOptions o;
  const auto get = [&](const char* key) { return c.find(key) ? *c.find(key) : Value(); };
  o.tools = get("tools");
  o.documents = get("documents");
  o.template_kwargs = get("kwargs");
  if (const Value* v = c.find("add_generation_prompt")) o.add_generation_prompt = v->as_boolean();
  if (const Value* v = c.find("continue_final_message")) {
    if (v->is_string()) {
      o.continue_final_message = v->as_string();
    } else {
      o.continue_final_message = v->as_boolean();
    }
  }
  o.now = recorded_time();
  return o;
}

// What the case should give: its text, its digest or an error whose message ends as recorded.
void check(const Value& want, const std::string& name, const std::function<RenderedChat()>& render) {
  RenderedChat got;
  try {
    got = render();
  } catch (const Error& e) {
    ASSERT_TRUE(want.find("error")) << name << "\n" << e.what() << "\nexpected: " << to_json(want);
    EXPECT_NE(e.code(), ErrorCode::internal) << name;
    EXPECT_NE(std::string(e.what()).find(want.at("error").as_string()), std::string::npos) << name << "\n" << e.what();
    return;
  }
  ASSERT_FALSE(want.find("error")) << name << "\nexpected an error: " << to_json(want) << "\ngot: " << got.text;
  if (const Value* text = want.find("text")) {
    EXPECT_EQ(got.text, text->as_string()) << name;
  } else {
    EXPECT_EQ(static_cast<int64_t>(got.text.size()), want.at("bytes").as_integer()) << name << "\n" << got.text;
    EXPECT_EQ(fnv1a(got.text), want.at("digest").as_string()) << name << "\n" << got.text;
  }
  if (const Value* generations = want.find("generations")) {
    Value::Array ranges;
    for (const auto& [begin, end] : got.generations) ranges.push_back(Value::Array{begin, end});
    EXPECT_EQ(Value(ranges), *generations) << name;
  }
}

TEST(ChatTemplateReference, Language) {
  const Value data = load("language.json");
  for (const Value& c : data.at("cases").as_array()) {
    const std::string& source = c.at("template").as_string();
    Value want = c;
    if (want.find("error")) want.set("error", "");  // Python's words are its own
    check(want, source, [&] { return ChatTemplate(source).render(data.at("variables"), recorded_time()); });
  }
}

TEST(ChatTemplateReference, Published) {
  const Value data = load("published.json");
  std::map<std::string, ChatTemplate> templates;
  for (const Value& c : data.at("cases").as_array()) {
    const std::string& name = c.at("template").as_string();
    const Value& conversation = data.at("conversations").at(c.at("conversation").as_string());
    check(c, name + " " + c.at("conversation").as_string(), [&] {
      if (!templates.contains(name))
        templates.emplace(name, ChatTemplate(read_file(kData + "/published/" + name), name));
      return templates.at(name).apply(conversation.at("messages"), options_of(conversation), data.at("special_tokens"));
    });
  }
}

TEST(ChatTemplateReference, Arguments) {
  const Value data = load("chat.json");
  for (const Value& c : data.at("cases").as_array()) {
    const std::string& source = c.at("template").as_string();
    Value want = c;
    if (const Value* e = want.find("error"); e && e->as_string().find("Only") == std::string::npos)
      want.set("error", "");
    check(want, to_json(c),
          [&] { return ChatTemplate(source).apply(c.at("messages"), options_of(c), data.at("special_tokens")); });
  }
}

// ---- templates that mean harm

std::string error_of(const std::string& source, const Value& variables = Value::Object{}) {
  const auto start = std::chrono::steady_clock::now();
  std::string out;
  try {
    out = "no error: " + ChatTemplate(source).render(variables).text.substr(0, 100);
  } catch (const Error& e) {
    out = e.what();
  }
  // Generous: the sanitizers are slow, and so are busy machines.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60)) << source.substr(0, 200);
  return out;
}

TEST(ChatTemplate, SaysWhere) {
  const std::pair<const char*, const char*> kCases[] = {
      {"a\n  {{ 1 / 0 }}", "TemplateError: line 2 col 8: division by zero (chat template)"},
      {"{{ x.y }}", "TemplateError: line 1 col 5: 'x' is undefined (chat template)"},
      {"\xC3\xA9\xE4\xBD\xA0{{ [].a.b }}",
       "TemplateError: line 1 col 10: 'list object' has no attribute 'a' (chat template)"},
      {"\r\n\r{{ raise_exception('No ' ~ 1) }}", "TemplateError: line 3 col 19: No 1 (chat template)"},
      {"{% for x in [1] %}\n{% if x %}{{ x.__class__ }}{% endif %}{% endfor %}",
       "TemplateError: line 2 col 11: access to attribute '__class__' of 'int' object is unsafe. (chat template)"},
      {"{{ ''.__class__.__mro__ }}",
       "TemplateError: line 1 col 16: access to attribute '__class__' of 'str' object is unsafe. (chat template)"},
      {"{% set l = [] %}{{ l.append(1) }}",
       "TemplateError: line 1 col 28: access to attribute 'append' of 'list' object is unsafe. (chat template)"},
      {"\n{% include 'x' %}", "TemplateError: line 2 col 4: the statement \"include\" (chat template)"},
      {"{{ x | urlize }}", "TemplateError: line 1 col 8: the filter \"urlize\" (chat template)"},
      {"{{ x | nope }}", "TemplateError: line 1 col 8: no filter named \"nope\" (chat template)"},
      {"{{ x is nope }}", "TemplateError: line 1 col 9: no test named \"nope\" (chat template)"},
      {"{% if 1 %}",
       "TemplateError: line 1 col 11: the template ends where it should have elif or else or endif (chat template)"},
      {"{% if 1 %}{% endfor %}", "TemplateError: line 1 col 14: unknown statement \"endfor\" (chat template)"},
      {"{% foo %}", "TemplateError: line 1 col 4: unknown statement \"foo\" (chat template)"},
      {"{{ (1 }}", "TemplateError: line 1 col 7: unexpected \"}\", expected \")\" (chat template)"},
      {"{{ 'abc }}", "TemplateError: line 1 col 4: a string without its end (chat template)"},
      {"{{ 1", "TemplateError: line 1 col 1: an expression without its \"}}\" (chat template)"},
      {"{{ 99999999999999999999 }}", "TemplateError: line 1 col 4: an integer beyond 64 bits (chat template)"},
      {"{{ 2 ** 64 }}", "TemplateError: line 1 col 6: an integer beyond 64 bits (chat template)"},
      {"{{ cycler(1) }}", "TemplateError: line 1 col 10: not supported: the function 'cycler' (chat template)"},
      {"{{ 'a'.encode() }}", "TemplateError: line 1 col 7: not supported: 'encode' of a str (chat template)"},
      {"a\xFF", "TemplateError: invalid UTF-8 at byte 1 (chat template)"},
  };
  for (const auto& [source, message] : kCases) EXPECT_EQ(error_of(source), message) << source;
}

TEST(ChatTemplate, IsBounded) {
  const auto repeated = [](std::string_view text, std::size_t times) {
    std::string out;
    for (std::size_t i = 0; i < times; ++i) out += text;
    return out;
  };
  const std::string loops = "{% for a in range(100000) %}";
  const std::pair<std::string, const char*> kCases[] = {
      {"{% for i in range(10**9) %}{% endfor %}", "Range too big"},
      {loops + loops + loops + "{% endfor %}{% endfor %}{% endfor %}", "steps"},
      {loops + "{{ 'x' * 100 }}{% endfor %}", "the output is longer than"},
      {"{{ 'x' * 10**12 }}", "memory"},
      {"{{ [1] * 10**12 }}", "memory"},
      {"{% set n = namespace(s='x') %}" + loops + "{% set n.s = n.s ~ n.s %}{% endfor %}", "memory"},
      {"{% set n = namespace(s=[1]) %}" + loops + "{% set n.s = n.s + n.s %}{% endfor %}", "memory"},
      {"{% set n = namespace(s=[]) %}" + loops + "{% set n.s = [n.s] %}{% endfor %}", "nested more than"},
      {"{% set n = namespace(s=[1]) %}{% for a in range(150) %}{% set n.s = [n.s, n.s] %}{% endfor %}{{ n.s }}",
       "more than"},
      {"{% set n = namespace(s=[1]) %}{% for a in range(150) %}{% set n.s = [n.s, n.s] %}{% endfor %}{{ n.s|tojson }}",
       "more than"},
      {"{% set n = namespace(s=[1], t=[1]) %}{% for a in range(150) %}{% set n.s = [n.s, n.s] %}{% set n.t = [n.t, "
       "n.t] %}"
       "{% endfor %}{{ n.s == n.t }}",
       "more than"},
      {"{% set n = namespace() %}{% set n.n = n %}{{ n }}", "nested more than"},
      {"{% set n = namespace(s=[1]) %}" + loops + "{% set n.s = n.s|map('string') %}{% endfor %}{{ n.s|list }}",
       "nested more than"},
      {"{% set n = namespace(s='') %}" + loops + "{% set n.s = n.s.upper %}{% endfor %}", "TemplateError"},
      {"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "too many calls within each other"},
      {"{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", "too many calls within each other"},
      {"{% set n = namespace(s='a') %}" + loops + "{% set n.s = n.s.replace('', 'aaaa') %}{% endfor %}", "memory"},
      {"{{ 'x'.center(10**12) }}", "memory"},
      {"{{ 'x'|indent(10**12) }}", "no error"},
      {"{{ '%999999999d' % 1 }}", "a width or precision beyond"},
      {"{{ '{:999999999}'.format(1) }}", "a width or precision beyond"},
      {loops + "{% macro m" + std::string("() %}{{ a }}{% endmacro %}{% endfor %}") + loops + "{% endfor %}",
       "no error"},
      {"{{ [" + repeated("'a',", 1000) + "]|batch(10**9, 1)|list }}", "a batch of more than"},
      {"{{ range(5)|slice(10**9)|list }}", "memory"},
      {"{{ " + repeated("(", 100000) + "1" + repeated(")", 100000) + " }}", "too deeply nested"},
      {"{{ " + repeated("[", 100000) + repeated("]", 100000) + " }}", "too deeply nested"},
      {"{{ " + repeated("not ", 100000) + "1 }}", "too deeply nested"},
      {"{{ " + repeated("-", 100000) + "1 }}", "too deeply nested"},
      {"{{ 1" + repeated(" + 1", 100000) + " }}", "too deeply nested"},
      {"{{ x" + repeated(".a", 100000) + " }}", "too deeply nested"},
      {"{{ x" + repeated("|upper", 100000) + " }}", "too deeply nested"},
      {"{{ x" + repeated(" is string", 100000) + " }}", "TemplateError"},
      {"{{ 1" + repeated(" if 1 else 1", 100000) + " }}", "too deeply nested"},
      {repeated("{% if 1 %}", 100000), "too deeply nested"},
      {repeated("{% for x in y %}", 100000), "too deeply nested"},
      {"{{ 1" + repeated(" ~ 1", 100000) + " }}", "no error"},
      {repeated("{% if 0 %}{% elif 1 %}{% endif %}", 20000), "no error"},
      {std::string(std::size_t{5} << 20, 'x'), "the template has 5242880 bytes"},
  };
  for (const auto& [source, message] : kCases) {
    const std::string error = error_of(source);
    EXPECT_NE(error.find(message), std::string::npos) << source.substr(0, 200) << "\n" << error;
  }
  // Deep input is refused, whoever made it.
  Value deep;
  for (int i = 0; i < 500; ++i) deep = Value::Array{deep};
  EXPECT_NE(error_of("{{ x }}", Value::Object{{"x", deep}}).find("nested more than"), std::string::npos);
}

TEST(ChatTemplate, ValuesOutliveWhatMadeThem) {
  // Loops, macros and callers kept in a namespace, used after their scope is gone.
  const std::string source =
      "{% set n = namespace() %}{% for x in [1, 2] %}{% set n.l = loop %}{% macro f() %}{{ x }}{{ loop.index }}{% "
      "endmacro %}"
      "{% set n.f = f %}{{ loop.changed(loop) }}{% endfor %}{{ n.f() }} {{ n.l.index }} {{ n.l.last }}"
      "{% macro g() %}{% set n.c = caller %}{% endmacro %}{% for y in 'ab' %}{% call g() %}{{ y }}{% endcall %}{% "
      "endfor %}{{ n.c() }}"
      "{% for z in [3] if n.__setattr__ is defined or true %}{% set n.z = loop %}{% endfor %}{{ n.z.length }}{{ n.n "
      "}}{% set n.n = n %}";
  EXPECT_EQ(ChatTemplate(source).render(Value::Object{}).text, "TrueFalse22 2 Trueb1");
}

TEST(ChatTemplate, RefusesArgumentsThatDoNotFit) {
  const ChatTemplate t("{{ messages }}");
  EXPECT_ERROR(ErrorCode::invalid_argument, "an empty conversation: provide at least one message",
               t.apply(Value::Array{}));
  EXPECT_ERROR(ErrorCode::invalid_argument, "expected a list of messages, found a string", t.apply("x"));
  EXPECT_ERROR(ErrorCode::invalid_argument, "expected a message, which is an object, found a string",
               t.apply(Value::Array{"x"}));
  const Value chat = to_value(Messages{{"user", "Hi"}});
  EXPECT_ERROR(ErrorCode::invalid_argument, "expected a list of objects, found a integer in it (tools)",
               t.apply(chat, {.tools = Value::Array{1}}));
  EXPECT_ERROR(ErrorCode::invalid_argument,
               "continue_final_message and add_generation_prompt exclude each other (continue_final_message)",
               t.apply(chat, {.add_generation_prompt = true, .continue_final_message = true}));
  EXPECT_ERROR(ErrorCode::invalid_argument, "given twice, as an argument and as a variable (messages)",
               t.apply(chat, {.template_kwargs = Value::Object{{"messages", 1}}}));
}

// ---- the templates of a tokenizer

std::shared_ptr<const Tokenizer> tokenizer_with(std::map<std::string, std::string> files) {
  const std::string directory = std::string(TCPP_TEST_DATA) + "/tokenizers/bert-base-uncased/";
  files.emplace("vocab.txt", read_file(directory + "vocab.txt"));
  files.emplace("tokenizer_config.json", R"({"tokenizer_class": "BertTokenizer"})");
  return AutoTokenizer::from_files(ModelFiles::from_memory(std::move(files)));
}

TEST(TokenizerChat, FindsTheTemplates) {
  const Value chat = to_value(Messages{{"user", "Hello there"}, {"assistant", "general"}});
  const auto bare = tokenizer_with({});
  EXPECT_TRUE(bare->chat_template_names().empty());
  EXPECT_ERROR(ErrorCode::not_found, "the model has no chat template, and none was given (chat_template)",
               bare->apply_chat_template(chat));
  EXPECT_EQ(bare->apply_chat_template(chat, {.chat_template = "{{ cls_token }}{{ messages|length }}"}), "[CLS]2");

  const std::string config = R"({"tokenizer_class": "BertTokenizer", "chat_template": )";
  EXPECT_EQ(tokenizer_with({{"tokenizer_config.json", config + "\"one\"}"}})->apply_chat_template(chat), "one");
  const auto several = tokenizer_with(
      {{"tokenizer_config.json", config +
                                     R"([{"name": "default", "template": "d"}, {"name": "tool_use", "template": "t"},
                                                {"name": "rag", "template": "r {{ x.y }}"}]})"}});
  EXPECT_EQ(several->chat_template_names(), (std::vector<std::string>{"default", "tool_use", "rag"}));
  EXPECT_EQ(several->apply_chat_template(chat), "d");
  EXPECT_EQ(several->apply_chat_template(chat, {.tools = Value::Array{}}), "t");
  EXPECT_ERROR(ErrorCode::invalid_argument,
               "TemplateError: line 1 col 7: 'x' is undefined (tokenizer_config.json: chat_template[\"rag\"])",
               several->apply_chat_template(chat, {.chat_template = "rag"}));
  // Files win over the configuration.
  const auto files = tokenizer_with({{"chat_template.jinja", "file\n"},
                                     {"additional_chat_templates/x.jinja", "more"},
                                     {"tokenizer_config.json", config + "\"one\"}"}});
  EXPECT_EQ(files->apply_chat_template(chat), "file");
  EXPECT_EQ(files->apply_chat_template(chat, {.chat_template = "x"}), "more");
  EXPECT_EQ(tokenizer_with({{"chat_template.json", R"({"chat_template": "p"})"}})->apply_chat_template(chat), "p");
  // A wrong template leaves the tokenizer usable.
  const auto wrong = tokenizer_with({{"chat_template.jinja", "{% if %}"}});
  EXPECT_EQ(wrong->encode("hello").size(), 3u);
  EXPECT_ERROR(ErrorCode::corrupt_file,
               "TemplateError: line 1 col 7: expected an expression, found \"%}\" (chat_template.jinja)",
               wrong->apply_chat_template(chat));
}

TEST(TokenizerChat, EncodesWithTheAssistantsTokensMarked) {
  const auto tokenizer =
      tokenizer_with({{"chat_template.jinja",
                       "[CLS]{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}[SEP]{% else %}"
                       "{% generation %}{{ m.content }}[SEP]{% endgeneration %}{% endif %}{% endfor %}"}});
  const Value chat = to_value(Messages{{"user", "hello there"}, {"assistant", "general"}, {"user", "yes"}});
  const ChatEncoding e = tokenizer->encode_chat(chat);
  EXPECT_EQ(e.text, "[CLS]hello there[SEP]general[SEP]yes[SEP]");
  EXPECT_EQ(e.encoding.tokens,
            (std::vector<std::string>{"[CLS]", "hello", "there", "[SEP]", "general", "[SEP]", "yes", "[SEP]"}));
  EXPECT_EQ(e.assistant_masks, (std::vector<uint8_t>{0, 0, 0, 0, 1, 1, 0, 0}));
  EXPECT_EQ(tokenizer->encode_chat(chat, {}, {.truncation = true, .max_length = 3}).encoding.size(), 3u);
}

TEST(TokenizerChat, WhatMessagesSpellIsPlainWhenAsked) {
  const auto tokenizer =
      tokenizer_with({{"chat_template.jinja",
                       "[CLS]{% for m in messages %}{% if m.role == 'user' %}{{ m.content | trim }}[SEP]{% else %}"
                       "{% generation %}{{ m.content }}[SEP]{% endgeneration %}{% endif %}{% endfor %}"}});
  // A mark of its own must not be taken for one of ours.
  const Value chat = to_value(
      Messages{{"user", " hello [SEP] there[SEP][CLS] \xEF\xB7\x90"}, {"assistant", "general[SEP]"}, {"user", "[SEP"}});
  for (const bool ids_only : {false, true}) {
    const ChatEncoding e = tokenizer->encode_chat(chat, {}, {.split_special_tokens = true, .ids_only = ids_only});
    EXPECT_EQ(e.text, tokenizer->apply_chat_template(chat));
    std::vector<std::string> specials;
    for (const int32_t id : e.encoding.ids) {
      if (tokenizer->is_special(id) && id != tokenizer->unk_token_id()) {
        specials.emplace_back(*tokenizer->id_to_token(id));
      }
    }
    EXPECT_EQ(specials, (std::vector<std::string>{"[CLS]", "[SEP]", "[SEP]", "[SEP]", "[SEP]"}));
    if (ids_only) continue;
    const auto assistant = std::count(e.assistant_masks.begin(), e.assistant_masks.end(), 1);
    EXPECT_EQ(assistant, 3);  // general, [SEP], [SEP]
  }
  const auto count = [&](bool split) {
    const auto ids = tokenizer->encode_chat(chat, {}, {.split_special_tokens = split}).encoding.ids;
    return std::count(ids.begin(), ids.end(), *tokenizer->sep_token_id());
  };
  EXPECT_EQ(count(true), 4);
  EXPECT_EQ(count(false), 6);
}

}  // namespace
}  // namespace transformers
