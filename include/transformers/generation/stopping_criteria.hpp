// What it is: the stopping criteria of generate(): when a row is done.
// Where it stands: generation; get_stopping_criteria makes the list that a GenerationConfig asks for.
// Usage: `StoppingCriteriaList criteria = get_stopping_criteria(config, max_length);  bool done = criteria(input_ids);`
// Source: transformers/generation/stopping_criteria.py (5.23).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "transformers/base/export.hpp"
#include "transformers/generation/generation_config.hpp"

namespace transformers {

class TCPP_API StoppingCriteria {
 public:
  virtual ~StoppingCriteria();
  // input_ids: prompt and new tokens of one row, the last of which has just been made.
  virtual bool operator()(std::span<const int64_t> input_ids) const = 0;
};

class TCPP_API StoppingCriteriaList {
 public:
  void add(std::shared_ptr<const StoppingCriteria> criteria) { criteria_.push_back(std::move(criteria)); }
  template <class C, class... Args>
  void add(Args&&... args) {
    criteria_.push_back(std::make_shared<const C>(std::forward<Args>(args)...));
  }
  bool operator()(std::span<const int64_t> input_ids) const {
    for (const auto& criteria : criteria_) {
      if ((*criteria)(input_ids)) return true;
    }
    return false;
  }

 private:
  std::vector<std::shared_ptr<const StoppingCriteria>> criteria_;
};

class TCPP_API MaxLengthCriteria : public StoppingCriteria {
 public:
  explicit MaxLengthCriteria(int64_t max_length) : max_length_(max_length) {}
  bool operator()(std::span<const int64_t> input_ids) const override;

 private:
  int64_t max_length_;
};

// Counts from its construction.
class TCPP_API MaxTimeCriteria : public StoppingCriteria {
 public:
  explicit MaxTimeCriteria(double seconds);
  bool operator()(std::span<const int64_t> input_ids) const override;

 private:
  double deadline_;  // seconds of the steady clock
};

class TCPP_API EosTokenCriteria : public StoppingCriteria {
 public:
  explicit EosTokenCriteria(std::vector<int64_t> eos_token_id) : eos_(std::move(eos_token_id)) {}
  bool operator()(std::span<const int64_t> input_ids) const override;

 private:
  std::vector<int64_t> eos_;
};

// Whether the text of the tokens has a stop string that ends in the last token, be it in its middle. The text counts
// the prompt, the last as many tokens as the longest stop string is bytes long, each with the text that it has behind
// others.
class TCPP_API StopStringCriteria : public StoppingCriteria {
 public:
  using TokenTexts = std::vector<std::string>;  // by id: the bytes it adds to the text
  StopStringCriteria(std::vector<std::string> stop_strings, std::shared_ptr<const TokenTexts> token_texts);
  bool operator()(std::span<const int64_t> input_ids) const override;

 private:
  std::vector<std::string> stop_strings_;
  std::shared_ptr<const TokenTexts> token_texts_;
  std::size_t longest_ = 0;
};

// The criteria that `config` asks for, then those of the call. Error(invalid_argument) for stop_strings without the
// texts of the tokens.
TCPP_API StoppingCriteriaList
get_stopping_criteria(const GenerationConfig& config, int64_t max_length,
                      const std::shared_ptr<const StopStringCriteria::TokenTexts>& token_texts = nullptr,
                      std::span<const std::shared_ptr<const StoppingCriteria>> stopping_criteria = {});

}  // namespace transformers
