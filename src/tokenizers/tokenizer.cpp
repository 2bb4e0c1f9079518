// What it is: how a Tokenizer encodes and decodes: the stages one after the other, or the compiled path.
// Where it stands: tokenizers; see tokenizer.hpp and tokenizer_impl.hpp.
// Source: transformers 5.23 tokenization_utils_tokenizers.py; the `tokenizers` crate 0.23, tokenizer/mod.rs,
// tokenizer/encoding.rs, utils/truncation.rs, utils/padding.rs.
#include "transformers/tokenizers/tokenizer.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "byte_level.hpp"
#include "byte_level_path.hpp"
#include "metaspace_path.hpp"
#include "text_cleanup.hpp"
#include "tokenizer_impl.hpp"
#include "transformers/base/error.hpp"
#include "transformers/base/parallel.hpp"
#include "transformers/tokenizers/unicode.hpp"

namespace transformers {
namespace {

// Well-formed UTF-8 made of any bytes, by the rule of tokenizer.hpp. Copies only what has to change.
class WellFormed {
 public:
  explicit WellFormed(std::string_view text) : view_(text) {
    if (text.size() >= std::size_t{1} << 31) {
      throw Error(ErrorCode::limit,
                  "a text of " + std::to_string(text.size()) + " bytes is too long: at most 2^31 - 1");
    }
    if (unicode::well_formed_prefix(text) == text.size()) return;
    copy_ = unicode::to_well_formed(text);
    view_ = copy_;
  }
  WellFormed(const WellFormed&) = delete;
  WellFormed& operator=(const WellFormed&) = delete;
  std::string_view view() const { return view_; }

