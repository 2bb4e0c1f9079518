// What it is: Constraint, a Grammar against the tokens of a vocabulary: which may come next; and the logits processor
// that lets no others through.
// Where it stands: generation; a request carries one, made once for any number of requests.
// Usage: `auto constraint = std::make_shared<Constraint>(Grammar::from_regex("[0-9]+"), tokenizer->token_texts(),
//         tokenizer->all_special_ids());`
// Source: none of Hugging Face's; Willard & Louf, "Efficient Guided Generation" (arXiv 2307.09702) for the idea.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "transformers/base/export.hpp"
#include "transformers/generation/grammar.hpp"
#include "transformers/generation/logits_processor.hpp"

namespace transformers {

// Thread-safe. Remembers the masks of the states it has been in, within 64 MB.
class TCPP_API Constraint {
 public:
  // token_texts: by id, the bytes a token adds. Special tokens may not appear, ends aside.
  // Error(invalid_argument) when no text of the grammar can be written with these tokens.
  Constraint(Grammar grammar, const std::vector<std::string>& token_texts, std::span<const int32_t> special_ids = {});
  ~Constraint();
  Constraint(const Constraint&) = delete;
  Constraint& operator=(const Constraint&) = delete;

  // Sets the scores of all tokens that may not follow `ids` (what has been made so far) to minus infinity; the ends may
  // where the text is complete. `left` tokens are still to be made, this one included: none is let through that could
  // not be completed in time, as far as there is another.
  void apply(std::span<const int64_t> ids, int64_t left, std::span<const int64_t> eos, std::span<float> scores) const;
  // Whether the text of `ids` is one of the grammar's, and whether more may follow; for tests.
  bool accepts(std::span<const int64_t> ids) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

class TCPP_API ConstraintLogitsProcessor : public LogitsProcessor {
 public:
  ConstraintLogitsProcessor(std::shared_ptr<const Constraint> constraint, int64_t prompt_length, int64_t max_length,
                            std::vector<int64_t> eos_token_id)
      : constraint_(std::move(constraint)),
        prompt_length_(prompt_length),
        max_length_(max_length),
        eos_(std::move(eos_token_id)) {}

 protected:
  void process(std::span<const int64_t> input_ids, std::span<float> scores) const override;

 private:
  std::shared_ptr<const Constraint> constraint_;
  int64_t prompt_length_, max_length_;
  std::vector<int64_t> eos_;
};

}  // namespace transformers
