// What it is: the thread pool of the process and parallel_for over it.
// Where it stands: base; kernels, loading and batch tokenization run on it. Nothing else starts threads.
// Usage: `parallel_for(rows, [&](int64_t row) { ... });`
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

#include "transformers/base/export.hpp"

namespace transformers {

// A borrowed callable, void(int64_t index): two pointers, no allocation. Valid only while the callable lives.
class IndexFunction {
 public:
  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, IndexFunction>) IndexFunction(F&& f)
      : object_(const_cast<void*>(static_cast<const void*>(std::addressof(f)))),
        call_([](void* o, int64_t i) { (*static_cast<std::remove_reference_t<F>*>(o))(i); }) {}
  void operator()(int64_t index) const { call_(object_, index); }

 private:
  void* object_;
  void (*call_)(void*, int64_t);
};

// Threads that parallel_for may use, the caller included. Before the first set_num_threads: the number of cores this
// process may run on.
TCPP_API int num_threads() noexcept;
// `threads` in 1 ... 1024, else Error(invalid_argument). Takes effect with the next parallel_for.
TCPP_API void set_num_threads(int threads);

// Calls f(0) ... f(count - 1), each once, on up to num_threads() threads including the caller's, and returns when all
// are done. Indices are handed out one by one, so results must not depend on which thread runs which index. While the
// pool is busy with another caller's work, or when called from inside a parallel_for, it runs in the calling thread
// alone. The first exception thrown by f is rethrown here after the rest has stopped.
TCPP_API void parallel_for(int64_t count, IndexFunction f);

// An executor of the host (its own thread pool) in place of the library's.
class TCPP_API Executor {
 public:
  virtual ~Executor();
  virtual int num_threads() const noexcept = 0;
  // Same contract as transformers::parallel_for. f does not throw.
  virtual void parallel_for(int64_t count, IndexFunction f) = 0;
};
// The executor must outlive its use; nullptr gives the library's pool back. Not while work is running.
TCPP_API void set_executor(Executor* executor) noexcept;

// While one lives, idle pool threads keep spinning between two parallel_for calls instead of going to sleep: a forward
// pass is hundreds of short parallel regions, each cheaper than waking a sleeping thread. Costs no CPU when none lives.
class TCPP_API ParallelScope {
 public:
  ParallelScope() noexcept;
  ~ParallelScope();
  ParallelScope(const ParallelScope&) = delete;
  ParallelScope& operator=(const ParallelScope&) = delete;
};

}  // namespace transformers
