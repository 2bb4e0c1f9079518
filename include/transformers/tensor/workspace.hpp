// What it is: Workspace, reusable memory for the activations of one forward pass at a time.
// Where it stands: tensor; models take their scratch and their outputs from it.
// Usage: `Workspace ws;  ModelOutput out = model.forward(batch, ws);`  (out views ws until the next forward)
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "transformers/base/export.hpp"

namespace transformers {

// A stack of floats that grows to the largest forward pass seen and is then reused without further allocation; it never
// shrinks. One per concurrent call: not thread-safe.
class TCPP_API Workspace {
 public:
  Workspace();
  ~Workspace();
  Workspace(Workspace&&) noexcept;
  Workspace& operator=(Workspace&&) noexcept;

  // `count` floats, 64-byte aligned, contents undefined; valid until reset(), whatever is taken after it.
  float* floats(int64_t count);
  // Everything taken so far is given back. Models call it at the start of forward.
  void reset();
  // Bytes held from the system.
  std::size_t bytes() const noexcept;

 private:
  struct Chunk {
    std::shared_ptr<std::byte> memory;
    std::size_t size = 0;
  };
  std::vector<Chunk> chunks_;
  std::size_t used_ = 0;  // bytes of the last chunk
};

}  // namespace transformers
