// What it is: what the commands of tcpp share: their list, inputs line by line, results, the progress bar.
// Where it stands: src/cli, on top of the public library; one file a command.
// Usage: `void add_info(CLI::App& app);` adds the command; its work runs in the subcommand's callback.
#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "transformers/base/value.hpp"
#include "transformers/kernels/kernels.hpp"
#include "transformers/models/pretrained_model.hpp"
#include "transformers/tensor/batch.hpp"
#include "transformers/tensor/dtype.hpp"

namespace transformers::cli {

// The words after the program's name, up to "--".
const std::vector<std::string>& words();
// The words behind "--", which are texts whatever they look like. Only run and tokenize take any.
std::vector<std::string> take_literal_texts();

// Each adds one command to the app.
void add_run(CLI::App& app);
void add_tokenize(CLI::App& app);
void add_detokenize(CLI::App& app);
void add_forward(CLI::App& app);
void add_generate(CLI::App& app);
void add_chat(CLI::App& app);
void add_info(CLI::App& app);
void add_bench(CLI::App& app);
void add_bench_generate(CLI::App& bench);
void add_quantize(CLI::App& app);

// Set by a command whose work is done but for inputs that failed: the exit status.
void set_exit_status(int status);

// The words of a command that are neither options nor its own positionals: its texts. A word that begins with '-' must
// stand behind "--" to be a text, "-" itself aside. Not an option of CLI11's, which would take the text "[a,b]" for a
// list.
void allow_texts(CLI::App& command);
std::vector<std::string> texts_of(const CLI::App& command);

CLI::Option* add_threads(CLI::App& app);
// --dtype, into `dtype`, which keeps its value without it.
CLI::Option* add_dtype(CLI::App& app, WeightType& dtype);
// --dtype and --no-mmap.
void add_load(CLI::App& app, LoadOptions& load);
// --cache-dtype, what keys and values are held as.
CLI::Option* add_cache_dtype(CLI::App& app, std::optional<KVType>& type);

// The inputs of a command: values of the command line, or the lines of a file ("-": standard input), read as they are
// asked for. Lines end at '\n' only. With `jsonl` (a file named *.jsonl) every line is a JSON value.
class Inputs {
 public:
  // `file` empty: the texts. A single text "-" is standard input. CLI::ValidationError when there is neither.
  Inputs(std::vector<std::string> texts, const std::string& file);
  explicit Inputs(std::vector<Value> values);
  ~Inputs();
  // The next input, or false at the end. `error` is set instead of `value` for a line that is no JSON.
  bool next(Value& value, std::string& error);
  // The inputs there are, -1 where not known before the end.
  int64_t total() const noexcept { return total_; }
  // Exactly one, given on the command line.
  bool single() const noexcept { return file_ == nullptr && values_.size() == 1; }
  // The file's name and the number of the line that next() gave last, "big.jsonl:3"; "" for values.
  std::string place() const;

 private:
  std::vector<Value> values_;
  std::size_t next_value_ = 0;
  std::FILE* file_ = nullptr;
  std::string name_;
  int64_t line_ = 0;
  bool json_lines_ = false;
  int64_t total_ = -1;
};

// A bar on standard error: only when that is a terminal and the work takes more than a second.
class Progress {
 public:
  // `done` of them were done before.
  explicit Progress(int64_t total, int64_t done = 0);
  ~Progress();
  void update(int64_t done);
  // A line on standard error, the bar out of its way.
  void message(const std::string& line);

 private:
  void clear();

  int64_t total_, done_before_;
  bool enabled_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point start_, last_;
};

// The int64 (or float32) values of an input, aligned; int32 and smaller integers are widened.
Tensor as_input(const Tensor& tensor, const ModelInputName& input, const std::string& file);

// Writes to standard output, checking that it went through. Error(io).
void print_line(std::string_view line);

// Seconds since some fixed moment.
double now_seconds();
double median(std::vector<double> values);

}  // namespace transformers::cli
