// Implements pipelines/question_answering.hpp.
#include "transformers/pipelines/question_answering.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "code_points.hpp"
#include "tokenizers/python_text.hpp"
#include "transformers/base/error.hpp"
#include "transformers/base/parallel.hpp"
#include "transformers/kernels/kernels.hpp"

namespace transformers {
namespace {

constexpr std::string_view kPaddings[] = {"do_not_pad", "longest", "max_length"};

constexpr float kImpossible = -10000;  // the logit of a token that cannot be an answer's end

struct Span {
  std::size_t start, end;  // tokens of a window, both included
  float score;
};

// The `count` best pairs of start <= end < start + longest by the product of their probabilities; of equal ones those
// with the earlier start, then the earlier end. Where there are not enough with a score above 0, others follow, in this
// order too, and what Hugging Face takes of them depends on the processor.
std::vector<Span> best_spans(std::span<const float> start, std::span<const float> end, std::size_t count,
                             std::size_t longest) {
  const std::size_t n = start.size();
  std::vector<Span> spans;
  const auto better = [](const Span& a, const Span& b) {
    return a.score != b.score ? a.score > b.score : std::pair(a.start, a.end) < std::pair(b.start, b.end);
  };
  for (std::size_t s = 0; s < n; ++s) {
    if (start[s] == 0) continue;
    for (std::size_t e = s; e < n && e - s < longest; ++e) {
      const float score = start[s] * end[e];
      if (score == 0) continue;
      if (spans.size() == count && !better({s, e, score}, spans.front())) continue;
      if (spans.size() == count) {
        std::pop_heap(spans.begin(), spans.end(), better);  // the worst goes
        spans.pop_back();
      }
      spans.push_back({s, e, score});
      std::push_heap(spans.begin(), spans.end(), better);
    }
  }
  std::sort(spans.begin(), spans.end(), better);
  for (std::size_t s = 0; s < n && spans.size() < count; ++s) {
    for (std::size_t e = 0; e < n && spans.size() < count; ++e) {
      const bool scored = e >= s && e - s < longest && start[s] * end[e] > 0;
      if (!scored) spans.push_back({s, e, 0});
    }
  }
  return spans;
}

// The first and the last token of word `word` of text `sequence`, or none.
std::optional<std::pair<std::size_t, std::size_t>> tokens_of(const Encoding& window, int32_t word, int32_t sequence) {
  std::optional<std::pair<std::size_t, std::size_t>> found;
  for (std::size_t t = 0; t < window.size(); ++t) {
    if (window.sequence_ids[t] != sequence || window.word_ids[t] != word) continue;
    if (!found) found.emplace(t, t);
    found->second = t;
  }
  return found;
}

// Where the answer from token `start` to token `end` stands in the context.
std::pair<int64_t, int64_t> characters(const Encoding& window, const Span& span, int32_t sequence,
                                       bool align_to_words) {
  if (align_to_words && window.word_ids[span.start] >= 0 && window.word_ids[span.end] >= 0) {
    const auto first = tokens_of(window, window.word_ids[span.start], sequence);
    const auto last = tokens_of(window, window.word_ids[span.end], sequence);
    if (first && last) return {window.offsets[first->first].first, window.offsets[last->second].second};
  }
  return {window.offsets[span.start].first, window.offsets[span.end].second};
}

// What has been found in the windows of one context so far.
class Answers {
 public:
  explicit Answers(std::string_view context) : context_(context) {}

  // start, end [tokens]: the logits of a window, overwritten. may_answer: which tokens can be an answer's ends.
  void add(const Encoding& window, std::span<float> start, std::span<float> end, const std::vector<bool>& may_answer,
           int32_t sequence, const QuestionAnswering::Options& options) {
    softmax(start.data(), 1, static_cast<int64_t>(start.size()));
    softmax(end.data(), 1, static_cast<int64_t>(end.size()));
    null_score_ = std::min(null_score_, start[0] * end[0]);
    start[0] = end[0] = 0;  // [CLS]
    const auto top_k = static_cast<std::size_t>(options.top_k);
    // Some that share a word become one.
    const std::size_t wanted = options.align_to_words ? (top_k > SIZE_MAX / 4 ? top_k : 2 * top_k + 10) : top_k;
    const std::size_t count = std::min(wanted, start.size() * start.size());
    const bool any = std::find(may_answer.begin(), may_answer.end(), true) != may_answer.end();
    const auto allowed = [&](std::size_t t) { return may_answer[t] || (t == 0 && any); };
    for (const Span& span : best_spans(start, end, count, static_cast<std::size_t>(options.max_answer_len))) {
      if (!allowed(span.start) || !allowed(span.end)) continue;
      const auto [from, to] = characters(window, span, sequence, options.align_to_words);
      std::string answer(context_.slice(from, to));
      const auto [place, is_new] = by_text_.try_emplace(python::lower(answer), found_.size());
      if (is_new) {
        found_.push_back({0, from, to, std::move(answer)});
        scores_.push_back(0);
      }
      scores_[place->second] += static_cast<double>(span.score);
    }
  }

