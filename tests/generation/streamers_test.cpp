// Text that is given away piece by piece: whole characters, and all of them together the text of all tokens.
#include "transformers/generation/streamers.hpp"

#include <gtest/gtest.h>

namespace transformers {
namespace {

// Tokens are bytes; bytes that are no character yet read as U+FFFD, and a space at the start is dropped.
std::string decode(std::span<const int64_t> ids) {
  std::string text;
  for (const int64_t id : ids) text.push_back(static_cast<char>(id));
  if (text.starts_with(' ')) text.erase(0, 1);
  if (text.ends_with('\xC3')) text.replace(text.size() - 1, 1, "\xEF\xBF\xBD");
  return text;
}

std::vector<int64_t> bytes(std::string_view text) {
  std::vector<int64_t> ids;
  for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
  return ids;
}

TEST(TextStreamer, PiecesAreWholeCharactersAndMakeTheText) {
  for (const std::string_view text : {"a b", " a  b", "caf\xC3\xA9 \xC3\xA9", "", "x\xC3"}) {
    std::string all;
    std::vector<std::string> pieces;
    TextStreamer streamer(decode, [&](std::string_view piece) {
      all += piece;
      pieces.emplace_back(piece);
      return true;
    });
    EXPECT_TRUE(streamer.put(0, bytes("prompt")));
    for (const int64_t id : bytes(text)) EXPECT_TRUE(streamer.put(0, {&id, 1}));
    streamer.end(0);
    EXPECT_EQ(all, decode(bytes(text)));
    for (const std::string& piece : pieces) EXPECT_NE(piece, "\xC3");
  }
}

TEST(TextStreamer, TheCallbackMayEndIt) {
  int calls = 0;
  TextStreamer streamer(
      decode, [&](std::string_view) { return ++calls < 2; }, false);
  EXPECT_TRUE(streamer.put(0, bytes("a")));
  EXPECT_FALSE(streamer.put(0, bytes("bc")));
  EXPECT_EQ(calls, 2);
}

}  // namespace
}  // namespace transformers
