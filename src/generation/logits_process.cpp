// Implements generation/logits_process.hpp.
#include "transformers/generation/logits_process.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "scores.hpp"
#include "transformers/base/error.hpp"

namespace transformers {

using namespace generation;

namespace {

// Memory that a thread's processors use in turn.
struct Scratch {
  std::vector<float> probabilities, values;
  std::vector<int64_t> order;
};
Scratch& scratch() {
  static thread_local Scratch memory;
  return memory;
}

void set_all(std::span<const int64_t> ids, std::span<float> scores, float value) {
  for (const int64_t id : ids) {
    if (id >= 0 && id < static_cast<int64_t>(scores.size())) scores[static_cast<std::size_t>(id)] = value;
  }
}

// Multiplies scores below 0, divides those above, each id once however often it is listed.
void penalise(std::span<const int64_t> ids, float penalty, std::span<float> scores) {
  std::vector<float>& values = scratch().values;
  values.resize(ids.size());
  const auto known = [&](int64_t id) { return id >= 0 && id < static_cast<int64_t>(scores.size()); };
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (!known(ids[i])) continue;
    const float score = scores[static_cast<std::size_t>(ids[i])];
    values[i] = score < 0 ? score * penalty : score / penalty;
  }
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (known(ids[i])) scores[static_cast<std::size_t>(ids[i])] = values[i];
  }
}

// The k-th largest score.
float kth_largest(std::span<const float> scores, int64_t k) {
  std::vector<float>& values = scratch().values;
  values.clear();
  for (const float x : scores) {  // NaN has no place in an order
    if (x == x) values.push_back(x);
  }
  if (k > static_cast<int64_t>(values.size())) return kMinusInfinity;
  const auto kth = values.begin() + (k - 1);
  std::nth_element(values.begin(), kth, values.end(), std::greater<float>());
  return *kth;
}

// The indices of the scores above minus infinity.
std::vector<int64_t>& finite(std::span<const float> scores) {
  std::vector<int64_t>& order = scratch().order;
  order.clear();
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (scores[i] > kMinusInfinity) order.push_back(static_cast<int64_t>(i));
  }
  return order;
}

// -sum p log p of the softmax.
double entropy(std::span<const float> scores, const std::vector<float>& probabilities) {
  const double normaliser = log_sum_exp(scores);
  double sum = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (probabilities[i] > 0)
      sum -= static_cast<double>(probabilities[i]) * (static_cast<double>(scores[i]) - normaliser);
  }
  return sum;
}

}  // namespace

LogitsProcessor::~LogitsProcessor() = default;

void LogitsProcessor::operator()(InputIds input_ids, const Scores& scores) const {
  for (int64_t i = 0; i < scores.rows; ++i) process(input_ids[static_cast<std::size_t>(i)], scores.row(i));
}

void LogitsProcessor::process(std::span<const int64_t>, std::span<float>) const {}

SequenceBiasLogitsProcessor::SequenceBiasLogitsProcessor(const std::vector<Bias>& sequence_bias) {
  for (const Bias& bias : sequence_bias) {
    const auto same =
        std::find_if(biases_.begin(), biases_.end(), [&](const Bias& b) { return b.first == bias.first; });
    if (same == biases_.end()) {
      biases_.push_back(bias);
    } else {
      same->second = bias.second;
    }
  }
  // Single ids first, then by length, as they are summed up.
  std::stable_sort(biases_.begin(), biases_.end(), [](const Bias& a, const Bias& b) {
    return std::min<std::size_t>(a.first.size(), 2) < std::min<std::size_t>(b.first.size(), 2);
  });
}

void SequenceBiasLogitsProcessor::process(std::span<const int64_t> input_ids, std::span<float> scores) const {
  std::vector<float>& sums = scratch().values;
  std::vector<int64_t>& touched = scratch().order;
  sums.assign(scores.size(), 0.0f), touched.clear();
  for (const auto& [ids, bias] : biases_) {
    const std::size_t prefix = ids.size() - 1;
    if (prefix > input_ids.size() ||
        !std::equal(ids.begin(), ids.end() - 1, input_ids.end() - static_cast<std::ptrdiff_t>(prefix))) {
      continue;
    }
    const std::size_t id = static_cast<std::size_t>(ids.back());
    if (id >= scores.size()) {
      throw Error(ErrorCode::invalid_argument,
                  "token " + std::to_string(id) + " is beyond the vocabulary of " + std::to_string(scores.size()),
                  "sequence_bias");
    }
    sums[id] += static_cast<float>(bias);
    touched.push_back(ids.back());
  }
  for (const int64_t id : touched) {
    scores[static_cast<std::size_t>(id)] += sums[static_cast<std::size_t>(id)];
    sums[static_cast<std::size_t>(id)] = 0.0f;
  }
}

