// Implements zip.hpp.
#include "io/zip.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/little_endian.hpp"
#include "transformers/base/error.hpp"
#include "transformers/base/value.hpp"

namespace transformers {
namespace {

constexpr uint32_t kLocalHeader = 0x04034B50, kDirectoryEntry = 0x02014B50, kEnd = 0x06054B50, kEnd64 = 0x06064B50,
                   kEnd64Locator = 0x07064B50;
constexpr std::size_t kLocalBytes = 30, kDirectoryBytes = 46, kEndBytes = 22, kEnd64Bytes = 56, kLocatorBytes = 20;
constexpr uint32_t kMore32 = 0xFFFFFFFF;  // the number is in the zip64 fields
constexpr uint16_t kMore16 = 0xFFFF;

bool leaves_the_archive(std::string_view name) {
  if (name.empty() || name.front() == '/' || name.find_first_of(std::string_view("\\:\0", 3)) != name.npos) return true;
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    if (name.substr(begin, end - begin) == "..") return true;
    begin = end + 1;
  }
  return false;
}

}  // namespace

ZipArchive::ZipArchive(std::span<const std::byte> bytes, std::string where) : bytes_(bytes), where_(std::move(where)) {
  const auto corrupt = [&](const std::string& what) {
    throw Error(ErrorCode::corrupt_file, "zip archive: " + what, where_);
  };
  // The end record is the last thing in the file but for a comment of up to 64 KiB.
  std::size_t end = bytes.size();
  for (std::size_t back = kEndBytes; back <= std::min(bytes.size(), kEndBytes + kMore16); ++back) {
    const std::byte* at = bytes.data() + bytes.size() - back;
    if (little_endian<uint32_t>(at) == kEnd && little_endian<uint16_t>(at + 20) == back - kEndBytes) {
      end = bytes.size() - back;
      break;
    }
  }
  if (end == bytes.size()) corrupt("no directory at its end (incomplete download?)");
  const std::byte* record = bytes.data() + end;
  uint64_t disks = little_endian<uint16_t>(record + 4) | little_endian<uint16_t>(record + 6);
  uint64_t count = little_endian<uint16_t>(record + 10);
  uint64_t size = little_endian<uint32_t>(record + 12), offset = little_endian<uint32_t>(record + 16);
  std::size_t directory_end = end;
  // The wide record stands before the end record whether its numbers are needed or not.
  const bool has_wide = end >= kLocatorBytes && little_endian<uint32_t>(record - kLocatorBytes) == kEnd64Locator;
  if (has_wide || count == kMore16 || size == kMore32 || offset == kMore32) {
    const uint64_t at = has_wide ? little_endian<uint64_t>(record - kLocatorBytes + 8) : bytes.size();
    if (at > end || end - at < kLocatorBytes + kEnd64Bytes || little_endian<uint32_t>(bytes.data() + at) != kEnd64) {
      corrupt("the zip64 end record is missing");
    }
    const std::byte* wide = bytes.data() + at;
    disks = little_endian<uint32_t>(wide + 16) | little_endian<uint32_t>(wide + 20);
    count = little_endian<uint64_t>(wide + 32);
    size = little_endian<uint64_t>(wide + 40);
    offset = little_endian<uint64_t>(wide + 48);
    directory_end = static_cast<std::size_t>(at);
  }
  if (disks != 0) throw Error(ErrorCode::unsupported, "a zip archive in several files", where_);
  if (offset > directory_end || size != directory_end - offset) {
    corrupt("the directory [" + std::to_string(offset) + ", +" + std::to_string(size) +
            ") does not end where the end record begins, at " + std::to_string(directory_end));
  }
  read_entries(static_cast<std::size_t>(offset), directory_end, count);
  check_apart();
  std::ranges::sort(entries_, {}, &Entry::name);
  const auto twice = std::ranges::adjacent_find(entries_, {}, &Entry::name);
  if (twice != entries_.end()) corrupt("two entries are called " + quote(twice->name));
}

