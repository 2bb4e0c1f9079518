// tcpp bench: what a model and a tokenizer reach on this machine, one JSON line each: warmed up, medians.
#include <algorithm>
#include <charconv>
#include <cmath>
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

struct PerplexityArguments {
  std::string model, input;
  int64_t context = 512, chunks = 1 << 20;
  LoadOptions load;
};

// As llama-perplexity counts it: the text in pieces of `context` tokens, each by itself behind a BOS where the
// tokenizer puts one, the second half of each piece predicted.
void bench_perplexity(const PerplexityArguments& args) {
  const std::string directory = find_model(args.model);
  const auto tokenizer = AutoTokenizer::from_pretrained(directory);
  const auto model = PretrainedModel::from_pretrained(directory, args.load);
  if (model->head() != Head::causal_lm) {
    throw Error(ErrorCode::unsupported, std::string(model->architecture()) + " does not predict the next token");
  }
  EncodeOptions options;
  options.ids_only = true;
  std::vector<int64_t> ids;
  for (const int32_t id : tokenizer->encode(read_file(args.input), options).ids) ids.push_back(id);
  const int64_t context = args.context, count = static_cast<int64_t>(ids.size());
  const int64_t chunks = std::min(args.chunks, count / context);
  if (chunks == 0) {
    throw Error(ErrorCode::invalid_argument,
                std::to_string(count) + " tokens, fewer than --context " + std::to_string(context), args.input);
  }
  const auto bos = tokenizer->bos_token_id();
  const bool begins_with_bos = bos && ids.front() == *bos;
  std::vector<int32_t> rows;
  for (int64_t row = context / 2; row + 1 < context; ++row) rows.push_back(static_cast<int32_t>(row));
  Workspace workspace;
  std::vector<double> losses;
  const double start = now_seconds();
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    std::vector<int64_t> piece(ids.begin() + chunk * context, ids.begin() + (chunk + 1) * context);
    if (begins_with_bos) piece.front() = *bos;
    BatchBuilder builder(model->batch_rules());
    builder.add({.input_ids = piece});
    const ModelOutput out = model->forward(builder.finish(), workspace, {.logits_to_keep = rows});
    std::vector<double> loss(rows.size());
    parallel_for(static_cast<int64_t>(rows.size()), [&](int64_t i) {
      const std::span<const float> logits = out.logits->row(i);
      const float top = *std::max_element(logits.begin(), logits.end());
      double sum = 0;
      for (const float x : logits) sum += static_cast<double>(std::exp(x - top));
      const auto next =
          static_cast<std::size_t>(piece[static_cast<std::size_t>(rows[static_cast<std::size_t>(i)]) + 1]);
      loss[static_cast<std::size_t>(i)] = std::log(sum) + static_cast<double>(top - logits[next]);
    });
    losses.insert(losses.end(), loss.begin(), loss.end());
  }
  const double seconds = now_seconds() - start, total = static_cast<double>(losses.size());
  const double mean = std::accumulate(losses.begin(), losses.end(), 0.0) / total;
  double squares = 0;
  for (const double loss : losses) squares += (loss - mean) * (loss - mean);
  print_line(to_json(Value::Object{{"perplexity", std::exp(mean)},
                                   {"standard_error", std::exp(mean) * std::sqrt(squares / total / total)},
                                   {"tokens", static_cast<int64_t>(losses.size())},
                                   {"chunks", chunks},
                                   {"tokens_per_s", static_cast<double>(chunks * context) / seconds},
                                   {"isa", isa()},
                                   {"dtype", to_string(model->dtype())},
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

  CLI::App& perplexity = *command.add_subcommand("perplexity", "how well a decoder predicts a text");
  auto p = std::make_shared<PerplexityArguments>();
  perplexity.add_option("MODEL", p->model, "directory, .gguf file or bundled model")->required();
  perplexity.add_option("--input", p->input, "text file")->required();
  perplexity.add_option("--context", p->context, "tokens of a piece, whose second half is predicted")
      ->check(CLI::Range(4, 1 << 20))
      ->capture_default_str();
  perplexity.add_option("--chunks", p->chunks, "pieces, at most")->check(CLI::Range(1, 1 << 20));
  add_load(perplexity, p->load);
  add_threads(perplexity);
  perplexity.callback([p] { bench_perplexity(*p); });

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
