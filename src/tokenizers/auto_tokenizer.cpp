// What it is: which tokenizer a model has, found out from its files as transformers does.
// Where it stands: tokenizers; the top of the component: files in, Tokenizer out.
// Usage: `auto tokenizer = AutoTokenizer::from_pretrained("models/bert");`
// Source: transformers 5.23 models/auto/tokenization_auto.py, tokenization_utils_base.py (_from_pretrained),
// tokenization_utils_tokenizers.py (TokenizersBackend.__init__), models/bert/tokenization_bert.py.
#include <algorithm>
#include <charconv>
#include <map>

#include "base64.hpp"
#include "python_text.hpp"
#include "sentencepiece.hpp"
#include "sentencepiece_processor.hpp"
#include "tiktoken.hpp"
#include "tokenizer_classes.hpp"
#include "tokenizer_impl.hpp"
#include "tokenizer_json.hpp"
#include "transformers/base/error.hpp"
#include "transformers/base/model_files.hpp"
#include "transformers/base/value.hpp"
#include "transformers/tokenizers/unicode.hpp"

namespace transformers {
namespace {

constexpr const char kTokenizerFile[] = "tokenizer.json";
constexpr const char kVocabFile[] = "vocab.txt";
constexpr const char kBpeVocabFile[] = "vocab.json";
constexpr const char kMergesFile[] = "merges.txt";
// What the classes call their SentencePiece model.
constexpr const char* kSentencePieceFiles[] = {"spiece.model", "sentencepiece.bpe.model", "tokenizer.model",
                                               "sentencepiece.model", "spm.model"};
constexpr const char* kTiktokenFiles[] = {"tokenizer.model", "tiktoken.model"};
// Of a source language; what is made of the target's is put together with it too.
constexpr const char kSourceFile[] = "source.spm";
constexpr const char kTokenizerConfigFile[] = "tokenizer_config.json";
constexpr const char kSpecialTokensMapFile[] = "special_tokens_map.json";
constexpr const char kAddedTokensFile[] = "added_tokens.json";
constexpr const char kConfigFile[] = "config.json";
constexpr const char kChatTemplateFile[] = "chat_template.jinja";
constexpr const char kProcessorTemplateFile[] = "chat_template.json";
constexpr std::string_view kChatTemplateFolder = "additional_chat_templates/";

// One JSON file of the model, an empty object when it is absent.
Value read_object(const ModelFiles& files, const char* name) {
  if (!files.has(name)) return Value(Value::Object{});
  Value v = parse_json(files.read_text(name), files.where(name));
  if (!v.is_object()) {
    throw Error(ErrorCode::corrupt_file, "expected an object, found a " + std::string(v.type_name()),
                files.where(name));
  }
  return v;
}

// The string at `key`, if there is one that is not null.
std::optional<std::string> get_string(const Value& object, std::string_view key, const std::string& where) {
  const Value* v = object.find(key);
  if (!v || v->is_null()) return std::nullopt;
  if (!v->is_string()) {
    throw Error(ErrorCode::corrupt_file, "expected a string, found a " + std::string(v->type_name()),
                where + ": " + std::string(key));
  }
  return v->as_string();
}

bool get_boolean(const Value& object, std::string_view key, bool absent, const std::string& where) {
  const Value* v = object.find(key);
  if (!v || v->is_null()) return absent;
  if (!v->is_boolean()) {
    throw Error(ErrorCode::corrupt_file, "expected a boolean, found a " + std::string(v->type_name()),
                where + ": " + std::string(key));
  }
  return v->as_boolean();
}

std::optional<Side> get_side(const Value& object, std::string_view key, const std::string& where) {
  const auto side = get_string(object, key, where);
  if (!side) return std::nullopt;
  if (*side == "left" || *side == "Left") return Side::left;
  if (*side == "right" || *side == "Right") return Side::right;
  throw Error(ErrorCode::corrupt_file, "expected \"left\" or \"right\", found \"" + *side + '"',
              where + ": " + std::string(key));
}

// A token as configurations write it: its text, or an object with its flags.
struct ConfiguredToken {
  std::string content;
  std::optional<AddedToken> flags;  // absent: only a string was given
};

std::optional<ConfiguredToken> read_token(const Value& v, const std::string& where) {
  if (v.is_null()) return std::nullopt;
  if (v.is_string()) return ConfiguredToken{v.as_string(), std::nullopt};
  if (v.is_object() && v.find("content")) {
    AddedToken token;
    try {
      read_fields(token, v, where);
    } catch (const Error& e) {
      rethrow_with(e, where);
    }
    // AddedToken(special=True) is not normalized unless it says so.
    if (!v.find("normalized")) token.normalized = !token.special;
    return ConfiguredToken{token.content, token};
  }
  throw Error(ErrorCode::corrupt_file, "expected a token, found a " + std::string(v.type_name()), where);
}

// Everything the configuration files say about special and added tokens.
struct TokenConfig {
  std::map<std::string, ConfiguredToken, std::less<>> named;  // "cls_token" and others that end in "_token"
  std::vector<std::string> named_order;
  std::vector<ConfiguredToken> extra;
  std::map<int64_t, AddedToken> added;  // by the id the files give, which only orders them

