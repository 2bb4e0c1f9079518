// Implements generation/engine.hpp.
#include "transformers/generation/engine.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <deque>
#include <exception>
#include <list>
#include <mutex>
#include <numeric>
#include <utility>

#include "scores.hpp"
#include "transformers/base/parallel.hpp"
#include "transformers/generation/beam_search.hpp"
#include "transformers/generation/constraint.hpp"
#include "transformers/generation/logits_process.hpp"
#include "transformers/generation/sampling.hpp"
#include "transformers/models/pretrained_model.hpp"
#include "transformers/nn/cache.hpp"
#include "transformers/tensor/batch.hpp"
#include "transformers/tensor/workspace.hpp"

namespace transformers {

namespace {

// A request and how far it is.
struct Job {
  int64_t id = 0;
  GenerationRequest request;
  Engine::OnDone on_done;

  std::vector<int64_t> prompt;     // of the decoder
  std::vector<int64_t> mask;       // of the prompt; empty: ones
  std::vector<int64_t> positions;  // of the prompt's tokens; empty for an encoder-decoder, whose model counts itself
  int64_t max_length = 0;
  LogitsProcessorList processors;
  StoppingCriteriaList criteria;

  int64_t fed = 0;            // tokens of the prompt that the model has seen
  int64_t next_position = 0;  // of the token to come
  int64_t rows_in_cache = 1;
  bool started = false;  // the first token has been made
  // Sequences that go on, in the order of their rows in the cache: indices of `sequences`, without beam search.
  std::vector<std::size_t> live;
  std::vector<GeneratedSequence> sequences;
  std::vector<std::vector<int64_t>> rows;   // the ids of `live`
  std::vector<RandomGenerator> generators;  // of `sequences`; with beam search one
  std::unique_ptr<BeamSearch> beams;

  // What a step leaves: row i of the cache goes on from row sources[i]; tokens are those of `rows`' ends.
  std::vector<int64_t> sources;

  // Speculation: tokens guessed behind the row's last, which a step looks at together, and how many tokens it made.
  std::vector<int64_t> draft;
  std::size_t made = 1;
  std::optional<Cache> assistant;  // what the assistant has seen, of it the first `assistant_sure` tokens for good
  int64_t assistant_sure = 0;
  bool no_draft = false;

  std::optional<Error> error;

  int64_t width() const {
    return beams ? static_cast<int64_t>(beams->rows().size()) : static_cast<int64_t>(live.size());
  }
  int64_t token(int64_t row) const {
    const InputIds ids = beams ? beams->rows() : InputIds(rows);
    return ids[static_cast<std::size_t>(row)].back();
  }
  bool is_beam_search() const { return request.config.num_beams.value_or(1) > 1; }
  // The tokens whose keys are in row 0 of the cache, as far as they are its sequence's.
  std::span<const int64_t> seen() const {
    const std::vector<int64_t>& ids = rows.empty() ? sequences.front().ids : rows.front();
    return std::span(ids).first(ids.size() - 1);
  }
  bool done() const { return error.has_value() || (started && (beams ? beams->done() : live.empty())); }
};

using Jobs = std::vector<std::unique_ptr<Job>>;

Error as_error(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const Error& e) {
    return e;
  } catch (const std::bad_alloc&) {
    return Error(ErrorCode::out_of_memory, "out of memory");
  } catch (const std::exception& e) {
    return Error(ErrorCode::internal, e.what());
  } catch (...) {
    return Error(ErrorCode::internal, "an exception that is no std::exception");
  }
}

// What stood behind the last earlier place where the sequence's last tokens stood, the more of them the better.
std::vector<int64_t> prompt_lookup(std::span<const int64_t> ids, int64_t count, int64_t ngram_size) {
  const int64_t length = static_cast<int64_t>(ids.size());
  for (int64_t n = std::min(ngram_size, length - 1); n > 0; --n) {
    for (int64_t start = length - n - 1; start >= 0; --start) {
      if (!std::equal(ids.end() - n, ids.end(), ids.begin() + start)) continue;
      const auto from = ids.begin() + start + n;
      return {from, from + std::min(count, length - start - n)};
    }
  }
  return {};
}

}  // namespace

class Engine::Impl {
 public:
  Impl(const PretrainedModel& model, EngineOptions options)
      : model_(model),
        options_(options),
        encoder_decoder_(model.batch_rules().decoder != BatchRules::Decoder::none),
        cache_(fresh(Cache({.max_bytes = options.max_cache_bytes, .type = options.cache_type}))) {
    if (model.head() != Head::causal_lm && model.head() != Head::seq2seq_lm) {
      throw Error(ErrorCode::unsupported, std::string(model.architecture()) + " does not generate text");
    }
    if (!model.uses_cache()) {
      throw Error(ErrorCode::unsupported, std::string(model.architecture()) + " takes no past_key_values");
    }
    const PretrainedModel* const assistant = options.assistant_model;
    if (assistant == nullptr) return;
    if (encoder_decoder_ || assistant->head() != Head::causal_lm || !assistant->uses_cache()) {
      throw Error(ErrorCode::unsupported, "an assistant and the model it assists must be decoders", "assistant_model");
    }
    if (assistant->vocab_size() != model.vocab_size()) {
      throw Error(ErrorCode::invalid_argument,
                  "its vocabulary has " + std::to_string(assistant->vocab_size()) + " tokens, the model's " +
                      std::to_string(model.vocab_size()),
                  "assistant_model");
    }
  }

