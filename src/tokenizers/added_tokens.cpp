// What it is: the matcher of added tokens and the vocabulary of them.
// Where it stands: tokenizers; see added_tokens.hpp.
#include "transformers/tokenizers/added_tokens.hpp"

#include <algorithm>
#include <cstring>

#include "transformers/base/error.hpp"

namespace transformers {

StringMatcher::StringMatcher() : nodes_(2) {}

uint32_t StringMatcher::child(uint32_t node, unsigned char byte) const noexcept {
  if (node == kRoot) return first_[byte];
  uint32_t c = nodes_[node].child;
  while (c && nodes_[c].byte != byte) c = nodes_[c].sibling;
  return c;
}

StringMatcher::StringMatcher(const std::vector<std::string>& patterns) : nodes_(2) {
  for (std::size_t p = 0; p < patterns.size(); ++p) {
    if (patterns[p].empty()) continue;
    uint32_t node = kRoot;
    for (char ch : patterns[p]) {
      const auto byte = static_cast<unsigned char>(ch);
      uint32_t next = child(node, byte);
      if (!next) {
        if (nodes_.size() >= kNone) throw Error(ErrorCode::limit, "the added tokens are larger than 4 GB");
        next = static_cast<uint32_t>(nodes_.size());
        Node made;
        made.byte = byte;
        made.sibling = nodes_[node].child;
        nodes_.push_back(made);
        nodes_[node].child = next;
        if (node == kRoot) first_[byte] = next;
      }
      node = next;
    }
    if (nodes_[node].pattern == kNone) {
      nodes_[node].pattern = static_cast<uint32_t>(p);
      nodes_[node].depth = static_cast<uint32_t>(patterns[p].size());
    }
  }
  // Breadth first: where to go on when nothing below a node fits. Behind a match there is nowhere: what starts later
  // must not win over it.
  std::vector<uint32_t> queue;
  const auto is_match = [&](uint32_t node) { return nodes_[node].pattern != kNone; };
  for (uint32_t c = nodes_[kRoot].child; c; c = nodes_[c].sibling) {
    nodes_[c].fail = is_match(c) ? 0 : kRoot;
    queue.push_back(c);
  }
  for (std::size_t q = 0; q < queue.size(); ++q) {
    const uint32_t node = queue[q];
    for (uint32_t c = nodes_[node].child; c; c = nodes_[c].sibling) {
      queue.push_back(c);
      if (is_match(c)) continue;  // fail stays 0
      uint32_t fail = nodes_[node].fail;
      uint32_t target = 0;
      while (fail) {
        target = child(fail, nodes_[c].byte);
        if (target) break;
        if (fail == kRoot) {
          target = kRoot;
          break;
        }
        fail = nodes_[fail].fail;
      }
      nodes_[c].fail = target;
      if (target > kRoot) {
        nodes_[c].pattern = nodes_[target].pattern;
        nodes_[c].depth = nodes_[target].depth;
      }
    }
  }
  int firsts = 0;
  for (int b = 0; b < 256; ++b) {
    if (first_[static_cast<std::size_t>(b)]) ++firsts, only_first_byte_ = b;
  }
  if (firsts != 1) only_first_byte_ = -1;
}

std::optional<StringMatcher::Found> StringMatcher::find(std::string_view text, std::size_t from) const {
  if (empty()) return std::nullopt;
  std::optional<Found> best;
  uint32_t node = kRoot;
  for (std::size_t i = from; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (node == kRoot) {
      if (only_first_byte_ >= 0) {
        const void* at = std::memchr(text.data() + i, only_first_byte_, text.size() - i);
        if (!at) return best;
        i = static_cast<std::size_t>(static_cast<const char*>(at) - text.data());
        node = first_[static_cast<std::size_t>(only_first_byte_)];
      } else if (!(node = first_[byte])) {
        node = kRoot;
        continue;
      }
    } else {
      uint32_t next = child(node, byte);
      while (!next) {
        if (node == kRoot) {
          next = kRoot;
          break;
        }
        node = nodes_[node].fail;
        if (!node) return best;
        next = child(node, byte);
      }
      node = next;
    }
    if (node > kRoot && nodes_[node].pattern != kNone) {
      best = Found{i + 1 - nodes_[node].depth, i + 1, nodes_[node].pattern};
    }
  }
  return best;
}

void AddedVocabulary::add(const std::vector<AddedToken>& tokens, const Vocab& vocab) {
  for (const AddedToken& token : tokens) {
    if (token.special && !token.content.empty() && special_set_.insert(token.content).second) special_.push_back(token);
  }
  const auto vocab_size = static_cast<int64_t>(vocab.size());
  for (const AddedToken& token : tokens) {
    if (token.content.empty()) continue;
    const auto known = ids_.find(token.content);
    if (known != ids_.end() && by_id_.at(known->second) == token) continue;
    int64_t new_id = known != ids_.end() ? known->second : vocab.find(token.content);
    if (new_id < 0)
      new_id = highest_id_ >= vocab_size || (vocab_size == 0 && highest_id_ >= 0) ? highest_id_ + 1 : vocab_size;
    if (new_id > INT32_MAX)
      throw Error(ErrorCode::limit, "there is no id left for the added token \"" + token.content + '"');
    const auto id = static_cast<int32_t>(new_id);
    ids_[token.content] = id;
    by_id_[id] = token;
    highest_id_ = std::max(highest_id_, new_id);
    if (!special_set_.contains(token.content)) classic_.push_back(token);
  }
}

void AddedVocabulary::finish(const Normalizer* normalizer) {
  std::vector<std::string> raw, normalized;
  normalized_text_.clear();
  for (const auto& [id, token] : by_id_) {
    if (!token.normalized || !normalizer) continue;
    NormalizedString content(token.content);
    normalizer->normalize(content);
    if (content.text() != token.content) normalized_text_.emplace(id, content.text());
  }
  raw_.ids.clear();
  normalized_.ids.clear();
  for (const auto* tokens : {&special_, &classic_}) {
    for (const AddedToken& token : *tokens) {
      const int32_t id = ids_.at(token.content);
      if (!token.normalized) {
        raw.push_back(token.content);
        raw_.ids.push_back(id);
        continue;
      }
      NormalizedString content(token.content);
      if (normalizer) normalizer->normalize(content);
      normalized.push_back(content.text());
      normalized_.ids.push_back(id);
    }
  }
  raw_.matcher = StringMatcher(raw);
  normalized_.matcher = StringMatcher(normalized);
}

const AddedToken* AddedVocabulary::find(int32_t id) const noexcept {
  const auto at = by_id_.find(id);
  return at == by_id_.end() ? nullptr : &at->second;
}

const std::string* AddedVocabulary::text(int32_t id) const noexcept {
  const auto normalized = normalized_text_.find(id);
  if (normalized != normalized_text_.end()) return &normalized->second;
  const AddedToken* token = find(id);
  return token ? &token->content : nullptr;
}

std::optional<int32_t> AddedVocabulary::id(std::string_view content) const {
  const auto at = ids_.find(std::string(content));
  if (at == ids_.end()) return std::nullopt;
  return at->second;
}

bool AddedVocabulary::Plain::covers(std::size_t begin, std::size_t end) const {
  const ByteRange range = text.original(begin, end);
  const auto first = std::lower_bound(bytes.begin(), bytes.end(), std::size_t{range.begin});
  return first != bytes.end() && *first < range.end;
}

void AddedVocabulary::cut(const Set& set, std::string_view text, bool split_special, const Plain* plain,
                          std::vector<Part>& out) const {
  const auto last_code_point = [&](std::size_t end, std::size_t& begin) {
    begin = end - 1;
    while ((static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
    std::size_t i = begin;
    return unicode::next(text, i);
  };
  std::size_t done = 0;  // everything before it is in `out`
  std::size_t from = 0;  // where to look for the next match
  while (const auto found = set.matcher.find(text, from)) {
    from = found->end;
    std::size_t begin = found->begin, end = found->end;
    const int32_t id = set.ids[found->pattern];
    const AddedToken& token = by_id_.at(id);
    if ((split_special || (plain && plain->covers(begin, end))) && special_set_.contains(token.content)) continue;
    if (token.single_word) {
      std::size_t i = end;
      if (end < text.size() && unicode::is_word(unicode::next(text, i))) continue;
      if (begin > 0 && unicode::is_word(last_code_point(begin, i))) continue;
    }
    if (token.lstrip) {
      std::size_t before;
      while (begin > done && unicode::is_whitespace(last_code_point(begin, before))) begin = before;
      begin = std::max(begin, done);  // what the rstrip of the token before has taken is gone
    }
    if (token.rstrip) {
      for (std::size_t i = end; i < text.size(); end = i) {
        if (!unicode::is_whitespace(unicode::next(text, i))) break;
      }
    }
    if (begin >= end) continue;
    if (done < begin) out.push_back({done, begin, -1});
    out.push_back({begin, end, id});
    done = end;
  }
  if (done < text.size()) out.push_back({done, text.size(), -1});
}

PreTokenizedString AddedVocabulary::extract(std::string_view text, const Normalizer* normalizer, bool split_special,
                                            std::span<const std::size_t> plain) const {
  std::vector<Part> parts;
  const auto split = [&](const Set& set, const NormalizedString& s) {
    parts.clear();
    const Plain here{s, plain};
    cut(set, s.text(), split_special, plain.empty() ? nullptr : &here, parts);
    std::vector<PreTokenizedString::Piece> pieces;
    pieces.reserve(parts.size());
    for (const Part& p : parts) {
      PreTokenizedString::Piece piece{s.slice(p.begin, p.end), std::nullopt};
      if (p.id >= 0) piece.tokens = {{p.id, piece.normalized.text(), 0, p.end - p.begin}};
      pieces.push_back(std::move(piece));
    }
    return pieces;
  };
  PreTokenizedString out;
  out.pieces.push_back({NormalizedString(text), std::nullopt});
  out.split([&](const NormalizedString& s) { return split(raw_, s); });
  out.split([&](NormalizedString& s) {
    if (normalizer) normalizer->normalize(s);
    return split(normalized_, s);
  });
  return out;
}

std::vector<std::size_t> AddedVocabulary::spelled_specials(std::string_view text, const Normalizer* normalizer) const {
  std::vector<std::size_t> out;
  for (const PreTokenizedString::Piece& piece : extract(text, normalizer, false).pieces) {
    if (!piece.tokens) continue;
    const std::string& content = by_id_.at(piece.tokens->front().id).content;
    if (!special_set_.contains(content)) continue;
    // Without the white space that it takes; what is spelled otherwise is covered from end to end.
    const ByteRange range = piece.normalized.original(0, piece.normalized.text().size());
    const std::size_t at = text.substr(range.begin, range.end - range.begin).find(content);
    if (at != std::string_view::npos) {
      out.push_back(range.begin + at);
    } else {
      for (std::size_t i = range.begin; i < range.end; unicode::next(text, i)) out.push_back(i);
    }
  }
  return out;
}

}  // namespace transformers
