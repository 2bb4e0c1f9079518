// Llama: decoder-only; RMSNorm, rotary positions, grouped-query attention, gated SiLU feed-forward.
// Paper: arXiv 2302.13971.  Reference: transformers/models/llama/modeling_llama.py (5.23).
// Where it stands: models; one line in families.def registers it. Mistral, Qwen2, Qwen3, Gemma and Phi-3 are built on
// it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "transformers/models/decoder_heads.hpp"
#include "transformers/models/family.hpp"
#include "transformers/nn/activation.hpp"
#include "transformers/nn/attention.hpp"
#include "transformers/nn/embedding.hpp"
#include "transformers/nn/linear.hpp"
#include "transformers/nn/mlp.hpp"
#include "transformers/nn/norm.hpp"
#include "transformers/nn/rotary.hpp"

namespace transformers::llama {

struct LlamaConfig : PretrainedConfig {
  int64_t vocab_size = 32000, hidden_size = 4096, intermediate_size = 11008, num_hidden_layers = 32;
  int64_t num_attention_heads = 32, max_position_embeddings = 2048;
  std::optional<int64_t> num_key_value_heads, head_dim;  // absent: num_attention_heads, hidden_size / that
  std::string hidden_act = "silu";
  float rms_norm_eps = 1e-6f;
  bool attention_bias = false, mlp_bias = false;
  RopeConfig rope;

  LlamaConfig() { tie_word_embeddings = false; }

  void fields(FieldVisitor& f) {
    PretrainedConfig::fields(f);
    f("vocab_size", vocab_size);
    f("hidden_size", hidden_size);
    f("intermediate_size", intermediate_size);
    f("num_hidden_layers", num_hidden_layers);
    f("num_attention_heads", num_attention_heads);
    f("num_key_value_heads", num_key_value_heads);
    f("head_dim", head_dim);
    f("hidden_act", hidden_act);
    f("max_position_embeddings", max_position_embeddings);
    f("rms_norm_eps", rms_norm_eps);
    f("attention_bias", attention_bias);
    f("mlp_bias", mlp_bias);
    rope.fields(f);
  }

  void finish() {
    PretrainedConfig::finish();
    check_range("vocab_size", vocab_size, 1, kMaxDimension);
    check_range("hidden_size", hidden_size, 1, kMaxDimension);
    check_range("intermediate_size", intermediate_size, 1, kMaxDimension);
    check_range("num_hidden_layers", num_hidden_layers, 0, kMaxLayers);
    check_range("num_attention_heads", num_attention_heads, 1, hidden_size);
    check_range("max_position_embeddings", max_position_embeddings, 1, kMaxDimension);
    if (!num_key_value_heads) num_key_value_heads = num_attention_heads;
    check_range("num_key_value_heads", *num_key_value_heads, 1, num_attention_heads);
    check_divides("num_key_value_heads", *num_key_value_heads, "num_attention_heads", num_attention_heads);
    if (!head_dim) {
      check_divides("num_attention_heads", num_attention_heads, "hidden_size", hidden_size);
      head_dim = hidden_size / num_attention_heads;
    }
    check_range("head_dim", *head_dim, 1, kMaxDimension / num_attention_heads);
  }

  // Positions are computed: nothing ends at max_position_embeddings.
  int64_t longest_sequence() const noexcept { return std::numeric_limits<int32_t>::max(); }
  Activation activation() const { return activation_from_name(hidden_act, "hidden_act in " + where); }

  // ---- what those built on Llama change -----------------------------------------------------------------------------

  CausalAttention attention(int64_t /*layer*/) const {
    return {.num_attention_heads = num_attention_heads,
            .num_key_value_heads = *num_key_value_heads,
            .head_dim = *head_dim,
            .scale = 1.0f / std::sqrt(static_cast<float>(*head_dim))};
  }
  Linear::Bias qkv_bias() const { return attention_bias ? Linear::Bias::yes : Linear::Bias::no; }
  Linear::Bias output_bias() const { return qkv_bias(); }
  // Rotary positions of every kind that layers have, and the kind of a layer.
  std::vector<RotaryEmbedding> rotary_embeddings() const {
    return {RotaryEmbedding(full_rotary(rope.parameters()), *head_dim, max_position_embeddings, where)};
  }
  std::size_t rotary_kind(int64_t /*layer*/) const { return 0; }

