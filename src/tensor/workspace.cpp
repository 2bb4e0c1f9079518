// Implements tensor/workspace.hpp.
#include "transformers/tensor/workspace.hpp"

#include <algorithm>

#include "transformers/base/error.hpp"
#include "transformers/base/platform.hpp"

namespace transformers {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kSmallestChunk = std::size_t{1} << 18;

}  // namespace

Workspace::Workspace() = default;
Workspace::~Workspace() = default;
Workspace::Workspace(Workspace&&) noexcept = default;
Workspace& Workspace::operator=(Workspace&&) noexcept = default;

float* Workspace::floats(int64_t count) {
  if (count < 0 || static_cast<uint64_t>(count) > (uint64_t{1} << 46)) {
    throw Error(ErrorCode::out_of_memory, "activations of " + std::to_string(count) + " floats asked for");
  }
  const std::size_t size =
      (std::max<std::size_t>(static_cast<std::size_t>(count) * sizeof(float), 1) + kAlignment - 1) / kAlignment *
      kAlignment;
  if (chunks_.empty() || used_ + size > chunks_.back().size) {
    // What was handed out stays where it is, so growth is a further chunk; reset() makes one of them all.
    const std::size_t chunk = std::max({size, kSmallestChunk, bytes() / 2});
    chunks_.push_back({scratch_bytes(chunk), chunk});
    used_ = 0;
  }
  std::byte* p = chunks_.back().memory.get() + used_;
  used_ += size;
  return reinterpret_cast<float*>(p);
}

void Workspace::reset() {
  if (chunks_.size() > 1) {
    const std::size_t total = bytes();
    chunks_.clear();
    chunks_.push_back({scratch_bytes(total), total});
  }
  used_ = 0;
}

std::size_t Workspace::bytes() const noexcept {
  std::size_t total = 0;
  for (const Chunk& chunk : chunks_) total += chunk.size;
  return total;
}

}  // namespace transformers
