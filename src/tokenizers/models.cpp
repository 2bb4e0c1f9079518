// What it is: how the models cut a word into tokens.
// Where it stands: tokenizers, stage 3; see models.hpp.
#include "transformers/tokenizers/models.hpp"

#include <algorithm>
#include <bit>
#include <functional>

#include "transformers/base/error.hpp"

namespace transformers {
namespace {

[[noreturn]] void no_unknown_token(const std::string& unk_token) {
  throw Error(ErrorCode::corrupt_file,
              "a word is unknown, and the unknown token \"" + unk_token + "\" is not in the vocabulary either");
}

}  // namespace

void WordPiece::Sizes::add(std::string_view token) {
  if (masks.empty()) masks.assign(4096, 0);
  const auto size = static_cast<uint32_t>(token.size());
  const uint32_t bit = 1u << std::min(size - 1, kLong);
  (size == 1 ? any : masks[hash(token[0], token[1])]) |= bit;
  if (size > kLong) longer.push_back(size);
}

void WordPiece::Sizes::finish() {
  std::sort(longer.begin(), longer.end(), std::greater<>());
  longer.erase(std::unique(longer.begin(), longer.end()), longer.end());
}

void WordPiece::finish() {
  const std::size_t prefix = continuing_subword_prefix.size();
  first_ = next_ = {};
  vocab.for_each([&](std::string_view token, int32_t) {
    // A "##" token may start a word too: HF looks the word's own text up first.
    if (!token.empty()) first_.add(token);
    if (token.size() > prefix && token.starts_with(continuing_subword_prefix)) next_.add(token.substr(prefix));
  });
  first_.finish();
  next_.finish();
  unknown_id_ = vocab.find(unk_token);
}

void WordPiece::no_unknown_token() const { transformers::no_unknown_token(unk_token); }

bool WordPiece::match(std::string_view word, Scratch& scratch) const {
  std::vector<Piece>& pieces = scratch.pieces;
  std::vector<uint64_t>& hashes = scratch.hashes;
  std::string& candidate = scratch.candidate;
  pieces.clear();
  for (uint32_t begin = 0; begin < word.size();) {
    const Sizes& sizes = begin == 0 ? first_ : next_;
    const uint32_t left = static_cast<uint32_t>(word.size()) - begin;
    uint32_t mask = sizes.any;
    if (left > 1 && !sizes.masks.empty()) mask |= sizes.masks[Sizes::hash(word[begin], word[begin + 1])];
    const uint32_t most = begin == 0 ? left - 1 : left;  // the whole word is no token
    if (most <= Sizes::kLong) mask &= (1u << most) - 1;
    auto longer = sizes.longer.end();
    if (mask >> Sizes::kLong) {
      longer =
          std::lower_bound(sizes.longer.begin(), sizes.longer.end(), most, std::greater<>());  // the first that fits
      mask &= ~(1u << Sizes::kLong);
    }
    if (mask == 0 && longer == sizes.longer.end()) return false;
    const uint32_t longest = longer != sizes.longer.end() ? *longer : static_cast<uint32_t>(std::bit_width(mask));
    std::string_view text = word.substr(begin, longest);
    uint64_t hash = Vocab::kHashStart;
    uint32_t prefix = 0;
    if (begin > 0) {
      prefix = static_cast<uint32_t>(continuing_subword_prefix.size());
      hash = Vocab::hash_of(continuing_subword_prefix);
      candidate.assign(continuing_subword_prefix).append(text);
      text = candidate;
    }
    if (hashes.size() <= longest) hashes.resize(longest + 1);
    for (uint32_t i = 0; i < longest; ++i) hashes[i + 1] = hash = Vocab::hash_step(hash, text[prefix + i]);
    int32_t id = -1;
    uint32_t size = 0;
    const auto is_token = [&](uint32_t n) {
      size = n;
      id = vocab.find(text.substr(0, prefix + n), hashes[n]);
      return id >= 0;
    };
    while (longer != sizes.longer.end() && !is_token(*longer)) ++longer;
    while (id < 0 && mask != 0) {
      const auto n = static_cast<uint32_t>(std::bit_width(mask));
      if (is_token(n)) break;
      mask &= ~(1u << (n - 1));
    }
    if (id < 0) return false;
    pieces.push_back({id, begin, begin + size});
    begin += size;
  }
  return true;
}

void WordPiece::tokenize(std::string_view word, std::vector<Token>& out) const {
  if (word.empty()) return;
  const auto unknown = [&] { out.push_back({unknown_id(), unk_token, 0, word.size()}); };
  if (static_cast<int64_t>(unicode::count(word)) > max_input_chars_per_word) return unknown();
  if (const int32_t id = vocab.find(word); id >= 0) {
    out.push_back({id, std::string(word), 0, word.size()});
    return;
  }
  Scratch scratch;
  if (!match(word, scratch)) return unknown();
  for (const Piece& p : scratch.pieces) {
    std::string value = p.begin == 0 ? "" : continuing_subword_prefix;
    value.append(word.substr(p.begin, p.end - p.begin));
    out.push_back({p.id, std::move(value), p.begin, p.end});
  }
}

void WordLevel::tokenize(std::string_view word, std::vector<Token>& out) const {
  int32_t id = vocab.find(word);
  if (id >= 0) {
    out.push_back({id, std::string(word), 0, word.size()});
    return;
  }
  id = vocab.find(unk_token);
  if (id < 0) no_unknown_token(unk_token);
  out.push_back({id, unk_token, 0, word.size()});
}

}  // namespace transformers
