// What it is: that the pieces of a stream are whole characters, and together what decode gives.
// Where it stands: tests of tokenizers.
#include "transformers/tokenizers/decode_stream.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "transformers/tokenizers/unicode.hpp"

namespace transformers {
namespace {

void expect_whole(const Tokenizer& tokenizer, const std::vector<int32_t>& ids, const DecodeOptions& options) {
  DecodeStream stream(tokenizer, options);
  for (int round = 0; round < 2; ++round) {  // as new after end()
    std::string all;
    for (const int32_t id : ids) {
      const std::string piece = stream.put(id);
      ASSERT_EQ(unicode::well_formed_prefix(piece), piece.size());
      all += piece;
    }
    all += stream.end();
    ASSERT_EQ(all, tokenizer.decode(ids, options));
  }
}

// On every committed tokenizer: texts of many scripts, and ids in no order at all.
TEST(ReferenceDecodeStream, EqualsDecode) {
  const std::string text =
      "Hello, world! It 's n't  so.  caf\xC3\xA9 \xE4\xB8\xAD\xE6\x96\x87 \xF0\x9F\x91\xA8\xE2\x80\x8D\xF0\x9F\x91\xA9 "
      "\xEF\xBF\xBD x \n\n end ";
  int directories = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(TCPP_TEST_DATA) + "/tokenizers")) {
    if (!entry.is_directory()) continue;
    SCOPED_TRACE(entry.path().filename().string());
    const auto tokenizer = AutoTokenizer::from_pretrained(entry.path().string());
    ++directories;
    std::vector<int32_t> ids;
    try {
      for (int i = 0; i < 12; ++i) {
        const std::vector<int32_t> more = tokenizer->encode(text).ids;
        ids.insert(ids.end(), more.begin(), more.end());
      }
    } catch (const std::exception&) {  // a vocabulary without unknown token
    }
    std::vector<int32_t> random;
    uint32_t seed = 5;
    for (int i = 0; i < 400; ++i) {
      seed = seed * 1664525 + 1013904223;
      random.push_back(static_cast<int32_t>((seed >> 8) % static_cast<uint32_t>(tokenizer->size())));
    }
    for (const bool skip : {false, true}) {
      expect_whole(*tokenizer, ids, {.skip_special_tokens = skip});
      expect_whole(*tokenizer, random, {.skip_special_tokens = skip});
      expect_whole(*tokenizer, random, {.skip_special_tokens = skip, .clean_up_tokenization_spaces = true});
    }
  }
  EXPECT_GT(directories, 20);
}

}  // namespace
}  // namespace transformers
