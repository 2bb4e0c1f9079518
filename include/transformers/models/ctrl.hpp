// CTRL: decoder-only; scaled words, sinusoidal positions, pre-norm layers.
// Paper: arXiv 1909.05858.  Reference: transformers/models/ctrl/modeling_ctrl.py (5.23).
// Where it stands: models; one line in families.def registers it.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "transformers/models/decoder_heads.hpp"
#include "transformers/models/family.hpp"
#include "transformers/models/gpt_config.hpp"
#include "transformers/nn/attention.hpp"
#include "transformers/nn/embedding.hpp"
#include "transformers/nn/linear.hpp"
#include "transformers/nn/mlp.hpp"
#include "transformers/nn/norm.hpp"

namespace transformers::ctrl {

struct CTRLConfig : GPTConfig {
  int64_t dff = 8192;

  CTRLConfig() {
    vocab_size = 246534;
    hidden_size = 1280;
    num_hidden_layers = 48;
    num_attention_heads = 16;
    max_position_embeddings = 256;
    layer_norm_epsilon = 1e-6f;  // of the last norm; those of the layers have no field
  }

  void fields(FieldVisitor& f) {
    GPTConfig::fields(f);
    f("dff", dff);
  }

  void finish() {
    GPTConfig::finish();
    check_range("dff", dff, 1, kMaxDimension);
  }
};

struct EncoderLayer {
  CausalAttention attention;
  Linear qkv, dense;
  FeedForward ffn;
  LayerNorm layernorm1, layernorm2;
  int64_t layer;

  EncoderLayer(const CTRLConfig& c, int64_t layer_)
      : attention{.num_attention_heads = c.num_attention_heads,
                  .num_key_value_heads = c.num_attention_heads,
                  .head_dim = c.hidden_size / c.num_attention_heads},
        qkv(c.hidden_size, 3 * c.hidden_size),
        dense(c.hidden_size, c.hidden_size),
        ffn(c.hidden_size, c.dff, Activation::relu),
        layernorm1(c.hidden_size, 1e-6f),
        layernorm2(c.hidden_size, 1e-6f),
        layer(layer_) {
    attention.scale = 1.0f / std::sqrt(static_cast<float>(attention.head_dim));
  }

  void weights(WeightVisitor& w) {
    qkv.weights(w, {"multi_head_attention.Wq", "multi_head_attention.Wk", "multi_head_attention.Wv"});
    w("multi_head_attention.dense", dense);
    ffn.weights(w, "ffn.0", "ffn.2");
    w("layernorm1", layernorm1);
    w("layernorm2", layernorm2);
  }

  // hidden [tokens, hidden_size], in place. Scratch: normed [tokens, hidden_size], rows [tokens, 3 * hidden_size], and
  // FeedForward's.
  void forward(float* hidden, const Batch& batch, Cache* past_key_values, float* normed, float* rows,
               float* scratch) const {
    const int64_t tokens = batch.tokens();
    layernorm1.forward(hidden, tokens, normed);
    qkv.forward(normed, tokens, rows);
    attention.forward(qkv, rows, batch, past_key_values, layer);
    dense.forward(rows, tokens, hidden, {.input_stride = attention.row(), .residual = hidden});
    layernorm2.forward(hidden, tokens, normed);
    ffn.forward(normed, tokens, scratch, hidden, /*residual=*/hidden);
  }
};

class CTRL {
 public:
  using Config = CTRLConfig;
  static constexpr std::string_view base_model_prefix = "transformer";
  static constexpr std::string_view embedding_name = "w.weight";

  explicit CTRL(const CTRLConfig& c)
      : w_(c.vocab_size, c.hidden_size), layernorm_(c.hidden_size, c.layer_norm_epsilon), hidden_size_(c.hidden_size) {
    h_.reserve(static_cast<std::size_t>(c.num_hidden_layers));
    for (int64_t i = 0; i < c.num_hidden_layers; ++i) h_.emplace_back(c, i);
  }

  void weights(WeightVisitor& w) {
    w("w", w_);
    w("h", h_);
    w("layernorm", layernorm_);
  }

  BatchRules batch_rules() const noexcept { return {}; }

  // [tokens, hidden_size]
  const float* forward(const Batch& batch, Workspace& ws, const ForwardOptions& options,
                       std::vector<OutputTensor>* hidden_states) const {
    const int64_t tokens = batch.tokens(), size = tokens * hidden_size_;
    float* hidden = ws.floats(size);
    float* normed = ws.floats(size);
    float* rows = ws.floats(3 * size);
    float* scratch = ws.floats(h_.empty() ? 0 : h_.front().ffn.scratch_floats(tokens));
    embed_tokens(batch, w_, hidden);
    if (batch.inputs_embeds.defined()) w_.scale(hidden, tokens);  // these too are scaled here
    add_positions(batch, hidden);
    if (!batch.token_type_ids.empty()) {  // token types are words
      w_.forward(batch.token_type_ids, normed, "token_type_ids");
      add(normed, size, hidden);
    }
    for (const EncoderLayer& layer : h_) {
      record_hidden_state(hidden_states, hidden, tokens, hidden_size_, ws);
      layer.forward(hidden, batch, options.past_key_values, normed, rows, scratch);
    }
    layernorm_.forward(hidden, tokens, hidden);
    record_hidden_state(hidden_states, hidden, tokens, hidden_size_, ws);
    return hidden;
  }

 private:
  // Sines of the even columns' angles in the first half of a row, cosines of the odd columns' in the second.
  void add_positions(const Batch& batch, float* hidden) const {
    const int64_t sines = (hidden_size_ + 1) / 2;
    std::vector<float> rates(static_cast<std::size_t>(hidden_size_));
    for (int64_t i = 0; i < hidden_size_; ++i) {
      const int64_t column = i < sines ? 2 * i : 2 * (i - sines) + 1;
      const float exponent = static_cast<float>(2 * (column / 2)) / static_cast<float>(hidden_size_);
      rates[static_cast<std::size_t>(i)] = 1.0f / static_cast<float>(std::pow(10000.0, static_cast<double>(exponent)));
    }
    for (const int32_t position : batch.position_ids) {
      for (int64_t i = 0; i < hidden_size_; ++i) {
        const double angle = static_cast<double>(static_cast<float>(position) * rates[static_cast<std::size_t>(i)]);
        hidden[i] += static_cast<float>(i < sines ? std::sin(angle) : std::cos(angle));
      }
      hidden += hidden_size_;
    }
  }

  ScaledEmbedding w_;
  std::vector<EncoderLayer> h_;
  LayerNorm layernorm_;
  int64_t hidden_size_;
};

inline constexpr Architecture kArchitectures[] = {
    architecture<BaseModel<CTRL>>("CTRLModel", Head::base),
    architecture<CausalLM<CTRL, Linear::Bias::yes>>("CTRLLMHeadModel", Head::causal_lm),
    architecture<LastTokenClassifier<CTRL, "classifier">>("CTRLForSequenceClassification",
                                                          Head::sequence_classification),
};
inline constexpr Family kFamily{"ctrl", kArchitectures};

}  // namespace transformers::ctrl
