// Implements generation/beam_search.hpp. Scores are float32 and summed in Hugging Face's order, -1e9 standing for "not
// to be chosen" as there.
#include "transformers/generation/beam_search.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "scores.hpp"
#include "transformers/base/error.hpp"

namespace transformers {

using namespace generation;

namespace {

constexpr float kNever = -1.0e9f;

}  // namespace

BeamSearch::BeamSearch(Options options, const std::vector<int64_t>& prompt)
    : options_(options),
      prompt_length_(static_cast<int64_t>(prompt.size())),
      length_(prompt_length_),
      running_(static_cast<std::size_t>(options.num_beams), prompt),
      running_scores_(static_cast<std::size_t>(options.num_beams), kNever),
      running_indices_(static_cast<std::size_t>(options.num_beams)),
      running_transitions_(static_cast<std::size_t>(options.num_beams)),
      sources_(static_cast<std::size_t>(options.num_beams)),
      finished_(static_cast<std::size_t>(options.num_beams), Hypothesis{prompt, {}, {}, kNever, false}) {
  running_scores_[0] = 0;  // the beams are equal at first: one of them makes all candidates
}

void BeamSearch::step(const Scores& log_probs, const StoppingCriteriaList& criteria, RandomGenerator& generator) {
  const std::size_t beams = static_cast<std::size_t>(options_.num_beams);
  const std::size_t vocab_size = static_cast<std::size_t>(log_probs.vocab_size);
  const std::size_t keep = static_cast<std::size_t>(std::max<int64_t>(2, 1 + options_.eos_count)) * beams;

  // The candidates: the best (or some drawn) continuations of all beams together.
  struct Candidate {
    float log_prob = 0;
    std::size_t beam = 0;
    int64_t token = 0;
    bool stops = false;
  };
  const auto row_of = [&](std::size_t flat) { return log_probs.row(static_cast<int64_t>(flat / vocab_size)); };
  const auto sum = [&](std::size_t flat) {
    const float log_prob = row_of(flat)[flat % vocab_size];
    if (log_prob != log_prob) argmax(row_of(flat));  // throws
    return log_prob + running_scores_[flat / vocab_size];
  };
  std::vector<int64_t> chosen;
  if (options_.do_sample) {
    std::vector<float> sums(beams * vocab_size);
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] = sum(i);
    chosen = multinomial(sums, static_cast<int64_t>(keep), generator);
  } else {
    chosen = topk(beams * vocab_size, keep, sum, [&](std::size_t flat, float least) {
      for (; flat < beams * vocab_size; flat += vocab_size - flat % vocab_size) {
        const std::span<const float> rest = row_of(flat).subspan(flat % vocab_size);
        const int64_t i = first_not_below(rest.data(), size_of(rest), running_scores_[flat / vocab_size], least);
        if (i < size_of(rest)) return flat + static_cast<std::size_t>(i);
      }
      return flat;
    });
  }
  std::vector<Candidate> candidates;
  std::vector<int64_t> row;
  for (const int64_t flat : chosen) {
    Candidate c{sum(static_cast<std::size_t>(flat)), static_cast<std::size_t>(flat) / vocab_size,
                flat % static_cast<int64_t>(vocab_size), false};
    row = running_[c.beam];
    row.push_back(c.token);
    c.stops = criteria(row);
    candidates.push_back(c);
  }
  const auto transition = [&](const Candidate& c) {
    return log_probs.row(static_cast<int64_t>(c.beam))[static_cast<std::size_t>(c.token)];
  };
  const auto extended = [](auto list, auto item) {
    list.push_back(item);
    return list;
  };

  // Finished sequences: of the best num_beams candidates those that stop, against those there are.
  const bool full = options_.early_stopping == EarlyStopping::yes &&
                    std::all_of(finished_.begin(), finished_.end(), [](const Hypothesis& h) { return h.finished; });
  const float divisor =
      static_cast<float>(std::pow(static_cast<double>(length_ + 1 - prompt_length_), options_.length_penalty));
  std::vector<float> merged;
  for (const Hypothesis& h : finished_) merged.push_back(h.score);
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    float score = candidates[i].log_prob / divisor;
    score += full ? kNever : 0.0f;
    score += can_improve_ ? 0.0f : kNever;
    score += candidates[i].stops && i < beams ? 0.0f : kNever;
    merged.push_back(score);
  }
  std::vector<Hypothesis> finished;
  for (const int64_t index : topk(merged, beams)) {
    const std::size_t i = static_cast<std::size_t>(index);
    if (i < beams) {
      finished.push_back(finished_[i]);
      continue;
    }
    const Candidate& c = candidates[i - beams];
    finished.push_back(
        {extended(running_[c.beam], c.token), extended(running_indices_[c.beam], static_cast<int32_t>(c.beam)),
         extended(running_transitions_[c.beam], transition(c)), merged[i], c.stops && i - beams < beams});
  }
  finished_ = std::move(finished);

  // The beams that go on: the best candidates that do not stop.
  std::vector<float> scores;
  for (const Candidate& c : candidates) scores.push_back(c.log_prob + (c.stops ? kNever : 0.0f));
  std::vector<std::vector<int64_t>> running;
  std::vector<std::vector<int32_t>> indices;
  std::vector<std::vector<float>> transitions;
  std::vector<float> running_scores;
  sources_.clear();
  for (const int64_t index : topk(scores, beams)) {
    const Candidate& c = candidates[static_cast<std::size_t>(index)];
    running.push_back(extended(running_[c.beam], c.token));
    indices.push_back(extended(running_indices_[c.beam], static_cast<int32_t>(c.beam)));
    transitions.push_back(extended(running_transitions_[c.beam], transition(c)));
    running_scores.push_back(scores[static_cast<std::size_t>(index)]);
    sources_.push_back(static_cast<int64_t>(c.beam));
  }
  running_ = std::move(running), running_indices_ = std::move(indices);
  running_transitions_ = std::move(transitions), running_scores_ = std::move(running_scores);
  ++length_;

  // Whether to go on: could the best running beam still beat the worst finished one?
  const bool hopeful = options_.early_stopping == EarlyStopping::never && options_.length_penalty > 0.0;
  const int64_t best_length = (hopeful ? options_.max_length : length_) - prompt_length_;
  const float best =
      running_scores_[0] / static_cast<float>(std::pow(static_cast<double>(best_length), options_.length_penalty));
  float worst = finished_[0].score;
  for (const Hypothesis& h : finished_) worst = std::min(worst, h.score);
  bool beats = false, all_finished = true;
  for (const Hypothesis& h : finished_) {
    beats |= best > (h.finished ? worst : kNever);
    all_finished &= h.finished;
  }
  can_improve_ &= beats;
  const bool all_stop = std::all_of(candidates.begin(), candidates.end(), [](const Candidate& c) { return c.stops; });
  done_ = !can_improve_ || (all_finished && options_.early_stopping == EarlyStopping::yes) || all_stop;
}

}  // namespace transformers
