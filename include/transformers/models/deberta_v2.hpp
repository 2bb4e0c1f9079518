// DeBERTa v2 and v3: BERT's layers with attention that also compares contents with positions ("disentangled"), and an
// optional convolution beside the first.
// Paper: arXiv 2006.03654, 2111.09543.  Reference: transformers/models/deberta_v2/modeling_deberta_v2.py (5.23).
// Where it stands: models; one line in families.def registers it.
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

#include "transformers/models/bert_encoder.hpp"
#include "transformers/models/encoder_heads.hpp"
#include "transformers/models/family.hpp"
#include "transformers/nn/convolution.hpp"
#include "transformers/nn/disentangled_bias.hpp"

namespace transformers::deberta_v2 {

struct DebertaV2Config : bert::BertConfig {
  bool relative_attention = false, position_biased_input = true, share_att_key = false, legacy = true;
  int64_t max_relative_positions = -1, position_buckets = -1;
  Value pos_att_type;  // null, a list, or a string with '|' between
  std::string norm_rel_ebd = "none";
  std::optional<int64_t> embedding_size, attention_head_size, pooler_hidden_size;
  std::string pooler_hidden_act = "gelu";
  int64_t conv_kernel_size = 0, conv_groups = 1;
  std::string conv_act = "tanh";

  DebertaV2Config() {
    vocab_size = 128100;
    hidden_size = 1536;
    num_hidden_layers = 24;
    num_attention_heads = 24;
    intermediate_size = 6144;
    type_vocab_size = 0;
    layer_norm_eps = 1e-7f;
  }

  void fields(FieldVisitor& f) {
    BertConfig::fields(f);
    f("relative_attention", relative_attention);
    f("max_relative_positions", max_relative_positions);
    f("position_buckets", position_buckets);
    f("position_biased_input", position_biased_input);
    f("pos_att_type", pos_att_type);
    f("share_att_key", share_att_key);
    f("norm_rel_ebd", norm_rel_ebd);
    f("embedding_size", embedding_size);
    f("attention_head_size", attention_head_size);
    f("conv_kernel_size", conv_kernel_size);
    f("conv_groups", conv_groups);
    f("conv_act", conv_act);
    f("pooler_hidden_size", pooler_hidden_size);
    f("pooler_hidden_act", pooler_hidden_act);
    f("legacy", legacy);
  }

  void finish() {
    finish_sizes();
    check_range("type_vocab_size", type_vocab_size, 0, kMaxDimension);
    check_range("embedding_size", embedding_width(), 1, kMaxDimension);
    check_range("position_buckets", position_buckets, std::numeric_limits<int32_t>::min(), kMaxDimension);
    check_range("max_relative_positions", max_relative_positions, std::numeric_limits<int32_t>::min(), kMaxDimension);
    if (max_relative_positions < 1) max_relative_positions = max_position_embeddings;
    if (position_buckets == 1) check_range("position_buckets", position_buckets, 2, kMaxDimension);
    check_same("attention_head_size", attention_head_size, hidden_size / num_attention_heads);
    check_same("pooler_hidden_size", pooler_hidden_size, hidden_size);
    if (conv_kernel_size > 0) {
      check_range("conv_kernel_size", conv_kernel_size, 1, 1 << 10);
      if (conv_kernel_size % 2 == 0) {
        throw Error(ErrorCode::invalid_argument,
                    "conv_kernel_size must be odd, found " + std::to_string(conv_kernel_size), where);
      }
      check_range("conv_groups", conv_groups, 1, std::min<int64_t>(hidden_size, 1 << 16));
      check_divides("conv_groups", conv_groups, "hidden_size", hidden_size);
    }
    if (!pos_att_type.is_null() && !pos_att_type.is_string() && !pos_att_type.is_array()) {
      throw Error(ErrorCode::invalid_argument, "pos_att_type must be a list or a string", where);
    }
  }

