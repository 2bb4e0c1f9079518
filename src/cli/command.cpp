// Implements command.hpp.
#include "command.hpp"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "transformers/base/error.hpp"
#include "transformers/base/parallel.hpp"

namespace transformers::cli {
namespace {

int64_t count_lines(const std::string& file) {
  std::FILE* in = std::fopen(file.c_str(), "rb");
  if (in == nullptr) return -1;
  std::vector<char> block(1 << 16);
  int64_t lines = 0;
  char last = '\n';
  for (std::size_t n; (n = std::fread(block.data(), 1, block.size(), in)) > 0;) {
    lines += std::count(block.begin(), block.begin() + static_cast<std::ptrdiff_t>(n), '\n');
    last = block[n - 1];
  }
  std::fclose(in);
  return lines + (last != '\n');
}

bool read_line(std::FILE* in, std::string& line) {
  line.clear();
  char* buffer = nullptr;
  std::size_t capacity = 0;
  const ssize_t length = ::getdelim(&buffer, &capacity, '\n', in);
  const std::unique_ptr<char, decltype(&std::free)> owner(buffer, &std::free);
  if (length < 0) {
    if (std::ferror(in)) throw Error(ErrorCode::io, std::string("cannot read the input: ") + std::strerror(errno));
    return false;
  }
  line.assign(buffer, static_cast<std::size_t>(length));
  if (line.ends_with('\n')) line.pop_back();
  return true;
}

}  // namespace

void allow_texts(CLI::App& command) { command.allow_extras(); }

std::vector<std::string> texts_of(const CLI::App& command) {
  std::vector<std::string> texts = command.remaining();
  for (const std::string& text : texts) {
    if (text.size() > 1 && text[0] == '-' && !std::isspace(static_cast<unsigned char>(text[1]))) {
      throw CLI::ExtrasError(command.get_name(), {text});
    }
  }
  const std::vector<std::string> literal = take_literal_texts();
  texts.insert(texts.end(), literal.begin(), literal.end());
  return texts;
}

CLI::Option* add_threads(CLI::App& app) {
  return app
      .add_option_function<int>(
          "--threads", [](int threads) { set_num_threads(threads); }, "threads to use (default: all usable cores)")
      ->check(CLI::Range(1, 1024));
}

CLI::Option* add_cache_dtype(CLI::App& app, std::optional<KVType>& type) {
  return app
      .add_option_function<std::string>(
          "--cache-dtype",
          [&type](const std::string& name) {
            type = name == "fp32" ? KVType::f32 : name == "bf16" ? KVType::bf16 : KVType::q8;
          },
          "what keys and values are held as (default: bf16 with weights of bf16, q8 or q4 where the processor "
          "multiplies "
          "bf16, else fp32)")
      ->check(CLI::IsMember({"fp32", "bf16", "q8"}))
      ->type_name("TYPE");
}

CLI::Option* add_dtype(CLI::App& app, WeightType& dtype) {
  return app
      .add_option_function<std::string>(
          "--dtype",
          [&dtype](const std::string& name) {
            const std::optional<WeightType> type = weight_type_from(name);
            if (!type) {
              throw Error(ErrorCode::unsupported,
                          "arithmetic in \"" + name + "\" (supported: fp32, bf16, q8, q4; stored)", "--dtype");
            }
            dtype = *type;
          },
          "weights and arithmetic: fp32, bf16, q8, q4 (default: as stored, in fp32 where they are floats)")
      ->type_name("DTYPE");
}

void add_load(CLI::App& app, LoadOptions& load) {
  add_dtype(app, load.dtype);
  app.add_flag_callback(
      "--no-mmap", [&load] { load.map_mode = MapMode::read; },
      "read the model's files whole in place of mapping them (for file systems that fail under a mapping)");
}

Inputs::Inputs(std::vector<std::string> texts, const std::string& file) {
  const bool standard_input = file == "-" || (file.empty() && texts.size() == 1 && texts[0] == "-");
  if (!file.empty() && !texts.empty()) throw CLI::ValidationError("give texts or --input, not both");
  if (standard_input) {
    file_ = stdin;
    name_ = "standard input";
  } else if (!file.empty()) {
    file_ = std::fopen(file.c_str(), "rb");
    if (file_ == nullptr) {
      throw Error(errno == ENOENT ? ErrorCode::not_found : ErrorCode::io,
                  std::string("cannot open: ") + std::strerror(errno), file);
    }
    name_ = file;
    json_lines_ = file.ends_with(".jsonl");
    total_ = count_lines(file);
  } else if (texts.empty()) {
    throw CLI::ValidationError("give a TEXT, --input FILE, or - for standard input");
  } else {
    values_.assign(texts.begin(), texts.end());
    total_ = static_cast<int64_t>(values_.size());
  }
}

Inputs::Inputs(std::vector<Value> values) : values_(std::move(values)), total_(static_cast<int64_t>(values_.size())) {}

Inputs::~Inputs() {
  if (file_ != nullptr && file_ != stdin) std::fclose(file_);
}

std::string Inputs::place() const { return file_ == nullptr ? "" : name_ + ":" + std::to_string(line_); }

bool Inputs::next(Value& value, std::string& error) {
  error.clear();
  if (file_ == nullptr) {
    if (next_value_ == values_.size()) return false;
    value = std::move(values_[next_value_++]);
    return true;
  }
  std::string line;
  if (!read_line(file_, line)) return false;
  ++line_;
  if (!json_lines_) {
    value = std::move(line);
    return true;
  }
  try {
    value = parse_json(line, place());
  } catch (const Error& e) {
    error = e.what();
  }
  return true;
}

Progress::Progress(int64_t total, int64_t done)
    : total_(total),
      done_before_(done),
      enabled_(::isatty(STDERR_FILENO) != 0 && total != 1),
      start_(std::chrono::steady_clock::now()),
      last_(start_) {}

void Progress::update(int64_t done) {
  using namespace std::chrono_literals;
  if (!enabled_) return;
  const auto now = std::chrono::steady_clock::now();
  if (now - start_ < 1s || now - last_ < 100ms) return;
  last_ = now;
  shown_ = true;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const double rate = static_cast<double>(done - done_before_) / seconds;
  if (total_ > 0) {
    constexpr int kWidth = 30;
    const int filled = static_cast<int>(std::min<int64_t>(kWidth, done * kWidth / total_));
    std::fprintf(stderr, "\r[%.*s%*s] %lld/%lld  %.1f/s  %.0f s left ", filled, "##############################",
                 kWidth - filled, "", static_cast<long long>(done), static_cast<long long>(total_), rate,
                 static_cast<double>(std::max<int64_t>(0, total_ - done)) / rate);
  } else {
    std::fprintf(stderr, "\r%lld done  %.1f/s ", static_cast<long long>(done), rate);
  }
  std::fflush(stderr);
}

Progress::~Progress() { clear(); }

void Progress::clear() {
  if (shown_) std::fprintf(stderr, "\r\x1b[K");
}

void Progress::message(const std::string& line) {
  clear();
  std::fprintf(stderr, "%s\n", line.c_str());
}

void print_line(std::string_view line) {
  if (std::fwrite(line.data(), 1, line.size(), stdout) != line.size() || std::fputc('\n', stdout) == EOF) {
    throw Error(ErrorCode::io, std::string("cannot write: ") + std::strerror(errno), "standard output");
  }
}

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return n == 0 ? 0 : n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

}  // namespace transformers::cli