 private:
  std::string copy_;
  std::string_view view_;
};

// Tokens [begin, end) of e, without what overflowed.
Encoding slice(const Encoding& e, std::size_t begin, std::size_t end) {
  Encoding out;
  const auto part = [&](const auto& from, auto& to) {
    if (!from.empty()) {
      to.assign(from.begin() + static_cast<std::ptrdiff_t>(begin), from.begin() + static_cast<std::ptrdiff_t>(end));
    }
  };
  part(e.ids, out.ids);
  part(e.type_ids, out.type_ids);
  part(e.tokens, out.tokens);
  part(e.offsets, out.offsets);
  part(e.special_tokens_mask, out.special_tokens_mask);
  part(e.attention_mask, out.attention_mask);
  part(e.word_ids, out.word_ids);
  part(e.sequence_ids, out.sequence_ids);
  return out;
}

// Cuts `e` to its first (or last) `max_length` tokens; the rest overflows in parts of max_length tokens, each repeating
// `stride` tokens of the one before.
void cut(Encoding& e, int64_t max_length, int64_t stride, Side side, bool keep_rest) {
  const auto size = static_cast<int64_t>(e.size());
  if (max_length >= size) return;
  if (max_length == 0) {
    Encoding whole = std::exchange(e, Encoding{});
    if (keep_rest) e.overflowing.push_back(std::move(whole));
    return;
  }
  const auto part = [&](int64_t begin, int64_t end) {
    return slice(e, static_cast<std::size_t>(begin), static_cast<std::size_t>(end));
  };
  const int64_t step = max_length - stride;
  Encoding first = side == Side::right ? part(0, max_length) : part(size - max_length, size);
  if (keep_rest && side == Side::right) {
    for (int64_t begin = step; begin + stride < size; begin += step) {
      first.overflowing.push_back(part(begin, std::min(begin + max_length, size)));
    }
  } else if (keep_rest) {
    for (int64_t end = size - step; end - stride > 0; end -= step) {
      first.overflowing.push_back(part(std::max<int64_t>(end - max_length, 0), end));
    }
  }
  e = std::move(first);
}

// How many tokens of each text stay, of n1 and n2 (has_second: there is a second text).
std::pair<int64_t, int64_t> kept_tokens(int64_t n1, int64_t n2, bool has_second, const Tokenizer::Impl::Plan& plan,
                                        int64_t special) {
  if (plan.truncation == TruncationStrategy::do_not_truncate) return {n1, n2};
  const int64_t max_length = plan.max_length - special;
  if (max_length < 0) {
    throw Error(ErrorCode::invalid_argument, "max_length " + std::to_string(plan.max_length) + " is less than the " +
                                                 std::to_string(special) + " special tokens that are added");
  }
  if (max_length == 0) return {0, 0};
  if (n1 + n2 <= max_length) return {n1, n2};
  const int64_t excess = n1 + n2 - max_length;
  std::pair<int64_t, int64_t> kept{n1, n2};
  if (plan.truncation == TruncationStrategy::longest_first) {
    if (!has_second) {
      kept.first = max_length;
    } else {
      // The longer one gives way until both are equally long; then both do, an odd token staying with the longer.
      int64_t shorter = std::min(n1, n2);
      int64_t longer = std::max(shorter, max_length - shorter);
      if (shorter + longer > max_length) {
        shorter = max_length / 2;
        longer = shorter + max_length % 2;
      }
      kept = n1 > n2 ? std::pair(longer, shorter) : std::pair(shorter, longer);
    }
  } else {
    const bool is_first = plan.truncation == TruncationStrategy::only_first;
    if (!is_first && !has_second) {
      throw Error(ErrorCode::invalid_argument, "truncation only_second needs a second text");
    }
    const int64_t n = is_first ? n1 : n2;
    if (n <= excess) {
      throw Error(ErrorCode::invalid_argument, std::string("the ") + (is_first ? "first" : "second") + " text has " +
                                                   std::to_string(n) +
                                                   " tokens: too short to bring both to max_length " +
                                                   std::to_string(plan.max_length) + " by truncating it alone");
    }
    (is_first ? kept.first : kept.second) = n - excess;
  }
  for (const auto& [n, left] : {std::pair(n1, kept.first), std::pair(n2, kept.second)}) {
    if (left < n && left > 0 && plan.stride >= left) {
      throw Error(ErrorCode::invalid_argument,
                  "stride " + std::to_string(plan.stride) + " must be less than the " + std::to_string(left) +
                      " tokens that max_length leaves for this text beside special tokens");
    }
  }
  return kept;
}

void pad_one(Encoding& e, std::size_t length, Side side, int32_t id, const std::string& token, bool ids_only) {
  for (Encoding& o : e.overflowing) pad_one(o, length, side, id, token, ids_only);
  if (e.size() >= length) return;
  const std::size_t missing = length - e.size();
  const auto fill = [&](auto& v, const auto& value) {
    v.insert(side == Side::left ? v.begin() : v.end(), missing, value);
  };
  fill(e.ids, id);
  fill(e.type_ids, 0);
  fill(e.attention_mask, uint8_t{0});
  if (ids_only) return;
  fill(e.tokens, token);
  fill(e.offsets, std::pair<int32_t, int32_t>{0, 0});
  fill(e.special_tokens_mask, uint8_t{1});
  fill(e.word_ids, -1);
  fill(e.sequence_ids, -1);
}

void keep_ids_only(Encoding& e) {
  e.attention_mask.assign(e.size(), 1);
  e.tokens.clear();
  e.offsets.clear();
  e.special_tokens_mask.clear();
  e.word_ids.clear();
  e.sequence_ids.clear();
  for (Encoding& o : e.overflowing) keep_ids_only(o);
}

// Runs f(i) for all i on the thread pool, several short texts to a task.
template <class F>
void for_each_text(std::size_t count, F f) {
  constexpr std::size_t kTextsPerTask = 8;
  const auto tasks = static_cast<int64_t>((count + kTextsPerTask - 1) / kTextsPerTask);
  if (tasks <= 1) {
    for (std::size_t i = 0; i < count; ++i) f(i);
    return;
  }
  parallel_for(tasks, [&](int64_t task) {
    const std::size_t begin = static_cast<std::size_t>(task) * kTextsPerTask;
    for (std::size_t i = begin; i < std::min(begin + kTextsPerTask, count); ++i) f(i);
  });
}

}  // namespace

namespace {

// The post-processor as a flat list, if it is one of those that only put tokens around the texts.
std::optional<std::vector<Tokenizer::Impl::Part>> flatten(const PostProcessor& processor, bool pair) {
  std::vector<Tokenizer::Impl::Part> out;
  if (const auto* bert = std::get_if<BertProcessing>(&processor.value)) {
    out = {{-1, bert->cls.id, 0}, {0, 0, 0}, {-1, bert->sep.id, 0}};
    if (pair) out.insert(out.end(), {{1, 0, 1}, {-1, bert->sep.id, 1}});
    return out;
  }
  if (const auto* roberta = std::get_if<RobertaProcessing>(&processor.value)) {
    out = {{-1, roberta->cls.id, 0}, {0, 0, 0}, {-1, roberta->sep.id, 0}};
    if (pair) out.insert(out.end(), {{-1, roberta->sep.id, 0}, {1, 0, 0}, {-1, roberta->sep.id, 0}});
    return out;
  }
  if (const auto* any = std::get_if<TemplateProcessing>(&processor.value)) {
    for (const TemplateProcessing::Piece& p : pair ? any->pair : any->single) {
      if (p.sequence >= 0) {
        out.push_back({p.sequence, 0, p.type_id});
      } else {
        for (int32_t id : any->special_tokens.at(p.special).ids) out.push_back({-1, id, p.type_id});
      }
    }
    return out;
  }
  return std::nullopt;
}

}  // namespace

void Tokenizer::Impl::finish() {
  if (post_processor) {
    parts_of_one = flatten(*post_processor, false);
    parts_of_two = flatten(*post_processor, true);
  }
  model.vocab().for_each([&](std::string_view, int32_t id) { highest_id = std::max<int64_t>(highest_id, id); });
  for (const auto& [id, token] : added.by_id()) highest_id = std::max<int64_t>(highest_id, id);
  every_id_has_token = std::holds_alternative<SentencePiece>(model.value) || std::holds_alternative<CTRL>(model.value);
  added.finish(normalizer ? &*normalizer : nullptr);
  const auto add_special = [&](int32_t id) {
    if (std::find(all_special_ids.begin(), all_special_ids.end(), id) == all_special_ids.end())
      all_special_ids.push_back(id);
  };
  for (std::size_t name = 0; name < kSpecialNames; ++name) {
    if (!special_tokens[name]) continue;
    special_ids[name] = token_to_id(*special_tokens[name]);
    if (special_ids[name]) add_special(*special_ids[name]);
  }
  for (const std::string& token : other_special_tokens) {
    if (const auto id = token_to_id(token)) add_special(*id);
  }
  has_token_type_ids =
      std::find(model_input_names.begin(), model_input_names.end(), "token_type_ids") != model_input_names.end();
  const auto* bert_normalizer = normalizer ? std::get_if<BertNormalizer>(&normalizer->value) : nullptr;
  const auto* word_piece = std::get_if<WordPiece>(&model.value);
  if (compiled && bert_normalizer && word_piece && pre_tokenizer &&
      std::holds_alternative<BertPreTokenizer>(pre_tokenizer->value) && !added.any_normalized()) {
    bert = std::make_unique<BertPath>(*bert_normalizer, *word_piece);
  }
  if (compiled) {
    const Normalizer* const first = normalizer ? &*normalizer : nullptr;
    const PreTokenizer* const second = pre_tokenizer ? &*pre_tokenizer : nullptr;
    path = ByteLevelPath::make(first, second, model);
    if (!path) path = MetaspacePath::make(first, second, model);
  }
}

std::optional<int32_t> Tokenizer::Impl::token_to_id(std::string_view token) const {
  if (const auto id = added.id(token)) return id;
  const int32_t id = model.vocab().find(token);
  return id < 0 ? std::nullopt : std::optional(id);
}

std::optional<std::string_view> Tokenizer::Impl::id_to_token(int32_t id) const {
  if (const std::string* text = added.text(id)) return *text;
  const auto token = model.vocab().token(id);
  // What Python's tokenizers make of an id that there is not.
  const auto* pieces = std::get_if<SentencePiece>(&model.value);
  const auto* words = std::get_if<CTRL>(&model.value);
  if (!token && id >= 0 && (pieces || words)) return pieces ? pieces->unk_token : words->unk_token;
  return token;
}

int32_t Tokenizer::Impl::language_id(std::string_view code) const {
  check_argument(languages.has_value(), "the tokenizer knows no languages", "src_lang");
  const auto id = token_to_id(languages->token(code));
  if (!id) throw Error(ErrorCode::invalid_argument, "the tokenizer has no language " + quote(code));
  return *id;
}

Tokenizer::Impl::Plan Tokenizer::Impl::plan(const EncodeOptions& o) const {
  Plan p;
  p.add_special_tokens = o.add_special_tokens;
  p.split_special = o.split_special_tokens || split_special_tokens;
  p.ids_only = o.ids_only;
  p.return_overflowing = o.return_overflowing;
  p.truncation = o.truncation;
  if (o.max_length && !o.truncation.is_set() && o.padding == PaddingStrategy::do_not_pad) {
    p.truncation = TruncationStrategy::longest_first;
  }
  p.padding = o.padding;
  p.stride = o.stride;
  p.pad_to_multiple_of = o.pad_to_multiple_of;
  if (o.src_lang) {
    p.language_id = language_id(*o.src_lang);
    p.language_token = languages->token(*o.src_lang);
  }
  p.truncation_side = o.truncation_side.value_or(truncation_side);
  p.padding_side = o.padding_side.value_or(padding_side);
  const std::optional<int64_t> max_length = o.max_length ? o.max_length : model_max_length;
  if (max_length) {
    p.max_length = *max_length;
  } else {
    p.truncation = TruncationStrategy::do_not_truncate;
    if (p.padding == PaddingStrategy::max_length) p.padding = PaddingStrategy::do_not_pad;
  }
  const bool pads = p.padding != PaddingStrategy::do_not_pad;
  const bool truncates = p.truncation != TruncationStrategy::do_not_truncate;
  check_argument(p.max_length >= 0, "max_length must not be negative");
  check_argument(p.stride >= 0, "stride must not be negative");
  check_argument(p.pad_to_multiple_of >= 0, "pad_to_multiple_of must not be negative");
  // The crate looks at this before any text, whose special tokens it takes to be those of one text.
  const int64_t room = p.max_length - (post_processor ? post_processor->added_tokens(false) : 0);
  if (truncates && !every_id_has_token && room >= 0 && p.stride > room) {
    throw Error(ErrorCode::invalid_argument, "stride " + std::to_string(p.stride) + " is more than the " +
                                                 std::to_string(room) +
                                                 " tokens that max_length leaves beside special tokens");
  }
  constexpr int64_t kLongest = INT32_MAX;
  if (p.padding == PaddingStrategy::max_length && p.max_length > kLongest) {
    throw Error(ErrorCode::limit, "cannot pad to " + std::to_string(p.max_length) + " tokens");
  }
  if (p.pad_to_multiple_of > kLongest) {
    throw Error(ErrorCode::limit, "cannot pad to a multiple of " + std::to_string(p.pad_to_multiple_of) + " tokens");
  }
  if (pads) {
    if (!special_ids[kPad]) {
      throw Error(ErrorCode::invalid_argument, "padding was asked for, but the tokenizer has no pad token");
    }
    p.pad_id = *special_ids[kPad];
    p.pad_token = *special_tokens[kPad];
  }
  if (pads && truncates && p.pad_to_multiple_of > 0 && p.max_length % p.pad_to_multiple_of != 0) {
    throw Error(ErrorCode::invalid_argument, "truncation to " + std::to_string(p.max_length) +
                                                 " tokens and padding to a multiple of " +
                                                 std::to_string(p.pad_to_multiple_of) + " contradict each other");
  }
  return p;
}

void Tokenizer::Impl::encode_text(std::string_view raw, int32_t word_id, const Plan& plan, Encoding& out) const {
  const WellFormed well_formed(raw);
  const std::string_view text = well_formed.view();
  if (path && plan.ids_only && plan.plain.empty()) {
    std::vector<AddedVocabulary::Part> parts, words;
    std::string room;
    added.cut(text, plan.split_special, parts);
    for (const AddedVocabulary::Part& p : parts) {
      if (p.id >= 0) {
        out.ids.push_back(p.id);
        continue;
      }
      const std::string_view normal = path->normalize(text.substr(p.begin, p.end - p.begin), room);
      words.clear();
      added.cut_normalized(normal, plan.split_special, words);
      for (const AddedVocabulary::Part& w : words) {
        if (w.id >= 0) {
          out.ids.push_back(w.id);
        } else {
          path->encode(normal.substr(w.begin, w.end - w.begin), p.begin == 0 && w.begin == 0, out.ids);
        }
      }
    }
    return;
  }
  const std::size_t before = out.ids.size();
  int32_t word = 0;

  const auto compiled_path = [&] {
    std::vector<AddedVocabulary::Part> parts;
    added.cut(text, plan.split_special, parts);
    std::size_t at = 0;  // a byte of the text, and how many code points stand before it
    int32_t code_points = 0;
    for (const AddedVocabulary::Part& p : parts) {
      const std::string_view part = text.substr(p.begin, p.end - p.begin);
      if (plan.ids_only) {
        if (p.id >= 0) {
          out.ids.push_back(p.id);
        } else if (!bert->encode(part, out.ids)) {
          return false;
        }
        continue;
      }
      // A token may begin with white space that the one before it has taken: then it reaches back.
      if (p.begin < at) code_points -= static_cast<int32_t>(unicode::count(text.substr(p.begin, at - p.begin)));
      const auto size = static_cast<int32_t>(unicode::count(part));
      if (p.id >= 0) {
        out.ids.push_back(p.id);
        out.tokens.emplace_back(part);
        out.offsets.emplace_back(code_points, code_points + size);
        out.word_ids.push_back(word++);
      } else if (!bert->encode(part, code_points, word, out)) {
        return false;
      }
      code_points += size;
      at = p.end;
    }
    return true;
  };

  if (!bert || !plan.plain.empty() || !compiled_path()) {
    out.ids.resize(before);
    if (!plan.ids_only) {
      out.tokens.resize(before);
      out.offsets.resize(before);
      out.word_ids.resize(before);
    }
    PreTokenizedString pieces =
        added.extract(text, normalizer ? &*normalizer : nullptr, plan.split_special, plan.plain);
    if (pre_tokenizer) pre_tokenizer->pre_tokenize(pieces);
    std::vector<int32_t> code_point_at;  // of each byte of the text, and of its end
    if (!plan.ids_only) {
      code_point_at.resize(text.size() + 1);
      int32_t code_points = -1;
      for (std::size_t i = 0; i < text.size(); ++i) {
        if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) ++code_points;
        code_point_at[i] = code_points;
      }
      code_point_at[text.size()] = code_points + 1;
    }
    std::vector<Token> made;
    word = 0;
    for (const PreTokenizedString::Piece& piece : pieces.pieces) {
      if (!piece.tokens) {
        made.clear();
        model.tokenize(piece.normalized.text(), made);
      }
      for (const Token& token : piece.tokens ? *piece.tokens : made) {
        out.ids.push_back(token.id);
        if (plan.ids_only) continue;
        out.tokens.push_back(token.value);
        // The bytes that byte_fallback makes of a prefix or suffix are no bytes of the word: their places in it stand
        // for places in the text, as in the crate.
        const bool inside = token.end <= piece.normalized.text().size();
        const ByteRange from = inside ? piece.normalized.original(token.begin, token.end)
                                      : ByteRange{static_cast<uint32_t>(token.begin), static_cast<uint32_t>(token.end)};
        if (from.end <= text.size()) {
          out.offsets.emplace_back(code_point_at[from.begin], code_point_at[from.end]);
        } else if (from.begin < text.size()) {
          out.offsets.emplace_back(code_point_at[from.begin], code_point_at[from.begin] + 2);
        } else {
          out.offsets.emplace_back(static_cast<int32_t>(from.begin), static_cast<int32_t>(from.end));
        }
        out.word_ids.push_back(word);
      }
      ++word;
    }
  }
  if (word_id >= 0 && !plan.ids_only) {
    std::fill(out.word_ids.begin() + static_cast<std::ptrdiff_t>(before), out.word_ids.end(), word_id);
  }
}

