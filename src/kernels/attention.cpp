// Implements attention() and the cache's blocks of kernels/kernels.hpp: checks, what each query sees, the cut into runs
// of queries, threads, scratch.
// The arithmetic is in attention_blocks.inl, once per ISA.
#include <algorithm>
#include <vector>

#include "kernels/kernel_table.hpp"
#include "kernels/work.hpp"
#include "transformers/base/error.hpp"
#include "transformers/kernels/kernels.hpp"

namespace transformers {

namespace {

// Sequences that read the very same keys, as beams read those of their source, are one here: [first[i], first[i + 1]).
// A row's bits do not depend on which others are computed with it.
void list_distinct(const AttentionArgs& args, std::vector<int64_t>& first) {
  const int64_t sequences = static_cast<int64_t>(args.key_lens.size());
  const KVView* const cache = args.cache;
  const bool biased = args.relative_bias != nullptr || args.query_bias != nullptr || args.key_bias != nullptr;
  const auto blocks_of = [&](int64_t s) {
    const std::size_t from = static_cast<std::size_t>(cache->first_block[static_cast<std::size_t>(s)]);
    const int64_t keys = args.key_lens[static_cast<std::size_t>(s)];
    return cache->blocks.subspan(from, static_cast<std::size_t>((keys + kKVBlockTokens - 1) / kKVBlockTokens));
  };
  const auto same = [&](int64_t s) {  // as the one before
    if (cache == nullptr || biased || args.key_lens[s] != args.key_lens[s - 1]) return false;
    const auto a = blocks_of(s - 1), b = blocks_of(s);
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  };
  first.clear();
  for (int64_t s = 0; s < sequences; ++s) {
    if (s == 0 || !same(s)) first.push_back(s);
  }
  first.push_back(sequences);
}

// How the queries are cut into tasks: runs of about `most` queries of one sequence, for every key/value head.
class Tasks {
 public:
  struct Task {
    int64_t sequence, kv_head, begin, end, runs;  // queries [begin, end) of the sequence, one of `runs` pieces
  };

  explicit Tasks(const AttentionArgs& args) : args_(args) {
    list_distinct(args, first_);
    // Keys and values are rearranged once per task, so a task takes many queries, but there must be tasks for all
    // threads.
    const int64_t tokens = int64_t{args.cu_seqlens.back()} - args.cu_seqlens.front();
    const int64_t kv_heads = args.num_key_value_heads, group = args.num_attention_heads / kv_heads;
    const int64_t share = tokens * kv_heads / (int64_t{num_threads()} * 4);
    const int64_t most = std::clamp<int64_t>(share, 64, 512) / std::min<int64_t>(group, 8);
    const std::size_t distinct = first_.size() - 1;
    first_task_.assign(distinct + 1, 0);
    for (std::size_t i = 0; i < distinct; ++i) {
      first_task_[i + 1] = first_task_[i] + (length(i) + most - 1) / most * kv_heads;
    }
    check_argument(count() <= TaskList::kMaxTasks, "attention: too many tokens");
  }

  int64_t count() const { return first_task_.back(); }
  Task operator[](int64_t task) const {
    const auto found = std::upper_bound(first_task_.begin(), first_task_.end(), task) - 1;
    const std::size_t i = static_cast<std::size_t>(found - first_task_.begin());
    const int64_t runs = (first_task_[i + 1] - *found) / args_.num_key_value_heads;
    const int64_t kv_head = (task - *found) / runs, run = (task - *found) % runs;
    return {first_[i], kv_head, length(i) * run / runs, length(i) * (run + 1) / runs, runs};
  }

 private:
  int64_t length(std::size_t i) const {
    return int64_t{args_.cu_seqlens[static_cast<std::size_t>(first_[i + 1])]} -
           args_.cu_seqlens[static_cast<std::size_t>(first_[i])];
  }

