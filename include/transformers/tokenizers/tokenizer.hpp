// What it is: text <-> token ids, the whole of Hugging Face's fast tokenizers behind one class, and AutoTokenizer.
// Where it stands: tokenizers, the first station of the road: text -> Encoding {ids, tokens, offsets, ...} -> Batch.
// Usage:
//   auto tokenizer = AutoTokenizer::from_pretrained("models/bert");
//   Encoding e = tokenizer->encode("Hello, world");             // e.ids, e.tokens, e.offsets ...
//   BatchEncoding b = (*tokenizer)({"a b", "c"}, {.padding = true});
// Source: transformers 5.23 tokenization_utils_base.py and tokenization_utils_tokenizers.py; the `tokenizers` crate
// 0.23.
//
// Text that is not UTF-8: every maximal ill-formed subsequence is read as one U+FFFD (Unicode 3.9, table 3-8; Python's
// bytes.decode("utf-8", errors="replace")). Offsets count it as one code point. Encoded surrogates, overlong forms and
// code points beyond U+10FFFF are ill-formed. The rule holds for every function here that takes text.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "transformers/base/export.hpp"
#include "transformers/tokenizers/chat_template.hpp"

namespace transformers {

class ModelFiles;  // base/model_files.hpp

// What one text (or pair of texts) becomes. All vectors but `overflowing` have one entry per token. With
// EncodeOptions::ids_only, only ids, type_ids and attention_mask are filled.
struct Encoding {
  std::vector<int32_t> ids;
  std::vector<int32_t> type_ids;  // 0 first text, 1 second; model dependent
  std::vector<std::string> tokens;
  std::vector<std::pair<int32_t, int32_t>>
      offsets;                               // [begin, end) in code points of the original text; (0, 0) if added
  std::vector<uint8_t> special_tokens_mask;  // 1: added by the post-processor or by padding
  std::vector<uint8_t> attention_mask;       // 0: padding
  std::vector<int32_t> word_ids;             // index of the word (pre-token) of its text, -1 for none
  std::vector<int32_t> sequence_ids;         // 0 first text, 1 second, -1 for none
  std::vector<Encoding> overflowing;         // the parts cut off, each with special tokens and padding of its own

  std::size_t size() const noexcept { return ids.size(); }
  friend bool operator==(const Encoding&, const Encoding&) = default;
};

enum class TruncationStrategy { do_not_truncate, longest_first, only_first, only_second };
enum class PaddingStrategy { do_not_pad, longest, max_length };
enum class Side { left, right };

// HF's `truncation` argument: true is longest_first. Left alone, it is longest_first when max_length is given and
// padding is not, else do_not_truncate (HF's rule).
class Truncation {
 public:
  constexpr Truncation() = default;
  constexpr Truncation(TruncationStrategy s) : strategy_(s), is_set_(true) {}
  template <std::same_as<bool> Bool>  // nothing else that happens to convert to bool
  constexpr Truncation(Bool on)
      : strategy_(on ? TruncationStrategy::longest_first : TruncationStrategy::do_not_truncate), is_set_(true) {}
  constexpr operator TruncationStrategy() const { return strategy_; }
  constexpr bool is_set() const { return is_set_; }

 private:
  TruncationStrategy strategy_ = TruncationStrategy::do_not_truncate;
  bool is_set_ = false;
};

// HF's `padding` argument: true is longest.
class Padding {
 public:
  constexpr Padding(PaddingStrategy s = PaddingStrategy::do_not_pad) : strategy_(s) {}
  template <std::same_as<bool> Bool>
  constexpr Padding(Bool on) : strategy_(on ? PaddingStrategy::longest : PaddingStrategy::do_not_pad) {}
  constexpr operator PaddingStrategy() const { return strategy_; }

