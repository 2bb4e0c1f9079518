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
  // `scale` 0 is 1 / sqrt(head_dim).
  EncoderSelfAttention(int64_t hidden_size, int64_t num_attention_heads, Linear::Bias bias = Linear::Bias::yes,
                       float scale = 0)
      : qkv_(hidden_size, 3 * hidden_size, bias),
        num_attention_heads_(num_attention_heads),
        scale_(scale != 0 ? scale : 1.0f / std::sqrt(static_cast<float>(hidden_size / num_attention_heads))) {}

  // The three projections under the names a family gives them, in the order query, key, value.
  void weights(WeightVisitor& w, std::string_view query, std::string_view key, std::string_view value) {
    qkv_.weights(w, {query, key, value});
  }

  // hidden [tokens, hidden_size] -> qkv [tokens, 3 * hidden_size], whose first hidden_size columns are the context: it
  // takes the place of the queries, which nothing reads any more. `args` brings what a family adds (a bias, a window);
  // projections, shapes and batch are set here.
  void forward(const float* hidden, const Batch& batch, float* qkv, const AttentionArgs& args = {}) const {
    project(hidden, batch, qkv);
    attend(batch, qkv, args);
  }

  // The two halves of forward, for who rotates queries and keys in between.
  void project(const float* hidden, const Batch& batch, float* qkv) const { qkv_.forward(hidden, batch.tokens(), qkv); }
  void attend(const Batch& batch, float* qkv, AttentionArgs args = {}) const {
    const int64_t hidden_size = qkv_.in_features();
    args.query = qkv;
    args.key = qkv + hidden_size;
    args.value = qkv + 2 * hidden_size;
    args.query_stride = args.key_stride = args.value_stride = args.out_stride = 3 * hidden_size;
    args.num_attention_heads = args.num_key_value_heads = num_attention_heads_;
    args.head_dim = hidden_size / num_attention_heads_;
    args.scale = scale_;
    args.cu_seqlens = batch.cu_seqlens;
    args.key_lens = batch.key_lens;
    args.out = qkv;
    attention(args);
  }

 private:
  Linear qkv_;
  int64_t num_attention_heads_ = 0;
  float scale_ = 1.0f;
};

}  // namespace transformers
