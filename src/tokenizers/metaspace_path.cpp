// What it is: the compiled path of SentencePiece's tokenizers.
// Where it stands: tokenizers; see metaspace_path.hpp.
#include "metaspace_path.hpp"

#include <string>
#include <unordered_set>
#include <variant>

#include "transformers/tokenizers/unicode.hpp"

namespace transformers {
namespace {

constexpr std::string_view kMetaspace = "\xE2\x96\x81";

// Bytes of the U+2581, or of the space if that counts, at `at`; 0: neither.
std::size_t separator(const char* at, const char* end, bool spaces) {
  if (*at == ' ') return spaces;
  return *at == kMetaspace[0] && end - at >= 3 && at[1] == kMetaspace[1] && at[2] == kMetaspace[2] ? 3 : 0;
}

// Whether the text of a token goes on with U+2581 behind something else.
bool has_inner_separator(std::string_view token) {
  for (std::size_t at = token.find(kMetaspace); at != std::string_view::npos; at = token.find(kMetaspace, at + 3)) {
    if (at > 0 && !token.substr(0, at).ends_with(kMetaspace)) return true;
  }
  return false;
}

bool has_all_bytes(const BPE& model) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  for (std::size_t b = 0; b < 256 && model.byte_fallback; ++b) {
    const char token[] = {'<', '0', 'x', kHex[b >> 4], kHex[b & 15], '>'};
    if (model.vocab.find({token, sizeof token}) < 0) return false;
  }
  return model.byte_fallback;
}

// Whether every merge stays within a row of U+2581 and what follows up to the next one.
bool keeps_runs(const BPE& model) {
  if (model.vocab.find(kMetaspace) < 0 || model.ignore_merges) return false;
  // Without an unknown token characters may vanish, and what stood around them meets, unless all bytes are tokens. An
  // unknown character is no U+2581, whatever the unknown token looks like.
  if (!model.unk_token ? !has_all_bytes(model) : model.unk_token->ends_with(kMetaspace)) return false;
  std::unordered_set<int32_t> crossing;
  model.vocab.for_each([&](std::string_view token, int32_t id) {
    if (has_inner_separator(token)) crossing.insert(id);
  });
  if (crossing.empty()) return true;
  bool keeps = true;
  model.merges().for_each([&](int32_t, int32_t, MergeTable::Merge m) { keeps = keeps && !crossing.contains(m.id); });
  return keeps;
}

// Whether no space is left in what the normalizer makes.
bool leaves_no_space(const Normalizer* normalizer) {
  while (normalizer) {
    const auto* sequence = std::get_if<NormalizerSequence>(&normalizer->value);
    if (!sequence) break;
    normalizer = sequence->children.empty() ? nullptr : &sequence->children.back();
  }
  const auto* r = normalizer ? std::get_if<Replace>(&normalizer->value) : nullptr;
  return r && !r->pattern.regex && r->pattern.text == " " && r->content.find(' ') == std::string::npos;
}

// Whether the first character of the normalized text is made of the first of the text, and no other is.
bool keeps_first(const Normalizer* normalizer) {
  if (!normalizer) return true;
  const auto* r = std::get_if<Replace>(&normalizer->value);
  return r && !r->pattern.regex && unicode::count(r->pattern.text) == 1 && unicode::count(r->content) == 1;
}

}  // namespace

std::unique_ptr<const MetaspacePath> MetaspacePath::make(const Normalizer* normalizer,
                                                         const PreTokenizer* pre_tokenizer,
                                                         const TokenizerModel& model) {
  std::unique_ptr<MetaspacePath> path(new MetaspacePath(normalizer));
  path->unigram_ = std::get_if<Unigram>(&model.value);
  path->bpe_ = std::get_if<BPE>(&model.value);
  if (!path->unigram_ && (!path->bpe_ || path->bpe_->has_affixes())) return nullptr;
  bool splits = false;
  if (pre_tokenizer) {
    const auto* metaspace = std::get_if<Metaspace>(&pre_tokenizer->value);
    const auto* sequence = std::get_if<PreTokenizerSequence>(&pre_tokenizer->value);
    const auto* split = std::get_if<Split>(&pre_tokenizer->value);
    if (sequence && sequence->children.size() == 2 &&
        std::holds_alternative<WhitespaceSplit>(sequence->children[0].value)) {
      metaspace = std::get_if<Metaspace>(&sequence->children[1].value);
      path->splits_whitespace_ = true;
    }
    if (metaspace) {
      if (metaspace->replacement != kMetaspace) return nullptr;
      path->prepend_scheme_ = metaspace->prepend_scheme;
      path->replaces_spaces_ = true;
      splits = metaspace->split;
    } else if (!split || split->pattern.regex || split->pattern.text != " " || split->invert ||
               !leaves_no_space(normalizer)) {
      return nullptr;
    }
    if (path->prepend_scheme_ == PrependScheme::first && (path->splits_whitespace_ || !keeps_first(normalizer))) {
      return nullptr;
    }
  }
  if (splits) {
    path->words_ = Words::split;
  } else if (path->bpe_ && keeps_runs(*path->bpe_)) {
    path->words_ = Words::runs;
  }
  return path;
}

