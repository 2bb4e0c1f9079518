// What it is: byte-level BPE (GPT-2, Llama 3, Qwen ...) over the bytes of the text: scan a word, look it up, merge.
// Where it stands: tokenizers, beside the components, whose ids it must equal; Tokenizer::Impl chooses it when only ids
// are asked for.
// Usage: `if (auto path = ByteLevelPath::make(impl)) path->encode(text, ids);`
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "scanners.hpp"
#include "transformers/tokenizers/models.hpp"
#include "transformers/tokenizers/normalizers.hpp"
#include "transformers/tokenizers/pre_tokenizers.hpp"
#include "word_cache.hpp"

namespace transformers {

class ByteLevelPath {
 public:
  // nullptr when the components are others than: no normalizer or NFC; ByteLevel with its own pattern, behind a Split
  // with a pattern that has a scanner, or behind Digits; BPE without prefix and suffix, whose unknown token, if it has
  // one, no byte needs. `model` must outlive it.
  static std::unique_ptr<const ByteLevelPath> make(const Normalizer* normalizer, const PreTokenizer* pre_tokenizer,
                                                   const TokenizerModel& model);

  // Appends the ids of `text`, which is well-formed UTF-8.
  void encode(std::string_view text, std::vector<int32_t>& ids) const;

 private:
  explicit ByteLevelPath(const BPE& model) : model_(model) {}
  template <Scanner kScanner>
  void scan_words(std::string_view text, WordCache& cache, std::vector<int32_t>& ids) const;
  void add_word(std::string_view word, WordCache& cache, const char* readable, std::vector<int32_t>& ids) const;
  void merge_word(std::string_view word, std::vector<int32_t>& ids) const;

  const BPE& model_;
  Scanner scanner_ = Scanner::gpt2;
  bool composes_ = false, add_prefix_space_ = false, single_digits_ = false;
  std::array<int32_t, 256> byte_ids_{};
  mutable WordCaches caches_;
};

}  // namespace transformers