  void set(const std::string& key, ConfiguredToken token) {
    if (!named.contains(key)) named_order.push_back(key);
    named.insert_or_assign(key, std::move(token));
  }
};

bool is_standard_name(std::string_view key) {
  return std::find(kSpecialTokenKeys.begin(), kSpecialTokenKeys.end(), key) != kSpecialTokenKeys.end();
}

void read_extra(TokenConfig& out, const Value& v, const std::string& where) {
  if (v.is_object()) {  // named tokens of a model of its own
    for (const auto& [key, token] : v.as_object()) {
      if (auto t = read_token(token, where)) out.set(key, std::move(*t));
    }
    return;
  }
  if (v.is_null()) return;
  if (!v.is_array())
    throw Error(ErrorCode::corrupt_file, "expected an array of tokens, found a " + std::string(v.type_name()), where);
  out.extra.clear();
  for (const Value& token : v.as_array()) {
    if (auto t = read_token(token, where)) out.extra.push_back(std::move(*t));
  }
}

TokenConfig read_token_config(const ModelFiles& files, const Value& config, const TokenizerJson* json) {
  const std::string where = files.where(kTokenizerConfigFile);
  TokenConfig out;
  const auto read_named = [&](const Value& object, const std::string& file, bool are_special) {
    for (const auto& [key, v] : object.as_object()) {
      const bool standard = is_standard_name(key);
      if (!standard && !(key.ends_with("_token") && (v.is_string() || v.is_object()))) continue;
      auto token = read_token(v, file + ": " + key);
      if (!token) {
        out.named.erase(key);
        continue;
      }
      if (are_special && token->flags) token->flags->special = true;
      out.set(key, std::move(*token));
    }
    const Value* extra = object.find("extra_special_tokens");
    if (!extra || extra->is_null()) extra = object.find("additional_special_tokens");
    if (extra) read_extra(out, *extra, file + ": extra_special_tokens");
  };
  read_named(config, where, false);

  if (const Value* decoder = config.find("added_tokens_decoder")) {
    const std::string path = where + ": added_tokens_decoder";
    if (!decoder->is_object())
      throw Error(ErrorCode::corrupt_file, "expected an object, found a " + std::string(decoder->type_name()), path);
    for (const auto& [id, v] : decoder->as_object()) {
      const bool is_number = !id.empty() && id.size() <= 10 &&
                             std::all_of(id.begin(), id.end(), [](char c) { return c >= '0' && c <= '9'; });
      auto token = read_token(v, path + "[\"" + id + "\"]");
      if (!is_number || !token || !token->flags) {
        throw Error(ErrorCode::corrupt_file, "expected an id with a token's content and flags",
                    path + "[\"" + id + "\"]");
      }
      out.added.insert_or_assign(std::stoll(id), *token->flags);
    }
  } else {
    const Value map = read_object(files, kSpecialTokensMapFile);
    read_named(map, files.where(kSpecialTokensMapFile), true);
    const auto is_special = [&](std::string_view content) {
      for (const auto& [key, token] : out.named) {
        if (is_standard_name(key) && token.content == content) return true;
      }
      return std::any_of(out.extra.begin(), out.extra.end(), [&](const auto& t) { return t.content == content; });
    };
    const Value legacy = read_object(files, kAddedTokensFile);
    for (const auto& [content, id] : legacy.as_object()) {
      if (!id.is_integer()) {
        throw Error(ErrorCode::corrupt_file, "expected an id, found a " + std::string(id.type_name()),
                    files.where(kAddedTokensFile) + ": " + content);
      }
      const bool special = is_special(content);
      out.added.insert_or_assign(id.as_integer(), AddedToken{content, false, false, false, !special, special});
    }
    if (json) {
      for (const auto& [id, token] : json->added_tokens) out.added.insert_or_assign(id, token);
    }
  }
  // A named token that was given as a bare string has the flags of the added token of that text.
  for (auto& [key, token] : out.named) {
    if (!is_standard_name(key)) continue;
    for (const auto& [id, added] : out.added) {
      if (added.content == token.content) token.flags = added;
    }
  }
  return out;
}

// The vocabulary file of BERT: one token a line, the line's number its id. Lines end at "\n" or "\r\n"; white space at
// the end of a line is no part of it; of equal lines the last counts.
Vocab read_vocab_txt(const std::string& text, const std::string& where) {
  if (text.empty()) throw Error(ErrorCode::corrupt_file, "the vocabulary is empty", where);
  const std::size_t good = unicode::well_formed_prefix(text);
  if (good < text.size()) {
    const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(good), '\n');
    throw Error(ErrorCode::corrupt_file, "invalid UTF-8 in line " + std::to_string(line), where);
  }
  Vocab vocab;
  vocab.reserve(static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1, text.size());
  int64_t id = 0;
  for (std::size_t begin = 0; begin < text.size(); ++id) {
    std::size_t end = text.find('\n', begin);
    const std::size_t next = end == std::string::npos ? text.size() : end + 1;
    if (end == std::string::npos) end = text.size();
    while (end > begin) {
      std::size_t last = end - 1;
      while ((static_cast<unsigned char>(text[last]) & 0xC0) == 0x80) --last;
      std::size_t i = last;
      if (!unicode::is_whitespace(unicode::next(text, i))) break;
      end = last;
    }
    if (id > INT32_MAX) throw Error(ErrorCode::limit, "more than 2^31 lines", where);
    vocab.add(std::string_view(text).substr(begin, end - begin), static_cast<int32_t>(id));
    begin = next;
  }
  vocab.finish(where);
  return vocab;
}

// Transformer-XL's: the first word of each line, at its first line.
Vocab read_words_txt(const std::string& text, const std::string& where) {
  if (unicode::well_formed_prefix(text) != text.size()) throw Error(ErrorCode::corrupt_file, "invalid UTF-8", where);
  Vocab vocab;
  int32_t id = 0, line = 1;
  for (std::size_t begin = 0; begin < text.size(); ++line) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view word = python::strip_left(std::string_view(text).substr(begin, end - begin));
    for (std::size_t i = 0; i < word.size();) {
      const std::size_t at = i;
      if (python::is_space(unicode::next(word, i))) word = word.substr(0, at);
    }
    if (word.empty()) throw Error(ErrorCode::corrupt_file, "line " + std::to_string(line) + " has no word", where);
    if (vocab.find(word) < 0) vocab.add(word, id++);
    begin = end + 1;
  }
  vocab.finish(where);
  return vocab;
}

