// What it is: the files of a pipeline's model: those given, those of the model named, or of the task's bundled one.
// Where it stands: src/pipelines; every pipeline's constructor begins with it.
// Usage: `const auto files = open_files(find_task("text-generation"), options);`
#pragma once

#include <memory>

#include "transformers/pipelines/pipeline.hpp"

namespace transformers {

// Error(invalid_argument) where no model is named and none is bundled.
std::shared_ptr<const ModelFiles> open_files(const TaskInfo& task, const PipelineOptions& options);

}  // namespace transformers
