// GPT-2: decoder-only; learned positions, pre-norm layers, one Conv1D for query, key and value.
// Paper: Radford et al. (2019).  Reference: transformers/models/gpt2/modeling_gpt2.py (5.23).
// Where it stands: models; one line in families.def registers it.
#pragma once

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "transformers/models/decoder_heads.hpp"
#include "transformers/models/family.hpp"
#include "transformers/models/gpt_config.hpp"
#include "transformers/nn/activation.hpp"
#include "transformers/nn/attention.hpp"
#include "transformers/nn/embedding.hpp"
#include "transformers/nn/linear.hpp"
#include "transformers/nn/mlp.hpp"
#include "transformers/nn/norm.hpp"

namespace transformers::gpt2 {

struct GPT2Config : GPTConfig, SummaryConfig {
  std::optional<int64_t> n_inner;  // absent: 4 * hidden_size
  std::string activation_function = "gelu_new";
  bool scale_attn_weights = true, scale_attn_by_inverse_layer_idx = false;

  GPT2Config() { max_position_embeddings = 1024; }

  void fields(FieldVisitor& f) {
    GPTConfig::fields(f);
    f("n_inner", n_inner);
    f("activation_function", activation_function);
    f("scale_attn_weights", scale_attn_weights);
    f("scale_attn_by_inverse_layer_idx", scale_attn_by_inverse_layer_idx);
    summary_fields(f);
  }

  void finish() {
    GPTConfig::finish();
    if (!n_inner) n_inner = 4 * hidden_size;
    check_range("n_inner", *n_inner, 1, kMaxDimension);
  }

  CausalAttention attention(int64_t layer) const {
    const int64_t head_dim = hidden_size / num_attention_heads;
    float scale = scale_attn_weights ? 1.0f / std::sqrt(static_cast<float>(head_dim)) : 1.0f;
    if (scale_attn_by_inverse_layer_idx) scale /= static_cast<float>(layer + 1);
    return {.num_attention_heads = num_attention_heads,
            .num_key_value_heads = num_attention_heads,
            .head_dim = head_dim,
            .scale = scale};
  }
};

struct GPT2Block {
  CausalAttention attention;
  Conv1D c_attn, attention_c_proj;
  BasicFeedForward<Conv1D> mlp;
  LayerNorm ln_1, ln_2;
  int64_t layer;

  GPT2Block(const GPT2Config& c, int64_t layer_)
      : attention(c.attention(layer_)),
        c_attn(c.hidden_size, 3 * c.hidden_size),
        attention_c_proj(c.hidden_size, c.hidden_size),
        mlp(c.hidden_size, *c.n_inner,
            activation_from_name(c.activation_function, "activation_function in " + c.where)),
        ln_1(c.hidden_size, c.layer_norm_epsilon),
        ln_2(c.hidden_size, c.layer_norm_epsilon),
        layer(layer_) {}

  void weights(WeightVisitor& w) {
    w("ln_1", ln_1);
    w("attn.c_attn", c_attn);
    w("attn.c_proj", attention_c_proj);
    w("ln_2", ln_2);
    mlp.weights(w, "mlp.c_fc", "mlp.c_proj");
  }

  // hidden [tokens, hidden_size], in place. Scratch: normed [tokens, hidden_size], qkv [tokens, 3 * hidden_size], mlp
  // FeedForward's.
  void forward(float* hidden, const Batch& batch, Cache* past_key_values, float* normed, float* qkv,
               float* scratch) const {
    const int64_t tokens = batch.tokens();
    ln_1.forward(hidden, tokens, normed);
    c_attn.forward(normed, tokens, qkv);
    attention.forward(c_attn, qkv, batch, past_key_values, layer);
    attention_c_proj.forward(qkv, tokens, hidden, {.input_stride = attention.row(), .residual = hidden});
    ln_2.forward(hidden, tokens, normed);
    mlp.forward(normed, tokens, scratch, hidden, /*residual=*/hidden);
  }
};

class GPT2 {
 public:
  using Config = GPT2Config;
  static constexpr std::string_view base_model_prefix = "transformer";
  static constexpr std::string_view embedding_name = "wte.weight";

  explicit GPT2(const GPT2Config& c)
      : wte_(c.vocab_size, c.hidden_size),
        wpe_(c.max_position_embeddings, c.hidden_size),
        ln_f_(c.hidden_size, c.layer_norm_epsilon),
        hidden_size_(c.hidden_size) {
    h_.reserve(static_cast<std::size_t>(c.num_hidden_layers));
    for (int64_t i = 0; i < c.num_hidden_layers; ++i) h_.emplace_back(c, i);
  }

  void weights(WeightVisitor& w) {
    w("wte", wte_);
    w("wpe", wpe_);
    w("h", h_);
    w("ln_f", ln_f_);
  }

  BatchRules batch_rules() const noexcept { return {}; }

  // [tokens, hidden_size]
  const float* forward(const Batch& batch, Workspace& ws, const ForwardOptions& options,
                       std::vector<OutputTensor>* hidden_states) const {
    const int64_t tokens = batch.tokens();
    float* hidden = ws.floats(tokens * hidden_size_);
    float* normed = ws.floats(tokens * hidden_size_);
    float* qkv = ws.floats(tokens * 3 * hidden_size_);
    float* scratch = ws.floats(h_.empty() ? 0 : h_.front().mlp.scratch_floats(tokens));
    embed_tokens(batch, wte_, hidden);
    wpe_.forward(batch.position_ids, hidden, "position_ids", /*accumulate=*/true);
    // Token types are words: GPT-2 has no table of its own for them.
    if (!batch.token_type_ids.empty()) wte_.forward(batch.token_type_ids, hidden, "token_type_ids", true);
    for (const GPT2Block& block : h_) {
      record_hidden_state(hidden_states, hidden, tokens, hidden_size_, ws);
      block.forward(hidden, batch, options.past_key_values, normed, qkv, scratch);
    }
    ln_f_.forward(hidden, tokens, hidden);
    record_hidden_state(hidden_states, hidden, tokens, hidden_size_, ws);
    return hidden;
  }

 private:
  Embedding wte_, wpe_;
  std::vector<GPT2Block> h_;
  LayerNorm ln_f_;
  int64_t hidden_size_;
};

inline constexpr Architecture kArchitectures[] = {
    architecture<BaseModel<GPT2>>("GPT2Model", Head::base),
    architecture<CausalLM<GPT2>>("GPT2LMHeadModel", Head::causal_lm),
    architecture<DoubleHeadsModel<GPT2>>("GPT2DoubleHeadsModel", Head::double_heads),
    architecture<LastTokenClassifier<GPT2>>("GPT2ForSequenceClassification", Head::sequence_classification),
    architecture<TokenClassifier<GPT2>>("GPT2ForTokenClassification", Head::token_classification),
    architecture<QuestionAnsweringModel<GPT2>>("GPT2ForQuestionAnswering", Head::question_answering),
};
inline constexpr Family kFamily{"gpt2", kArchitectures};

}  // namespace transformers::gpt2
