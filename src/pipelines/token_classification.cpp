// Implements pipelines/token_classification.hpp.
#include "transformers/pipelines/token_classification.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "code_points.hpp"
#include "transformers/base/error.hpp"
#include "transformers/base/parallel.hpp"
#include "transformers/kernels/kernels.hpp"

namespace transformers {
namespace {

constexpr std::string_view kAggregations[] = {"none", "simple", "first", "average", "max"};

// A token of the text with the probabilities of its labels, or a word that has got one label.
struct Piece {
  std::span<const float> scores;
  std::string word;
  int64_t start, end, index;
  bool is_subword;  // goes on with the word of the token before it
};

int64_t best_label(std::span<const float> scores) {
  return std::max_element(scores.begin(), scores.end()) - scores.begin();
}

std::vector<float> mean_scores(std::span<const Piece> pieces) {
  std::vector<float> mean(pieces.front().scores.begin(), pieces.front().scores.end());
  for (const Piece& piece : pieces.subspan(1)) {
    for (std::size_t k = 0; k < mean.size(); ++k) mean[k] += piece.scores[k];
  }
  for (float& score : mean) score /= static_cast<float>(pieces.size());
  return mean;
}

// A label's scheme and name: B-LOC begins a LOC, I-LOC and what has neither letter goes on with one.
struct Tag {
  bool begins;
  std::string_view name;
};
Tag tag_of(std::string_view label) {
  const bool begins = label.starts_with("B-");
  return {begins, begins || label.starts_with("I-") ? label.substr(2) : label};
}

// The words of an input of run().
std::vector<std::string> words_from(const Value& input, const std::string& delimiter) {
  const Value* list = &input;
  Value parsed;
  if (input.is_string()) {
    const std::string& text = input.as_string();
    if (text.starts_with('[')) {
      try {
        parsed = parse_json(text, "input");
        list = &parsed;
      } catch (const Error&) {  // a text that begins with a bracket
      }
    }
  }
  std::vector<std::string> words;
  if (list->is_array()) {
    for (const Value& word : list->as_array()) words.push_back(word.as_string());
    return words;
  }
  const std::string& text = input.as_string();
  if (delimiter.empty()) return {text};
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(delimiter, begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    begin = end + delimiter.size();
  }
  return words;
}

// Of entities of several windows that overlap the longest stays, of equally long ones the surest.
std::vector<TokenEntity> without_overlaps(std::vector<TokenEntity> entities) {
  if (entities.empty()) return entities;
  std::stable_sort(entities.begin(), entities.end(),
                   [](const TokenEntity& a, const TokenEntity& b) { return a.start < b.start; });
  std::vector<TokenEntity> kept;
  TokenEntity last = entities.front();
  for (TokenEntity& entity : entities) {
    if (last.start <= entity.start && entity.start < last.end) {
      const int64_t length = entity.end - entity.start, last_length = last.end - last.start;
      if (length > last_length || (length == last_length && entity.score > last.score)) last = entity;
    } else {
      kept.push_back(std::exchange(last, entity));
    }
  }
  kept.push_back(std::move(last));
  return kept;
}

}  // namespace

struct TokenClassification::Sentence {
  CodePoints text;
  std::span<const std::string> words = {};  // where it was given in words
  std::vector<int64_t> starts = {};         // of each word in the text

  explicit Sentence(std::string_view whole) : text(whole) {}
  Sentence(std::span<const std::string> parts, const std::string& delimiter)
      : text(joined(parts, delimiter)), words(parts) {
    int64_t at = 0;
    const auto between = static_cast<int64_t>(unicode::count(unicode::to_well_formed(delimiter)));
    for (const std::string& word : words) {
      starts.push_back(at);
      at += static_cast<int64_t>(unicode::count(unicode::to_well_formed(word))) + between;
    }
  }

