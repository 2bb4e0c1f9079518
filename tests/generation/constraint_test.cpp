// Grammars and constraints: which texts they accept, what they refuse by name, and that whatever a model makes under
// one is a text of it.
#include "transformers/generation/constraint.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>

#include "support.hpp"
#include "transformers/generation/generate.hpp"
#include "transformers/generation/sampling.hpp"
#include "transformers/models/pretrained_model.hpp"

namespace transformers {
namespace {

// Every byte a token.
std::vector<std::string> bytes() {
  std::vector<std::string> all;
  for (int b = 0; b < 256; ++b) all.emplace_back(1, static_cast<char>(b));
  return all;
}

bool accepts(const Grammar& grammar, std::string_view text) {
  const Constraint constraint(grammar, bytes());
  std::vector<int64_t> ids;
  for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
  return constraint.accepts(ids);
}

void expect(const Grammar& grammar, std::initializer_list<std::string_view> good,
            std::initializer_list<std::string_view> bad) {
  for (const std::string_view text : good) EXPECT_TRUE(accepts(grammar, text)) << text;
  for (const std::string_view text : bad) EXPECT_FALSE(accepts(grammar, text)) << text;
}

Grammar schema(std::string_view text) { return Grammar::from_json_schema(parse_json(text, "schema")); }

TEST(Grammar, RegularExpressions) {
  expect(Grammar::from_regex("ab*c+d?"), {"ac", "abbbccd"}, {"", "a", "abd", "acdd"});
  expect(Grammar::from_regex("^(?:foo|ba[rz]){2,3}$"), {"foofoo", "barbazfoo"}, {"foo", "foofoofoofoo", "bat"});
  expect(Grammar::from_regex("\\d{3}-\\w+\\s?"), {"123-a_9", "000-Z "}, {"12-a", "123-"});
  expect(Grammar::from_regex("[^a-c\\]\\-x]"), {"d", "\xC3\xA9", "\n"}, {"a", "]", "-", "x", "", "de"});
  expect(Grammar::from_regex("."), {"a", "\xE4\xB8\xAD", "\xF0\x9F\x91\xA8"}, {"\n", "", "ab", "\xE4\xB8"});
  expect(Grammar::from_regex("[\\u00e0-\\u4e2d]"), {"\xC3\xA0", "\xE4\xB8\xAD", "\xE1\x80\x80"},
         {"a", "\xE4\xB8\xAE", "\xC3\x9F"});
  expect(Grammar::from_regex("(a*)*b|"), {"", "b", "aaab"}, {"a"});
  expect(Grammar::from_regex("a{2}b{2,}?\\.\\x41"), {"aabb.A", "aabbbb.A"}, {"aab.A", "aabbxA"});
}

TEST(Grammar, WhatRegularExpressionsDoNotKnowIsNamed) {
  EXPECT_ERROR(ErrorCode::unsupported, "\\b is not supported at character 2 (regex)", Grammar::from_regex("a\\b"));
  for (const char* pattern :
       {"(?=a)", "(?!a)", "(?<=a)", "a(?i)b", "(a)\\1", "\\pL", "a*+", "a^b", "a$b", "(a$)", "[[:alpha:]]"}) {
    try {
      Grammar::from_regex(pattern);
      ADD_FAILURE() << pattern;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::unsupported) << pattern << ": " << error.what();
    }
  }
  for (const char* pattern : {"(a", "a)", "[a", "*a", "a**", "a{3,2}", "\\", "[b-a]", "a{x}", "\\x4", "\xFF"}) {
    try {
      Grammar::from_regex(pattern);
      ADD_FAILURE() << pattern;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::invalid_argument) << pattern << ": " << error.what();
    }
  }
  EXPECT_ERROR(ErrorCode::limit, "more than 100000 repetitions at character 8 (regex)",
               Grammar::from_regex("a{1000000}"));
  EXPECT_THROW(Grammar::from_regex("((((a{1000}){1000}){1000}){1000}){1000}b{99999}" + std::string(300, '(')), Error);
}

