// The table of tasks, from tasks.def, and pipeline() over it.
#include <algorithm>
#include <string>

#include "transformers/base/error.hpp"
#include "transformers/pipelines/feature_extraction.hpp"
#include "transformers/pipelines/fill_mask.hpp"
#include "transformers/pipelines/pipeline.hpp"
#include "transformers/pipelines/question_answering.hpp"
#include "transformers/pipelines/sentence_similarity.hpp"
#include "transformers/pipelines/text2text_generation.hpp"
#include "transformers/pipelines/text_classification.hpp"
#include "transformers/pipelines/text_generation.hpp"
#include "transformers/pipelines/token_classification.hpp"
#include "transformers/pipelines/zero_shot_classification.hpp"

namespace transformers {
namespace {

template <class Task>
constexpr std::span<const InputName> inputs_of() {
  if constexpr (requires { Task::kInputs; }) {
    return Task::kInputs;
  } else {
    return {};
  }
}

template <class Task>
constexpr TaskInfo task_info(std::string_view name, std::string_view model, std::string_view alias,
                             std::string_view description, std::string_view hub_models) {
  return {name,
          alias,
          model,
          description,
          hub_models,
          Task::kHead,
          inputs_of<Task>(),
          [] { return list_fields(typename Task::Options{}); },
          [](const PipelineOptions& options) -> std::unique_ptr<Pipeline> { return std::make_unique<Task>(options); }};
}

constexpr TaskInfo kTasks[] = {
#define TCPP_TASK(name, type, model, alias, description, hub) task_info<type>(name, model, alias, description, hub),
#include "transformers/pipelines/tasks.def"
#undef TCPP_TASK
};

}  // namespace

Pipeline::~Pipeline() = default;

std::span<const TaskInfo> tasks() noexcept { return kTasks; }

const TaskInfo& find_task(std::string_view name) {
  constexpr std::string_view kTranslation = "translation";
  if (name.starts_with(kTranslation) && name.size() > kTranslation.size()) {
    const std::size_t to = name.find("_to_");
    if (name[kTranslation.size()] != '_' || to == std::string_view::npos ||
        std::count(name.begin(), name.end(), '_') != 3) {
      throw Error(ErrorCode::invalid_argument, "unknown task " + quote(name) + " (expected translation_XX_to_YY)");
    }
    return find_task(kTranslation);
  }
  std::string known;
  for (const TaskInfo& task : kTasks) {
    if (task.name == name || (!task.alias.empty() && task.alias == name)) return task;
    known += (known.empty() ? "" : ", ") + std::string(task.name);
  }
  throw Error(ErrorCode::invalid_argument, "unknown task \"" + std::string(name) + "\" (known: " + known + ")");
}

std::unique_ptr<Pipeline> pipeline(std::string_view task, const PipelineOptions& options) {
  PipelineOptions named = options;
  if (named.task.empty()) named.task = task;
  return find_task(task).make(named);
}

}  // namespace transformers
