// What it is: how the library speaks to its host (logs, progress) and how the host stops it (cancellation).
// Where it stands: base; the library itself never prints.
// Usage: `set_log_callback([](LogLevel, std::string_view m) { std::fprintf(stderr, "%.*s\n", int(m.size()), m.data());
// });`
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "transformers/base/error.hpp"
#include "transformers/base/export.hpp"

namespace transformers {

enum class LogLevel { debug, info, warning };

// Receives every log line of the process, possibly from several threads at once. It must not throw.
using LogCallback = std::function<void(LogLevel level, std::string_view message)>;

// Replaces the process-wide callback; an empty one (the default) drops all messages.
TCPP_API void set_log_callback(LogCallback callback);
TCPP_API void log(LogLevel level, std::string_view message);

// Called after each finished item of long work: `done` of `total` items.
using ProgressCallback = std::function<void(int64_t done, int64_t total)>;

// A flag shared by copies: one side calls cancel(), the working side notices between two steps and throws
// Error(cancelled). A default-constructed token can be cancelled too.
class CancelToken {
 public:
  CancelToken() : flag_(std::make_shared<std::atomic<bool>>(false)) {}
  void cancel() const noexcept { flag_->store(true, std::memory_order_relaxed); }
  bool is_cancelled() const noexcept { return flag_->load(std::memory_order_relaxed); }
  void throw_if_cancelled() const {
    if (is_cancelled()) throw Error(ErrorCode::cancelled, "cancelled by the caller");
  }

 private:
  std::shared_ptr<std::atomic<bool>> flag_;
};

}  // namespace transformers
