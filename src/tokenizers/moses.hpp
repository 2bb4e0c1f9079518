// What it is: Moses' rules for English words: a line to its words, and words back to a line.
// Where it stands: tokenizers; Transformer-XL's vocabulary holds words cut by it.
// Usage: `std::vector<std::string> words = moses::tokenize("I don't.", {});   // {"I", "don", "'t", "."}`
// Source: sacremoses 0.2.0 (MosesPunctNormalizer, MosesTokenizer, MosesDetokenizer), as transformers 4.57.6 calls them.
//
// All text is well-formed UTF-8.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "regex.hpp"

namespace transformers::moses {

// Punctuation normalized, words cut with every dash apart. What one of the patterns matches is not cut. Error(limit)
// for more than a thousand such places.
std::vector<std::string> tokenize(std::string_view line,
                                  std::span<const std::shared_ptr<const Regex>> protected_patterns);

std::string detokenize(std::span<const std::string> words);

}  // namespace transformers::moses
