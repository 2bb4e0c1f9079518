// What it is: SequenceConvolution, a convolution along each sequence of a packed batch.
// Where it stands: nn; DeBERTa's first layer.
// Usage: `SequenceConvolution conv(768, 3, 1);  conv.forward(x, batch, ws, y);`
// Source: torch.nn.Conv1d with padding (kernel_size - 1) / 2.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "transformers/nn/linear.hpp"
#include "transformers/tensor/batch.hpp"
#include "transformers/tensor/workspace.hpp"

namespace transformers {

class SequenceConvolution {
 public:
  SequenceConvolution() = default;
  // `kernel_size` odd; `groups` divides `channels`.
  SequenceConvolution(int64_t channels, int64_t kernel_size, int64_t groups)
      : channels_(channels),
        kernel_size_(kernel_size),
        groups_(static_cast<std::size_t>(groups), Linear(channels / groups * kernel_size, channels / groups)) {}

  // The module `name` with a "weight" [channels, channels / groups, kernel_size] and a "bias" [channels].
  void weights(WeightVisitor& w, const std::string& name) {
    const int64_t rows = channels_ / static_cast<int64_t>(groups_.size());
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      groups_[g].stacked(w, {{.names = {name},
                              .rows = rows,
                              .first = static_cast<int64_t>(g) * rows,
                              .of = channels_,
                              .transposed = false,
                              .taps = kernel_size_}});
    }
  }

  // x [tokens, channels] -> y [tokens, channels]. Neighbours go by columns: a token that was dropped counts as zeros.
  // Rows that are no keys become zeros.
  void forward(const float* x, const Batch& batch, Workspace& ws, float* y) const {
    const int64_t width = channels_ / static_cast<int64_t>(groups_.size());  // of one group
    float* windows = ws.floats(kRows * width * kernel_size_);
    float* out = ws.floats(kRows * width);
    for (int64_t i = 0; i < batch.batch_size(); ++i) {
      const std::size_t s = static_cast<std::size_t>(i);
      const int64_t first = batch.cu_seqlens[s], keys = batch.key_lens[s], end = batch.cu_seqlens[s + 1];
      for (int64_t row = 0; row < keys; row += kRows) {
        const int64_t rows = std::min(kRows, keys - row);
        for (std::size_t g = 0; g < groups_.size(); ++g) {
          const int64_t channel = static_cast<int64_t>(g) * width;
          gather(x + channel, batch, first, row, rows, keys, width, windows);
          groups_[g].forward(windows, rows, out);
          for (int64_t r = 0; r < rows; ++r) {
            std::copy_n(out + r * width, width, y + (first + row + r) * channels_ + channel);
          }
        }
      }
      std::fill(y + (first + keys) * channels_, y + end * channels_, 0.0f);
    }
  }

 private:
  static constexpr int64_t kRows = 128;  // whose windows exist at a time

  // windows [rows, width, kernel_size] of the keys `row` ... of the sequence whose rows begin at `first`.
  void gather(const float* x, const Batch& batch, int64_t first, int64_t row, int64_t rows, int64_t keys, int64_t width,
              float* windows) const {
    const int32_t* columns = batch.columns.data() + first;  // rising over the keys
    const int64_t half = (kernel_size_ - 1) / 2;
    std::fill_n(windows, rows * width * kernel_size_, 0.0f);
    for (int64_t r = 0; r < rows; ++r) {
      float* window = windows + r * width * kernel_size_;
      const int64_t low = columns[row + r] - half, high = columns[row + r] + half;
      const int64_t begin = std::lower_bound(columns, columns + keys, low) - columns;
      for (int64_t k = begin; k < keys && columns[k] <= high; ++k) {
        const float* from = x + (first + k) * channels_;
        float* to = window + (columns[k] - low);
        for (int64_t c = 0; c < width; ++c) to[c * kernel_size_] = from[c];
      }
    }
  }

  int64_t channels_ = 0, kernel_size_ = 1;
  std::vector<Linear> groups_;
};

}  // namespace transformers
