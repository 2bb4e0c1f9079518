// What it is: which patterns the scanners stand for.
// Where it stands: tokenizers; see scanners.hpp.
#include "scanners.hpp"

#include <iterator>
#include <utility>

namespace transformers {
namespace {

constexpr std::pair<std::string_view, Scanner> kPatterns[] = {
    {R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", Scanner::gpt2},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     Scanner::cl100k},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     Scanner::qwen2},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     Scanner::qwen3_5},
};

constexpr std::array<uint8_t, 128> ascii_kinds() {
  std::array<uint8_t, 128> out{};
  for (std::size_t c = 0; c < 128; ++c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool space = c == ' ' || (c >= 9 && c <= 13);
    out[c] = letter ? scan::kLetter : c >= '0' && c <= '9' ? scan::kNumber : space ? scan::kSpace : scan::kOther;
  }
  return out;
}

}  // namespace

namespace scan {
constinit const std::array<uint8_t, 128> kAscii = ascii_kinds();
}

Scanner scanner_of(std::string_view pattern) {
  for (const auto& [text, scanner] : kPatterns) {
    if (text == pattern) return scanner;
  }
  return Scanner::none;
}

}  // namespace transformers
