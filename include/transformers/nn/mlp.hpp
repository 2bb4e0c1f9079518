// What it is: the feed-forward network of a layer with its residual, computed some rows at a time.
// Where it stands: nn; what follows it (the norm) is written out in each family.
// Usage: `FeedForward ffn(768, 3072, Activation::gelu);  ffn.forward(hidden, tokens, scratch);`
// Source: arXiv 1706.03762, section 3.3; transformers BertIntermediate and BertOutput (5.23).
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "transformers/nn/linear.hpp"

namespace transformers {

// hidden += down(act(up(hidden))). The intermediate values are the widest of a layer; no more than kRows rows of them
// exist at a time, which keeps them in the cache and the memory of a long batch small.
class FeedForward {
 public:
  static constexpr int64_t kRows = 512;

  FeedForward() = default;
  FeedForward(int64_t hidden_size, int64_t intermediate_size, Activation activation)
      : up_(hidden_size, intermediate_size), down_(intermediate_size, hidden_size), activation_(activation) {}

  // The two layers under the names a family gives them.
  void weights(WeightVisitor& w, std::string_view up, std::string_view down) {
    w(up, up_);
    w(down, down_);
  }

  // Floats of scratch that forward() needs for `tokens` rows.
  int64_t scratch_floats(int64_t tokens) const noexcept { return std::min(tokens, kRows) * up_.out_features(); }

  // hidden [tokens, hidden_size], in place.
  void forward(float* hidden, int64_t tokens, float* scratch) const {
    for (int64_t first = 0; first < tokens; first += kRows) {
      const int64_t rows = std::min(kRows, tokens - first);
      float* block = hidden + first * up_.in_features();
      up_.forward(block, rows, scratch, {.activation = activation_});
      down_.forward(scratch, rows, block, {.residual = block});
    }
  }

  Activation activation() const noexcept { return activation_; }

 private:
  Linear up_, down_;
  Activation activation_ = Activation::none;
};

}  // namespace transformers
