// What it is: LayerNorm.
// Where it stands: nn.
// Usage: `LayerNorm norm(768, 1e-12f);  norm.forward(x, rows, x);`
// Source: arXiv 1607.06450; torch.nn.LayerNorm. Mean and variance in float32.
#pragma once

#include <cstdint>
#include <vector>

#include "transformers/kernels/kernels.hpp"
#include "transformers/nn/weights.hpp"

namespace transformers {

class LayerNorm {
 public:
  LayerNorm() = default;
  LayerNorm(int64_t size, float eps)
      : weight_(static_cast<std::size_t>(size)), bias_(static_cast<std::size_t>(size)), eps_(eps) {}

  void weights(WeightVisitor& w) {
    const WeightPart weight{{"weight"}, static_cast<int64_t>(weight_.size())};
    const WeightPart bias{{"bias"}, static_cast<int64_t>(bias_.size())};
    w.vector({&weight, 1}, weight_);
    w.vector({&bias, 1}, bias_);
  }

  // x [rows, size] -> out [rows, size]; out may be x.
  void forward(const float* x, int64_t rows, float* out) const {
    layer_norm(x, rows, static_cast<int64_t>(weight_.size()), weight_.data(), bias_.data(), eps_, out);
  }

 private:
  std::vector<float> weight_, bias_;
  float eps_ = 1e-12f;
};

}  // namespace transformers
