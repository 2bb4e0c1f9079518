// What it is: the encoder of BERT that its relatives are built from: config, embeddings, post-norm layer, stack of
// layers. Where it stands: models; bert.hpp puts heads on it, and roberta.hpp, electra.hpp, albert.hpp, mpnet.hpp ...
// say what
//   they do otherwise.
// Usage: `struct AlbertLayer : BertLayer { void weights(WeightVisitor& w) { ... other names ... } };`
// Source: arXiv 1810.04805; transformers/models/bert/modeling_bert.py (5.23).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "transformers/models/config.hpp"
#include "transformers/models/model_output.hpp"
#include "transformers/models/pretrained_model.hpp"
#include "transformers/nn/activation.hpp"
#include "transformers/nn/attention.hpp"
#include "transformers/nn/embedding.hpp"
#include "transformers/nn/linear.hpp"
#include "transformers/nn/mlp.hpp"
#include "transformers/nn/norm.hpp"
#include "transformers/nn/rows.hpp"

namespace transformers::bert {

struct BertConfig : PretrainedConfig {
  int64_t vocab_size = 30522, hidden_size = 768, num_hidden_layers = 12, num_attention_heads = 12;
  int64_t intermediate_size = 3072, max_position_embeddings = 512, type_vocab_size = 2;
  std::string hidden_act = "gelu";
  float layer_norm_eps = 1e-12f;
  bool is_decoder = false;
  std::string position_embedding_type = "absolute";

  void fields(FieldVisitor& f) {
    PretrainedConfig::fields(f);
    f("vocab_size", vocab_size);
    f("hidden_size", hidden_size);
    f("num_hidden_layers", num_hidden_layers);
    f("num_attention_heads", num_attention_heads);
    f("intermediate_size", intermediate_size);
    f("hidden_act", hidden_act);
    f("max_position_embeddings", max_position_embeddings);
    f("type_vocab_size", type_vocab_size);
    f("layer_norm_eps", layer_norm_eps);
    f("is_decoder", is_decoder);
    f("position_embedding_type", position_embedding_type);
  }

  void finish() {
    finish_sizes();
    check_range("type_vocab_size", type_vocab_size, 1, kMaxDimension);
  }

  // All but the token types, without which some relatives do.
  void finish_sizes() {
    PretrainedConfig::finish();
    check_range("vocab_size", vocab_size, 1, kMaxDimension);
    check_range("hidden_size", hidden_size, 1, kMaxDimension);
    check_range("num_hidden_layers", num_hidden_layers, 0, kMaxLayers);
    check_range("num_attention_heads", num_attention_heads, 1, hidden_size);
    check_range("intermediate_size", intermediate_size, 1, kMaxDimension);
    check_range("max_position_embeddings", max_position_embeddings, 1, kMaxDimension);
    check_divides("num_attention_heads", num_attention_heads, "hidden_size", hidden_size);
    if (position_embedding_type != "absolute") {
      throw Error(ErrorCode::unsupported,
                  "position_embedding_type \"" + position_embedding_type + "\" (supported: absolute)", where);
    }
  }

  // Tokens of the longest sequence.
  int64_t longest_sequence() const noexcept { return max_position_embeddings; }
  // A decoder's tokens see those before them, an encoder's all.
  AttentionArgs attention_args(const Batch& batch) const {
    AttentionArgs args;
    args.causal = is_decoder;
    if (is_decoder) args.query_positions = args.key_positions = batch.columns;
    return args;
  }
  BatchRules batch_rules() const noexcept { return {.masked_together = is_decoder}; }
  // What the words, positions and token types are embedded in: hidden_size, unless a relative factorizes.
  int64_t embedding_width() const noexcept { return hidden_size; }
};

struct BertEmbeddings {
  Embedding word_embeddings, position_embeddings, token_type_embeddings;
  LayerNorm layer_norm;

  explicit BertEmbeddings(const BertConfig& c) : BertEmbeddings(c, c.hidden_size) {}
  BertEmbeddings(const BertConfig& c, int64_t width)
      : word_embeddings(c.vocab_size, width),
        position_embeddings(c.max_position_embeddings, width),
        token_type_embeddings(c.type_vocab_size, width),
        layer_norm(width, c.layer_norm_eps) {}

  void weights(WeightVisitor& w) {
    w("word_embeddings", word_embeddings);
    w("position_embeddings", position_embeddings);
    w("token_type_embeddings", token_type_embeddings);
    w("LayerNorm", layer_norm);
  }

  // hidden [tokens, width]; summed in Hugging Face's order: word, type, position.
  void forward(const Batch& batch, float* hidden) const {
    embed_tokens(batch, word_embeddings, hidden);
    add_token_types(batch, token_type_embeddings, hidden);
    position_embeddings.forward(batch.position_ids, hidden, "position_ids", /*accumulate=*/true);
    layer_norm.forward(hidden, batch.tokens(), hidden);
  }
};

struct BertLayer {
  EncoderSelfAttention self;
  Linear attention_output;
  FeedForward feed_forward;
  LayerNorm attention_norm, output_norm;

