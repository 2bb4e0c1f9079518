// What it is: ModelFiles, a model's files behind one small interface, from a directory or from memory.
// Where it stands: base; AutoConfig, AutoTokenizer and the weights of a model are all read through it.
// Usage: `auto files = ModelFiles::from_directory("all-MiniLM-L6-v2"); std::string text =
// files->read_text("config.json");`
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "transformers/base/export.hpp"
#include "transformers/base/platform.hpp"

namespace transformers {

// Names are relative paths with '/' between folders, such as "1_Pooling/config.json". Every function throws
// Error(security) for a name that could lead elsewhere: absolute, or with "..", a backslash, a colon or a NUL in it.
// Immutable; all functions may be called concurrently.
class TCPP_API ModelFiles {
 public:
  // A directory, or a .gguf file: that stands for the directory Hugging Face would make of it, with config.json and the
  // tokenizer's files written from its metadata. A directory without config.json that holds one .gguf file is that
  // file. Error(not_found) as from_directory; what is wrong with a GGUF file, as GgufFile::read.
  static std::shared_ptr<const ModelFiles> from_path(const std::string& path, MapMode mode = MapMode::automatic);
  // Error(not_found) when `directory` is absent or is no directory.
  static std::shared_ptr<const ModelFiles> from_directory(const std::string& directory,
                                                          MapMode mode = MapMode::automatic);
  // Files by name. The first form shares the bytes (MappedFile::from_memory wraps those of the caller), the second owns
  // them: texts and binary files alike.
  static std::shared_ptr<const ModelFiles> from_memory(
      std::map<std::string, std::shared_ptr<const MappedFile>, std::less<>> files);
  static std::shared_ptr<const ModelFiles> from_memory(std::map<std::string, std::string> files);

  virtual ~ModelFiles();
  ModelFiles(const ModelFiles&) = delete;
  ModelFiles& operator=(const ModelFiles&) = delete;

  // True when there is a file called `name`; a directory is none.
  virtual bool has(std::string_view name) const = 0;
  // Error(not_found), or Error(io) as MappedFile::open.
  virtual std::shared_ptr<const MappedFile> open(std::string_view name) const = 0;
  // How messages call the file: "directory/name", or the bare name of one in memory.
  virtual std::string where(std::string_view name) const = 0;
  // The files present, sorted: those at the top and those one folder below.
  virtual std::vector<std::string> list() const = 0;
  // For names that come from one of the model's own files (the shards of an index): throws Error(security) when the
  // file is a symbolic link that leaves the directory. The links of Hugging Face's cache, snapshots/<revision>/x ->
  // ../../blobs/<hash>, may leave it. Links under the names the library itself asks for are the user's, and followed.
  virtual void check_inside(std::string_view name) const = 0;
  // Empty for files in memory; the file itself for a GGUF file.
  virtual std::string directory() const = 0;

  // The whole file as text. Error(limit) beyond `max_bytes`, Error(corrupt_file) for what was never downloaded (see
  // check_downloaded), else as open().
  std::string read_text(std::string_view name, std::size_t max_bytes = std::size_t{1} << 30) const;

 protected:
  ModelFiles() = default;
};

// Throws Error(corrupt_file) when `content`, the bytes of a model's file, is not that file but what downloads leave in
// its place: a Git LFS pointer or an HTML page.
TCPP_API void check_downloaded(std::string_view content, const std::string& where);

}  // namespace transformers
