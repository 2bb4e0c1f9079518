// Gemma 2: Gemma with norms on both sides of attention and feed-forward, soft caps on scores and logits, and a sliding
// window in every other layer.
// Paper: arXiv 2408.00118.  Reference: transformers/models/gemma2/modeling_gemma2.py (5.23).
// Where it stands: models; one line in families.def registers it.
#pragma once

#include "transformers/models/gemma.hpp"

namespace transformers::gemma2 {

// Gemma 3's too, but for its rotary positions.
struct Gemma2Config : gemma::GemmaConfig {
  int64_t query_pre_attn_scalar = 256;
  std::optional<int64_t> sliding_window = 4096;
  std::string hidden_activation = "gelu_pytorch_tanh";
  std::optional<float> final_logit_softcapping = 30.0f, attn_logit_softcapping = 50.0f;
  llama::LayerTypes layer_types;

  Gemma2Config() {
    hidden_size = 2304;
    intermediate_size = 9216;
    num_hidden_layers = 26;
    num_attention_heads = 8;
    num_key_value_heads = 4;
  }

  void fields(FieldVisitor& f) {
    GemmaConfig::fields(f);
    f("hidden_activation", hidden_activation);
    f("query_pre_attn_scalar", query_pre_attn_scalar);
    f("sliding_window", sliding_window);
    f("final_logit_softcapping", final_logit_softcapping);
    f("attn_logit_softcapping", attn_logit_softcapping);
    layer_types.fields(f);
  }

  void finish() {
    finish_with([](int64_t layer) { return layer % 2 == 0; });
  }

  CausalAttention attention(int64_t layer) const {
    CausalAttention a = GemmaConfig::attention(layer);
    a.scale = 1.0f / std::sqrt(static_cast<float>(query_pre_attn_scalar));
    a.softcap = attn_logit_softcapping.value_or(0.0f);
    if (layer_types.sliding(layer)) a.sliding_window = *sliding_window;
    return a;
  }

 protected:
  template <class Pattern>
  void finish_with(Pattern pattern) {
    GemmaConfig::finish();
    hidden_act = hidden_activation;  // hidden_act is not read here
    check_range("query_pre_attn_scalar", query_pre_attn_scalar, 1, kMaxDimension);
    layer_types.finish(*this, num_hidden_layers, pattern);
    if (layer_types.any()) {
      if (!sliding_window) {
        throw Error(ErrorCode::invalid_argument, "layer_types has sliding_attention, but there is no sliding_window",
                    where);
      }
      check_range("sliding_window", *sliding_window, 1, kMaxDimension);
    }
    for (const std::optional<float>& cap : {final_logit_softcapping, attn_logit_softcapping}) {
      if (cap && !(*cap > 0.0f)) throw Error(ErrorCode::invalid_argument, "a softcapping must be positive", where);
    }
  }
};

template <class Attention>
struct Gemma2DecoderLayer {
  Attention self_attn;
  GatedMLP mlp;
  OffsetRMSNorm input_layernorm, post_attention_layernorm, pre_feedforward_layernorm, post_feedforward_layernorm;

  template <class Config>
  Gemma2DecoderLayer(const Config& c, int64_t layer)
      : self_attn(c, layer),
        mlp(c.hidden_size, c.intermediate_size, c.activation()),
        input_layernorm(c.hidden_size, c.rms_norm_eps),
        post_attention_layernorm(input_layernorm),
        pre_feedforward_layernorm(input_layernorm),
        post_feedforward_layernorm(input_layernorm) {}

  void weights(WeightVisitor& w) {
    w("self_attn", self_attn);
    w("mlp", mlp);
    w("input_layernorm", input_layernorm);
    w("post_attention_layernorm", post_attention_layernorm);
    w("pre_feedforward_layernorm", pre_feedforward_layernorm);
    w("post_feedforward_layernorm", post_feedforward_layernorm);
  }

  // hidden [tokens, hidden_size], in place.
  void forward(float* hidden, const llama::Pass& pass) const {
    const int64_t tokens = pass.batch.tokens();
    input_layernorm.forward(hidden, tokens, pass.normed);
    self_attn.project(pass.normed, pass);
    self_attn.attend(pass, pass.normed, /*residual=*/nullptr);
    post_attention_layernorm.forward(pass.normed, tokens, pass.normed);
    add(pass.normed, tokens * mlp.hidden_size(), hidden);
    pre_feedforward_layernorm.forward(hidden, tokens, pass.normed);
    mlp.forward(pass.normed, tokens, pass.mlp, pass.normed);
    post_feedforward_layernorm.forward(pass.normed, tokens, pass.normed);
    add(pass.normed, tokens * mlp.hidden_size(), hidden);
  }
};

using Gemma2 =
    llama::LlamaModel<Gemma2Config, Gemma2DecoderLayer<llama::LlamaAttention>, OffsetRMSNorm, ScaledEmbedding>;

inline constexpr Architecture kArchitectures[] = {
    architecture<BaseModel<Gemma2>>("Gemma2Model", Head::base),
    architecture<CausalLM<Gemma2>>("Gemma2ForCausalLM", Head::causal_lm),
    architecture<LastTokenClassifier<Gemma2>>("Gemma2ForSequenceClassification", Head::sequence_classification),
    architecture<TokenClassifier<Gemma2, "score">>("Gemma2ForTokenClassification", Head::token_classification),
};
inline constexpr Family kFamily{"gemma2", kArchitectures};

}  // namespace transformers::gemma2
