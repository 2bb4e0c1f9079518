// What it is: the heads of encoders as templates over a backbone: base model, sequence and token classification,
//   question answering, multiple choice, masked language modelling, pre-training.
// Where it stands: models; a family instantiates them in its list of architectures (bert.hpp).
// Usage: `using BertForTokenClassification = TokenClassifier<Bert>;`
// Source: transformers/models/bert/modeling_bert.py and its relatives (5.23).
//
// A backbone has: `using Config`, `static constexpr std::string_view base_model_prefix`, a constructor from Config,
// `weights(WeightVisitor&)`, `embedding_name` of its word table below the prefix, `BatchRules batch_rules() const`, and
// `const float* forward(const Batch&, Workspace&, std::vector<OutputTensor>* hidden_states) const` -> [tokens,
// hidden_size]. Its Config has `hidden_size`, `vocab_size`, `longest_sequence()` in tokens.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "transformers/models/pretrained_model.hpp"
#include "transformers/nn/activation.hpp"
#include "transformers/nn/linear.hpp"
#include "transformers/nn/norm.hpp"

namespace transformers {

// The name of a head's layer as a template argument.
template <std::size_t N>
struct LayerName {
  char text[N];
  constexpr LayerName(const char (&name)[N]) { std::copy_n(name, N, text); }
  constexpr operator std::string_view() const { return {text, N - 1}; }
};

// What all heads share: the config, the backbone, and the weights' prefix.
template <class Backbone>
class EncoderModel : public PretrainedModel {
 public:
  using Config = typename Backbone::Config;

  explicit EncoderModel(Config config) : config_(std::move(config)), backbone_(config_) {}

  const Config& config() const noexcept override { return config_; }
  int64_t longest_sequence() const noexcept override { return config_.longest_sequence(); }
  std::optional<int64_t> max_position_embeddings() const noexcept override {
    if constexpr (requires { config_.max_position_embeddings; }) return config_.max_position_embeddings;
    return std::nullopt;
  }
  int64_t vocab_size() const noexcept override { return config_.vocab_size; }
  BatchRules batch_rules() const noexcept override { return backbone_.batch_rules(); }
  // A decoder's forward takes the ForwardOptions too.
  static constexpr bool kDecoder =
      requires(const Backbone& backbone, const Batch& batch, Workspace& ws, const ForwardOptions& options) {
    backbone.forward(batch, ws, options, nullptr);
  };
  // That of an encoder-decoder has more than one list of hidden states to fill.
  static constexpr bool kEncoderDecoder = requires(const Backbone& backbone, const Batch& batch, Workspace& ws,
                                                   const ForwardOptions& options, ModelOutput& out) {
    backbone.forward(batch, ws, options, out);
  };
  // One that may be an encoder as well, as its config says.
  static constexpr bool kMayBeDecoder = requires(const Config& config) { config.is_decoder; };
  bool uses_cache() const noexcept override {
    if constexpr (kMayBeDecoder) return config_.is_decoder;
    return kDecoder || kEncoderDecoder;
  }
  std::string_view base_model_prefix() const noexcept override { return Backbone::base_model_prefix; }

 protected:
  // The last hidden state, [tokens, hidden_size]. `rows` are those that the caller reads, empty for all: encoders that
  // can (they take one argument more) leave the others out of the last layer.
  const float* encode(const Batch& batch, Workspace& ws, const ForwardOptions& options, ModelOutput& out,
                      std::span<const int32_t> rows = {}) const {
    std::vector<OutputTensor>* const hidden_states = options.output_hidden_states ? &out.hidden_states : nullptr;
    if (hidden_states != nullptr || !rise(rows)) rows = {};
    if constexpr (kEncoderDecoder) {
      return backbone_.forward(batch, ws, options, out);
    } else if constexpr (requires { backbone_.forward(batch, ws, options, hidden_states, rows); }) {
      return backbone_.forward(batch, ws, options, hidden_states, rows);
    } else if constexpr (kDecoder) {
      return backbone_.forward(batch, ws, options, hidden_states);
    } else if constexpr (requires { backbone_.forward(batch, ws, hidden_states, rows); }) {
      return backbone_.forward(batch, ws, hidden_states, rows);
    } else {
      return backbone_.forward(batch, ws, hidden_states);
    }
  }
  // Whether each row comes behind the one before; those below 0 are none.
  static bool rise(std::span<const int32_t> rows) {
    int32_t last = -1;
    for (const int32_t row : rows) {
      if (row >= 0 && row <= last) return false;
      last = std::max(last, row);
    }
    return true;
  }
  // Width of what the backbone gives.
  int64_t hidden_size() const noexcept {
    if constexpr (requires { config_.output_size(); }) return config_.output_size();
    return config_.hidden_size;
  }

