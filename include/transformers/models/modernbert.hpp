// ModernBERT: pre-norm encoder with rotary positions, gated feed-forward, and layers that see a window of the sequence
// or all of it in turn.
// Paper: arXiv 2412.13663.  Reference: transformers/models/modernbert/modeling_modernbert.py (5.23).
// Where it stands: models; one line in families.def registers it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "transformers/models/encoder_heads.hpp"
#include "transformers/models/family.hpp"
#include "transformers/nn/attention.hpp"
#include "transformers/nn/embedding.hpp"
#include "transformers/nn/mlp.hpp"
#include "transformers/nn/rotary.hpp"

namespace transformers::modernbert {

struct ModernBertConfig : PretrainedConfig {
  int64_t vocab_size = 50368, hidden_size = 768, intermediate_size = 1152, num_hidden_layers = 22;
  int64_t num_attention_heads = 12, max_position_embeddings = 8192, local_attention = 128;
  int64_t global_attn_every_n_layers = 3;  // 4.x; 5.x writes layer_types
  std::vector<std::string> layer_types;
  std::optional<int64_t> sliding_window;  // half of local_attention, where a config says that instead
  std::string hidden_activation = "gelu", classifier_activation = "gelu", classifier_pooling = "cls";
  float norm_eps = 1e-5f;
  bool norm_bias = false, attention_bias = false, mlp_bias = false, decoder_bias = true, classifier_bias = false;
  std::optional<float> global_rope_theta, local_rope_theta;  // 4.x
  Value rope_parameters, rope_scaling;

  void fields(FieldVisitor& f) {
    PretrainedConfig::fields(f);
    f("vocab_size", vocab_size);
    f("hidden_size", hidden_size);
    f("intermediate_size", intermediate_size);
    f("num_hidden_layers", num_hidden_layers);
    f("num_attention_heads", num_attention_heads);
    f("hidden_activation", hidden_activation);
    f("max_position_embeddings", max_position_embeddings);
    f("norm_eps", norm_eps);
    f("norm_bias", norm_bias);
    f("attention_bias", attention_bias);
    f("layer_types", layer_types);
    f("global_attn_every_n_layers", global_attn_every_n_layers);
    f("local_attention", local_attention);
    f("sliding_window", sliding_window);
    f("rope_parameters", rope_parameters);
    f("rope_scaling", rope_scaling);
    f("global_rope_theta", global_rope_theta);
    f("local_rope_theta", local_rope_theta);
    f("mlp_bias", mlp_bias);
    f("decoder_bias", decoder_bias);
    f("classifier_pooling", classifier_pooling);
    f("classifier_bias", classifier_bias);
    f("classifier_activation", classifier_activation);
  }

  void finish() {
    PretrainedConfig::finish();
    check_range("vocab_size", vocab_size, 1, kMaxDimension);
    check_range("hidden_size", hidden_size, 1, kMaxDimension);
    check_range("intermediate_size", intermediate_size, 1, kMaxDimension);
    check_range("num_hidden_layers", num_hidden_layers, 0, kMaxLayers);
    check_range("num_attention_heads", num_attention_heads, 1, hidden_size);
    check_divides("num_attention_heads", num_attention_heads, "hidden_size", hidden_size);
    check_range("max_position_embeddings", max_position_embeddings, 1, kMaxDimension);
    if (sliding_window) local_attention = 2 * std::clamp<int64_t>(*sliding_window, -1, kMaxDimension);
    check_range("local_attention", local_attention, 0, 2 * kMaxDimension);
    if (layer_types.empty()) {
      check_range("global_attn_every_n_layers", global_attn_every_n_layers, 1, std::numeric_limits<int32_t>::max());
      for (int64_t i = 0; i < num_hidden_layers; ++i) {
        layer_types.emplace_back(i % global_attn_every_n_layers != 0 ? "sliding_attention" : "full_attention");
      }
    }
    if (static_cast<int64_t>(layer_types.size()) < num_hidden_layers) {
      throw Error(ErrorCode::invalid_argument,
                  "layer_types has " + std::to_string(layer_types.size()) +
                      " entries for num_hidden_layers=" + std::to_string(num_hidden_layers),
                  where);
    }
    for (const std::string& type : layer_types) {
      if (type == "sliding_attention" || type == "full_attention") continue;
      throw Error(ErrorCode::unsupported, "layer type \"" + type + "\" (supported: full_attention, sliding_attention)",
                  where);
    }
    if (classifier_pooling != "cls" && classifier_pooling != "mean") {
      throw Error(ErrorCode::invalid_argument,
                  "classifier_pooling must be cls or mean, found \"" + classifier_pooling + "\"", where);
    }
  }

