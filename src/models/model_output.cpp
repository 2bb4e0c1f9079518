// Implements models/model_output.hpp.
#include "transformers/models/model_output.hpp"

#include <algorithm>

namespace transformers {

std::vector<std::pair<std::string, OutputTensor>> ModelOutput::named() const {
  std::vector<std::pair<std::string, OutputTensor>> out;
  const auto add = [&](const char* name, const std::optional<OutputTensor>& t) {
    if (t) out.emplace_back(name, *t);
  };
  add("last_hidden_state", last_hidden_state);
  add("pooler_output", pooler_output);
  add(log_probabilities ? "prediction_scores" : "logits", logits);
  add("mc_logits", mc_logits);
  add("prediction_logits", prediction_logits);
  add("seq_relationship_logits", seq_relationship_logits);
  add("sop_logits", sop_logits);
  add("start_logits", start_logits);
  add("end_logits", end_logits);
  const auto add_states = [&](const std::string& name, const std::vector<OutputTensor>& states) {
    for (std::size_t i = 0; i < states.size(); ++i) out.emplace_back(name + "." + std::to_string(i), states[i]);
  };
  add_states("hidden_states", hidden_states);
  add_states("decoder_hidden_states", decoder_hidden_states);
  add("encoder_last_hidden_state", encoder_last_hidden_state);
  add_states("encoder_hidden_states", encoder_hidden_states);
  return out;
}

void record_hidden_state(std::vector<OutputTensor>* list, const float* hidden, int64_t tokens, int64_t width,
                         Workspace& workspace, OutputTensor::Rows rows) {
  if (list == nullptr) return;
  float* copy = workspace.floats(tokens * width);
  std::copy_n(hidden, tokens * width, copy);
  list->push_back({copy, tokens, width, rows, false});
}

Tensor to_padded(const OutputTensor& output, const Batch& batch) {
  if (output.rows == OutputTensor::Rows::source_tokens) {
    OutputTensor source = output;
    source.rows = OutputTensor::Rows::tokens;
    return to_padded(source, *batch.encoder);
  }
  if (output.rows != OutputTensor::Rows::tokens) {
    Shape shape{output.count};
    if (!output.scalar) shape.push_back(output.width);
    return Tensor::from<float>(DType::f32, std::move(shape),
                               {output.data, static_cast<std::size_t>(output.count * output.width)});
  }
  Shape shape{batch.batch_size(), batch.padded_length};
  if (output.by_choice) shape = {batch.batch_size() / batch.num_choices, batch.num_choices, batch.padded_length};
  if (!output.scalar) shape.push_back(output.width);
  Tensor padded = Tensor::zeros(DType::f32, std::move(shape));
  float* to = padded.mutable_data<float>();
  for (int64_t i = 0; i < batch.batch_size(); ++i) {
    const std::size_t s = static_cast<std::size_t>(i);
    for (int32_t t = 0; t < batch.key_lens[s]; ++t) {
      const int64_t from_row = batch.cu_seqlens[s] + t;
      const int64_t to_row = i * batch.padded_length + batch.columns[static_cast<std::size_t>(from_row)];
      std::copy_n(output.data + from_row * output.width, output.width, to + to_row * output.width);
    }
  }
  return padded;
}

}  // namespace transformers