  // Whether `name` is among the words of pos_att_type, or of norm_rel_ebd.
  bool has_pos_att(std::string_view name) const {
    if (pos_att_type.is_string()) return among(name, pos_att_type.as_string());
    if (!pos_att_type.is_array()) return false;
    const Value::Array& list = pos_att_type.as_array();
    return std::any_of(list.begin(), list.end(),
                       [&](const Value& v) { return v.is_string() && v.as_string() == name; });
  }
  bool norms_relative_embeddings() const { return among("layer_norm", norm_rel_ebd); }

  // Without absolute positions nothing ends.
  int64_t longest_sequence() const noexcept {
    return position_biased_input ? max_position_embeddings : std::numeric_limits<int32_t>::max();
  }
  int64_t embedding_width() const noexcept { return embedding_size.value_or(hidden_size); }
  RelativeBuckets buckets() const noexcept {
    const int64_t buckets = std::max<int64_t>(position_buckets, 0);
    return {buckets > 0 ? buckets : max_relative_positions, buckets, max_relative_positions};
  }
  // One over the scores' scale: each kind of relative attention that the config names counts, used or not.
  float scale() const {
    const int64_t kinds = 1 + (has_pos_att("c2p") ? 1 : 0) + (has_pos_att("p2c") ? 1 : 0);
    return 1.0f / std::sqrt(static_cast<float>(hidden_size / num_attention_heads * kinds));
  }

 private:
  void check_same(std::string_view name, const std::optional<int64_t>& value, int64_t expected) const {
    if (value && *value != expected) check_range(name, *value, expected, expected);
  }
  // Words between '|', in any case, spaces around them.
  static bool among(std::string_view name, const std::string& words) {
    std::string word;
    for (const char c : words + "|") {
      if (c == '|') {
        if (word == name) return true;
        word.clear();
      } else if (c != ' ') {
        word += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
      }
    }
    return false;
  }
};

// What the relative attention of all layers shares in a forward pass; the biases are of the group being worked on.
struct Relative {
  std::vector<RelativeGroup> groups;
  float *query_bias = nullptr, *key_bias = nullptr;  // [rows, num_attention_heads, num_buckets]
};

struct DebertaV2Layer : bert::BertLayer {
  bool share_att_key, has_c2p, has_p2c;
  int64_t num_attention_heads;
  float scale;
  Linear pos_key_proj, pos_query_proj;
  std::optional<DisentangledBias> content_to_position, position_to_content;

  explicit DebertaV2Layer(const DebertaV2Config& c)
      : BertLayer(c, c.scale()),
        share_att_key(c.share_att_key),
        has_c2p(c.relative_attention && c.has_pos_att("c2p")),
        has_p2c(c.relative_attention && c.has_pos_att("p2c")),
        num_attention_heads(c.num_attention_heads),
        scale(c.scale()),
        pos_key_proj(c.hidden_size, c.hidden_size),
        pos_query_proj(c.hidden_size, c.hidden_size) {}

  void weights(WeightVisitor& w) {
    self.weights(w, "attention.self.query_proj", "attention.self.key_proj", "attention.self.value_proj");
    if (has_c2p && !share_att_key) w("attention.self.pos_key_proj", pos_key_proj);
    if (has_p2c && !share_att_key) w("attention.self.pos_query_proj", pos_query_proj);
    w("attention.output.dense", attention_output);
    w("attention.output.LayerNorm", attention_norm);
    feed_forward.weights(w, "intermediate.dense", "output.dense");
    w("output.LayerNorm", output_norm);
  }

  // Projects the embeddings of the buckets [buckets, hidden_size], which never change: once, at load.
  void project_positions(const float* rel_embeddings, int64_t buckets) {
    const int64_t hidden_size = attention_output.in_features(), head_dim = hidden_size / num_attention_heads;
    std::vector<float> rows(static_cast<std::size_t>(buckets * (share_att_key ? 3 : 1) * hidden_size));
    if (share_att_key) self.project(rel_embeddings, buckets, rows.data());
    const auto bias = [&](const Linear& projection, int64_t column) {
      if (!share_att_key) projection.forward(rel_embeddings, buckets, rows.data());
      const float* first = rows.data() + (share_att_key ? column : 0);
      const int64_t stride = share_att_key ? 3 * hidden_size : hidden_size;
      return DisentangledBias(first, stride, buckets, num_attention_heads, head_dim, scale);
    };
    if (has_c2p) content_to_position = bias(pos_key_proj, hidden_size);
    if (has_p2c) position_to_content = bias(pos_query_proj, 0);
  }

