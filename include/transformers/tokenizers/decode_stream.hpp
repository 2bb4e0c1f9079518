// What it is: ids to text as they come, one by one: all that is certain, never half a character.
// Where it stands: tokenizers, beside Tokenizer::decode, whose text it gives in pieces; streamers print with it.
// Usage: `DecodeStream s(*tokenizer); for (int32_t id : ids) print(s.put(id)); print(s.end());`
// Source: the `tokenizers` crate 0.23, DecodeStream. Difference: the pieces together are what decode gives of all ids,
// so bytes of <0x..> tokens wait until their run ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "transformers/base/export.hpp"
#include "transformers/tokenizers/tokenizer.hpp"

namespace transformers {

// One text at a time; not for use by several threads. The tokenizer must outlive it.
class TCPP_API DecodeStream {
 public:
  explicit DecodeStream(const Tokenizer& tokenizer, const DecodeOptions& options = {});

  // The text that has become certain with this id; often empty. Errors: those of Tokenizer::decode.
  std::string put(int32_t id);
  // The rest: what waited for more. Afterwards the stream is as new.
  std::string end();

 private:
  std::string emit(const std::string& text, std::size_t certain);
  void forget_old(const std::string& text);

  const Tokenizer& tokenizer_;
  DecodeOptions options_;
  std::vector<int32_t> ids_;  // the last ones: enough that decoding them ends as decoding all does
  bool in_bytes_ = false;     // the last of them is a <0x..> token
  std::size_t emitted_ = 0;   // bytes of their text
  std::size_t longest_ = 64;  // ids to keep before older ones are forgotten
};

}  // namespace transformers
