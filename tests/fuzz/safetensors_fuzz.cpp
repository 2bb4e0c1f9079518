// What it is: fuzzing of the safetensors reader: any bytes must give an Error or tensors that lie within them.
// Usage: clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude tests/fuzz/safetensors_fuzz.cpp
//          src/base/*.cpp src/tensor/tensor.cpp src/tensor/dtype.cpp src/io/safetensors.cpp -o safetensors_fuzz
//        ./safetensors_fuzz -max_total_time=120 -max_len=4096 CORPUS_DIRECTORY
// or with any compiler, -DTCPP_FUZZ_DRIVER in place of the fuzzer: reads the files it is given, whole, cut short at
// every length and with every byte of the first kilobyte changed.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>

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

#ifdef TCPP_FUZZ_DRIVER
#include <cstdio>

#include "transformers/base/platform.hpp"

int main(int argc, char** argv) {
  const auto run = [](const std::string& bytes) {
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  };
  for (int i = 1; i < argc; ++i) {
    std::string bytes = transformers::read_file(argv[i]);
    run(bytes);
    for (std::size_t length = 0; length < bytes.size() && length < 4096; ++length) run(bytes.substr(0, length));
    for (std::size_t at = 0; at < bytes.size() && at < 1024; ++at) {
      const char original = bytes[at];
      for (int value = 0; value < 256; ++value) {
        bytes[at] = static_cast<char>(value);
        run(bytes);
      }
      bytes[at] = original;
    }
    std::printf("%s: done\n", argv[i]);
  }
  return 0;
}
#endif
