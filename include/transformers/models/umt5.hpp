// UMT5: mT5 with a relative bias in every layer, its outputs always scaled.
// Paper: arXiv 2304.09151.  Reference: transformers/models/umt5/modeling_umt5.py (5.23).
// Where it stands: models; one line in families.def registers it. The layers are in t5_backbone.hpp.
#pragma once

#include "transformers/models/t5_backbone.hpp"

namespace transformers::umt5 {

struct UMT5Config : T5LikeConfig {};

struct UMT5Traits {
  using Config = UMT5Config;
  static constexpr bool bias_in_every_layer = true;
  static bool scales_decoder_outputs(const Config&) { return true; }
};

using UMT5 = EncoderDecoder<T5Halves<UMT5Traits>>;
using UMT5Encoder = T5EncoderAlone<UMT5Traits>;

inline constexpr Architecture kArchitectures[] = {
    architecture<BaseModel<UMT5>>("UMT5Model", Head::base),
    architecture<BaseModel<UMT5Encoder>>("UMT5EncoderModel", Head::encoder),
    architecture<Seq2SeqLM<UMT5>>("UMT5ForConditionalGeneration", Head::seq2seq_lm),
    architecture<WithShiftedSource<EosClassifier<UMT5>>>("UMT5ForSequenceClassification",
                                                         Head::sequence_classification),
    architecture<TokenClassifier<UMT5Encoder>>("UMT5ForTokenClassification", Head::token_classification),
    architecture<WithShiftedSource<QuestionAnsweringModel<UMT5>>>("UMT5ForQuestionAnswering", Head::question_answering),
};
inline constexpr Family kFamily{"umt5", kArchitectures};

}  // namespace transformers::umt5
