// ELECTRA: BERT with a narrow embedding; the discriminator says which tokens were replaced, the generator fills masks.
// Paper: arXiv 2003.10555.  Reference: transformers/models/electra/modeling_electra.py (5.23).
// Where it stands: models; one line in families.def registers it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "transformers/models/bert_encoder.hpp"
#include "transformers/models/encoder_heads.hpp"
#include "transformers/models/family.hpp"

namespace transformers::electra {

struct ElectraConfig : bert::BertConfig {
  int64_t embedding_size = 128;
  std::string summary_type = "first";
  bool summary_use_proj = true;
  std::optional<std::string> summary_activation = "gelu";

  ElectraConfig() {
    hidden_size = 256;
    num_attention_heads = 4;
    intermediate_size = 1024;
  }

  void fields(FieldVisitor& f) {
    BertConfig::fields(f);
    f("embedding_size", embedding_size);
    f("summary_type", summary_type);
    f("summary_use_proj", summary_use_proj);
    f("summary_activation", summary_activation);
  }

  void finish() {
    BertConfig::finish();
    check_range("embedding_size", embedding_size, 1, kMaxDimension);
  }

  int64_t embedding_width() const noexcept { return embedding_size; }
};

class Electra {
 public:
  using Config = ElectraConfig;
  static constexpr std::string_view base_model_prefix = "electra";
  static constexpr std::string_view embedding_name = "embeddings.word_embeddings.weight";

  explicit Electra(const ElectraConfig& c)
      : config_(c),
        embeddings_(c, c.embedding_size),
        layers_(static_cast<std::size_t>(c.num_hidden_layers), bert::BertLayer(c)) {
    if (c.embedding_size != c.hidden_size) embeddings_project_.emplace(c.embedding_size, c.hidden_size);
  }

  void weights(WeightVisitor& w) {
    w("embeddings", embeddings_);
    if (embeddings_project_) w("embeddings_project", *embeddings_project_);
    w("encoder.layer", layers_);
  }

  // [tokens, hidden_size]; `rows`: those that are read, empty for all.
  const float* forward(const Batch& batch, Workspace& ws, const ForwardOptions& options,
                       std::vector<OutputTensor>* hidden_states, std::span<const int32_t> rows = {}) const {
    const int64_t tokens = batch.tokens();
    float* hidden = ws.floats(tokens * config_.hidden_size);
    if (embeddings_project_) {
      float* embedded = ws.floats(tokens * config_.embedding_size);
      embeddings_.forward(batch, embedded);
      embeddings_project_->forward(embedded, tokens, hidden);
    } else {
      embeddings_.forward(batch, hidden);
    }
    bert::run_layers(layers_, hidden, config_.hidden_size, batch, ws, hidden_states, config_.attention_args(batch),
                     options.past_key_values, rows);
    return hidden;
  }

  BatchRules batch_rules() const noexcept { return config_.batch_rules(); }

 private:
  ElectraConfig config_;
  bert::BertEmbeddings embeddings_;
  std::optional<Linear> embeddings_project_;
  std::vector<bert::BertLayer> layers_;
};

struct ElectraClassificationHead {
  static constexpr std::string_view dense = "classifier.dense", classifier = "classifier.out_proj";
  static Activation activation(const ElectraConfig&) { return Activation::gelu; }
};

struct ElectraGeneratorNames : MaskedLMDefaults {
  static constexpr std::string_view dense = "generator_predictions.dense";
  static constexpr std::string_view norm = "generator_predictions.LayerNorm";
  static constexpr std::string_view decoder = "generator_lm_head";
  static constexpr std::string_view bias = "generator_lm_head.bias";
  static Activation activation(const ElectraConfig&) { return Activation::gelu; }
};

// The discriminator: dense_prediction(act(dense(hidden))), one score for every token.
class ElectraForPreTraining : public EncoderModel<Electra> {
 public:
  explicit ElectraForPreTraining(ElectraConfig c)
      : EncoderModel(std::move(c)),
        dense_(hidden_size(), hidden_size()),
        dense_prediction_(hidden_size(), 1),
        activation_(activation_from_name(config_.hidden_act, "hidden_act in " + config_.where)) {}

  void weights(WeightVisitor& w) override {
    w("electra", backbone_);
    w("discriminator_predictions.dense", dense_);
    w("discriminator_predictions.dense_prediction", dense_prediction_);
  }

 protected:
  ModelOutput compute(const Batch& batch, Workspace& ws, const ForwardOptions& options) const override {
    ModelOutput out;
    const float* hidden = encode(batch, ws, options, out);
    float* transformed = ws.floats(batch.tokens() * hidden_size());
    float* logits = ws.floats(batch.tokens());
    dense_.forward(hidden, batch.tokens(), transformed, {.activation = activation_});
    dense_prediction_.forward(transformed, batch.tokens(), logits);
    out.logits = OutputTensor{logits, batch.tokens(), 1, OutputTensor::Rows::tokens, true};
    return out;
  }

