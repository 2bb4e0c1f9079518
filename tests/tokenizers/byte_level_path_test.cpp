// What it is: the compiled paths against the components, on every committed tokenizer: ids of random texts.
// Where it stands: tests of tokenizers.
#include "tokenizers/byte_level_path.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "transformers/tokenizers/tokenizer.hpp"

namespace transformers {
namespace {

// Ids, or what went wrong.
std::string ids_of(const Tokenizer& tokenizer, const std::string& text, bool ids_only) {
  std::string out;
  try {
    for (const int32_t id : tokenizer.encode(text, {.ids_only = ids_only}).ids) out += std::to_string(id) + ' ';
  } catch (const std::exception& e) {
    out = e.what();
  }
  return out;
}

TEST(ReferencePaths, CompiledEqualsComponents) {
  const std::vector<std::string> atoms = {" ",
                                          " ",
                                          "  ",
                                          "\n",
                                          "\r\n",
                                          "\t",
                                          "the",
                                          "hello",
                                          "Word",
                                          "'s",
                                          "'LL",
                                          "n't",
                                          "1",
                                          "12345",
                                          ".",
                                          "...",
                                          "(x)",
                                          "\xC3\xA9",
                                          "e\xCC\x81",
                                          "\xE4\xB8\xAD\xE6\x96\x87",
                                          "\xF0\x9F\x91\xA8\xE2\x80\x8D\xF0\x9F\x91\xA9",
                                          "\xC2\xA0",
                                          "\xC2\xBD",
                                          "\xE1\xBA\x9B\xCC\xA3",
                                          "\xFF",
                                          "\xE4\xB8",
                                          "<s>",
                                          "</s>",
                                          "<unk>",
                                          "<mask>",
                                          "antidisestablishmentarianism",
                                          "\xE2\x96\x81",
                                          "\xE2\x96\x81\xE2\x96\x81 ",
                                          "``",
                                          "\xEF\xAC\x81n",
                                          "a longer sentence of words",
                                          std::string(1, '\0'),
                                          "\xEA\xB0\x81",
                                          "\xE1\x84\x80\xE1\x85\xA1"};
  int fast = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(TCPP_TEST_DATA) + "/tokenizers")) {
    if (!entry.is_directory()) continue;
    SCOPED_TRACE(entry.path().filename().string());
    const auto compiled = AutoTokenizer::from_pretrained(entry.path().string());
    if (!compiled->has_fast_path()) continue;
    ++fast;
    const auto components = AutoTokenizer::from_pretrained(entry.path().string(), {.compiled = false});
    ASSERT_FALSE(components->has_fast_path());
    uint32_t seed = 11;
    const auto random = [&](std::size_t n) { return (seed = seed * 1664525 + 1013904223, seed >> 8) % n; };
    for (int round = 0; round < 400; ++round) {
      std::string text;
      for (std::size_t n = random(12); n > 0; --n) text += atoms[random(atoms.size())];
      const std::string expected = ids_of(*components, text, false);
      ASSERT_EQ(ids_of(*compiled, text, true), expected) << text;
      ASSERT_EQ(ids_of(*components, text, true), expected) << text;
    }
  }
  EXPECT_GT(fast, 30);
}

}  // namespace
}  // namespace transformers
