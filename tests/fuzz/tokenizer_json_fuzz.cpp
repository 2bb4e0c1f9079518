// What it is: fuzzing of tokenizer.json: any bytes must give an Error or a tokenizer that encodes and decodes, the
// compiled path and the components alike.
// Usage: see driver.hpp; the corpus is tests/data/tokenizers/*/tokenizer.json
#include <string>

#include "driver.hpp"
#include "tokenizer_fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  transformers::exercise({{"tokenizer.json", std::string(reinterpret_cast<const char*>(data), size)}});
  return 0;
}
