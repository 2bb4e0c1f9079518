// Tests base/fields.hpp: one list of fields that is read, checked, listed and written.
#include "transformers/base/fields.hpp"

#include <gtest/gtest.h>

#include "support.hpp"

namespace transformers {
namespace {

enum class Strategy { none, simple, first };
constexpr std::string_view kStrategies[] = {"none", "simple", "first"};

struct Options {
  bool flag = true;
  int64_t count = 3;
  float eps = 1e-12f;
  double precise = 0.1;
  std::string name = "bert";
  std::vector<int64_t> ids = {1, 2};
  std::vector<std::string> labels;
  std::map<int64_t, std::string> id2label = {{0, "NEGATIVE"}, {1, "POSITIVE"}};
  Value any;
  std::optional<int64_t> top_k;
  std::optional<std::string> function = "softmax";
  Strategy strategy = Strategy::simple;

  void fields(FieldVisitor& f) {
    f("flag", flag);
    f("count", count, "how many");
    f("eps", eps);
    f("precise", precise);
    f("name", name);
    f("ids", ids);
    f("labels", labels);
    f("id2label", id2label);
    f("any", any);
    f("top_k", top_k, "labels to return");
    f("function", function);
    f.choice("strategy", strategy, kStrategies);
  }
};

Options read(std::string_view json) {
  Options options;
  read_fields(options, parse_json(json, "config.json"), "config.json");
  return options;
}

TEST(Fields, AbsentKeysKeepTheirDefaults) {
  EXPECT_EQ(
      to_json(write_fields(read("{}"))),
      R"({"flag":true,"count":3,"eps":1e-12,"precise":0.1,"name":"bert","ids":[1,2],"labels":[],)"
      R"("id2label":{"0":"NEGATIVE","1":"POSITIVE"},"any":null,"top_k":null,"function":"softmax","strategy":"simple"})");
}

TEST(Fields, ReadsEveryType) {
  const std::string text =
      R"({"flag":false,"count":12,"eps":0.5,"precise":0.2,"name":"x","ids":[],"labels":["a","b"],"id2label":{"2":"c"},)"
      R"("any":[1,{"k":null}],"top_k":5,"function":null,"strategy":"first"})";
  const Options options = read(text);
  EXPECT_EQ(options.count, 12);
  EXPECT_EQ(options.top_k, 5);
  EXPECT_EQ(options.function, std::nullopt);
  EXPECT_EQ(options.strategy, Strategy::first);
  EXPECT_EQ(to_json(write_fields(options)), text);
}

TEST(Fields, NumbersMayBeWrittenEitherWay) {
  EXPECT_EQ(read(R"({"count":12.0})").count, 12);
  EXPECT_EQ(read(R"({"eps":1})").eps, 1.0f);
  EXPECT_EQ(read(R"({"ids":3})").ids, std::vector<int64_t>{3});
  EXPECT_EQ(read(R"({"eps":3.4028235e+38})").eps, std::numeric_limits<float>::max());
}

TEST(Fields, WrongTypesNameKeyAndFile) {
  const auto refused = [](std::string_view json, const std::string& message) {
    EXPECT_ERROR(ErrorCode::invalid_argument, message + " (config.json)", read(json));
  };
  refused("[]", "expected an object, found an array");
  refused(R"({"flag":1})", "\"flag\": expected true or false, found 1");
  refused(R"({"count":"12"})", "\"count\": expected an integer, found \"12\"");
  refused(R"({"count":1.5})", "\"count\": expected an integer, found 1.5");
  refused(R"({"count":1e30})", "\"count\": expected an integer, found 1e+30");
  refused(R"({"count":null})", "\"count\": expected an integer, found null");
  refused(R"({"count":[1]})", "\"count\": expected an integer, found an array");
  refused(R"({"eps":"1"})", "\"eps\": expected a number, found \"1\"");
  refused(R"({"eps":1e39})", "\"eps\": expected a number within float32, found 1e+39");
  refused(R"({"name":{}})", "\"name\": expected a string, found an object");
  refused(R"({"ids":"3"})", "\"ids\": expected a list of integers, found \"3\"");
  refused(R"({"precise":"1"})", "\"precise\": expected a number, found \"1\"");
  refused(R"({"ids":[1,"2"]})", "\"ids\": expected a list of integers, found \"2\"");
  refused(R"({"labels":["a",1]})", "\"labels\": expected a list of strings, found 1");
  refused(R"({"id2label":["a"]})", "\"id2label\": expected an object of strings under integers, found an array");
  refused(R"({"id2label":{"0":1}})", "\"id2label\": expected an object of strings under integers, found 1");
  refused(R"({"id2label":{"x":"a"}})", "\"id2label\": expected integers as keys, found \"x\"");
  refused(R"({"id2label":{"":"a"}})", "\"id2label\": expected integers as keys, found \"\"");
  refused(R"({"id2label":{"99999999999999999999":"a"}})",
          "\"id2label\": expected integers as keys, found \"99999999999999999999\"");
  refused(R"({"id2label":{"0":"a","00":"b"}})", "\"id2label\": expected each integer once, found \"00\"");
  refused(R"({"top_k":"5"})", "\"top_k\": expected an integer, found \"5\"");
  refused(R"({"strategy":"last"})", "\"strategy\": expected one of \"none\", \"simple\", \"first\", found \"last\"");
}

TEST(Fields, UnknownKeysAreIgnoredUnlessAskedFor) {
  struct Small {
    std::optional<int64_t> top_k = 1;
    bool flag = false;
    void fields(FieldVisitor& f) {
      f("top_k", top_k);
      f("flag", flag);
    }
  } small;
  const Value value = parse_json(R"({"flag":true,"topk":5})", "x");
  FieldReader reader(value, "options");
  small.fields(reader);
  EXPECT_TRUE(small.flag);
  EXPECT_EQ(small.top_k, 1);
  EXPECT_ERROR(ErrorCode::invalid_argument, "unknown key \"topk\": expected one of \"top_k\", \"flag\" (options)",
               reader.reject_unknown());
}

TEST(Fields, ListsTypesDefaultsAndHelp) {
  const std::vector<FieldInfo> rows = list_fields(Options{});
  ASSERT_EQ(rows.size(), 12u);
  std::string types;
  for (const FieldInfo& row : rows) types += row.name + "=" + row.type + (row.optional ? "? " : " ");
  EXPECT_EQ(types,
            "flag=bool count=int eps=float precise=float name=string ids=int list labels=string list id2label=map "
            "any=value top_k=int? function=string? strategy=none|simple|first ");
  EXPECT_EQ(rows[1].help, "how many");
  EXPECT_EQ(rows[9].help, "labels to return");
  EXPECT_EQ(rows[9].value, Value());
  EXPECT_EQ(rows[10].value, Value("softmax"));
  EXPECT_EQ(rows[11].value, Value("simple"));
}

}  // namespace
}  // namespace transformers
