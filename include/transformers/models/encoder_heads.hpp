// What it is: the heads of encoders as templates over a backbone: base model, sequence and token classification,
// question
//   answering, masked language modelling.
// Where it stands: models; a family instantiates them in its list of architectures (bert.hpp).
// Usage: `using BertForTokenClassification = TokenClassifier<Bert>;`
// Source: transformers/models/bert/modeling_bert.py and models/distilbert/modeling_distilbert.py (5.23).
//
// A backbone has: `using Config`, `static constexpr std::string_view base_model_prefix`, a constructor from Config,
// `weights(WeightVisitor&)`, `embedding_name` of its word table below the prefix, and
// `const float* forward(const Batch&, Workspace&, std::vector<OutputTensor>* hidden_states) const` -> [tokens,
// hidden_size].
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "transformers/models/pretrained_model.hpp"
#include "transformers/nn/activation.hpp"
#include "transformers/nn/linear.hpp"
#include "transformers/nn/norm.hpp"

namespace transformers {

// What all heads share: the config, the backbone, and the weights' prefix.
template <class Backbone>
class EncoderModel : public PretrainedModel {
 public:
  using Config = typename Backbone::Config;

  explicit EncoderModel(Config config) : config_(std::move(config)), backbone_(config_) {}

  const Config& config() const noexcept override { return config_; }
  int64_t max_position_embeddings() const noexcept override { return config_.max_position_embeddings; }
  int64_t vocab_size() const noexcept override { return config_.vocab_size; }
  BatchRules batch_rules() const noexcept override { return {}; }
  std::string_view base_model_prefix() const noexcept override { return Backbone::base_model_prefix; }

 protected:
  const float* encode(const Batch& batch, Workspace& ws, const ForwardOptions& options, ModelOutput& out) const {
    return backbone_.forward(batch, ws, options.output_hidden_states ? &out.hidden_states : nullptr);
  }
  int64_t hidden_size() const noexcept { return config_.hidden_size; }

  // rows [batch, hidden_size]: the hidden state of each sequence's pooled token; zeros for a sequence without one.
  float* pooled_tokens(const float* hidden, const Batch& batch, Workspace& ws) const {
    float* pooled = ws.floats(batch.batch_size() * hidden_size());
    for (int64_t i = 0; i < batch.batch_size(); ++i) {
      const int32_t row = batch.pooled_rows[static_cast<std::size_t>(i)];
      float* to = pooled + i * hidden_size();
      if (row < 0) {
        std::fill_n(to, hidden_size(), 0.0f);
      } else {
        std::copy_n(hidden + row * hidden_size(), hidden_size(), to);
      }
    }
    return pooled;
  }

  // A sequence masked throughout has attended to nothing: its answer is zeros.
  static OutputTensor sequence_output(float* data, int64_t width, const Batch& batch) {
    for (int64_t i = 0; i < batch.batch_size(); ++i) {
      if (batch.key_lens[static_cast<std::size_t>(i)] == 0) std::fill_n(data + i * width, width, 0.0f);
    }
    return {data, batch.batch_size(), width, OutputTensor::Rows::sequences, false};
  }
  static OutputTensor token_output(const float* data, int64_t width, const Batch& batch) {
    return {data, batch.tokens(), width, OutputTensor::Rows::tokens, false};
  }

  Config config_;
  Backbone backbone_;
};

// The backbone alone: last_hidden_state.
template <class Backbone>
class BaseModel : public EncoderModel<Backbone> {
 public:
  using EncoderModel<Backbone>::EncoderModel;
  void weights(WeightVisitor& w) override { this->backbone_.weights(w); }

