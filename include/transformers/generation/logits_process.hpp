// What it is: the logits processors and warpers of generate(): what they change in the scores of the next token.
// Where it stands: generation; get_logits_processor makes the list that a GenerationConfig asks for, in the one order.
// Usage: `LogitsProcessorList processors = get_logits_processor(config, prompt);  processors(input_ids, scores);`
// Source: transformers/generation/logits_process.py and utils.py, _get_logits_processor (5.23).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "transformers/base/export.hpp"
#include "transformers/generation/generation_config.hpp"
#include "transformers/generation/logits_processor.hpp"

namespace transformers {

// ---- Processors, in the order they are applied ---------------------------------------------------------------------

// Adds a bias to the last id of each sequence where the row ends with its other ids; to single ids always.
class TCPP_API SequenceBiasLogitsProcessor : public LogitsProcessor {
 public:
  using Bias = std::pair<std::vector<int64_t>, double>;
  // Of biases for the same ids the last counts.
  explicit SequenceBiasLogitsProcessor(const std::vector<Bias>& sequence_bias);

 protected:
  void process(std::span<const int64_t> input_ids, std::span<float> scores) const override;

 private:
  std::vector<Bias> biases_;
};

// Divides the scores above 0 of the source's tokens by 1 / penalty and multiplies those below.
class TCPP_API EncoderRepetitionPenaltyLogitsProcessor : public LogitsProcessor {
 public:
  EncoderRepetitionPenaltyLogitsProcessor(double penalty, std::vector<int64_t> encoder_input_ids)
      : penalty_(1 / penalty), ids_(std::move(encoder_input_ids)) {}

 protected:
  void process(std::span<const int64_t> input_ids, std::span<float> scores) const override;

 private:
  double penalty_;
  std::vector<int64_t> ids_;
};

// Divides the scores above 0 of tokens that were there by the penalty and multiplies those below, once each; the first
// prompt_ignore_length tokens (left padding) do not count.
class TCPP_API RepetitionPenaltyLogitsProcessor : public LogitsProcessor {
 public:
  explicit RepetitionPenaltyLogitsProcessor(double penalty, int64_t prompt_ignore_length = 0)
      : penalty_(penalty), prompt_ignore_length_(prompt_ignore_length) {}

 protected:
  void process(std::span<const int64_t> input_ids, std::span<float> scores) const override;

 private:
  double penalty_;
  int64_t prompt_ignore_length_;
};

// No n-gram twice.
class TCPP_API NoRepeatNGramLogitsProcessor : public LogitsProcessor {
 public:
  explicit NoRepeatNGramLogitsProcessor(int64_t ngram_size) : ngram_size_(ngram_size) {}

 protected:
  void process(std::span<const int64_t> input_ids, std::span<float> scores) const override;

 private:
  int64_t ngram_size_;
};

// No n-gram of the source.
class TCPP_API EncoderNoRepeatNGramLogitsProcessor : public LogitsProcessor {
 public:
  EncoderNoRepeatNGramLogitsProcessor(int64_t encoder_ngram_size, const std::vector<int64_t>& encoder_input_ids);

 protected:
  void process(std::span<const int64_t> input_ids, std::span<float> scores) const override;

 private:
  int64_t ngram_size_;
  std::map<std::vector<int64_t>, std::vector<int64_t>> banned_;
};

// A bias of minus infinity; bad words that are an end of sequence alone are let through.
class TCPP_API NoBadWordsLogitsProcessor : public SequenceBiasLogitsProcessor {
 public:
  NoBadWordsLogitsProcessor(const std::vector<std::vector<int64_t>>& bad_words_ids,
                            const std::vector<int64_t>& eos_token_id);
};

// No end of sequence while the row is shorter than min_length.
class TCPP_API MinLengthLogitsProcessor : public LogitsProcessor {
 public:
  MinLengthLogitsProcessor(int64_t min_length, std::vector<int64_t> eos_token_id)
      : min_length_(min_length), eos_(std::move(eos_token_id)) {}

 protected:
  void process(std::span<const int64_t> input_ids, std::span<float> scores) const override;

