// Gemma: Llama with scaled words, norms whose weight adds to 1, and a gelu feed-forward.
// Paper: arXiv 2403.08295.  Reference: transformers/models/gemma/modeling_gemma.py (5.23).
// Where it stands: models; one line in families.def registers it.
#pragma once

#include "transformers/models/llama.hpp"

namespace transformers::gemma {

struct GemmaConfig : llama::LlamaConfig {
  GemmaConfig() {
    vocab_size = 256000;
    hidden_size = 3072;
    intermediate_size = 24576;
    num_hidden_layers = 28;
    num_attention_heads = 16;
    num_key_value_heads = 16;
    head_dim = 256;
    hidden_act = "gelu_pytorch_tanh";
    max_position_embeddings = 8192;
    pad_token_id = 0;
    tie_word_embeddings = true;
  }

  void finish() {
    LlamaConfig::finish();
    mlp_bias = false;
    if (hidden_act == "gelu") hidden_act = "gelu_pytorch_tanh";  // what the first releases meant by it
  }
};

using GemmaLayer = llama::DecoderLayer<llama::LlamaAttention, OffsetRMSNorm>;
using Gemma = llama::LlamaModel<GemmaConfig, GemmaLayer, OffsetRMSNorm, ScaledEmbedding>;

inline constexpr Architecture kArchitectures[] = {
    architecture<BaseModel<Gemma>>("GemmaModel", Head::base),
    architecture<CausalLM<Gemma>>("GemmaForCausalLM", Head::causal_lm),
    architecture<LastTokenClassifier<Gemma>>("GemmaForSequenceClassification", Head::sequence_classification),
    architecture<TokenClassifier<Gemma, "score">>("GemmaForTokenClassification", Head::token_classification),
};
inline constexpr Family kFamily{"gemma", kArchitectures};

}  // namespace transformers::gemma