class Loader {
 public:
  Loader(const ModelFiles& files, const TokenizerOptions& options) : files_(files), options_(options) {}

  std::shared_ptr<const Tokenizer> load() {
    bool has_json = files_.has(kTokenizerFile);
    for (const char* name : kSentencePieceFiles) {
      if (sentencepiece_file_.empty() && files_.has(name)) sentencepiece_file_ = name;
    }
    if (sentencepiece_file_.empty() && files_.has(kSourceFile)) sentencepiece_file_ = kSourceFile;
    const bool has_bpe = files_.has(kBpeVocabFile) && files_.has(kMergesFile);
    std::string tiktoken;
    const char* tiktoken_file = nullptr;
    for (const char* name : kTiktokenFiles) {
      if (has_json || tiktoken_file || !files_.has(name)) continue;
      tiktoken = files_.read_text(name);
      if (is_tiktoken(tiktoken)) tiktoken_file = name;
    }
    if (!has_json && !tiktoken_file && !files_.has(kVocabFile) && !has_bpe && sentencepiece_file_.empty()) {
      for (const char* pickled : {"vocab.pkl", "vocab.bin"}) {  // Transformer-XL's
        if (!files_.has(pickled)) continue;
        throw Error(ErrorCode::unsupported,
                    "a pickled vocabulary is not read: write its words (idx2sym) to vocab.txt, one a line, in order",
                    files_.where(pickled));
      }
      throw Error(ErrorCode::not_found,
                  "there is neither tokenizer.json nor vocab.txt, nor vocab.json with merges.txt, nor a model of "
                  "SentencePiece or tiktoken",
                  files_.directory());
    }
    config_ = read_object(files_, kTokenizerConfigFile);
    config_where_ = files_.where(kTokenizerConfigFile);
    std::string json_text;
    if (has_json) json_text = files_.read_text(kTokenizerFile);
    if (tiktoken_file) {
      json_text = tiktoken_json(tiktoken, added_by_id(), extra_specials(), files_.where(tiktoken_file));
      tiktoken = std::string();
      has_json = true;
    }
    choose_class(has_json, json_text);
    if (tiktoken_file && class_->model != ModelKind::as_it_stands) {
      throw Error(ErrorCode::unsupported,
                  "tokenizer_class \"" + std::string(class_->name) + "\" from a tiktoken file is not supported",
                  files_.where(tiktoken_file));
    }
    if (class_->model == ModelKind::sentencepiece || class_->model == ModelKind::ctrl ||
        class_->model == ModelKind::transfo_xl) {
      if (can_build()) {
        has_json = false;
      } else {
        class_ = &class_of("");  // tokenizer.json as it stands
      }
    }
    if (has_json) {
      const bool as_it_stands = class_->model == ModelKind::as_it_stands;
      json_ = read_tokenizer_json(json_text, files_.where(tiktoken_file ? tiktoken_file : kTokenizerFile),
                                  as_it_stands ? Rounding::of_the_crate : Rounding::nearest);
    }
    json_text = std::string();
    tokens_ = read_token_config(files_, config_, json_ ? &*json_ : nullptr);

    if (!has_json) read_pieces();

    impl_->compiled = options_.compiled;
    impl_->class_name = class_->name;
    if (class_->has_token_type_ids) impl_->model_input_names = {"input_ids", "token_type_ids", "attention_mask"};
    set_class_tokens();
    if (class_->model == ModelKind::as_it_stands) {
      take_json();
    } else {
      take_vocabulary();
      class_->build(build_);
    }
    if (json_) impl_->post_processor = make_optional_component<PostProcessor>(json_->post_processor, json_->where);
    read_settings();
    add_tokens();
    build_.specials = impl_->special_tokens;
    // With a tokenizer.json the configuration's add_bos_token and add_eos_token do not count, a class's own default
    // does.
    build_.add_bos_token = class_->adds_bos_token;
    bool asks = class_->adds_bos_token;
    if (!json_) {
      asks = asks || config_.find("add_bos_token") || config_.find("add_eos_token");
      build_.add_bos_token = build_.flag("add_bos_token", class_->adds_bos_token);
      build_.add_eos_token = build_.flag("add_eos_token", false);
    }
    if (!impl_->post_processor || asks) update_post_processor(build_);
    if (class_->finish) class_->finish(build_);
    // RemBERT's constructor does it again at its end, and so takes its own away.
    if (!json_ && class_->name == "RemBertTokenizer") update_post_processor(build_);
    read_chat_templates();
    impl_->finish();
    return std::make_shared<const Tokenizer>(std::unique_ptr<const Tokenizer::Impl>(std::move(impl_)));
  }

