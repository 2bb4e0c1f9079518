// Implements generation/generation_config.hpp.
#include "transformers/generation/generation_config.hpp"

#include <algorithm>
#include <cmath>

#include "transformers/base/error.hpp"

namespace transformers {
namespace {

constexpr std::size_t kMaxFileBytes = std::size_t{16} << 20;

// Fields of Hugging Face that change no answer: how caches are laid out, what is compiled, what is returned beside.
constexpr std::string_view kWithoutEffect[] = {"cache_config",
                                               "max_cache_len",
                                               "compile_config",
                                               "disable_compile",
                                               "low_memory",
                                               "continuous_batching_config",
                                               "num_assistant_tokens_schedule",
                                               "assistant_confidence_threshold",
                                               "assistant_lookbehind",
                                               "target_lookbehind",
                                               "speculation_type",
                                               "transformers_version"};
// Fields that would change the answer or add to it, with the values that ask for nothing.
struct Unsupported {
  std::string_view name;
  Value nothing;
};
const Unsupported kUnsupported[] = {{"num_beam_groups", 1},
                                    {"diversity_penalty", 0.0},
                                    {"penalty_alpha", 0.0},
                                    {"dola_layers", nullptr},
                                    {"constraints", nullptr},
                                    {"force_words_ids", nullptr},
                                    {"watermarking_config", nullptr},
                                    {"guidance_scale", 1},
                                    {"token_healing", false},
                                    {"use_mtp", false},
                                    {"is_assistant", false},
                                    {"assistant_early_exit", nullptr},
                                    {"assistant_ensemble_weight", nullptr},
                                    {"output_attentions", false},
                                    {"output_hidden_states", false}};
// Caches are laid out in one way here, and all give the same numbers but quantized ones.
constexpr std::string_view kCaches[] = {"dynamic",
                                        "dynamic_full",
                                        "offloaded",
                                        "static",
                                        "hybrid",
                                        "offloaded_static",
                                        "paged",
                                        "offloaded_hybrid",
                                        "hybrid_chunked",
                                        "sliding_window",
                                        "offloaded_hybrid_chunked"};

[[noreturn]] void fail(std::string_view field, const std::string& message,
                       ErrorCode code = ErrorCode::invalid_argument) {
  throw Error(code, message, std::string(field));
}

std::string show(const Value& value) { return quote(value.is_string() ? value.as_string() : to_json(value)); }

bool same(const Value& value, const Value& nothing) {
  if (value.is_null()) return true;
  if (value.is_number() && nothing.is_number()) return value.as_number() == nothing.as_number();
  return value == nothing;
}

void check_ids(std::string_view field, const std::vector<int64_t>& ids, int64_t vocab_size) {
  for (const int64_t id : ids) {
    if (id < 0 || id >= vocab_size) {
      fail(field,
           "expected token ids between 0 and " + std::to_string(vocab_size - 1) + ", found " + std::to_string(id));
    }
  }
}

std::vector<int64_t> as_ids(std::string_view field, const Value& value) {
  std::vector<int64_t> ids;
  if (!value.is_array() || value.as_array().empty()) fail(field, "expected lists of token ids, found " + show(value));
  for (const Value& id : value.as_array()) {
    if (!id.is_integer()) fail(field, "expected token ids, found " + show(id));
    ids.push_back(id.as_integer());
  }
  return ids;
}

// The same field of two structs, or of one that is set.
class Merge final : public FieldVisitor {
 public:
  explicit Merge(Value& into) : into_(into) {}

