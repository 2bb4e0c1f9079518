// Orders passages by how well they answer a query, by a cross-encoder that reads each pair of texts together.
//   build/bin/example_reranking ms-marco-MiniLM-L6-v2 "How many people live in Berlin?" "Berlin has 3.7 million."
//   "Rye."
#include <algorithm>
#include <cstdio>
#include <exception>
#include <transformers/transformers.hpp>
#include <utility>
#include <vector>

int main(int argc, char** argv) try {
  using namespace transformers;
  if (argc < 4) return std::puts("usage: example_reranking MODEL QUERY PASSAGE..."), 2;
  const auto score = pipeline<TextClassification>({.model = argv[1]});
  std::vector<TextInput> pairs;
  for (int i = 3; i < argc; ++i) pairs.emplace_back(argv[2], argv[i]);
  const auto labels = score(std::span<const TextInput>(pairs), {.truncation = true});
  std::vector<std::pair<float, const char*>> ranked;
  for (std::size_t i = 0; i < pairs.size(); ++i) ranked.emplace_back(labels[i].at(0).score, argv[i + 3]);
  std::stable_sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  for (const auto& [relevance, passage] : ranked) std::printf("%.4f  %s\n", relevance, passage);
} catch (const std::exception& e) {
  std::fprintf(stderr, "error: %s\n", e.what());
  return 1;
}
