// Implements tiktoken.hpp.
#include "tiktoken.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "base64.hpp"
#include "byte_level.hpp"
#include "transformers/base/error.hpp"
#include "transformers/base/value.hpp"
#include "transformers/tokenizers/unicode.hpp"

namespace transformers {
namespace {

constexpr std::string_view kPattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

std::optional<std::pair<std::string, int32_t>> read_line(std::string_view line) {
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos || space == 0) return std::nullopt;
  auto token = from_base64(line.substr(0, space));
  const std::string_view digits = line.substr(space + 1);
  int32_t rank = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), rank);
  if (!token || token->empty() || error != std::errc() || end != digits.data() + digits.size() || rank < 0) {
    return std::nullopt;
  }
  return std::pair(std::move(*token), rank);
}

// The next line of `rest`, without its end.
std::string_view take_line(std::string_view& rest) {
  const std::size_t end = std::min(rest.find('\n'), rest.size());
  std::string_view line = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

std::string to_characters(std::string_view bytes) {
  std::string out;
  for (const char b : bytes) unicode::append(out, kByteLevel.to_char[static_cast<unsigned char>(b)]);
  return out;
}

}  // namespace

bool is_tiktoken(std::string_view bytes) { return read_line(take_line(bytes)).has_value(); }

std::string tiktoken_json(std::string_view bytes, const std::map<int64_t, std::string>& added,
                          const std::vector<std::string>& more, const std::string& where) {
  std::vector<std::pair<std::string, int32_t>> tokens;
  for (int64_t number = 1; !bytes.empty(); ++number) {
    const std::string_view line = take_line(bytes);
    if (line.empty()) continue;
    auto token = read_line(line);
    if (!token) {
      throw Error(ErrorCode::corrupt_file, "line " + std::to_string(number) + " is no token in base64 and its rank",
                  where);
    }
    tokens.push_back(std::move(*token));
  }
  std::unordered_map<std::string_view, int32_t> ranks;
  for (const auto& [token, rank] : tokens) {
    if (!ranks.emplace(token, rank).second) {
      throw Error(ErrorCode::corrupt_file, "the token of rank " + std::to_string(rank) + " stands twice", where);
    }
  }
  // Every cut of a token into two others is a merge; they are ordered by the ranks of the token and of the halves.
  struct Merge {
    int32_t rank, left_rank, right_rank;
    std::string_view left, right;
  };
  std::vector<Merge> merges;
  Value::Object vocab;
  for (const auto& [token, rank] : tokens) {
    vocab.emplace_back(to_characters(token), rank);
    for (std::size_t cut = 1; cut < token.size(); ++cut) {
      const std::string_view left = std::string_view(token).substr(0, cut), right = std::string_view(token).substr(cut);
      const auto l = ranks.find(left), r = ranks.find(right);
      if (l != ranks.end() && r != ranks.end()) merges.push_back({rank, l->second, r->second, left, right});
    }
  }
  std::stable_sort(merges.begin(), merges.end(), [](const Merge& a, const Merge& b) {
    return std::tie(a.rank, a.left_rank, a.right_rank) < std::tie(b.rank, b.left_rank, b.right_rank);
  });
  Value::Array merge_list;
  for (const Merge& m : merges) merge_list.push_back(Value::Array{to_characters(m.left), to_characters(m.right)});

  std::vector<std::string> specials;
  const auto base = static_cast<int64_t>(tokens.size());
  const int64_t highest = added.empty() ? 0 : added.rbegin()->first;
  if (highest >= base) {
    if (highest - base > 1'000'000) {
      throw Error(
          ErrorCode::limit,
          "the added token " + std::to_string(highest) + " is too far behind the " + std::to_string(base) + " ranks",
          where);
    }
    for (int64_t id = base; id <= highest; ++id) {
      const auto token = added.find(id);
      specials.push_back(token != added.end() ? token->second : "<|reserved_token_" + std::to_string(id) + "|>");
    }
  }
  const std::vector<std::string> named = specials;
  for (const std::string& token : more) {
    if (std::find(named.begin(), named.end(), token) == named.end()) specials.push_back(token);
  }
  Value::Array added_tokens;
  int64_t next = base;
  for (const std::string& special : specials) {
    const auto known = ranks.find(special);
    added_tokens.push_back(Value::Object{{"id", known != ranks.end() ? known->second : next++},
                                         {"content", special},
                                         {"single_word", false},
                                         {"lstrip", false},
                                         {"rstrip", false},
                                         {"normalized", false},
                                         {"special", true}});
  }
  const auto byte_level = [](bool prefix, bool trim, bool regex) {
    return Value(Value::Object{
        {"type", "ByteLevel"}, {"add_prefix_space", prefix}, {"trim_offsets", trim}, {"use_regex", regex}});
  };
  const Value split(Value::Object{
      {"type", "Split"}, {"pattern", Value::Object{{"Regex", kPattern}}}, {"behavior", "Isolated"}, {"invert", false}});
  return to_json(Value::Object{
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", std::move(added_tokens)},
      {"normalizer", nullptr},
      {"pre_tokenizer",
       Value::Object{{"type", "Sequence"}, {"pretokenizers", Value::Array{split, byte_level(false, true, false)}}}},
      {"post_processor", byte_level(true, false, true)},
      {"decoder", byte_level(true, true, true)},
      {"model",
       Value::Object{
           {"type", "BPE"}, {"ignore_merges", true}, {"vocab", std::move(vocab)}, {"merges", std::move(merge_list)}}}});
}

}  // namespace transformers
