// What it is: how special tokens are put around the texts, and how parts become one Encoding.
// Where it stands: tokenizers, stage 4; see processors.hpp.
#include "transformers/tokenizers/processors.hpp"

#include <algorithm>

#include "transformers/base/error.hpp"
#include "transformers/tokenizers/unicode.hpp"

namespace transformers {
namespace {

constexpr std::size_t kMostParts = 1'000'000;  // overflowing parts of two texts, all of which are combined

[[noreturn]] void bad(std::string message) { throw Error(ErrorCode::corrupt_file, std::move(message)); }

int32_t as_id(const Value& v, const char* what) {
  if (v.is_integer() && v.as_integer() >= 0 && v.as_integer() <= INT32_MAX) return static_cast<int32_t>(v.as_integer());
  const std::string found = v.is_integer() ? std::to_string(v.as_integer()) : std::string(v.type_name());
  bad(std::string(what) + ": expected an integer from 0 to 2147483647, found " + found);
}

// Special tokens as an Encoding with the same vectors filled as those around it.
Encoding special_part(const std::vector<int32_t>& ids, const std::vector<std::string>& tokens, int32_t type_id) {
  Encoding e;
  e.ids = ids;
  e.type_ids.assign(ids.size(), type_id);
  e.tokens = tokens;
  e.offsets.assign(ids.size(), {0, 0});
  e.special_tokens_mask.assign(ids.size(), 1);
  e.attention_mask.assign(ids.size(), 1);
  e.word_ids.assign(ids.size(), -1);
  e.sequence_ids.assign(ids.size(), -1);
  return e;
}
Encoding special_part(const NamedToken& token, int32_t type_id) {
  return special_part(std::vector{token.id}, std::vector{token.token}, type_id);
}

// White space at either end of a token, as itself or as byte-level BPE spells it, does not belong to its offsets.
void trim(Encoding& e, bool add_prefix_space) {
  const auto is_space = [](char32_t c) { return c == 0x120 || unicode::is_whitespace(c); };
  for (std::size_t t = 0; t < e.tokens.size() && t < e.offsets.size(); ++t) {
    const std::string& token = e.tokens[t];
    auto& [begin, end] = e.offsets[t];
    int32_t leading = 0, trailing = 0;
    bool started = false;
    for (std::size_t i = 0; i < token.size();) {
      if (is_space(unicode::next(token, i))) {
        ++trailing;
        if (!started) ++leading;
      } else {
        trailing = 0;
        started = true;
      }
    }
    // One space before the first word was put there by add_prefix_space: it stands for nothing. More were not.
    if (leading == 1 && add_prefix_space && (t == 0 || begin == 0)) leading = 0;
    if (leading > 0) begin = std::min(begin + leading, end);
    if (trailing > 0 && end >= trailing) end = std::max(end - trailing, begin);
  }
}

template <class T>
void append_all(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

void append_fields(Encoding& e, const Encoding& tail) {
  append_all(e.ids, tail.ids);
  append_all(e.type_ids, tail.type_ids);
  append_all(e.tokens, tail.tokens);
  append_all(e.offsets, tail.offsets);
  append_all(e.special_tokens_mask, tail.special_tokens_mask);
  append_all(e.attention_mask, tail.attention_mask);
  append_all(e.word_ids, tail.word_ids);
  append_all(e.sequence_ids, tail.sequence_ids);
}

Encoding without_overflowing(const Encoding& e) {
  Encoding out;
  append_fields(out, e);
  return out;
}

std::vector<TemplateProcessing::Piece> read_pieces(const Value& v, const char* name) {
  std::vector<TemplateProcessing::Piece> out;
  if (!v.is_array()) bad(std::string(name) + ": expected an array of pieces, found a " + std::string(v.type_name()));
  for (std::size_t i = 0; i < v.as_array().size(); ++i) {
    const Value& item = v.as_array()[i];
    const std::string where = std::string(name) + '[' + std::to_string(i) + ']';
    const Value* sequence = item.find("Sequence");
    const Value* special = item.find("SpecialToken");
    const Value* body = sequence ? sequence : special;
    const Value* id = body ? body->find("id") : nullptr;
    if (!id || !id->is_string())
      bad(where + ": expected {\"Sequence\" or \"SpecialToken\": {\"id\": ..., \"type_id\": ...}}");
    TemplateProcessing::Piece piece;
    if (sequence) {
      if (id->as_string() != "A" && id->as_string() != "B")
        bad(where + ": the sequence is A or B, not \"" + id->as_string() + '"');
      piece.sequence = id->as_string() == "B";
    } else {
      piece.special = id->as_string();
    }
    if (const Value* type_id = body->find("type_id")) piece.type_id = as_id(*type_id, "type_id");
    out.push_back(std::move(piece));
  }
  return out;
}

Value write_pieces(const std::vector<TemplateProcessing::Piece>& pieces) {
  Value::Array out;
  for (const auto& p : pieces) {
    Value::Object body{{"id", p.sequence < 0 ? Value(p.special) : Value(p.sequence == 0 ? "A" : "B")},
                       {"type_id", Value(p.type_id)}};
    out.push_back(Value::Object{{p.sequence < 0 ? "SpecialToken" : "Sequence", std::move(body)}});
  }
  return out;
}

}  // namespace

void set_type_ids(Encoding& e, int32_t type_id) { e.type_ids.assign(e.ids.size(), type_id); }

void set_sequence_ids(Encoding& e, int32_t sequence_id) {
  if (!e.tokens.empty()) e.sequence_ids.assign(e.ids.size(), sequence_id);
  for (Encoding& o : e.overflowing) set_sequence_ids(o, sequence_id);
}

void append(Encoding& e, const Encoding& tail) {
  std::vector<Encoding> overflowing;
  if (!e.overflowing.empty() && tail.overflowing.size() > kMostParts / e.overflowing.size()) {
    throw Error(ErrorCode::limit, std::to_string(e.overflowing.size()) + " times " +
                                      std::to_string(tail.overflowing.size()) +
                                      " overflowing parts of two texts are too many: truncate one of them only");
  }
  const auto both = [&](const Encoding& a, const Encoding& b) {
    Encoding joined = without_overflowing(a);
    append_fields(joined, b);
    overflowing.push_back(std::move(joined));
  };
  for (const Encoding& o : e.overflowing) {
    both(o, tail);
    for (const Encoding& p : tail.overflowing) both(o, p);
  }
  for (const Encoding& p : tail.overflowing) both(e, p);
  append_fields(e, tail);
  e.overflowing = std::move(overflowing);
}

Encoding merge(std::vector<Encoding> parts) {
  if (parts.empty()) return {};
  if (parts.size() == 1) return std::move(parts.front());
  Encoding out;
  std::size_t tokens = 0;
  for (const Encoding& p : parts) tokens += p.size();
  out.ids.reserve(tokens);
  out.type_ids.reserve(tokens);
  for (const Encoding& p : parts) append(out, p);
  return out;
}

void NamedToken::field(FieldVisitor& f, std::string_view name) {
  Value v{Value::Array{Value(token), Value(id)}};
  f(name, v);
  if (!v.is_array() || v.as_array().size() != 2 || !v.as_array()[0].is_string()) {
    bad(std::string(name) + ": expected [token, id]");
  }
  token = v.as_array()[0].as_string();
  id = as_id(v.as_array()[1], "the id of a special token");
}

std::vector<Encoding> BertProcessing::process(std::vector<Encoding> encodings, bool add_special_tokens) const {
  for (std::size_t i = 0; i < encodings.size(); ++i) set_sequence_ids(encodings[i], static_cast<int32_t>(i));
  if (!add_special_tokens) return encodings;
  for (std::size_t i = 0; i < encodings.size(); ++i) {
    std::vector<Encoding> parts;
    if (i == 0) parts.push_back(special_part(cls, 0));
    parts.push_back(std::move(encodings[i]));
    parts.push_back(special_part(sep, i == 0 ? 0 : 1));
    encodings[i] = merge(std::move(parts));
  }
  return encodings;
}

std::vector<Encoding> RobertaProcessing::process(std::vector<Encoding> encodings, bool add_special_tokens) const {
  for (std::size_t i = 0; i < encodings.size(); ++i) {
    Encoding& e = encodings[i];
    if (trim_offsets) {
      trim(e, add_prefix_space);
      for (Encoding& o : e.overflowing) trim(o, add_prefix_space);
    }
    set_type_ids(e, 0);
    set_sequence_ids(e, static_cast<int32_t>(i));
    if (!add_special_tokens) continue;
    for (Encoding& o : e.overflowing) set_type_ids(o, 0);
    std::vector<Encoding> parts;
    parts.push_back(special_part(i == 0 ? cls : sep, 0));
    parts.push_back(std::move(e));
    parts.push_back(special_part(sep, 0));
    e = merge(std::move(parts));
  }
  return encodings;
}

std::vector<Encoding> ByteLevelProcessing::process(std::vector<Encoding> encodings, bool) const {
  for (std::size_t i = 0; i < encodings.size(); ++i) {
    if (trim_offsets) {
      trim(encodings[i], add_prefix_space);
      for (Encoding& o : encodings[i].overflowing) trim(o, add_prefix_space);
    }
    set_sequence_ids(encodings[i], static_cast<int32_t>(i));
  }
  return encodings;
}

void TemplateProcessing::fields(FieldVisitor& f) {
  Value single_value = write_pieces(single), pair_value = write_pieces(pair);
  Value::Object tokens;
  for (const auto& [name, token] : special_tokens) {
    tokens.emplace_back(name, Value::Object{{"id", Value(name)},
                                            {"ids", Value::Array(token.ids.begin(), token.ids.end())},
                                            {"tokens", Value::Array(token.tokens.begin(), token.tokens.end())}});
  }
  Value tokens_value{std::move(tokens)};
  f("single", single_value);
  f("pair", pair_value);
  f("special_tokens", tokens_value);

  single = read_pieces(single_value, "single");
  pair = read_pieces(pair_value, "pair");
  special_tokens.clear();
  if (!tokens_value.is_object())
    bad("special_tokens: expected an object, found a " + std::string(tokens_value.type_name()));
  for (const auto& [name, v] : tokens_value.as_object()) {
    SpecialToken token;
    const Value *ids = v.find("ids"), *names = v.find("tokens");
    if (!ids || !names || !ids->is_array() || !names->is_array() ||
        ids->as_array().size() != names->as_array().size()) {
      bad("special_tokens[\"" + name + "\"]: expected `ids` and `tokens` of the same length");
    }
    for (const Value& id : ids->as_array()) token.ids.push_back(as_id(id, "the id of a special token"));
    for (const Value& n : names->as_array()) {
      if (!n.is_string()) bad("special_tokens[\"" + name + "\"].tokens: expected strings");
      token.tokens.push_back(n.as_string());
    }
    special_tokens.emplace(name, std::move(token));
  }
  const auto uses = [](const std::vector<Piece>& pieces, int32_t sequence) {
    return std::any_of(pieces.begin(), pieces.end(), [&](const Piece& p) { return p.sequence == sequence; });
  };
  if (uses(single, 1)) bad("single: the template for one text uses the second text");
  if (!uses(pair, 0) || !uses(pair, 1)) bad("pair: the template for two texts must use both");
  for (const auto* pieces : {&single, &pair}) {
    for (const Piece& p : *pieces) {
      if (p.sequence < 0 && !special_tokens.contains(p.special)) {
        bad("the template uses the special token \"" + p.special + "\", which special_tokens does not have");
      }
    }
  }
}

int64_t TemplateProcessing::added_tokens(bool is_pair) const {
  int64_t count = 0;
  for (const Piece& p : is_pair ? pair : single) {
    if (p.sequence < 0) count += static_cast<int64_t>(special_tokens.at(p.special).ids.size());
  }
  return count;
}

std::vector<Encoding> TemplateProcessing::process(std::vector<Encoding> encodings, bool add_special_tokens) const {
  if (encodings.empty() || encodings.size() > 2) {
    throw Error(ErrorCode::unsupported, "a TemplateProcessing behind a post-processor that made " +
                                            std::to_string(encodings.size()) + " parts");
  }
  const std::vector<Piece>& pieces = encodings.size() == 2 ? pair : single;
  // A text that is used once is moved, not copied.
  std::size_t uses[2] = {0, 0};
  for (const Piece& p : pieces) {
    if (p.sequence >= 0) ++uses[p.sequence];
  }
  std::vector<Encoding> out;
  out.reserve(pieces.size());
  for (const Piece& p : pieces) {
    if (p.sequence >= 0) {
      Encoding& e = encodings[static_cast<std::size_t>(p.sequence)];
      set_type_ids(e, p.type_id);
      set_sequence_ids(e, p.sequence);
      if (--uses[p.sequence] == 0) {
        out.push_back(std::move(e));
      } else {  // of a text that comes again, only the last place is known to be its own
        set_sequence_ids(out.emplace_back(e), -1);
      }
    } else if (add_special_tokens) {
      const SpecialToken& token = special_tokens.at(p.special);
      out.push_back(special_part(token.ids, token.tokens, p.type_id));
    }
  }
  return out;
}

int64_t PostProcessorSequence::added_tokens(bool pair) const {
  int64_t count = 0;
  for (const PostProcessor& p : children) count += p.added_tokens(pair);
  return count;
}

std::vector<Encoding> PostProcessorSequence::process(std::vector<Encoding> encodings, bool add_special_tokens) const {
  for (const PostProcessor& p : children) encodings = p.process(std::move(encodings), add_special_tokens);
  return encodings;
}

}  // namespace transformers
