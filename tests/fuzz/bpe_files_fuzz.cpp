// What it is: fuzzing of vocab.json with merges.txt: any bytes must give an Error or a tokenizer of one of the classes
// that are made of them.
// Usage: see driver.hpp; an input is a byte that chooses the class, vocab.json, a NUL and merges.txt.
#include <string>

#include "driver.hpp"
#include "tokenizer_fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr const char* kClasses[] = {"GPT2Tokenizer", "RobertaTokenizer", "OpenAIGPTTokenizer", "CTRLTokenizer",
                                      "CLIPTokenizer", "Qwen2Tokenizer",   "BartTokenizer"};
  if (size == 0) return 0;
  const auto [vocab, merges] = transformers::two_files({reinterpret_cast<const char*>(data) + 1, size - 1});
  transformers::exercise({{"vocab.json", vocab},
                          {"merges.txt", merges},
                          {"tokenizer_config.json",
                           std::string(R"({"tokenizer_class": ")") + kClasses[data[0] % std::size(kClasses)] + "\"}"}});
  return 0;
}
