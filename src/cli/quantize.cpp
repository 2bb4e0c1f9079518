// tcpp quantize: a model's weights rounded, written as a directory that loads like any other.
#include "transformers/models/quantize.hpp"
#include "command.hpp"
#include "transformers/base/error.hpp"
#include "transformers/models/locate.hpp"

namespace transformers::cli {

void add_quantize(CLI::App& app) {
  CLI::App& command = *app.add_subcommand("quantize", "write a model with its weights rounded");
  struct Arguments {
    std::string model, out;
    WeightType dtype = WeightType::q8;
    std::optional<WeightType> words;
  };
  auto args = std::make_shared<Arguments>();
  command.add_option("MODEL", args->model, "directory, .gguf file or bundled model")->required();
  command.add_option("OUT_DIR", args->out, "directory to write")->required();
  add_dtype(command, args->dtype)->description("bf16, q8 or q4 (default q8)");
  command
      .add_option_function<std::string>(
          "--words",
          [args](const std::string& name) {
            args->words = weight_type_from(name);
            if (!args->words) {
              throw Error(ErrorCode::unsupported, "tables of words in \"" + name + "\" (supported: q8, q4)", "--words");
            }
          },
          "round the tables of words too, to q8 or q4")
      ->type_name("DTYPE");
  add_threads(command);
  command.callback([args] { quantize_model(find_model(args->model), args->out, args->dtype, args->words); });
}

}  // namespace transformers::cli
