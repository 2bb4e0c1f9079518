// What it is: LayerNorm and RMSNorm.
// Where it stands: nn.
// Usage: `LayerNorm norm(768, 1e-12f);  norm.forward(x, rows, x);`
// Source: arXiv 1607.06450, torch.nn.LayerNorm; arXiv 1910.07467, LlamaRMSNorm and GemmaRMSNorm (5.23). Everything in
//   float32.
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
      : weight_(static_cast<std::size_t>(size), 1.0f), bias_(static_cast<std::size_t>(size)), eps_(eps) {}

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

class RMSNorm {
 public:
  RMSNorm() = default;
  RMSNorm(int64_t size, float eps) : weight_(static_cast<std::size_t>(size)), eps_(eps) {}

  void weights(WeightVisitor& w) {
    const WeightPart weight{{"weight"}, static_cast<int64_t>(weight_.size())};
    w.vector({&weight, 1}, weight_);
  }

  // x [rows, size] -> out [rows, size]; out may be x.
  void forward(const float* x, int64_t rows, float* out) const {
    const int64_t size = static_cast<int64_t>(weight_.size());
    rms_norm(x, size, rows, size, weight_.data(), eps_, out, size);
  }
  // Over each of `heads` consecutive pieces of `size` in rows `stride` floats apart, in place.
  void forward_heads(float* x, int64_t rows, int64_t stride, int64_t heads) const {
    const int64_t size = static_cast<int64_t>(weight_.size());
    for (int64_t h = 0; h < heads; ++h) {
      rms_norm(x + h * size, stride, rows, size, weight_.data(), eps_, x + h * size, stride);
    }
  }

 protected:
  std::vector<float> weight_;
  float eps_ = 1e-6f;
};

// Gemma's: the weight in the file is what is added to 1.
class OffsetRMSNorm : public RMSNorm {
 public:
  using RMSNorm::RMSNorm;
  void weights(WeightVisitor& w) {
    RMSNorm::weights(w);
    for (float& x : weight_) x += 1.0f;
  }
};

}  // namespace transformers
