// Implements base/platform.hpp: first what every system shares, then Linux, then the standard library alone, for
// systems nobody has filled in yet (TCPP_PORTABLE_PLATFORM chooses it on Linux too, for its tests).
#include "transformers/base/platform.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

#include "transformers/base/error.hpp"

#if defined(__linux__) && !defined(TCPP_PORTABLE_PLATFORM)
#define TCPP_LINUX 1
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <vector>
#else
#include <chrono>
#endif

namespace transformers {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kAlignment = 64;

[[noreturn]] void out_of_memory(std::size_t bytes) {
  throw Error(ErrorCode::out_of_memory, "out of memory: " + std::to_string(bytes) + " bytes asked for");
}

[[noreturn]] void system_error(const std::string& what, int code, const fs::path& path) {
  throw Error(code == ENOENT || code == ENOTDIR ? ErrorCode::not_found : ErrorCode::io,
              what + ": " + std::generic_category().message(code), path.string());
}

std::shared_ptr<std::byte> heap_bytes(std::size_t bytes) {
  if (bytes > SIZE_MAX / 2) out_of_memory(bytes);  // libstdc++ rounds up without a look at the end
  void* const block = ::operator new (std::max(bytes, std::size_t{1}), std::align_val_t{kAlignment}, std::nothrow);
  if (!block) out_of_memory(bytes);
  std::memset(block, 0, bytes);
  return {static_cast<std::byte*>(block), [](std::byte* p) { ::operator delete (p, std::align_val_t{kAlignment}); }};
}

// A name beside `path` that no other writer uses.
fs::path temporary_name(const fs::path& path, const std::string& process) {
  static std::atomic<unsigned> counter{0};
  fs::path name = path;
  name += ".tmp-" + process + "-" + std::to_string(counter++);
  return name;
}

// Refuses what cannot be written to; true when `path` should be replaced as a whole, false for a device or pipe.
bool replaceable(const fs::path& path) {
  std::error_code ignored;
  const fs::file_status status = fs::status(path, ignored);
  if (fs::is_directory(status)) throw Error(ErrorCode::io, "cannot write: is a directory", path.string());
  return !fs::exists(status) || fs::is_regular_file(status);
}

void rename_or_remove(const fs::path& from, const fs::path& to) {
  std::error_code error, ignored;
  fs::rename(from, to, error);
  if (!error) return;
  fs::remove(from, ignored);
  throw Error(ErrorCode::io, "cannot write: " + error.message(), to.string());
}

}  // namespace

std::shared_ptr<const MappedFile> MappedFile::from_memory(std::span<const std::byte> bytes,
                                                          std::shared_ptr<const void> owner) {
  std::shared_ptr<MappedFile> file(new MappedFile);
  file->data_ = bytes.data();
  file->size_ = bytes.size();
  file->owner_ = std::move(owner);
  return file;
}

std::string read_file(const std::string& name, std::size_t max_bytes) {
  const fs::path path(name);
  const auto file = MappedFile::open(path, MapMode::automatic);
  if (file->bytes().size() > max_bytes) {
    throw Error(ErrorCode::limit,
                "file of " + std::to_string(file->bytes().size()) + " bytes, at most " + std::to_string(max_bytes) +
                    " are read",
                path.string());
  }
  return std::string(file->text());
}

#ifdef TCPP_LINUX

namespace {

// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  operator int() const { return fd_; }
  int close() { return fd_ < 0 ? 0 : ::close(std::exchange(fd_, -1)); }

 private:
  int fd_;
};

std::size_t file_size(int fd, const fs::path& path) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) system_error("cannot read", errno, path);
  if (S_ISDIR(status.st_mode)) throw Error(ErrorCode::io, "cannot read: is a directory", path.string());
  if (!S_ISREG(status.st_mode)) throw Error(ErrorCode::io, "cannot read: not a regular file", path.string());
  return static_cast<std::size_t>(status.st_size);
}

void read_all(int fd, std::byte* out, std::size_t size, const fs::path& path) {
  for (std::size_t done = 0; done < size;) {
    const ssize_t n = ::read(fd, out + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) system_error("cannot read", errno, path);
    if (n == 0) {
      throw Error(ErrorCode::io,
                  "file shrank while it was read: " + std::to_string(done) + " of " + std::to_string(size) + " bytes",
                  path.string());
    }
    done += static_cast<std::size_t>(n);
  }
}

