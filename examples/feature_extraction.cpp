// Similarity of the first text to each of the others, by the embeddings of a sentence-transformers directory.
//   build/bin/example_feature_extraction all-MiniLM-L6-v2 "A cat sleeps." "A kitten is napping." "Stocks fell."
#include <cstdio>
#include <exception>
#include <numeric>
#include <string>
#include <transformers/transformers.hpp>
#include <vector>

int main(int argc, char** argv) try {
  using namespace transformers;
  if (argc < 4) return std::puts("usage: example_feature_extraction MODEL TEXT TEXT..."), 2;
  const auto extract = pipeline<FeatureExtraction>({.model = argv[1]});
  const auto embeddings = extract.embed(std::vector<std::string>(argv + 2, argv + argc));
  for (std::size_t i = 1; i < embeddings.size(); ++i) {
    const auto& a = embeddings[0];
    std::printf("%.4f  %s\n", std::inner_product(a.begin(), a.end(), embeddings[i].begin(), 0.0f), argv[i + 2]);
  }
} catch (const std::exception& e) {
  std::fprintf(stderr, "error: %s\n", e.what());
  return 1;
}
