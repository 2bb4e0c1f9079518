// What it is: Hugging Face's hidden_act names as kernels' activations.
// Where it stands: nn; configs are read with it.
// Usage: `Activation act = activation_from_name(config.hidden_act, "hidden_act");`
// Source: transformers/activations.py, ACT2CLS (5.23).
#pragma once

#include <string>
#include <string_view>

#include "transformers/base/error.hpp"
#include "transformers/kernels/kernels.hpp"

namespace transformers {

// Error(unsupported) naming the config's key and the value for a name no kernel computes.
inline Activation activation_from_name(std::string_view name, std::string_view key) {
  struct Row {
    std::string_view name;
    Activation activation;
  };
  static constexpr Row kRows[] = {
      {"gelu", Activation::gelu},
      {"gelu_python", Activation::gelu},  // the same formula in float32
      {"gelu_new", Activation::gelu_new},
      {"gelu_pytorch_tanh", Activation::gelu_new},
      {"gelu_python_tanh", Activation::gelu_new},
      {"gelu_fast", Activation::gelu_new},  // the same formula, its constant rounded to 10 digits
      {"relu", Activation::relu},
      {"silu", Activation::silu},
      {"swish", Activation::silu},
      {"tanh", Activation::tanh},
      {"sigmoid", Activation::sigmoid},
      {"linear", Activation::none},
      {"gelu_accurate", Activation::gelu_new},  // the same formula again
      {"gelu_10", Activation::gelu_10},
      {"quick_gelu", Activation::quick_gelu},
      {"relu2", Activation::relu2},
      {"relu6", Activation::relu6},
      {"leaky_relu", Activation::leaky_relu},
      {"hardswish", Activation::hardswish},
      {"mish", Activation::mish},
      {"laplace", Activation::laplace},
  };
  for (const Row& row : kRows) {
    if (row.name == name) return row.activation;
  }
  std::string known;
  for (const Row& row : kRows) known += (known.empty() ? "" : ", ") + std::string(row.name);
  throw Error(ErrorCode::unsupported, "activation \"" + std::string(name) + "\" (supported: " + known + ")",
              std::string(key));
}

}  // namespace transformers
