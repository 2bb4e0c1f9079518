// What it is: from what a user calls a model to the directory or file it lies in.
// Where it stands: models; pipelines and the command line use it.
// Usage: `std::filesystem::path dir = find_model("sentiment-en");`
#pragma once

#include <filesystem>
#include <string_view>

#include "transformers/base/export.hpp"

namespace transformers {

// A directory or a .gguf file as it is; else the name of a bundled model, looked for in $TCPP_MODELS_DIR, in
// ../share/transformers/models beside the running program, in the source tree the library was built from, and where it
// was installed. Error(not_found) saying where it was looked for.
TCPP_API std::filesystem::path find_model(std::string_view name);

}  // namespace transformers
