// tcpp generate: Hugging Face's generate() on token ids in a safetensors file; tcpp bench generate: its speed.
#include <algorithm>
#include <limits>

#include "command.hpp"
#include "options.hpp"
#include "transformers/base/error.hpp"
#include "transformers/base/model_files.hpp"
#include "transformers/base/parallel.hpp"
#include "transformers/base/platform.hpp"
#include "transformers/generation/generate.hpp"
#include "transformers/io/safetensors.hpp"
#include "transformers/kernels/kernels.hpp"
#include "transformers/models/locate.hpp"
#include "transformers/models/pretrained_model.hpp"
#include "transformers/pipelines/tokenizer_parts.hpp"
#include "transformers/tokenizers/tokenizer.hpp"

namespace transformers::cli {
namespace {

struct GenerateArguments {
  std::string model, inputs, output, assistant;
  OptionWords words;
  LoadOptions load;
  std::optional<KVType> cache_dtype;
};

// A value of each new token of each row (or `width` of them) as one tensor [rows, longest(, width)], NaN behind a row's
// end.
Tensor stacked(const std::vector<GeneratedSequence>& rows, std::vector<float> GeneratedSequence::*values,
               int64_t width = 1) {
  std::size_t longest = 0;
  for (const GeneratedSequence& row : rows) longest = std::max(longest, (row.*values).size());
  const int64_t count = static_cast<int64_t>(rows.size()), steps = static_cast<int64_t>(longest) / width;
  Tensor out = Tensor::zeros(DType::f32, width == 1 ? Shape{count, steps} : Shape{count, steps, width});
  float* to = out.mutable_data<float>();
  for (const GeneratedSequence& row : rows) {
    std::fill(std::copy((row.*values).begin(), (row.*values).end(), to), to + longest,
              std::numeric_limits<float>::quiet_NaN());
    to += longest;
  }
  return out;
}

void run(const GenerateArguments& args) {
  const auto file = SafetensorsFile::open(args.inputs);
  GenerateInputs inputs;
  for (const std::string& name : file->names()) {
    Tensor* const to = name == "input_ids"           ? &inputs.input_ids
                       : name == "attention_mask"    ? &inputs.attention_mask
                       : name == "decoder_input_ids" ? &inputs.decoder_input_ids
                                                     : nullptr;
    const auto* const input = std::find_if(std::begin(kModelInputNames), std::end(kModelInputNames),
                                           [&](const ModelInputName& known) { return known.name == name; });
    if (to == nullptr) {
      throw Error(ErrorCode::invalid_argument, "generate takes no input \"" + name + "\"", args.inputs);
    }
    *to = as_input(file->tensor(name), *input, args.inputs);
  }
  if (!inputs.input_ids.defined()) throw Error(ErrorCode::invalid_argument, "there are no input_ids", args.inputs);

  const std::string directory = find_model(args.model);
  const GenerationConfig config = GenerationConfig::from_pretrained(directory).with(args.words.options());
  const auto model = PretrainedModel::from_pretrained(directory, args.load);
  GenerateOptions options;
  if (!config.stop_strings.is_null() || !config.constraint_name().empty()) {
    const TokenizerParts parts = tokenizer_parts(*AutoTokenizer::from_files(ModelFiles::from_path(directory)), config);
    options.token_texts = parts.token_texts;
    options.constraint = parts.constraint;
  }
  options.engine.cache_type = args.cache_dtype;
  std::unique_ptr<PretrainedModel> assistant;
  if (!args.assistant.empty()) {
    assistant = PretrainedModel::from_pretrained(find_model(args.assistant), args.load);
    options.engine.assistant_model = assistant.get();
  }
  const GenerateOutput out = generate(*model, inputs, config, options);
  std::vector<std::pair<std::string, Tensor>> tensors{{"sequences", out.sequences}};
  if (out.sequences_scores.defined()) tensors.emplace_back("sequences_scores", out.sequences_scores);
  if (config.output_scores.value_or(false)) {
    tensors.emplace_back("transition_scores", stacked(out.rows, &GeneratedSequence::scores));
    tensors.emplace_back("logprobs", stacked(out.rows, &GeneratedSequence::logprobs));
  }
  if (config.output_logits.value_or(false) && config.num_beams.value_or(1) == 1) {
    tensors.emplace_back("logits", stacked(out.rows, &GeneratedSequence::logits, model->vocab_size()));
  }
  save_safetensors(args.output, tensors);
}

struct BenchArguments {
  std::string model;
  int64_t prompt = 128, new_tokens = 128, batch = 1, num_beams = 1, runs = 5;
  std::string assistant;
  LoadOptions load;
  std::optional<KVType> cache_dtype;
};

void bench(const BenchArguments& args) {
  const double before = now_seconds();
  const std::string directory = find_model(args.model);
  const auto model = PretrainedModel::from_pretrained(directory, args.load);
  const double load_seconds = now_seconds() - before;

  GenerationConfig config = GenerationConfig::from_pretrained(directory).with(Value());
  config.do_sample = false;
  config.num_beams = args.num_beams;
  config.max_new_tokens = args.new_tokens;
  config.max_length = config.min_new_tokens = config.prefill_chunk_size = std::nullopt;
  config.num_return_sequences = 1;
  config.eos_token_id.reset();  // so that all tokens are made
  std::vector<GenerationRequest> requests(static_cast<std::size_t>(args.batch));
  uint64_t state = 88172645463325252ull;  // xorshift: the same ids on every run
  for (GenerationRequest& request : requests) {
    request.config = config;
    for (int64_t i = 0; i < args.prompt; ++i) {
      state ^= state << 13, state ^= state >> 7, state ^= state << 17;
      request.input_ids.push_back(static_cast<int64_t>(state % static_cast<uint64_t>(model->vocab_size())));
    }
  }
  EngineOptions options;
  options.cache_type = args.cache_dtype;
  options.max_sequences = std::max(options.max_sequences, args.batch * args.num_beams);
  options.max_prefill_tokens = std::max(options.max_prefill_tokens, args.batch * args.prompt);
  std::unique_ptr<PretrainedModel> assistant;
  if (!args.assistant.empty()) {
    assistant = PretrainedModel::from_pretrained(find_model(args.assistant), args.load);
    options.assistant_model = assistant.get();
  }
  Engine engine(*model, options);
  std::vector<double> first, rest;
  std::optional<Error> error;
  for (int64_t i = -1; i < args.runs; ++i) {
    for (const GenerationRequest& request : requests) {
      engine.submit(request, [&](GenerationResult result) {
        if (result.error) error = result.error;
      });
    }
    const double start = now_seconds();
    bool more = engine.step();  // the prompts, and a token behind each
    const double prefilled = now_seconds();
    while (more) more = engine.step();
    if (error) throw *error;
    if (i < 0) continue;  // warm-up
    first.push_back(prefilled - start);
    rest.push_back(now_seconds() - prefilled);
  }
  const double prompt_tokens = static_cast<double>(args.batch * args.prompt);
  const double new_tokens = static_cast<double>(args.batch * (args.new_tokens - 1));
  print_line(to_json(Value::Object{{"prompt_tokens_per_s", prompt_tokens / median(first)},
                                   {"new_tokens_per_s", new_tokens > 0 ? new_tokens / median(rest) : 0.0},
                                   {"time_to_first_token_ms", median(first) * 1e3},
                                   {"peak_rss_mb", static_cast<double>(peak_resident_bytes()) / 1e6},
                                   {"load_ms", load_seconds * 1e3},
                                   {"isa", isa()},
                                   {"dtype", to_string(model->dtype())},
                                   {"threads", num_threads()}}));
}

}  // namespace

void add_generate(CLI::App& app) {
  CLI::App& command =
      *app.add_subcommand("generate", "continue token ids, from a safetensors file to another, as generate() does");
  auto args = std::make_shared<GenerateArguments>();
  command.add_option("MODEL", args->model, "directory, .gguf file or bundled model")->required();
  command
      .add_option("--inputs", args->inputs,
                  "safetensors file with input_ids and, where there is padding, attention_mask; encoder-decoders also "
                  "take decoder_input_ids")
      ->required();
  command
      .add_option("--output", args->output,
                  "safetensors file for sequences; with --output-scores also each new token's transition_scores and "
                  "logprobs (beam search: and sequences_scores), with --output-logits its logits")
      ->required();
  command.add_option("--assistant-model", args->assistant,
                     "smaller model with the same vocabulary that guesses ahead: faster, the tokens are the same");
  // The defaults shown are those of a model whose files say nothing.
  add_options(command, list_fields(GenerationConfig().with(Value())), {args, &args->words});
  add_load(command, args->load);
  add_cache_dtype(command, args->cache_dtype);
  add_threads(command);
  command.callback([args] { run(*args); });
}

void add_bench_generate(CLI::App& bench_command) {
  CLI::App& command = *bench_command.add_subcommand("generate", "new tokens behind prompts of random ones");
  auto args = std::make_shared<BenchArguments>();
  command.add_option("MODEL", args->model, "directory, .gguf file or bundled model")->required();
  const auto count = [&](const char* flag, int64_t& value, const char* help) {
    command.add_option(flag, value, help)->check(CLI::Range(1, 1 << 20))->capture_default_str();
  };
  count("--prompt", args->prompt, "tokens of a prompt");
  count("--new", args->new_tokens, "tokens to make; ends of sequence are ignored");
  count("--batch", args->batch, "prompts");
  count("--num-beams", args->num_beams, "beams");
  count("--runs", args->runs, "timed runs");
  command.add_option("--assistant-model", args->assistant, "smaller model that guesses ahead");
  add_load(command, args->load);
  add_cache_dtype(command, args->cache_dtype);
  add_threads(command);
  command.callback([args] { bench(*args); });
}

}  // namespace transformers::cli