  int64_t submit(GenerationRequest request, OnDone on_done) {
    std::unique_ptr<Job> job = prepare(std::move(request));
    job->on_done = std::move(on_done);
    const std::lock_guard lock(mutex_);
    job->id = ++last_id_;
    waiting_.push_back(std::move(job));
    return last_id_;
  }

  bool cancel(int64_t id) {
    const std::lock_guard lock(mutex_);
    for (const auto& job : waiting_) {
      if (job->id == id) return job->request.cancel.cancel(), true;
    }
    const auto found = std::find_if(tokens_.begin(), tokens_.end(), [&](const auto& t) { return t.first == id; });
    if (found == tokens_.end()) return false;
    found->second.cancel();
    return true;
  }

  bool step() {
    const ParallelScope scope;
    drop_cancelled();
    decode();
    admit();
    prefill();
    const std::lock_guard lock(mutex_);
    return !waiting_.empty() || !filling_.empty() || !running_.empty();
  }

  int64_t running() const noexcept { return running_count_; }
  int64_t waiting() const noexcept {
    const std::lock_guard lock(mutex_);
    return static_cast<int64_t>(waiting_.size());
  }
  int64_t cache_bytes() const noexcept { return cache_.self_attention_cache.bytes(); }

 private:
  // Empty caches that count against the limit of `like`.
  static EncoderDecoderCache fresh(const Cache& like) { return {like.fresh(), like.fresh()}; }
  EncoderDecoderCache fresh() const { return fresh(cache_.self_attention_cache); }

  std::unique_ptr<Job> prepare(GenerationRequest request) const {
    auto job = std::make_unique<Job>();
    const GenerationConfig& config = request.config;
    const int64_t vocab_size = model_.vocab_size();
    config.check(vocab_size);
    const auto check_ids = [&](const std::vector<int64_t>& ids, const char* name) {
      for (const int64_t id : ids) {
        if (id < 0 || id >= vocab_size) {
          throw Error(ErrorCode::invalid_argument,
                      "token id " + std::to_string(id) + " is outside the vocabulary of " + std::to_string(vocab_size),
                      name);
        }
      }
    };
    if (!encoder_decoder_) check_ids(request.input_ids, "input_ids");
    check_ids(request.decoder_input_ids, "decoder_input_ids");
    if (!request.attention_mask.empty() && request.attention_mask.size() != request.input_ids.size()) {
      throw Error(ErrorCode::invalid_argument,
                  std::to_string(request.attention_mask.size()) + " values for " +
                      std::to_string(request.input_ids.size()) + " input_ids",
                  "attention_mask");
    }
    int64_t padding = 0;
    if (encoder_decoder_) {
      if (request.input_ids.empty()) throw Error(ErrorCode::invalid_argument, "the source is empty", "input_ids");
      job->prompt = request.decoder_input_ids;
      std::optional<int64_t> start = config.bos_token_id;
      if (const auto& given = config.decoder_start_token_id; given && !given->empty()) {
        check_argument(given->size() == 1, "several ids for one row", "decoder_start_token_id");
        start = given->front();
      }
      if (!start) {
        throw Error(ErrorCode::invalid_argument, "an encoder-decoder needs it, or bos_token_id, to start from",
                    "decoder_start_token_id");
      }
      check_ids({*start}, "decoder_start_token_id");
      if (job->prompt.empty() || job->prompt.front() != *start) job->prompt.insert(job->prompt.begin(), *start);
      job->next_position = static_cast<int64_t>(job->prompt.size());
    } else {
      check_argument(request.decoder_input_ids.empty(), "the model has no decoder beside an encoder",
                     "decoder_input_ids");
      padding = take_prompt(*job, request);
    }
    check_position(job->next_position - 1);

    const int64_t length = static_cast<int64_t>(job->prompt.size());
    if (config.max_new_tokens) {
      job->max_length = length + *config.max_new_tokens;
    } else if (config.max_length) {
      job->max_length = *config.max_length;
    } else {
      job->max_length =
          std::min(length + kDefaultMaxLength, model_.max_position_embeddings().value_or(model_.longest_sequence()));
    }
    if (length >= job->max_length) {
      throw Error(ErrorCode::invalid_argument,
                  "the prompt has " + std::to_string(length) + " tokens, max_length is " +
                      std::to_string(job->max_length) + " (raise it, or set max_new_tokens)",
                  "max_length");
    }
    PromptInfo info;
    info.input_ids_seq_length = length;
    info.max_length = job->max_length;
    info.encoder_input_ids = request.input_ids;
    info.padding_length = padding;
    info.batch_id = request.batch_id;
    std::vector<std::shared_ptr<const LogitsProcessor>> own = request.logits_processor;
    if (request.constraint != nullptr) {
      if (!config.eos_token_id || config.eos_token_id->empty()) {
        throw Error(ErrorCode::invalid_argument, "a constraint needs an eos_token_id to end the text with",
                    "eos_token_id");
      }
      own.insert(own.begin(), std::make_shared<ConstraintLogitsProcessor>(request.constraint, length, job->max_length,
                                                                          *config.eos_token_id));
    } else if (const std::string_view name = config.constraint_name(); !name.empty()) {
      throw Error(ErrorCode::invalid_argument, "it needs the tokenizer, which token ids alone do not bring",
                  std::string(name));
    }
    job->processors = get_logits_processor(config, info, request.prefix_allowed_tokens_fn, own);
    job->criteria = get_stopping_criteria(config, job->max_length, request.token_texts, request.stopping_criteria);
    const uint64_t seed = config.seed ? static_cast<uint64_t>(*config.seed) : random_seed();
    const bool beams = config.num_beams.value_or(1) > 1;
    if (beams && request.streamer != nullptr) {
      throw Error(ErrorCode::invalid_argument, "beam search has no tokens to stream before it ends", "streamer");
    }
    const int64_t generators = beams ? 1 : config.num_return_sequences.value_or(1);
    for (int64_t i = 0; i < generators; ++i) job->generators.emplace_back(seed, static_cast<uint64_t>(i));
    job->request = std::move(request);
    return job;
  }