 protected:
  // Llama's "default" turns the whole head, whatever share the config names.
  static Value full_rotary(Value parameters) {
    if (parameters.at("rope_type") == Value("default")) parameters.set("partial_rotary_factor", Value(1.0));
    return parameters;
  }
};

// config.json's layer_types, which of its layers attend in a sliding window.
struct LayerTypes {
  std::optional<std::vector<std::string>> names;  // absent: the family's own pattern

  void fields(FieldVisitor& f) { f("layer_types", names, "sliding_attention or full_attention for each layer"); }
  // `pattern(layer)`: whether that layer slides where the file does not say.
  template <class Pattern>
  void finish(const PretrainedConfig& c, int64_t num_hidden_layers, Pattern pattern) {
    sliding_.clear();
    if (names && static_cast<int64_t>(names->size()) != num_hidden_layers) {
      throw Error(ErrorCode::invalid_argument,
                  "layer_types has " + std::to_string(names->size()) + " entries for " +
                      std::to_string(num_hidden_layers) + " layers",
                  c.where);
    }
    for (int64_t i = 0; i < num_hidden_layers; ++i) {
      const std::string name =
          !names ? pattern(i) ? "sliding_attention" : "full_attention" : (*names)[static_cast<std::size_t>(i)];
      if (name != "sliding_attention" && name != "full_attention") {
        throw Error(ErrorCode::unsupported,
                    "layer type " + quote(name) + " (supported: sliding_attention, full_attention)", c.where);
      }
      sliding_.push_back(name == "sliding_attention");
    }
  }
  bool sliding(int64_t layer) const { return sliding_[static_cast<std::size_t>(layer)]; }
  bool any() const { return std::find(sliding_.begin(), sliding_.end(), true) != sliding_.end(); }

 private:
  std::vector<bool> sliding_;
};

// One forward pass: what layers share. Scratch: normed [tokens, hidden_size], qkv [tokens, (heads + 2 kv heads) *
// head_dim], and GatedMLP's.
struct Pass {
  const Batch& batch;
  Cache* past_key_values;
  std::vector<RotaryAngles> angles;  // one for each kind
  float *normed, *qkv, *mlp;
};

// The projections around CausalAttention, under Llama's names.
struct LlamaAttention {
  CausalAttention attention;
  Linear qkv_proj, o_proj;
  int64_t layer;
  std::size_t rotary_kind;

  template <class Config>
  LlamaAttention(const Config& c, int64_t layer_)
      : attention(c.attention(layer_)),
        qkv_proj(c.hidden_size, attention.row(), c.qkv_bias()),
        o_proj(attention.num_attention_heads * attention.head_dim, c.hidden_size, c.output_bias()),
        layer(layer_),
        rotary_kind(c.rotary_kind(layer_)) {}

  void weights(WeightVisitor& w) {
    const int64_t queries = attention.num_attention_heads * attention.head_dim;
    const int64_t keys = attention.num_key_value_heads * attention.head_dim;
    qkv_proj.stacked(w, {{{"q_proj"}, queries}, {{"k_proj"}, keys}, {{"v_proj"}, keys}});
    w("o_proj", o_proj);
  }

  // x [tokens, hidden_size] -> pass.qkv, queries and keys not yet turned
  void project(const float* x, const Pass& pass) const { qkv_proj.forward(x, pass.batch.tokens(), pass.qkv); }

  // pass.qkv -> out [tokens, hidden_size], `residual` (which may be out) added to it.
  void attend(const Pass& pass, float* out, const float* residual) const {
    const int64_t tokens = pass.batch.tokens();
    pass.angles[rotary_kind].turn(pass.qkv, attention.row(), tokens,
                                  attention.num_attention_heads + attention.num_key_value_heads, attention.head_dim);
    attention.forward(qkv_proj, pass.qkv, pass.batch, pass.past_key_values, layer);
    o_proj.forward(pass.qkv, tokens, out, {.input_stride = attention.row(), .residual = residual});
  }
};

template <class Attention, class Norm = RMSNorm>
struct DecoderLayer {
  Attention self_attn;
  GatedMLP mlp;
  Norm input_layernorm, post_attention_layernorm;

  template <class Config>
  DecoderLayer(const Config& c, int64_t layer)
      : self_attn(c, layer),
        mlp(c.hidden_size, c.intermediate_size, c.activation(), c.mlp_bias ? Linear::Bias::yes : Linear::Bias::no),
        input_layernorm(c.hidden_size, c.rms_norm_eps),
        post_attention_layernorm(c.hidden_size, c.rms_norm_eps) {}

