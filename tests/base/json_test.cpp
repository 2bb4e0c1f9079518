// Tests reading JSON (base/value.hpp parse_json, base/json_events.hpp) and the bridge to nlohmann's library (json.hpp).
#include "transformers/json.hpp"

#include <gtest/gtest.h>

#include "support.hpp"
#include "transformers/base/json_events.hpp"
#include "transformers/base/value.hpp"

namespace transformers {
namespace {

TEST(ParseJson, ReadsEveryType) {
  const Value value =
      parse_json(R"( {"n": null, "t": true, "i": -7, "d": 1e-12, "s": "\u00e9\n", "a": [1, [2]], "o": {}} )", "x");
  EXPECT_EQ(to_json(value),
            "{\"n\":null,\"t\":true,\"i\":-7,\"d\":1e-12,\"s\":\"\xC3\xA9\\n\",\"a\":[1,[2]],\"o\":{}}");
  EXPECT_TRUE(value.at("i").is_integer());
  EXPECT_FALSE(value.at("d").is_float32());
  EXPECT_EQ(parse_json("3", "x"), Value(3));
}

TEST(ParseJson, IntegersBeyond64BitsBecomeFloats) {
  EXPECT_EQ(parse_json("9223372036854775807", "x"), Value(std::numeric_limits<int64_t>::max()));
  EXPECT_EQ(parse_json("9223372036854775808", "x"), Value(9223372036854775808.0));
  EXPECT_EQ(parse_json("-9223372036854775809", "x"), Value(-9223372036854775808.0));
  EXPECT_EQ(parse_json("1000000000000000019884624838656", "x"), Value(1e30));
  EXPECT_EQ(parse_json(std::string(300, '9'), "x"), Value(1e300));
  EXPECT_EQ(parse_json("0." + std::string(100000, '3'), "x"), Value(1.0 / 3));
}

// D6: what a config.json may contain instead of JSON.
TEST(ParseJson, D6_RefusesWhatIsNotJson) {
  const auto refused = [](std::string_view text, const std::string& message) {
    EXPECT_ERROR(ErrorCode::corrupt_file, "not valid JSON at byte " + message + " (config.json)",
                 parse_json(text, "config.json"));
  };
  refused("", "0: unexpected end of input");
  refused("{", "1: unexpected end of input");
  refused("{\"a\" 1}", "5: unexpected number literal");
  refused("{\"a\": NaN}", "6: invalid literal");
  refused("{\"a\": -Infinity}", "7: invalid number");
  refused("[Infinity]", "1: invalid literal");
  refused("{} x", "3: invalid literal");
  refused("{}{}", "2: unexpected '{'");
  refused("[1,]", "3: unexpected ']'");
  refused("[01]", "2: unexpected number literal");
  refused("[1e999]", "5: number out of range");
  refused("\"a\nb\"", "2: invalid string: control character U+000A (LF) must be escaped to \\u000A or \\n");
  refused("\"\xFF\"", "1: invalid string: ill-formed UTF-8 byte");
  refused("\"\\ud800\"", "7: invalid string: surrogate U+D800..U+DBFF must be followed by U+DC00..U+DFFF");
  refused("// comment\n1", "0: invalid literal");
  refused(std::string_view("{}\0", 3), "2: a NUL byte");
  refused(std::string_view("{}\0garbage", 10), "2: a NUL byte");
  refused(std::string_view("\0", 1), "0: unexpected end of input");
}

TEST(ParseJson, D6_RefusesDuplicateKeys) {
  EXPECT_ERROR(ErrorCode::corrupt_file,
               "not valid JSON at byte 23: the object that ends here has the key \"a\" twice (config.json)",
               parse_json(R"({"o":{"a":1,"b":2,"a":3}})", "config.json"));
  EXPECT_NO_THROW(parse_json(R"([{"a":1},{"a":2,"b":{"a":3}}])", "x"));
}

TEST(ParseJson, D6_RefusesMoreThan128Levels) {
  const auto nested = [](std::size_t levels) { return std::string(levels, '[') + std::string(levels, ']'); };
  EXPECT_NO_THROW(parse_json(nested(128), "x"));
  EXPECT_ERROR(ErrorCode::corrupt_file, "not valid JSON at byte 128: more than 128 levels (config.json)",
               parse_json(nested(129), "config.json"));
  std::string objects;
  for (int i = 0; i < 1000000; ++i) objects += "{\"a\":";
  EXPECT_ERROR(ErrorCode::corrupt_file, "not valid JSON at byte 640: more than 128 levels (config.json)",
               parse_json(objects, "config.json"));
}

// A text of n keys must not cost n * n comparisons.
TEST(ParseJson, ReadsLargeObjects) {
  std::string text = "{";
  for (int i = 0; i < 200000; ++i) text += "\"key" + std::to_string(i) + "\":" + std::to_string(i) + ",";
  text += "\"last\":null}";
  EXPECT_EQ(parse_json(text, "x").as_object().size(), 200001u);
}

TEST(ReadJson, ReportsPartsInOrder) {
  struct Recorder : JsonEvents {
    std::string log;
    void add(const std::string& what) { log += what + "@" + std::to_string(offset) + " "; }
    void null() override { add("null"); }
    void boolean(bool v) override { add(v ? "true" : "false"); }
    void integer(int64_t v) override { add(std::to_string(v)); }
    void number(double v, std::string_view text) override { add(to_json(Value(v)) + "=" + std::string(text)); }
    void string(std::string& v) override { add("'" + v + "'"); }
    void start_array() override { add("["); }
    void end_array() override { add("]"); }
    void start_object() override { add("{"); }
    void key(std::string& name) override { add(name + ":"); }
    void end_object() override { add("}"); }
  } recorder;
  read_json(R"({"a":[null,true,"s",2,5e-1]})", "x", recorder);
  EXPECT_EQ(recorder.log, "{@1 a:@4 [@6 null@10 true@15 's'@19 2@22 0.5=5e-1@27 ]@27 }@28 ");
}

TEST(JsonBridge, RoundTrips) {
  const std::string text = R"({"z":[null,true,-3,0.25,"s"],"a":{"y":1,"x":{}}})";
  const nlohmann::ordered_json json = parse_json(text, "x");
  EXPECT_EQ(json.dump(), text);
  EXPECT_EQ(to_json(json.get<Value>()), text);
  EXPECT_EQ(nlohmann::ordered_json(18446744073709551615u).get<Value>(), Value(18446744073709551616.0));
  EXPECT_ERROR(ErrorCode::invalid_argument, "no Value for a JSON value of type binary",
               nlohmann::ordered_json::binary({1, 2}).get<Value>());
}

TEST(JsonBridge, PrintsFloatsAsToJsonDoes) {
  const nlohmann::ordered_json json = Value(Value::Object{{"score", 0.99986565f}});
  EXPECT_EQ(json.dump(), R"({"score":0.99986565})");
  EXPECT_EQ(json["score"].get<float>(), 0.99986565f);
  EXPECT_TRUE(std::isnan(nlohmann::ordered_json(Value(std::nanf(""))).get<float>()));
}

}  // namespace
}  // namespace transformers
