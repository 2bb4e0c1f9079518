// What it is: sums over one row of scores, as logits processors, sampling and beam search need them.
// Where it stands: src/generation, private. Exponentials in float32, as Hugging Face's, sums in float64.
// Usage: `log_softmax(scores.row(0));`
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
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

// The indices of the k largest, in the order of torch.topk, that of equals included: which of them stand first is what
// the standard library's selection leaves, by a heap where k is small beside n, else by nth_element and sort.
inline std::vector<int64_t> topk(std::span<const float> values, std::size_t k) {
  using Item = std::pair<float, int64_t>;
  const auto above = [](const Item& a, const Item& b) { return a.first > b.first; };
  const std::size_t n = values.size();
  k = std::min(k, n);
  if (k == 0) return {};
  const auto item = [&](std::size_t i) { return Item{values[i], static_cast<int64_t>(i)}; };
  std::vector<Item> items;
  if (k * 64 <= n) {  // std::partial_sort, without moving those that are never chosen
    for (std::size_t i = 0; i < k; ++i) items.push_back(item(i));
    std::make_heap(items.begin(), items.end(), above);
    items.emplace_back();
    for (std::size_t i = k; i < n; ++i) {
      if (!(values[i] > items.front().first)) continue;
      items.back() = item(i);
      std::pop_heap(items.begin(), items.end(), above);
    }
    items.pop_back();
    std::sort_heap(items.begin(), items.end(), above);
  } else {
    for (std::size_t i = 0; i < n; ++i) items.push_back(item(i));
    const auto last = items.begin() + static_cast<std::ptrdiff_t>(k - 1);
    std::nth_element(items.begin(), last, items.end(), above);
    std::sort(items.begin(), last, above);
    items.resize(k);
  }
  std::vector<int64_t> indices;
  for (const Item& chosen : items) indices.push_back(chosen.second);
  return indices;
}

// The k first of n in the order that `above(a, b)`, a strict weak one, gives; of equals the lowest index first.
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
