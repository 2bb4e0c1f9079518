// What it is: the compiled path of BERT's tokenizers.
// Where it stands: tokenizers; see bert_path.hpp.
#include "bert_path.hpp"

#include <algorithm>

#include "transformers/tokenizers/unicode.hpp"

namespace transformers {
namespace {

enum Class : uint8_t { kLetter, kSpace, kPunctuation, kRemoved, kOther };

}  // namespace

// The word being collected: its normalized bytes with their hash so far.
struct BertPath::Scratch {
  std::string bytes;
  std::vector<int32_t> origins;  // of each byte, in code points of the text; only with offsets
  uint64_t hash = Vocab::kHashStart;
  std::size_t code_points = 0;
  int32_t first_origin = 0, last_origin = 0;
  WordPiece::Scratch pieces;
};

BertPath::BertPath(const BertNormalizer& normalizer, const WordPiece& model)
    : normalizer_(normalizer), strip_accents_(normalizer.strip_accents.value_or(normalizer.lowercase)), model_(model) {
  longest_word_ = static_cast<uint32_t>(std::clamp<int64_t>(model.max_input_chars_per_word, 0, INT32_MAX));
  class_.fill(kOther);
  for (char32_t c = 0; c < 128; ++c) {
    const bool is_removed = normalizer_.clean_text && unicode::is_removed(c);
    class_[c] = is_removed                   ? kRemoved
                : unicode::is_whitespace(c)  ? kSpace
                : unicode::is_punctuation(c) ? kPunctuation
                                             : kLetter;
    const unicode::Mapping lower = unicode::to_lower(c);
    lower_[c] = static_cast<char>(normalizer_.lowercase && lower.size ? lower.data[0] : c);
  }
}

template <bool kWithOffsets>
void BertPath::emit(Scratch& s, std::vector<int32_t>& ids, Encoding* out, int32_t* word_id) const {
  if (s.code_points == 0) return;
  const auto add = [&](int32_t id, std::string_view token, int32_t begin, int32_t end) {
    ids.push_back(id);
    if constexpr (kWithOffsets) {
      out->tokens.emplace_back(token);
      out->offsets.emplace_back(begin, end);
      out->word_ids.push_back(*word_id);
    }
  };
  const auto add_known = [&](int32_t id, std::size_t begin, std::size_t end) {
    if constexpr (kWithOffsets) {
      add(id, *model_.vocab.token(id), s.origins[begin], s.origins[end - 1] + 1);
    } else {
      add(id, {}, 0, 0);
    }
  };
  if (s.code_points > longest_word_) {
    add(model_.unknown_id(), model_.unk_token, s.first_origin, s.last_origin + 1);
  } else if (const int32_t id = model_.vocab.find(s.bytes, s.hash); id >= 0) {
    add_known(id, 0, s.bytes.size());
  } else if (model_.match(s.bytes, s.pieces)) {
    for (const WordPiece::Piece& p : s.pieces.pieces) add_known(p.id, p.begin, p.end);
  } else {
    add(model_.unknown_id(), model_.unk_token, s.first_origin, s.last_origin + 1);
  }
  if constexpr (kWithOffsets) {
    ++*word_id;
    s.origins.clear();
  }
  s.bytes.clear();
  s.hash = Vocab::kHashStart;
  s.code_points = 0;
}

template <bool kWithOffsets>
bool BertPath::run(std::string_view text, int32_t origin, int32_t* word_id, std::vector<int32_t>& ids,
                   Encoding* out) const {
  thread_local Scratch s;
  s.bytes.clear();
  s.origins.clear();
  s.hash = Vocab::kHashStart;
  s.code_points = 0;

  const auto flush = [&] { emit<kWithOffsets>(s, ids, out, word_id); };
  // One normalized code point, as bytes: of a word that is already too long only the extent matters.
  const auto append = [&](const char* bytes, std::size_t size) {
    if (s.code_points++ == 0) s.first_origin = origin;
    s.last_origin = origin;
    if (s.code_points > longest_word_) return;
    for (std::size_t i = 0; i < size; ++i) s.hash = Vocab::hash_step(s.hash, bytes[i]);
    s.bytes.append(bytes, size);
    if constexpr (kWithOffsets) s.origins.resize(s.bytes.size(), origin);
  };
  const auto append_mapped = [&](char32_t c) {
    const uint16_t is = unicode::properties(c);
    if (is & unicode::whitespace) return flush();
    if (is & unicode::punctuation) flush();
    std::string& utf8 = s.pieces.candidate;
    utf8.clear();
    unicode::append(utf8, c);
    append(utf8.data(), utf8.size());
    if (is & unicode::punctuation) flush();
  };
  const auto append_lower = [&](char32_t c) {
    const unicode::Mapping lower = normalizer_.lowercase ? unicode::to_lower(c) : unicode::Mapping{};
    if (lower.size == 0) return append_mapped(c);
    for (std::size_t k = 0; k < lower.size; ++k) append_mapped(lower.data[k]);
  };

  const std::size_t size = text.size();
  std::size_t i = 0;
  while (i < size) {
    const auto byte = static_cast<unsigned char>(text[i]);
    switch (class_[byte]) {
      case kLetter: {
        // The whole run at once: nearly all of English goes through this loop.
        const std::size_t begin = i;
        std::size_t end = i + 1;
        while (end < size && class_[static_cast<unsigned char>(text[end])] == kLetter) ++end;
        const std::size_t room = longest_word_ - std::min<std::size_t>(s.code_points, longest_word_);
        const std::size_t kept = std::min(end - begin, room);
        if (s.code_points == 0) s.first_origin = origin;
        const std::size_t old = s.bytes.size();
        s.bytes.resize(old + kept);
        uint64_t hash = s.hash;
        for (std::size_t k = 0; k < kept; ++k) {
          const char lower = lower_[static_cast<unsigned char>(text[begin + k])];
          s.bytes[old + k] = lower;
          hash = Vocab::hash_step(hash, lower);
        }
        s.hash = hash;
        if constexpr (kWithOffsets) {
          for (std::size_t k = 0; k < kept; ++k) s.origins.push_back(origin + static_cast<int32_t>(k));
        }
        s.code_points += end - begin;
        origin += static_cast<int32_t>(end - begin);
        s.last_origin = origin - 1;
        i = end;
        break;
      }
      case kSpace:
        flush();
        ++i, ++origin;
        break;
      case kPunctuation:
        flush();
        append(&lower_[byte], 1);
        flush();
        ++i, ++origin;
        break;
      case kRemoved:
        ++i, ++origin;
        break;
      default: {
        const char32_t c = unicode::next(text, i);
        const uint16_t is = unicode::properties(c);
        if (normalizer_.clean_text && (is & (unicode::removed | unicode::whitespace))) {
          if (!(is & unicode::removed)) flush();
          ++origin;
          break;
        }
        const bool apart = normalizer_.handle_chinese_chars && (is & unicode::chinese);
        if (apart) flush();
        if (!strip_accents_) {
          append_lower(c);
        } else if (unicode::Change parts[3]; const std::size_t n = unicode::decompose_syllable(c, parts)) {
          for (std::size_t k = 0; k < n; ++k) append_lower(parts[k].code_point);
        } else {
          const unicode::Mapping full = unicode::decomposition(c, false);
          for (std::size_t k = 0; k < std::max<std::size_t>(full.size, 1); ++k) {
            const char32_t d = full.size ? full.data[k] : c;
            if (unicode::is_nonspacing(d)) continue;
            if (!unicode::is_starter(d)) return false;
            append_lower(d);
          }
        }
        if (apart) flush();
        ++origin;
      }
    }
  }
  flush();
  return true;
}

bool BertPath::encode(std::string_view text, std::vector<int32_t>& ids) const {
  const std::size_t before = ids.size();
  if (run<false>(text, 0, nullptr, ids, nullptr)) return true;
  ids.resize(before);
  return false;
}

bool BertPath::encode(std::string_view text, int32_t first_code_point, int32_t& first_word, Encoding& out) const {
  const std::size_t before = out.ids.size();
  int32_t word = first_word;
  if (run<true>(text, first_code_point, &word, out.ids, &out)) {
    first_word = word;
    return true;
  }
  out.ids.resize(before);
  out.tokens.resize(before);
  out.offsets.resize(before);
  out.word_ids.resize(before);
  return false;
}

}  // namespace transformers
