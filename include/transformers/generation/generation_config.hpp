// What it is: GenerationConfig, Hugging Face's options of generate() under its names, and where their values come from.
// Where it stands: generation; generate() takes one, pipelines and `tcpp` fill one from the model's files and the call.
// Usage: `GenerationConfig config = GenerationConfig::from_pretrained("gpt2").with({.max_new_tokens = 20});`
// Source: transformers/generation/configuration_utils.py (5.23). Difference: an option that would change the answer and
//   is not supported here is an error wherever it is set, never ignored.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "transformers/base/export.hpp"
#include "transformers/base/fields.hpp"
#include "transformers/base/model_files.hpp"
#include "transformers/base/value.hpp"

namespace transformers {

// A field without a value is one that nobody has set (Python's None). with() gives those the defaults that generate()
// uses, noted behind each; generate() itself takes what is unset as switched off.
struct TCPP_API GenerationConfig {
  // Lengths, in tokens. max_length and min_length count the prompt (for encoder-decoders the decoder's), padding too.
  std::optional<int64_t> max_length = {};  // 20, on top of the prompt
  std::optional<int64_t> max_new_tokens = {}, min_new_tokens = {};
  std::optional<int64_t> min_length = {};  // 0
  Value early_stopping = {};               // false; true or "never": when beam search stops
  std::optional<double> max_time = {};     // seconds
  Value stop_strings = {};                 // a string or a list of them
  std::optional<bool> do_sample = {};      // false
  std::optional<int64_t> num_beams = {};   // 1
  std::optional<bool> use_cache = {};      // true; the answer is the same without
  std::optional<double> temperature = {};  // 1
  std::optional<int64_t> top_k = {};       // 50; 0: all
  std::optional<double> top_p = {};        // 1
  std::optional<double> min_p = {}, top_h = {};
  std::optional<double> typical_p = {};                                                 // 1
  std::optional<double> epsilon_cutoff = {}, eta_cutoff = {};                           // 0
  std::optional<double> repetition_penalty = {}, encoder_repetition_penalty = {};       // 1
  std::optional<double> length_penalty = {};                                            // 1
  std::optional<int64_t> no_repeat_ngram_size = {}, encoder_no_repeat_ngram_size = {};  // 0
  Value bad_words_ids = {};                                                             // list of lists of ids
  std::optional<bool> renormalize_logits = {};
  std::optional<int64_t> forced_bos_token_id = {};
  std::optional<std::vector<int64_t>> forced_eos_token_id = {};
  std::optional<bool> remove_invalid_values = {};  // false
  Value exponential_decay_length_penalty = {};     // [start, factor]
  std::optional<std::vector<int64_t>> suppress_tokens = {}, begin_suppress_tokens = {};
  Value sequence_bias = {};                                                                  // [[[ids], bias], ...]
  std::optional<int64_t> num_return_sequences = {};                                          // 1
  std::optional<bool> output_scores = {}, output_logits = {}, return_dict_in_generate = {};  // false
  std::optional<int64_t> pad_token_id = {}, bos_token_id = {};
  std::optional<std::vector<int64_t>> eos_token_id = {};
  std::optional<std::vector<int64_t>> decoder_start_token_id = {};  // one, or one for each row of the batch
  std::optional<int64_t> prefill_chunk_size = {};                   // tokens of a prompt in one forward pass

  // Speculation: faster, the tokens are the same without.
  std::optional<int64_t> prompt_lookup_num_tokens = {}, max_matching_ngram_size = {};
  std::optional<int64_t> num_assistant_tokens = {};  // 20

  // Not in Hugging Face: what the random numbers of sampling are made from; without it each call draws its own.
  std::optional<int64_t> seed = {};
  // Not in Hugging Face: what the answer's text must be, one of the three. See grammar.hpp.
  Value json_schema = {};
  std::optional<std::string> regex = {}, grammar = {};

  // Hugging Face's further fields, which change nothing here or are refused by check(): see generation_config.cpp.
  Value others = {};

  void fields(FieldVisitor& f);

  // What the model's files say: generation_config.json, or, where there is none, the fields of this struct that
  // config.json has. Members that are no field are ignored. Error(invalid_argument) on wrong types, naming file and
  // key.
  static GenerationConfig from_files(const ModelFiles& files);
  static GenerationConfig from_pretrained(const std::string& directory);

  // Sets the fields that `options` has; null takes a value away. Error(invalid_argument) for a member that is no field.
  void update(const Value& options);
  // Sets the fields that are set in `other`.
  void update(const GenerationConfig& other);
  // What generate() goes by: this config (the model's), Hugging Face's defaults for what it leaves unset, and the
  // options of a call over both, where null switches a thing off ({"top_k", nullptr}). max_length stays unset where
  // nobody sets it: its default depends on the prompt.
  GenerationConfig with(const Value& options) const;
  GenerationConfig with(const GenerationConfig& call) const;
  // Error(invalid_argument) naming a field whose value is impossible, ids outside the vocabulary among them, and
  // Error(unsupported) naming one that is set and not supported. Difference from Hugging Face: top_p = 0 is refused.
  void check(int64_t vocab_size) const;
  // Which of json_schema, regex and grammar is set; empty: none. Error(invalid_argument) for several.
  std::string_view constraint_name() const;
};

inline constexpr int64_t kDefaultMaxLength = 20;

}  // namespace transformers
