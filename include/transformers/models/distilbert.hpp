// DistilBERT: BERT with half the layers, without token types and pooler.
// Paper: arXiv 1910.01108.  Reference: transformers/models/distilbert/modeling_distilbert.py (5.23).
// Where it stands: models; one line in families.def registers it.
#pragma once

#include <cstdint>
#include <span>
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
#include "transformers/nn/positions.hpp"
#include "transformers/nn/rows.hpp"

namespace transformers::distilbert {

// Hugging Face's layer norms are fixed at this epsilon; the config has no field for it.
inline constexpr float kLayerNormEps = 1e-12f;

struct DistilBertConfig : PretrainedConfig {
  int64_t vocab_size = 30522, hidden_size = 768, num_hidden_layers = 6, num_attention_heads = 12;
  int64_t intermediate_size = 3072, max_position_embeddings = 512;
  std::string activation = "gelu";
  bool sinusoidal_pos_embds = false;

  void fields(FieldVisitor& f) {
    PretrainedConfig::fields(f);
    f("vocab_size", vocab_size);
    f("dim", hidden_size);
    f("n_layers", num_hidden_layers);
    f("n_heads", num_attention_heads);
    f("hidden_dim", intermediate_size);
    f("activation", activation);
    f("max_position_embeddings", max_position_embeddings);
    f("sinusoidal_pos_embds", sinusoidal_pos_embds);
    // Hugging Face's attribute_map: where a config has both spellings, these count.
    f("hidden_size", hidden_size);
    f("num_hidden_layers", num_hidden_layers);
    f("num_attention_heads", num_attention_heads);
  }

  void finish() {
    PretrainedConfig::finish();
    check_range("vocab_size", vocab_size, 1, kMaxDimension);
    check_range("dim", hidden_size, 1, kMaxDimension);
    check_range("n_layers", num_hidden_layers, 0, kMaxLayers);
    check_range("n_heads", num_attention_heads, 1, hidden_size);
    check_range("hidden_dim", intermediate_size, 1, kMaxDimension);
    check_range("max_position_embeddings", max_position_embeddings, 1, kMaxDimension);
    check_divides("n_heads", num_attention_heads, "dim", hidden_size);
  }

  int64_t longest_sequence() const noexcept { return max_position_embeddings; }
};

struct Embeddings {
  Embedding word_embeddings;
  SinusoidalPositions position_embeddings;
  LayerNorm layer_norm;

  explicit Embeddings(const DistilBertConfig& c)
      : word_embeddings(c.vocab_size, c.hidden_size),
        position_embeddings(c.max_position_embeddings, c.hidden_size,
                            c.sinusoidal_pos_embds ? SinusoidalPositions::interleaved : nullptr),
        layer_norm(c.hidden_size, kLayerNormEps) {}

  void weights(WeightVisitor& w) {
    w("word_embeddings", word_embeddings);
    w("position_embeddings", position_embeddings);
    w("LayerNorm", layer_norm);
  }

  // hidden [tokens, hidden_size]. Token types, which a BERT tokenizer may have made, are not looked at.
  void forward(const Batch& batch, float* hidden) const {
    embed_tokens(batch, word_embeddings, hidden);
    position_embeddings.add(batch.position_ids, hidden);
    layer_norm.forward(hidden, batch.tokens(), hidden);
  }
};

// Scratch of one block, shared by all: qkv [tokens, 3 * dim], and FeedForward's.
struct Scratch {
  float *qkv, *ffn;
};

struct TransformerBlock {
  EncoderSelfAttention attention;
  Linear out_lin;
  FeedForward ffn;
  LayerNorm sa_layer_norm, output_layer_norm;

  explicit TransformerBlock(const DistilBertConfig& c)
      : attention(c.hidden_size, c.num_attention_heads),
        out_lin(c.hidden_size, c.hidden_size),
        ffn(c.hidden_size, c.intermediate_size, activation_from_name(c.activation, "activation in " + c.where)),
        sa_layer_norm(c.hidden_size, kLayerNormEps),
        output_layer_norm(c.hidden_size, kLayerNormEps) {}

