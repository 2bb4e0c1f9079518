// XLM-RoBERTa: RoBERTa trained on a hundred languages, the same model under its own names.
// Paper: arXiv 1911.02116.  Reference: transformers/models/xlm_roberta/modeling_xlm_roberta.py (5.23).
// Where it stands: models; one line in families.def registers it.
#pragma once

#include <string_view>

#include "transformers/models/roberta.hpp"

namespace transformers::xlm_roberta {

struct XLMRobertaConfig : roberta::RobertaConfig {
  XLMRobertaConfig() { vocab_size = 30522; }
};

struct XLMRoberta : roberta::Roberta {
  using Config = XLMRobertaConfig;  // the prefix of the weights is "roberta" here too
  using Roberta::Roberta;
};

inline constexpr Architecture kArchitectures[] = {
    architecture<BaseModelWithPooler<XLMRoberta, roberta::RobertaPooler>>("XLMRobertaModel", Head::base),
    architecture<SequenceClassifier<XLMRoberta, roberta::RobertaClassificationHead>>(
        "XLMRobertaForSequenceClassification", Head::sequence_classification),
    architecture<TokenClassifier<XLMRoberta>>("XLMRobertaForTokenClassification", Head::token_classification),
    architecture<QuestionAnsweringModel<XLMRoberta>>("XLMRobertaForQuestionAnswering", Head::question_answering),
    architecture<MultipleChoiceModel<XLMRoberta, roberta::RobertaPooler>>("XLMRobertaForMultipleChoice",
                                                                          Head::multiple_choice),
    architecture<MaskedLanguageModel<XLMRoberta, roberta::RobertaLMHeadNames>>("XLMRobertaForMaskedLM",
                                                                               Head::masked_lm),
    architecture<MaskedLanguageModel<XLMRoberta, roberta::RobertaLMHeadNames>>("XLMRobertaForCausalLM",
                                                                               Head::causal_lm),
};
inline constexpr Family kFamily{"xlm-roberta", kArchitectures};

}  // namespace transformers::xlm_roberta
