// Goes on from the text on the command line, printing as it is made, by the bundled model (or the one in the
// environment variable MODEL). A model with a chat template answers it instead.
//   build/bin/example_text_generation "Tell me a story about a dog."
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <transformers/transformers.hpp>

int main(int argc, char** argv) try {
  using namespace transformers;
  if (argc != 2) return std::puts("usage: example_text_generation TEXT"), 2;
  const char* model = std::getenv("MODEL");
  const auto generate = pipeline<TextGeneration>({.model = model ? model : ""});
  TextGeneration::Options options{.generation = {.max_new_tokens = 100, .do_sample = false}};
  options.on_text = [](std::string_view piece) {
    std::printf("%.*s", static_cast<int>(piece.size()), piece.data());
    return std::fflush(stdout) == 0;
  };
  if (!generate.tokenizer().chat_template_names().empty()) {
    generate(Messages{{"user", argv[1]}}, options);
  } else {
    std::fputs(argv[1], stdout);
    generate(argv[1], options);
  }
  std::puts("");
} catch (const std::exception& e) {
  std::fprintf(stderr, "error: %s\n", e.what());
  return 1;
}
