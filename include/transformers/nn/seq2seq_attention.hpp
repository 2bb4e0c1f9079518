// What it is: the attentions of encoder-decoders: that of a sequence over itself, and that of a target over its source.
// Where it stands: nn; residual, norm and output projection are written out in each family.
// Usage: `SelfAttention self(512, 8, 64, Linear::Bias::no, 1.0f);  self.forward(x, batch, qkv, {.causal = true});`
// Source: arXiv 1706.03762; transformers BartAttention and T5Attention (5.23).
#pragma once

#include <cstdint>
#include <string_view>

#include "transformers/nn/cache.hpp"
#include "transformers/nn/linear.hpp"
#include "transformers/tensor/batch.hpp"

namespace transformers {

// Where a decoder finds its source: the encoder's rows, or what an earlier call has made of them.
struct CrossSource {
  const Batch* batch = nullptr;   // of the encoder; not looked at when `computed`
  const float* hidden = nullptr;  // [source tokens, hidden_size], likewise
  Cache* cache = nullptr;         // cross_attention_cache, or none
  bool computed = false;          // the cache holds the keys and values of every layer

  bool present() const noexcept { return computed || batch != nullptr; }
  // Rows for which keys and values are still to be made.
  int64_t tokens() const noexcept { return computed || batch == nullptr ? 0 : batch->tokens(); }
};

class SelfAttention {
 public:
  SelfAttention() = default;
  SelfAttention(int64_t hidden_size, int64_t num_attention_heads, int64_t head_dim, Linear::Bias bias, float scale)
      : qkv_(hidden_size, 3 * num_attention_heads * head_dim, bias),
        num_attention_heads_(num_attention_heads),
        head_dim_(head_dim),
        scale_(scale) {}

  void weights(WeightVisitor& w, std::string_view query, std::string_view key, std::string_view value) {
    qkv_.weights(w, {query, key, value});
  }

  // Floats in a row of qkv.
  int64_t row_size() const noexcept { return 3 * num_attention_heads_ * head_dim_; }

  // hidden [tokens, hidden_size] -> qkv [tokens, row_size()], whose first third is the context: it takes the place of
  // the queries, which nothing reads any more. `args` brings what a family adds (causal, relative_bias); shapes,
  // positions and keys are set here. With `past` the keys of earlier calls come first and the new ones are added to its
  // layer.
  void forward(const float* hidden, const Batch& batch, float* qkv, AttentionArgs args, Cache* past = nullptr,
               int64_t layer = 0) const {
    const int64_t inner = num_attention_heads_ * head_dim_;
    qkv_.forward(hidden, batch.tokens(), qkv);
    args.query = qkv;
    args.key = qkv + inner;
    args.value = qkv + 2 * inner;
    args.query_stride = args.key_stride = args.value_stride = 3 * inner;
    args.num_attention_heads = args.num_key_value_heads = num_attention_heads_;
    args.head_dim = head_dim_;
    args.scale = scale_;
    args.bf16 = qkv_.rounds();
    args.cu_seqlens = batch.cu_seqlens;
    args.key_lens = batch.key_lens;
    args.query_positions = args.key_positions = batch.columns;
    args.out = qkv;
    args.out_stride = 3 * inner;
    KVView view;
    if (past != nullptr) through_cache(*past, layer, batch, args, view);
    attention(args);
  }

 private:
  Linear qkv_;
  int64_t num_attention_heads_ = 0, head_dim_ = 0;
  float scale_ = 1.0f;
};

class CrossAttention {
 public:
  CrossAttention() = default;
  CrossAttention(int64_t hidden_size, int64_t num_attention_heads, int64_t head_dim, Linear::Bias bias, float scale)
      : query_(hidden_size, num_attention_heads * head_dim, bias),
        key_value_(hidden_size, 2 * num_attention_heads * head_dim, bias),
        num_attention_heads_(num_attention_heads),
        head_dim_(head_dim),
        scale_(scale) {}

  void weights(WeightVisitor& w, std::string_view query, std::string_view key, std::string_view value) {
    query_.weights(w, {query});
    key_value_.weights(w, {key, value});
  }

  int64_t inner_size() const noexcept { return num_attention_heads_ * head_dim_; }

  // hidden [tokens, hidden_size] -> context [tokens, inner_size()]; key_value [source.tokens(), 2 * inner_size()] is
  // scratch.
  void forward(const float* hidden, const Batch& batch, const CrossSource& source, int64_t layer, float* key_value,
               float* context) const {
    const int64_t inner = inner_size();
    query_.forward(hidden, batch.tokens(), context);
    AttentionArgs args{.query = context,
                       .query_stride = inner,
                       .num_attention_heads = num_attention_heads_,
                       .num_key_value_heads = num_attention_heads_,
                       .head_dim = head_dim_,
                       .scale = scale_,
                       .bf16 = key_value_.rounds(),
                       .cu_seqlens = batch.cu_seqlens,
                       .out = context,
                       .out_stride = inner};
    if (!source.computed) {
      key_value_.forward(source.hidden, source.batch->tokens(), key_value);
      args.key = key_value;
      args.value = key_value + inner;
      args.key_stride = args.value_stride = 2 * inner;
      args.key_lens = source.batch->key_lens;
      args.key_cu_seqlens = source.batch->cu_seqlens;
      args.key_positions = source.batch->columns;
    }
    KVView view;
    if (source.cache != nullptr) {
      view = source.computed ? source.cache->view(layer) : source.cache->update(layer, *source.batch, args);
      args.cache = &view;
      args.key_lens = source.cache->key_lens();
      args.key_cu_seqlens = source.cache->key_cu_seqlens();
      args.key_positions = source.cache->key_positions();
    }
    attention(args);
  }

 private:
  Linear query_, key_value_;
  int64_t num_attention_heads_ = 0, head_dim_ = 0;
  float scale_ = 1.0f;
};

}  // namespace transformers
