// tcpp quantize: a model's weights rounded, written as a directory that loads like any other.
#include "transformers/models/quantize.hpp"
#include "command.hpp"
#include "transformers/models/locate.hpp"

namespace transformers::cli {

void add_quantize(CLI::App& app) {
  CLI::App& command = *app.add_subcommand("quantize", "write a model with its weights rounded");
  struct Arguments {
    std::string model, out;
    WeightType dtype = WeightType::q8;
    bool words = false;
  };
  auto args = std::make_shared<Arguments>();
  command.add_option("MODEL", args->model, "directory, .gguf file or bundled model")->required();
  command.add_option("OUT_DIR", args->out, "directory to write")->required();
  add_dtype(command, args->dtype)->description("bf16, q8 or q4 (default q8)");
  command.add_flag("--words", args->words, "round the table of words too, to q8");
  add_threads(command);
  command.callback([args] { quantize_model(find_model(args->model), args->out, args->dtype, args->words); });
}

}  // namespace transformers::cli