  // hidden [tokens, hidden_size], in place.
  void forward(float* hidden, const Batch& batch, const Scratch& s, const Relative& relative) const {
    const int64_t hidden_size = attention_output.in_features(), stride = 3 * hidden_size;
    self.project(hidden, batch.tokens(), s.qkv);
    for (const RelativeGroup& group : relative.groups) {
      float* qkv = s.qkv + group.first_row * stride;
      AttentionArgs args = group.args();
      if (content_to_position) {
        content_to_position->forward(group, qkv, stride, relative.query_bias);
        args.query_bias = relative.query_bias;
      }
      if (position_to_content) {
        position_to_content->forward(group, qkv + hidden_size, stride, relative.key_bias);
        args.key_bias = relative.key_bias;
      }
      self.attend(qkv, args);
    }
    AttentionArgs args;
    args.cu_seqlens = batch.cu_seqlens;
    args.key_lens = batch.key_lens;
    self.set_rows(s.qkv, args);
    if (relative.groups.empty()) attention(args);
    // Hugging Face masks the queries of masked tokens too.
    average_for_the_blind(batch, args, [](int64_t, int64_t) { return false; });
    finish(hidden, batch.tokens(), s);
  }
};

struct ConvLayer {
  SequenceConvolution conv;
  LayerNorm layer_norm;
  Activation conv_act;

  explicit ConvLayer(const DebertaV2Config& c)
      : conv(c.hidden_size, c.conv_kernel_size, c.conv_groups),
        layer_norm(c.hidden_size, c.layer_norm_eps),
        conv_act(activation_from_name(c.conv_act, "conv_act in " + c.where)) {}

  void weights(WeightVisitor& w) {
    conv.weights(w, "conv");
    w("LayerNorm", layer_norm);
  }
};

class DebertaV2 {
 public:
  using Config = DebertaV2Config;
  static constexpr std::string_view base_model_prefix = "deberta";
  static constexpr std::string_view embedding_name = "embeddings.word_embeddings.weight";

  explicit DebertaV2(const DebertaV2Config& c)
      : config_(c),
        word_embeddings_(c.vocab_size, c.embedding_width()),
        layer_norm_(c.hidden_size, c.layer_norm_eps),
        layers_(static_cast<std::size_t>(c.num_hidden_layers), DebertaV2Layer(c)) {
    const int64_t width = c.embedding_width();
    if (c.position_biased_input) position_embeddings_.emplace(c.max_position_embeddings, width);
    if (c.type_vocab_size > 0) token_type_embeddings_.emplace(c.type_vocab_size, width);
    if (width != c.hidden_size) embed_proj_.emplace(width, c.hidden_size, Linear::Bias::no);
    if (c.relative_attention) rel_embeddings_.emplace(2 * c.buckets().span, c.hidden_size);
    if (c.norms_relative_embeddings()) rel_layer_norm_.emplace(c.hidden_size, c.layer_norm_eps);
    if (c.conv_kernel_size > 0) conv_.emplace(c);
  }

  void weights(WeightVisitor& w) {
    w("embeddings.word_embeddings", word_embeddings_);
    if (position_embeddings_) w("embeddings.position_embeddings", *position_embeddings_);
    if (token_type_embeddings_) w("embeddings.token_type_embeddings", *token_type_embeddings_);
    if (embed_proj_) w("embeddings.embed_proj", *embed_proj_);
    w("embeddings.LayerNorm", layer_norm_);
    w("encoder.layer", layers_);
    if (rel_embeddings_) w("encoder.rel_embeddings", *rel_embeddings_);
    if (rel_layer_norm_) w("encoder.LayerNorm", *rel_layer_norm_);
    if (conv_) w("encoder.conv", *conv_);
    project_positions();
  }

