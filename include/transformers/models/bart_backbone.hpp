// What it is: the encoder and decoder of BART and its relatives, which differ in where the norms stand and in
// positions. Where it stands: models; bart.hpp, mbart.hpp, marian.hpp, pegasus.hpp and m2m_100.hpp give it their
// traits. Usage: `using Bart = EncoderDecoder<BartHalves<BartTraits>>;` Source:
// transformers/models/bart/modeling_bart.py and mbart/modeling_mbart.py (5.23); arXiv 1910.13461.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "transformers/models/family.hpp"
#include "transformers/models/seq2seq.hpp"
#include "transformers/nn/activation.hpp"
#include "transformers/nn/embedding.hpp"
#include "transformers/nn/linear.hpp"
#include "transformers/nn/mlp.hpp"
#include "transformers/nn/norm.hpp"
#include "transformers/nn/positions.hpp"

namespace transformers {

struct BartLikeConfig : Seq2SeqConfig {
  int64_t vocab_size = 50265, hidden_size = 1024, max_position_embeddings = 1024;
  int64_t encoder_layers = 12, encoder_ffn_dim = 4096, encoder_attention_heads = 16;
  int64_t decoder_layers = 12, decoder_ffn_dim = 4096, decoder_attention_heads = 16;
  std::string activation_function = "gelu";
  bool scale_embedding = false;

  void fields(FieldVisitor& f) {
    Seq2SeqConfig::fields(f);
    f("vocab_size", vocab_size);
    f("d_model", hidden_size);
    f("max_position_embeddings", max_position_embeddings);
    f("encoder_layers", encoder_layers);
    f("encoder_ffn_dim", encoder_ffn_dim);
    f("encoder_attention_heads", encoder_attention_heads);
    f("decoder_layers", decoder_layers);
    f("decoder_ffn_dim", decoder_ffn_dim);
    f("decoder_attention_heads", decoder_attention_heads);
    f("activation_function", activation_function);
    f("scale_embedding", scale_embedding);
    // Hugging Face's attribute_map: where a config has both spellings, these count.
    f("hidden_size", hidden_size);
    f("num_hidden_layers", encoder_layers);
    f("num_attention_heads", encoder_attention_heads);
  }

  void finish() {
    PretrainedConfig::finish();
    check_range("vocab_size", vocab_size, 1, kMaxDimension);
    check_range("d_model", hidden_size, 1, kMaxDimension);
    check_range("max_position_embeddings", max_position_embeddings, 1, kMaxDimension);
    check_range("encoder_layers", encoder_layers, 0, kMaxLayers);
    check_range("decoder_layers", decoder_layers, 0, kMaxLayers);
    check_range("encoder_ffn_dim", encoder_ffn_dim, 1, kMaxDimension);
    check_range("decoder_ffn_dim", decoder_ffn_dim, 1, kMaxDimension);
    check_range("encoder_attention_heads", encoder_attention_heads, 1, hidden_size);
    check_range("decoder_attention_heads", decoder_attention_heads, 1, hidden_size);
    check_divides("encoder_attention_heads", encoder_attention_heads, "d_model", hidden_size);
    check_divides("decoder_attention_heads", decoder_attention_heads, "d_model", hidden_size);
  }

  int64_t longest_sequence() const noexcept { return max_position_embeddings; }
  Activation activation() const { return activation_from_name(activation_function, "activation_function in " + where); }
};

// Hugging Face's layer norms have torch's own epsilon here; the config has no field for it.
inline constexpr float kBartLayerNormEps = 1e-5f;

// Scratch of one layer, shared by all of a stack: qkv [tokens, 3 * d_model], context and normed [tokens, d_model],
// key_value [source tokens, 2 * d_model], and the feed-forward's.
struct BartScratch {
  float *qkv, *context, *normed, *key_value, *ffn;
};

struct BartEncoderLayer {
  SelfAttention self_attn;
  Linear out_proj;
  FeedForward feed_forward;
  LayerNorm self_attn_layer_norm, final_layer_norm;

  explicit BartEncoderLayer(const BartLikeConfig& c)
      : self_attn(c.hidden_size, c.encoder_attention_heads, c.hidden_size / c.encoder_attention_heads,
                  Linear::Bias::yes, head_scale(c.hidden_size / c.encoder_attention_heads)),
        out_proj(c.hidden_size, c.hidden_size),
        feed_forward(c.hidden_size, c.encoder_ffn_dim, c.activation()),
        self_attn_layer_norm(c.hidden_size, kBartLayerNormEps),
        final_layer_norm(c.hidden_size, kBartLayerNormEps) {}

