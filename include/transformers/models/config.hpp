// What it is: PretrainedConfig, what every config.json says, and the checks on its numbers.
// Where it stands: models; each family's config struct derives from it and adds its own fields.
// Usage: `struct BertConfig : PretrainedConfig { int64_t hidden_size = 768; void fields(FieldVisitor& f) { ... } };`
// Source: transformers/configuration_utils.py, PreTrainedConfig (5.23).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "transformers/base/export.hpp"
#include "transformers/base/fields.hpp"

namespace transformers {

struct TCPP_API PretrainedConfig {
  std::string model_type;
  std::vector<std::string> architectures;  // [0] names the class whose weights the directory holds
  std::map<int64_t, std::string> id2label;
  Value label2id;                           // an object of integers, where the file has one
  std::optional<int64_t> num_labels;        // read only where id2label is absent; after finish() always set
  std::optional<std::string> problem_type;  // "regression", "single_label_classification", "multi_label_classification"
  std::optional<std::string> function_to_apply;
  std::optional<int64_t> pad_token_id;
  bool tie_word_embeddings = true;
  std::string where;  // the file it was read from, for errors

  // The fields above; a family's fields() calls it first.
  void fields(FieldVisitor& f);

  // Settles num_labels and id2label as Hugging Face does: id2label counts; without it num_labels (2 when absent too)
  // names LABEL_0, LABEL_1 ... Error(invalid_argument) on a problem_type Hugging Face does not know.
  void finish();

  // id2label[index], or LABEL_index where the map has no such key.
  std::string label(int64_t index) const;

  // Error(invalid_argument) "hidden_size must be between 1 and N, found V" (config.json).
  void check_range(std::string_view name, int64_t value, int64_t low, int64_t high) const;
  // Error(invalid_argument) "num_attention_heads=7 does not divide hidden_size=768".
  void check_divides(std::string_view divisor_name, int64_t divisor, std::string_view name, int64_t value) const;
};

// Upper limits of sizes read from a config: far above any published model, low enough that no product overflows.
inline constexpr int64_t kMaxLayers = 4096;
inline constexpr int64_t kMaxDimension = int64_t{1} << 24;
inline constexpr int64_t kMaxLabels = int64_t{1} << 20;

}  // namespace transformers
