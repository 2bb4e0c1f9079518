// What it is: the encoder and decoder of T5 and its relatives: norms in front of the blocks, no biases, and distances
// between tokens instead of positions.
// Where it stands: models; t5.hpp, mt5.hpp and umt5.hpp give it their traits.
// Usage: `using T5 = EncoderDecoder<T5Halves<T5Traits>>;`
// Source: transformers/models/t5/modeling_t5.py and umt5/modeling_umt5.py (5.23); arXiv 1910.10683.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "transformers/models/family.hpp"
#include "transformers/models/seq2seq.hpp"
#include "transformers/nn/activation.hpp"
#include "transformers/nn/embedding.hpp"
#include "transformers/nn/linear.hpp"
#include "transformers/nn/mlp.hpp"
#include "transformers/nn/norm.hpp"
#include "transformers/nn/relative_bias.hpp"

namespace transformers {

struct T5LikeConfig : Seq2SeqConfig {
  int64_t vocab_size = 250112, hidden_size = 512, d_kv = 64, d_ff = 1024, num_layers = 8, num_heads = 6;
  std::optional<int64_t> num_decoder_layers;  // after finish() always set
  int64_t relative_attention_num_buckets = 32, relative_attention_max_distance = 128;
  float layer_norm_epsilon = 1e-6f;
  std::string feed_forward_proj = "gated-gelu";
  // What Hugging Face derives from feed_forward_proj unless they are given; after finish() always set.
  std::optional<bool> is_gated_act;
  std::optional<std::string> dense_act_fn;

  T5LikeConfig() {
    pad_token_id = 0;
    eos_token_id = 1;
    decoder_start_token_id = 0;
  }

  void fields(FieldVisitor& f) {
    Seq2SeqConfig::fields(f);
    f("vocab_size", vocab_size);
    f("d_model", hidden_size);
    f("d_kv", d_kv);
    f("d_ff", d_ff);
    f("num_layers", num_layers);
    f("num_decoder_layers", num_decoder_layers);
    f("num_heads", num_heads);
    f("relative_attention_num_buckets", relative_attention_num_buckets);
    f("relative_attention_max_distance", relative_attention_max_distance);
    f("layer_norm_epsilon", layer_norm_epsilon);
    f("feed_forward_proj", feed_forward_proj);
    f("is_gated_act", is_gated_act);
    f("dense_act_fn", dense_act_fn);
    // Hugging Face's attribute_map: where a config has both spellings, these count.
    f("hidden_size", hidden_size);
    f("head_dim", d_kv);
    f("num_attention_heads", num_heads);
    f("num_hidden_layers", num_hidden_layers_);
  }

  void finish() {
    PretrainedConfig::finish();
    num_decoder_layers = num_decoder_layers.value_or(num_layers);  // of num_layers as it is spelled, not its alias
    num_layers = num_hidden_layers_.value_or(num_layers);
    check_range("vocab_size", vocab_size, 1, kMaxDimension);
    check_range("d_model", hidden_size, 1, kMaxDimension);
    check_range("d_kv", d_kv, 1, kMaxDimension);
    check_range("d_ff", d_ff, 1, kMaxDimension);
    check_range("num_layers", num_layers, 0, kMaxLayers);
    check_range("num_decoder_layers", *num_decoder_layers, 0, kMaxLayers);
    check_range("num_heads", num_heads, 1, kMaxDimension / d_kv);
    // The encoder gives half of its buckets to each direction and half of those to single distances.
    check_range("relative_attention_num_buckets", relative_attention_num_buckets, 4, kMaxDimension);
    check_range("relative_attention_max_distance", relative_attention_max_distance,
                relative_attention_num_buckets / 2 + 1, kMaxBiases / num_heads);
    read_feed_forward_proj();
  }

  // Positions are distances: any length will do.
  int64_t longest_sequence() const noexcept { return std::numeric_limits<int32_t>::max(); }
  Activation activation() const { return activation_from_name(*dense_act_fn, "feed_forward_proj in " + where); }

 private:
  static constexpr int64_t kMaxBiases = int64_t{1} << 25;  // heads * distances of a table

