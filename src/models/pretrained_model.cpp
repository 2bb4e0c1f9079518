// Implements the part of models/pretrained_model.hpp that every family shares.
#include "transformers/models/pretrained_model.hpp"

#include <algorithm>
#include <string>

#include "transformers/base/error.hpp"
#include "transformers/base/parallel.hpp"

namespace transformers {

PretrainedModel::~PretrainedModel() = default;

ModelOutput PretrainedModel::forward(const Batch& batch, Workspace& workspace, const ForwardOptions& options) const {
  const auto longest = std::max_element(batch.position_ids.begin(), batch.position_ids.end());
  if (longest != batch.position_ids.end() && *longest >= max_position_embeddings()) {
    throw Error(ErrorCode::limit, std::to_string(*longest + 1) + " tokens, model maximum is " +
                                      std::to_string(max_position_embeddings()) + " (pass truncation=true)");
  }
  const ParallelScope scope;
  workspace.reset();
  return compute(batch, workspace, options);
}

}  // namespace transformers