 private:
  int64_t min_length_;
  std::vector<int64_t> eos_;
};

// The same, the prompt not counted.
class TCPP_API MinNewTokensLengthLogitsProcessor : public MinLengthLogitsProcessor {
 public:
  MinNewTokensLengthLogitsProcessor(int64_t prompt_length_to_skip, int64_t min_new_tokens,
                                    std::vector<int64_t> eos_token_id)
      : MinLengthLogitsProcessor(prompt_length_to_skip + min_new_tokens, std::move(eos_token_id)) {}
};

// Only the ids that the function names may come next: prefix_allowed_tokens_fn(batch_id, input_ids of the row). Where
// all rows of a request have none left that is not suppressed already, its names alone decide.
// Error(invalid_argument) when it names none.
class TCPP_API PrefixConstrainedLogitsProcessor : public LogitsProcessor {
 public:
  PrefixConstrainedLogitsProcessor(PrefixAllowedTokensFn prefix_allowed_tokens_fn, int64_t batch_id)
      : function_(std::move(prefix_allowed_tokens_fn)), batch_id_(batch_id) {}
  void operator()(InputIds input_ids, const Scores& scores) const override;

 private:
  PrefixAllowedTokensFn function_;
  int64_t batch_id_;
};

// The token behind a row of one token.
class TCPP_API ForcedBOSTokenLogitsProcessor : public LogitsProcessor {
 public:
  explicit ForcedBOSTokenLogitsProcessor(int64_t bos_token_id) : bos_(bos_token_id) {}

 protected:
  void process(std::span<const int64_t> input_ids, std::span<float> scores) const override;

 private:
  int64_t bos_;
};

// The last token where max_length is reached.
class TCPP_API ForcedEOSTokenLogitsProcessor : public LogitsProcessor {
 public:
  ForcedEOSTokenLogitsProcessor(int64_t max_length, std::vector<int64_t> eos_token_id)
      : max_length_(max_length), eos_(std::move(eos_token_id)) {}

 protected:
  void process(std::span<const int64_t> input_ids, std::span<float> scores) const override;

 private:
  int64_t max_length_;
  std::vector<int64_t> eos_;
};

// NaN becomes 0, infinities the largest and smallest finite numbers.
class TCPP_API InfNanRemoveLogitsProcessor : public LogitsProcessor {
 protected:
  void process(std::span<const int64_t> input_ids, std::span<float> scores) const override;
};

// From `start` new tokens on the end of sequence gains |score| * (factor^tokens - 1).
class TCPP_API ExponentialDecayLengthPenalty : public LogitsProcessor {
 public:
  ExponentialDecayLengthPenalty(int64_t start, double factor, std::vector<int64_t> eos_token_id,
                                int64_t input_ids_seq_length)
      : start_(start + input_ids_seq_length), factor_(factor), eos_(std::move(eos_token_id)) {}

 protected:
  void process(std::span<const int64_t> input_ids, std::span<float> scores) const override;

 private:
  int64_t start_;
  double factor_;
  std::vector<int64_t> eos_;
};

class TCPP_API SuppressTokensLogitsProcessor : public LogitsProcessor {
 public:
  explicit SuppressTokensLogitsProcessor(std::vector<int64_t> suppress_tokens) : ids_(std::move(suppress_tokens)) {}

 protected:
  void process(std::span<const int64_t> input_ids, std::span<float> scores) const override;

 private:
  std::vector<int64_t> ids_;
};

// Suppresses where the row is begin_index tokens long.
class TCPP_API SuppressTokensAtBeginLogitsProcessor : public LogitsProcessor {
 public:
  SuppressTokensAtBeginLogitsProcessor(std::vector<int64_t> begin_suppress_tokens, int64_t begin_index)
      : ids_(std::move(begin_suppress_tokens)), begin_index_(begin_index) {}

 protected:
  void process(std::span<const int64_t> input_ids, std::span<float> scores) const override;

 private:
  std::vector<int64_t> ids_;
  int64_t begin_index_;
};

// ---- Warpers: with do_sample only, and behind the processors of the call -------------------------------------------
// What they take out gets a score of minus infinity; at least the min_tokens_to_keep best stay.

class TCPP_API TemperatureLogitsWarper : public LogitsProcessor {
 public:
  explicit TemperatureLogitsWarper(double temperature) : temperature_(temperature) {}

 protected:
  void process(std::span<const int64_t> input_ids, std::span<float> scores) const override;

