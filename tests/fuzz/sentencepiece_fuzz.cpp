// What it is: fuzzing of SentencePiece's models: any bytes must give an Error or a tokenizer of one of the classes that
// are made of them.
// Usage: see driver.hpp; an input is a byte that chooses the class, then the model (tests/data/tokenizers/*/*.model).
#include <string>

#include "driver.hpp"
#include "tokenizer_fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr const char* kClasses[][2] = {{"T5Tokenizer", "spiece.model"},
                                         {"AlbertTokenizer", "spiece.model"},
                                         {"LlamaTokenizer", "tokenizer.model"},
                                         {"CamembertTokenizer", "sentencepiece.bpe.model"},
                                         {"GemmaTokenizer", "tokenizer.model"},
                                         {"XLMRobertaTokenizer", "sentencepiece.bpe.model"},
                                         {"MBartTokenizer", "sentencepiece.bpe.model"}};
  if (size == 0) return 0;
  const auto& [name, file] = kClasses[data[0] % std::size(kClasses)];
  transformers::exercise({{file, std::string(reinterpret_cast<const char*>(data) + 1, size - 1)},
                          {"tokenizer_config.json", std::string(R"({"tokenizer_class": ")") + name + "\"}"}});
  return 0;
}
