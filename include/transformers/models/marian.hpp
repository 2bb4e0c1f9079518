// Marian: BART with sinusoidal positions, no norm of the embeddings, and maybe a vocabulary for each side.
// Paper: arXiv 1804.00344.  Reference: transformers/models/marian/modeling_marian.py (5.23).
// Where it stands: models; one line in families.def registers it. The layers are in bart_backbone.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "transformers/models/bart_backbone.hpp"
#include "transformers/models/decoder_heads.hpp"

namespace transformers::marian {

struct MarianConfig : BartLikeConfig {
  std::optional<int64_t> decoder_vocab_size;
  bool share_encoder_decoder_embeddings = true;

  MarianConfig() {
    vocab_size = 58101;
    pad_token_id = 58100;
    eos_token_id = 0;
    decoder_start_token_id = 58100;
  }

  void fields(FieldVisitor& f) {
    BartLikeConfig::fields(f);
    f("decoder_vocab_size", decoder_vocab_size);
    f("share_encoder_decoder_embeddings", share_encoder_decoder_embeddings);
  }

  void finish() {
    BartLikeConfig::finish();
    if (decoder_vocab_size.value_or(0) == 0) decoder_vocab_size = vocab_size;
    check_range("decoder_vocab_size", *decoder_vocab_size, 1, kMaxDimension);
  }
};

struct MarianTraits : BartDefaults {
  using Config = MarianConfig;
  using Positions = SinusoidalPositions;
  static constexpr bool norm_of_embeddings = false, pre_norm = false, scales_decoder_inputs_embeds = true;

  static Positions positions(const Config& c) { return {c.max_position_embeddings, c.hidden_size, Positions::halves}; }
  static BatchRules batch_rules(const Config& c) { return decoder_rules(c, BatchRules::Decoder::given); }
  static int64_t decoder_vocab_size(const Config& c) {
    return c.share_encoder_decoder_embeddings ? c.vocab_size : *c.decoder_vocab_size;
  }
  static std::vector<std::string> lm_head_names(const Config& c) {
    if (c.share_encoder_decoder_embeddings) return BartDefaults::lm_head_names(c);
    return {"lm_head.weight", "model.decoder.embed_tokens.weight"};
  }
};

using Marian = EncoderDecoder<BartHalves<MarianTraits>>;
using MarianDecoder = DecoderAlone<BartHalves<MarianTraits>>;

inline constexpr Architecture kArchitectures[] = {
    architecture<BaseModel<Marian>>("MarianModel", Head::base),
    architecture<Seq2SeqLM<Marian>>("MarianMTModel", Head::seq2seq_lm),
    architecture<CausalLM<MarianDecoder>>("MarianForCausalLM", Head::causal_lm),
};
inline constexpr Family kFamily{"marian", kArchitectures};

}  // namespace transformers::marian