 protected:
  ModelOutput compute(const Batch& batch, Workspace& ws, const ForwardOptions& options) const override {
    ModelOutput out;
    const float* hidden = this->encode(batch, ws, options, out);
    out.last_hidden_state = this->token_output(hidden, this->hidden_size(), batch);
    return out;
  }
};

// The backbone and a pooler over its first token, BERT's way: tanh(dense(hidden[:, 0])). Checkpoints without the
// pooler's weights load too and give no pooler_output (Hugging Face would make it up from random numbers).
template <class Backbone>
class BaseModelWithPooler : public EncoderModel<Backbone> {
 public:
  explicit BaseModelWithPooler(typename Backbone::Config config)
      : EncoderModel<Backbone>(std::move(config)), pooler_(this->hidden_size(), this->hidden_size()) {}

  void weights(WeightVisitor& w) override {
    this->backbone_.weights(w);
    has_pooler_ = w.has("pooler.dense.weight");
    if (has_pooler_) w("pooler.dense", pooler_);
  }
  BatchRules batch_rules() const noexcept override {
    return {has_pooler_ ? BatchRules::Pooled::first : BatchRules::Pooled::none};
  }

 protected:
  ModelOutput compute(const Batch& batch, Workspace& ws, const ForwardOptions& options) const override {
    ModelOutput out;
    const float* hidden = this->encode(batch, ws, options, out);
    out.last_hidden_state = this->token_output(hidden, this->hidden_size(), batch);
    if (has_pooler_ && !batch.pooled_rows.empty()) {
      const float* pooled = this->pooled_tokens(hidden, batch, ws);
      float* output = ws.floats(batch.batch_size() * this->hidden_size());
      pooler_.forward(pooled, batch.batch_size(), output, {.activation = Activation::tanh});
      out.pooler_output = this->sequence_output(output, this->hidden_size(), batch);
    }
    return out;
  }

 private:
  Linear pooler_;
  bool has_pooler_ = false;
};

// classifier(act(dense(hidden[:, 0]))). What differs between families is the dense layer's name and its activation:
// `Pooler` has both. BERT's is its pooler with tanh, DistilBERT's the pre_classifier with relu.
template <class Backbone, class Pooler>
class SequenceClassifier : public EncoderModel<Backbone> {
 public:
  explicit SequenceClassifier(typename Backbone::Config config)
      : EncoderModel<Backbone>(std::move(config)),
        dense_(this->hidden_size(), this->hidden_size()),
        classifier_(this->hidden_size(), *this->config_.num_labels) {}

  void weights(WeightVisitor& w) override {
    w(Backbone::base_model_prefix, this->backbone_);
    w(Pooler::name, dense_);
    w("classifier", classifier_);
  }
  BatchRules batch_rules() const noexcept override { return {BatchRules::Pooled::first}; }

 protected:
  ModelOutput compute(const Batch& batch, Workspace& ws, const ForwardOptions& options) const override {
    ModelOutput out;
    const float* hidden = this->encode(batch, ws, options, out);
    const float* first = this->pooled_tokens(hidden, batch, ws);
    float* pooled = ws.floats(batch.batch_size() * this->hidden_size());
    float* logits = ws.floats(batch.batch_size() * classifier_.out_features());
    dense_.forward(first, batch.batch_size(), pooled, {.activation = Pooler::activation});
    classifier_.forward(pooled, batch.batch_size(), logits);
    out.logits = this->sequence_output(logits, classifier_.out_features(), batch);
    return out;
  }

 private:
  Linear dense_, classifier_;
};

// classifier(hidden) for every token.
template <class Backbone>
class TokenClassifier : public EncoderModel<Backbone> {
 public:
  explicit TokenClassifier(typename Backbone::Config config)
      : EncoderModel<Backbone>(std::move(config)), classifier_(this->hidden_size(), *this->config_.num_labels) {}

  void weights(WeightVisitor& w) override {
    w(Backbone::base_model_prefix, this->backbone_);
    w("classifier", classifier_);
  }

