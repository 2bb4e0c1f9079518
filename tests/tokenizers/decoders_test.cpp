// What it is: each decoder's text.
// Where it stands: tests of tokenizers.
#include "transformers/tokenizers/decoders.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support.hpp"
#include "transformers/base/value.hpp"

namespace transformers {
namespace {

TEST(WordPieceDecoder, JoinsAndCleansUp) {
  const Decoder clean{WordPieceDecoder{}};
  EXPECT_EQ(clean.decode({"un", "##do", "it", ",", "please", "!"}), "undo it, please!");
  EXPECT_EQ(clean.decode({"do", "not", "n't", "##'m", "x", "' ", ".", "!"}), "do notn't'm x'.!");
  const Decoder raw{WordPieceDecoder{"##", false}};
  EXPECT_EQ(raw.decode({"##uelo", "Ara", "##j", ",", "##"}), "##uelo Araj ,");
  EXPECT_EQ(Decoder{WordPieceDecoder{}}.decode({}), "");
}

TEST(StripDecoder, UpToSoManyAtEitherEnd) {
  const Decoder d{StripDecoder{"H", 1, 0}};
  EXPECT_EQ(d.decode({"Hey", " f", "HHH"}), "ey fHH");
  EXPECT_EQ((Decoder{StripDecoder{"H", 2, 2}}.decode({"HeyHH", "HHaHH", "HHH"})), "eya");
  EXPECT_EQ((Decoder{StripDecoder{"\xE2\x96\x81", 1, 1}}.decode({"\xE2\x96\x81x\xE2\x96\x81"})), "x");
}

TEST(StripDecoder, ContentIsOneCharacter) {
  StripDecoder d;
  const Value v = parse_json(R"({"content": "ab", "start": 1, "stop": 0})", "x");
  EXPECT_ERROR(ErrorCode::corrupt_file, "the content of Strip is one character, found \"ab\"", read_fields(d, v, "x"));
}

TEST(DecoderSequence, ReplaceFuseStrip) {
  const Decoder d{DecoderSequence{{Decoder{Replace{{"_"}, " "}}, Decoder{Fuse{}}, Decoder{StripDecoder{" ", 1, 0}}}}};
  EXPECT_EQ(d.decode({"_a", "_b"}), "a b");
}

}  // namespace
}  // namespace transformers
