// What it is: what tests of several folders share: errors checked to the letter, and files that vanish with the test.
// Usage: `EXPECT_ERROR(ErrorCode::limit, "too large (model.safetensors)", open(path));`
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "transformers/base/error.hpp"
#include "transformers/base/platform.hpp"

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

// ---- the memory of a process ----------------------------------------------------------------------------------------

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;  // sanitizers have memory of their own
#else
inline constexpr bool kSanitized = false;
#endif

struct ChildMemory {
  int64_t before = -1, peak = -1;  // bytes
};

// At the end of a disabled test that peak_of_child() runs: `before` is what peak_resident_bytes() was when it began.
inline void report_peak(int64_t before) {
  std::printf("\nPEAK %lld %lld\n", static_cast<long long>(before), static_cast<long long>(peak_resident_bytes()));
}

// Runs the disabled test `name` of this executable in a process of its own, the directory in an environment variable.
inline ChildMemory peak_of_child(const std::string& name, const std::string& variable, const std::string& directory) {
  const std::string command = variable + "='" + directory + "' '" + executable_path() +
                              "' --gtest_also_run_disabled_tests --gtest_filter=" + name;
  std::FILE* const pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return {};
  long long before = -1, peak = -1;
  char line[256];
  while (std::fgets(line, sizeof line, pipe) != nullptr) std::sscanf(line, "PEAK %lld %lld", &before, &peak);
  EXPECT_EQ(pclose(pipe), 0) << directory;
  EXPECT_GT(peak, 0) << directory;
  return {before, peak};
}

}  // namespace transformers::test
