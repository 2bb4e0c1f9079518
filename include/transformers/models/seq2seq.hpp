// What it is: what encoder-decoders share: the two halves as one backbone, and the heads that only they have.
// Where it stands: models; families build on it (bart.hpp, t5.hpp); the other heads are those of encoder_heads.hpp.
// Usage: `using Bart = EncoderDecoder<BartHalves>;  using BartForConditionalGeneration = Seq2SeqLM<Bart>;`
// Source: transformers/models/bart/modeling_bart.py and t5/modeling_t5.py (5.23).
//
// Halves have: `using Config`, `base_model_prefix`, a constructor from Config, `weights(WeightVisitor&)`,
//   const float* encode(const Batch& source, Workspace&, std::vector<OutputTensor>* hidden_states) const
//   const float* decode(const Batch&, const CrossSource&, Cache* past, Workspace&, std::vector<OutputTensor>*) const
// which give [tokens, hidden_size], `BatchRules batch_rules() const`, `int64_t hidden_size() const`.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "transformers/models/encoder_heads.hpp"
#include "transformers/nn/cache.hpp"
#include "transformers/nn/seq2seq_attention.hpp"

namespace transformers {

// What the configs of all encoder-decoders say beside sizes.
struct Seq2SeqConfig : PretrainedConfig {
  std::optional<int64_t> decoder_start_token_id;
  Value eos_token_id;  // an id, or a list of them

  void fields(FieldVisitor& f) {
    PretrainedConfig::fields(f);
    f("decoder_start_token_id", decoder_start_token_id);
    f("eos_token_id", eos_token_id);
  }
};

// The rules of a model whose decoder gets `decoder` where nothing is given for it.
inline BatchRules decoder_rules(const Seq2SeqConfig& c, BatchRules::Decoder decoder) {
  BatchRules rules;
  rules.decoder = decoder;
  rules.decoder_start_token_id = c.decoder_start_token_id;
  rules.pad_token_id = c.pad_token_id;
  return rules;
}

template <class Halves>
class EncoderDecoder : public Halves {
 public:
  using Halves::Halves;

  // [tokens, hidden_size] of the decoder. The encoder runs unless the batch brings its output or the cross-attention
  // cache holds what is left of it.
  const float* forward(const Batch& batch, Workspace& ws, const ForwardOptions& options, ModelOutput& out) const {
    Cache* const cross = options.cross_attention_cache;
    CrossSource source{.batch = batch.encoder.get(), .cache = cross};
    source.computed = cross != nullptr && cross->batch_size() > 0;
    if (!source.computed && source.batch == nullptr) {
      throw Error(ErrorCode::invalid_argument,
                  "an encoder-decoder needs a source: input_ids, inputs_embeds or encoder_outputs");
    }
    const int64_t sources = source.computed ? cross->batch_size() : source.batch->batch_size();
    if (sources != batch.batch_size()) {
      throw Error(ErrorCode::invalid_argument, std::to_string(sources) + " sources for " +
                                                   std::to_string(batch.batch_size()) + " rows of decoder inputs");
    }
    if (!source.computed) {
      source.hidden =
          encoder_output(*source.batch, ws, options.output_hidden_states ? &out.encoder_hidden_states : nullptr);
      out.encoder_last_hidden_state = OutputTensor{source.hidden, source.batch->tokens(), this->hidden_size(),
                                                   OutputTensor::Rows::source_tokens, false};
      if (cross != nullptr) cross->begin(*source.batch);
    }
    const float* hidden = this->decode(batch, source, options.past_key_values, ws,
                                       options.output_hidden_states ? &out.decoder_hidden_states : nullptr);
    if (!source.computed && cross != nullptr) cross->commit();
    return hidden;
  }

 private:
  const float* encoder_output(const Batch& source, Workspace& ws, std::vector<OutputTensor>* hidden_states) const {
    if (!source.encoder_outputs.defined()) return this->encode(source, ws, hidden_states);
    if (source.encoder_outputs.dim(1) != this->hidden_size()) {
      throw Error(ErrorCode::invalid_argument,
                  "expected rows of " + std::to_string(this->hidden_size()) + " floats, got " +
                      std::to_string(source.encoder_outputs.dim(1)),
                  "encoder_outputs");
    }
    return source.encoder_outputs.template data<float>();
  }
};

// The decoder without an encoder (BartForCausalLM), for the heads of decoder_heads.hpp: no source, no cross-attention.
// Halves add decoder_weights().
template <class Halves>
class DecoderAlone : public Halves {
 public:
  explicit DecoderAlone(typename Halves::Config config) : Halves(without_encoder(std::move(config))) {}

