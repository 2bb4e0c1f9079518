// What it is: make_batch for encoder-decoders.
// Where it stands: src/tensor; batch.cpp calls it where the model's rules have a decoder.
// Usage: `return make_pairs(inputs, rules);`
#pragma once

#include "transformers/tensor/batch.hpp"

namespace transformers {

// Sequences without tokens cost memory too.
inline constexpr int64_t kMaxBatchSequences = int64_t{1} << 24;

Batch make_pairs(const ModelInputs& inputs, BatchRules rules);

}  // namespace transformers
