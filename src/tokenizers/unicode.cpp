// What it is: the Unicode functions of the tokenizers over generated tables.
// Where it stands: tokenizers; the only file that includes unicode_tables.inc.
// Source: Unicode 15, chapter 3.9 (UTF-8) and 3.11 (normalization); tables from tests/reference/make_unicode.py.
#include "transformers/tokenizers/unicode.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>

namespace transformers::unicode {
namespace {

#include "unicode_tables.inc"

// The last entry of an index stands for all blocks behind it.
template <class Index, std::size_t N, class Value, std::size_t M>
Value look_up(const Index (&index)[N], const Value (&blocks)[M], char32_t c) noexcept {
  const std::size_t block = std::min<std::size_t>(c >> kBlockShift, N - 1);
  return blocks[(static_cast<std::size_t>(index[block]) << kBlockShift) | (c & ((1u << kBlockShift) - 1))];
}

// The bits are those of the generator's FLAGS.
static_assert(kWhitespace == whitespace && kRemove == removed && kChinese == chinese && kPunctuation == punctuation &&
              kNonspacing == nonspacing && kMark == mark && kNumeric == numeric && kWord == word &&
              kComposes == composes && kTableClassShift == kClassShift);

int combining_class(char32_t c) noexcept { return properties(c) >> kClassShift; }

Mapping from_pool(uint16_t offset) noexcept {
  if (offset == 0) return {};
  return {kPool + offset + 1, kPool[offset]};
}

constexpr char32_t kHangulBase = 0xAC00, kLeadBase = 0x1100, kVowelBase = 0x1161, kTrailBase = 0x11A7;
constexpr char32_t kLeads = 19, kVowels = 21, kTrails = 28, kSyllables = kLeads * kVowels * kTrails;

bool is_syllable(char32_t c) noexcept { return c >= kHangulBase && c < kHangulBase + kSyllables; }

// The code point that a and b compose to, or 0.
char32_t compose(char32_t a, char32_t b) noexcept {
  if (!(properties(b) & Property::composes)) return 0;
  if (a - kLeadBase < kLeads && b - kVowelBase < kVowels) {
    return kHangulBase + ((a - kLeadBase) * kVowels + (b - kVowelBase)) * kTrails;
  }
  if (is_syllable(a) && (a - kHangulBase) % kTrails == 0 && b > kTrailBase && b < kTrailBase + kTrails) {
    return a + (b - kTrailBase);
  }
  const auto* end = std::end(kCompositions);
  const auto* row = std::lower_bound(
      std::begin(kCompositions), end, std::pair(a, b),
      [](const auto& r, const auto& key) { return r[0] != key.first ? r[0] < key.first : r[1] < key.second; });
  return row != end && (*row)[0] == a && (*row)[1] == b ? static_cast<char32_t>((*row)[2]) : 0;
}

std::vector<Change> decompose(std::string_view text, bool compatible) {
  std::vector<Change> out;
  out.reserve(text.size());
  std::size_t run = 0;  // where the present run of combining marks begins
  bool sorted = true;   // false once a mark of this run stands behind one of a higher class
  int last = 0;
  const auto by_class = [](const Change& a, const Change& b) {
    return combining_class(a.code_point) < combining_class(b.code_point);
  };
  const auto end_run = [&] {
    if (!sorted) std::stable_sort(out.begin() + static_cast<std::ptrdiff_t>(run), out.end(), by_class);
    sorted = true;
    last = 0;
  };
  const auto push = [&](char32_t c, int32_t change) {
    const int rank = combining_class(c);
    if (rank == 0) {
      end_run();
      out.push_back({c, change});
      run = out.size();
      return;
    }
    if (rank < last) sorted = false;
    last = rank;
    out.push_back({c, change});
  };
  for (std::size_t i = 0; i < text.size();) {
    const char32_t c = next(text, i);
    if (c < 0x80) {
      push(c, 0);
    } else if (Change parts[3]; const std::size_t n = decompose_syllable(c, parts)) {
      for (std::size_t k = 0; k < n; ++k) push(parts[k].code_point, parts[k].change);
    } else if (const Mapping m = decomposition(c, compatible); m.size) {
      for (std::size_t k = 0; k < m.size; ++k) push(m.data[k], k ? 1 : 0);
    } else {
      push(c, 0);
    }
  }
  end_run();
  return out;
}

}  // namespace

std::size_t count(std::string_view text) noexcept {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char b) { return (static_cast<unsigned char>(b) & 0xC0) != 0x80; }));
}

