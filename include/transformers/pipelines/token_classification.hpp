// What it is: token classification (named entity recognition): a text in, its labelled tokens or entities out.
// Where it stands: pipelines; one line in tasks.def registers it.
// Usage:
//   TokenClassification tag({.model = "bert-base-NER"});
//   for (const auto& e : tag("Ada lives in Paris", {.aggregation_strategy = AggregationStrategy::simple})) ...
//   // e.entity "PER", e.word "Ada", e.start 0, e.end 3
// Source: transformers/pipelines/token_classification.py (5.23).
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "transformers/pipelines/encoder_pipeline.hpp"

namespace transformers {

// How tokens become entities.
//   none     they do not: one answer a token
//   simple   neighbours whose labels have the same name are one entity; B- begins a new one
//   first, average, max
//            first all tokens of a word get one label: that of its first token, the best of the mean of their scores,
//            or that of the surest token; then as simple
enum class AggregationStrategy { none, simple, first, average, max };

struct TokenEntity {
  std::string entity;  // a token's label; an entity's, without what stands before its first "-"
  float score = 0;
  std::optional<int64_t> index = {};  // a token's place in its window, special tokens counted
  std::string word;                   // the token, or the tokens of an entity joined
  int64_t start = 0, end = 0;         // code points of the text
};

struct TCPP_API TokenClassificationOptions {
  AggregationStrategy aggregation_strategy = AggregationStrategy::none;
  std::vector<std::string> ignore_labels = {"O"};  // left out of the answer
  // Tokens that windows of the model's length have in common; unset, a text is cut after the first window.
  std::optional<int64_t> stride = {};
  bool is_split_into_words = false;  // of run(): inputs are lists of words
  std::string delimiter = " ";       // what stands between two words in the text that offsets count in
  CallControl control = {};

  void fields(FieldVisitor& f);
};

class TCPP_API TokenClassification final : public EncoderPipeline {
 public:
  using Options = TokenClassificationOptions;
  static constexpr Head kHead = Head::token_classification;

  explicit TokenClassification(const PipelineOptions& options = {});

  std::vector<TokenEntity> operator()(std::string_view text, const Options& options = {}) const;
  std::vector<std::vector<TokenEntity>> operator()(std::initializer_list<std::string_view> texts,
                                                   const Options& options = {}) const;
  std::vector<std::vector<TokenEntity>> operator()(std::span<const std::string> texts,
                                                   const Options& options = {}) const;
  // Sentences given in words; offsets count in the words joined by options.delimiter.
  std::vector<std::vector<TokenEntity>> operator()(std::span<const std::vector<std::string>> sentences,
                                                   const Options& options = {}) const;

  std::string_view task() const noexcept override;
  std::vector<FieldInfo> options() const override { return list_fields(Options{}); }
  // A list an input, of {"entity", "score", "index", "word", "start", "end"}, or {"entity_group", "score", "word",
  // "start", "end"} where tokens are aggregated. With is_split_into_words an input is a list of words; a string is one
  // written as JSON, or else cut at the delimiter.
  std::vector<Value> run(std::span<const Value> inputs, const Value& options = {},
                         const CallControl& control = {}) const override;
  using Pipeline::run;

 private:
  struct Sentence;
  std::vector<std::vector<TokenEntity>> classify(std::span<const Sentence> sentences, const Options& options) const;
  std::vector<TokenEntity> entities_of(const Sentence& sentence, const Encoding& encoding,
                                       std::span<const float> logits, const Options& options) const;
};

}  // namespace transformers