 private:
  // The tokens of tokenizer_config.json's added_tokens_decoder, and the names of its extra_special_tokens: what
  // transformers bakes into a tokenizer made of a tiktoken file.
  std::map<int64_t, std::string> added_by_id() const {
    std::map<int64_t, std::string> out;
    const Value* decoder = config_.find("added_tokens_decoder");
    if (!decoder || !decoder->is_object()) return out;
    for (const Value::Member& member : decoder->as_object()) {
      int64_t id = -1;
      const std::string& key = member.first;
      const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
      const Value* content = member.second.is_object() ? member.second.find("content") : &member.second;
      if (error != std::errc() || end != key.data() + key.size() || id < 0 || !content || !content->is_string()) {
        throw Error(ErrorCode::corrupt_file, "added_tokens_decoder: " + quote(key) + " is no id with a token",
                    config_where_);
      }
      out[id] = content->as_string();
    }
    return out;
  }
  std::vector<std::string> extra_specials() const {
    std::vector<std::string> out;
    const Value* extra = config_.find("extra_special_tokens");
    if (extra && extra->is_object()) {
      for (const Value::Member& member : extra->as_object()) out.push_back(member.first);
    } else if (extra && extra->is_array()) {
      for (const Value& token : extra->as_array()) {
        const Value* content = token.is_object() ? token.find("content") : &token;
        if (content && content->is_string()) out.push_back(content->as_string());
      }
    }
    return out;
  }

  void choose_class(bool has_json, std::string_view json_text) {
    const Value model_config = read_object(files_, kConfigFile);
    const std::string model_type = get_string(model_config, "model_type", files_.where(kConfigFile)).value_or("");
    std::optional<std::string> declared = get_string(config_, "tokenizer_class", config_where_);
    if (!declared || declared->empty())
      declared = get_string(model_config, "tokenizer_class", files_.where(kConfigFile));
    const bool is_byte_level = json_text.find("\"ByteLevel\"") != std::string_view::npos;
    const std::string name = choose_class_name(model_type, declared.value_or(""), is_byte_level);
    class_ = &class_of(name);
    if (has_json) return;  // a class without a recipe takes it as it stands
    if (name.empty()) {
      throw Error(ErrorCode::unsupported,
                  "there is no tokenizer.json, and neither tokenizer_config.json (tokenizer_class) nor config.json "
                  "(model_type) says which tokenizer the vocabulary belongs to",
                  files_.directory());
    }
    if (!can_build()) {
      throw Error(ErrorCode::unsupported,
                  "tokenizer_class \"" + name + "\" without tokenizer.json is not supported with these files",
                  config_where_);
    }
  }

  // Whether the files have what the class needs beside tokenizer.json.
  bool can_build() const {
    const bool has_bpe = files_.has(kBpeVocabFile) && files_.has(kMergesFile);
    switch (class_->model) {
      case ModelKind::word_piece:
      case ModelKind::transfo_xl:
        return files_.has(kVocabFile);
      case ModelKind::bpe:
        return has_bpe || !sentencepiece_file_.empty();
      case ModelKind::unigram:
        return !sentencepiece_file_.empty();
      case ModelKind::sentencepiece:
        return !sentencepiece_file_.empty() && files_.has(kBpeVocabFile);
      case ModelKind::ctrl:
        return has_bpe;
      case ModelKind::as_it_stands:
        break;
    }
    return false;
  }

  // The SentencePiece model, when the class is to be built on it: its control and user-defined pieces are added tokens,
  // in place of those that the configuration names.
  void read_pieces() {
    const bool has_bpe = files_.has(kBpeVocabFile) && files_.has(kMergesFile);
    if (class_->model == ModelKind::word_piece || class_->model == ModelKind::ctrl ||
        class_->model == ModelKind::transfo_xl || (class_->model == ModelKind::bpe && has_bpe)) {
      return;
    }
    const std::string where = files_.where(sentencepiece_file_);
    if (class_->model == ModelKind::sentencepiece) {
      build_.processor = std::make_shared<const SentencePieceProcessor>(
          read_sentencepiece(files_.read_text(sentencepiece_file_), where), where);
      return;
    }
    constexpr std::string_view kKnown[] = {
        "AlbertTokenizer",     "BarthezTokenizer", "BigBirdTokenizer", "CamembertTokenizer", "CodeLlamaTokenizer",
        "DebertaV2Tokenizer",  "GemmaTokenizer",   "LlamaTokenizer",   "MBart50Tokenizer",   "MBartTokenizer",
        "NllbTokenizer",       "PegasusTokenizer", "RemBertTokenizer", "T5Tokenizer",        "XGLMTokenizer",
        "XLMRobertaTokenizer", "XLNetTokenizer"};
    if (std::find(std::begin(kKnown), std::end(kKnown), class_->name) == std::end(kKnown)) {
      throw Error(ErrorCode::unsupported,
                  "tokenizer_class \"" + std::string(class_->name) + "\" from a SentencePiece model is not supported",
                  where);
    }
    pieces_ = read_sentencepiece(files_.read_text(sentencepiece_file_), where);
    config_.set("unk_id", pieces_->unk_id);  // what the recipes look for
    tokens_.extra.clear();
    for (const auto& piece : pieces_->pieces) {
      const bool is_control = piece.type == SentencePieceModel::control;
      if (!is_control && piece.type != SentencePieceModel::user_defined) continue;
      tokens_.extra.push_back({piece.text, AddedToken{piece.text, false, false, false, false, is_control}});
    }
  }

