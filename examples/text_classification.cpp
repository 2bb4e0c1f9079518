// Sentiment of the texts on the command line, by the bundled model (or the one in the environment variable MODEL).
//   build/bin/example_text_classification "I love C++" "The build is broken again"
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <transformers/transformers.hpp>

int main(int argc, char** argv) try {
  using namespace transformers;
  const char* model = std::getenv("MODEL");
  const auto classify = pipeline<TextClassification>({.model = model ? model : ""});
  for (int i = 1; i < argc; ++i) {
    for (const auto& [label, score] : classify(argv[i], {.top_k = std::nullopt})) {
      std::printf("%-10s %.4f  %s\n", label.c_str(), score, argv[i]);
    }
  }
} catch (const std::exception& e) {
  std::fprintf(stderr, "error: %s\n", e.what());
  return 1;
}
