// Finds the paragraphs of a folder's text files (.txt and .md, at any depth) that mean what a question asks, with the
// bundled model of embeddings.
//   build/bin/example_semantic_search docs "Which processors does it run on?" "How is a model added?"
#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>
#include <transformers/transformers.hpp>
#include <vector>

namespace {

struct Paragraph {
  std::string file;
  int line;  // where it begins, from 1
};

// What stands between empty lines, the lines of each joined by spaces: to `paragraphs` where, to `texts` what.
void read(const std::filesystem::path& file, std::vector<Paragraph>& paragraphs, std::vector<std::string>& texts) {
  std::ifstream in(file);
  bool inside = false;
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    const bool empty = line.find_first_not_of(" \t\r") == std::string::npos;
    if (!empty && inside) {
      texts.back() += ' ' + line;
    } else if (!empty) {
      paragraphs.push_back({file.string(), number});
      texts.push_back(line);
    }
    inside = !empty;
  }
}

}  // namespace

int main(int argc, char** argv) try {
  using namespace transformers;
  if (argc < 3) return std::puts("usage: example_semantic_search FOLDER QUESTION..."), 2;
  std::vector<Paragraph> paragraphs;
  std::vector<std::string> texts;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[1])) {
    const auto extension = entry.path().extension();
    if (entry.is_regular_file() && (extension == ".txt" || extension == ".md")) read(entry.path(), paragraphs, texts);
  }
  const auto extract = pipeline<FeatureExtraction>();
  const std::vector<std::vector<float>> known = extract.embed(texts);  // each of length 1: their products are cosines
  for (int q = 2; q < argc; ++q) {
    const std::vector<float> asked = extract.embed(argv[q]);
    std::vector<float> scores;
    for (const auto& e : known) scores.push_back(std::inner_product(e.begin(), e.end(), asked.begin(), 0.0f));
    std::vector<std::size_t> order(known.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    const auto top = order.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(3, order.size()));
    std::partial_sort(order.begin(), top, order.end(), [&](auto a, auto b) { return scores[a] > scores[b]; });
    std::printf("%s\n", argv[q]);
    for (auto i = order.begin(); i != top; ++i) {
      const auto& [file, line] = paragraphs[*i];
      std::printf("%.4f  %s:%d  %.100s\n", scores[*i], file.c_str(), line, texts[*i].c_str());
    }
  }
} catch (const std::exception& e) {
  std::fprintf(stderr, "error: %s\n", e.what());
  return 1;
}