  static float head_scale(int64_t head_dim) { return 1.0f / std::sqrt(static_cast<float>(head_dim)); }

  void weights(WeightVisitor& w) {
    self_attn.weights(w, "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj");
    w("self_attn.out_proj", out_proj);
    w("self_attn_layer_norm", self_attn_layer_norm);
    feed_forward.weights(w, "fc1", "fc2");
    w("final_layer_norm", final_layer_norm);
  }

  // hidden [tokens, d_model], in place: norms behind the residual sums (BART, Marian).
  void forward_post_norm(float* hidden, const Batch& batch, const BartScratch& s) const {
    const int64_t tokens = batch.tokens();
    self_attn.forward(hidden, batch, s.qkv, {});
    out_proj.forward(s.qkv, tokens, hidden, {.input_stride = self_attn.row_size(), .residual = hidden});
    self_attn_layer_norm.forward(hidden, tokens, hidden);
    feed_forward.forward(hidden, tokens, s.ffn);
    final_layer_norm.forward(hidden, tokens, hidden);
  }

  // The same with the norms in front of each block (mBART, Pegasus, M2M100).
  void forward_pre_norm(float* hidden, const Batch& batch, const BartScratch& s) const {
    const int64_t tokens = batch.tokens();
    self_attn_layer_norm.forward(hidden, tokens, s.normed);
    self_attn.forward(s.normed, batch, s.qkv, {});
    out_proj.forward(s.qkv, tokens, hidden, {.input_stride = self_attn.row_size(), .residual = hidden});
    final_layer_norm.forward(hidden, tokens, s.normed);
    feed_forward.forward(s.normed, tokens, s.ffn, hidden, hidden);
  }
};

struct BartDecoderLayer {
  SelfAttention self_attn;
  CrossAttention encoder_attn;
  Linear self_out_proj, encoder_out_proj;
  FeedForward feed_forward;
  LayerNorm self_attn_layer_norm, encoder_attn_layer_norm, final_layer_norm;

  explicit BartDecoderLayer(const BartLikeConfig& c) : BartDecoderLayer(c, c.hidden_size / c.decoder_attention_heads) {}
  BartDecoderLayer(const BartLikeConfig& c, int64_t head_dim)
      : self_attn(c.hidden_size, c.decoder_attention_heads, head_dim, Linear::Bias::yes,
                  BartEncoderLayer::head_scale(head_dim)),
        encoder_attn(c.hidden_size, c.decoder_attention_heads, head_dim, Linear::Bias::yes,
                     BartEncoderLayer::head_scale(head_dim)),
        self_out_proj(c.hidden_size, c.hidden_size),
        encoder_out_proj(c.hidden_size, c.hidden_size),
        feed_forward(c.hidden_size, c.decoder_ffn_dim, c.activation()),
        self_attn_layer_norm(c.hidden_size, kBartLayerNormEps),
        encoder_attn_layer_norm(c.hidden_size, kBartLayerNormEps),
        final_layer_norm(c.hidden_size, kBartLayerNormEps) {}

  void weights(WeightVisitor& w) {
    self_attn.weights(w, "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj");
    w("self_attn.out_proj", self_out_proj);
    w("self_attn_layer_norm", self_attn_layer_norm);
    encoder_attn.weights(w, "encoder_attn.q_proj", "encoder_attn.k_proj", "encoder_attn.v_proj");
    w("encoder_attn.out_proj", encoder_out_proj);
    w("encoder_attn_layer_norm", encoder_attn_layer_norm);
    feed_forward.weights(w, "fc1", "fc2");
    w("final_layer_norm", final_layer_norm);
  }

  // hidden [tokens, d_model], in place. Without a source the cross-attention is left out, its norm too.
  void forward_post_norm(float* hidden, const Batch& batch, const CrossSource& source, Cache* past, int64_t layer,
                         const BartScratch& s) const {
    const int64_t tokens = batch.tokens();
    self_attn.forward(hidden, batch, s.qkv, {.causal = true}, past, layer);
    self_out_proj.forward(s.qkv, tokens, hidden, {.input_stride = self_attn.row_size(), .residual = hidden});
    self_attn_layer_norm.forward(hidden, tokens, hidden);
    if (source.present()) {
      encoder_attn.forward(hidden, batch, source, layer, s.key_value, s.context);
      encoder_out_proj.forward(s.context, tokens, hidden, {.residual = hidden});
      encoder_attn_layer_norm.forward(hidden, tokens, hidden);
    }
    feed_forward.forward(hidden, tokens, s.ffn);
    final_layer_norm.forward(hidden, tokens, hidden);
  }

