// What it is: random numbers for sampling, and tokens drawn by them.
// Where it stands: generation; every request has a generator of its own.
// Usage: `RandomGenerator generator(seed);  int64_t token = multinomial(scores.row(0), generator);`
// Source: xoshiro256** seeded by splitmix64 (Blackman and Vigna, public domain); torch.multinomial for what is drawn.
//   Difference: another generator than torch's, so the same seed gives other tokens than there.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "transformers/base/export.hpp"

namespace transformers {

class TCPP_API RandomGenerator {
 public:
  // `stream` tells apart generators of one seed: the sequences that one request returns.
  explicit RandomGenerator(uint64_t seed, uint64_t stream = 0);
  uint64_t next();
  // Uniform in [0, 1), 53 bits.
  double uniform();

 private:
  uint64_t state_[4];
};

// A seed that differs from call to call.
TCPP_API uint64_t random_seed();

// The index of the largest score, the lowest among equals. Error(invalid_argument) when a score is NaN.
TCPP_API int64_t argmax(std::span<const float> scores);

// One index, drawn from softmax(scores). Error(invalid_argument) when that is no distribution: NaN, an infinite score,
// or no score above minus infinity.
TCPP_API int64_t multinomial(std::span<const float> scores, RandomGenerator& generator);

// `count` different indices, one after another, drawn from softmax(scores) without replacement. Where fewer have a
// probability the lowest of the others follow.
TCPP_API std::vector<int64_t> multinomial(std::span<const float> scores, int64_t count, RandomGenerator& generator);

}  // namespace transformers