  // What a class makes of the pieces: XLM-R's family has fairseq's order of the first tokens, with room for more at the
  // end.
  std::vector<SentencePieceModel::Piece> class_pieces() const {
    using Piece = SentencePieceModel::Piece;
    const auto special = [&](SpecialName name, const char* absent) {
      return Piece{build_.specials[name].value_or(absent), 0, SentencePieceModel::control};
    };
    std::vector<Piece> first;
    std::size_t skip = 0;
    std::vector<Piece> last;
    const bool is_mbart = class_->name == "MBartTokenizer" || class_->name == "MBart50Tokenizer";
    if (is_mbart || class_->name == "XLMRobertaTokenizer") {
      first = {special(class_->name == "MBart50Tokenizer" ? kCls : kBos, "<s>"), special(kPad, "<pad>"),
               special(kEos, "</s>"), special(kUnk, "<unk>")};
      skip = 3;
      if (is_mbart) {
        for (std::string& code : class_->extra(build_)) last.push_back({std::move(code), 0, 3});
      }
      last.push_back(special(kMask, "<mask>"));
    } else if (class_->name == "XGLMTokenizer") {
      first = {special(kBos, "<s>"), special(kPad, "<pad>"), special(kEos, "</s>"), special(kUnk, "<unk>")};
      skip = 3;
      for (std::string& word : class_->extra(build_)) last.push_back({std::move(word), 0, 3});
    } else if (class_->name == "CamembertTokenizer") {
      first = {{"<s>NOTUSED", 0, 3},
               special(kPad, "<pad>"),
               {"</s>NOTUSED", 0, 3},
               special(kUnk, "<unk>"),
               {"<unk>NOTUSED", -100, 3}};
      skip = 1;
      last = {special(kMask, "<mask>")};
    } else if (class_->name == "NllbTokenizer") {
      first = {special(kBos, "<s>"), special(kPad, "<pad>"), special(kEos, "</s>"), special(kUnk, "<unk>")};
    }
    if (class_->name == "PegasusTokenizer") {
      first = {special(kPad, "<pad>"), special(kEos, "</s>"), {"<mask_1>", 0, 3}, {"<mask_2>", 0, 3}};
      for (int i = 2; i < 103; ++i) first.push_back({"<unk_" + std::to_string(i) + '>', -100, 3});
      skip = 2;
    }
    if (class_->name == "T5Tokenizer") {  // the sentinels, the first one last
      for (std::string& token : class_->extra(build_)) last.push_back({std::move(token), 0, 3});
      std::reverse(last.begin(), last.end());
    }
    std::vector<Piece> out = std::move(first);
    const std::size_t count_first = out.size();
    for (std::size_t i = skip; i < pieces_->pieces.size(); ++i) {
      const Piece& piece = pieces_->pieces[i];
      const bool is_first =
          skip == 0 && std::any_of(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(count_first),
                                   [&](const Piece& p) { return p.text == piece.text; });
      if (!is_first) out.push_back(piece);
    }
    out.insert(out.end(), last.begin(), last.end());
    return out;
  }

  // vocab.json with merges.txt, or the SentencePiece model, as the model of a tokenizer.json.
  void take_old_files() {
    if (pieces_) {
      build_.model_where = files_.where(sentencepiece_file_);
      const std::vector<SentencePieceModel::Piece> pieces = class_pieces();
      if (class_->model == ModelKind::unigram) {
        take_pieces(pieces, build_.unigram);
      } else {
        take_pieces(pieces, build_.bpe, build_.vocab, build_.model_where);
      }
      if (!pieces_->precompiled_charsmap.empty()) {
        const Value rules = Value::Object{{"type", std::string(Precompiled::type)},
                                          {"precompiled_charsmap", to_base64(pieces_->precompiled_charsmap)}};
        build_.charsmap =
            std::get<Precompiled>(make_component<Normalizer>(rules, build_.model_where, "normalizer_spec").value);
      }
      return;
    }
    build_.model_where = files_.where(kBpeVocabFile);
    if (class_->model == ModelKind::sentencepiece || class_->model == ModelKind::ctrl) {
      TokenizerJson read = read_tokenizer_json(
          R"({"model": {"type": "WordLevel", "vocab": )" + files_.read_text(kBpeVocabFile) + "}}", build_.model_where);
      if (!read.has_vocab) {
        throw Error(ErrorCode::corrupt_file, "expected an object of tokens and ids", build_.model_where);
      }
      build_.vocab = std::move(read.vocab);
      if (class_->model == ModelKind::ctrl) read_ctrl_merges();
      return;
    }
    const std::string text = files_.read_text(kMergesFile);
    Value::Array merges;
    for (std::size_t begin = 0; begin < text.size();) {
      std::size_t end = std::min(text.find('\n', begin), text.size());
      std::string line = text.substr(begin, end - begin);
      if (line.ends_with('\r')) line.pop_back();
      merges.emplace_back(std::move(line));
      begin = end + 1;
    }
    std::string json = R"({"model": {"type": "BPE", "vocab": )" + files_.read_text(kBpeVocabFile) + R"(, "merges": )";
    try {
      json += to_json(merges);
    } catch (const Error&) {
      throw Error(ErrorCode::corrupt_file, "invalid UTF-8", files_.where(kMergesFile));
    }
    TokenizerJson read = read_tokenizer_json(json + "}}", build_.model_where);
    if (!read.has_vocab) {
      throw Error(ErrorCode::corrupt_file, "expected an object of tokens and ids", build_.model_where);
    }
    build_.vocab = std::move(read.vocab);
    build_.bpe = std::move(read.bpe);
  }

