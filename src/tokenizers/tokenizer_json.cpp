// What it is: the event handler that reads tokenizer.json.
// Where it stands: tokenizers; see tokenizer_json.hpp.
#include "tokenizer_json.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <climits>
#include <cmath>

#include "transformers/base/json_events.hpp"

namespace transformers {
namespace {

// Builds one small Value from events. `done()` after the event that completes it.
class ValueBuilder {
 public:
  void scalar(Value v) { place(std::move(v)); }
  void start(Value v) { open_.push_back({std::move(v), {}}); }
  void key(std::string& name) { open_.back().key = std::move(name); }
  void end(const std::string& where) {
    Value v = std::move(open_.back().value);
    open_.pop_back();
    if (v.is_object()) refuse_duplicates(v.as_object(), where);
    place(std::move(v));
  }
  bool done() const { return open_.empty(); }
  Value take() { return std::move(result_); }

 private:
  struct Open {
    Value value;
    std::string key;
  };
  void place(Value v) {
    if (open_.empty()) {
      result_ = std::move(v);
    } else if (open_.back().value.is_array()) {
      open_.back().value.as_array().push_back(std::move(v));
    } else {
      open_.back().value.as_object().emplace_back(std::move(open_.back().key), std::move(v));
    }
  }
  static void refuse_duplicates(const Value::Object& object, const std::string& where) {
    std::vector<std::string_view> keys;
    for (const auto& member : object) keys.push_back(member.first);
    std::sort(keys.begin(), keys.end());
    const auto twice = std::adjacent_find(keys.begin(), keys.end());
    if (twice != keys.end())
      throw Error(ErrorCode::corrupt_file, "the key \"" + std::string(*twice) + "\" stands twice", where);
  }
  std::vector<Open> open_;
  Value result_;
};

// A number as serde_json reads it without its feature float_roundtrip: the digits that fit into 64 bits, times or
// divided by a power of ten, both rounded. Which of two ways to cut a text has the higher sum of scores hangs on it.
double read_as_the_crate(std::string_view text) {
  const bool is_negative = text.starts_with('-');
  if (is_negative) text.remove_prefix(1);
  uint64_t digits = 0;
  int64_t exponent = 0;
  bool behind_point = false, full = false;
  std::size_t i = 0;
  for (; i < text.size() && text[i] != 'e' && text[i] != 'E'; ++i) {
    if (text[i] == '.') {
      behind_point = true;
      full = false;
      continue;
    }
    const auto digit = static_cast<uint64_t>(text[i] - '0');
    full = full || digits > (UINT64_MAX - digit) / 10;
    if (!full) digits = digits * 10 + digit;
    exponent += static_cast<int64_t>(!behind_point && full) - static_cast<int64_t>(behind_point && !full);
  }
  if (i < text.size()) {
    i += text.substr(i + 1).starts_with('+') ? 2 : 1;
    int written = 0;
    const auto [end, error] = std::from_chars(text.data() + i, text.data() + text.size(), written);
    if (error != std::errc()) written = text[i] == '-' ? -100'000 : 100'000;
    exponent += written;
  }
  static const std::array<double, 309> kPowers = [] {
    std::array<double, 309> powers{};
    for (std::size_t p = 0; p < powers.size(); ++p) powers[p] = std::stod("1e" + std::to_string(p));
    return powers;
  }();
  auto value = static_cast<double>(digits);
  while (exponent < -308 && value != 0.0) {
    value /= kPowers.back();
    exponent += 308;
  }
  if (exponent >= -308 && exponent < 0) value /= kPowers[static_cast<std::size_t>(-exponent)];
  if (exponent > 0 && value != 0.0)
    value = exponent > 308 ? HUGE_VAL : value * kPowers[static_cast<std::size_t>(exponent)];
  return is_negative ? -value : value;
}

class Reader final : public JsonEvents {
 public:
  Reader(TokenizerJson& out, Rounding scores) : out_(out), scores_(scores) {}

