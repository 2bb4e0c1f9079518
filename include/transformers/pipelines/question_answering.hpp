// What it is: extractive question answering: a question and a context in, the spans of the context that answer it out.
// Where it stands: pipelines; one line in tasks.def registers it.
// Usage:
//   QuestionAnswering ask({.model = "distilbert-base-cased-distilled-squad"});
//   QuestionAnswer a = ask("Where does Ada live?", "Ada lives in London.")[0];   // a.answer "London", a.start 13
// Source: transformers/pipelines/question_answering.py (4.57.6: 5.3 removed it).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "transformers/pipelines/encoder_pipeline.hpp"

namespace transformers {

struct QuestionContext {
  std::string question, context;
};

struct QuestionAnswer {
  float score = 0;             // of one answer found in several windows the sum: it may exceed 1
  int64_t start = 0, end = 0;  // code points of the context
  std::string answer;          // "" where there is none (handle_impossible_answer)
};

struct TCPP_API QuestionAnsweringOptions {
  int64_t top_k = 1;                        // answers, best first; fewer where the context has no more
  std::optional<int64_t> doc_stride = {};   // tokens that two windows share; unset: half a window, at most 128
  int64_t max_answer_len = 15;              // tokens
  std::optional<int64_t> max_seq_len = {};  // tokens of a window, question included; unset: the model's, at most 384
  int64_t max_question_len = 64;            // of no effect, as in Hugging Face with its fast tokenizers
  bool handle_impossible_answer = false;    // "" is an answer too
  bool align_to_words = true;               // answers begin and end with whole words
  // Padding is not computed; on the left it moves positions, as in Hugging Face.
  PaddingStrategy padding = PaddingStrategy::do_not_pad;
  CallControl control = {};

  void fields(FieldVisitor& f);
};

class TCPP_API QuestionAnswering final : public EncoderPipeline {
 public:
  using Options = QuestionAnsweringOptions;
  static constexpr Head kHead = Head::question_answering;
  static constexpr InputName kInputs[] = {{"question"}, {"context"}};

  explicit QuestionAnswering(const PipelineOptions& options = {});

  // Answers, best first. Error(invalid_argument) where question or context is empty.
  std::vector<QuestionAnswer> operator()(std::string_view question, std::string_view context,
                                         const Options& options = {}) const;
  // Several questions on one context.
  std::vector<std::vector<QuestionAnswer>> operator()(std::span<const std::string> questions, std::string_view context,
                                                      const Options& options = {}) const;
  std::vector<std::vector<QuestionAnswer>> operator()(std::span<const QuestionContext> inputs,
                                                      const Options& options = {}) const;

  std::string_view task() const noexcept override;
  std::vector<FieldInfo> options() const override { return list_fields(Options{}); }
  // An input is {"question", "context"}; of lists in place of texts it is several, and its answer the list of theirs.
  // {"score", "start", "end", "answer"}, or a list of them unless there is just one.
  std::vector<Value> run(std::span<const Value> inputs, const Value& options = {},
                         const CallControl& control = {}) const override;
  using Pipeline::run;
};

}  // namespace transformers