  void forward_pre_norm(float* hidden, const Batch& batch, const CrossSource& source, Cache* past, int64_t layer,
                        const BartScratch& s) const {
    const int64_t tokens = batch.tokens();
    self_attn_layer_norm.forward(hidden, tokens, s.normed);
    self_attn.forward(s.normed, batch, s.qkv, {.causal = true}, past, layer);
    self_out_proj.forward(s.qkv, tokens, hidden, {.input_stride = self_attn.row_size(), .residual = hidden});
    if (source.present()) {
      encoder_attn_layer_norm.forward(hidden, tokens, s.normed);
      encoder_attn.forward(s.normed, batch, source, layer, s.key_value, s.context);
      encoder_out_proj.forward(s.context, tokens, hidden, {.residual = hidden});
    }
    final_layer_norm.forward(hidden, tokens, s.normed);
    feed_forward.forward(s.normed, tokens, s.ffn, hidden, hidden);
  }
};

// What stands before the layers and behind them, for the encoder and the decoder alike. Traits:
//   Positions                                            LearnedPositions, SinusoidalPositions ... with add()
//   static Positions positions(const Config&)
//   static constexpr bool norm_of_embeddings             layernorm_embedding (BART, mBART)
//   static constexpr bool pre_norm                       norms in front of the blocks, and layer_norm behind the last
//   static constexpr bool scales_decoder_inputs_embeds   scale_embedding holds for them too (Marian, Pegasus)
template <class Traits, class Layer>
struct BartStack {
  Embedding embed_tokens;
  typename Traits::Positions embed_positions;
  LayerNorm layernorm_embedding, layer_norm;
  std::vector<Layer> layers;
  int64_t hidden_size;
  float scale;

  BartStack(const typename Traits::Config& c, int64_t vocab_size, int64_t num_layers)
      : embed_tokens(vocab_size, c.hidden_size),
        embed_positions(Traits::positions(c)),
        layernorm_embedding(c.hidden_size, kBartLayerNormEps),
        layer_norm(c.hidden_size, kBartLayerNormEps),
        layers(static_cast<std::size_t>(num_layers), Layer(c)),
        hidden_size(c.hidden_size),
        scale(c.scale_embedding ? std::sqrt(static_cast<float>(c.hidden_size)) : 1.0f) {}

  void weights(WeightVisitor& w) {
    embed_tokens.weights(w, {"embed_tokens.weight", "/shared.weight", "/encoder.embed_tokens.weight",
                             "/decoder.embed_tokens.weight", "/lm_head.weight"});
    w("embed_positions", embed_positions);
    if constexpr (Traits::norm_of_embeddings) w("layernorm_embedding", layernorm_embedding);
    w("layers", layers);
    if constexpr (Traits::pre_norm) w("layer_norm", layer_norm);
  }

  // hidden [tokens, d_model]
  void embed(const Batch& batch, bool scales_inputs_embeds, float* hidden) const {
    transformers::embed_tokens(batch, embed_tokens, hidden);
    if (scale != 1.0f && (scales_inputs_embeds || !batch.inputs_embeds.defined())) {
      for (int64_t i = 0; i < batch.tokens() * hidden_size; ++i) hidden[i] *= scale;
    }
    embed_positions.add(batch.position_ids, hidden);
    if constexpr (Traits::norm_of_embeddings) layernorm_embedding.forward(hidden, batch.tokens(), hidden);
  }

  // Runs `forward(layer, index)` over all layers on hidden, recording what Hugging Face records: what goes into the
  // first layer, what comes out of each, the last after the final norm.
  template <class Forward>
  void run(const Batch& batch, float* hidden, Workspace& ws, std::vector<OutputTensor>* hidden_states,
           OutputTensor::Rows rows, Forward forward) const {
    for (std::size_t i = 0; i < layers.size(); ++i) {
      record_hidden_state(hidden_states, hidden, batch.tokens(), hidden_size, ws, rows);
      forward(layers[i], static_cast<int64_t>(i));
    }
    if constexpr (Traits::pre_norm) layer_norm.forward(hidden, batch.tokens(), hidden);
    if (!layers.empty()) record_hidden_state(hidden_states, hidden, batch.tokens(), hidden_size, ws, rows);
  }
};

// What most of the relatives have in common: one vocabulary for source, target and head.
struct BartDefaults {
  static constexpr bool has_final_logits_bias = true;

