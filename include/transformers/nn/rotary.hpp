// What it is: rotary positions: what config.json says about them, and the angles of a batch.
// Where it stands: nn; decoders turn their queries and keys by it (kernels rotary()).
// Usage: `RotaryEmbedding rope(config.rope.parameters(10000.0f), head_dim, max_positions, config.where);
//         rope.forward(batch, past, cos, sin);`
// Source: arXiv 2104.09864 (RoPE), 2306.15595 (linear), 2309.00071 (yarn), 2402.13753 (longrope);
//   transformers/modeling_rope_utils.py (5.23). Difference: "dynamic" and "longrope", whose angles depend on the length
//   reached, take each sequence's own length, padding included; Hugging Face takes the longest of the batch.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "transformers/base/export.hpp"
#include "transformers/base/fields.hpp"
#include "transformers/base/value.hpp"
#include "transformers/kernels/kernels.hpp"
#include "transformers/nn/cache.hpp"
#include "transformers/tensor/batch.hpp"

namespace transformers {

// The members of config.json, in the spelling of 5.x (rope_parameters) and in that of 4.x (rope_theta, rope_scaling
// with its kind under "type" or "rope_type").
struct TCPP_API RopeConfig {
  Value rope_parameters, rope_scaling;
  std::optional<float> rope_theta, partial_rotary_factor;
  std::optional<int64_t> original_max_position_embeddings;

  void fields(FieldVisitor& f);
  // One object with 5.x's names: rope_type, rope_theta and what its kind needs.
  Value parameters(float default_theta = 10000.0f) const;
};

// What rope_parameters says about the layers of one kind, "full_attention" or "sliding_attention", null where it says
// nothing. "truncate" holds for all kinds: Hugging Face looks for it beside them, and takes it for true if it is not
// there. The members of `rope_scaling`, 4.x's, go before its own.
TCPP_API Value rope_parameters_of(const Value& rope_parameters, std::string_view kind, const Value& rope_scaling = {});

class TCPP_API RotaryEmbedding {
 public:
  RotaryEmbedding() = default;
  // Error(unsupported) for a rope_type that is not here, Error(invalid_argument) for missing or impossible numbers,
  // each naming `where`.
  RotaryEmbedding(const Value& parameters, int64_t head_dim, int64_t max_position_embeddings, const std::string& where);

  // Columns of a head that are turned, at most head_dim.
  int64_t rotary_dim() const noexcept { return 2 * static_cast<int64_t>(inv_freq_.size()); }
  // Cosines and sines of every token of the batch, [tokens, rotary_dim / 2] each.
  void forward(const Batch& batch, const Cache* past_key_values, float* cos, float* sin) const;

 private:
  enum class Kind : uint8_t { fixed, dynamic, longrope };
  std::vector<float> default_inv_freq(float base) const;

  Kind kind_ = Kind::fixed;
  int64_t dim_ = 0;
  float base_ = 10000.0f, factor_ = 1.0f, attention_scaling_ = 1.0f;
  int64_t max_position_embeddings_ = 0, original_max_position_embeddings_ = 0;
  std::vector<float> inv_freq_, long_inv_freq_;
};

// Cosines and sines of a forward pass, and the turn of queries and keys that stand side by side in rows.
struct RotaryAngles {
  const float *cos = nullptr, *sin = nullptr;  // [tokens, rotary_dim / 2]
  int64_t rotary_dim = 0;

  // The first `heads` heads of x [tokens, stride], in place.
  void turn(float* x, int64_t stride, int64_t tokens, int64_t heads, int64_t head_dim) const {
    rotary({.x = x,
            .x_stride = stride,
            .rows = tokens,
            .heads = heads,
            .head_dim = head_dim,
            .rotary_dim = rotary_dim,
            .cos = cos,
            .sin = sin});
  }
};

}  // namespace transformers
