// What it is: what a position adds to the embedding of its token: a learned row, or sines and cosines.
// Where it stands: nn; the second step of models whose attention does not see positions.
// Usage: `LearnedPositions positions(1024, 768, /*offset=*/2);  positions.add(batch.position_ids, hidden);`
// Source: transformers BartLearnedPositionalEmbedding, MarianSinusoidalPositionalEmbedding,
//   M2M100SinusoidalPositionalEmbedding (5.23); arXiv 1706.03762, section 3.5.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "transformers/nn/embedding.hpp"

namespace transformers {

// Row `position + offset` of a table of num_positions + offset rows.
class LearnedPositions {
 public:
  LearnedPositions() = default;
  LearnedPositions(int64_t num_positions, int64_t size, int64_t offset)
      : table_(num_positions + offset, size), offset_(static_cast<int32_t>(offset)) {}

  void weights(WeightVisitor& w) { table_.weights(w); }

  // Adds to hidden [position_ids.size(), size].
  void add(std::span<const int32_t> position_ids, float* hidden) const {
    std::vector<int32_t> rows(position_ids.begin(), position_ids.end());
    for (int32_t& row : rows) row += offset_;
    table_.forward(rows, hidden, "position_ids", /*accumulate=*/true);
  }

 private:
  Embedding table_;
  int32_t offset_ = 0;
};

// The rows of a function of the position: the first ones are made once, those beyond when they are needed.
class ComputedPositions {
 public:
  // fill(position, row [size]); num_positions bounds what is made in advance.
  using Fill = void (*)(int64_t position, int64_t size, float* row);
  ComputedPositions() = default;
  ComputedPositions(int64_t num_positions, int64_t size, Fill fill) : size_(size), fill_(fill) {
    made_ = std::min(num_positions, kMadeFloats / size);
  }

  // Makes the first rows; to be called when the other weights are there, so that a config alone costs no memory. The
  // row of `zero_position`, if any, is zeros.
  void make(int64_t zero_position = -1) {
    zero_position_ = zero_position;
    rows_.resize(static_cast<std::size_t>(made_ * size_));
    for (int64_t p = 0; p < made_; ++p) fill_(p, size_, rows_.data() + p * size_);
  }

  void add(std::span<const int32_t> position_ids, float* hidden) const {
    std::vector<float> beyond;
    for (const int32_t position : position_ids) {
      if (position == zero_position_) {
        hidden += size_;
        continue;
      }
      const float* row = rows_.data() + position * size_;
      if (position >= made_) {
        beyond.resize(static_cast<std::size_t>(size_));
        fill_(position, size_, beyond.data());
        row = beyond.data();
      }
      for (int64_t i = 0; i < size_; ++i) hidden[i] += row[i];
      hidden += size_;
    }
  }

 private:
  static constexpr int64_t kMadeFloats = int64_t{1} << 22;

  int64_t size_ = 1, made_ = 0, zero_position_ = -1;
  Fill fill_ = nullptr;
  std::vector<float> rows_;
};

// The sines and cosines of position / 10000^(2i / size), in double. A checkpoint that holds the table has the last
// word.
class SinusoidalPositions {
 public:
  SinusoidalPositions() = default;
  // `fill` is halves or interleaved; nullptr where the checkpoint must hold the table.
  SinusoidalPositions(int64_t num_positions, int64_t size, ComputedPositions::Fill fill)
      : stored_(num_positions, size), computed_(num_positions, size, fill), computable_(fill != nullptr) {}

  // Sines in the first half of a row (the longer, where size is odd), cosines in the second: Marian and Pegasus.
  static void halves(int64_t position, int64_t size, float* row) {
    const int64_t sines = (size + 1) / 2;
    for (int64_t i = 0; i < size; ++i) row[i] = i < sines ? sine(position, i, size) : cosine(position, i - sines, size);
  }
  // One after the other: DistilBERT.
  static void interleaved(int64_t position, int64_t size, float* row) {
    for (int64_t i = 0; i < size; ++i) {
      row[i] = i % 2 == 0 ? sine(position, i / 2, size) : cosine(position, i / 2, size);
    }
  }

  void weights(WeightVisitor& w) {
    has_table_ = !computable_ || w.has("weight");
    if (has_table_) {
      stored_.weights(w);
    } else {
      computed_.make();
    }
  }

  void add(std::span<const int32_t> position_ids, float* hidden) const {
    if (has_table_) return stored_.forward(position_ids, hidden, "position_ids", /*accumulate=*/true);
    computed_.add(position_ids, hidden);
  }

 private:
  static double angle(int64_t position, int64_t i, int64_t size) {
    return static_cast<double>(position) / std::pow(10000.0, static_cast<double>(2 * i) / static_cast<double>(size));
  }
  static float sine(int64_t position, int64_t i, int64_t size) {
    return static_cast<float>(std::sin(angle(position, i, size)));
  }
  static float cosine(int64_t position, int64_t i, int64_t size) {
    return static_cast<float>(std::cos(angle(position, i, size)));
  }

  Embedding stored_;
  ComputedPositions computed_;
  bool computable_ = false, has_table_ = false;
};

}  // namespace transformers
