// What it is: the spaces that tokenization puts before punctuation, and taking them out again.
// Where it stands: tokenizers; the WordPiece decoder and clean_up_tokenization_spaces use it.
// Usage: `for (const auto& [from, to] : kCleanup) replace_all(text, from, to);`
// Source: the `tokenizers` crate 0.23, decoders/wordpiece.rs; transformers 5.23 clean_up_tokenization.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace transformers {

// In order; each is replaced throughout before the next. The decoder runs them all, clean_up_tokenization_spaces all
// but kOnlyDecoder.
inline constexpr std::pair<std::string_view, std::string_view> kCleanup[] = {
    {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
    {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
inline constexpr std::string_view kOnlyDecoder = " do not";

inline void replace_all(std::string& text, std::string_view from, std::string_view to) {
  std::size_t at = text.find(from);
  if (at == std::string::npos) return;
  std::string out;
  std::size_t done = 0;
  for (; at != std::string::npos; at = text.find(from, done)) {
    out.append(text, done, at - done).append(to);
    done = at + from.size();
  }
  text = out.append(text, done);
}

}  // namespace transformers