  // The prompt of a decoder, its mask and positions. Returns how many tokens on the left are padding.
  static int64_t take_prompt(Job& job, const GenerationRequest& request) {
    job.prompt = request.input_ids;
    job.mask = request.attention_mask;
    if (job.prompt.empty()) {
      if (!request.config.bos_token_id) {
        throw Error(ErrorCode::invalid_argument, "an empty prompt needs a bos_token_id to start from", "input_ids");
      }
      job.prompt = {*request.config.bos_token_id};
    }
    const auto first = std::find_if(job.mask.begin(), job.mask.end(), [](int64_t m) { return m != 0; });
    const int64_t padding = first == job.mask.end() ? 0 : first - job.mask.begin();
    if (std::find(job.mask.begin(), job.mask.end(), 0) == job.mask.end()) job.mask.clear();
    job.positions.resize(job.prompt.size());
    int64_t kept = 0;
    for (std::size_t i = 0; i < job.prompt.size(); ++i) {
      const bool masked = !job.mask.empty() && job.mask[i] == 0;
      job.positions[i] = masked ? 0 : kept++;
    }
    job.next_position = job.positions.back() + 1;
    return padding;
  }

  void check_position(int64_t position) const {
    if (position < model_.longest_sequence()) return;
    throw Error(ErrorCode::limit, std::to_string(position + 1) + " tokens, model maximum is " +
                                      std::to_string(model_.longest_sequence()));
  }

  // ---- Beginning and end of a request -------------------------------------------------------------------------------

  static int64_t sequences_of(const Job& job) {
    const GenerationConfig& c = job.request.config;
    return std::max(c.num_beams.value_or(1), c.num_return_sequences.value_or(1));
  }

  // Waiting requests, in their order, into a group whose prompts are computed together.
  void admit() {
    const std::lock_guard lock(mutex_);
    if (!filling_.empty()) return;
    filling_cache_ = fresh();
    int64_t sequences = 0, tokens = 0;
    std::vector<std::optional<Cache>> known;
    for (const auto& job : running_) sequences += sequences_of(*job);
    while (!waiting_.empty()) {
      Job& job = *waiting_.front();
      const int64_t more = sequences_of(job), length = static_cast<int64_t>(job.prompt.size());
      const bool alone = filling_.empty() && running_.empty();
      std::optional<Cache> prefix = recall(job);
      const int64_t cost = length - (prefix ? prefix->get_seq_length() : 0) +
                           (encoder_decoder_ ? static_cast<int64_t>(job.request.input_ids.size()) : 0);
      if (!alone && sequences + more > options_.max_sequences) break;
      if (!filling_.empty() && tokens + cost > options_.max_prefill_tokens) break;
      sequences += more, tokens += cost;
      job.fed = prefix ? prefix->get_seq_length() : 0;
      known.push_back(std::move(prefix));
      tokens_.emplace_back(job.id, job.request.cancel);
      filling_.push_back(std::move(waiting_.front()));
      waiting_.pop_front();
      // A prompt of its own pieces is a group of its own.
      if (cost > options_.max_prefill_tokens || filling_.back()->request.config.prefill_chunk_size) break;
    }
    running_count_ = static_cast<int64_t>(filling_.size() + running_.size());
    if (std::none_of(known.begin(), known.end(), [](const auto& prefix) { return prefix.has_value(); })) return;
    for (const auto& prefix : known) {
      if (prefix) {
        filling_cache_.self_attention_cache.append(*prefix);
      } else {
        filling_cache_.self_attention_cache.append_empty();
      }
    }
  }