void ZipArchive::read_entries(std::size_t begin, std::size_t end, uint64_t count) {
  const auto corrupt = [&](std::string_view name, const std::string& what) {
    throw Error(ErrorCode::corrupt_file, "zip entry " + quote(name) + ": " + what, where_);
  };
  const std::byte* const base = bytes_.data();
  if (count > (end - begin) / kDirectoryBytes) {
    throw Error(ErrorCode::corrupt_file,
                "zip archive: " + std::to_string(count) + " entries do not fit in a directory of " +
                    std::to_string(end - begin) + " bytes",
                where_);
  }
  entries_.reserve(static_cast<std::size_t>(count));
  std::size_t at = begin;
  for (uint64_t i = 0; i < count; ++i) {
    const auto cut = [&]() {
      throw Error(ErrorCode::corrupt_file, "zip archive: entry " + std::to_string(i) + " of the directory is cut short",
                  where_);
    };
    if (end - at < kDirectoryBytes || little_endian<uint32_t>(base + at) != kDirectoryEntry) cut();
    const std::byte* p = base + at;
    const uint16_t flags = little_endian<uint16_t>(p + 8), method = little_endian<uint16_t>(p + 10);
    const uint32_t crc = little_endian<uint32_t>(p + 16);
    uint64_t packed = little_endian<uint32_t>(p + 20), size = little_endian<uint32_t>(p + 24);
    const std::size_t name_bytes = little_endian<uint16_t>(p + 28), extra_bytes = little_endian<uint16_t>(p + 30),
                      comment_bytes = little_endian<uint16_t>(p + 32);
    uint64_t local = little_endian<uint32_t>(p + 42);
    at += kDirectoryBytes;
    if (end - at < name_bytes + extra_bytes + comment_bytes) cut();
    const std::string_view name(reinterpret_cast<const char*>(base + at), name_bytes);
    // zip64: the fields that hold 2^32 - 1 stand in the extra field 1, in this order.
    std::size_t extra = at + name_bytes;
    const std::size_t extra_end = extra + extra_bytes;
    while (extra_end - extra >= 4) {
      const uint16_t id = little_endian<uint16_t>(base + extra), length = little_endian<uint16_t>(base + extra + 2);
      extra += 4;
      if (length > extra_end - extra) corrupt(name, "an extra field is cut short");
      if (id == 1) {
        std::size_t left = length;
        const std::byte* wide = base + extra;
        for (uint64_t* field : {&size, &packed, &local}) {
          if (*field != kMore32) continue;
          if (left < 8) corrupt(name, "the zip64 field is cut short");
          *field = little_endian<uint64_t>(wide);
          wide += 8;
          left -= 8;
        }
      }
      extra += length;
    }
    at = extra_end + comment_bytes;

    if (leaves_the_archive(name)) corrupt(name, "the name leaves the archive");
    if ((flags & 1) != 0) throw Error(ErrorCode::unsupported, "zip entry " + quote(name) + " is encrypted", where_);
    if (method != 0) {
      corrupt(name, "compressed by method " + std::to_string(method) + ", expected the bytes as they are");
    }
    if (packed != size) {
      corrupt(name, "stored in " + std::to_string(packed) + " bytes, but said to have " + std::to_string(size));
    }
    if (local > begin || begin - local < kLocalBytes || little_endian<uint32_t>(base + local) != kLocalHeader) {
      corrupt(name, "no header at byte " + std::to_string(local));
    }
    const std::byte* header = base + local;
    const std::size_t local_name = little_endian<uint16_t>(header + 26),
                      local_extra = little_endian<uint16_t>(header + 28);
    const std::size_t room = begin - static_cast<std::size_t>(local) - kLocalBytes;
    if (local_name + local_extra > room || size > room - local_name - local_extra) {
      corrupt(name, "its " + std::to_string(size) + " bytes reach into the directory");
    }
    if (std::string_view(reinterpret_cast<const char*>(header + kLocalBytes), local_name) != name) {
      corrupt(name, "its own header has another name");
    }
    entries_.push_back({name,
                        bytes_.subspan(static_cast<std::size_t>(local) + kLocalBytes + local_name + local_extra,
                                       static_cast<std::size_t>(size)),
                        crc});
  }
  if (at != end) {
    throw Error(ErrorCode::corrupt_file,
                "zip archive: " + std::to_string(end - at) + " bytes follow the last entry of the directory", where_);
  }
}

// Entries that share bytes are how a small archive claims to be a large one.
void ZipArchive::check_apart() const {
  std::vector<const Entry*> order;
  for (const Entry& entry : entries_) order.push_back(&entry);
  const auto begin_of = [&](const Entry* e) { return e->data.data() - bytes_.data(); };
  std::ranges::sort(order, {}, begin_of);
  std::ptrdiff_t filled = 0;
  for (const Entry* entry : order) {
    if (begin_of(entry) < filled + static_cast<std::ptrdiff_t>(kLocalBytes + entry->name.size())) {
      throw Error(ErrorCode::corrupt_file,
                  "zip entry " + quote(entry->name) + ": its bytes belong to another entry too", where_);
    }
    filled = begin_of(entry) + static_cast<std::ptrdiff_t>(entry->data.size());
  }
}

const ZipArchive::Entry* ZipArchive::find(std::string_view name) const noexcept {
  const auto found = std::ranges::lower_bound(entries_, name, {}, &Entry::name);
  return found != entries_.end() && found->name == name ? &*found : nullptr;
}

uint32_t crc32(std::span<const std::byte> bytes, uint32_t crc) noexcept {
  // Eight bytes at a time: table j gives what a byte does to the sum j bytes later.
  static const auto kTables = [] {
    std::array<std::array<uint32_t, 256>, 8> tables;
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t c = i;
      for (int bit = 0; bit < 8; ++bit) c = c >> 1 ^ ((c & 1) != 0 ? 0xEDB88320u : 0u);
      tables[0][i] = c;
    }
    for (uint32_t i = 0; i < 256; ++i) {
      for (std::size_t j = 1; j < 8; ++j) tables[j][i] = tables[j - 1][i] >> 8 ^ tables[0][tables[j - 1][i] & 255];
    }
    return tables;
  }();
  const auto byte = [](const std::byte* p) { return std::to_integer<uint32_t>(*p); };
  const std::byte* p = bytes.data();
  std::size_t left = bytes.size();
  crc = ~crc;
  for (; left >= 8; left -= 8, p += 8) {
    const uint32_t low = crc ^ little_endian<uint32_t>(p), high = little_endian<uint32_t>(p + 4);
    crc = kTables[7][low & 255] ^ kTables[6][low >> 8 & 255] ^ kTables[5][low >> 16 & 255] ^ kTables[4][low >> 24] ^
          kTables[3][high & 255] ^ kTables[2][high >> 8 & 255] ^ kTables[1][high >> 16 & 255] ^ kTables[0][high >> 24];
  }
  for (; left > 0; --left, ++p) crc = crc >> 8 ^ kTables[0][(crc ^ byte(p)) & 255];
  return ~crc;
}

}  // namespace transformers
