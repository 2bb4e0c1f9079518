// The tasks of encoder-decoders: what Hugging Face's pipelines returned on tiny models of several families, with every
// option (tests/data/seq2seq-pipelines/, made by tests/reference/make_seq2seq_pipelines.py); sentences; errors.
#include "transformers/pipelines/text2text_generation.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "pipelines/sentences.hpp"
#include "support.hpp"
#include "transformers/base/platform.hpp"

namespace transformers {
namespace {

namespace fs = std::filesystem;

const fs::path kCases = fs::path(TCPP_TEST_DATA) / "seq2seq-pipelines";

std::vector<fs::path> case_directories() {
  std::vector<fs::path> out;
  for (const auto& entry : fs::directory_iterator(kCases)) out.push_back(entry.path());
  std::sort(out.begin(), out.end());
  return out;
}

class Text2TextReference : public ::testing::TestWithParam<fs::path> {};

TEST_P(Text2TextReference, EveryCall) {
  const Value file = parse_json(read_file(GetParam() / "calls.json"), "calls.json");
  std::map<std::string, std::unique_ptr<Pipeline>> pipes;
  int compared = 0;
  for (const Value& call : file.at("calls").as_array()) {
    const std::string task = call.at("task").as_string();
    SCOPED_TRACE(task + " " + to_json(call.at("input")).substr(0, 60) + " " + to_json(call.at("options")));
    auto& pipe = pipes[task];
    if (!pipe) pipe = pipeline(task, {.model = GetParam().string()});
    const Value& input = call.at("input");
    const std::vector<Value> inputs = input.is_array() ? input.as_array() : std::vector<Value>{input};
    ++compared;
    if (call.find("error") != nullptr) {
      EXPECT_THROW(pipe->run(inputs, call.at("options")), Error) << to_json(call.at("error"));
      continue;
    }
    std::vector<Value> answers = pipe->run(inputs, call.at("options"));
    // Of several texts with one answer each, Hugging Face returns the answers bare.
    const bool bare = input.is_array() && call.at("want").as_array().front().is_object();
    if (bare) {
      for (Value& answer : answers) answer = Value(answer.as_array().at(0));
    }
    EXPECT_EQ(to_json(input.is_array() ? Value(answers) : answers.at(0)), to_json(call.at("want")));
  }
  EXPECT_GE(compared, 6);
}

INSTANTIATE_TEST_SUITE_P(Cases, Text2TextReference, ::testing::ValuesIn(case_directories()), [](const auto& param) {
  std::string name = param.param.filename().string();
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST(Text2TextGeneration, TypedCallsGiveWhatRunGives) {
  const Translation translate({.model = (kCases / "m2m_100").string()});
  const Value options = Value::Object{
      {"src_lang", "en"}, {"tgt_lang", "fr"}, {"max_new_tokens", 6}, {"num_return_sequences", 2}, {"num_beams", 3}};
  const Value want = translate.run({"The moon."}, options)[0];
  TranslationOptions typed;
  typed.src_lang = "en";
  typed.tgt_lang = "fr";
  typed.generation = {.max_new_tokens = 6, .num_beams = 3, .num_return_sequences = 2};
  const std::vector<GeneratedText> got = translate("The moon.", typed);
  ASSERT_EQ(got.size(), 2u);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(got[i].text, want.as_array()[i].at("translation_text").as_string());
    EXPECT_EQ(got[i].token_ids.front(), 2);
    EXPECT_EQ(got[i].token_ids[1], translate.tokenizer().language_id("fr"));
  }
  const Summarization summarize({.model = (kCases / "t5").string()});
  EXPECT_EQ(summarize.prefix(), "summarize: ");
  EXPECT_EQ(summarize("The moon.", {.generation = {.max_new_tokens = 5}})[0].text,
            summarize.run({"The moon."}, Value::Object{{"max_new_tokens", 5}})[0]
                .as_array()[0]
                .at("summary_text")
                .as_string());
}

TEST(Text2TextGeneration, TheBundledModelSaysALongTextInASentenceOfIt) {
  const std::string text =
      "The old lighthouse on the northern cape was built in 1874. Its lamp burned oil until 1926, when the keepers "
      "were given "
      "electric light. Since 1988 it has worked by itself, and nobody lives there any more.";
  const std::string summary = pipeline<Summarization>()(text)[0].text;
  EXPECT_GT(summary.size(), 20u);
  EXPECT_LT(summary.size(), text.size() / 2);
  std::istringstream words(summary);
  int known = 0, all = 0;
  for (std::string word; words >> word; ++all) {
    if (text.find(word.substr(0, word.find_first_of(".,"))) != std::string::npos) ++known;
  }
  EXPECT_GE(known * 10, all * 8) << summary;
  // text2text-generation has the same model, and it knows the prefix of T5.
  const std::string answer = pipeline<Text2TextGeneration>()("summarize: " + text)[0].text;
  EXPECT_GT(answer.size(), 20u);
  EXPECT_LT(answer.size(), text.size() / 2);
}

TEST(Text2TextGeneration, SentencesAreAnsweredOneByOneAndPutTogether) {
  const auto translate = pipeline("translation_en_to_fr", {.model = (kCases / "marian").string()});
  const auto text_of = [&](const char* text, bool split) {
    return translate->run({text}, Value::Object{{"max_new_tokens", 8}, {"split_sentences", split}})[0]
        .as_array()[0]
        .at("translation_text")
        .as_string();
  };
  EXPECT_EQ(
      text_of("The moon saw it. It was ugly!\n\nHe ran.", true),
      text_of("The moon saw it.", false) + " " + text_of("It was ugly!", false) + "\n\n" + text_of("He ran.", false));
  EXPECT_EQ(text_of("", true), text_of("", false));
}

TEST(Text2TextGeneration, CallsGoBeforeEverythingElse) {
  const auto run = [](const char* name, const Value& options) {
    const auto pipe = pipeline("summarization", {.model = (kCases / name).string()});
    return pipe->run({"The moon."}, options)[0].as_array()[0].at("summary_token_ids").as_array().size();
  };
  // max_length takes the default of 256 new tokens away, wherever the model's own length stands.
  const Value short_one = Value::Object{{"return_tensors", true}, {"max_length", 5}, {"min_length", 0}};
  EXPECT_LE(run("t5", short_one), 5u);
  EXPECT_LE(run("bart", short_one), 5u);
}

TEST(Text2TextGeneration, WrongCallsAreNamed) {
  const auto translate = pipeline("translation", {.model = (kCases / "m2m_100").string()});
  EXPECT_ERROR(ErrorCode::invalid_argument, "this model needs both languages, src_lang and tgt_lang (src_lang)",
               translate->run({"a"}));
  EXPECT_ERROR(ErrorCode::invalid_argument, "the tokenizer has no language \"klingon\"",
               translate->run({"a"}, Value::Object{{"src_lang", "en"}, {"tgt_lang", "klingon"}}));
  EXPECT_ERROR(ErrorCode::invalid_argument, "expected a text, found a integer (input)", translate->run({Value(3)}));
  const Error unknown = test::error_of([&] { translate->run({"a"}, Value::Object{{"target", "fr"}}); });
  EXPECT_TRUE(unknown.message().starts_with("unknown key \"target\"")) << unknown.what();
  EXPECT_ERROR(ErrorCode::invalid_argument, "unknown task \"translation_en\" (expected translation_XX_to_YY)",
               pipeline("translation_en"));
  const auto summarize = pipeline("summarization", {.model = (kCases / "bart").string()});
  EXPECT_THROW(summarize->run({"a"}, Value::Object{{"src_lang", "en"}}), Error);
  EXPECT_TRUE(summarize->run(std::span<const Value>{}).empty());
}

std::string joined(std::string_view text) {
  std::string out;
  std::string all;
  for (const Sentence& s : split_sentences(text)) {
    out += (out.empty() ? "" : "|") + std::string(s.text);
    all += std::string(s.text) + std::string(s.space);
  }
  EXPECT_EQ(all, text);
  return out;
}

TEST(Sentences, EndWhereTheyDo) {
  EXPECT_EQ(joined("One. Two? \"Three!\" Four"), "One.|Two?|\"Three!\"|Four");
  EXPECT_EQ(joined("Dr. No met J. Bond at 3.15 p.m. on May 5. It rained."),
            "Dr. No met J. Bond at 3.15 p.m. on May 5. It rained.");
  EXPECT_EQ(joined("He left at 1066. Then ..."), "He left at 1066.|Then ...");
  EXPECT_EQ(joined("so... what now? ok"), "so... what now? ok");
  EXPECT_EQ(joined("a line\n\n  another one \n"), "a line|another one");
  EXPECT_EQ(joined("\xE4\xBD\xA0\xE5\xA5\xBD\xE3\x80\x82\xE5\x86\x8D\xE8\xA7\x81\xEF\xBC\x81"),
            "\xE4\xBD\xA0\xE5\xA5\xBD\xE3\x80\x82|\xE5\x86\x8D\xE8\xA7\x81\xEF\xBC\x81");
  EXPECT_EQ(joined(""), "");
  EXPECT_EQ(joined(" \n x"), "x");
  EXPECT_EQ(joined("   "), "");
}

}  // namespace
}  // namespace transformers