  // ---- Prefixes -----------------------------------------------------------------------------------------------------

  bool keeps_prefixes(const Job& job) const {
    return options_.max_prefix_tokens > 0 && !encoder_decoder_ && job.mask.empty();
  }

  // Keeps the keys and values of `ids`, which are the first of row `row`.
  void remember(const Job& job, std::span<const int64_t> ids, const Cache& cache, int64_t row) {
    const int64_t length = static_cast<int64_t>(ids.size());
    if (!keeps_prefixes(job) || length > options_.max_prefix_tokens || length > cache.get_seq_length(row)) return;
    Cache one = cache.clone();
    one.reorder_cache({{row}});
    try {
      one.crop(length);
    } catch (const Error&) {
      return;  // a model whose past cannot be cut
    }
    // What the new one begins with is in it.
    std::erase_if(prefixes_, [&](const Prefix& p) {
      return p.ids.size() <= ids.size() && std::equal(p.ids.begin(), p.ids.end(), ids.begin());
    });
    prefixes_.push_front({{ids.begin(), ids.end()}, std::move(one)});
    int64_t tokens = 0;
    for (auto prefix = prefixes_.begin(); prefix != prefixes_.end();) {
      tokens += static_cast<int64_t>(prefix->ids.size());
      prefix = tokens > options_.max_prefix_tokens ? prefixes_.erase(prefix) : std::next(prefix);
    }
  }

  // A cache with as much of the job's prompt as an earlier request shares, all but its last token at most.
  std::optional<Cache> recall(const Job& job) {
    if (!keeps_prefixes(job)) return std::nullopt;
    auto best = prefixes_.end();
    int64_t longest = kLeastPrefix - 1;
    for (auto prefix = prefixes_.begin(); prefix != prefixes_.end(); ++prefix) {
      const auto end = std::mismatch(prefix->ids.begin(), prefix->ids.end(), job.prompt.begin(), job.prompt.end() - 1);
      const int64_t shared = end.first - prefix->ids.begin();
      if (shared > longest) longest = shared, best = prefix;
    }
    if (best == prefixes_.end()) return std::nullopt;
    Cache cache = best->cache.clone();
    try {
      cache.crop(longest);
    } catch (const Error&) {
      return std::nullopt;  // a sliding window has let go of what would be seen again
    }
    prefixes_.splice(prefixes_.begin(), prefixes_, best);
    return cache;
  }

  void finish(std::unique_ptr<Job> job) {
    GenerationResult result;
    result.id = job->id;
    result.prompt_length = static_cast<int64_t>(job->prompt.size());
    if (job->error) {
      result.error = std::move(job->error);
    } else if (job->beams) {
      const int64_t count = job->request.config.num_return_sequences.value_or(1);
      for (int64_t i = 0; i < count; ++i) {
        const BeamSearch::Hypothesis& h = job->beams->hypotheses()[static_cast<std::size_t>(i)];
        GeneratedSequence sequence;
        sequence.ids = h.input_ids;
        sequence.score = h.score;
        sequence.beam_indices = h.beam_indices;
        if (job->request.config.output_scores.value_or(false)) {
          sequence.scores = sequence.logprobs = h.transition_scores;
        }
        result.sequences.push_back(std::move(sequence));
      }
    } else {
      result.sequences = std::move(job->sequences);
    }
    {
      const std::lock_guard lock(mutex_);
      std::erase_if(tokens_, [&](const auto& t) { return t.first == job->id; });
      running_count_ = static_cast<int64_t>(filling_.size() + running_.size());
    }
    if (!job->on_done) return;
    try {
      job->on_done(std::move(result));
    } catch (...) {
      log(LogLevel::warning, std::string("a callback threw: ") + as_error(std::current_exception()).what());
    }
  }

  void fail(std::unique_ptr<Job> job, Error error) {
    job->error = std::move(error);
    finish(std::move(job));
  }

  void drop_cancelled() {
    const Error cancelled(ErrorCode::cancelled, "cancelled by the caller");
    Jobs dropped;
    {
      const std::lock_guard lock(mutex_);
      for (auto job = waiting_.begin(); job != waiting_.end();) {
        if (!(*job)->request.cancel.is_cancelled()) {
          ++job;
          continue;
        }
        dropped.push_back(std::move(*job));
        job = waiting_.erase(job);
      }
    }
    for (auto& job : dropped) fail(std::move(job), cancelled);
    const auto drop = [&](Jobs& jobs, EncoderDecoderCache& cache) {
      for (const auto& job : jobs) {
        if (job->request.cancel.is_cancelled()) job->error = cancelled;
      }
      retire(jobs, cache, false);
    };
    drop(filling_, filling_cache_);
    drop(running_, cache_);
  }

