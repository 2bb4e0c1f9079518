// What it is: how the fuzz targets of this folder are built and run, and a driver for compilers without libFuzzer.
// Usage: clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude -Isrc tests/fuzz/NAME_fuzz.cpp
//          src/base/*.cpp src/tensor/{tensor,dtype,blocks}.cpp src/io/*.cpp -o NAME_fuzz
//        of a tokenizer's files, instead of the last line: -Isrc/tokenizers src/base/*.cpp src/tokenizers/*.cpp -lonig
//        ./NAME_fuzz -max_total_time=120 -max_len=4096 CORPUS_DIRECTORY
// or with any compiler, -DTCPP_FUZZ_DRIVER in place of the fuzzer: reads the files it is given, whole, cut short at
// every length and with every byte of the first kilobyte changed.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

#ifdef TCPP_FUZZ_DRIVER
#include <cstdio>
#include <string>

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
