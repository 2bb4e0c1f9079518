// Pegasus: mBART's layers with Marian's sinusoidal positions and no norm of the embeddings.
// Paper: arXiv 1912.08777.  Reference: transformers/models/pegasus/modeling_pegasus.py (5.23).
// Where it stands: models; one line in families.def registers it. The layers are in bart_backbone.hpp.
#pragma once

#include <cstdint>

#include "transformers/models/bart_backbone.hpp"
#include "transformers/models/decoder_heads.hpp"

namespace transformers::pegasus {

struct PegasusConfig : BartLikeConfig {
  PegasusConfig() {
    pad_token_id = 0;
    eos_token_id = 1;
    decoder_start_token_id = 0;
  }
};

struct PegasusTraits : BartDefaults {
  using Config = PegasusConfig;
  using Positions = SinusoidalPositions;
  static constexpr bool norm_of_embeddings = false, pre_norm = true, scales_decoder_inputs_embeds = true;

  static Positions positions(const Config& c) { return {c.max_position_embeddings, c.hidden_size, Positions::halves}; }
  static BatchRules batch_rules(const Config& c) { return decoder_rules(c, BatchRules::Decoder::given); }
};

using Pegasus = EncoderDecoder<BartHalves<PegasusTraits>>;
using PegasusDecoder = DecoderAlone<BartHalves<PegasusTraits>>;

inline constexpr Architecture kArchitectures[] = {
    architecture<BaseModel<Pegasus>>("PegasusModel", Head::base),
    architecture<Seq2SeqLM<Pegasus>>("PegasusForConditionalGeneration", Head::seq2seq_lm),
    architecture<CausalLM<PegasusDecoder>>("PegasusForCausalLM", Head::causal_lm),
};
inline constexpr Family kFamily{"pegasus", kArchitectures};

}  // namespace transformers::pegasus
