// Tests base/callbacks.hpp: the log callback and cancellation.
#include "transformers/base/callbacks.hpp"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "support.hpp"

namespace transformers {
namespace {

TEST(Log, GoesToTheCallbackOrNowhere) {
  log(LogLevel::warning, "dropped");
  std::string seen;
  set_log_callback([&](LogLevel level, std::string_view message) {
    seen += std::to_string(static_cast<int>(level)) + std::string(message);
  });
  log(LogLevel::warning, "kept");
  set_log_callback({});
  log(LogLevel::info, "dropped");
  EXPECT_EQ(seen, "2kept");
}

TEST(Log, TakesMessagesWhileTheCallbackChanges) {
  std::atomic<int> count{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        if (t == 0) set_log_callback([&](LogLevel, std::string_view) { ++count; });
        log(LogLevel::debug, "x");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  set_log_callback({});
  EXPECT_GE(count.load(), 200);
  EXPECT_LE(count.load(), 800);
}

TEST(CancelToken, IsSharedByCopies) {
  const CancelToken token, copy = token;
  EXPECT_NO_THROW(copy.throw_if_cancelled());
  token.cancel();
  EXPECT_TRUE(copy.is_cancelled());
  EXPECT_ERROR(ErrorCode::cancelled, "cancelled by the caller", copy.throw_if_cancelled());
}

}  // namespace
}  // namespace transformers
