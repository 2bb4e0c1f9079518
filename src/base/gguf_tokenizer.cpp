// Implements gguf_tokenizer.hpp. The text is written piece by piece: vocabularies have 10^5 entries.
#include "base/gguf_tokenizer.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "transformers/base/error.hpp"

namespace transformers {
namespace {

constexpr int64_t kControl = 3, kUserDefined = 4;  // of tokenizer.ggml.token_type

constexpr std::pair<const char*, const char*> kNamedTokens[] = {{"bos_token", "tokenizer.ggml.bos_token_id"},
                                                                {"eos_token", "tokenizer.ggml.eos_token_id"},
                                                                {"unk_token", "tokenizer.ggml.unknown_token_id"},
                                                                {"pad_token", "tokenizer.ggml.padding_token_id"}};

// How a vocabulary's merges want text split, by tokenizer.ggml.pre. Others are split as GPT-2's.
struct Split {
  std::string_view pre, regex;
};
constexpr std::string_view kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kTekken = R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
                                     R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
                                     R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kGpt4o =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr Split kSplits[] = {
    {"llama3", kLlama3}, {"llama-v3", kLlama3},  {"llama-bpe", kLlama3},       {"falcon3", kLlama3},
    {"dbrx", kLlama3},   {"smaug-bpe", kLlama3}, {"pixtral", kLlama3},         {"lfm2", kLlama3},
    {"qwen2", kQwen2},   {"megrez", kQwen2},     {"deepseek-r1-qwen", kQwen2}, {"tekken", kTekken},
    {"gpt-4o", kGpt4o},  {"llama4", kGpt4o},
};

// The characters that stand for bytes in byte-level vocabularies: printable ones for themselves, the others from 256
// on.
const std::array<uint32_t, 256>& byte_characters() {
  static const auto kTable = [] {
    std::array<uint32_t, 256> table{};
    uint32_t next = 256;
    for (uint32_t b = 0; b < 256; ++b) {
      const bool printable = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
      table[b] = printable ? b : next++;
    }
    return table;
  }();
  return kTable;
}

// The same the other way round: whether a character stands for a byte.
bool stands_for_byte(uint32_t c) {
  static const auto kTable = [] {
    std::array<bool, 512> table{};
    for (const uint32_t character : byte_characters()) table[character] = true;
    return table;
  }();
  return c < kTable.size() && kTable[c];
}

void append_character(std::string& out, uint32_t c) {  // below 2^11
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else {
    out += static_cast<char>(0xC0 | c >> 6);
    out += static_cast<char>(0x80 | (c & 0x3F));
  }
}

bool starts_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }

// Whether each character stands for a byte.
bool spelled_in_bytes(std::string_view token) {
  for (std::size_t i = 0; i < token.size();) {
    const auto first = static_cast<unsigned char>(token[i]);
    uint32_t c = first;
    std::size_t length = 1;
    if (first >= 0x80) {
      if (first < 0xC2 || first > 0xDF || i + 1 >= token.size() || starts_character(token[i + 1])) return false;
      c = (first & 0x1Fu) << 6 | (static_cast<unsigned char>(token[i + 1]) & 0x3Fu);
      length = 2;
    }
    if (!stands_for_byte(c)) return false;
    i += length;
  }
  return true;
}

class Vocabulary {
 public:
  explicit Vocabulary(const GgufFile& file) : file_(file), byte_level_(file.string("tokenizer.ggml.model") == "gpt2") {
    const std::vector<std::string_view> tokens = file.strings("tokenizer.ggml.tokens");
    tokens_.assign(tokens.begin(), tokens.end());
    types_ = file.integers("tokenizer.ggml.token_type");
    const auto check = [&](const char* key, std::size_t size) {
      if (size != 0 && size != tokens_.size()) {
        throw Error(ErrorCode::corrupt_file,
                    "gguf: key " + quote(key) + " has " + std::to_string(size) + " entries for " +
                        std::to_string(tokens_.size()) + " tokens",
                    file.name());
      }
    };
    check("tokenizer.ggml.token_type", types_.size());
    check("tokenizer.ggml.scores", file.array_size("tokenizer.ggml.scores"));
    if (const auto arch = file.string("general.architecture"); !byte_level_ && arch) {
      gemma_ = arch->starts_with("gemma");
      phi3_ = arch == "phi3";
    }
    for (std::string& token : tokens_) respell(token);
  }