  void read_feed_forward_proj() {
    const std::string_view proj = feed_forward_proj;
    const std::size_t dash = proj.find('-');
    const bool gated = proj.substr(0, dash) == "gated";
    if (dash != std::string_view::npos && (!gated || proj.find('-', dash + 1) != std::string_view::npos)) {
      throw Error(ErrorCode::invalid_argument,
                  "feed_forward_proj must be an activation or \"gated-\" and one, found \"" + feed_forward_proj + "\"",
                  where);
    }
    const std::string_view act = dash == std::string_view::npos ? proj : proj.substr(dash + 1);
    is_gated_act = is_gated_act.value_or(gated);
    dense_act_fn = dense_act_fn.value_or(proj == "gated-gelu" ? "gelu_new" : std::string(act));
  }

  std::optional<int64_t> num_hidden_layers_;
};

// wo(act(wi(x))) or wo(act(wi_0(x)) * wi_1(x)).
class T5DenseActDense {
 public:
  explicit T5DenseActDense(const T5LikeConfig& c) {
    if (*c.is_gated_act) {
      dense_ = GatedMLP(c.hidden_size, c.d_ff, c.activation(), Linear::Bias::no);
    } else {
      dense_ = FeedForward(c.hidden_size, c.d_ff, c.activation(), Linear::Bias::no);
    }
  }

  void weights(WeightVisitor& w) {
    if (auto* plain = std::get_if<FeedForward>(&dense_)) {
      plain->weights(w, "wi", "wo");
    } else {
      std::get<GatedMLP>(dense_).weights(w, "wi_0", "wi_1", "wo");
    }
  }

  int64_t scratch_floats(int64_t tokens) const {
    return std::visit([&](const auto& dense) { return dense.scratch_floats(tokens); }, dense_);
  }
  // hidden [tokens, d_model] += dense(x).
  void forward(const float* x, int64_t tokens, float* scratch, float* hidden) const {
    std::visit([&](const auto& dense) { dense.forward(x, tokens, scratch, hidden, hidden); }, dense_);
  }

 private:
  std::variant<FeedForward, GatedMLP> dense_;
};

// Scratch of one block, shared by all of a stack: normed [tokens, d_model], qkv [tokens, 3 * heads * d_kv], context
// [tokens, heads * d_kv], key_value [source tokens, 2 * heads * d_kv], and the feed-forward's.
struct T5Scratch {
  float *normed, *qkv, *context, *key_value, *dense;
};

struct T5SelfAttentionLayer {
  SelfAttention attention;
  Linear o;
  RMSNorm layer_norm;
  std::optional<RelativeAttentionBias> relative_attention_bias;  // where the layer has one of its own

  T5SelfAttentionLayer(const T5LikeConfig& c, bool is_decoder, bool has_relative_attention_bias)
      : attention(c.hidden_size, c.num_heads, c.d_kv, Linear::Bias::no, 1.0f),
        o(c.num_heads * c.d_kv, c.hidden_size, Linear::Bias::no),
        layer_norm(c.hidden_size, c.layer_norm_epsilon) {
    if (!has_relative_attention_bias) return;
    relative_attention_bias.emplace(c.relative_attention_num_buckets, c.relative_attention_num_buckets,
                                    c.relative_attention_max_distance, c.num_heads, !is_decoder);
  }

  void weights(WeightVisitor& w) {
    attention.weights(w, "SelfAttention.q", "SelfAttention.k", "SelfAttention.v");
    w("SelfAttention.o", o);
    if (relative_attention_bias) w("SelfAttention.relative_attention_bias", *relative_attention_bias);
    w("layer_norm", layer_norm);
  }

  // `bias` is the layer's own or, where it has none, the first layer's.
  void forward(float* hidden, const Batch& batch, const RelativeAttentionBias& bias, bool causal, Cache* past,
               int64_t layer, const T5Scratch& s) const {
    AttentionArgs args = bias.args(batch);
    args.causal = causal;
    layer_norm.forward(hidden, batch.tokens(), s.normed);
    attention.forward(s.normed, batch, s.qkv, args, past, layer);
    o.forward(s.qkv, batch.tokens(), hidden, {.input_stride = attention.row_size(), .residual = hidden});
  }
};

struct T5CrossAttentionLayer {
  CrossAttention attention;
  Linear o;
  RMSNorm layer_norm;

  explicit T5CrossAttentionLayer(const T5LikeConfig& c)
      : attention(c.hidden_size, c.num_heads, c.d_kv, Linear::Bias::no, 1.0f),
        o(c.num_heads * c.d_kv, c.hidden_size, Linear::Bias::no),
        layer_norm(c.hidden_size, c.layer_norm_epsilon) {}

  void weights(WeightVisitor& w) {
    attention.weights(w, "EncDecAttention.q", "EncDecAttention.k", "EncDecAttention.v");
    w("EncDecAttention.o", o);
    w("layer_norm", layer_norm);
  }

