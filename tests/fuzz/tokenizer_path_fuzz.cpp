// What it is: the compiled paths against the components: every tokenizer of tests/data/tokenizers that has one must
// give the same ids for any text, with special tokens and without.
// Usage: see driver.hpp; -DTCPP_TEST_DATA='"tests/data"'. The first byte of an input chooses the tokenizer, the second
// the options, the rest is the text.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "driver.hpp"
#include "tokenizer_fuzz.hpp"

namespace {

using namespace transformers;

struct Both {
  std::shared_ptr<const Tokenizer> compiled, components;
};

std::vector<Both> load() {
  std::vector<std::string> directories;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(TCPP_TEST_DATA) + "/tokenizers")) {
    if (entry.is_directory()) directories.push_back(entry.path().string());
  }
  std::sort(directories.begin(), directories.end());
  std::vector<Both> out;
  for (const std::string& directory : directories) {
    Both both{AutoTokenizer::from_pretrained(directory),
              AutoTokenizer::from_pretrained(directory, {.compiled = false})};
    if (both.compiled->has_fast_path()) out.push_back(std::move(both));
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::vector<Both> all = load();
  if (size < 2) return 0;
  const Both& both = all[data[0] % all.size()];
  EncodeOptions options;
  options.add_special_tokens = data[1] & 1;
  options.split_special_tokens = data[1] & 2;
  compare(*both.compiled, *both.components, {reinterpret_cast<const char*>(data) + 2, size - 2}, options);
  return 0;
}
