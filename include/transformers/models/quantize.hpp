// What it is: writing a model with its weights rounded, as a directory that loads like any other.
// Where it stands: models; `tcpp quantize` is this.
// Usage: `quantize_model("bert-base-uncased", "bert-q8", WeightType::q8);`
#pragma once

#include <optional>
#include <string>

#include "transformers/base/export.hpp"
#include "transformers/tensor/dtype.hpp"

namespace transformers {

// Reads the model at `name` (a directory or a .gguf file) and writes the directory `out`: model.safetensors,
// config.json with quantization_config, and the tokenizer's and other files as they are. Matrices are rounded to `type`
// (bf16, q8 or q4; with q4 the one over the vocabulary is q8), everything else keeps its stored type. Loading it gives
// the bits that loading `name` with LoadOptions::dtype gives. `words`, q8 or q4: tables of words are rounded to it,
// which loading alone never does; of a small encoder they are half. One that is also the head is q8 without it.
//   x.weight         q8: I8 [out, in]; q4: U8 [out, ceil(in / 2)], two numbers a byte; bf16: BF16
//   x.weight_scale   F16 [out, ceil(in / 32)]; q8 of models that do not only decode: F32 [out, ceil(in / 128)]
//   x.weight_offset  of q4, F16 alike: a number is q * scale + offset
// Error(invalid_argument) for another type, a model that is quantized already or an `out` that is the model itself;
// else as loading, and Error(io).
TCPP_API void quantize_model(const std::string& name, const std::string& out, WeightType type,
                             std::optional<WeightType> words = {});

}  // namespace transformers
