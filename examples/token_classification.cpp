// Names in the texts on the command line, found by a token classification model.
//   build/bin/example_token_classification bert-base-NER "Ada Lovelace lived in London."
#include <cstdio>
#include <exception>
#include <transformers/transformers.hpp>

int main(int argc, char** argv) try {
  using namespace transformers;
  if (argc < 3) return std::puts("usage: example_token_classification MODEL TEXT..."), 2;
  const auto tag = pipeline<TokenClassification>({.model = argv[1]});
  for (int i = 2; i < argc; ++i) {
    for (const auto& e : tag(argv[i], {.aggregation_strategy = AggregationStrategy::first, .stride = 16})) {
      std::printf("%-6s %.4f  %3lld-%-3lld  %s\n", e.entity.c_str(), e.score, static_cast<long long>(e.start),
                  static_cast<long long>(e.end), e.word.c_str());
    }
  }
} catch (const std::exception& e) {
  std::fprintf(stderr, "error: %s\n", e.what());
  return 1;
}
