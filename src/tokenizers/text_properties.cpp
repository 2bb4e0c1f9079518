// What it is: what regular expressions take a code point for, scripts, and grapheme clusters.
// Where it stands: tokenizers; the only file that includes text_tables.inc. See unicode.hpp.
// Source: Unicode annex 29; tables from tests/reference/make_text_tables.py.
#include <algorithm>

#include "transformers/tokenizers/unicode.hpp"

namespace transformers::unicode {
namespace {

constexpr int kBlockShift = 6;
#include "text_tables.inc"

// The last entry of an index stands for all blocks behind it.
template <class Index, std::size_t N, class Value, std::size_t M>
Value look_up(const Index (&index)[N], const Value (&blocks)[M], char32_t c) noexcept {
  const std::size_t block = std::min<std::size_t>(c >> kBlockShift, N - 1);
  return blocks[(static_cast<std::size_t>(index[block]) << kBlockShift) | (c & ((1u << kBlockShift) - 1))];
}

// The generator's CLUSTERS and INDIC.
enum Cluster {
  kOther,
  kCr,
  kLf,
  kControl,
  kExtend,
  kZwj,
  kSpacingMark,
  kPrepend,
  kRegional,
  kL,
  kV,
  kT,
  kLv,
  kLvt,
  kPictographic
};
enum Indic { kNoConjunct, kConsonant, kLinker, kConjunctExtend };
constexpr int kClusterShift = 6, kIndicShift = 10;

}  // namespace

uint16_t text_properties(char32_t c) noexcept { return look_up(kTextIndex, kTextBlocks, c); }
uint8_t category(char32_t c) noexcept { return look_up(kCategoryIndex, kCategoryBlocks, c); }
uint8_t script(char32_t c) noexcept { return look_up(kScriptIndex, kScriptBlocks, c); }

std::size_t cluster_length(std::string_view text, std::size_t begin) noexcept {
  std::size_t end = begin;
  uint16_t is = text_properties(next(text, end));
  int last = is >> kClusterShift & 15;
  // What came before `last` in this cluster, as far as a rule asks for it.
  bool pictographic = last == kPictographic;                         // a pictograph, then extenders only (GB11)
  bool consonant = is >> kIndicShift == kConsonant, linked = false;  // a consonant, then linkers and extenders (GB9c)
  int regional = last == kRegional;
  for (std::size_t i = end; i < text.size(); end = i) {
    is = text_properties(next(text, i));
    const int now = is >> kClusterShift & 15, conjunct = is >> kIndicShift;
    bool joined;
    if (last == kCr || last == kLf || last == kControl) {
      joined = last == kCr && now == kLf;
    } else if (now == kCr || now == kLf || now == kControl) {
      joined = false;
    } else if (now == kExtend || now == kZwj || now == kSpacingMark || last == kPrepend) {
      joined = true;
    } else if (last == kL) {
      joined = now == kL || now == kV || now == kLv || now == kLvt;
    } else if (last == kLv || last == kV) {
      joined = now == kV || now == kT;
    } else if (last == kLvt || last == kT) {
      joined = now == kT;
    } else if (consonant && linked && conjunct == kConsonant) {
      joined = true;
    } else if (last == kZwj && pictographic && now == kPictographic) {
      joined = true;
    } else {
      joined = last == kRegional && now == kRegional && regional % 2 == 1;
    }
    if (!joined) break;
    if (now != kExtend && now != kZwj) pictographic = now == kPictographic;
    if (conjunct == kConsonant) {
      consonant = true;
      linked = false;
    } else if (conjunct == kLinker) {
      linked = true;
    } else if (conjunct != kConjunctExtend) {
      consonant = false;
    }
    regional = now == kRegional ? regional + 1 : 0;
    last = now;
  }
  return end - begin;
}

}  // namespace transformers::unicode
