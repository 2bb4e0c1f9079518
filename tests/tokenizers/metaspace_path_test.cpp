// What it is: SentencePiece's compiled path and the normalizers over plain text against the components: every option,
// random texts.
// Where it stands: tests of tokenizers.
#include "tokenizers/metaspace_path.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "tokenizers/text_normalizer.hpp"
#include "transformers/base/model_files.hpp"
#include "transformers/tokenizers/tokenizer.hpp"

namespace transformers {
namespace {

class Texts {
 public:
  std::string next() {
    static const std::vector<std::string> kAtoms = {" ",
                                                    " ",
                                                    "  ",
                                                    "   ",
                                                    "\n",
                                                    "\r\n",
                                                    "\t",
                                                    "the",
                                                    "hello",
                                                    "Word",
                                                    "ab",
                                                    "b",
                                                    "aba",
                                                    "x",
                                                    "1",
                                                    ".",
                                                    "''",
                                                    "``",
                                                    "\xC3\xA9",
                                                    "e\xCC\x81",
                                                    "\xCC\x81",
                                                    "\xCC\xA3\xCC\x81",
                                                    "\xE4\xB8\xAD",
                                                    "\xF0\x9F\x91\xA8\xE2\x80\x8D",
                                                    "\xC2\xA0",
                                                    "\xE1\xBA\x9B\xCC\xA3",
                                                    "\xFF",
                                                    "\xE4\xB8",
                                                    "<s>",
                                                    "<n>",
                                                    "\xE2\x96\x81",
                                                    "\xE2\x96\x81\xE2\x96\x81",
                                                    "\xEF\xAC\x81",
                                                    std::string(1, '\0'),
                                                    "\xEA\xB0\x81",
                                                    "\xE1\x84\x80\xE1\x85\xA1",
                                                    "\xE1\x86\xA8",
                                                    "\xC4\xB0",
                                                    "\xE2\x80\xAF",
                                                    "abbabbabbabbabbabba"};
    std::string text;
    for (std::size_t n = random(10); n > 0; --n) text += kAtoms[random(kAtoms.size())];
    return text;
  }

 private:
  std::size_t random(std::size_t n) { return (seed_ = seed_ * 1664525 + 1013904223, seed_ >> 8) % n; }
  uint32_t seed_ = 7;
};

TEST(TextNormalizer, EqualsNormalizer) {
  const auto replace = [](Pattern pattern, std::string content) {
    return Normalizer{Replace{std::move(pattern), std::move(content)}};
  };
  std::vector<Normalizer> all = {{NFC{}},
                                 {NFD{}},
                                 {NFKC{}},
                                 {NFKD{}},
                                 {Lowercase{}},
                                 {StripAccents{}},
                                 {Nmt{}},
                                 {Strip{}},
                                 {Strip{false, true}},
                                 {Prepend{"\xE2\x96\x81"}},
                                 {BertNormalizer{}},
                                 {ByteLevelNormalizer{}},
                                 replace(Pattern::string(" "), "\xE2\x96\x81"),
                                 replace(Pattern::string("``"), "\""),
                                 replace(Pattern::string("b"), ""),
                                 replace(Pattern::string(""), "_"),
                                 replace(Pattern::regular_expression(" {2,}"), " "),
                                 replace(Pattern::regular_expression(" {2,}"), "\xE2\x96\x81"),
                                 replace(Pattern::regular_expression("\\s+"), " ")};
  all.push_back({NormalizerSequence{{all[13], all[3], all[5], all[4], all[16]}}});
  all.push_back({NormalizerSequence{{all[9], all[12]}}});
  all.push_back({NormalizerSequence{}});
  for (std::size_t i = 0; i < all.size(); ++i) {
    const TextNormalizer plain(&all[i]);
    Texts texts;
    std::string room;
    for (int round = 0; round < 300; ++round) {
      const std::string text = unicode::to_well_formed(texts.next());
      NormalizedString expected(text);
      all[i].normalize(expected);
      ASSERT_EQ(plain.run(text, room), expected.text()) << "normalizer " << i << ", " << text;
    }
  }
  std::string room;
  EXPECT_EQ(TextNormalizer(nullptr).run("A b", room), "A b");
}

struct Pipeline {
  std::string normalizer, pre_tokenizer, model;
};

std::shared_ptr<const Tokenizer> make(const Pipeline& p, bool compiled) {
  const std::string json = R"({"version": "1.0", "added_tokens": [
      {"id": 0, "content": "<s>", "special": true, "normalized": false, "single_word": false, "lstrip": false, "rstrip": true},
      {"id": 1, "content": "<n>", "special": false, "normalized": true, "single_word": false, "lstrip": true, "rstrip": false}],
      "normalizer": )" + p.normalizer +
                           R"(, "pre_tokenizer": )" + p.pre_tokenizer +
                           R"(, "post_processor": null, "decoder": null, "model": )" + p.model + "}";
  return AutoTokenizer::from_files(
      ModelFiles::from_memory(std::map<std::string, std::string>{{"tokenizer.json", json}}), {.compiled = compiled});
}

