// Summaries of the texts on the command line, by the bundled model (a sentence each) or the one in the environment
// variable MODEL.
//   build/bin/example_summarization "A long story ..."
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <transformers/transformers.hpp>

int main(int argc, char** argv) try {
  using namespace transformers;
  const char* model = std::getenv("MODEL");
  const auto answer = pipeline<Summarization>({.model = model ? model : ""});
  for (int i = 1; i < argc; ++i) {
    for (const GeneratedText& text : answer(argv[i], {.generation = {.max_new_tokens = 60}})) {
      std::printf("%s\n", text.text.c_str());
    }
  }
} catch (const std::exception& e) {
  std::fprintf(stderr, "error: %s\n", e.what());
  return 1;
}