  // Takes the jobs that are done out of `jobs` and their rows out of the cache, and brings the rows of the others into
  // the order that their step asks for (`stepped`).
  void retire(Jobs& jobs, EncoderDecoderCache& cache, bool stepped) {
    std::vector<int64_t> order;
    Jobs left, over;
    int64_t row = 0;
    for (auto& job : jobs) {
      const int64_t before = job->rows_in_cache;
      if (job->done()) {
        if (stepped && !job->error && before == 1 && job->sequences.size() == 1) {
          remember(*job, job->seen(), cache.self_attention_cache, row);
        }
        over.push_back(std::move(job));
      } else {
        if (stepped) {
          for (const int64_t source : job->sources) order.push_back(row + source);
          job->rows_in_cache = static_cast<int64_t>(job->sources.size());
        } else {
          for (int64_t i = 0; i < before; ++i) order.push_back(row + i);
        }
        left.push_back(std::move(job));
      }
      row += before;
    }
    jobs = std::move(left);
    const int64_t rows = cache.self_attention_cache.batch_size();
    bool same = static_cast<int64_t>(order.size()) == rows;
    for (std::size_t i = 0; same && i < order.size(); ++i) same = order[i] == static_cast<int64_t>(i);
    if (!same && rows > 0) {
      cache.self_attention_cache.reorder_cache(order);
      if (encoder_decoder_) cache.cross_attention_cache.reorder_cache(order);
    }
    for (auto& job : over) finish(std::move(job));
  }

  // ---- Forward passes -----------------------------------------------------------------------------------------------

  ModelOutput forward(const Batch& batch, EncoderDecoderCache& cache, std::span<const int32_t> rows) {
    return model_.forward(batch, workspace_,
                          {.past_key_values = &cache.self_attention_cache,
                           .cross_attention_cache = encoder_decoder_ ? &cache.cross_attention_cache : nullptr,
                           .logits_to_keep = rows});
  }

  // Computes a piece of the prompts that are being filled in; those that are complete make their first token and join
  // the running ones.
  void prefill() {
    if (filling_.empty()) return;
    Jobs& jobs = filling_;
    BatchRules rules = model_.batch_rules();
    if (!encoder_decoder_) rules.pooled = BatchRules::Pooled::last;  // the row that gives the logits, be it padding
    BatchBuilder builder(rules);
    int64_t left = options_.max_prefill_tokens;
    std::vector<int64_t> counts;
    for (const auto& job : jobs) {
      const int64_t length = static_cast<int64_t>(job->prompt.size());
      int64_t count = std::min(length - job->fed, left);
      if (job->request.config.prefill_chunk_size) count = std::min(count, *job->request.config.prefill_chunk_size);
      left -= count;
      counts.push_back(count);
      const auto piece = [&](const std::vector<int64_t>& values) {
        return values.empty()
                   ? std::span<const int64_t>{}
                   : std::span(values).subspan(static_cast<std::size_t>(job->fed), static_cast<std::size_t>(count));
      };
      if (encoder_decoder_) {
        BatchRow row;
        row.decoder_input_ids = piece(job->prompt);
        if (job->fed == 0) {  // what the encoder makes of the source stays in the cache
          row.input_ids = job->request.input_ids;
          row.attention_mask = job->request.attention_mask;
        }
        builder.add(row);
        continue;
      }
      builder.add(
          {.input_ids = piece(job->prompt), .attention_mask = piece(job->mask), .position_ids = piece(job->positions)});
    }
    Batch batch = builder.finish();
    std::vector<int32_t> rows = std::exchange(batch.pooled_rows, {});
    if (encoder_decoder_) {
      rows.assign(batch.cu_seqlens.begin() + 1, batch.cu_seqlens.end());
      for (int32_t& row : rows) --row;
    }
    try {
      const ModelOutput out = forward(batch, filling_cache_, rows);
      const OutputTensor logits = *out.logits;
      std::vector<float*> of_job;
      bool complete = true;
      for (std::size_t i = 0; i < jobs.size(); ++i) {
        jobs[i]->fed += counts[i];
        complete &= jobs[i]->fed == static_cast<int64_t>(jobs[i]->prompt.size());
        of_job.push_back(own_row(logits, static_cast<int64_t>(i)));
      }
      if (!complete) return;  // one job: the others of a group fit into one pass
      for (std::size_t i = 0; i < jobs.size(); ++i) {
        remember(*jobs[i], jobs[i]->prompt, filling_cache_.self_attention_cache, static_cast<int64_t>(i));
        start(*jobs[i]);
      }
      advance(jobs, of_job, logits.width, true);
      retire(jobs, filling_cache_, true);
      cache_.self_attention_cache.append(filling_cache_.self_attention_cache);
      cache_.cross_attention_cache.append(filling_cache_.cross_attention_cache);
      for (auto& job : jobs) running_.push_back(std::move(job));
      jobs.clear();
    } catch (const Error& error) {
      if (jobs.empty()) throw;
      // Which of them is at fault? The first by itself; for want of memory all wait for those that run.
      filling_cache_ = fresh();
      for (const auto& job : jobs) job->fed = 0;
      const bool wait = error.code() == ErrorCode::limit && (!running_.empty() || !prefixes_.empty());
      if (error.code() == ErrorCode::limit) prefixes_.clear();
      if (jobs.size() > 1 || wait) {
        const std::lock_guard lock(mutex_);
        for (; jobs.size() > 1; jobs.pop_back()) waiting_.push_front(std::move(jobs.back()));
        if (wait) {
          waiting_.push_front(std::move(jobs.back()));
          jobs.pop_back();
        }
        return;
      }
      std::unique_ptr<Job> job = std::move(jobs.front());
      jobs.clear();
      fail(std::move(job), error);
    }
    filling_cache_ = fresh();
  }

