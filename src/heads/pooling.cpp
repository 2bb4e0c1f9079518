// Implements heads/pooling.hpp.
#include "transformers/heads/pooling.hpp"

#include <algorithm>
#include <cmath>

namespace transformers {

void pool(Pooling pooling, const float* hidden, int64_t tokens, int64_t hidden_size, float* out) {
  std::fill_n(out, hidden_size, 0.0f);
  if (tokens == 0) return;
  switch (pooling) {
    case Pooling::cls:
      std::copy_n(hidden, hidden_size, out);
      return;
    case Pooling::last_token:
      std::copy_n(hidden + (tokens - 1) * hidden_size, hidden_size, out);
      return;
    case Pooling::max:
      std::copy_n(hidden, hidden_size, out);
      for (int64_t t = 1; t < tokens; ++t) {
        for (int64_t i = 0; i < hidden_size; ++i) out[i] = std::max(out[i], hidden[t * hidden_size + i]);
      }
      return;
    default:
      break;
  }
  // The three weighted sums: weight of token t, and what the sum is divided by.
  const bool by_position = pooling == Pooling::weighted_mean;
  for (int64_t t = 0; t < tokens; ++t) {
    const float weight = by_position ? static_cast<float>(t + 1) : 1.0f;
    for (int64_t i = 0; i < hidden_size; ++i) out[i] += weight * hidden[t * hidden_size + i];
  }
  const float n = static_cast<float>(tokens);
  const float divisor = by_position ? n * (n + 1) / 2 : pooling == Pooling::mean_sqrt_len ? std::sqrt(n) : n;
  for (int64_t i = 0; i < hidden_size; ++i) out[i] /= divisor;
}

void normalize(float* x, int64_t size) {
  float sum = 0;
  for (int64_t i = 0; i < size; ++i) sum += x[i] * x[i];
  const float norm = std::max(std::sqrt(sum), 1e-12f);
  for (int64_t i = 0; i < size; ++i) x[i] /= norm;
}

}  // namespace transformers
