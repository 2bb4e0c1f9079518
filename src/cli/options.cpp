// Implements options.hpp.
#include "options.hpp"

#include <algorithm>
#include <charconv>

#include "transformers/base/error.hpp"

namespace transformers::cli {
namespace {

template <class Number>
Number parse_number(const std::string& text, const std::string& flag) {
  Number value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || text.empty()) {
    throw CLI::ValidationError(flag, "expected a number, found \"" + text + "\"");
  }
  return value;
}

Value parse_option(const FieldInfo& field, const std::vector<std::string>& words, const std::string& flag) {
  const auto items = [&] {  // --x a,b and --x a --x b are the same list
    std::vector<std::string> out;
    for (const std::string& word : words) {
      for (std::size_t begin = 0; begin <= word.size();) {
        const std::size_t comma = std::min(word.find(',', begin), word.size());
        std::string item = word.substr(begin, comma - begin);
        if (item.size() < word.size()) {  // "a, b" is a and b
          item.erase(0, item.find_first_not_of(' '));
          item.erase(item.find_last_not_of(' ') + 1);
        }
        if (!item.empty() || word.empty()) out.push_back(std::move(item));
        begin = comma + 1;
      }
    }
    return out;
  };
  const std::string& last = words.back();
  if (field.optional && last == "none") return nullptr;
  if (field.type == "int") return parse_number<int64_t>(last, flag);
  if (field.type == "float") return parse_number<double>(last, flag);
  if (field.type == "int list" || field.type == "string list") {
    Value::Array list;
    for (std::string& item : items()) {
      if (field.type == "int list") {
        list.emplace_back(parse_number<int64_t>(item, flag));
      } else {
        list.emplace_back(std::move(item));
      }
    }
    return list;
  }
  if (field.type == "value" && (last.starts_with('[') || last.starts_with('{'))) return parse_json(last, flag);
  return last;
}

}  // namespace

std::string option_flag(std::string_view name) {
  std::string flag = "--" + std::string(name);
  std::replace(flag.begin(), flag.end(), '_', '-');
  return flag;
}

Value OptionWords::options() const {
  Value all = values;
  for (const auto& [name, word] : flags) {
    if (!word.empty()) all.set(name, word == "true" || word == "false" ? Value(word == "true") : Value(word));
  }
  return all;
}

void add_options(CLI::App& app, const std::vector<FieldInfo>& fields, const std::shared_ptr<OptionWords>& words) {
  for (const FieldInfo& field : fields) {
    const std::string flag = option_flag(field.name);
    const std::string help = field.help + " (default: " + (field.value.is_null() ? "none" : to_json(field.value)) + ")";
    if (field.type == "bool" || (field.type == "value" && field.value.is_boolean())) {
      app.add_flag(flag + ",!--no-" + flag.substr(2), words->flags[field.name], help);
    } else {
      app.add_option_function<std::vector<std::string>>(
             flag,
             [words, field, flag](const std::vector<std::string>& given) {
               words->values.set(field.name, parse_option(field, given, flag));
             },
             help)
          ->expected(1)
          ->take_all()
          ->allow_extra_args(false)
          ->type_name(field.type + (field.optional ? "|none" : ""));
    }
  }
}

}  // namespace transformers::cli
