// What it is: self-attention over a packed batch: that of encoders with its fused projection, and the causal one of
// decoders over what their projections gave.
// Where it stands: nn; what follows it (output projection, residual, norm) is written out in each family.
// Usage: `EncoderSelfAttention self(768, 12);  self.forward(hidden, batch, qkv);`
// Source: arXiv 1706.03762; transformers eager_attention_forward (5.23).
#pragma once

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "transformers/nn/cache.hpp"
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

  // The three as one matrix under one name.
  void weights(WeightVisitor& w, std::string_view qkv) { w(qkv, qkv_); }

  // hidden [tokens, hidden_size] -> qkv [tokens, 3 * hidden_size], whose first hidden_size columns are the context: it
  // takes the place of the queries, which nothing reads any more. `args` brings what a family adds (a bias, a window).
  void forward(const float* hidden, const Batch& batch, float* qkv, AttentionArgs args = {}) const {
    project(hidden, batch.tokens(), qkv);
    args.cu_seqlens = batch.cu_seqlens;
    args.key_lens = batch.key_lens;
    attend(qkv, args);
  }

  // The two halves of forward, for who does something in between. attend() takes the sequences from `args`.
  void project(const float* hidden, int64_t tokens, float* qkv) const { qkv_.forward(hidden, tokens, qkv); }
  void attend(float* qkv, AttentionArgs args) const {
    const int64_t hidden_size = qkv_.in_features();
    args.query = qkv;
    args.key = qkv + hidden_size;
    args.value = qkv + 2 * hidden_size;
    args.query_stride = args.key_stride = args.value_stride = args.out_stride = 3 * hidden_size;
    args.num_attention_heads = args.num_key_value_heads = num_attention_heads_;
    args.head_dim = hidden_size / num_attention_heads_;
    args.scale = scale_;
    args.out = qkv;
    attention(args);
  }

 private:
  Linear qkv_;
  int64_t num_attention_heads_ = 0;
  float scale_ = 1.0f;
};

// Hugging Face masks scores with the lowest number, so that a query which sees no key gets the plain average of the
// values over the padded row. `sees` tells whether row r of sequence i sees a key; rows of masked tokens must be in the
// batch (BatchRules::masked_together). qkv as EncoderSelfAttention::forward leaves it.
template <class Sees>
void average_for_the_blind(const Batch& batch, int64_t hidden_size, float* qkv, Sees sees) {
  for (int64_t i = 0; i < batch.batch_size(); ++i) {
    const std::size_t s = static_cast<std::size_t>(i);
    const int64_t begin = batch.cu_seqlens[s], end = batch.cu_seqlens[s + 1], first = begin + batch.key_lens[s];
    for (int64_t r = first; r < end; ++r) {
      if (sees(i, r)) continue;
      float* context = qkv + r * 3 * hidden_size;
      for (int64_t d = 0; d < hidden_size; ++d) {
        float sum = 0;
        for (int64_t t = begin; t < end; ++t) sum += qkv[(3 * t + 2) * hidden_size + d];
        context[d] = sum / static_cast<float>(end - begin);
      }
    }
  }
}

// What differs between the attentions of decoders, and the step they share: keys and values go through the cache if
// there is one, and every query sees what stands before it.
struct CausalAttention {
  int64_t num_attention_heads = 0, num_key_value_heads = 0, head_dim = 0;
  float scale = 1.0f;
  int64_t sliding_window = 0;  // 0: none
  float softcap = 0.0f;        // 0: none

  // Floats in a row of query | key | value.
  int64_t row() const noexcept { return (num_attention_heads + 2 * num_key_value_heads) * head_dim; }

  // qkv [tokens, row()], rotated already where positions are rotary -> context [tokens, num_attention_heads * head_dim]
  // in the first columns of each row: it takes the place of the queries, which nothing reads any more.
  void forward(float* qkv, const Batch& batch, Cache* past_key_values, int64_t layer) const {
    const float* key = qkv + num_attention_heads * head_dim;
    const float* value = key + num_key_value_heads * head_dim;
    AttentionArgs args{.query = qkv,
                       .key = key,
                       .value = value,
                       .query_stride = row(),
                       .key_stride = row(),
                       .value_stride = row(),
                       .num_attention_heads = num_attention_heads,
                       .num_key_value_heads = num_key_value_heads,
                       .head_dim = head_dim,
                       .scale = scale,
                       .cu_seqlens = batch.cu_seqlens,
                       .key_lens = batch.key_lens,
                       .causal = true,
                       .sliding_window = sliding_window,
                       .query_positions = batch.columns,
                       .key_positions = batch.columns,
                       .softcap = softcap,
                       .out = qkv,
                       .out_stride = row()};
    KVView view;
    if (past_key_values != nullptr) {
      view = past_key_values->update(layer, batch, key, row(), value, row(), num_key_value_heads, head_dim,
                                     sliding_window);
      args.cache = &view;
      args.key_lens = past_key_values->key_lens();
      args.key_cu_seqlens = past_key_values->key_cu_seqlens();
      args.key_positions = past_key_values->key_positions();
    }
    attention(args);
  }
};

}  // namespace transformers
