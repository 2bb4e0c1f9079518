// Implements generation/sampling.hpp.
#include "transformers/generation/sampling.hpp"

#include <cmath>
#include <limits>
#include <random>

#include "scores.hpp"
#include "transformers/base/error.hpp"

namespace transformers {

using namespace generation;

namespace {

uint64_t splitmix(uint64_t& state) {
  uint64_t z = (state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

constexpr uint64_t rotate_left(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

[[noreturn]] void no_number(std::size_t i) {
  throw Error(ErrorCode::invalid_argument,
              "the score of token " + std::to_string(i) +
                  " is NaN (a fault of the weights; remove_invalid_values=true goes on "
                  "all the same)",
              "scores");
}

// The largest score, which must be finite; no score may be NaN.
float checked_max(std::span<const float> scores) {
  const float top = scores.empty() ? kMinusInfinity : scores[static_cast<std::size_t>(argmax(scores))];
  if (!std::isfinite(top)) {
    throw Error(ErrorCode::invalid_argument,
                top > 0 ? "a token's score is infinite" : "no token is left to draw: every score is minus infinity",
                "scores");
  }
  return top;
}

}  // namespace

RandomGenerator::RandomGenerator(uint64_t seed, uint64_t stream) {
  uint64_t mixed = stream;
  uint64_t state = seed ^ (stream == 0 ? 0 : splitmix(mixed));
  for (uint64_t& word : state_) word = splitmix(state);
}

uint64_t RandomGenerator::next() {
  const uint64_t result = rotate_left(state_[1] * 5, 7) * 9;
  const uint64_t t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = rotate_left(state_[3], 45);
  return result;
}

double RandomGenerator::uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

uint64_t random_seed() {
  std::random_device device;
  return (static_cast<uint64_t>(device()) << 32) ^ device();
}

int64_t argmax(std::span<const float> scores) {
  const int64_t best = argmax(scores.data(), size_of(scores));
  if (best < 0) no_number(static_cast<std::size_t>(-1 - best));
  return best;
}

int64_t multinomial(std::span<const float> scores, RandomGenerator& generator) {
  const float top = checked_max(scores);
  static thread_local std::vector<float> weights;
  weights.resize(scores.size());
  const double target = generator.uniform() * sum_exp(scores.data(), size_of(scores), top, weights.data());
  double sum = 0;
  std::size_t last = 0;  // with a weight: for a target that rounding puts at the very end
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] == 0.0f) continue;
    sum += static_cast<double>(weights[i]);
    last = i;
    if (target < sum) break;
  }
  return static_cast<int64_t>(last);
}

std::vector<int64_t> multinomial(std::span<const float> scores, int64_t count, RandomGenerator& generator) {
  // The first to arrive of clocks with rates p: exponential variables divided by p, taken in order.
  const float top = checked_max(scores);
  std::vector<double> arrivals(scores.size());
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const double weight = static_cast<double>(std::exp(scores[i] - top));
    const double wait = -std::log1p(-generator.uniform());
    arrivals[i] = weight > 0 ? wait / weight : std::numeric_limits<double>::infinity();
  }
  std::vector<int64_t> drawn;
  top_indices(arrivals.size(), static_cast<std::size_t>(count), drawn, [&](int64_t a, int64_t b) {
    return arrivals[static_cast<std::size_t>(a)] < arrivals[static_cast<std::size_t>(b)];
  });
  return drawn;
}

}  // namespace transformers
