// What it is: how a stream of ids knows what is certain.
// Where it stands: tokenizers; see decode_stream.hpp.
#include "transformers/tokenizers/decode_stream.hpp"

#include <algorithm>
#include <string_view>

#include "python_text.hpp"
#include "tokenizer_impl.hpp"

namespace transformers {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
// Bytes at the end that clean_up_tokenization_spaces may still change: ten replacements of up to four bytes.
constexpr std::size_t kUnclean = 40;

bool is_byte_token(std::string_view token) {
  return token.size() == 6 && token.starts_with("<0x") && token.ends_with('>');
}

}  // namespace

DecodeStream::DecodeStream(const Tokenizer& tokenizer, const DecodeOptions& options)
    : tokenizer_(tokenizer), options_(options) {
  if (!options_.clean_up_tokenization_spaces) {
    options_.clean_up_tokenization_spaces = tokenizer.clean_up_tokenization_spaces();
  }
}

std::string DecodeStream::emit(const std::string& text, std::size_t certain) {
  if (certain <= emitted_) return {};
  std::string out = text.substr(emitted_, certain - emitted_);
  emitted_ = certain;
  return out;
}

// Keeps half of the ids, if their text ends as the text of all of them does.
void DecodeStream::forget_old(const std::string& text) {
  const std::vector<int32_t> rest(ids_.end() - static_cast<std::ptrdiff_t>(ids_.size() / 2), ids_.end());
  const std::string shorter = tokenizer_.decode(rest, options_);
  const std::size_t waiting = text.size() - std::min(emitted_, text.size());
  // The first of them may lose its space: half of the text has to agree.
  const std::size_t same = std::max(waiting, shorter.size() / 2);
  if (shorter.size() < same || shorter.size() < waiting ||
      std::string_view(text).substr(text.size() - same) != std::string_view(shorter).substr(shorter.size() - same)) {
    longest_ *= 2;
    return;
  }
  ids_ = rest;
  emitted_ = shorter.size() - waiting;
}

std::string DecodeStream::put(int32_t id) {
  ids_.push_back(id);
  const auto token = tokenizer_.id_to_token(id);
  const std::string text = tokenizer_.decode(ids_, options_);
  // A token that is left out does not end the run of bytes it stands in.
  if (token && !(options_.skip_special_tokens && tokenizer_.is_special(id))) in_bytes_ = is_byte_token(*token);
  if (in_bytes_) return {};
  const auto& decoder = tokenizer_.impl_->decoder;
  const bool is_moses = decoder && std::holds_alternative<MosesDecoder>(decoder->value);
  // These join what stands around them, in ways that depend on all that follow.
  if (is_moses && token && (*token == "@-@" || *token == "@,@" || *token == "@.@")) return {};
  std::size_t certain = text.size();
  while (std::string_view(text).substr(0, certain).ends_with(kReplacement)) certain -= kReplacement.size();
  // Python's tokenizers strip what they make, and CTRL's joins what ends in "@@" with what follows.
  if (tokenizer_.impl_->every_id_has_token) {
    std::string_view sure = std::string_view(text).substr(0, certain);
    const std::size_t last = sure.find_last_not_of('@');
    sure = python::strip_right(sure.substr(0, last == std::string_view::npos ? 0 : last + 1));
    certain = sure.size();
  }
  if (*options_.clean_up_tokenization_spaces) {
    certain -= std::min(certain, kUnclean);
    while (certain > 0 && (static_cast<unsigned char>(text[certain]) & 0xC0) == 0x80) --certain;
  }
  std::string out = emit(text, certain);
  // Whether a quotation mark opens or closes depends on all before it.
  if (ids_.size() >= longest_ && !is_moses) forget_old(text);
  return out;
}

std::string DecodeStream::end() {
  std::string out;
  if (!ids_.empty()) {
    const std::string text = tokenizer_.decode(ids_, options_);
    out = emit(text, text.size());
  }
  ids_.clear();
  in_bytes_ = false;
  emitted_ = 0;
  longest_ = 64;
  return out;
}

}  // namespace transformers
