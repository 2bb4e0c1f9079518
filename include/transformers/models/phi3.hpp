// Phi-3: Llama with query, key and value in one matrix, gate and up in another, and longrope over part of a head.
// Paper: arXiv 2404.14219.  Reference: transformers/models/phi3/modeling_phi3.py (5.23).
// Where it stands: models; one line in families.def registers it.
#pragma once

#include "transformers/models/llama.hpp"

namespace transformers::phi3 {

struct Phi3Config : llama::LlamaConfig {
  std::optional<int64_t> sliding_window;

  Phi3Config() {
    vocab_size = 32064;
    hidden_size = 3072;
    intermediate_size = 8192;
    max_position_embeddings = 4096;
    rms_norm_eps = 1e-5f;
    pad_token_id = 32000;
    rope.original_max_position_embeddings = 4096;
  }

  void fields(FieldVisitor& f) {
    LlamaConfig::fields(f);
    f("sliding_window", sliding_window);
  }

  void finish() {
    LlamaConfig::finish();
    attention_bias = mlp_bias = false;
    if (sliding_window) check_range("sliding_window", *sliding_window, 1, kMaxDimension);
  }

  CausalAttention attention(int64_t layer) const {
    CausalAttention a = LlamaConfig::attention(layer);
    a.sliding_window = sliding_window.value_or(0);
    return a;
  }
  std::vector<RotaryEmbedding> rotary_embeddings() const {
    Value parameters = rope.parameters();
    const Value type = parameters.at("rope_type");
    if (type == Value("su") || type == Value("yarn")) parameters.set("rope_type", Value("longrope"));  // older names
    if (parameters.at("rope_type") != Value("default") && parameters.at("rope_type") != Value("longrope")) {
      throw Error(ErrorCode::unsupported, "rope_type of Phi-3 (supported: default, longrope)", where);
    }
    return {RotaryEmbedding(parameters, *head_dim, max_position_embeddings, where)};
  }
};

struct Phi3Attention : llama::LlamaAttention {
  using LlamaAttention::LlamaAttention;
  void weights(WeightVisitor& w) {
    w("qkv_proj", qkv_proj);
    w("o_proj", o_proj);
  }
};

struct Phi3DecoderLayer : llama::DecoderLayer<Phi3Attention> {
  using DecoderLayer::DecoderLayer;
  void weights(WeightVisitor& w) {
    w("self_attn", self_attn);
    mlp.weights(w, "mlp.gate_up_proj", "mlp.down_proj");
    w("input_layernorm", input_layernorm);
    w("post_attention_layernorm", post_attention_layernorm);
  }
};

using Phi3 = llama::LlamaModel<Phi3Config, Phi3DecoderLayer>;

inline constexpr Architecture kArchitectures[] = {
    architecture<BaseModel<Phi3>>("Phi3Model", Head::base),
    architecture<CausalLM<Phi3>>("Phi3ForCausalLM", Head::causal_lm),
    architecture<LastTokenClassifier<Phi3>>("Phi3ForSequenceClassification", Head::sequence_classification),
    architecture<TokenClassifier<Phi3, "score">>("Phi3ForTokenClassification", Head::token_classification),
};
inline constexpr Family kFamily{"phi3", kArchitectures};

}  // namespace transformers::phi3
