// What it is: what Tokenizer asks of a pipeline that is compiled for ids alone: normal form, then words, then ids.
// Where it stands: tokenizers, beside the components, whose ids it must equal; Tokenizer::Impl chooses it when only ids
// are asked for, and cuts the text at added tokens before and after the normalization.
// Usage: `if (auto path = ByteLevelPath::make(...)) path->encode(path->normalize(text, room), true, ids);`
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text_normalizer.hpp"

namespace transformers {

class CompiledPath {
 public:
  explicit CompiledPath(const Normalizer* normalizer) : normalizer_(normalizer) {}
  virtual ~CompiledPath() = default;
  CompiledPath(const CompiledPath&) = delete;
  CompiledPath& operator=(const CompiledPath&) = delete;

  // The normalized form of `text`, which is well-formed UTF-8: `text` itself or `room`.
  std::string_view normalize(std::string_view text, std::string& room) const { return normalizer_.run(text, room); }
  // Appends the ids of normalized text; `begins` says whether the input begins with it.
  virtual void encode(std::string_view text, bool begins, std::vector<int32_t>& ids) const = 0;

 private:
  TextNormalizer normalizer_;
};

}  // namespace transformers
