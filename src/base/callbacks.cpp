// Implements base/callbacks.hpp.
#include "transformers/base/callbacks.hpp"

#include <atomic>
#include <mutex>
#include <utility>

namespace transformers {
namespace {

struct LogSink {
  std::mutex mutex;
  std::shared_ptr<const LogCallback> callback;
};

// Never destroyed: threads may log while the process ends.
LogSink& sink() {
  static LogSink* const instance = new LogSink;
  return *instance;
}

}  // namespace

void set_log_callback(LogCallback callback) {
  auto shared = callback ? std::make_shared<const LogCallback>(std::move(callback)) : nullptr;
  const std::lock_guard lock(sink().mutex);
  sink().callback.swap(shared);
}

void log(LogLevel level, std::string_view message) {
  std::shared_ptr<const LogCallback> callback;
  {
    const std::lock_guard lock(sink().mutex);
    callback = sink().callback;
  }
  if (callback) (*callback)(level, message);
}

struct CancelToken::Flag {
  std::atomic<bool> set = false;
};

CancelToken::CancelToken() : flag_(std::make_shared<Flag>()) {}

void CancelToken::cancel() const noexcept { flag_->set.store(true, std::memory_order_relaxed); }

bool CancelToken::is_cancelled() const noexcept { return flag_->set.load(std::memory_order_relaxed); }

void CancelToken::throw_if_cancelled() const {
  if (is_cancelled()) throw Error(ErrorCode::cancelled, "cancelled by the caller");
}

}  // namespace transformers
