// SequenceConvolution against the sum written out, over holes, groups and the ends of sequences.
#include "transformers/nn/convolution.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "transformers/base/platform.hpp"

namespace transformers {
namespace {

float weight_at(int64_t out, int64_t in, int64_t tap) {
  return static_cast<float>((out * 5 + in * 3 + tap) % 7) - 3.0f;
}

// Gives a convolution its weights, as a file would.
class Weights final : public WeightVisitor {
 public:
  Weights(int64_t width, int64_t taps) : width_(width), taps_(taps) {}
  void matrix(std::span<const WeightPart> parts, PackedWeight& weight) override {
    const WeightPart& part = parts[0];
    EXPECT_EQ(part.taps, taps_);
    std::vector<float> rows;
    for (int64_t out = part.first; out < part.first + part.rows; ++out) {
      for (int64_t i = 0; i < width_ * taps_; ++i) rows.push_back(weight_at(out, i / taps_, i % taps_));
    }
    const int64_t k = width_ * taps_;
    auto bytes = allocate_bytes(packed_bytes(DType::f32, part.rows, k));
    pack_rows(DType::f32, rows.data(), k, 0, part.rows, part.rows, k, bytes.get());
    weight.bytes = bytes;
  }
  void vector(std::span<const WeightPart> parts, std::vector<float>& values) override {
    for (int64_t i = 0; i < parts[0].rows; ++i) values.push_back(static_cast<float>(parts[0].first + i));
  }
  void table(std::string_view, int64_t, int64_t, Tensor&) override {}
  void words(std::string_view, int64_t, int64_t, Tensor&, PackedWeight&) override {}
  bool has(std::string_view) override { return true; }

 private:
  int64_t width_, taps_;
};

TEST(SequenceConvolution, SumsNeighboursByColumn) {
  constexpr int64_t kChannels = 6;
  for (const int64_t groups : {1, 2, 3}) {
    for (const int64_t taps : {1, 3, 5}) {
      const int64_t width = kChannels / groups;
      SequenceConvolution conv(kChannels, taps, groups);
      Weights weights(width, taps);
      conv.weights(weights, "conv");

      BatchBuilder builder({.pooled = BatchRules::Pooled::all});  // masked tokens stay, as rows that are no keys
      const std::vector<int64_t> ids(7, 1), mask{0, 1, 1, 0, 1, 1, 0};
      builder.add({.input_ids = ids, .attention_mask = mask});
      builder.add({.input_ids = ids});
      const Batch batch = builder.finish();
      std::vector<float> x(static_cast<std::size_t>(batch.tokens() * kChannels)), y(x.size(), 99.0f);
      for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>((i * 13) % 11) - 5.0f;
      Workspace ws;
      conv.forward(x.data(), batch, ws, y.data());

      for (int64_t i = 0; i < 2; ++i) {
        const std::size_t s = static_cast<std::size_t>(i);
        const int64_t first = batch.cu_seqlens[s], keys = batch.key_lens[s];
        for (int64_t r = first; r < batch.cu_seqlens[s + 1]; ++r) {
          for (int64_t out = 0; out < kChannels; ++out) {
            const int64_t group = out / width;
            float want = r < first + keys ? static_cast<float>(group * width) + static_cast<float>(out % width) : 0.0f;
            for (int64_t k = first; k < first + keys && r < first + keys; ++k) {
              const int64_t tap = batch.columns[static_cast<std::size_t>(k)] -
                                  batch.columns[static_cast<std::size_t>(r)] + (taps - 1) / 2;
              if (tap < 0 || tap >= taps) continue;
              for (int64_t in = 0; in < width; ++in) {
                want += weight_at(out, in, tap) * x[static_cast<std::size_t>(k * kChannels + group * width + in)];
              }
            }
            EXPECT_EQ(y[static_cast<std::size_t>(r * kChannels + out)], want) << groups << " " << taps << " row " << r;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace transformers