  // Positions are computed: nothing ends at max_position_embeddings.
  int64_t longest_sequence() const noexcept { return std::numeric_limits<int32_t>::max(); }
  bool slides(int64_t layer) const { return layer_types[static_cast<std::size_t>(layer)] == "sliding_attention"; }
  Linear::Bias bias(bool wanted) const noexcept { return wanted ? Linear::Bias::yes : Linear::Bias::no; }

  // Of the layers that slide, or of the others: 5.x has an object for each kind, 4.x one base for each.
  RotaryEmbedding rope(bool sliding) const {
    RopeConfig rope;
    rope.rope_theta = sliding ? local_rope_theta : global_rope_theta;
    rope.rope_parameters =
        rope_parameters_of(rope_parameters, sliding ? "sliding_attention" : "full_attention", rope_scaling);
    return {rope.parameters(sliding ? 10000.0f : 160000.0f), hidden_size / num_attention_heads, max_position_embeddings,
            where};
  }
};

// Scratch of one layer, shared by all: normed [tokens, hidden_size], qkv [tokens, 3 * hidden_size], and GatedMLP's.
struct Scratch {
  float *normed, *qkv, *mlp;
};

struct ModernBertEncoderLayer {
  EncoderSelfAttention attn;
  Linear Wo;
  std::optional<LayerNorm> attn_norm;  // not in layer 0
  LayerNorm mlp_norm;
  GatedMLP mlp;
  int64_t num_attention_heads, head_dim;
  bool slides;
  int64_t local_window;

  ModernBertEncoderLayer(const ModernBertConfig& c, int64_t layer)
      : attn(c.hidden_size, c.num_attention_heads, c.bias(c.attention_bias)),
        Wo(c.hidden_size, c.hidden_size, c.bias(c.attention_bias)),
        mlp_norm(c.hidden_size, c.norm_eps, c.norm_bias),
        mlp(c.hidden_size, c.intermediate_size,
            activation_from_name(c.hidden_activation, "hidden_activation in " + c.where), c.bias(c.mlp_bias)),
        num_attention_heads(c.num_attention_heads),
        head_dim(c.hidden_size / c.num_attention_heads),
        slides(c.slides(layer)),
        local_window(std::max<int64_t>(1, c.local_attention)) {
    if (layer > 0) attn_norm.emplace(c.hidden_size, c.norm_eps, c.norm_bias);
  }

  void weights(WeightVisitor& w) {
    if (attn_norm) w("attn_norm", *attn_norm);
    attn.weights(w, "attn.Wqkv");
    w("attn.Wo", Wo);
    w("mlp_norm", mlp_norm);
    mlp.weights(w, "mlp.Wi", "mlp.Wo");
  }

  // hidden [tokens, hidden_size], in place.
  void forward(float* hidden, const Batch& batch, const Scratch& s, const RotaryAngles& angles) const {
    const int64_t tokens = batch.tokens(), hidden_size = Wo.in_features();
    if (attn_norm) attn_norm->forward(hidden, tokens, s.normed);
    attn.project(attn_norm ? s.normed : hidden, tokens, s.qkv);
    angles.turn(s.qkv, 3 * hidden_size, tokens, 2 * num_attention_heads, head_dim);  // queries and keys
    AttentionArgs args;
    args.cu_seqlens = batch.cu_seqlens;
    args.key_lens = batch.key_lens;
    if (slides) {
      args.local_window = local_window;
      args.query_positions = args.key_positions = batch.columns;
    }
    attn.attend(s.qkv, args);
    if (slides) average_for_the_blind(batch, args);
    Wo.forward(s.qkv, tokens, hidden, {.input_stride = 3 * hidden_size, .residual = hidden});
    mlp_norm.forward(hidden, tokens, s.normed);
    mlp.forward(s.normed, tokens, s.mlp, hidden, hidden);
  }
};

class ModernBert {
 public:
  using Config = ModernBertConfig;
  static constexpr std::string_view base_model_prefix = "model";
  static constexpr std::string_view embedding_name = "embeddings.tok_embeddings.weight";

  explicit ModernBert(const ModernBertConfig& c)
      : hidden_size_(c.hidden_size),
        tok_embeddings_(c.vocab_size, c.hidden_size),
        norm_(c.hidden_size, c.norm_eps, c.norm_bias),
        final_norm_(c.hidden_size, c.norm_eps, c.norm_bias),
        full_(c.rope(false)),
        sliding_(c.rope(true)) {
    for (int64_t i = 0; i < c.num_hidden_layers; ++i) layers_.emplace_back(c, i);
  }

