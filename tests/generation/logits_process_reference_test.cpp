// Every logits processor against what Hugging Face's makes of the same scores (tests/reference/make_generation.py).
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support.hpp"
#include "transformers/base/platform.hpp"
#include "transformers/generation/logits_process.hpp"

namespace transformers {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<int64_t> ids_of(const Value& value) {
  std::vector<int64_t> ids;
  for (const Value& id : value.as_array()) ids.push_back(id.as_integer());
  return ids;
}

std::vector<float> floats_of(const Value& value) {
  std::vector<float> floats;
  for (const Value& x : value.as_array()) {
    floats.push_back(x.is_null()     ? -kInfinity
                     : x.is_string() ? (x.as_string() == "nan" ? std::nanf("") : kInfinity)
                                     : static_cast<float>(x.as_number()));
  }
  return floats;
}

std::shared_ptr<const LogitsProcessor> make(const std::string& name, const Value& arguments) {
  const auto number = [&](const char* key) { return arguments.at(key).as_number(); };
  const auto integer = [&](const char* key, int64_t otherwise = 0) {
    const Value* value = arguments.find(key);
    return value == nullptr ? otherwise : value->as_integer();
  };
  const auto ids = [&](const char* key) { return ids_of(arguments.at(key)); };
  const auto source = [&] { return ids_of(arguments.at("encoder_input_ids").as_array().front()); };
  const int64_t keep = integer("min_tokens_to_keep", 1);
  if (name == "SequenceBiasLogitsProcessor") {
    std::vector<SequenceBiasLogitsProcessor::Bias> biases;
    for (const Value& pair : arguments.at("sequence_bias").as_array()) {
      biases.emplace_back(ids_of(pair.as_array()[0]), pair.as_array()[1].as_number());
    }
    return std::make_shared<SequenceBiasLogitsProcessor>(biases);
  }
  if (name == "EncoderRepetitionPenaltyLogitsProcessor") {
    return std::make_shared<EncoderRepetitionPenaltyLogitsProcessor>(number("penalty"), source());
  }
  if (name == "RepetitionPenaltyLogitsProcessor") {
    return std::make_shared<RepetitionPenaltyLogitsProcessor>(number("penalty"), integer("prompt_ignore_length"));
  }
  if (name == "NoRepeatNGramLogitsProcessor") {
    return std::make_shared<NoRepeatNGramLogitsProcessor>(integer("ngram_size"));
  }
  if (name == "EncoderNoRepeatNGramLogitsProcessor") {
    return std::make_shared<EncoderNoRepeatNGramLogitsProcessor>(integer("encoder_ngram_size"), source());
  }
  if (name == "NoBadWordsLogitsProcessor") {
    std::vector<std::vector<int64_t>> words;
    for (const Value& word : arguments.at("bad_words_ids").as_array()) words.push_back(ids_of(word));
    return std::make_shared<NoBadWordsLogitsProcessor>(words, ids("eos_token_id"));
  }
  if (name == "MinLengthLogitsProcessor") {
    return std::make_shared<MinLengthLogitsProcessor>(integer("min_length"), ids("eos_token_id"));
  }
  if (name == "MinNewTokensLengthLogitsProcessor") {
    return std::make_shared<MinNewTokensLengthLogitsProcessor>(integer("prompt_length_to_skip"),
                                                               integer("min_new_tokens"), ids("eos_token_id"));
  }
  if (name == "ForcedBOSTokenLogitsProcessor") {
    return std::make_shared<ForcedBOSTokenLogitsProcessor>(integer("bos_token_id"));
  }
  if (name == "ForcedEOSTokenLogitsProcessor") {
    return std::make_shared<ForcedEOSTokenLogitsProcessor>(integer("max_length"), ids("eos_token_id"));
  }
  if (name == "InfNanRemoveLogitsProcessor") return std::make_shared<InfNanRemoveLogitsProcessor>();
  if (name == "ExponentialDecayLengthPenalty") {
    const Value::Array& decay = arguments.at("exponential_decay_length_penalty").as_array();
    return std::make_shared<ExponentialDecayLengthPenalty>(decay[0].as_integer(), decay[1].as_number(),
                                                           ids("eos_token_id"), integer("input_ids_seq_length"));
  }
  if (name == "SuppressTokensLogitsProcessor") {
    return std::make_shared<SuppressTokensLogitsProcessor>(ids("suppress_tokens"));
  }
  if (name == "SuppressTokensAtBeginLogitsProcessor") {
    return std::make_shared<SuppressTokensAtBeginLogitsProcessor>(ids("begin_suppress_tokens"), integer("begin_index"));
  }
  if (name == "TemperatureLogitsWarper") return std::make_shared<TemperatureLogitsWarper>(number("temperature"));
  if (name == "TopHLogitsWarper") return std::make_shared<TopHLogitsWarper>(number("top_h"));
  if (name == "TopKLogitsWarper") return std::make_shared<TopKLogitsWarper>(integer("top_k"), keep);
  if (name == "TopPLogitsWarper") return std::make_shared<TopPLogitsWarper>(number("top_p"), keep);
  if (name == "MinPLogitsWarper") return std::make_shared<MinPLogitsWarper>(number("min_p"), keep);
  if (name == "TypicalLogitsWarper") return std::make_shared<TypicalLogitsWarper>(number("mass"), keep);
  if (name == "EpsilonLogitsWarper") return std::make_shared<EpsilonLogitsWarper>(number("epsilon"), keep);
  if (name == "EtaLogitsWarper") return std::make_shared<EtaLogitsWarper>(number("epsilon"), keep);
  if (name == "LogitNormalization") return std::make_shared<LogitNormalization>();
  ADD_FAILURE() << "no such processor: " << name;
  return nullptr;
}

TEST(LogitsProcessReference, EachProcessorChangesTheScoresAsHuggingFaces) {
  const std::string path = std::string(TCPP_TEST_DATA) + "/generation/processors.json";
  const Value rows = parse_json(read_file(path), path);
  EXPECT_GE(rows.as_array().size(), 45u);
  for (const Value& row : rows.as_array()) {
    const std::string name = row.at("name").as_string();
    SCOPED_TRACE(name + " " + to_json(row.at("arguments")));
    std::vector<std::vector<int64_t>> input_ids;
    for (const Value& ids : row.at("input_ids").as_array()) input_ids.push_back(ids_of(ids));
    std::vector<float> scores;
    for (const Value& line : row.at("scores").as_array()) {
      for (const float x : floats_of(line)) scores.push_back(x);
    }
    const int64_t count = static_cast<int64_t>(input_ids.size());
    const int64_t vocab_size = static_cast<int64_t>(scores.size()) / count;
    const auto processor = make(name, row.at("arguments"));
    ASSERT_NE(processor, nullptr);
    (*processor)(input_ids, Scores{scores.data(), count, vocab_size});
    for (int64_t r = 0; r < count; ++r) {
      const std::vector<float> expected = floats_of(row.at("expected").as_array()[static_cast<std::size_t>(r)]);
      for (int64_t i = 0; i < vocab_size; ++i) {
        const float got = scores[static_cast<std::size_t>(r * vocab_size + i)];
        const float want = expected[static_cast<std::size_t>(i)];
        if (std::isinf(want)) {
          EXPECT_EQ(got, want) << "row " << r << ", token " << i;
        } else {
          EXPECT_NEAR(got, want, 2e-6f * std::max(1.0f, std::abs(want))) << "row " << r << ", token " << i;
        }
      }
    }
  }
}

}  // namespace
}  // namespace transformers
