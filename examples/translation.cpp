// Translations of the texts on the command line, by the bundled model (English to French) or the one in the environment
// variable MODEL; a model of many languages also needs SRC_LANG and TGT_LANG.
//   build/bin/example_translation "How are you?"
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <transformers/transformers.hpp>

int main(int argc, char** argv) try {
  using namespace transformers;
  const auto variable = [](const char* name) -> std::optional<std::string> {
    const char* value = std::getenv(name);
    return value ? std::optional<std::string>(value) : std::nullopt;
  };
  const auto translate = pipeline<Translation>({.model = variable("MODEL").value_or("")});
  TranslationOptions options;
  options.src_lang = variable("SRC_LANG");
  options.tgt_lang = variable("TGT_LANG");
  options.split_sentences = true;
  for (int i = 1; i < argc; ++i) std::printf("%s\n", translate(argv[i], options)[0].text.c_str());
} catch (const std::exception& e) {
  std::fprintf(stderr, "error: %s\n", e.what());
  return 1;
}
