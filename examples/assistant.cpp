// A language model that answers a request with other models: it plans which pipelines to call, they are called, and it
// answers from what they said. The plan is held to a JSON Schema, so that whatever the model is, it can be carried out:
// its tools are those there are, and its texts words of the request.
//   build/bin/example_assistant "How do I say good morning in French?"
// The bundled model is a small one: set the environment variable MODEL to a better one for better plans.
// Source: the idea is HuggingGPT's, Shen et al. 2023, arXiv:2303.17580.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <set>
#include <sstream>
#include <string>
#include <transformers/transformers.hpp>

namespace {

using namespace transformers;

struct Tool {
  const char *task, *purpose;
  const char *request, *text, *found, *answer;  // an example: what the tool is given then, says, and is made of it
  Value options = {};                           // of each call
};

const Tool kTools[] = {
    {"sentiment-analysis", "is a text POSITIVE or NEGATIVE", "Did she like it? She wrote: what a waste of an evening",
     "what a waste of an evening", "NEGATIVE", "No, she did not like it: what she wrote is negative."},
    {"translation", "an English text in French", "What is 'the soup is cold' in French?", "the soup is cold",
     "La soupe est froide.", "In French it is: La soupe est froide."},
    {"zero-shot-classification", "which topic a text is about", "Which topic is this: the match was lost in extra time",
     "the match was lost in extra time", "sports", "This is about sports.",
     Value::Object{{"candidate_labels", Value::Array{"politics", "sports", "business", "technology", "travel"}}}},
};

std::string report(const std::string& task, const std::string& text, const std::string& found) {
  return task + "(" + quote(text) + ") = " + quote(found) + "\n";
}

// What a step may be given: some words of the request in a row, or the answer of a step before it.
Value::Array texts_of(const std::string& request) {
  std::vector<std::string> words;
  std::istringstream in(request);
  for (std::string word; in >> word;) words.push_back(word);
  std::set<std::string> texts{"$1", "$2"};
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::string text;
    for (std::size_t j = i; j < std::min(words.size(), i + 30); ++j) {
      text += (text.empty() ? "" : " ") + words[j];
      const std::size_t begin = text.find_first_not_of("'\"(");
      const std::size_t end = text.find_last_not_of("'\"),:;");
      if (begin != std::string::npos && begin <= end) texts.insert(text.substr(begin, end - begin + 1));
    }
  }
  return {texts.begin(), texts.end()};
}

// {"steps": [{"task": ..., "text": ...}]}, up to three of them.
Value plan_schema(const std::string& request) {
  Value::Array tasks;
  for (const Tool& tool : kTools) tasks.push_back(tool.task);
  const Value text = Value::Object{{"enum", texts_of(request)}};
  const Value step =
      Value::Object{{"type", "object"},
                    {"properties", Value::Object{{"task", Value::Object{{"enum", tasks}}}, {"text", text}}},
                    {"required", Value::Array{"task", "text"}}};
  const Value steps = Value::Object{{"type", "array"}, {"minItems", 1}, {"maxItems", 3}, {"items", step}};
  return Value::Object{
      {"type", "object"}, {"properties", Value::Object{{"steps", steps}}}, {"required", Value::Array{"steps"}}};
}

// The chat in which a plan is asked for: what there is to call, an example of each, and the request.
Messages plan_chat(const char* request) {
  std::string about = "You plan which tools answer a request. \"$1\" in a text stands for the first answer. Tools:";
  for (const Tool& tool : kTools) about += std::string("\n") + tool.task + ": " + tool.purpose;
  Messages chat{{"system", about}};
  for (const Tool& tool : kTools) {
    const Value step = Value::Object{{"task", tool.task}, {"text", tool.text}};
    chat.push_back({"user", tool.request});
    chat.push_back({"assistant", to_json(Value::Object{{"steps", Value::Array{step}}})});
  }
  chat.push_back({"user", request});
  return chat;
}

// The chat in which the answer is asked for, an example of each tool before it.
Messages answer_chat(const char* request, const std::string& reports) {
  Messages chat{{"system", "You answer a request in one short sentence, from what tools said."}};
  for (const Tool& tool : kTools) {
    chat.push_back({"user", std::string(tool.request) + "\n" + report(tool.task, tool.text, tool.found)});
    chat.push_back({"assistant", tool.answer});
  }
  chat.push_back({"user", std::string(request) + "\n" + reports});
  return chat;
}

// What counts of an answer: the text, or the best label.
std::string brief(const Value& answer) {
  const Value& first = answer.is_array() ? answer.as_array().at(0) : answer;
  if (const Value* text = first.find("translation_text")) return text->as_string();
  if (const Value* label = first.find("label")) return label->as_string();
  return first.at("labels").as_array().at(0).as_string();
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 2) return std::puts("usage: example_assistant REQUEST"), 2;
  const char* model = std::getenv("MODEL");
  const auto think = pipeline<TextGeneration>({.model = model ? model : ""});

  GenerationConfig held{.max_new_tokens = 200, .do_sample = false, .repetition_penalty = 1.0};
  held.json_schema = plan_schema(argv[1]);
  const Value plan = parse_json(think(plan_chat(argv[1]), {.generation = held}).at(0).text, "the plan");

  std::vector<std::string> answers;
  std::string reports;
  for (const Value& step : plan.at("steps").as_array()) {
    const std::string& task = step.at("task").as_string();
    std::string text = step.at("text").as_string();
    for (std::size_t i = answers.size(); i > 0; --i) {  // answers of the steps before
      const std::string name = "$" + std::to_string(i);
      for (std::size_t at = 0; (at = text.find(name, at)) != std::string::npos; at += answers[i - 1].size()) {
        text.replace(at, name.size(), answers[i - 1]);
      }
    }
    for (const Tool& tool : kTools) {
      if (task == tool.task) answers.push_back(brief(pipeline(task)->run({Value(text)}, tool.options).at(0)));
    }
    reports += report(task, text, answers.back());
  }
  std::fputs(reports.c_str(), stdout);
  const GenerationConfig free_form{.max_new_tokens = 60, .do_sample = false, .repetition_penalty = 1.0};
  std::printf("%s\n", think(answer_chat(argv[1], reports), {.generation = free_form}).at(0).text.c_str());
} catch (const std::exception& e) {
  std::fprintf(stderr, "error: %s\n", e.what());
  return 1;
}
