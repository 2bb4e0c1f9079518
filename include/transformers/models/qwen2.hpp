// Qwen2 and Qwen2.5: Llama with biases on query, key and value, and sliding windows in the upper layers on request.
// Paper: arXiv 2407.10671.  Reference: transformers/models/qwen2/modeling_qwen2.py (5.23).
// Where it stands: models; one line in families.def registers it.
#pragma once

#include "transformers/models/llama.hpp"

namespace transformers::qwen2 {

// Qwen3's too, but for its sizes and biases.
struct Qwen2Config : llama::LlamaConfig {
  bool use_sliding_window = false;
  std::optional<int64_t> sliding_window = 4096;  // counts with use_sliding_window
  int64_t max_window_layers = 28;                // layers below this one see everything
  llama::LayerTypes layer_types;

  Qwen2Config() {
    vocab_size = 151936;
    intermediate_size = 22016;
    num_key_value_heads = 32;
    max_position_embeddings = 32768;
  }

  void fields(FieldVisitor& f) {
    LlamaConfig::fields(f);
    f("use_sliding_window", use_sliding_window);
    f("sliding_window", sliding_window);
    f("max_window_layers", max_window_layers);
    layer_types.fields(f);
  }

  void finish() {
    LlamaConfig::finish();
    mlp_bias = false;
    if (!use_sliding_window) sliding_window.reset();
    layer_types.finish(*this, num_hidden_layers,
                       [&](int64_t layer) { return sliding_window && layer >= max_window_layers; });
    if (layer_types.any()) {
      if (!sliding_window) {
        throw Error(ErrorCode::invalid_argument, "layer_types has sliding_attention, but there is no sliding_window",
                    where);
      }
      check_range("sliding_window", *sliding_window, 1, kMaxDimension);
    }
  }

  CausalAttention attention(int64_t layer) const {
    CausalAttention a = LlamaConfig::attention(layer);
    if (layer_types.sliding(layer)) a.sliding_window = *sliding_window;
    return a;
  }
  Linear::Bias qkv_bias() const { return Linear::Bias::yes; }
  Linear::Bias output_bias() const { return Linear::Bias::no; }
};

using Qwen2 = llama::LlamaModel<Qwen2Config>;

inline constexpr Architecture kArchitectures[] = {
    architecture<BaseModel<Qwen2>>("Qwen2Model", Head::base),
    architecture<CausalLM<Qwen2>>("Qwen2ForCausalLM", Head::causal_lm),
    architecture<LastTokenClassifier<Qwen2>>("Qwen2ForSequenceClassification", Head::sequence_classification),
    architecture<TokenClassifier<Qwen2, "score">>("Qwen2ForTokenClassification", Head::token_classification),
    architecture<TransformerQuestionAnswering<Qwen2>>("Qwen2ForQuestionAnswering", Head::question_answering),
};
inline constexpr Family kFamily{"qwen2", kArchitectures};

}  // namespace transformers::qwen2
