// What it is: how the models cut a word into tokens.
// Where it stands: tokenizers, stage 3; see models.hpp.
#include "transformers/tokenizers/models.hpp"

#include <algorithm>
#include <functional>
#include <set>

#include "transformers/base/error.hpp"

namespace transformers {
namespace {

[[noreturn]] void no_unknown_token(const std::string& unk_token) {
  throw Error(ErrorCode::corrupt_file,
              "a word is unknown, and the unknown token \"" + unk_token + "\" is not in the vocabulary either");
}

}  // namespace

void WordPiece::finish() {
  std::set<uint32_t, std::greater<>> first, next;
  const std::size_t prefix = continuing_subword_prefix.size();
  vocab.for_each([&](std::string_view token, int32_t) {
    // A "##" token may start a word too: HF looks the word's own text up first.
    if (!token.empty()) first.insert(static_cast<uint32_t>(token.size()));
    if (token.size() > prefix && token.starts_with(continuing_subword_prefix)) {
      next.insert(static_cast<uint32_t>(token.size() - prefix));
    }
  });
  first_sizes_.assign(first.begin(), first.end());
  next_sizes_.assign(next.begin(), next.end());
}

int32_t WordPiece::unknown_id() const {
  const int32_t id = vocab.find(unk_token);
  if (id < 0) no_unknown_token(unk_token);
  return id;
}

bool WordPiece::match(std::string_view word, Scratch& scratch) const {
  auto& [pieces, hashes, candidate] = scratch;
  pieces.clear();
  uint32_t begin = 0;
  while (begin < word.size()) {
    const std::vector<uint32_t>& sizes = begin == 0 ? first_sizes_ : next_sizes_;
    const uint32_t left = static_cast<uint32_t>(word.size()) - begin;
    auto size = std::lower_bound(sizes.begin(), sizes.end(), left, std::greater<>());  // the first that fits
    if (size == sizes.end()) return false;
    const uint32_t longest = *size;
    std::string_view text = word.substr(begin, longest);
    uint64_t hash = Vocab::kHashStart;
    const uint32_t prefix = begin == 0 ? 0 : static_cast<uint32_t>(continuing_subword_prefix.size());
    if (begin > 0) {
      hash = Vocab::hash_of(continuing_subword_prefix);
      candidate.assign(continuing_subword_prefix).append(text);
      text = candidate;
    }
    hashes.resize(longest + 1);
    hashes[0] = hash;
    for (uint32_t i = 0; i < longest; ++i) hashes[i + 1] = hash = Vocab::hash_step(hash, text[prefix + i]);
    int32_t id = -1;
    for (; size != sizes.end(); ++size) {
      id = vocab.find(text.substr(0, prefix + *size), hashes[*size]);
      if (id >= 0) break;
    }
    if (id < 0) return false;
    pieces.push_back({id, begin, begin + *size});
    begin += *size;
  }
  return true;
}

void WordPiece::tokenize(std::string_view word, std::vector<Token>& out) const {
  if (word.empty()) return;
  const auto unknown = [&] { out.push_back({unknown_id(), unk_token, 0, word.size()}); };
  if (static_cast<int64_t>(unicode::count(word)) > max_input_chars_per_word) return unknown();
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