  // [tokens, hidden_size]
  const float* forward(const Batch& batch, Workspace& ws, std::vector<OutputTensor>* hidden_states) const {
    const int64_t tokens = batch.tokens(), hidden_size = config_.hidden_size;
    float* hidden = ws.floats(tokens * hidden_size);
    embed(batch, ws, hidden);
    record_hidden_state(hidden_states, hidden, tokens, hidden_size, ws);
    if (layers_.empty()) return hidden;

    const float* embedded = hidden;
    if (conv_) {
      float* copy = ws.floats(tokens * hidden_size);
      std::copy_n(hidden, tokens * hidden_size, copy);
      embedded = copy;
    }
    const Relative relative = relative_of(batch, ws);
    const DebertaV2Layer::Scratch scratch = layers_.front().scratch(tokens, ws);
    for (const DebertaV2Layer& layer : layers_) {
      layer.forward(hidden, batch, scratch, relative);
      if (conv_ && &layer == &layers_.front()) convolve(embedded, batch, ws, hidden);
      record_hidden_state(hidden_states, hidden, tokens, hidden_size, ws);
    }
    return hidden;
  }

  BatchRules batch_rules() const noexcept { return {.masked_together = true}; }

 private:
  void embed(const Batch& batch, Workspace& ws, float* hidden) const {
    const int64_t tokens = batch.tokens();
    float* embedded = embed_proj_ ? ws.floats(tokens * word_embeddings_.embedding_dim()) : hidden;
    embed_tokens(batch, word_embeddings_, embedded);
    if (position_embeddings_) position_embeddings_->forward(batch.position_ids, embedded, "position_ids", true);
    if (token_type_embeddings_) add_token_types(batch, *token_type_embeddings_, embedded);
    if (embed_proj_) embed_proj_->forward(embedded, tokens, hidden);
    layer_norm_.forward(hidden, tokens, hidden);
    clear_masked(batch, hidden);
  }

  // hidden = norm(hidden + act(conv(embedded))), what the first layer and the convolution beside it give.
  void convolve(const float* embedded, const Batch& batch, Workspace& ws, float* hidden) const {
    const int64_t tokens = batch.tokens(), count = tokens * config_.hidden_size;
    float* out = ws.floats(count);
    conv_->conv.forward(embedded, batch, ws, out);
    activate(conv_->conv_act, out, count);
    for (int64_t i = 0; i < count; ++i) hidden[i] += out[i];
    conv_->layer_norm.forward(hidden, tokens, hidden);
    clear_masked(batch, hidden);
  }

  // Rows of masked tokens are multiplied by their mask.
  void clear_masked(const Batch& batch, float* hidden) const {
    for (std::size_t s = 0; s < batch.key_lens.size(); ++s) {
      std::fill(hidden + (batch.cu_seqlens[s] + batch.key_lens[s]) * config_.hidden_size,
                hidden + batch.cu_seqlens[s + 1] * config_.hidden_size, 0.0f);
    }
  }

  void project_positions() {
    if (!rel_embeddings_ || !rel_embeddings_->table().defined()) return;
    const int64_t buckets = rel_embeddings_->num_embeddings();
    const Tensor table = rel_embeddings_->table().to_float32();
    std::vector<float> rows(table.data<float>(), table.data<float>() + table.size());
    if (rel_layer_norm_) rel_layer_norm_->forward(rows.data(), buckets, rows.data());
    for (DebertaV2Layer& layer : layers_) layer.project_positions(rows.data(), buckets);
  }

