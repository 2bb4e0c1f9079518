// What it is: Oniguruma behind Regex.
// Where it stands: tokenizers; the only file that includes oniguruma.h.
// Source: Oniguruma 6.9, doc/API.
#include "regex.hpp"

#include <oniguruma.h>

#include <deque>
#include <mutex>

#include "transformers/base/error.hpp"
#include "transformers/base/value.hpp"
#include "transformers/tokenizers/unicode.hpp"

namespace transformers {
namespace {

// Steps back within one search, and alternatives that wait at once (some 50 bytes each): Oniguruma backtracks, and a
// pattern out of a file may ask for more of both than there is time and memory for.
constexpr unsigned long kMostRetries = 20'000'000, kMostAlternatives = 20'000'000;

std::string message_of(int code, OnigErrorInfo* info = nullptr) {
  UChar buffer[ONIG_MAX_ERROR_MESSAGE_LEN];
  const int size = info ? onig_error_code_to_str(buffer, code, info) : onig_error_code_to_str(buffer, code);
  return unicode::to_well_formed({reinterpret_cast<const char*>(buffer), static_cast<std::size_t>(size)});
}

const UChar* bytes(const char* p) { return reinterpret_cast<const UChar*>(p); }

// The general categories that patterns name, under all their names (white space, "-" and "_" do not count).
struct Category {
  std::string_view name, full_name;
};
constexpr Category kNamed[] = {{"L", "letter"},
                               {"Lu", "uppercaseletter"},
                               {"Ll", "lowercaseletter"},
                               {"Lt", "titlecaseletter"},
                               {"Lm", "modifierletter"},
                               {"Lo", "otherletter"},
                               {"M", "mark"},
                               {"Mn", "nonspacingmark"},
                               {"Mc", "spacingmark"},
                               {"N", "number"},
                               {"Nd", "decimalnumber"},
                               {"Nl", "letternumber"},
                               {"No", "othernumber"},
                               {"P", "punctuation"},
                               {"S", "symbol"},
                               {"Sm", "mathsymbol"},
                               {"Sc", "currencysymbol"},
                               {"Sk", "modifiersymbol"},
                               {"So", "othersymbol"}};

// What \w matches there inside of brackets: Rust's, but the joiners. Outside of them it takes the numbers of Latin-1
// too.
bool is_word(char32_t c) { return unicode::is_word(c) && c != 0x200C && c != 0x200D; }
constexpr std::string_view kWord = R"([\p{TcppWord}\x{B2}\x{B3}\x{B9}\x{BC}-\x{BE}])";
constexpr std::string_view kNoWord = R"([^\p{TcppWord}\x{B2}\x{B3}\x{B9}\x{BC}-\x{BE}])";

// Categories and words are defined anew under names of our own, as the package's Oniguruma knows them: the installed
// one may be of another Unicode version. Never freed: Oniguruma keeps the pointers.
int define_categories() {
  struct Run {
    OnigCodePoint begin;
    uint8_t category;
    bool word;
    bool operator==(const Run& other) const { return category == other.category && word == other.word; }
  };
  std::vector<Run> runs;
  for (char32_t c = 0; c < 0x110000; ++c) {
    const Run run{c, unicode::category(c), is_word(c)};
    if (runs.empty() || !(run == runs.back())) runs.push_back(run);
  }
  runs.push_back({0x110000, 0, false});
  static auto& kept = *new std::deque<std::vector<OnigCodePoint>>;
  const auto define = [&](std::string_view name, auto is_in) {
    kept.push_back({0});
    std::vector<OnigCodePoint>& ranges = kept.back();
    for (std::size_t r = 0; r + 1 < runs.size(); ++r) {
      if (!is_in(runs[r])) continue;
      ranges.insert(ranges.end(), {runs[r].begin, runs[r + 1].begin - 1});
      ++ranges[0];
    }
    return onig_unicode_define_user_property(("Tcpp" + std::string(name)).c_str(), ranges.data());
  };
  for (const Category& named : kNamed) {
    const int code =
        define(named.name, [&](const Run& run) { return unicode::kCategories[run.category].starts_with(named.name); });
    if (code != ONIG_NORMAL) return code;
  }
  return define("Word", [](const Run& run) { return run.word; });  // the last one: Oniguruma keeps twenty
}

// Where a word begins or ends, or where none does.
std::string boundary(bool inverted) {
  const std::string behind = "(?<=" + std::string(kWord) + ')', not_behind = "(?<!" + std::string(kWord) + ')';
  const std::string before = "(?=" + std::string(kWord) + ')', not_before = "(?!" + std::string(kWord) + ')';
  return inverted ? "(?:" + behind + before + '|' + not_behind + not_before + ')'
                  : "(?:" + behind + not_before + '|' + not_behind + before + ')';
}

// `pattern` with \p{L} and its like, \w, \b and \d under our own names.
std::string with_own_categories(std::string_view pattern) {
  std::string out;
  int brackets = 0;
  for (std::size_t i = 0; i < pattern.size();) {
    if (pattern[i] != '\\' || i + 1 == pattern.size()) {
      brackets += pattern[i] == '[' ? 1 : pattern[i] == ']' && brackets > 0 ? -1 : 0;
      out += pattern[i++];
      continue;
    }
    const std::size_t close = pattern.find('}', i);
    if ((pattern[i + 1] == 'p' || pattern[i + 1] == 'P') && pattern.substr(i + 2).starts_with('{') &&
        close != std::string_view::npos) {
      std::string_view name = pattern.substr(i + 3, close - i - 3);
      const bool inverted = name.starts_with('^');
      if (inverted) name.remove_prefix(1);
      std::string plain;
      for (const char c : name) {
        if (c != ' ' && c != '-' && c != '_') plain += static_cast<char>(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
      }
      for (const Category& named : kNamed) {
        std::string lower(named.name);
        lower[0] = static_cast<char>(lower[0] | 0x20);
        if (plain != lower && plain != named.full_name) continue;
        out.append(pattern.substr(i, 3)).append(inverted ? "^" : "").append("Tcpp").append(named.name) += '}';
        i = close + 1;
        break;
      }
      if (i == close + 1) continue;
    }
    switch (const char escape = pattern[i + 1]; escape) {
      case 'd':
      case 'D':
        out += escape == 'd' ? "\\p{TcppNd}" : "\\P{TcppNd}";
        break;
      case 'w':
      case 'W':
        if (brackets > 0) {
          out += escape == 'w' ? "\\p{TcppWord}" : "\\P{TcppWord}";
        } else {
          out += escape == 'w' ? kWord : kNoWord;
        }
        break;
      case 'b':
      case 'B':
        out += brackets > 0 ? std::string(pattern.substr(i, 2)) : boundary(escape == 'B');
        break;
      default:
        out.append(pattern.substr(i, 2));
    }
    i += 2;
  }
  return out;
}

struct FreeRegion {
  void operator()(OnigRegion* r) const { onig_region_free(r, 1); }
};
struct FreeParameters {
  void operator()(OnigMatchParam* p) const { onig_free_match_param(p); }
};

}  // namespace

struct Regex::Compiled {
  regex_t* regex = nullptr;
  ~Compiled() {
    if (regex) onig_free(regex);
  }
};

Regex::Regex(const std::string& pattern, bool scan) : pattern_(pattern) {
  if (pattern.size() > kLongest) {
    throw Error(ErrorCode::limit, "a regular expression of " + std::to_string(pattern.size()) +
                                      " bytes is too long: at most " + std::to_string(kLongest));
  }
  if (scan) scanner_ = scanner_of(pattern);
  if (scanner_ != Scanner::none) return;
  static std::mutex mutex;  // compiling is not thread-safe in all versions
  const std::lock_guard lock(mutex);
  static const int ready = [] {
    OnigEncoding encodings[] = {ONIG_ENCODING_UTF8};
    const int code = onig_initialize(encodings, 1);
    return code == ONIG_NORMAL ? define_categories() : code;
  }();
  compiled_ = std::make_unique<Compiled>();
  OnigErrorInfo info;
  int code = ready;
  if (code == ONIG_NORMAL) {
    const std::string own = with_own_categories(pattern);
    code = onig_new(&compiled_->regex, bytes(own.data()), bytes(own.data() + own.size()), ONIG_OPTION_NONE,
                    ONIG_ENCODING_UTF8, ONIG_SYNTAX_RUBY, &info);
  }
  if (code != ONIG_NORMAL) {
    compiled_->regex = nullptr;
    throw Error(ErrorCode::corrupt_file,
                "the regular expression " + quote(pattern) + " cannot be read: " + message_of(code, &info));
  }
}

Regex::~Regex() = default;

std::vector<Match> Regex::find(std::string_view text) const {
  std::vector<Match> out;
  if (scanner_ != Scanner::none) {
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = scan_word(scanner_, text, begin);
      out.push_back({begin, end, true});
      begin = end;
    }
    return out;
  }
  const std::unique_ptr<OnigRegion, FreeRegion> region(onig_region_new());
  const std::unique_ptr<OnigMatchParam, FreeParameters> parameters(onig_new_match_param());
  if (!region || !parameters) throw Error(ErrorCode::out_of_memory, "no memory for a regular expression");
  onig_initialize_match_param(parameters.get());
  onig_set_retry_limit_in_match_of_match_param(parameters.get(), kMostRetries);
  onig_set_retry_limit_in_search_of_match_param(parameters.get(), kMostRetries);
  onig_set_match_stack_limit_size_of_match_param(parameters.get(), kMostAlternatives);
  const UChar* const begin = bytes(text.data());
  const UChar* const end = begin + text.size();
  std::size_t rest = 0;  // everything before it is in `out`
  for (std::size_t from = 0; from <= text.size() && !text.empty();) {
    onig_region_clear(region.get());
    const int at = onig_search_with_param(compiled_->regex, begin, end, begin + from, end, region.get(),
                                          ONIG_OPTION_NONE, parameters.get());
    if (at == ONIG_MISMATCH) break;
    if (at < 0) {
      throw Error(at == ONIGERR_MEMORY ? ErrorCode::out_of_memory : ErrorCode::limit,
                  "the regular expression " + quote(pattern_) + " gives up on a text: " + message_of(at));
    }
    const auto match_begin = static_cast<std::size_t>(region->beg[0]);
    const auto match_end = static_cast<std::size_t>(region->end[0]);
    if (match_begin == match_end && !out.empty() && out.back().is_match && out.back().end == match_end) {
      // An empty match right behind the one before: looked for again one code point further on.
      if (from == text.size()) break;
      unicode::next(text, from);
      continue;
    }
    if (rest < match_begin) out.push_back({rest, match_begin, false});
    out.push_back({match_begin, match_end, true});
    rest = from = match_end;
  }
  if (rest < text.size() || out.empty()) out.push_back({rest, text.size(), false});
  return out;
}

}  // namespace transformers
