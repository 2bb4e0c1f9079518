// What it is: LogitsProcessor, what changes the scores of the next token, for callers' own and for those of generate().
// Where it stands: generation; logits_process.hpp has Hugging Face's.
// Usage: `request.logits_processor.push_back(std::make_shared<const MyProcessor>());`
// Source: transformers/generation/logits_process.py, LogitsProcessor and LogitsProcessorList (5.23).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "transformers/base/export.hpp"
#include "transformers/base/function.hpp"

namespace transformers {

// The rows of one request: one, or its beams. All have the same length, padding of the prompt included.
using InputIds = std::span<const std::vector<int64_t>>;

// [rows, vocab_size] float32, a row for each of InputIds.
struct Scores {
  float* data = nullptr;
  int64_t rows = 0, vocab_size = 0;
  std::span<float> row(int64_t i) const { return {data + i * vocab_size, static_cast<std::size_t>(vocab_size)}; }
};

// Belongs to one request and keeps no state between calls.
class TCPP_API LogitsProcessor {
 public:
  virtual ~LogitsProcessor();
  virtual void operator()(InputIds input_ids, const Scores& scores) const;

 protected:
  // One row. Processors that must see all rows at once override operator() instead.
  virtual void process(std::span<const int64_t> input_ids, std::span<float> scores) const;
};

class TCPP_API LogitsProcessorList {
 public:
  void add(std::shared_ptr<const LogitsProcessor> processor) { processors_.push_back(std::move(processor)); }
  template <class P, class... Args>
  void add(Args&&... args) {
    processors_.push_back(std::make_shared<const P>(std::forward<Args>(args)...));
  }
  void operator()(InputIds input_ids, const Scores& scores) const {
    for (const auto& processor : processors_) (*processor)(input_ids, scores);
  }
  bool empty() const noexcept { return processors_.empty(); }

 private:
  std::vector<std::shared_ptr<const LogitsProcessor>> processors_;
};

// The ids that may come next: prefix_allowed_tokens_fn(batch_id, input_ids of the row).
using PrefixAllowedTokensFn = Function<std::vector<int64_t>(int64_t batch_id, std::span<const int64_t> input_ids)>;

}  // namespace transformers
