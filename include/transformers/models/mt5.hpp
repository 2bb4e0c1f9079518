// mT5: T5 v1.1 with a gated feed-forward, its outputs never scaled.
// Paper: arXiv 2010.11934.  Reference: transformers/models/mt5/modeling_mt5.py (5.23).
// Where it stands: models; one line in families.def registers it. The layers are in t5_backbone.hpp.
#pragma once

#include "transformers/models/t5_backbone.hpp"

namespace transformers::mt5 {

struct MT5Config : T5LikeConfig {};

struct MT5Traits {
  using Config = MT5Config;
  static constexpr bool bias_in_every_layer = false;
  static bool scales_decoder_outputs(const Config&) { return false; }
};

using MT5 = EncoderDecoder<T5Halves<MT5Traits>>;
using MT5Encoder = T5EncoderAlone<MT5Traits>;

inline constexpr Architecture kArchitectures[] = {
    architecture<BaseModel<MT5>>("MT5Model", Head::base),
    architecture<BaseModel<MT5Encoder>>("MT5EncoderModel", Head::encoder),
    architecture<Seq2SeqLM<MT5>>("MT5ForConditionalGeneration", Head::seq2seq_lm),
    architecture<WithShiftedSource<EosClassifier<MT5>>>("MT5ForSequenceClassification", Head::sequence_classification),
    architecture<TokenClassifier<MT5Encoder>>("MT5ForTokenClassification", Head::token_classification),
    architecture<WithShiftedSource<QuestionAnsweringModel<MT5>>>("MT5ForQuestionAnswering", Head::question_answering),
};
inline constexpr Family kFamily{"mt5", kArchitectures};

}  // namespace transformers::mt5
