// What it is: tiktoken's files, a line "token in base64, rank" for each token, as the tokenizer.json that transformers
// makes of them.
// Where it stands: tokenizers; AutoTokenizer reads tokenizer.model or tiktoken.model with it.
// Usage: `if (is_tiktoken(bytes)) json = tiktoken_json(bytes, {}, {}, "tokenizer.model");`
// Source: transformers 5.23 convert_slow_tokenizer.py (TikTokenConverter), tokenization_utils_tokenizers.py
// (_convert_from_tiktoken).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace transformers {

// Whether the first line is a token in base64 and a number.
bool is_tiktoken(std::string_view bytes);
// `added` are special tokens by id, those behind the ranks being made contiguous by reserved ones; `more` get the ids
// after them. Error(corrupt_file) naming `where` and the line for one that is no token and rank, or a rank that is no
// id; Error(limit) when `added` would take more than a million reserved tokens.
std::string tiktoken_json(std::string_view bytes, const std::map<int64_t, std::string>& added,
                          const std::vector<std::string>& more, const std::string& where);

}  // namespace transformers
