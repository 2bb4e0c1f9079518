// Names in the texts on the command line, by the bundled model (or the one in the environment variable MODEL).
//   build/bin/example_token_classification "Ada Lovelace lived in London."
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <transformers/transformers.hpp>

int main(int argc, char** argv) try {
  using namespace transformers;
  const char* model = std::getenv("MODEL");
  const auto tag = pipeline<TokenClassification>({.model = model ? model : ""});
  for (int i = 1; i < argc; ++i) {
    for (const auto& e : tag(argv[i], {.aggregation_strategy = AggregationStrategy::first, .stride = 16})) {
      std::printf("%-6s %.4f  %3lld-%-3lld  %s\n", e.entity.c_str(), e.score, static_cast<long long>(e.start),
                  static_cast<long long>(e.end), e.word.c_str());
    }
  }
} catch (const std::exception& e) {
  std::fprintf(stderr, "error: %s\n", e.what());
  return 1;
}
