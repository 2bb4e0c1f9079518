// Implements attention() of kernels/kernels.hpp: checks, the cut into runs of queries, threads, scratch.
// The arithmetic is in attention.inl, once per ISA.
#include <algorithm>
#include <vector>

#include "kernels/kernel_table.hpp"
#include "kernels/work.hpp"
#include "transformers/base/error.hpp"
#include "transformers/kernels/kernels.hpp"

namespace transformers {

void attention(const AttentionArgs& args) {
  const int64_t heads = args.num_attention_heads, kv_heads = args.num_key_value_heads, head_dim = args.head_dim;
  check_argument(heads > 0 && kv_heads > 0 && heads % kv_heads == 0,
                 "attention: num_key_value_heads must divide num_attention_heads");
  check_argument(head_dim > 0, "attention: head_dim must be positive");
  check_argument(!args.cu_seqlens.empty() && args.key_lens.size() == args.cu_seqlens.size() - 1,
                 "attention: cu_seqlens must have one entry more than key_lens");
  const int64_t sequences = static_cast<int64_t>(args.key_lens.size()), group = heads / kv_heads;
  for (int64_t s = 0; s < sequences; ++s) {
    const int64_t length = int64_t{args.cu_seqlens[s + 1]} - args.cu_seqlens[s];
    check_argument(length >= 0 && args.cu_seqlens[s] >= 0, "attention: cu_seqlens must not decrease");
    check_argument(args.key_lens[s] >= 0 && args.key_lens[s] <= length,
                   "attention: a sequence with more keys than rows");
  }

  // Keys and values are rearranged once per task, so a task takes many queries, but there must be tasks for all
  // threads.
  const int64_t tokens = int64_t{args.cu_seqlens.back()} - args.cu_seqlens.front();
  const int64_t share = tokens * kv_heads / (int64_t{num_threads()} * 4);
  const int64_t most = std::clamp<int64_t>(share, 64, 512) / std::min<int64_t>(group, 8);
  const auto length_of = [&](int64_t s) { return int64_t{args.cu_seqlens[s + 1]} - args.cu_seqlens[s]; };
  std::vector<int64_t> first_task(static_cast<std::size_t>(sequences) + 1, 0);  // of each sequence
  for (int64_t s = 0; s < sequences; ++s) {
    first_task[s + 1] = first_task[s] + (length_of(s) + most - 1) / most * kv_heads;
  }
  check_argument(first_task.back() <= TaskList::kMaxTasks, "attention: too many tokens");

  const KernelTable& table = kernels();
  for_each_task(first_task.back(), [&](auto& next) {
    for (int64_t task; (task = next()) >= 0;) {
      const int64_t s = std::upper_bound(first_task.begin(), first_task.end(), task) - first_task.begin() - 1;
      const int64_t runs = (first_task[s + 1] - first_task[s]) / kv_heads;
      const int64_t kv_head = (task - first_task[s]) / runs, run = (task - first_task[s]) % runs;
      const int64_t length = length_of(s), q0 = length * run / runs, q1 = length * (run + 1) / runs;
      const int64_t row = args.cu_seqlens[s], keys = args.key_lens[s];
      table.attention_block({.query = args.query + (row + q0) * args.query_stride + kv_head * group * head_dim,
                             .query_stride = args.query_stride,
                             .queries = q1 - q0,
                             .group = group,
                             .key = args.key + row * args.key_stride + kv_head * head_dim,
                             .key_stride = args.key_stride,
                             .value = args.value + row * args.value_stride + kv_head * head_dim,
                             .value_stride = args.value_stride,
                             .keys = keys,
                             .head_dim = head_dim,
                             .scale = args.scale,
                             .prefetch_next = runs == 1 && kv_head + 1 < kv_heads,
                             .out = args.out + (row + q0) * args.out_stride + kv_head * group * head_dim,
                             .out_stride = args.out_stride,
                             .scratch = thread_scratch(table.attention_scratch(q1 - q0, group, keys, head_dim))});
    }
  });
}

}  // namespace transformers