 private:
  Linear dense_, dense_prediction_;
  Activation activation_;
};

// classifier(activation(summary(one vector of the sequence))): which vector, and what of the rest there is, the
// config's summary_... say. The mean is over all positions, masked ones too, as in Hugging Face.
class ElectraForMultipleChoice : public EncoderModel<Electra> {
 public:
  explicit ElectraForMultipleChoice(ElectraConfig c) : EncoderModel(std::move(c)), classifier_(hidden_size(), 1) {
    using Pooled = BatchRules::Pooled;
    const std::string& type = config_.summary_type;
    if (type == "first") {
      pooled_ = Pooled::first;
    } else if (type == "last" || type == "cls_index") {  // no cls_index is ever given: Hugging Face takes the last
      pooled_ = Pooled::last;
    } else if (type == "mean") {
      pooled_ = Pooled::all;
    } else {
      throw Error(ErrorCode::unsupported, "summary_type \"" + type + "\" (supported: first, last, mean, cls_index)",
                  config_.where);
    }
    if (config_.summary_use_proj) summary_.emplace(hidden_size(), hidden_size());
    if (config_.summary_activation && !config_.summary_activation->empty()) {
      activation_ = activation_from_name(*config_.summary_activation, "summary_activation in " + config_.where);
    }
  }

  void weights(WeightVisitor& w) override {
    w("electra", backbone_);
    if (summary_) w("sequence_summary.summary", *summary_);
    w("classifier", classifier_);
  }
  BatchRules batch_rules() const noexcept override {
    BatchRules rules = rules_with(pooled_);
    rules.multiple_choice = true;
    return rules;
  }

 protected:
  ModelOutput compute(const Batch& batch, Workspace& ws, const ForwardOptions& options) const override {
    ModelOutput out;
    const float* hidden = encode(batch, ws, options, out, batch.pooled_rows);
    const int64_t sequences = batch.batch_size();
    float* vector = pooled_ == BatchRules::Pooled::all ? mean(hidden, batch, ws) : pooled_tokens(hidden, batch, ws);
    if (summary_) {
      float* projected = ws.floats(sequences * hidden_size());
      summary_->forward(vector, sequences, projected);
      vector = projected;
    }
    activate(activation_, vector, sequences * hidden_size());
    float* logits = ws.floats(sequences);
    classifier_.forward(vector, sequences, logits);
    out.logits = choice_output(logits, batch);
    return out;
  }

 private:
  float* mean(const float* hidden, const Batch& batch, Workspace& ws) const {
    float* means = ws.floats(batch.batch_size() * hidden_size());
    std::fill_n(means, batch.batch_size() * hidden_size(), 0.0f);
    for (int64_t i = 0; i < batch.batch_size(); ++i) {
      const int64_t begin = batch.cu_seqlens[static_cast<std::size_t>(i)];
      const int64_t end = batch.cu_seqlens[static_cast<std::size_t>(i) + 1];
      for (int64_t d = 0; d < hidden_size() && end > begin; ++d) {
        float sum = 0;
        for (int64_t t = begin; t < end; ++t) sum += hidden[t * hidden_size() + d];
        means[i * hidden_size() + d] = sum / static_cast<float>(end - begin);
      }
    }
    return means;
  }

  std::optional<Linear> summary_;
  Linear classifier_;
  BatchRules::Pooled pooled_;
  Activation activation_ = Activation::none;
};

inline constexpr Architecture kArchitectures[] = {
    architecture<BaseModel<Electra>>("ElectraModel", Head::base),
    architecture<SequenceClassifier<Electra, ElectraClassificationHead>>("ElectraForSequenceClassification",
                                                                         Head::sequence_classification),
    architecture<TokenClassifier<Electra>>("ElectraForTokenClassification", Head::token_classification),
    architecture<QuestionAnsweringModel<Electra>>("ElectraForQuestionAnswering", Head::question_answering),
    architecture<ElectraForMultipleChoice>("ElectraForMultipleChoice", Head::multiple_choice),
    architecture<MaskedLanguageModel<Electra, ElectraGeneratorNames>>("ElectraForMaskedLM", Head::masked_lm),
    architecture<MaskedLanguageModel<Electra, ElectraGeneratorNames>>("ElectraForCausalLM", Head::causal_lm),
    architecture<ElectraForPreTraining>("ElectraForPreTraining", Head::pre_training),
};
inline constexpr Family kFamily{"electra", kArchitectures};

}  // namespace transformers::electra
