// ALBERT: BERT with a narrow embedding and groups of layers that are run again and again with the same weights.
// Paper: arXiv 1909.11942.  Reference: transformers/models/albert/modeling_albert.py (5.23).
// Where it stands: models; one line in families.def registers it.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "transformers/models/bert_encoder.hpp"
#include "transformers/models/encoder_heads.hpp"
#include "transformers/models/family.hpp"

namespace transformers::albert {

struct AlbertConfig : bert::BertConfig {
  int64_t embedding_size = 128, num_hidden_groups = 1, inner_group_num = 1;

  AlbertConfig() {
    vocab_size = 30000;
    hidden_size = 4096;
    num_attention_heads = 64;
    intermediate_size = 16384;
    hidden_act = "gelu_new";
  }

  void fields(FieldVisitor& f) {
    BertConfig::fields(f);
    f("embedding_size", embedding_size);
    f("num_hidden_groups", num_hidden_groups);
    f("inner_group_num", inner_group_num);
  }

  void finish() {
    BertConfig::finish();
    is_decoder = false;  // no such thing here, whatever the file says
    check_range("embedding_size", embedding_size, 1, kMaxDimension);
    check_range("num_hidden_groups", num_hidden_groups, 1, kMaxLayers);
    check_range("inner_group_num", inner_group_num, 1, kMaxLayers / num_hidden_groups);
  }

  int64_t embedding_width() const noexcept { return embedding_size; }
};

struct AlbertLayer : bert::BertLayer {
  using BertLayer::BertLayer;

  void weights(WeightVisitor& w) {
    self.weights(w, "attention.query", "attention.key", "attention.value");
    w("attention.dense", attention_output);
    w("attention.LayerNorm", attention_norm);
    feed_forward.weights(w, "ffn", "ffn_output");
    w("full_layer_layer_norm", output_norm);
  }
};

struct AlbertLayerGroup {
  std::vector<AlbertLayer> albert_layers;

  explicit AlbertLayerGroup(const AlbertConfig& c)
      : albert_layers(static_cast<std::size_t>(c.inner_group_num), AlbertLayer(c)) {}

  void weights(WeightVisitor& w) { w("albert_layers", albert_layers); }
};

class Albert {
 public:
  using Config = AlbertConfig;
  static constexpr std::string_view base_model_prefix = "albert";
  static constexpr std::string_view embedding_name = "embeddings.word_embeddings.weight";

  explicit Albert(const AlbertConfig& c)
      : config_(c),
        embeddings_(c, c.embedding_size),
        embedding_hidden_mapping_in_(c.embedding_size, c.hidden_size),
        groups_(static_cast<std::size_t>(c.num_hidden_groups), AlbertLayerGroup(c)) {}

  void weights(WeightVisitor& w) {
    w("embeddings", embeddings_);
    w("encoder.embedding_hidden_mapping_in", embedding_hidden_mapping_in_);
    w("encoder.albert_layer_groups", groups_);
  }

  // [tokens, hidden_size]
  const float* forward(const Batch& batch, Workspace& ws, std::vector<OutputTensor>* hidden_states) const {
    const int64_t tokens = batch.tokens();
    float* embedded = ws.floats(tokens * config_.embedding_size);
    float* hidden = ws.floats(tokens * config_.hidden_size);
    embeddings_.forward(batch, embedded);
    embedding_hidden_mapping_in_.forward(embedded, tokens, hidden);
    record_hidden_state(hidden_states, hidden, tokens, config_.hidden_size, ws);
    const bert::BertLayer::Scratch scratch = groups_.front().albert_layers.front().scratch(tokens, ws);
    for (int64_t i = 0; i < config_.num_hidden_layers; ++i) {
      for (const AlbertLayer& layer : group_of(i).albert_layers) {
        layer.forward(hidden, batch, scratch);
        record_hidden_state(hidden_states, hidden, tokens, config_.hidden_size, ws);
      }
    }
    return hidden;
  }

  BatchRules batch_rules() const noexcept { return {}; }

 private:
  // Hugging Face divides in floating point, which for some sizes is one group below the exact quotient.
  const AlbertLayerGroup& group_of(int64_t layer) const {
    const double layers_per_group =
        static_cast<double>(config_.num_hidden_layers) / static_cast<double>(config_.num_hidden_groups);
    return groups_[static_cast<std::size_t>(static_cast<double>(layer) / layers_per_group)];
  }

  AlbertConfig config_;
  bert::BertEmbeddings embeddings_;
  Linear embedding_hidden_mapping_in_;
  std::vector<AlbertLayerGroup> groups_;
};

struct AlbertPooler : TanhPooler {
  static constexpr std::string_view dense = "albert.pooler", classifier = "classifier";
};

struct AlbertSentenceOrder : TanhPooler {
  static constexpr std::string_view dense = "albert.pooler", classifier = "sop_classifier.classifier";
  static int64_t labels(const AlbertConfig& c) { return *c.num_labels; }
};

struct AlbertMaskedLMNames : MaskedLMDefaults {
  static constexpr std::string_view dense = "predictions.dense";
  static constexpr std::string_view norm = "predictions.LayerNorm";
  static constexpr std::string_view decoder = "predictions.decoder";
  static constexpr std::string_view bias = "predictions.bias";
};

using AlbertForPreTraining =
    PreTrainingModel<Albert, AlbertMaskedLMNames, AlbertSentenceOrder, &ModelOutput::sop_logits>;

inline constexpr Architecture kArchitectures[] = {
    architecture<BaseModelWithPooler<Albert, AlbertPooler>>("AlbertModel", Head::base),
    architecture<SequenceClassifier<Albert, AlbertPooler>>("AlbertForSequenceClassification",
                                                           Head::sequence_classification),
    architecture<TokenClassifier<Albert>>("AlbertForTokenClassification", Head::token_classification),
    architecture<QuestionAnsweringModel<Albert>>("AlbertForQuestionAnswering", Head::question_answering),
    architecture<MultipleChoiceModel<Albert, AlbertPooler>>("AlbertForMultipleChoice", Head::multiple_choice),
    architecture<MaskedLanguageModel<Albert, AlbertMaskedLMNames>>("AlbertForMaskedLM", Head::masked_lm),
    architecture<AlbertForPreTraining>("AlbertForPreTraining", Head::pre_training),
};
inline constexpr Family kFamily{"albert", kArchitectures};

}  // namespace transformers::albert
