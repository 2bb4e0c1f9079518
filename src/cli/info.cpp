// tcpp info: what a model directory holds, without loading its weights.
#include <map>

#include "command.hpp"
#include "transformers/base/error.hpp"
#include "transformers/base/model_files.hpp"
#include "transformers/io/weights.hpp"
#include "transformers/models/family.hpp"
#include "transformers/models/locate.hpp"
#include "transformers/pipelines/pipeline.hpp"

namespace transformers::cli {
namespace {

Value describe(const std::string& name) {
  const std::filesystem::path directory = find_model(name);
  const auto files = ModelFiles::from_path(directory.string());
  const Value config = parse_json(files->read_text("config.json"), files->where("config.json"));
  const auto text = [&](const Value* v) { return v != nullptr && v->is_string() ? v->as_string() : std::string(); };
  const std::string model_type = text(config.find("model_type"));
  const Value* names = config.find("architectures");
  const std::string architecture =
      names != nullptr && names->is_array() && !names->as_array().empty() ? text(&names->as_array().front()) : "";

  Value::Array task_names;
  bool supported = false;
  for (const Family* family : families()) {
    if (family->model_type != model_type) continue;
    for (const Architecture& a : family->architectures) {
      if (architecture.empty() ? a.head != Head::base : a.name != architecture) continue;
      supported = true;
      for (const TaskInfo& task : tasks()) {  // any model gives features: its base is in there
        if (task.head == a.head || task.head == Head::base) task_names.emplace_back(task.name);
      }
    }
  }

  const auto weights = WeightSource::open(*files);
  int64_t parameters = 0;
  std::map<std::string, int64_t> by_type;
  for (const std::string& weight : weights->names()) {
    const WeightFile::Entry& tensor = *weights->entry(weight);
    int64_t size = element_count(tensor.shape);
    std::string type(to_string(tensor.dtype));
    if (weights->entry(weight + "_scale") != nullptr) {  // integers of tcpp quantize: models/quantize.hpp
      if (tensor.dtype == DType::u8) size *= 2;
      type = tensor.dtype == DType::u8 ? "q4" : "q8";
    } else if (!is_floating(tensor.dtype) || weight.ends_with(".weight_scale") || weight.ends_with(".weight_offset")) {
      continue;  // buffers such as position_ids, scales of the integers
    }
    parameters += size;
    by_type[type] += size;
  }
  std::string dtype;
  for (const auto& [type, count] : by_type) dtype += (dtype.empty() ? "" : ", ") + type;

  Value::Array list;
  for (const std::string& file : files->list()) list.emplace_back(file);
  return Value::Object{{"model", directory.string()},
                       {"model_type", model_type},
                       {"architecture", architecture},
                       {"supported", supported},
                       {"tasks", std::move(task_names)},
                       {"parameters", parameters},
                       {"dtype", dtype},
                       {"weight_bytes", weights->total_bytes()},
                       {"memory_bytes", supported ? PretrainedModel::memory_bytes(*files) : weights->total_bytes()},
                       {"files", std::move(list)}};
}

}  // namespace

void add_info(CLI::App& app) {
  CLI::App& command = *app.add_subcommand("info", "what a model directory holds and which tasks it can serve");
  struct Arguments {
    std::string model;
    bool json = false;
  };
  auto args = std::make_shared<Arguments>();
  command.add_option("MODEL", args->model, "directory, .gguf file or bundled model")->required();
  command.add_flag("--json", args->json, "one JSON object");
  command.callback([args] {
    const Value info = describe(args->model);
    if (args->json) return print_line(to_json(info));
    for (const auto& [key, value] : info.as_object()) {
      std::string shown;
      if (value.is_array()) {
        for (const Value& item : value.as_array()) shown += (shown.empty() ? "" : ", ") + item.as_string();
      } else {
        shown = value.is_string() ? value.as_string() : to_json(value);
      }
      print_line(key + std::string(14 - std::min<std::size_t>(13, key.size()), ' ') + shown);
    }
  });
}

}  // namespace transformers::cli
