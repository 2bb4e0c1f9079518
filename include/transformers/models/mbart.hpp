// mBART: BART with the norms in front of the blocks and one behind the last layer.
// Paper: arXiv 2001.08210.  Reference: transformers/models/mbart/modeling_mbart.py (5.23).
// Where it stands: models; one line in families.def registers it. The layers are in bart_backbone.hpp.
#pragma once

#include <cstdint>

#include "transformers/models/bart_backbone.hpp"
#include "transformers/models/decoder_heads.hpp"

namespace transformers::mbart {

struct MBartConfig : BartLikeConfig {
  MBartConfig() {
    pad_token_id = 1;
    eos_token_id = 2;
  }
};

struct MBartTraits : BartDefaults {
  using Config = MBartConfig;
  using Positions = LearnedPositions;
  static constexpr bool norm_of_embeddings = true, pre_norm = true, scales_decoder_inputs_embeds = false;

  static Positions positions(const Config& c) { return {c.max_position_embeddings, c.hidden_size, /*offset=*/2}; }
  static BatchRules batch_rules(const Config& c) { return decoder_rules(c, BatchRules::Decoder::wrapped); }
};

using MBart = EncoderDecoder<BartHalves<MBartTraits>>;
using MBartDecoder = DecoderAlone<BartHalves<MBartTraits>>;

inline constexpr Architecture kArchitectures[] = {
    architecture<BaseModel<MBart>>("MBartModel", Head::base),
    architecture<Seq2SeqLM<MBart>>("MBartForConditionalGeneration", Head::seq2seq_lm),
    architecture<EosClassifier<MBart>>("MBartForSequenceClassification", Head::sequence_classification),
    architecture<BartSpanModel<MBart>>("MBartForQuestionAnswering", Head::question_answering),
    architecture<CausalLM<MBartDecoder>>("MBartForCausalLM", Head::causal_lm),
};
inline constexpr Family kFamily{"mbart", kArchitectures};

}  // namespace transformers::mbart