  void forward(float* hidden, const Batch& batch, const CrossSource& source, int64_t layer, const T5Scratch& s) const {
    layer_norm.forward(hidden, batch.tokens(), s.normed);
    attention.forward(s.normed, batch, source, layer, s.key_value, s.context);
    o.forward(s.context, batch.tokens(), hidden, {.residual = hidden});
  }
};

struct T5FeedForwardLayer {
  T5DenseActDense dense;
  RMSNorm layer_norm;

  explicit T5FeedForwardLayer(const T5LikeConfig& c) : dense(c), layer_norm(c.hidden_size, c.layer_norm_epsilon) {}

  void weights(WeightVisitor& w) {
    w("DenseReluDense", dense);
    w("layer_norm", layer_norm);
  }

  void forward(float* hidden, const Batch& batch, const T5Scratch& s) const {
    layer_norm.forward(hidden, batch.tokens(), s.normed);
    dense.forward(s.normed, batch.tokens(), s.dense, hidden);
  }
};

struct T5EncoderBlock {
  T5SelfAttentionLayer self_attention;
  T5FeedForwardLayer feed_forward;

  T5EncoderBlock(const T5LikeConfig& c, bool has_relative_attention_bias)
      : self_attention(c, /*is_decoder=*/false, has_relative_attention_bias), feed_forward(c) {}

  void weights(WeightVisitor& w) {
    w("layer.0", self_attention);
    w("layer.1", feed_forward);
  }

  // hidden [tokens, d_model], in place.
  void forward(float* hidden, const Batch& batch, const RelativeAttentionBias& bias, const T5Scratch& s) const {
    self_attention.forward(hidden, batch, bias, /*causal=*/false, nullptr, 0, s);
    feed_forward.forward(hidden, batch, s);
  }
};

struct T5DecoderBlock {
  T5SelfAttentionLayer self_attention;
  T5CrossAttentionLayer cross_attention;
  T5FeedForwardLayer feed_forward;

  T5DecoderBlock(const T5LikeConfig& c, bool has_relative_attention_bias)
      : self_attention(c, /*is_decoder=*/true, has_relative_attention_bias), cross_attention(c), feed_forward(c) {}

  void weights(WeightVisitor& w) {
    w("layer.0", self_attention);
    w("layer.1", cross_attention);
    w("layer.2", feed_forward);
  }

  void forward(float* hidden, const Batch& batch, const CrossSource& source, const RelativeAttentionBias& bias,
               Cache* past, int64_t layer, const T5Scratch& s) const {
    self_attention.forward(hidden, batch, bias, /*causal=*/true, past, layer, s);
    cross_attention.forward(hidden, batch, source, layer, s);
    feed_forward.forward(hidden, batch, s);
  }
};

template <class Block>
struct T5Stack {
  Embedding embed_tokens;
  std::vector<Block> block;
  RMSNorm final_layer_norm;
  int64_t hidden_size, inner_size;

  // bias_in_every_layer: UMT5's; otherwise the first layer's bias serves all.
  T5Stack(const T5LikeConfig& c, int64_t num_layers, bool bias_in_every_layer)
      : embed_tokens(c.vocab_size, c.hidden_size),
        final_layer_norm(c.hidden_size, c.layer_norm_epsilon),
        hidden_size(c.hidden_size),
        inner_size(c.num_heads * c.d_kv) {
    for (int64_t i = 0; i < num_layers; ++i) block.emplace_back(c, i == 0 || bias_in_every_layer);
  }

  void weights(WeightVisitor& w) {
    embed_tokens.weights(w, {"embed_tokens.weight", "/shared.weight", "/encoder.embed_tokens.weight",
                             "/decoder.embed_tokens.weight", "/lm_head.weight"});
    w("block", block);
    w("final_layer_norm", final_layer_norm);
  }

