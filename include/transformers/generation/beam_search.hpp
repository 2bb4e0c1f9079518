// What it is: BeamSearch, the state of one request's beams: which go on, which are finished, and when to stop.
// Where it stands: generation; generate() gives it the scores of each step and feeds the tokens it answers with.
// Usage: `BeamSearch beams(options, prompt);  while (!beams.done()) beams.step(log_probs, criteria, generator);`
// Source: transformers/generation/utils.py, _beam_search (5.23), whose rule for a batch is applied to each prompt by
//   itself: they share nothing but the time at which they stop.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "transformers/base/export.hpp"
#include "transformers/generation/logits_processor.hpp"
#include "transformers/generation/sampling.hpp"
#include "transformers/generation/stopping_criteria.hpp"

namespace transformers {

class TCPP_API BeamSearch {
 public:
  enum class EarlyStopping { no, yes, never };
  struct Options {
    int64_t num_beams = 1;
    int64_t max_length = 0;
    double length_penalty = 1.0;
    EarlyStopping early_stopping = EarlyStopping::no;
    int64_t eos_count = 0;  // ids that end a sequence
    bool do_sample = false;
  };
  // A finished sequence, or one that is as good as there are.
  struct Hypothesis {
    std::vector<int64_t> input_ids;        // prompt and new tokens
    std::vector<int32_t> beam_indices;     // the row of each step whose scores each new token was taken from
    std::vector<float> transition_scores;  // the log probability of each new token
    float score = 0;                       // their sum / length^length_penalty
    bool finished = false;
  };

  BeamSearch(Options options, const std::vector<int64_t>& prompt);

  // The rows of the step to come, [num_beams], all of one length.
  InputIds rows() const noexcept { return running_; }
  // Takes the step. log_probs: [num_beams, vocab_size], log_softmax of the logits after the processors.
  void step(const Scores& log_probs, const StoppingCriteriaList& criteria, RandomGenerator& generator);
  // Row i now goes on from what was row sources()[i].
  std::span<const int64_t> sources() const noexcept { return sources_; }
  bool done() const noexcept { return done_; }
  // Best first, [num_beams].
  std::span<const Hypothesis> hypotheses() const noexcept { return finished_; }

 private:
  Options options_;
  int64_t prompt_length_, length_;
  std::vector<std::vector<int64_t>> running_;
  std::vector<float> running_scores_;
  std::vector<std::vector<int32_t>> running_indices_;
  std::vector<std::vector<float>> running_transitions_;
  std::vector<int64_t> sources_;
  std::vector<Hypothesis> finished_;
  bool can_improve_ = true, done_ = false;
};

}  // namespace transformers
