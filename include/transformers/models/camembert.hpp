// CamemBERT: RoBERTa for French, the same model under its own names.
// Paper: arXiv 1911.03894.  Reference: transformers/models/camembert/modeling_camembert.py (5.23).
// Where it stands: models; one line in families.def registers it.
#pragma once

#include <string_view>

#include "transformers/models/roberta.hpp"

namespace transformers::camembert {

struct CamembertConfig : roberta::RobertaConfig {
  CamembertConfig() { vocab_size = 30522; }
};

struct Camembert : roberta::Roberta {
  using Config = CamembertConfig;  // the prefix of the weights is "roberta" here too
  using Roberta::Roberta;
};

inline constexpr Architecture kArchitectures[] = {
    architecture<BaseModelWithPooler<Camembert, roberta::RobertaPooler>>("CamembertModel", Head::base),
    architecture<SequenceClassifier<Camembert, roberta::RobertaClassificationHead>>(
        "CamembertForSequenceClassification", Head::sequence_classification),
    architecture<TokenClassifier<Camembert>>("CamembertForTokenClassification", Head::token_classification),
    architecture<QuestionAnsweringModel<Camembert>>("CamembertForQuestionAnswering", Head::question_answering),
    architecture<MultipleChoiceModel<Camembert, roberta::RobertaPooler>>("CamembertForMultipleChoice",
                                                                         Head::multiple_choice),
    architecture<MaskedLanguageModel<Camembert, roberta::RobertaLMHeadNames>>("CamembertForMaskedLM", Head::masked_lm),
    architecture<MaskedLanguageModel<Camembert, roberta::RobertaLMHeadNames>>("CamembertForCausalLM", Head::causal_lm),
};
inline constexpr Family kFamily{"camembert", kArchitectures};

}  // namespace transformers::camembert
