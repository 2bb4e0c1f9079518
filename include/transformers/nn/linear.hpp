// What it is: Linear, y = x W^T + b, with the activation and the residual sum that follow it fused in; Conv1D.
// Where it stands: nn; the one block that multiplies matrices.
// Usage: `Linear dense(768, 3072);  dense.forward(x, rows, y, {.activation = Activation::gelu});`
// Source: torch.nn.Linear; transformers/pytorch_utils.py, Conv1D (5.23).
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "transformers/kernels/kernels.hpp"
#include "transformers/nn/weights.hpp"

namespace transformers {

// How the input lies, and what follows the matrix multiplication.
struct LinearOptions {
  int64_t input_stride = 0;  // floats between rows of x; 0: dense
  Activation activation = Activation::none;
  const float* residual = nullptr;  // [rows, out_features], added last; may be y itself
};

class Linear {
 public:
  enum class Bias { yes, no };

  Linear() = default;
  Linear(int64_t in_features, int64_t out_features, Bias bias = Bias::yes)
      : weight_{.out_features = out_features, .in_features = in_features, .format = {}, .bytes = nullptr},
        has_bias_(bias == Bias::yes) {}

  // "weight" and "bias" below the current prefix.
  void weights(WeightVisitor& w) { weights(w, {""}); }

  // One matrix multiplication in place of several over the same input: the rows of the named projections, all of one
  // size, stacked in order. fused({"query", "key", "value"}) gives query | key | value in every output row.
  void weights(WeightVisitor& w, std::initializer_list<std::string_view> names) {
    std::vector<WeightPart> matrices, biases;
    const int64_t rows = weight_.out_features / static_cast<int64_t>(names.size());
    for (const std::string_view name : names) {
      const std::string prefix = name.empty() ? std::string() : std::string(name) + ".";
      matrices.push_back({{prefix + "weight"}, rows});
      biases.push_back({{prefix + "bias"}, rows});
    }
    w.matrix(matrices, weight_);
    if (has_bias_) w.vector(biases, bias_);
  }

  // The same for projections of several sizes, or for pieces of one tensor: the rows that `parts` lists, whose names
  // stand for modules with a "weight" and a "bias".
  void stacked(WeightVisitor& w, std::vector<WeightPart> parts) {
    std::vector<WeightPart> biases = parts;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      parts[i].names.front() += ".weight";
      biases[i].names.front() += ".bias";
      biases[i].transposed = false;
      biases[i].taps = 0;
    }
    of_parts(w, parts, biases);
  }
  // The same with the full names of the tensors.
  void of_parts(WeightVisitor& w, std::span<const WeightPart> weights, std::span<const WeightPart> biases) {
    w.matrix(weights, weight_);
    if (has_bias_) w.vector(biases, bias_);
  }

  // Names of its own for a weight that may be tied to another: the first that the checkpoint has.
  void weights(WeightVisitor& w, std::vector<std::string> weight_names, std::vector<std::string> bias_names) {
    const WeightPart weight{std::move(weight_names), weight_.out_features};
    const WeightPart bias{std::move(bias_names), weight_.out_features};
    w.matrix({&weight, 1}, weight_);
    if (has_bias_) w.vector({&bias, 1}, bias_);
  }

  // y [rows, out_features] = activation(x [rows, in_features] * W^T + b) + residual. y is dense and must not overlap x.
  void forward(const float* x, int64_t rows, float* y, LinearOptions options = {}) const {
    gemm({.a = x,
          .lda = options.input_stride == 0 ? weight_.in_features : options.input_stride,
          .m = rows,
          .b = weight_.view(),
          .bias = bias_.empty() ? nullptr : bias_.data(),
          .activation = options.activation,
          .residual = options.residual,
          .ldr = weight_.out_features,
          .c = y,
          .ldc = weight_.out_features});
  }

  // Whether the input is rounded, to bf16 or 8 bits, before it is multiplied.
  bool rounds() const noexcept {
    return weight_.format.kind == WeightFormat::Kind::bf16_dot || weight_.format.kind == WeightFormat::Kind::integers;
  }
  int64_t in_features() const noexcept { return weight_.in_features; }
  int64_t out_features() const noexcept { return weight_.out_features; }

 protected:
  PackedWeight weight_;
  std::vector<float> bias_;  // of the size it has in the file: a config alone allocates nothing
  bool has_bias_ = false;
};

// The same layer stored the other way round, [in_features, out_features], as the first GPTs have it.
class Conv1D : public Linear {
 public:
  using Linear::Linear;
  void weights(WeightVisitor& w) {
    const WeightPart weight{.names = {"weight"}, .rows = weight_.out_features, .transposed = true};
    const WeightPart bias{{"bias"}, weight_.out_features};
    w.matrix({&weight, 1}, weight_);
    w.vector({&bias, 1}, bias_);
  }
};

// hidden[i] += x[i]: the residual sum where a norm stands between it and the layer.
inline void add(const float* x, int64_t count, float* hidden) {
  for (int64_t i = 0; i < count; ++i) hidden[i] += x[i];
}

}  // namespace transformers
