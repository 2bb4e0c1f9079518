// The engine: cancelling, failing and streaming requests beside others that go on, memory, and seeds.
#include "transformers/generation/engine.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <thread>

#include "support.hpp"
#include "transformers/generation/generate.hpp"
#include "transformers/models/pretrained_model.hpp"

namespace transformers {
namespace {

const PretrainedModel& model() {
  static const auto loaded = PretrainedModel::from_pretrained(std::string(TCPP_TEST_DATA) + "/models/gpt2/lm");
  return *loaded;
}

GenerationRequest request_of(std::vector<int64_t> ids, int64_t max_new_tokens) {
  GenerationRequest request;
  request.input_ids = std::move(ids);
  request.config = GenerationConfig().with(Value(Value::Object{{"max_new_tokens", max_new_tokens}}));
  return request;
}

std::vector<int64_t> ids_of(const GenerationResult& result) {
  EXPECT_FALSE(result.error) << result.error->what();
  return result.error ? std::vector<int64_t>{} : result.sequences.at(0).ids;
}

std::vector<int64_t> alone(GenerationRequest request) { return ids_of(generate(model(), {std::move(request)})[0]); }

TEST(Engine, ARequestCancelledAtAnyTokenLeavesTheOthersAlone) {
  const std::vector<int64_t> expected = alone(request_of({3, 4, 5}, 20));
  for (int at = 0; at < 6; ++at) {
    Engine engine(model());
    std::optional<GenerationResult> cancelled, other;
    const int64_t id = engine.submit(request_of({7, 8}, 20), [&](GenerationResult r) { cancelled = std::move(r); });
    engine.submit(request_of({3, 4, 5}, 20), [&](GenerationResult r) { other = std::move(r); });
    for (int i = 0; i < at; ++i) engine.step();
    EXPECT_TRUE(engine.cancel(id));
    while (engine.step()) {
    }
    ASSERT_TRUE(cancelled && other);
    ASSERT_TRUE(cancelled->error);
    EXPECT_EQ(cancelled->error->code(), ErrorCode::cancelled);
    EXPECT_EQ(ids_of(*other), expected);
    EXPECT_FALSE(engine.cancel(id));
    EXPECT_EQ(engine.running(), 0);
    EXPECT_EQ(engine.cache_bytes(), 0);
  }
}

TEST(Engine, WhatACallbackThrowsFailsItsOwnRequest) {
  struct Throwing : BaseStreamer {
    bool put(int64_t, std::span<const int64_t> ids) override {
      if (++calls == 4) throw std::runtime_error("full");
      last.assign(ids.begin(), ids.end());
      return true;
    }
    int calls = 0;
    std::vector<int64_t> last;
  };
  std::vector<GenerationRequest> requests{request_of({7, 8}, 20), request_of({3, 4, 5}, 20)};
  requests[0].streamer = std::make_shared<Throwing>();
  const std::vector<GenerationResult> results = generate(model(), requests);
  ASSERT_TRUE(results[0].error);
  EXPECT_EQ(results[0].error->message(), "full");
  EXPECT_EQ(ids_of(results[1]), alone(request_of({3, 4, 5}, 20)));
}

TEST(Engine, StreamersSeeEveryTokenAndMayStop) {
  struct Recorder : BaseStreamer {
    bool put(int64_t, std::span<const int64_t> ids) override {
      all.insert(all.end(), ids.begin(), ids.end());
      return all.size() < limit;
    }
    void end(int64_t) override { ended = true; }
    std::size_t limit = 100;
    std::vector<int64_t> all;
    bool ended = false;
  };
  const std::vector<int64_t> expected = alone(request_of({7, 8}, 9));
  auto recorder = std::make_shared<Recorder>();
  GenerationRequest request = request_of({7, 8}, 9);
  request.streamer = recorder;
  EXPECT_EQ(alone(request), expected);
  EXPECT_EQ(recorder->all, expected);
  EXPECT_TRUE(recorder->ended);
  recorder = std::make_shared<Recorder>();
  recorder->limit = 5;
  request.streamer = recorder;
  EXPECT_EQ(alone(request), std::vector<int64_t>(expected.begin(), expected.begin() + 5));
}

TEST(Engine, PromptsBeyondTheModelAndEmptyOnesAreErrors) {
  EXPECT_ERROR(ErrorCode::limit, "41 tokens, model maximum is 40",
               Engine(model()).submit(request_of(std::vector<int64_t>(41, 3), 2), {}));
  EXPECT_ERROR(ErrorCode::invalid_argument, "an empty prompt needs a bos_token_id to start from (input_ids)",
               Engine(model()).submit(request_of({}, 2), {}));
  EXPECT_ERROR(ErrorCode::invalid_argument, "token id 67 is outside the vocabulary of 67 (input_ids)",
               Engine(model()).submit(request_of({1, 67}, 2), {}));
  GenerationRequest short_length = request_of({1, 2, 3}, 2);
  short_length.config.max_new_tokens.reset();
  short_length.config.max_length = 3;
  EXPECT_ERROR(ErrorCode::invalid_argument,
               "the prompt has 3 tokens, max_length is 3 (raise it, or set max_new_tokens) (max_length)",
               Engine(model()).submit(short_length, {}));
  // Reached while generating: the request ends in the error, the others go on.
  const std::vector<GenerationResult> results =
      generate(model(), {request_of(std::vector<int64_t>(38, 3), 9), request_of({3, 4, 5}, 20)});
  ASSERT_TRUE(results[0].error);
  EXPECT_EQ(std::string(results[0].error->what()), "41 tokens, model maximum is 40");
  EXPECT_EQ(ids_of(results[1]), alone(request_of({3, 4, 5}, 20)));
}

TEST(Engine, RequestsWaitForMemoryOrFailWithoutTheOthers) {
  // A block of keys and values of one layer: 2 x 32 tokens x 24 floats; two layers.
  const int64_t block = 2 * 32 * 24 * 4;
  std::vector<GenerationRequest> requests;
  for (int64_t i = 0; i < 6; ++i) requests.push_back(request_of({i + 1, 4, 5}, 12));
  std::vector<std::vector<int64_t>> expected;
  for (const GenerationRequest& request : requests) expected.push_back(alone(request));
  const std::vector<GenerationResult> results = generate(model(), requests, {.max_cache_bytes = 3 * 2 * block});
  for (std::size_t i = 0; i < requests.size(); ++i) EXPECT_EQ(ids_of(results[i]), expected[i]);
  const std::vector<GenerationResult> none = generate(model(), {requests[0]}, {.max_cache_bytes = block});
  ASSERT_TRUE(none[0].error);
  EXPECT_EQ(none[0].error->code(), ErrorCode::limit);
}

TEST(Engine, ASeedGivesTheSameSequencesInAnyCompany) {
  const auto sampled = [](std::vector<int64_t> ids, int64_t seed) {
    GenerationRequest request = request_of(std::move(ids), 15);
    request.config.do_sample = true;
    request.config.temperature = 2.0;
    request.config.num_return_sequences = 3;
    request.config.seed = seed;
    return request;
  };
  const auto sequences = [](const GenerationResult& result) {
    std::vector<std::vector<int64_t>> all;
    for (const GeneratedSequence& s : result.sequences) all.push_back(s.ids);
    return all;
  };
  const auto first = sequences(generate(model(), {sampled({5, 6, 7}, 11)})[0]);
  ASSERT_EQ(first.size(), 3u);
  EXPECT_NE(first[0], first[1]);
  EXPECT_NE(first, sequences(generate(model(), {sampled({5, 6, 7}, 12)})[0]));
  const auto together =
      generate(model(), {sampled({1}, 3), request_of({9, 9}, 4), sampled({5, 6, 7}, 11), sampled({5, 6, 7}, 13)});
  EXPECT_EQ(sequences(together[2]), first);
}

TEST(Engine, PrefixAllowedTokensBoundEveryToken) {
  GenerationRequest request = request_of({7, 8}, 12);
  request.prefix_allowed_tokens_fn = [](int64_t, std::span<const int64_t> ids) {
    return std::vector<int64_t>{(ids.back() + 1) % 60, (ids.back() + 2) % 60};
  };
  for (const int64_t beams : {1, 3}) {
    request.config.num_beams = beams;
    const std::vector<int64_t> ids = alone(request);
    ASSERT_EQ(ids.size(), 14u);
    for (std::size_t i = 2; i < ids.size(); ++i) {
      const int64_t step = (ids[i] - ids[i - 1] + 60) % 60;
      EXPECT_TRUE(step == 1 || step == 2);
    }
  }
  request.prefix_allowed_tokens_fn = [](int64_t, std::span<const int64_t>) { return std::vector<int64_t>{}; };
  const GenerationResult none = std::move(generate(model(), {request})[0]);
  ASSERT_TRUE(none.error);
  EXPECT_EQ(none.error->where(), "prefix_allowed_tokens_fn");
}

TEST(Engine, TakesRequestsFromOtherThreads) {
  Engine engine(model());
  const std::vector<int64_t> expected = alone(request_of({3, 4, 5}, 10));
  std::atomic<int> right{0}, done{0};
  std::vector<std::thread> clients;
  for (int t = 0; t < 3; ++t) {
    clients.emplace_back([&] {
      for (int i = 0; i < 5; ++i) {
        const int64_t id = engine.submit(request_of({3, 4, 5}, 10), [&](GenerationResult r) {
          right += !r.error && r.sequences[0].ids == expected;
          ++done;
        });
        if (i == 3) engine.cancel(id);
      }
    });
  }
  while (done < 15) engine.step();
  for (std::thread& client : clients) client.join();
  EXPECT_GE(right, 12);
}

TEST(Engine, NamesModelsThatDoNotGenerate) {
  const auto encoder = PretrainedModel::from_pretrained(std::string(TCPP_MODELS_DIR) + "/sentiment-en");
  EXPECT_ERROR(ErrorCode::unsupported, std::string(encoder->architecture()) + " does not generate text",
               Engine(*encoder));
}

// Counts the forward passes of a request by its streamer and the engine's steps.
int64_t steps_of(const PretrainedModel& on, const GenerationRequest& request, EngineOptions options,
                 std::vector<int64_t>& ids) {
  Engine engine(on, options);
  engine.submit(request, [&](GenerationResult result) { ids = ids_of(result); });
  int64_t steps = 1;
  while (engine.step()) ++steps;
  return steps;
}

TEST(Engine, SpeculationSavesStepsAndChangesNothing) {
  for (const bool sample : {false, true}) {
    GenerationRequest request = request_of({7, 8, 9, 7, 8}, 30);
    request.config.do_sample = sample;
    request.config.temperature = 0.6;
    request.config.seed = 3;
    request.config.output_scores = request.config.output_logits = true;
    const GeneratedSequence expected = generate(model(), {request})[0].sequences.at(0);
    request.config.prompt_lookup_num_tokens = 6;
    const auto compare = [&](const std::vector<GenerationResult>& results) {
      ASSERT_FALSE(results[0].error) << results[0].error->what();
      const GeneratedSequence& got = results[0].sequences.at(0);
      EXPECT_EQ(got.ids, expected.ids);
      EXPECT_EQ(got.scores, expected.scores);  // the bits
      EXPECT_EQ(got.logprobs, expected.logprobs);
      EXPECT_EQ(got.logits, expected.logits);
    };
    // Prompt lookup alone and beside others, some that speculate too.
    compare(generate(model(), {request}));
    std::vector<GenerationRequest> crowd{request, request_of({3, 4}, 25), request};
    crowd[2].input_ids = {1, 2, 3};
    compare(generate(model(), crowd));
    // The model as its own assistant: every guess of greedy search is right. Another one: hardly any.
    const auto other = PretrainedModel::from_pretrained(std::string(TCPP_TEST_DATA) + "/models/gpt2/lm");
    request.config.prompt_lookup_num_tokens.reset();
    request.config.num_assistant_tokens = 7;
    compare(generate(model(), {request}, {.assistant_model = other.get()}));
    crowd[0] = request;
    compare(generate(model(), crowd, {.assistant_model = other.get()}));
  }
  GenerationRequest repeating = request_of({5, 6, 5, 6, 5, 6}, 30);
  std::vector<int64_t> plain, guessed, assisted;
  const int64_t steps = steps_of(model(), repeating, {}, plain);
  EXPECT_LE(steps_of(model(), repeating, {.assistant_model = &model()}, assisted), steps);
  repeating.config.prompt_lookup_num_tokens = 8;
  EXPECT_LT(steps_of(model(), repeating, {}, guessed), steps);
  EXPECT_EQ(guessed, plain);
  EXPECT_EQ(assisted, plain);
}

TEST(Engine, SpeculationKeepsStreamersEndsAndLengths) {
  const std::vector<int64_t> free = alone(request_of({5, 6, 5, 6}, 30));
  struct Recorder : BaseStreamer {
    bool put(int64_t, std::span<const int64_t> ids) override {
      all.insert(all.end(), ids.begin(), ids.end());
      return all.size() < limit;
    }
    std::size_t limit = 1000;
    std::vector<int64_t> all;
  };
  for (std::size_t stop = 5; stop < free.size(); ++stop) {
    GenerationRequest request = request_of({5, 6, 5, 6}, 30);
    request.config.prompt_lookup_num_tokens = 9;
    request.config.output_scores = true;
    auto recorder = std::make_shared<Recorder>();
    recorder->limit = stop;
    request.streamer = recorder;
    const GenerationResult result = std::move(generate(model(), {request})[0]);
    EXPECT_EQ(ids_of(result), std::vector<int64_t>(free.begin(), free.begin() + static_cast<std::ptrdiff_t>(stop)));
    EXPECT_EQ(recorder->all, result.sequences[0].ids);
    EXPECT_EQ(result.sequences[0].scores.size(), stop - 4);
    // The same by length, and by an end token.
    request.streamer = nullptr;
    request.config.max_new_tokens = static_cast<int64_t>(stop) - 4;
    EXPECT_EQ(alone(request), recorder->all);
    request.config.max_new_tokens = 30;
    request.config.eos_token_id = {{free[stop - 1]}};
    GenerationRequest without = request;
    without.config.prompt_lookup_num_tokens.reset();
    EXPECT_EQ(alone(request), alone(without));
  }
}

TEST(Engine, AssistantsMustFit) {
  const auto llama = PretrainedModel::from_pretrained(std::string(TCPP_TEST_DATA) + "/models/llama/lm");
  const auto bart = PretrainedModel::from_pretrained(std::string(TCPP_TEST_DATA) + "/models/bart/lm");
  EXPECT_ERROR(ErrorCode::unsupported, "an assistant and the model it assists must be decoders (assistant_model)",
               Engine(*bart, {.assistant_model = llama.get()}));
  if (llama->vocab_size() != model().vocab_size()) {
    EXPECT_THROW(Engine(*llama, {.assistant_model = &model()}), Error);
  }
}

TEST(Engine, SharedPrefixesAreComputedOnce) {
  std::vector<int64_t> system;
  for (int64_t i = 0; i < 24; ++i) system.push_back((i * 7 + 3) % 60);
  const auto with = [&](std::vector<int64_t> more) {
    std::vector<int64_t> ids = system;
    ids.insert(ids.end(), more.begin(), more.end());
    GenerationRequest request = request_of(ids, 6);
    request.config.output_logits = true;
    return request;
  };
  const std::vector<GenerationRequest> requests{with({1, 2}), with({1, 2, 9, 4}), with({5}), with({1, 2}),
                                                request_of({8, 9}, 6)};
  std::vector<GeneratedSequence> expected;
  for (const GenerationRequest& request : requests) expected.push_back(generate(model(), {request})[0].sequences.at(0));

  Engine engine(model(), {.max_prefix_tokens = 200});
  const auto run = [&](const GenerationRequest& request) {
    GeneratedSequence got;
    engine.submit(request, [&](GenerationResult result) {
      ASSERT_FALSE(result.error) << result.error->what();
      got = std::move(result.sequences.at(0));
    });
    while (engine.step()) {
    }
    return got;
  };
  for (int round = 0; round < 2; ++round) {
    for (std::size_t i = 0; i < requests.size(); ++i) {
      const GeneratedSequence got = run(requests[i]);
      EXPECT_EQ(got.ids, expected[i].ids);
      EXPECT_EQ(got.logits, expected[i].logits);  // the bits
    }
  }
  // Together, in one group with and without a prefix.
  std::vector<std::vector<int64_t>> together(requests.size());
  for (std::size_t i = 0; i < requests.size(); ++i) {
    engine.submit(requests[i], [&, i](GenerationResult result) { together[i] = ids_of(result); });
  }
  while (engine.step()) {
  }
  for (std::size_t i = 0; i < requests.size(); ++i) EXPECT_EQ(together[i], expected[i].ids);
  EXPECT_GT(engine.cache_bytes(), 0);
  // The next turn of a conversation goes on from the whole of the last.
  std::vector<int64_t> turn = expected[0].ids;
  turn.insert(turn.end(), {3, 3});
  const GeneratedSequence next = run(request_of(turn, 4));
  EXPECT_EQ(next.ids, alone(request_of(turn, 4)));
}

TEST(Engine, PrefixesMakeRoomWhenMemoryIsShort) {
  // Of two layers with 3 heads of 8: not enough for a sequence beside a copy of it.
  Engine engine(model(), {.max_cache_bytes = 3 * kv_block_bytes(KVType::f32, 3, 8), .max_prefix_tokens = 1000});
  for (int64_t i = 0; i < 6; ++i) {
    std::vector<int64_t> ids;
    for (int64_t k = 0; k < 20; ++k) ids.push_back((i * 11 + k * 5) % 60);
    std::vector<int64_t> got;
    engine.submit(request_of(ids, 12), [&](GenerationResult result) { got = ids_of(result); });
    while (engine.step()) {
    }
    EXPECT_EQ(got, alone(request_of(ids, 12)));
  }
}

TEST(Engine, CachesOfOtherTypesTakeLessMemoryAndKeepThePromises) {
  std::vector<GenerationRequest> requests{request_of({7, 8, 9}, 20), request_of({3, 4, 5, 6, 7, 8, 9, 1}, 25)};
  for (GenerationRequest& request : requests) request.config.output_logits = true;
  int64_t before = std::numeric_limits<int64_t>::max();
  for (const KVType type : {KVType::f32, KVType::bf16, KVType::q8}) {
    const EngineOptions options{.cache_type = type};
    const std::vector<GenerationResult> together = generate(model(), requests, options);
    for (std::size_t i = 0; i < requests.size(); ++i) {
      ASSERT_FALSE(together[i].error);
      GenerationRequest pieces = requests[i];
      pieces.config.prefill_chunk_size = 1;
      const std::vector<float> logits = generate(model(), {pieces}, options)[0].sequences.at(0).logits;
      EXPECT_EQ(logits, together[i].sequences.at(0).logits);  // the bits
    }
    Engine engine(model(), options);
    engine.submit(requests[0], {});
    engine.step();
    EXPECT_LT(engine.cache_bytes(), before);
    before = engine.cache_bytes();
  }
}

}  // namespace
}  // namespace transformers