  void weights(WeightVisitor& w) {
    attention.weights(w, "attention.q_lin", "attention.k_lin", "attention.v_lin");
    w("attention.out_lin", out_lin);
    w("sa_layer_norm", sa_layer_norm);
    ffn.weights(w, "ffn.lin1", "ffn.lin2");
    w("output_layer_norm", output_layer_norm);
  }

  // hidden [tokens, dim], in place. `rows`: see finish_rows().
  void forward(float* hidden, const Batch& batch, const Scratch& s, std::span<const int32_t> rows = {}) const {
    const int64_t dim = out_lin.in_features();
    attention.forward(hidden, batch, s.qkv);
    finish_rows(rows, batch.tokens(), hidden, dim, s.qkv, 3 * dim, [&](int64_t count) {
      out_lin.forward(s.qkv, count, hidden, {.input_stride = 3 * dim, .residual = hidden});
      sa_layer_norm.forward(hidden, count, hidden);
      ffn.forward(hidden, count, s.ffn);
      output_layer_norm.forward(hidden, count, hidden);
    });
  }
};

class DistilBert {
 public:
  using Config = DistilBertConfig;
  static constexpr std::string_view base_model_prefix = "distilbert";
  static constexpr std::string_view embedding_name = "embeddings.word_embeddings.weight";

  explicit DistilBert(const DistilBertConfig& c)
      : embeddings_(c),
        layers_(static_cast<std::size_t>(c.num_hidden_layers), TransformerBlock(c)),
        dim_(c.hidden_size) {}

  void weights(WeightVisitor& w) {
    w("embeddings", embeddings_);
    w("transformer.layer", layers_);
  }

  // [tokens, dim]; `rows`: those that are read, empty for all.
  const float* forward(const Batch& batch, Workspace& ws, std::vector<OutputTensor>* hidden_states,
                       std::span<const int32_t> rows = {}) const {
    const int64_t tokens = batch.tokens();
    float* hidden = ws.floats(tokens * dim_);
    const int64_t wide = layers_.empty() ? 0 : layers_.front().ffn.scratch_floats(tokens);
    const Scratch scratch{ws.floats(tokens * 3 * dim_), ws.floats(wide)};
    embeddings_.forward(batch, hidden);
    record_hidden_state(hidden_states, hidden, tokens, dim_, ws);
    for (const TransformerBlock& layer : layers_) {
      layer.forward(hidden, batch, scratch, &layer == &layers_.back() ? rows : std::span<const int32_t>());
      record_hidden_state(hidden_states, hidden, tokens, dim_, ws);
    }
    return hidden;
  }

  BatchRules batch_rules() const noexcept { return {}; }

 private:
  Embeddings embeddings_;
  std::vector<TransformerBlock> layers_;
  int64_t dim_;
};

struct PreClassifier {
  static constexpr std::string_view dense = "pre_classifier", classifier = "classifier";
  static Activation activation(const DistilBertConfig&) { return Activation::relu; }
};

struct MaskedLMNames {
  static constexpr std::string_view dense = "vocab_transform";
  static constexpr std::string_view norm = "vocab_layer_norm";
  static constexpr std::string_view decoder = "vocab_projector";
  static constexpr std::string_view bias = "vocab_projector.bias";
  static int64_t width(const DistilBertConfig& c) { return c.hidden_size; }
  static float norm_eps(const DistilBertConfig&) { return kLayerNormEps; }
  static Activation activation(const DistilBertConfig& c) {
    return activation_from_name(c.activation, "activation in " + c.where);
  }
};

inline constexpr Architecture kArchitectures[] = {
    architecture<BaseModel<DistilBert>>("DistilBertModel", Head::base),
    architecture<SequenceClassifier<DistilBert, PreClassifier>>("DistilBertForSequenceClassification",
                                                                Head::sequence_classification),
    architecture<TokenClassifier<DistilBert>>("DistilBertForTokenClassification", Head::token_classification),
    architecture<QuestionAnsweringModel<DistilBert>>("DistilBertForQuestionAnswering", Head::question_answering),
    architecture<MultipleChoiceModel<DistilBert, PreClassifier>>("DistilBertForMultipleChoice", Head::multiple_choice),
    architecture<MaskedLanguageModel<DistilBert, MaskedLMNames>>("DistilBertForMaskedLM", Head::masked_lm),
};
inline constexpr Family kFamily{"distilbert", kArchitectures};

}  // namespace transformers::distilbert