void EncoderRepetitionPenaltyLogitsProcessor::process(std::span<const int64_t>, std::span<float> scores) const {
  penalise(ids_, static_cast<float>(penalty_), scores);
}

void RepetitionPenaltyLogitsProcessor::process(std::span<const int64_t> input_ids, std::span<float> scores) const {
  const std::size_t skip = std::min(input_ids.size(), static_cast<std::size_t>(prompt_ignore_length_));
  penalise(input_ids.subspan(skip), static_cast<float>(penalty_), scores);
}

void NoRepeatNGramLogitsProcessor::process(std::span<const int64_t> input_ids, std::span<float> scores) const {
  const int64_t length = static_cast<int64_t>(input_ids.size()), n = ngram_size_;
  if (length < n) return;
  const auto prefix = input_ids.subspan(static_cast<std::size_t>(length + 1 - n));
  for (int64_t i = 0; i + n <= length; ++i) {
    const auto window = input_ids.subspan(static_cast<std::size_t>(i), static_cast<std::size_t>(n));
    if (std::equal(prefix.begin(), prefix.end(), window.begin())) set_all(window.last(1), scores, kMinusInfinity);
  }
}

EncoderNoRepeatNGramLogitsProcessor::EncoderNoRepeatNGramLogitsProcessor(int64_t encoder_ngram_size,
                                                                         const std::vector<int64_t>& encoder_input_ids)
    : ngram_size_(encoder_ngram_size) {
  const int64_t length = static_cast<int64_t>(encoder_input_ids.size());
  for (int64_t i = 0; i + ngram_size_ <= length; ++i) {
    const auto first = encoder_input_ids.begin() + i, last = first + (ngram_size_ - 1);
    banned_[std::vector<int64_t>(first, last)].push_back(*last);
  }
}

void EncoderNoRepeatNGramLogitsProcessor::process(std::span<const int64_t> input_ids, std::span<float> scores) const {
  const int64_t start = static_cast<int64_t>(input_ids.size()) + 1 - ngram_size_;
  // A row shorter than the prefix: Hugging Face's slice from a negative index.
  const std::size_t length = input_ids.size();
  const std::size_t from = start >= 0
                               ? static_cast<std::size_t>(start)
                               : static_cast<std::size_t>(std::max<int64_t>(0, start + static_cast<int64_t>(length)));
  const auto found =
      banned_.find(std::vector<int64_t>(input_ids.begin() + static_cast<std::ptrdiff_t>(from), input_ids.end()));
  if (found != banned_.end()) set_all(found->second, scores, kMinusInfinity);
}

NoBadWordsLogitsProcessor::NoBadWordsLogitsProcessor(const std::vector<std::vector<int64_t>>& bad_words_ids,
                                                     const std::vector<int64_t>& eos_token_id)
    : SequenceBiasLogitsProcessor([&] {
        std::vector<Bias> biases;
        for (const std::vector<int64_t>& ids : bad_words_ids) {
          const bool is_end =
              ids.size() == 1 && std::find(eos_token_id.begin(), eos_token_id.end(), ids[0]) != eos_token_id.end();
          if (!is_end) biases.emplace_back(ids, -std::numeric_limits<double>::infinity());
        }
        return biases;
      }()) {}

void MinLengthLogitsProcessor::process(std::span<const int64_t> input_ids, std::span<float> scores) const {
  if (static_cast<int64_t>(input_ids.size()) < min_length_) set_all(eos_, scores, kMinusInfinity);
}

void PrefixConstrainedLogitsProcessor::operator()(InputIds input_ids, const Scores& scores) const {
  std::vector<std::vector<int64_t>> allowed;
  bool any = false;
  for (int64_t r = 0; r < scores.rows; ++r) {
    allowed.push_back(function_(batch_id_, input_ids[static_cast<std::size_t>(r)]));
    if (allowed.back().empty()) {
      throw Error(ErrorCode::invalid_argument,
                  "the function allows no token behind sequence " + std::to_string(batch_id_) + " of " +
                      std::to_string(input_ids[static_cast<std::size_t>(r)].size()) + " tokens",
                  "prefix_allowed_tokens_fn");
    }
    for (const int64_t id : allowed.back()) {
      check_argument(id >= 0 && id < scores.vocab_size, "a token beyond the vocabulary", "prefix_allowed_tokens_fn");
      any |= scores.row(r)[static_cast<std::size_t>(id)] > kMinusInfinity;
    }
  }
  std::vector<float> kept;
  for (int64_t r = 0; r < scores.rows; ++r) {
    const std::span<float> row = scores.row(r);
    const std::vector<int64_t>& ids = allowed[static_cast<std::size_t>(r)];
    kept.clear();
    for (const int64_t id : ids) kept.push_back(any ? row[static_cast<std::size_t>(id)] : 0.0f);
    std::fill(row.begin(), row.end(), kMinusInfinity);
    for (std::size_t i = 0; i < ids.size(); ++i) row[static_cast<std::size_t>(ids[i])] = kept[i];
  }
}

