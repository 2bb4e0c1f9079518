// What it is: Family and Architecture, the rows from which a model_type and a class name lead to code.
// Where it stands: models; a family's header ends with its list, families.def has one line for it.
// Usage: see the end of bert.hpp. CMake compiles each family in a file of its own, which defines family_<name>().
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "transformers/base/export.hpp"
#include "transformers/base/value.hpp"
#include "transformers/models/config.hpp"
#include "transformers/models/pretrained_model.hpp"

namespace transformers {

// One class of Hugging Face: its name in config.json's "architectures", its head, and how it is made from a config.
struct Architecture {
  std::string_view name;
  Head head;
  std::unique_ptr<PretrainedModel> (*make)(const Value& config, std::string_view where);
};

struct Family {
  std::string_view model_type;
  std::span<const Architecture> architectures;
};

// The row of a class `Model` whose constructor takes a Model::Config.
template <class Model>
constexpr Architecture architecture(std::string_view name, Head head) {
  return {name, head, [](const Value& value, std::string_view where) -> std::unique_ptr<PretrainedModel> {
            typename Model::Config config;
            config.where = where;
            read_fields(config, value, where);
            config.finish();
            return std::make_unique<Model>(std::move(config));
          }};
}

// All families of families.def.
TCPP_API std::span<const Family* const> families() noexcept;

}  // namespace transformers

// The body of the file that CMake writes for each line of families.def.
#define TCPP_DEFINE_FAMILY(name)                                   \
  namespace transformers {                                         \
  const Family& family_##name() noexcept { return name::kFamily; } \
  }
