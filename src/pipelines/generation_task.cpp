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
  for (const auto& [name, value] : options.as_object()) {
    const bool is_known = std::any_of(known.begin(), known.end(), [&](const FieldInfo& f) { return f.name == name; });
    if (is_known) call.set(name, value);
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

std::shared_ptr<const StopStringCriteria::TokenTexts> stop_texts(const Tokenizer& tokenizer,
                                                                 const GenerationConfig& config) {
  if (config.stop_strings.is_null()) return nullptr;
  return std::make_shared<StopStringCriteria::TokenTexts>(tokenizer.token_texts());
}

std::string decode_generated(const Tokenizer& tokenizer, std::span<const int64_t> ids, const DecodeOptions& options) {
  std::vector<int32_t> known;
  for (const int64_t id : ids) {
    if (tokenizer.id_to_token(static_cast<int32_t>(id))) known.push_back(static_cast<int32_t>(id));
  }
  return tokenizer.decode(known, options);
}

}  // namespace transformers