  std::vector<QuestionAnswer> best(const QuestionAnswering::Options& options) && {
    for (std::size_t i = 0; i < found_.size(); ++i) found_[i].score = static_cast<float>(scores_[i]);
    if (options.handle_impossible_answer) found_.push_back({null_score_, 0, 0, ""});
    std::stable_sort(found_.begin(), found_.end(),
                     [](const QuestionAnswer& a, const QuestionAnswer& b) { return a.score > b.score; });
    if (static_cast<std::size_t>(options.top_k) < found_.size()) found_.resize(static_cast<std::size_t>(options.top_k));
    return std::move(found_);
  }

 private:
  CodePoints context_;
  std::vector<QuestionAnswer> found_;
  std::vector<double> scores_;
  std::map<std::string, std::size_t> by_text_;  // in lower case
  float null_score_ = 1000000;
};

void check_options(const QuestionAnswering::Options& options) {
  const auto at_least = [](std::string_view name, int64_t value, int64_t low) {
    if (value >= low) return;
    throw Error(ErrorCode::invalid_argument,
                "expected " + std::to_string(low) + " or more, found " + std::to_string(value), std::string(name));
  };
  at_least("top_k", options.top_k, 1);
  at_least("max_answer_len", options.max_answer_len, 1);
  at_least("max_seq_len", options.max_seq_len.value_or(1), 1);
  at_least("doc_stride", options.doc_stride.value_or(0), 0);
}

}  // namespace

void QuestionAnsweringOptions::fields(FieldVisitor& f) {
  f("top_k", top_k, "answers to return, best first");
  f("doc_stride", doc_stride, "tokens that windows over a long context share; none: half a window, at most 128");
  f("max_answer_len", max_answer_len, "tokens an answer may have");
  f("max_seq_len", max_seq_len, "tokens of a window, the question included; none: the model's, at most 384");
  f("max_question_len", max_question_len, "of no effect, as in Hugging Face with its fast tokenizers");
  f("handle_impossible_answer", handle_impossible_answer, "let there be no answer, with a score of its own");
  f("align_to_words", align_to_words, "answers begin and end with whole words");
  f.choice("padding", padding, kPaddings, "of a window; changes answers only where it goes to the left");
}

QuestionAnswering::QuestionAnswering(const PipelineOptions& options)
    : EncoderPipeline(find_task("question-answering"), kHead, options) {}

std::string_view QuestionAnswering::task() const noexcept { return "question-answering"; }

std::vector<std::vector<QuestionAnswer>> QuestionAnswering::operator()(std::span<const QuestionContext> inputs,
                                                                       const Options& options) const {
  check_options(options);
  const int64_t max_seq_len = options.max_seq_len.value_or(std::min<int64_t>(max_length(), 384));
  const int64_t doc_stride = options.doc_stride.value_or(std::min<int64_t>(max_seq_len / 2, 128));
  if (doc_stride > max_seq_len) {
    throw Error(ErrorCode::invalid_argument, "doc_stride " + std::to_string(doc_stride) + " is more than max_seq_len " +
                                                 std::to_string(max_seq_len));
  }
  if (options.padding == PaddingStrategy::max_length && max_seq_len > model().longest_sequence()) {
    throw Error(ErrorCode::limit,
                "cannot pad to " + std::to_string(max_seq_len) + " tokens, model maximum is " +
                    std::to_string(model().longest_sequence()),
                "max_seq_len");
  }
  for (const QuestionContext& input : inputs) {
    check_argument(!input.question.empty(), "must not be empty", "question");
    check_argument(!input.context.empty(), "must not be empty", "context");
  }
  // Where padding goes to the left, Hugging Face puts the context first.
  const bool question_first = tokenizer().padding_side() == Side::right;
  const int32_t context_sequence = question_first ? 1 : 0;
  EncodeOptions encode;
  encode.truncation = question_first ? TruncationStrategy::only_second : TruncationStrategy::only_first;
  encode.max_length = max_seq_len;
  encode.stride = doc_stride;
  encode.return_overflowing = true;
  encode.padding = options.padding;
  std::vector<Encoding> encodings(inputs.size());
  parallel_for(static_cast<int64_t>(inputs.size()), [&](int64_t i) {
    const auto& [question, context] = inputs[static_cast<std::size_t>(i)];
    encodings[static_cast<std::size_t>(i)] = question_first ? tokenizer().encode_pair(question, context, encode)
                                                            : tokenizer().encode_pair(context, question, encode);
  });
  check_lengths(encodings, " (max_seq_len is more)");
  const Windows windows = Windows::of(std::move(encodings));

  std::vector<Answers> answers;
  answers.reserve(inputs.size());
  for (const QuestionContext& input : inputs) answers.emplace_back(input.context);
  for_each_batch(windows, options.control, [&](Which which, const Batch& batch, const ModelOutput& output) {
    for (int64_t i = 0; i < batch.batch_size(); ++i) {
      const Encoding& window = windows.encodings[which[static_cast<std::size_t>(i)]];
      const std::span<const float> start_logits = output.start_logits->sequence(batch, i);
      const std::span<const float> end_logits = output.end_logits->sequence(batch, i);
      if (window.size() == 0) continue;
      // What may not be an answer counts for nothing. [CLS] may: some models point there when there is none.
      std::vector<float> start(window.size(), kImpossible), end(window.size(), kImpossible);
      std::vector<bool> may_answer(window.size());
      for (std::size_t t = 0, row = 0; t < window.size(); ++t) {
        if (window.attention_mask[t] == 0) continue;  // padding has no row
        may_answer[t] = window.sequence_ids[t] == context_sequence || tokenizer().cls_token_id() == window.ids[t];
        if (may_answer[t]) {
          start[t] = start_logits[row];
          end[t] = end_logits[row];
        }
        if (std::isnan(start[t]) || std::isnan(end[t])) {
          throw Error(ErrorCode::invalid_argument, "the model's logits are not numbers", model().config().where);
        }
        ++row;
      }
      answers[windows.input[which[static_cast<std::size_t>(i)]]].add(window, start, end, may_answer, context_sequence,
                                                                     options);
    }
  });
  std::vector<std::vector<QuestionAnswer>> results;
  results.reserve(inputs.size());
  for (Answers& found : answers) results.push_back(std::move(found).best(options));
  return results;
}

std::vector<QuestionAnswer> QuestionAnswering::operator()(std::string_view question, std::string_view context,
                                                          const Options& options) const {
  const QuestionContext input{std::string(question), std::string(context)};
  return std::move((*this)(std::span<const QuestionContext>(&input, 1), options).front());
}

std::vector<std::vector<QuestionAnswer>> QuestionAnswering::operator()(std::span<const std::string> questions,
                                                                       std::string_view context,
                                                                       const Options& options) const {
  std::vector<QuestionContext> inputs;
  inputs.reserve(questions.size());
  for (const std::string& question : questions) inputs.push_back({question, std::string(context)});
  return (*this)(std::span<const QuestionContext>(inputs), options);
}

std::vector<Value> QuestionAnswering::run(std::span<const Value> inputs, const Value& options,
                                          const CallControl& control) const {
  Options typed;
  read_options(typed, options);
  typed.control = control;
  std::vector<QuestionContext> all;
  std::vector<std::optional<std::size_t>> counts;  // questions of each input that is several
  for (const Value& input : inputs) {
    if (!input.is_object()) {
      throw Error(ErrorCode::invalid_argument,
                  "expected an object {\"question\", \"context\"}, found " + std::string(input.type_name()), "input");
    }
    for (const auto& [key, value] : input.as_object()) {
      if (key == "question" || key == "context") continue;
      throw Error(ErrorCode::invalid_argument, "unknown member " + quote(key) + " (known: question, context)", "input");
    }
    check_argument(input.find("question") != nullptr && input.find("context") != nullptr,
                   "both question and context are needed", "input");
    const Value &question = input.at("question"), &context = input.at("context");
    if (!question.is_array()) {
      counts.emplace_back();
      all.push_back({question.as_string(), context.as_string()});
      continue;
    }
    const Value::Array& questions = question.as_array();
    check_argument(!context.is_array() || context.as_array().size() == questions.size(),
                   "as many contexts as questions are needed, or one", "input");
    // As in Hugging Face a list of one question is that question.
    counts.push_back(questions.size() == 1 ? std::nullopt : std::optional(questions.size()));
    for (std::size_t i = 0; i < questions.size(); ++i) {
      all.push_back({questions[i].as_string(), (context.is_array() ? context.as_array()[i] : context).as_string()});
    }
  }
  Value::Array each;
  for (const std::vector<QuestionAnswer>& found : (*this)(std::span<const QuestionContext>(all), typed)) {
    Value::Array list;
    for (const QuestionAnswer& a : found) {
      list.push_back(Value::Object{{"score", a.score}, {"start", a.start}, {"end", a.end}, {"answer", a.answer}});
    }
    each.push_back(list.size() == 1 ? std::move(list.front()) : Value(std::move(list)));
  }
  std::vector<Value> answers;
  auto next = each.begin();
  for (const auto& count : counts) {
    if (!count) {
      answers.push_back(std::move(*next++));
      continue;
    }
    const auto end = next + static_cast<std::ptrdiff_t>(*count);
    answers.emplace_back(Value::Array(std::make_move_iterator(next), std::make_move_iterator(end)));
    next = end;
  }
  return answers;
}

}  // namespace transformers