Encoding Tokenizer::Impl::encode_input(const Input& input, int32_t type_id, const Plan& plan) const {
  Encoding out;
  if (input.is_words) {
    for (std::size_t w = 0; w < input.words.size(); ++w)
      encode_text(input.words[w], static_cast<int32_t>(w), plan, out);
  } else {
    encode_text(input.text, -1, plan, out);
  }
  out.type_ids.assign(out.size(), type_id);
  if (!plan.ids_only) {
    out.special_tokens_mask.assign(out.size(), 0);
    for (std::size_t i = 0; masks_spelled_specials && plan.add_special_tokens && i < out.size(); ++i) {
      out.special_tokens_mask[i] =
          out.ids[i] != special_ids[kUnk] &&
          std::find(all_special_ids.begin(), all_special_ids.end(), out.ids[i]) != all_special_ids.end();
    }
    out.attention_mask.assign(out.size(), 1);
    out.sequence_ids.assign(out.size(), type_id);
  }
  return out;
}

// The token of the plan's language in place of the tokenizer's own.
void Tokenizer::Impl::set_language(Encoding& e, const Plan& plan) const {
  if (plan.language_id < 0 || !plan.add_special_tokens || e.size() == 0) return;
  const std::size_t at = languages->in_front ? 0 : e.size() - 1;
  e.ids[at] = plan.language_id;
  if (!e.tokens.empty()) e.tokens[at] = plan.language_token;
  for (Encoding& o : e.overflowing) set_language(o, plan);
}