TEST(Grammar, Gbnf) {
  const Grammar sums = Grammar::from_gbnf(
      "# sums\nroot ::= sum\nsum ::= product (\"+\" product)*\nproduct ::= atom (\"*\" atom)*\n"
      "atom ::= [0-9]+ |\n  \"(\" sum \")\"  # in brackets\n");
  expect(sums, {"1", "1+2*3", "(1+2)*(3+(4))"}, {"", "1+", "(1", "()", "1**2"});
  expect(Grammar::from_gbnf("root ::= \"a\\n\\\"\\x41\" [^\"\\n]{2,3} b?\nb ::= \"\\u00e9\""),
         {"a\n\"Axy", "a\n\"Axyz\xC3\xA9"}, {"a\n\"Ax", "a\n\"Ax\"y"});
  EXPECT_ERROR(ErrorCode::unsupported, "a rule begins with itself (left recursion) (sum)",
               Grammar::from_gbnf("root ::= sum\nsum ::= sum \"+\" \"1\" | \"1\""));
  EXPECT_ERROR(ErrorCode::unsupported, "a rule begins with itself (left recursion) (b)",
               Grammar::from_gbnf("root ::= b\nb ::= \"x\"* c \"y\"\nc ::= b \"z\" | \"z\""));
  EXPECT_ERROR(ErrorCode::invalid_argument, "there is no rule \"c\" (grammar)", Grammar::from_gbnf("root ::= c"));
  EXPECT_ERROR(ErrorCode::invalid_argument, "there is no rule \"root\" (grammar)", Grammar::from_gbnf("a ::= \"c\""));
  EXPECT_ERROR(ErrorCode::invalid_argument, "a '\"' without its end (grammar: line 2)",
               Grammar::from_gbnf("\nroot ::= \"c"));
}

