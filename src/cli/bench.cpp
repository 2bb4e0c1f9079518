// tcpp bench: what a model and a tokenizer reach on this machine, one JSON line each: warmed up, medians.
#include <charconv>
#include <fstream>
#include <numeric>

#include "command.hpp"
#include "transformers/base/error.hpp"
#include "transformers/base/parallel.hpp"
#include "transformers/base/platform.hpp"
#include "transformers/kernels/kernels.hpp"
#include "transformers/models/locate.hpp"
#include "transformers/models/pretrained_model.hpp"
#include "transformers/tokenizers/tokenizer.hpp"

namespace transformers::cli {
namespace {

double megabytes(int64_t bytes) { return static_cast<double>(bytes) / 1e6; }

struct BenchForwardArguments {
  std::string model, lengths;
  int64_t batch = 1, seq = 128, runs = 10;
  LoadOptions load;
};

std::vector<int64_t> read_lengths(const BenchForwardArguments& args) {
  if (args.lengths.empty()) return std::vector<int64_t>(static_cast<std::size_t>(args.batch), args.seq);
  const std::string text = read_file(args.lengths);
  std::vector<int64_t> lengths;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    int64_t length = 0;
    const auto [stop, error] = std::from_chars(text.data() + begin, text.data() + end, length);
    if (error != std::errc() || stop != text.data() + end || length < 1 || length > args.seq) {
      throw Error(ErrorCode::invalid_argument,
                  "expected a length between 1 and --seq " + std::to_string(args.seq) + ", found \"" +
                      text.substr(begin, end - begin) + "\"",
                  args.lengths + ": line " + std::to_string(lengths.size() + 1));
    }
    lengths.push_back(length);
    begin = end + 1;
  }
  if (static_cast<int64_t>(lengths.size()) != args.batch) {
    throw Error(ErrorCode::invalid_argument,
                std::to_string(lengths.size()) + " lengths for --batch " + std::to_string(args.batch), args.lengths);
  }
  return lengths;
}

void bench_forward(const BenchForwardArguments& args) {
  const std::vector<int64_t> lengths = read_lengths(args);
  const double before = now_seconds();
  const auto model = PretrainedModel::from_pretrained(find_model(args.model), args.load);
  const double load_seconds = now_seconds() - before;

  BatchBuilder builder(model->batch_rules());
  uint64_t state = 88172645463325252ull;  // xorshift: the same ids on every run
  std::vector<int64_t> ids;
  for (const int64_t length : lengths) {
    ids.resize(static_cast<std::size_t>(length));
    for (int64_t& id : ids) {
      state ^= state << 13, state ^= state >> 7, state ^= state << 17;
      id = static_cast<int64_t>(state % static_cast<uint64_t>(model->vocab_size()));
    }
    builder.add({.input_ids = ids});
  }
  const Batch batch = builder.finish();
  Workspace workspace;
  std::vector<double> seconds;
  for (int64_t i = -2; i < args.runs; ++i) {
    const double start = now_seconds();
    model->forward(batch, workspace);
    if (i >= 0) seconds.push_back(now_seconds() - start);
  }
  const double typical = median(seconds);
  const double tokens = static_cast<double>(std::accumulate(lengths.begin(), lengths.end(), int64_t{0}));
  print_line(to_json(Value::Object{{"tokens_per_s", tokens / typical},
                                   {"sequences_per_s", static_cast<double>(lengths.size()) / typical},
                                   {"latency_ms_median", typical * 1e3},
                                   {"peak_rss_mb", megabytes(peak_resident_bytes())},
                                   {"load_ms", load_seconds * 1e3},
                                   {"isa", isa()},
                                   {"dtype", to_string(model->dtype())},
                                   {"threads", num_threads()}}));
}

struct TokenizeArguments {
  std::string model, input;
  int64_t runs = 5;
  bool offsets = false;
};

void bench_tokenize(const TokenizeArguments& args) {
  const auto tokenizer = AutoTokenizer::from_pretrained(find_model(args.model));
  const auto file = MappedFile::open(args.input);
  const std::string_view text = file->text();
  std::vector<std::string_view> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  EncodeOptions options;
  options.ids_only = !args.offsets;
  // In blocks, so that what is measured is tokenizing and not the memory for a whole corpus of results.
  constexpr std::size_t kBlock = 4096;
  int64_t tokens = 0;
  std::vector<double> seconds;
  for (int64_t i = -1; i < args.runs; ++i) {
    tokens = 0;
    const double start = now_seconds();
    for (std::size_t begin = 0; begin < lines.size(); begin += kBlock) {
      const std::span<const std::string_view> block(lines.data() + begin, std::min(kBlock, lines.size() - begin));
      for (const Encoding& encoding : tokenizer->encode_batch(block, options)) {
        tokens += static_cast<int64_t>(encoding.size());
      }
    }
    if (i >= 0) seconds.push_back(now_seconds() - start);
  }
  const double typical = median(seconds);
  const int64_t peak = peak_resident_bytes() - (file->is_mapped() ? static_cast<int64_t>(text.size()) : 0);
  print_line(to_json(Value::Object{{"mb_per_s", static_cast<double>(text.size()) / 1e6 / typical},
                                   {"tokens", tokens},
                                   {"tokens_per_s", static_cast<double>(tokens) / typical},
                                   {"peak_rss_mb", megabytes(std::max<int64_t>(peak, 0))},
                                   {"isa", isa()},
                                   {"dtype", "fp32"},
                                   {"threads", num_threads()}}));
}

}  // namespace

void add_bench(CLI::App& app) {
  CLI::App& command = *app.add_subcommand("bench", "measure a model or a tokenizer on this machine");
  command.require_subcommand(1);

  CLI::App& forward = *command.add_subcommand("forward", "forward passes over random tokens");
  auto f = std::make_shared<BenchForwardArguments>();
  forward.add_option("MODEL", f->model, "directory, .gguf file or bundled model")->required();
  forward.add_option("--batch", f->batch, "sequences")->check(CLI::Range(1, 1 << 20))->capture_default_str();
  forward.add_option("--seq", f->seq, "tokens of a sequence (the longest)")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  forward.add_option("--lengths", f->lengths, "file with one length a line, --batch of them");
  forward.add_option("--runs", f->runs, "timed runs")->check(CLI::Range(1, 1 << 20))->capture_default_str();
  add_load(forward, f->load);
  add_threads(forward);
  forward.callback([f] { bench_forward(*f); });

  add_bench_generate(command);

  CLI::App& tokenize = *command.add_subcommand("tokenize", "tokenize the lines of a file");
  auto t = std::make_shared<TokenizeArguments>();
  tokenize.add_option("MODEL", t->model, "directory, .gguf file or bundled model")->required();
  tokenize.add_option("--input", t->input, "text file")->required();
  tokenize.add_option("--runs", t->runs, "timed runs")->check(CLI::Range(1, 1 << 20))->capture_default_str();
  tokenize.add_flag("--offsets", t->offsets, "make tokens, offsets and masks too, not ids only");
  add_threads(tokenize);
  tokenize.callback([t] { bench_tokenize(*t); });
}

}  // namespace transformers::cli