Encoding Tokenizer::Impl::encode(const Input& first, const Input* second, const Plan& plan) const {
  if (plan.ids_only && !plan.return_overflowing) {
    const auto& parts = second ? parts_of_two : parts_of_one;
    if (parts) {
      Encoding out = encode_ids(first, second, plan, *parts);
      set_language(out, plan);
      return out;
    }
  }
  std::vector<Encoding> encodings;
  encodings.push_back(encode_input(first, 0, plan));
  if (second) encodings.push_back(encode_input(*second, 1, plan));
  const auto size_of = [&](std::size_t i) {
    return i < encodings.size() ? static_cast<int64_t>(encodings[i].size()) : 0;
  };
  const int64_t special =
      plan.add_special_tokens && post_processor ? post_processor->added_tokens(second != nullptr) : 0;
  const auto [n1, n2] = kept_tokens(size_of(0), size_of(1), second != nullptr, plan, special);
  cut(encodings[0], n1, plan.stride, plan.truncation_side, plan.return_overflowing);
  if (second) cut(encodings[1], n2, plan.stride, plan.truncation_side, plan.return_overflowing);
  if (post_processor) encodings = post_processor->process(std::move(encodings), plan.add_special_tokens);
  Encoding out = merge(std::move(encodings));
  set_language(out, plan);
  if (plan.ids_only) keep_ids_only(out);
  return out;
}

