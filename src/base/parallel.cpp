// Implements base/parallel.hpp: one pool of threads, made on first use and never destroyed.
//
// A job is open while indices may still be drawn from it. Threads join an open job and leave it; its caller draws
// indices too, then closes it and waits only for those that joined. A worker that the system has not scheduled in time
// is thus never waited for. Workers are detached and touch nothing but the pool, which lives as long as the process:
// neither the order of static destruction nor a fork can hang on them.
#include "transformers/base/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>

#include "transformers/base/error.hpp"
#include "transformers/base/platform.hpp"

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace transformers {
namespace {

constexpr int kMaxThreads = 1024;
// How long an idle worker watches for the next job: busily, then giving way to others. Outside a ParallelScope it
// sleeps after the busy part; inside one it keeps watching for the gap between two forward passes, at most.
constexpr auto kSpin = std::chrono::microseconds(50);
constexpr auto kWatch = std::chrono::milliseconds(20);
constexpr int kPausesPerLook = 32;  // at the clock

void pause() noexcept {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(__aarch64__) && defined(__GNUC__)
  __asm__ volatile("yield");
#endif
}

thread_local bool inside = false;  // of a parallel_for

struct InsideScope {
  InsideScope() noexcept { inside = true; }
  ~InsideScope() { inside = false; }
};

// The indices of one parallel_for and its first exception.
class Indices {
 public:
  Indices(int64_t count, const IndexFunction& f) noexcept : count_(count), f_(f) {}

  void run() noexcept {
    while (!failed_.load(std::memory_order_relaxed)) {
      const int64_t index = next_.fetch_add(1, std::memory_order_relaxed);
      if (index >= count_) return;
      call(index);
    }
  }
  void call(int64_t index) noexcept {
    try {
      f_(index);
    } catch (...) {
      if (!failed_.exchange(true, std::memory_order_relaxed)) error_ = std::current_exception();
    }
  }
  bool failed() const noexcept { return failed_.load(std::memory_order_relaxed); }
  // After all threads have left.
  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  const int64_t count_;
  const IndexFunction& f_;
  std::atomic<int64_t> next_{0};
  std::atomic<bool> failed_{false};
  std::exception_ptr error_;
};

class Pool {
 public:
  // False when another caller's job is running.
  bool run(Indices& indices, int helpers) {
    if (busy_.exchange(true, std::memory_order_acquire)) return false;
    grow(helpers);
    indices_ = &indices;
    helpers_.store(helpers, std::memory_order_relaxed);
    caller_cpu_.store(current_cpu(), std::memory_order_relaxed);
    state_.store(kOpen | (++number_ << kNumberShift), std::memory_order_seq_cst);
    wake();
    {
      const InsideScope scope;
      indices.run();
    }
    state_.fetch_and(~kOpen, std::memory_order_seq_cst);
    wait_for_helpers();
    indices_ = nullptr;
    busy_.store(false, std::memory_order_release);
    return true;
  }

  void enter_scope() noexcept { scopes_.fetch_add(1, std::memory_order_relaxed); }
  void leave_scope() noexcept { scopes_.fetch_sub(1, std::memory_order_relaxed); }

 private:
  // state_: bit 0 a job is open; bits 1-15 helpers inside it; the rest the job's number.
  static constexpr uint64_t kOpen = 1, kHelper = 2, kNumberShift = 16, kHelpers = 0xfffe;

  void grow(int helpers) {
    while (threads_ < helpers) {
      try {
        std::thread([this, id = threads_] { work(id); }).detach();
      } catch (const std::system_error&) {
        return;  // fewer threads, same results
      }
      ++threads_;
    }
  }

  void wake() {
    if (sleepers_.load(std::memory_order_seq_cst) == 0) return;
    const std::lock_guard lock(mutex_);
    awake_.notify_all();
  }

  void wait_for_helpers() {
    const auto left = [this] { return (state_.load(std::memory_order_seq_cst) & kHelpers) == 0; };
    const auto start = std::chrono::steady_clock::now();
    do {
      for (int i = 0; i < kPausesPerLook; ++i) {
        if (left()) return;
        pause();
      }
    } while (std::chrono::steady_clock::now() - start < kSpin);
    // A helper is in a long index or lost its core: give it the core.
    std::unique_lock lock(mutex_);
    caller_waits_.store(true, std::memory_order_seq_cst);
    done_.wait(lock, left);
    caller_waits_.store(false, std::memory_order_relaxed);
  }

  // Joins the latest job unless this worker has seen it, has come too late or is not wanted.
  bool join(int id, uint64_t& seen) noexcept {
    uint64_t state = state_.load(std::memory_order_seq_cst);
    while ((state >> kNumberShift) != seen) {
      if (id >= helpers_.load(std::memory_order_relaxed)) return false;
      if ((state & kOpen) == 0) {
        seen = state >> kNumberShift;
        return false;
      }
      if (state_.compare_exchange_weak(state, state + kHelper, std::memory_order_seq_cst)) {
        seen = state >> kNumberShift;
        return true;
      }
    }
    return false;
  }

  void work(int id) {
    // Beyond the number of cores a watching thread would only take time from a working one.
    const bool may_watch = id + 1 < usable_cores();
    uint64_t seen = 0;
    auto last = std::chrono::steady_clock::now();
    for (;;) {
      if (join(id, seen)) {
        {
          const InsideScope scope;
          indices_->run();
        }
        const uint64_t before = state_.fetch_sub(kHelper, std::memory_order_seq_cst);
        if ((before & (kHelpers | kOpen)) == kHelper && caller_waits_.load(std::memory_order_seq_cst)) {
          const std::lock_guard lock(mutex_);
          done_.notify_all();
        }
        last = std::chrono::steady_clock::now();
        continue;
      }
      if (may_watch) {
        bool found = false;
        for (int i = 0; i < kPausesPerLook && !found; ++i) {
          pause();
          found = is_new(seen);
        }
        if (found && id < helpers_.load(std::memory_order_relaxed)) {
          last = std::chrono::steady_clock::now();
          continue;
        }
        // On the caller's own core this thread would only get in its way, and the system moves a thread that is always
        // about to run only after many milliseconds.
        const int cpu = current_cpu();
        if (cpu < 0 || cpu != caller_cpu_.load(std::memory_order_relaxed) || leave_cpu(cpu)) {
          const auto idle = std::chrono::steady_clock::now() - last;
          if (idle < kSpin) continue;
          if (idle < kWatch && scopes_.load(std::memory_order_relaxed) > 0) {
            std::this_thread::yield();
            continue;
          }
        }
      }
      std::unique_lock lock(mutex_);
      sleepers_.fetch_add(1, std::memory_order_seq_cst);
      // Also for a job that has meanwhile ended: the next one of the same forward pass is near.
      awake_.wait(lock, [&] { return is_new(seen) && id < helpers_.load(std::memory_order_relaxed); });
      sleepers_.fetch_sub(1, std::memory_order_seq_cst);
      last = std::chrono::steady_clock::now();
    }
  }

  bool is_new(uint64_t seen) const noexcept { return (state_.load(std::memory_order_seq_cst) >> kNumberShift) != seen; }

  std::atomic<bool> busy_{false};
  // Written by the thread that is busy_, read by those that joined its job.
  Indices* indices_ = nullptr;
  int threads_ = 0;
  uint64_t number_ = 0;

  alignas(64) std::atomic<uint64_t> state_{0};
  std::atomic<int> helpers_{0};
  std::atomic<int> caller_cpu_{-1};
  alignas(64) std::atomic<int> scopes_{0};
  std::atomic<int> sleepers_{0};
  std::atomic<bool> caller_waits_{false};
  std::mutex mutex_;
  std::condition_variable awake_, done_;
};

Pool& pool() {
  static Pool* const made = new Pool;  // never destroyed: its threads outlive static destruction
  return *made;
}

std::atomic<int> requested_threads{0};  // 0: not set, all cores
std::atomic<Executor*> executor{nullptr};

}  // namespace

int num_threads() noexcept {
  if (const Executor* host = executor.load(std::memory_order_acquire)) return std::max(1, host->num_threads());
  int threads = requested_threads.load(std::memory_order_relaxed);
  if (threads == 0) {
    int expected = 0;
    threads = std::clamp(usable_cores(), 1, kMaxThreads);
    if (!requested_threads.compare_exchange_strong(expected, threads, std::memory_order_relaxed)) threads = expected;
  }
  return threads;
}

void set_num_threads(int threads) {
  if (threads < 1 || threads > kMaxThreads) {
    throw Error(ErrorCode::invalid_argument,
                "number of threads " + std::to_string(threads) + " (1 to " + std::to_string(kMaxThreads) + ")");
  }
  requested_threads.store(threads, std::memory_order_relaxed);
}

void parallel_for(int64_t count, IndexFunction f) {
  if (count <= 0) return;
  const int threads = static_cast<int>(std::min<int64_t>(count, num_threads()));
  if (!inside && threads > 1) {
    Indices indices(count, f);
    if (Executor* host = executor.load(std::memory_order_acquire)) {
      host->parallel_for(count, [&](int64_t index) {
        const InsideScope scope;
        if (!indices.failed()) indices.call(index);
      });
      return indices.rethrow();
    }
    if (pool().run(indices, threads - 1)) return indices.rethrow();
  }
  for (int64_t index = 0; index < count; ++index) f(index);
}

Executor::~Executor() = default;

void set_executor(Executor* host) noexcept { executor.store(host, std::memory_order_release); }

ParallelScope::ParallelScope() noexcept { pool().enter_scope(); }
ParallelScope::~ParallelScope() { pool().leave_scope(); }

}  // namespace transformers