TEST(Grammar, JsonSchemas) {
  expect(
      schema(
          R"({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}, "required": ["a"]})"),
      {R"({"a":1})", R"({"a": -20, "b": "x\n\u00e9"})"},
      {"{}", R"({"b":"x"})", R"({"a":1.5})", R"({"a":1,})", R"({"a":01})"});
  expect(schema(R"({"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 3})"),
         {"[true]", "[true, false,true]"}, {"[]", "[true,true,true,true]", "[1]"});
  expect(schema(R"({"prefixItems": [{"const": 1}, {"enum": ["x", null]}], "items": false})"),
         {"[]", "[1]", "[1,\"x\"]", "[1,null]"}, {"[2]", "[1,\"x\",1]"});
  expect(schema(R"({"prefixItems": [{"const": 1}], "items": {"type": "null"}, "minItems": 2, "maxItems": 3})"),
         {"[1,null]", "[1,null,null]"}, {"[1]", "[]", "[1,null,null,null]"});
  expect(schema(R"({"type": "integer", "minimum": -12, "exclusiveMaximum": 205})"),
         {"-12", "-1", "0", "9", "10", "99", "100", "199", "204"}, {"-13", "-0", "205", "300", "1000", "007"});
  expect(schema(R"({"type": "number", "exclusiveMinimum": 0, "maximum": 2})"), {"1", "2", "0.5", "1.25"},
         {"0", "2.5", "0.0", "-1", "3", "2.1"});
  expect(schema(R"({"type": "string", "minLength": 2, "maxLength": 3})"), {"\"ab\"", "\"\\n\xC3\xA9z\""},
         {"\"a\"", "\"abcd\""});
  expect(schema(R"({"type": "string", "pattern": "^a[\"\\\\]b$"})"), {R"("a\"b")", R"("a\\b")"},
         {R"("ab")", R"("a"b")"});
  expect(schema(R"({"type": "string", "pattern": "b"})"), {R"("b")", R"("xxby")"}, {R"("")", R"("xa")"});
  expect(schema(R"({"type": "string", "format": "date"})"), {"\"2024-02-28\""}, {"\"2024-13-01\"", "\"24-01-01\""});
  expect(schema(R"({"anyOf": [{"type": "null"}, {"type": "string", "maxLength": 0}]})"), {"null", "\"\""}, {"1"});
  expect(schema(R"({"type": ["string", "null"], "maxLength": 1})"), {"null", "\"x\""}, {"\"xy\"", "1"});
  expect(
      schema(
          R"({"type": "object", "additionalProperties": {"type": "integer"}, "properties": {"ab": {"type": "null"}, "ac": true}, "required": ["ac"]})"),
      {R"({"ac":"s"})", R"({"ab":null,"ac":1,"abc":2,"a":3,"b":4})"}, {R"({"ac":1,"ab":2})", R"({"ac":1,"q":"s"})"});
  expect(
      schema(
          R"({"$defs": {"node": {"type": "object", "properties": {"v": {"type": "integer"}, "next": {"$ref": "#/$defs/node"}}, "additionalProperties": false, "required": ["v"]}}, "$ref": "#/$defs/node"})"),
      {R"({"v":1,"next":{"v":2,"next":{"v":3}}})"}, {R"({"v":1,"next":{}})"});
  expect(
      schema(
          R"({"allOf": [{"type": "object", "properties": {"a": {"minimum": 0, "type": "integer"}}, "required": ["a"]}, {"properties": {"a": {"maximum": 3}}}]})"),
      {R"({"a":3})"}, {R"({"a":4})", "{}"});
  expect(schema("true"), {"null", "[1, {\"a\":[]}]", "-1.5e10"}, {"", "tru", "[1,]"});
}

TEST(Grammar, WhatSchemasAskBeyondWhatIsKnownIsNamed) {
  EXPECT_ERROR(ErrorCode::unsupported, "\"not\" is not supported (json_schema: #/properties/a)",
               schema(R"({"properties": {"a": {"not": {"type": "null"}}}})"));
  EXPECT_ERROR(ErrorCode::unsupported,
               "oneOf whose alternatives 0 and 1 may accept the same value is not supported (json_schema: #/oneOf)",
               schema(R"({"oneOf": [{"type": "integer"}, {"type": "number"}]})"));
  for (const char* text :
       {R"({"multipleOf": 3})", R"({"type": "array", "uniqueItems": true})", R"({"patternProperties": {}})",
        R"({"if": true})", R"({"$ref": "http://x/y"})", R"({"format": "ipv6"})", R"({"contains": true})",
        R"({"pattern": "a", "maxLength": 3})", R"({"type": "number", "minimum": 0.2, "maximum": 0.7})",
        R"({"type": "object", "minProperties": 3})", R"({"unheard": 1})"}) {
    try {
      schema(text);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::unsupported) << text << ": " << error.what();
    }
  }
  for (const char* text :
       {"false", "3", R"({"type": "text"})", R"({"minimum": 3, "maximum": 2, "type": "integer"})", R"({"$ref": "#/a"})",
        R"({"enum": []})", R"({"required": ["a"], "additionalProperties": false})", R"({"minLength": -1})"}) {
    try {
      schema(text);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::invalid_argument) << text << ": " << error.what();
    }
  }
  EXPECT_ERROR(ErrorCode::invalid_argument, "no text satisfies it that the tokens of this model can write (constraint)",
               Constraint(schema(R"({"$ref": "#"})"), bytes()));
}

// ---- What is made under a constraint --------------------------------------------------------------------------------

// The part of JSON Schema that the schemas below use.
bool valid(const Value& s, const Value& v, const Value& root) {
  if (s.is_boolean()) return s.as_boolean();
  if (const Value* to = s.find("$ref")) return valid(root.at("$defs").at(to->as_string().substr(8)), v, root);
  if (const Value* any = s.find("anyOf")) {
    return std::any_of(any->as_array().begin(), any->as_array().end(),
                       [&](const Value& a) { return valid(a, v, root); });
  }
  if (const Value* list = s.find("enum")) {
    return std::find(list->as_array().begin(), list->as_array().end(), v) != list->as_array().end();
  }
  if (const Value* constant = s.find("const")) return *constant == v;
  const auto number = [&](const char* key, double otherwise) {
    const Value* n = s.find(key);
    return n == nullptr ? otherwise : n->as_number();
  };
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const std::string type = s.at("type").as_string();
  if (type == "null") return v.is_null();
  if (type == "boolean") return v.is_boolean();
  if (type == "integer" || type == "number") {
    return v.is_number() && (type == "number" || v.is_integer()) && v.as_number() >= number("minimum", -kInfinity) &&
           v.as_number() <= number("maximum", kInfinity) && v.as_number() < number("exclusiveMaximum", kInfinity);
  }
  if (type == "string") {
    if (!v.is_string()) return false;
    double length = 0;
    for (const char c : v.as_string()) length += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    return length >= number("minLength", 0) && length <= number("maxLength", kInfinity);
  }
  if (type == "array") {
    if (!v.is_array()) return false;
    const double size = static_cast<double>(v.as_array().size());
    return size >= number("minItems", 0) && size <= number("maxItems", kInfinity) &&
           std::all_of(v.as_array().begin(), v.as_array().end(),
                       [&](const Value& x) { return valid(s.at("items"), x, root); });
  }
  if (!v.is_object()) return false;
  const Value* required = s.find("required");
  for (const Value& key : required ? required->as_array() : Value::Array{}) {
    if (v.find(key.as_string()) == nullptr) return false;
  }
  const Value* properties = s.find("properties");
  const Value* others = s.find("additionalProperties");
  for (const auto& [key, x] : v.as_object()) {
    const Value* own = properties ? properties->find(key) : nullptr;
    if (own ? !valid(*own, x, root) : others != nullptr && !valid(*others, x, root)) return false;
  }
  return true;
}

const char* const kSchemas[] = {
    R"({"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0, "maximum": 150}}, "required": ["name", "age"]})",
    R"({"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 5})",
    R"({"type": "object", "properties": {"a": {"type": "boolean"}, "b": {"type": "null"}, "c": {"enum": ["x", 1, null, "y z"]}}, "additionalProperties": false})",
    R"({"type": "string", "minLength": 3, "maxLength": 9})",
    R"({"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "string"}}, {"const": {"k": [1, 2]}}]})",
    R"({"$defs": {"tree": {"type": "object", "properties": {"v": {"type": "integer"}, "kids": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}, "required": ["v", "kids"], "additionalProperties": false}}, "$ref": "#/$defs/tree"})",
    R"({"type": "object", "additionalProperties": {"type": "string", "maxLength": 4}, "maxProperties": 1})",
    R"({"type": "number", "minimum": -2, "exclusiveMaximum": 1000})",
    R"({"type": "object", "properties": {"items": {"type": "array", "items": {"type": "object", "properties": {"id": {"type": "integer", "minimum": 1}, "tag": {"type": "string"}}, "required": ["id"]}}, "total": {"type": "number"}}, "required": ["items", "total"]})",
    R"({"type": "object", "properties": {"o1": {"type": "string"}, "o2": {"type": "string"}, "o3": {"type": "string"}, "o4": {"type": "string"}}})",
    R"({"type": "array", "items": {"type": "array", "items": {"type": "boolean"}}})",
    R"({"enum": [true, false, "maybe", 3.5, {"a": []}]})",
    R"({"type": "integer", "minimum": -999, "maximum": -7})",
    R"({"type": "object", "properties": {"x": {"type": "object", "properties": {"y": {"type": "object", "properties": {"z": {"type": "integer"}}, "required": ["z"]}}, "required": ["y"]}}, "required": ["x"]})",
    R"({"type": "string"})",
    R"({"type": "array", "items": {"anyOf": [{"type": "null"}, {"type": "number"}]}, "minItems": 1})",
    R"({"type": "object", "properties": {"\"q\"\\": {"type": "boolean"}, "\u00e9": {"type": "null"}}, "required": ["\"q\"\\", "\u00e9"]})",
    R"({"type": "object", "additionalProperties": {"type": "integer"}, "properties": {"id": {"type": "string"}, "idx": {"type": "null"}}, "required": ["id"], "maxProperties": 3})",
    R"({"type": "boolean"})",
    R"({"type": "object", "properties": {"l": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 2}}, "required": ["l"]})"};

