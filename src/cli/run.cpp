// tcpp run TASK: the pipeline of a task over texts, each line of a file, or standard input.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>

#include "command.hpp"
#include "options.hpp"
#include "transformers/base/error.hpp"
#include "transformers/base/fields.hpp"
#include "transformers/pipelines/pipeline.hpp"

namespace transformers::cli {
namespace {

// Inputs that are read, answered and written together: enough to fill batches with, few enough to hold in memory and to
// do again when a run is cut off.
constexpr std::size_t kInputsPerWindow = 1024, kBytesPerWindow = std::size_t{4} << 20;

// Bytes of text, roughly.
std::size_t size_of(const Value& value) {
  std::size_t size = sizeof(Value);
  if (value.is_string()) size += value.as_string().size();
  if (value.is_array()) {
    for (const Value& item : value.as_array()) size += size_of(item);
  }
  if (value.is_object()) {
    for (const auto& [key, item] : value.as_object()) size += key.size() + size_of(item);
  }
  return size;
}

struct RunArguments {
  std::string task, model, input, output;
  std::vector<std::string> texts;
  std::map<std::string, std::vector<std::string>> members;  // of inputs, by flags of their names
  bool json = false, resume = false;
  OptionWords words;
  LoadOptions load;
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

// What the command line says of inputs that are objects: --question Q --context C. A text alone is the first member.
class Members {
 public:
  Members(std::span<const InputName> names, const std::map<std::string, std::vector<std::string>>& given)
      : names_(names), given_(given) {}

  bool any() const { return !given_.empty(); }
  // One input for each value of a flag that was repeated; the others stand for all.
  std::vector<Value> inputs() const {
    std::size_t count = 1;
    for (const InputName& name : names_) {
      if (!name.list) count = std::max(count, values(name).size());
    }
    std::vector<Value> out;
    for (std::size_t i = 0; i < count; ++i) out.push_back(member_values(i, count, Value(Value::Object{})));
    return out;
  }
  // An input from elsewhere, with the members that it does not have.
  Value complete(Value input) const {
    if (!any() || !(input.is_string() || input.is_object())) return input;
    if (input.is_string()) input = Value::Object{{std::string(names_.front().name), std::move(input)}};
    return member_values(0, 1, std::move(input));
  }

