// MPNet: BERT's layers with one bias by distance for all of them, RoBERTa's positions and heads, no token types.
// Paper: arXiv 2004.09297.  Reference: transformers/models/mpnet/modeling_mpnet.py (5.23).
// Where it stands: models; one line in families.def registers it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "transformers/models/bert_encoder.hpp"
#include "transformers/models/encoder_heads.hpp"
#include "transformers/models/family.hpp"
#include "transformers/nn/relative_bias.hpp"

namespace transformers::mpnet {

// Fixed in Hugging Face's code, whatever the config says.
inline constexpr int64_t kPaddingIdx = 1, kNumBuckets = 32, kMaxDistance = 128;

struct MPNetConfig : bert::BertConfig {
  int64_t relative_attention_num_buckets = kNumBuckets;  // rows of the table, of which the first 32 are used

  MPNetConfig() { vocab_size = 30527; }

  void fields(FieldVisitor& f) {
    BertConfig::fields(f);
    f("relative_attention_num_buckets", relative_attention_num_buckets);
  }

  void finish() {
    BertConfig::finish();
    is_decoder = false;  // no such thing here, whatever the file says
    check_range("relative_attention_num_buckets", relative_attention_num_buckets, kNumBuckets, kMaxDimension);
    check_range("max_position_embeddings", max_position_embeddings, kPaddingIdx + 1, kMaxDimension);
  }

  int64_t longest_sequence() const noexcept { return max_position_embeddings - kPaddingIdx - 1; }
};

struct MPNetLayer : bert::BertLayer {
  using BertLayer::BertLayer;

  void weights(WeightVisitor& w) {
    self.weights(w, "attention.attn.q", "attention.attn.k", "attention.attn.v");
    w("attention.attn.o", attention_output);
    w("attention.LayerNorm", attention_norm);
    feed_forward.weights(w, "intermediate.dense", "output.dense");
    w("output.LayerNorm", output_norm);
  }
};

class MPNet {
 public:
  using Config = MPNetConfig;
  static constexpr std::string_view base_model_prefix = "mpnet";
  static constexpr std::string_view embedding_name = "embeddings.word_embeddings.weight";

  explicit MPNet(const MPNetConfig& c)
      : hidden_size_(c.hidden_size),
        word_embeddings_(c.vocab_size, c.hidden_size),
        position_embeddings_(c.max_position_embeddings, c.hidden_size),
        layer_norm_(c.hidden_size, c.layer_norm_eps),
        layers_(static_cast<std::size_t>(c.num_hidden_layers), MPNetLayer(c)),
        relative_attention_bias_(c.relative_attention_num_buckets, kNumBuckets, kMaxDistance, c.num_attention_heads,
                                 /*bidirectional=*/true) {}

  void weights(WeightVisitor& w) {
    w("embeddings.word_embeddings", word_embeddings_);
    w("embeddings.position_embeddings", position_embeddings_);
    w("embeddings.LayerNorm", layer_norm_);
    w("encoder.layer", layers_);
    w("encoder.relative_attention_bias", relative_attention_bias_);
  }

  // [tokens, hidden_size]; `rows`: those that are read, empty for all. Token types, which a BERT tokenizer may have
  // made, are not looked at.
  const float* forward(const Batch& batch, Workspace& ws, std::vector<OutputTensor>* hidden_states,
                       std::span<const int32_t> rows = {}) const {
    float* hidden = ws.floats(batch.tokens() * hidden_size_);
    embed_tokens(batch, word_embeddings_, hidden);
    position_embeddings_.forward(batch.position_ids, hidden, "position_ids", /*accumulate=*/true);
    layer_norm_.forward(hidden, batch.tokens(), hidden);
    bert::run_layers(layers_, hidden, hidden_size_, batch, ws, hidden_states, relative_attention_bias_.args(batch),
                     nullptr, rows);
    return hidden;
  }

  BatchRules batch_rules() const noexcept {
    return {.positions = BatchRules::Positions::cumulative, .padding_idx = kPaddingIdx};
  }

 private:
  int64_t hidden_size_;
  Embedding word_embeddings_, position_embeddings_;
  LayerNorm layer_norm_;
  std::vector<MPNetLayer> layers_;
  RelativeAttentionBias relative_attention_bias_;
};

struct MPNetPooler : TanhPooler {
  static constexpr std::string_view dense = "mpnet.pooler.dense", classifier = "classifier";
};

struct MPNetClassificationHead : TanhPooler {
  static constexpr std::string_view dense = "classifier.dense", classifier = "classifier.out_proj";
};

struct MPNetLMHeadNames : MaskedLMDefaults {
  static constexpr std::string_view dense = "lm_head.dense";
  static constexpr std::string_view norm = "lm_head.layer_norm";
  static constexpr std::string_view decoder = "lm_head.decoder";
  static constexpr std::string_view bias = "lm_head.bias";
  static Activation activation(const MPNetConfig&) { return Activation::gelu; }  // whatever hidden_act is
};

inline constexpr Architecture kArchitectures[] = {
    architecture<BaseModelWithPooler<MPNet, MPNetPooler>>("MPNetModel", Head::base),
    architecture<SequenceClassifier<MPNet, MPNetClassificationHead>>("MPNetForSequenceClassification",
                                                                     Head::sequence_classification),
    architecture<TokenClassifier<MPNet>>("MPNetForTokenClassification", Head::token_classification),
    architecture<QuestionAnsweringModel<MPNet>>("MPNetForQuestionAnswering", Head::question_answering),
    architecture<MultipleChoiceModel<MPNet, MPNetPooler>>("MPNetForMultipleChoice", Head::multiple_choice),
    architecture<MaskedLanguageModel<MPNet, MPNetLMHeadNames>>("MPNetForMaskedLM", Head::masked_lm),
};
inline constexpr Family kFamily{"mpnet", kArchitectures};

}  // namespace transformers::mpnet
