// What it is: the tokenizer classes of transformers, each a recipe for the pipeline around a vocabulary.
// Where it stands: tokenizers; AutoTokenizer chooses one from the files and follows it.
// Usage: `const TokenizerClass& c = class_of("RobertaTokenizerFast"); ClassBuild b{...}; c.build(b); ... c.finish(b);`
// Source: transformers 5.23 models/*/tokenization_*.py (__init__), models/auto/tokenization_auto.py.
//
// A class with an __init__ of its own takes nothing but vocabulary, merges and post-processor from tokenizer.json, and
// builds the rest from tokenizer_config.json. TokenizersBackend (PreTrainedTokenizerFast) takes the file as it stands.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer_impl.hpp"
#include "transformers/base/value.hpp"

namespace transformers {

// `sentencepiece`, `ctrl` and `transfo_xl` are the classes that transformers runs in Python; they do not look at
// tokenizer.json.
enum class ModelKind : uint8_t { as_it_stands, word_piece, bpe, unigram, sentencepiece, ctrl, transfo_xl };

// What a recipe has at hand.
struct ClassBuild {
  Tokenizer::Impl& impl;
  const Value& config;                                // tokenizer_config.json
  const std::string& where;                           // its name, for messages
  std::string model_where;                            // where the vocabulary comes from
  bool add_bos_token = false, add_eos_token = false;  // what the configuration says where there is no tokenizer.json
  std::array<std::optional<std::string>, kSpecialNames> specials;
  std::optional<Precompiled> charsmap;  // of tokenizer.json's normalizer or of the SentencePiece model

  // The vocabulary as the files have it: `vocab` for WordPiece and BPE (whose merges wait in `bpe`), `unigram` alone.
  Vocab vocab;
  BPE bpe;
  Unigram unigram;
  std::shared_ptr<const SentencePieceProcessor> processor;  // ModelKind::sentencepiece

  // A setting of tokenizer_config.json. Error(corrupt_file) for another type.
  bool flag(std::string_view key, bool absent) const;
  std::optional<bool> optional_flag(std::string_view key) const;
  std::optional<std::string> text(std::string_view key) const;
  // "None", as Python writes it, for a token that there is not.
  std::string special(SpecialName name) const { return specials[name].value_or("None"); }
};

struct TokenizerClass {
  std::string_view name;  // without "Fast"
  ModelKind model = ModelKind::as_it_stands;
  // The special tokens that its signature names, "unk=<unk> mask=<mask>+<": '+' has flags of its own, '<' takes the
  // white space to its left.
  std::string_view special_tokens = {};
  bool pads_left = false;
  bool has_token_type_ids = false;        // in model_input_names
  void (*build)(ClassBuild&) = nullptr;   // all but the post-processor
  void (*finish)(ClassBuild&) = nullptr;  // the post-processor, when all tokens have ids
  std::vector<std::string> (*extra)(const ClassBuild&) =
      nullptr;                  // additional_special_tokens where the files give none
  bool adds_bos_token = false;  // the default of add_bos_token
};

// The class of that name; the one that takes tokenizer.json as it stands for a name unknown here.
const TokenizerClass& class_of(std::string_view name);
// Whether there is a recipe of that name.
bool has_recipe(std::string_view name);

// What AutoTokenizer makes of a model type and the class that the files declare ("" for none): the class's name, ""
// when neither says anything. `is_byte_level`: tokenizer.json has a component ByteLevel.
std::string choose_class_name(const std::string& model_type, const std::string& declared, bool is_byte_level);

// TokenizersBackend.update_post_processor: bos and eos around the texts, as add_bos_token and add_eos_token say.
void update_post_processor(ClassBuild& b);

}  // namespace transformers
