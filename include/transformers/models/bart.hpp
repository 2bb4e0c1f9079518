// BART: encoder-decoder with learned positions; post-norm layers, gelu feed-forward.
// Paper: arXiv 1910.13461.  Reference: transformers/models/bart/modeling_bart.py (5.23).
// Where it stands: models; one line in families.def registers it. The layers are in bart_backbone.hpp.
#pragma once

#include <cstdint>

#include "transformers/models/bart_backbone.hpp"
#include "transformers/models/decoder_heads.hpp"

namespace transformers::bart {

struct BartConfig : BartLikeConfig {
  BartConfig() {
    num_labels = 3;
    pad_token_id = 1;
    eos_token_id = 2;
    decoder_start_token_id = 2;
  }
};

struct BartTraits : BartDefaults {
  using Config = BartConfig;
  using Positions = LearnedPositions;
  static constexpr bool norm_of_embeddings = true, pre_norm = false, scales_decoder_inputs_embeds = false;

  static Positions positions(const Config& c) { return {c.max_position_embeddings, c.hidden_size, /*offset=*/2}; }
  static BatchRules batch_rules(const Config& c) { return decoder_rules(c, BatchRules::Decoder::shifted); }
};

using Bart = EncoderDecoder<BartHalves<BartTraits>>;
using BartDecoder = DecoderAlone<BartHalves<BartTraits>>;

inline constexpr Architecture kArchitectures[] = {
    architecture<BaseModel<Bart>>("BartModel", Head::base),
    architecture<Seq2SeqLM<Bart>>("BartForConditionalGeneration", Head::seq2seq_lm),
    architecture<EosClassifier<Bart>>("BartForSequenceClassification", Head::sequence_classification),
    architecture<BartSpanModel<Bart>>("BartForQuestionAnswering", Head::question_answering),
    architecture<CausalLM<BartDecoder>>("BartForCausalLM", Head::causal_lm),
};
inline constexpr Family kFamily{"bart", kArchitectures};

}  // namespace transformers::bart
