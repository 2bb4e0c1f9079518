// When a row is done; stop strings that begin and end inside tokens.
#include "transformers/generation/stopping_criteria.hpp"

#include <gtest/gtest.h>

#include "support.hpp"

namespace transformers {
namespace {

TEST(StoppingCriteria, LengthAndEnd) {
  GenerationConfig config;
  config.eos_token_id = {{4, 5}};
  const StoppingCriteriaList list = get_stopping_criteria(config, 4);
  EXPECT_FALSE(list(std::vector<int64_t>{5, 1, 2}));
  EXPECT_TRUE(list(std::vector<int64_t>{1, 5}));
  EXPECT_TRUE(list(std::vector<int64_t>{1, 1, 1, 1}));
}

TEST(StoppingCriteria, StopStringsEndInTheLastToken) {
  const auto texts = std::make_shared<const StopStringCriteria::TokenTexts>(
      StopStringCriteria::TokenTexts{"st", "op", "stop", "xstopx", "s", "", "topping", "t", "\xC3", "\xA9"});
  const StopStringCriteria stop({"stop", "\xC3\xA9!", "\xC3\xA9"}, texts);
  const auto stops = [&](std::vector<int64_t> ids) { return stop(ids); };
  EXPECT_TRUE(stops({2}));
  EXPECT_TRUE(stops({3}));           // in the middle of one
  EXPECT_TRUE(stops({0, 1}));        // across two
  EXPECT_TRUE(stops({3, 4, 7, 1}));  // across three
  EXPECT_TRUE(stops({4, 6}));        // ends inside the last
  EXPECT_TRUE(stops({8, 9}));        // a character across two
  EXPECT_TRUE(stops({0, 5, 1}));     // around an empty one
  EXPECT_FALSE(stops({2, 1}));       // ended before the last
  EXPECT_FALSE(stops({1, 0}));
  EXPECT_FALSE(stops({2, 5}));
  EXPECT_FALSE(stops({4}));
  EXPECT_FALSE(stops({8}));
  EXPECT_FALSE(stops({0, 77, 1, -1}));
}

TEST(StoppingCriteria, StopStringsNeedTexts) {
  GenerationConfig config;
  config.stop_strings = "x";
  EXPECT_ERROR(ErrorCode::invalid_argument,
               "they need the tokenizer, which token ids alone do not bring (stop_strings)",
               get_stopping_criteria(config, 4));
}

}  // namespace
}  // namespace transformers
