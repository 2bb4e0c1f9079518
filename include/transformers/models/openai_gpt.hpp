// GPT, the first: decoder-only; learned positions, post-norm layers, Conv1D projections.
// Paper: Radford et al. (2018).  Reference: transformers/models/openai/modeling_openai.py (5.23). Difference: it takes
//   past_key_values, which Hugging Face's class does not.
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
#include "transformers/nn/activation.hpp"
#include "transformers/nn/attention.hpp"
#include "transformers/nn/embedding.hpp"
#include "transformers/nn/linear.hpp"
#include "transformers/nn/mlp.hpp"
#include "transformers/nn/norm.hpp"

namespace transformers::openai_gpt {

struct OpenAIGPTConfig : GPTConfig, SummaryConfig {
  std::string afn = "gelu";

  OpenAIGPTConfig() { vocab_size = 40478; }

  void fields(FieldVisitor& f) {
    GPTConfig::fields(f);
    f("afn", afn);
    summary_fields(f);
  }

  // Its own four names, of which "gelu" is the tanh form.
  Activation activation() const {
    if (afn == "gelu") return Activation::gelu_new;
    if (afn == "relu") return Activation::relu;
    if (afn == "silu" || afn == "swish") return Activation::silu;
    throw Error(ErrorCode::unsupported, "afn " + quote(afn) + " (supported: gelu, relu, silu, swish)", where);
  }
};

struct Block {
  CausalAttention attention;
  Conv1D c_attn, attention_c_proj;
  BasicFeedForward<Conv1D> mlp;
  LayerNorm ln_1, ln_2;
  int64_t layer;

  Block(const OpenAIGPTConfig& c, int64_t layer_)
      : attention{.num_attention_heads = c.num_attention_heads,
                  .num_key_value_heads = c.num_attention_heads,
                  .head_dim = c.hidden_size / c.num_attention_heads},
        c_attn(c.hidden_size, 3 * c.hidden_size),
        attention_c_proj(c.hidden_size, c.hidden_size),
        mlp(c.hidden_size, 4 * c.hidden_size, c.activation()),
        ln_1(c.hidden_size, c.layer_norm_epsilon),
        ln_2(c.hidden_size, c.layer_norm_epsilon),
        layer(layer_) {
    attention.scale = 1.0f / std::sqrt(static_cast<float>(attention.head_dim));
  }

  void weights(WeightVisitor& w) {
    w("attn.c_attn", c_attn);
    w("attn.c_proj", attention_c_proj);
    w("ln_1", ln_1);
    mlp.weights(w, "mlp.c_fc", "mlp.c_proj");
    w("ln_2", ln_2);
  }

  // hidden [tokens, hidden_size], in place. Scratch: qkv [tokens, 3 * hidden_size], and FeedForward's.
  void forward(float* hidden, const Batch& batch, Cache* past_key_values, float* qkv, float* scratch) const {
    const int64_t tokens = batch.tokens();
    c_attn.forward(hidden, tokens, qkv);
    attention.forward(c_attn, qkv, batch, past_key_values, layer);
    attention_c_proj.forward(qkv, tokens, hidden, {.input_stride = attention.row(), .residual = hidden});
    ln_1.forward(hidden, tokens, hidden);
    mlp.forward(hidden, tokens, scratch);
    ln_2.forward(hidden, tokens, hidden);
  }
};

class OpenAIGPT {
 public:
  using Config = OpenAIGPTConfig;
  static constexpr std::string_view base_model_prefix = "transformer";
  static constexpr std::string_view embedding_name = "tokens_embed.weight";

  explicit OpenAIGPT(const OpenAIGPTConfig& c)
      : tokens_embed_(c.vocab_size, c.hidden_size),
        positions_embed_(c.max_position_embeddings, c.hidden_size),
        hidden_size_(c.hidden_size) {
    h_.reserve(static_cast<std::size_t>(c.num_hidden_layers));
    for (int64_t i = 0; i < c.num_hidden_layers; ++i) h_.emplace_back(c, i);
  }

  void weights(WeightVisitor& w) {
    // The double heads' file keeps the two that are tied under the head's name.
    tokens_embed_.weights(w, {"tokens_embed.weight", "/lm_head.weight"});
    w("positions_embed", positions_embed_);
    w("h", h_);
  }

  BatchRules batch_rules() const noexcept { return {}; }

  // [tokens, hidden_size]
  const float* forward(const Batch& batch, Workspace& ws, const ForwardOptions& options,
                       std::vector<OutputTensor>* hidden_states) const {
    const int64_t tokens = batch.tokens();
    float* hidden = ws.floats(tokens * hidden_size_);
    float* qkv = ws.floats(tokens * 3 * hidden_size_);
    float* scratch = ws.floats(h_.empty() ? 0 : h_.front().mlp.scratch_floats(tokens));
    embed_tokens(batch, tokens_embed_, hidden);
    positions_embed_.forward(batch.position_ids, hidden, "position_ids", /*accumulate=*/true);
    // Token types are words: there is no table of their own for them.
    if (!batch.token_type_ids.empty()) tokens_embed_.forward(batch.token_type_ids, hidden, "token_type_ids", true);
    for (const Block& block : h_) {
      record_hidden_state(hidden_states, hidden, tokens, hidden_size_, ws);
      block.forward(hidden, batch, options.past_key_values, qkv, scratch);
    }
    record_hidden_state(hidden_states, hidden, tokens, hidden_size_, ws);
    return hidden;
  }

 private:
  Embedding tokens_embed_, positions_embed_;
  std::vector<Block> h_;
  int64_t hidden_size_;
};

inline constexpr Architecture kArchitectures[] = {
    architecture<BaseModel<OpenAIGPT>>("OpenAIGPTModel", Head::base),
    architecture<CausalLM<OpenAIGPT>>("OpenAIGPTLMHeadModel", Head::causal_lm),
    architecture<DoubleHeadsModel<OpenAIGPT>>("OpenAIGPTDoubleHeadsModel", Head::double_heads),
    architecture<LastTokenClassifier<OpenAIGPT>>("OpenAIGPTForSequenceClassification", Head::sequence_classification),
};
inline constexpr Family kFamily{"openai-gpt", kArchitectures};

}  // namespace transformers::openai_gpt
