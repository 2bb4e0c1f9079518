// What it is: what every fuzz target of a tokenizer's files does with the tokenizer it gets, if it gets one.
// Usage: `exercise({{"vocab.txt", bytes}, ...});` see driver.hpp; needs src/base/*.cpp and src/tokenizers/*.cpp
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "transformers/base/error.hpp"
#include "transformers/base/model_files.hpp"
#include "transformers/tokenizers/tokenizer.hpp"

namespace transformers {

inline constexpr std::string_view kTexts[] = {"", "a", "Hello, w\xC3\xB6rld [MASK]  x",
                                              "e\xCC\x81\xCC\xA3 \xE4\xB8\xAD\xEA\xB0\x81\xFF",
                                              "\xE3\x80\xAE\xE3\x80\xAE\xED\xA0\x80 123 ##a\r\n \xE2\x96\x81 b"};

// What `f` gives, or the message of the Error that it throws.
template <class F>
std::string outcome(F f) {
  try {
    return f();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::internal) std::abort();
    return error.what();
  }
}

inline std::string ids_of(const Encoding& e) {
  std::string out;
  for (const int32_t id : e.ids) out += std::to_string(id) + ' ';
  return out;
}

inline std::string describe(const Encoding& e) {
  const std::size_t n = e.size();
  if (e.tokens.size() != n || e.offsets.size() != n || e.type_ids.size() != n || e.word_ids.size() != n ||
      e.special_tokens_mask.size() != n || e.attention_mask.size() != n || e.sequence_ids.size() != n) {
    std::abort();
  }
  std::string out;
  for (std::size_t i = 0; i < n; ++i) {
    if (e.offsets[i].first < 0 || e.offsets[i].second < e.offsets[i].first) std::abort();
    out += e.tokens[i] + ' ' + std::to_string(e.ids[i]) + ' ' + std::to_string(e.offsets[i].first) + ' ';
  }
  return out;
}

// The compiled path and the components give the same ids, tokens and offsets, or the same error.
inline void compare(const Tokenizer& compiled, const Tokenizer& components, std::string_view text,
                    EncodeOptions options = {}) {
  const auto all = [&](const Tokenizer& t) { return outcome([&] { return describe(t.encode(text, options)); }); };
  if (all(compiled) != all(components)) std::abort();
  const auto expected = outcome([&] { return ids_of(components.encode(text, options)); });
  options.ids_only = true;
  if (outcome([&] { return ids_of(compiled.encode(text, options)); }) != expected) std::abort();
}

// Loads a tokenizer from `files`, both ways, encodes and decodes. Any Error must name one of the files.
inline void exercise(const std::map<std::string, std::string>& contents) {
  try {
    const auto files = ModelFiles::from_memory(contents);
    const auto tokenizer = AutoTokenizer::from_files(files);
    const auto components = AutoTokenizer::from_files(files, {.compiled = false});
    for (const std::string_view input : kTexts) {
      compare(*tokenizer, *components, input);
      outcome([&] {
        const EncodeOptions cut{.truncation = true, .max_length = 4, .stride = 1, .return_overflowing = true};
        const Encoding e = tokenizer->encode_pair(input, kTexts[2], cut);
        describe(e);
        const Encoding ids =
            tokenizer->encode_pair(input, kTexts[2], {.truncation = true, .max_length = 4, .ids_only = true});
        if (ids.ids != e.ids || ids.type_ids != e.type_ids) std::abort();
        return tokenizer->decode(std::span<const int32_t>(e.ids));
      });
    }
    outcome([&] { return tokenizer->to_json(); });
  } catch (const Error& error) {
    bool named = false;
    for (const auto& [name, content] : contents) named = named || error.where().find(name) != std::string::npos;
    if (error.code() == ErrorCode::internal || !named) std::abort();
  }
}

// The bytes up to the first NUL, and those behind it: two files in one input.
inline std::pair<std::string, std::string> two_files(std::string_view bytes) {
  const std::size_t end = std::min(bytes.find('\0'), bytes.size());
  return {std::string(bytes.substr(0, end)), std::string(bytes.substr(std::min(end + 1, bytes.size())))};
}

}  // namespace transformers
