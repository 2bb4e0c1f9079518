// What it is: the Auto classes: a model of the head you ask for, whatever the family.
// Where it stands: models; the entry for users who want logits rather than a pipeline.
// Usage: `auto model = AutoModelForSequenceClassification::from_pretrained("models/sentiment-en");`
// Source: transformers/models/auto/modeling_auto.py (5.23).
#pragma once

#include <memory>
#include <string>

#include "transformers/base/export.hpp"
#include "transformers/models/pretrained_model.hpp"

namespace transformers {

// `name` as in PretrainedModel::from_pretrained. Loads the family's class with the head `head`, whatever
// architectures[0] says; Error(not_found) when the directory has no weights for that head, Error(unsupported) when the
// family has no such class.
TCPP_API std::unique_ptr<PretrainedModel> load_model(std::shared_ptr<const ModelFiles> files, Head head,
                                                     const LoadOptions& options = {});

TCPP_API std::unique_ptr<PretrainedModel> load_model(const std::string& name, Head head,
                                                     const LoadOptions& options = {});

template <Head kHead>
struct AutoModelWithHead {
  static std::unique_ptr<PretrainedModel> from_pretrained(const std::string& name, const LoadOptions& options = {}) {
    return load_model(name, kHead, options);
  }
};

using AutoModel = AutoModelWithHead<Head::base>;
using AutoModelForSequenceClassification = AutoModelWithHead<Head::sequence_classification>;
using AutoModelForTokenClassification = AutoModelWithHead<Head::token_classification>;
using AutoModelForQuestionAnswering = AutoModelWithHead<Head::question_answering>;
using AutoModelForMultipleChoice = AutoModelWithHead<Head::multiple_choice>;
using AutoModelForMaskedLM = AutoModelWithHead<Head::masked_lm>;
using AutoModelForCausalLM = AutoModelWithHead<Head::causal_lm>;
using AutoModelForSeq2SeqLM = AutoModelWithHead<Head::seq2seq_lm>;
using AutoModelForNextSentencePrediction = AutoModelWithHead<Head::next_sentence_prediction>;
using AutoModelForPreTraining = AutoModelWithHead<Head::pre_training>;

}  // namespace transformers
