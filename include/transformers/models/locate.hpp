// What it is: from what a user calls a model to the directory or file it lies in.
// Where it stands: models; pipelines and the command line use it.
// Usage: `std::string dir = find_model("sentiment-en");`
#pragma once

#include <string>
#include <string_view>

#include "transformers/base/export.hpp"

namespace transformers {

// A directory or a .gguf file as it is; else the name of a bundled model, looked for in $TCPP_MODELS_DIR, in
// ../share/transformers/models beside the running program, in the source tree the library was built from, and where it
// was installed. Error(not_found) saying where it was looked for.
TCPP_API std::string find_model(std::string_view name);

}  // namespace transformers
