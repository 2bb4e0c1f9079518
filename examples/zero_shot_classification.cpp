// How well labels of your choice fit a text.
//   build/bin/example_zero_shot_classification bart-large-mnli "My phone is broken again" urgent holiday technology
#include <cstdio>
#include <exception>
#include <transformers/transformers.hpp>

int main(int argc, char** argv) try {
  using namespace transformers;
  if (argc < 4) return std::puts("usage: example_zero_shot_classification MODEL TEXT LABEL..."), 2;
  const auto classify = pipeline<ZeroShotClassification>({.model = argv[1]});
  const auto result = classify(argv[2], {.candidate_labels = {argv + 3, argv + argc}, .multi_label = true});
  for (std::size_t i = 0; i < result.labels.size(); ++i) {
    std::printf("%.4f  %s\n", result.scores[i], result.labels[i].c_str());
  }
} catch (const std::exception& e) {
  std::fprintf(stderr, "error: %s\n", e.what());
  return 1;
}
