// What it is: how each decoder turns tokens into text.
// Where it stands: tokenizers, stage 5; see decoders.hpp.
#include "transformers/tokenizers/decoders.hpp"

#include <algorithm>

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