TEST(MetaspacePath, EqualsComponents) {
  const std::string unigram =
      R"({"type": "Unigram", "unk_id": 2, "byte_fallback": false, "vocab": [["<s>", 0], ["<n>", 0],
      ["<unk>", 0], ["\u2581", -2], ["a", -2.5], ["b", -2.5], ["\u2581a", -3], ["ab", -4.5], ["\u2581ab", -4.9], ["the", -5], ["\u2581the", -4],
      ["x\u2581a", -1], ["\u2581\u2581", -2.2], ["1", -6], [".", -6], ["\u00e9", -7], ["hello", -8]]})";
  const auto bpe = [](const std::string& more_tokens, const std::string& more_merges, const std::string& options) {
    return R"({"type": "BPE", )" + options +
           R"( "vocab": {"<s>": 0, "<n>": 1, "<unk>": 2, "\u2581": 3, "a": 4, "b": 5, "t": 6, "h": 7,
      "e": 8, "x": 9, "ab": 10, "\u2581a": 11, "\u2581ab": 12, "th": 13, "the": 14, "\u2581\u2581": 15, "\u2581\u2581\u2581": 16, "\u2581the": 17, "ba": 18, "<0xC3>": 19, "<0xA9>": 20)" +
           more_tokens +
           R"(}, "merges": ["t h", "a b", "\u2581 a", "th e", "\u2581 \u2581", "\u2581\u2581 \u2581", "\u2581 ab", "\u2581 the", "b a")" +
           more_merges + "]}";
  };
  const std::string unk = R"("unk_token": "<unk>", )";
  const std::vector<std::string> models = {
      unigram,
      bpe("", "", unk),
      bpe("", "", unk + R"("fuse_unk": true, "byte_fallback": true, )"),
      bpe("", "", ""),
      bpe("", "", unk + R"("ignore_merges": true, )"),
      bpe(R"(, "b\u2581": 21, "b\u2581a": 22)", R"(, "b \u2581", "b \u2581a")", unk)};
  const std::vector<std::string> normalizers = {
      "null", R"({"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"})",
      R"({"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u2581"}, {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]})",
      R"({"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Strip", "strip_left": true, "strip_right": true}, {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]})"};
  std::vector<std::string> pre_tokenizers = {
      "null", R"({"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": false})"};
  for (const char* scheme : {"always", "first", "never"}) {
    for (const char* split : {"true", "false"}) {
      const std::string metaspace =
          std::string(R"({"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": ")") + scheme +
          R"(", "split": )" + split + "}";
      pre_tokenizers.push_back(metaspace);
      pre_tokenizers.push_back(R"({"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, )" + metaspace +
                               "]}");
    }
  }
  int fast = 0;
  for (const std::string& model : models) {
    for (const std::string& normalizer : normalizers) {
      for (const std::string& pre_tokenizer : pre_tokenizers) {
        const Pipeline p{normalizer, pre_tokenizer, model};
        SCOPED_TRACE(normalizer + '\n' + pre_tokenizer + '\n' + model);
        const auto compiled = make(p, true), components = make(p, false);
        fast += compiled->has_fast_path();
        Texts texts;
        for (int round = 0; round < 60; ++round) {
          const std::string text = texts.next();
          const bool split_special = round % 3 == 0;
          const auto ids = [&](const Tokenizer& t, bool ids_only) {
            return t.encode(text, {.split_special_tokens = split_special, .ids_only = ids_only}).ids;
          };
          ASSERT_EQ(ids(*compiled, true), ids(*components, false)) << text;
        }
      }
    }
  }
  // Not those whose first character may come from elsewhere, and not a split that may find something.
  EXPECT_GT(fast, 250);
  EXPECT_LT(fast, static_cast<int>(models.size() * normalizers.size() * pre_tokenizers.size()));
}

}  // namespace
}  // namespace transformers
