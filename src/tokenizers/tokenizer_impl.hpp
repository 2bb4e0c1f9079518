// What it is: what a Tokenizer is made of: five stages, added tokens, and what the configuration files say.
// Where it stands: tokenizers; AutoTokenizer fills it in, Tokenizer runs it.
// Usage: `auto impl = std::make_unique<Tokenizer::Impl>(); impl->model = ...; impl->finish(); Tokenizer
// t(std::move(impl));`
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bert_path.hpp"
#include "compiled_path.hpp"
#include "transformers/tokenizers/added_tokens.hpp"
#include "transformers/tokenizers/decoders.hpp"
#include "transformers/tokenizers/models.hpp"
#include "transformers/tokenizers/normalizers.hpp"
#include "transformers/tokenizers/pre_tokenizers.hpp"
#include "transformers/tokenizers/processors.hpp"
#include "transformers/tokenizers/tokenizer.hpp"

namespace transformers {

// The named special tokens, in HF's order.
enum SpecialName { kBos, kEos, kUnk, kSep, kPad, kCls, kMask, kSpecialNames };
inline constexpr std::array<std::string_view, kSpecialNames> kSpecialTokenKeys = {
    "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};

struct Tokenizer::Impl {
  std::optional<Normalizer> normalizer;
  std::optional<PreTokenizer> pre_tokenizer;
  TokenizerModel model;
  std::optional<PostProcessor> post_processor;
  std::optional<Decoder> decoder;
  AddedVocabulary added;
  std::string class_name;  // the recipe's, for saving

  std::array<std::optional<std::string>, kSpecialNames> special_tokens;
  std::vector<std::string> other_special_tokens;
  std::vector<std::string> model_input_names{"input_ids", "attention_mask"};
  std::optional<int64_t> model_max_length;
  Side padding_side = Side::right;
  Side truncation_side = Side::right;
  bool clean_up_tokenization_spaces = false;
  bool clean_up_bpe = false;  // clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output
  bool split_special_tokens = false;
  bool compiled = true;
  bool masks_spelled_specials = false;  // special_tokens_mask is 1 for what the text itself spells, but unk (Marian)
  // By name; compiled when first used, so that a template that is wrong leaves the tokenizer usable.
  struct NamedTemplate {
    std::string name, source, where;
    mutable std::once_flag once;
    mutable std::unique_ptr<const ChatTemplate> compiled;
  };
  std::deque<NamedTemplate> chat_templates;
  // Of a tokenizer that marks the language of a text: mBART, NLLB, M2M100.
  struct Languages {
    std::string source;     // the code of a text whose language is not given
    bool in_front = false;  // its token comes first, else last
    bool wrapped = false;   // the token of "en" is "__en__"
    std::string token(std::string_view code) const {
      return wrapped ? "__" + std::string(code) + "__" : std::string(code);
    }
  };
  std::optional<Languages> languages;
  std::optional<int64_t> vocab_size;  // where the model's vocabulary has tokens that do not count (M2M100's languages)

  // Made by finish() from the above.
  std::array<std::optional<int32_t>, kSpecialNames> special_ids;
  std::vector<int32_t> all_special_ids;
  bool has_token_type_ids = false;
  int64_t highest_id = -1;
  bool every_id_has_token = false;  // ids that there are not stand for the unknown token: Python's tokenizers
  // The post-processor as a list of texts and special tokens, where it is one: all that ids_only needs of it.
  struct Part {
    int32_t sequence;  // 0 first text, 1 second, -1: the special token `id`
    int32_t id;
    int32_t type_id;
  };
  std::optional<std::vector<Part>> parts_of_one, parts_of_two;
  std::unique_ptr<const BertPath> bert;      // when the pipeline is BERT's throughout
  std::unique_ptr<const CompiledPath> path;  // when it is that of byte-level BPE or of SentencePiece: for ids_only

  void finish();

  std::optional<int32_t> token_to_id(std::string_view token) const;
  std::optional<std::string_view> id_to_token(int32_t id) const;
  // Error(invalid_argument) for a language that the tokenizer does not know.
  int32_t language_id(std::string_view code) const;

  // EncodeOptions with everything decided.
  struct Plan {
    bool add_special_tokens, split_special, ids_only, return_overflowing;
    TruncationStrategy truncation;
    PaddingStrategy padding;
    int64_t max_length = 0, stride = 0, pad_to_multiple_of = 0;
    Side truncation_side, padding_side;
    int32_t pad_id = 0;
    std::string pad_token;
    std::span<const std::size_t> plain = {};  // bytes of the text at which no special token stands
    int32_t language_id = -1;                 // -1: that of the post-processor
    std::string language_token;
  };
  Plan plan(const EncodeOptions& options) const;

  // A text as it comes, or one given in words.
  struct Input {
    std::string_view text;
    std::span<const std::string> words;
    bool is_words = false;
  };
  // One input without special tokens, truncation and padding.
  Encoding encode_input(const Input& input, int32_t type_id, const Plan& plan) const;
  // One or two inputs with all but padding.
  Encoding encode(const Input& first, const Input* second, const Plan& plan) const;
  // Pads each to the length that the plan and the longest of them ask for.
  void pad(std::span<Encoding> encodings, const Plan& plan) const;

 private:
  void encode_text(std::string_view text, int32_t word_id, const Plan& plan, Encoding& out) const;
  void set_language(Encoding& e, const Plan& plan) const;
  Encoding encode_ids(const Input& first, const Input* second, const Plan& plan, const std::vector<Part>& parts) const;
};

}  // namespace transformers