 private:
  double temperature_;
};

// Among the 100 best, those that together have at most this share of their entropy; the best always.
class TCPP_API TopHLogitsWarper : public LogitsProcessor {
 public:
  explicit TopHLogitsWarper(double top_h) : top_h_(top_h) {}

 protected:
  void process(std::span<const int64_t> input_ids, std::span<float> scores) const override;

 private:
  double top_h_;
};

// What is below the k-th best goes: ties with it stay.
class TCPP_API TopKLogitsWarper : public LogitsProcessor {
 public:
  explicit TopKLogitsWarper(int64_t top_k, int64_t min_tokens_to_keep = 1)
      : top_k_(top_k > min_tokens_to_keep ? top_k : min_tokens_to_keep) {}

 protected:
  void process(std::span<const int64_t> input_ids, std::span<float> scores) const override;

 private:
  int64_t top_k_;
};

class TCPP_API TopPLogitsWarper : public LogitsProcessor {
 public:
  explicit TopPLogitsWarper(double top_p, int64_t min_tokens_to_keep = 1)
      : top_p_(top_p), min_tokens_to_keep_(min_tokens_to_keep) {}

 protected:
  void process(std::span<const int64_t> input_ids, std::span<float> scores) const override;

 private:
  double top_p_;
  int64_t min_tokens_to_keep_;
};

class TCPP_API MinPLogitsWarper : public LogitsProcessor {
 public:
  explicit MinPLogitsWarper(double min_p, int64_t min_tokens_to_keep = 1)
      : min_p_(min_p), min_tokens_to_keep_(min_tokens_to_keep) {}

 protected:
  void process(std::span<const int64_t> input_ids, std::span<float> scores) const override;

 private:
  double min_p_;
  int64_t min_tokens_to_keep_;
};

// Source: arXiv 2202.00666.
class TCPP_API TypicalLogitsWarper : public LogitsProcessor {
 public:
  explicit TypicalLogitsWarper(double mass, int64_t min_tokens_to_keep = 1)
      : mass_(mass), min_tokens_to_keep_(min_tokens_to_keep) {}

 protected:
  void process(std::span<const int64_t> input_ids, std::span<float> scores) const override;

 private:
  double mass_;
  int64_t min_tokens_to_keep_;
};

// Source of epsilon and eta: arXiv 2210.15191.
class TCPP_API EpsilonLogitsWarper : public LogitsProcessor {
 public:
  explicit EpsilonLogitsWarper(double epsilon, int64_t min_tokens_to_keep = 1)
      : epsilon_(epsilon), min_tokens_to_keep_(min_tokens_to_keep) {}

 protected:
  void process(std::span<const int64_t> input_ids, std::span<float> scores) const override;

 private:
  double epsilon_;
  int64_t min_tokens_to_keep_;
};

class TCPP_API EtaLogitsWarper : public LogitsProcessor {
 public:
  explicit EtaLogitsWarper(double epsilon, int64_t min_tokens_to_keep = 1)
      : epsilon_(epsilon), min_tokens_to_keep_(min_tokens_to_keep) {}

 protected:
  void process(std::span<const int64_t> input_ids, std::span<float> scores) const override;

 private:
  double epsilon_;
  int64_t min_tokens_to_keep_;
};

// Last of all: log_softmax.
class TCPP_API LogitNormalization : public LogitsProcessor {
 protected:
  void process(std::span<const int64_t> input_ids, std::span<float> scores) const override;
};

// ---- The list ------------------------------------------------------------------------------------------------------

// What the processors of a request must know of its prompt.
struct PromptInfo {
  int64_t input_ids_seq_length = 0;        // tokens before the first new one, padding included
  int64_t max_length = 0;                  // the length at which generation stops
  std::vector<int64_t> encoder_input_ids;  // the source; for decoders the prompt itself
  int64_t padding_length = 0;              // of them not attended to, on the left
  int64_t batch_id = 0;                    // for prefix_allowed_tokens_fn
};

// The processors that `config` asks for and, behind them and before the warpers, those of the call.
TCPP_API LogitsProcessorList
get_logits_processor(const GenerationConfig& config, const PromptInfo& prompt,
                     const PrefixAllowedTokensFn& prefix_allowed_tokens_fn = {},
                     std::span<const std::shared_ptr<const LogitsProcessor>> logits_processor = {});

}  // namespace transformers
