// Implements pipelines/text2text_generation.hpp.
#include "transformers/pipelines/text2text_generation.hpp"

#include <algorithm>
#include <utility>

#include "generation_task.hpp"
#include "open_files.hpp"
#include "sentences.hpp"
#include "transformers/base/error.hpp"
#include "transformers/base/model_files.hpp"
#include "transformers/generation/engine.hpp"
#include "transformers/generation/generate.hpp"
#include "transformers/models/auto.hpp"
#include "transformers/pipelines/encoder_pipeline.hpp"  // truncation_field
#include "transformers/pipelines/tokenizer_parts.hpp"

namespace transformers {
namespace {

constexpr int64_t kDefaultNewTokens = 256, kDefaultBeams = 4;
constexpr std::size_t kTextsPerRound = 64;  // between two looks at the cancel token, and reports of progress

// 4.57.6's GenerationConfig(): what equals it counts as not set.
bool is_default(std::string_view name, const Value& value) {
  static const Value defaults = [] {
    Value all = set_fields(GenerationConfig().with(Value()));
    all.set("max_length", kDefaultMaxLength);
    return all;
  }();
  const Value* usual = defaults.find(name);
  if (value.is_null() || usual == nullptr) return value.is_null();
  if (value.is_number() && usual->is_number()) return value.as_number() == usual->as_number();
  return value == *usual;
}

// Gives `config` the model's values where it has none but the usual ones.
void fill(Value& config, const Value& model) {
  for (const auto& [name, value] : model.as_object()) {
    const Value* own = config.find(name);
    if ((own == nullptr || is_default(name, *own)) && !is_default(name, value)) config.set(name, value);
  }
}

// Since 4.50 a model's file also fills what a config given to generate() leaves at the usual values.
bool fills_again(const GenerationConfig& model) {
  const Value* version = model.others.find("transformers_version");
  if (version == nullptr || !version->is_string()) return true;
  int64_t numbers[2] = {0, 0};
  std::size_t i = 0;
  for (const char c : version->as_string()) {
    if (c == '.' && ++i == 2) break;
    if (c >= '0' && c <= '9' && numbers[i] < 1000) numbers[i] = numbers[i] * 10 + (c - '0');
  }
  return numbers[0] > 4 || (numbers[0] == 4 && numbers[1] >= 50);
}

const Value* member(const Value& object, std::string_view name, bool (Value::*is)() const noexcept) {
  const Value* found = object.find(name);
  return found != nullptr && (found->*is)() ? found : nullptr;
}

}  // namespace

void Text2TextGenerationOptions::fields(FieldVisitor& f) {
  generation.fields(f);
  f("return_tensors", return_tensors, "give token ids instead of text");
  f("return_text", return_text, "accepted, and without effect as in Hugging Face");
  f("clean_up_tokenization_spaces", clean_up_tokenization_spaces, "take spaces before punctuation away");
  truncation_field(f, truncation);
  f("stop_sequence", stop_sequence, "text whose first token ends the answer");
  f("split_sentences", split_sentences, "answer each sentence for itself and put the answers together");
}

void TranslationOptions::fields(FieldVisitor& f) {
  Text2TextGenerationOptions::fields(f);
  f("src_lang", src_lang, "language of the text, by the model's codes (mBART, NLLB, M2M100)");
  f("tgt_lang", tgt_lang, "language to translate into");
}

Text2TextGeneration::Text2TextGeneration(std::string_view task, std::string_view result, const PipelineOptions& options)
    : info_(find_task(task)), result_(result) {
  if (!options.files && options.model.empty() && options.task.starts_with("translation_") &&
      options.task != "translation_en_to_fr") {
    throw Error(ErrorCode::invalid_argument, "the bundled model translates from en to fr: name one for this",
                options.task);
  }
  const std::shared_ptr<const ModelFiles> files = open_files(info_, options);
  tokenizer_ = AutoTokenizer::from_files(files, options.tokenizer);
  model_ = load_model(files, kHead, options.load);

  // The task's own name in task_specific_params; plain "translation" is the first one of them that translates.
  std::string name = options.task.empty() ? std::string(info_.name) : options.task;
  const Value json = parse_json(files->read_text("config.json"), files->where("config.json"));
  const Value* specific = member(json, "task_specific_params", &Value::is_object);
  if (specific != nullptr && name == "translation") {
    for (const auto& [key, params] : specific->as_object()) {
      if (key.starts_with("translation")) {
        name = key;
        break;
      }
    }
  }
  const Value* params = specific == nullptr ? nullptr : member(*specific, name, &Value::is_object);
  if (const Value* prefix = member(json, "prefix", &Value::is_string)) prefix_ = prefix->as_string();

  const GenerationConfig model = GenerationConfig::from_files(*files);
  const Value of_model = set_fields(model);
  Value config = Value::Object{{"max_new_tokens", kDefaultNewTokens}, {"num_beams", kDefaultBeams}};
  fill(config, of_model);
  default_length_ = config.find("max_length") == nullptr;
  if (!default_length_) config.set("max_new_tokens", nullptr);
  if (params != nullptr) {
    const Value known = generate_options(*params);
    for (const auto& [key, value] : known.as_object()) {
      config.set(key, value);
      if (key == "max_new_tokens") default_length_ = false;
    }
    if (const Value* prefix = params->find("prefix")) prefix_ = prefix->is_string() ? prefix->as_string() : "";
  }
  if (config.find("pad_token_id") == nullptr && tokenizer_->pad_token_id()) {
    config.set("pad_token_id", *tokenizer_->pad_token_id());
  }
  if (fills_again(model)) fill(config, of_model);
  config_.update(config);

  // "translation_en_to_fr"
  const std::size_t from = name.find('_'), to = name.find("_to_");
  if (name.starts_with("translation_") && to != std::string::npos && to > from &&
      std::count(name.begin(), name.end(), '_') == 3) {
    src_lang_ = name.substr(from + 1, to - from - 1);
    tgt_lang_ = name.substr(to + 4);
  }
}

Text2TextGeneration::Text2TextGeneration(const PipelineOptions& options)
    : Text2TextGeneration("text2text-generation", "generated", options) {}
Text2TextGeneration::~Text2TextGeneration() = default;
Summarization::Summarization(const PipelineOptions& options)
    : Text2TextGeneration("summarization", "summary", options) {}
Translation::Translation(const PipelineOptions& options) : Text2TextGeneration("translation", "translation", options) {}

GenerationConfig Text2TextGeneration::config_for(const Value& call) const {
  GenerationConfig config = config_;
  const Value* length = call.find("max_length");
  if (default_length_ && length != nullptr && !length->is_null()) config.max_new_tokens.reset();
  return config.with(call);
}

std::vector<std::vector<GeneratedText>> Text2TextGeneration::answer(std::span<const std::string> texts,
                                                                    const TranslationOptions& options,
                                                                    const Value& call) const {
  const bool translates = info_.name == "translation";
  GenerationConfig config = config_for(call);
  if (options.stop_sequence) {
    const std::vector<int32_t> ids =
        tokenizer_->encode(*options.stop_sequence, {.add_special_tokens = false, .ids_only = true}).ids;
    check_argument(!ids.empty(), "is no token", "stop_sequence");
    config.eos_token_id = {ids.front()};
  }
  EncodeOptions encode{.truncation = options.truncation, .ids_only = true};
  if (options.truncation != TruncationStrategy::do_not_truncate && !tokenizer_->model_max_length()) {
    encode.max_length = model_->longest_sequence();
  }
  std::string prefix = prefix_;
  if (translates && tokenizer_->has_languages()) {
    const std::optional<std::string>& source = options.src_lang ? options.src_lang : src_lang_;
    const std::optional<std::string>& target = options.tgt_lang ? options.tgt_lang : tgt_lang_;
    check_argument(source && target, "this model needs both languages, src_lang and tgt_lang",
                   source ? "tgt_lang" : "src_lang");
    encode.src_lang = source;
    if (call.find("forced_bos_token_id") == nullptr) config.forced_bos_token_id = tokenizer_->language_id(*target);
    prefix.clear();
  }
  const TokenizerParts parts = tokenizer_parts(*tokenizer_, config);
  const DecodeOptions decode{.skip_special_tokens = true,
                             .clean_up_tokenization_spaces = options.clean_up_tokenization_spaces};
  const int64_t max_length = config.max_length.value_or(kDefaultMaxLength);

  // One request for each text, or for each of its sentences; `spaces` is what stands behind each.
  std::vector<GenerationRequest> requests;
  std::vector<std::string> spaces;
  std::vector<std::size_t> counts;
  const auto request = [&](std::string_view text, std::string_view space) {
    GenerationRequest made;
    const std::vector<int32_t> ids = tokenizer_->encode(prefix + std::string(text), encode).ids;
    made.input_ids.assign(ids.begin(), ids.end());
    made.config = config;
    made.token_texts = parts.token_texts;
    made.constraint = parts.constraint;
    made.cancel = options.control.cancel;
    const auto length = static_cast<int64_t>(ids.size());
    if (translates && static_cast<double>(length) > 0.9 * static_cast<double>(max_length)) {
      log(LogLevel::warning, "the text has " + std::to_string(length) + " tokens, more than 0.9 times max_length, " +
                                 std::to_string(max_length));
    } else if (result_ == "summary" && max_length < config.min_length.value_or(0)) {
      log(LogLevel::warning, "min_length is above max_length, " + std::to_string(max_length));
    } else if (result_ == "summary" && length < max_length) {
      log(LogLevel::info, "the text has only " + std::to_string(length) + " tokens, less than max_length, " +
                              std::to_string(max_length));
    }
    requests.push_back(std::move(made));
    spaces.emplace_back(space);
  };
  for (const std::string& text : texts) {
    const std::size_t before = requests.size();
    if (options.split_sentences) {
      for (const Sentence& sentence : split_sentences(text)) request(sentence.text, sentence.space);
    }
    if (requests.size() == before) request(text, "");
    counts.push_back(requests.size() - before);
  }

  std::vector<GenerationResult> results = generate(*model_, std::move(requests));
  std::vector<std::vector<GeneratedText>> answers;
  std::size_t at = 0;
  for (const std::size_t count : counts) {
    std::vector<GeneratedText> answer;
    for (std::size_t end = at + count; at < end; ++at) {
      GenerationResult& result = results[at];
      if (result.error) throw *result.error;
      // All answers to one text are as long as the longest of them.
      std::size_t longest = 0;
      for (const GeneratedSequence& sequence : result.sequences) longest = std::max(longest, sequence.ids.size());
      answer.resize(result.sequences.size());
      for (std::size_t i = 0; i < answer.size(); ++i) {
        std::vector<int64_t>& ids = result.sequences[i].ids;
        answer[i].text += decode_generated(*tokenizer_, ids, decode) + spaces[at];
        ids.resize(longest, padding_id(config));
        answer[i].token_ids.insert(answer[i].token_ids.end(), ids.begin(), ids.end());
      }
    }
    answers.push_back(std::move(answer));
  }
  return answers;
}

std::vector<Value> Text2TextGeneration::run_with(const TranslationOptions& options, std::span<const Value> inputs,
                                                 const Value& call, const CallControl& control) const {
  TranslationOptions typed = options;
  typed.control = control;
  std::vector<Value> out;
  const std::string name = result_ + (typed.return_tensors ? "_token_ids" : "_text");
  for (std::size_t first = 0; first < inputs.size(); first += kTextsPerRound) {
    control.cancel.throw_if_cancelled();
    std::vector<std::string> texts;
    for (std::size_t i = first; i < std::min(first + kTextsPerRound, inputs.size()); ++i) {
      if (!inputs[i].is_string()) {
        throw Error(ErrorCode::invalid_argument, "expected a text, found a " + std::string(inputs[i].type_name()),
                    "input");
      }
      texts.push_back(inputs[i].as_string());
    }
    for (std::vector<GeneratedText>& answers : answer(texts, typed, call)) {
      Value::Array list;
      for (GeneratedText& answer : answers) {
        Value value = typed.return_tensors ? Value(Value::Array(answer.token_ids.begin(), answer.token_ids.end()))
                                           : Value(std::move(answer.text));
        list.push_back(Value::Object{{name, std::move(value)}});
      }
      out.push_back(std::move(list));
    }
    if (control.on_progress) {
      control.on_progress(static_cast<int64_t>(out.size()), static_cast<int64_t>(inputs.size()));
    }
  }
  return out;
}

std::vector<Value> Text2TextGeneration::run(std::span<const Value> inputs, const Value& options,
                                            const CallControl& control) const {
  TranslationOptions typed;
  read_options(static_cast<Text2TextGenerationOptions&>(typed), options);
  return run_with(typed, inputs, generate_options(options), control);
}

std::vector<Value> Translation::run(std::span<const Value> inputs, const Value& options,
                                    const CallControl& control) const {
  TranslationOptions typed;
  read_options(typed, options);
  return run_with(typed, inputs, generate_options(options), control);
}

std::vector<GeneratedText> Text2TextGeneration::operator()(std::string_view text, const Options& options) const {
  const std::string one(text);
  return std::move((*this)(std::span(&one, 1), options).front());
}

std::vector<std::vector<GeneratedText>> Text2TextGeneration::operator()(std::span<const std::string> texts,
                                                                        const Options& options) const {
  TranslationOptions all;
  static_cast<Text2TextGenerationOptions&>(all) = options;
  return answer(texts, all, set_fields(options.generation));
}

std::vector<GeneratedText> Translation::operator()(std::string_view text, const Options& options) const {
  const std::string one(text);
  return std::move((*this)(std::span(&one, 1), options).front());
}

std::vector<std::vector<GeneratedText>> Translation::operator()(std::span<const std::string> texts,
                                                                const Options& options) const {
  return answer(texts, options, set_fields(options.generation));
}

}  // namespace transformers