Encoding Tokenizer::Impl::encode_ids(const Input& first, const Input* second, const Plan& plan,
                                     const std::vector<Part>& parts) const {
  Encoding out, texts[2];
  int64_t special = 0;
  for (const Part& p : parts) special += plan.add_special_tokens && p.sequence < 0;
  const auto read = [&](const Input& input, Encoding& to) {
    if (input.is_words) {
      for (const std::string& word : input.words) encode_text(word, 0, plan, to);
    } else {
      to.ids.reserve(input.text.size() / 4 + 8);
      encode_text(input.text, -1, plan, to);
    }
  };
  read(first, texts[0]);
  if (second) read(*second, texts[1]);
  const auto [n1, n2] = kept_tokens(static_cast<int64_t>(texts[0].size()), static_cast<int64_t>(texts[1].size()),
                                    second != nullptr, plan, special);
  const auto total = static_cast<std::size_t>(n1 + n2 + special);
  out.ids.reserve(total);
  out.type_ids.reserve(total);
  for (const Part& p : parts) {
    if (p.sequence < 0) {
      if (!plan.add_special_tokens) continue;
      out.ids.push_back(p.id);
      out.type_ids.push_back(p.type_id);
      continue;
    }
    const std::vector<int32_t>& ids = texts[p.sequence].ids;
    const auto n = static_cast<std::ptrdiff_t>(p.sequence == 0 ? n1 : n2);
    const auto begin = plan.truncation_side == Side::right ? ids.begin() : ids.end() - n;
    out.ids.insert(out.ids.end(), begin, begin + n);
    out.type_ids.resize(out.ids.size(), p.type_id);
  }
  out.attention_mask.assign(out.size(), 1);
  return out;
}

