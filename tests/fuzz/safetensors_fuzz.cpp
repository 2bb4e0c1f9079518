// What it is: fuzzing of the safetensors reader: any bytes must give an Error or tensors that lie within them.
// Usage: see driver.hpp.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>

#include "driver.hpp"
#include "transformers/base/error.hpp"
#include "transformers/io/safetensors.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace transformers;
  // A copy of the exact size, so that the sanitizer sees a read beyond its end.
  const std::shared_ptr<uint8_t[]> copy(new uint8_t[size]);
  std::copy_n(data, size, copy.get());
  try {
    const auto file =
        SafetensorsFile::from_buffer(std::as_bytes(std::span<const uint8_t>(copy.get(), size)), copy, "fuzz");
    std::size_t total = 0;
    for (const std::string& name : file->names()) {
      const Tensor tensor = file->tensor(name);
      total += tensor.bytes();
      // Converting reads every byte, aligned or not.
      if (tensor.to_float32().size() != tensor.size()) std::abort();
    }
    if (total > size) std::abort();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::internal || error.where().find("fuzz") == std::string::npos) std::abort();
  }
  return 0;
}