  // CTRL's merges, over a vocabulary of their own: whatever they join. The first line and the last are no merges.
  void read_ctrl_merges() {
    const std::string where = files_.where(kMergesFile), text = files_.read_text(kMergesFile);
    if (unicode::well_formed_prefix(text) != text.size()) throw Error(ErrorCode::corrupt_file, "invalid UTF-8", where);
    BPE& bpe = build_.bpe;
    bpe.end_of_word_suffix = "</w>";
    bpe.unk_token = " ";  // no merge has it
    const auto add = [&](std::string_view token) {
      if (bpe.vocab.find(token) < 0) bpe.vocab.add(token, static_cast<int32_t>(bpe.vocab.size()));
    };
    add(*bpe.unk_token);
    std::size_t begin = std::min(text.find('\n'), text.size() - 1) + 1;
    for (std::size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
      std::string_view line = python::strip(std::string_view(text).substr(begin, end - begin));
      const std::string_view left = line.substr(0, line.find_first_of(" \t"));
      const std::string_view right = python::strip(line.substr(left.size()));
      if (left.empty() || right.empty() || right.find_first_of(" \t") != std::string_view::npos) continue;
      add(left);
      add(right);
      add(std::string(left) + std::string(right));
      bpe.add_merge(left, right);
    }
    bpe.vocab.finish(where);
    bpe.finish(where);
  }

  // A class that names its special tokens has them even where the files are silent; an explicit null stays none.
  void set_class_tokens() {
    for (std::string_view rest = class_->special_tokens; !rest.empty();) {
      std::string_view item = rest.substr(0, rest.find(' '));
      rest.remove_prefix(std::min(rest.size(), item.size() + 1));
      const std::string key = std::string(item.substr(0, item.find('='))) + "_token";
      item.remove_prefix(item.find('=') + 1);
      std::optional<AddedToken> flags;
      if (const std::size_t plus = item.find('+'); plus != std::string_view::npos) {
        // Not special by itself, and then looked for in normalized text; being named makes it special, and raw, unless
        // the class says otherwise.
        flags = AddedToken{"", false, item.ends_with('<'), false, class_->name == "NllbTokenizer", false};
        item = item.substr(0, plus);
      }
      if (class_->model == ModelKind::as_it_stands) continue;
      const auto named = tokens_.named.find(key);
      if (named == tokens_.named.end()) {
        const Value* v = config_.find(key);
        if (v && v->is_null()) continue;
        tokens_.set(key, {std::string(item), std::nullopt});
        for (const auto& [id, added] : tokens_.added) {
          if (added.content == item) tokens_.named.find(key)->second.flags = added;
        }
      }
      ConfiguredToken& token = tokens_.named.find(key)->second;
      if (flags && !token.flags) {
        flags->content = token.content;
        token.flags = flags;
      }
    }
    for (std::size_t name = 0; name < kSpecialNames; ++name) {
      const auto at = tokens_.named.find(kSpecialTokenKeys[name]);
      if (at != tokens_.named.end()) build_.specials[name] = at->second.content;
    }
    // T5 has its sentinels beside the pieces of a SentencePiece model too, mBART its languages, XGLM its made-up words.
    const bool always = class_->name == "T5Tokenizer" || class_->name == "MBartTokenizer" ||
                        class_->name == "MBart50Tokenizer" || class_->name == "XGLMTokenizer";
    if (class_->extra && (tokens_.extra.empty() || (pieces_ && always))) {
      std::vector<ConfiguredToken> extra;
      for (std::string& token : class_->extra(build_)) extra.push_back({std::move(token), std::nullopt});
      const bool in_front = class_->name == "MBartTokenizer";
      tokens_.extra.insert(in_front ? tokens_.extra.begin() : tokens_.extra.end(), extra.begin(), extra.end());
    }
  }

