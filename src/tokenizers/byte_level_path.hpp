// What it is: byte-level BPE (GPT-2, Llama 3, Qwen ...) over the bytes of the text: scan a word, look it up, merge.
// Where it stands: tokenizers; see compiled_path.hpp.
// Usage: `if (auto path = ByteLevelPath::make(normalizer, pre_tokenizer, model)) path->encode(text, true, ids);`
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "compiled_path.hpp"
#include "scanners.hpp"
#include "transformers/tokenizers/models.hpp"
#include "transformers/tokenizers/pre_tokenizers.hpp"
#include "word_cache.hpp"

namespace transformers {

class ByteLevelPath : public CompiledPath {
 public:
  // nullptr when the components are others than: ByteLevel with its own pattern, behind a Split with a pattern that has
  // a scanner, or behind Digits; BPE without prefix and suffix, whose unknown token, if it has one, no byte needs.
  // `normalizer` and `model` must outlive it.
  static std::unique_ptr<const ByteLevelPath> make(const Normalizer* normalizer, const PreTokenizer* pre_tokenizer,
                                                   const TokenizerModel& model);

  void encode(std::string_view text, bool begins, std::vector<int32_t>& ids) const override;

 private:
  ByteLevelPath(const Normalizer* normalizer, const BPE& model) : CompiledPath(normalizer), model_(model) {}
  template <Scanner kScanner>
  void scan_words(std::string_view text, WordCache& cache, std::vector<int32_t>& ids) const;
  void add_word(std::string_view word, WordCache& cache, const char* readable, std::vector<int32_t>& ids) const;
  void merge_word(std::string_view word, std::vector<int32_t>& ids) const;

  const BPE& model_;
  Scanner scanner_ = Scanner::gpt2;
  bool add_prefix_space_ = false, single_digits_ = false;
  std::array<int32_t, 256> byte_ids_{};
  mutable WordCaches caches_;
};

}  // namespace transformers
