// Implements pipelines/sentence_similarity.hpp.
#include "transformers/pipelines/sentence_similarity.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "open_files.hpp"
#include "transformers/base/error.hpp"
#include "transformers/base/model_files.hpp"

namespace transformers {
namespace {

constexpr std::string_view kSimilarityFunctions[] = {"automatic", "cosine", "dot", "euclidean", "manhattan"};
constexpr const char* kFile = "config_sentence_transformers.json";

float similarity(SimilarityFunction function, std::span<const float> a, std::span<const float> b) {
  double product = 0, squares_a = 0, squares_b = 0, distance = 0, city = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double x = a[i], y = b[i];
    product += x * y;
    squares_a += x * x;
    squares_b += y * y;
    distance += (x - y) * (x - y);
    city += std::abs(x - y);
  }
  switch (function) {
    case SimilarityFunction::dot:
      return static_cast<float>(product);
    case SimilarityFunction::euclidean:
      return static_cast<float>(-std::sqrt(distance));
    case SimilarityFunction::manhattan:
      return static_cast<float>(-city);
    default: {
      constexpr double kTiny = 1e-12;  // torch's, for embeddings of zeros
      return static_cast<float>(product /
                                (std::max(std::sqrt(squares_a), kTiny) * std::max(std::sqrt(squares_b), kTiny)));
    }
  }
}

}  // namespace

void SentenceSimilarityOptions::fields(FieldVisitor& f) {
  f.choice("similarity_fn_name", similarity_fn_name, kSimilarityFunctions,
           "how embeddings compare; automatic: as config_sentence_transformers.json says, else cosine");
}

SentenceSimilarity::SentenceSimilarity(const PipelineOptions& options)
    : SentenceSimilarity(open_files(find_task("sentence-similarity"), options), options) {}

SentenceSimilarity::SentenceSimilarity(std::shared_ptr<const ModelFiles> files, PipelineOptions options)
    : extract_([&] {
        options.files = files;
        return options;
      }()) {
  if (!files->has(kFile)) return;
  const Value config = parse_json(files->read_text(kFile), files->where(kFile));
  const Value* name = config.find("similarity_fn_name");
  if (name == nullptr || name->is_null()) return;
  FieldReader reader(config, files->where(kFile));
  reader.choice("similarity_fn_name", function_, kSimilarityFunctions);
  if (function_ == SimilarityFunction::automatic) function_ = SimilarityFunction::cosine;
}

std::string_view SentenceSimilarity::task() const noexcept { return "sentence-similarity"; }

std::vector<std::vector<float>> SentenceSimilarity::operator()(std::span<const SimilarityInput> inputs,
                                                               const Options& options) const {
  std::vector<std::string> texts;
  for (const SimilarityInput& input : inputs) {
    texts.push_back(input.source_sentence);
    texts.insert(texts.end(), input.sentences.begin(), input.sentences.end());
  }
  const std::vector<std::vector<float>> embeddings = extract_.embed(texts, options.control);
  const SimilarityFunction function =
      options.similarity_fn_name == SimilarityFunction::automatic ? function_ : options.similarity_fn_name;
  std::vector<std::vector<float>> results;
  auto next = embeddings.begin();
  for (const SimilarityInput& input : inputs) {
    const std::vector<float>& source = *next++;
    std::vector<float>& scores = results.emplace_back();
    for (std::size_t k = 0; k < input.sentences.size(); ++k) {
      scores.push_back(similarity(function, source, *next++));
      if (std::isnan(scores.back())) {
        throw Error(ErrorCode::invalid_argument, "the model's embeddings are not numbers", model().config().where);
      }
    }
  }
  return results;
}

std::vector<float> SentenceSimilarity::operator()(std::string_view source_sentence,
                                                  std::span<const std::string> sentences,
                                                  const Options& options) const {
  const SimilarityInput input{std::string(source_sentence), {sentences.begin(), sentences.end()}};
  return std::move((*this)(std::span<const SimilarityInput>(&input, 1), options).front());
}

std::vector<float> SentenceSimilarity::operator()(std::string_view source_sentence,
                                                  std::initializer_list<std::string_view> sentences,
                                                  const Options& options) const {
  const std::vector<std::string> all(sentences.begin(), sentences.end());
  return (*this)(source_sentence, std::span<const std::string>(all), options);
}

std::vector<Value> SentenceSimilarity::run(std::span<const Value> inputs, const Value& options,
                                           const CallControl& control) const {
  Options typed;
  read_options(typed, options);
  typed.control = control;
  std::vector<SimilarityInput> all;
  for (const Value& input : inputs) {
    if (!input.is_object()) {
      throw Error(ErrorCode::invalid_argument,
                  "expected an object {\"source_sentence\", \"sentences\"}, found " + std::string(input.type_name()),
                  "input");
    }
    SimilarityInput& made = all.emplace_back();
    FieldReader reader(input, "input");
    reader("source_sentence", made.source_sentence);
    reader("sentences", made.sentences);
    reader.reject_unknown();
    for (const InputName& name : kInputs) static_cast<void>(input.at(name.name));  // both must be there
  }
  std::vector<Value> answers;
  for (const std::vector<float>& scores : (*this)(std::span<const SimilarityInput>(all), typed)) {
    answers.emplace_back(Value::Array(scores.begin(), scores.end()));
  }
  return answers;
}

}  // namespace transformers
