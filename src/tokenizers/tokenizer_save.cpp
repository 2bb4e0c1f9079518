// What it is: a tokenizer back to the files that it can be made from: tokenizer.json and tokenizer_config.json.
// Where it stands: tokenizers; Tokenizer::to_json and Tokenizer::save_pretrained.
// Usage: `tokenizer->save_pretrained("out");`
// Source: the `tokenizers` crate 0.23, tokenizer/serialization.rs; transformers 5.23, tokenization_utils_base.py
// (save_pretrained).
#include <algorithm>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer_impl.hpp"
#include "transformers/base/error.hpp"
#include "transformers/base/fields.hpp"
#include "transformers/base/platform.hpp"
#include "transformers/base/value.hpp"

namespace transformers {
namespace {

// {"type": ..., its fields, its children}; fields that are not set are left out.
template <class Stage>
Value write_component(const Stage& stage) {
  return std::visit(
      [](const auto& component) {
        Value out = Value::Object{{"type", std::string(component.type)}};
        const Value fields = write_fields(component);
        for (const auto& [name, value] : fields.as_object()) {
          if (!value.is_null()) out.set(name, value);
        }
        if constexpr (requires { component.children; }) {
          Value::Array children;
          for (const auto& child : component.children) children.push_back(write_component(child));
          out.set(std::string(component.children_name), std::move(children));
        }
        return out;
      },
      stage.value);
}

template <class Stage>
Value write_optional(const std::optional<Stage>& stage) {
  return stage ? write_component(*stage) : Value();
}

Value write_vocab(const Vocab& vocab) {
  std::vector<std::pair<int32_t, std::string_view>> tokens;
  vocab.for_each([&](std::string_view token, int32_t id) { tokens.emplace_back(id, token); });
  std::sort(tokens.begin(), tokens.end());
  Value::Object out;
  out.reserve(tokens.size());
  for (const auto& [id, token] : tokens) out.emplace_back(std::string(token), id);
  return out;
}

Value write_merges(const BPE& bpe) {
  struct Row {
    uint32_t rank;
    int32_t left, right;
  };
  std::vector<Row> rows;
  bpe.merges().for_each([&](int32_t left, int32_t right, const MergeTable::Merge& merge) {
    rows.push_back({merge.rank, left, right});
  });
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.rank < b.rank; });
  Value::Array out;
  out.reserve(rows.size());
  for (const Row& row : rows) {
    out.push_back(Value::Array{std::string(*bpe.vocab.token(row.left)), std::string(*bpe.vocab.token(row.right))});
  }
  return out;
}

template <class Model>
Value with_type(const Model& settings) {
  Value out = Value::Object{{"type", std::string(Model::type)}};
  const Value fields = write_fields(settings);
  for (const auto& [name, value] : fields.as_object()) out.set(name, value);
  return out;
}

// The settings are copied one by one: what a model holds may be large.
Value write_model(const TokenizerModel& any) {
  if (const auto* bpe = std::get_if<BPE>(&any.value)) {
    BPE settings;
    settings.dropout = bpe->dropout;
    settings.unk_token = bpe->unk_token;
    settings.continuing_subword_prefix = bpe->continuing_subword_prefix;
    settings.end_of_word_suffix = bpe->end_of_word_suffix;
    settings.fuse_unk = bpe->fuse_unk;
    settings.byte_fallback = bpe->byte_fallback;
    settings.ignore_merges = bpe->ignore_merges;
    Value out = with_type(settings);
    out.set("vocab", write_vocab(bpe->vocab));
    out.set("merges", write_merges(*bpe));
    return out;
  }
  if (const auto* unigram = std::get_if<Unigram>(&any.value)) {
    Unigram settings;
    settings.unk_id = unigram->unk_id;
    settings.byte_fallback = unigram->byte_fallback;
    Value out = with_type(settings);
    Value::Array pieces;
    pieces.reserve(unigram->scores.size());
    for (std::size_t id = 0; id < unigram->scores.size(); ++id) {
      pieces.push_back(Value::Array{std::string(*unigram->vocab.token(static_cast<int32_t>(id))), unigram->scores[id]});
    }
    out.set("vocab", std::move(pieces));
    return out;
  }
  if (const auto* pieces = std::get_if<WordPiece>(&any.value)) {
    WordPiece settings;
    settings.unk_token = pieces->unk_token;
    settings.continuing_subword_prefix = pieces->continuing_subword_prefix;
    settings.max_input_chars_per_word = pieces->max_input_chars_per_word;
    Value out = with_type(settings);
    out.set("vocab", write_vocab(pieces->vocab));
    return out;
  }
  if (const auto* words = std::get_if<WordLevel>(&any.value)) {
    WordLevel settings;
    settings.unk_token = words->unk_token;
    Value out = with_type(settings);
    out.set("vocab", write_vocab(words->vocab));
    return out;
  }
  throw Error(ErrorCode::unsupported, "a tokenizer that Hugging Face runs in Python has no tokenizer.json");
}

