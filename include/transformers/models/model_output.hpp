// What it is: ModelOutput, what a forward pass returns, under Hugging Face's names.
// Where it stands: models; heads fill it, pipelines and `tcpp forward` read it.
// Usage: `ModelOutput out = model.forward(batch, ws);  std::span<const float> scores = out.logits->row(0);`
// Source: transformers/modeling_outputs.py (5.23).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "transformers/base/export.hpp"
#include "transformers/tensor/batch.hpp"
#include "transformers/tensor/tensor.hpp"
#include "transformers/tensor/workspace.hpp"

namespace transformers {

// One output, float32. It views the Workspace of its forward pass: valid until that workspace is used again.
struct OutputTensor {
  enum class Rows {
    tokens,         // [tokens, width]: a row for every row of the Batch
    sequences,      // [batch, width]: a row for every sequence
    source_tokens,  // [source tokens, width]: a row for every row of Batch::encoder
    kept,           // [rows, width]: a row for every entry of ForwardOptions::logits_to_keep
  };
  const float* data = nullptr;
  int64_t count = 0;  // rows
  int64_t width = 0;  // floats in a row
  Rows rows = Rows::tokens;
  bool scalar = false;     // Hugging Face's shape has no last dimension (start_logits: [batch, seq])
  bool by_choice = false;  // it begins [batch, num_choices], not [batch * num_choices]

  std::span<const float> row(int64_t index) const { return {data + index * width, static_cast<std::size_t>(width)}; }
  // The rows of sequence `index` that are tokens with attention_mask 1: [key_lens[index], width].
  std::span<const float> sequence(const Batch& batch, int64_t index) const {
    const std::size_t i = static_cast<std::size_t>(index);
    return {data + batch.cu_seqlens[i] * width, static_cast<std::size_t>(batch.key_lens[i] * width)};
  }
};

struct TCPP_API ModelOutput {
  std::optional<OutputTensor> last_hidden_state;  // [tokens, hidden_size]
  std::optional<OutputTensor> pooler_output;      // [batch, hidden_size]
  std::optional<OutputTensor> mc_logits;          // [batch, num_choices], the second head's of a double heads model
  // [batch, num_labels], [batch, num_choices], [tokens, num_labels] or [tokens, vocab_size] by the head
  std::optional<OutputTensor> logits;
  bool log_probabilities = false;                       // logits are, and are called prediction_scores (Transformer-XL)
  std::optional<OutputTensor> prediction_logits;        // [tokens, vocab_size], of pre-training
  std::optional<OutputTensor> seq_relationship_logits;  // [batch, 2], BERT's second head of pre-training
  std::optional<OutputTensor> sop_logits;               // [batch, num_labels], ALBERT's
  std::optional<OutputTensor> start_logits, end_logits;   // [tokens]
  std::optional<OutputTensor> encoder_last_hidden_state;  // [source tokens, hidden_size]
  // Encoder-decoders, on request: like hidden_states, of the decoder and, unless it did not run, the encoder.
  std::vector<OutputTensor> decoder_hidden_states, encoder_hidden_states;
  std::vector<OutputTensor> hidden_states;  // on request: embeddings, then each layer, [tokens, hidden_size]

  // Those present, in Hugging Face's order, under Hugging Face's names ("hidden_states.0" ...).
  std::vector<std::pair<std::string, OutputTensor>> named() const;
};

// Appends a copy of hidden [tokens, width] when hidden states are asked for (`list` is not null).
TCPP_API void record_hidden_state(std::vector<OutputTensor>* list, const float* hidden, int64_t tokens, int64_t width,
                                  Workspace& workspace, OutputTensor::Rows rows = OutputTensor::Rows::tokens);

// A copy in Hugging Face's shape, [batch, seq, width], [batch, seq] or [batch, width] ([rows, width] of kept rows);
// positions whose attention_mask
// was 0 are zeros.
TCPP_API Tensor to_padded(const OutputTensor& output, const Batch& batch);

}  // namespace transformers