  void null() override { scalar(Value()); }
  void boolean(bool v) override { scalar(Value(v)); }
  void integer(int64_t v) override {
    if (place_ == Place::vocab) return add_to_vocab(v);
    if (place_ == Place::piece) return set_score(static_cast<double>(v));
    scalar(Value(v));
  }
  void number(double v, std::string_view text) override {
    if (place_ == Place::vocab) wrong_id(std::to_string(v));
    if (place_ == Place::piece) return set_score(scores_ == Rounding::nearest ? v : read_as_the_crate(text));
    scalar(Value(v));
  }
  void string(std::string& v) override {
    if (place_ == Place::merges) return add_merge(v);
    if (place_ == Place::merge || place_ == Place::piece) {
      if (place_ == Place::piece ? part_ != 0 : part_ > 1) wrong_part();
      parts_[part_++] = std::move(v);
      return;
    }
    scalar(Value(std::move(v)));
  }
  void start_array() override { start(Value(Value::Array{}), false); }
  void start_object() override { start(Value(Value::Object{}), true); }
  void end_array() override { end(); }
  void end_object() override { end(); }
  void key(std::string& name) override {
    if (place_ == Place::top || place_ == Place::model || place_ == Place::vocab) {
      key_ = std::move(name);
    } else if (place_ == Place::value) {
      builder_.key(name);
    }
  }

  void finish() {
    if (!saw_top_) fail("expected an object", "");
    if (out_.model.is_null()) fail("there is no \"model\"", "");
    const Value* type = out_.model.find("type");
    if (type && !type->is_string()) fail("expected a string, found a " + std::string(type->type_name()), "model.type");
    if (type) {
      out_.model_type = type->as_string();
    } else if (out_.has_merges) {
      out_.model_type = "BPE";
    } else if (out_.has_pieces) {
      out_.model_type = "Unigram";
    } else if (out_.model.find("continuing_subword_prefix") || out_.model.find("max_input_chars_per_word")) {
      out_.model_type = "WordPiece";
    } else {
      out_.model_type = "WordLevel";
    }
    out_.vocab.finish(out_.where + ": model.vocab");
  }

 private:
  // Where in the file the reader is: `pieces` and `merges` are the arrays, `piece` and `merge` an array inside them.
  enum class Place { before, top, model, vocab, pieces, piece, merges, merge, added_tokens, value, after };

  [[noreturn]] void fail(const std::string& message, const std::string& path) const {
    throw Error(ErrorCode::corrupt_file, message, path.empty() ? out_.where : out_.where + ": " + path);
  }
  [[noreturn]] void wrong_id(const std::string& found) const {
    fail("expected an id from 0 to 2147483647, found " + found, "model.vocab[\"" + key_ + "\"]");
  }
  void add_to_vocab(int64_t id) {
    if (id < 0 || id > INT_MAX) wrong_id(std::to_string(id));
    if (!out_.vocab.add(key_, static_cast<int32_t>(id))) fail("the token \"" + key_ + "\" stands twice", "model.vocab");
  }

  void set_score(double score) {
    if (part_ != 1) wrong_part();
    score_ = score;
    part_ = 2;
  }
  // "a b", as older files write a merge. A line of the merges file that only tells its version is no merge.
  void add_merge(const std::string& text) {
    if (text.starts_with("#version")) return;
    const std::size_t space = text.find(' ');
    if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) {
      fail("expected two tokens with a space between them, found " + quote(text), part_path());
    }
    out_.bpe.add_merge(std::string_view(text).substr(0, space), std::string_view(text).substr(space + 1));
    ++items_;
  }
  std::string part_path() const {
    const bool pieces = place_ == Place::piece || place_ == Place::pieces;
    return std::string(pieces ? "model.vocab[" : "model.merges[") + std::to_string(items_) + ']';
  }
  [[noreturn]] void wrong_part() const {
    const bool pieces = place_ == Place::piece || place_ == Place::pieces;
    fail(pieces ? "expected [piece, score]" : "expected [token, token] or \"token token\"", part_path());
  }

