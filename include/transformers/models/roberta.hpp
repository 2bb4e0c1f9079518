// RoBERTa: BERT whose positions count the ids that are not padding, with heads of its own.
// Paper: arXiv 1907.11692.  Reference: transformers/models/roberta/modeling_roberta.py (5.23).
// Where it stands: models; one line in families.def registers it. XLM-RoBERTa and CamemBERT are the same under other
// names.
#pragma once

#include <cstdint>
#include <string_view>

#include "transformers/models/bert_encoder.hpp"
#include "transformers/models/encoder_heads.hpp"
#include "transformers/models/family.hpp"

namespace transformers::roberta {

struct RobertaConfig : bert::BertConfig {
  RobertaConfig() {
    vocab_size = 50265;
    pad_token_id = 1;
  }

  void finish() {
    BertConfig::finish();
    if (!pad_token_id) {
      throw Error(ErrorCode::invalid_argument, "pad_token_id is null, but positions are counted from it", where);
    }
    check_range("pad_token_id", *pad_token_id, 0, max_position_embeddings - 1);
  }

  int64_t longest_sequence() const noexcept { return max_position_embeddings - *pad_token_id - 1; }
};

struct Roberta : bert::BertBackbone {
  using Config = RobertaConfig;
  static constexpr std::string_view base_model_prefix = "roberta";

  explicit Roberta(const RobertaConfig& c) : BertBackbone(c), padding_idx(*c.pad_token_id) {}

  // Counted from the ids, not from the mask.
  BatchRules batch_rules() const noexcept {
    BatchRules rules = BertBackbone::batch_rules();
    rules.positions = BatchRules::Positions::cumulative;
    rules.padding_idx = padding_idx;
    return rules;
  }

  int64_t padding_idx;
};

struct RobertaPooler : TanhPooler {
  static constexpr std::string_view dense = "roberta.pooler.dense", classifier = "classifier";
};

struct RobertaClassificationHead : TanhPooler {
  static constexpr std::string_view dense = "classifier.dense", classifier = "classifier.out_proj";
};

struct RobertaLMHeadNames : MaskedLMDefaults {
  static constexpr std::string_view dense = "lm_head.dense";
  static constexpr std::string_view norm = "lm_head.layer_norm";
  static constexpr std::string_view decoder = "lm_head.decoder";
  static constexpr std::string_view bias = "lm_head.bias";
  static Activation activation(const bert::BertConfig&) { return Activation::gelu; }  // whatever hidden_act is
};

inline constexpr Architecture kArchitectures[] = {
    architecture<BaseModelWithPooler<Roberta, RobertaPooler>>("RobertaModel", Head::base),
    architecture<SequenceClassifier<Roberta, RobertaClassificationHead>>("RobertaForSequenceClassification",
                                                                         Head::sequence_classification),
    architecture<TokenClassifier<Roberta>>("RobertaForTokenClassification", Head::token_classification),
    architecture<QuestionAnsweringModel<Roberta>>("RobertaForQuestionAnswering", Head::question_answering),
    architecture<MultipleChoiceModel<Roberta, RobertaPooler>>("RobertaForMultipleChoice", Head::multiple_choice),
    architecture<MaskedLanguageModel<Roberta, RobertaLMHeadNames>>("RobertaForMaskedLM", Head::masked_lm),
    architecture<MaskedLanguageModel<Roberta, RobertaLMHeadNames>>("RobertaForCausalLM", Head::causal_lm),
};
inline constexpr Family kFamily{"roberta", kArchitectures};

}  // namespace transformers::roberta
