// BERT: encoder with learned positions and token types; post-norm layers, gelu feed-forward.
// Paper: arXiv 1810.04805.  Reference: transformers/models/bert/modeling_bert.py (5.23).
// Where it stands: models; one line in families.def registers it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "transformers/models/encoder_heads.hpp"
#include "transformers/models/family.hpp"
#include "transformers/nn/activation.hpp"
#include "transformers/nn/attention.hpp"
#include "transformers/nn/embedding.hpp"
#include "transformers/nn/linear.hpp"
#include "transformers/nn/mlp.hpp"
#include "transformers/nn/norm.hpp"

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
    PretrainedConfig::finish();
    check_range("vocab_size", vocab_size, 1, kMaxDimension);
    check_range("hidden_size", hidden_size, 1, kMaxDimension);
    check_range("num_hidden_layers", num_hidden_layers, 0, kMaxLayers);
    check_range("num_attention_heads", num_attention_heads, 1, hidden_size);
    check_range("intermediate_size", intermediate_size, 1, kMaxDimension);
    check_range("max_position_embeddings", max_position_embeddings, 1, kMaxDimension);
    check_range("type_vocab_size", type_vocab_size, 1, kMaxDimension);
    check_divides("num_attention_heads", num_attention_heads, "hidden_size", hidden_size);
    if (is_decoder) throw Error(ErrorCode::unsupported, "is_decoder: BERT as a decoder", where);
    if (position_embedding_type != "absolute") {
      throw Error(ErrorCode::unsupported,
                  "position_embedding_type \"" + position_embedding_type + "\" (supported: absolute)", where);
    }
  }
};

struct BertEmbeddings {
  Embedding word_embeddings, position_embeddings, token_type_embeddings;
  LayerNorm layer_norm;

  explicit BertEmbeddings(const BertConfig& c)
      : word_embeddings(c.vocab_size, c.hidden_size),
        position_embeddings(c.max_position_embeddings, c.hidden_size),
        token_type_embeddings(c.type_vocab_size, c.hidden_size),
        layer_norm(c.hidden_size, c.layer_norm_eps) {}

  void weights(WeightVisitor& w) {
    w("word_embeddings", word_embeddings);
    w("position_embeddings", position_embeddings);
    w("token_type_embeddings", token_type_embeddings);
    w("LayerNorm", layer_norm);
  }

  // hidden [tokens, hidden_size]; summed in Hugging Face's order: word, type, position.
  void forward(const Batch& batch, float* hidden) const {
    embed_tokens(batch, word_embeddings, hidden);
    if (batch.token_type_ids.empty()) {
      const std::vector<int32_t> zeros(static_cast<std::size_t>(batch.tokens()), 0);
      token_type_embeddings.forward(zeros, hidden, "token_type_ids", /*accumulate=*/true);
    } else {
      token_type_embeddings.forward(batch.token_type_ids, hidden, "token_type_ids", /*accumulate=*/true);
    }
    position_embeddings.forward(batch.position_ids, hidden, "position_ids", /*accumulate=*/true);
    layer_norm.forward(hidden, batch.tokens(), hidden);
  }
};

// Scratch of one layer, shared by all: qkv [tokens, 3 * hidden_size], and FeedForward's.
struct BertScratch {
  float *qkv, *intermediate;
};

struct BertLayer {
  EncoderSelfAttention self;
  Linear attention_output;
  FeedForward feed_forward;
  LayerNorm attention_norm, output_norm;

  explicit BertLayer(const BertConfig& c)
      : self(c.hidden_size, c.num_attention_heads),
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

  // hidden [tokens, hidden_size], in place.
  void forward(float* hidden, const Batch& batch, const BertScratch& s) const {
    const int64_t tokens = batch.tokens();
    self.forward(hidden, batch, s.qkv);
    attention_output.forward(s.qkv, tokens, hidden,
                             {.input_stride = 3 * attention_output.in_features(), .residual = hidden});
    attention_norm.forward(hidden, tokens, hidden);
    feed_forward.forward(hidden, tokens, s.intermediate);
    output_norm.forward(hidden, tokens, hidden);
  }
};

class Bert {
 public:
  using Config = BertConfig;
  static constexpr std::string_view base_model_prefix = "bert";
  static constexpr std::string_view embedding_name = "embeddings.word_embeddings.weight";

  explicit Bert(const BertConfig& c)
      : embeddings_(c),
        layers_(static_cast<std::size_t>(c.num_hidden_layers), BertLayer(c)),
        hidden_size_(c.hidden_size),
        activation_(activation_from_name(c.hidden_act, "hidden_act in " + c.where)) {}

  void weights(WeightVisitor& w) {
    w("embeddings", embeddings_);
    w("encoder.layer", layers_);
  }

  // [tokens, hidden_size]
  const float* forward(const Batch& batch, Workspace& ws, std::vector<OutputTensor>* hidden_states) const {
    const int64_t tokens = batch.tokens();
    float* hidden = ws.floats(tokens * hidden_size_);
    const int64_t wide = layers_.empty() ? 0 : layers_.front().feed_forward.scratch_floats(tokens);
    const BertScratch scratch{ws.floats(tokens * 3 * hidden_size_), ws.floats(wide)};
    embeddings_.forward(batch, hidden);
    record_hidden_state(hidden_states, hidden, tokens, hidden_size_, ws);
    for (const BertLayer& layer : layers_) {
      layer.forward(hidden, batch, scratch);
      record_hidden_state(hidden_states, hidden, tokens, hidden_size_, ws);
    }
    return hidden;
  }

  Activation activation() const noexcept { return activation_; }

 private:
  BertEmbeddings embeddings_;
  std::vector<BertLayer> layers_;
  int64_t hidden_size_;
  Activation activation_;
};

struct BertPooler {
  static constexpr std::string_view name = "bert.pooler.dense";
  static constexpr Activation activation = Activation::tanh;
};

struct BertMaskedLMNames {
  static constexpr std::string_view dense = "cls.predictions.transform.dense";
  static constexpr std::string_view norm = "cls.predictions.transform.LayerNorm";
  static constexpr std::string_view decoder = "cls.predictions.decoder";
  static constexpr std::string_view bias = "cls.predictions.bias";
  static float norm_eps(const BertConfig& c) { return c.layer_norm_eps; }
};

inline constexpr Architecture kArchitectures[] = {
    architecture<BaseModelWithPooler<Bert>>("BertModel", Head::base),
    architecture<SequenceClassifier<Bert, BertPooler>>("BertForSequenceClassification", Head::sequence_classification),
    architecture<TokenClassifier<Bert>>("BertForTokenClassification", Head::token_classification),
    architecture<QuestionAnsweringModel<Bert>>("BertForQuestionAnswering", Head::question_answering),
    architecture<MaskedLanguageModel<Bert, BertMaskedLMNames>>("BertForMaskedLM", Head::masked_lm),
};
inline constexpr Family kFamily{"bert", kArchitectures};

}  // namespace transformers::bert