  // One token for every running sequence.
  void decode() {
    if (running_.empty()) return;
    for (auto& job : running_) {
      try {
        check_position(job->next_position);
      } catch (const Error& e) {
        job->error = e;
      }
    }
    retire(running_, cache_, false);
    if (running_.empty()) return;
    const BatchRules rules = model_.batch_rules();
    BatchBuilder builder(rules);
    std::vector<int32_t> rows;
    std::vector<int64_t> ids, positions;
    for (const auto& job : running_) {
      draft(*job);
      for (int64_t i = 0; i < job->width(); ++i) {
        ids.assign(1, job->token(i));
        ids.insert(ids.end(), job->draft.begin(), job->draft.end());
        positions.resize(ids.size());
        std::iota(positions.begin(), positions.end(), job->next_position);
        if (!encoder_decoder_) {
          builder.add({.input_ids = ids, .position_ids = positions});
        } else if (rules.positions == BatchRules::Positions::cumulative) {
          // Padding that was generated is counted here, though not in a prompt: Hugging Face goes on from the cache's
          // length.
          for (std::size_t k = 0; k < ids.size(); ++k) {
            positions[k] = ids[k] == rules.padding_idx ? ids[k] : positions[k] + rules.first_position();
          }
          builder.add({.decoder_input_ids = ids, .decoder_position_ids = positions});
        } else {
          builder.add({.decoder_input_ids = ids});
        }
        for (std::size_t k = 0; k < ids.size(); ++k) rows.push_back(static_cast<int32_t>(rows.size()));
      }
    }
    const Batch batch = builder.finish();
    std::optional<ModelOutput> out;
    try {
      out = forward(batch, cache_, rows);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::limit && !prefixes_.empty()) return prefixes_.clear();
      // Without room for the step the request that came last makes some.
      running_.back()->error = error;
      return retire(running_, cache_, false);
    }
    const OutputTensor logits = *out->logits;
    std::vector<float*> of_job;
    int64_t row = 0;
    for (auto& job : running_) {
      of_job.push_back(own_row(logits, row));
      row += job->width() + static_cast<int64_t>(job->draft.size());
    }
    advance(running_, of_job, logits.width, false);
    row = 0;
    for (auto& job : running_) {
      job->next_position += static_cast<int64_t>(job->made);
      const int64_t rejected = static_cast<int64_t>(job->draft.size() + 1 - job->made);
      if (rejected > 0 && !job->draft.empty() && !job->done()) cache_.self_attention_cache.crop(row, -rejected);
      if (job->assistant) {
        job->assistant_sure = std::min(job->assistant->get_seq_length(), job->next_position - 1);
      }
      row += job->rows_in_cache;
    }
    retire(running_, cache_, true);
  }

  // ---- Speculation --------------------------------------------------------------------------------------------------

  // Guesses what may come next, for jobs of one sequence. The guesses are looked at in one forward pass, and what is
  // chosen behind each is what would have been chosen without them: they only save passes, be they right or wrong.
  void draft(Job& job) {
    job.draft.clear();
    job.made = 1;
    const GenerationConfig& config = job.request.config;
    const bool assisted = options_.assistant_model != nullptr && !encoder_decoder_;
    if ((!assisted && !config.prompt_lookup_num_tokens) || job.is_beam_search() || job.sequences.size() != 1 ||
        job.no_draft || !cache_.self_attention_cache.can_crop()) {
      return;
    }
    const std::vector<int64_t>& ids = job.rows.front();
    int64_t most = config.prompt_lookup_num_tokens.value_or(config.num_assistant_tokens.value_or(20));
    most = std::min({most, kMostDraft, job.max_length - static_cast<int64_t>(ids.size()) - 1,
                     model_.longest_sequence() - job.next_position - 1});
    if (most <= 0) return;
    if (config.prompt_lookup_num_tokens) {
      job.draft = prompt_lookup(ids, most, config.max_matching_ngram_size.value_or(2));
    } else if (job.mask.empty()) {
      try {
        ask_assistant(job, ids, most);
      } catch (const Error&) {  // beyond its positions, or out of memory
        job.draft.clear(), job.assistant.reset();
        job.no_draft = true;
      }
    }
  }

  void ask_assistant(Job& job, const std::vector<int64_t>& ids, int64_t most) {
    if (!job.assistant) {
      job.assistant = cache_.self_attention_cache.fresh();
      job.assistant_sure = 0;
    } else {
      job.assistant->crop(job.assistant_sure);
    }
    std::vector<int64_t> feed(ids.begin() + job.assistant_sure, ids.end());
    while (static_cast<int64_t>(job.draft.size()) < most) {
      BatchBuilder builder(options_.assistant_model->batch_rules());
      builder.add({.input_ids = feed});
      const Batch batch = builder.finish();
      const int32_t last = static_cast<int32_t>(batch.tokens()) - 1;
      const ModelOutput out = options_.assistant_model->forward(
          batch, assistant_workspace_, {.past_key_values = &*job.assistant, .logits_to_keep = {&last, 1}});
      const std::span<const float> logits = out.logits->row(0);
      const int64_t token = argmax(logits);
      job.draft.push_back(token);
      const double probability =
          std::exp(static_cast<double>(logits[static_cast<std::size_t>(token)]) - generation::log_sum_exp(logits));
      if (probability < kLeastConfidence) break;
      feed.assign(1, token);
    }
  }

  // ---- Choosing tokens ----------------------------------------------------------------------------------------------

  static void start(Job& job) {
    const GenerationConfig& config = job.request.config;
    job.started = true;
    if (job.is_beam_search()) {
      BeamSearch::Options options;
      options.num_beams = *config.num_beams;
      options.max_length = job.max_length;
      options.length_penalty = config.length_penalty.value_or(1.0);
      const Value& early = config.early_stopping;
      options.early_stopping = early.is_string()                          ? BeamSearch::EarlyStopping::never
                               : early.is_boolean() && early.as_boolean() ? BeamSearch::EarlyStopping::yes
                                                                          : BeamSearch::EarlyStopping::no;
      options.eos_count = config.eos_token_id ? static_cast<int64_t>(config.eos_token_id->size()) : 0;
      options.do_sample = config.do_sample.value_or(false);
      job.beams = std::make_unique<BeamSearch>(options, job.prompt);
      return;
    }
    const std::size_t count = static_cast<std::size_t>(config.num_return_sequences.value_or(1));
    job.live.resize(count);
    std::iota(job.live.begin(), job.live.end(), std::size_t{0});
    job.rows.assign(count, job.prompt);
    job.sequences.resize(count);
  }

  // The memory is the workspace's, which is this engine's own, and nobody else reads it before the next pass.
  static float* own_row(const OutputTensor& logits, int64_t row) { return const_cast<float*>(logits.row(row).data()); }

  // The next tokens of all jobs from their logits, [width, vocab_size] each, or [1, vocab_size] for `first`. Jobs are
  // worked on by several threads; streamers are told afterwards, in this one.
  static void advance(Jobs& jobs, const std::vector<float*>& logits, int64_t vocab_size, bool first) {
    parallel_for(static_cast<int64_t>(jobs.size()), [&](int64_t i) {
      Job& job = *jobs[static_cast<std::size_t>(i)];
      try {
        choose_all(job, logits[static_cast<std::size_t>(i)], vocab_size, first);
      } catch (...) {
        job.error = as_error(std::current_exception());
      }
    });
    for (auto& job : jobs) {
      if (job->error || job->is_beam_search()) continue;
      try {
        settle(*job, first);
      } catch (...) {
        job->error = as_error(std::current_exception());
      }
    }
  }

  // A token, and behind each that was guessed another.
  static void choose_all(Job& job, float* logits, int64_t vocab_size, bool first) {
    job.made = 0;
    do {
      choose(job, logits + static_cast<int64_t>(job.made) * vocab_size, vocab_size, first);
      ++job.made;
    } while (job.made <= job.draft.size() && job.rows.front().back() == job.draft[job.made - 1] &&
             !job.criteria(job.rows.front()));
  }

  // What processors make of the logits takes their place, but for those of the first step, which all sequences share.
  static void choose(Job& job, float* logits, int64_t vocab_size, bool first) {
    const GenerationConfig& config = job.request.config;
    const int64_t width = job.width();
    const bool sample = config.do_sample.value_or(false), keep_scores = config.output_scores.value_or(false);
    const auto logits_of = [&](int64_t row) {
      return std::span<const float>(logits + (first ? 0 : row) * vocab_size, static_cast<std::size_t>(vocab_size));
    };
    if (config.output_logits.value_or(false) && !job.beams) {
      for (int64_t r = 0; r < width; ++r) {
        std::vector<float>& kept = job.sequences[job.live[static_cast<std::size_t>(r)]].logits;
        kept.insert(kept.end(), logits_of(r).begin(), logits_of(r).end());
      }
    }
    Scores scores{nullptr, width, vocab_size};
    std::vector<float> copies;
    const bool untouched = !job.beams && job.processors.empty();
    if (!untouched) {
      if (first) copies.resize(static_cast<std::size_t>(width * vocab_size));
      scores.data = first ? copies.data() : logits;
      for (int64_t r = 0; r < width; ++r) {
        const std::span<const float> from = logits_of(r);
        // Warpers order scores, which NaN has no place in: found here unless it is to be removed.
        const float top = config.remove_invalid_values.value_or(false) ? generation::max_of(from)
                                                                       : from[static_cast<std::size_t>(argmax(from))];
        if (job.beams) {
          log_softmax(from.data(), vocab_size, top, scores.row(r).data());
        } else if (first) {
          std::copy(from.begin(), from.end(), scores.row(r).begin());
        }
      }
      job.processors(job.beams ? job.beams->rows() : InputIds(job.rows), scores);
    }
    if (job.beams) {
      job.beams->step(scores, job.criteria, job.generators.front());
      job.sources.assign(job.beams->sources().begin(), job.beams->sources().end());
      if (first) std::fill(job.sources.begin(), job.sources.end(), 0);
      return;
    }
    for (int64_t r = 0; r < width; ++r) {
      const std::span<const float> row = untouched ? logits_of(r) : scores.row(r);
      const std::size_t live = job.live[static_cast<std::size_t>(r)];
      const int64_t token = sample ? multinomial(row, job.generators[live]) : argmax(row);
      job.rows[static_cast<std::size_t>(r)].push_back(token);
      GeneratedSequence& sequence = job.sequences[live];
      if (keep_scores) {
        const float score = row[static_cast<std::size_t>(token)];
        sequence.scores.push_back(score);
        sequence.logprobs.push_back(static_cast<float>(static_cast<double>(score) - generation::log_sum_exp(row)));
      }
    }
  }

  // Tells the streamer and takes out the sequences that are complete.
  static void settle(Job& job, bool first) {
    BaseStreamer* const streamer = job.request.streamer.get();
    std::vector<std::size_t> live;
    std::vector<std::vector<int64_t>> rows;
    job.sources.clear();
    for (std::size_t r = 0; r < job.live.size(); ++r) {
      const int64_t index = static_cast<int64_t>(job.live[r]);
      std::vector<int64_t>& row = job.rows[r];
      bool complete = job.criteria(row);
      if (streamer != nullptr) {
        if (first) complete |= !streamer->put(index, job.prompt);
        for (std::size_t left = job.made; left > 0; --left) {
          if (streamer->put(index, std::span(row).last(left).first(1))) continue;
          complete = true;
          take_back(job, r, left - 1);
          break;
        }
        if (complete) streamer->end(index);
      }
      if (complete) {
        job.sequences[job.live[r]].ids = std::move(row);
        continue;
      }
      job.sources.push_back(first ? 0 : static_cast<int64_t>(r));
      live.push_back(job.live[r]);
      rows.push_back(std::move(row));
    }
    job.live = std::move(live), job.rows = std::move(rows);
  }

  // Takes the last tokens off row r again.
  static void take_back(Job& job, std::size_t r, std::size_t count) {
    GeneratedSequence& sequence = job.sequences[job.live[r]];
    job.rows[r].resize(job.rows[r].size() - count);
    const auto shorten = [&](std::vector<float>& values, std::size_t each) {
      values.resize(values.size() - std::min(values.size(), count * each));
    };
    shorten(sequence.scores, 1), shorten(sequence.logprobs, 1);
    if (count > 0 && !sequence.logits.empty()) {
      shorten(sequence.logits, sequence.logits.size() / (job.rows[r].size() + count - job.prompt.size()));
    }
  }

  static constexpr int64_t kLeastPrefix = 16;  // tokens that are worth sharing
  static constexpr int64_t kMostDraft = 48;    // tokens: sliding windows keep some more
  static constexpr double kLeastConfidence = 0.4;

  // The keys and values of earlier sequences, the latest used first.
  struct Prefix {
    std::vector<int64_t> ids;
    Cache cache;
  };

  const PretrainedModel& model_;
  EngineOptions options_;
  bool encoder_decoder_;
  Workspace workspace_;
  Workspace assistant_workspace_;
  EncoderDecoderCache cache_, filling_cache_;
  std::list<Prefix> prefixes_;
  Jobs running_, filling_;  // in the order of their rows in the caches

  mutable std::mutex mutex_;  // guards what follows
  std::deque<std::unique_ptr<Job>> waiting_;
  std::vector<std::pair<int64_t, CancelToken>> tokens_;  // of requests under way
  int64_t last_id_ = 0;
  std::atomic<int64_t> running_count_{0};
};

Engine::Engine(const PretrainedModel& model, EngineOptions options) : impl_(std::make_unique<Impl>(model, options)) {}
Engine::~Engine() = default;
int64_t Engine::submit(GenerationRequest request, OnDone on_done) {
  return impl_->submit(std::move(request), std::move(on_done));
}
bool Engine::cancel(int64_t id) { return impl_->cancel(id); }
bool Engine::step() { return impl_->step(); }
int64_t Engine::running() const noexcept { return impl_->running(); }
int64_t Engine::waiting() const noexcept { return impl_->waiting(); }
int64_t Engine::cache_bytes() const noexcept { return impl_->cache_bytes(); }

}  // namespace transformers
