// What it is: what tests of several folders share: errors checked to the letter, and files that vanish with the test.
// Usage: `EXPECT_ERROR(ErrorCode::limit, "too large (model.safetensors)", open(path));`
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "transformers/base/error.hpp"

namespace transformers::test {

// The Error that `f` throws.
template <class F>
Error error_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorCode::internal, "no error was thrown");
}

// The statement throws Error with this code, and what() is this text.
#define EXPECT_ERROR(error_code, text, ...)                                                                       \
  do {                                                                                                            \
    const ::transformers::Error error_ = ::transformers::test::error_of([&] { static_cast<void>(__VA_ARGS__); }); \
    EXPECT_EQ(::transformers::to_string(error_.code()), ::transformers::to_string(error_code));                   \
    EXPECT_EQ(std::string_view(error_.what()), std::string_view(text));                                           \
  } while (false)

// A new empty directory, removed with all in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    static std::atomic<unsigned> counter{0};
    std::string test = ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::replace(test.begin(), test.end(), '/', '-');  // of tests with parameters
    do {
      path_ = std::filesystem::temp_directory_path() / ("tcpp-" + test + "-" + std::to_string(counter++));
    } while (!std::filesystem::create_directory(path_));
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::string string() const { return path_.string(); }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

  // Writes a file, its folders included.
  std::filesystem::path write(std::string_view name, std::string_view content) const {
    const std::filesystem::path file = path_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary).write(content.data(), static_cast<std::streamsize>(content.size()));
    return file;
  }
  std::string read(std::string_view name) const {
    std::ifstream in(path_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

 private:
  std::filesystem::path path_;
};

}  // namespace transformers::test
