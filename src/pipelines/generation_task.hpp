// What it is: what the tasks that call generate() share: a call's options, tokens back to text.
// Where it stands: pipelines; text_generation.cpp and text2text_generation.cpp use it.
// Usage: `const Value call = generate_options(options);  std::string text = decode_generated(tokenizer, ids, decode);`
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "transformers/base/value.hpp"
#include "transformers/generation/generation_config.hpp"
#include "transformers/tokenizers/tokenizer.hpp"

namespace transformers {

// The members of `options` that are generate()'s, null ones too: they switch things off.
Value generate_options(const Value& options);
// The fields that are set.
Value set_fields(const GenerationConfig& config);

// A model's vocabulary may be larger than its tokenizer's: such ids stand for no text, as in Hugging Face.
std::string decode_generated(const Tokenizer& tokenizer, std::span<const int64_t> ids, const DecodeOptions& options);

}  // namespace transformers
