// Implements models/locate.hpp.
#include "transformers/models/locate.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "transformers/base/error.hpp"
#include "transformers/base/platform.hpp"

namespace transformers {
namespace {

// Set by CMake: the directories of this build, separated by ';'.
constexpr std::string_view kBuildDirectories = TCPP_BUNDLED_MODELS_DIRS;

std::vector<std::filesystem::path> bundled_directories() {
  std::vector<std::filesystem::path> out;
  if (const char* env = std::getenv("TCPP_MODELS_DIR"); env != nullptr && *env != '\0') out.emplace_back(env);
  if (const std::filesystem::path program = executable_path(); !program.empty()) {
    out.push_back(program.parent_path().parent_path() / "share" / "transformers" / "models");
  }
  for (std::size_t begin = 0; begin < kBuildDirectories.size();) {
    const std::size_t end = std::min(kBuildDirectories.find(';', begin), kBuildDirectories.size());
    if (end > begin) out.emplace_back(kBuildDirectories.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

}  // namespace

std::string find_model(std::string_view name) {
  const std::filesystem::path path(name);
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return path.string();
  if (path.extension() == ".gguf" && std::filesystem::exists(path, error)) return path.string();
  if (std::filesystem::exists(path, error)) {
    throw Error(ErrorCode::invalid_argument,
                "expected a directory in Hugging Face layout or a .gguf file, found another file", path.string());
  }
  // Only a plain name can be a bundled model: nothing that walks the file system.
  const bool plain =
      !name.empty() && name.find_first_of("/\\:") == std::string_view::npos && name != "." && name != "..";
  std::string looked;
  if (plain) {
    for (const std::filesystem::path& directory : bundled_directories()) {
      if (std::filesystem::is_directory(directory / path, error)) return (directory / path).string();
      looked += (looked.empty() ? "" : ", ") + directory.string();
    }
  }
  throw Error(ErrorCode::not_found,
              "no such directory" + (plain ? ", and no bundled model of that name in " + looked : std::string()),
              std::string(name));
}

}  // namespace transformers
