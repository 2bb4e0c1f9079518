// Implements base/callbacks.hpp.
#include "transformers/base/callbacks.hpp"

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

}  // namespace transformers
