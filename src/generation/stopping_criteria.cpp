// Implements generation/stopping_criteria.hpp.
#include "transformers/generation/stopping_criteria.hpp"

#include <algorithm>
#include <chrono>

#include "transformers/base/error.hpp"

namespace transformers {
namespace {

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

StoppingCriteria::~StoppingCriteria() = default;

bool MaxLengthCriteria::operator()(std::span<const int64_t> input_ids) const {
  return static_cast<int64_t>(input_ids.size()) >= max_length_;
}

MaxTimeCriteria::MaxTimeCriteria(double seconds) : deadline_(now_seconds() + seconds) {}

bool MaxTimeCriteria::operator()(std::span<const int64_t>) const { return now_seconds() > deadline_; }

bool EosTokenCriteria::operator()(std::span<const int64_t> input_ids) const {
  return !input_ids.empty() && std::find(eos_.begin(), eos_.end(), input_ids.back()) != eos_.end();
}

StopStringCriteria::StopStringCriteria(std::vector<std::string> stop_strings,
                                       std::shared_ptr<const TokenTexts> token_texts)
    : stop_strings_(std::move(stop_strings)), token_texts_(std::move(token_texts)) {
  for (const std::string& s : stop_strings_) {
    check_argument(!s.empty(), "expected texts that are not empty", "stop_strings");
    longest_ = std::max(longest_, s.size());
  }
}

bool StopStringCriteria::operator()(std::span<const int64_t> input_ids) const {
  std::string text;  // from the end, reversed, so that it need not be longer than what is asked for
  std::size_t last = 0;
  std::size_t tokens = 0;
  const auto text_of = [&](int64_t id) -> std::string_view {
    if (id < 0 || id >= static_cast<int64_t>(token_texts_->size())) return {};
    return (*token_texts_)[static_cast<std::size_t>(id)];
  };
  for (auto id = input_ids.rbegin(); id != input_ids.rend() && tokens < longest_; ++id, ++tokens) {
    const std::string_view piece = text_of(*id);
    text.append(piece.rbegin(), piece.rend());
    if (tokens == 0) last = text.size();
    if (last == 0 || text.size() >= last - 1 + longest_) break;
  }
  return std::any_of(stop_strings_.begin(), stop_strings_.end(), [&](const std::string& s) {
    const std::size_t at = text.find(std::string(s.rbegin(), s.rend()));
    return at != std::string::npos && at < last;
  });
}

StoppingCriteriaList get_stopping_criteria(const GenerationConfig& config, int64_t max_length,
                                           const std::shared_ptr<const StopStringCriteria::TokenTexts>& token_texts,
                                           std::span<const std::shared_ptr<const StoppingCriteria>> stopping_criteria) {
  StoppingCriteriaList list;
  list.add<MaxLengthCriteria>(max_length);
  if (config.max_time) list.add<MaxTimeCriteria>(*config.max_time);
  if (!config.stop_strings.is_null()) {
    std::vector<std::string> strings;
    if (config.stop_strings.is_string()) {
      strings.push_back(config.stop_strings.as_string());
    } else {
      for (const Value& s : config.stop_strings.as_array()) strings.push_back(s.as_string());
    }
    if (token_texts == nullptr) {
      throw Error(ErrorCode::invalid_argument, "they need the tokenizer, which token ids alone do not bring",
                  "stop_strings");
    }
    if (!strings.empty()) list.add<StopStringCriteria>(std::move(strings), token_texts);
  }
  if (config.eos_token_id) list.add<EosTokenCriteria>(*config.eos_token_id);
  for (const auto& criteria : stopping_criteria) list.add(criteria);
  return list;
}

}  // namespace transformers