  // What a class builds on.
  void take_vocabulary() {
    const bool has_words = class_->model == ModelKind::word_piece || class_->model == ModelKind::transfo_xl;
    if (!json_ && !has_words) return take_old_files();
    if (!json_) {
      build_.model_where = files_.where(kVocabFile);
      build_.vocab = (class_->model == ModelKind::word_piece ? read_vocab_txt : read_words_txt)(
          files_.read_text(kVocabFile), build_.model_where);
      return;
    }
    build_.model_where = json_->where + ": model";
    if (class_->model == ModelKind::unigram) {
      if (!json_->has_pieces) {
        throw Error(ErrorCode::corrupt_file,
                    "the model has no \"vocab\" of [piece, score], which " + std::string(class_->name) + " needs",
                    build_.model_where);
      }
      build_.unigram = std::move(json_->unigram);
    } else if (json_->has_vocab) {
      build_.vocab = std::move(json_->vocab);
      build_.bpe = std::move(json_->bpe);
    } else if (json_->has_pieces && class_->model == ModelKind::bpe) {
      json_->unigram.vocab.for_each([&](std::string_view piece, int32_t id) { build_.vocab.add(piece, id); });
      build_.vocab.finish(build_.model_where);
    } else {
      throw Error(ErrorCode::corrupt_file,
                  "the model has no \"vocab\" object, which " + std::string(class_->name) + " needs",
                  build_.model_where);
    }
    // The first rules of SentencePiece in the normalizer, if there are any.
    std::vector<const Value*> normalizers{&json_->normalizer};
    if (const Value* children = json_->normalizer.find("normalizers"); children && children->is_array()) {
      normalizers.clear();
      for (const Value& child : children->as_array()) normalizers.push_back(&child);
    }
    for (const Value* v : normalizers) {
      const Value* type = v->find("type");
      if (!type || !type->is_string() || type->as_string() != Precompiled::type) continue;
      build_.charsmap = std::get<Precompiled>(make_component<Normalizer>(*v, json_->where, "normalizer").value);
      break;
    }
  }

  void take_json() {
    impl_->model = make_model(*json_);
    impl_->normalizer = make_optional_component<Normalizer>(json_->normalizer, json_->where);
    impl_->pre_tokenizer = make_optional_component<PreTokenizer>(json_->pre_tokenizer, json_->where);
    impl_->decoder = make_optional_component<Decoder>(json_->decoder, json_->where);
    std::vector<AddedToken> added;
    for (const auto& [id, token] : json_->added_tokens) added.push_back(token);
    impl_->added.add(added, impl_->model.vocab());
  }

  void read_settings() {
    if (const Value* names = config_.find("model_input_names"); names && !names->is_null()) {
      if (!names->is_array())
        throw Error(ErrorCode::corrupt_file, "expected an array of strings", config_where_ + ": model_input_names");
      impl_->model_input_names.clear();
      for (const Value& name : names->as_array()) {
        if (!name.is_string())
          throw Error(ErrorCode::corrupt_file, "expected an array of strings", config_where_ + ": model_input_names");
        impl_->model_input_names.push_back(name.as_string());
      }
    }
    const Value* length = config_.find("model_max_length");
    if (!length) length = config_.find("max_len");
    // transformers writes "no limit" as 10^30, which is no integer here.
    if (length && length->is_integer() && length->as_integer() > 0) impl_->model_max_length = length->as_integer();
    if (length && !length->is_null() && !length->is_number()) {
      throw Error(ErrorCode::corrupt_file, "expected a number, found a " + std::string(length->type_name()),
                  config_where_ + ": model_max_length");
    }
    if (options_.model_max_length) impl_->model_max_length = options_.model_max_length;

    // The padding and truncation stored in tokenizer.json are not applied, but their sides and pad token count.
    auto padding_side = get_side(config_, "padding_side", config_where_);
    auto truncation_side = get_side(config_, "truncation_side", config_where_);
    if (json_ && json_->padding.is_object()) {
      const std::string where = json_->where + ": padding";
      if (!padding_side) padding_side = get_side(json_->padding, "direction", where);
      if (const auto token = get_string(json_->padding, "pad_token", where);
          token && !tokens_.named.contains("pad_token")) {
        tokens_.set("pad_token", {*token, std::nullopt});
      }
    }
    if (json_ && json_->truncation.is_object() && !truncation_side) {
      truncation_side = get_side(json_->truncation, "direction", json_->where + ": truncation");
    }
    const Side class_side = class_->pads_left ? Side::left : Side::right;
    impl_->padding_side = options_.padding_side.value_or(padding_side.value_or(class_side));
    impl_->truncation_side = options_.truncation_side.value_or(truncation_side.value_or(Side::right));
    impl_->clean_up_tokenization_spaces = options_.clean_up_tokenization_spaces.value_or(
        get_boolean(config_, "clean_up_tokenization_spaces", false, config_where_));
    impl_->clean_up_bpe = get_boolean(
        config_, "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output", false, config_where_);
    impl_->split_special_tokens = get_boolean(config_, "split_special_tokens", false, config_where_);
  }