  void weights(WeightVisitor& w) {
    w("embeddings.tok_embeddings", tok_embeddings_);
    w("embeddings.norm", norm_);
    w("layers", layers_);
    w("final_norm", final_norm_);
  }

  // [tokens, hidden_size]. Token types, which a BERT tokenizer may have made, are not looked at.
  const float* forward(const Batch& batch, Workspace& ws, std::vector<OutputTensor>* hidden_states) const {
    const int64_t tokens = batch.tokens();
    float* hidden = ws.floats(tokens * hidden_size_);
    embed_tokens(batch, tok_embeddings_, hidden);
    norm_.forward(hidden, tokens, hidden);
    const RotaryAngles full = angles(full_, batch, ws), sliding = angles(sliding_, batch, ws);
    const Scratch scratch{ws.floats(tokens * hidden_size_), ws.floats(tokens * 3 * hidden_size_),
                          ws.floats(layers_.empty() ? 0 : layers_.front().mlp.scratch_floats(tokens))};
    for (const ModernBertEncoderLayer& layer : layers_) {
      record_hidden_state(hidden_states, hidden, tokens, hidden_size_, ws);
      layer.forward(hidden, batch, scratch, layer.slides ? sliding : full);
    }
    final_norm_.forward(hidden, tokens, hidden);
    record_hidden_state(hidden_states, hidden, tokens, hidden_size_, ws);  // the last one is normed
    return hidden;
  }

  BatchRules batch_rules() const noexcept { return {.masked_together = true}; }

 private:
  static RotaryAngles angles(const RotaryEmbedding& rope, const Batch& batch, Workspace& ws) {
    const int64_t floats = batch.tokens() * (rope.rotary_dim() / 2);
    float* cos = ws.floats(floats);
    float* sin = ws.floats(floats);
    rope.forward(batch, nullptr, cos, sin);
    return {cos, sin, rope.rotary_dim()};
  }

  int64_t hidden_size_;
  Embedding tok_embeddings_;
  LayerNorm norm_, final_norm_;
  RotaryEmbedding full_, sliding_;
  std::vector<ModernBertEncoderLayer> layers_;
};

// Every head begins with norm(act(dense(x))) and ends in one matrix.
class ModernBertHead : public EncoderModel<ModernBert> {
 public:
  ModernBertHead(ModernBertConfig c, std::string_view name, int64_t outputs, Linear::Bias bias = Linear::Bias::yes)
      : EncoderModel(std::move(c)),
        dense_(hidden_size(), hidden_size(), config_.bias(config_.classifier_bias)),
        norm_(hidden_size(), config_.norm_eps, config_.norm_bias),
        out_(hidden_size(), outputs, bias),
        act_(activation_from_name(config_.classifier_activation, "classifier_activation in " + config_.where)),
        name_(name) {}

  void weights(WeightVisitor& w) override {
    w("model", backbone_);
    w("head.dense", dense_);
    w("head.norm", norm_);
    const std::string name(name_), words = "model." + std::string(ModernBert::embedding_name);
    std::vector<std::string> names{name + ".weight"};
    if (name_ == "decoder" && config_.tie_word_embeddings) names.push_back(words);
    out_.weights(w, std::move(names), {name + ".bias"});
  }

  // x [rows, hidden_size] -> [rows, outputs]
  float* forward(const float* x, int64_t rows, Workspace& ws) const {
    float* transformed = ws.floats(rows * hidden_size());
    float* out = ws.floats(rows * out_.out_features());
    dense_.forward(x, rows, transformed, {.activation = act_});
    norm_.forward(transformed, rows, transformed);
    out_.forward(transformed, rows, out);
    return out;
  }
  using EncoderModel::forward;

 protected:
  // What classifier_pooling says, [batch, hidden_size]: the token of pooled_rows, or the mean over the attended ones.
  float* pool(const float* hidden, const Batch& batch, Workspace& ws) const {
    if (config_.classifier_pooling == "cls") return pooled_tokens(hidden, batch, ws);
    float* means = ws.floats(batch.batch_size() * hidden_size());
    std::fill_n(means, batch.batch_size() * hidden_size(), 0.0f);
    for (int64_t i = 0; i < batch.batch_size(); ++i) {
      const int64_t begin = batch.cu_seqlens[static_cast<std::size_t>(i)];
      const int64_t keys = batch.key_lens[static_cast<std::size_t>(i)];
      float* mean = means + i * hidden_size();
      for (int64_t t = begin; t < begin + keys; ++t) {
        for (int64_t d = 0; d < hidden_size(); ++d) mean[d] += hidden[t * hidden_size() + d];
      }
      for (int64_t d = 0; d < hidden_size() && keys > 0; ++d) mean[d] /= static_cast<float>(keys);
    }
    return means;
  }
  BatchRules pooling_rules(BatchRules::Pooled cls) const noexcept {
    return rules_with(config_.classifier_pooling == "cls" ? cls : BatchRules::Pooled::none);
  }
  int64_t outputs() const noexcept { return out_.out_features(); }

