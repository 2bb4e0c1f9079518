// Implements sentencepiece_processor.hpp.
#include "sentencepiece_processor.hpp"

#include <algorithm>
#include <cfloat>
#include <cstring>
#include <queue>
#include <utility>

#include "text_cleanup.hpp"
#include "transformers/base/error.hpp"
#include "transformers/tokenizers/unicode.hpp"

namespace transformers {
namespace {

constexpr std::string_view kSpace = "\xE2\x96\x81";

std::size_t code_point_size(std::string_view text) {
  std::size_t end = 0;
  unicode::next(text, end);
  return end;
}

std::string byte_piece(unsigned char byte) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  return {'<', '0', 'x', kHex[byte >> 4], kHex[byte & 15], '>'};
}

}  // namespace

SentencePieceProcessor::SentencePieceProcessor(SentencePieceModel model, const std::string& where)
    : model_(std::move(model)) {
  if (model_.kind == SentencePieceModel::Kind::word) {
    throw Error(ErrorCode::unsupported, "a SentencePiece model of whole words is not supported", where);
  }
  if (!model_.precompiled_charsmap.empty()) {
    charsmap_ = Precompiled(model_.precompiled_charsmap);
    has_charsmap_ = true;
  }
  std::vector<std::pair<std::string_view, int32_t>> cuts, kept;
  lowest_ = FLT_MAX;
  highest_ = FLT_MIN;
  for (std::size_t i = 0; i < model_.pieces.size(); ++i) {
    const SentencePieceModel::Piece& piece = model_.pieces[i];
    const auto id = static_cast<int32_t>(i);
    ids_.emplace(piece.text, id);
    switch (piece.type) {
      case SentencePieceModel::unknown:
        if (unk_id_ >= 0) throw Error(ErrorCode::corrupt_file, "two unknown pieces", where);
        unk_id_ = id;
        break;
      case SentencePieceModel::normal:
        lowest_ = std::min(lowest_, piece.score);
        highest_ = std::max(highest_, piece.score);
        [[fallthrough]];
      case SentencePieceModel::user_defined:
      case SentencePieceModel::unused:
        if (piece.text.empty()) throw Error(ErrorCode::corrupt_file, "an empty piece", where);
        cuts.emplace_back(piece.text, id);
        if (piece.type == SentencePieceModel::user_defined) kept.emplace_back(piece.text, id);
        break;
      default:
        break;
    }
  }
  if (unk_id_ < 0) throw Error(ErrorCode::corrupt_file, "no unknown piece", where);
  has_user_defined_ = !kept.empty();
  if (has_user_defined_) user_defined_.build(std::move(kept));
  if (!cuts.empty()) cut_at_.build(std::move(cuts));
}

int32_t SentencePieceProcessor::piece_to_id(std::string_view piece) const {
  const auto at = ids_.find(piece);
  return at == ids_.end() ? unk_id_ : at->second;
}

std::size_t SentencePieceProcessor::user_defined(std::string_view text) const {
  std::size_t longest = 0;
  if (has_user_defined_) user_defined_.prefixes(text, [&](std::size_t size, int32_t) { longest = size; });
  return longest;
}

// What the start of `text` becomes, and how many bytes that is of.
std::string_view SentencePieceProcessor::normalize_prefix(std::string_view text, std::size_t& size) const {
  size = user_defined(text);
  if (size > 0) return text.substr(0, size);
  if (has_charsmap_) {
    if (const auto rule = charsmap_.find_longest(text)) {
      size = rule->first;
      return rule->second;
    }
  }
  size = code_point_size(text);
  return text.substr(0, size);
}

void SentencePieceProcessor::normalize(std::string_view text, Normalized& out) const {
  out.text.clear();
  out.from.clear();
  std::size_t at = 0, size = 0;
  if (model_.remove_extra_whitespaces) {
    while (at < text.size() && normalize_prefix(text.substr(at), size) == " ") at += size;
  }
  if (at == text.size()) {
    out.from.push_back(static_cast<uint32_t>(at));
    return;
  }
  const std::string_view space = model_.escape_whitespaces ? kSpace : " ";
  const auto append = [&](std::string_view bytes, std::size_t from) {
    out.text += bytes;
    out.from.insert(out.from.end(), bytes.size(), static_cast<uint32_t>(from));
  };
  if (model_.add_dummy_prefix && !model_.treat_whitespace_as_suffix) append(space, at);
  bool behind_space = model_.remove_extra_whitespaces;
  while (at < text.size()) {
    std::string_view to = normalize_prefix(text.substr(at), size);
    while (behind_space && to.starts_with(' ')) to.remove_prefix(1);
    if (!to.empty()) {
      for (std::size_t i = 0; i < to.size(); ++i) append(to[i] == ' ' ? space : to.substr(i, 1), at);
      behind_space = to.ends_with(' ');
    }
    at += size;
    if (!model_.remove_extra_whitespaces) behind_space = false;
  }
  std::size_t end = at;
  if (model_.remove_extra_whitespaces) {
    while (out.text.ends_with(space)) {
      const std::size_t length = out.text.size() - space.size();
      end = out.from[length];
      out.text.resize(length);
      out.from.resize(length);
    }
  }
  if (model_.add_dummy_prefix && model_.treat_whitespace_as_suffix) append(space, end);
  out.from.push_back(static_cast<uint32_t>(end));
}

