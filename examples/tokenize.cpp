// The tokens of each line of standard input, as a line of JSON each, by the tokenizer component alone: ids, tokens,
// offsets in code points, words, types and the text that the ids stand for. With --ids only ids, the fast way.
//   build/bin/example_tokenize bert-base-uncased < texts.txt
#include <cstdio>
#include <exception>
#include <iostream>
#include <string>
#include <transformers/base/value.hpp>
#include <transformers/tokenizers/tokenizer.hpp>

int main(int argc, char** argv) try {
  using namespace transformers;
  const bool ids_only = argc == 3 && std::string(argv[2]) == "--ids";
  if (argc != 2 && !ids_only) return std::puts("usage: example_tokenize DIRECTORY [--ids] < TEXTS"), 2;
  const auto tokenizer = AutoTokenizer::from_pretrained(argv[1]);
  const auto list = [](const auto& values) { return Value::Array(values.begin(), values.end()); };
  for (std::string line; std::getline(std::cin, line);) {
    const Encoding e = tokenizer->encode(line, {.ids_only = ids_only});
    Value out(Value::Object{{"ids", list(e.ids)}});
    if (!ids_only) {
      Value::Array offsets;
      for (const auto& [begin, end] : e.offsets) offsets.push_back(Value::Array{begin, end});
      out.set("tokens", list(e.tokens));
      out.set("offsets", std::move(offsets));
      out.set("word_ids", list(e.word_ids));  // -1: of no word
      out.set("type_ids", list(e.type_ids));
      out.set("text", tokenizer->decode(e.ids));
    }
    std::puts(to_json(out).c_str());
  }
} catch (const std::exception& e) {
  std::fprintf(stderr, "error: %s\n", e.what());
  return 1;
}
