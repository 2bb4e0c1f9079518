// Implements the part of models/pretrained_model.hpp that every family shares.
#include "transformers/models/pretrained_model.hpp"

#include <algorithm>
#include <string>

#include "transformers/base/error.hpp"
#include "transformers/base/parallel.hpp"
#include "transformers/nn/cache.hpp"

namespace transformers {

PretrainedModel::~PretrainedModel() = default;

namespace {

// The batch as it stands after what the cache holds: columns and, unless they were given, positions go on from there.
Batch after(const Cache& past, const Batch& batch, BatchRules rules) {
  Batch shifted = batch;
  for (int64_t i = 0; i < batch.batch_size(); ++i) {
    const std::size_t s = static_cast<std::size_t>(i);
    const int64_t columns = past.next_column(i);
    const int64_t positions = past.next_position(i);
    for (int32_t row = batch.cu_seqlens[s]; row < batch.cu_seqlens[s + 1]; ++row) {
      const std::size_t r = static_cast<std::size_t>(row);
      const bool is_key = row < batch.cu_seqlens[s] + batch.key_lens[s];
      shifted.columns[r] = static_cast<int32_t>(shifted.columns[r] + columns);
      if (batch.position_ids_given || (rules.positions == BatchRules::Positions::kept && !is_key)) continue;
      if (rules.positions == BatchRules::Positions::cumulative && batch.position_ids[r] == rules.padding_idx) continue;
      shifted.position_ids[r] = static_cast<int32_t>(shifted.position_ids[r] + positions);
    }
  }
  return shifted;
}

}  // namespace

void PretrainedModel::check_length(const Batch& batch) const {
  const auto longest = std::max_element(batch.position_ids.begin(), batch.position_ids.end());
  if (longest == batch.position_ids.end()) return;
  const int64_t length = *longest + 1 - batch_rules().first_position();
  if (length > longest_sequence()) {
    throw Error(ErrorCode::limit, std::to_string(length) + " tokens, model maximum is " +
                                      std::to_string(longest_sequence()) + " (pass truncation=true)");
  }
}

ModelOutput PretrainedModel::forward(const Batch& batch, Workspace& workspace, const ForwardOptions& options) const {
  Cache* const past = options.past_key_values;
  if (past != nullptr || options.cross_attention_cache != nullptr) {
    if (!uses_cache()) throw Error(ErrorCode::unsupported, std::string(architecture_) + " takes no past_key_values");
    check_argument(past == nullptr || past->batch_size() == 0 || past->batch_size() == batch.batch_size(),
                   "past_key_values holds another number of sequences than the batch");
  }
  const bool continues = past != nullptr && past->batch_size() > 0;
  const Batch shifted = continues ? after(*past, batch, batch_rules()) : Batch{};
  const Batch& whole = continues ? shifted : batch;
  check_length(whole);
  if (whole.encoder != nullptr) check_length(*whole.encoder);
  for (const int32_t row : options.logits_to_keep) {
    check_argument(row >= 0 && row < batch.tokens(), "a row beyond the batch", "logits_to_keep");
  }
  const ParallelScope scope;
  workspace.reset();
  if (past != nullptr) past->begin(whole);
  ModelOutput output = compute(whole, workspace, options);
  if (past != nullptr) past->commit();
  return output;
}

}  // namespace transformers