  void scalar(Value v) {
    switch (place_) {
      case Place::pieces:
      case Place::piece:
      case Place::merges:
      case Place::merge:
        wrong_part();
      case Place::value:
        builder_.scalar(std::move(v));
        break;
      case Place::top:
        keep_top(std::move(v));
        break;
      case Place::model:
        keep_in_model(std::move(v));
        break;
      case Place::vocab:
        wrong_id("a " + std::string(v.type_name()));
      case Place::added_tokens:
        fail("expected an object, found a " + std::string(v.type_name()), added_path());
      case Place::before:
      case Place::after:
        fail("expected an object, found a " + std::string(v.type_name()), "");
    }
  }

  void start(Value v, bool is_object) {
    switch (place_) {
      case Place::before:
        if (!is_object) fail("expected an object, found an array", "");
        place_ = Place::top;
        saw_top_ = true;
        return;
      case Place::top:
        if (key_ == "model") {
          if (!is_object) fail("expected an object, found an array", "model");
          if (!out_.model.is_null()) fail("the key \"model\" stands twice", "");
          out_.model = Value(Value::Object{});
          place_ = Place::model;
          return;
        }
        if (key_ == "added_tokens") {
          if (is_object) fail("expected an array, found an object", "added_tokens");
          place_ = Place::added_tokens;
          return;
        }
        break;
      case Place::model:
        if (key_ == "vocab") {
          if (out_.has_vocab || out_.has_pieces) fail("the key \"vocab\" stands twice", "model");
          (is_object ? out_.has_vocab : out_.has_pieces) = true;
          place_ = is_object ? Place::vocab : Place::pieces;
          items_ = 0;
          return;
        }
        if (key_ == "merges") {
          if (is_object) fail("expected an array, found an object", "model.merges");
          if (out_.has_merges) fail("the key \"merges\" stands twice", "model");
          out_.has_merges = true;
          place_ = Place::merges;
          items_ = 0;
          return;
        }
        break;
      case Place::pieces:
      case Place::merges:
        if (is_object) wrong_part();
        place_ = place_ == Place::pieces ? Place::piece : Place::merge;
        part_ = 0;
        return;
      case Place::piece:
      case Place::merge:
        wrong_part();
      case Place::vocab:
        wrong_id(is_object ? "an object" : "an array");
      case Place::added_tokens:
        if (!is_object) fail("expected an object, found an array", added_path());
        break;
      case Place::value:
        builder_.start(std::move(v));
        return;
      case Place::after:
        return;
    }
    outside_ = place_;
    place_ = Place::value;
    builder_.start(std::move(v));
  }

  void end() {
    switch (place_) {
      case Place::value:
        builder_.end(out_.where);
        if (!builder_.done()) return;
        place_ = outside_;
        if (place_ == Place::top) keep_top(builder_.take());
        if (place_ == Place::model) keep_in_model(builder_.take());
        if (place_ == Place::added_tokens) keep_added(builder_.take());
        return;
      case Place::piece:
        if (part_ != 2) wrong_part();
        out_.unigram.add(parts_[0], score_);
        place_ = Place::pieces;
        ++items_;
        return;
      case Place::merge:
        if (part_ != 2) wrong_part();
        out_.bpe.add_merge(parts_[0], parts_[1]);
        place_ = Place::merges;
        ++items_;
        return;
      case Place::vocab:
      case Place::pieces:
      case Place::merges:
        place_ = Place::model;
        return;
      case Place::model:
      case Place::added_tokens:
        place_ = Place::top;
        return;
      default:
        place_ = Place::after;
    }
  }

