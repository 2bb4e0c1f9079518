// Question answering: the typed API, batches, windows, lists of questions, both sides of padding, and wrong options.
// Answers are compared with Hugging Face's in pipelines_reference_test.cpp.
#include "transformers/pipelines/question_answering.hpp"

#include <gtest/gtest.h>

#include "support.hpp"

namespace transformers {
namespace {

const std::string kModel = std::string(TCPP_TEST_DATA) + "/pipelines/qa-bert";
const std::string kContext =
    "Sarah Connor trained a small model on her laptop for thirty seven hours. She said the model was Small, but nobody "
    "at the Headquarters of the U.N. knows why it was trained on a laptop at all.";

TEST(QuestionAnswering, BatchesGiveTheAnswersOfEachAlone) {
  const QuestionAnswering ask({.model = kModel});
  const QuestionAnswering::Options options{.top_k = 4, .max_seq_len = 40};
  std::vector<QuestionContext> inputs;
  for (std::size_t i = 0; i < 90; ++i) inputs.push_back({kContext.substr(i % 5, 4 + i % 9), kContext.substr(i % 50)});
  const auto together = ask(inputs, options);
  for (std::size_t i = 0; i < inputs.size(); i += 7) {
    const auto alone = ask(inputs[i].question, inputs[i].context, options);
    ASSERT_EQ(alone.size(), together[i].size());
    for (std::size_t k = 0; k < alone.size(); ++k) {
      EXPECT_EQ(alone[k].answer, together[i][k].answer);
      EXPECT_EQ(alone[k].score, together[i][k].score);
    }
  }
  const std::vector<std::string> questions{"Who?", "Why?"};
  EXPECT_EQ(ask(std::span<const std::string>(questions), kContext)[1].at(0).answer, ask("Why?", kContext)[0].answer);
}

TEST(QuestionAnswering, AnAnswerIsWhatStandsThere) {
  const QuestionAnswering ask({.model = kModel});
  const std::string context = "caf\xC3\xA9 \xF0\x9F\x98\x80 \xE4\xB8\xAD\xE6\x96\x87, Sarah";
  for (const QuestionAnswer& a : ask("Who?", context, {.top_k = 5})) {
    std::size_t at = context.find(a.answer);
    ASSERT_NE(at, std::string::npos);
    EXPECT_EQ(a.end - a.start, static_cast<int64_t>(std::count_if(a.answer.begin(), a.answer.end(),
                                                                  [](char c) { return (c & 0xC0) != 0x80; })));
  }
}

TEST(QuestionAnswering, MoreAnswersThanThereAreSpans) {
  const QuestionAnswering ask({.model = kModel});
  const auto answers = ask("a", "b c", {.top_k = 1000000});
  EXPECT_GE(answers.size(), 3u);
  EXPECT_LE(answers.size(), 6u);
  for (std::size_t i = 1; i < answers.size(); ++i) EXPECT_GE(answers[i - 1].score, answers[i].score);
  EXPECT_EQ(ask("a", "b c", {.top_k = 1000000, .handle_impossible_answer = true}).size(), answers.size() + 1);
}

// The context comes first, and still it is the context that is answered from.
TEST(QuestionAnswering, PaddingOnTheLeft) {
  const QuestionAnswering ask({.model = kModel, .tokenizer = {.padding_side = Side::left}});
  for (const QuestionAnswer& a : ask("who knows", "Sarah Connor knows.", {.top_k = 5})) {
    EXPECT_EQ(std::string("Sarah Connor knows.")
                  .substr(static_cast<std::size_t>(a.start), static_cast<std::size_t>(a.end - a.start)),
              a.answer);
  }
}

TEST(QuestionAnswering, ListsOfQuestions) {
  const QuestionAnswering ask({.model = kModel});
  const auto run = [&](Value question, Value context) {
    return ask.run({Value::Object{{"question", std::move(question)}, {"context", std::move(context)}}});
  };
  const Value one = run("Who?", kContext)[0];
  EXPECT_TRUE(one.is_object());
  EXPECT_EQ(run(Value::Array{"Who?"}, kContext)[0], one);
  EXPECT_EQ(run(Value::Array{"Who?", "Why?"}, kContext)[0].as_array().at(0), one);
  EXPECT_EQ(run(Value::Array{}, kContext)[0], Value(Value::Array{}));
  EXPECT_ERROR(ErrorCode::invalid_argument, "as many contexts as questions are needed, or one (input)",
               run(Value::Array{"a", "b"}, Value::Array{"c"}));
  EXPECT_TRUE(ask.run(std::span<const Value>{}).empty());
}

TEST(QuestionAnswering, WrongInputsAndOptionsAreNamed) {
  const QuestionAnswering ask({.model = kModel});
  EXPECT_ERROR(ErrorCode::invalid_argument, "must not be empty (question)", ask("", "b"));
  EXPECT_ERROR(ErrorCode::invalid_argument, "must not be empty (context)", ask("a", ""));
  EXPECT_ERROR(ErrorCode::invalid_argument, "expected 1 or more, found 0 (top_k)", ask("a", "b", {.top_k = 0}));
  EXPECT_ERROR(ErrorCode::invalid_argument, "doc_stride 9 is more than max_seq_len 8",
               ask("a", "b", {.doc_stride = 9, .max_seq_len = 8}));
  std::string text;
  for (int i = 0; i < 90; ++i) text += "a ";
  EXPECT_ERROR(ErrorCode::limit, "80 tokens, model maximum is 64 (max_seq_len is more)",
               ask("a", text, {.max_seq_len = 80}));
  EXPECT_ERROR(ErrorCode::invalid_argument, "expected an object {\"question\", \"context\"}, found string (input)",
               ask.run({"a"}));
  EXPECT_ERROR(ErrorCode::invalid_argument, "unknown member \"q\" (known: question, context) (input)",
               ask.run({Value::Object{{"q", "a"}, {"context", "b"}}}));
  const std::string unknown =
      test::error_of([&] {
        ask.run({Value::Object{{"question", "a"}, {"context", "b"}}}, Value::Object{{"topk", 2}});
      }).what();
  for (const char* name : {"topk", "top_k", "doc_stride", "handle_impossible_answer", "align_to_words"}) {
    EXPECT_NE(unknown.find(name), std::string::npos) << unknown;
  }
}

}  // namespace
}  // namespace transformers
