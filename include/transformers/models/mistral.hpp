// Mistral: Llama with a sliding window.
// Paper: arXiv 2310.06825.  Reference: transformers/models/mistral/modeling_mistral.py (5.23).
// Where it stands: models; one line in families.def registers it.
#pragma once

#include "transformers/models/llama.hpp"

namespace transformers::mistral {

struct MistralConfig : llama::LlamaConfig {
  std::optional<int64_t> sliding_window = 4096;  // null: none

  MistralConfig() {
    intermediate_size = 14336;
    num_key_value_heads = 8;
    max_position_embeddings = 4096 * 32;
  }

  void fields(FieldVisitor& f) {
    LlamaConfig::fields(f);
    f("sliding_window", sliding_window);
  }

  void finish() {
    LlamaConfig::finish();
    attention_bias = mlp_bias = false;  // no such thing here, whatever the file says
    if (sliding_window) check_range("sliding_window", *sliding_window, 1, kMaxDimension);
  }

  CausalAttention attention(int64_t layer) const {
    CausalAttention a = LlamaConfig::attention(layer);
    a.sliding_window = sliding_window.value_or(0);
    return a;
  }
};

using Mistral = llama::LlamaModel<MistralConfig>;

inline constexpr Architecture kArchitectures[] = {
    architecture<BaseModel<Mistral>>("MistralModel", Head::base),
    architecture<CausalLM<Mistral>>("MistralForCausalLM", Head::causal_lm),
    architecture<LastTokenClassifier<Mistral>>("MistralForSequenceClassification", Head::sequence_classification),
    architecture<TokenClassifier<Mistral, "score">>("MistralForTokenClassification", Head::token_classification),
    architecture<QuestionAnsweringModel<Mistral>>("MistralForQuestionAnswering", Head::question_answering),
};
inline constexpr Family kFamily{"mistral", kArchitectures};

}  // namespace transformers::mistral