void SentencePieceProcessor::cut_unigram(std::string_view text, std::vector<Cut>& out) const {
  struct Best {
    float score = 0;
    int32_t id = -1;
    uint32_t begin = 0;
    bool reached = false;
  };
  std::vector<Best> best(text.size() + 1);
  const float unknown = lowest_ - 10.0f;
  for (std::size_t begin = 0; begin < text.size();) {
    const float so_far = best[begin].score;
    const std::size_t one = code_point_size(text.substr(begin));
    bool has_one = false;
    const auto offer = [&](std::size_t size, float score, int32_t id) {
      Best& to = best[begin + size];
      const float candidate = score + so_far;
      if (!to.reached || candidate > to.score) to = {candidate, id, static_cast<uint32_t>(begin), true};
    };
    cut_at_.prefixes(text.substr(begin), [&](std::size_t size, int32_t id) {
      const int32_t type = type_of(id);
      if (type == SentencePieceModel::unused) return;
      offer(size,
            type == SentencePieceModel::user_defined ? static_cast<float>(size) * highest_ - 0.1f
                                                     : model_.pieces[static_cast<std::size_t>(id)].score,
            id);
      has_one = has_one || size == one;
    });
    if (!has_one) offer(one, unknown, unk_id_);
    begin += one;
  }
  const std::size_t first = out.size();
  for (std::size_t end = text.size(); end > 0;) {
    const Best& last = best[end];
    out.push_back({last.begin, static_cast<uint32_t>(end), last.id});
    end = last.begin;
  }
  std::reverse(out.begin() + static_cast<std::ptrdiff_t>(first), out.end());
}

void SentencePieceProcessor::cut_bpe(std::string_view text, std::vector<Cut>& out) const {
  constexpr uint32_t kNone = 0xFFFFFFFF;
  struct Symbol {
    uint32_t begin, end, previous, next;
    bool frozen;
  };
  std::vector<Symbol> symbols;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t size = user_defined(text.substr(at));
    const bool frozen = size > 0;
    if (!frozen) size = code_point_size(text.substr(at));
    const auto index = static_cast<uint32_t>(symbols.size());
    symbols.push_back({static_cast<uint32_t>(at), static_cast<uint32_t>(at + size), index == 0 ? kNone : index - 1,
                       index + 1, frozen});
    at += size;
  }
  if (symbols.empty()) return;
  symbols.back().next = kNone;
  struct Pair {
    float score;
    uint32_t left, right, size;
    bool operator<(const Pair& o) const { return score < o.score || (score == o.score && left > o.left); }
  };
  std::priority_queue<Pair> agenda;
  // Of a piece that is not to be used: where it was joined, so that it can come apart again.
  std::unordered_map<std::string_view, uint32_t> joined_at;
  const bool merges = model_.kind == SentencePieceModel::Kind::bpe;
  const auto offer = [&](uint32_t left, uint32_t right) {
    if (!merges || left == kNone || right == kNone || symbols[left].frozen || symbols[right].frozen) return;
    const std::string_view piece = text.substr(symbols[left].begin, symbols[right].end - symbols[left].begin);
    const auto at = ids_.find(piece);
    if (at == ids_.end()) return;
    const SentencePieceModel::Piece& p = model_.pieces[static_cast<std::size_t>(at->second)];
    if (p.type != SentencePieceModel::normal && p.type != SentencePieceModel::user_defined &&
        p.type != SentencePieceModel::unused) {
      return;
    }
    agenda.push({p.score, left, right, static_cast<uint32_t>(piece.size())});
    if (p.type == SentencePieceModel::unused) joined_at[piece] = symbols[left].end - symbols[left].begin;
  };
  for (uint32_t i = 1; i < symbols.size(); ++i) offer(i - 1, i);
  while (!agenda.empty()) {
    const Pair pair = agenda.top();
    agenda.pop();
    Symbol& left = symbols[pair.left];
    Symbol& right = symbols[pair.right];
    if (left.begin == left.end || right.begin == right.end || right.end - left.begin != pair.size) continue;
    left.end = right.end;
    left.next = right.next;
    if (right.next != kNone) symbols[right.next].previous = pair.left;
    right.begin = right.end;
    offer(left.previous, pair.left);
    offer(pair.left, left.next);
  }
  std::vector<std::pair<uint32_t, uint32_t>> waiting;
  for (uint32_t i = 0; i != kNone; i = symbols[i].next) {
    waiting.emplace_back(symbols[i].begin, symbols[i].end);
    while (!waiting.empty()) {
      const auto [begin, end] = waiting.back();
      waiting.pop_back();
      const std::string_view piece = text.substr(begin, end - begin);
      const int32_t id = piece_to_id(piece);
      const auto at = joined_at.find(piece);
      if (type_of(id) != SentencePieceModel::unused || at == joined_at.end()) {
        out.push_back({begin, end, id});
        continue;
      }
      waiting.emplace_back(begin + at->second, end);
      waiting.emplace_back(begin, begin + at->second);
    }
  }
}