std::size_t well_formed_prefix(std::string_view text) noexcept {
  const auto byte = [&](std::size_t k) { return static_cast<unsigned char>(text[k]); };
  const auto continues = [&](std::size_t k, unsigned low = 0x80, unsigned high = 0xBF) {
    return k < text.size() && byte(k) >= low && byte(k) <= high;
  };
  std::size_t i = 0;
  while (i < text.size()) {
    while (i + 8 <= text.size()) {
      uint64_t word;
      std::memcpy(&word, text.data() + i, 8);
      if (word & 0x8080808080808080u) break;
      i += 8;
    }
    if (i == text.size()) break;
    const unsigned b = byte(i);
    if (b < 0x80) {
      ++i;
    } else if (b < 0xC2) {
      return i;
    } else if (b < 0xE0) {
      if (!continues(i + 1)) return i;
      i += 2;
    } else if (b < 0xF0) {
      if (!continues(i + 1, b == 0xE0 ? 0xA0 : 0x80, b == 0xED ? 0x9F : 0xBF) || !continues(i + 2)) return i;
      i += 3;
    } else if (b < 0xF5) {
      if (!continues(i + 1, b == 0xF0 ? 0x90 : 0x80, b == 0xF4 ? 0x8F : 0xBF) || !continues(i + 2) ||
          !continues(i + 3)) {
        return i;
      }
      i += 4;
    } else {
      return i;
    }
  }
  return i;
}

std::string to_well_formed(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 2);
  while (true) {
    const std::size_t good = well_formed_prefix(text);
    out.append(text.substr(0, good));
    text.remove_prefix(good);
    if (text.empty()) return out;
    // The maximal subpart: the longest start of some well-formed sequence, at least one byte.
    const unsigned b = static_cast<unsigned char>(text[0]);
    unsigned low = 0x80, high = 0xBF;
    std::size_t expected = 0;
    if (b >= 0xC2 && b < 0xE0) expected = 1;
    if (b >= 0xE0 && b < 0xF0) expected = 2, low = b == 0xE0 ? 0xA0 : 0x80, high = b == 0xED ? 0x9F : 0xBF;
    if (b >= 0xF0 && b < 0xF5) expected = 3, low = b == 0xF0 ? 0x90 : 0x80, high = b == 0xF4 ? 0x8F : 0xBF;
    std::size_t bad = 1;
    while (bad <= expected && bad < text.size()) {
      const unsigned next_byte = static_cast<unsigned char>(text[bad]);
      if (next_byte < low || next_byte > high) break;
      low = 0x80, high = 0xBF;
      ++bad;
    }
    append(out, 0xFFFD);
    text.remove_prefix(bad);
  }
}

uint16_t properties(char32_t c) noexcept { return look_up(kPropertiesIndex, kPropertiesBlocks, c); }

Mapping to_lower(char32_t c) noexcept { return from_pool(look_up(kLowerIndex, kLowerBlocks, c)); }

Mapping decomposition(char32_t c, bool compatible) noexcept {
  if (compatible) {
    if (const uint16_t offset = look_up(kCompatibleIndex, kCompatibleBlocks, c)) return from_pool(offset);
  }
  return from_pool(look_up(kCanonicalIndex, kCanonicalBlocks, c));
}

std::size_t decompose_syllable(char32_t c, Change (&out)[3]) noexcept {
  if (!is_syllable(c)) return 0;
  const char32_t s = c - kHangulBase;
  out[0] = {kLeadBase + s / (kVowels * kTrails), 0};
  out[1] = {kVowelBase + s % (kVowels * kTrails) / kTrails, 1};
  if (s % kTrails == 0) return 2;
  out[2] = {kTrailBase + s % kTrails, 1};
  return 3;
}

std::vector<Change> normalize(std::string_view text, Form form) {
  std::vector<Change> all = decompose(text, form == Form::nfkc || form == Form::nfkd);
  if (form == Form::nfd || form == Form::nfkd) return all;
  // Composes in place: all[0, out) is done, `starter` the one that may take in what follows.
  std::size_t out = 0;
  std::ptrdiff_t starter = -1;
  int last = 0;  // class of the mark before, 0 right behind the starter
  for (const Change& change : all) {
    const Change now = change;
    const int rank = combining_class(now.code_point);
    if (starter >= 0) {
      Change& first = all[static_cast<std::size_t>(starter)];
      const bool adjacent = out == static_cast<std::size_t>(starter) + 1;
      if (adjacent || last < rank) {
        if (const char32_t composed = compose(first.code_point, now.code_point)) {
          first = {composed, first.change + now.change - 1};
          continue;
        }
      }
    }
    if (rank == 0) starter = static_cast<std::ptrdiff_t>(out);
    last = rank;
    all[out++] = now;
  }
  all.resize(out);
  return all;
}

}  // namespace transformers::unicode
