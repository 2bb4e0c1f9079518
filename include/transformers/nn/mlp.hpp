// What it is: the feed-forward networks of layers, plain and gated, computed some rows at a time.
// Where it stands: nn; what follows it (the norm) is written out in each family.
// Usage: `FeedForward ffn(768, 3072, Activation::gelu);  ffn.forward(hidden, tokens, scratch);`
// Source: arXiv 1706.03762, section 3.3; transformers BertIntermediate and BertOutput; arXiv 2002.05202, LlamaMLP
// (5.23).
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "transformers/nn/linear.hpp"

namespace transformers {

// down(act(up(x))) of two Linear or Conv1D. The intermediate values are the widest of a layer; no more than kRows rows
// of them exist at a time, which keeps them in the cache and the memory of a long batch small.
template <class Projection>
class BasicFeedForward {
 public:
  static constexpr int64_t kRows = 128;

  BasicFeedForward() = default;
  BasicFeedForward(int64_t hidden_size, int64_t intermediate_size, Activation activation,
                   Linear::Bias bias = Linear::Bias::yes)
      : up_(hidden_size, intermediate_size, bias),
        down_(intermediate_size, hidden_size, bias),
        activation_(activation) {}

  // The two layers under the names a family gives them.
  void weights(WeightVisitor& w, std::string_view up, std::string_view down) {
    w(up, up_);
    w(down, down_);
  }

  // Floats of scratch that forward() needs for `tokens` rows.
  int64_t scratch_floats(int64_t tokens) const noexcept { return std::min(tokens, kRows) * up_.out_features(); }

  // x [tokens, hidden_size] -> out [tokens, hidden_size], `residual` added to it. Any of the three may be the same.
  void forward(const float* x, int64_t tokens, float* scratch, float* out, const float* residual) const {
    for (int64_t first = 0; first < tokens; first += kRows) {
      const int64_t rows = std::min(kRows, tokens - first), at = first * up_.in_features();
      up_.forward(x + at, rows, scratch, {.activation = activation_});
      down_.forward(scratch, rows, out + at, {.residual = residual ? residual + at : nullptr});
    }
  }
  // hidden [tokens, hidden_size] += the network's answer.
  void forward(float* hidden, int64_t tokens, float* scratch) const {
    forward(hidden, tokens, scratch, hidden, hidden);
  }

  Activation activation() const noexcept { return activation_; }

 private:
  Projection up_, down_;
  Activation activation_ = Activation::none;
};
using FeedForward = BasicFeedForward<Linear>;

// down(act(gate(x)) * up(x)), `gate` and `up` in one multiplication.
class GatedMLP {
 public:
  static constexpr int64_t kRows = FeedForward::kRows;

  GatedMLP() = default;
  GatedMLP(int64_t hidden_size, int64_t intermediate_size, Activation activation, Linear::Bias bias = Linear::Bias::no)
      : gate_up_(hidden_size, 2 * intermediate_size, bias),
        down_(intermediate_size, hidden_size, bias),
        activation_(activation) {}

  // The layers under Llama's names, or gate and up as one matrix under another.
  void weights(WeightVisitor& w) {
    gate_up_.weights(w, {"gate_proj", "up_proj"});
    w("down_proj", down_);
  }
  void weights(WeightVisitor& w, std::string_view gate_up, std::string_view down) {
    w(gate_up, gate_up_);
    w(down, down_);
  }
  void weights(WeightVisitor& w, std::string_view gate, std::string_view up, std::string_view down) {
    gate_up_.weights(w, {gate, up});
    w(down, down_);
  }

  // Floats of scratch that forward() needs for `tokens` rows.
  int64_t scratch_floats(int64_t tokens) const noexcept { return std::min(tokens, kRows) * gate_up_.out_features(); }
  int64_t hidden_size() const noexcept { return gate_up_.in_features(); }

  // x [tokens, hidden_size] -> out [tokens, hidden_size], `residual` (which may be out) added to it. out may be x.
  void forward(const float* x, int64_t tokens, float* scratch, float* out, const float* residual = nullptr) const {
    const int64_t wide = gate_up_.out_features(), hidden_size = gate_up_.in_features();
    for (int64_t first = 0; first < tokens; first += kRows) {
      const int64_t rows = std::min(kRows, tokens - first);
      gate_up_.forward(x + first * hidden_size, rows, scratch);
      gated_product(activation_, scratch, wide, scratch + wide / 2, wide, rows, wide / 2, scratch, wide);
      down_.forward(scratch, rows, out + first * hidden_size,
                    {.input_stride = wide, .residual = residual ? residual + first * hidden_size : nullptr});
    }
  }

 private:
  Linear gate_up_, down_;
  Activation activation_ = Activation::none;
};

}  // namespace transformers
