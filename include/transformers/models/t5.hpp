// T5: encoder-decoder with relative positions, v1.0 with relu and v1.1 with a gated feed-forward.
// Paper: arXiv 1910.10683.  Reference: transformers/models/t5/modeling_t5.py (5.23).
// Where it stands: models; one line in families.def registers it. The layers are in t5_backbone.hpp.
#pragma once

#include <optional>

#include "transformers/models/t5_backbone.hpp"

namespace transformers::t5 {

struct T5Config : T5LikeConfig {
  std::optional<bool> scale_decoder_outputs;  // written by 5.x; without it a tied config means true

  T5Config() {
    vocab_size = 32128;
    d_ff = 2048;
    num_layers = 6;
    num_heads = 8;
    feed_forward_proj = "relu";
    decoder_start_token_id.reset();
  }

  void fields(FieldVisitor& f) {
    T5LikeConfig::fields(f);
    f("scale_decoder_outputs", scale_decoder_outputs);
  }
};

struct T5Traits {
  using Config = T5Config;
  static constexpr bool bias_in_every_layer = false;
  static bool scales_decoder_outputs(const Config& c) {
    return c.scale_decoder_outputs.value_or(c.tie_word_embeddings);
  }
};

using T5 = EncoderDecoder<T5Halves<T5Traits>>;
using T5Encoder = T5EncoderAlone<T5Traits>;

inline constexpr Architecture kArchitectures[] = {
    architecture<BaseModel<T5>>("T5Model", Head::base),
    architecture<BaseModel<T5Encoder>>("T5EncoderModel", Head::encoder),
    architecture<Seq2SeqLM<T5>>("T5ForConditionalGeneration", Head::seq2seq_lm),
    architecture<WithShiftedSource<EosClassifier<T5>>>("T5ForSequenceClassification", Head::sequence_classification),
    architecture<TokenClassifier<T5Encoder>>("T5ForTokenClassification", Head::token_classification),
    architecture<WithShiftedSource<QuestionAnsweringModel<T5>>>("T5ForQuestionAnswering", Head::question_answering),
};
inline constexpr Family kFamily{"t5", kArchitectures};

}  // namespace transformers::t5