 private:
  Linear dense_;
  LayerNorm norm_;
  Linear out_;
  Activation act_;
  std::string_view name_;
};

class ModernBertForMaskedLM : public ModernBertHead {
 public:
  explicit ModernBertForMaskedLM(const ModernBertConfig& c)
      : ModernBertHead(c, "decoder", c.vocab_size, c.bias(c.decoder_bias)) {}

 protected:
  ModelOutput compute(const Batch& batch, Workspace& ws, const ForwardOptions& options) const override {
    ModelOutput out;
    const float* hidden = encode(batch, ws, options, out);
    out.logits = kept_output(hidden, *this, options.logits_to_keep, batch, ws);
    return out;
  }
};

class ModernBertForSequenceClassification : public ModernBertHead {
 public:
  explicit ModernBertForSequenceClassification(const ModernBertConfig& c)
      : ModernBertHead(c, "classifier", *c.num_labels) {}
  BatchRules batch_rules() const noexcept override { return pooling_rules(BatchRules::Pooled::first); }

 protected:
  ModelOutput compute(const Batch& batch, Workspace& ws, const ForwardOptions& options) const override {
    ModelOutput out;
    const float* hidden = encode(batch, ws, options, out);
    float* logits = forward(pool(hidden, batch, ws), batch.batch_size(), ws);
    out.logits = sequence_output(logits, outputs(), batch);
    return out;
  }
};

class ModernBertForMultipleChoice : public ModernBertHead {
 public:
  explicit ModernBertForMultipleChoice(const ModernBertConfig& c) : ModernBertHead(c, "classifier", 1) {}
  BatchRules batch_rules() const noexcept override {
    BatchRules rules = pooling_rules(BatchRules::Pooled::first_key);
    rules.multiple_choice = true;
    return rules;
  }

 protected:
  ModelOutput compute(const Batch& batch, Workspace& ws, const ForwardOptions& options) const override {
    ModelOutput out;
    const float* hidden = encode(batch, ws, options, out);
    out.logits = choice_output(forward(pool(hidden, batch, ws), batch.batch_size(), ws), batch);
    return out;
  }
};

class ModernBertForTokenClassification : public ModernBertHead {
 public:
  explicit ModernBertForTokenClassification(const ModernBertConfig& c)
      : ModernBertHead(c, "classifier", *c.num_labels) {}

 protected:
  ModelOutput compute(const Batch& batch, Workspace& ws, const ForwardOptions& options) const override {
    ModelOutput out;
    const float* hidden = encode(batch, ws, options, out);
    out.logits = token_output(forward(hidden, batch.tokens(), ws), outputs(), batch);
    return out;
  }
};

class ModernBertForQuestionAnswering : public ModernBertHead {
 public:
  explicit ModernBertForQuestionAnswering(const ModernBertConfig& c) : ModernBertHead(c, "classifier", *c.num_labels) {
    check_span_labels();
  }

 protected:
  ModelOutput compute(const Batch& batch, Workspace& ws, const ForwardOptions& options) const override {
    ModelOutput out;
    const float* hidden = encode(batch, ws, options, out);
    span_outputs(forward(hidden, batch.tokens(), ws), batch, ws, out);
    return out;
  }
};

inline constexpr Architecture kArchitectures[] = {
    architecture<BaseModel<ModernBert>>("ModernBertModel", Head::base),
    architecture<ModernBertForSequenceClassification>("ModernBertForSequenceClassification",
                                                      Head::sequence_classification),
    architecture<ModernBertForTokenClassification>("ModernBertForTokenClassification", Head::token_classification),
    architecture<ModernBertForQuestionAnswering>("ModernBertForQuestionAnswering", Head::question_answering),
    architecture<ModernBertForMultipleChoice>("ModernBertForMultipleChoice", Head::multiple_choice),
    architecture<ModernBertForMaskedLM>("ModernBertForMaskedLM", Head::masked_lm),
};
inline constexpr Family kFamily{"modernbert", kArchitectures};

}  // namespace transformers::modernbert
