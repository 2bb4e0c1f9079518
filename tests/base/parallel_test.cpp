// Tests of base/parallel.hpp.
#include "transformers/base/parallel.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "transformers/base/error.hpp"

namespace transformers {
namespace {

class ParallelTest : public testing::Test {
 protected:
  ParallelTest() : threads_(num_threads()) {}
  ~ParallelTest() override {
    set_executor(nullptr);
    set_num_threads(threads_);
  }

 private:
  int threads_;
};

// Runs `count` indices and tells whether each was called exactly once.
bool each_once(int64_t count) {
  std::vector<std::atomic<int>> calls(static_cast<std::size_t>(count));
  parallel_for(count, [&](int64_t i) { calls[static_cast<std::size_t>(i)]++; });
  for (const std::atomic<int>& n : calls) {
    if (n != 1) return false;
  }
  return true;
}

TEST_F(ParallelTest, CallsEachIndexOnce) {
  for (const int threads : {1, 2, 3, 8, 2, 1, 16}) {  // grows, shrinks, more threads than cores
    set_num_threads(threads);
    EXPECT_EQ(num_threads(), threads);
    for (const int64_t count : {0, 1, 2, 3, 7, 100, 5000}) EXPECT_TRUE(each_once(count)) << threads << " " << count;
  }
}

TEST_F(ParallelTest, ManyShortRegions) {
  for (const int threads : {2, 5}) {
    set_num_threads(threads);
    for (const bool scoped : {false, true}) {
      const ParallelScope* scope = scoped ? new ParallelScope : nullptr;
      std::atomic<int64_t> sum{0};
      for (int i = 0; i < 2000; ++i) parallel_for(4, [&](int64_t index) { sum += index; });
      EXPECT_EQ(sum, 2000 * 6);
      delete scope;
    }
  }
}

TEST_F(ParallelTest, UsesOtherThreads) {
  set_num_threads(2);
  std::atomic<int> arrived{0};
  // Each index waits for the other: a single thread would not get past the first.
  parallel_for(2, [&](int64_t) {
    ++arrived;
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (arrived < 2 && std::chrono::steady_clock::now() < give_up) std::this_thread::yield();
  });
  EXPECT_EQ(arrived, 2);
}

TEST_F(ParallelTest, WakesAfterSleeping) {
  set_num_threads(2);
  for (int i = 0; i < 3; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(40));
    EXPECT_TRUE(each_once(64));
  }
}

TEST_F(ParallelTest, NestedCallsRunInTheCallingThread) {
  set_num_threads(4);
  std::atomic<int> calls{0}, elsewhere{0};
  parallel_for(8, [&](int64_t) {
    const std::thread::id outer = std::this_thread::get_id();
    parallel_for(8, [&](int64_t) {
      ++calls;
      if (std::this_thread::get_id() != outer) ++elsewhere;
    });
  });
  EXPECT_EQ(calls, 64);
  EXPECT_EQ(elsewhere, 0);
}

TEST_F(ParallelTest, RethrowsTheFirstException) {
  for (const int threads : {1, 3}) {
    set_num_threads(threads);
    for (int round = 0; round < 50; ++round) {
      try {
        parallel_for(100, [](int64_t i) {
          if (i % 10 == 3) throw std::runtime_error("index " + std::to_string(i));
        });
        FAIL() << "no exception";
      } catch (const std::runtime_error& error) {
        EXPECT_EQ(std::string(error.what()).substr(0, 6), "index ");
      }
      ASSERT_TRUE(each_once(50));  // and the pool lives on
    }
  }
}

TEST_F(ParallelTest, ServesCallersAtTheSameTime) {
  set_num_threads(3);
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int c = 0; c < 4; ++c) {
    callers.emplace_back([&] {
      for (int i = 0; i < 200; ++i) wrong += !each_once(20);
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(ParallelTest, RefusesSillyNumbersOfThreads) {
  const int before = num_threads();
  for (const int threads : {0, -1, 1000000}) {
    try {
      set_num_threads(threads);
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
      EXPECT_EQ(std::string(error.what()), "number of threads " + std::to_string(threads) + " (1 to 1024)");
    }
  }
  EXPECT_EQ(num_threads(), before);
}

class TwoThreads : public Executor {
 public:
  int num_threads() const noexcept override { return 2; }
  void parallel_for(int64_t count, IndexFunction f) override {
    ++calls;
    std::thread odd([&] {
      for (int64_t i = 1; i < count; i += 2) f(i);
    });
    for (int64_t i = 0; i < count; i += 2) f(i);
    odd.join();
  }
  int calls = 0;
};

TEST_F(ParallelTest, RunsOnTheHostsExecutor) {
  TwoThreads host;
  set_executor(&host);
  EXPECT_EQ(num_threads(), 2);
  EXPECT_TRUE(each_once(101));
  EXPECT_EQ(host.calls, 1);
  std::atomic<int> inner{0};
  parallel_for(4, [&](int64_t) { parallel_for(5, [&](int64_t) { ++inner; }); });
  EXPECT_EQ(inner, 20);
  EXPECT_EQ(host.calls, 2);  // nested calls stay in their thread
  EXPECT_THROW(parallel_for(10,
                            [](int64_t i) {
                              if (i == 4) throw std::logic_error("four");
                            }),
               std::logic_error);
  set_executor(nullptr);
  EXPECT_TRUE(each_once(10));
  EXPECT_EQ(host.calls, 3);
}

}  // namespace
}  // namespace transformers
