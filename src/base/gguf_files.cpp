// A GGUF file as a model directory: implements ModelFiles::from_path of base/model_files.hpp.
#include <algorithm>
#include <filesystem>
#include <string>
#include <utility>

#include "base/gguf_tokenizer.hpp"
#include "transformers/base/error.hpp"
#include "transformers/base/gguf.hpp"
#include "transformers/base/model_files.hpp"

namespace transformers {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kConfig = "config.json", kTokenizer = "tokenizer.json",
                           kTokenizerConfig = "tokenizer_config.json";

class GgufFiles final : public ModelFiles {
 public:
  GgufFiles(const fs::path& path, MapMode mode)
      : path_(path.string()),
        file_name_(path.filename().string()),
        gguf_(GgufFile::read(MappedFile::open(path_, mode), path_)),
        has_tokenizer_(has_gguf_tokenizer(*gguf_)) {}

  bool has(std::string_view name) const override {
    if (name == kTokenizer || name == kTokenizerConfig) return has_tokenizer_;
    return name == kConfig || name == file_name_;
  }
  std::shared_ptr<const MappedFile> open(std::string_view name) const override {
    if (name == file_name_) return gguf_->file();
    if (!has(name)) throw Error(ErrorCode::not_found, "no such file in the metadata", where(name));
    auto text = std::make_shared<const std::string>(name == kTokenizer         ? gguf_tokenizer_json(*gguf_)
                                                    : name == kTokenizerConfig ? gguf_tokenizer_config(*gguf_)
                                                                               : to_json(gguf_config(*gguf_), 2));
    const std::span<const char> bytes(*text);
    return MappedFile::from_memory(std::as_bytes(bytes), std::move(text));
  }
  std::string where(std::string_view name) const override {
    return name == file_name_ ? path_ : path_ + ": " + std::string(name);
  }
  std::vector<std::string> list() const override {
    std::vector<std::string> names{std::string(kConfig), file_name_};
    if (has_tokenizer_) names.insert(names.end(), {std::string(kTokenizer), std::string(kTokenizerConfig)});
    std::ranges::sort(names);
    return names;
  }
  void check_inside(std::string_view) const override {}
  std::string directory() const override { return path_; }

 private:
  std::string path_, file_name_;
  std::shared_ptr<const GgufFile> gguf_;
  bool has_tokenizer_;
};

bool is_gguf(const fs::path& path) { return path.extension() == ".gguf"; }

}  // namespace

std::shared_ptr<const ModelFiles> ModelFiles::from_path(const std::string& name, MapMode mode) {
  const fs::path path(name);
  std::error_code error;
  if (is_gguf(path) && !fs::is_directory(path, error)) return std::make_shared<GgufFiles>(path, mode);
  auto files = from_directory(name, mode);
  if (files->has(kConfig)) return files;
  std::vector<fs::path> found;
  for (const fs::directory_entry& entry : fs::directory_iterator(path, error)) {
    if (is_gguf(entry.path()) && entry.is_regular_file(error)) found.push_back(entry.path());
  }
  if (found.size() == 1) return std::make_shared<GgufFiles>(found.front(), mode);
  return files;
}

}  // namespace transformers
