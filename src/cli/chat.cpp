// tcpp chat: a conversation on the terminal, answers shown as they are made.
#include <unistd.h>

#include <csignal>
#include <iostream>
#include <span>
#include <string>

#include "command.hpp"
#include "options.hpp"
#include "transformers/base/error.hpp"
#include "transformers/base/model_files.hpp"
#include "transformers/base/platform.hpp"
#include "transformers/generation/engine.hpp"
#include "transformers/models/auto.hpp"
#include "transformers/models/locate.hpp"
#include "transformers/models/pretrained_model.hpp"
#include "transformers/pipelines/tokenizer_parts.hpp"
#include "transformers/tokenizers/decode_stream.hpp"
#include "transformers/tokenizers/tokenizer.hpp"

namespace transformers::cli {
namespace {

constexpr std::string_view kHelp =
    "/help          this list\n"
    "/clear         forget the conversation, not the system prompt\n"
    "/system TEXT   set the system prompt (none without TEXT) and forget the conversation\n"
    "/undo          take the last question and its answer back\n"
    "/save FILE     write the conversation as JSON\n"
    "/exit          leave, as the end of input does\n"
    "Ctrl-C stops an answer. A line that begins with // is a message that begins with /.";

// Tokens of the conversation whose keys and values are kept for its next turn.
constexpr int64_t kKeptTokens = 1 << 16;

volatile std::sig_atomic_t interrupted = 0;
extern "C" void on_interrupt(int) { interrupted = 1; }

struct ChatArguments {
  std::string model, system;
  OptionWords words;
  LoadOptions load;
  std::optional<KVType> cache_dtype;
};

// Prints pieces of text as they become certain and keeps what it printed.
class Printer final : public BaseStreamer {
 public:
  explicit Printer(const Tokenizer& tokenizer)
      : tokenizer_(tokenizer), stream_(tokenizer, {.skip_special_tokens = true}) {}
  bool put(int64_t, std::span<const int64_t> ids) override {
    if (!std::exchange(started_, true)) return interrupted == 0;  // the prompt
    for (const int64_t id : ids) {  // a model's vocabulary may be larger than its tokenizer's
      if (tokenizer_.id_to_token(static_cast<int32_t>(id))) print(stream_.put(static_cast<int32_t>(id)));
    }
    return interrupted == 0;
  }
  void end(int64_t) override { print(stream_.end()); }
  const std::string& text() const noexcept { return text_; }

 private:
  void print(const std::string& piece) {
    text_ += piece;
    std::fwrite(piece.data(), 1, piece.size(), stdout);
    std::fflush(stdout);
  }

  const Tokenizer& tokenizer_;
  DecodeStream stream_;
  std::string text_;
  bool started_ = false;
};

class Chat {
 public:
  explicit Chat(const ChatArguments& args) : system_(args.system) {
    const auto files = ModelFiles::from_path(find_model(args.model), args.load.map_mode);
    tokenizer_ = AutoTokenizer::from_files(files);
    if (tokenizer_->chat_template_names().empty()) {
      throw Error(ErrorCode::not_found, "the model has no chat template", args.model);
    }
    GenerationConfig config = GenerationConfig::from_files(*files);
    if (!config.max_new_tokens && !config.max_length) config.max_new_tokens = 1024;
    if (!config.do_sample) config.do_sample = true;
    if (!config.temperature) config.temperature = 0.7;
    config_ = config.with(args.words.options());
    config_.num_return_sequences = 1;
    if (config_.num_beams.value_or(1) > 1) {
      throw Error(ErrorCode::unsupported, "beam search has nothing to show before it ends", "num_beams");
    }
    parts_ = tokenizer_parts(*tokenizer_, config_);
    model_ = load_model(files, Head::causal_lm, args.load);
    EngineOptions options;
    options.max_prefix_tokens = kKeptTokens;
    options.cache_type = args.cache_dtype;
    engine_ = std::make_unique<Engine>(*model_, options);
    clear();
  }

  // False at /exit.
  bool line(const std::string& text) {
    if (text.starts_with('/') && !text.starts_with("//")) return command(text);
    answer(text.starts_with("//") ? text.substr(1) : text);
    return true;
  }

