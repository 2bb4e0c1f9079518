// What it is: a list of tasks drawn by all threads, each beginning with a stretch of its own, and scratch memory per
// thread. Where it stands: src/kernels; the drivers (gemm.cpp, attention.cpp, rowwise.cpp) are built on it. Usage:
// `for_each_task(tasks, [&](auto& next) { for (int64_t i; (i = next()) >= 0;) work(i); });`
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "transformers/base/parallel.hpp"
#include "transformers/base/platform.hpp"

namespace transformers {

// Each thread takes the tasks of its own stretch from the front, so that neighbouring tasks find their data in its
// cache and weights stream in order; a thread that has finished takes from the back of the others' stretches.
class TaskList {
 public:
  TaskList(int64_t count, int stretches) : stretches_(stretches) {
    for (int i = 0; i < stretches; ++i) {
      state_[i].range.store(pack(count * i / stretches, count * (i + 1) / stretches), std::memory_order_relaxed);
    }
  }

  // The next task for a thread that began with stretch `own`, or -1.
  int64_t next(int own) noexcept {
    for (int i = 0; i < stretches_; ++i) {
      std::atomic<uint64_t>& range = state_[(own + i) % stretches_].range;
      uint64_t seen = range.load(std::memory_order_relaxed);
      for (;;) {
        const uint64_t begin = seen >> 32, end = seen & 0xffffffffu;
        if (begin >= end) break;
        const bool front = i == 0;
        const uint64_t rest = front ? ((begin + 1) << 32) | end : (begin << 32) | (end - 1);
        if (range.compare_exchange_weak(seen, rest, std::memory_order_relaxed)) {
          return static_cast<int64_t>(front ? begin : end - 1);
        }
      }
    }
    return -1;
  }

  static constexpr int kMaxStretches = 64;
  static constexpr int64_t kMaxTasks = 0x7fffffff;

 private:
  static uint64_t pack(int64_t begin, int64_t end) {
    return (static_cast<uint64_t>(begin) << 32) | static_cast<uint64_t>(end);
  }

  struct alignas(64) State {
    std::atomic<uint64_t> range{0};
  };
  State state_[kMaxStretches];
  int stretches_;
};

// Runs `body(next)` on every thread that takes part; `next()` hands out 0 ... count - 1, each once, then -1.
template <class Body>
void for_each_task(int64_t count, Body body) {
  if (count <= 0) return;
  int threads = num_threads();
  if (threads > TaskList::kMaxStretches) threads = TaskList::kMaxStretches;
  if (threads > count) threads = static_cast<int>(count);
  if (threads <= 1) {
    int64_t task = 0;
    auto next = [&]() -> int64_t { return task < count ? task++ : -1; };
    body(next);
    return;
  }
  TaskList tasks(count, threads);
  parallel_for(threads, [&](int64_t own) {
    auto next = [&]() -> int64_t { return tasks.next(static_cast<int>(own)); };
    body(next);
  });
}

// A value that the calling thread used before, for as long as this lives: its vectors keep their memory from one call
// to the next. Whoever asks meanwhile, on a host's thread that works on something else while it waits, gets another.
template <class T>
class Reused {
 public:
  Reused() : value_(std::exchange(spare(), T())) {}
  ~Reused() { spare() = std::move(value_); }
  Reused(const Reused&) = delete;
  Reused& operator=(const Reused&) = delete;
  T& operator*() noexcept { return value_; }

 private:
  static T& spare() {
    static thread_local T value;
    return value;
  }
  T value_;
};

// Memory that grows and is kept for the next time.
class Scratch {
 public:
  // At least `floats` floats, 64-byte aligned: valid until the next call.
  float* floats(int64_t floats) {
    if (floats > size_) {
      memory_.reset();
      size_ = 0;
      memory_ = allocate_bytes(static_cast<std::size_t>(floats) * sizeof(float));
      size_ = floats;
    }
    return reinterpret_cast<float*>(memory_.get());
  }

 private:
  std::shared_ptr<std::byte> memory_;
  int64_t size_ = 0;
};

// That of the calling thread: for one task. What must outlive a parallel_for is a Reused<Scratch>.
inline float* thread_scratch(int64_t floats) {
  thread_local Scratch scratch;
  return scratch.floats(floats);
}

}  // namespace transformers
