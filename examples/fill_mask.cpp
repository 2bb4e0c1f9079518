// Finds words for the masks in a text.
//   build/bin/example_fill_mask bert-base-uncased "The capital of France is [MASK]."
#include <cstdio>
#include <exception>
#include <transformers/transformers.hpp>

int main(int argc, char** argv) try {
  using namespace transformers;
  if (argc < 3) return std::puts("usage: example_fill_mask MODEL TEXT"), 2;
  const auto fill = pipeline<FillMask>({.model = argv[1]});
  for (const auto& mask : fill(argv[2], {.top_k = 5})) {
    for (const auto& f : mask) std::printf("%.4f  %-12s %s\n", f.score, f.token_str.c_str(), f.sequence.c_str());
    std::puts("");
  }
} catch (const std::exception& e) {
  std::fprintf(stderr, "error: %s\n", e.what());
  return 1;
}
