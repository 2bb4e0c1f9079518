// What it is: tokenizers against what Hugging Face answered: every directory of tests/data/tokenizers with an
// expected.jsonl, each of its rows, through the compiled path and through the components.
// Where it stands: tests of tokenizers; the rows are described in tests/data/README.md, made by
// tests/reference/make_tokenizers.py.
// Usage: TCPP_TOKENIZER_CASES=DIRECTORY takes the directories from elsewhere (compare_random_tokenizers.py does).
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "support.hpp"
#include "transformers/base/error.hpp"
#include "transformers/base/platform.hpp"
#include "transformers/base/value.hpp"
#include "transformers/tokenizers/tokenizer.hpp"

namespace transformers {
namespace {

std::filesystem::path tokenizers_dir() {
  const char* const elsewhere = std::getenv("TCPP_TOKENIZER_CASES");
  return elsewhere ? std::filesystem::path(elsewhere) : std::filesystem::path(TCPP_TEST_DATA) / "tokenizers";
}

std::vector<std::string> cases() {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(tokenizers_dir())) {
    if (std::filesystem::exists(entry.path() / "expected.jsonl")) out.push_back(entry.path().filename().string());
  }
  std::sort(out.begin(), out.end());
  return out;
}

template <class T>
Value to_array(const std::vector<T>& v) {
  Value::Array out;
  for (const T& item : v) out.push_back(Value(item));
  return out;
}

// The members of `e` that `want` has, in its order.
Value select(const Encoding& e, const Value& want) {
  Value out{Value::Object{}};
  for (const Value::Member& member : want.as_object()) {
    const std::string& key = member.first;
    if (key == "ids") out.set(key, to_array(e.ids));
    if (key == "type_ids") out.set(key, to_array(e.type_ids));
    if (key == "tokens") out.set(key, to_array(e.tokens));
    if (key == "special_tokens_mask") out.set(key, to_array(e.special_tokens_mask));
    if (key == "attention_mask") out.set(key, to_array(e.attention_mask));
    if (key == "offsets") {
      Value::Array offsets;
      for (const auto& [begin, end] : e.offsets) offsets.push_back(Value::Array{Value(begin), Value(end)});
      out.set(key, std::move(offsets));
    }
    const auto with_null = [&](const std::vector<int32_t>& ids) {
      Value::Array all;
      for (int32_t id : ids) all.push_back(id < 0 ? Value() : Value(id));
      out.set(key, std::move(all));
    };
    if (key == "word_ids") with_null(e.word_ids);
    if (key == "sequence_ids") with_null(e.sequence_ids);
  }
  return out;
}

EncodeOptions read_options(const Value* v) {
  EncodeOptions o;
  if (!v) return o;
  const auto side = [](const Value& s) { return s.as_string() == "left" ? Side::left : Side::right; };
  if (const Value* x = v->find("add_special_tokens")) o.add_special_tokens = x->as_boolean();
  if (const Value* x = v->find("max_length")) o.max_length = x->as_integer();
  if (const Value* x = v->find("stride")) o.stride = x->as_integer();
  if (const Value* x = v->find("truncation_side")) o.truncation_side = side(*x);
  if (const Value* x = v->find("padding_side")) o.padding_side = side(*x);
  if (const Value* x = v->find("pad_to_multiple_of")) o.pad_to_multiple_of = x->as_integer();
  if (const Value* x = v->find("padding")) {
    if (x->is_boolean()) {
      o.padding = x->as_boolean();
    } else if (x->as_string() == "longest") {
      o.padding = PaddingStrategy::longest;
    } else if (x->as_string() == "max_length") {
      o.padding = PaddingStrategy::max_length;
    }
  }
  if (const Value* x = v->find("truncation")) {
    if (x->is_boolean()) {
      o.truncation = x->as_boolean();
    } else if (x->as_string() == "longest_first") {
      o.truncation = TruncationStrategy::longest_first;
    } else if (x->as_string() == "only_first") {
      o.truncation = TruncationStrategy::only_first;
    } else if (x->as_string() == "only_second") {
      o.truncation = TruncationStrategy::only_second;
    }
  }
  return o;
}

const std::string& text_of(const Value& row) { return row.at("text").as_string(); }

Encoding encode(const Tokenizer& tokenizer, const Value& row, const EncodeOptions& options) {
  if (const Value* given = row.find("words")) {
    std::vector<std::string> words;
    for (const Value& word : given->as_array()) words.push_back(word.as_string());
    return tokenizer.encode_words(words, options);
  }
  const Value* pair = row.find("pair");
  if (!pair) return tokenizer.encode(text_of(row), options);
  return tokenizer.encode_pair(text_of(row), pair->as_string(), options);
}

// What this library answers to a row, in the shape of its `want` (or of {keep, skip}).
Value answer(const Tokenizer& tokenizer, const Value& row) {
  const std::string& op = row.at("op").as_string();
  EncodeOptions options = read_options(row.find("options"));
  const Value* want = row.find("want");
  if (op == "decode") {
    std::vector<int32_t> ids;
    for (const Value& id : row.at("ids").as_array()) ids.push_back(static_cast<int32_t>(id.as_integer()));
    DecodeOptions decode;
    if (const Value* o = row.find("options")) {
      if (const Value* x = o->find("clean_up_tokenization_spaces"))
        decode.clean_up_tokenization_spaces = x->as_boolean();
    }
    Value out{Value::Object{}};
    for (const bool skip : {false, true}) {
      decode.skip_special_tokens = skip;
      out.set(skip ? "skip" : "keep", Value(tokenizer.decode(std::span<const int32_t>(ids), decode)));
    }
    return out;
  }
  if (op == "batch") {
    std::vector<std::string> texts;
    for (const Value& text : row.at("texts").as_array()) texts.push_back(text.as_string());
    const std::vector<Encoding> encodings = tokenizer.encode_batch(texts, options);
    if (!want) return {};
    Value::Array out;
    for (std::size_t i = 0; i < encodings.size(); ++i) out.push_back(select(encodings[i], want->as_array().at(i)));
    return out;
  }
  if (op == "truncate") {
    options.return_overflowing = true;
    const Encoding e = encode(tokenizer, row, options);
    if (!want) return {};
    Value::Array out;
    for (std::size_t i = 0; i < 1 + e.overflowing.size() && i < want->as_array().size(); ++i) {
      out.push_back(select(i == 0 ? e : e.overflowing[i - 1], want->as_array()[i]));
    }
    if (out.size() == want->as_array().size() && e.overflowing.size() + 1 > out.size()) out.push_back("more windows");
    return out;
  }
  options.add_special_tokens = op != "encode_plain";
  const Encoding e = encode(tokenizer, row, options);
  options.ids_only = true;
  const Encoding ids = encode(tokenizer, row, options);
  EXPECT_EQ(ids.ids, e.ids) << "ids_only: " << to_json(row);
  EXPECT_EQ(ids.type_ids, e.type_ids) << "ids_only: " << to_json(row);
  return want ? select(e, *want) : Value();
}

// Where this library means to differ: HF drops ids beyond the vocabulary in silence, and with a max_length below the
// number of special tokens it wraps around and truncates nothing.
const char* intended_error(const Tokenizer& tokenizer, const Value& row) {
  if (row.at("op").as_string() == "decode") {
    for (const Value& id : row.at("ids").as_array()) {
      if (id.as_integer() >= tokenizer.size() && !tokenizer.id_to_token(static_cast<int32_t>(id.as_integer()))) {
        return "is not in the vocabulary";
      }
    }
  }
  if (row.at("op").as_string() == "truncate" || row.at("op").as_string() == "batch") {
    const EncodeOptions options = read_options(row.find("options"));
    const Value* pair = row.find("pair");
    const bool is_pair = pair && !pair->as_string().empty();
    if (options.truncation != TruncationStrategy::do_not_truncate && options.add_special_tokens && options.max_length &&
        *options.max_length < tokenizer.num_special_tokens_to_add(is_pair)) {
      return "special tokens that are added";
    }
  }
  return nullptr;
}

struct Case {
  std::string name;
  bool compiled;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name << (c.compiled ? ", compiled" : ", components"); }

class ReferenceParity : public testing::TestWithParam<Case> {};

TEST_P(ReferenceParity, EveryRow) {
  const std::filesystem::path dir = tokenizers_dir() / GetParam().name;
  const auto tokenizer = AutoTokenizer::from_pretrained(dir, {.compiled = GetParam().compiled});
  if (!GetParam().compiled) {
    ASSERT_FALSE(tokenizer->has_fast_path());
  }
  const std::string rows = read_file(dir / "expected.jsonl");
  int line = 0, wrong = 0;
  for (std::size_t begin = 0; begin < rows.size(); ++line) {
    const std::size_t end = std::min(rows.find('\n', begin), rows.size());
    const Value row = parse_json(std::string_view(rows).substr(begin, end - begin), "expected.jsonl");
    begin = end + 1;
    const bool error_expected = row.find("error") != nullptr;
    std::string got;
    try {
      got = to_json(answer(*tokenizer, row));
    } catch (const Error& e) {
      got = std::string("error: ") + e.what();
    }
    std::string want;
    if (const Value* w = row.find("want")) {
      want = to_json(*w);
    } else if (!error_expected) {
      want = to_json(Value(Value::Object{{"keep", row.at("keep")}, {"skip", row.at("skip")}}));
    }
    bool same = error_expected ? got.starts_with("error: ") : got == want;
    if (const char* error = error_expected ? nullptr : intended_error(*tokenizer, row)) {
      same = got.starts_with("error: ") && got.find(error) != std::string::npos;
    }
    if (!same && ++wrong <= 5) {
      Value question = row;
      std::erase_if(question.as_object(), [](const auto& m) { return m.first == "want"; });
      ADD_FAILURE() << "expected.jsonl:" << line + 1 << ' ' << to_json(question) << "\n got  " << got << "\n want "
                    << want;
    }
  }
  EXPECT_GT(line, 0);
  EXPECT_EQ(wrong, 0) << "of " << line << " rows";
}

TEST_P(ReferenceParity, Properties) {
  const std::filesystem::path dir = tokenizers_dir() / GetParam().name;
  const auto tokenizer = AutoTokenizer::from_pretrained(dir, {.compiled = GetParam().compiled});
  const Value file = parse_json(read_file(dir / "case.json"), "case.json");
  const Value& want = file.at("properties");
  EXPECT_EQ(tokenizer->vocab_size(), want.at("vocab_size").as_integer());
  EXPECT_EQ(tokenizer->size(), want.at("length").as_integer());
  const Value& longest = want.at("model_max_length");
  if (longest.is_integer()) {
    EXPECT_EQ(tokenizer->model_max_length(), longest.as_integer());
  } else {
    EXPECT_FALSE(tokenizer->model_max_length());
  }
  std::vector<std::string> names;
  for (const Value& name : want.at("model_input_names").as_array()) names.push_back(name.as_string());
  EXPECT_TRUE(std::ranges::equal(tokenizer->model_input_names(), names));
  EXPECT_EQ(tokenizer->padding_side() == Side::left, want.at("padding_side").as_string() == "left");
  EXPECT_EQ(tokenizer->truncation_side() == Side::left, want.at("truncation_side").as_string() == "left");
  Value ids{Value::Object{}};
  const auto set = [&](const char* name, std::optional<int32_t> id) {
    if (id) ids.set(name, Value(*id));
  };
  set("bos_token", tokenizer->bos_token_id());
  set("cls_token", tokenizer->cls_token_id());
  set("eos_token", tokenizer->eos_token_id());
  set("mask_token", tokenizer->mask_token_id());
  set("pad_token", tokenizer->pad_token_id());
  set("sep_token", tokenizer->sep_token_id());
  set("unk_token", tokenizer->unk_token_id());
  EXPECT_EQ(to_json(ids), to_json(want.at("special_token_ids")));
  std::vector<int64_t> special(tokenizer->all_special_ids().begin(), tokenizer->all_special_ids().end());
  std::sort(special.begin(), special.end());
  EXPECT_EQ(to_json(to_array(special)), to_json(want.at("all_special_ids")));
}

std::vector<Case> all_cases() {
  std::vector<Case> out;
  for (const std::string& name : cases()) {
    out.push_back({name, true});
    out.push_back({name, false});
  }
  return out;
}

INSTANTIATE_TEST_SUITE_P(Directories, ReferenceParity, testing::ValuesIn(all_cases()), [](const auto& test) {
  std::string name = test.param.name + (test.param.compiled ? "_compiled" : "_components");
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); }, '_');
  return name;
});

}  // namespace
}  // namespace transformers