// `word` as it stands in the text, behind a U+2581 that does not if `prepends`.
void MetaspacePath::tokenize(std::string_view word, bool prepends, std::vector<int32_t>& ids) const {
  thread_local std::string spelled;
  if (prepends || (replaces_spaces_ && word.find(' ') != std::string_view::npos)) {
    spelled.assign(prepends ? kMetaspace : std::string_view());
    for (const char c : word) {
      if (c == ' ' && replaces_spaces_) {
        spelled.append(kMetaspace);
      } else {
        spelled.push_back(c);
      }
    }
    word = spelled;
  }
  if (unigram_) {
    thread_local std::vector<Unigram::Piece> pieces;
    pieces.clear();
    unigram_->match(word, pieces);
    for (const Unigram::Piece& piece : pieces) ids.push_back(piece.id);
    if (pieces.capacity() > 1 << 16) pieces = {};
  } else {
    thread_local std::vector<BPE::Symbol> symbols;
    const int32_t id = bpe_->ignore_merges ? bpe_->vocab.find(word) : -1;
    if (id >= 0) {
      ids.push_back(id);
    } else {
      symbols.clear();
      bpe_->split(word, symbols);
      bpe_->merge(symbols);
      for (const BPE::Symbol& s : symbols) ids.push_back(s.id);
      if (symbols.capacity() > 1 << 16) symbols = {};
    }
  }
  if (spelled.capacity() > 1 << 16) spelled = {};
}

void MetaspacePath::scan(std::string_view text, bool prepends, WordCache& cache, std::vector<int32_t>& ids) const {
  const char *p = text.data(), *const end = p + text.size();
  for (; p < end; prepends = false) {
    const char* next = p;
    // A space that counts is a separator; within a run there may be several.
    while (next < end) {
      const std::size_t size = separator(next, end, replaces_spaces_);
      next += size;
      if (size == 0 || words_ == Words::split) break;
    }
    while (next < end && separator(next, end, replaces_spaces_) == 0) ++next;
    const std::string_view word(p, static_cast<std::size_t>(next - p));
    p = next;
    if (word.size() > WordCache::kLongestWord) {
      tokenize(word, prepends, ids);
      continue;
    }
    WordCache::Key key(word, end);
    key.size |= prepends ? 1U << 8 : 0;
    cache.look_up(key, ids, [&] { tokenize(word, prepends, ids); });
  }
}

void MetaspacePath::encode(std::string_view text, bool begins, std::vector<int32_t>& ids) const {
  if (text.empty()) return;
  const bool may_prepend =
      prepend_scheme_ == PrependScheme::always || (prepend_scheme_ == PrependScheme::first && begins);
  WordCaches::Lease cache(caches_);
  const auto piece = [&](std::string_view part) {
    const bool prepends = may_prepend && separator(part.data(), part.data() + part.size(), replaces_spaces_) == 0;
    if (words_ == Words::whole) {
      tokenize(part, prepends, ids);
    } else {
      scan(part, prepends, *cache, ids);
    }
  };
  if (!splits_whitespace_) return piece(text);
  const auto is_space = [&](std::size_t& i) {
    const auto b = static_cast<unsigned char>(text[i]);
    if (b < 0x80) return ++i, b == ' ' || (b >= '\t' && b <= '\r');
    return unicode::is_whitespace(unicode::next(text, i));
  };
  std::size_t word = 0;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t at = i;
    if (!is_space(i)) continue;
    if (word < at) piece(text.substr(word, at - word));
    word = i;
  }
  if (word < text.size()) piece(text.substr(word));
}

}  // namespace transformers
