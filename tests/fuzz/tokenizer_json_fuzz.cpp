// What it is: fuzzing of tokenizer.json: any bytes must give an Error or a tokenizer that encodes and decodes, the
// compiled path and the components alike.
// Usage: clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude -Isrc/tokenizers
//          tests/fuzz/tokenizer_json_fuzz.cpp src/base/*.cpp src/tokenizers/*.cpp -o tokenizer_json_fuzz
//        ./tokenizer_json_fuzz -max_total_time=120 -max_len=4096 CORPUS_DIRECTORY
// or with any compiler, -DTCPP_FUZZ_DRIVER in place of the fuzzer: reads the files it is given, whole, cut short at
// every length and with every byte of the first kilobytes changed.
#include <cstdint>
#include <cstdlib>
#include <map>
#include <span>
#include <string>

#include "transformers/base/error.hpp"
#include "transformers/base/model_files.hpp"
#include "transformers/tokenizers/tokenizer.hpp"

namespace {

using namespace transformers;

constexpr const char* kTexts[] = {"", "a", "Hello, w\xC3\xB6rld [MASK]  x",
                                  "e\xCC\x81\xCC\xA3 \xE4\xB8\xAD\xEA\xB0\x81\xFF",
                                  "\xE3\x80\xAE\xE3\x80\xAE\xED\xA0\x80 123 ##a"};

// What `f` gives, or the message of the Error that it throws.
template <class F>
std::string outcome(F f) {
  try {
    return f();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::internal) std::abort();
    return error.what();
  }
}

std::string describe(const Encoding& e) {
  const std::size_t n = e.size();
  if (e.tokens.size() != n || e.offsets.size() != n || e.type_ids.size() != n || e.word_ids.size() != n ||
      e.special_tokens_mask.size() != n || e.attention_mask.size() != n || e.sequence_ids.size() != n) {
    std::abort();
  }
  std::string out;
  for (std::size_t i = 0; i < n; ++i) {
    if (e.offsets[i].first < 0 || e.offsets[i].second < e.offsets[i].first) std::abort();
    out += e.tokens[i] + ' ' + std::to_string(e.ids[i]) + ' ' + std::to_string(e.offsets[i].first) + ' ';
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  try {
    const auto files = ModelFiles::from_memory(std::map<std::string, std::string>{{"tokenizer.json", text}});
    const auto tokenizer = AutoTokenizer::from_files(files);
    const auto components = AutoTokenizer::from_files(files, {.compiled = false});
    for (const char* input : kTexts) {
      const auto encode = [&](const Tokenizer& t) { return outcome([&] { return describe(t.encode(input)); }); };
      if (encode(*tokenizer) != encode(*components)) std::abort();
      outcome([&] {
        const EncodeOptions cut{.truncation = true, .max_length = 4, .stride = 1, .return_overflowing = true};
        const Encoding e = tokenizer->encode_pair(input, kTexts[2], cut);
        describe(e);
        const Encoding ids =
            tokenizer->encode_pair(input, kTexts[2], {.truncation = true, .max_length = 4, .ids_only = true});
        if (ids.ids != e.ids || ids.type_ids != e.type_ids) std::abort();
        return tokenizer->decode(std::span<const int32_t>(e.ids));
      });
    }
  } catch (const Error& error) {
    if (error.code() == ErrorCode::internal || error.where().find("tokenizer.json") == std::string::npos) std::abort();
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
    for (std::size_t length = 0; length < bytes.size() && length < 8192; ++length) run(bytes.substr(0, length));
    for (std::size_t at = 0; at < bytes.size() && at < 4096; ++at) {
      const char original = bytes[at];
      for (const char value : {'\0', '"', '{', '}', '[', ']', ',', ':', '0', '9', '-', 'x', '\\', '\xFF'}) {
        bytes[at] = value;
        run(bytes);
      }
      bytes[at] = original;
    }
    std::printf("%s: done\n", argv[i]);
  }
  return 0;
}
#endif
