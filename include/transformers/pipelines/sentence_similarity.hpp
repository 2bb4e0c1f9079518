// What it is: sentence similarity: how close in meaning sentences are to a source sentence, by their embeddings.
// Where it stands: pipelines; one line in tasks.def registers it.
// Usage:
//   SentenceSimilarity similarity;                                                     // the bundled model
//   std::vector<float> s = similarity("A cat sleeps.", {"A kitten naps.", "Stocks fell."});   // {0.8, 0.1}
// Source: the task of this name of Hugging Face's inference API; SentenceTransformer.similarity (6.2).
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "transformers/pipelines/feature_extraction.hpp"

namespace transformers {

// How two embeddings compare, more is closer: the cosine of their angle, their product, or minus their distance.
// `automatic` is what config_sentence_transformers.json says, cosine where it says nothing.
enum class SimilarityFunction { automatic, cosine, dot, euclidean, manhattan };

struct SimilarityInput {
  std::string source_sentence;
  std::vector<std::string> sentences;
};

struct TCPP_API SentenceSimilarityOptions {
  SimilarityFunction similarity_fn_name = SimilarityFunction::automatic;
  CallControl control = {};

  void fields(FieldVisitor& f);
};

class TCPP_API SentenceSimilarity final : public Pipeline {
 public:
  using Options = SentenceSimilarityOptions;
  static constexpr Head kHead = FeatureExtraction::kHead;
  static constexpr InputName kInputs[] = {{"source_sentence"}, {"sentences", true}};

  explicit SentenceSimilarity(const PipelineOptions& options = {});

  // One number for each sentence.
  std::vector<float> operator()(std::string_view source_sentence, std::initializer_list<std::string_view> sentences,
                                const Options& options = {}) const;
  std::vector<float> operator()(std::string_view source_sentence, std::span<const std::string> sentences,
                                const Options& options = {}) const;
  std::vector<std::vector<float>> operator()(std::span<const SimilarityInput> inputs,
                                             const Options& options = {}) const;

  std::string_view task() const noexcept override;
  std::vector<FieldInfo> options() const override { return list_fields(Options{}); }
  // An input is {"source_sentence", "sentences"}; its answer a list of numbers.
  std::vector<Value> run(std::span<const Value> inputs, const Value& options = {},
                         const CallControl& control = {}) const override;
  using Pipeline::run;

  const Tokenizer& tokenizer() const noexcept override { return extract_.tokenizer(); }
  const PretrainedModel& model() const noexcept override { return extract_.model(); }

 private:
  explicit SentenceSimilarity(std::shared_ptr<const ModelFiles> files, PipelineOptions options);

  FeatureExtraction extract_;
  SimilarityFunction function_ = SimilarityFunction::cosine;  // of the model
};

}  // namespace transformers