  std::string json() {
    ids_.reserve(tokens_.size());
    for (std::size_t i = 0; i < tokens_.size(); ++i) ids_[tokens_[i]] = i;  // of two alike, the last
    std::string out = R"({"version":"1.0","truncation":null,"padding":null,"added_tokens":)" + added_tokens();
    out += R"(,"normalizer":)" + normalizer() + R"(,"pre_tokenizer":)" + pre_tokenizer();
    out += R"(,"post_processor":)" + post_processor() + R"(,"decoder":)" + decoder();
    out += R"(,"model":{"type":"BPE","dropout":null,"unk_token":)" + std::string(gemma_ ? R"("<unk>")" : "null");
    out += byte_level_
               ? R"(,"continuing_subword_prefix":"","end_of_word_suffix":"","fuse_unk":false,"byte_fallback":false)"
               : R"(,"continuing_subword_prefix":null,"end_of_word_suffix":null,"fuse_unk":true,"byte_fallback":true)";
    out += R"(,"ignore_merges":false,"vocab":{)";
    bool first = true;
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      if (ids_.at(tokens_[i]) != i) continue;
      out += (first ? "" : ",") + json_string(tokens_[i]) + ":" + std::to_string(i);
      first = false;
    }
    return out + R"(},"merges":[)" + merges() + "]}}";
  }

  std::string config() const {
    Value out{Value::Object{}};
    out.set("tokenizer_class", "TokenizersBackend");
    for (const auto& [name, key] : kNamedTokens) {
      if (const auto id = named(key)) out.set(name, tokens_[*id]);
    }
    if (const auto chat = file_.string("tokenizer.chat_template")) out.set("chat_template", *chat);
    out.set("clean_up_tokenization_spaces", false);
    return to_json(out, 2);
  }

 private:
  void respell(std::string& token) const {
    if (byte_level_ && !spelled_in_bytes(token)) {
      std::string spelled;
      for (const char c : token) append_character(spelled, byte_characters()[static_cast<unsigned char>(c)]);
      token = std::move(spelled);
    } else if (gemma_ && !token.empty() && token.find_first_not_of(' ') == token.npos) {
      std::string spelled;
      for (std::size_t i = 0; i < token.size(); ++i) spelled += "\xE2\x96\x81";
      token = std::move(spelled);
    }
  }

  std::string json_string(std::string_view text) const {
    try {
      return to_json(Value(text));
    } catch (const Error&) {
      throw Error(ErrorCode::corrupt_file, "gguf: the token " + quote(text) + " is not UTF-8", file_.name());
    }
  }

  std::optional<std::size_t> named(const char* key) const {
    const auto id = file_.integer(key);
    if (!id) return std::nullopt;
    if (*id < 0 || static_cast<uint64_t>(*id) >= tokens_.size()) {
      throw Error(ErrorCode::corrupt_file,
                  "gguf: key " + quote(key) + " is " + std::to_string(*id) + ", outside of " +
                      std::to_string(tokens_.size()) + " tokens",
                  file_.name());
    }
    return static_cast<std::size_t>(*id);
  }

  std::string added_tokens() const {
    std::map<std::size_t, bool> added;  // by id: special
    const auto raw = file_.strings("tokenizer.ggml.tokens");
    for (std::size_t i = 0; i < types_.size(); ++i) {
      // A control token that is not spelled as the others of a byte-level vocabulary is none.
      if (types_[i] == kControl && (!byte_level_ || spelled_in_bytes(raw[i]))) added[i] = true;
      if (types_[i] == kUserDefined && tokens_[i] == raw[i]) added.emplace(i, false);
    }
    for (const auto& [name, key] : kNamedTokens) {
      if (const auto id = named(key)) added[*id] = true;
    }
    std::string out = "[";
    for (const auto& [id, special] : added) {
      out += (out.size() > 1 ? "," : "") + std::string(R"({"id":)") + std::to_string(id) + R"(,"content":)" +
             json_string(tokens_[id]) +
             R"(,"single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":)" +
             (special ? "true" : "false") + "}";
    }
    return out + "]";
  }