 private:
  PaddingStrategy strategy_;
};

struct EncodeOptions {
  bool add_special_tokens = true;
  Truncation truncation = {};
  Padding padding = {};
  // Tokens, special tokens included; for truncation and PaddingStrategy::max_length. Absent: model_max_length(), and if
  // that is absent too, neither is done (as in HF).
  std::optional<int64_t> max_length = {};
  int64_t stride = 0;                        // tokens that an overflowing part repeats of the part before it
  std::optional<Side> truncation_side = {};  // absent: the tokenizer's
  std::optional<Side> padding_side = {};     // absent: the tokenizer's
  int64_t pad_to_multiple_of = 0;            // 0: off; only together with padding
  bool return_overflowing = false;    // fill Encoding::overflowing (operator(): append the parts as further rows)
  bool split_special_tokens = false;  // treat text that spells a special token as plain text
  bool ids_only = false;              // the fast way: ids, type_ids and attention_mask, nothing else
  // The language of the text, for a tokenizer that marks it (has_languages()); absent: its own src_lang.
  std::optional<std::string> src_lang = {};
};

struct DecodeOptions {
  bool skip_special_tokens = false;
  // Absent: as tokenizer_config.json says, else false. A BPE model ignores it, as in HF: it would eat spaces of the
  // text.
  std::optional<bool> clean_up_tokenization_spaces = {};
};

// A conversation as the model reads it.
struct ChatEncoding {
  std::string text;   // what the chat template wrote
  Encoding encoding;  // its tokens
  // 1: written by the assistant, by the template's {% generation %} blocks (HF's return_assistant_tokens_mask).
  std::vector<uint8_t> assistant_masks;
};

// What a call of the tokenizer gives, under HF's names. Rows may differ in length unless padding was asked for.
struct BatchEncoding {
  std::vector<std::vector<int64_t>> input_ids;       // [batch][seq]
  std::vector<std::vector<int64_t>> attention_mask;  // [batch][seq]
  std::vector<std::vector<int64_t>> token_type_ids;  // [batch][seq]; empty when not among model_input_names
  std::vector<int64_t> overflow_to_sample_mapping;   // [batch] index of the text of each row; with return_overflowing
};

// An immutable tokenizer. const methods may be called concurrently.
// Errors of all encoding functions: invalid_argument when the special tokens alone exceed max_length, stride leaves no
// room for new tokens, the sequence to truncate is too short for only_first / only_second, only_second has no second
// text, or padding is asked for and there is no pad token; limit for texts of 2^31 bytes and more.
class TCPP_API Tokenizer {
 public:
  struct Impl;  // src/tokenizers/tokenizer_impl.hpp
  explicit Tokenizer(std::unique_ptr<const Impl> impl);
  ~Tokenizer();
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  // One text. Padding::longest has nothing to reach for here; max_length and pad_to_multiple_of do.
  Encoding encode(std::string_view text, const EncodeOptions& options = {}) const;
  // Two texts as one input: question and context, premise and hypothesis. An empty second text is none, as in HF
  // (which, in a batch of pairs, takes it for one; so does encode_pair_batch).
  Encoding encode_pair(std::string_view text, std::string_view text_pair, const EncodeOptions& options = {}) const;
  // One text given as words (HF's is_split_into_words): word_ids index `words`, offsets count within each word.
  Encoding encode_words(std::span<const std::string> words, const EncodeOptions& options = {}) const;

  // Many texts on the thread pool; entry i answers texts[i] whatever the number of threads.
  std::vector<Encoding> encode_batch(std::span<const std::string> texts, const EncodeOptions& options = {}) const;
  std::vector<Encoding> encode_batch(std::span<const std::string_view> texts, const EncodeOptions& options = {}) const;
  // texts[i] with text_pairs[i]; invalid_argument unless both have the same length.
  std::vector<Encoding> encode_pair_batch(std::span<const std::string> texts, std::span<const std::string> text_pairs,
                                          const EncodeOptions& options = {}) const;

  // HF's __call__: braces always mean a batch, a bare string one text (still a batch of one row).
  BatchEncoding operator()(std::initializer_list<std::string_view> texts, const EncodeOptions& options = {}) const;
  BatchEncoding operator()(std::string_view text, const EncodeOptions& options = {}) const;
  BatchEncoding operator()(std::span<const std::string> texts, const EncodeOptions& options = {}) const;
  BatchEncoding operator()(std::string_view text, std::string_view text_pair, const EncodeOptions& options = {}) const;
  BatchEncoding operator()(std::span<const std::string> texts, std::span<const std::string> text_pairs,
                           const EncodeOptions& options = {}) const;

  // Ids back to text. An id that the vocabulary skips stands for nothing, as in HF. Errors: invalid_argument naming an
  // id that is negative or beyond the vocabulary (which HF drops in silence).
  std::string decode(std::span<const int32_t> ids, const DecodeOptions& options = {}) const;
  std::string decode(std::initializer_list<int32_t> ids, const DecodeOptions& options = {}) const {
    return decode(std::span<const int32_t>(ids.begin(), ids.size()), options);
  }
  std::vector<std::string> decode_batch(std::span<const std::vector<int32_t>> ids,
                                        const DecodeOptions& options = {}) const;
  // Tokens joined by the decoder: {"un", "##do"} -> "undo".
  std::string convert_tokens_to_string(std::span<const std::string> tokens) const;
  // By id, the bytes that each token adds to a text it stands in the middle of: " the", half a character. Ids that the
  // vocabulary skips add none. Stop strings and constraints are matched against them.
  // Source: transformers/generation/stopping_criteria.py (5.23), clean_tokenizer_vocab.
  std::vector<std::string> token_texts() const;

