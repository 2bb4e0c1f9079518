// Sorts customers' messages, one a line of standard input: to which department, and whether the writer is annoyed. Two
// of the installed bundled models do it.
//   printf 'The parcel never came, I am furious.\nThank you, the invoice was right.\n' | mail_sorter
#include <cstdio>
#include <exception>
#include <iostream>
#include <string>
#include <transformers/transformers.hpp>
#include <vector>

int main() try {
  using namespace transformers;
  std::vector<std::string> mails;
  for (std::string line; std::getline(std::cin, line);) {
    if (!line.empty()) mails.push_back(line);
  }
  const auto department = pipeline<ZeroShotClassification>();
  const auto sentiment = pipeline<TextClassification>();
  const auto departments = department(mails, {.candidate_labels = {"delivery", "payment", "a broken product"},
                                              .hypothesis_template = "The customer writes about {}."});
  const auto moods = sentiment(mails, {.truncation = true});
  for (std::size_t i = 0; i < mails.size(); ++i) {
    const bool annoyed = moods[i][0].label == "NEGATIVE";
    std::printf("%-17s %-8s %s\n", departments[i].labels[0].c_str(), annoyed ? "annoyed" : "calm", mails[i].c_str());
  }
} catch (const std::exception& e) {
  std::fprintf(stderr, "error: %s\n", e.what());
  return 1;
}