void Tokenizer::Impl::pad(std::span<Encoding> encodings, const Plan& plan) const {
  if (plan.padding == PaddingStrategy::do_not_pad) return;
  std::size_t length = 0;
  if (plan.padding == PaddingStrategy::max_length) {
    length = static_cast<std::size_t>(plan.max_length);
  } else {
    for (const Encoding& e : encodings) length = std::max(length, e.size());
  }
  if (plan.pad_to_multiple_of > 0) {
    const auto multiple = static_cast<std::size_t>(plan.pad_to_multiple_of);
    length = (length + multiple - 1) / multiple * multiple;
  }
  for (Encoding& e : encodings) pad_one(e, length, plan.padding_side, plan.pad_id, plan.pad_token, plan.ids_only);
}

Tokenizer::Tokenizer(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::~Tokenizer() = default;

namespace {

// All batch calls: text(i) gives the i-th Input, text_pair(i) its second one if `pairs`.
template <class Text, class TextPair>
std::vector<Encoding> encode_many(const Tokenizer::Impl& impl, std::size_t count, const EncodeOptions& options,
                                  Text text, TextPair text_pair, bool pairs) {
  const auto plan = impl.plan(options);
  std::vector<Encoding> out(count);
  for_each_text(count, [&](std::size_t i) {
    const Tokenizer::Impl::Input first{text(i), {}, false};
    if (pairs) {
      const Tokenizer::Impl::Input second{text_pair(i), {}, false};
      out[i] = impl.encode(first, &second, plan);
    } else {
      out[i] = impl.encode(first, nullptr, plan);
    }
  });
  impl.pad(out, plan);
  return out;
}

constexpr auto kNoPair = [](std::size_t) { return std::string_view(); };

void check_pairs(std::size_t texts, std::size_t text_pairs) {
  if (texts == text_pairs) return;
  throw Error(ErrorCode::invalid_argument,
              std::to_string(texts) + " texts, but " + std::to_string(text_pairs) + " second texts");
}

BatchEncoding to_batch(const Tokenizer::Impl& impl, std::vector<Encoding> encodings, bool return_overflowing) {
  BatchEncoding out;
  const auto add = [&](const Encoding& e, std::size_t sample) {
    out.input_ids.emplace_back(e.ids.begin(), e.ids.end());
    out.attention_mask.emplace_back(e.attention_mask.begin(), e.attention_mask.end());
    if (impl.has_token_type_ids) out.token_type_ids.emplace_back(e.type_ids.begin(), e.type_ids.end());
    if (return_overflowing) out.overflow_to_sample_mapping.push_back(static_cast<int64_t>(sample));
  };
  for (std::size_t i = 0; i < encodings.size(); ++i) {
    add(encodings[i], i);
    for (const Encoding& o : encodings[i].overflowing) add(o, i);
  }
  return out;
}

EncodeOptions only_ids(EncodeOptions options) {
  options.ids_only = true;
  return options;
}

}  // namespace

Encoding Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  const Impl::Plan plan = impl_->plan(options);
  Encoding out = impl_->encode({text, {}, false}, nullptr, plan);
  impl_->pad({&out, 1}, plan);
  return out;
}

Encoding Tokenizer::encode_pair(std::string_view text, std::string_view text_pair, const EncodeOptions& options) const {
  if (text_pair.empty()) return encode(text, options);
  const Impl::Plan plan = impl_->plan(options);
  const Impl::Input second{text_pair, {}, false};
  Encoding out = impl_->encode({text, {}, false}, &second, plan);
  impl_->pad({&out, 1}, plan);
  return out;
}

Encoding Tokenizer::encode_words(std::span<const std::string> words, const EncodeOptions& options) const {
  const Impl::Plan plan = impl_->plan(options);
  Encoding out = impl_->encode({{}, words, true}, nullptr, plan);
  impl_->pad({&out, 1}, plan);
  return out;
}

std::vector<Encoding> Tokenizer::encode_batch(std::span<const std::string> texts, const EncodeOptions& options) const {
  return encode_many(
      *impl_, texts.size(), options, [&](std::size_t i) { return std::string_view(texts[i]); }, kNoPair, false);
}