 private:
  std::vector<std::string> values(const InputName& name) const {
    const auto found = given_.find(std::string(name.name));
    return found == given_.end() ? std::vector<std::string>{} : found->second;
  }
  Value member_values(std::size_t index, std::size_t count, Value object) const {
    for (const InputName& name : names_) {
      const std::vector<std::string> all = values(name);
      if (all.empty() || object.find(name.name) != nullptr) continue;
      if (name.list) {
        object.set(std::string(name.name), Value::Array(all.begin(), all.end()));
      } else if (all.size() == 1 || all.size() == count) {
        object.set(std::string(name.name), all[all.size() == 1 ? 0 : index]);
      } else {
        throw CLI::ValidationError(option_flag(name.name), "given " + std::to_string(all.size()) + " times for " +
                                                               std::to_string(count) + " inputs");
      }
    }
    return object;
  }
  std::span<const InputName> names_;
  const std::map<std::string, std::vector<std::string>>& given_;
};

Inputs inputs_of(RunArguments& args, const Members& members) {
  if (members.any() && args.texts.empty() && args.input.empty()) return Inputs(members.inputs());
  return Inputs(std::move(args.texts), args.input);
}

// One input of a window, and the line that answers it.
struct Slot {
  Value input;
  std::string place, error;
  std::string line;
};

void run(RunArguments& args) {
  const TaskInfo& task = find_task(args.task);
  const Members members(task.inputs, args.members);
  Inputs inputs = inputs_of(args, members);
  PipelineOptions options;
  options.model = args.model;
  options.load = args.load;
  const std::unique_ptr<Pipeline> pipe = pipeline(args.task, options);
  const Value call = args.words.options();
  pipe->run(std::span<const Value>{}, call);  // what is wrong with the options is not wrong with every line

  const bool to_file = !args.output.empty(), json = args.json || args.output.ends_with(".jsonl");
  int64_t done = args.resume && to_file ? whole_lines(args.output) : 0;
  Sink sink(args.output, args.resume);
  Value value;
  std::string error;
  for (int64_t i = 0; i < done; ++i) {
    if (!inputs.next(value, error)) break;
  }

  const bool keep_going = !inputs.single() || to_file;
  Progress progress(inputs.total(), done);
  bool failed = false;
  const auto line_of = [&](const Value& answer) {
    if (json) return to_json(answer);
    std::string text = readable(answer);
    if (to_file) std::replace(text.begin(), text.end(), '\n', '\t');  // line N answers line N
    return text;
  };
  // Fills in the lines of slots without an error. When some input is at fault, the others are answered without it.
  const std::function<void(std::span<Slot*>)> answer = [&](std::span<Slot*> slots) {
    if (slots.empty()) return;
    std::vector<Value> block;
    block.reserve(slots.size());
    for (const Slot* slot : slots) block.push_back(slot->input);
    CallControl control;
    control.on_progress = [&](int64_t n, int64_t) { progress.update(done + n); };
    try {
      const std::vector<Value> answers = pipe->run(block, call, control);
      for (std::size_t i = 0; i < slots.size(); ++i) slots[i]->line = line_of(answers[i]);
    } catch (const Error& e) {
      if (!keep_going) throw;
      if (slots.size() == 1) {
        slots.front()->error = e.what();
        return;
      }
      answer(slots.first(slots.size() / 2));
      answer(slots.subspan(slots.size() / 2));
    }
  };

  std::vector<Slot> window;
  std::size_t bytes = 0;
  const auto flush = [&] {
    std::vector<Slot*> good;
    for (Slot& slot : window) {
      if (slot.error.empty()) good.push_back(&slot);
    }
    answer(good);
    for (const Slot& slot : window) {
      if (slot.error.empty()) {
        sink.line(slot.line);
        continue;
      }
      failed = true;
      sink.line(json || to_file ? to_json(Value::Object{{"error", slot.error}}) : "error: " + slot.error);
      if (!slot.place.empty()) {
        const bool placed = slot.error.find(slot.place) != std::string::npos;
        progress.message("error: " + slot.error + (placed ? "" : " (" + slot.place + ")"));
      }
    }
    done += static_cast<int64_t>(window.size());
    window.clear();
    bytes = 0;
    sink.flush();
  };
  while (inputs.next(value, error)) {
    bytes += size_of(value);
    window.push_back({members.complete(std::move(value)), inputs.place(), std::move(error), {}});
    if (window.size() == kInputsPerWindow || bytes > kBytesPerWindow) flush();
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
  command.add_option("--model", args->model,
                     "directory, .gguf file or bundled model (default: the task's bundled model)");
  command.add_option("--input", args->input, "one text a line (- for standard input); *.jsonl: a JSON value a line");
  command.add_option("--output", args->output, "write the answers to this file, a line each; *.jsonl: as --json");
  command.add_flag("--json", args->json, "one JSON value per input, as Hugging Face's pipeline returns it");
  command.add_flag("--resume", args->resume, "with --output: go on behind the last whole line");
  add_threads(command);
  add_load(command, args->load);
  allow_texts(command);

  // The flags of the task named behind "run".
  const auto word = std::find(words().begin(), words().end(), "run");
  if (word != words().end() && word + 1 != words().end() && !(word + 1)->starts_with('-')) {
    const TaskInfo* task = nullptr;
    try {
      task = &find_task(*(word + 1));
    } catch (const Error&) {  // told when the command runs
    }
    if (task != nullptr) {
      for (const InputName& name : task->inputs) {
        command
            .add_option_function<std::vector<std::string>>(
                option_flag(name.name),
                [args, name](const std::vector<std::string>& given) { args->members[std::string(name.name)] = given; },
                std::string("this member of the inputs; ") +
                    (name.list ? "repeated: its texts" : "repeated: of one input after the other"))
            ->expected(1)
            ->take_all()
            ->allow_extra_args(false);
      }
      add_options(command, task->options(), {args, &args->words});
    }
  }
  command.callback([args, &command] {
    find_task(args->task);  // before the flags, which are unknown where the task is
    args->texts = texts_of(command);
    run(*args);
  });
}

}  // namespace transformers::cli
