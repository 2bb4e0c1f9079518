// What it is: the compiled path of byte-level BPE.
// Where it stands: tokenizers; see byte_level_path.hpp.
#include "byte_level_path.hpp"

#include <algorithm>
#include <string>
#include <variant>

#include "byte_level.hpp"
#include "regex.hpp"

namespace transformers {

std::unique_ptr<const ByteLevelPath> ByteLevelPath::make(const Normalizer* normalizer,
                                                         const PreTokenizer* pre_tokenizer,
                                                         const TokenizerModel& any_model) {
  const auto* model = std::get_if<BPE>(&any_model.value);
  if (!model || !pre_tokenizer || model->has_affixes()) return nullptr;
  std::unique_ptr<ByteLevelPath> path(new ByteLevelPath(normalizer, *model));
  const auto* byte_level = std::get_if<ByteLevel>(&pre_tokenizer->value);
  if (const auto* sequence = std::get_if<PreTokenizerSequence>(&pre_tokenizer->value)) {
    if (sequence->children.size() != 2) return nullptr;
    byte_level = std::get_if<ByteLevel>(&sequence->children[1].value);
    // Every piece of the first would have a prefix of its own.
    if (!byte_level || byte_level->add_prefix_space) return nullptr;
    const auto* split = std::get_if<Split>(&sequence->children[0].value);
    const auto* digits = std::get_if<Digits>(&sequence->children[0].value);
    if (split && split->pattern.regex && !byte_level->use_regex && !split->invert &&
        split->behavior == SplitBehavior::isolated && split->pattern.regex->scanner() != Scanner::none) {
      path->scanner_ = split->pattern.regex->scanner();
    } else if (digits && digits->individual_digits && byte_level->use_regex) {
      path->single_digits_ = true;
    } else {
      return nullptr;
    }
  } else if (!byte_level || !byte_level->use_regex) {
    return nullptr;
  }
  path->add_prefix_space_ = byte_level->add_prefix_space;
  for (std::size_t b = 0; b < 256; ++b) {
    std::string character;
    unicode::append(character, kByteLevel.to_char[b]);
    path->byte_ids_[b] = model->vocab.find(character);
    // Without an unknown token and byte_fallback, what the vocabulary lacks vanishes; these bytes are in no UTF-8 at
    // all.
    const bool occurs = b != 0xC0 && b != 0xC1 && b < 0xF5;
    if (path->byte_ids_[b] < 0 && occurs && (model->unk_token || model->byte_fallback)) return nullptr;
  }
  return path;
}

void ByteLevelPath::merge_word(std::string_view word, std::vector<int32_t>& ids) const {
  if (model_.ignore_merges) {
    std::string token;
    for (const char c : word) unicode::append(token, kByteLevel.to_char[static_cast<unsigned char>(c)]);
    if (const int32_t id = model_.vocab.find(token); id >= 0) {
      ids.push_back(id);
      return;
    }
  }
  thread_local std::vector<BPE::Symbol> symbols;
  symbols.clear();
  for (const char c : word) {
    const int32_t id = byte_ids_[static_cast<unsigned char>(c)];
    if (id < 0) continue;
    const auto at = static_cast<uint32_t>(symbols.size());
    if (at > 0) symbols[at - 1].next = at;
    symbols.push_back({id, 1, at > 0 ? at - 1 : BPE::kNone, BPE::kNone});
  }
  model_.merge(symbols);
  for (const BPE::Symbol& s : symbols) ids.push_back(s.id);
  if (symbols.capacity() > 1 << 16) symbols = {};
}

inline void ByteLevelPath::add_word(std::string_view word, WordCache& cache, const char* readable,
                                    std::vector<int32_t>& ids) const {
  if (word.size() > WordCache::kLongestWord) return merge_word(word, ids);
  cache.look_up(WordCache::Key(word, readable), ids, [&] { merge_word(word, ids); });
}

template <Scanner kScanner>
void ByteLevelPath::scan_words(std::string_view text, WordCache& cache, std::vector<int32_t>& ids) const {
  const char* const end = text.data() + text.size();
  const char* stop = end;  // where the present stretch ends: at a digit that is a word by itself
  for (const char* p = text.data(); p < end;) {
    if (single_digits_) {
      std::size_t i = static_cast<std::size_t>(p - text.data());
      if (unicode::is_numeric(unicode::next(text, i))) {
        add_word({p, static_cast<std::size_t>(text.data() + i - p)}, cache, end, ids);
        p = text.data() + i;
        continue;
      }
      for (std::size_t at = i; at < text.size(); at = i) {
        if (unicode::is_numeric(unicode::next(text, i))) {
          i = at;
          break;
        }
      }
      stop = text.data() + i;
    }
    while (p < stop) {
      const char* const next = scan::word<kScanner>(p, stop);
      add_word({p, static_cast<std::size_t>(next - p)}, cache, end, ids);
      p = next;
    }
  }
}

void ByteLevelPath::encode(std::string_view text, bool, std::vector<int32_t>& ids) const {
  if (text.empty()) return;
  std::string changed;
  if (add_prefix_space_ && text.front() != ' ') {
    changed = ' ' + std::string(text);
    text = changed;
  }
  WordCaches::Lease cache(caches_);
  with_scanner(scanner_, [&]<Scanner kScanner>() { scan_words<kScanner>(text, *cache, ids); });
}

}  // namespace transformers