// A tiny model with random weights, whose 67 tokens are the characters of JSON and some pieces; id 0 ends.
std::vector<std::string> tiny_vocabulary() {
  std::vector<std::string> texts{"</s>"};
  for (const char c : std::string_view("{}[]\":,.-+0123456789 abcdefgilmnoprstuxyzkqvEhj\\/\n"))
    texts.emplace_back(1, c);
  for (const char* piece :
       {"\": \"", "true", "\xC3", "\xA9", "\",\"", "null", "fal", "\xE4\xB8\xAD", "\\u00", "]]", "}}", "12"}) {
    texts.emplace_back(piece);
  }
  texts.resize(67);
  return texts;
}

TEST(Constraint, TwoHundredRunsOfARandomModelGiveValidJson) {
  const auto model = PretrainedModel::from_pretrained(std::string(TCPP_TEST_DATA) + "/models/gpt2/lm");
  const std::vector<std::string> texts = tiny_vocabulary();
  const std::vector<int32_t> special{0};
  std::vector<GenerationRequest> requests;
  std::vector<Value> schemas;
  for (const char* text : kSchemas) {
    const Value parsed = parse_json(text, "schema");
    const auto constraint = std::make_shared<Constraint>(Grammar::from_json_schema(parsed), texts, special);
    for (int64_t seed = 0; seed < 10; ++seed) {
      GenerationRequest request;
      request.input_ids = {seed + 1, 5};
      request.constraint = constraint;
      request.config =
          GenerationConfig().with(Value(Value::Object{{"max_new_tokens", seed == 9 ? 38 : 36},
                                                      {"do_sample", seed < 8},
                                                      {"temperature", 1.0 + 0.3 * static_cast<double>(seed)},
                                                      {"num_beams", seed == 9 ? 3 : 1},
                                                      {"eos_token_id", 0},
                                                      {"pad_token_id", 1},
                                                      {"seed", seed}}));
      requests.push_back(std::move(request));
      schemas.push_back(parsed);
    }
  }
  const std::vector<GenerationResult> results = generate(*model, requests);
  for (std::size_t i = 0; i < results.size(); ++i) {
    SCOPED_TRACE("schema " + std::to_string(i / 10) + ", seed " + std::to_string(i % 10));
    ASSERT_FALSE(results[i].error) << results[i].error->what();
    std::string text;
    const std::vector<int64_t>& ids = results[i].sequences.at(0).ids;
    for (std::size_t k = 2; k < ids.size() && ids[k] != 0; ++k) text += texts[static_cast<std::size_t>(ids[k])];
    Value made;
    ASSERT_NO_THROW(made = parse_json(text, "answer")) << text;
    EXPECT_TRUE(valid(schemas[i], made, schemas[i])) << text;
  }
}