void write(const std::filesystem::path& path, const Value& value) {
  const std::string text = to_json(value) + "\n";
  const std::span<const std::byte> bytes = std::as_bytes(std::span<const char>(text.data(), text.size()));
  write_file(path.string(), {&bytes, 1});
}

}  // namespace

std::string Tokenizer::to_json() const {
  Value model = write_model(impl_->model);
  Value out = Value::Object{{"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}};
  std::vector<std::pair<int32_t, const AddedToken*>> added;
  for (const auto& [id, token] : impl_->added.by_id()) added.emplace_back(id, &token);
  std::sort(added.begin(), added.end());
  Value::Array tokens;
  for (const auto& [id, token] : added) {
    Value row = Value::Object{{"id", id}};
    const Value fields = write_fields(*token);
    for (const auto& [name, value] : fields.as_object()) row.set(name, value);
    tokens.push_back(std::move(row));
  }
  out.set("added_tokens", std::move(tokens));
  out.set("normalizer", write_optional(impl_->normalizer));
  out.set("pre_tokenizer", write_optional(impl_->pre_tokenizer));
  out.set("post_processor", write_optional(impl_->post_processor));
  out.set("decoder", write_optional(impl_->decoder));
  out.set("model", std::move(model));
  return transformers::to_json(out);
}

void Tokenizer::save_pretrained(const std::string& directory) const {
  const Value json = parse_json(to_json(), "tokenizer.json");
  // What takes tokenizer.json as it stands, unless the class knows languages.
  Value config = Value::Object{{"tokenizer_class", impl_->languages ? impl_->class_name : "PreTrainedTokenizerFast"}};
  if (impl_->languages) config.set("src_lang", impl_->languages->source);
  for (std::size_t name = 0; name < kSpecialNames; ++name) {
    if (impl_->special_tokens[name]) config.set(std::string(kSpecialTokenKeys[name]), *impl_->special_tokens[name]);
  }
  const auto texts = [](const std::vector<std::string>& list) { return Value::Array(list.begin(), list.end()); };
  if (!impl_->other_special_tokens.empty()) config.set("extra_special_tokens", texts(impl_->other_special_tokens));
  config.set("model_input_names", texts(impl_->model_input_names));
  if (impl_->model_max_length) config.set("model_max_length", *impl_->model_max_length);
  const auto side = [](Side s) { return s == Side::left ? "left" : "right"; };
  config.set("padding_side", side(impl_->padding_side));
  config.set("truncation_side", side(impl_->truncation_side));
  config.set("clean_up_tokenization_spaces", impl_->clean_up_tokenization_spaces);
  if (impl_->clean_up_bpe) config.set("clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output", true);
  if (impl_->split_special_tokens) config.set("split_special_tokens", true);
  if (impl_->chat_templates.size() == 1 && impl_->chat_templates.front().name == "default") {
    config.set("chat_template", impl_->chat_templates.front().source);
  } else if (!impl_->chat_templates.empty()) {
    Value::Array templates;
    for (const auto& t : impl_->chat_templates) {
      templates.push_back(Value::Object{{"name", t.name}, {"template", t.source}});
    }
    config.set("chat_template", std::move(templates));
  }
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) throw Error(ErrorCode::io, "cannot make the directory: " + error.message(), directory);
  write(std::filesystem::path(directory) / "tokenizer.json", json);
  write(std::filesystem::path(directory) / "tokenizer_config.json", config);
}

}  // namespace transformers
