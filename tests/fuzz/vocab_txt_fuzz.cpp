// What it is: fuzzing of vocab.txt: any bytes must give an Error or BERT's tokenizer, the compiled path and the
// components alike, and an Error or Transformer-XL's.
// Usage: see driver.hpp; the corpus is tests/data/tokenizers/*/vocab.txt
#include <string>

#include "driver.hpp"
#include "tokenizer_fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string words(reinterpret_cast<const char*>(data), size);
  for (const char* config : {R"({"tokenizer_class": "BertTokenizer"})", R"({"tokenizer_class": "TransfoXLTokenizer"})",
                             R"({"tokenizer_class": "TransfoXLTokenizer", "lower_case": true})"}) {
    transformers::exercise({{"vocab.txt", words}, {"tokenizer_config.json", config}});
  }
  return 0;
}
