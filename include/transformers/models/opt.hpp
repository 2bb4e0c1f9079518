// OPT: decoder-only; learned positions counted over the attended tokens, norms before or after, narrower words in some
// sizes.
// Paper: arXiv 2205.01068.  Reference: transformers/models/opt/modeling_opt.py (5.23).
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
#include "transformers/nn/activation.hpp"
#include "transformers/nn/attention.hpp"
#include "transformers/nn/embedding.hpp"
#include "transformers/nn/linear.hpp"
#include "transformers/nn/mlp.hpp"
#include "transformers/nn/norm.hpp"

namespace transformers::opt {

// The table of positions has two rows more than there are positions: row p + 2 is that of position p.
inline constexpr int32_t kPositionOffset = 2;

struct OPTConfig : PretrainedConfig {
  int64_t vocab_size = 50272, hidden_size = 768, num_hidden_layers = 12, num_attention_heads = 12, ffn_dim = 3072;
  int64_t max_position_embeddings = 2048;
  std::optional<int64_t> word_embed_proj_dim;  // width of the words; absent: hidden_size
  std::string activation_function = "relu";
  bool do_layer_norm_before = true, remove_final_layer_norm = false, enable_bias = true;
  bool layer_norm_elementwise_affine = true;

  OPTConfig() { pad_token_id = 1; }

  void fields(FieldVisitor& f) {
    PretrainedConfig::fields(f);
    f("vocab_size", vocab_size);
    f("hidden_size", hidden_size);
    f("num_hidden_layers", num_hidden_layers);
    f("num_attention_heads", num_attention_heads);
    f("ffn_dim", ffn_dim);
    f("max_position_embeddings", max_position_embeddings);
    f("word_embed_proj_dim", word_embed_proj_dim);
    f("activation_function", activation_function);
    f("do_layer_norm_before", do_layer_norm_before);
    f("_remove_final_layer_norm", remove_final_layer_norm);
    f("enable_bias", enable_bias);
    f("layer_norm_elementwise_affine", layer_norm_elementwise_affine);
  }

  void finish() {
    PretrainedConfig::finish();
    check_range("vocab_size", vocab_size, 1, kMaxDimension);
    check_range("hidden_size", hidden_size, 1, kMaxDimension);
    check_range("num_hidden_layers", num_hidden_layers, 0, kMaxLayers);
    check_range("num_attention_heads", num_attention_heads, 1, hidden_size);
    check_range("ffn_dim", ffn_dim, 1, kMaxDimension);
    check_range("max_position_embeddings", max_position_embeddings, 1, kMaxDimension);
    check_divides("num_attention_heads", num_attention_heads, "hidden_size", hidden_size);
    if (!word_embed_proj_dim) word_embed_proj_dim = hidden_size;
    check_range("word_embed_proj_dim", *word_embed_proj_dim, 1, kMaxDimension);
  }

  int64_t longest_sequence() const noexcept { return max_position_embeddings; }
  int64_t output_size() const noexcept { return *word_embed_proj_dim; }
  bool has_projections() const noexcept { return *word_embed_proj_dim != hidden_size; }
  Linear::Bias bias() const noexcept { return enable_bias ? Linear::Bias::yes : Linear::Bias::no; }
};

// A LayerNorm whose weight and bias may be the constants 1 and 0, absent from the file.
struct OPTLayerNorm : LayerNorm {
  bool elementwise_affine;
  explicit OPTLayerNorm(const OPTConfig& c)
      : LayerNorm(c.hidden_size, 1e-5f), elementwise_affine(c.layer_norm_elementwise_affine) {}
  void weights(WeightVisitor& w) {
    if (elementwise_affine) return LayerNorm::weights(w);
    weight_.assign(static_cast<std::size_t>(size_), 1.0f);
    bias_.assign(static_cast<std::size_t>(size_), 0.0f);
  }
};

struct OPTDecoderLayer {
  CausalAttention attention;
  Linear qkv_proj, out_proj;
  FeedForward feed_forward;
  OPTLayerNorm self_attn_layer_norm, final_layer_norm;
  int64_t layer;
  bool do_layer_norm_before;

  OPTDecoderLayer(const OPTConfig& c, int64_t layer_)
      : attention{.num_attention_heads = c.num_attention_heads,
                  .num_key_value_heads = c.num_attention_heads,
                  .head_dim = c.hidden_size / c.num_attention_heads},
        qkv_proj(c.hidden_size, 3 * c.hidden_size, c.bias()),
        out_proj(c.hidden_size, c.hidden_size, c.bias()),
        feed_forward(c.hidden_size, c.ffn_dim,
                     activation_from_name(c.activation_function, "activation_function in " + c.where), c.bias()),
        self_attn_layer_norm(c),
        final_layer_norm(c),
        layer(layer_),
        do_layer_norm_before(c.do_layer_norm_before) {
    attention.scale = 1.0f / std::sqrt(static_cast<float>(attention.head_dim));
  }

