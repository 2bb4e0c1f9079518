// What it is: fuzzing of the vocabularies in GGUF files: any bytes must give an Error or a tokenizer.
// Usage: see driver.hpp; the corpus is tests/data/models/*/gguf-*/model.gguf.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>

#include "base/gguf_tokenizer.hpp"
#include "driver.hpp"
#include "tokenizer_fuzz.hpp"
#include "transformers/base/gguf.hpp"
#include "transformers/base/platform.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace transformers;
  const std::shared_ptr<uint8_t[]> copy(new uint8_t[size]);
  std::copy_n(data, size, copy.get());
  std::map<std::string, std::string> files;
  outcome([&] {
    const auto gguf = GgufFile::read(
        MappedFile::from_memory(std::as_bytes(std::span<const uint8_t>(copy.get(), size)), copy), "fuzz");
    if (has_gguf_tokenizer(*gguf)) {
      files = {{"tokenizer.json", gguf_tokenizer_json(*gguf)}, {"tokenizer_config.json", gguf_tokenizer_config(*gguf)}};
    }
    return std::string();
  });
  if (!files.empty()) exercise(files);
  return 0;
}
