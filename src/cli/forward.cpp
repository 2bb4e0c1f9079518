// tcpp forward: one forward pass from tensors in a safetensors file to tensors in another.
#include <algorithm>
#include <cstring>

#include "command.hpp"
#include "transformers/base/error.hpp"
#include "transformers/io/safetensors.hpp"
#include "transformers/models/locate.hpp"
#include "transformers/models/pretrained_model.hpp"

namespace transformers::cli {
namespace {

struct ForwardArguments {
  std::string model, inputs, output;
  bool output_hidden_states = false;
  LoadOptions load;
};

void forward(const ForwardArguments& args) {
  const auto file = SafetensorsFile::open(args.inputs);
  ModelInputs inputs;
  for (const std::string& name : file->names()) {
    const auto row = std::find_if(std::begin(kModelInputNames), std::end(kModelInputNames),
                                  [&](const ModelInputName& input) { return input.name == name; });
    if (row == std::end(kModelInputNames)) {
      throw Error(ErrorCode::invalid_argument, "the model takes no input \"" + name + "\"", args.inputs);
    }
    inputs.*(row->tensor) = as_input(file->tensor(name), *row, args.inputs);
  }

  const auto model = PretrainedModel::from_pretrained(find_model(args.model), args.load);
  const Batch batch = make_batch(inputs, model->batch_rules());
  Workspace workspace;
  const ModelOutput output = model->forward(batch, workspace, {.output_hidden_states = args.output_hidden_states});
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const auto& [name, tensor] : output.named()) tensors.emplace_back(name, to_padded(tensor, batch));
  save_safetensors(args.output, tensors);
}

}  // namespace

Tensor as_input(const Tensor& tensor, const ModelInputName& input, const std::string& file) {
  const auto widen = [&](auto zero) {
    using T = decltype(zero);
    Tensor out = Tensor::zeros(DType::i64, tensor.shape());
    const auto* bytes = static_cast<const unsigned char*>(tensor.raw());
    for (int64_t i = 0; i < tensor.size(); ++i) {
      T value;
      std::memcpy(&value, bytes + static_cast<std::size_t>(i) * sizeof(T), sizeof(T));
      out.mutable_data<int64_t>()[i] = static_cast<int64_t>(value);
    }
    return out;
  };
  const std::string where = file + ": " + std::string(input.name);
  if (input.floats) {
    if (!is_floating(tensor.dtype())) {
      throw Error(ErrorCode::invalid_argument, "expected F32, got " + std::string(safetensors_name(tensor.dtype())),
                  where);
    }
    return tensor.to_float32();
  }
  switch (tensor.dtype()) {
    case DType::i64:
      return tensor.to_aligned();
    case DType::i32:
      return widen(int32_t{});
    case DType::i16:
      return widen(int16_t{});
    case DType::i8:
      return widen(int8_t{});
    case DType::u8:
    case DType::boolean:
      return widen(uint8_t{});
    default:
      throw Error(ErrorCode::invalid_argument, "expected I64, got " + std::string(safetensors_name(tensor.dtype())),
                  where);
  }
}

void add_forward(CLI::App& app) {
  CLI::App& command = *app.add_subcommand("forward", "one forward pass, from a safetensors file to another");
  auto args = std::make_shared<ForwardArguments>();
  command.add_option("MODEL", args->model, "directory, .gguf file or bundled model")->required();
  command
      .add_option(
          "--inputs", args->inputs,
          "safetensors file with Hugging Face's arguments: input_ids, attention_mask, token_type_ids, position_ids, "
          "inputs_embeds; [batch, num_choices, seq] for multiple choice; for encoder-decoders decoder_input_ids, "
          "decoder_attention_mask, decoder_inputs_embeds, encoder_outputs, too")
      ->required();
  command.add_option("--output", args->output, "safetensors file for logits, last_hidden_state ...")->required();
  command.add_flag("--output-hidden-states", args->output_hidden_states,
                   "write hidden_states.0, hidden_states.1 ... too");
  add_load(command, args->load);
  add_threads(command);
  command.callback([args] { forward(*args); });
}

}  // namespace transformers::cli
