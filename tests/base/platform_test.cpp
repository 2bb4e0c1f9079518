// Tests base/platform.hpp: files, memory and cores. Also meant for a build with TCPP_PORTABLE_PLATFORM.
#include "transformers/base/platform.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <thread>

#include "support.hpp"

#ifdef __linux__
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#endif

namespace transformers {
namespace {

using test::TemporaryDirectory;
namespace fs = std::filesystem;

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

void write_text(const fs::path& path, std::string_view text) {
  const std::span<const std::byte> parts[] = {bytes_of(text)};
  write_file(path, parts);
}

// A line of /proc/self/status in bytes, such as "RssFile:"; -1 where there is none.
[[maybe_unused]] int64_t status_bytes(std::string_view key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(key)) return std::stoll(line.substr(key.size())) * 1024;
  }
  return -1;
}

TEST(MappedFile, MapsOrCopiesTheSameBytes) {
  const TemporaryDirectory directory;
  std::string content(100000, '\0');
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 7);
  const fs::path path = directory.write("file", content);
  for (const MapMode mode : {MapMode::automatic, MapMode::read}) {
    const auto file = MappedFile::open(path, mode);
    EXPECT_EQ(file->text(), content);
    file->release(file->bytes().subspan(5000, 50000));
    file->release(file->bytes());
    EXPECT_EQ(file->text(), content);
  }
  EXPECT_FALSE(MappedFile::open(path, MapMode::read)->is_mapped());
}

TEST(MappedFile, OutlivesTheFilesName) {
  const TemporaryDirectory directory;
  const fs::path path = directory.write("file", "content");
  const auto file = MappedFile::open(path);
  fs::remove(path);
  EXPECT_EQ(file->text(), "content");
}

TEST(MappedFile, EmptyFileIsEmpty) {
  const TemporaryDirectory directory;
  const auto file = MappedFile::open(directory.write("file", ""));
  EXPECT_EQ(file->bytes().size(), 0u);
  file->release(file->bytes());
}

TEST(MappedFile, RefusesWhatIsNoRegularFile) {
  const TemporaryDirectory directory;
  const std::string where = " (" + directory.string();
  EXPECT_ERROR(ErrorCode::not_found, "cannot open: No such file or directory" + where + "/absent)",
               MappedFile::open(directory / "absent"));
  EXPECT_ERROR(ErrorCode::io, "cannot read: is a directory" + where + ")", MappedFile::open(directory.path()));
#ifdef __linux__
  ASSERT_EQ(::mkfifo((directory / "pipe").c_str(), 0600), 0);
  EXPECT_ERROR(ErrorCode::io, "cannot read: not a regular file" + where + "/pipe)",
               MappedFile::open(directory / "pipe"));
  EXPECT_ERROR(ErrorCode::io, "cannot read: not a regular file (/dev/null)", MappedFile::open("/dev/null"));
#endif
}

TEST(MappedFile, WrapsBytesOfTheCaller) {
  auto owner = std::make_shared<const std::string>("bytes");
  const std::weak_ptr<const std::string> alive = owner;
  const std::span<const std::byte> bytes = bytes_of(*owner);
  auto file = MappedFile::from_memory(bytes, std::move(owner));
  EXPECT_EQ(file->text(), "bytes");
  EXPECT_FALSE(alive.expired());
  file.reset();
  EXPECT_TRUE(alive.expired());
}

TEST(ReadFile, ReadsUpToTheLimit) {
  const TemporaryDirectory directory;
  const fs::path path = directory.write("file", "12345");
  EXPECT_EQ(read_file(path, 5), "12345");
  EXPECT_ERROR(ErrorCode::limit, "file of 5 bytes, at most 4 are read (" + path.string() + ")", read_file(path, 4));
}

TEST(WriteFile, ReplacesTheFileAsAWhole) {
  const TemporaryDirectory directory;
  const fs::path path = directory.write("file", "old content that is longer");
  const auto before = MappedFile::open(path);
  const std::span<const std::byte> parts[] = {bytes_of("new "), {}, bytes_of("content")};
  write_file(path, parts);
  EXPECT_EQ(directory.read("file"), "new content");
  EXPECT_EQ(before->text(), "old content that is longer");
  EXPECT_EQ(std::distance(fs::directory_iterator(directory.path()), {}), 1);
}

TEST(WriteFile, FailsWithoutATrace) {
  const TemporaryDirectory directory;
  EXPECT_ERROR(ErrorCode::io, "cannot write: is a directory (" + directory.string() + ")",
               write_text(directory.path(), "x"));
  const test::TemporaryDirectory* const d = &directory;
  EXPECT_EQ(test::error_of([&] { write_text(*d / "absent/file", "x"); }).code(), ErrorCode::io);
#if defined(__linux__) && !defined(TCPP_PORTABLE_PLATFORM)
  EXPECT_ERROR(ErrorCode::io, "cannot write: No such file or directory (" + directory.string() + "/absent/file)",
               write_text(directory / "absent/file", "x"));
  EXPECT_ERROR(ErrorCode::io, "cannot write: No space left on device after 0 bytes (/dev/full)",
               write_text("/dev/full", "x"));
#endif
  EXPECT_TRUE(fs::is_empty(directory.path()));
}

#if defined(__linux__) && !defined(TCPP_PORTABLE_PLATFORM)
// The disk fills up in the middle: the old file stays and nothing else does.
TEST(WriteFile, KeepsTheOldFileWhenTheDiskIsFull) {
  const TemporaryDirectory directory;
  const fs::path path = directory.write("file", "old");
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  const rlimit small{1000, old.rlim_max};
  auto* const handler = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const Error error = test::error_of([&] { write_text(path, std::string(5000, 'x')); });
  ::setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(error.code(), ErrorCode::io);
  EXPECT_EQ(error.message(), "cannot write: File too large after 1000 bytes");
  EXPECT_EQ(directory.read("file"), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(directory.path()), {}), 1);
}

