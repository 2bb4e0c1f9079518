// The tcpp command: results on standard output, everything else on standard error. Exit status 0 done, 1 the work
// failed (one line "error: <what> (<where>)"), 2 wrong usage.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "command.hpp"
#include "transformers/base/callbacks.hpp"
#include "transformers/base/error.hpp"
#include "transformers/base/export.hpp"

namespace {

int exit_status = 0;
std::vector<std::string> command_line, literal_texts;

int run(int argc, char** argv) {
  using namespace transformers;
  command_line.assign(argv + 1, argv + argc);
  if (const auto mark = std::find(command_line.begin(), command_line.end(), "--"); mark != command_line.end()) {
    literal_texts.assign(mark + 1, command_line.end());
    command_line.erase(mark, command_line.end());
  }

  CLI::App app{
      "Runs Hugging Face models: text in, answers out.\n"
      "MODEL is a directory in Hugging Face layout or the name of a bundled model.",
      "tcpp"};
  app.set_version_flag("--version", std::string("tcpp ") + version());
  app.require_subcommand(1);
  app.footer("tcpp COMMAND --help tells a command's options. Example:\n  tcpp run sentiment-analysis \"I love C++\"");
  bool verbose = false;
  app.add_flag("--verbose", verbose, "show the library's log on standard error");

  cli::add_run(app);
  cli::add_tokenize(app);
  cli::add_detokenize(app);
  cli::add_forward(app);
  cli::add_generate(app);
  cli::add_chat(app);
  cli::add_info(app);
  cli::add_quantize(app);
  cli::add_bench(app);

  app.parse_complete_callback([&] {  // before the command does its work
    const bool takes_texts = app.got_subcommand("run") || app.got_subcommand("tokenize");
    if (!literal_texts.empty() && !takes_texts) throw CLI::ExtrasError(literal_texts);
    set_log_callback([verbose](LogLevel level, std::string_view message) {
      if (level == LogLevel::warning || verbose) {
        std::fprintf(stderr, "%s: %.*s\n", level == LogLevel::warning ? "warning" : "note",
                     static_cast<int>(message.size()), message.data());
      }
    });
  });
  try {
    app.parse(std::vector<std::string>(command_line.rbegin(), command_line.rend()));
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);  // --help, --version
    std::fprintf(stderr, "error: %s (see tcpp --help)\n", e.what());
    return 2;
  }
  if (std::fflush(stdout) != 0) throw Error(ErrorCode::io, "cannot write", "standard output");
  return exit_status;
}

}  // namespace

const std::vector<std::string>& transformers::cli::words() { return command_line; }

std::vector<std::string> transformers::cli::take_literal_texts() { return std::exchange(literal_texts, {}); }

void transformers::cli::set_exit_status(int status) { exit_status = status; }

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "error: out of memory\n");
  } catch (const std::exception& e) {
    std::fprintf(stderr, "error: %s\n", e.what());
  }
  std::fflush(stdout);
  return 1;
}
