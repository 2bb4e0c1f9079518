// Implements pipelines/tokenizer_parts.hpp.
#include "transformers/pipelines/tokenizer_parts.hpp"

#include <utility>

#include "transformers/tokenizers/tokenizer.hpp"

namespace transformers {

TokenizerParts tokenizer_parts(const Tokenizer& tokenizer, const GenerationConfig& config) {
  TokenizerParts parts;
  const bool constrained = !config.constraint_name().empty();
  if (config.stop_strings.is_null() && !constrained) return parts;
  auto texts = std::make_shared<StopStringCriteria::TokenTexts>(tokenizer.token_texts());
  if (constrained) {
    Grammar grammar;
    if (config.regex) {
      grammar = Grammar::from_regex(*config.regex);
    } else if (config.grammar) {
      grammar = Grammar::from_gbnf(*config.grammar);
    } else if (config.json_schema.is_string()) {
      grammar = Grammar::from_json_schema(parse_json(config.json_schema.as_string(), "json_schema"));
    } else {
      grammar = Grammar::from_json_schema(config.json_schema);
    }
    parts.constraint = std::make_shared<Constraint>(std::move(grammar), *texts, tokenizer.all_special_ids());
  }
  if (!config.stop_strings.is_null()) parts.token_texts = std::move(texts);
  return parts;
}

}  // namespace transformers
