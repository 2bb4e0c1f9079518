// What it is: Embedding, a table looked up by id.
// Where it stands: nn; the first step of every model.
// Usage: `Embedding words(30522, 768);  words.forward(batch.input_ids, hidden, "input_ids");`
// Source: torch.nn.Embedding.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "transformers/base/error.hpp"
#include "transformers/kernels/kernels.hpp"
#include "transformers/nn/weights.hpp"
#include "transformers/tensor/batch.hpp"

namespace transformers {

class Embedding {
 public:
  Embedding() = default;
  Embedding(int64_t num_embeddings, int64_t embedding_dim) : rows_(num_embeddings), columns_(embedding_dim) {}

  void weights(WeightVisitor& w) { w.words("weight", rows_, columns_, table_, packed_); }
  // A table that may be tied to others: the first of `names` that the checkpoint has.
  void weights(WeightVisitor& w, std::initializer_list<std::string_view> names) {
    const auto found = std::find_if(names.begin(), names.end(), [&](std::string_view name) { return w.has(name); });
    w.words(found == names.end() ? *names.begin() : *found, rows_, columns_, table_, packed_);
  }

  // Row ids[t] of the table into out[t * embedding_dim]; `accumulate` adds it to what is there.
  // Error(invalid_argument) for an id outside the table, under the name of the ids.
  void forward(std::span<const int32_t> ids, float* out, std::string_view ids_name, bool accumulate = false) const {
    for (const int32_t id : ids) {
      if (id < 0 || id >= rows_) {
        throw Error(ErrorCode::invalid_argument,
                    "id " + std::to_string(id) + " is outside the model's " + std::to_string(rows_) + " embeddings",
                    std::string(ids_name));
      }
    }
    if (packed_.bytes != nullptr) {
      gather_rows(packed_.view(), ids, accumulate, out);
    } else {
      gather_rows(table_.dtype(), table_.raw(), columns_, ids, accumulate, out);
    }
  }

  // [num_embeddings, embedding_dim], at its stored type; undefined where words and head are one matrix of integers.
  const Tensor& table() const noexcept { return table_; }
  int64_t num_embeddings() const noexcept { return rows_; }
  int64_t embedding_dim() const noexcept { return columns_; }

 private:
  int64_t rows_ = 0, columns_ = 0;
  Tensor table_;
  PackedWeight packed_;  // in place of table_ where it has bytes
};

// Gemma's and CTRL's: rows times sqrt(embedding_dim).
class ScaledEmbedding : public Embedding {
 public:
  using Embedding::Embedding;
  void forward(std::span<const int32_t> ids, float* out, std::string_view ids_name) const {
    Embedding::forward(ids, out, ids_name);
    scale(out, static_cast<int64_t>(ids.size()));
  }
  // x [rows, embedding_dim], in place.
  void scale(float* x, int64_t rows) const {
    const float factor = static_cast<float>(std::sqrt(static_cast<double>(embedding_dim())));
    for (int64_t i = 0; i < rows * embedding_dim(); ++i) x[i] *= factor;
  }
};

// The first step of a model: the words' rows, or inputs_embeds in their place, into hidden [tokens, hidden_size].
template <class Words>
void embed_tokens(const Batch& batch, const Words& words, float* hidden) {
  if (!batch.inputs_embeds.defined()) return words.forward(batch.input_ids, hidden, "input_ids");
  if (batch.inputs_embeds.dim(1) != words.embedding_dim()) {
    throw Error(ErrorCode::invalid_argument,
                "expected rows of " + std::to_string(words.embedding_dim()) + " floats, got " +
                    std::to_string(batch.inputs_embeds.dim(1)),
                "inputs_embeds");
  }
  const std::span<const float> embeds = batch.inputs_embeds.span<float>();
  std::copy(embeds.begin(), embeds.end(), hidden);
}

// Adds the rows of the token types, all 0 where none are given, to hidden [tokens, embedding_dim].
inline void add_token_types(const Batch& batch, const Embedding& types, float* hidden) {
  if (!batch.token_type_ids.empty()) return types.forward(batch.token_type_ids, hidden, "token_type_ids", true);
  const std::vector<int32_t> zeros(static_cast<std::size_t>(batch.tokens()), 0);
  types.forward(zeros, hidden, "token_type_ids", /*accumulate=*/true);
}

}  // namespace transformers
