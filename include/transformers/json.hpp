// What it is: the bridge between Value and nlohmann's json classes, for hosts that use that library themselves.
// Where it stands: beside everything, opt-in: transformers.hpp does not include it, and of the public headers only this
// one needs <nlohmann/json.hpp>.
// Usage: `nlohmann::ordered_json j = value;  Value v = j.get<Value>();`
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "transformers/base/error.hpp"
#include "transformers/base/value.hpp"

// ordered_json keeps the order of an object's members, json sorts them.
template <>
struct nlohmann::adl_serializer<transformers::Value> {
  // A float32 becomes the float64 with the same shortest decimal, so that dump() prints what transformers::to_json
  // prints; converted to float it is the same number.
  template <class Json>
  static void to_json(Json& json, const transformers::Value& value) {
    if (value.is_null()) {
      json = nullptr;
    } else if (value.is_boolean()) {
      json = value.as_boolean();
    } else if (value.is_integer()) {
      json = value.as_integer();
    } else if (value.is_float32() && std::isfinite(value.as_number())) {
      json = Json::parse(transformers::to_json(value));
    } else if (value.is_number()) {
      json = value.as_number();
    } else if (value.is_string()) {
      json = value.as_string();
    } else if (value.is_array()) {
      json = Json::array();
      for (const transformers::Value& item : value.as_array()) to_json(json.emplace_back(nullptr), item);
    } else {
      json = Json::object();
      for (const auto& [key, item] : value.as_object()) to_json(json[key], item);
    }
  }

  // Integers beyond int64 become float64, as in parse_json. Error(invalid_argument) for nlohmann's binary values.
  template <class Json>
  static void from_json(const Json& json, transformers::Value& value) {
    using transformers::Value;
    constexpr auto kMax = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
    if (json.is_null()) {
      value = nullptr;
    } else if (json.is_boolean()) {
      value = json.template get<bool>();
    } else if (json.is_number_unsigned() && json.template get<uint64_t>() > kMax) {
      value = json.template get<double>();
    } else if (json.is_number_integer()) {
      value = json.template get<int64_t>();
    } else if (json.is_number_float()) {
      value = json.template get<double>();
    } else if (json.is_string()) {
      value = json.template get<std::string>();
    } else if (json.is_array()) {
      Value::Array items(json.size());
      for (std::size_t i = 0; i < items.size(); ++i) from_json(json[i], items[i]);
      value = std::move(items);
    } else if (json.is_object()) {
      Value::Object members;
      for (const auto& [key, item] : json.items()) from_json(item, members.emplace_back(key, Value()).second);
      value = std::move(members);
    } else {
      throw transformers::Error(transformers::ErrorCode::invalid_argument,
                                "no Value for a JSON value of type " + std::string(json.type_name()));
    }
  }
};
