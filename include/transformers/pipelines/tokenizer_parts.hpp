// What it is: what requests for text need of a tokenizer: the texts of its tokens for stop strings, the constraint.
// Where it stands: pipelines, between tokenizers and generation, which do not know each other.
// Usage: `const TokenizerParts parts = tokenizer_parts(*tokenizer, config);  request.constraint = parts.constraint;`
#pragma once

#include <memory>

#include "transformers/base/export.hpp"
#include "transformers/generation/constraint.hpp"
#include "transformers/generation/generation_config.hpp"
#include "transformers/generation/stopping_criteria.hpp"

namespace transformers {

class Tokenizer;

struct TokenizerParts {
  std::shared_ptr<const StopStringCriteria::TokenTexts> token_texts;  // where the config has stop_strings
  std::shared_ptr<const Constraint> constraint;                       // where it has json_schema, regex or grammar
};

// json_schema may also be JSON text. Errors: those of Grammar and Constraint.
TCPP_API TokenizerParts tokenizer_parts(const Tokenizer& tokenizer, const GenerationConfig& config);

}  // namespace transformers
