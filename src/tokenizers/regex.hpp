// What it is: the regular expressions of tokenizer.json, as Hugging Face runs them (Oniguruma, Ruby's syntax).
// Where it stands: tokenizers; Split and Replace match with it. The only header that stands before Oniguruma.
// Usage: `Regex r("\\p{L}+"); std::vector<Match> parts = r.find(text);`
// Source: the `tokenizers` crate 0.23, tokenizer/pattern.rs; the `onig` crate, find.rs.
//
// The patterns that most published tokenizers split with are not run but scanned (scanners.hpp): linear, and with the
// Unicode version of the package instead of the installed Oniguruma's.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "scanners.hpp"
#include "transformers/tokenizers/normalized_string.hpp"  // Match

namespace transformers {

// Immutable; find may be called concurrently.
class Regex {
 public:
  // Error(corrupt_file) for a pattern that cannot be read, Error(limit) for one of more than kLongest bytes.
  // `scan` false: never by a scanner (for tests).
  explicit Regex(const std::string& pattern, bool scan = true);
  ~Regex();
  Regex(const Regex&) = delete;
  Regex& operator=(const Regex&) = delete;

  static constexpr std::size_t kLongest = 100'000;

  // The matches and what lies between, in order and without gaps. Error(limit) when a match takes too many steps.
  std::vector<Match> find(std::string_view text) const;
  // How the pattern is scanned, if it is.
  Scanner scanner() const { return scanner_; }

 private:
  struct Compiled;
  std::unique_ptr<Compiled> compiled_;
  std::string pattern_;
  Scanner scanner_ = Scanner::none;
};

}  // namespace transformers