std::vector<Encoding> Tokenizer::encode_batch(std::span<const std::string_view> texts,
                                              const EncodeOptions& options) const {
  return encode_many(
      *impl_, texts.size(), options, [&](std::size_t i) { return texts[i]; }, kNoPair, false);
}

std::vector<Encoding> Tokenizer::encode_pair_batch(std::span<const std::string> texts,
                                                   std::span<const std::string> text_pairs,
                                                   const EncodeOptions& options) const {
  check_pairs(texts.size(), text_pairs.size());
  return encode_many(
      *impl_, texts.size(), options, [&](std::size_t i) { return std::string_view(texts[i]); },
      [&](std::size_t i) { return std::string_view(text_pairs[i]); }, true);
}

BatchEncoding Tokenizer::operator()(std::initializer_list<std::string_view> texts, const EncodeOptions& options) const {
  return to_batch(*impl_, encode_batch(std::span(texts.begin(), texts.size()), only_ids(options)),
                  options.return_overflowing);
}

BatchEncoding Tokenizer::operator()(std::string_view text, const EncodeOptions& options) const {
  return (*this)({text}, options);
}

BatchEncoding Tokenizer::operator()(std::span<const std::string> texts, const EncodeOptions& options) const {
  return to_batch(*impl_, encode_batch(texts, only_ids(options)), options.return_overflowing);
}

BatchEncoding Tokenizer::operator()(std::string_view text, std::string_view text_pair,
                                    const EncodeOptions& options) const {
  std::vector<Encoding> one;
  one.push_back(encode_pair(text, text_pair, only_ids(options)));
  return to_batch(*impl_, std::move(one), options.return_overflowing);
}

BatchEncoding Tokenizer::operator()(std::span<const std::string> texts, std::span<const std::string> text_pairs,
                                    const EncodeOptions& options) const {
  return to_batch(*impl_, encode_pair_batch(texts, text_pairs, only_ids(options)), options.return_overflowing);
}

std::string Tokenizer::decode(std::span<const int32_t> ids, const DecodeOptions& options) const {
  std::vector<std::string> tokens;
  tokens.reserve(ids.size());
  const bool any_id = impl_->every_id_has_token;
  for (int32_t id : ids) {
    const std::optional<std::string_view> token = impl_->id_to_token(id);
    if (id < 0 || (id > impl_->highest_id && !any_id)) {
      throw Error(ErrorCode::invalid_argument, "the id " + std::to_string(id) +
                                                   " is not in the vocabulary: its ids go up to " +
                                                   std::to_string(impl_->highest_id));
    }
    if (!token) continue;
    // What stands for an id that there is not is printed, as in HF, though it is spelled like the unknown token.
    if (options.skip_special_tokens && impl_->added.is_special(*token) && (!any_id || impl_->added.find(id))) continue;
    tokens.emplace_back(*token);
  }
  std::string text = convert_tokens_to_string(tokens);
  const bool is_bpe = std::holds_alternative<BPE>(impl_->model.value);
  if (options.clean_up_tokenization_spaces.value_or(impl_->clean_up_tokenization_spaces) &&
      (!is_bpe || impl_->clean_up_bpe)) {
    for (const auto& [from, to] : kCleanup) {
      if (from != kOnlyDecoder) replace_all(text, from, to);
    }
  }
  return text;
}

std::vector<std::string> Tokenizer::decode_batch(std::span<const std::vector<int32_t>> ids,
                                                 const DecodeOptions& options) const {
  std::vector<std::string> out(ids.size());
  for_each_text(ids.size(), [&](std::size_t i) { out[i] = decode(std::span<const int32_t>(ids[i]), options); });
  return out;
}

std::string Tokenizer::convert_tokens_to_string(std::span<const std::string> tokens) const {
  if (impl_->decoder) return impl_->decoder->decode({tokens.begin(), tokens.end()});
  std::string out;
  for (const std::string& token : tokens) {
    if (&token != tokens.data()) out += ' ';
    out += token;
  }
  return out;
}

