// What it is: fuzzing of chat templates: any bytes must give an Error that is no fault of the library, or a text.
// Usage: clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude -Isrc -Isrc/tokenizers
//          tests/fuzz/chat_template_fuzz.cpp src/base/*.cpp src/tokenizers/*.cpp -o chat_template_fuzz
//        ./chat_template_fuzz -max_total_time=120 -max_len=4096 -timeout=60 CORPUS_DIRECTORY
// The templates of tests/data/chat-templates/published make a corpus.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "transformers/base/error.hpp"
#include "transformers/base/value.hpp"
#include "transformers/tokenizers/chat_template.hpp"
#include "transformers/tokenizers/unicode.hpp"

namespace {

using namespace transformers;

const Value& conversation() {
  static const Value value = parse_json(R"([
      {"role": "system", "content": "Be brief. <|x|>"},
      {"role": "user", "content": "H\u00e9llo \ud83d\ude00\n w\u00f6rld"},
      {"role": "assistant", "content": "", "tool_calls": [{"id": "abcdef123", "type": "function",
        "function": {"name": "f", "arguments": {"a": [1, 2.5, null, true], "b": {"c": "x"}}}}]},
      {"role": "tool", "name": "f", "tool_call_id": "abcdef123", "content": "21"},
      {"role": "assistant", "content": [{"type": "text", "text": "part"}], "thinking": "hm"}])",
                                        "conversation");
  return value;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string source(reinterpret_cast<const char*>(data), size);
  const Value special = Value::Object{{"bos_token", "<s>"}, {"eos_token", "</s>"}};
  try {
    const ChatTemplate compiled(source);
    for (const bool continues : {false, true}) {
      try {
        ChatTemplateOptions options;
        options.tools = Value::Array{Value::Object{{"type", "function"}, {"function", Value::Object{{"name", "f"}}}}};
        options.add_generation_prompt = !continues;
        options.continue_final_message = continues;
        options.now = std::tm{};
        const RenderedChat chat = compiled.apply(conversation(), options, special);
        if (unicode::well_formed_prefix(chat.text) != chat.text.size()) std::abort();
        const auto length = static_cast<int64_t>(unicode::count(chat.text));
        for (const auto& [begin, end] : chat.generations) {
          if (begin < 0 || end < begin || (!continues && end > length + (int64_t{1} << 32))) std::abort();
        }
      } catch (const Error& error) {
        if (error.code() == ErrorCode::internal) std::abort();
      }
    }
  } catch (const Error& error) {
    if (error.code() == ErrorCode::internal || std::string(error.what()).find("TemplateError") == std::string::npos)
      std::abort();
  }
  return 0;
}
