// What it is: building a Vocab, and id -> token.
// Where it stands: tokenizers; see vocab.hpp.
#include "transformers/tokenizers/vocab.hpp"

#include <algorithm>
#include <bit>

#include "transformers/base/error.hpp"

namespace transformers {

Vocab::Vocab() { grow(16); }

void Vocab::grow(std::size_t slots) {
  slots_.assign(slots, Slot{0, kNone});
  mask_ = slots - 1;
  shift_ = 64 - std::countr_zero(slots);
  for (std::size_t e = 0; e < entries_.size(); ++e) {
    const uint64_t hash = hash_of(view(entries_[e]));
    std::size_t i = hash >> shift_;
    while (slots_[i].entry != kNone) i = (i + 1) & mask_;
    slots_[i] = {tag_of(hash), static_cast<uint32_t>(e)};
  }
}

void Vocab::reserve(std::size_t tokens, std::size_t bytes) {
  entries_.reserve(tokens);
  arena_.reserve(bytes);
  const std::size_t slots = std::bit_ceil(tokens * 2 + 16);
  if (slots > slots_.size()) grow(slots);
}

bool Vocab::add(std::string_view token, int32_t id) {
  const uint64_t hash = hash_of(token);
  const uint32_t tag = tag_of(hash);
  std::size_t i = hash >> shift_;
  for (; slots_[i].entry != kNone; i = (i + 1) & mask_) {
    Entry& entry = entries_[slots_[i].entry];
    if (slots_[i].tag == tag && view(entry) == token) {
      entry.id = id;
      return false;
    }
  }
  if (arena_.size() + token.size() >= kNone || entries_.size() + 1 >= kNone) {
    throw Error(ErrorCode::limit, "the vocabulary is larger than 4 GB");
  }
  slots_[i] = {tag, static_cast<uint32_t>(entries_.size())};
  entries_.push_back({static_cast<uint32_t>(arena_.size()), static_cast<uint32_t>(token.size()), id});
  arena_.append(token);
  if (entries_.size() * 2 > slots_.size()) grow(slots_.size() * 2);
  return true;
}

void Vocab::add_again(std::string_view token, int32_t id) {
  const int32_t old = find(token);
  if (add(token, id)) return;
  // Found by its id only: look-ups end at the first entry of its text.
  if (arena_.size() + token.size() >= kNone || entries_.size() + 1 >= kNone) {
    throw Error(ErrorCode::limit, "the vocabulary is larger than 4 GB");
  }
  entries_.push_back({static_cast<uint32_t>(arena_.size()), static_cast<uint32_t>(token.size()), old});
  arena_.append(token);
  if (entries_.size() * 2 > slots_.size()) grow(slots_.size() * 2);
}

void Vocab::finish(std::string_view where) {
  arena_.shrink_to_fit();
  by_id_.clear();
  sorted_.clear();
  const auto twice = [&](uint32_t a, uint32_t b) {
    throw Error(ErrorCode::corrupt_file,
                "two tokens have the id " + std::to_string(entries_[a].id) + ": \"" + std::string(view(entries_[a])) +
                    "\" and \"" + std::string(view(entries_[b])) + '"',
                std::string(where));
  };
  int64_t highest = -1;
  for (const Entry& e : entries_) highest = std::max<int64_t>(highest, e.id);
  if (highest < static_cast<int64_t>(entries_.size()) * 4 + 1024) {
    by_id_.assign(static_cast<std::size_t>(highest + 1), kNone);
    for (uint32_t e = 0; e < entries_.size(); ++e) {
      uint32_t& slot = by_id_[static_cast<std::size_t>(entries_[e].id)];
      if (slot != kNone) twice(slot, e);
      slot = e;
    }
    return;
  }
  sorted_.reserve(entries_.size());
  for (uint32_t e = 0; e < entries_.size(); ++e) sorted_.emplace_back(entries_[e].id, e);
  std::sort(sorted_.begin(), sorted_.end());
  for (std::size_t i = 1; i < sorted_.size(); ++i) {
    if (sorted_[i].first == sorted_[i - 1].first) twice(sorted_[i - 1].second, sorted_[i].second);
  }
}

std::optional<std::string_view> Vocab::token(int32_t id) const noexcept {
  if (!by_id_.empty()) {
    if (id < 0 || static_cast<std::size_t>(id) >= by_id_.size()) return std::nullopt;
    const uint32_t e = by_id_[static_cast<std::size_t>(id)];
    if (e == kNone) return std::nullopt;
    return view(entries_[e]);
  }
  const auto at = std::lower_bound(sorted_.begin(), sorted_.end(), std::pair(id, uint32_t{0}));
  if (at == sorted_.end() || at->first != id) return std::nullopt;
  return view(entries_[at->second]);
}

}  // namespace transformers