TEST(Constraint, EndsInTimeAndOnlyWhereTheTextIsComplete) {
  const Constraint constraint(Grammar::from_regex("a{2,8}b"), {"", "a", "b", "aa", "ab", "x"});
  const std::vector<int64_t> eos{0};
  const auto allowed = [&](std::vector<int64_t> ids, int64_t left) {
    std::vector<float> scores(7, 1.0f);
    constraint.apply(ids, left, eos, scores);
    std::string all;
    for (std::size_t i = 0; i < scores.size(); ++i) all += scores[i] == 1.0f ? std::to_string(i) : "";
    return all;
  };
  EXPECT_EQ(allowed({}, 100), "13");
  EXPECT_EQ(allowed({1}, 100), "134");
  EXPECT_EQ(allowed({3}, 100), "1234");
  EXPECT_EQ(allowed({3, 2}, 100), "0");
  EXPECT_EQ(allowed({3}, 1), "24");    // ends now
  EXPECT_EQ(allowed({}, 2), "3");      // "aa", "b"
  EXPECT_EQ(allowed({}, 1), "3");      // too late: the nearest to an end
  EXPECT_EQ(allowed({3, 0}, 5), "0");  // behind the end
  EXPECT_EQ(allowed({3, 3, 3, 3}, 5), "2");
}

TEST(Constraint, WhatRequestsLackIsNamed) {
  const auto model = PretrainedModel::from_pretrained(std::string(TCPP_TEST_DATA) + "/models/gpt2/lm");
  GenerationRequest request;
  request.input_ids = {1, 2};
  request.config = GenerationConfig().with(Value(Value::Object{{"max_new_tokens", 5}, {"regex", "a"}}));
  EXPECT_ERROR(ErrorCode::invalid_argument, "it needs the tokenizer, which token ids alone do not bring (regex)",
               Engine(*model).submit(request, {}));
  request.constraint = std::make_shared<Constraint>(Grammar::from_regex("a"), bytes());
  EXPECT_ERROR(ErrorCode::invalid_argument, "a constraint needs an eos_token_id to end the text with (eos_token_id)",
               Engine(*model).submit(request, {}));
  request.config.grammar = "root ::= \"a\"";
  EXPECT_ERROR(ErrorCode::invalid_argument, "an answer has one constraint, and \"regex\" is set too (grammar)",
               Engine(*model).submit(request, {}));
  EXPECT_ERROR(ErrorCode::invalid_argument, "no text satisfies it that the tokens of this model can write (constraint)",
               Constraint(Grammar::from_regex("[0-9]"), {"a", "b"}));
}

}  // namespace
}  // namespace transformers