// S13: a regular file on a file system that has no mmap (ENODEV).
TEST(MappedFile, S13_FallsBackToReading) {
  const fs::path path = "/sys/kernel/notes";
  if (!fs::exists(path) || fs::file_size(path) == 0) GTEST_SKIP() << "no " << path;
  const auto file = MappedFile::open(path);
  EXPECT_FALSE(file->is_mapped());
  EXPECT_EQ(file->text(), MappedFile::open(path, MapMode::read)->text());
  EXPECT_EQ(file->bytes().size(), fs::file_size(path));
  EXPECT_NE(file->text().find("GNU"), std::string_view::npos);
}

TEST(MappedFile, ReleaseGivesMemoryBack) {
  const TemporaryDirectory directory;
  constexpr int64_t kBytes = 32 << 20;
  const auto file = MappedFile::open(directory.write("file", std::string(kBytes, 'x')));
  if (!file->is_mapped() || status_bytes("RssFile:") < 0) GTEST_SKIP() << "no mapping or no /proc here";
  EXPECT_EQ(std::count(file->text().begin(), file->text().end(), 'x'), kBytes);
  const int64_t before = status_bytes("RssFile:");
  file->release(file->bytes().subspan(100));
  EXPECT_LT(status_bytes("RssFile:"), before - kBytes * 3 / 4);
}

TEST(AllocateBytes, IsResidentOnlyWhereWritten) {
  const int64_t before = status_bytes("VmRSS:");
  if (before < 0) GTEST_SKIP() << "no /proc here";
  constexpr std::size_t kBytes = std::size_t{256} << 20;
  const auto block = allocate_bytes(kBytes);
  std::memset(block.get() + kBytes / 2, 1, 100);
  EXPECT_LT(status_bytes("VmRSS:"), before + (32 << 20));
}

TEST(UsableCores, FollowsTheAffinityMask) {
  std::thread([] {
    cpu_set_t one;
    ASSERT_EQ(::sched_getaffinity(0, sizeof one, &one), 0);
    int first = 0;
    while (!CPU_ISSET(first, &one)) ++first;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
    EXPECT_EQ(usable_cores(), 1);
  }).join();
}

TEST(PeakResidentBytes, CountsWhatWasTouched) {
  constexpr int64_t kBytes = 64 << 20;
  const auto block = allocate_bytes(kBytes);
  std::memset(block.get(), 1, kBytes);
  EXPECT_GT(peak_resident_bytes(), kBytes);
}
#endif

TEST(AllocateBytes, IsAlignedAndZero) {
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{63}, std::size_t{65}, std::size_t{100000}, std::size_t{1} << 20,
        (std::size_t{1} << 21) - 1, std::size_t{1} << 21, (std::size_t{5} << 20) + 3}) {
    const auto block = allocate_bytes(size);
    ASSERT_NE(block, nullptr);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block.get()) % 64, 0u);
    EXPECT_TRUE(std::all_of(block.get(), block.get() + size, [](std::byte b) { return b == std::byte{}; }));
    std::fill_n(block.get(), size, std::byte{1});
  }
}

TEST(ScratchBytes, IsAlignedAndOfOneOwner) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{100}, std::size_t{3} << 20}) {
    const auto one = scratch_bytes(size), other = scratch_bytes(size);
    ASSERT_NE(one, nullptr);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(one.get()) % 64, 0u);
    std::fill_n(one.get(), size, std::byte{1});
    std::fill_n(other.get(), size, std::byte{2});
    EXPECT_TRUE(std::all_of(one.get(), one.get() + size, [](std::byte b) { return b == std::byte{1}; }));
  }
}

#if defined(__linux__) && !defined(TCPP_PORTABLE_PLATFORM)
TEST(ScratchBytes, GivesWhatCameBackToTheNext) {
  constexpr std::size_t kBytes = (std::size_t{37} << 20) + 5;
  auto block = scratch_bytes(kBytes);
  const std::byte* const place = block.get();
  std::fill_n(block.get(), kBytes, std::byte{1});
  block.reset();
  EXPECT_EQ(scratch_bytes(kBytes - (5 << 20)).get(), place);
  block = scratch_bytes(kBytes);
  EXPECT_EQ(block.get(), place);
}

TEST(ScratchBytes, KeepsOnlySoMuchAndMakesRoom) {
  const int64_t before = status_bytes("VmSize:");
  if (before < 0) GTEST_SKIP() << "no /proc here";
  {
    std::vector<std::shared_ptr<std::byte>> blocks;
    for (int i = 0; i < 40; ++i) blocks.push_back(scratch_bytes(std::size_t{32} << 20));
  }
  EXPECT_LE(status_bytes("VmSize:"), before + (int64_t{257} << 20));
  const auto block = allocate_bytes(std::size_t{256} << 20);
  EXPECT_LE(status_bytes("VmSize:"), before + (int64_t{257} << 20));
}
#endif

TEST(AllocateBytes, ReportsWhatCannotBeHad) {
  EXPECT_ERROR(ErrorCode::out_of_memory, "out of memory: 1152921504606846976 bytes asked for",
               allocate_bytes(std::size_t{1} << 60));
  EXPECT_ERROR(ErrorCode::out_of_memory, "out of memory: 18446744073709551615 bytes asked for",
               allocate_bytes(SIZE_MAX));
}

TEST(UsableCores, IsAtLeastOne) {
  EXPECT_GE(usable_cores(), 1);
  EXPECT_LE(usable_cores(), std::max(1u, std::thread::hardware_concurrency()));
}

}  // namespace
}  // namespace transformers