  const AttentionArgs& args_;
  struct Lists {
    std::vector<int64_t> first, first_task;
  };
  Reused<Lists> reused_;
  std::vector<int64_t>& first_ = (*reused_).first;            // see list_distinct()
  std::vector<int64_t>& first_task_ = (*reused_).first_task;  // of each of `first_`
};

// Over a cache the arithmetic is that of its type.
const AttentionKernels& kernels_for(const AttentionArgs& args) {
  const bool bf16 = args.cache == nullptr ? args.bf16 : args.cache->type == KVType::bf16;
  return kernels().attention[bf16 ? kBf16s : kFloats];
}

void plain_attention(const AttentionArgs& args) {
  const AttentionKernels& table = kernels_for(args);
  const int64_t kv_heads = args.num_key_value_heads, group = args.num_attention_heads / kv_heads;
  const int64_t head_dim = args.head_dim;
  const Tasks tasks(args);
  for_each_task(tasks.count(), [&](auto& next) {
    for (int64_t i; (i = next()) >= 0;) {
      const Tasks::Task t = tasks[i];
      const int64_t row = args.cu_seqlens[t.sequence], keys = args.key_lens[t.sequence];
      table.block({.query = args.query + (row + t.begin) * args.query_stride + t.kv_head * group * head_dim,
                   .query_stride = args.query_stride,
                   .queries = t.end - t.begin,
                   .group = group,
                   .key = args.key + row * args.key_stride + t.kv_head * head_dim,
                   .key_stride = args.key_stride,
                   .value = args.value + row * args.value_stride + t.kv_head * head_dim,
                   .value_stride = args.value_stride,
                   .keys = keys,
                   .head_dim = head_dim,
                   .scale = args.scale,
                   .prefetch_next = t.runs == 1 && t.kv_head + 1 < kv_heads,
                   .out = args.out + (row + t.begin) * args.out_stride + t.kv_head * group * head_dim,
                   .out_stride = args.out_stride,
                   .scratch = thread_scratch(table.scratch(t.end - t.begin, group, keys, head_dim))});
    }
  });
}

// Which keys each query sees, and where queries and keys stand.
struct Sight {
  std::vector<int32_t> key_begin, key_end;              // [tokens], from row cu_seqlens[0] on
  std::vector<int32_t> query_positions, key_positions;  // filled where the caller left them out
  std::span<const int32_t> queries_at, keys_at;         // the caller's, or those above
  std::span<const int32_t> key_rows;                    // first row of each sequence's keys
};

// 0, 1, 2 ... from each sequence's first row on.
void count_positions(std::span<const int32_t> first_rows, std::span<const int32_t> lengths,
                     std::vector<int32_t>& positions) {
  int64_t rows = 0;
  for (std::size_t s = 0; s < lengths.size(); ++s) rows = std::max(rows, int64_t{first_rows[s]} + lengths[s]);
  positions.assign(static_cast<std::size_t>(rows), 0);
  for (std::size_t s = 0; s < lengths.size(); ++s) {
    for (int32_t i = 0; i < lengths[s]; ++i) positions[static_cast<std::size_t>(first_rows[s] + i)] = i;
  }
}

void look(const AttentionArgs& args, Sight& sight) {
  const std::size_t sequences = args.key_lens.size();
  sight.key_rows = args.key_cu_seqlens.empty() ? args.cu_seqlens : args.key_cu_seqlens;
  check_argument(sight.key_rows.size() == sequences + 1, "attention: key_cu_seqlens must be as long as cu_seqlens");
  int64_t last_key = 0;
  for (std::size_t s = 0; s < sequences; ++s) {
    check_argument(sight.key_rows[s] >= 0, "attention: key_cu_seqlens must not be negative");
    last_key = std::max(last_key, int64_t{sight.key_rows[s]} + args.key_lens[s]);
  }
  sight.queries_at = args.query_positions, sight.keys_at = args.key_positions;
  if (sight.queries_at.empty()) {
    std::vector<int32_t> lengths(sequences);
    for (std::size_t s = 0; s < sequences; ++s) lengths[s] = args.cu_seqlens[s + 1] - args.cu_seqlens[s];
    count_positions(args.cu_seqlens, lengths, sight.query_positions);
    sight.queries_at = sight.query_positions;
  }
  if (sight.keys_at.empty()) {
    count_positions(sight.key_rows, args.key_lens, sight.key_positions);
    sight.keys_at = sight.key_positions;
  }
  check_argument(static_cast<int64_t>(sight.queries_at.size()) >= args.cu_seqlens.back(),
                 "attention: query_positions must have an entry for each query");
  check_argument(static_cast<int64_t>(sight.keys_at.size()) >= last_key,
                 "attention: key_positions must have an entry for each key");

  const std::size_t tokens = static_cast<std::size_t>(args.cu_seqlens.back());
  sight.key_begin.assign(tokens, 0);
  sight.key_end.assign(tokens, 0);
  constexpr int64_t kFar = int64_t{1} << 40;
  for (std::size_t s = 0; s < sequences; ++s) {
    const int32_t* const keys = sight.keys_at.data() + sight.key_rows[s];
    const int32_t* const keys_end = keys + args.key_lens[s];
    check_argument(std::adjacent_find(keys, keys_end, [](int32_t a, int32_t b) { return a >= b; }) == keys_end,
                   "attention: key_positions must rise");
    const int32_t first = args.first_keys.empty() ? 0 : std::max(args.first_keys[s], 0);
    for (int32_t q = args.cu_seqlens[s]; q < args.cu_seqlens[s + 1]; ++q) {
      const std::size_t row = static_cast<std::size_t>(q);
      const int64_t at = sight.queries_at[row];
      int64_t low = -kFar, high = kFar;  // positions seen, both included
      if (args.causal) high = at;
      if (args.sliding_window > 0) low = at - args.sliding_window + 1;
      if (args.local_window > 0) {
        low = std::max(low, at - args.local_window / 2);
        high = std::min(high, at + args.local_window / 2);
      }
      const int64_t begin = low <= -kFar ? 0 : std::lower_bound(keys, keys_end, low) - keys;
      const int64_t end = high >= kFar ? args.key_lens[s] : std::upper_bound(keys, keys_end, high) - keys;
      sight.key_begin[row] = std::max(static_cast<int32_t>(begin), first);
      sight.key_end[row] = static_cast<int32_t>(end);
    }
  }
}

void check_biases(const AttentionArgs& args) {
  const bool by_bucket = args.query_bias != nullptr || args.key_bias != nullptr;
  check_argument(args.max_distance >= 0, "attention: max_distance must not be negative");
  if (!by_bucket) return;
  check_argument(static_cast<int64_t>(args.bias_buckets.size()) == 2 * args.max_distance + 1,
                 "attention: bias_buckets must have 2 * max_distance + 1 entries");
  for (const int32_t bucket : args.bias_buckets) {
    check_argument(bucket >= 0 && bucket < args.num_buckets, "attention: a bucket beyond num_buckets");
  }
}

void sighted_attention(const AttentionArgs& args) {
  const AttentionKernels& table = kernels_for(args);
  const int64_t kv_heads = args.num_key_value_heads, group = args.num_attention_heads / kv_heads;
  const int64_t head_dim = args.head_dim, distances = 2 * args.max_distance + 1;
  const int64_t buckets = args.num_buckets, bias_stride = args.num_attention_heads * buckets;
  check_biases(args);
  check_argument(args.first_keys.empty() || args.first_keys.size() == args.key_lens.size(),
                 "attention: first_keys must have an entry for each sequence");
  check_argument(args.cache == nullptr || args.cache->first_block.size() >= args.key_lens.size(),
                 "attention: the cache has fewer sequences than the batch");
  const int type = args.cache == nullptr ? kKVF32 : static_cast<int>(args.cache->type);
  Reused<Sight> reused;
  look(args, *reused);
  const Sight& sight = *reused;
  const Tasks tasks(args);
  for_each_task(tasks.count(), [&](auto& next) {
    for (int64_t i; (i = next()) >= 0;) {
      const Tasks::Task t = tasks[i];
      const int64_t row = args.cu_seqlens[t.sequence] + t.begin, head = t.kv_head * group;
      const int64_t key_row = sight.key_rows[t.sequence];
      const bool dense = args.cache == nullptr;
      table.sighted_block(
          {.query = args.query + row * args.query_stride + head * head_dim,
           .query_stride = args.query_stride,
           .queries = t.end - t.begin,
           .group = group,
           .head_dim = head_dim,
           .key = dense ? args.key + key_row * args.key_stride + t.kv_head * head_dim : nullptr,
           .key_stride = args.key_stride,
           .value = dense ? args.value + key_row * args.value_stride + t.kv_head * head_dim : nullptr,
           .value_stride = args.value_stride,
           .blocks = dense ? nullptr : args.cache->blocks.data() + args.cache->first_block[t.sequence],
           .kv_type = type,
           .block_offset = t.kv_head * kernels().kv[type].head_bytes(head_dim),
           .key_begin = sight.key_begin.data() + row,
           .key_end = sight.key_end.data() + row,
           .scale = args.scale,
           .softcap = args.softcap,
           .query_positions = sight.queries_at.data() + row,
           .key_positions = sight.keys_at.data() + key_row,
           .max_distance = args.max_distance,
           .relative_bias = args.relative_bias ? args.relative_bias + head * distances : nullptr,
           .bias_buckets = args.bias_buckets.data(),
           .num_buckets = buckets,
           .query_bias = args.query_bias ? args.query_bias + row * bias_stride + head * buckets : nullptr,
           .query_bias_stride = bias_stride,
           .key_bias = args.key_bias ? args.key_bias + key_row * bias_stride + head * buckets : nullptr,
           .key_bias_stride = bias_stride,
           .out = args.out + row * args.out_stride + head * head_dim,
           .out_stride = args.out_stride,
           .scratch = thread_scratch(table.sighted_scratch(t.end - t.begin, group, head_dim))});
    }
  });
}

}  // namespace

void attention(const AttentionArgs& args) {
  const int64_t heads = args.num_attention_heads, kv_heads = args.num_key_value_heads, head_dim = args.head_dim;
  check_argument(heads > 0 && kv_heads > 0 && heads % kv_heads == 0,
                 "attention: num_key_value_heads must divide num_attention_heads");
  check_argument(head_dim > 0, "attention: head_dim must be positive");
  check_argument(!args.cu_seqlens.empty() && args.key_lens.size() == args.cu_seqlens.size() - 1,
                 "attention: cu_seqlens must have one entry more than key_lens");
  const bool own_keys = args.key_cu_seqlens.empty() && args.cache == nullptr;
  for (std::size_t s = 0; s < args.key_lens.size(); ++s) {
    const int64_t length = int64_t{args.cu_seqlens[s + 1]} - args.cu_seqlens[s];
    check_argument(length >= 0 && args.cu_seqlens[s] >= 0, "attention: cu_seqlens must not decrease");
    check_argument(args.key_lens[s] >= 0 && (!own_keys || args.key_lens[s] <= length),
                   "attention: a sequence with more keys than rows");
  }
  const bool plain = own_keys && !args.causal && args.sliding_window == 0 && args.local_window == 0 &&
                     args.first_keys.empty() && args.softcap == 0.0f && args.relative_bias == nullptr &&
                     args.query_bias == nullptr && args.key_bias == nullptr;
  if (plain) {
    plain_attention(args);
  } else {
    sighted_attention(args);
  }
}

bool multiplies_bf16() {
  const KernelTable& table = kernels();
  return table.attention[kBf16s].block != table.attention[kFloats].block;
}

static_assert(int(KVType::f32) == kKVF32 && int(KVType::bf16) == kKVBf16 && int(KVType::q8) == kKVQ8);

int64_t kv_block_bytes(KVType type, int64_t num_key_value_heads, int64_t head_dim) {
  check_argument(num_key_value_heads > 0 && head_dim > 0, "kv_block_bytes: sizes must be positive");
  return num_key_value_heads * kernels().kv[static_cast<int>(type)].head_bytes(head_dim);
}

void store_kv(KVType type, const float* key, int64_t key_stride, const float* value, int64_t value_stride,
              int64_t count, int64_t num_key_value_heads, int64_t head_dim, int64_t first, void* block) {
  check_argument(first >= 0 && count >= 0 && first + count <= kKVBlockTokens, "store_kv: tokens beyond the block");
  const KVKernels& table = kernels().kv[static_cast<int>(type)];
  for (int64_t h = 0; h < num_key_value_heads; ++h) {
    table.store_head(key + h * head_dim, key_stride, value + h * head_dim, value_stride, count, head_dim, first,
                     static_cast<char*>(block) + h * table.head_bytes(head_dim));
  }
}

}  // namespace transformers
