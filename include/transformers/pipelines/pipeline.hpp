// What it is: Pipeline, raw text in, answer out, whatever the task; and pipeline(), which makes one.
// Where it stands: pipelines, the last station of the road. Each task has a typed class of its own
// (text_classification.hpp). Usage:
//   auto classify = pipeline<TextClassification>();                      // typed, with the task's bundled model
//   std::unique_ptr<Pipeline> any = pipeline("text-classification");     // task known only at run time
//   std::vector<Value> answers = any->run({"I love C++"});
// Source: transformers/pipelines/base.py (5.23). One input is one sequence of a packed batch: as Hugging Face with
//   batch_size=1, which computes no padding either.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "transformers/base/callbacks.hpp"
#include "transformers/base/export.hpp"
#include "transformers/base/fields.hpp"
#include "transformers/base/value.hpp"
#include "transformers/models/pretrained_model.hpp"
#include "transformers/tokenizers/tokenizer.hpp"

namespace transformers {

struct PipelineOptions {
  // A directory in Hugging Face layout or the name of a bundled model; empty: the task's bundled one.
  std::string model = {};
  LoadOptions load = {};
  TokenizerOptions tokenizer = {};
  std::shared_ptr<const ModelFiles> files = nullptr;  // files in memory, instead of `model`
  // The task as it was asked for, where that says more than the class: "translation_en_to_fr".
  std::string task = {};
};

// How a caller watches and stops one call.
struct CallControl {
  CancelToken cancel = {};
  ProgressCallback on_progress = {};  // after each batch: inputs done, inputs in all
};

// Immutable once made; const methods may be called concurrently.
class TCPP_API Pipeline {
 public:
  virtual ~Pipeline();
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  // "text-classification"
  virtual std::string_view task() const noexcept = 0;
  // The options of a call with their defaults: what run() accepts and `tcpp run TASK --help` prints.
  virtual std::vector<FieldInfo> options() const = 0;
  // One answer an input, in Hugging Face's JSON shapes and field order. `options` is an object by Hugging Face's names.
  // Error(invalid_argument) naming an option or a member of an input that is unknown or of the wrong type.
  // No inputs give no answers (Hugging Face raises).
  virtual std::vector<Value> run(std::span<const Value> inputs, const Value& options = {},
                                 const CallControl& control = {}) const = 0;
  std::vector<Value> run(std::initializer_list<Value> inputs, const Value& options = {}) const {
    return run(std::span<const Value>(inputs.begin(), inputs.size()), options);
  }

  virtual const Tokenizer& tokenizer() const noexcept = 0;
  virtual const PretrainedModel& model() const noexcept = 0;

 protected:
  Pipeline() = default;
};

// A member of an input that is an object: {"question": ..., "context": ...}.
struct InputName {
  std::string_view name;
  bool list = false;  // a list of texts
};

// What `tcpp run` and the two functions below know of a task.
struct TaskInfo {
  std::string_view name;           // "text-classification"
  std::string_view alias;          // "sentiment-analysis", or ""
  std::string_view default_model;  // name of a bundled model, or ""
  std::string_view description;
  std::string_view hub_models;        // where none is bundled: "google/flan-t5-small or ..."
  Head head;                          // the kind of model it needs
  std::span<const InputName> inputs;  // of an input that is an object, Task::kInputs; a text alone is the first of them
  std::vector<FieldInfo> (*options)();
  std::unique_ptr<Pipeline> (*make)(const PipelineOptions& options);
};
TCPP_API std::span<const TaskInfo> tasks() noexcept;
// By name or alias; "translation_XX_to_YY" is translation. Error(invalid_argument) naming the known tasks.
TCPP_API const TaskInfo& find_task(std::string_view name);

// The pipeline of a task named at run time.
TCPP_API std::unique_ptr<Pipeline> pipeline(std::string_view task, const PipelineOptions& options = {});

// The typed pipeline of a task.
template <class Task>
Task pipeline(const PipelineOptions& options = {}) {
  return Task(options);
}

}  // namespace transformers
