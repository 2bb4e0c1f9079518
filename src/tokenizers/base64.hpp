// What it is: base64, in which files carry bytes.
// Where it stands: tokenizers; Precompiled reads its rules with it.
// Usage: `std::optional<std::string> bytes = from_base64("aGk=");  // "hi"`
// Source: RFC 4648, section 4.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace transformers {

inline constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// nullopt unless `text` is base64 with its padding.
inline std::optional<std::string> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  std::string out;
  out.reserve(text.size() / 4 * 3);
  uint32_t bits = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool is_padding = i >= text.size() - padding;
    const std::size_t value = is_padding ? 0 : kBase64.find(text[i]);
    if (value == std::string_view::npos) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(value);
    if (i % 4 == 3) out.append({static_cast<char>(bits >> 16), static_cast<char>(bits >> 8), static_cast<char>(bits)});
  }
  out.resize(out.size() - padding);
  return out;
}

inline std::string to_base64(std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t bits = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      bits = bits << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    }
    for (std::size_t k = 0; k < 4; ++k) out += i + k > bytes.size() ? '=' : kBase64[bits >> (18 - 6 * k) & 63];
  }
  return out;
}

}  // namespace transformers
