// Implements base/model_files.hpp.
#include "transformers/base/model_files.hpp"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "transformers/base/error.hpp"
#include "transformers/base/value.hpp"

namespace transformers {
namespace {

namespace fs = std::filesystem;

void check_name(std::string_view name, const std::string& where) {
  bool fine = !name.empty() && name.find_first_of(std::string_view("\\:\0", 3)) == name.npos;
  for (std::string_view rest = name; fine;) {
    const std::size_t slash = rest.find('/');
    const std::string_view part = rest.substr(0, slash);
    fine = !part.empty() && part != "." && part != "..";
    if (slash == rest.npos) break;
    rest.remove_prefix(slash + 1);
  }
  if (!fine) {
    throw Error(ErrorCode::security,
                "the file name " + quote(name) + " could leave the model directory: expected a plain relative path",
                where);
  }
}

bool is_below(const fs::path& path, const fs::path& directory) {
  return std::mismatch(directory.begin(), directory.end(), path.begin(), path.end()).first == directory.end();
}

class DirectoryFiles final : public ModelFiles {
 public:
  DirectoryFiles(fs::path directory, MapMode mode) : directory_(std::move(directory)), mode_(mode) {}

  bool has(std::string_view name) const override {
    std::error_code ignored;
    const fs::file_status status = fs::status(path(name), ignored);
    return fs::exists(status) && !fs::is_directory(status);
  }
  std::shared_ptr<const MappedFile> open(std::string_view name) const override {
    return MappedFile::open(path(name), mode_);
  }
  std::string where(std::string_view name) const override { return path(name).string(); }

  std::vector<std::string> list() const override {
    std::vector<std::string> names;
    list_folder(directory_, "", 1, names);
    std::sort(names.begin(), names.end());
    return names;
  }

  void check_inside(std::string_view name) const override {
    std::error_code error;
    const fs::path root = fs::canonical(directory_, error), target = fs::canonical(path(name), error);
    if (error || is_below(target, root)) return;  // an absent file is for open() to report
    // In the cache, models--x/snapshots/<revision> holds links into models--x/blobs.
    for (fs::path folder = root; folder.has_relative_path(); folder = folder.parent_path()) {
      if (folder.filename() == "snapshots" && is_below(target, folder.parent_path() / "blobs")) return;
    }
    throw Error(ErrorCode::security,
                "the file " + quote(name) + " is a link that leaves the model directory, to " + quote(target.string()),
                directory_.string());
  }
  std::string directory() const override { return directory_.string(); }

 private:
  fs::path path(std::string_view name) const {
    check_name(name, directory_.string());
    return directory_ / fs::path(name);
  }
  static void list_folder(const fs::path& folder, const std::string& prefix, int folders_below,
                          std::vector<std::string>& names) {
    std::error_code error;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
      std::error_code ignored;
      const std::string name = prefix + entry->path().filename().string();
      if (!entry->is_directory(ignored)) {
        names.push_back(name);
      } else if (folders_below > 0) {
        list_folder(entry->path(), name + "/", folders_below - 1, names);
      }
    }
  }

  fs::path directory_;
  MapMode mode_;
};

class MemoryFiles final : public ModelFiles {
 public:
  using Files = std::map<std::string, std::shared_ptr<const MappedFile>, std::less<>>;
  explicit MemoryFiles(Files files) : files_(std::move(files)) {
    for (const auto& [name, file] : files_) {
      check_name(name, {});
      if (!file) throw Error(ErrorCode::invalid_argument, "the file " + quote(name) + " in memory is null");
    }
  }

  bool has(std::string_view name) const override {
    check_name(name, {});
    return files_.find(name) != files_.end();
  }
  std::shared_ptr<const MappedFile> open(std::string_view name) const override {
    check_name(name, {});
    const auto found = files_.find(name);
    if (found == files_.end()) throw Error(ErrorCode::not_found, "no such file in memory", where(name));
    return found->second;
  }
  std::string where(std::string_view name) const override { return std::string(name); }
  std::vector<std::string> list() const override {
    std::vector<std::string> names;
    for (const auto& [name, file] : files_) names.push_back(name);
    return names;
  }
  void check_inside(std::string_view name) const override { check_name(name, {}); }
  std::string directory() const override { return {}; }

 private:
  Files files_;
};

}  // namespace

ModelFiles::~ModelFiles() = default;

std::shared_ptr<const ModelFiles> ModelFiles::from_directory(const std::string& name, MapMode mode) {
  const fs::path directory(name);
  std::error_code ignored;
  const fs::file_status status = fs::status(directory, ignored);
  if (!fs::is_directory(status)) {
    throw Error(ErrorCode::not_found, fs::exists(status) ? "not a directory" : "no such model directory",
                directory.string());
  }
  return std::make_shared<DirectoryFiles>(directory, mode);
}

std::shared_ptr<const ModelFiles> ModelFiles::from_memory(MemoryFiles::Files files) {
  return std::make_shared<MemoryFiles>(std::move(files));
}

std::shared_ptr<const ModelFiles> ModelFiles::from_memory(std::map<std::string, std::string> files) {
  MemoryFiles::Files shared;
  for (auto& [name, content] : files) {
    auto owner = std::make_shared<const std::string>(std::move(content));
    const std::span<const char> bytes(*owner);
    shared.emplace(name, MappedFile::from_memory(std::as_bytes(bytes), std::move(owner)));
  }
  return std::make_shared<MemoryFiles>(std::move(shared));
}

std::string ModelFiles::read_text(std::string_view name, std::size_t max_bytes) const {
  const auto file = open(name);
  if (file->bytes().size() > max_bytes) {
    throw Error(ErrorCode::limit,
                "file of " + std::to_string(file->bytes().size()) + " bytes, at most " + std::to_string(max_bytes) +
                    " are read",
                where(name));
  }
  check_downloaded(file->text(), where(name));
  return std::string(file->text());
}

void check_downloaded(std::string_view content, const std::string& where) {
  if (content.starts_with("version https://git-lfs")) {
    throw Error(ErrorCode::corrupt_file,
                "this is a Git LFS pointer, the file itself was not downloaded (run \"git lfs pull\")", where);
  }
  std::string start(content.substr(std::min(content.size(), content.find_first_not_of(" \t\r\n")), 14));
  for (char& c : start) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  if (start.starts_with("<!doctype html") || start.starts_with("<html>") || start.starts_with("<html ")) {
    throw Error(ErrorCode::corrupt_file, "this is an HTML page, the file itself was not downloaded", where);
  }
}

}  // namespace transformers