  void weights(WeightVisitor& w) { this->decoder_weights(w); }
  BatchRules batch_rules() const noexcept {
    BatchRules rules = Halves::batch_rules();
    rules.decoder = BatchRules::Decoder::none;
    return rules;
  }
  const float* forward(const Batch& batch, Workspace& ws, const ForwardOptions& options,
                       std::vector<OutputTensor>* hidden_states) const {
    return this->decode(batch, {}, options.past_key_values, ws, hidden_states);
  }

 private:
  static typename Halves::Config without_encoder(typename Halves::Config config) {
    config.encoder_layers = 0;
    return config;
  }
};

// lm_head(hidden of the decoder) + final_logits_bias, over the target's vocabulary. The head is the shared embedding
// where the checkpoint has no matrix of its own for it, whatever tie_word_embeddings says, as in Hugging Face 5.x.
// Halves add `lm_head_names()`, from the root, `lm_vocab_size()`, `lm_scale()`, by which the hidden states are
// multiplied before the head, and `has_final_logits_bias`.
template <class Backbone>
class Seq2SeqLM : public EncoderModel<Backbone> {
 public:
  explicit Seq2SeqLM(typename Backbone::Config config)
      : EncoderModel<Backbone>(std::move(config)),
        lm_head_(this->hidden_size(), this->backbone_.lm_vocab_size(), Linear::Bias::no) {}

  void weights(WeightVisitor& w) override {
    w(Backbone::base_model_prefix, this->backbone_);
    lm_head_.weights(w, this->backbone_.lm_head_names(), {});
    if (Backbone::has_final_logits_bias && w.has("final_logits_bias")) {
      Tensor bias;
      w.table("final_logits_bias", 1, lm_head_.out_features(), bias);
      bias = bias.to_float32();
      const std::span<const float> values = bias.span<float>();
      final_logits_bias_.assign(values.begin(), values.end());
      // Published checkpoints hold zeros, which need no adding.
      if (std::all_of(values.begin(), values.end(), [](float x) { return x == 0.0f; })) final_logits_bias_.clear();
    }
  }

 protected:
  ModelOutput compute(const Batch& batch, Workspace& ws, const ForwardOptions& options) const override {
    ModelOutput out;
    const float* hidden = this->encode(batch, ws, options, out);
    const int64_t width = this->hidden_size(), vocab_size = lm_head_.out_features();
    const bool all = options.logits_to_keep.empty();
    const int64_t rows = all ? batch.tokens() : static_cast<int64_t>(options.logits_to_keep.size());
    const float scale = this->backbone_.lm_scale();
    const float* input = hidden;
    if (!all || scale != 1.0f) {
      float* kept = ws.floats(rows * width);
      for (int64_t r = 0; r < rows; ++r) {
        const float* from = hidden + (all ? r : options.logits_to_keep[static_cast<std::size_t>(r)]) * width;
        for (int64_t i = 0; i < width; ++i) kept[r * width + i] = from[i] * scale;
      }
      input = kept;
    }
    float* logits = ws.floats(rows * vocab_size);
    lm_head_.forward(input, rows, logits);
    if (!final_logits_bias_.empty()) {
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t i = 0; i < vocab_size; ++i)
          logits[r * vocab_size + i] += final_logits_bias_[static_cast<std::size_t>(i)];
      }
    }
    out.logits =
        OutputTensor{logits, rows, vocab_size, all ? OutputTensor::Rows::tokens : OutputTensor::Rows::kept, false};
    return out;
  }

 private:
  Linear lm_head_;
  std::vector<float> final_logits_bias_;  // empty: zeros
};

// tanh(dense(h)) -> out_proj, where h is the decoder's row at the place of the source's last end-of-sequence token: the
// decoder reads the source shifted right, so that row has seen it all.
struct EosPooler : TanhPooler {
  static constexpr std::string_view dense = "classification_head.dense", classifier = "classification_head.out_proj";
};

template <class Backbone>
class EosClassifier : public SequenceClassifier<Backbone, EosPooler> {
 public:
  explicit EosClassifier(typename Backbone::Config config)
      : SequenceClassifier<Backbone, EosPooler>(std::move(config)) {
    const Value& eos = this->config_.eos_token_id;
    if (!eos.is_integer()) {
      throw Error(ErrorCode::invalid_argument, "sequence classification needs one eos_token_id, an integer",
                  this->config_.where);
    }
  }

  BatchRules batch_rules() const noexcept override {
    BatchRules rules = this->rules_with(BatchRules::Pooled::last_equal);
    rules.token_id = this->config_.eos_token_id.as_integer();
    return rules;
  }
};

// A class that shifts its source right for the decoder although its family's base model does not (T5's classifiers).
template <class Model>
class WithShiftedSource : public Model {
 public:
  using Model::Model;
  BatchRules batch_rules() const noexcept override {
    BatchRules rules = Model::batch_rules();
    rules.decoder = BatchRules::Decoder::shifted;
    return rules;
  }
};

}  // namespace transformers
