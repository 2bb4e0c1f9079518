// What it is: SentencePiece's tokenizers (T5, XLM-R, ALBERT, Llama, Gemma ...) over the bytes of the text: scan a word,
// look it up, else cut it into pieces.
// Where it stands: tokenizers; see compiled_path.hpp.
// Usage: `if (auto path = MetaspacePath::make(normalizer, pre_tokenizer, model)) path->encode(text, true, ids);`
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "compiled_path.hpp"
#include "transformers/tokenizers/models.hpp"
#include "transformers/tokenizers/pre_tokenizers.hpp"
#include "word_cache.hpp"

namespace transformers {

class MetaspacePath : public CompiledPath {
 public:
  // nullptr when the components are others than: Metaspace with U+2581, perhaps behind WhitespaceSplit, or no
  // pre-tokenizer, or one that finds nothing (Gemma's); Unigram, or BPE without prefix and suffix. All must outlive it.
  static std::unique_ptr<const MetaspacePath> make(const Normalizer* normalizer, const PreTokenizer* pre_tokenizer,
                                                   const TokenizerModel& model);

  void encode(std::string_view text, bool begins, std::vector<int32_t>& ids) const override;

 private:
  // What goes into the model at once.
  enum class Words {
    split,  // U+2581 and what stands behind it
    runs,   // of a BPE that sees the whole text, but joins nothing across the front of a row of U+2581
    whole
  };
  explicit MetaspacePath(const Normalizer* normalizer) : CompiledPath(normalizer) {}
  void scan(std::string_view text, bool prepends, WordCache& cache, std::vector<int32_t>& ids) const;
  void tokenize(std::string_view word, bool prepends, std::vector<int32_t>& ids) const;

  const Unigram* unigram_ = nullptr;  // or else
  const BPE* bpe_ = nullptr;
  Words words_ = Words::whole;
  PrependScheme prepend_scheme_ = PrependScheme::never;
  bool splits_whitespace_ = false;
  bool replaces_spaces_ = false;  // a space is U+2581
  mutable WordCaches caches_;
};

}  // namespace transformers
