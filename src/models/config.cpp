// Implements models/config.hpp.
#include "transformers/models/config.hpp"

#include "transformers/base/error.hpp"

namespace transformers {

void PretrainedConfig::fields(FieldVisitor& f) {
  f("model_type", model_type, "the family");
  f("architectures", architectures, "classes of Hugging Face that the weights belong to");
  f("id2label", id2label, "label names");
  f("label2id", label2id, "label names, and the index of each");
  f("num_labels", num_labels, "number of labels where id2label is absent");
  f("problem_type", problem_type, "regression, single_label_classification or multi_label_classification");
  f("function_to_apply", function_to_apply, "sigmoid, softmax or none, where nothing else decides");
  f("pad_token_id", pad_token_id, "id that fills padding");
  f("tie_word_embeddings", tie_word_embeddings, "the output matrix is the input embedding");
}

void PretrainedConfig::finish() {
  if (id2label.empty()) {
    label2id = nullptr;  // names that are made up replace it
    num_labels = num_labels.value_or(2);
    check_range("num_labels", *num_labels, 1, kMaxLabels);
    for (int64_t i = 0; i < *num_labels; ++i) id2label[i] = "LABEL_" + std::to_string(i);
  } else {
    num_labels = static_cast<int64_t>(id2label.size());
    check_range("the number of labels in id2label", *num_labels, 1, kMaxLabels);
  }
  if (problem_type) {
    if (*problem_type != "regression" && *problem_type != "single_label_classification" &&
        *problem_type != "multi_label_classification") {
      throw Error(
          ErrorCode::invalid_argument,
          "problem_type must be regression, single_label_classification or multi_label_classification, found \"" +
              *problem_type + "\"",
          where);
    }
    if (*problem_type == "single_label_classification" && *num_labels == 1) {
      throw Error(ErrorCode::invalid_argument,
                  "problem_type \"single_label_classification\" needs at least 2 labels, found 1", where);
    }
  }
}

std::string PretrainedConfig::label(int64_t index) const {
  const auto it = id2label.find(index);
  return it == id2label.end() ? "LABEL_" + std::to_string(index) : it->second;
}

void PretrainedConfig::check_range(std::string_view name, int64_t value, int64_t low, int64_t high) const {
  if (value < low || value > high) {
    throw Error(ErrorCode::invalid_argument,
                std::string(name) + " must be between " + std::to_string(low) + " and " + std::to_string(high) +
                    ", found " + std::to_string(value),
                where);
  }
}

void PretrainedConfig::check_divides(std::string_view divisor_name, int64_t divisor, std::string_view name,
                                     int64_t value) const {
  if (value % divisor != 0) {
    throw Error(ErrorCode::invalid_argument,
                std::string(divisor_name) + "=" + std::to_string(divisor) + " does not divide " + std::string(name) +
                    "=" + std::to_string(value),
                where);
  }
}

}  // namespace transformers
