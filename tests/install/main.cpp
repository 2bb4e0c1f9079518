// What a program that uses the library looks like from outside: the tests build it against the installed package, as a
// subproject and through pkg-config.
// Usage: consumer MODEL_DIR
#include <transformers/transformers.hpp>

#include <cstdio>
#include <string_view>

int main(int argc, char** argv) {
  if (argc != 2 || std::string_view(transformers::version()) != TCPP_VERSION_STRING) return 2;
  try {
    const auto classify = transformers::pipeline<transformers::TextClassification>({.model = argv[1]});
    for (const auto& [label, score] : classify("I loved every minute of it")) {
      std::printf("%s %.4f\n", label.c_str(), static_cast<double>(score));
      if (label != "POSITIVE") return 1;
    }
  } catch (const transformers::Error& error) {
    std::printf("error: %s\n", error.what());
    return 1;
  }
  return 0;
}