void ForcedBOSTokenLogitsProcessor::process(std::span<const int64_t> input_ids, std::span<float> scores) const {
  if (input_ids.size() != 1) return;
  std::fill(scores.begin(), scores.end(), kMinusInfinity);
  set_all({&bos_, 1}, scores, 0.0f);
}

void ForcedEOSTokenLogitsProcessor::process(std::span<const int64_t> input_ids, std::span<float> scores) const {
  if (static_cast<int64_t>(input_ids.size()) != max_length_ - 1) return;
  std::fill(scores.begin(), scores.end(), kMinusInfinity);
  set_all(eos_, scores, 0.0f);
}

void InfNanRemoveLogitsProcessor::process(std::span<const int64_t>, std::span<float> scores) const {
  constexpr float kMax = std::numeric_limits<float>::max();
  for (float& x : scores) x = x != x ? 0.0f : std::clamp(x, -kMax, kMax);
}

void ExponentialDecayLengthPenalty::process(std::span<const int64_t> input_ids, std::span<float> scores) const {
  const int64_t length = static_cast<int64_t>(input_ids.size());
  if (length <= start_) return;
  const float gain = static_cast<float>(std::pow(factor_, static_cast<double>(length - start_)) - 1);
  for (const int64_t id : eos_) {
    if (id < 0 || id >= static_cast<int64_t>(scores.size())) continue;
    float& score = scores[static_cast<std::size_t>(id)];
    if (std::isfinite(score)) score += std::abs(score) * gain;
  }
}

void SuppressTokensLogitsProcessor::process(std::span<const int64_t>, std::span<float> scores) const {
  set_all(ids_, scores, kMinusInfinity);
}

void SuppressTokensAtBeginLogitsProcessor::process(std::span<const int64_t> input_ids, std::span<float> scores) const {
  if (static_cast<int64_t>(input_ids.size()) == begin_index_) set_all(ids_, scores, kMinusInfinity);
}

void TemperatureLogitsWarper::process(std::span<const int64_t>, std::span<float> scores) const {
  const float temperature = static_cast<float>(temperature_);
  for (float& x : scores) x /= temperature;
}

void TopHLogitsWarper::process(std::span<const int64_t>, std::span<float> scores) const {
  constexpr std::size_t kTopN = 100;
  std::vector<int64_t>& best = scratch().order;
  top_indices(scores.size(), kTopN, best, [&](int64_t a, int64_t b) {
    return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)];
  });
  std::vector<float>& logits = scratch().values;
  logits.clear();
  for (const int64_t id : best) logits.push_back(scores[static_cast<std::size_t>(id)]);
  std::vector<float>& p = scratch().probabilities;
  softmax(logits, p);
  const float tau = static_cast<float>(entropy(logits, p)) * static_cast<float>(top_h_);
  std::fill(scores.begin(), scores.end(), kMinusInfinity);
  double sum = 0;
  for (std::size_t i = 0; i < best.size(); ++i) {
    sum += static_cast<double>(-p[i] * std::log(p[i]));  // NaN from the first impossible token on: none of them stays
    if (i == 0 || static_cast<float>(sum) <= tau) scores[static_cast<std::size_t>(best[i])] = logits[i];
  }
}

void TopKLogitsWarper::process(std::span<const int64_t>, std::span<float> scores) const {
  const float least = kth_largest(scores, std::min(top_k_, static_cast<int64_t>(scores.size())));
  for (float& x : scores) {
    if (x < least) x = kMinusInfinity;
  }
}

void TopPLogitsWarper::process(std::span<const int64_t>, std::span<float> scores) const {
  std::vector<int64_t>& order = finite(scores);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return scores[static_cast<std::size_t>(a)] < scores[static_cast<std::size_t>(b)];
  });
  std::vector<float>& p = scratch().probabilities;
  softmax(scores, p);
  const float limit = static_cast<float>(1 - top_p_);
  double sum = 0;
  const int64_t count = static_cast<int64_t>(order.size());
  for (int64_t i = 0; i < count - min_tokens_to_keep_; ++i) {
    const std::size_t id = static_cast<std::size_t>(order[static_cast<std::size_t>(i)]);
    sum += static_cast<double>(p[id]);
    if (!(static_cast<float>(sum) <= limit)) break;  // sums only grow
    scores[id] = kMinusInfinity;
  }
}