 private:
  void clear() {
    messages_.clear();
    if (!system_.empty()) add("system", system_);
  }
  void add(std::string_view role, std::string content) {
    messages_.push_back(Value::Object{{"role", role}, {"content", std::move(content)}});
  }

  bool command(const std::string& text) {
    const std::size_t space = std::min(text.find(' '), text.size());
    const std::string name = text.substr(0, space), rest = space < text.size() ? text.substr(space + 1) : "";
    if (name == "/exit" || name == "/quit") return false;
    if (name == "/help") {
      print_line(kHelp);
    } else if (name == "/clear") {
      clear();
    } else if (name == "/system") {
      system_ = rest;
      clear();
    } else if (name == "/undo") {
      const std::size_t kept = system_.empty() ? 0 : 1;
      messages_.resize(std::max(kept, messages_.size() - std::min<std::size_t>(messages_.size(), 2)));
    } else if (name == "/save" && !rest.empty()) {
      const std::string json = to_json(Value(messages_)) + "\n";
      const std::span<const std::byte> bytes = std::as_bytes(std::span(json));
      write_file(rest, {&bytes, 1});
    } else {
      throw Error(ErrorCode::invalid_argument, "there is no command " + quote(text) + " (/help lists them)");
    }
    return true;
  }

  void answer(const std::string& question) {
    add("user", question);
    auto printer = std::make_shared<Printer>(*tokenizer_);
    try {
      GenerationRequest request;
      ChatTemplateOptions options;
      options.add_generation_prompt = true;
      EncodeOptions encode;
      encode.ids_only = true;
      encode.split_special_tokens = true;  // what users type ends no turn
      const Encoding encoding = tokenizer_->encode_chat(Value(messages_), options, encode).encoding;
      request.input_ids.assign(encoding.ids.begin(), encoding.ids.end());
      request.config = config_;
      request.token_texts = parts_.token_texts;
      request.constraint = parts_.constraint;
      request.streamer = printer;
      interrupted = 0;
      std::optional<Error> error;
      const int64_t id = engine_->submit(std::move(request), [&](GenerationResult result) { error = result.error; });
      while (engine_->step()) {
        if (interrupted != 0) engine_->cancel(id);  // a prompt being read: nothing to show yet
      }
      if (error && error->code() != ErrorCode::cancelled) throw *error;
      if (error) printer->end(0);
    } catch (const Error&) {
      if (!printer->text().empty()) print_line("");
      messages_.pop_back();
      throw;
    }
    print_line("");
    add("assistant", printer->text());
  }

  std::string system_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::unique_ptr<PretrainedModel> model_;
  GenerationConfig config_;
  TokenizerParts parts_;
  std::unique_ptr<Engine> engine_;
  Value::Array messages_;
};

void run(const ChatArguments& args) {
  Chat chat(args);
  const bool terminal = ::isatty(STDIN_FILENO) != 0;
  std::signal(SIGINT, on_interrupt);
  if (terminal) std::fputs("/help lists commands\n", stderr);
  for (std::string line;;) {
    if (terminal) std::fputs("> ", stderr);
    if (!std::getline(std::cin, line)) break;
    if (line.empty()) continue;
    try {
      if (!chat.line(line)) break;
    } catch (const Error& error) {
      if (!terminal) throw;
      std::fprintf(stderr, "error: %s\n", error.what());
    }
  }
}

}  // namespace

void add_chat(CLI::App& app) {
  CLI::App& command = *app.add_subcommand("chat", "talk with a model; lines of standard input are messages");
  auto args = std::make_shared<ChatArguments>();
  command.add_option("MODEL", args->model, "directory or bundled model")->required();
  command.add_option("--system", args->system, "the system prompt");
  add_options(command, list_fields(GenerationConfig().with(Value())), {args, &args->words});
  add_load(command, args->load);
  add_cache_dtype(command, args->cache_dtype);
  add_threads(command);
  command.callback([args] { run(*args); });
}

}  // namespace transformers::cli