std::size_t page_size() {
  static const auto size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

// The CPU quota of one control group in cores; infinity when it has none.
double group_quota(const fs::path& group) {
  double quota = 0, period = 0;
  std::string limit;
  if (std::ifstream v2(group / "cpu.max"); v2 >> limit >> period && limit != "max")
    quota = std::strtod(limit.c_str(), nullptr);
  if (std::ifstream v1(group / "cpu.cfs_quota_us"); v1 >> quota) std::ifstream(group / "cpu.cfs_period_us") >> period;
  return quota > 0 && period > 0 ? quota / period : INFINITY;
}

// The smallest quota of this process's control groups and the groups above them. Lines of /proc/self/cgroup read
// "0::/path" (version 2) or "4:cpu,cpuacct:/path" (version 1). Inside a container the path may not exist below the
// mount: then its existing parents count, the container's own group being the root.
double container_quota() {
  double cores = INFINITY;
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const std::size_t controllers = line.find(':') + 1, path = line.find(':', controllers) + 1;
    if (controllers == 0 || path == 0) continue;
    const std::string names = "," + line.substr(controllers, path - 1 - controllers) + ",";
    if (names != ",," && names.find(",cpu,") == names.npos) continue;
    for (const char* mount : {"/sys/fs/cgroup", "/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"}) {
      for (fs::path group = line.substr(path);; group = group.parent_path()) {
        cores = std::min(cores, group_quota(mount / group.relative_path()));
        if (!group.has_relative_path()) break;
      }
    }
  }
  return cores;
}

}  // namespace

std::shared_ptr<const MappedFile> MappedFile::open(const std::string& name, MapMode mode) {
  const fs::path path(name);
  // O_NONBLOCK: opening a pipe must not wait for a writer before it is refused.
  Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd < 0) system_error("cannot open", errno, path);
  std::shared_ptr<MappedFile> file(new MappedFile);
  const std::size_t size = file_size(fd, path);
  if (mode == MapMode::automatic && size > 0) {
    void* const data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data != MAP_FAILED) {
      file->data_ = static_cast<const std::byte*>(data);
      file->size_ = size;
      file->mapped_ = true;
      // A file cut short in between would raise SIGBUS at the first touch of the missing part.
      if (file_size(fd, path) < size) throw Error(ErrorCode::io, "file shrank while it was opened", path.string());
      return file;
    }
  }
  auto copy = allocate_bytes(size);
  read_all(fd, copy.get(), size, path);
  file->data_ = copy.get();
  file->size_ = size;
  file->owner_ = std::move(copy);
  return file;
}