  BatchRules rules_with(BatchRules::Pooled pooled) const noexcept {
    BatchRules rules = backbone_.batch_rules();
    rules.pooled = pooled;
    return rules;
  }

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
  // One score for each sequence [batch * num_choices] as Hugging Face gives them, [batch, num_choices].
  static OutputTensor choice_output(float* data, const Batch& batch) {
    OutputTensor output = sequence_output(data, 1, batch);
    output.count /= batch.num_choices;
    output.width = batch.num_choices;
    return output;
  }
  static OutputTensor token_output(const float* data, int64_t width, const Batch& batch) {
    return {data, batch.tokens(), width, OutputTensor::Rows::tokens, false};
  }
  // A language model's head on every token, or on the rows that logits_to_keep names.
  template <class LMHead>
  OutputTensor kept_output(const float* hidden, const LMHead& head, std::span<const int32_t> logits_to_keep,
                           const Batch& batch, Workspace& ws) const {
    const int64_t vocab_size = config_.vocab_size;
    if (logits_to_keep.empty()) {
      return token_output(head.forward(hidden, batch.tokens(), ws), vocab_size, batch);
    }
    const int64_t rows = static_cast<int64_t>(logits_to_keep.size());
    float* kept = ws.floats(rows * hidden_size());
    for (int64_t r = 0; r < rows; ++r) {
      std::copy_n(hidden + logits_to_keep[static_cast<std::size_t>(r)] * hidden_size(), hidden_size(),
                  kept + r * hidden_size());
    }
    return {head.forward(kept, rows, ws), rows, vocab_size, OutputTensor::Rows::kept, false};
  }
  // logits [tokens, 2]: column 0 is the start's score, column 1 the end's.
  static void span_outputs(const float* logits, const Batch& batch, Workspace& ws, ModelOutput& out) {
    const int64_t tokens = batch.tokens();
    float* start = ws.floats(tokens);
    float* end = ws.floats(tokens);
    for (int64_t t = 0; t < tokens; ++t) {
      start[t] = logits[2 * t];
      end[t] = logits[2 * t + 1];
    }
    out.start_logits = OutputTensor{start, tokens, 1, OutputTensor::Rows::tokens, true};
    out.end_logits = OutputTensor{end, tokens, 1, OutputTensor::Rows::tokens, true};
  }
  void check_span_labels() const {
    if (*config_.num_labels == 2) return;
    throw Error(ErrorCode::invalid_argument,
                "question answering needs 2 labels, found " + std::to_string(*config_.num_labels), config_.where);
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

// ---- heads that read one token of each sequence
// ----------------------------------------------------------------------
//
// pooled = activation(dense(hidden[:, 0])). What differs between families is the names of the dense layer and of the
// classifier behind it, and the activation: a `Pooler` has `dense`, `classifier` (from the model's root) and
// `static Activation activation(const Config&)`.

struct TanhPooler {
  template <class Config>
  static Activation activation(const Config&) {
    return Activation::tanh;
  }
};

// The backbone and a pooler over its first token. Checkpoints without the pooler's weights load too and give no
// pooler_output (Hugging Face would make it up from random numbers).
template <class Backbone, class Pooler>
class BaseModelWithPooler : public EncoderModel<Backbone> {
 public:
  explicit BaseModelWithPooler(typename Backbone::Config config)
      : EncoderModel<Backbone>(std::move(config)), pooler_(this->hidden_size(), this->hidden_size()) {}

  void weights(WeightVisitor& w) override {
    this->backbone_.weights(w);
    const std::string_view name = Pooler::dense.substr(Backbone::base_model_prefix.size() + 1);
    has_pooler_ = w.has(std::string(name) + ".weight");
    if (has_pooler_) w(name, pooler_);
  }
  BatchRules batch_rules() const noexcept override {
    return this->rules_with(has_pooler_ ? BatchRules::Pooled::first : BatchRules::Pooled::none);
  }

 protected:
  ModelOutput compute(const Batch& batch, Workspace& ws, const ForwardOptions& options) const override {
    ModelOutput out;
    const float* hidden = this->encode(batch, ws, options, out);
    out.last_hidden_state = this->token_output(hidden, this->hidden_size(), batch);
    if (has_pooler_ && !batch.pooled_rows.empty()) {
      const float* first = this->pooled_tokens(hidden, batch, ws);
      float* pooled = ws.floats(batch.batch_size() * this->hidden_size());
      pooler_.forward(first, batch.batch_size(), pooled, {.activation = Pooler::activation(this->config_)});
      out.pooler_output = this->sequence_output(pooled, this->hidden_size(), batch);
    }
    return out;
  }

 private:
  Linear pooler_;
  bool has_pooler_ = false;
};

// classifier(pooled) with `labels` outputs: what sequence classification and multiple choice share.
template <class Backbone, class Pooler>
class PooledClassifier : public EncoderModel<Backbone> {
 public:
  PooledClassifier(typename Backbone::Config config, int64_t labels)
      : EncoderModel<Backbone>(std::move(config)),
        dense_(this->hidden_size(), this->hidden_size()),
        classifier_(this->hidden_size(), labels) {}

  void weights(WeightVisitor& w) override {
    w(Backbone::base_model_prefix, this->backbone_);
    w(Pooler::dense, dense_);
    w(Pooler::classifier, classifier_);
  }
  BatchRules batch_rules() const noexcept override { return this->rules_with(BatchRules::Pooled::first); }

 protected:
  // [batch, labels]
  float* classify(const float* hidden, const Batch& batch, Workspace& ws) const {
    const float* first = this->pooled_tokens(hidden, batch, ws);
    float* pooled = ws.floats(batch.batch_size() * this->hidden_size());
    float* logits = ws.floats(batch.batch_size() * classifier_.out_features());
    dense_.forward(first, batch.batch_size(), pooled, {.activation = Pooler::activation(this->config_)});
    classifier_.forward(pooled, batch.batch_size(), logits);
    return logits;
  }
  ModelOutput compute(const Batch& batch, Workspace& ws, const ForwardOptions& options) const override {
    ModelOutput out;
    const float* hidden = this->encode(batch, ws, options, out, batch.pooled_rows);
    out.logits = this->sequence_output(classify(hidden, batch, ws), classifier_.out_features(), batch);
    return out;
  }

 private:
  Linear dense_, classifier_;
};

template <class Backbone, class Pooler>
class SequenceClassifier : public PooledClassifier<Backbone, Pooler> {
 public:
  explicit SequenceClassifier(typename Backbone::Config config)
      : PooledClassifier<Backbone, Pooler>(config, *config.num_labels) {}
};

// Two scores: the second text follows the first, or does not.
template <class Backbone, class Pooler>
class NextSentencePredictor : public PooledClassifier<Backbone, Pooler> {
 public:
  explicit NextSentencePredictor(typename Backbone::Config config) : PooledClassifier<Backbone, Pooler>(config, 2) {}
};

// One score for each choice of a row: logits [batch, num_choices] from a batch of batch * num_choices sequences.
template <class Backbone, class Pooler>
class MultipleChoiceModel : public PooledClassifier<Backbone, Pooler> {
 public:
  explicit MultipleChoiceModel(typename Backbone::Config config) : PooledClassifier<Backbone, Pooler>(config, 1) {}

  BatchRules batch_rules() const noexcept override {
    BatchRules rules = this->rules_with(BatchRules::Pooled::first);
    rules.multiple_choice = true;
    return rules;
  }

 protected:
  ModelOutput compute(const Batch& batch, Workspace& ws, const ForwardOptions& options) const override {
    ModelOutput out;
    const float* hidden = this->encode(batch, ws, options, out, batch.pooled_rows);
    out.logits = this->choice_output(this->classify(hidden, batch, ws), batch);
    return out;
  }
};

// ---- heads that read every token
// -------------------------------------------------------------------------------------

// classifier(hidden) for every token.
template <class Backbone, LayerName kName = "classifier">
class TokenClassifier : public EncoderModel<Backbone> {
 public:
  explicit TokenClassifier(typename Backbone::Config config)
      : EncoderModel<Backbone>(std::move(config)), classifier_(this->hidden_size(), *this->config_.num_labels) {}

  void weights(WeightVisitor& w) override {
    w(Backbone::base_model_prefix, this->backbone_);
    w(kName, classifier_);
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

// qa_outputs(hidden) for every token.
template <class Backbone>
class QuestionAnsweringModel : public EncoderModel<Backbone> {
 public:
  explicit QuestionAnsweringModel(typename Backbone::Config config)
      : EncoderModel<Backbone>(std::move(config)), qa_outputs_(this->hidden_size(), 2) {
    if (!this->kDecoder || this->kMayBeDecoder)
      this->check_span_labels();  // decoders have two columns whatever the number of labels
  }

  void weights(WeightVisitor& w) override {
    w(this->base_model_prefix(), this->backbone_);
    w("qa_outputs", qa_outputs_);
  }

 protected:
  ModelOutput compute(const Batch& batch, Workspace& ws, const ForwardOptions& options) const override {
    ModelOutput out;
    const float* hidden = this->encode(batch, ws, options, out);
    float* logits = ws.floats(batch.tokens() * 2);
    qa_outputs_.forward(hidden, batch.tokens(), logits);
    this->span_outputs(logits, batch, ws, out);
    return out;
  }

 private:
  Linear qa_outputs_;
};

// decoder(norm(activation(dense(hidden)))): scores over the vocabulary. `Names` gives the names of the three modules
// and of the decoder's bias, from the model's root, and from the config the width between dense and decoder, the
// activation and the norm's epsilon. The decoder is the word embedding where the checkpoint has no matrix of its own
// for it.
template <class Backbone, class Names>
class MaskedLMHead {
 public:
  explicit MaskedLMHead(const typename Backbone::Config& c)
      : dense_(c.hidden_size, Names::width(c)),
        norm_(Names::width(c), Names::norm_eps(c)),
        decoder_(Names::width(c), c.vocab_size),
        activation_(Names::activation(c)) {}

  void weights(WeightVisitor& w) {
    w(Names::dense, dense_);
    w(Names::norm, norm_);
    const std::string words = std::string(Backbone::base_model_prefix) + "." + std::string(Backbone::embedding_name);
    decoder_.weights(w, {std::string(Names::decoder) + ".weight", words},
                     {std::string(Names::decoder) + ".bias", std::string(Names::bias)});
  }

  // hidden [tokens, hidden_size] -> [tokens, vocab_size]
  float* forward(const float* hidden, int64_t tokens, Workspace& ws) const {
    float* transformed = ws.floats(tokens * dense_.out_features());
    float* logits = ws.floats(tokens * decoder_.out_features());
    dense_.forward(hidden, tokens, transformed, {.activation = activation_});
    norm_.forward(transformed, tokens, transformed);
    decoder_.forward(transformed, tokens, logits);
    return logits;
  }

 private:
  Linear dense_;
  LayerNorm norm_;
  Linear decoder_;
  Activation activation_;
};

// The usual answers of a config to what MaskedLMHead asks.
struct MaskedLMDefaults {
  template <class Config>
  static int64_t width(const Config& c) {
    return c.embedding_width();
  }
  template <class Config>
  static float norm_eps(const Config& c) {
    return c.layer_norm_eps;
  }
  template <class Config>
  static Activation activation(const Config& c) {
    return activation_from_name(c.hidden_act, "hidden_act in " + c.where);
  }
};

template <class Backbone, class Names>
class MaskedLanguageModel : public EncoderModel<Backbone> {
 public:
  explicit MaskedLanguageModel(typename Backbone::Config config)
      : EncoderModel<Backbone>(std::move(config)), head_(this->config_) {}

  void weights(WeightVisitor& w) override {
    w(Backbone::base_model_prefix, this->backbone_);
    head_.weights(w);
  }

 protected:
  ModelOutput compute(const Batch& batch, Workspace& ws, const ForwardOptions& options) const override {
    ModelOutput out;
    const float* hidden = this->encode(batch, ws, options, out, options.logits_to_keep);
    out.logits = this->kept_output(hidden, head_, options.logits_to_keep, batch, ws);
    return out;
  }

 private:
  MaskedLMHead<Backbone, Names> head_;
};

// Both heads of BERT's and ALBERT's pre-training: scores over the vocabulary for every token, and a classifier of
// `labels` outputs on the pooled token, which goes to the member `kOutput` of the output.
template <class Backbone, class Names, class Pooler, std::optional<OutputTensor> ModelOutput::*kOutput>
class PreTrainingModel : public PooledClassifier<Backbone, Pooler> {
 public:
  explicit PreTrainingModel(typename Backbone::Config config)
      : PooledClassifier<Backbone, Pooler>(config, Pooler::labels(config)), head_(this->config_) {}

  void weights(WeightVisitor& w) override {
    PooledClassifier<Backbone, Pooler>::weights(w);
    head_.weights(w);
  }

 protected:
  ModelOutput compute(const Batch& batch, Workspace& ws, const ForwardOptions& options) const override {
    ModelOutput out;
    const float* hidden = this->encode(batch, ws, options, out);
    float* scores = head_.forward(hidden, batch.tokens(), ws);
    out.prediction_logits = this->token_output(scores, this->config_.vocab_size, batch);
    out.*kOutput = this->sequence_output(this->classify(hidden, batch, ws), Pooler::labels(this->config_), batch);
    return out;
  }

 private:
  MaskedLMHead<Backbone, Names> head_;
};

}  // namespace transformers
