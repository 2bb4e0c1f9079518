// What it is: self-attention of encoders over a packed batch: fused query/key/value projection, attention, no padding.
// Where it stands: nn; what follows it (output projection, residual, norm) is written out in each family.
// Usage: `EncoderSelfAttention self(768, 12);  self.forward(hidden, batch, qkv);`
// Source: arXiv 1706.03762; transformers eager_attention_forward (5.23).
#pragma once

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "transformers/nn/linear.hpp"
#include "transformers/tensor/batch.hpp"

namespace transformers {

class EncoderSelfAttention {
 public:
  EncoderSelfAttention() = default;
  EncoderSelfAttention(int64_t hidden_size, int64_t num_attention_heads)
      : qkv_(hidden_size, 3 * hidden_size), num_attention_heads_(num_attention_heads) {}

  // The three projections under the names a family gives them, in the order query, key, value.
  void weights(WeightVisitor& w, std::string_view query, std::string_view key, std::string_view value) {
    qkv_.weights(w, {query, key, value});
  }

  // hidden [tokens, hidden_size] -> qkv [tokens, 3 * hidden_size], whose first hidden_size columns are the context: it
  // takes the place of the queries, which nothing reads any more.
  void forward(const float* hidden, const Batch& batch, float* qkv) const {
    const int64_t hidden_size = qkv_.in_features();
    const int64_t head_dim = hidden_size / num_attention_heads_;
    qkv_.forward(hidden, batch.tokens(), qkv);
    attention({.query = qkv,
               .key = qkv + hidden_size,
               .value = qkv + 2 * hidden_size,
               .query_stride = 3 * hidden_size,
               .key_stride = 3 * hidden_size,
               .value_stride = 3 * hidden_size,
               .num_attention_heads = num_attention_heads_,
               .num_key_value_heads = num_attention_heads_,
               .head_dim = head_dim,
               .scale = 1.0f / std::sqrt(static_cast<float>(head_dim)),
               .cu_seqlens = batch.cu_seqlens,
               .key_lens = batch.key_lens,
               .out = qkv,
               .out_stride = 3 * hidden_size});
  }

 private:
  Linear qkv_;
  int64_t num_attention_heads_ = 0;
};

}  // namespace transformers
