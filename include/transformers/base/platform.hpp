// What it is: all that depends on the operating system, behind a few functions (src/base/platform.cpp).
// Where it stands: base; to bring the library to another system, fill in that one file.
// Usage: `auto file = MappedFile::open("model.safetensors"); std::span<const std::byte> bytes = file->bytes();`
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "transformers/base/export.hpp"

namespace transformers {

enum class MapMode {
  automatic,  // mmap; where the file system cannot, read() into memory
  read,       // always read() into memory: for files that may shrink or vanish while in use (mmap would raise SIGBUS)
};

// The bytes of a file, read-only: mapped, copied, or the caller's. Share it: tensors keep it alive.
class TCPP_API MappedFile {
 public:
  // Error(not_found) when absent, Error(io) for what the system refuses or for anything but a regular file.
  static std::shared_ptr<const MappedFile> open(const std::string& path, MapMode mode = MapMode::automatic);
  // A file that is in memory already; `owner` keeps the bytes alive.
  static std::shared_ptr<const MappedFile> from_memory(std::span<const std::byte> bytes,
                                                       std::shared_ptr<const void> owner);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }
  std::string_view text() const noexcept { return {reinterpret_cast<const char*>(data_), size_}; }
  bool is_mapped() const noexcept { return mapped_; }
  // Tells the system that `part` (of bytes()) is not needed for now: its pages leave memory and are read again when
  // touched. Nothing happens for a file that is not mapped.
  void release(std::span<const std::byte> part) const noexcept;

 private:
  MappedFile() = default;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  bool mapped_ = false;
  std::shared_ptr<const void> owner_;  // of bytes that are not mapped
};

// A whole small file as a string. Error(limit) beyond `max_bytes`, else as MappedFile::open.
TCPP_API std::string read_file(const std::string& path, std::size_t max_bytes = std::size_t{1} << 30);
// Writes the parts one after another to a temporary file beside `path` and renames it, so that a reader never sees a
// torn file; a device or pipe is written to directly. Error(io), the temporary file being removed.
TCPP_API void write_file(const std::string& path, std::span<const std::span<const std::byte>> parts);

// Memory for packed weights: 64-byte aligned, never null, from the system directly when large (2 MiB
// pages where the system has them: the GEMM reads it end to end). Zeroed; large blocks become resident only as they are
// written. Error(out_of_memory) naming the bytes asked for.
TCPP_API std::shared_ptr<std::byte> allocate_bytes(std::size_t bytes);
// The same for what one call needs and the next one again (activations, keys and values): contents undefined. What is
// given back stays with the process for whoever asks next, up to 256 MiB, unless the system needs the pages.
TCPP_API std::shared_ptr<std::byte> scratch_bytes(std::size_t bytes);

// Cores this process may run on (its affinity mask and container quota), at least 1.
TCPP_API int usable_cores() noexcept;
// The core this thread runs on at the moment, -1 where the system does not tell.
TCPP_API int current_cpu() noexcept;
// Moves this thread from core `cpu` to another one that it may run on; false when there is none. Its affinity stays as
// it was.
TCPP_API bool leave_cpu(int cpu) noexcept;
// Highest resident size of this process so far, in bytes; 0 where the system does not tell.
TCPP_API int64_t peak_resident_bytes() noexcept;
// The local date and time of day now.
TCPP_API std::tm local_time() noexcept;
// The running program's file; empty where the system does not tell.
TCPP_API std::string executable_path();

}  // namespace transformers
