// What it is: a tokenizer's normalizers over plain text, without where each byte came from: ASCII at the speed of a
// copy.
// Where it stands: tokenizers, the first step of the compiled paths; must equal Normalizer::normalize.
// Usage: `TextNormalizer n(&normalizer); std::string room; std::string_view normalized = n.run(text, room);`
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "transformers/tokenizers/normalizers.hpp"

namespace transformers {

class TextNormalizer {
 public:
  // `normalizer`, which may be nullptr, must outlive it.
  explicit TextNormalizer(const Normalizer* normalizer);

  // The normalized form of `text`, which is well-formed UTF-8: `text` itself or `room`, which is overwritten.
  std::string_view run(std::string_view text, std::string& room) const;

 private:
  struct Step {
    const Normalizer* normalizer;
    std::array<bool, 128> has_rule{};  // of Precompiled: whether an ASCII character that stands alone is replaced
  };
  void add(const Normalizer& normalizer);
  // False: the text stays as it is.
  static bool run(const Step& step, std::string_view text, std::string& out);

  std::vector<Step> steps_;
};

}  // namespace transformers
