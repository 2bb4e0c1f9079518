// What is drawn: the exact distribution of each warper's scores, without replacement too, and errors for what is none.
#include "transformers/generation/sampling.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "support.hpp"
#include "transformers/generation/logits_process.hpp"

namespace transformers {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> some_scores() {
  std::vector<float> scores;
  RandomGenerator generator(5);
  for (int i = 0; i < 24; ++i) scores.push_back(static_cast<float>(4 * generator.uniform() - 2));
  return scores;
}

std::vector<double> probabilities(const std::vector<float>& scores) {
  double sum = 0;
  for (const float x : scores) sum += std::exp(static_cast<double>(x));
  std::vector<double> p;
  for (const float x : scores) p.push_back(std::exp(static_cast<double>(x)) / sum);
  return p;
}

// The statistic of Pearson's test, and its limit: the quantile of 1 - 1e-6 by Wilson and Hilferty.
void expect_distribution(const std::vector<int64_t>& counts, const std::vector<double>& p, const char* what) {
  double draws = 0, statistic = 0;
  int freedom = -1;
  for (const int64_t n : counts) draws += static_cast<double>(n);
  for (std::size_t i = 0; i < p.size(); ++i) {
    if (p[i] == 0) {
      EXPECT_EQ(counts[i], 0) << what << ": an impossible token " << i;
      continue;
    }
    const double difference = static_cast<double>(counts[i]) - draws * p[i];
    statistic += difference * difference / (draws * p[i]);
    ++freedom;
  }
  if (freedom == 0) return;
  const double k = freedom, z = 4.753;
  const double root = 1 - 2 / (9 * k) + z * std::sqrt(2 / (9 * k));
  EXPECT_LT(statistic, k * root * root * root) << what << ", " << freedom << " degrees of freedom";
}

TEST(Sampling, DrawsFromTheExactDistributionOfEachWarper) {
  const std::vector<std::pair<const char*, std::function<void(GenerationConfig&)>>> warpers = {
      {"none", [](GenerationConfig&) {}},
      {"temperature", [](GenerationConfig& c) { c.temperature = 0.6; }},
      {"top_k", [](GenerationConfig& c) { c.top_k = 7; }},
      {"top_p", [](GenerationConfig& c) { c.top_p = 0.8; }},
      {"min_p", [](GenerationConfig& c) { c.min_p = 0.2; }},
      {"top_h", [](GenerationConfig& c) { c.top_h = 0.6; }},
      {"typical_p", [](GenerationConfig& c) { c.typical_p = 0.7; }},
      {"epsilon_cutoff", [](GenerationConfig& c) { c.epsilon_cutoff = 0.03; }},
      {"eta_cutoff", [](GenerationConfig& c) { c.eta_cutoff = 0.2; }},
      {"all", [](GenerationConfig& c) { c.temperature = 1.5, c.top_k = 20, c.top_p = 0.95, c.min_p = 0.05; }},
  };
  const std::vector<double> untouched = probabilities(some_scores());
  for (const auto& [name, set] : warpers) {
    GenerationConfig config;
    config.do_sample = true;
    set(config);
    std::vector<float> scores = some_scores();
    const std::vector<std::vector<int64_t>> ids{{1, 2}};
    get_logits_processor(config, {})(ids, Scores{scores.data(), 1, static_cast<int64_t>(scores.size())});
    const std::vector<double> p = probabilities(scores);
    if (std::string_view(name) != "none") {
      EXPECT_NE(p, untouched) << name;
    }
    std::vector<int64_t> counts(scores.size());
    RandomGenerator generator(77);
    for (int i = 0; i < 100000; ++i) ++counts[static_cast<std::size_t>(multinomial(scores, generator))];
    expect_distribution(counts, p, name);
  }
}

TEST(Sampling, DrawsWithoutReplacementOneAfterAnother) {
  const std::vector<float> scores{0.0f, 1.0f, -kInfinity, 0.5f, -1.0f};
  const std::vector<double> p = probabilities(scores);
  std::vector<int64_t> first(5), pairs(25);
  std::vector<double> pair_p(25);
  for (std::size_t a = 0; a < 5; ++a) {
    for (std::size_t b = 0; b < 5; ++b) pair_p[a * 5 + b] = a == b ? 0 : p[a] * p[b] / (1 - p[a]);
  }
  RandomGenerator generator(3);
  for (int i = 0; i < 100000; ++i) {
    const std::vector<int64_t> drawn = multinomial(scores, 2, generator);
    ASSERT_EQ(drawn.size(), 2u);
    ++first[static_cast<std::size_t>(drawn[0])];
    ++pairs[static_cast<std::size_t>(drawn[0] * 5 + drawn[1])];
  }
  expect_distribution(first, p, "first");
  expect_distribution(pairs, pair_p, "pairs");
  EXPECT_EQ(multinomial(std::vector<float>{-kInfinity, 2.0f, -kInfinity}, 3, generator),
            (std::vector<int64_t>{1, 0, 2}));
}

TEST(Sampling, StreamsOfOneSeedDiffer) {
  RandomGenerator a(1), b(1), c(1, 1), d(2);
  const uint64_t value = a.next();
  EXPECT_EQ(value, b.next());
  EXPECT_NE(value, c.next());
  EXPECT_NE(value, d.next());
}

TEST(Sampling, ArgmaxTakesTheLowestOfEquals) {
  EXPECT_EQ(argmax(std::vector<float>{1.0f, 3.0f, 3.0f}), 1);
  EXPECT_EQ(argmax(std::vector<float>{-kInfinity, -kInfinity}), 0);
}

TEST(Sampling, RefusesWhatIsNoDistribution) {
  RandomGenerator generator(1);
  const std::string message =
      "the score of token 1 is NaN (a fault of the weights; remove_invalid_values=true goes on all the same) (scores)";
  const std::vector<float> broken{1.0f, std::nanf(""), 2.0f};
  EXPECT_ERROR(ErrorCode::invalid_argument, message, argmax(broken));
  EXPECT_ERROR(ErrorCode::invalid_argument, message, multinomial(broken, generator));
  EXPECT_ERROR(ErrorCode::invalid_argument, "no token is left to draw: every score is minus infinity (scores)",
               multinomial(std::vector<float>{-kInfinity, -kInfinity}, generator));
  EXPECT_ERROR(ErrorCode::invalid_argument, "a token's score is infinite (scores)",
               multinomial(std::vector<float>{1.0f, kInfinity}, generator));
}

}  // namespace
}  // namespace transformers