  static int64_t decoder_vocab_size(const BartLikeConfig& c) { return c.vocab_size; }
  static std::vector<std::string> lm_head_names(const BartLikeConfig&) {
    return {"lm_head.weight", "model.shared.weight", "model.encoder.embed_tokens.weight",
            "model.decoder.embed_tokens.weight"};
  }
};

template <class Traits>
class BartHalves {
 public:
  using Config = typename Traits::Config;
  static constexpr std::string_view base_model_prefix = "model";
  static constexpr std::string_view embedding_name = "decoder.embed_tokens.weight";  // of the decoder alone
  static constexpr bool has_final_logits_bias = Traits::has_final_logits_bias;

  explicit BartHalves(const Config& c)
      : encoder_(c, c.vocab_size, c.encoder_layers),
        decoder_(c, Traits::decoder_vocab_size(c), c.decoder_layers),
        rules_(Traits::batch_rules(c)),
        config_(c) {}

  void weights(WeightVisitor& w) {
    w("encoder", encoder_);
    w("decoder", decoder_);
  }
  void decoder_weights(WeightVisitor& w) { w("decoder", decoder_); }

  const float* encode(const Batch& source, Workspace& ws, std::vector<OutputTensor>* hidden_states) const {
    float* hidden = ws.floats(source.tokens() * config_.hidden_size);
    const BartScratch scratch = make_scratch(source, 0, config_.encoder_ffn_dim, ws);
    encoder_.embed(source, false, hidden);
    encoder_.run(source, hidden, ws, hidden_states, OutputTensor::Rows::source_tokens,
                 [&](const BartEncoderLayer& layer, int64_t) {
                   if constexpr (Traits::pre_norm) {
                     layer.forward_pre_norm(hidden, source, scratch);
                   } else {
                     layer.forward_post_norm(hidden, source, scratch);
                   }
                 });
    return hidden;
  }

  const float* decode(const Batch& batch, const CrossSource& source, Cache* past, Workspace& ws,
                      std::vector<OutputTensor>* hidden_states) const {
    float* hidden = ws.floats(batch.tokens() * config_.hidden_size);
    const BartScratch scratch = make_scratch(batch, source.tokens(), config_.decoder_ffn_dim, ws);
    decoder_.embed(batch, Traits::scales_decoder_inputs_embeds, hidden);
    decoder_.run(batch, hidden, ws, hidden_states, OutputTensor::Rows::tokens,
                 [&](const BartDecoderLayer& layer, int64_t index) {
                   if constexpr (Traits::pre_norm) {
                     layer.forward_pre_norm(hidden, batch, source, past, index, scratch);
                   } else {
                     layer.forward_post_norm(hidden, batch, source, past, index, scratch);
                   }
                 });
    return hidden;
  }

  BatchRules batch_rules() const noexcept { return rules_; }
  int64_t hidden_size() const noexcept { return config_.hidden_size; }

  std::vector<std::string> lm_head_names() const { return Traits::lm_head_names(config_); }
  int64_t lm_vocab_size() const noexcept { return Traits::decoder_vocab_size(config_); }
  float lm_scale() const noexcept { return 1.0f; }

 private:
  BartScratch make_scratch(const Batch& batch, int64_t source_tokens, int64_t ffn_dim, Workspace& ws) const {
    const int64_t tokens = batch.tokens(), width = config_.hidden_size;
    return {.qkv = ws.floats(tokens * 3 * width),
            .context = ws.floats(tokens * width),
            .normed = ws.floats(tokens * width),
            .key_value = ws.floats(source_tokens * 2 * width),
            .ffn = ws.floats(std::min(tokens, FeedForward::kRows) * ffn_dim)};
  }

  BartStack<Traits, BartEncoderLayer> encoder_;
  BartStack<Traits, BartDecoderLayer> decoder_;
  BatchRules rules_;
  Config config_;
};

// qa_outputs of two columns whatever num_labels says, as Hugging Face sets it for these families.
template <class Backbone>
class BartSpanModel : public QuestionAnsweringModel<Backbone> {
 public:
  explicit BartSpanModel(typename Backbone::Config config)
      : QuestionAnsweringModel<Backbone>(with_two_labels(std::move(config))) {}

 private:
  static typename Backbone::Config with_two_labels(typename Backbone::Config config) {
    config.num_labels = 2;
    return config;
  }
};

}  // namespace transformers
