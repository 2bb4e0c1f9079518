// Implements pipelines/text_generation.hpp.
#include "transformers/pipelines/text_generation.hpp"

#include <utility>

#include "generation_task.hpp"
#include "open_files.hpp"
#include "transformers/base/error.hpp"
#include "transformers/base/model_files.hpp"
#include "transformers/generation/engine.hpp"
#include "transformers/generation/generate.hpp"
#include "transformers/models/auto.hpp"
#include "transformers/pipelines/tokenizer_parts.hpp"

namespace transformers {
void TextGenerationOptions::fields(FieldVisitor& f) {
  generation.fields(f);
  f("return_full_text", return_full_text, "give the prompt before what was made");
  f("return_tensors", return_tensors, "give token ids instead of text");
  f("skip_special_tokens", skip_special_tokens, "leave special tokens out of the text");
  f("clean_up_tokenization_spaces", clean_up_tokenization_spaces, "as decode does; none: by the tokenizer");
  f("prefix", prefix, "text put before every prompt");
  f("continue_final_message", continue_final_message, "a chat: go on with its last message; none: an assistant's");
}

TextGeneration::TextGeneration(const PipelineOptions& options) {
  const std::shared_ptr<const ModelFiles> files = open_files(find_task("text-generation"), options);
  tokenizer_ = AutoTokenizer::from_files(files, options.tokenizer);
  model_ = load_model(files, kHead, options.load);
  config_ = GenerationConfig::from_files(*files);
}

TextGeneration::~TextGeneration() = default;

std::string_view TextGeneration::task() const noexcept { return "text-generation"; }

// The call before the model's file before the pipeline's defaults before generate()'s.
GenerationConfig TextGeneration::config_for(const Value& call) const {
  GenerationConfig model = config_;
  const auto called = [&](std::string_view name) { return call.find(name); };
  const bool length = model.max_length || (called("max_length") != nullptr && !called("max_length")->is_null());
  if (!model.max_new_tokens && !length) model.max_new_tokens = 256;
  if (!model.do_sample) model.do_sample = true;
  if (!model.temperature) model.temperature = 0.7;
  if (!model.pad_token_id) {
    if (const auto pad = tokenizer_->pad_token_id()) model.pad_token_id = *pad;
  }
  return model.with(call);
}

bool TextGeneration::goes_on(const Value& messages, const Options& options) const {
  if (options.continue_final_message) return *options.continue_final_message;
  const Value::Array& list = messages.as_array();
  const Value* role = list.empty() ? nullptr : list.back().find("role");
  return role != nullptr && role->is_string() && role->as_string() == "assistant";
}

std::vector<std::vector<GeneratedText>> TextGeneration::generate_all(std::span<const Value> inputs,
                                                                     const Options& options, const Value& call) const {
  const GenerationConfig config = config_for(call);
  const DecodeOptions decode{.skip_special_tokens = options.skip_special_tokens,
                             .clean_up_tokenization_spaces = options.clean_up_tokenization_spaces};
  const TokenizerParts parts = tokenizer_parts(*tokenizer_, config);
  check_argument(!options.on_text || inputs.size() <= 1, "only one prompt can be streamed", "on_text");
  std::vector<GenerationRequest> requests;
  for (const Value& input : inputs) {
    GenerationRequest request;
    Encoding encoding;
    if (input.is_array()) {
      const bool go_on = goes_on(input, options);
      ChatTemplateOptions chat;
      chat.add_generation_prompt = !go_on;
      chat.continue_final_message = go_on;
      encoding = tokenizer_->encode_chat(input, chat).encoding;
    } else {
      encoding = tokenizer_->encode(options.prefix + input.as_string(), {.ids_only = true});
    }
    request.input_ids.assign(encoding.ids.begin(), encoding.ids.end());
    request.config = config;
    request.token_texts = parts.token_texts;
    request.constraint = parts.constraint;
    request.cancel = options.control.cancel;
    if (options.on_text) {
      request.streamer = std::make_shared<TextStreamer>(
          [this, decode](std::span<const int64_t> ids) { return decode_generated(*tokenizer_, ids, decode); },
          options.on_text);
    }
    requests.push_back(std::move(request));
  }
  std::vector<std::vector<GeneratedText>> answers;
  for (GenerationResult& result : generate(*model_, std::move(requests))) {
    if (result.error) throw *result.error;
    answers.emplace_back();
    for (GeneratedSequence& sequence : result.sequences) {
      const std::span<const int64_t> made =
          std::span(sequence.ids).subspan(static_cast<std::size_t>(result.prompt_length));
      GeneratedText answer;
      answer.text = decode_generated(*tokenizer_, made, decode);
      answer.token_ids = std::move(sequence.ids);
      answers.back().push_back(std::move(answer));
    }
  }
  return answers;
}

std::vector<GeneratedText> TextGeneration::operator()(std::string_view prompt, const Options& options) const {
  return answer(Value(prompt), options);
}

std::vector<GeneratedText> TextGeneration::operator()(const Messages& messages, const Options& options) const {
  return answer(to_value(messages), options);
}

std::vector<GeneratedText> TextGeneration::answer(const Value& input, const Options& options) const {
  return std::move(generate_all({&input, 1}, options, set_fields(options.generation)).front());
}

std::vector<Value> TextGeneration::run(std::span<const Value> inputs, const Value& options,
                                       const CallControl& control) const {
  Options typed;
  read_options(typed, options);
  typed.control = control;
  std::vector<Value> answers;
  const auto all = generate_all(inputs, typed, generate_options(options));
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    Value::Array list;
    for (const GeneratedText& answer : all[i]) {
      if (typed.return_tensors) {
        list.push_back(
            Value::Object{{"generated_token_ids", Value::Array(answer.token_ids.begin(), answer.token_ids.end())}});
        continue;
      }
      Value text = answer.text;
      if (typed.return_full_text && inputs[i].is_string()) {
        text = typed.prefix + inputs[i].as_string() + answer.text;
      } else if (typed.return_full_text) {
        Value::Array messages = inputs[i].as_array();
        if (goes_on(inputs[i], typed) && !messages.empty()) {
          messages.back().set("content", messages.back().at("content").as_string() + answer.text);
        } else {
          messages.push_back(Value::Object{{"role", "assistant"}, {"content", answer.text}});
        }
        text = std::move(messages);
      }
      list.push_back(Value::Object{{"generated_text", std::move(text)}});
    }
    answers.push_back(std::move(list));
  }
  return answers;
}

}  // namespace transformers
