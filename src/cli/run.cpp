// tcpp run TASK: the pipeline of a task over texts, each line of a file, or standard input.
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "command.hpp"
#include "options.hpp"
#include "transformers/base/error.hpp"
#include "transformers/base/fields.hpp"
#include "transformers/pipelines/pipeline.hpp"

namespace transformers::cli {
namespace {

constexpr std::size_t kInputsPerCall = 1024;

struct RunArguments {
  std::string task, model, input, output;
  std::vector<std::string> texts;
  bool json = false, resume = false;
  OptionWords words;
  WeightType dtype = WeightType::stored;
};

// Lines that are whole already in the output of a run that was cut off; the file is cut behind the last of them.
int64_t whole_lines(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return 0;
  int64_t lines = 0;
  std::uintmax_t size = 0, end = 0;
  std::vector<char> block(1 << 16);
  while (in.read(block.data(), static_cast<std::streamsize>(block.size())) || in.gcount() > 0) {
    for (std::streamsize i = 0; i < in.gcount(); ++i) {
      ++size;
      if (block[static_cast<std::size_t>(i)] == '\n') {
        ++lines;
        end = size;
      }
    }
  }
  in.close();
  if (end < size) std::filesystem::resize_file(path, end);
  return lines;
}

class Sink {
 public:
  Sink(const std::string& path, bool append) : path_(path) {
    if (path.empty()) return;
    file_ = std::fopen(path.c_str(), append ? "ab" : "wb");
    if (file_ == nullptr) throw Error(ErrorCode::io, std::string("cannot open: ") + std::strerror(errno), path);
  }
  ~Sink() {
    if (file_ != nullptr) std::fclose(file_);
  }
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;
  void line(const std::string& text) {
    if (file_ == nullptr) return print_line(text);
    if (std::fwrite(text.data(), 1, text.size(), file_) != text.size() || std::fputc('\n', file_) == EOF) fail();
  }
  void flush() {
    if (std::fflush(file_ == nullptr ? stdout : file_) != 0) fail();
  }

 private:
  [[noreturn]] void fail() const {
    throw Error(ErrorCode::io, std::string("cannot write: ") + std::strerror(errno),
                path_.empty() ? "standard output" : path_);
  }
  std::string path_;
  std::FILE* file_ = nullptr;
};

// For people: labels and scores in columns, everything else as JSON.
std::string readable(const Value& answer) {
  if (answer.is_object() && answer.find("label") != nullptr && answer.find("score") != nullptr) {
    char score[32];
    std::snprintf(score, sizeof score, "%.4f", answer.at("score").as_number());
    return answer.at("label").as_string() + "\t" + score;
  }
  if (answer.is_array() && !answer.as_array().empty() && answer.as_array().front().is_object()) {
    std::string lines;
    for (const Value& item : answer.as_array()) lines += (lines.empty() ? "" : "\n") + readable(item);
    return lines;
  }
  return to_json(answer);
}

void run(RunArguments& args) {
  Inputs inputs(std::move(args.texts), args.input);
  const TaskInfo& task = find_task(args.task);
  PipelineOptions options;
  options.model = args.model;
  options.load.dtype = args.dtype;
  const std::unique_ptr<Pipeline> pipe = task.make(options);
  const Value call = args.words.options();

  int64_t done = 0;
  if (args.resume && !args.output.empty()) done = whole_lines(args.output);
  Sink sink(args.output, args.resume);
  Value value;
  std::string error;
  for (int64_t i = 0; i < done; ++i) {
    if (!inputs.next(value, error)) break;
  }

  const bool keep_going = !inputs.single() || !args.output.empty();
  Progress progress(inputs.total());
  bool failed = false;
  const auto print_error = [&](const std::string& message) {
    failed = true;
    sink.line(args.json || !args.output.empty() ? to_json(Value::Object{{"error", message}}) : "error: " + message);
  };
  const auto print_answer = [&](const Value& answer) { sink.line(args.json ? to_json(answer) : readable(answer)); };

  std::vector<Value> block;
  const auto flush = [&] {
    if (block.empty()) return;
    CallControl control;
    control.on_progress = [&](int64_t n, int64_t) { progress.update(done + n); };
    try {
      for (const Value& answer : pipe->run(block, call, control)) print_answer(answer);
    } catch (const Error&) {
      if (!keep_going) throw;
      // Some input of the block is at fault: one by one, so that each line of the output answers its line of the input.
      for (const Value& input : block) {
        try {
          print_answer(pipe->run({input}, call).front());
        } catch (const Error& e) {
          print_error(e.what());
        }
      }
    }
    done += static_cast<int64_t>(block.size());
    block.clear();
    sink.flush();
  };
  while (inputs.next(value, error)) {
    if (!error.empty()) {
      flush();
      print_error(error);
      ++done;
      continue;
    }
    block.push_back(std::move(value));
    if (block.size() == kInputsPerCall) flush();
  }
  flush();
  if (failed) set_exit_status(1);
}

}  // namespace

void add_run(CLI::App& app) {
  CLI::App& command = *app.add_subcommand(
      "run", "run a task's pipeline: tcpp run TASK [OPTIONS] [TEXT ...]; - as TEXT reads lines from standard input");
  auto args = std::make_shared<RunArguments>();
  std::string list;
  for (const TaskInfo& task : tasks()) {
    list += "\n  " + std::string(task.name) + (task.alias.empty() ? "" : " (" + std::string(task.alias) + ")") + ": " +
            std::string(task.description);
  }
  command.footer("Tasks:" + list + "\n\ntcpp run TASK --help tells the task's own options too.");
  command.add_option("TASK", args->task, "the task")->required();
  command.add_option("--model", args->model, "directory or bundled model (default: the task's bundled model)");
  command.add_option("--input", args->input, "one text a line (- for standard input); *.jsonl: a JSON value a line");
  command.add_option("--output", args->output, "write the answers to this file");
  command.add_flag("--json", args->json, "one JSON value per input, as Hugging Face's pipeline returns it");
  command.add_flag("--resume", args->resume, "with --output: go on behind the last whole line");
  add_threads(command);
  add_dtype(command, args->dtype);
  allow_texts(command);

  // The flags of the task named behind "run".
  const auto word = std::find(words().begin(), words().end(), "run");
  if (word != words().end() && word + 1 != words().end() && !(word + 1)->starts_with('-')) {
    for (const TaskInfo& task : tasks()) {
      if (*(word + 1) == task.name || (!task.alias.empty() && *(word + 1) == task.alias)) {
        add_options(command, task.options(), {args, &args->words});
      }
    }
  }
  command.callback([args, &command] {
    find_task(args->task);  // before the flags, which are unknown where the task is
    args->texts = texts_of(command);
    run(*args);
  });
}

}  // namespace transformers::cli