  // The conversation, an array of messages, as the model's chat template writes it (HF's tokenize=False). Of several
  // templates the one called "tool_use" is taken when there are tools and it exists, else "default".
  // Errors: those of ChatTemplate; not_found when the model has no chat template.
  std::string apply_chat_template(const Value& conversation, const ChatTemplateOptions& options = {}) const;
  // The same, and its tokens. The template writes the special tokens: add_special_tokens is off whatever `encode` says.
  // HF's tokenizer_kwargs are `encode`, but for split_special_tokens: it makes plain text of the special tokens that
  // messages spell, those of the role assistant excepted, not of those that the template writes. ids_only leaves no
  // offsets, and so no assistant_masks.
  ChatEncoding encode_chat(const Value& conversation, const ChatTemplateOptions& options = {},
                           const EncodeOptions& encode = {}) const;
  // "default" for a model with one; empty for a model without any.
  std::vector<std::string> chat_template_names() const;

  std::optional<int32_t> token_to_id(std::string_view token) const;
  std::optional<std::string_view> id_to_token(int32_t id) const;  // the view lives as long as the tokenizer
  int64_t vocab_size() const noexcept;  // of the model, without added tokens (HF's vocab_size)
  int64_t size() const noexcept;        // with added tokens (HF's len(tokenizer))

  std::optional<int32_t> bos_token_id() const noexcept;
  std::optional<int32_t> eos_token_id() const noexcept;
  std::optional<int32_t> unk_token_id() const noexcept;
  std::optional<int32_t> sep_token_id() const noexcept;
  std::optional<int32_t> pad_token_id() const noexcept;
  std::optional<int32_t> cls_token_id() const noexcept;
  std::optional<int32_t> mask_token_id() const noexcept;
  std::span<const int32_t> all_special_ids()
      const noexcept;                 // in HF's order: bos, eos, unk, sep, pad, cls, mask, others
  bool is_special(int32_t id) const;  // what skip_special_tokens drops

  // tokenizer.json as the `tokenizers` crate writes it, whatever files the tokenizer was made from. Error(unsupported)
  // for one that Hugging Face runs in Python (Marian, M2M100, CTRL).
  std::string to_json() const;
  // Writes tokenizer.json and tokenizer_config.json into `directory`, made where it is not there: what is loaded from
  // them answers as this does, here and in Hugging Face (which may read a score of Unigram off by a unit in the last
  // place, and so decide a tie the other way). Error(io).
  void save_pretrained(const std::string& directory) const;

  // Whether texts are marked with their language: mBART, NLLB, M2M100 (HF's _build_translation_inputs).
  bool has_languages() const noexcept;
  // The token that a translation into this language begins with ("ro_RO", "fra_Latn", "fr").
  // Error(invalid_argument) for one that there is not, where HF takes the unknown token.
  int32_t language_id(std::string_view code) const;

  std::optional<int64_t> model_max_length() const noexcept;  // tokens, special ones included; absent: no limit is known
  int64_t num_special_tokens_to_add(bool pair = false) const noexcept;
  std::span<const std::string> model_input_names() const noexcept;  // which of BatchEncoding the model takes
  bool clean_up_tokenization_spaces() const noexcept;               // what decode does unless it is told otherwise
  // What the model puts before the pieces of a word behind the first: "##". Empty where it marks none in this way.
  std::string_view continuing_subword_prefix() const noexcept;
  Side padding_side() const noexcept;
  Side truncation_side() const noexcept;
  // True when encode with ids_only (and with offsets where it can) runs on the compiled path; both give the same.
  bool has_fast_path() const noexcept;

 private:
  friend class DecodeStream;
  std::unique_ptr<const Impl> impl_;
};

// Overrides of what the files say.
struct TokenizerOptions {
  std::optional<int64_t> model_max_length = {};
  std::optional<Side> padding_side = {};
  std::optional<Side> truncation_side = {};
  std::optional<bool> clean_up_tokenization_spaces = {};
  bool compiled = true;  // false: always the component-by-component path (for tests and comparisons)
};

// Finds out from the files what tokenizer a model has: tokenizer.json when there is one, else vocab.txt, vocab.json
// with merges.txt, or a SentencePiece model, with tokenizer_config.json, as transformers 5.23 reads them. The
// truncation and padding stored inside tokenizer.json are not applied: ask for them in EncodeOptions. Errors: not_found
// when there is no tokenizer file, naming those looked for; corrupt_file naming file and JSON path or line; unsupported
// naming a component's stage and type, or the tokenizer class.
class TCPP_API AutoTokenizer {
 public:
  static std::shared_ptr<const Tokenizer> from_pretrained(const std::string& directory,
                                                          const TokenizerOptions& options = {});
  static std::shared_ptr<const Tokenizer> from_files(std::shared_ptr<const ModelFiles> files,
                                                     const TokenizerOptions& options = {});
};

}  // namespace transformers
