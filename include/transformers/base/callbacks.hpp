// What it is: how the library speaks to its host (logs, progress) and how the host stops it (cancellation).
// Where it stands: base; the library itself never prints.
// Usage: `set_log_callback([](LogLevel, std::string_view m) { std::fprintf(stderr, "%.*s\n", int(m.size()), m.data());
// });`
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "transformers/base/error.hpp"
#include "transformers/base/export.hpp"
#include "transformers/base/function.hpp"

namespace transformers {

enum class LogLevel { debug, info, warning };

// Receives every log line of the process, possibly from several threads at once. It must not throw.
using LogCallback = Function<void(LogLevel level, std::string_view message)>;

// Replaces the process-wide callback; an empty one (the default) drops all messages.
TCPP_API void set_log_callback(LogCallback callback);
TCPP_API void log(LogLevel level, std::string_view message);

// Called after each finished item of long work: `done` of `total` items.
using ProgressCallback = Function<void(int64_t done, int64_t total)>;

// A flag shared by copies: one side calls cancel(), the working side notices between two steps and throws
// Error(cancelled). A default-constructed token can be cancelled too.
class TCPP_API CancelToken {
 public:
  CancelToken();
  void cancel() const noexcept;
  bool is_cancelled() const noexcept;
  void throw_if_cancelled() const;

 private:
  struct Flag;
  std::shared_ptr<Flag> flag_;
};

}  // namespace transformers
