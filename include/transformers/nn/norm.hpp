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
  LayerNorm(int64_t size, float eps, bool has_bias = true) : size_(size), eps_(eps), has_bias_(has_bias) {}

  void weights(WeightVisitor& w) {
    const WeightPart weight{{"weight"}, size_};
    const WeightPart bias{{"bias"}, size_};
    w.vector({&weight, 1}, weight_);
    if (has_bias_) {
      w.vector({&bias, 1}, bias_);
    } else {
      bias_.assign(weight_.size(), 0.0f);
    }
  }

  // x [rows, size] -> out [rows, size]; out may be x.
  void forward(const float* x, int64_t rows, float* out) const {
    layer_norm(x, rows, size_, weight_.data(), bias_.data(), eps_, out);
  }

 protected:
  int64_t size_ = 0;
  std::vector<float> weight_, bias_;  // allocated when they are read: a config alone allocates nothing
  float eps_ = 1e-12f;
  bool has_bias_ = true;
};

class RMSNorm {
 public:
  RMSNorm() = default;
  RMSNorm(int64_t size, float eps) : size_(size), eps_(eps) {}

  void weights(WeightVisitor& w) {
    const WeightPart weight{{"weight"}, size_};
    w.vector({&weight, 1}, weight_);
  }

  // x [rows, size] -> out [rows, size]; out may be x.
  void forward(const float* x, int64_t rows, float* out) const {
    rms_norm(x, size_, rows, size_, weight_.data(), eps_, out, size_);
  }
  // Over each of `heads` consecutive pieces of `size` in rows `stride` floats apart, in place.
  void forward_heads(float* x, int64_t rows, int64_t stride, int64_t heads) const {
    for (int64_t h = 0; h < heads; ++h) {
      rms_norm(x + h * size_, stride, rows, size_, weight_.data(), eps_, x + h * size_, stride);
    }
  }

 protected:
  int64_t size_ = 0;
  std::vector<float> weight_;
  float eps_ = 1e-6f;
};

// Gemma's: the weight in the file is what is added to 1.
class OffsetRMSNorm : public RMSNorm {
 public:
  using RMSNorm::RMSNorm;
  void weights(WeightVisitor& w) {
    const WeightPart stored{{"weight"}, size_};
    w.vector({&stored, 1}, stored_);
    weight_ = stored_;
    for (float& x : weight_) x += 1.0f;
  }

 private:
  std::vector<float> stored_;  // as the file has it: 1 + x - 1 would not be x
};

}  // namespace transformers
