// What it is: edits and splits of a NormalizedString keep every byte's origin.
// Where it stands: tests of tokenizers; the expectations are the `tokenizers` crate's.
#include "transformers/tokenizers/normalized_string.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "support.hpp"

namespace transformers {
namespace {

using Origins = std::vector<std::pair<uint32_t, uint32_t>>;

// The origin of each code point of the text.
Origins origins(const NormalizedString& s) {
  Origins out;
  for (std::size_t i = 0; i < s.text().size();) {
    const std::size_t begin = i;
    unicode::next(s.text(), i);
    const ByteRange range = s.original(begin, i);
    out.emplace_back(range.begin, range.end);
  }
  return out;
}

std::vector<std::string> texts(const std::vector<NormalizedString>& pieces) {
  std::vector<std::string> out;
  for (const NormalizedString& s : pieces) out.push_back(s.text());
  return out;
}

TEST(NormalizedString, StartsAsTheOriginal) {
  const NormalizedString s("a\xC3\xA9z");
  EXPECT_EQ(s.text(), "a\xC3\xA9z");
  EXPECT_EQ(origins(s), (Origins{{0, 1}, {1, 3}, {3, 4}}));
}

TEST(NormalizedString, DecomposingAndFiltering) {
  NormalizedString s("\xC3\xA9l\xC3\xA9gant");
  s.normalize(unicode::Form::nfd);
  EXPECT_EQ(origins(s), (Origins{{0, 2}, {0, 2}, {2, 3}, {3, 5}, {3, 5}, {5, 6}, {6, 7}, {7, 8}, {8, 9}}));
  s.filter([](char32_t c) { return !unicode::is_nonspacing(c) && c != U'n'; });
  EXPECT_EQ(s.text(), "elegat");
  EXPECT_EQ(origins(s), (Origins{{0, 2}, {2, 3}, {3, 5}, {5, 6}, {6, 7}, {8, 9}}));
}

TEST(NormalizedString, FilteringTheStart) {
  NormalizedString s("   Hello ");
  s.filter([](char32_t c) { return c != U' '; });
  EXPECT_EQ(s.text(), "Hello");
  EXPECT_EQ(origins(s), (Origins{{3, 4}, {4, 5}, {5, 6}, {6, 7}, {7, 8}}));
  s.filter([](char32_t) { return false; });
  EXPECT_TRUE(s.empty());
}

TEST(NormalizedString, MarksThatChangePlacesTakeTheOriginOfTheirNewPlace) {
  NormalizedString s("e\xCC\x81\xCC\xA3x");  // acute above, dot below: canonical order puts the dot first
  s.normalize(unicode::Form::nfd);
  EXPECT_EQ(s.text(), "e\xCC\xA3\xCC\x81x");
  EXPECT_EQ(origins(s), (Origins{{0, 1}, {1, 3}, {3, 5}, {5, 6}}));
}

TEST(NormalizedString, LowercaseMayGrow) {
  NormalizedString s(
      "a\xC4\xB0"
      "B");  // I with a dot above becomes two code points
  s.lowercase();
  EXPECT_EQ(s.text(),
            "ai\xCC\x87"
            "b");
  EXPECT_EQ(origins(s), (Origins{{0, 1}, {1, 3}, {1, 3}, {3, 4}}));
}

TEST(NormalizedString, PrependSharesTheFirstOrigin) {
  NormalizedString s("there");
  s.prepend("Hey ");
  EXPECT_EQ(s.text(), "Hey there");
  EXPECT_EQ(origins(s), (Origins{{0, 1}, {0, 1}, {0, 1}, {0, 1}, {0, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 5}}));
  NormalizedString empty("");
  empty.prepend("x");
  EXPECT_TRUE(empty.empty());
}

TEST(NormalizedString, Strip) {
  const auto strip = [](std::string_view text, bool left, bool right) {
    NormalizedString s(text);
    s.strip(left, right);
    return s;
  };
  EXPECT_EQ(strip(" \xC3\xA9 b\xE3\x80\x80", true, true).text(), "\xC3\xA9 b");
  EXPECT_EQ(origins(strip(" \xC3\xA9 b ", true, true)), (Origins{{1, 3}, {3, 4}, {4, 5}}));
  EXPECT_EQ(strip(" a ", true, false).text(), "a ");
  EXPECT_EQ(strip(" a ", false, true).text(), " a");
  EXPECT_EQ(strip("  ", true, true).text(), "");
  EXPECT_EQ(strip(" a ", false, false).text(), " a ");
}

TEST(NormalizedString, ReplaceTakesTheOriginOfTheLastCodePoint) {
  NormalizedString s("''c''");
  s.replace(find_string(s.text(), "''"), "XYZ");
  EXPECT_EQ(s.text(), "XYZcXYZ");
  EXPECT_EQ(origins(s), (Origins{{1, 2}, {1, 2}, {1, 2}, {2, 3}, {4, 5}, {4, 5}, {4, 5}}));
  NormalizedString every("ab");
  every.replace(find_string(every.text(), ""), "-");
  EXPECT_EQ(every.text(), "-a-b-");
}

TEST(NormalizedString, EveryBehaviorOfSplit) {
  const NormalizedString s("The-final--countdown");
  const auto split = [&](SplitBehavior behavior) { return texts(s.split(find_string(s.text(), "-"), behavior)); };
  using Texts = std::vector<std::string>;
  EXPECT_EQ(split(SplitBehavior::removed), (Texts{"The", "final", "countdown"}));
  EXPECT_EQ(split(SplitBehavior::isolated), (Texts{"The", "-", "final", "-", "-", "countdown"}));
  EXPECT_EQ(split(SplitBehavior::merged_with_previous), (Texts{"The-", "final-", "-", "countdown"}));
  EXPECT_EQ(split(SplitBehavior::merged_with_next), (Texts{"The", "-final", "-", "-countdown"}));
  EXPECT_EQ(split(SplitBehavior::contiguous), (Texts{"The", "-", "final", "--", "countdown"}));
}

TEST(NormalizedString, PiecesKeepTheirPlaceInTheOriginal) {
  const NormalizedString s("ab cd");
  const auto pieces = s.split(find_string(s.text(), " "), SplitBehavior::removed);
  ASSERT_EQ(pieces.size(), 2u);
  EXPECT_EQ(origins(pieces[1]), (Origins{{3, 4}, {4, 5}}));
  NormalizedString second = pieces[1];
  second.prepend("_");
  EXPECT_EQ(origins(second), (Origins{{3, 4}, {3, 4}, {4, 5}}));
}

TEST(FindString, CoversTheTextWithoutGaps) {
  const auto matches = find_string("aXbX", "X");
  ASSERT_EQ(matches.size(), 4u);
  EXPECT_TRUE(matches[1].is_match && matches[3].is_match);
  EXPECT_EQ(matches[2].begin, 2u);
  EXPECT_TRUE(find_string("", "X").empty());
  EXPECT_TRUE(find_string("", "").empty());
}

}  // namespace
}  // namespace transformers
