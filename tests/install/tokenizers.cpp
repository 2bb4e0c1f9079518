// A program that needs the tokenizers component only: it links base and tokenizers and nothing else of the library.
// Usage: tokenizers_consumer MODEL_DIR
#include <transformers/tokenizers/tokenizer.hpp>

#include <cstdio>

#include <transformers/base/error.hpp>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  try {
    const auto tokenizer = transformers::AutoTokenizer::from_pretrained(argv[1]);
    const auto encoding = tokenizer->encode("I loved every minute of it");
    for (const auto& token : encoding.tokens) std::printf("%s ", token.c_str());
    std::printf("\n");
    return encoding.size() > 2 ? 0 : 1;
  } catch (const transformers::Error& error) {
    std::printf("error: %s\n", error.what());
    return 1;
  }
}