 protected:
  void visit(std::string_view name, bool& v, std::string_view) override { into_.set(std::string(name), v); }
  void visit(std::string_view name, int64_t& v, std::string_view) override { into_.set(std::string(name), v); }
  void visit(std::string_view name, float& v, std::string_view) override { into_.set(std::string(name), v); }
  void visit(std::string_view name, double& v, std::string_view) override { into_.set(std::string(name), v); }
  void visit(std::string_view name, std::string& v, std::string_view) override { into_.set(std::string(name), v); }
  void visit(std::string_view name, std::vector<int64_t>& v, std::string_view) override {
    into_.set(std::string(name), Value::Array(v.begin(), v.end()));
  }
  void visit(std::string_view, std::vector<std::string>&, std::string_view) override {}
  void visit(std::string_view, std::map<int64_t, std::string>&, std::string_view) override {}
  void visit(std::string_view name, Value& v, std::string_view) override {
    if (!v.is_null()) into_.set(std::string(name), v);
  }
  void visit_choice(std::string_view, std::size_t&, const std::string_view*, std::size_t, std::string_view) override {}
  Presence visit_optional(std::string_view, bool has_value) override {
    return has_value ? Presence::value : Presence::unchanged;
  }

 private:
  Value& into_;
};

}  // namespace

void GenerationConfig::fields(FieldVisitor& f) {
  f("max_length", max_length, "tokens of prompt and answer together (the answer's default: 20)");
  f("max_new_tokens", max_new_tokens, "tokens of the answer; goes before max_length");
  f("min_length", min_length, "no end before this many tokens, the prompt's included");
  f("min_new_tokens", min_new_tokens, "no end before this many tokens");
  f("early_stopping", early_stopping, "beam search: stop when enough are finished (true), or never before it must");
  f("max_time", max_time, "seconds after which to stop");
  f("stop_strings", stop_strings, "text, or texts, whose appearance ends the answer");
  f("do_sample", do_sample, "draw tokens instead of taking the best");
  f("num_beams", num_beams, "beams of beam search");
  f("use_cache", use_cache, "accepted; the answer is the same without");
  f("temperature", temperature, "sampling: divides the scores");
  f("top_k", top_k, "sampling: among the k best (0: all)");
  f("top_p", top_p, "sampling: among the best that together have this probability");
  f("min_p", min_p, "sampling: among those with this share of the best's probability");
  f("top_h", top_h, "sampling: among the best that together have this share of the entropy");
  f("typical_p", typical_p, "sampling: among the most typical that together have this probability");
  f("epsilon_cutoff", epsilon_cutoff, "sampling: none below this probability");
  f("eta_cutoff", eta_cutoff, "sampling: none below a probability that depends on the entropy");
  f("repetition_penalty", repetition_penalty, "above 1: tokens that were there become less likely");
  f("encoder_repetition_penalty", encoder_repetition_penalty, "above 1: tokens of the source become more likely");
  f("length_penalty", length_penalty, "beam search: scores are divided by length to this power");
  f("no_repeat_ngram_size", no_repeat_ngram_size, "no n tokens twice");
  f("encoder_no_repeat_ngram_size", encoder_no_repeat_ngram_size, "no n tokens of the source");
  f("bad_words_ids", bad_words_ids, "lists of ids that may not appear: [[5],[7,8]]");
  f("renormalize_logits", renormalize_logits, "normalise the scores after all processors");
  f("forced_bos_token_id", forced_bos_token_id, "the first token behind a decoder's start");
  f("forced_eos_token_id", forced_eos_token_id, "the last token where max_length is reached");
  f("remove_invalid_values", remove_invalid_values, "take NaN for 0 and infinities for large numbers");
  f("exponential_decay_length_penalty", exponential_decay_length_penalty, "[start, factor]: the end grows likelier");
  f("suppress_tokens", suppress_tokens, "ids that may not appear");
  f("begin_suppress_tokens", begin_suppress_tokens, "ids that may not come first");
  f("sequence_bias", sequence_bias, "[[[ids], bias], ...] added to the last id's score behind the others");
  f("num_return_sequences", num_return_sequences, "answers for each prompt");
  f("output_scores", output_scores, "return the scores");
  f("output_logits", output_logits, "return the model's logits");
  f("return_dict_in_generate", return_dict_in_generate, "accepted");
  f("pad_token_id", pad_token_id, "fills finished rows");
  f("bos_token_id", bos_token_id, "the prompt where there is none");
  f("eos_token_id", eos_token_id, "ids that end an answer");
  f("decoder_start_token_id", decoder_start_token_id, "the decoder's prompt");
  f("prefill_chunk_size", prefill_chunk_size, "tokens of a prompt in one forward pass");
  f("prompt_lookup_num_tokens", prompt_lookup_num_tokens, "guess so many tokens ahead from what stood there before");
  f("max_matching_ngram_size", max_matching_ngram_size, "tokens that must match for such a guess (2)");
  f("num_assistant_tokens", num_assistant_tokens, "tokens that an assistant model guesses ahead");
  f("seed", seed, "makes sampling repeatable");
  f("json_schema", json_schema, "the answer is JSON that this schema accepts");
  f("regex", regex, "the answer matches this regular expression from end to end");
  f("grammar", grammar, "the answer is a text of this grammar (GBNF: root ::= ...)");
  const auto other = [&](std::string_view name) {
    const Value* known = others.find(name);
    Value value = known == nullptr ? Value() : *known;
    f(name, value, "");
    if (!value.is_null() || known != nullptr) others.set(std::string(name), std::move(value));
  };
  other("cache_implementation");
  for (const std::string_view name : kWithoutEffect) other(name);
  for (const Unsupported& field : kUnsupported) other(field.name);
}

GenerationConfig GenerationConfig::from_files(const ModelFiles& files) {
  GenerationConfig config;
  if (files.has("generation_config.json")) {
    const std::string where = files.where("generation_config.json");
    const Value object = parse_json(files.read_text("generation_config.json", kMaxFileBytes), where);
    FieldReader reader(object, where);
    config.fields(reader);
    return config;
  }
  const std::string where = files.where("config.json");
  const Value object = parse_json(files.read_text("config.json", kMaxFileBytes), where);
  // The model's own fields, then those of the text decoder inside it that are not set yet.
  GenerationConfig inner;
  for (const std::string_view name : {"decoder", "generator", "text_config"}) {
    const Value* text = object.find(name);
    if (text == nullptr || !text->is_object() || text->as_object().empty()) continue;
    FieldReader reader(*text, where);
    inner.fields(reader);
    break;
  }
  FieldReader reader(object, where);
  config.fields(reader);
  inner.update(config);
  if (const Value* force = object.find("force_bos_token_to_be_generated");
      force != nullptr && force->is_boolean() && force->as_boolean()) {
    inner.forced_bos_token_id = inner.bos_token_id;
  }
  return inner;
}

GenerationConfig GenerationConfig::from_pretrained(const std::string& directory) {
  return from_files(*ModelFiles::from_path(directory));
}

void GenerationConfig::update(const Value& options) {
  if (options.is_null()) return;
  FieldReader reader(options, "options");
  fields(reader);
  reader.reject_unknown();
}

void GenerationConfig::update(const GenerationConfig& other) {
  GenerationConfig copy = other;
  Value set{Value::Object{}};
  Merge merge(set);
  copy.fields(merge);
  update(set);
}

GenerationConfig GenerationConfig::with(const GenerationConfig& call) const {
  GenerationConfig all = with(Value());
  all.update(call);
  return all;
}

GenerationConfig GenerationConfig::with(const Value& options) const {
  GenerationConfig all;
  all.min_length = 0;
  all.early_stopping = false;
  all.do_sample = false;
  all.use_cache = true;
  all.num_beams = 1;
  all.temperature = 1.0;
  all.top_k = 50;
  all.top_p = 1.0;
  all.typical_p = 1.0;
  all.epsilon_cutoff = all.eta_cutoff = 0.0;
  all.repetition_penalty = all.encoder_repetition_penalty = 1.0;
  all.length_penalty = 1.0;
  all.no_repeat_ngram_size = all.encoder_no_repeat_ngram_size = 0;
  all.num_return_sequences = 1;
  all.output_scores = all.output_logits = all.return_dict_in_generate = false;
  all.remove_invalid_values = false;
  all.num_assistant_tokens = 20;
  all.update(*this);
  all.update(options);
  return all;
}

std::string_view GenerationConfig::constraint_name() const {
  const std::pair<std::string_view, bool> all[] = {
      {"json_schema", !json_schema.is_null()}, {"regex", regex.has_value()}, {"grammar", grammar.has_value()}};
  std::string_view set;
  for (const auto& [name, is_set] : all) {
    if (!is_set) continue;
    if (!set.empty()) fail(name, "an answer has one constraint, and " + quote(set) + " is set too");
    set = name;
  }
  return set;
}

void GenerationConfig::check(int64_t vocab_size) const {
  static_cast<void>(constraint_name());
  for (const Unsupported& field : kUnsupported) {
    const Value* value = others.find(field.name);
    if (value != nullptr && !same(*value, field.nothing)) {
      fail(field.name, std::string(field.name) + " = " + to_json(*value) + " is not supported", ErrorCode::unsupported);
    }
  }
  if (const Value* cache = others.find("cache_implementation"); cache != nullptr && !cache->is_null()) {
    const bool known = cache->is_string() &&
                       std::find(std::begin(kCaches), std::end(kCaches), cache->as_string()) != std::end(kCaches);
    if (!known) {
      fail("cache_implementation", "cache_implementation = " + to_json(*cache) + " is not supported",
           ErrorCode::unsupported);
    }
  }
  const auto at_least = [](std::string_view field, const std::optional<int64_t>& value, int64_t low) {
    if (value && *value < low)
      fail(field, "expected at least " + std::to_string(low) + ", found " + std::to_string(*value));
  };
  at_least("max_new_tokens", max_new_tokens, 1);
  at_least("min_new_tokens", min_new_tokens, 0);
  at_least("max_length", max_length, 1);
  at_least("min_length", min_length, 0);
  at_least("num_beams", num_beams, 1);
  at_least("num_return_sequences", num_return_sequences, 1);
  at_least("top_k", top_k, 0);
  at_least("no_repeat_ngram_size", no_repeat_ngram_size, 0);
  at_least("encoder_no_repeat_ngram_size", encoder_no_repeat_ngram_size, 0);
  at_least("prefill_chunk_size", prefill_chunk_size, 1);
  at_least("prompt_lookup_num_tokens", prompt_lookup_num_tokens, 1);
  at_least("max_matching_ngram_size", max_matching_ngram_size, 1);
  at_least("num_assistant_tokens", num_assistant_tokens, 1);
  const auto at_most = [](std::string_view field, const std::optional<int64_t>& value, int64_t high) {
    if (value && *value > high)
      fail(field, "expected at most " + std::to_string(high) + ", found " + std::to_string(*value));
  };
  // Far beyond any use, low enough that no sum overflows.
  for (const auto& [name, value] : {std::pair{"max_new_tokens", max_new_tokens},
                                    {"max_length", max_length},
                                    {"min_new_tokens", min_new_tokens},
                                    {"min_length", min_length}}) {
    at_most(name, value, int64_t{1} << 40);
  }
  at_most("num_beams", num_beams, 4096);
  at_most("num_return_sequences", num_return_sequences, 65536);
  const auto positive = [](std::string_view field, const std::optional<double>& value) {
    if (value && !(*value > 0)) fail(field, "expected a number above 0, found " + to_json(*value));
  };
  positive("temperature", do_sample.value_or(false) ? temperature : std::nullopt);
  positive("repetition_penalty", repetition_penalty);
  positive("encoder_repetition_penalty", encoder_repetition_penalty);
  const auto fraction = [](std::string_view field, const std::optional<double>& value, bool zero) {
    if (value && !((zero ? *value >= 0 : *value > 0) && *value <= 1)) {
      fail(field, std::string("expected a number ") + (zero ? "from 0 to 1" : "above 0 and up to 1") + ", found " +
                      to_json(*value));
    }
  };
  if (do_sample.value_or(false)) {
    fraction("top_p", top_p, false);
    fraction("min_p", min_p, true);
    fraction("top_h", top_h, false);
    fraction("typical_p", typical_p, false);
  }
  const bool sampled = do_sample.value_or(false);
  const int64_t beams = num_beams.value_or(1), returned = num_return_sequences.value_or(1);
  if (beams == 1 ? !sampled && returned > 1 : returned > beams) {
    fail("num_return_sequences",
         beams == 1 ? "greedy search gives one sequence, not " + std::to_string(returned) +
                          " (set do_sample, or num_beams to at least as many)"
                    : "expected at most num_beams=" + std::to_string(beams) + ", found " + std::to_string(returned));
  }
  if (!early_stopping.is_null() && !early_stopping.is_boolean() &&
      !(early_stopping.is_string() && early_stopping.as_string() == "never")) {
    fail("early_stopping", "expected true, false or \"never\", found " + show(early_stopping));
  }
  if (prompt_lookup_num_tokens && (beams > 1 || returned > 1)) {
    fail("prompt_lookup_num_tokens", "speculation works with greedy search and sampling of one sequence only",
         ErrorCode::unsupported);
  }

  const auto one = [&](std::string_view field, const std::optional<int64_t>& id) {
    if (id) check_ids(field, {*id}, vocab_size);
  };
  const auto many = [&](std::string_view field, const std::optional<std::vector<int64_t>>& ids) {
    if (ids) check_ids(field, *ids, vocab_size);
  };
  one("forced_bos_token_id", forced_bos_token_id);
  many("forced_eos_token_id", forced_eos_token_id);
  many("eos_token_id", eos_token_id);
  // Negative pad ids are in published configs, and suppress_tokens may name tokens that a smaller vocabulary lacks.
  if (pad_token_id && *pad_token_id >= vocab_size) one("pad_token_id", pad_token_id);
  if (!bad_words_ids.is_null()) {
    if (!bad_words_ids.is_array() || bad_words_ids.as_array().empty()) {
      fail("bad_words_ids", "expected a list of lists of token ids, found " + show(bad_words_ids));
    }
    for (const Value& words : bad_words_ids.as_array()) {
      check_ids("bad_words_ids", as_ids("bad_words_ids", words), vocab_size);
    }
  }
  if (!sequence_bias.is_null()) {
    const auto is_pair = [](const Value& item) {
      return item.is_array() && item.as_array().size() == 2 && item.as_array()[1].is_number();
    };
    if (!sequence_bias.is_array() || sequence_bias.as_array().empty() ||
        !std::all_of(sequence_bias.as_array().begin(), sequence_bias.as_array().end(), is_pair)) {
      fail("sequence_bias", "expected a list of [[ids], bias], found " + show(sequence_bias));
    }
    for (const Value& item : sequence_bias.as_array()) {
      check_ids("sequence_bias", as_ids("sequence_bias", item.as_array()[0]), vocab_size);
    }
  }
  if (const Value& decay = exponential_decay_length_penalty; !decay.is_null()) {
    if (!decay.is_array() || decay.as_array().size() != 2 || !decay.as_array()[0].is_integer() ||
        !decay.as_array()[1].is_number()) {
      fail("exponential_decay_length_penalty", "expected [start, factor], found " + show(decay));
    }
    if (!eos_token_id) fail("exponential_decay_length_penalty", "needs an eos_token_id");
  }
  if (suppress_tokens) {
    const auto suppressed = [&](int64_t id) {
      return std::find(suppress_tokens->begin(), suppress_tokens->end(), id) != suppress_tokens->end();
    };
    if (forced_bos_token_id && suppressed(*forced_bos_token_id)) {
      fail("suppress_tokens", "suppresses forced_bos_token_id, " + std::to_string(*forced_bos_token_id));
    }
    if (forced_eos_token_id && !forced_eos_token_id->empty() &&
        std::all_of(forced_eos_token_id->begin(), forced_eos_token_id->end(), suppressed)) {
      fail("suppress_tokens", "suppresses every forced_eos_token_id");
    }
  }
}

}  // namespace transformers
