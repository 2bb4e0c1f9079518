// Answers questions from a text on standard input, with where in the text the answer stands.
//   build/bin/example_question_answering distilbert-base-cased-distilled-squad "Who wrote it?" "When?" < article.txt
#include <cstdio>
#include <exception>
#include <iostream>
#include <iterator>
#include <string>
#include <transformers/transformers.hpp>
#include <vector>

int main(int argc, char** argv) try {
  using namespace transformers;
  if (argc < 3) return std::puts("usage: example_question_answering MODEL QUESTION... < TEXT"), 2;
  const auto ask = pipeline<QuestionAnswering>({.model = argv[1]});
  const std::string context{std::istreambuf_iterator<char>(std::cin), {}};
  const auto answers = ask(std::vector<std::string>(argv + 2, argv + argc), context, {.top_k = 3});
  for (int i = 2; i < argc; ++i) {
    for (const auto& a : answers[static_cast<std::size_t>(i - 2)]) {
      std::printf("%s  %s (%.4f, from %lld)\n", argv[i], a.answer.c_str(), a.score, static_cast<long long>(a.start));
    }
  }
} catch (const std::exception& e) {
  std::fprintf(stderr, "error: %s\n", e.what());
  return 1;
}
