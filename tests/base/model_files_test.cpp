// Tests base/model_files.hpp: a model's files from a directory and from memory.
#include "transformers/base/model_files.hpp"

#include <gtest/gtest.h>

#include "support.hpp"

namespace transformers {
namespace {

using test::TemporaryDirectory;
namespace fs = std::filesystem;

TEST(ModelFiles, ReadsADirectory) {
  const TemporaryDirectory directory;
  directory.write("config.json", "{}");
  directory.write("1_Pooling/config.json", "{\"a\":1}");
  directory.write("deep/er/file", "");
  const auto files = ModelFiles::from_directory(directory.path());
  EXPECT_TRUE(files->has("config.json"));
  EXPECT_TRUE(files->has("1_Pooling/config.json"));
  EXPECT_FALSE(files->has("1_Pooling"));
  EXPECT_FALSE(files->has("absent"));
  EXPECT_EQ(files->read_text("1_Pooling/config.json"), "{\"a\":1}");
  EXPECT_EQ(files->open("config.json")->text(), "{}");
  EXPECT_EQ(files->where("config.json"), directory.string() + "/config.json");
  EXPECT_EQ(files->list(), (std::vector<std::string>{"1_Pooling/config.json", "config.json"}));
  EXPECT_EQ(files->directory(), directory.path());
  EXPECT_ERROR(ErrorCode::limit,
               "file of 7 bytes, at most 6 are read (" + directory.string() + "/1_Pooling/config.json)",
               files->read_text("1_Pooling/config.json", 6));
  EXPECT_ERROR(ErrorCode::not_found, "cannot open: No such file or directory (" + directory.string() + "/absent)",
               files->read_text("absent"));
}

TEST(ModelFiles, NeedsADirectory) {
  const TemporaryDirectory directory;
  const std::string path = directory.write("file", "").string();
  EXPECT_ERROR(ErrorCode::not_found, "not a directory (" + path + ")", ModelFiles::from_directory(path));
  EXPECT_ERROR(ErrorCode::not_found, "no such model directory (" + path + "2)", ModelFiles::from_directory(path + "2"));
}

TEST(ModelFiles, ReadsMemory) {
  const auto files = ModelFiles::from_memory({{"config.json", "{}"}, {"1_Pooling/config.json", "{\"a\":1}"}});
  EXPECT_TRUE(files->has("config.json"));
  EXPECT_FALSE(files->has("absent"));
  EXPECT_EQ(files->read_text("1_Pooling/config.json"), "{\"a\":1}");
  EXPECT_EQ(files->where("config.json"), "config.json");
  EXPECT_EQ(files->list(), (std::vector<std::string>{"1_Pooling/config.json", "config.json"}));
  EXPECT_TRUE(files->directory().empty());
  EXPECT_ERROR(ErrorCode::not_found, "no such file in memory (absent)", files->open("absent"));
  EXPECT_ERROR(ErrorCode::security,
               "the file name \"../x\" could leave the model directory: expected a plain relative path",
               ModelFiles::from_memory({{"../x", "{}"}}));
}

TEST(ModelFiles, SharesMemoryOfTheCaller) {
  const auto owner = std::make_shared<const std::string>("shared");
  const auto file = MappedFile::from_memory(std::as_bytes(std::span<const char>(*owner)), owner);
  std::map<std::string, std::shared_ptr<const MappedFile>, std::less<>> map;
  map.emplace("name", file);
  EXPECT_EQ(ModelFiles::from_memory(map)->open("name")->text().data(), owner->data());
  map.emplace("none", nullptr);
  EXPECT_ERROR(ErrorCode::invalid_argument, "the file \"none\" in memory is null", ModelFiles::from_memory(map));
}

TEST(ModelFiles, RefusesNamesThatCouldLeaveTheDirectory) {
  const TemporaryDirectory directory;
  const auto on_disk = ModelFiles::from_directory(directory.path());
  const auto in_memory = ModelFiles::from_memory({{"x", ""}});
  for (const std::string& name :
       {std::string("../x"), std::string("a/../x"), std::string("/etc/passwd"), std::string("a\\x"), std::string("C:x"),
        std::string("a\0b", 3), std::string("."), std::string(""), std::string("a//b"), std::string("a/")}) {
    for (const auto& files : {on_disk, in_memory}) {
      EXPECT_EQ(test::error_of([&] { files->has(name); }).code(), ErrorCode::security) << name;
      EXPECT_EQ(test::error_of([&] { files->open(name); }).code(), ErrorCode::security) << name;
      EXPECT_EQ(test::error_of([&] { files->check_inside(name); }).code(), ErrorCode::security) << name;
    }
  }
  EXPECT_FALSE(on_disk->has("..x"));
  EXPECT_FALSE(on_disk->has("..."));
}

TEST(ModelFiles, ChecksLinksThatLeaveTheDirectory) {
  const TemporaryDirectory directory;
  directory.write("outside", "secret");
  directory.write("model/inside", "x");
  directory.write("model-2/file", "x");
  fs::create_symlink("inside", directory / "model/to_inside");
  fs::create_symlink("../outside", directory / "model/to_outside");
  fs::create_symlink("../model-2/file", directory / "model/to_sibling");
  fs::create_directory_symlink("..", directory / "model/up");
  fs::create_symlink("nowhere", directory / "model/broken");
  const auto files = ModelFiles::from_directory(directory / "model");
  EXPECT_NO_THROW(files->check_inside("inside"));
  EXPECT_NO_THROW(files->check_inside("to_inside"));
  EXPECT_NO_THROW(files->check_inside("absent"));
  EXPECT_FALSE(files->has("broken"));
  const fs::path root = fs::canonical(directory.path());
  EXPECT_ERROR(ErrorCode::security,
               "the file \"to_outside\" is a link that leaves the model directory, to \"" +
                   (root / "outside").string() + "\" (" + directory.string() + "/model)",
               files->check_inside("to_outside"));
  EXPECT_EQ(test::error_of([&] { files->check_inside("to_sibling"); }).code(), ErrorCode::security);
  EXPECT_EQ(test::error_of([&] { files->check_inside("up/outside"); }).code(), ErrorCode::security);
  // The user's own link, under a name the library asks for.
  EXPECT_EQ(files->read_text("to_outside"), "secret");
}

TEST(ModelFiles, FollowsTheLinksOfHuggingFacesCache) {
  const TemporaryDirectory directory;
  directory.write("models--x/blobs/0123", "weights");
  directory.write("models--y/blobs/4567", "of another model");
  fs::create_directories(directory / "models--x/snapshots/main");
  fs::create_symlink("../../blobs/0123", directory / "models--x/snapshots/main/model.safetensors");
  fs::create_symlink("../../../models--y/blobs/4567", directory / "models--x/snapshots/main/other");
  const auto files = ModelFiles::from_directory(directory / "models--x/snapshots/main");
  EXPECT_NO_THROW(files->check_inside("model.safetensors"));
  EXPECT_EQ(files->read_text("model.safetensors"), "weights");
  EXPECT_EQ(test::error_of([&] { files->check_inside("other"); }).code(), ErrorCode::security);
}

TEST(ModelFiles, NamesFilesThatWereNeverDownloaded) {
  const auto files = ModelFiles::from_memory({
      {"pointer.json", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"},
      {"page.json", "\n <!DOCTYPE HTML><title>404</title>"},
      {"page2.json", "<HTML lang=en>"},
      {"fine.txt", "<html5> is a token"},
  });
  EXPECT_ERROR(ErrorCode::corrupt_file,
               "this is a Git LFS pointer, the file itself was not downloaded (run \"git lfs pull\") (pointer.json)",
               files->read_text("pointer.json"));
  EXPECT_ERROR(ErrorCode::corrupt_file, "this is an HTML page, the file itself was not downloaded (page.json)",
               files->read_text("page.json"));
  EXPECT_ERROR(ErrorCode::corrupt_file, "this is an HTML page, the file itself was not downloaded (page2.json)",
               files->read_text("page2.json"));
  EXPECT_EQ(files->read_text("fine.txt"), "<html5> is a token");
}

}  // namespace
}  // namespace transformers