void MinPLogitsWarper::process(std::span<const int64_t>, std::span<float> scores) const {
  std::vector<float>& p = scratch().probabilities;
  softmax(scores, p);
  const float limit = static_cast<float>(min_p_) * max_of(p);
  std::vector<int64_t>& best = scratch().order;
  top_indices(p.size(), static_cast<std::size_t>(min_tokens_to_keep_), best,
              [&](int64_t a, int64_t b) { return p[static_cast<std::size_t>(a)] > p[static_cast<std::size_t>(b)]; });
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (p[i] < limit && std::find(best.begin(), best.end(), static_cast<int64_t>(i)) == best.end()) {
      scores[i] = kMinusInfinity;
    }
  }
}

void TypicalLogitsWarper::process(std::span<const int64_t>, std::span<float> scores) const {
  std::vector<float>& p = scratch().probabilities;
  softmax(scores, p);
  const double normaliser = log_sum_exp(scores);
  const float ent = static_cast<float>(entropy(scores, p));
  std::vector<int64_t>& order = finite(scores);
  std::vector<float>& shifted = scratch().values;
  shifted.resize(scores.size());
  for (const int64_t i : order) {
    const std::size_t id = static_cast<std::size_t>(i);
    shifted[id] = std::abs(-static_cast<float>(static_cast<double>(scores[id]) - normaliser) - ent);
  }
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return shifted[static_cast<std::size_t>(a)] < shifted[static_cast<std::size_t>(b)];
  });
  double sum = 0;
  std::size_t last = 0;
  for (; last < order.size(); ++last) {
    sum += static_cast<double>(p[static_cast<std::size_t>(order[last])]);
    if (!(static_cast<float>(sum) < static_cast<float>(mass_))) break;
  }
  if (last >= order.size()) return;
  const float limit = shifted[static_cast<std::size_t>(order[last])];
  for (std::size_t i = static_cast<std::size_t>(min_tokens_to_keep_); i < order.size(); ++i) {
    const std::size_t id = static_cast<std::size_t>(order[i]);
    if (shifted[id] > limit) scores[id] = kMinusInfinity;
  }
}

namespace {

// Takes out what is less likely than `limit`, but not the min_tokens_to_keep best and their equals.
void cut_off(float limit, int64_t min_tokens_to_keep, const std::vector<float>& probabilities,
             std::span<float> scores) {
  const float least = kth_largest(scores, std::min(min_tokens_to_keep, static_cast<int64_t>(scores.size())));
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (probabilities[i] < limit && scores[i] < least) scores[i] = kMinusInfinity;
  }
}

}  // namespace

void EpsilonLogitsWarper::process(std::span<const int64_t>, std::span<float> scores) const {
  softmax(scores, scratch().probabilities);
  cut_off(static_cast<float>(epsilon_), min_tokens_to_keep_, scratch().probabilities, scores);
}

void EtaLogitsWarper::process(std::span<const int64_t>, std::span<float> scores) const {
  std::vector<float>& p = scratch().probabilities;
  softmax(scores, p);
  const float epsilon = static_cast<float>(epsilon_);
  const float eta = std::min(epsilon, std::sqrt(epsilon) * std::exp(-static_cast<float>(entropy(scores, p))));
  cut_off(eta, min_tokens_to_keep_, p, scores);
}

void LogitNormalization::process(std::span<const int64_t>, std::span<float> scores) const { log_softmax(scores); }

