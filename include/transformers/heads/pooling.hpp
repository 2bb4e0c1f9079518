// What it is: pooling, from the hidden states of a sequence's tokens to one vector, and L2 normalization.
// Where it stands: heads; feature extraction makes sentence embeddings with it.
// Usage: `pool(Pooling::mean, hidden, tokens, hidden_size, embedding);  normalize(embedding, hidden_size);`
// Source: sentence_transformers Pooling and Normalize.
#pragma once

#include <cstdint>

#include "transformers/base/export.hpp"

namespace transformers {

enum class Pooling { none, automatic, mean, cls, max, mean_sqrt_len, weighted_mean, last_token };

// hidden [tokens, hidden_size], the tokens of one sequence, none of them padding -> out [hidden_size]. No tokens:
// zeros.
TCPP_API void pool(Pooling pooling, const float* hidden, int64_t tokens, int64_t hidden_size, float* out);

// x / max(|x|, 1e-12), as torch.nn.functional.normalize.
TCPP_API void normalize(float* x, int64_t size);

}  // namespace transformers
