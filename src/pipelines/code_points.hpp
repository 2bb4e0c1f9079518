// What it is: CodePoints, a text that is read by code point, as the offsets of tokens count them.
// Where it stands: src/pipelines; token classification and question answering cut answers out of texts with it.
// Usage: `const CodePoints text("caf\xC3\xA9!");  std::string_view word = text.slice(0, 4);`
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "transformers/tokenizers/unicode.hpp"

namespace transformers {

// What is not UTF-8 becomes U+FFFD, as in the tokenizer.
class CodePoints {
 public:
  explicit CodePoints(std::string_view text) : text_(unicode::to_well_formed(text)), size_(unicode::count(text_)) {
    if (size_ == text_.size()) return;  // ASCII
    begins_.reserve(size_ + 1);
    for (std::size_t i = 0; i < text_.size();) {
      begins_.push_back(static_cast<uint32_t>(i));
      unicode::next(text_, i);
    }
    begins_.push_back(static_cast<uint32_t>(text_.size()));
  }

  const std::string& text() const noexcept { return text_; }
  int64_t size() const noexcept { return static_cast<int64_t>(size_); }
  // Python's text[begin:end] of 0 <= begin, end: nothing where begin >= end, no further than the end of the text.
  std::string_view slice(int64_t begin, int64_t end) const {
    const std::size_t from = std::min(static_cast<std::size_t>(begin), size_);
    const std::size_t to = std::max(from, std::min(static_cast<std::size_t>(std::max<int64_t>(end, 0)), size_));
    const auto byte = [&](std::size_t i) { return begins_.empty() ? i : std::size_t{begins_[i]}; };
    return std::string_view(text_).substr(byte(from), byte(to) - byte(from));
  }

 private:
  std::string text_;
  std::size_t size_;
  std::vector<uint32_t> begins_;  // bytes where code points begin, and the end; empty where each is one byte
};

}  // namespace transformers