  explicit BertLayer(const BertConfig& c, float scale = 0)
      : self(c.hidden_size, c.num_attention_heads, Linear::Bias::yes, scale),
        attention_output(c.hidden_size, c.hidden_size),
        feed_forward(c.hidden_size, c.intermediate_size,
                     activation_from_name(c.hidden_act, "hidden_act in " + c.where)),
        attention_norm(c.hidden_size, c.layer_norm_eps),
        output_norm(c.hidden_size, c.layer_norm_eps) {}

  void weights(WeightVisitor& w) {
    self.weights(w, "attention.self.query", "attention.self.key", "attention.self.value");
    w("attention.output.dense", attention_output);
    w("attention.output.LayerNorm", attention_norm);
    feed_forward.weights(w, "intermediate.dense", "output.dense");
    w("output.LayerNorm", output_norm);
  }

  // Scratch of one layer, shared by all: qkv [tokens, 3 * hidden_size], and FeedForward's.
  struct Scratch {
    float *qkv, *intermediate;
  };
  Scratch scratch(int64_t tokens, Workspace& ws) const {
    return {ws.floats(tokens * 3 * attention_output.in_features()), ws.floats(feed_forward.scratch_floats(tokens))};
  }

  // hidden [tokens, hidden_size], in place. `args` is what else the attention takes into account (a bias, a window);
  // `past`, where it is a decoder's, has a place for the layer of number `layer`. `rows`: see finish_rows().
  void forward(float* hidden, const Batch& batch, const Scratch& s, const AttentionArgs& args = {},
               Cache* past = nullptr, int64_t layer = 0, std::span<const int32_t> rows = {}) const {
    self.forward(hidden, batch, s.qkv, args, past, layer);
    const int64_t width = attention_output.in_features();
    finish_rows(rows, batch.tokens(), hidden, width, s.qkv, 3 * width,
                [&](int64_t count) { finish(hidden, count, s); });
  }

  // What follows the attention, whose context is in s.qkv.
  void finish(float* hidden, int64_t tokens, const Scratch& s) const {
    attention_output.forward(s.qkv, tokens, hidden,
                             {.input_stride = 3 * attention_output.in_features(), .residual = hidden});
    attention_norm.forward(hidden, tokens, hidden);
    feed_forward.forward(hidden, tokens, s.intermediate);
    output_norm.forward(hidden, tokens, hidden);
  }
};

// Layers one after another, under any names: BERT's relatives derive theirs from BertLayer.
// hidden [tokens, hidden_size], in place; of the last layer only `rows` if there are any.
template <class Layer>
void run_layers(const std::vector<Layer>& layers, float* hidden, int64_t hidden_size, const Batch& batch, Workspace& ws,
                std::vector<OutputTensor>* hidden_states, const AttentionArgs& args = {}, Cache* past = nullptr,
                std::span<const int32_t> rows = {}) {
  record_hidden_state(hidden_states, hidden, batch.tokens(), hidden_size, ws);
  if (layers.empty()) return;
  const BertLayer::Scratch scratch = layers.front().scratch(batch.tokens(), ws);
  for (std::size_t i = 0; i < layers.size(); ++i) {
    layers[i].forward(hidden, batch, scratch, args, past, static_cast<int64_t>(i),
                      i + 1 == layers.size() ? rows : std::span<const int32_t>());
    record_hidden_state(hidden_states, hidden, batch.tokens(), hidden_size, ws);
  }
}

// The embeddings and the layers under BERT's names.
class BertBackbone {
 public:
  using Config = BertConfig;
  static constexpr std::string_view embedding_name = "embeddings.word_embeddings.weight";

  explicit BertBackbone(const BertConfig& c)
      : config_(c), embeddings_(c), layers_(static_cast<std::size_t>(c.num_hidden_layers), BertLayer(c)) {}

  void weights(WeightVisitor& w) {
    w("embeddings", embeddings_);
    w("encoder.layer", layers_);
  }

  // [tokens, hidden_size]; `rows`: those that are read, empty for all.
  const float* forward(const Batch& batch, Workspace& ws, const ForwardOptions& options,
                       std::vector<OutputTensor>* hidden_states, std::span<const int32_t> rows = {}) const {
    float* hidden = ws.floats(batch.tokens() * config_.hidden_size);
    embeddings_.forward(batch, hidden);
    run_layers(layers_, hidden, config_.hidden_size, batch, ws, hidden_states, config_.attention_args(batch),
               options.past_key_values, rows);
    return hidden;
  }

  BatchRules batch_rules() const noexcept { return config_.batch_rules(); }

 private:
  BertConfig config_;
  BertEmbeddings embeddings_;
  std::vector<BertLayer> layers_;
};

}  // namespace transformers::bert