  void weights(WeightVisitor& w) {
    w("self_attn", self_attn);
    w("mlp", mlp);
    w("input_layernorm", input_layernorm);
    w("post_attention_layernorm", post_attention_layernorm);
  }

  // hidden [tokens, hidden_size], in place.
  void forward(float* hidden, const Pass& pass) const {
    const int64_t tokens = pass.batch.tokens();
    input_layernorm.forward(hidden, tokens, pass.normed);
    self_attn.project(pass.normed, pass);
    self_attn.attend(pass, hidden, /*residual=*/hidden);
    post_attention_layernorm.forward(hidden, tokens, pass.normed);
    mlp.forward(pass.normed, tokens, pass.mlp, hidden, /*residual=*/hidden);
  }
};

using LlamaDecoderLayer = DecoderLayer<LlamaAttention>;

// Words -> layers -> norm; also the skeleton of those built on Llama, which bring their own config, layer, norm or
// words.
template <class ConfigType, class Layer = LlamaDecoderLayer, class Norm = RMSNorm, class Words = Embedding>
class LlamaModel {
 public:
  using Config = ConfigType;
  static constexpr std::string_view base_model_prefix = "model";
  static constexpr std::string_view embedding_name = "embed_tokens.weight";

  explicit LlamaModel(const Config& c)
      : embed_tokens_(c.vocab_size, c.hidden_size),
        norm_(c.hidden_size, c.rms_norm_eps),
        rotary_(c.rotary_embeddings()),
        hidden_size_(c.hidden_size) {
    layers_.reserve(static_cast<std::size_t>(c.num_hidden_layers));
    for (int64_t i = 0; i < c.num_hidden_layers; ++i) layers_.emplace_back(c, i);
  }

  void weights(WeightVisitor& w) {
    w("embed_tokens", embed_tokens_);
    w("layers", layers_);
    w("norm", norm_);
  }

  BatchRules batch_rules() const noexcept { return {}; }

  // [tokens, hidden_size]
  const float* forward(const Batch& batch, Workspace& ws, const ForwardOptions& options,
                       std::vector<OutputTensor>* hidden_states) const {
    const int64_t tokens = batch.tokens();
    float* hidden = ws.floats(tokens * hidden_size_);
    Pass pass{batch, options.past_key_values, {}, ws.floats(tokens * hidden_size_), nullptr, nullptr};
    if (!layers_.empty()) {
      pass.qkv = ws.floats(tokens * layers_.front().self_attn.attention.row());
      pass.mlp = ws.floats(layers_.front().mlp.scratch_floats(tokens));
    }
    for (const RotaryEmbedding& rotary : rotary_) {
      const int64_t half = rotary.rotary_dim() / 2;
      float* cos = ws.floats(tokens * half);
      float* sin = ws.floats(tokens * half);
      rotary.forward(batch, options.past_key_values, cos, sin);
      pass.angles.push_back({cos, sin, 2 * half});
    }
    embed_tokens(batch, embed_tokens_, hidden);
    for (const Layer& layer : layers_) {
      record_hidden_state(hidden_states, hidden, tokens, hidden_size_, ws);
      layer.forward(hidden, pass);
    }
    norm_.forward(hidden, tokens, hidden);
    record_hidden_state(hidden_states, hidden, tokens, hidden_size_, ws);
    return hidden;
  }

 private:
  Words embed_tokens_;
  std::vector<Layer> layers_;
  Norm norm_;
  std::vector<RotaryEmbedding> rotary_;
  int64_t hidden_size_;
};

using Llama = LlamaModel<LlamaConfig>;

inline constexpr Architecture kArchitectures[] = {
    architecture<BaseModel<Llama>>("LlamaModel", Head::base),
    architecture<CausalLM<Llama>>("LlamaForCausalLM", Head::causal_lm),
    architecture<LastTokenClassifier<Llama>>("LlamaForSequenceClassification", Head::sequence_classification),
    architecture<TokenClassifier<Llama, "score">>("LlamaForTokenClassification", Head::token_classification),
    architecture<TransformerQuestionAnswering<Llama>>("LlamaForQuestionAnswering", Head::question_answering),
};
inline constexpr Family kFamily{"llama", kArchitectures};

}  // namespace transformers::llama