  std::string normalizer() const {
    if (gemma_) return R"({"type":"Replace","pattern":{"String":" "},"content":"\u2581"})";
    if (phi3_) {
      return R"({"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"\u2581"},)"
             R"({"type":"Replace","pattern":{"String":" "},"content":"\u2581"}]})";
    }
    return "null";
  }

  std::string pre_tokenizer() const {
    if (gemma_) {
      return R"({"type":"Split","pattern":{"String":" "},"behavior":"MergedWithPrevious","invert":false})";
    }
    if (phi3_) return "null";
    if (!byte_level_) {
      return R"({"type":"Metaspace","replacement":"\u2581","prepend_scheme":"first","split":false})";
    }
    const auto pre = file_.string("tokenizer.ggml.pre").value_or("");
    const auto* split = std::ranges::find(kSplits, pre, &Split::pre);
    if (split == std::end(kSplits)) {
      return R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true})";
    }
    return R"({"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":)" + json_string(split->regex) +
           R"(},"behavior":"Isolated","invert":false},)"
           R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}]})";
  }

  std::string post_processor() const {
    // SentencePiece vocabularies begin with BOS unless they say otherwise.
    const bool bos = file_.boolean("tokenizer.ggml.add_bos_token").value_or(!byte_level_);
    const bool eos = file_.boolean("tokenizer.ggml.add_eos_token").value_or(false);
    std::string before[2], after[2], specials;
    const auto add = [&](const char* key, std::string(&where)[2], bool leads) {
      const auto id = named(key);
      if (!id) return;
      const std::string token = json_string(tokens_[*id]);
      for (int type = 0; type < 2; ++type) {
        const std::string piece = R"({"SpecialToken":{"id":)" + token + R"(,"type_id":)" + std::to_string(type) + "}}";
        where[type] = leads ? piece + "," : "," + piece;
      }
      const std::string entry =
          token + R"(:{"id":)" + token + R"(,"ids":[)" + std::to_string(*id) + R"(],"tokens":[)" + token + "]}";
      if (specials != entry) specials += (specials.empty() ? "" : ",") + entry;
    };
    if (bos) add("tokenizer.ggml.bos_token_id", before, true);
    if (eos) add("tokenizer.ggml.eos_token_id", after, false);
    const auto sequence = [&](const char* id, int type) {
      return before[type] + R"({"Sequence":{"id":")" + id + R"(","type_id":)" + std::to_string(type) + "}}" +
             after[type];
    };
    const std::string a = sequence("A", 0);
    return R"({"type":"TemplateProcessing","single":[)" + a + R"(],"pair":[)" + a + "," + sequence("B", 1) +
           R"(],"special_tokens":{)" + specials + "}}";
  }

  std::string decoder() const {
    if (byte_level_) return R"({"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true})";
    return R"({"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"\u2581"},"content":" "},)"
           R"({"type":"ByteFallback"},{"type":"Fuse"})" +
           std::string(gemma_ ? "" : R"(,{"type":"Strip","content":" ","start":1,"stop":0})") + "]}";
  }

  std::string merges() const {
    std::string out;
    if (file_.has("tokenizer.ggml.merges")) {
      for (const std::string_view merge : file_.strings("tokenizer.ggml.merges")) {
        out += (out.empty() ? "" : ",") + json_string(merge);
      }
      return out;
    }
    for (const auto& [left, right] : implied_merges()) {
      out += (out.empty() ? "[" : ",[") + json_string(left) + "," + json_string(right) + "]";
    }
    return out;
  }

  // SentencePiece keeps none: every cut of a token into two others is one, those of the best tokens first. Gemma's
  // scores do not say which these are, its order does.
  std::vector<std::pair<std::string_view, std::string_view>> implied_merges() const {
    struct Merge {
      std::string_view left, right;
      double score;
      std::size_t left_length, right_length;  // characters
    };
    const std::vector<float> scores = file_.floats("tokenizer.ggml.scores");
    std::vector<Merge> all;
    const auto length = [](std::string_view s) {
      return static_cast<std::size_t>(std::ranges::count_if(s, starts_character));
    };
    constexpr std::size_t kLongest = 1024;  // bytes; cutting a longer token everywhere would take its length squared
    std::vector<bool> has_size(kLongest + 1, false);  // whether some token has so many bytes: others need no look-up
    for (const std::string& token : tokens_) has_size[std::min(token.size(), kLongest)] = true;
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      const std::string_view token = tokens_[i];
      if (token.size() > kLongest || ids_.at(token) != i) continue;
      const double score = gemma_ || scores.empty() ? -static_cast<double>(i) : double{scores[i]};
      const std::size_t first = all.size();
      for (std::size_t cut = 1; cut < token.size(); ++cut) {
        if (!starts_character(token[cut]) || !has_size[cut] || !has_size[token.size() - cut]) continue;
        const std::string_view left = token.substr(0, cut), right = token.substr(cut);
        if (!ids_.contains(left) || !ids_.contains(right)) continue;
        all.push_back({left, right, score, length(left), length(right)});
      }
      std::sort(all.begin() + static_cast<std::ptrdiff_t>(first), all.end(), [&](const Merge& a, const Merge& b) {
        return std::pair(ids_.at(a.left), ids_.at(a.right)) < std::pair(ids_.at(b.left), ids_.at(b.right));
      });
    }
    std::stable_sort(all.begin(), all.end(), [](const Merge& a, const Merge& b) {
      return std::tuple(a.score, a.left_length, a.right_length) > std::tuple(b.score, b.left_length, b.right_length);
    });
    std::vector<std::pair<std::string_view, std::string_view>> out;
    for (const Merge& merge : all) out.emplace_back(merge.left, merge.right);
    return out;
  }

  const GgufFile& file_;
  bool byte_level_, gemma_ = false, phi3_ = false;
  std::vector<std::string> tokens_;
  std::vector<int64_t> types_;
  std::unordered_map<std::string_view, std::size_t> ids_;  // of tokens_, made for json()
};

}  // namespace

bool has_gguf_tokenizer(const GgufFile& file) {
  const auto model = file.string("tokenizer.ggml.model");
  return (model == "gpt2" || model == "llama") && file.array_size("tokenizer.ggml.tokens") > 0;
}

std::string gguf_tokenizer_json(const GgufFile& file) { return Vocabulary(file).json(); }

std::string gguf_tokenizer_config(const GgufFile& file) { return Vocabulary(file).config(); }

}  // namespace transformers
