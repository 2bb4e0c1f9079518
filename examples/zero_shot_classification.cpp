// How well labels of your choice fit a text, by the bundled model (or the one in the environment variable MODEL).
//   build/bin/example_zero_shot_classification "My phone is broken again" urgent holiday technology
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <transformers/transformers.hpp>

int main(int argc, char** argv) try {
  using namespace transformers;
  if (argc < 3) return std::puts("usage: example_zero_shot_classification TEXT LABEL..."), 2;
  const char* model = std::getenv("MODEL");
  const auto classify = pipeline<ZeroShotClassification>({.model = model ? model : ""});
  const auto result = classify(argv[1], {.candidate_labels = {argv + 2, argv + argc}, .multi_label = true});
  for (std::size_t i = 0; i < result.labels.size(); ++i) {
    std::printf("%.4f  %s\n", result.scores[i], result.labels[i].c_str());
  }
} catch (const std::exception& e) {
  std::fprintf(stderr, "error: %s\n", e.what());
  return 1;
}
