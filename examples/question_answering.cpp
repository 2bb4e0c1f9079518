// Answers questions from a text on standard input, with where in the text the answer stands.
// By the bundled model, or the one in the environment variable MODEL.
//   build/bin/example_question_answering "Who wrote it?" "When?" < article.txt
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <iterator>
#include <string>
#include <transformers/transformers.hpp>
#include <vector>

int main(int argc, char** argv) try {
  using namespace transformers;
  if (argc < 2) return std::puts("usage: example_question_answering QUESTION... < TEXT"), 2;
  const char* model = std::getenv("MODEL");
  const auto ask = pipeline<QuestionAnswering>({.model = model ? model : ""});
  const std::string context{std::istreambuf_iterator<char>(std::cin), {}};
  const auto answers = ask(std::vector<std::string>(argv + 1, argv + argc), context, {.top_k = 3});
  for (int i = 1; i < argc; ++i) {
    for (const auto& a : answers[static_cast<std::size_t>(i - 1)]) {
      std::printf("%s  %s (%.4f, from %lld)\n", argv[i], a.answer.c_str(), a.score, static_cast<long long>(a.start));
    }
  }
} catch (const std::exception& e) {
  std::fprintf(stderr, "error: %s\n", e.what());
  return 1;
}
