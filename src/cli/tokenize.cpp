// tcpp tokenize and tcpp detokenize: a model's tokenizer by itself.
#include <charconv>
#include <optional>
#include <span>

#include "command.hpp"
#include "transformers/base/error.hpp"
#include "transformers/models/locate.hpp"
#include "transformers/tokenizers/tokenizer.hpp"

namespace transformers::cli {
namespace {

struct TokenizeArguments {
  std::string model, input;
  std::vector<std::string> texts;
  std::optional<std::string> pair;
  bool no_special_tokens = false, truncation = false, padding = false;
  std::optional<int64_t> max_length;
};

Value to_value(const Encoding& encoding) {
  Value::Array offsets;
  for (const auto& [begin, end] : encoding.offsets) offsets.emplace_back(Value::Array{begin, end});
  const auto list = [](const auto& values) { return Value::Array(values.begin(), values.end()); };
  return Value::Object{{"ids", list(encoding.ids)},
                       {"tokens", list(encoding.tokens)},
                       {"offsets", std::move(offsets)},
                       {"type_ids", list(encoding.type_ids)},
                       {"special_tokens_mask", list(encoding.special_tokens_mask)}};
}

void tokenize(TokenizeArguments& args) {
  Inputs inputs(std::move(args.texts), args.input);
  const auto tokenizer = AutoTokenizer::from_pretrained(find_model(args.model));
  EncodeOptions options;
  options.add_special_tokens = !args.no_special_tokens;
  options.truncation = args.truncation;
  options.padding = args.padding ? (args.max_length ? PaddingStrategy::max_length : PaddingStrategy::longest)
                                 : PaddingStrategy::do_not_pad;
  options.max_length = args.max_length;

  Progress progress(inputs.total());
  Value value;
  std::string error;
  bool failed = false;
  for (int64_t done = 1; inputs.next(value, error); ++done) {
    try {
      if (!error.empty()) throw Error(ErrorCode::invalid_argument, error);
      const Value* pair = value.is_object() ? value.find("text_pair") : nullptr;
      const std::string& text = value.is_object() ? value.at("text").as_string() : value.as_string();
      const std::optional<std::string> second =
          pair != nullptr && pair->is_string() ? std::optional(pair->as_string()) : args.pair;
      print_line(to_json(
          to_value(second ? tokenizer->encode_pair(text, *second, options) : tokenizer->encode(text, options))));
    } catch (const Error& e) {
      if (inputs.single()) throw;
      failed = true;
      print_line(to_json(Value::Object{{"error", e.what()}}));
    }
    progress.update(done);
  }
  if (failed) set_exit_status(1);
}

std::vector<int32_t> parse_ids(std::string_view line) {
  std::vector<int32_t> ids;
  const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == ','; };
  for (std::size_t i = 0; i < line.size();) {
    if (is_space(line[i])) {
      ++i;
      continue;
    }
    std::size_t end = i;
    while (end < line.size() && !is_space(line[end])) ++end;
    int32_t id = 0;
    const auto [stop, error] = std::from_chars(line.data() + i, line.data() + end, id);
    if (error != std::errc() || stop != line.data() + end) {
      throw Error(ErrorCode::invalid_argument,
                  "expected token ids, found \"" + std::string(line.substr(i, end - i)) + "\"");
    }
    ids.push_back(id);
    i = end;
  }
  return ids;
}

struct DetokenizeArguments {
  std::string model, input;
  std::vector<std::string> ids;
  bool keep_special_tokens = false;
};

void detokenize(DetokenizeArguments& args) {
  std::vector<std::string> lines;
  if (!args.ids.empty() && args.ids != std::vector<std::string>{"-"}) {  // the words of the command line are one line
    std::string line;
    for (const std::string& id : args.ids) line += id + " ";
    lines.push_back(std::move(line));
  } else {
    lines = args.ids;
  }
  Inputs inputs(std::move(lines), args.input);
  const auto tokenizer = AutoTokenizer::from_pretrained(find_model(args.model));
  DecodeOptions options;
  options.skip_special_tokens = !args.keep_special_tokens;
  Value value;
  std::string error;
  bool failed = false;
  while (inputs.next(value, error)) {
    try {
      const std::vector<int32_t> ids = parse_ids(value.as_string());
      print_line(to_json(tokenizer->decode(ids, options)));
    } catch (const Error& e) {
      if (inputs.single()) throw;
      failed = true;
      print_line(to_json(Value::Object{{"error", e.what()}}));
    }
  }
  if (failed) set_exit_status(1);
}

}  // namespace

void add_tokenize(CLI::App& app) {
  CLI::App& command = *app.add_subcommand(
      "tokenize", "texts to token ids, one JSON object per text: tcpp tokenize MODEL [OPTIONS] [TEXT ...]");
  auto args = std::make_shared<TokenizeArguments>();
  command.add_option("MODEL", args->model, "directory, .gguf file or bundled model")->required();
  command.add_option("--input", args->input, "one text a line (- for standard input); *.jsonl: a JSON value a line");
  command.add_option("--pair", args->pair, "second text of a pair");
  command.add_flag("--no-special-tokens", args->no_special_tokens, "leave out [CLS], [SEP] and their like");
  command.add_flag("--truncation,!--no-truncation", args->truncation, "cut to --max-length, or to the model's maximum");
  command.add_flag("--padding,!--no-padding", args->padding, "pad to --max-length");
  command.add_option("--max-length", args->max_length, "tokens, special tokens included")
      ->check(CLI::NonNegativeNumber);
  allow_texts(command);
  command.callback([args, &command] {
    args->texts = texts_of(command);
    tokenize(*args);
  });
}

void add_detokenize(CLI::App& app) {
  CLI::App& command = *app.add_subcommand("detokenize", "token ids to text, one JSON string per line of ids");
  auto args = std::make_shared<DetokenizeArguments>();
  command.add_option("MODEL", args->model, "directory, .gguf file or bundled model")->required();
  command.add_option("--input", args->input, "one line of space-separated ids per text (- for standard input)");
  command.add_flag("--keep-special-tokens", args->keep_special_tokens, "keep [CLS], [SEP] and their like");
  command.add_option("IDS", args->ids, "ids of one text; - reads lines from standard input")->expected(-1);
  command.callback([args] { detokenize(*args); });
}

}  // namespace transformers::cli