  void weights(WeightVisitor& w) {
    qkv_proj.weights(w, {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"});
    w("self_attn.out_proj", out_proj);
    w("self_attn_layer_norm", self_attn_layer_norm);
    feed_forward.weights(w, "fc1", "fc2");
    w("final_layer_norm", final_layer_norm);
  }

  // hidden [tokens, hidden_size], in place. Scratch: normed [tokens, hidden_size], qkv [tokens, 3 * hidden_size], and
  // FeedForward's.
  void forward(float* hidden, const Batch& batch, Cache* past_key_values, float* normed, float* qkv,
               float* scratch) const {
    const int64_t tokens = batch.tokens();
    if (do_layer_norm_before) self_attn_layer_norm.forward(hidden, tokens, normed);
    qkv_proj.forward(do_layer_norm_before ? normed : hidden, tokens, qkv);
    attention.forward(qkv_proj, qkv, batch, past_key_values, layer);
    out_proj.forward(qkv, tokens, hidden, {.input_stride = attention.row(), .residual = hidden});
    if (!do_layer_norm_before) self_attn_layer_norm.forward(hidden, tokens, hidden);

    if (do_layer_norm_before) final_layer_norm.forward(hidden, tokens, normed);
    feed_forward.forward(do_layer_norm_before ? normed : hidden, tokens, scratch, hidden, /*residual=*/hidden);
    if (!do_layer_norm_before) final_layer_norm.forward(hidden, tokens, hidden);
  }
};

class OPT {
 public:
  using Config = OPTConfig;
  static constexpr std::string_view base_model_prefix = "model";
  static constexpr std::string_view embedding_name = "decoder.embed_tokens.weight";

  explicit OPT(const OPTConfig& c)
      : embed_tokens_(c.vocab_size, c.output_size()),
        embed_positions_(c.max_position_embeddings + kPositionOffset, c.hidden_size),
        final_layer_norm_(c),
        hidden_size_(c.hidden_size),
        output_size_(c.output_size()) {
    if (c.do_layer_norm_before && !c.remove_final_layer_norm) has_final_layer_norm_ = true;
    if (c.has_projections()) {
      project_in_ = Linear(c.output_size(), c.hidden_size, Linear::Bias::no);
      project_out_ = Linear(c.hidden_size, c.output_size(), Linear::Bias::no);
    }
    layers_.reserve(static_cast<std::size_t>(c.num_hidden_layers));
    for (int64_t i = 0; i < c.num_hidden_layers; ++i) layers_.emplace_back(c, i);
  }

  void weights(WeightVisitor& w) {
    w("decoder.embed_tokens", embed_tokens_);
    w("decoder.embed_positions", embed_positions_);
    if (project_in_.in_features() > 0) {
      w("decoder.project_in", project_in_);
      w("decoder.project_out", project_out_);
    }
    if (has_final_layer_norm_) w("decoder.final_layer_norm", final_layer_norm_);
    w("decoder.layers", layers_);
  }

  BatchRules batch_rules() const noexcept { return {.positions = BatchRules::Positions::kept}; }

  // [tokens, word_embed_proj_dim]
  const float* forward(const Batch& batch, Workspace& ws, const ForwardOptions& options,
                       std::vector<OutputTensor>* hidden_states) const {
    const int64_t tokens = batch.tokens();
    float* words = ws.floats(tokens * output_size_);
    float* hidden = project_in_.in_features() > 0 ? ws.floats(tokens * hidden_size_) : words;
    float* normed = ws.floats(tokens * hidden_size_);
    float* qkv = ws.floats(tokens * 3 * hidden_size_);
    float* scratch = ws.floats(layers_.empty() ? 0 : layers_.front().feed_forward.scratch_floats(tokens));
    embed_tokens(batch, embed_tokens_, words);
    if (project_in_.in_features() > 0) project_in_.forward(words, tokens, hidden);
    std::vector<int32_t> positions(batch.position_ids);
    for (int32_t& position : positions) position += kPositionOffset;
    embed_positions_.forward(positions, hidden, "position_ids", /*accumulate=*/true);
    for (const OPTDecoderLayer& layer : layers_) {
      record_hidden_state(hidden_states, hidden, tokens, hidden_size_, ws);
      layer.forward(hidden, batch, options.past_key_values, normed, qkv, scratch);
    }
    if (has_final_layer_norm_) final_layer_norm_.forward(hidden, tokens, hidden);
    if (project_out_.in_features() > 0) {
      project_out_.forward(hidden, tokens, words);
      hidden = words;
    }
    record_hidden_state(hidden_states, hidden, tokens, output_size_, ws);
    return hidden;
  }

 private:
  Embedding embed_tokens_, embed_positions_;
  Linear project_in_, project_out_;  // of models whose words are narrower than their layers
  std::vector<OPTDecoderLayer> layers_;
  OPTLayerNorm final_layer_norm_;
  bool has_final_layer_norm_ = false;
  int64_t hidden_size_, output_size_;
};

inline constexpr Architecture kArchitectures[] = {
    architecture<BaseModel<OPT>>("OPTModel", Head::base),
    architecture<CausalLM<OPT>>("OPTForCausalLM", Head::causal_lm),
    architecture<LastTokenClassifier<OPT>>("OPTForSequenceClassification", Head::sequence_classification),
    architecture<QuestionAnsweringModel<OPT>>("OPTForQuestionAnswering", Head::question_answering),
};
inline constexpr Family kFamily{"opt", kArchitectures};

}  // namespace transformers::opt
