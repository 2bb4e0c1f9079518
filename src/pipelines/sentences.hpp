// What it is: a text cut into sentences, by punctuation and white space alone, for texts of any language.
// Where it stands: pipelines; the option split_sentences of the encoder-decoders' tasks.
// Usage: `for (const Sentence& s : split_sentences("One. Two?\n")) ...   // "One." " "   "Two?" "\n"`
#pragma once

#include <string_view>
#include <vector>

namespace transformers {

struct Sentence {
  std::string_view text;   // empty only before white space at the very start
  std::string_view space;  // the white space behind it
};

// All of the text, in order. A sentence ends at a line's end; behind the signs of CJK, Hindi and other scripts; and at
// ".", "!", "?" or an ellipsis (with the quotes and brackets behind it) before white space, unless what follows begins
// with a small letter, or what comes before "." is one letter or digits alone, or an abbreviation like "Dr".
std::vector<Sentence> split_sentences(std::string_view text);

}  // namespace transformers
