// What it is: the merge loop of byte-pair encoding.
// Where it stands: tokenizers, stage 3; see bpe.hpp.
#include "transformers/tokenizers/bpe.hpp"

#include <algorithm>
#include <bit>
#include <functional>
#include <queue>
#include <unordered_map>

#include "transformers/base/error.hpp"
#include "transformers/base/value.hpp"
#include "transformers/tokenizers/unicode.hpp"

namespace transformers {
namespace {

constexpr std::size_t kShortest = 48;  // symbols of a word that is merged by looking at all its pairs

}  // namespace

void MergeTable::grow(std::size_t slots) {
  std::vector<Slot> old = std::move(slots_);
  slots_.assign(slots, Slot{});
  mask_ = slots - 1;
  shift_ = 64 - std::countr_zero(slots);
  for (const Slot& s : old) {
    if (s.key == kNone) continue;
    std::size_t i = place(s.key);
    while (slots_[i].key != kNone) i = (i + 1) & mask_;
    slots_[i] = s;
  }
}

void MergeTable::reserve(std::size_t merges) {
  const std::size_t slots = std::bit_ceil(merges * 2 + 2);
  if (slots > slots_.size()) grow(slots);
}

void MergeTable::add(int32_t left, int32_t right, Merge merge) {
  if ((size_ + 1) * 2 > slots_.size()) grow(std::max<std::size_t>(slots_.size() * 2, 16));
  const uint64_t key = key_of(left, right);
  std::size_t i = place(key);
  while (slots_[i].key != kNone && slots_[i].key != key) i = (i + 1) & mask_;
  size_ += slots_[i].key == kNone;
  slots_[i] = {key, merge};
}

void BPE::add_merge(std::string_view left, std::string_view right) {
  if (pending_text_.size() + left.size() + right.size() >= kNone) {
    throw Error(ErrorCode::limit, "the merges are larger than 4 GB");
  }
  const auto begin = static_cast<uint32_t>(pending_text_.size());
  pending_text_.append(left).append(right);
  pending_.push_back({begin, begin + static_cast<uint32_t>(left.size()), static_cast<uint32_t>(pending_text_.size())});
}

void BPE::finish(const std::string& where) {
  const std::size_t prefix = continuing_subword_prefix ? continuing_subword_prefix->size() : 0;
  merges_.reserve(pending_.size());
  std::string joined;
  for (std::size_t rank = 0; rank < pending_.size(); ++rank) {
    const PendingMerge& p = pending_[rank];
    const std::string_view left = std::string_view(pending_text_).substr(p.begin, p.middle - p.begin);
    const std::string_view right = std::string_view(pending_text_).substr(p.middle, p.end - p.middle);
    const auto fail = [&](const std::string& what) {
      throw Error(
          ErrorCode::corrupt_file,
          "merge " + std::to_string(rank) + ' ' + quote(std::string(left) + ' ' + std::string(right)) + ": " + what,
          where);
    };
    const auto id_of = [&](std::string_view token) {
      const int32_t id = vocab.find(token);
      if (id < 0) fail(quote(token) + " is not in the vocabulary");
      return id;
    };
    const int32_t left_id = id_of(left), right_id = id_of(right);
    if (right.size() < prefix) fail(quote(right) + " is shorter than continuing_subword_prefix");
    // The usual case needs no copy: the two stand side by side.
    std::string_view text = std::string_view(pending_text_).substr(p.begin, p.end - p.begin);
    if (prefix > 0) text = joined.assign(left).append(right.substr(prefix));
    merges_.add(left_id, right_id, {static_cast<uint32_t>(rank), id_of(text)});
  }
  pending_ = {};
  pending_text_ = {};
  unknown_id_ = unk_token ? vocab.find(*unk_token) : -1;
  constexpr std::string_view kHex = "0123456789ABCDEF";
  for (std::size_t b = 0; b < 256; ++b) {
    const char token[] = {'<', '0', 'x', kHex[b >> 4], kHex[b & 15], '>'};
    byte_ids_[b] = vocab.find({token, sizeof token});
  }
}

void BPE::split(std::string_view word, std::vector<Symbol>& out) const {
  const auto add = [&](int32_t id, std::size_t size) {
    const auto at = static_cast<uint32_t>(out.size());
    if (at > 0) out[at - 1].next = at;
    out.push_back({id, static_cast<uint32_t>(size), at > 0 ? at - 1 : kNone, kNone});
  };
  std::string decorated;
  std::size_t unknown = 0;  // bytes of an unknown token that is not in `out` yet
  const auto end_unknown = [&] {
    if (unknown > 0) add(unknown_id_, unknown);
    unknown = 0;
  };
  for (std::size_t i = 0; i < word.size();) {
    const std::size_t begin = i;
    unicode::next(word, i);
    std::string_view text = word.substr(begin, i - begin);
    const bool has_prefix = begin > 0 && continuing_subword_prefix;
    const bool has_suffix = i == word.size() && end_of_word_suffix;
    if (has_prefix || has_suffix) {
      decorated.clear();
      if (has_prefix) decorated += *continuing_subword_prefix;
      decorated += text;
      if (has_suffix) decorated += *end_of_word_suffix;
      text = decorated;
    }
    if (const int32_t id = vocab.find(text); id >= 0) {
      end_unknown();
      add(id, i - begin);
      continue;
    }
    const auto has_token = [&](char byte) { return byte_ids_[static_cast<unsigned char>(byte)] >= 0; };
    if (byte_fallback && std::all_of(text.begin(), text.end(), has_token)) {
      // An unknown token before them comes after them, as in the crate.
      for (char byte : text) add(byte_ids_[static_cast<unsigned char>(byte)], 1);
      continue;
    }
    if (!unk_token) continue;
    if (unknown_id_ < 0) {
      throw Error(ErrorCode::corrupt_file,
                  "a character is unknown, and the unknown token " + quote(*unk_token) + " is not in the vocabulary");
    }
    if (!fuse_unk) end_unknown();
    unknown += i - begin;
  }
  end_unknown();
}

// The best pair by looking at all of them: quickest for the words that texts are made of.
void BPE::merge_short(std::vector<Symbol>& symbols) const {
  constexpr uint32_t kNever = 0xFFFFFFFF;
  struct Pair {
    uint32_t rank;
    int32_t id;
  };
  Pair pairs[kShortest];
  std::size_t n = symbols.size();
  const auto look_up = [&](std::size_t i) {
    const MergeTable::Merge* m = merges_.find(symbols[i].id, symbols[i + 1].id);
    pairs[i] = m ? Pair{m->rank, m->id} : Pair{kNever, 0};
  };
  for (std::size_t i = 0; i + 1 < n; ++i) look_up(i);
  while (n > 1) {
    std::size_t best = 0;
    for (std::size_t i = 1; i + 1 < n; ++i) {
      if (pairs[i].rank < pairs[best].rank) best = i;
    }
    if (pairs[best].rank == kNever) break;
    symbols[best].id = pairs[best].id;
    symbols[best].size += symbols[best + 1].size;
    for (std::size_t i = best + 1; i + 1 < n; ++i) {
      symbols[i] = symbols[i + 1];
      pairs[i] = pairs[i + 1];
    }
    --n;
    if (best + 1 < n) look_up(best);
    if (best > 0) look_up(best - 1);
  }
  symbols.resize(n);
}

// Pairs wait in one list for each rank; within a rank the leftmost goes first. A pair that has changed since it was
// listed is passed over, unless what stands there now joins to the same token.
void BPE::merge_long(std::vector<Symbol>& symbols) const {
  struct Waiting {
    std::vector<uint32_t> places;  // those before `done` have had their turn
    std::size_t done = 0;
    bool sorted = true;
    int32_t id = 0;
  };
  std::unordered_map<uint32_t, Waiting> waiting;
  std::priority_queue<uint32_t, std::vector<uint32_t>, std::greater<>> ranks;  // those with places left
  const auto list = [&](uint32_t place) {
    const MergeTable::Merge* m = merges_.find(symbols[place].id, symbols[symbols[place].next].id);
    if (!m) return;
    Waiting& w = waiting[m->rank];
    if (w.places.empty()) {
      w.id = m->id;
      ranks.push(m->rank);
    } else if (place < w.places.back()) {
      w.sorted = false;
    }
    w.places.push_back(place);
  };
  for (uint32_t i = 0; i + 1 < symbols.size(); ++i) list(i);
  while (!ranks.empty()) {
    Waiting& w = waiting.find(ranks.top())->second;
    if (!w.sorted) {
      std::sort(w.places.begin() + static_cast<std::ptrdiff_t>(w.done), w.places.end());
      w.sorted = true;
    }
    const uint32_t place = w.places[w.done++];
    if (w.done == w.places.size()) {
      w.places.clear();
      w.done = 0;
      ranks.pop();
    }
    Symbol& left = symbols[place];
    if (left.size == 0 || left.next == kNone) continue;
    Symbol& right = symbols[left.next];
    const MergeTable::Merge* m = merges_.find(left.id, right.id);
    if (!m || m->id != w.id) continue;
    left.id = m->id;
    left.size += right.size;
    right.size = 0;
    left.next = right.next;
    if (left.next != kNone) symbols[left.next].previous = place;
    if (left.previous != kNone) list(left.previous);
    if (left.next != kNone) list(place);
  }
  std::erase_if(symbols, [](const Symbol& s) { return s.size == 0; });
}

void BPE::merge(std::vector<Symbol>& symbols) const {
  // With a prefix, two pairs of one place may join to one token, which only the long way treats as the crate does.
  if (symbols.size() <= kShortest && (!continuing_subword_prefix || continuing_subword_prefix->empty())) {
    merge_short(symbols);
  } else {
    merge_long(symbols);
  }
}

void BPE::tokenize(std::string_view word, std::vector<Token>& out) const {
  if (word.empty()) return;
  if (ignore_merges) {
    if (const int32_t id = vocab.find(word); id >= 0) {
      out.push_back({id, std::string(word), 0, word.size()});
      return;
    }
  }
  std::vector<Symbol> symbols;
  split(word, symbols);
  merge(symbols);
  std::size_t begin = 0;
  for (const Symbol& s : symbols) {
    out.push_back({s.id, std::string(*vocab.token(s.id)), begin, begin + s.size});
    begin += s.size;
  }
}

}  // namespace transformers
