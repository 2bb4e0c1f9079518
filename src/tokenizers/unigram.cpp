// What it is: the best cut of a text into the pieces of a unigram model.
// Where it stands: tokenizers, stage 3; see unigram.hpp.
#include "transformers/tokenizers/unigram.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "transformers/base/error.hpp"
#include "transformers/tokenizers/unicode.hpp"

namespace transformers {

void Trie::build(std::vector<std::pair<std::string_view, int32_t>> entries) {
  std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  units_.assign(256, Unit{});
  units_[0].parent = kRoot;
  std::size_t first_free = 1;
  // The children of a node are the different bytes at `depth` of the entries [begin, end), which share what is before.
  struct Node {
    uint32_t state;
    std::size_t begin, end, depth;
  };
  std::vector<Node> nodes{{0, 0, entries.size(), 0}};
  std::vector<std::pair<unsigned char, std::size_t>> children;  // byte, where its entries begin
  const auto is_free = [&](std::size_t unit) { return units_[unit].parent == kNone; };
  while (!nodes.empty()) {
    Node node = nodes.back();
    nodes.pop_back();
    while (node.begin < node.end && entries[node.begin].first.size() == node.depth) {
      if (node.depth > 0) units_[node.state].value = entries[node.begin].second;
      ++node.begin;
    }
    if (node.begin == node.end) {
      units_[node.state].base = 0;
      continue;
    }
    children.clear();
    for (std::size_t e = node.begin; e < node.end; ++e) {
      const auto byte = static_cast<unsigned char>(entries[e].first[node.depth]);
      if (children.empty() || children.back().first != byte) children.emplace_back(byte, e);
    }
    // The first place where all fit. Looking far costs more than the room it saves: after some tries, a new block.
    while (first_free < units_.size() && !is_free(first_free)) ++first_free;
    std::size_t base = units_.size();
    int tries = 0;
    for (std::size_t unit = first_free; unit < units_.size() && tries < 64; ++unit) {
      if (!is_free(unit)) continue;
      ++tries;
      const std::size_t candidate = unit ^ children[0].first;
      const auto fits = [&](const auto& child) { return is_free(candidate ^ child.first); };
      if (std::all_of(children.begin() + 1, children.end(), fits)) {
        base = candidate;
        break;
      }
    }
    if (tries == 64) first_free = std::max(first_free + 1, units_.size() - 256);
    if (base == units_.size()) {
      if (units_.size() + 256 >= kNone) throw Error(ErrorCode::limit, "the vocabulary is larger than 4 GB");
      units_.resize(units_.size() + 256);
    }
    units_[node.state].base = static_cast<uint32_t>(base);
    for (std::size_t c = 0; c < children.size(); ++c) {
      const std::size_t end = c + 1 < children.size() ? children[c + 1].second : node.end;
      const auto state = static_cast<uint32_t>(base ^ children[c].first);
      units_[state].parent = node.state;
      nodes.push_back({state, children[c].second, end, node.depth + 1});
    }
  }
  units_.shrink_to_fit();
}

void Unigram::add(std::string_view piece, double score) {
  if (scores.size() >= INT32_MAX) throw Error(ErrorCode::limit, "more than 2^31 pieces");
  vocab.add_again(piece, static_cast<int32_t>(scores.size()));
  scores.push_back(score);
}

void Unigram::finish(const std::string& where) {
  if (scores.empty()) throw Error(ErrorCode::corrupt_file, "the vocabulary is empty", where);
  if (unk_id && (*unk_id < 0 || *unk_id >= static_cast<int64_t>(scores.size()))) {
    throw Error(ErrorCode::corrupt_file,
                "unk_id is " + std::to_string(*unk_id) + ", but there are " + std::to_string(scores.size()) + " pieces",
                where);
  }
  vocab.finish(where);
  double lowest = INFINITY;
  for (std::size_t id = 0; id < scores.size(); ++id) {
    if (!std::isfinite(scores[id])) {
      throw Error(ErrorCode::corrupt_file, "the score of piece " + std::to_string(id) + " is not a finite number",
                  where);
    }
    lowest = std::min(lowest, scores[id]);
  }
  unknown_score_ = lowest - 10.0;
  std::vector<std::pair<std::string_view, int32_t>> entries;
  entries.reserve(scores.size());
  vocab.for_each([&](std::string_view piece, int32_t id) { entries.emplace_back(piece, id); });
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  trie_.build(std::move(entries));
  constexpr std::string_view kHex = "0123456789ABCDEF";
  for (std::size_t b = 0; b < 256; ++b) {
    const char piece[] = {'<', '0', 'x', kHex[b >> 4], kHex[b & 15], '>'};
    byte_ids_[b] = vocab.find({piece, sizeof piece});
  }
}

void Unigram::match(std::string_view text, std::vector<Piece>& out) const {
  struct Best {
    double score;   // of the best way to cut what ends here
    int32_t id;     // its last piece, kUnknown
    uint32_t size;  // bytes of that piece; 0: nothing ends here
  };
  constexpr int32_t kUnknown = -1;
  thread_local std::vector<Best> best;
  best.assign(text.size() + 1, Best{0, 0, 0});
  for (std::size_t begin = 0; begin < text.size();) {
    std::size_t next = begin;
    unicode::next(text, next);
    const std::size_t first_size = next - begin;
    const double so_far = best[begin].score;
    bool has_single = false;
    trie_.prefixes(text.substr(begin), [&](std::size_t size, int32_t id) {
      Best& end = best[begin + size];
      const double score = scores[static_cast<std::size_t>(id)] + so_far;
      if (end.size == 0 || score > end.score) end = {score, id, static_cast<uint32_t>(size)};
      has_single = has_single || size == first_size;
    });
    if (!has_single) {
      Best& end = best[next];
      const double score = unknown_score_ + so_far;
      if (end.size == 0 || score > end.score) {
        if (!unk_id) throw Error(ErrorCode::corrupt_file, "a character is unknown, and the model has no unk_id");
        end = {score, kUnknown, static_cast<uint32_t>(first_size)};
      }
    }
    begin = next;
  }
  const auto is_unknown = [&](const Best& b) { return b.id == kUnknown || (unk_id && b.id == *unk_id); };
  const std::size_t before = out.size();
  for (std::size_t end = text.size(); end > 0;) {
    const Best& last = best[end];
    if (!is_unknown(last)) {
      out.push_back({last.id, static_cast<uint32_t>(end - last.size), static_cast<uint32_t>(end)});
      end -= last.size;
      continue;
    }
    std::size_t begin = end;
    while (begin > 0 && is_unknown(best[begin])) begin -= best[begin].size;
    const std::string_view unknown = text.substr(begin, end - begin);
    const auto has_piece = [&](char byte) { return byte_ids_[static_cast<unsigned char>(byte)] >= 0; };
    // Several unknown characters together may be a piece: of too low a score to have been chosen.
    int32_t id = vocab.find(unknown);
    if (id < 0 && byte_fallback && std::all_of(unknown.begin(), unknown.end(), has_piece)) {
      for (std::size_t i = unknown.size(); i-- > 0;) {
        out.push_back({byte_ids_[static_cast<unsigned char>(unknown[i])], static_cast<uint32_t>(begin),
                       static_cast<uint32_t>(end)});
      }
    } else {
      if (id < 0) id = static_cast<int32_t>(*unk_id);
      out.push_back({id, static_cast<uint32_t>(begin), static_cast<uint32_t>(end)});
    }
    end = begin;
  }
  std::reverse(out.begin() + static_cast<std::ptrdiff_t>(before), out.end());
}

void Unigram::tokenize(std::string_view text, std::vector<Token>& out) const {
  std::vector<Piece> pieces;
  match(text, pieces);
  for (const Piece& p : pieces) {
    // An unknown token shows its text, one for a byte its name.
    std::string value(text.substr(p.begin, p.end - p.begin));
    if (p.id != unk_id.value_or(-1) && *vocab.token(p.id) != value) value = *vocab.token(p.id);
    out.push_back({p.id, std::move(value), p.begin, p.end});
  }
}

}  // namespace transformers
