// Implements generation_task.hpp.
#include "generation_task.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace transformers {

Value generate_options(const Value& options) {
  Value call{Value::Object{}};
  if (!options.is_object()) return call;
  const std::vector<FieldInfo> known = list_fields(GenerationConfig{});
  for (const Value::Member& option : options.as_object()) {
    const auto is_it = [&](const FieldInfo& field) { return field.name == option.first; };
    if (std::any_of(known.begin(), known.end(), is_it)) call.set(option.first, option.second);
  }
  return call;
}

Value set_fields(const GenerationConfig& config) {
  Value set{Value::Object{}};
  for (const FieldInfo& field : list_fields(config)) {
    if (!field.value.is_null()) set.set(field.name, field.value);
  }
  return set;
}

std::string decode_generated(const Tokenizer& tokenizer, std::span<const int64_t> ids, const DecodeOptions& options) {
  std::vector<int32_t> known;
  for (const int64_t id : ids) {
    if (tokenizer.id_to_token(static_cast<int32_t>(id))) known.push_back(static_cast<int32_t>(id));
  }
  return tokenizer.decode(known, options);
}

}  // namespace transformers
