// What it is: the fields of an options struct as flags of a command, under Hugging Face's names in kebab case.
// Where it stands: src/cli; run, generate and chat take their options by it.
// Usage: `auto words = std::make_shared<OptionWords>();  add_options(command, list_fields(Options{}), words);`
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "command.hpp"
#include "transformers/base/fields.hpp"

namespace transformers::cli {

// What the command line said.
struct OptionWords {
  Value values{Value::Object{}};
  std::map<std::string, std::string> flags;  // of boolean options: "true", "false", a word, or "" where not given

  // The options given, by name.
  Value options() const;
};

// "--max-length" of max_length
std::string option_flag(std::string_view name);

// One flag for each field: --x VALUE; --x and --no-x for booleans, --x=word where there is more to say than yes and no.
// Lists are comma-separated or the flag repeated, "none" is None, a value of several types is JSON where it begins with
// a bracket.
void add_options(CLI::App& app, const std::vector<FieldInfo>& fields, const std::shared_ptr<OptionWords>& words);

}  // namespace transformers::cli
