// What it is: the directory of a zip archive whose entries are stored uncompressed, as PyTorch writes them.
// Where it stands: src/io; torch_file.cpp finds a checkpoint's pickle and its storages in it.
// Usage: `const ZipArchive zip(file->bytes(), "pytorch_model.bin"); const ZipArchive::Entry* e =
// zip.find("a/data.pkl");` Source: PKWARE's APPNOTE 6.3.10, sections 4.3 (structures) and 4.5.3 (zip64).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace transformers {

// The directory is checked in full when it is read: every entry stored as it is, inside the file, apart from the
// others, named as its local header names it, under a name that stays below the archive.
class ZipArchive {
 public:
  struct Entry {
    std::string_view name;            // in the archive's own bytes
    std::span<const std::byte> data;  // likewise
    uint32_t crc = 0;
  };

  // Borrows `bytes`. Error(corrupt_file) naming the entry, Error(unsupported) for archives in several files or
  // encrypted.
  ZipArchive(std::span<const std::byte> bytes, std::string where);

  const std::vector<Entry>& entries() const noexcept { return entries_; }  // sorted by name
  const Entry* find(std::string_view name) const noexcept;                 // nullptr when absent

 private:
  void read_entries(std::size_t begin, std::size_t end, uint64_t count);
  void check_apart() const;

  std::span<const std::byte> bytes_;
  std::string where_;
  std::vector<Entry> entries_;
};

// The checksum of zip (CRC-32 of IEEE 802.3), continued from `crc`.
uint32_t crc32(std::span<const std::byte> bytes, uint32_t crc = 0) noexcept;

}  // namespace transformers
