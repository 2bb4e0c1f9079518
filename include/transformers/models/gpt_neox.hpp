// GPT-NeoX (Pythia): decoder-only; rotary positions over part of a head, attention and feed-forward side by side.
// Paper: arXiv 2204.06745.  Reference: transformers/models/gpt_neox/modeling_gpt_neox.py (5.23).
// Where it stands: models; one line in families.def registers it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "transformers/models/decoder_heads.hpp"
#include "transformers/models/family.hpp"
#include "transformers/nn/activation.hpp"
#include "transformers/nn/attention.hpp"
#include "transformers/nn/embedding.hpp"
#include "transformers/nn/linear.hpp"
#include "transformers/nn/mlp.hpp"
#include "transformers/nn/norm.hpp"
#include "transformers/nn/rotary.hpp"

namespace transformers::gpt_neox {

struct GPTNeoXConfig : PretrainedConfig {
  int64_t vocab_size = 50432, hidden_size = 6144, num_hidden_layers = 44, num_attention_heads = 64;
  int64_t intermediate_size = 24576, max_position_embeddings = 2048;
  std::string hidden_act = "gelu";
  float layer_norm_eps = 1e-5f;
  bool use_parallel_residual = true, attention_bias = true;
  float rotary_pct = 0.25f, rotary_emb_base = 10000.0f;  // 4.x
  RopeConfig rope;

  GPTNeoXConfig() { tie_word_embeddings = false; }

  void fields(FieldVisitor& f) {
    PretrainedConfig::fields(f);
    f("vocab_size", vocab_size);
    f("hidden_size", hidden_size);
    f("num_hidden_layers", num_hidden_layers);
    f("num_attention_heads", num_attention_heads);
    f("intermediate_size", intermediate_size);
    f("hidden_act", hidden_act);
    f("max_position_embeddings", max_position_embeddings);
    f("layer_norm_eps", layer_norm_eps);
    f("use_parallel_residual", use_parallel_residual);
    f("attention_bias", attention_bias);
    f("rotary_pct", rotary_pct);
    f("rotary_emb_base", rotary_emb_base);
    rope.fields(f);
  }

  void finish() {
    PretrainedConfig::finish();
    check_range("vocab_size", vocab_size, 1, kMaxDimension);
    check_range("hidden_size", hidden_size, 1, kMaxDimension);
    check_range("num_hidden_layers", num_hidden_layers, 0, kMaxLayers);
    check_range("num_attention_heads", num_attention_heads, 1, std::min<int64_t>(hidden_size, 65536));
    check_range("intermediate_size", intermediate_size, 1, kMaxDimension);
    check_range("max_position_embeddings", max_position_embeddings, 1, kMaxDimension);
    check_divides("num_attention_heads", num_attention_heads, "hidden_size", hidden_size);
    if (!rope.partial_rotary_factor) rope.partial_rotary_factor = rotary_pct;
    rope.rope_theta = rotary_emb_base;
  }

  int64_t longest_sequence() const noexcept { return std::numeric_limits<int32_t>::max(); }
};

struct GPTNeoXLayer {
  CausalAttention attention;
  Linear query_key_value, dense;
  FeedForward mlp;
  LayerNorm input_layernorm, post_attention_layernorm;
  int64_t layer;
  bool use_parallel_residual;

  GPTNeoXLayer(const GPTNeoXConfig& c, int64_t layer_)
      : attention{.num_attention_heads = c.num_attention_heads,
                  .num_key_value_heads = c.num_attention_heads,
                  .head_dim = c.hidden_size / c.num_attention_heads},
        query_key_value(c.hidden_size, 3 * c.hidden_size, c.attention_bias ? Linear::Bias::yes : Linear::Bias::no),
        dense(c.hidden_size, c.hidden_size, c.attention_bias ? Linear::Bias::yes : Linear::Bias::no),
        mlp(c.hidden_size, c.intermediate_size, activation_from_name(c.hidden_act, "hidden_act in " + c.where)),
        input_layernorm(c.hidden_size, c.layer_norm_eps),
        post_attention_layernorm(c.hidden_size, c.layer_norm_eps),
        layer(layer_),
        use_parallel_residual(c.use_parallel_residual) {
    attention.scale = 1.0f / std::sqrt(static_cast<float>(attention.head_dim));
  }

  void weights(WeightVisitor& w) {
    w("input_layernorm", input_layernorm);
    w("post_attention_layernorm", post_attention_layernorm);
    // In the file each head has its query, key and value together; here all queries come first, then all keys.
    const int64_t rows = attention.head_dim, heads = attention.num_attention_heads;
    std::vector<WeightPart> parts;
    for (int64_t part = 0; part < 3; ++part) {
      for (int64_t head = 0; head < heads; ++head) {
        parts.push_back({{"attention.query_key_value"}, rows, (3 * head + part) * rows, 3 * heads * rows});
      }
    }
    query_key_value.stacked(w, std::move(parts));
    w("attention.dense", dense);
    mlp.weights(w, "mlp.dense_h_to_4h", "mlp.dense_4h_to_h");
  }

