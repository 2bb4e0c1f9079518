// What it is: feature extraction: the hidden states of a text's tokens, or one embedding of the whole text.
// Where it stands: pipelines; one line in tasks.def registers it.
// Usage:
//   auto extract = pipeline<FeatureExtraction>({.model = "all-MiniLM-L6-v2"});
//   std::vector<float> e = extract.embed("A sentence.");      // pooled and normalized as the model's modules.json says
//   Features f = extract("A sentence.");                      // [tokens, hidden_size]
// Source: transformers/pipelines/feature_extraction.py (5.23); sentence_transformers for pooling.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "transformers/heads/pooling.hpp"
#include "transformers/pipelines/encoder_pipeline.hpp"

namespace transformers {

// [rows, width] float32: a row for each token, or a single one where the text was pooled.
struct Features {
  std::vector<float> values;
  int64_t rows = 0;
  int64_t width = 0;
};

struct TCPP_API FeatureExtractionOptions {
  Pooling pooling = Pooling::none;         // automatic: as the model's modules.json says, mean where there is none
  std::optional<bool> normalize = {};      // to length 1; nullopt: with automatic pooling as modules.json says, else no
  Truncation truncation = {};              // cut inputs that are too long; without it they are an Error(limit)
  std::optional<int64_t> max_length = {};  // tokens to cut to; nullopt: the model's maximum (with automatic pooling
                                           // also sentence_bert_config.json's max_seq_length)
  CallControl control = {};

  void fields(FieldVisitor& f);
};

class SentenceDense;

class TCPP_API FeatureExtraction final : public EncoderPipeline {
 public:
  using Options = FeatureExtractionOptions;
  static constexpr Head kHead = Head::base;

  explicit FeatureExtraction(const PipelineOptions& options = {});

  Features operator()(std::string_view text, const Options& options = {}) const;
  std::vector<Features> operator()(std::initializer_list<std::string_view> texts, const Options& options = {}) const;
  std::vector<Features> operator()(std::span<const std::string> texts, const Options& options = {}) const;

  // Sentence embeddings: automatic pooling, long inputs truncated, as SentenceTransformer.encode does.
  std::vector<float> embed(std::string_view text, const CallControl& control = {}) const;
  std::vector<std::vector<float>> embed(std::initializer_list<std::string_view> texts,
                                        const CallControl& control = {}) const;
  std::vector<std::vector<float>> embed(std::span<const std::string> texts, const CallControl& control = {}) const;

  std::string_view task() const noexcept override;
  std::vector<FieldInfo> options() const override { return list_fields(Options{}); }
  // [1][tokens][hidden_size], or [1][width] where pooled: Hugging Face keeps the batch dimension.
  std::vector<Value> run(std::span<const Value> inputs, const Value& options = {},
                         const CallControl& control = {}) const override;
  using Pipeline::run;

 private:
  // What modules.json says; its absence is mean pooling without normalization.
  struct SentenceModules {
    std::vector<Pooling> pooling{Pooling::mean};              // concatenated
    std::vector<std::shared_ptr<const SentenceDense>> dense;  // what the embedding then goes through, in this order
    bool normalize = false;
    bool lower_case = false;  // texts are lower-cased before they are tokenized
    std::optional<int64_t> max_seq_length;
    std::string unsupported;  // why automatic pooling is refused, or ""
  };
  static SentenceModules read_modules(const ModelFiles& files);
  std::vector<Features> extract(std::span<const TextInput> inputs, const Options& options) const;

  SentenceModules modules_;
};

}  // namespace transformers