LogitsProcessorList get_logits_processor(const GenerationConfig& config, const PromptInfo& prompt,
                                         const PrefixAllowedTokensFn& prefix_allowed_tokens_fn,
                                         std::span<const std::shared_ptr<const LogitsProcessor>> logits_processor) {
  LogitsProcessorList list;
  const std::vector<int64_t> eos = config.eos_token_id.value_or(std::vector<int64_t>{});
  const int64_t length = prompt.input_ids_seq_length;
  const auto ids_of = [](const Value& value) {
    std::vector<int64_t> ids;
    for (const Value& id : value.as_array()) ids.push_back(id.as_integer());
    return ids;
  };
  if (!config.sequence_bias.is_null()) {
    std::vector<SequenceBiasLogitsProcessor::Bias> biases;
    for (const Value& pair : config.sequence_bias.as_array()) {
      biases.emplace_back(ids_of(pair.as_array()[0]), pair.as_array()[1].as_number());
    }
    list.add<SequenceBiasLogitsProcessor>(biases);
  }
  const std::vector<int64_t>& source = prompt.encoder_input_ids;
  if (config.encoder_repetition_penalty.value_or(1.0) != 1.0) {
    list.add<EncoderRepetitionPenaltyLogitsProcessor>(*config.encoder_repetition_penalty, source);
  }
  if (config.repetition_penalty.value_or(1.0) != 1.0) {
    list.add<RepetitionPenaltyLogitsProcessor>(*config.repetition_penalty, prompt.padding_length);
  }
  if (config.no_repeat_ngram_size.value_or(0) > 0) list.add<NoRepeatNGramLogitsProcessor>(*config.no_repeat_ngram_size);
  if (config.encoder_no_repeat_ngram_size.value_or(0) > 0) {
    list.add<EncoderNoRepeatNGramLogitsProcessor>(*config.encoder_no_repeat_ngram_size, source);
  }
  if (!config.bad_words_ids.is_null()) {
    std::vector<std::vector<int64_t>> words;
    for (const Value& ids : config.bad_words_ids.as_array()) words.push_back(ids_of(ids));
    list.add<NoBadWordsLogitsProcessor>(words, eos);
  }
  // min_new_tokens replaces min_length by the same length.
  const int64_t min_length = config.min_new_tokens ? *config.min_new_tokens + length : config.min_length.value_or(0);
  if (min_length > 0 && !eos.empty()) list.add<MinLengthLogitsProcessor>(min_length, eos);
  if (config.min_new_tokens.value_or(0) > 0 && !eos.empty()) {
    list.add<MinNewTokensLengthLogitsProcessor>(length, *config.min_new_tokens, eos);
  }
  if (prefix_allowed_tokens_fn) list.add<PrefixConstrainedLogitsProcessor>(prefix_allowed_tokens_fn, prompt.batch_id);
  if (config.forced_bos_token_id) list.add<ForcedBOSTokenLogitsProcessor>(*config.forced_bos_token_id);
  if (config.forced_eos_token_id) {
    list.add<ForcedEOSTokenLogitsProcessor>(prompt.max_length, *config.forced_eos_token_id);
  }
  if (config.remove_invalid_values.value_or(false)) list.add<InfNanRemoveLogitsProcessor>();
  if (!config.exponential_decay_length_penalty.is_null()) {
    const Value::Array& decay = config.exponential_decay_length_penalty.as_array();
    list.add<ExponentialDecayLengthPenalty>(decay[0].as_integer(), decay[1].as_number(), eos, length);
  }
  if (config.suppress_tokens) list.add<SuppressTokensLogitsProcessor>(*config.suppress_tokens);
  if (config.begin_suppress_tokens) {
    const int64_t begin = length > 1 || !config.forced_bos_token_id ? length : length + 1;
    list.add<SuppressTokensAtBeginLogitsProcessor>(*config.begin_suppress_tokens, begin);
  }
  for (const auto& processor : logits_processor) list.add(processor);
  if (config.do_sample.value_or(false)) {
    const int64_t ends = config.eos_token_id ? static_cast<int64_t>(eos.size()) : 1;
    const int64_t keep = config.num_beams.value_or(1) > 1 ? ends + 1 : 1;
    if (config.temperature.value_or(1.0) != 1.0) list.add<TemperatureLogitsWarper>(*config.temperature);
    if (config.top_h) list.add<TopHLogitsWarper>(*config.top_h);
    if (config.top_k.value_or(0) != 0) list.add<TopKLogitsWarper>(*config.top_k, keep);
    if (config.top_p.value_or(1.0) < 1.0) list.add<TopPLogitsWarper>(*config.top_p, keep);
    if (config.min_p) list.add<MinPLogitsWarper>(*config.min_p, keep);
    if (config.typical_p.value_or(1.0) < 1.0) list.add<TypicalLogitsWarper>(*config.typical_p, keep);
    const auto cutoff = [](const std::optional<double>& value) { return value && *value > 0 && *value < 1; };
    if (cutoff(config.epsilon_cutoff)) list.add<EpsilonLogitsWarper>(*config.epsilon_cutoff, keep);
    if (cutoff(config.eta_cutoff)) list.add<EtaLogitsWarper>(*config.eta_cutoff, keep);
  }
  if (config.renormalize_logits.value_or(false)) list.add<LogitNormalization>();
  return list;
}

}  // namespace transformers
