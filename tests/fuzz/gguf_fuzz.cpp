// What it is: fuzzing of GGUF files: any bytes must give an Error or a config and tensors that can be read.
// Usage: see driver.hpp; the corpus is tests/data/models/*/gguf-*/model.gguf.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>

#include "driver.hpp"
#include "transformers/base/error.hpp"
#include "transformers/base/gguf.hpp"
#include "transformers/io/weight_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace transformers;
  // A copy of the exact size, so that the sanitizer sees a read beyond its end.
  const std::shared_ptr<uint8_t[]> copy(new uint8_t[size]);
  std::copy_n(data, size, copy.get());
  const auto file = MappedFile::from_memory(std::as_bytes(std::span<const uint8_t>(copy.get(), size)), copy);
  const auto check = [](const auto& f) {
    try {
      f();
    } catch (const Error& error) {
      if (error.code() == ErrorCode::internal || error.where().find("fuzz") == std::string::npos) std::abort();
    }
  };
  check([&] {
    const auto gguf = GgufFile::read(file, "fuzz");
    for (const std::string_view key : gguf->keys()) {
      check([&] { gguf->string(key); });
      check([&] { gguf->number(key); });
      check([&] { gguf->strings(key); });
      check([&] { gguf->integers(key); });
      check([&] { gguf->floats(key); });
    }
    to_json(gguf_config(*gguf));
  });
  check([&] {
    const auto weights = open_gguf_file(file, "fuzz");
    std::size_t total = 0;
    for (std::size_t i = 0; i < weights->entries().size(); ++i) {
      const Tensor tensor = weights->tensor(i);
      if (tensor.shape() != weights->entries()[i].shape || tensor.to_float32().size() != tensor.size()) std::abort();
      total += tensor.bytes();
    }
    if (total > 2 * size) std::abort();  // norms of 16 bits become floats
  });
  return 0;
}