  // Files of their own win over tokenizer_config.json. chat_template.json is where processors keep theirs.
  void read_chat_templates() {
    auto& templates = impl_->chat_templates;
    const auto put = [&](std::string name, std::string source, std::string where) {
      const auto same = std::find_if(templates.begin(), templates.end(), [&](const auto& t) { return t.name == name; });
      auto& entry = same == templates.end() ? templates.emplace_back() : *same;
      entry.name = std::move(name);
      entry.source = std::move(source);
      entry.where = std::move(where);
    };
    if (files_.has(kChatTemplateFile)) {
      put("default", files_.read_text(kChatTemplateFile), files_.where(kChatTemplateFile));
    }
    for (const std::string& file : files_.list()) {
      constexpr std::string_view kSuffix = ".jinja";
      if (!file.starts_with(kChatTemplateFolder) || !file.ends_with(kSuffix)) continue;
      files_.check_inside(file);
      put(file.substr(kChatTemplateFolder.size(), file.size() - kChatTemplateFolder.size() - kSuffix.size()),
          files_.read_text(file), files_.where(file));
    }
    if (!templates.empty()) return;
    const auto read = [&](const Value& object, const std::string& where) {
      const Value* v = object.find("chat_template");
      const std::string path = where + ": chat_template";
      if (!v || v->is_null()) return;
      if (v->is_string()) return put("default", v->as_string(), path);
      if (!v->is_array()) {
        throw Error(ErrorCode::corrupt_file,
                    "expected a template or a list of them, found a " + std::string(v->type_name()), path);
      }
      for (const Value& entry : v->as_array()) {
        const auto name = get_string(entry, "name", path), source = get_string(entry, "template", path);
        if (!name || !source) throw Error(ErrorCode::corrupt_file, "expected a name and a template", path);
        put(*name, *source, path + "[\"" + *name + "\"]");
      }
    };
    read(config_, config_where_);
    if (templates.empty() && files_.has(kProcessorTemplateFile)) {
      read(read_object(files_, kProcessorTemplateFile), files_.where(kProcessorTemplateFile));
    }
  }

  // TokenizersBackend.__init__: what the files name and the tokenizer does not have yet.
  void add_tokens() {
    std::vector<AddedToken> to_add;
    std::vector<std::string> known;  // contents that need not be added for their name's sake
    for (const auto& [id, token] : impl_->added.by_id()) known.push_back(token.content);
    const auto is_named = [&](std::string_view content) {
      return std::any_of(tokens_.named.begin(), tokens_.named.end(),
                         [&](const auto& named) { return named.second.content == content; });
    };
    const auto flagged = [&](const std::string& content, const std::optional<AddedToken>& flags) {
      AddedToken token = flags.value_or(AddedToken{content, false, false, false, false, true});
      // Transformer-XL looks for them when the text is in lower case.
      if (class_->model == ModelKind::transfo_xl && build_.flag("lower_case", false)) token.normalized = true;
      if (is_named(content)) token.special = true;
      return token;
    };
    for (const auto& [id, token] : tokens_.added) {
      const auto same = impl_->added.id(token.content);
      if (same && *impl_->added.find(*same) == token) continue;
      to_add.push_back(flagged(token.content, token));
      known.push_back(token.content);
    }
    std::sort(known.begin(), known.end());
    // A token that is named twice with other flags is added twice: the last flags count.
    const auto add = [&](const ConfiguredToken& configured) {
      if (std::binary_search(known.begin(), known.end(), configured.content)) return;
      AddedToken token = flagged(configured.content, configured.flags);
      if (std::find(to_add.begin(), to_add.end(), token) == to_add.end()) to_add.push_back(std::move(token));
    };
    for (const std::string_view name : kSpecialTokenKeys) {
      const auto at = tokens_.named.find(name);
      if (at != tokens_.named.end()) add(at->second);
    }
    for (const std::string& key : tokens_.named_order) {
      const auto at = tokens_.named.find(key);
      if (at == tokens_.named.end() || is_standard_name(key)) continue;
      impl_->other_special_tokens.push_back(at->second.content);
      add(at->second);
    }
    for (const ConfiguredToken& token : tokens_.extra) {
      impl_->other_special_tokens.push_back(token.content);
      add(token);
    }
    impl_->added.add(to_add, impl_->model.vocab());
    for (std::size_t name = 0; name < kSpecialNames; ++name) {
      const auto at = tokens_.named.find(kSpecialTokenKeys[name]);
      if (at != tokens_.named.end()) impl_->special_tokens[name] = at->second.content;
    }
  }

  const ModelFiles& files_;
  const TokenizerOptions& options_;
  std::string sentencepiece_file_;            // of kSentencePieceFiles; empty when there is none
  std::optional<SentencePieceModel> pieces_;  // when the tokenizer is built on it
  Value config_;
  std::string config_where_;
  const TokenizerClass* class_ = nullptr;
  std::optional<TokenizerJson> json_;
  TokenConfig tokens_;
  std::unique_ptr<Tokenizer::Impl> impl_ = std::make_unique<Tokenizer::Impl>();
  ClassBuild build_{*impl_, config_, config_where_, {}, false, false, {}, {}, {}, {}, {}, {}};
};

}  // namespace

std::shared_ptr<const Tokenizer> AutoTokenizer::from_pretrained(const std::string& directory,
                                                                const TokenizerOptions& options) {
  return from_files(ModelFiles::from_path(directory), options);
}

std::shared_ptr<const Tokenizer> AutoTokenizer::from_files(std::shared_ptr<const ModelFiles> files,
                                                           const TokenizerOptions& options) {
  check_argument(files != nullptr, "no files");
  return Loader(*files, options).load();
}

}  // namespace transformers
