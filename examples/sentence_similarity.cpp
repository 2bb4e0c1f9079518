// Orders the lines of standard input by how close they are in meaning to a sentence, with the bundled model.
//   build/bin/example_sentence_similarity "How do I cook rice?" < questions.txt
#include <algorithm>
#include <cstdio>
#include <exception>
#include <iostream>
#include <numeric>
#include <string>
#include <transformers/transformers.hpp>
#include <vector>

int main(int argc, char** argv) try {
  using namespace transformers;
  if (argc < 2) return std::puts("usage: example_sentence_similarity SENTENCE < LINES"), 2;
  std::vector<std::string> lines;
  for (std::string line; std::getline(std::cin, line);) lines.push_back(line);
  const auto scores = pipeline<SentenceSimilarity>()(argv[1], lines);
  std::vector<std::size_t> order(lines.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  for (const std::size_t i : order) std::printf("%.4f  %s\n", scores[i], lines[i].c_str());
} catch (const std::exception& e) {
  std::fprintf(stderr, "error: %s\n", e.what());
  return 1;
}
