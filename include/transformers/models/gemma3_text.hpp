// Gemma 3, its text model: Gemma 2 with norms over query and key in place of the soft caps, a full layer after every
// five that slide, and rotary positions of their own for either kind. Paper: arXiv 2503.19786.  Reference:
// transformers/models/gemma3/modeling_gemma3.py (5.23). Where it stands: models; one line in families.def registers it.
#pragma once

#include "transformers/models/gemma2.hpp"
#include "transformers/models/qwen3.hpp"

namespace transformers::gemma3_text {

struct Gemma3TextConfig : gemma2::Gemma2Config {
  int64_t sliding_window_pattern = 6;         // 4.x; layer_types says it in 5.x
  std::optional<float> rope_local_base_freq;  // 4.x: rope_theta of the sliding layers
  // Gemma 1's and 2's eager attention is causal whatever theirs says.
  std::optional<bool> use_bidirectional_attention;

  Gemma3TextConfig() {
    vocab_size = 262208;
    max_position_embeddings = 131072;
    final_logit_softcapping.reset();
    attn_logit_softcapping.reset();
  }

  void fields(FieldVisitor& f) {
    Gemma2Config::fields(f);
    f("sliding_window_pattern", sliding_window_pattern);
    f("rope_local_base_freq", rope_local_base_freq);
    f("use_bidirectional_attention", use_bidirectional_attention);
  }

  void finish() {
    check_range("sliding_window_pattern", sliding_window_pattern, 1, kMaxLayers);
    finish_with([&](int64_t layer) { return (layer + 1) % sliding_window_pattern != 0; });
  }

  CausalAttention attention(int64_t layer) const {
    CausalAttention a = Gemma2Config::attention(layer);
    a.softcap = 0.0f;  // attn_logit_softcapping is read by nobody
    a.bidirectional = use_bidirectional_attention.value_or(false);
    if (a.bidirectional) a.local_window = std::exchange(a.sliding_window, 0);
    return a;
  }

  std::vector<RotaryEmbedding> rotary_embeddings() const {
    RopeConfig full, sliding;
    // 4.x stretches the full layers alone.
    full.rope_parameters = rope_parameters_of(rope.rope_parameters, "full_attention", rope.rope_scaling);
    sliding.rope_parameters = rope_parameters_of(rope.rope_parameters, "sliding_attention");
    full.rope_theta = rope.rope_theta;
    sliding.rope_theta = rope_local_base_freq;
    return {RotaryEmbedding(full_rotary(full.parameters(1000000.0f)), *head_dim, max_position_embeddings, where),
            RotaryEmbedding(full_rotary(sliding.parameters(10000.0f)), *head_dim, max_position_embeddings, where)};
  }
  std::size_t rotary_kind(int64_t layer) const { return layer_types.sliding(layer) ? 1 : 0; }
};

using Gemma3Attention = qwen3::NormedAttention<OffsetRMSNorm>;
using Gemma3Text =
    llama::LlamaModel<Gemma3TextConfig, gemma2::Gemma2DecoderLayer<Gemma3Attention>, OffsetRMSNorm, ScaledEmbedding>;

inline constexpr Architecture kArchitectures[] = {
    architecture<BaseModel<Gemma3Text>>("Gemma3TextModel", Head::base),
    architecture<CausalLM<Gemma3Text>>("Gemma3ForCausalLM", Head::causal_lm),
    architecture<LastTokenClassifier<Gemma3Text>>("Gemma3TextForSequenceClassification", Head::sequence_classification),
};
inline constexpr Family kFamily{"gemma3_text", kArchitectures};

}  // namespace transformers::gemma3_text