MappedFile::~MappedFile() {
  if (mapped_) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::release(std::span<const std::byte> part) const noexcept {
  if (!mapped_ || part.empty() || part.data() < data_ || part.data() + part.size() > data_ + size_) return;
  // Whole pages, those shared with a neighbour included: they only have to be read again.
  const auto offset = static_cast<std::size_t>(part.data() - data_);
  const std::size_t begin = offset / page_size() * page_size();
  ::madvise(const_cast<std::byte*>(data_ + begin), offset + part.size() - begin, MADV_DONTNEED);
}

void write_file(const std::string& name, std::span<const std::span<const std::byte>> parts) {
  const fs::path path(name);
  const bool replace = replaceable(path);
  const fs::path target = replace ? temporary_name(path, std::to_string(::getpid())) : path;
  Descriptor fd(::open(target.c_str(), O_WRONLY | O_CLOEXEC | (replace ? O_CREAT | O_EXCL : 0), 0666));
  if (fd < 0) throw Error(ErrorCode::io, "cannot write: " + std::generic_category().message(errno), path.string());
  std::size_t done = 0;
  const auto fail = [&](int code) {
    if (replace) ::unlink(target.c_str());
    throw Error(ErrorCode::io,
                "cannot write: " + std::generic_category().message(code) + " after " + std::to_string(done) + " bytes",
                path.string());
  };
  for (std::span<const std::byte> part : parts) {
    while (!part.empty()) {
      const ssize_t n = ::write(fd, part.data(), part.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail(errno);
      part = part.subspan(static_cast<std::size_t>(n));
      done += static_cast<std::size_t>(n);
    }
  }
  if (fd.close() != 0) fail(errno);
  if (replace) rename_or_remove(target, path);
}

namespace {

constexpr std::size_t kLarge = std::size_t{1} << 20;  // bytes: what comes from the system directly

// Blocks of scratch_bytes() that were given back, the latest last: to clear as many pages for the next call would take
// a tenth of its time. The process needs no more memory for that: they go where new blocks come, and where memory is
// short the system takes their pages.
class Spares {
 public:
  struct Block {
    std::shared_ptr<std::byte> memory;
    std::size_t size = 0;
  };

  // The smallest that holds `bytes` with less than that left over, or none.
  Block take(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    auto best = blocks_.end();
    for (auto block = blocks_.begin(); block != blocks_.end(); ++block) {
      if (block->size < bytes || block->size - bytes >= bytes) continue;
      if (best == blocks_.end() || block->size <= best->size) best = block;
    }
    if (best == blocks_.end()) return {};
    Block found = std::move(*best);
    blocks_.erase(best);
    bytes_ -= found.size;
    return found;
  }

  void keep(Block block) noexcept {
    if (block.size > kMostBytes || ::madvise(block.memory.get(), block.size, MADV_FREE) != 0) return;
    const std::lock_guard lock(mutex_);
    try {
      blocks_.push_back(std::move(block));
    } catch (const std::bad_alloc&) {
      return;
    }
    bytes_ += blocks_.back().size;
    if (bytes_ > kMostBytes) drop_oldest(bytes_ - kMostBytes);
  }

  // Gives that many bytes back to the system, or all: new memory takes the place of spare one.
  void drop(std::size_t bytes) noexcept {
    const std::lock_guard lock(mutex_);
    drop_oldest(bytes);
  }

 private:
  void drop_oldest(std::size_t bytes) noexcept {
    std::size_t dropped = 0;
    auto end = blocks_.begin();
    for (; end != blocks_.end() && dropped < bytes; ++end) dropped += end->size;
    blocks_.erase(blocks_.begin(), end);
    bytes_ -= dropped;
  }

  static constexpr std::size_t kMostBytes = std::size_t{256} << 20;
  std::mutex mutex_;
  std::vector<Block> blocks_;
  std::size_t bytes_ = 0;
};

Spares& spares() {
  static Spares* const made = new Spares;  // never destroyed: blocks are given back during static destruction too
  return *made;
}

}  // namespace

std::shared_ptr<std::byte> allocate_bytes(std::size_t bytes) {
  constexpr std::size_t kHugePage = std::size_t{2} << 20;
  if (bytes < kLarge) return heap_bytes(bytes);
  if (bytes > SIZE_MAX / 2) out_of_memory(bytes);
  const std::size_t size = (bytes + page_size() - 1) / page_size() * page_size();
  spares().drop(size);
  const std::size_t slack = size >= kHugePage ? kHugePage : 0;
  void* const block = ::mmap(nullptr, size + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (block == MAP_FAILED) out_of_memory(bytes);
  auto* begin = static_cast<std::byte*>(block);
  if (slack > 0) {
    // Start at a huge page and give the rest back; the tail that fills no huge page stays in small ones.
    const std::size_t head = (kHugePage - reinterpret_cast<uintptr_t>(begin) % kHugePage) % kHugePage;
    if (head > 0) ::munmap(begin, head);
    begin += head;
    if (slack > head) ::munmap(begin + size, slack - head);
    ::madvise(begin, size / kHugePage * kHugePage, MADV_HUGEPAGE);
  }
  return {begin, [size](std::byte* p) { ::munmap(p, size); }};
}

std::shared_ptr<std::byte> scratch_bytes(std::size_t bytes) {
  if (bytes < kLarge) return allocate_bytes(bytes);
  Spares::Block block = spares().take(bytes);
  if (block.memory == nullptr) block = {allocate_bytes(bytes), bytes};
  std::byte* const begin = block.memory.get();
  return {begin, [block = std::move(block)](std::byte*) mutable { spares().keep(std::move(block)); }};
}

int usable_cores() noexcept {
  try {
    cpu_set_t mask;
    CPU_ZERO(&mask);
    // Fails beyond 1024 processors; the standard library's count is right there unless an affinity is set.
    const bool known = ::sched_getaffinity(0, sizeof mask, &mask) == 0;
    const int cores = known ? CPU_COUNT(&mask) : static_cast<int>(std::thread::hardware_concurrency());
    // A quota of 1.5 cores counts as 2; two threads waiting for each other on 1.2 would mostly wait.
    const double quota = std::max(1.0, std::round(container_quota()));
    return std::max(1, quota < cores ? static_cast<int>(quota) : cores);
  } catch (...) {
    return 1;
  }
}

int64_t peak_resident_bytes() noexcept {
  try {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
      if (line.rfind("VmHWM:", 0) == 0) return std::strtoll(line.c_str() + 6, nullptr, 10) * 1024;
    }
  } catch (...) {
  }
  // Where /proc is not mounted. Counts what this process was before exec() too.
  rusage usage{};
  return ::getrusage(RUSAGE_SELF, &usage) == 0 ? int64_t{usage.ru_maxrss} * 1024 : 0;
}

std::tm local_time() noexcept {
  const std::time_t now = std::time(nullptr);
  std::tm out{};
  ::localtime_r(&now, &out);
  return out;
}

int current_cpu() noexcept { return ::sched_getcpu(); }

bool leave_cpu(int cpu) noexcept {
  cpu_set_t all;
  if (cpu < 0 || cpu >= CPU_SETSIZE || ::sched_getaffinity(0, sizeof all, &all) != 0) return false;
  cpu_set_t others = all;
  CPU_CLR(cpu, &others);
  if (CPU_COUNT(&others) == 0 || ::sched_setaffinity(0, sizeof others, &others) != 0) return false;
  ::sched_setaffinity(0, sizeof all, &all);
  return true;
}

std::string executable_path() {
  std::error_code error;
  fs::path path = fs::read_symlink("/proc/self/exe", error);
  return error ? std::string() : path.string();
}

#else

std::shared_ptr<const MappedFile> MappedFile::open(const std::string& name, MapMode) {
  const fs::path path(name);
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) system_error("cannot open", error ? error.value() : ENOENT, path);
  if (fs::is_directory(status)) throw Error(ErrorCode::io, "cannot read: is a directory", path.string());
  if (!fs::is_regular_file(status)) throw Error(ErrorCode::io, "cannot read: not a regular file", path.string());
  const auto size = static_cast<std::size_t>(fs::file_size(path, error));
  std::ifstream in(path, std::ios::binary);
  if (error || !in) throw Error(ErrorCode::io, "cannot open", path.string());
  auto copy = allocate_bytes(size);
  in.read(reinterpret_cast<char*>(copy.get()), static_cast<std::streamsize>(size));
  if (static_cast<std::size_t>(in.gcount()) != size) {
    throw Error(ErrorCode::io, "cannot read: " + std::to_string(in.gcount()) + " of " + std::to_string(size) + " bytes",
                path.string());
  }
  return from_memory({copy.get(), size}, copy);
}

MappedFile::~MappedFile() = default;

void MappedFile::release(std::span<const std::byte>) const noexcept {}

void write_file(const std::string& name, std::span<const std::span<const std::byte>> parts) {
  const fs::path path(name);
  const bool replace = replaceable(path);
  // Without a process id, the clock keeps two processes apart.
  const auto ticks = std::chrono::steady_clock::now().time_since_epoch().count();
  const fs::path target = replace ? temporary_name(path, std::to_string(ticks)) : path;
  std::ofstream out(target, std::ios::binary);
  for (const std::span<const std::byte> part : parts) {
    out.write(reinterpret_cast<const char*>(part.data()), static_cast<std::streamsize>(part.size()));
  }
  out.close();
  if (!out) {
    std::error_code ignored;
    if (replace) fs::remove(target, ignored);
    throw Error(ErrorCode::io, "cannot write: the disk is full, or the place does not exist or is protected",
                path.string());
  }
  if (replace) rename_or_remove(target, path);
}

std::shared_ptr<std::byte> allocate_bytes(std::size_t bytes) { return heap_bytes(bytes); }
std::shared_ptr<std::byte> scratch_bytes(std::size_t bytes) { return heap_bytes(bytes); }

int usable_cores() noexcept { return std::max(1, static_cast<int>(std::thread::hardware_concurrency())); }

int64_t peak_resident_bytes() noexcept { return 0; }

std::tm local_time() noexcept {
  static std::mutex mutex;  // std::localtime has one result for all
  const std::lock_guard lock(mutex);
  const std::time_t now = std::time(nullptr);
  const std::tm* const out = std::localtime(&now);
  return out ? *out : std::tm{};
}

int current_cpu() noexcept { return -1; }

bool leave_cpu(int) noexcept { return false; }

std::string executable_path() { return {}; }

#endif

}  // namespace transformers