namespace {

// Whether the decoder is of this type, or a sequence with one inside.
template <class D>
bool decodes_with(const Decoder& decoder) {
  if (const auto* sequence = std::get_if<DecoderSequence>(&decoder.value)) {
    return std::any_of(sequence->children.begin(), sequence->children.end(), decodes_with<D>);
  }
  return std::holds_alternative<D>(decoder.value);
}

// The bytes that the characters of a byte-level token stand for; none if one stands for no byte.
std::optional<std::string> from_byte_level(std::string_view token) {
  std::string bytes;
  for (std::size_t at = 0; at < token.size();) {
    const int byte = byte_of(unicode::next(token, at));
    if (byte < 0) return std::nullopt;
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

// The byte of <0x..>.
std::optional<std::string> from_byte_fallback(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || !token.ends_with('>')) return std::nullopt;
  unsigned byte = 0;
  const auto [end, error] = std::from_chars(token.data() + 3, token.data() + 5, byte, 16);
  if (error != std::errc() || end != token.data() + 5) return std::nullopt;
  return std::string(1, static_cast<char>(byte));
}

}  // namespace

std::vector<std::string> Tokenizer::token_texts() const {
  constexpr std::string_view kBefore = "abcdef";
  EncodeOptions plain;
  plain.add_special_tokens = false;
  const std::vector<std::string> before = encode(kBefore, plain).tokens;
  // A vocabulary that cannot spell it has its own text for it.
  const std::string spelled = convert_tokens_to_string(before);
  const std::string_view stands_before =
      spelled.find(kBefore) != std::string::npos ? kBefore : std::string_view(spelled);
  const bool fallback = impl_->decoder && decodes_with<ByteFallback>(*impl_->decoder);
  const bool byte_level = !fallback && impl_->decoder && decodes_with<ByteLevelDecoder>(*impl_->decoder);
  std::vector<std::string> texts(static_cast<std::size_t>(impl_->highest_id + 1));
  for_each_text(texts.size(), [&](std::size_t id) {
    const auto token = impl_->id_to_token(static_cast<int32_t>(id));
    if (!token) return;
    const auto bytes = byte_level ? from_byte_level(*token) : fallback ? from_byte_fallback(*token) : std::nullopt;
    if (bytes) {
      texts[id] = *bytes;
      return;
    }
    std::vector<std::string> tokens = before;
    tokens.emplace_back(*token);
    const std::string text = convert_tokens_to_string(tokens);
    const std::size_t at = text.find(stands_before);
    if (at != std::string::npos) texts[id] = text.substr(at + stands_before.size());
  });
  return texts;
}

std::optional<int32_t> Tokenizer::token_to_id(std::string_view token) const { return impl_->token_to_id(token); }
std::optional<std::string_view> Tokenizer::id_to_token(int32_t id) const { return impl_->id_to_token(id); }
int64_t Tokenizer::vocab_size() const noexcept {
  return impl_->vocab_size.value_or(static_cast<int64_t>(impl_->model.vocab().size()));
}

int64_t Tokenizer::size() const noexcept {
  int64_t n = vocab_size();
  for (const auto& [id, token] : impl_->added.by_id()) {
    const int32_t known = impl_->model.vocab().find(token.content);
    n += known < 0 || (impl_->vocab_size && known >= *impl_->vocab_size);
  }
  return n;
}

std::optional<int32_t> Tokenizer::bos_token_id() const noexcept { return impl_->special_ids[kBos]; }
std::optional<int32_t> Tokenizer::eos_token_id() const noexcept { return impl_->special_ids[kEos]; }
std::optional<int32_t> Tokenizer::unk_token_id() const noexcept { return impl_->special_ids[kUnk]; }
std::optional<int32_t> Tokenizer::sep_token_id() const noexcept { return impl_->special_ids[kSep]; }
std::optional<int32_t> Tokenizer::pad_token_id() const noexcept { return impl_->special_ids[kPad]; }
std::optional<int32_t> Tokenizer::cls_token_id() const noexcept { return impl_->special_ids[kCls]; }
std::optional<int32_t> Tokenizer::mask_token_id() const noexcept { return impl_->special_ids[kMask]; }
std::span<const int32_t> Tokenizer::all_special_ids() const noexcept { return impl_->all_special_ids; }

bool Tokenizer::is_special(int32_t id) const {
  const std::string* text = impl_->added.text(id);
  return text && impl_->added.is_special(*text);
}

bool Tokenizer::has_languages() const noexcept { return impl_->languages.has_value(); }
int32_t Tokenizer::language_id(std::string_view code) const { return impl_->language_id(code); }

std::optional<int64_t> Tokenizer::model_max_length() const noexcept { return impl_->model_max_length; }

int64_t Tokenizer::num_special_tokens_to_add(bool pair) const noexcept {
  return impl_->post_processor ? impl_->post_processor->added_tokens(pair) : 0;
}

std::span<const std::string> Tokenizer::model_input_names() const noexcept { return impl_->model_input_names; }
bool Tokenizer::clean_up_tokenization_spaces() const noexcept { return impl_->clean_up_tokenization_spaces; }
std::string_view Tokenizer::continuing_subword_prefix() const noexcept {
  if (const auto* word_piece = std::get_if<WordPiece>(&impl_->model.value))
    return word_piece->continuing_subword_prefix;
  const auto* bpe = std::get_if<BPE>(&impl_->model.value);
  return bpe != nullptr && bpe->continuing_subword_prefix ? std::string_view(*bpe->continuing_subword_prefix) : "";
}
Side Tokenizer::padding_side() const noexcept { return impl_->padding_side; }
Side Tokenizer::truncation_side() const noexcept { return impl_->truncation_side; }
bool Tokenizer::has_fast_path() const noexcept { return impl_->bert || impl_->path; }

}  // namespace transformers
