// Implements pipelines/encoder_pipeline.hpp.
#include "transformers/pipelines/encoder_pipeline.hpp"

#include <algorithm>
#include <iterator>
#include <mutex>
#include <numeric>
#include <utility>

#include "open_files.hpp"
#include "transformers/base/error.hpp"
#include "transformers/base/model_files.hpp"
#include "transformers/models/auto.hpp"
#include "transformers/models/locate.hpp"

namespace transformers {
namespace {

// Tokens in one packed batch: large enough that every weight read is used many times, small enough that the activations
// of a layer stay near the cores.
constexpr std::size_t kTokensPerBatch = 4096;

}  // namespace

std::shared_ptr<const ModelFiles> open_files(const TaskInfo& task, const PipelineOptions& options) {
  if (options.files) return options.files;
  const std::string_view name = options.model.empty() ? task.default_model : std::string_view(options.model);
  if (name.empty()) {
    throw Error(
        ErrorCode::invalid_argument,
        "no model is bundled for this task: name the directory of one, as of the hub's " + std::string(task.hub_models),
        std::string(task.name));
  }
  return ModelFiles::from_path(find_model(name), options.load.map_mode);
}

// Idle workspaces: as many exist as calls ever ran at the same time.
class EncoderPipeline::WorkspacePool {
 public:
  // A workspace taken from the pool for the time of one call.
  class Lease {
   public:
    explicit Lease(WorkspacePool& pool) : pool_(pool) {
      const std::lock_guard lock(pool_.mutex_);
      if (pool_.idle_.empty()) {
        workspace_ = std::make_unique<Workspace>();
      } else {
        workspace_ = std::move(pool_.idle_.back());
        pool_.idle_.pop_back();
      }
    }
    ~Lease() {
      const std::lock_guard lock(pool_.mutex_);
      pool_.idle_.push_back(std::move(workspace_));
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Workspace& operator*() noexcept { return *workspace_; }

   private:
    WorkspacePool& pool_;
    std::unique_ptr<Workspace> workspace_;
  };

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Workspace>> idle_;
};

TextInput TextInput::from(const Value& value) {
  if (value.is_string()) return TextInput(value.as_string());
  if (value.is_object()) {
    TextInput input(value.at("text").as_string());
    for (const auto& [key, member] : value.as_object()) {
      if (key == "text_pair") {
        if (!member.is_null()) input.text_pair = member.as_string();
      } else if (key != "text") {
        throw Error(ErrorCode::invalid_argument, "unknown member \"" + key + "\" (known: text, text_pair)", "input");
      }
    }
    return input;
  }
  if (value.is_array() && value.as_array().size() == 1 && value.as_array()[0].is_array() &&
      value.as_array()[0].as_array().size() == 2) {
    const Value::Array& pair = value.as_array()[0].as_array();
    return TextInput(pair[0].as_string(), pair[1].as_string());
  }
  throw Error(ErrorCode::invalid_argument,
              "expected a text or an object {\"text\", \"text_pair\"}, found " + std::string(value.type_name()),
              "input");
}

void truncation_field(FieldVisitor& f, Truncation& truncation) {
  constexpr std::string_view kStrategies[] = {"do_not_truncate", "longest_first", "only_first", "only_second"};
  Value value = truncation != TruncationStrategy::do_not_truncate;
  f("truncation", value,
    "cut inputs that are longer than the model takes: true, longest_first, only_first, only_second");
  if (value.is_boolean()) {
    const bool unchanged = value.as_boolean() == (truncation != TruncationStrategy::do_not_truncate);
    if (!unchanged) truncation = Truncation(value.as_boolean());
    return;
  }
  const auto* const end = std::end(kStrategies);
  const auto* const found = value.is_string() ? std::find(std::begin(kStrategies), end, value.as_string()) : end;
  if (found == end) {
    throw Error(
        ErrorCode::invalid_argument,
        "expected true, false, longest_first, only_first, only_second or do_not_truncate, found " + to_json(value),
        "truncation");
  }
  truncation = static_cast<TruncationStrategy>(found - kStrategies);
}

EncoderPipeline::EncoderPipeline(const TaskInfo& task, Head head, const PipelineOptions& options)
    : files_(open_files(task, options)),
      tokenizer_(AutoTokenizer::from_files(files_, options.tokenizer)),
      model_(load_model(files_, head, options.load)),
      workspaces_(std::make_unique<WorkspacePool>()) {
  if (tokenizer_->size() > model_->vocab_size()) {
    log(LogLevel::warning, "the tokenizer knows " + std::to_string(tokenizer_->size()) +
                               " tokens, the model's embedding " + std::to_string(model_->vocab_size()) + " (" +
                               files_->where("config.json") + ")");
  }
}

EncoderPipeline::~EncoderPipeline() = default;

std::vector<Encoding> EncoderPipeline::tokenize(std::span<const TextInput> inputs,
                                                const TokenizeOptions& options) const {
  EncodeOptions encode;
  encode.ids_only = true;
  if (options.truncation != TruncationStrategy::do_not_truncate) {
    encode.truncation = options.truncation;
    encode.max_length = options.max_length.value_or(max_length());
  }

  const auto is_pair = [](const TextInput& input) { return input.text_pair && !input.text_pair->empty(); };
  // Texts alone and pairs go through the tokenizer in two batches and come back in order.
  std::vector<std::string_view> single_texts;
  std::vector<std::string> pair_texts, pairs;
  for (const TextInput& input : inputs) {
    if (is_pair(input)) {
      pair_texts.push_back(input.text);
      pairs.push_back(*input.text_pair);
    } else {
      single_texts.push_back(input.text);
    }
  }
  std::vector<Encoding> encodings = tokenizer_->encode_batch(single_texts, encode);
  if (!pairs.empty()) {
    std::vector<Encoding> paired = tokenizer_->encode_pair_batch(pair_texts, pairs, encode);
    std::vector<Encoding> merged;
    merged.reserve(inputs.size());
    std::size_t next_single = 0, next_pair = 0;
    for (const TextInput& input : inputs) {
      merged.push_back(std::move(is_pair(input) ? paired[next_pair++] : encodings[next_single++]));
    }
    encodings = std::move(merged);
  }

  check_lengths(encodings, " (pass truncation=true)");
  return encodings;
}

int64_t EncoderPipeline::max_length() const noexcept {
  const int64_t maximum = model_->longest_sequence();
  return std::min(tokenizer_->model_max_length().value_or(maximum), maximum);
}

void EncoderPipeline::check_lengths(std::span<const Encoding> encodings, const char* hint) const {
  const int64_t maximum = model_->longest_sequence();
  for (std::size_t i = 0; i < encodings.size(); ++i) {
    if (static_cast<int64_t>(encodings[i].size()) <= maximum) continue;
    throw Error(ErrorCode::limit,
                std::to_string(encodings[i].size()) + " tokens, model maximum is " + std::to_string(maximum) + hint,
                encodings.size() == 1 ? std::string() : "input " + std::to_string(i));
  }
}

EncoderPipeline::Windows EncoderPipeline::Windows::of(std::vector<Encoding> encodings) {
  Windows out;
  for (std::size_t i = 0; i < encodings.size(); ++i) {
    std::vector<Encoding> rest = std::exchange(encodings[i].overflowing, {});
    out.input.resize(out.input.size() + 1 + rest.size(), i);
    out.encodings.push_back(std::move(encodings[i]));
    std::move(rest.begin(), rest.end(), std::back_inserter(out.encodings));
  }
  return out;
}

void EncoderPipeline::run_batches(std::span<const Encoding> encodings, std::span<const std::size_t> input_of,
                                  const CallControl& control, const Function<std::vector<int32_t>(const Batch&)>& keep,
                                  const Consume& consume) const {
  WorkspacePool::Lease workspace(*workspaces_);
  const auto names = tokenizer_->model_input_names();
  const bool with_types = std::find(names.begin(), names.end(), "token_type_ids") != names.end();
  const auto input = [&](std::size_t i) { return static_cast<int64_t>(input_of.empty() ? i : input_of[i]); };
  std::vector<int64_t> ids, types, mask;
  std::vector<std::size_t> order(encodings.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (input_of.empty()) {  // nothing is padded, but like lengths share the work of a batch more evenly
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return encodings[a].size() < encodings[b].size(); });
  }
  for (std::size_t first = 0; first < order.size();) {
    control.cancel.throw_if_cancelled();
    BatchBuilder builder(model_->batch_rules());
    std::size_t end = first, tokens = 0;
    do {
      const Encoding& encoding = encodings[order[end++]];
      ids.assign(encoding.ids.begin(), encoding.ids.end());
      if (with_types) types.assign(encoding.type_ids.begin(), encoding.type_ids.end());
      mask.assign(encoding.attention_mask.begin(), encoding.attention_mask.end());
      builder.add({.input_ids = ids, .attention_mask = mask, .token_type_ids = types});
      tokens += encoding.size();
    } while (end < order.size() && tokens + encodings[order[end]].size() <= kTokensPerBatch);
    const Batch batch = builder.finish();
    ForwardOptions options;
    const std::vector<int32_t> rows = keep ? keep(batch) : std::vector<int32_t>{};
    options.logits_to_keep = rows;
    consume(std::span(order).subspan(first, end - first), batch, model_->forward(batch, *workspace, options));
    first = end;
    if (control.on_progress) {  // inputs whose last window has been through
      control.on_progress(end < order.size() ? input(end) : input(end - 1) + 1, input(order.size() - 1) + 1);
    }
  }
}

}  // namespace transformers
