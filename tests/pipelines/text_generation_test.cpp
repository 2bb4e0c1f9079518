// Text generation: what goes before what among options, texts and chats, stop strings, streaming, and errors.
#include "transformers/pipelines/text_generation.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "support.hpp"
#include "transformers/base/platform.hpp"
#include "transformers/generation/generate.hpp"

namespace transformers {
namespace {

// The tiny GPT-2 of the tests with a tokenizer of 67 words, w0 ... w66.
std::map<std::string, std::string> files_of(const std::string& generation_config) {
  const std::string directory = std::string(TCPP_TEST_DATA) + "/models/gpt2/lm/";
  std::string vocab;
  for (int i = 0; i < 67; ++i) vocab += (i == 0 ? "\"w" : ",\"w") + std::to_string(i) + "\":" + std::to_string(i);
  return {{"config.json", read_file(directory + "config.json")},
          {"model.safetensors", read_file(directory + "model.safetensors")},
          {"generation_config.json", generation_config},
          {"tokenizer.json", R"({"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,)"
                             R"("pre_tokenizer":{"type":"WhitespaceSplit"},"post_processor":null,"decoder":null,)"
                             R"("model":{"type":"WordLevel","unk_token":"w0","vocab":{)" +
                                 vocab + "}}}"},
          {"tokenizer_config.json",
           R"({"tokenizer_class":"PreTrainedTokenizerFast","unk_token":"w0","chat_template":)"
           R"("{% for m in messages %}{{ m.content }} {% endfor %}{% if add_generation_prompt %}w7{% endif %}"})"}};
}

TextGeneration make(const std::string& generation_config = "{}") {
  return TextGeneration({.files = ModelFiles::from_memory(files_of(generation_config))});
}

Value options(std::vector<Value::Member> members) { return Value::Object(std::move(members)); }

std::string text_of(const Value& answer) { return answer.as_array().at(0).at("generated_text").as_string(); }

std::size_t words(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), 'w'));
}

TEST(TextGeneration, GoesOnFromThePromptAsGenerateDoes) {
  const TextGeneration generate = make();
  GenerationRequest request;
  request.input_ids = {3, 4, 5};
  request.config = GenerationConfig().with({.max_new_tokens = 6});
  const std::vector<int64_t> ids = transformers::generate(generate.model(), {request})[0].sequences.at(0).ids;
  const std::vector<int32_t> made(ids.begin() + 3, ids.end());
  const std::string text = generate.tokenizer().decode(made);
  const Value greedy = options({{"max_new_tokens", 6}, {"do_sample", false}});
  EXPECT_EQ(text_of(generate.run({"w3 w4 w5"}, greedy)[0]), "w3 w4 w5" + text);
  EXPECT_EQ(generate("w3 w4 w5", {.generation = {.max_new_tokens = 6, .do_sample = false}}).at(0).text, text);
  EXPECT_EQ(text_of(generate.run(
                {"w3 w4 w5"}, options({{"max_new_tokens", 6}, {"do_sample", false}, {"return_full_text", false}}))[0]),
            text);
  const Value tensors =
      generate.run({"w3 w4 w5"}, options({{"max_new_tokens", 6}, {"do_sample", false}, {"return_tensors", true}}))[0];
  EXPECT_EQ(tensors.as_array()[0].at("generated_token_ids"), Value(Value::Array(ids.begin(), ids.end())));
}

TEST(TextGeneration, CallsGoBeforeTheFileAndThatBeforeTheTasksDefaults) {
  const TextGeneration file = make(R"({"max_new_tokens":4,"do_sample":false})");
  EXPECT_EQ(words(text_of(file.run({"w3"})[0])), 5u);
  EXPECT_EQ(words(text_of(file.run({"w3"}, options({{"max_new_tokens", 2}}))[0])), 3u);
  EXPECT_EQ(text_of(file.run({"w3"})[0]), text_of(file.run({"w3"})[0]));
  // max_length takes the default of 256 new tokens away. Without a word about it, sampling.
  const TextGeneration bare = make();
  EXPECT_EQ(words(text_of(bare.run({"w3 w4"}, options({{"max_length", 7}, {"do_sample", false}}))[0])), 7u);
  const Value sampled = options({{"max_length", 30}, {"temperature", 5.0}, {"seed", 1}});
  EXPECT_EQ(text_of(bare.run({"w3"}, sampled)[0]), text_of(bare.run({"w3"}, sampled)[0]));
  EXPECT_NE(text_of(bare.run({"w3"}, sampled)[0]),
            text_of(bare.run({"w3"}, options({{"max_length", 30}, {"temperature", 5.0}, {"seed", 2}}))[0]));
  EXPECT_EQ(bare.run({"w3"}, options({{"max_length", 9}, {"num_return_sequences", 3}}))[0].as_array().size(), 3u);
}

