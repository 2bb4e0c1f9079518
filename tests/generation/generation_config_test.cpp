// Where the values of a GenerationConfig come from, and which are refused.
#include "transformers/generation/generation_config.hpp"

#include <gtest/gtest.h>

#include "support.hpp"

namespace transformers {
namespace {

GenerationConfig of_files(std::map<std::string, std::string> files) {
  return GenerationConfig::from_files(*ModelFiles::from_memory(std::move(files)));
}

TEST(GenerationConfig, TheFileGoesBeforeConfigJson) {
  const GenerationConfig config =
      of_files({{"config.json", R"({"eos_token_id":9,"num_beams":4})"},
                {"generation_config.json", R"({"eos_token_id":[5,6],"top_k":null,"x":1})"}});
  EXPECT_EQ(config.eos_token_id, (std::vector<int64_t>{5, 6}));
  EXPECT_EQ(config.num_beams, std::nullopt);
}

TEST(GenerationConfig, ConfigJsonStandsInWithItsDecoders) {
  const GenerationConfig config = of_files(
      {{"config.json", R"({"eos_token_id":9,"early_stopping":true,"bos_token_id":0,"vocab_size":5,)"
                       R"("force_bos_token_to_be_generated":true,"text_config":{"eos_token_id":1,"top_k":3}})"}});
  EXPECT_EQ(config.eos_token_id, std::vector<int64_t>{9});
  EXPECT_EQ(config.top_k, 3);
  EXPECT_EQ(config.early_stopping, Value(true));
  EXPECT_EQ(config.forced_bos_token_id, 0);
}

TEST(GenerationConfig, CallsGoBeforeFilesAndFilesBeforeDefaults) {
  GenerationConfig file;
  file.top_p = 0.5;
  file.num_beams = 4;
  const GenerationConfig config = file.with(Value(Value::Object{{"num_beams", 2}, {"top_k", nullptr}}));
  EXPECT_EQ(config.top_p, 0.5);
  EXPECT_EQ(config.num_beams, 2);
  EXPECT_EQ(config.top_k, std::nullopt);
  EXPECT_EQ(config.repetition_penalty, 1.0);
  EXPECT_EQ(config.max_length, std::nullopt);
  EXPECT_EQ(file.with(Value()).top_k, 50);
  GenerationConfig call;
  call.max_new_tokens = 7;
  call.stop_strings = "x";
  EXPECT_EQ(file.with(call).max_new_tokens, 7);
  EXPECT_EQ(file.with(call).stop_strings, Value("x"));
  EXPECT_EQ(file.with(call).num_beams, 4);
}

TEST(GenerationConfig, WrongTypesAndNamesAreErrors) {
  EXPECT_ERROR(ErrorCode::invalid_argument, "\"top_k\": expected an integer, found \"many\" (generation_config.json)",
               of_files({{"generation_config.json", R"({"top_k":"many"})"}}));
  const Error unknown = test::error_of([] { GenerationConfig().with(Value(Value::Object{{"topk", 1}})); });
  EXPECT_TRUE(unknown.message().starts_with("unknown key \"topk\": expected one of \"max_length\"")) << unknown.what();
}

TEST(GenerationConfig, ImpossibleAndUnsupportedValuesAreNamed) {
  const auto refused = [](std::string_view json, const std::string& message,
                          ErrorCode code = ErrorCode::invalid_argument) {
    EXPECT_ERROR(code, message, GenerationConfig().with(parse_json(json, "x")).check(100));
  };
  EXPECT_NO_THROW(GenerationConfig().with(Value()).check(100));
  refused(R"({"eos_token_id":100})", "expected token ids between 0 and 99, found 100 (eos_token_id)");
  refused(R"({"eos_token_id":[3,-1]})", "expected token ids between 0 and 99, found -1 (eos_token_id)");
  refused(R"({"pad_token_id":100})", "expected token ids between 0 and 99, found 100 (pad_token_id)");
  refused(R"({"forced_bos_token_id":-2})", "expected token ids between 0 and 99, found -2 (forced_bos_token_id)");
  refused(R"({"num_beams":2,"num_return_sequences":3})",
          "expected at most num_beams=2, found 3 (num_return_sequences)");
  refused(R"({"num_return_sequences":2})",
          "greedy search gives one sequence, not 2 (set do_sample, or num_beams to at least as many) "
          "(num_return_sequences)");
  refused(R"({"do_sample":true,"temperature":0})", "expected a number above 0, found 0.0 (temperature)");
  refused(R"({"do_sample":true,"top_p":1.5})", "expected a number above 0 and up to 1, found 1.5 (top_p)");
  refused(R"({"max_new_tokens":0})", "expected at least 1, found 0 (max_new_tokens)");
  refused(R"({"num_beams":0})", "expected at least 1, found 0 (num_beams)");
  refused(R"({"early_stopping":"soon"})", "expected true, false or \"never\", found \"soon\" (early_stopping)");
  refused(R"({"bad_words_ids":[[]]})", "expected lists of token ids, found \"[]\" (bad_words_ids)");
  refused(R"({"repetition_penalty":-1.0})", "expected a number above 0, found -1.0 (repetition_penalty)");
  refused(R"({"suppress_tokens":[4],"forced_eos_token_id":4})",
          "suppresses every forced_eos_token_id (suppress_tokens)");
  const ErrorCode unsupported = ErrorCode::unsupported;
  refused(R"({"num_beam_groups":2})", "num_beam_groups = 2 is not supported (num_beam_groups)", unsupported);
  refused(R"({"penalty_alpha":0.6})", "penalty_alpha = 0.6 is not supported (penalty_alpha)", unsupported);
  refused(R"({"dola_layers":"low"})", "dola_layers = \"low\" is not supported (dola_layers)", unsupported);
  refused(R"({"guidance_scale":1.5})", "guidance_scale = 1.5 is not supported (guidance_scale)", unsupported);
  refused(R"({"cache_implementation":"quantized"})",
          "cache_implementation = \"quantized\" is not supported (cache_implementation)", unsupported);
  EXPECT_NO_THROW(GenerationConfig()
                      .with(parse_json(R"({"cache_implementation":"hybrid","num_beam_groups":1,"temperature":0,)"
                                       R"("guidance_scale":1.0,"pad_token_id":-1})",
                                       "x"))
                      .check(100));
}

}  // namespace
}  // namespace transformers
