// What it is: tokenizer.json read into its parts: vocabulary and added tokens at once, the small components as Values.
// Where it stands: tokenizers; AutoTokenizer reads the file with it and then makes the components it wants.
// Usage: `TokenizerJson json = read_tokenizer_json(text, "dir/tokenizer.json"); auto n =
// make_component<Normalizer>(...);` Source: the `tokenizers` crate 0.23, tokenizer/serialization.rs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "transformers/base/error.hpp"
#include "transformers/base/fields.hpp"
#include "transformers/base/value.hpp"
#include "transformers/tokenizers/added_tokens.hpp"
#include "transformers/tokenizers/models.hpp"

namespace transformers {

struct TokenizerJson {
  std::string where;  // the file, for messages
  Value truncation, padding, normalizer, pre_tokenizer, post_processor, decoder;
  std::vector<std::pair<int64_t, AddedToken>> added_tokens;  // with the id the file gives
  // The model without its vocabulary and merges; the type is inferred where old files leave it out.
  Value model;
  std::string model_type;
  bool has_vocab = false;   // an object token -> id; `vocab` is finished
  bool has_pieces = false;  // an array of [piece, score]: they are in `unigram`
  bool has_merges = false;  // they are in `bpe`
  Vocab vocab;
  BPE bpe;
  Unigram unigram;
};

// How the scores of pieces are read: to the nearest double, as Python reads them for the classes that rebuild their
// model, or as the crate does, which may be off by a unit in the last
// place.
enum class Rounding : uint8_t { nearest, of_the_crate };

// Error(corrupt_file) naming file and JSON path for anything malformed, Error(unsupported) for another version.
TokenizerJson read_tokenizer_json(std::string_view text, const std::string& where, Rounding scores = Rounding::nearest);

// Throws `e` again, naming `where` if it names nothing yet.
[[noreturn]] inline void rethrow_with(const Error& e, const std::string& where) {
  throw Error(e.code() == ErrorCode::invalid_argument ? ErrorCode::corrupt_file : e.code(), e.message(),
              e.where().empty() ? where : e.where());
}

// Reads one component of a stage: finds the struct whose `type` the value names, then its fields and children.
// `path` is its place in the file, such as "normalizer.normalizers[1]".
template <class Stage>
Stage make_component(const Value& v, const std::string& file, const std::string& path) {
  const std::string where = file + ": " + path;
  const Value* type = v.find("type");
  if (!type || !type->is_string()) {
    throw Error(ErrorCode::corrupt_file, "expected an object with a \"type\", found a " + std::string(v.type_name()),
                where);
  }
  Stage out;
  bool found = false;
  const auto try_one = [&]<std::size_t I>() {
    using T = std::variant_alternative_t<I, decltype(out.value)>;
    if (found || T::type != type->as_string()) return;
    found = true;
    T component;
    try {
      read_fields(component, v, where);
    } catch (const Error& e) {
      rethrow_with(e, where);
    }
    if constexpr (requires { component.children; }) {
      const std::string name(T::children_name);
      const Value* children = v.find(name);
      if (!children || !children->is_array()) {
        throw Error(ErrorCode::corrupt_file, "expected an array \"" + name + '"', where);
      }
      for (std::size_t i = 0; i < children->as_array().size(); ++i) {
        component.children.push_back(
            make_component<Stage>(children->as_array()[i], file, path + '.' + name + '[' + std::to_string(i) + ']'));
      }
    }
    out.value = std::move(component);
  };
  [&]<std::size_t... I>(std::index_sequence<I...>) { (try_one.template operator()<I>(), ...); }
  (std::make_index_sequence<std::variant_size_v<decltype(out.value)>>());
  if (!found) {
    throw Error(ErrorCode::unsupported,
                std::string(Stage::stage) + " type \"" + type->as_string() + "\" is not supported", where);
  }
  return out;
}

// The same for a part that may be null.
template <class Stage>
std::optional<Stage> make_optional_component(const Value& v, const std::string& file) {
  if (v.is_null()) return std::nullopt;
  return make_component<Stage>(v, file, std::string(Stage::stage));
}

// The model, with what `json` holds of it moved into it.
TokenizerModel make_model(TokenizerJson& json);

}  // namespace transformers
