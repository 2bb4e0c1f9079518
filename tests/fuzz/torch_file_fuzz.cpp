// What it is: fuzzing of pytorch_model.bin: any bytes must give an Error or tensors that can be read.
// Usage: see driver.hpp; the corpus is tests/data/io/torch-*.bin.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>

#include "driver.hpp"
#include "transformers/base/error.hpp"
#include "transformers/io/weight_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace transformers;
  // A copy of the exact size, so that the sanitizer sees a read beyond its end.
  const std::shared_ptr<uint8_t[]> copy(new uint8_t[size]);
  std::copy_n(data, size, copy.get());
  try {
    const auto bytes = std::as_bytes(std::span<const uint8_t>(copy.get(), size));
    const auto file = open_torch_file(MappedFile::from_memory(bytes, copy), "fuzz");
    for (std::size_t i = 0; i < file->entries().size(); ++i) {
      if (element_count(file->entries()[i].shape) > (1 << 20)) continue;  // elements repeated: slow, not wrong
      try {
        const Tensor tensor = file->tensor(i);
        if (tensor.shape() != file->entries()[i].shape || tensor.to_float32().size() != tensor.size()) std::abort();
      } catch (const Error& error) {  // a checksum
        if (error.code() != ErrorCode::corrupt_file) std::abort();
      }
    }
  } catch (const Error& error) {
    if (error.code() == ErrorCode::internal || error.where().find("fuzz") == std::string::npos) std::abort();
  }
  return 0;
}
