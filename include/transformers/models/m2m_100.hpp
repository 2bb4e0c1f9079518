// M2M100 and NLLB: mBART's layers with sinusoidal positions that skip padding.
// Paper: arXiv 2010.11125, 2207.04672.  Reference: transformers/models/m2m_100/modeling_m2m_100.py (5.23).
// Where it stands: models; one line in families.def registers it. The layers are in bart_backbone.hpp.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <span>

#include "transformers/models/bart_backbone.hpp"

namespace transformers::m2m_100 {

struct M2M100Config : BartLikeConfig {
  M2M100Config() {
    vocab_size = 128112;
    activation_function = "relu";
    scale_embedding = true;
    pad_token_id = 1;
    eos_token_id = 2;
    decoder_start_token_id = 2;
  }

  void finish() {
    BartLikeConfig::finish();
    check_range("d_model", hidden_size, 4, kMaxDimension);  // Hugging Face divides by d_model / 2 - 1
    if (!pad_token_id) throw Error(ErrorCode::invalid_argument, "pad_token_id is missing", where);
    check_range("pad_token_id", *pad_token_id, 0, kMaxDimension);
  }

  // The sinusoids have no end.
  int64_t longest_sequence() const noexcept { return std::numeric_limits<int32_t>::max() / 2; }
};

// Sines of position * 10000^(-i / (half - 1)) in the first half of a row, cosines in the second, a zero behind them
// where d_model is odd; in float32, as Hugging Face makes it. The row of padding is zeros.
class M2M100Positions {
 public:
  M2M100Positions(int64_t num_positions, int64_t size, int64_t padding_idx)
      : computed_(num_positions, size, fill), padding_idx_(static_cast<int32_t>(padding_idx)) {}

  void weights(WeightVisitor&) { computed_.make(padding_idx_); }
  void add(std::span<const int32_t> position_ids, float* hidden) const { computed_.add(position_ids, hidden); }

 private:
  static void fill(int64_t position, int64_t size, float* row) {
    const int64_t half = size / 2;
    const float step = static_cast<float>(-std::log(10000.0) / static_cast<double>(half - 1));
    for (int64_t i = 0; i < half; ++i) {
      const float angle = static_cast<float>(position) * std::exp(static_cast<float>(i) * step);
      row[i] = std::sin(angle);
      row[half + i] = std::cos(angle);
    }
    if (size % 2 == 1) row[size - 1] = 0.0f;
  }

  ComputedPositions computed_;
  int32_t padding_idx_;
};

struct M2M100Traits : BartDefaults {
  using Config = M2M100Config;
  using Positions = M2M100Positions;
  static constexpr bool norm_of_embeddings = false, pre_norm = true, scales_decoder_inputs_embeds = false;
  static constexpr bool has_final_logits_bias = false;

  static Positions positions(const Config& c) {
    return {c.max_position_embeddings + *c.pad_token_id + 1, c.hidden_size, *c.pad_token_id};
  }
  static BatchRules batch_rules(const Config& c) {
    BatchRules rules = decoder_rules(c, BatchRules::Decoder::given);
    rules.positions = BatchRules::Positions::cumulative;
    rules.padding_idx = *c.pad_token_id;
    return rules;
  }
};

using M2M100 = EncoderDecoder<BartHalves<M2M100Traits>>;

inline constexpr Architecture kArchitectures[] = {
    architecture<BaseModel<M2M100>>("M2M100Model", Head::base),
    architecture<Seq2SeqLM<M2M100>>("M2M100ForConditionalGeneration", Head::seq2seq_lm),
};
inline constexpr Family kFamily{"m2m_100", kArchitectures};

}  // namespace transformers::m2m_100
