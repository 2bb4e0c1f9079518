// What it is: sums over one row of scores, as logits processors, sampling and beam search need them.
// Where it stands: src/generation, private. The arithmetic over whole rows is kernels/kernels.hpp's.
// Usage: `log_softmax(scores.row(0));`
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "transformers/kernels/kernels.hpp"

namespace transformers::generation {

inline constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

inline int64_t size_of(std::span<const float> scores) { return static_cast<int64_t>(scores.size()); }

// The largest; NaN if one is NaN, minus infinity if there are none.
inline float max_of(std::span<const float> scores) {
  if (scores.empty()) return kMinusInfinity;
  const int64_t best = argmax(scores.data(), size_of(scores));
  return scores[static_cast<std::size_t>(best < 0 ? -1 - best : best)];
}

// log(sum(exp(x))); NaN where all are minus infinity.
inline double log_sum_exp(std::span<const float> scores) {
  const float top = max_of(scores);
  return static_cast<double>(top) + std::log(sum_exp(scores.data(), size_of(scores), top));
}

inline void log_softmax(std::span<float> scores) {
  transformers::log_softmax(scores.data(), size_of(scores), scores.data());
}

inline void softmax(std::span<const float> scores, std::vector<float>& probabilities) {
  probabilities.resize(scores.size());
  const double scale = 1 / sum_exp(scores.data(), size_of(scores), max_of(scores), probabilities.data());
  for (float& p : probabilities) p = static_cast<float>(static_cast<double>(p) * scale);
}

// The indices of the k largest, in the order of torch.topk, that of equals included: which of them stand first is what
// the standard library's selection leaves, by a heap where k is small beside n, else by nth_element and sort.
// Of n values: value(i) is one of them, next(i, least) the first place from i on whose value is not below `least`, or
// n.
template <class ValueAt, class Next>
std::vector<int64_t> topk(std::size_t n, std::size_t k, const ValueAt& value, const Next& next) {
  using Item = std::pair<float, int64_t>;
  const auto above = [](const Item& a, const Item& b) { return a.first > b.first; };
  k = std::min(k, n);
  if (k == 0) return {};
  const auto item = [&](std::size_t i) { return Item{value(i), static_cast<int64_t>(i)}; };
  std::vector<Item> items;
  if (k * 64 <= n) {  // std::partial_sort, without moving those that are never chosen
    for (std::size_t i = 0; i < k; ++i) items.push_back(item(i));
    std::make_heap(items.begin(), items.end(), above);
    items.emplace_back();
    for (std::size_t i = k; (i = next(i, items.front().first)) < n; ++i) {
      if (!(value(i) > items.front().first)) continue;
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

inline std::vector<int64_t> topk(std::span<const float> values, std::size_t k) {
  return topk(
      values.size(), k, [&](std::size_t i) { return values[i]; },
      [&](std::size_t i, float least) {
        const std::span<const float> rest = values.subspan(i);
        return i + static_cast<std::size_t>(first_not_below(rest.data(), size_of(rest), 0.0f, least));
      });
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
