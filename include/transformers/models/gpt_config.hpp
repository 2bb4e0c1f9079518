// What it is: GPTConfig, what the configs of GPT, GPT-2 and CTRL have in common, under the names of the first.
// Where it stands: models; gpt2.hpp, openai_gpt.hpp and ctrl.hpp derive theirs from it.
// Usage: `struct CTRLConfig : GPTConfig { int64_t dff = 8192; void fields(FieldVisitor& f) { ... } };`
// Source: transformers/models/openai/configuration_openai.py and its relatives (5.23).
#pragma once

#include <cstdint>

#include "transformers/models/config.hpp"

namespace transformers {

struct GPTConfig : PretrainedConfig {
  int64_t vocab_size = 50257, hidden_size = 768, num_hidden_layers = 12, num_attention_heads = 12;
  int64_t max_position_embeddings = 512;
  float layer_norm_epsilon = 1e-5f;

  void fields(FieldVisitor& f) {
    PretrainedConfig::fields(f);
    f("vocab_size", vocab_size);
    f("n_embd", hidden_size);
    f("n_layer", num_hidden_layers);
    f("n_head", num_attention_heads);
    f("n_positions", max_position_embeddings);
    f("layer_norm_epsilon", layer_norm_epsilon);
    // Hugging Face's attribute_map: where a config has both spellings, these count.
    f("hidden_size", hidden_size);
    f("num_hidden_layers", num_hidden_layers);
    f("num_attention_heads", num_attention_heads);
    f("max_position_embeddings", max_position_embeddings);
  }

  void finish() {
    PretrainedConfig::finish();
    check_range("vocab_size", vocab_size, 1, kMaxDimension);
    check_range("n_embd", hidden_size, 1, kMaxDimension / 4);
    check_range("n_layer", num_hidden_layers, 0, kMaxLayers);
    check_range("n_head", num_attention_heads, 1, hidden_size);
    check_range("n_positions", max_position_embeddings, 1, kMaxDimension);
    check_divides("n_head", num_attention_heads, "n_embd", hidden_size);
  }

  int64_t longest_sequence() const noexcept { return max_position_embeddings; }
};

}  // namespace transformers
