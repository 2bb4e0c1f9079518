// What it is: self-attention over a packed batch: that of encoders with its fused projection, and the causal one of
// decoders over what their projections gave.
// Where it stands: nn; what follows it (output projection, residual, norm) is written out in each family.
// Usage: `EncoderSelfAttention self(768, 12);  self.forward(hidden, batch, qkv);`
// Source: arXiv 1706.03762; transformers eager_attention_forward (5.23).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <string_view>

#include "transformers/nn/cache.hpp"
#include "transformers/nn/linear.hpp"
#include "transformers/tensor/batch.hpp"

namespace transformers {

// Hugging Face masks scores with the lowest number, so that a query which sees no key gets the plain average of the
// values over the padded row: writes it over the output of such queries. Rows of masked tokens must be in the batch
// (BatchRules::masked_together); no others see no key. `sees(i, r)` tells whether row r of sequence i does. `args` as
// they were for the attention, without a cache.
template <class Sees>
void average_for_the_blind(const Batch& batch, const AttentionArgs& args, Sees sees) {
  const int64_t group = args.num_attention_heads / args.num_key_value_heads;
  for (int64_t i = 0; i < batch.batch_size(); ++i) {
    const std::size_t s = static_cast<std::size_t>(i);
    const int64_t begin = batch.cu_seqlens[s], end = batch.cu_seqlens[s + 1];
    for (int64_t r = begin + batch.key_lens[s]; r < end; ++r) {
      if (sees(i, r)) continue;
      for (int64_t d = 0; d < args.num_attention_heads * args.head_dim; ++d) {
        const float* value = args.value + d / args.head_dim / group * args.head_dim + d % args.head_dim;
        float sum = 0;
        for (int64_t t = begin; t < end; ++t) sum += value[t * args.value_stride];
        args.out[r * args.out_stride + d] = sum / static_cast<float>(end - begin);
      }
    }
  }
}

// For those whose keys all stand beyond what args lets them see; positions are columns.
inline void average_for_the_blind(const Batch& batch, const AttentionArgs& args) {
  average_for_the_blind(batch, args, [&](int64_t sequence, int64_t row) {
    const std::size_t s = static_cast<std::size_t>(sequence);
    const int64_t at = batch.columns[static_cast<std::size_t>(row)], begin = batch.cu_seqlens[s];
    return std::any_of(
        batch.columns.begin() + begin, batch.columns.begin() + begin + batch.key_lens[s], [&](int64_t key) {
          return !(args.causal && key > at) && !(args.sliding_window > 0 && key <= at - args.sliding_window) &&
                 !(args.local_window > 0 && std::abs(key - at) > args.local_window / 2);
        });
  });
}

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
  // takes the place of the queries, which nothing reads any more. `args` brings what a family adds (a bias, a window,
  // or causal with the positions, when keys and values may go through the layer's cache).
  void forward(const float* hidden, const Batch& batch, float* qkv, AttentionArgs args = {}, Cache* past = nullptr,
               int64_t layer = 0) const {
    project(hidden, batch.tokens(), qkv);
    args.cu_seqlens = batch.cu_seqlens;
    args.key_lens = batch.key_lens;
    set_rows(qkv, args);
    KVView view;
    if (past != nullptr) through_cache(*past, layer, batch, args, view);
    attention(args);
    if (past == nullptr && args.causal) average_for_the_blind(batch, args);
  }

  // The two halves of forward, for who does something in between. attend() takes the sequences from `args` and sets the
  // rest of it.
  void project(const float* hidden, int64_t tokens, float* qkv) const { qkv_.forward(hidden, tokens, qkv); }
  void attend(float* qkv, AttentionArgs& args) const {
    set_rows(qkv, args);
    attention(args);
  }

  // Where the rows of qkv have their queries, keys and values.
  void set_rows(float* qkv, AttentionArgs& args) const {
    const int64_t hidden_size = qkv_.in_features();
    args.query = qkv;
    args.key = qkv + hidden_size;
    args.value = qkv + 2 * hidden_size;
    args.query_stride = args.key_stride = args.value_stride = args.out_stride = 3 * hidden_size;
    args.num_attention_heads = args.num_key_value_heads = num_attention_heads_;
    args.head_dim = hidden_size / num_attention_heads_;
    args.scale = scale_;
    args.bf16 = qkv_.rounds();
    args.out = qkv;
  }

 private:
  Linear qkv_;
  int64_t num_attention_heads_ = 0;
  float scale_ = 1.0f;
};

// What differs between the attentions of decoders, and the step they share: keys and values go through the cache if
// there is one, and every query sees what stands before it (all, if bidirectional).
struct CausalAttention {
  int64_t num_attention_heads = 0, num_key_value_heads = 0, head_dim = 0;
  float scale = 1.0f;
  int64_t sliding_window = 0;  // 0: none
  float softcap = 0.0f;        // 0: none
  bool bidirectional = false;  // what comes later is seen too,
  int64_t local_window = 0;    // half of this far to either side; 0: all

  // Floats in a row of query | key | value.
  int64_t row() const noexcept { return (num_attention_heads + 2 * num_key_value_heads) * head_dim; }

  // qkv [tokens, row()], which `projection` gave, rotated already where positions are rotary -> context
  // [tokens, num_attention_heads * head_dim] in the first columns of each row: it takes the place of the queries, which
  // nothing reads any more.
  void forward(const Linear& projection, float* qkv, const Batch& batch, Cache* past_key_values, int64_t layer) const {
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
                       .bf16 = projection.rounds(),
                       .cu_seqlens = batch.cu_seqlens,
                       .key_lens = batch.key_lens,
                       .causal = !bidirectional,
                       .sliding_window = sliding_window,
                       .local_window = local_window,
                       .query_positions = batch.columns,
                       .key_positions = batch.columns,
                       .softcap = softcap,
                       .out = qkv,
                       .out_stride = row()};
    KVView view;
    if (past_key_values != nullptr) through_cache(*past_key_values, layer, batch, args, view);
    attention(args);
    if (past_key_values == nullptr) average_for_the_blind(batch, args);
  }
};

}  // namespace transformers