 private:
  // Well-formed part by part: bytes of two words must not become one character.
  static std::string joined(std::span<const std::string> words, const std::string& delimiter) {
    std::string text;
    for (std::size_t i = 0; i < words.size(); ++i) {
      text += (i == 0 ? "" : unicode::to_well_formed(delimiter)) + unicode::to_well_formed(words[i]);
    }
    return text;
  }
};

void TokenClassificationOptions::fields(FieldVisitor& f) {
  f.choice("aggregation_strategy", aggregation_strategy, kAggregations, "how tokens become entities");
  f("ignore_labels", ignore_labels, "labels left out of the answer");
  f("stride", stride, "tokens that windows over a long text share; none: what is too long is cut off");
  f("is_split_into_words", is_split_into_words, "inputs are lists of words");
  f("delimiter", delimiter, "with is_split_into_words: what stands between two words in the text");
}

TokenClassification::TokenClassification(const PipelineOptions& options)
    : EncoderPipeline(find_task("token-classification"), kHead, options) {}

std::string_view TokenClassification::task() const noexcept { return "token-classification"; }

std::vector<TokenEntity> TokenClassification::entities_of(const Sentence& sentence, const Encoding& encoding,
                                                          std::span<const float> logits, const Options& options) const {
  const PretrainedConfig& config = model().config();
  const auto labels = static_cast<std::size_t>(*config.num_labels);
  std::vector<float> scores(logits.begin(), logits.end());
  for (const float logit : logits) {
    if (std::isnan(logit)) throw Error(ErrorCode::invalid_argument, "the model's logits are not numbers", config.where);
  }
  softmax(scores.data(), static_cast<int64_t>(scores.size() / labels), static_cast<int64_t>(labels));

  const bool marks_pieces = !tokenizer().continuing_subword_prefix().empty();
  std::vector<Piece> pieces;
  for (std::size_t t = 0, row = 0; t < encoding.size(); ++t) {
    if (encoding.attention_mask[t] == 0) continue;  // padding has no row
    const std::span<const float> token_scores = std::span(scores).subspan(row++ * labels, labels);
    if (encoding.special_tokens_mask[t] != 0) continue;
    const auto token = tokenizer().id_to_token(encoding.ids[t]);
    const int32_t word = encoding.word_ids[t];
    const int64_t shift = sentence.starts.empty() || word < 0 ? 0 : sentence.starts[static_cast<std::size_t>(word)];
    Piece piece{token_scores,
                std::string(token ? *token : std::string_view(encoding.tokens[t])),
                encoding.offsets[t].first + shift,
                encoding.offsets[t].second + shift,
                static_cast<int64_t>(t),
                false};
    const std::string_view text = sentence.text.slice(piece.start, piece.end);
    if (marks_pieces) {  // Hugging Face's rule: a marked piece is longer than what it stands for
      piece.is_subword = unicode::count(piece.word) != unicode::count(text);
    } else {
      piece.is_subword =
          piece.start > 0 && sentence.text.slice(piece.start - 1, piece.start + 1).find(' ') == std::string_view::npos;
    }
    if (tokenizer().unk_token_id() == encoding.ids[t]) {
      piece.word = text;
      piece.is_subword = false;
    }
    pieces.push_back(std::move(piece));
  }

  // Tokens, or words, each with one label.
  std::vector<TokenEntity> items;
  const auto add = [&](std::span<const float> by, std::string word, int64_t start, int64_t end) {
    const int64_t best = best_label(by);
    items.push_back({config.label(best), by[static_cast<std::size_t>(best)], {}, std::move(word), start, end});
  };
  const AggregationStrategy strategy = options.aggregation_strategy;
  if (strategy == AggregationStrategy::none || strategy == AggregationStrategy::simple) {
    for (Piece& piece : pieces) {
      add(piece.scores, std::move(piece.word), piece.start, piece.end);
      if (strategy == AggregationStrategy::none) items.back().index = piece.index;
    }
  } else {
    for (std::size_t begin = 0; begin < pieces.size();) {
      std::size_t end = begin + 1;
      while (end < pieces.size() && pieces[end].is_subword) ++end;
      const std::span<const Piece> word = std::span(pieces).subspan(begin, end - begin);
      std::vector<std::string> tokens;
      for (const Piece& piece : word) tokens.push_back(piece.word);
      const Piece* chosen = &word.front();
      std::vector<float> mean;
      if (strategy == AggregationStrategy::max) {
        for (const Piece& piece : word) {
          if (piece.scores[static_cast<std::size_t>(best_label(piece.scores))] >
              chosen->scores[static_cast<std::size_t>(best_label(chosen->scores))]) {
            chosen = &piece;
          }
        }
      } else if (strategy == AggregationStrategy::average) {
        mean = mean_scores(word);
      }
      add(mean.empty() ? chosen->scores : std::span<const float>(mean), tokenizer().convert_tokens_to_string(tokens),
          word.front().start, word.back().end);
      begin = end;
    }
  }

  std::vector<TokenEntity> entities;
  if (strategy == AggregationStrategy::none) {
    entities = std::move(items);
  } else {
    for (std::size_t begin = 0; begin < items.size();) {
      const std::string_view name = tag_of(items[begin].entity).name;
      std::size_t end = begin + 1;
      while (end < items.size() && !tag_of(items[end].entity).begins && tag_of(items[end].entity).name == name) ++end;
      std::vector<std::string> words;
      float sum = 0;
      for (std::size_t i = begin; i < end; ++i) {
        words.push_back(std::move(items[i].word));
        sum += items[i].score;
      }
      const std::string& label = items[begin].entity;
      entities.push_back({label.substr(label.find('-') + 1),
                          sum / static_cast<float>(end - begin),
                          {},
                          tokenizer().convert_tokens_to_string(words),
                          items[begin].start,
                          items[end - 1].end});
      begin = end;
    }
  }
  std::erase_if(entities, [&](const TokenEntity& entity) {
    return std::find(options.ignore_labels.begin(), options.ignore_labels.end(), entity.entity) !=
           options.ignore_labels.end();
  });
  return entities;
}

std::vector<std::vector<TokenEntity>> TokenClassification::classify(std::span<const Sentence> sentences,
                                                                    const Options& options) const {
  EncodeOptions encode;
  encode.truncation = true;
  encode.max_length = max_length();
  if (options.stride) {
    check_argument(*options.stride >= 0, "must not be negative", "stride");
    if (*options.stride >= *encode.max_length) {
      throw Error(ErrorCode::invalid_argument,
                  "expected less than the " + std::to_string(*encode.max_length) + " tokens of a window, found " +
                      std::to_string(*options.stride),
                  "stride");
    }
    encode.stride = *options.stride;
    encode.return_overflowing = true;
    // Hugging Face pads the last window. On the left that shifts its positions.
    encode.padding = tokenizer().padding_side() == Side::left;
  }
  std::vector<Encoding> encodings(sentences.size());
  parallel_for(static_cast<int64_t>(sentences.size()), [&](int64_t i) {
    const Sentence& sentence = sentences[static_cast<std::size_t>(i)];
    encodings[static_cast<std::size_t>(i)] = sentence.words.empty() ? tokenizer().encode(sentence.text.text(), encode)
                                                                    : tokenizer().encode_words(sentence.words, encode);
  });
  const Windows windows = Windows::of(std::move(encodings));

  std::vector<std::vector<TokenEntity>> results(sentences.size());
  for_each_batch(windows, options.control, [&](Which which, const Batch& batch, const ModelOutput& output) {
    for (int64_t i = 0; i < batch.batch_size(); ++i) {
      const std::size_t window = which[static_cast<std::size_t>(i)], input = windows.input[window];
      std::vector<TokenEntity> found =
          entities_of(sentences[input], windows.encodings[window], output.logits->sequence(batch, i), options);
      std::move(found.begin(), found.end(), std::back_inserter(results[input]));
    }
  });
  std::vector<int> count(sentences.size());
  for (const std::size_t input : windows.input) {
    if (++count[input] == 2) results[input] = without_overlaps(std::move(results[input]));
  }
  return results;
}

std::vector<TokenEntity> TokenClassification::operator()(std::string_view text, const Options& options) const {
  const Sentence sentence(text);
  return std::move(classify({&sentence, 1}, options).front());
}

std::vector<std::vector<TokenEntity>> TokenClassification::operator()(std::initializer_list<std::string_view> texts,
                                                                      const Options& options) const {
  return classify(std::vector<Sentence>(texts.begin(), texts.end()), options);
}

std::vector<std::vector<TokenEntity>> TokenClassification::operator()(std::span<const std::string> texts,
                                                                      const Options& options) const {
  return classify(std::vector<Sentence>(texts.begin(), texts.end()), options);
}

std::vector<std::vector<TokenEntity>> TokenClassification::operator()(
    std::span<const std::vector<std::string>> sentences, const Options& options) const {
  std::vector<Sentence> all;
  all.reserve(sentences.size());
  for (const std::vector<std::string>& words : sentences) all.emplace_back(words, options.delimiter);
  return classify(all, options);
}

std::vector<Value> TokenClassification::run(std::span<const Value> inputs, const Value& options,
                                            const CallControl& control) const {
  Options typed;
  read_options(typed, options);
  typed.control = control;
  if (typed.stride && options.find("aggregation_strategy") != nullptr) {
    check_argument(typed.aggregation_strategy != AggregationStrategy::none,
                   "windows need another aggregation_strategy than none", "stride");
  }
  std::vector<std::string> texts;
  std::vector<std::vector<std::string>> sentences;
  for (const Value& input : inputs) {
    if (typed.is_split_into_words) {
      sentences.push_back(words_from(input, typed.delimiter));
    } else if (input.is_array()) {
      throw Error(ErrorCode::invalid_argument, "expected a text, found an array (for words pass is_split_into_words)",
                  "input");
    } else {
      texts.push_back(input.as_string());
    }
  }
  const auto results = typed.is_split_into_words ? (*this)(std::span<const std::vector<std::string>>(sentences), typed)
                                                 : (*this)(std::span<const std::string>(texts), typed);
  const bool tokens = typed.aggregation_strategy == AggregationStrategy::none;
  std::vector<Value> answers;
  answers.reserve(results.size());
  for (const std::vector<TokenEntity>& entities : results) {
    Value::Array list;
    for (const TokenEntity& entity : entities) {
      Value::Object members{{tokens ? "entity" : "entity_group", entity.entity}, {"score", entity.score}};
      if (tokens) members.emplace_back("index", entity.index.value_or(0));
      members.emplace_back("word", entity.word);
      members.emplace_back("start", entity.start);
      members.emplace_back("end", entity.end);
      list.emplace_back(std::move(members));
    }
    answers.emplace_back(std::move(list));
  }
  return answers;
}

}  // namespace transformers