  // [tokens, d_model]. `forward(block, index, hidden, bias, scratch)` runs a block. Recorded is what Hugging Face
  // records: what goes into the first block, what comes out of each, the last after the final norm.
  template <class Forward>
  const float* run(const Batch& batch, int64_t source_tokens, Workspace& ws, std::vector<OutputTensor>* hidden_states,
                   OutputTensor::Rows rows, Forward forward) const {
    const int64_t tokens = batch.tokens();
    float* hidden = ws.floats(tokens * hidden_size);
    const T5Scratch scratch{
        .normed = ws.floats(tokens * hidden_size),
        .qkv = ws.floats(tokens * 3 * inner_size),
        .context = ws.floats(source_tokens < 0 ? 0 : tokens * inner_size),
        .key_value = ws.floats(std::max<int64_t>(source_tokens, 0) * 2 * inner_size),
        .dense = ws.floats(block.empty() ? 0 : block.front().feed_forward.dense.scratch_floats(tokens))};
    transformers::embed_tokens(batch, embed_tokens, hidden);
    for (std::size_t i = 0; i < block.size(); ++i) {
      record_hidden_state(hidden_states, hidden, tokens, hidden_size, ws, rows);
      const auto& own = block[i].self_attention.relative_attention_bias;
      forward(block[i], static_cast<int64_t>(i), hidden,
              own ? *own : *block.front().self_attention.relative_attention_bias, scratch);
    }
    final_layer_norm.forward(hidden, tokens, hidden);
    if (!block.empty()) record_hidden_state(hidden_states, hidden, tokens, hidden_size, ws, rows);
    return hidden;
  }
};

// Traits: `using Config`, and `static constexpr bool bias_in_every_layer`.
template <class Traits>
class T5Halves {
 public:
  using Config = typename Traits::Config;
  static constexpr std::string_view base_model_prefix = "transformer";
  static constexpr bool has_final_logits_bias = false;

  explicit T5Halves(const Config& c)
      : encoder_(c, c.num_layers, Traits::bias_in_every_layer),
        decoder_(c, *c.num_decoder_layers, Traits::bias_in_every_layer),
        rules_(decoder_rules(c, BatchRules::Decoder::given)),
        vocab_size_(c.vocab_size),
        lm_scale_(Traits::scales_decoder_outputs(c) ? 1.0f / std::sqrt(static_cast<float>(c.hidden_size)) : 1.0f) {}

  void weights(WeightVisitor& w) {
    w("encoder", encoder_);
    w("decoder", decoder_);
  }

  const float* encode(const Batch& source, Workspace& ws, std::vector<OutputTensor>* hidden_states) const {
    return encoder_.run(source, -1, ws, hidden_states, OutputTensor::Rows::source_tokens,
                        [&](const T5EncoderBlock& block, int64_t, float* hidden, const RelativeAttentionBias& bias,
                            const T5Scratch& s) { block.forward(hidden, source, bias, s); });
  }

  const float* decode(const Batch& batch, const CrossSource& source, Cache* past, Workspace& ws,
                      std::vector<OutputTensor>* hidden_states) const {
    return decoder_.run(
        batch, source.tokens(), ws, hidden_states, OutputTensor::Rows::tokens,
        [&](const T5DecoderBlock& block, int64_t index, float* hidden, const RelativeAttentionBias& bias,
            const T5Scratch& s) { block.forward(hidden, batch, source, bias, past, index, s); });
  }

  BatchRules batch_rules() const noexcept { return rules_; }
  int64_t hidden_size() const noexcept { return encoder_.hidden_size; }

  static std::vector<std::string> lm_head_names() {
    return {"lm_head.weight", "shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"};
  }
  int64_t lm_vocab_size() const noexcept { return vocab_size_; }
  float lm_scale() const noexcept { return lm_scale_; }

 private:
  T5Stack<T5EncoderBlock> encoder_;
  T5Stack<T5DecoderBlock> decoder_;
  BatchRules rules_;
  int64_t vocab_size_;
  float lm_scale_;
};

// The encoder by itself (T5EncoderModel and token classification), a backbone like BERT's.
template <class Traits>
class T5EncoderAlone {
 public:
  using Config = typename Traits::Config;
  static constexpr std::string_view base_model_prefix = "transformer";

  explicit T5EncoderAlone(const Config& c) : encoder_(c, c.num_layers, Traits::bias_in_every_layer) {}

  void weights(WeightVisitor& w) { w("encoder", encoder_); }
  const float* forward(const Batch& batch, Workspace& ws, std::vector<OutputTensor>* hidden_states) const {
    return encoder_.run(batch, -1, ws, hidden_states, OutputTensor::Rows::tokens,
                        [&](const T5EncoderBlock& block, int64_t, float* hidden, const RelativeAttentionBias& bias,
                            const T5Scratch& s) { block.forward(hidden, batch, bias, s); });
  }
  BatchRules batch_rules() const noexcept { return {}; }

 private:
  T5Stack<T5EncoderBlock> encoder_;
};

}  // namespace transformers
