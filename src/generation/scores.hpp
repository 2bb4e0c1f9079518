// What it is: sums over one row of scores, as logits processors, sampling and beam search need them.
// Where it stands: src/generation, private. Exponentials in float32, as Hugging Face's, sums in float64.
// Usage: `log_softmax(scores.row(0));`
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace transformers::generation {

inline constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

inline float max_of(std::span<const float> scores) {
  float top = kMinusInfinity;
  for (const float x : scores) top = std::max(top, x);
  return top;
}

// log(sum(exp(x))); NaN where all are minus infinity.
inline double log_sum_exp(std::span<const float> scores) {
  const float top = max_of(scores);
  double sum = 0;
  for (const float x : scores) sum += static_cast<double>(std::exp(x - top));
  return static_cast<double>(top) + std::log(sum);
}

inline void log_softmax(std::span<float> scores) {
  const float top = max_of(scores);
  double sum = 0;
  for (const float x : scores) sum += static_cast<double>(std::exp(x - top));
  const float log_sum = static_cast<float>(std::log(sum));
  for (float& x : scores) x = (x - top) - log_sum;
}

inline void softmax(std::span<const float> scores, std::vector<float>& probabilities) {
  const float top = max_of(scores);
  probabilities.resize(scores.size());
  double sum = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    probabilities[i] = std::exp(scores[i] - top);
    sum += static_cast<double>(probabilities[i]);
  }
  const double scale = 1 / sum;
  for (float& p : probabilities) p = static_cast<float>(static_cast<double>(p) * scale);
}

// The k first of n in the order that `above(a, b)`, a strict weak one, gives; of equals the lowest index first. Where
// above is ">" that is torch.topk.
template <class Above>
void top_indices(std::size_t n, std::size_t k, std::vector<int64_t>& indices, const Above& above) {
  k = std::min(k, n);
  indices.clear();
  if (k == 0) return;
  if (k <= 64) {  // few: kept in order, most of the n are no better than the last of them
    for (int64_t i = 0; i < static_cast<int64_t>(n); ++i) {
      if (indices.size() == k) {
        if (!above(i, indices.back())) continue;
        indices.pop_back();
      }
      auto at = indices.end();
      while (at != indices.begin() && above(i, *(at - 1))) --at;
      indices.insert(at, i);
    }
    return;
  }
  indices.resize(n);
  for (std::size_t i = 0; i < n; ++i) indices[i] = static_cast<int64_t>(i);
  const auto better = [&](int64_t a, int64_t b) { return above(a, b) || (!above(b, a) && a < b); };
  if (k < n) std::nth_element(indices.begin(), indices.begin() + static_cast<std::ptrdiff_t>(k), indices.end(), better);
  indices.resize(k);
  std::sort(indices.begin(), indices.end(), better);
}

}  // namespace transformers::generation
