// What it is: how each decoder turns tokens into text.
// Where it stands: tokenizers, stage 5; see decoders.hpp.
#include "transformers/tokenizers/decoders.hpp"

#include <algorithm>

#include "byte_level.hpp"
#include "text_cleanup.hpp"
#include "transformers/base/error.hpp"

namespace transformers {

std::vector<std::string> WordPieceDecoder::decode(std::vector<std::string> tokens) const {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    std::string& token = tokens[i];
    if (i > 0) {
      if (token.starts_with(prefix)) {
        token.erase(0, prefix.size());
      } else {
        token.insert(token.begin(), ' ');
      }
    }
    if (cleanup) {
      for (const auto& [from, to] : kCleanup) replace_all(token, from, to);
    }
  }
  return tokens;
}

std::vector<std::string> Fuse::decode(std::vector<std::string> tokens) const {
  std::string all;
  for (const std::string& token : tokens) all += token;
  return {std::move(all)};
}

void StripDecoder::fields(FieldVisitor& f) {
  f("content", content);
  f("start", start);
  f("stop", stop);
  if (unicode::count(content) != 1) {
    throw Error(ErrorCode::corrupt_file, "the content of Strip is one character, found \"" + content + '"');
  }
}

std::vector<std::string> StripDecoder::decode(std::vector<std::string> tokens) const {
  for (std::string& token : tokens) {
    std::size_t begin = 0, end = token.size();
    for (int64_t i = 0; i < start && token.compare(begin, content.size(), content) == 0; ++i) begin += content.size();
    for (int64_t i = 0;
         i < stop && end >= begin + content.size() && token.compare(end - content.size(), content.size(), content) == 0;
         ++i) {
      end -= content.size();
    }
    token = token.substr(begin, end - begin);
  }
  return tokens;
}

std::vector<std::string> ByteLevelDecoder::decode(std::vector<std::string> tokens) const {
  std::string bytes;
  for (const std::string& token : tokens) {
    const std::size_t before = bytes.size();
    for (std::size_t i = 0; i < token.size();) {
      const int byte = byte_of(unicode::next(token, i));
      if (byte < 0) {
        bytes.resize(before);
        bytes += token;
        break;
      }
      bytes += static_cast<char>(byte);
    }
  }
  return {unicode::to_well_formed(bytes)};
}

std::vector<std::string> MetaspaceDecoder::decode(std::vector<std::string> tokens) const {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    replace_all(tokens[i], replacement, i == 0 && prepend_scheme != PrependScheme::never ? "" : " ");
  }
  return tokens;
}

std::vector<std::string> BPEDecoder::decode(std::vector<std::string> tokens) const {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const std::string_view to = i + 1 < tokens.size() ? " " : "";
    if (!suffix.empty()) {
      replace_all(tokens[i], suffix, to);
      continue;
    }
    // An empty suffix ends every character.
    std::string out(to);
    for (std::size_t k = 0; k < tokens[i].size();) {
      unicode::append(out, unicode::next(tokens[i], k));
      out += to;
    }
    tokens[i] = std::move(out);
  }
  return tokens;
}

std::vector<std::string> CTC::decode(std::vector<std::string> tokens) const {
  tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
  for (std::string& token : tokens) {
    if (!pad_token.empty()) replace_all(token, pad_token, "");
    if (!cleanup) continue;
    for (const auto& [from, to] : kCleanup) replace_all(token, from, to);
    if (!word_delimiter_token.empty()) replace_all(token, word_delimiter_token, " ");
  }
  std::erase(tokens, "");
  return tokens;
}

std::vector<std::string> ByteFallback::decode(std::vector<std::string> tokens) const {
  const auto digit = [](char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
  };
  std::vector<std::string> out;
  std::string bytes;
  const auto flush = [&] {
    if (bytes.empty()) return;
    if (unicode::well_formed_prefix(bytes) == bytes.size()) {
      out.push_back(bytes);
    } else {
      out.insert(out.end(), bytes.size(), "\xEF\xBF\xBD");
    }
    bytes.clear();
  };
  for (std::string& token : tokens) {
    int high = -1, low = -1;
    if (token.size() == 6 && token.starts_with("<0x") && token.back() == '>') {
      high = token[3] == '+' ? 0 : digit(token[3]);  // "+A" is a number to the crate
      low = digit(token[4]);
    }
    if (high >= 0 && low >= 0) {
      bytes += static_cast<char>(high << 4 | low);
    } else {
      flush();
      out.push_back(std::move(token));
    }
  }
  flush();
  return out;
}

std::vector<std::string> DecoderSequence::decode(std::vector<std::string> tokens) const {
  for (const Decoder& d : children) tokens = d.decode_chain(std::move(tokens));
  return tokens;
}

std::string Decoder::decode(std::vector<std::string> tokens) const {
  std::string out;
  for (const std::string& part : decode_chain(std::move(tokens))) out += part;
  return out;
}

}  // namespace transformers
