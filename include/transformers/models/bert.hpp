// BERT: encoder with learned positions and token types; post-norm layers, gelu feed-forward.
// Paper: arXiv 1810.04805.  Reference: transformers/models/bert/modeling_bert.py (5.23).
// Where it stands: models; one line in families.def registers it. The encoder itself is in bert_encoder.hpp.
#pragma once

#include <cstdint>
#include <string_view>

#include "transformers/models/bert_encoder.hpp"
#include "transformers/models/encoder_heads.hpp"
#include "transformers/models/family.hpp"

namespace transformers::bert {

struct Bert : BertBackbone {
  using BertBackbone::BertBackbone;
  static constexpr std::string_view base_model_prefix = "bert";
};

struct BertPooler : TanhPooler {
  static constexpr std::string_view dense = "bert.pooler.dense", classifier = "classifier";
};

struct BertNextSentence : TanhPooler {
  static constexpr std::string_view dense = "bert.pooler.dense", classifier = "cls.seq_relationship";
  static int64_t labels(const BertConfig&) { return 2; }
};

struct BertMaskedLMNames : MaskedLMDefaults {
  static constexpr std::string_view dense = "cls.predictions.transform.dense";
  static constexpr std::string_view norm = "cls.predictions.transform.LayerNorm";
  static constexpr std::string_view decoder = "cls.predictions.decoder";
  static constexpr std::string_view bias = "cls.predictions.bias";
};

using BertForPreTraining =
    PreTrainingModel<Bert, BertMaskedLMNames, BertNextSentence, &ModelOutput::seq_relationship_logits>;

inline constexpr Architecture kArchitectures[] = {
    architecture<BaseModelWithPooler<Bert, BertPooler>>("BertModel", Head::base),
    architecture<SequenceClassifier<Bert, BertPooler>>("BertForSequenceClassification", Head::sequence_classification),
    architecture<TokenClassifier<Bert>>("BertForTokenClassification", Head::token_classification),
    architecture<QuestionAnsweringModel<Bert>>("BertForQuestionAnswering", Head::question_answering),
    architecture<MultipleChoiceModel<Bert, BertPooler>>("BertForMultipleChoice", Head::multiple_choice),
    architecture<MaskedLanguageModel<Bert, BertMaskedLMNames>>("BertForMaskedLM", Head::masked_lm),
    architecture<MaskedLanguageModel<Bert, BertMaskedLMNames>>("BertLMHeadModel", Head::causal_lm),
    architecture<NextSentencePredictor<Bert, BertNextSentence>>("BertForNextSentencePrediction",
                                                                Head::next_sentence_prediction),
    architecture<BertForPreTraining>("BertForPreTraining", Head::pre_training),
};
inline constexpr Family kFamily{"bert", kArchitectures};

}  // namespace transformers::bert
