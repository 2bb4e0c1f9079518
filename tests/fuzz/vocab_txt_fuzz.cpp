// What it is: fuzzing of vocab.txt: any bytes must give an Error or BERT's tokenizer, the compiled path and the
// components alike.
// Usage: see driver.hpp; the corpus is tests/data/tokenizers/*/vocab.txt
#include <string>

#include "driver.hpp"
#include "tokenizer_fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  transformers::exercise({{"vocab.txt", std::string(reinterpret_cast<const char*>(data), size)},
                          {"tokenizer_config.json", R"({"tokenizer_class": "BertTokenizer"})"}});
  return 0;
}
