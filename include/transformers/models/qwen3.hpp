// Qwen3: Llama with a norm over each head's query and key before they are turned, and Qwen2's sliding windows.
// Paper: arXiv 2505.09388.  Reference: transformers/models/qwen3/modeling_qwen3.py (5.23).
// Where it stands: models; one line in families.def registers it.
#pragma once

#include "transformers/models/qwen2.hpp"

namespace transformers::qwen3 {

struct Qwen3Config : qwen2::Qwen2Config {
  Qwen3Config() { head_dim = 128; }
  Linear::Bias qkv_bias() const { return LlamaConfig::qkv_bias(); }
  Linear::Bias output_bias() const { return LlamaConfig::output_bias(); }
};

// Llama's attention with q_norm and k_norm.
template <class Norm>
struct NormedAttention : llama::LlamaAttention {
  Norm q_norm, k_norm;

  template <class Config>
  NormedAttention(const Config& c, int64_t layer)
      : LlamaAttention(c, layer),
        q_norm(attention.head_dim, c.rms_norm_eps),
        k_norm(attention.head_dim, c.rms_norm_eps) {}

  void weights(WeightVisitor& w) {
    LlamaAttention::weights(w);
    w("q_norm", q_norm);
    w("k_norm", k_norm);
  }

  void project(const float* x, const llama::Pass& pass) const {
    const int64_t tokens = pass.batch.tokens(), queries = attention.num_attention_heads;
    LlamaAttention::project(x, pass);
    q_norm.forward_heads(pass.qkv, tokens, attention.row(), queries);
    k_norm.forward_heads(pass.qkv + queries * attention.head_dim, tokens, attention.row(),
                         attention.num_key_value_heads);
  }
};

using Qwen3 = llama::LlamaModel<Qwen3Config, llama::DecoderLayer<NormedAttention<RMSNorm>>>;

inline constexpr Architecture kArchitectures[] = {
    architecture<BaseModel<Qwen3>>("Qwen3Model", Head::base),
    architecture<CausalLM<Qwen3>>("Qwen3ForCausalLM", Head::causal_lm),
    architecture<LastTokenClassifier<Qwen3>>("Qwen3ForSequenceClassification", Head::sequence_classification),
    architecture<TokenClassifier<Qwen3, "score">>("Qwen3ForTokenClassification", Head::token_classification),
    architecture<TransformerQuestionAnswering<Qwen3>>("Qwen3ForQuestionAnswering", Head::question_answering),
};
inline constexpr Family kFamily{"qwen3", kArchitectures};

}  // namespace transformers::qwen3
