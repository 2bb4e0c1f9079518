// Implements pipelines/fill_mask.hpp.
#include "transformers/pipelines/fill_mask.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "transformers/base/error.hpp"
#include "transformers/kernels/kernels.hpp"

namespace transformers {
namespace {

constexpr int64_t kDefaultTopK = 5;

// Hugging Face's tokenizer_kwargs.
struct TokenizerKwargs {
  FillMaskOptions& options;
  void fields(FieldVisitor& f) {
    truncation_field(f, options.truncation);
    f("max_length", options.max_length);
  }
};

}  // namespace

void FillMaskOptions::fields(FieldVisitor& f) {
  f("top_k", top_k, "tokens for each mask, best first");
  f("targets", targets, "the tokens to choose among; none: all");
  truncation_field(f, truncation);
  f("max_length", max_length, "tokens to cut to, with truncation; none: the model's maximum");
  f("tokenizer_kwargs", tokenizer_kwargs, "truncation and max_length as an object");
}

FillMask::FillMask(const PipelineOptions& options) : EncoderPipeline(find_task("fill-mask"), kHead, options) {
  check_argument(tokenizer().mask_token_id().has_value(), "the tokenizer has no mask token", "fill-mask");
  mask_ = *tokenizer().mask_token_id();
}

std::string_view FillMask::task() const noexcept { return "fill-mask"; }

// As they stand in the vocabulary, else the first token of each.
std::vector<int32_t> FillMask::target_ids(const std::vector<std::string>& targets) const {
  std::vector<int32_t> ids;
  for (const std::string& target : targets) {
    if (const auto id = tokenizer().token_to_id(target)) {
      ids.push_back(*id);
      continue;
    }
    const Encoding pieces = tokenizer().encode(target, {.add_special_tokens = false, .ids_only = true});
    if (pieces.ids.empty()) {
      log(LogLevel::warning, "the target " + quote(target) + " is no token, and left out");
      continue;
    }
    const auto token = tokenizer().id_to_token(pieces.ids.front());
    log(LogLevel::warning,
        "the target " + quote(target) + " is no token: " + quote(token.value_or("")) + " stands for it");
    ids.push_back(pieces.ids.front());
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  check_argument(!ids.empty(), "at least one token is needed", "targets");
  if (ids.back() >= model().vocab_size()) {
    throw Error(ErrorCode::invalid_argument,
                "the id " + std::to_string(ids.back()) + " is beyond the model's vocabulary", "targets");
  }
  return ids;
}

// Ids without a token, which a model's padded vocabulary may have, stand for nothing.
std::string FillMask::decode(std::span<const int32_t> ids, bool skip_special_tokens) const {
  std::vector<int32_t> known;
  for (const int32_t id : ids) {
    if (tokenizer().id_to_token(id)) known.push_back(id);
  }
  return tokenizer().decode(known, {.skip_special_tokens = skip_special_tokens});
}

std::vector<std::vector<std::vector<MaskFill>>> FillMask::fill(std::span<const TextInput> inputs,
                                                               const Options& given) const {
  Options options = given;
  TokenizerKwargs kwargs{options};
  if (!given.tokenizer_kwargs.is_null()) {
    FieldReader reader(given.tokenizer_kwargs, "tokenizer_kwargs");
    kwargs.fields(reader);
    reader.reject_unknown();
  }
  std::vector<int32_t> targets;  // ids that may be chosen; empty: all
  if (options.targets) targets = target_ids(*options.targets);
  int64_t top_k = options.top_k.value_or(kDefaultTopK);
  if (!targets.empty()) top_k = std::min(top_k, static_cast<int64_t>(targets.size()));
  if (top_k < 0 || top_k > model().vocab_size()) {
    throw Error(ErrorCode::invalid_argument,
                "expected 0 ... " + std::to_string(model().vocab_size()) + ", found " + std::to_string(top_k), "top_k");
  }

  const std::vector<Encoding> encodings = tokenize(inputs, {options.truncation, options.max_length});
  for (std::size_t i = 0; i < encodings.size(); ++i) {
    if (std::find(encodings[i].ids.begin(), encodings[i].ids.end(), mask_) != encodings[i].ids.end()) continue;
    throw Error(ErrorCode::invalid_argument,
                "no mask token (" + std::string(tokenizer().id_to_token(mask_).value_or("")) + ")",
                inputs.size() == 1 ? "input" : "input " + std::to_string(i));
  }

  std::vector<std::vector<std::vector<MaskFill>>> results(inputs.size());
  const auto masked_rows = [&](const Batch& batch) {
    std::vector<int32_t> rows;
    for (std::size_t row = 0; row < batch.input_ids.size(); ++row) {
      if (batch.input_ids[row] == mask_) rows.push_back(static_cast<int32_t>(row));
    }
    return rows;
  };
  const auto consume = [&](Which which, const Batch& batch, const ModelOutput& output) {
    int64_t kept = 0;  // rows of logits, one for each mask, those of a sequence after those of another
    std::vector<float> scores;
    for (int64_t i = 0; i < batch.batch_size(); ++i) {
      const std::vector<int32_t>& ids = encodings[which[static_cast<std::size_t>(i)]].ids;
      const bool single = std::count(ids.begin(), ids.end(), mask_) == 1;
      for (std::size_t t = 0; t < ids.size(); ++t) {
        if (ids[t] != mask_) continue;
        const std::span<const float> logits = output.logits->row(kept++);
        scores.assign(logits.begin(), logits.end());
        if (std::any_of(scores.begin(), scores.end(), [](float x) { return std::isnan(x); })) {
          throw Error(ErrorCode::invalid_argument, "the model's logits are not numbers", model().config().where);
        }
        softmax(scores.data(), 1, static_cast<int64_t>(scores.size()));
        std::vector<int32_t> order = targets;
        if (targets.empty()) {
          order.resize(scores.size());
          std::iota(order.begin(), order.end(), 0);
        }
        const auto score = [&](int32_t id) { return scores[static_cast<std::size_t>(id)]; };
        std::partial_sort(order.begin(), order.begin() + top_k, order.end(),
                          [&](int32_t a, int32_t b) { return score(a) != score(b) ? score(a) > score(b) : a < b; });
        order.resize(static_cast<std::size_t>(top_k));
        std::vector<MaskFill> fills;
        for (const int32_t id : order) {
          std::vector<int32_t> filled = ids;
          filled[t] = id;
          if (const auto pad = tokenizer().pad_token_id()) std::erase(filled, *pad);
          fills.push_back({score(id), id, decode({&id, 1}, false), decode(filled, single)});
        }
        results[which[static_cast<std::size_t>(i)]].push_back(std::move(fills));
      }
    }
  };
  for_each_batch(encodings, options.control, masked_rows, consume);
  return results;
}

std::vector<std::vector<MaskFill>> FillMask::operator()(std::string_view text, const Options& options) const {
  const TextInput input(text);
  return std::move(fill({&input, 1}, options).front());
}

std::vector<std::vector<std::vector<MaskFill>>> FillMask::operator()(std::initializer_list<std::string_view> texts,
                                                                     const Options& options) const {
  return fill(std::vector<TextInput>(texts.begin(), texts.end()), options);
}

std::vector<std::vector<std::vector<MaskFill>>> FillMask::operator()(std::span<const std::string> texts,
                                                                     const Options& options) const {
  return fill(std::vector<TextInput>(texts.begin(), texts.end()), options);
}

std::vector<Value> FillMask::run(std::span<const Value> inputs, const Value& options,
                                 const CallControl& control) const {
  Options typed;
  read_options(typed, options);
  typed.control = control;
  std::vector<TextInput> texts;
  texts.reserve(inputs.size());
  for (const Value& input : inputs) texts.emplace_back(input.as_string());
  std::vector<Value> answers;
  answers.reserve(inputs.size());
  for (const auto& masks : fill(texts, typed)) {
    Value::Array lists;
    for (const std::vector<MaskFill>& fills : masks) {
      Value::Array list;
      for (const MaskFill& f : fills) {
        list.push_back(Value::Object{
            {"score", f.score}, {"token", f.token}, {"token_str", f.token_str}, {"sequence", f.sequence}});
      }
      lists.emplace_back(std::move(list));
    }
    answers.push_back(lists.size() == 1 ? std::move(lists.front()) : Value(std::move(lists)));
  }
  return answers;
}

}  // namespace transformers