 protected:
  ModelOutput compute(const Batch& batch, Workspace& ws, const ForwardOptions& options) const override {
    ModelOutput out;
    const float* hidden = this->encode(batch, ws, options, out);
    float* logits = ws.floats(batch.tokens() * classifier_.out_features());
    classifier_.forward(hidden, batch.tokens(), logits);
    out.logits = this->token_output(logits, classifier_.out_features(), batch);
    return out;
  }

 private:
  Linear classifier_;
};

// qa_outputs(hidden) for every token: column 0 is the start's score, column 1 the end's.
template <class Backbone>
class QuestionAnsweringModel : public EncoderModel<Backbone> {
 public:
  explicit QuestionAnsweringModel(typename Backbone::Config config)
      : EncoderModel<Backbone>(std::move(config)), qa_outputs_(this->hidden_size(), *this->config_.num_labels) {
    if (*this->config_.num_labels != 2) {
      throw Error(ErrorCode::invalid_argument,
                  "question answering needs 2 labels, found " + std::to_string(*this->config_.num_labels),
                  this->config_.where);
    }
  }

  void weights(WeightVisitor& w) override {
    w(Backbone::base_model_prefix, this->backbone_);
    w("qa_outputs", qa_outputs_);
  }

 protected:
  ModelOutput compute(const Batch& batch, Workspace& ws, const ForwardOptions& options) const override {
    ModelOutput out;
    const float* hidden = this->encode(batch, ws, options, out);
    const int64_t tokens = batch.tokens();
    float* logits = ws.floats(tokens * 2);
    float* start = ws.floats(tokens);
    float* end = ws.floats(tokens);
    qa_outputs_.forward(hidden, tokens, logits);
    for (int64_t t = 0; t < tokens; ++t) {
      start[t] = logits[2 * t];
      end[t] = logits[2 * t + 1];
    }
    out.start_logits = OutputTensor{start, tokens, 1, OutputTensor::Rows::tokens, true};
    out.end_logits = OutputTensor{end, tokens, 1, OutputTensor::Rows::tokens, true};
    return out;
  }

 private:
  Linear qa_outputs_;
};

// decoder(norm(act(dense(hidden)))) for every token: scores over the vocabulary. `Names` gives the names of the three
// modules, of the decoder's bias, and the norm's epsilon. The decoder is the word embedding where the checkpoint has no
// matrix of its own for it.
template <class Backbone, class Names>
class MaskedLanguageModel : public EncoderModel<Backbone> {
 public:
  explicit MaskedLanguageModel(typename Backbone::Config config)
      : EncoderModel<Backbone>(std::move(config)),
        dense_(this->hidden_size(), this->hidden_size()),
        norm_(this->hidden_size(), Names::norm_eps(this->config_)),
        decoder_(this->hidden_size(), this->config_.vocab_size),
        activation_(this->backbone_.activation()) {}

  void weights(WeightVisitor& w) override {
    w(Backbone::base_model_prefix, this->backbone_);
    w(Names::dense, dense_);
    w(Names::norm, norm_);
    const std::string words = std::string(Backbone::base_model_prefix) + "." + std::string(Backbone::embedding_name);
    decoder_.weights(w, {std::string(Names::decoder) + ".weight", words},
                     {std::string(Names::decoder) + ".bias", std::string(Names::bias)});
  }

 protected:
  ModelOutput compute(const Batch& batch, Workspace& ws, const ForwardOptions& options) const override {
    ModelOutput out;
    const float* hidden = this->encode(batch, ws, options, out);
    const int64_t tokens = batch.tokens();
    float* transformed = ws.floats(tokens * this->hidden_size());
    float* logits = ws.floats(tokens * decoder_.out_features());
    dense_.forward(hidden, tokens, transformed, {.activation = activation_});
    norm_.forward(transformed, tokens, transformed);
    decoder_.forward(transformed, tokens, logits);
    out.logits = this->token_output(logits, decoder_.out_features(), batch);
    return out;
  }

 private:
  Linear dense_;
  LayerNorm norm_;
  Linear decoder_;
  Activation activation_;
};

}  // namespace transformers
