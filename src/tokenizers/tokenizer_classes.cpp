// What it is: the recipes of the tokenizer classes, and which model types have which.
// Where it stands: tokenizers; see tokenizer_classes.hpp.
#include "tokenizer_classes.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "transformers/base/error.hpp"

namespace transformers {
namespace {

// ---- parts that several recipes use ---------------------------------------------------------------------------

constexpr const char kUnderline[] = "\xE2\x96\x81";

template <class T>
Normalizer normalizer(T t) {
  return Normalizer{std::move(t)};
}
Normalizer replace(const char* text, const char* content) { return {Replace{Pattern::string(text), content}}; }
Normalizer replace_all_of(const char* pattern, const char* content) {
  return {Replace{Pattern::regular_expression(pattern), content}};
}
PreTokenizer metaspace(PrependScheme scheme, bool split = true) { return {Metaspace{kUnderline, scheme, split}}; }
Decoder metaspace_decoder(PrependScheme scheme) {
  MetaspaceDecoder d;
  d.prepend_scheme = scheme;
  return {std::move(d)};
}
PreTokenizer sequence(std::vector<PreTokenizer> children) { return {PreTokenizerSequence{std::move(children)}}; }
void set_normalizers(ClassBuild& b, std::vector<Normalizer> children) {
  b.impl.normalizer = Normalizer{NormalizerSequence{std::move(children)}};
}

// SentencePiece's pieces with words set apart by white space, or not.
void set_metaspace(ClassBuild& b, PrependScheme scheme, bool by_words) {
  b.impl.pre_tokenizer = by_words ? sequence({PreTokenizer{WhitespaceSplit{}}, metaspace(scheme)}) : metaspace(scheme);
  b.impl.decoder = metaspace_decoder(scheme);
}
PrependScheme scheme_of(const ClassBuild& b, PrependScheme otherwise = PrependScheme::never) {
  return b.flag("add_prefix_space", true) ? PrependScheme::always : otherwise;
}

void set_bpe(ClassBuild& b, bool has_unk, bool fuse_unk, bool byte_fallback, const char* suffix = nullptr) {
  BPE& m = b.bpe;
  m.vocab = std::move(b.vocab);
  if (has_unk) m.unk_token = b.special(kUnk);
  m.fuse_unk = fuse_unk;
  m.byte_fallback = byte_fallback;
  if (suffix) m.end_of_word_suffix = suffix;
  m.finish(b.model_where);
  b.impl.model.value = std::move(m);
}
void set_byte_level_bpe(ClassBuild& b, bool add_prefix_space) {
  set_bpe(b, false, false, false);
  b.impl.pre_tokenizer = PreTokenizer{ByteLevel{add_prefix_space, true, true}};
  b.impl.decoder = Decoder{ByteLevelDecoder{}};
}
void set_unigram(ClassBuild& b, int64_t unk_id) {
  b.unigram.unk_id = unk_id;
  b.unigram.finish(b.model_where);
  b.impl.model.value = std::move(b.unigram);
}
// The id of the unknown token, if its score is 0.
std::optional<int64_t> unk_with_zero_score(const ClassBuild& b) {
  const int32_t id = b.unigram.vocab.find(b.special(kUnk));
  if (id < 0 || b.unigram.scores[static_cast<std::size_t>(id)] != 0.0) return std::nullopt;
  return id;
}
void set_bert(ClassBuild& b, bool lowercase, std::string_view prefix = "##", bool clean_text = true) {
  WordPiece model;
  model.unk_token = b.special(kUnk);
  model.vocab = std::move(b.vocab);
  model.finish();
  b.impl.model.value = std::move(model);
  BertNormalizer n;
  n.clean_text = clean_text;
  n.lowercase = lowercase;
  n.handle_chinese_chars = b.flag("tokenize_chinese_chars", true);
  n.strip_accents = b.optional_flag("strip_accents");
  b.impl.normalizer = Normalizer{n};
  b.impl.pre_tokenizer = PreTokenizer{BertPreTokenizer{}};
  WordPieceDecoder d;
  d.prefix = prefix;
  b.impl.decoder = Decoder{std::move(d)};
}

// ---- post-processors ------------------------------------------------------------------------------------------

// "<s> $A </s> $B:1 </s>:1" -> pieces; tokens are given by text, and have type id 0 unless they say another.
std::vector<TemplateProcessing::Piece> read_template(const std::vector<std::string>& parts) {
  std::vector<TemplateProcessing::Piece> out;
  for (const std::string& part : parts) {
    TemplateProcessing::Piece piece;
    std::string name = part;
    if (name.size() > 2 && name[name.size() - 2] == ':' && name.back() >= '0' && name.back() <= '9') {
      piece.type_id = name.back() - '0';
      name.resize(name.size() - 2);
    }
    if (name == "$A" || name == "$B") {
      piece.sequence = name == "$B";
    } else {
      piece.special = std::move(name);
    }
    out.push_back(std::move(piece));
  }
  return out;
}

// A token that has no id stands for `otherwise`.
void set_template(ClassBuild& b, const std::vector<std::string>& single, const std::vector<std::string>& pair,
                  int32_t otherwise = 0) {
  TemplateProcessing t;
  t.single = read_template(single);
  t.pair = read_template(pair);
  for (const auto* pieces : {&t.single, &t.pair}) {
    for (const TemplateProcessing::Piece& p : *pieces) {
      if (p.sequence < 0) {
        t.special_tokens[p.special] = {{b.impl.token_to_id(p.special).value_or(otherwise)}, {p.special}};
      }
    }
  }
  b.impl.post_processor = PostProcessor{std::move(t)};
}

void set_roberta(ClassBuild& b, SpecialName sep, SpecialName cls, bool trim_offsets, bool add_prefix_space) {
  RobertaProcessing p;
  p.sep = {b.special(sep), b.impl.token_to_id(b.special(sep)).value_or(0)};
  p.cls = {b.special(cls), b.impl.token_to_id(b.special(cls)).value_or(0)};
  p.trim_offsets = trim_offsets;
  p.add_prefix_space = add_prefix_space;
  b.impl.post_processor = PostProcessor{std::move(p)};
}

// [CLS] A [SEP] and [CLS] A [SEP] B [SEP], the second text with type id 1.
void finish_bert(ClassBuild& b) {
  const std::string cls = b.special(kCls), sep = b.special(kSep);
  TemplateProcessing t;
  t.special_tokens[cls] = {{b.impl.token_to_id(cls).value_or(2)}, {cls}};
  t.special_tokens[sep] = {{b.impl.token_to_id(sep).value_or(3)}, {sep}};
  t.single = {{-1, cls, 0}, {0, "", 0}, {-1, sep, 0}};
  t.pair = t.single;
  t.pair.insert(t.pair.end(), {{1, "", 1}, {-1, sep, 1}});
  b.impl.post_processor = PostProcessor{std::move(t)};
}
void finish_t5(ClassBuild& b) {
  TemplateProcessing t;
  t.special_tokens["</s>"] = {{b.impl.token_to_id(b.special(kEos)).value_or(0)}, {"</s>"}};
  t.single = {{0, "", 0}, {-1, "</s>", 0}};
  t.pair = {{0, "", 0}, {-1, "</s>", 0}, {1, "", 0}, {-1, "</s>", 0}};
  b.impl.post_processor = PostProcessor{std::move(t)};
}
void finish_xlm_roberta(ClassBuild& b) {
  const std::string bos = b.special(kBos), eos = b.special(kEos);
  set_template(b, {bos, "$A", eos}, {bos, "$A", eos, eos, "$B", eos});
}
// A [source language] around the text; `in_front`: the code stands before it, the end behind it. `wrapped`: the token
// of "en" is "__en__".
void finish_language(ClassBuild& b, const char* source, bool in_front, bool wrapped = false) {
  Tokenizer::Impl::Languages languages{b.text("src_lang").value_or(source), in_front, wrapped};
  const std::string eos = b.special(kEos), code = languages.token(languages.source);
  const int32_t unknown = b.impl.token_to_id(b.special(kUnk)).value_or(0);
  if (in_front) {
    set_template(b, {code, "$A", eos}, {code, "$A", "$B", eos}, unknown);
  } else {
    set_template(b, {"$A", eos, code}, {"$A", "$B", eos, code}, unknown);
  }
  b.impl.languages = std::move(languages);
}

// ---- recipes --------------------------------------------------------------------------------------------------

void build_bert(ClassBuild& b) { set_bert(b, b.flag("do_lower_case", true)); }
void build_lower_bert(ClassBuild& b) { set_bert(b, true); }
void build_funnel(ClassBuild& b) {
  set_bert(b, b.flag("do_lower_case", true), b.text("wordpieces_prefix").value_or("##"), b.flag("clean_text", true));
}
void finish_funnel(ClassBuild& b) {
  const std::string cls = b.special(kCls), sep = b.special(kSep);
  set_template(b, {cls + ":2", "$A", sep}, {cls + ":2", "$A", sep, "$B:1", sep + ":1"});
}
void finish_mpnet(ClassBuild& b) { set_roberta(b, kSep, kCls, true, false); }

void build_gpt2(ClassBuild& b) { set_byte_level_bpe(b, b.flag("add_prefix_space", false)); }
void finish_roberta(ClassBuild& b) {
  set_roberta(b, kSep, kCls, b.flag("trim_offsets", true), b.flag("add_prefix_space", false));
}
void build_prefixed_gpt2(ClassBuild& b) { set_byte_level_bpe(b, b.flag("add_prefix_space", true)); }
void finish_layoutlmv3(ClassBuild& b) { set_roberta(b, kSep, kCls, true, b.flag("add_prefix_space", true)); }
void finish_deberta(ClassBuild& b) {
  const std::string cls = b.special(kCls), sep = b.special(kSep);
  set_template(b, {cls, "$A", sep}, {cls, "$A", sep, sep, "$B", sep});
}
void build_gpt_neox(ClassBuild& b) {
  build_gpt2(b);
  b.impl.normalizer = normalizer(NFC{});
  b.impl.pre_tokenizer = PreTokenizer{ByteLevel{b.flag("add_prefix_space", false), b.flag("trim_offsets", true), true}};
}
void finish_gpt_neox(ClassBuild& b) { update_post_processor(b); }
void build_cohere(ClassBuild& b) {
  build_gpt2(b);
  b.impl.normalizer = normalizer(NFC{});
  b.impl.pre_tokenizer =
      sequence({PreTokenizer{Digits{true}}, PreTokenizer{ByteLevel{b.flag("add_prefix_space", false), true, true}}});
}

constexpr const char kQwen2Pattern[] =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char kQwen35Pattern[] =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
void build_qwen(ClassBuild& b, const char* pattern) {
  const bool add_prefix_space = b.flag("add_prefix_space", false);
  build_gpt2(b);
  b.impl.normalizer = normalizer(NFC{});
  b.impl.pre_tokenizer =
      sequence({PreTokenizer{Split{Pattern::regular_expression(pattern), SplitBehavior::isolated, false}},
                PreTokenizer{ByteLevel{add_prefix_space, true, false}}});
}
void build_qwen2(ClassBuild& b) { build_qwen(b, kQwen2Pattern); }
void build_qwen3_5(ClassBuild& b) { build_qwen(b, kQwen35Pattern); }

void build_clip(ClassBuild& b) {
  set_bpe(b, true, false, false, "</w>");
  set_normalizers(b, {normalizer(NFC{}), replace_all_of("\\s+", " "), normalizer(Lowercase{})});
  const Pattern words = Pattern::regular_expression(
      R"(<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+)");
  b.impl.pre_tokenizer =
      sequence({PreTokenizer{Split{words, SplitBehavior::removed, true}}, PreTokenizer{ByteLevel{false, true, true}}});
  // Decoding byte-level tokens leaves "</w>" in the text; the class then makes it a space and strips the ends.
  Decoder ends{Replace{Pattern::string("</w>"), " "}};
  b.impl.decoder = Decoder{DecoderSequence{
      {Decoder{ByteLevelDecoder{}}, std::move(ends),
       Decoder{Replace{Pattern::regular_expression("\\A[\\s\\x1C-\\x1F]+|[\\s\\x1C-\\x1F]+\\z"), ""}}}}};
}
void finish_clip(ClassBuild& b) { set_roberta(b, kEos, kBos, false, false); }

void build_openai_gpt(ClassBuild& b) {
  set_bpe(b, true, false, false, "</w>");
  b.impl.normalizer = normalizer(BertNormalizer{});
  b.impl.pre_tokenizer = PreTokenizer{BertPreTokenizer{}};
  b.impl.decoder = Decoder{BPEDecoder{}};
}
void build_herbert(ClassBuild& b) {
  build_openai_gpt(b);
  BertNormalizer n;
  n.lowercase = false;
  n.strip_accents = false;
  b.impl.normalizer = Normalizer{n};
}
void finish_herbert(ClassBuild& b) {
  b.impl.post_processor = PostProcessor{BertProcessing{{b.special(kSep), 2}, {b.special(kCls), 0}}};
}

// Metaspace outside of the words, bytes for what is unknown.
void build_llama_like(ClassBuild& b, bool has_unk, PrependScheme scheme, bool strips) {
  set_bpe(b, has_unk, true, true);
  b.impl.pre_tokenizer = metaspace(scheme, false);
  std::vector<Decoder> decoders{Decoder{Replace{Pattern::string(kUnderline), " "}}, Decoder{ByteFallback{}},
                                Decoder{Fuse{}}};
  if (strips) decoders.push_back(Decoder{StripDecoder{" ", 1, 0}});
  b.impl.decoder = Decoder{DecoderSequence{std::move(decoders)}};
}
void build_llama(ClassBuild& b) {
  const bool prefix = b.flag("add_prefix_space", true);
  const PrependScheme scheme = !prefix                   ? PrependScheme::never
                               : b.flag("legacy", false) ? PrependScheme::always
                                                         : PrependScheme::first;
  build_llama_like(b, false, scheme, prefix);
}
void build_code_llama(ClassBuild& b) {
  const bool prefix = b.flag("add_prefix_space", true);
  build_llama_like(b, true, prefix ? PrependScheme::first : PrependScheme::never, true);
}
std::vector<std::string> extra_code_llama(const ClassBuild& b) {
  std::vector<std::string> out;
  for (const auto& [key, absent] : {std::pair{"prefix_token", "\xE2\x96\x81<PRE>"},
                                    {"middle_token", "\xE2\x96\x81<MID>"},
                                    {"suffix_token", "\xE2\x96\x81<SUF>"},
                                    {"eot_token", "\xE2\x96\x81<EOT>"},
                                    {"fill_token", "<FILL_ME>"}}) {
    const Value* v = b.config.find(key);
    if (!v) out.emplace_back(absent);
    if (v && v->is_string()) out.push_back(v->as_string());
  }
  return out;
}
void build_gemma(ClassBuild& b) {
  build_llama_like(b, true, PrependScheme::never, false);
  b.impl.normalizer = replace(" ", kUnderline);
  b.impl.pre_tokenizer = PreTokenizer{Split{Pattern::string(" "), SplitBehavior::merged_with_previous, false}};
}
void build_siglip2(ClassBuild& b) {
  build_gemma(b);
  set_normalizers(b, {normalizer(Lowercase{}), replace(" ", kUnderline)});
}

void set_charsmap(ClassBuild& b) {
  if (b.charsmap) b.impl.normalizer = normalizer(*b.charsmap);
}
// Its own rules if it has any, then runs of spaces as one.
void set_charsmap_and_spaces(ClassBuild& b) {
  std::vector<Normalizer> out;
  if (b.charsmap) out.push_back(normalizer(*b.charsmap));
  out.push_back(replace_all_of(" {2,}", " "));
  set_normalizers(b, std::move(out));
}
void build_t5(ClassBuild& b) {
  set_unigram(b, 2);
  set_charsmap(b);
  set_metaspace(b, PrependScheme::always, true);
}
std::vector<std::string> extra_t5(const ClassBuild& b) {
  int64_t count = 100;
  if (const Value* v = b.config.find("extra_ids"); v && v->is_integer()) count = v->as_integer();
  std::vector<std::string> out;
  for (int64_t i = 0; i < std::min<int64_t>(count, 100'000); ++i) out.push_back("<extra_id_" + std::to_string(i) + '>');
  return out;
}
void build_pegasus(ClassBuild& b) {
  const auto unk = unk_with_zero_score(b);
  if (!unk) throw Error(ErrorCode::corrupt_file, "the unknown token is no piece of score 0", b.model_where);
  set_unigram(b, *unk);
  if (b.charsmap) {
    set_charsmap_and_spaces(b);
  } else {
    set_normalizers(b, {replace_all_of("\\n", " "), replace_all_of(" {2,}", " ")});
  }
  set_metaspace(b, PrependScheme::always, false);
}
void finish_pegasus(ClassBuild& b) {
  const std::string eos = b.special(kEos);
  set_template(b, {"$A", eos}, {"$A", "$B", eos});
}
std::vector<std::string> extra_pegasus(const ClassBuild& b) {
  std::vector<std::string> out{b.text("mask_token_sent").value_or("<mask_1>")};
  int64_t offset = 103;
  if (const Value* v = b.config.find("offset"); v && v->is_integer()) offset = v->as_integer();
  for (int64_t i = 2; i < std::min<int64_t>(offset, 100'000); ++i) out.push_back("<unk_" + std::to_string(i) + '>');
  return out;
}
void build_xlm_roberta(ClassBuild& b) {
  set_unigram(b, 3);
  set_charsmap(b);
  set_metaspace(b, scheme_of(b), true);
}
void build_camembert(ClassBuild& b) {
  // The first piece of that text: a model whose own unknown piece is not its first has another one further on.
  int32_t unk_id = 0;
  const auto size = static_cast<int32_t>(b.unigram.scores.size());
  std::vector<std::string_view> texts(static_cast<std::size_t>(size));
  b.unigram.vocab.for_each([&](std::string_view piece, int32_t id) { texts[static_cast<std::size_t>(id)] = piece; });
  const auto first = std::find(texts.begin(), texts.end(), b.special(kUnk));
  if (first != texts.end()) unk_id = static_cast<int32_t>(first - texts.begin());
  set_unigram(b, unk_id);
  set_charsmap(b);
  set_metaspace(b, scheme_of(b), true);
}
std::vector<std::string> extra_camembert(const ClassBuild&) { return {"<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"}; }

std::vector<Normalizer> quotes() { return {replace("``", "\""), replace("''", "\"")}; }
void add_accents_and_case(ClassBuild& b, std::vector<Normalizer> out, bool keep_accents, bool lowercase) {
  if (!keep_accents) {
    out.push_back(normalizer(NFKD{}));
    out.push_back(normalizer(StripAccents{}));
  }
  if (lowercase) out.push_back(normalizer(Lowercase{}));
  if (b.charsmap) out.push_back(normalizer(*b.charsmap));
  set_normalizers(b, std::move(out));
}
void build_albert(ClassBuild& b) {
  set_unigram(b, 1);
  add_accents_and_case(b, quotes(), b.flag("keep_accents", false), b.flag("do_lower_case", true));
  set_metaspace(b, scheme_of(b), true);
}
void build_xlnet(ClassBuild& b) {
  int64_t unk_id = 0;
  if (const Value* v = b.config.find("unk_id"); v && v->is_integer()) unk_id = v->as_integer();
  set_unigram(b, unk_id);
  add_accents_and_case(b, quotes(), false, b.flag("do_lower_case", false));
  set_metaspace(b, PrependScheme::always, true);
}
void finish_xlnet(ClassBuild& b) {
  const std::string sep = b.special(kSep), cls = b.special(kCls) + ":2";
  set_template(b, {"$A", sep, cls}, {"$A", sep, "$B:1", sep + ":1", cls});
}
std::vector<std::string> extra_xlnet(const ClassBuild&) { return {"<eop>", "<eod>"}; }
void build_rembert(ClassBuild& b) {
  set_unigram(b, 2);
  std::vector<Normalizer> first = quotes();
  first.push_back(replace_all_of(" {2,}", " "));
  add_accents_and_case(b, std::move(first), b.flag("keep_accents", true), b.flag("do_lower_case", false));
  set_metaspace(b, scheme_of(b), false);
}
void finish_cls_sep(ClassBuild& b) {
  const std::string cls = b.special(kCls), sep = b.special(kSep);
  set_template(b, {cls, "$A", sep}, {cls, "$A", sep, "$B:1", sep + ":1"});
}
void build_big_bird(ClassBuild& b) {
  set_unigram(b, unk_with_zero_score(b).value_or(100));
  set_normalizers(b, {normalizer(Strip{false, false}), replace_all_of(" {2,}", kUnderline)});
  set_metaspace(b, scheme_of(b), false);
}
void build_deberta_v2(ClassBuild& b) {
  int64_t unk_id = 1;
  if (const Value* v = b.config.find("unk_id"); v && v->is_integer()) unk_id = v->as_integer();
  set_unigram(b, unk_with_zero_score(b).value_or(unk_id));
  std::vector<Normalizer> normalizers;
  if (b.flag("do_lower_case", false)) normalizers.push_back(normalizer(Lowercase{}));
  normalizers.push_back(replace_all_of("\\s{2,}|[\\n\\r\\t]", " "));
  normalizers.push_back(normalizer(NFC{}));
  normalizers.push_back(normalizer(Strip{false, true}));
  set_normalizers(b, std::move(normalizers));
  const PrependScheme scheme = scheme_of(b, PrependScheme::first);
  std::vector<PreTokenizer> words;
  if (b.flag("split_by_punct", false)) words.push_back(PreTokenizer{Punctuation{}});
  words.push_back(metaspace(scheme));
  b.impl.pre_tokenizer = sequence(std::move(words));
  b.impl.decoder = metaspace_decoder(scheme);
}
void build_barthez(ClassBuild& b) {
  set_unigram(b, 3);
  set_normalizers(b, {replace_all_of("\\s{2,}|[\\n\\r\\t]", " "), normalizer(NFC{}), normalizer(Strip{false, true})});
  set_metaspace(b, scheme_of(b), false);
}
void build_mbart(ClassBuild& b) {
  set_unigram(b, 3);
  set_metaspace(b, PrependScheme::always, true);
}
void finish_mbart(ClassBuild& b) { finish_language(b, "en_XX", false); }
void build_mbart50(ClassBuild& b) {
  set_unigram(b, 3);
  set_charsmap_and_spaces(b);
  set_metaspace(b, PrependScheme::always, false);
}
void finish_mbart50(ClassBuild& b) { finish_language(b, "en_XX", true); }
void build_nllb(ClassBuild& b) {
  set_bpe(b, true, true, false);
  if (b.charsmap) set_charsmap_and_spaces(b);
  set_metaspace(b, PrependScheme::always, false);
}
void finish_nllb(ClassBuild& b) { finish_language(b, "eng_Latn", !b.flag("legacy_behaviour", false)); }
void build_xglm(ClassBuild& b) {
  set_unigram(b, 3);
  set_charsmap_and_spaces(b);
  set_metaspace(b, scheme_of(b), false);
}
void finish_xglm(ClassBuild& b) {
  const std::string eos = b.special(kEos);
  set_template(b, {eos, "$A"}, {eos, "$A", eos, eos, "$B"});
}
std::vector<std::string> extra_xglm(const ClassBuild&) {
  std::vector<std::string> out;
  for (int i = 0; i < 7; ++i) out.push_back("<madeupword" + std::to_string(i) + '>');
  return out;
}
void finish_whisper(ClassBuild& b) {
  const std::string eos = b.special(kEos);
  std::vector<std::string> prefix{"<|startoftranscript|>"};
  if (const auto language = b.text("language")) prefix.push_back("<|" + *language + "|>");
  if (const auto task = b.text("task")) prefix.push_back("<|" + *task + "|>");
  if (!b.flag("predict_timestamps", false)) prefix.emplace_back("<|notimestamps|>");
  std::vector<std::string> single = prefix, pair = prefix;
  single.insert(single.end(), {"$A", eos});
  pair.insert(pair.end(), {"$A", "$B:1", eos + ":1"});
  set_template(b, single, pair);
}

// ---- languages -------------------------------------------------------------------------------------------------

constexpr std::string_view kMBartLanguages =
    "ar_AR cs_CZ de_DE en_XX es_XX et_EE fi_FI fr_XX gu_IN hi_IN it_IT ja_XX kk_KZ ko_KR lt_LT lv_LV my_MM ne_NP "
    "nl_XX ro_RO ru_RU si_LK tr_TR vi_VN zh_CN";
constexpr std::string_view kMBart50Languages =
    "ar_AR cs_CZ de_DE en_XX es_XX et_EE fi_FI fr_XX gu_IN hi_IN it_IT ja_XX kk_KZ ko_KR lt_LT lv_LV my_MM ne_NP "
    "nl_XX ro_RO ru_RU si_LK tr_TR vi_VN zh_CN af_ZA az_AZ bn_IN fa_IR he_IL hr_HR id_ID ka_GE km_KH mk_MK ml_IN "
    "mn_MN mr_IN pl_PL ps_AF pt_XX sv_SE sw_KE ta_IN te_IN th_TH tl_XX uk_UA ur_PK xh_ZA gl_ES sl_SI";
constexpr std::string_view kNllbLanguages =
    "ace_Arab ace_Latn acm_Arab acq_Arab aeb_Arab afr_Latn ajp_Arab aka_Latn amh_Ethi apc_Arab arb_Arab ars_Arab "
    "ary_Arab arz_Arab asm_Beng ast_Latn awa_Deva ayr_Latn azb_Arab azj_Latn bak_Cyrl bam_Latn ban_Latn bel_Cyrl "
    "bem_Latn ben_Beng bho_Deva bjn_Arab bjn_Latn bod_Tibt bos_Latn bug_Latn bul_Cyrl cat_Latn ceb_Latn ces_Latn "
    "cjk_Latn ckb_Arab crh_Latn cym_Latn dan_Latn deu_Latn dik_Latn dyu_Latn dzo_Tibt ell_Grek eng_Latn epo_Latn "
    "est_Latn eus_Latn ewe_Latn fao_Latn pes_Arab fij_Latn fin_Latn fon_Latn fra_Latn fur_Latn fuv_Latn gla_Latn "
    "gle_Latn glg_Latn grn_Latn guj_Gujr hat_Latn hau_Latn heb_Hebr hin_Deva hne_Deva hrv_Latn hun_Latn hye_Armn "
    "ibo_Latn ilo_Latn ind_Latn isl_Latn ita_Latn jav_Latn jpn_Jpan kab_Latn kac_Latn kam_Latn kan_Knda kas_Arab "
    "kas_Deva kat_Geor knc_Arab knc_Latn kaz_Cyrl kbp_Latn kea_Latn khm_Khmr kik_Latn kin_Latn kir_Cyrl kmb_Latn "
    "kon_Latn kor_Hang kmr_Latn lao_Laoo lvs_Latn lij_Latn lim_Latn lin_Latn lit_Latn lmo_Latn ltg_Latn ltz_Latn "
    "lua_Latn lug_Latn luo_Latn lus_Latn mag_Deva mai_Deva mal_Mlym mar_Deva min_Latn mkd_Cyrl plt_Latn mlt_Latn "
    "mni_Beng khk_Cyrl mos_Latn mri_Latn zsm_Latn mya_Mymr nld_Latn nno_Latn nob_Latn npi_Deva nso_Latn nus_Latn "
    "nya_Latn oci_Latn gaz_Latn ory_Orya pag_Latn pan_Guru pap_Latn pol_Latn por_Latn prs_Arab pbt_Arab quy_Latn "
    "ron_Latn run_Latn rus_Cyrl sag_Latn san_Deva sat_Beng scn_Latn shn_Mymr sin_Sinh slk_Latn slv_Latn smo_Latn "
    "sna_Latn snd_Arab som_Latn sot_Latn spa_Latn als_Latn srd_Latn srp_Cyrl ssw_Latn sun_Latn swe_Latn swh_Latn "
    "szl_Latn tam_Taml tat_Cyrl tel_Telu tgk_Cyrl tgl_Latn tha_Thai tir_Ethi taq_Latn taq_Tfng tpi_Latn tsn_Latn "
    "tso_Latn tuk_Latn tum_Latn tur_Latn twi_Latn tzm_Tfng uig_Arab ukr_Cyrl umb_Latn urd_Arab uzn_Latn vec_Latn "
    "vie_Latn war_Latn wol_Latn xho_Latn ydd_Hebr yor_Latn yue_Hant zho_Hans zho_Hant zul_Latn";

std::vector<std::string> split_words(std::string_view words) {
  std::vector<std::string> out;
  while (!words.empty()) {
    out.emplace_back(words.substr(0, words.find(' ')));
    words.remove_prefix(std::min(words.size(), out.back().size() + 1));
  }
  return out;
}
std::vector<std::string> extra_mbart(const ClassBuild&) { return split_words(kMBartLanguages); }
std::vector<std::string> extra_mbart50(const ClassBuild&) { return split_words(kMBart50Languages); }
std::vector<std::string> extra_nllb(const ClassBuild&) { return split_words(kNllbLanguages); }

// ---- classes that run in Python ---------------------------------------------------------------------------------

void set_sentencepiece(ClassBuild& b, bool is_marian) {
  SentencePiece model;
  model.processor = b.processor;
  model.unk_token = b.special(kUnk);
  model.language_codes = is_marian;
  model.vocab = std::move(b.vocab);
  model.finish(b.model_where);
  b.impl.model.value = std::move(model);
}
// When all special tokens are known.
void set_sentencepiece_decoder(ClassBuild& b, bool is_marian) {
  SentencePieceDecoder d;
  d.processor = b.processor;
  d.space_behind_special = is_marian;
  for (const auto& token : b.impl.special_tokens) {
    if (token) d.special_tokens.push_back(*token);
  }
  d.special_tokens.insert(d.special_tokens.end(), b.impl.other_special_tokens.begin(),
                          b.impl.other_special_tokens.end());
  std::sort(d.special_tokens.begin(), d.special_tokens.end());
  b.impl.decoder = Decoder{std::move(d)};
}
void build_marian(ClassBuild& b) {
  if (b.flag("separate_vocabs", false)) {
    throw Error(ErrorCode::unsupported, "separate_vocabs is not supported", b.where);
  }
  set_sentencepiece(b, true);
}
void finish_marian(ClassBuild& b) {
  if (!b.impl.model_max_length && b.config.find("model_max_length") == nullptr) b.impl.model_max_length = 512;
  b.impl.masks_spelled_specials = true;
  set_sentencepiece_decoder(b, true);
  set_template(b, {"$A", b.special(kEos)}, {"$A", "$B", b.special(kEos)});
}
void build_m2m_100(ClassBuild& b) {
  // The languages' tokens stand behind vocab.json's, whether the files name them or not.
  constexpr std::string_view kM2m100 =
      "af am ar ast az ba be bg bn br bs ca ceb cs cy da de el en es et fa ff fi fr fy ga gd gl gu ha he hi hr ht hu "
      "hy "
      "id ig ilo is it ja jv ka kk km kn ko lb lg ln lo lt lv mg mk ml mn mr ms my ne nl no ns oc or pa pl ps pt ro ru "
      "sd si sk sl so sq sr ss su sv sw ta th tl tn tr uk ur uz vi wo xh yi yo zh zu";
  constexpr std::string_view kWmt21 = "en ha is ja cs ru zh de";
  const std::string codes = b.text("language_codes").value_or("m2m100");
  if (codes != "m2m100" && codes != "wmt21") {
    throw Error(ErrorCode::corrupt_file, "expected \"m2m100\" or \"wmt21\", found " + quote(codes),
                b.where + ": language_codes");
  }
  auto id = static_cast<int32_t>(b.vocab.size());
  b.impl.vocab_size = id;
  for (const std::string& code : split_words(codes == "m2m100" ? kM2m100 : kWmt21)) {
    const std::string token = "__" + code + "__";
    if (b.vocab.find(token) < 0) b.vocab.add(token, id);
    ++id;
  }
  b.vocab.finish(b.model_where);
  set_sentencepiece(b, false);
}
void finish_m2m_100(ClassBuild& b) {
  set_sentencepiece_decoder(b, false);
  finish_language(b, "en", true, true);
}
void build_ctrl(ClassBuild& b) {
  CTRL model;
  model.unk_token = b.special(kUnk);
  model.bpe = std::move(b.bpe);
  model.vocab = std::move(b.vocab);
  model.finish(b.model_where);
  b.impl.model.value = std::move(model);
  // Unicode's white space, to which \x1C ... \x1F do not belong.
  constexpr const char kWords[] =
      R"([^\x09-\x0D\x20\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}]+\n?)";
  b.impl.pre_tokenizer = PreTokenizer{Split{Pattern::regular_expression(kWords), SplitBehavior::removed, true}};
  WordPieceDecoder spaces;  // before every token but the first
  spaces.prefix = "\xFF";
  spaces.cleanup = false;
  b.impl.decoder = Decoder{DecoderSequence{
      {Decoder{std::move(spaces)}, Decoder{Fuse{}}, Decoder{Replace{Pattern::string("@@ "), ""}},
       Decoder{Replace{Pattern::regular_expression("\\A[\\s\\x1C-\\x1F]+|[\\s\\x1C-\\x1F]+\\z"), ""}}}}};
}
std::vector<std::string> extra_transfo_xl(const ClassBuild&) { return {"<formula>"}; }
void build_transfo_xl(ClassBuild& b) {
  if (const std::string language = b.text("language").value_or("en"); language != "en") {
    throw Error(ErrorCode::unsupported, "words of the language " + quote(language) + ": only those of \"en\"",
                b.where + ": language");
  }
  TransfoXL model;
  if (b.flag("lower_case", false)) b.impl.normalizer = normalizer(Lowercase{});
  model.splits = b.text("delimiter").value_or(" ") != "";
  model.vocab = std::move(b.vocab);
  b.impl.model.value = std::move(model);
}
// When all special tokens are known: Moses cuts none of them, and they stand by themselves in a decoded text unless the
// vocabulary has them.
void finish_transfo_xl(ClassBuild& b) {
  std::vector<std::string> special = b.impl.other_special_tokens;
  for (const auto& token : b.impl.special_tokens) {
    if (token) special.push_back(*token);
  }
  std::vector<std::string> uncut = special;
  if (const Value* given = b.config.find("never_split"); given && given->is_array()) {
    uncut.clear();
    for (const Value& word : given->as_array()) {
      if (word.is_string()) uncut.push_back(word.as_string());
    }
  }
  auto& model = std::get<TransfoXL>(b.impl.model.value);
  model.finish(uncut, b.model_where);
  MosesDecoder d;
  for (const auto& [id, token] : b.impl.added.by_id()) {
    const bool is_special = std::find(special.begin(), special.end(), token.content) != special.end();
    const bool is_extra = std::find(b.impl.other_special_tokens.begin(), b.impl.other_special_tokens.end(),
                                    token.content) != b.impl.other_special_tokens.end();
    if (!is_special || (is_extra && model.vocab.find(token.content) < 0)) d.added_tokens.push_back(token.content);
  }
  std::sort(d.added_tokens.begin(), d.added_tokens.end());
  b.impl.decoder = Decoder{std::move(d)};
  b.impl.model_input_names = {"input_ids"};
  set_template(b, {"$A"}, {"$A", "$B:1"});
}
void finish_ctrl(ClassBuild& b) { set_template(b, {"$A"}, {"$A", "$B"}); }

// ---- the table ------------------------------------------------------------------------------------------------

using K = ModelKind;
constexpr std::string_view kBertTokens = "unk=[UNK] sep=[SEP] pad=[PAD] cls=[CLS] mask=[MASK]";
constexpr std::string_view kRobertaTokens = "bos=<s> eos=</s> sep=</s> cls=<s> unk=<unk> pad=<pad> mask=<mask>";
constexpr std::string_view kRobertaTokensMask = "bos=<s> eos=</s> sep=</s> cls=<s> unk=<unk> pad=<pad> mask=<mask>+<";
constexpr std::string_view kAlbertTokens = "bos=[CLS] eos=[SEP] unk=<unk> sep=[SEP] pad=<pad> cls=[CLS] mask=[MASK]";
constexpr std::string_view kDebertaTokens = "bos=[CLS] eos=[SEP] sep=[SEP] cls=[CLS] unk=[UNK] pad=[PAD] mask=[MASK]";
constexpr std::string_view kGptTokens = "unk=<|endoftext|> bos=<|endoftext|> eos=<|endoftext|>";
constexpr std::string_view kGemmaTokens = "unk=<unk> bos=<bos> eos=<eos> pad=<pad> mask=<mask>";
constexpr std::string_view kQwenTokens = "unk=<|endoftext|> eos=<|endoftext|> pad=<|endoftext|>";
constexpr std::string_view kMpnetTokens = "bos=<s>+ eos=</s>+ sep=</s>+ cls=<s>+ unk=[UNK]+ pad=<pad>+ mask=<mask>+<";
constexpr std::string_view kBigBirdTokens =
    "bos=<s>+ eos=</s>+ unk=<unk>+ pad=<pad>+ cls=[CLS]+ sep=[SEP]+ mask=[MASK]+<";

constexpr TokenizerClass kBackend{"TokenizersBackend"};
constexpr TokenizerClass kClasses[] = {
    {"AlbertTokenizer", K::unigram, kAlbertTokens, false, false, build_albert, finish_cls_sep},
    {"BartTokenizer", K::bpe, kRobertaTokens, false, false, build_gpt2, finish_roberta},
    {"BarthezTokenizer", K::unigram, kRobertaTokensMask, false, false, build_barthez},
    {"BertTokenizer", K::word_piece, kBertTokens, false, true, build_bert, finish_bert},
    {"BigBirdTokenizer", K::unigram, kBigBirdTokens, false, false, build_big_bird, finish_cls_sep},
    {"BlenderbotTokenizer", K::bpe, kRobertaTokensMask, false, false, build_prefixed_gpt2},
    {"CLIPTokenizer", K::bpe, "unk=<|endoftext|> bos=<|startoftext|> eos=<|endoftext|> pad=<|endoftext|>", false, false,
     build_clip, finish_clip},
    {"CTRLTokenizer", K::ctrl, "unk=<unk>", false, false, build_ctrl, finish_ctrl},
    {"CamembertTokenizer", K::unigram, kRobertaTokensMask, false, false, build_camembert, finish_xlm_roberta,
     extra_camembert},
    {"CodeLlamaTokenizer", K::bpe, "unk=<unk> bos=<s> eos=</s>", true, false, build_code_llama, nullptr,
     extra_code_llama, true},
    {"CohereTokenizer", K::bpe,
     "unk=<UNK> bos=<BOS_TOKEN> eos=<|END_OF_TURN_TOKEN|> pad=<PAD> cls=<CLS> sep=<SEP> mask=<MASK_TOKEN>", true, false,
     build_cohere},
    {"ConvBertTokenizer", K::as_it_stands, kBertTokens, false, true, nullptr, finish_bert},
    {"DPRContextEncoderTokenizer", K::word_piece, kBertTokens, false, true, build_lower_bert, finish_bert},
    {"DPRQuestionEncoderTokenizer", K::word_piece, kBertTokens, false, true, build_lower_bert, finish_bert},
    {"DPRReaderTokenizer", K::word_piece, kBertTokens, false, false, build_lower_bert, finish_bert},
    {"DebertaTokenizer", K::bpe, kDebertaTokens, false, true, build_gpt2, finish_deberta},
    {"DebertaV2Tokenizer", K::unigram, kDebertaTokens, false, true, build_deberta_v2, finish_cls_sep},
    {"DistilBertTokenizer", K::word_piece, kBertTokens, false, false, build_bert, finish_bert},
    {"ElectraTokenizer", K::word_piece, kBertTokens, false, true, build_bert, finish_bert},
    {"FNetTokenizer", K::as_it_stands, kAlbertTokens, false, true},
    {"FunnelTokenizer", K::word_piece, "unk=<unk> sep=<sep> pad=<pad> cls=<cls> mask=<mask> bos=<s> eos=</s>", false,
     false, build_funnel, finish_funnel},
    {"GPT2Tokenizer", K::bpe, kGptTokens, false, false, build_gpt2},
    {"GPTNeoXTokenizer", K::bpe, "unk=<|endoftext|> bos=<|endoftext|> eos=<|endoftext|> pad=<|padding|>", false, false,
     build_gpt_neox, finish_gpt_neox},
    {"GemmaTokenizer", K::bpe, kGemmaTokens, true, false, build_gemma},
    {"HerbertTokenizer", K::bpe, "cls=<s> unk=<unk> pad=<pad> mask=<mask> sep=</s>", false, false, build_herbert,
     finish_herbert},
    {"LEDTokenizer", K::bpe, kRobertaTokens, false, false, build_gpt2, finish_roberta},
    {"LayoutLMTokenizer", K::word_piece, kBertTokens, false, true, build_bert, finish_bert},
    {"LayoutLMv3Tokenizer", K::bpe, kRobertaTokens, false, false, build_prefixed_gpt2, finish_layoutlmv3},
    {"LlamaTokenizer", K::bpe, "unk=<unk> bos=<s> eos=</s>", true, false, build_llama},
    {"LongformerTokenizer", K::bpe, kRobertaTokens, false, false, build_gpt2, finish_roberta},
    {"LxmertTokenizer", K::word_piece, kBertTokens, false, true, build_bert, finish_bert},
    {"M2M100Tokenizer", K::sentencepiece, "bos=<s> eos=</s> unk=<unk> sep=</s> pad=<pad>", false, false, build_m2m_100,
     finish_m2m_100},
    {"MBart50Tokenizer", K::unigram, "eos=</s> sep=</s> cls=<s> unk=<unk> pad=<pad> mask=<mask>+<", false, false,
     build_mbart50, finish_mbart50, extra_mbart50},
    {"MBartTokenizer", K::unigram, kRobertaTokensMask, false, false, build_mbart, finish_mbart, extra_mbart},
    {"MPNetTokenizer", K::word_piece, kMpnetTokens, false, false, build_bert, finish_mpnet},
    {"MarianTokenizer", K::sentencepiece, "eos=</s> unk=<unk> pad=<pad>", false, false, build_marian, finish_marian},
    {"MobileBertTokenizer", K::word_piece, kBertTokens, false, true, build_bert, finish_bert},
    {"MvpTokenizer", K::bpe, kRobertaTokens, false, false, build_gpt2, finish_roberta},
    {"NllbTokenizer", K::bpe, kRobertaTokensMask, false, false, build_nllb, finish_nllb, extra_nllb},
    {"OpenAIGPTTokenizer", K::bpe, "unk=<unk>", false, false, build_openai_gpt},
    {"PegasusTokenizer", K::unigram, "pad=<pad> eos=</s> unk=<unk> mask=<mask_2>", false, false, build_pegasus,
     finish_pegasus, extra_pegasus},
    {"Qwen2Tokenizer", K::bpe, kQwenTokens, false, false, build_qwen2},
    {"Qwen3_5Tokenizer", K::bpe, kQwenTokens, false, false, build_qwen3_5},
    {"RemBertTokenizer", K::unigram, kAlbertTokens, false, false, build_rembert, finish_cls_sep},
    {"RobertaTokenizer", K::bpe, kRobertaTokens, false, false, build_gpt2, finish_roberta},
    {"Siglip2Tokenizer", K::bpe, kGemmaTokens, true, false, build_siglip2},
    {"SqueezeBertTokenizer", K::word_piece, kBertTokens, false, true, build_bert, finish_bert},
    {"T5Tokenizer", K::unigram, "eos=</s> unk=<unk> pad=<pad>", false, false, build_t5, finish_t5, extra_t5},
    {"TransfoXLTokenizer", K::transfo_xl, "unk=<unk> eos=<eos>", false, false, build_transfo_xl, finish_transfo_xl,
     extra_transfo_xl},
    {"WhisperTokenizer", K::bpe, kGptTokens, false, false, build_gpt2, finish_whisper},
    {"XGLMTokenizer", K::unigram, "bos=<s> eos=</s> sep=</s> cls=<s> unk=<unk> pad=<pad>", false, false, build_xglm,
     finish_xglm, extra_xglm},
    {"XLMRobertaTokenizer", K::unigram, kRobertaTokens, false, false, build_xlm_roberta, finish_xlm_roberta},
    {"XLNetTokenizer", K::unigram, "bos=<s> eos=</s> unk=<unk> sep=<sep> pad=<pad> cls=<cls> mask=<mask>+<", true,
     false, build_xlnet, finish_xlnet, extra_xlnet},
};

// The class that transformers registers for each model type.
constexpr std::pair<std::string_view, std::string_view> kRegistered[] = {
    {"AlbertTokenizer", "albert yoso"},
    {"BartTokenizer", "florence2"},
    {"BarthezTokenizer", "barthez"},
    {"BartphoTokenizer", "bartpho"},
    {"BertGenerationTokenizer", "bert-generation"},
    {"BertJapaneseTokenizer", "bert-japanese"},
    {"BertTokenizer",
     "align bark bert blip bros chinese_clip convbert distilbert electra ernie flava git grounding-dino "
     "layoutlm megatron-bert mm-grounding-dino nezha nomic_bert qdqbert realm retribert squeezebert tvp "
     "vilt visual_bert"},
    {"BertweetTokenizer", "bertweet"},
    {"BigBirdTokenizer", "big_bird"},
    {"BioGptTokenizer", "biogpt"},
    {"BlenderbotSmallTokenizer", "blenderbot-small"},
    {"BlenderbotTokenizer", "blenderbot"},
    {"ByT5Tokenizer", "byt5"},
    {"CLIPTokenizer", "aimv2 clip clipseg groupvit omdet-turbo oneformer owlv2 owlvit sam3 sam3_video xclip"},
    {"CTRLTokenizer", "ctrl"},
    {"CamembertTokenizer", "camembert"},
    {"CanineTokenizer", "canine"},
    {"ClvpTokenizer", "clvp"},
    {"CodeLlamaTokenizer", "code_llama"},
    {"CohereTokenizer", "aya_vision cohere cohere2"},
    {"CpmAntTokenizer", "cpmant"},
    {"CpmTokenizer", "cpm"},
    {"DPRQuestionEncoderTokenizer", "dpr"},
    {"DebertaTokenizer", "deberta"},
    {"DebertaV2Tokenizer", "deberta-v2"},
    {"DiaTokenizer", "dia"},
    {"EsmTokenizer", "esm"},
    {"EsmcTokenizer", "esmc esmfold2"},
    {"FNetTokenizer", "fnet"},
    {"FSMTTokenizer", "fsmt"},
    {"FlaubertTokenizer", "flaubert"},
    {"FunnelTokenizer", "funnel"},
    {"GPT2Tokenizer",
     "blip-2 codegen dbrx emu3 gpt2 gpt_neo gptj hyperclovax_vision_v2 instructblip instructblipvideo "
     "jais2 opt phi starcoder2"},
    {"GPTNeoXJapaneseTokenizer", "gpt_neox_japanese"},
    {"GPTNeoXTokenizer", "falcon_mamba gpt_neox mamba mamba2 mpt olmo olmoe rwkv xlstm"},
    {"GPTSw3Tokenizer", "gpt-sw3"},
    {"GemmaTokenizer",
     "diffusion_gemma gemma gemma2 gemma3 gemma3_text gemma3n gemma3n_text recurrent_gemma shieldgemma2 "
     "t5gemma zaya"},
    {"HerbertTokenizer", "herbert"},
    {"LEDTokenizer", "led"},
    {"LasrTokenizer", "lasr_ctc lasr_encoder"},
    {"LayoutLMv2Tokenizer", "layoutlmv2"},
    {"LayoutLMv3Tokenizer", "layoutlmv3"},
    {"LayoutXLMTokenizer", "layoutxlm"},
    {"LlamaTokenizer", "idefics idefics2"},
    {"LukeTokenizer", "luke"},
    {"LxmertTokenizer", "lxmert"},
    {"M2M100Tokenizer", "m2m_100"},
    {"MBart50Tokenizer", "mbart50"},
    {"MBartTokenizer", "mbart"},
    {"MLukeTokenizer", "mluke"},
    {"MPNetTokenizer", "mpnet"},
    {"MarianTokenizer", "marian"},
    {"MarkupLMTokenizer", "markuplm"},
    {"MgpstrTokenizer", "mgp-str"},
    {"MobileBertTokenizer", "mobilebert"},
    {"MvpTokenizer", "mvp"},
    {"MyT5Tokenizer", "myt5"},
    {"NllbTokenizer", "nllb nllb-moe"},
    {"NougatTokenizer", "nougat pp_formulanet"},
    {"OpenAIGPTTokenizer", "openai-gpt"},
    {"PLBartTokenizer", "plbart"},
    {"ParakeetTokenizer",
     "granite_speech5_ctc nemotron3_5_asr nemotron_asr_streaming parakeet_ctc parakeet_rnnt parakeet_tdt"},
    {"PegasusTokenizer", "pegasus"},
    {"PerceiverTokenizer", "perceiver"},
    {"PhobertTokenizer", "phobert"},
    {"ProphetNetTokenizer", "prophetnet"},
    {"Qwen2Tokenizer",
     "audioflamingo3 colqwen2 cosmos3_omni dots3_note fun_asr_nano hunyuan_vl internvl "
     "moss_transcribe_diarize ovis2 qianfan_ocr qwen2 qwen2_5_omni qwen2_5_vl qwen2_audio qwen2_moe "
     "qwen2_vl qwen3 qwen3_asr qwen3_moe qwen3_next qwen3_omni_moe qwen3_vl qwen3_vl_moe"},
    {"Qwen2TokenizerFast", "lighton_ocr vibevoice"},
    {"Qwen3_5Tokenizer", "qwen3_5 qwen3_5_moe qwen3_5_moe_text qwen3_5_text qwen4_exp"},
    {"RagTokenizer", "rag"},
    {"ReformerTokenizer", "reformer"},
    {"RemBertTokenizer", "rembert"},
    {"RoCBertTokenizer", "roc_bert"},
    {"RoFormerTokenizer", "roformer"},
    {"RobertaTokenizer",
     "bart bridgetower clap data2vec-text ibert lilt longformer mega mra roberta roberta-prelayernorm"},
    {"SeamlessM4TTokenizer", "seamless_m4t seamless_m4t_v2"},
    {"Siglip2Tokenizer", "siglip2"},
    {"SiglipTokenizer", "siglip"},
    {"Speech2TextTokenizer", "speech_to_text"},
    {"SpeechT5Tokenizer", "speecht5"},
    {"SplinterTokenizer", "splinter"},
    {"T5Tokenizer", "mt5 musicgen musicgen_melody switch_transformers t5"},
    {"TapasTokenizer", "tapas"},
    {"Tipsv2Tokenizer", "tipsv2"},
    {"TokenizersBackend",
     "EvollaModel arctic aria beam bigbird_pegasus camembertv2-base canary chatlm cohere_asr ernie4_5 "
     "ernie4_5_moe flex_olmo fuyu glm glm4 glm4_moe glm4_moe_lite glm4v glm4v_moe glm_image glmasr "
     "got_ocr2 gpt_bigcode gradium_phonon_tts granite granitemoe granitemoehybrid granitemoeshared "
     "h2ovl_chat hyperclovax hyperclovax_vlm internlm2 internlm3 iquestcoder jamba kimi_k25 kimi_linear "
     "kosmos-2 llava llava_next mimo_v2_flash minicpm3 minicpm_ocr minicpmv minicpmv4_6 minicpmv4_7 "
     "minimax_m2 ministral ministral3 mistral mistral3 mistral_large4 mixtral modernbert modernbert- "
     "decoder molmo molmo2 nemo_speechlm nemotron nvfp4 nystromformer olmo2 olmo3 olmo_hybrid opencua "
     "openvla paddleocr_vl pegasus_x persimmon phi3 phi3_v phimoe pix2struct pixtral pocket_tts smolvlm "
     "stablelm step3_vl umt5 vipllava voxtral voxtral_realtime xlm-roberta-xl"},
    {"TransfoXLTokenizer", "transfo-xl"},
    {"UdopTokenizer", "udop"},
    {"VideoPrismTokenizer", "videoprism"},
    {"VitsTokenizer", "vits"},
    {"Wav2Vec2CTCTokenizer", "data2vec-audio hubert unispeech unispeech-sat wav2vec2 wav2vec2-bert wav2vec2-conformer"},
    {"Wav2Vec2PhonemeCTCTokenizer", "wav2vec2_phoneme"},
    {"WhisperTokenizer", "whisper"},
    {"XGLMTokenizer", "xglm"},
    {"XLMRobertaTokenizer", "gte jina_embeddings_v3 metaclip_2 trocr xlm-roberta xmod"},
    {"XLMTokenizer", "xlm"},
    {"XLNetTokenizer", "xlnet"},
};

// Model types whose published files name a wrong class: the registered one is taken.
constexpr std::string_view kWrongClass =
    "arctic camembertv2-base chatlm cohere_asr ernie4_5 ernie4_5_moe fuyu h2ovl_chat hyperclovax "
    "hyperclovax_vision_v2 hyperclovax_vlm internlm2 internlm3 iquestcoder jamba llava llava_next "
    "minicpm3 minicpmv minimax_m2 modernbert modernbert-decoder molmo molmo2 nemotron nvfp4 opencua "
    "openvla paddleocr_vl phi3 phi3_v phimoe qwen2 qwen3_5 qwen3_5_moe qwen3_5_moe_text qwen4_exp siglip2 "
    "smolvlm step3_vl vipllava";

bool contains_word(std::string_view words, std::string_view word) {
  for (std::size_t at = words.find(word); at != std::string_view::npos && !word.empty();
       at = words.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    if ((at == 0 || words[at - 1] == ' ') && (end == words.size() || words[end] == ' ')) return true;
  }
  return false;
}

std::string_view without_fast(std::string_view name) {
  if (name.ends_with("Fast")) name.remove_suffix(4);
  return name;
}

const TokenizerClass* find_class(std::string_view name) {
  const auto* const at = std::find_if(std::begin(kClasses), std::end(kClasses),
                                      [&](const TokenizerClass& c) { return c.name == without_fast(name); });
  return at == std::end(kClasses) ? nullptr : at;
}

}  // namespace

const TokenizerClass& class_of(std::string_view name) {
  const TokenizerClass* found = find_class(name);
  return found ? *found : kBackend;
}

bool has_recipe(std::string_view name) { return find_class(name) != nullptr; }

std::string choose_class_name(const std::string& model_type, const std::string& declared, bool is_byte_level) {
  std::string_view registered;
  for (const auto& [name, types] : kRegistered) {
    if (contains_word(types, model_type)) registered = name;
  }
  const bool is_wrong = contains_word(kWrongClass, model_type);
  const std::string_view hub = without_fast(declared);
  if (hub == "LlamaTokenizer" && is_byte_level && !is_wrong) return std::string(kBackend.name);
  if (declared.empty()) return std::string(registered);
  if (registered.empty() || without_fast(registered) == hub) return declared;
  if (registered == kBackend.name) return std::string(kBackend.name);
  return is_wrong ? std::string(registered) : declared;
}

bool ClassBuild::flag(std::string_view key, bool absent) const { return optional_flag(key).value_or(absent); }

std::optional<bool> ClassBuild::optional_flag(std::string_view key) const {
  const Value* v = config.find(key);
  if (!v || v->is_null()) return std::nullopt;
  if (!v->is_boolean()) {
    throw Error(ErrorCode::corrupt_file, "expected a boolean, found a " + std::string(v->type_name()),
                where + ": " + std::string(key));
  }
  return v->as_boolean();
}

std::optional<std::string> ClassBuild::text(std::string_view key) const {
  const Value* v = config.find(key);
  if (!v || v->is_null()) return std::nullopt;
  if (!v->is_string()) {
    throw Error(ErrorCode::corrupt_file, "expected a string, found a " + std::string(v->type_name()),
                where + ": " + std::string(key));
  }
  return v->as_string();
}

void update_post_processor(ClassBuild& b) {
  const bool bos = b.add_bos_token && b.specials[kBos], eos = b.add_eos_token && b.specials[kEos];
  std::vector<std::string> single, pair;
  if (bos) single.push_back(b.special(kBos));
  single.emplace_back("$A");
  if (eos) single.push_back(b.special(kEos));
  pair = single;
  if (bos) pair.push_back(b.special(kBos) + ":1");
  pair.emplace_back("$B:1");
  if (eos) pair.push_back(b.special(kEos) + ":1");
  set_template(b, single, pair);
}

}  // namespace transformers
