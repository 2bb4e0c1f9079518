// Tests what a token costs in allocations once the engine is warm: the same number for a model of one layer as for one
// of two, and no more behind a long text than behind a short one.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "transformers/base/parallel.hpp"
#include "transformers/generation/engine.hpp"
#include "transformers/models/pretrained_model.hpp"

namespace {
std::atomic<long> allocations{0};
}

// The program's own, which count; those of arrays call them. Not inline, or the compiler
// takes free() for the wrong end of a new.
[[gnu::noinline]] void* operator new(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* const memory = std::malloc(size > 0 ? size : 1)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return std::malloc(size > 0 ? size : 1);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace transformers {
namespace {

// Allocations of each of 28 steps of greedy search behind 4 tokens, one block of the cache.
std::vector<long> allocations_of_steps(int64_t layers, int64_t streams) {
  LoadOptions load;
  load.config_overrides = Value::Object{{"num_hidden_layers", layers}};
  const auto model = PretrainedModel::from_pretrained(std::string(TCPP_TEST_DATA) + "/models/llama/lm", load);
  Engine engine(*model);
  for (int64_t i = 0; i < streams; ++i) {
    GenerationRequest request;
    request.input_ids = {3, 4, 5, 6 + i};
    request.config.max_new_tokens = 27;
    request.config.do_sample = false;
    engine.submit(std::move(request), [](GenerationResult result) { EXPECT_FALSE(result.error.has_value()); });
  }
  std::vector<long> counts;
  for (bool more = true; more;) {
    const long before = allocations;
    more = engine.step();
    counts.push_back(allocations - before);
  }
  EXPECT_EQ(counts.size(), 27u);
  return counts;
}

TEST(Allocations, OfATokenDoNotGrowWithLayersNorWithTheText) {
  set_num_threads(1);
  for (const int64_t streams : {1, 3}) {
    allocations_of_steps(2, streams);  // what threads keep is there now
    const std::vector<long> one = allocations_of_steps(1, streams), two = allocations_of_steps(2, streams);
    for (std::size_t step = 4; step + 1 < two.size(); ++step) {
      EXPECT_EQ(two[step], one[step]) << "step " << step << " of " << streams << " streams";
      // Lists of ids grow by doubling.
      EXPECT_LE(two[step], two[4] + 4 * streams) << "step " << step << " of " << streams << " streams";
      EXPECT_LE(two[step], 60 + 10 * streams) << "step " << step << " of " << streams << " streams";
    }
  }
  set_num_threads(2);
}

}  // namespace
}  // namespace transformers