  void keep_top(Value v) {
    if (key_ == "version") {
      if (!v.is_string() || v.as_string() != "1.0") {
        throw Error(ErrorCode::unsupported,
                    "expected version \"1.0\"" + (v.is_string() ? ", found \"" + v.as_string() + '"' : ""),
                    out_.where + ": version");
      }
      return;
    }
    if (key_ == "model") fail("expected an object, found a " + std::string(v.type_name()), "model");
    if (key_ == "added_tokens" && !v.is_null())
      fail("expected an array, found a " + std::string(v.type_name()), "added_tokens");
    for (const auto& [name, member] : {std::pair<const char*, Value*>{"truncation", &out_.truncation},
                                       {"padding", &out_.padding},
                                       {"normalizer", &out_.normalizer},
                                       {"pre_tokenizer", &out_.pre_tokenizer},
                                       {"post_processor", &out_.post_processor},
                                       {"decoder", &out_.decoder}}) {
      if (key_ != name) continue;
      if (!v.is_null() && !v.is_object())
        fail("expected an object or null, found a " + std::string(v.type_name()), key_);
      if (!member->is_null()) fail("the key \"" + key_ + "\" stands twice", "");
      *member = std::move(v);
    }
  }

  void keep_in_model(Value v) {
    if (key_ == "vocab") fail("expected an object, found a " + std::string(v.type_name()), "model.vocab");
    if (out_.model.find(key_)) fail("the key \"" + key_ + "\" stands twice", "model");
    out_.model.as_object().emplace_back(key_, std::move(v));
  }

  std::string added_path() const { return "added_tokens[" + std::to_string(out_.added_tokens.size()) + ']'; }

  void keep_added(const Value& v) {
    const std::string where = out_.where + ": " + added_path();
    AddedToken token;
    try {
      read_fields(token, v, where);
    } catch (const Error& e) {
      rethrow_with(e, where);
    }
    const Value* id = v.find("id");
    if (!id || !id->is_integer() || id->as_integer() < 0 || id->as_integer() > INT_MAX) {
      throw Error(ErrorCode::corrupt_file, "expected an \"id\" from 0 to 2147483647", where);
    }
    if (!v.find("content")) throw Error(ErrorCode::corrupt_file, "there is no \"content\"", where);
    out_.added_tokens.emplace_back(id->as_integer(), std::move(token));
  }

  TokenizerJson& out_;
  Rounding scores_;
  Place place_ = Place::before, outside_ = Place::before;
  std::string key_;
  ValueBuilder builder_;
  std::string parts_[2];  // of a piece or a merge: how many are there
  std::size_t part_ = 0, items_ = 0;
  double score_ = 0;
  bool saw_top_ = false;
};

}  // namespace

TokenizerJson read_tokenizer_json(std::string_view text, const std::string& where, Rounding scores) {
  TokenizerJson out;
  out.where = where;
  // A token takes 12 bytes and more in the file, with its id and punctuation.
  out.vocab.reserve(text.size() / 20, text.size() / 2);
  Reader reader(out, scores);
  read_json(text, where, reader);
  reader.finish();
  return out;
}

TokenizerModel make_model(TokenizerJson& json) {
  const std::string where = json.where + ": model";
  const auto read = [&](auto& m) {
    try {
      read_fields(m, json.model, where);
    } catch (const Error& e) {
      rethrow_with(e, where);
    }
  };
  const auto need = [&](bool has, const char* what) {
    if (!has) throw Error(ErrorCode::corrupt_file, "a " + json.model_type + " model needs " + what, where);
  };
  if (json.model_type == Unigram::type) {
    need(json.has_pieces, "\"vocab\", an array of [piece, score]");
    Unigram m = std::move(json.unigram);
    read(m);
    m.finish(where);
    return {std::move(m)};
  }
  const auto with_vocab = [&](auto m) {
    need(json.has_vocab, "\"vocab\", an object of ids");
    read(m);
    m.vocab = std::move(json.vocab);
    return m;
  };
  if (json.model_type == BPE::type) {
    need(json.has_merges, "\"merges\"");
    BPE m = with_vocab(std::move(json.bpe));
    m.finish(where + ".merges");
    return {std::move(m)};
  }
  if (json.model_type == WordPiece::type) {
    WordPiece m = with_vocab(WordPiece());
    m.finish();
    return {std::move(m)};
  }
  if (json.model_type == WordLevel::type) return {with_vocab(WordLevel())};
  throw Error(ErrorCode::unsupported, "model type " + quote(json.model_type) + " is not supported", where);
}

}  // namespace transformers