void SentencePieceProcessor::encode(std::string_view text, std::vector<Piece>& out) const {
  Normalized normalized;
  normalize(text, normalized);
  std::vector<Cut> cuts;
  if (model_.kind == SentencePieceModel::Kind::unigram) {
    cut_unigram(normalized.text, cuts);
  } else {
    cut_bpe(normalized.text, cuts);
  }
  bool behind_unknown = false;
  for (const Cut& cut : cuts) {
    const std::string_view piece = std::string_view(normalized.text).substr(cut.begin, cut.end - cut.begin);
    const bool is_unknown = cut.id == unk_id_;
    const uint32_t begin = normalized.from[cut.begin], end = normalized.from[cut.end];
    if (is_unknown && model_.byte_fallback) {
      for (const char byte : piece) {
        std::string token = byte_piece(static_cast<unsigned char>(byte));
        const int32_t id = piece_to_id(token);
        out.push_back({std::move(token), id, begin, end});
      }
    } else if (is_unknown && behind_unknown) {
      out.back().text += piece;
      out.back().end = end;
    } else if (type_of(cut.id) == SentencePieceModel::control) {
      out.push_back({std::string(piece), cut.id, begin, begin});
    } else {
      out.push_back({std::string(piece), cut.id, begin, end});
    }
    behind_unknown = is_unknown;
  }
}

std::string SentencePieceProcessor::decode(std::span<const std::string> pieces) const {
  std::string out, bytes;
  const auto flush = [&] {
    for (std::size_t i = 0; i < bytes.size();) {
      const std::string_view rest = std::string_view(bytes).substr(i);
      std::size_t size = 0;
      for (std::size_t n = 1; n <= std::min<std::size_t>(4, rest.size()) && size == 0; ++n) {
        if (unicode::well_formed_prefix(rest.substr(0, n)) == n) size = n;
      }
      out += size > 0 ? rest.substr(0, size) : std::string_view("\xEF\xBF\xBD");
      i += std::max<std::size_t>(size, 1);
    }
    bytes.clear();
  };
  bool at_start = true, seen_space = false;
  for (const std::string& piece : pieces) {
    const int32_t id = piece_to_id(piece);
    if (type_of(id) == SentencePieceModel::byte && piece.size() == 6) {
      const auto digit = [](char c) { return c <= '9' ? c - '0' : (c | 32) - 'a' + 10; };
      bytes += static_cast<char>((digit(piece[3]) << 4 | digit(piece[4])) & 0xFF);
      continue;
    }
    flush();
    if (seen_space || !out.empty()) at_start = false;
    seen_space = false;
    if (type_of(id) == SentencePieceModel::control) continue;
    if (id == unk_id_) {
      out += model_.pieces[static_cast<std::size_t>(id)].text == piece ? model_.unk_surface : piece;
    } else {
      std::string_view text = piece;
      if (at_start && (model_.add_dummy_prefix || model_.remove_extra_whitespaces) && text.starts_with(kSpace)) {
        text.remove_prefix(kSpace.size());
        seen_space = !model_.remove_extra_whitespaces;
      }
      std::string decoded(text);
      replace_all(decoded, kSpace, " ");
      out += decoded;
    }
  }
  flush();
  return out;
}

}  // namespace transformers