  Relative relative_of(const Batch& batch, Workspace& ws) const {
    const DebertaV2Layer& layer = layers_.front();
    if (!layer.has_c2p && !layer.has_p2c) return {};
    Relative relative{.groups = relative_groups(batch, config_.buckets())};
    int64_t floats = 0;
    for (const RelativeGroup& g : relative.groups) {
      floats = std::max(floats, g.rows * config_.num_attention_heads * g.num_buckets);
    }
    if (layer.has_c2p) relative.query_bias = ws.floats(floats);
    if (layer.has_p2c) relative.key_bias = ws.floats(floats);
    return relative;
  }

  DebertaV2Config config_;
  Embedding word_embeddings_;
  std::optional<Embedding> position_embeddings_, token_type_embeddings_, rel_embeddings_;
  std::optional<Linear> embed_proj_;
  LayerNorm layer_norm_;
  std::optional<LayerNorm> rel_layer_norm_;
  std::vector<DebertaV2Layer> layers_;
  std::optional<ConvLayer> conv_;
};

struct ContextPooler {
  static constexpr std::string_view dense = "pooler.dense", classifier = "classifier";
  static Activation activation(const DebertaV2Config& c) {
    return activation_from_name(c.pooler_hidden_act, "pooler_hidden_act in " + c.where);
  }
};

struct LegacyMaskedLMNames : MaskedLMDefaults {
  static constexpr std::string_view dense = "cls.predictions.transform.dense";
  static constexpr std::string_view norm = "cls.predictions.transform.LayerNorm";
  static constexpr std::string_view decoder = "cls.predictions.decoder";
  static constexpr std::string_view bias = "cls.predictions.bias";
};

// Without `legacy`: always the words' matrix behind a norm as wide as they are.
struct MaskedLMNames : MaskedLMDefaults {
  static constexpr std::string_view dense = "lm_predictions.lm_head.dense";
  static constexpr std::string_view norm = "lm_predictions.lm_head.LayerNorm";
  static constexpr std::string_view decoder = "lm_predictions.lm_head.decoder";
  static constexpr std::string_view bias = "lm_predictions.lm_head.bias";
};

class DebertaV2ForMaskedLM : public EncoderModel<DebertaV2> {
 public:
  explicit DebertaV2ForMaskedLM(DebertaV2Config c) : EncoderModel(std::move(c)), head_(LegacyHead(config_)) {
    if (config_.legacy) return;
    config_.check_range("embedding_size", config_.embedding_width(), config_.hidden_size, config_.hidden_size);
    head_ = Head(config_);
  }

  void weights(WeightVisitor& w) override {
    w("deberta", backbone_);
    std::visit([&](auto& head) { head.weights(w); }, head_);
  }

 protected:
  ModelOutput compute(const Batch& batch, Workspace& ws, const ForwardOptions& options) const override {
    ModelOutput out;
    const float* hidden = encode(batch, ws, options, out);
    std::visit([&](const auto& head) { out.logits = kept_output(hidden, head, options.logits_to_keep, batch, ws); },
               head_);
    return out;
  }

 private:
  using LegacyHead = MaskedLMHead<DebertaV2, LegacyMaskedLMNames>;
  using Head = MaskedLMHead<DebertaV2, MaskedLMNames>;
  std::variant<LegacyHead, Head> head_;
};

inline constexpr Architecture kArchitectures[] = {
    architecture<BaseModel<DebertaV2>>("DebertaV2Model", Head::base),
    architecture<SequenceClassifier<DebertaV2, ContextPooler>>("DebertaV2ForSequenceClassification",
                                                               Head::sequence_classification),
    architecture<TokenClassifier<DebertaV2>>("DebertaV2ForTokenClassification", Head::token_classification),
    architecture<QuestionAnsweringModel<DebertaV2>>("DebertaV2ForQuestionAnswering", Head::question_answering),
    architecture<MultipleChoiceModel<DebertaV2, ContextPooler>>("DebertaV2ForMultipleChoice", Head::multiple_choice),
    architecture<DebertaV2ForMaskedLM>("DebertaV2ForMaskedLM", Head::masked_lm),
};
inline constexpr Family kFamily{"deberta-v2", kArchitectures};

}  // namespace transformers::deberta_v2
