// Tests base/value.hpp: types, access and errors of Value, and the text that to_json writes.
#include "transformers/base/value.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <random>

#include "support.hpp"

namespace transformers {
namespace {

TEST(Value, KnowsItsType) {
  EXPECT_EQ(Value().type_name(), "null");
  EXPECT_EQ(Value(true).type_name(), "boolean");
  EXPECT_EQ(Value(3).type_name(), "integer");
  EXPECT_EQ(Value(uint8_t{3}).type_name(), "integer");
  EXPECT_EQ(Value(1.5f).type_name(), "number");
  EXPECT_EQ(Value(1.5).type_name(), "number");
  EXPECT_EQ(Value("x").type_name(), "string");
  EXPECT_EQ(Value(Value::Array{}).type_name(), "array");
  EXPECT_EQ(Value(Value::Object{}).type_name(), "object");
  EXPECT_TRUE(Value(1.5f).is_float32());
  EXPECT_FALSE(Value(1.5).is_float32());
}

TEST(Value, ConvertsOnlyNumbers) {
  EXPECT_EQ(Value(7).as_number(), 7.0);
  EXPECT_EQ(Value(0.25f).as_number(), 0.25);
  EXPECT_EQ(Value(12.0).as_integer(), 12);
  EXPECT_EQ(Value(-9223372036854775808.0).as_integer(), std::numeric_limits<int64_t>::min());
  EXPECT_ERROR(ErrorCode::invalid_argument, "expected an integer, found 1.5", Value(1.5).as_integer());
  EXPECT_ERROR(ErrorCode::invalid_argument, "expected an integer, found 9.223372036854776e+18",
               Value(9223372036854775808.0).as_integer());
  EXPECT_ERROR(ErrorCode::invalid_argument, "expected an integer, found a number that is not finite",
               Value(std::nan("")).as_integer());
  EXPECT_ERROR(ErrorCode::invalid_argument, "expected an integer, found a string", Value("1").as_integer());
  EXPECT_ERROR(ErrorCode::invalid_argument, "expected a number, found null", Value().as_number());
  EXPECT_ERROR(ErrorCode::invalid_argument, "expected a boolean, found an integer", Value(1).as_boolean());
  EXPECT_ERROR(ErrorCode::invalid_argument, "expected a string, found an array", Value(Value::Array{}).as_string());
  EXPECT_ERROR(ErrorCode::invalid_argument, "expected an array, found an object", Value(Value::Object{}).as_array());
  EXPECT_ERROR(ErrorCode::invalid_argument, "expected an object, found a boolean", Value(true).as_object());
}

TEST(Value, ObjectsKeepTheirOrder) {
  Value value;
  value.set("score", 0.5f);
  value.set("label", "POSITIVE");
  value.set("index", 3);
  value.set("score", 0.75f);
  EXPECT_EQ(to_json(value), R"({"score":0.75,"label":"POSITIVE","index":3})");
  EXPECT_EQ(value.at("index").as_integer(), 3);
  EXPECT_EQ(value.find("absent"), nullptr);
  EXPECT_EQ(Value(1).find("absent"), nullptr);
  EXPECT_ERROR(ErrorCode::not_found, "no key \"absent\"", value.at("absent"));
  EXPECT_ERROR(ErrorCode::invalid_argument, "expected an object, found an integer", Value(1).at("absent"));
  EXPECT_ERROR(ErrorCode::invalid_argument, "expected an object, found an integer", Value(1).set("key", 1));
}

TEST(Value, ComparesDeeply) {
  const Value a = Value::Object{{"x", Value::Array{1, 2}}};
  EXPECT_EQ(a, Value(a));
  EXPECT_NE(a, Value(Value::Object{{"x", Value::Array{1, 3}}}));
  EXPECT_NE(Value(1), Value(1.0));
}

TEST(ToJson, WritesFloatsAsPythonDoes) {
  const auto text = [](auto number) { return to_json(Value(number)); };
  EXPECT_EQ(text(1.0), "1.0");
  EXPECT_EQ(text(-0.0), "-0.0");
  EXPECT_EQ(text(0.1), "0.1");
  EXPECT_EQ(text(0.0001), "0.0001");
  EXPECT_EQ(text(0.00012), "0.00012");
  EXPECT_EQ(text(0.00001), "1e-05");
  EXPECT_EQ(text(-1.25e-7), "-1.25e-07");
  EXPECT_EQ(text(123456.75), "123456.75");
  EXPECT_EQ(text(1e15), "1000000000000000.0");
  EXPECT_EQ(text(1e16), "1e+16");
  EXPECT_EQ(text(1.7976931348623157e308), "1.7976931348623157e+308");
  EXPECT_EQ(text(5e-324), "5e-324");
  EXPECT_EQ(text(0.99986565f), "0.99986565");
  EXPECT_EQ(text(static_cast<double>(0.99986565f)), "0.9998656511306763");
  EXPECT_EQ(text(16777216.0f), "16777216.0");
  EXPECT_EQ(text(1e-12f), "1e-12");
}

TEST(ToJson, FloatsReadBackToTheSameValue) {
  std::mt19937 random(1);
  for (int i = 0; i < 20000; ++i) {
    const uint32_t bits = random();
    const float f = std::bit_cast<float>(bits);
    const double d = std::bit_cast<double>(uint64_t{bits} << 32 | random());
    if (std::isfinite(f)) {
      const std::string text = to_json(Value(f));
      EXPECT_EQ(std::bit_cast<uint32_t>(std::strtof(text.c_str(), nullptr)), bits) << text;
      EXPECT_EQ(static_cast<float>(parse_json(text, "").as_number()), f) << text;
    }
    if (std::isfinite(d)) {
      EXPECT_EQ(parse_json(to_json(Value(d)), "").as_number(), d);
    }
  }
}

TEST(ToJson, RefusesWhatJsonCannotSay) {
  EXPECT_ERROR(ErrorCode::invalid_argument, "JSON has no NaN and no infinity", to_json(Value(std::nanf(""))));
  EXPECT_ERROR(ErrorCode::invalid_argument, "JSON has no NaN and no infinity",
               to_json(Value::Array{1, std::numeric_limits<double>::infinity()}));
  EXPECT_ERROR(ErrorCode::invalid_argument, "the string \"a\xEF\xBF\xBD\" is not UTF-8 at byte 1", to_json("a\xFF"));
}

TEST(ToJson, EscapesOnlyWhatItMust) {
  EXPECT_EQ(to_json("\"\\/\b\f\n\r\t\x01\x1f\x7f"), "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\"");
  EXPECT_EQ(to_json("caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80"), "\"caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80\"");
  EXPECT_EQ(to_json(std::string("a\0b", 3)), "\"a\\u0000b\"");
}

TEST(ToJson, RefusesEveryFormOfBrokenUtf8) {
  // Lone and missing continuation bytes, overlong forms, surrogates, beyond U+10FFFF.
  for (const char* text : {"\x80", "\xC3", "\xC0\x80", "\xE0\x80\x80", "\xE2\x82", "\xED\xA0\x80", "\xF0\x80\x80\x80",
                           "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xC3(", "\xF0\x9F\x98("}) {
    EXPECT_EQ(test::error_of([&] { to_json(text); }).code(), ErrorCode::invalid_argument);
  }
  for (const std::string text :
       {"\xC2\x80", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_EQ(to_json(text), std::string("\"").append(text).append("\""));
  }
}

TEST(ToJson, Indents) {
  const Value value = Value::Object{{"a", Value::Array{1, Value::Object{}}}, {"b", Value::Array{}}};
  EXPECT_EQ(to_json(value), R"({"a":[1,{}],"b":[]})");
  EXPECT_EQ(to_json(value, 2), "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": []\n}");
}

TEST(Quote, MakesAnyNameFitForAMessage) {
  EXPECT_EQ(quote("a\nb"), "\"a\\nb\"");
  std::string text(99, 'x');
  EXPECT_EQ(quote(text + "yz" + text), quote(text + "y").substr(0, 101) + "...\"");
  EXPECT_EQ(quote("\xE2\x82"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");
  // The cut never splits a character.
  text += "\xE2\x82\xAC";
  EXPECT_EQ(quote(text + "y"), "\"" + text + "...\"");
}

}  // namespace
}  // namespace transformers