  // hidden [tokens, hidden_size], in place. Scratch: normed and attended [tokens, hidden_size], qkv [tokens, 3 *
  // hidden_size], mlp FeedForward's.
  void forward(float* hidden, const Batch& batch, Cache* past_key_values, const RotaryAngles& angles, float* normed,
               float* attended, float* qkv, float* scratch) const {
    const int64_t tokens = batch.tokens();
    input_layernorm.forward(hidden, tokens, normed);
    query_key_value.forward(normed, tokens, qkv);
    angles.turn(qkv, attention.row(), tokens, 2 * attention.num_attention_heads, attention.head_dim);
    attention.forward(query_key_value, qkv, batch, past_key_values, layer);
    if (use_parallel_residual) {
      dense.forward(qkv, tokens, attended, {.input_stride = attention.row()});
      post_attention_layernorm.forward(hidden, tokens, normed);
      mlp.forward(normed, tokens, scratch, attended, /*residual=*/attended);
      add(attended, tokens * dense.out_features(), hidden);
    } else {
      dense.forward(qkv, tokens, hidden, {.input_stride = attention.row(), .residual = hidden});
      post_attention_layernorm.forward(hidden, tokens, normed);
      mlp.forward(normed, tokens, scratch, hidden, /*residual=*/hidden);
    }
  }
};

class GPTNeoX {
 public:
  using Config = GPTNeoXConfig;
  static constexpr std::string_view base_model_prefix = "gpt_neox";
  static constexpr std::string_view embedding_name = "embed_in.weight";
  static constexpr std::string_view older_head_name = "embed_out.weight";

  explicit GPTNeoX(const GPTNeoXConfig& c)
      : embed_in_(c.vocab_size, c.hidden_size),
        final_layer_norm_(c.hidden_size, c.layer_norm_eps),
        rotary_(c.rope.parameters(), c.hidden_size / c.num_attention_heads, c.max_position_embeddings, c.where),
        hidden_size_(c.hidden_size) {
    layers_.reserve(static_cast<std::size_t>(c.num_hidden_layers));
    for (int64_t i = 0; i < c.num_hidden_layers; ++i) layers_.emplace_back(c, i);
  }

  void weights(WeightVisitor& w) {
    w("embed_in", embed_in_);
    w("layers", layers_);
    w("final_layer_norm", final_layer_norm_);
  }

  BatchRules batch_rules() const noexcept { return {}; }

  // [tokens, hidden_size]
  const float* forward(const Batch& batch, Workspace& ws, const ForwardOptions& options,
                       std::vector<OutputTensor>* hidden_states) const {
    const int64_t tokens = batch.tokens(), half = rotary_.rotary_dim() / 2;
    float* hidden = ws.floats(tokens * hidden_size_);
    float* normed = ws.floats(tokens * hidden_size_);
    float* attended = ws.floats(tokens * hidden_size_);
    float* qkv = ws.floats(tokens * 3 * hidden_size_);
    float* scratch = ws.floats(layers_.empty() ? 0 : layers_.front().mlp.scratch_floats(tokens));
    float* cos = ws.floats(tokens * half);
    float* sin = ws.floats(tokens * half);
    rotary_.forward(batch, options.past_key_values, cos, sin);
    embed_tokens(batch, embed_in_, hidden);
    for (const GPTNeoXLayer& layer : layers_) {
      record_hidden_state(hidden_states, hidden, tokens, hidden_size_, ws);
      layer.forward(hidden, batch, options.past_key_values, {cos, sin, 2 * half}, normed, attended, qkv, scratch);
    }
    final_layer_norm_.forward(hidden, tokens, hidden);
    record_hidden_state(hidden_states, hidden, tokens, hidden_size_, ws);
    return hidden;
  }

 private:
  Embedding embed_in_;
  std::vector<GPTNeoXLayer> layers_;
  LayerNorm final_layer_norm_;
  RotaryEmbedding rotary_;
  int64_t hidden_size_;
};

inline constexpr Architecture kArchitectures[] = {
    architecture<BaseModel<GPTNeoX>>("GPTNeoXModel", Head::base),
    architecture<CausalLM<GPTNeoX>>("GPTNeoXForCausalLM", Head::causal_lm),
    architecture<LastTokenClassifier<GPTNeoX>>("GPTNeoXForSequenceClassification", Head::sequence_classification),
    architecture<TokenClassifier<GPTNeoX>>("GPTNeoXForTokenClassification", Head::token_classification),
    architecture<QuestionAnsweringModel<GPTNeoX>>("GPTNeoXForQuestionAnswering", Head::question_answering),
};
inline constexpr Family kFamily{"gpt_neox", kArchitectures};

}  // namespace transformers::gpt_neox
