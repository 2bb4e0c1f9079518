// What it is: the heads of decoders as templates over a backbone: causal language modelling, classification of a
// sequence by its last token and of tokens, question answering.
// Where it stands: models; a family instantiates them in its list of architectures (llama.hpp).
// Usage: `using LlamaForCausalLM = CausalLM<Llama>;`
// Source: transformers/modeling_layers.py (Generic...) and models/gpt2/modeling_gpt2.py (5.23).
//
// A backbone is that of encoder_heads.hpp, but for its forward: `const float* forward(const Batch&, Workspace&,
// const ForwardOptions&, std::vector<OutputTensor>* hidden_states) const`. Its Config may have `output_size()`, the
// width of what comes out, when that is not hidden_size.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "transformers/models/encoder_heads.hpp"

namespace transformers {

// lm_head(hidden) for every token that is asked for. The head is the word embedding where the config ties them and the
// checkpoint has no matrix of its own for it.
template <class Backbone, Linear::Bias kBias = Linear::Bias::no>
class CausalLM : public EncoderModel<Backbone> {
 public:
  explicit CausalLM(typename Backbone::Config config)
      : EncoderModel<Backbone>(std::move(config)), lm_head_(this->hidden_size(), this->config_.vocab_size, kBias) {}

  void weights(WeightVisitor& w) override {
    w(Backbone::base_model_prefix, this->backbone_);
    std::vector<std::string> names{"lm_head.weight"};
    if constexpr (requires { Backbone::older_head_name; }) names.emplace_back(Backbone::older_head_name);
    if (this->config_.tie_word_embeddings) {
      names.push_back(std::string(Backbone::base_model_prefix) + "." + std::string(Backbone::embedding_name));
    }
    lm_head_.weights(w, std::move(names), {"lm_head.bias"});
  }

  using EncoderModel<Backbone>::forward;
  // The head alone: hidden [rows, hidden_size] -> logits [rows, vocab_size].
  const float* forward(const float* hidden, int64_t rows, Workspace& ws) const {
    float* logits = ws.floats(rows * lm_head_.out_features());
    lm_head_.forward(hidden, rows, logits);
    if constexpr (requires { this->config_.final_logit_softcapping; }) {
      if (const auto cap = this->config_.final_logit_softcapping) softcap(*cap, logits, rows * lm_head_.out_features());
    }
    return logits;
  }

 protected:
  ModelOutput compute(const Batch& batch, Workspace& ws, const ForwardOptions& options) const override {
    ModelOutput out;
    const float* hidden = this->encode(batch, ws, options, out);
    out.logits = this->kept_output(hidden, *this, options.logits_to_keep, batch, ws);
    return out;
  }

 private:
  Linear lm_head_;
};

// lm_head on every token, and multiple_choice_head.summary on one of each sequence: the last, or where mc_token_ids
// says. Inputs are [batch, num_choices, seq]. Error(unsupported) for a summary that is no score of one token.
template <class Backbone>
class DoubleHeadsModel : public CausalLM<Backbone> {
 public:
  explicit DoubleHeadsModel(typename Backbone::Config config)
      : CausalLM<Backbone>(std::move(config)), summary_(this->hidden_size(), 1) {
    const auto& c = this->config_;
    if (c.summary_type != "cls_index" || !c.summary_use_proj || !c.summary_proj_to_labels) {
      throw Error(ErrorCode::unsupported,
                  "summary_type \"" + c.summary_type +
                      "\" or a summary without projection to one score (supported: cls_index with summary_use_proj and "
                      "summary_proj_to_labels)",
                  c.where);
    }
    if (c.summary_activation && !c.summary_activation->empty()) {
      activation_ = activation_from_name(*c.summary_activation, "summary_activation in " + c.where);
    }
  }

  void weights(WeightVisitor& w) override {
    CausalLM<Backbone>::weights(w);
    w("multiple_choice_head.summary", summary_);
  }
  BatchRules batch_rules() const noexcept override {
    BatchRules rules = this->rules_with(BatchRules::Pooled::last);
    rules.multiple_choice = rules.masked_together = true;
    return rules;
  }

 protected:
  ModelOutput compute(const Batch& batch, Workspace& ws, const ForwardOptions& options) const override {
    ModelOutput out;
    const float* hidden = this->encode(batch, ws, options, out);
    out.logits = this->kept_output(hidden, *this, options.logits_to_keep, batch, ws);
    out.logits->by_choice = true;
    if (!out.hidden_states.empty()) out.hidden_states.back().by_choice = true;
    float* scores = ws.floats(batch.batch_size());
    summary_.forward(this->pooled_tokens(hidden, batch, ws), batch.batch_size(), scores, {.activation = activation_});
    out.mc_logits = this->choice_output(scores, batch);
    return out;
  }

 private:
  Linear summary_;
  Activation activation_ = Activation::none;
};

// The config's part of it.
struct SummaryConfig {
  std::string summary_type = "cls_index";
  bool summary_use_proj = true, summary_proj_to_labels = true;
  std::optional<std::string> summary_activation;

  void summary_fields(FieldVisitor& f) {
    f("summary_type", summary_type);
    f("summary_use_proj", summary_use_proj);
    f("summary_proj_to_labels", summary_proj_to_labels);
    f("summary_activation", summary_activation);
  }
};

// score(hidden) of the last token whose id is not the pad token's; the last of all without a pad token.
template <class Backbone, LayerName kName = "score">
class LastTokenClassifier : public EncoderModel<Backbone> {
 public:
  explicit LastTokenClassifier(typename Backbone::Config config)
      : EncoderModel<Backbone>(std::move(config)),
        score_(this->hidden_size(), *this->config_.num_labels, Linear::Bias::no) {}

  void weights(WeightVisitor& w) override {
    w(Backbone::base_model_prefix, this->backbone_);
    w(kName, score_);
  }
  BatchRules batch_rules() const noexcept override {
    BatchRules rules = this->rules_with(BatchRules::Pooled::last_not_pad);
    rules.token_id = this->config_.pad_token_id;
    rules.masked_together = true;
    return rules;
  }

 protected:
  ModelOutput compute(const Batch& batch, Workspace& ws, const ForwardOptions& options) const override {
    ModelOutput out;
    const float* hidden = this->encode(batch, ws, options, out);
    const float* last = this->pooled_tokens(hidden, batch, ws);
    float* logits = ws.floats(batch.batch_size() * score_.out_features());
    score_.forward(last, batch.batch_size(), logits);
    out.logits = this->sequence_output(logits, score_.out_features(), batch);
    return out;
  }

 private:
  Linear score_;
};

// Question answering of Llama and those built on it, whose backbone goes by an older name there.
template <class Backbone>
class TransformerQuestionAnswering : public QuestionAnsweringModel<Backbone> {
 public:
  using QuestionAnsweringModel<Backbone>::QuestionAnsweringModel;
  std::string_view base_model_prefix() const noexcept override { return "transformer"; }
};

}  // namespace transformers