TEST(TextGeneration, ChatsAreAnsweredAndLastMessagesContinued) {
  const TextGeneration generate = make(R"({"max_new_tokens":5,"do_sample":false})");
  const auto message = [](const char* role, const char* content) {
    return Value(Value::Object{{"role", role}, {"content", content}});
  };
  const Value::Array asked{message("user", "w3 w4")};
  const Value answer = generate.run({Value(asked)})[0].as_array()[0].at("generated_text");
  ASSERT_EQ(answer.as_array().size(), 2u);
  EXPECT_EQ(answer.as_array()[1].at("role").as_string(), "assistant");
  EXPECT_EQ("w3 w4 w7" + answer.as_array()[1].at("content").as_string(), text_of(generate.run({"w3 w4 w7"})[0]));
  EXPECT_EQ(generate(Messages{{"user", "w3 w4"}}).at(0).text, answer.as_array()[1].at("content").as_string());
  const Value::Array begun{message("user", "w3"), message("assistant", "w5")};
  const Value continued = generate.run({Value(begun)})[0].as_array()[0].at("generated_text");
  ASSERT_EQ(continued.as_array().size(), 2u);
  EXPECT_TRUE(continued.as_array()[1].at("content").as_string().starts_with("w5"));
  EXPECT_GT(continued.as_array()[1].at("content").as_string().size(), 2u);
}

TEST(TextGeneration, StreamsWhatItReturns) {
  const TextGeneration generate = make(R"({"max_new_tokens":8,"do_sample":false})");
  std::string streamed;
  TextGenerationOptions watched;
  watched.on_text = [&](std::string_view piece) {
    streamed += piece;
    return true;
  };
  EXPECT_EQ(generate("w3 w4", watched).at(0).text, streamed);
  EXPECT_EQ(words(streamed), 8u);
}

TEST(TextGeneration, WrongOptionsAreNamed) {
  const TextGeneration generate = make();
  const Error unknown = test::error_of([&] { generate.run({"w3"}, options({{"max_token", 3}})); });
  EXPECT_TRUE(unknown.message().starts_with("unknown key \"max_token\"")) << unknown.what();
  EXPECT_ERROR(ErrorCode::unsupported, "penalty_alpha = 0.5 is not supported (penalty_alpha)",
               generate.run({"w3"}, options({{"penalty_alpha", 0.5}})));
  EXPECT_ERROR(ErrorCode::invalid_argument, "an empty prompt needs a bos_token_id to start from (input_ids)",
               generate.run({""}, options({{"bos_token_id", nullptr}})));
  EXPECT_TRUE(generate.run(std::span<const Value>{}).empty());
}

TEST(TextGeneration, ConstraintsAreKept) {
  const TextGeneration generate = make(R"({"max_new_tokens":9,"do_sample":true,"temperature":3.0,"eos_token_id":5})");
  for (int64_t seed = 0; seed < 8; ++seed) {
    const Value answer =
        generate.run({"w3 w4"}, options({{"regex", "( w1| w22){3}"}, {"return_full_text", false}, {"seed", seed}}))[0];
    std::string text = " " + text_of(answer);
    ASSERT_TRUE(text.ends_with(" w5")) << text;
    text.resize(text.size() - 3);
    std::size_t count = 0;
    for (std::size_t at = 0; at < text.size(); ++count) {
      const std::size_t length = text.compare(at, 4, " w22") == 0 ? 4 : 3;
      ASSERT_TRUE(length == 4 || text.compare(at, 3, " w1") == 0) << text;
      at += length;
    }
    EXPECT_EQ(count, 3u);
  }
  EXPECT_ERROR(ErrorCode::unsupported, "\"not\" is not supported (json_schema: #)",
               generate.run({"w3"}, options({{"json_schema", R"({"not": true})"}})));
  EXPECT_ERROR(ErrorCode::invalid_argument, "no text satisfies it that the tokens of this model can write (constraint)",
               generate.run({"w3"}, options({{"json_schema", R"({"type": "boolean"})"}})));
}

}  // namespace
}  // namespace transformers
