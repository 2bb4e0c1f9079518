// Loading: config.json -> family and class -> weights visited by name, checked, packed. Implements the from_...
// functions of models/pretrained_model.hpp and models/auto.hpp. Source: transformers/modeling_utils.py,
// from_pretrained: which names match which (5.23).
#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include "transformers/base/error.hpp"
#include "transformers/base/model_files.hpp"
#include "transformers/base/parallel.hpp"
#include "transformers/base/platform.hpp"
#include "transformers/io/weights.hpp"
#include "transformers/models/auto.hpp"
#include "transformers/models/family.hpp"
#include "transformers/models/locate.hpp"
#include "transformers/nn/weights.hpp"

namespace transformers {
namespace {

constexpr std::size_t kMaxConfigBytes = std::size_t{16} << 20;

// [n, k] -> [k, n]
Tensor transposed(const Tensor& tensor) {
  const int64_t n = tensor.dim(0), k = tensor.dim(1);
  const std::size_t element = dtype_size(tensor.dtype());
  Tensor out = Tensor::zeros(tensor.dtype(), {k, n});
  const auto* from = static_cast<const std::byte*>(tensor.raw());
  auto* to = static_cast<std::byte*>(const_cast<void*>(out.raw()));
  // Squares that fit the cache, whichever way the rows run.
  constexpr int64_t kSquare = 32;
  parallel_for((k + kSquare - 1) / kSquare, [&](int64_t square) {
    for (int64_t i0 = 0; i0 < n; i0 += kSquare) {
      for (int64_t j = square * kSquare; j < std::min(k, (square + 1) * kSquare); ++j) {
        for (int64_t i = i0; i < std::min(n, i0 + kSquare); ++i) {
          std::memcpy(to + static_cast<std::size_t>(j * n + i) * element,
                      from + static_cast<std::size_t>(i * k + j) * element, element);
        }
      }
    }
  });
  return out;
}

bool ends_with_replace(std::string& name, std::string_view from, std::string_view to) {
  if (!name.ends_with(from)) return false;
  name.replace(name.size() - from.size(), from.size(), to);
  return true;
}

}  // namespace

// Fills a model's weights from a directory, each leaf as the visitor meets it.
class Loader final : public WeightVisitor {
 public:
  Loader(const WeightSource& source, std::string_view base_model_prefix, const CancelToken& cancel)
      : source_(source), prefix_(std::string(base_model_prefix) + "."), cancel_(cancel) {}

  static std::unique_ptr<PretrainedModel> load(const std::shared_ptr<const ModelFiles>& files, const Head* head,
                                               const LoadOptions& options);

  void matrix(std::span<const WeightPart> parts, PackedWeight& weight) override {
    std::vector<Tensor> sources = find_all(parts, [&](int64_t rows) { return Shape{rows, weight.in_features}; });
    const DType type = common_type(sources);
    weight.format = type;
    weight.bytes = pack(sources, type, weight);
  }

  void vector(std::span<const WeightPart> parts, std::vector<float>& values) override {
    const std::vector<Tensor> sources = find_all(parts, [](int64_t rows) { return Shape{rows}; });
    std::size_t size = 0;
    for (const WeightPart& part : parts) size += static_cast<std::size_t>(part.rows);
    values.resize(size);
    float* to = values.data();
    for (const Tensor& t : sources) {
      const Tensor wide = t.to_float32();
      std::memcpy(to, wide.raw(), wide.bytes());
      to += wide.size();
    }
  }

  void table(std::string_view name, int64_t rows, int64_t columns, Tensor& table) override {
    const WeightPart part{{std::string(name)}, rows};
    table = find_all({&part, 1}, [&](int64_t n) { return Shape{n, columns}; }).front();
    if (table.dtype() == DType::f64) table = table.to_float32();
  }

  bool has(std::string_view name) override {
    const std::string full = full_name(name);
    const bool found = !resolve(full).empty();
    if (found) present_.insert(full);
    return found;
  }

  void report_unused(std::string_view architecture) const {
    std::vector<std::string> unused;
    for (const std::string& name : source_.names()) {
      if (!used_.contains(name)) unused.push_back(name);
    }
    if (unused.empty()) return;
    std::string list;
    for (std::size_t i = 0; i < std::min<std::size_t>(unused.size(), 5); ++i) {
      list += (i == 0 ? "" : ", ") + unused[i];
    }
    log(LogLevel::info, std::to_string(unused.size()) + " tensors are not used by " + std::string(architecture) + ": " +
                            list + (unused.size() > 5 ? " ..." : "") + " (" + source_.where(unused.front()) + ")");
  }

 private:
  // The checkpoint's name for a weight, or "". Accepted as in Hugging Face: the base model's prefix missing or in
  // excess, and the names gamma and beta of old LayerNorms.
  std::string resolve(const std::string& name) const {
    const auto known = [&](std::string candidate) -> std::string {
      if (source_.contains(candidate)) return candidate;
      if ((ends_with_replace(candidate, "LayerNorm.weight", "LayerNorm.gamma") ||
           ends_with_replace(candidate, "LayerNorm.bias", "LayerNorm.beta")) &&
          source_.contains(candidate)) {
        return candidate;
      }
      return {};
    };
    std::string found = known(name);
    if (found.empty()) found = known(name.starts_with(prefix_) ? name.substr(prefix_.size()) : prefix_ + name);
    return found;
  }

  template <class ShapeOf>
  std::vector<Tensor> find_all(std::span<const WeightPart> parts, ShapeOf shape_of) {
    cancel_.throw_if_cancelled();
    std::vector<Tensor> tensors;
    for (const WeightPart& part : parts) {
      Shape expected = shape_of(part.of > 0 ? part.of : part.rows);
      const Shape flat = expected;
      if (part.taps > 0) {
        expected.back() /= part.taps;
        expected.push_back(part.taps);
      }
      std::string found;
      for (const std::string& name : part.names) {
        found = resolve(full_name(name));
        if (!found.empty()) break;
      }
      const WeightFile::Entry* const entry = found.empty() ? nullptr : source_.entry(found);
      // GGUF keeps GPT-2's matrices as ours are.
      const bool turned = part.transposed && !(entry != nullptr && entry->transposed);
      if (turned) std::swap(expected.front(), expected.back());
      if (entry == nullptr) missing(full_name(part.names.front()), expected);
      // Checked before the values are asked for, which may have to be put in order first.
      if (entry->shape != expected) {
        throw Error(
            ErrorCode::invalid_argument,
            "shape mismatch: config.json asks for " + to_string(expected) + ", the file has " + to_string(entry->shape),
            source_.where(found));
      }
      if (!is_floating(entry->dtype)) {
        throw Error(
            ErrorCode::unsupported,
            "weights of type " + std::string(safetensors_name(entry->dtype)) + " (supported: F64, F32, F16, BF16)",
            source_.where(found));
      }
      used_.insert(found);
      Tensor tensor = *source_.find(found);
      if (part.taps > 0) tensor = tensor.reshaped(flat);
      if (turned) tensor = transposed(tensor);
      if (part.of > 0) tensor = tensor.slice(part.first, part.first + part.rows);
      tensors.push_back(std::move(tensor));
    }
    return tensors;
  }

  [[noreturn]] void missing(const std::string& name, const Shape& expected) const {
    const std::string nearest = source_.nearest(name);
    throw Error(ErrorCode::not_found,
                "tensor \"" + name + "\" " + to_string(expected) + " is missing" +
                    (nearest.empty() ? "" : "; the nearest name is \"" + nearest + "\""),
                source_.where(name));
  }

  // The stored type where all parts agree on one that the GEMM reads, else float32.
  static DType common_type(std::span<const Tensor> tensors) {
    const DType first = tensors.front().dtype();
    for (const Tensor& t : tensors) {
      if (t.dtype() != first) return DType::f32;
    }
    return first == DType::f64 || is_block_format(first) ? DType::f32 : first;
  }

  // Rows [begin, end) of the sources, one below the other, in the type asked for: where they lie, or in `buffer`.
  static const void* rows_of(std::span<const Tensor> sources, int64_t begin, int64_t end, DType dtype,
                             std::vector<std::byte>& buffer) {
    int64_t first = 0;  // row of the source
    for (const Tensor& t : sources) {
      const int64_t from = std::max(begin - first, int64_t{0}), to = std::min(end - first, t.dim(0));
      first += t.dim(0);
      if (from >= to) continue;
      Tensor rows = t.slice(from, to);
      if (rows.dtype() == dtype && to - from == end - begin) return rows.raw();
      if (rows.dtype() != dtype) rows = rows.to_float32();
      const auto* bytes = static_cast<const std::byte*>(rows.raw());
      buffer.insert(buffer.end(), bytes, bytes + rows.bytes());
    }
    return buffer.data();
  }

  std::shared_ptr<const std::byte> pack(std::span<const Tensor> sources, DType type, const PackedWeight& weight) const {
    const int64_t n = weight.out_features, k = weight.in_features;
    const std::size_t row_bytes = static_cast<std::size_t>(k) * dtype_size(type);
    std::shared_ptr<std::byte> packed = allocate_bytes(packed_bytes(weight.format, n, k));
    // About 1 MiB a task: enough to keep threads busy, little enough to give the pages back early.
    const int64_t panel = panel_rows(weight.format);
    const int64_t panel_bytes = static_cast<int64_t>(row_bytes) * panel;
    const int64_t step = panel * std::max<int64_t>(1, (int64_t{1} << 20) / std::max<int64_t>(panel_bytes, 1));
    parallel_for((n + step - 1) / step, [&](int64_t task) {
      const int64_t begin = task * step, end = std::min(n, begin + step);
      std::vector<std::byte> buffer;
      const void* rows = rows_of(sources, begin, end, type, buffer);
      pack_rows(weight.format, rows, k, begin, end - begin, n, k, packed.get());
    });
    for (const Tensor& t : sources) source_.release(t);
    return packed;
  }

  const WeightSource& source_;
  std::string prefix_;
  const CancelToken& cancel_;
  std::set<std::string, std::less<>> used_, present_;
};

namespace {

const Family& find_family(const std::string& model_type, const std::string& where) {
  std::string known;
  for (const Family* family : families()) {
    if (family->model_type == model_type) return *family;
    known += (known.empty() ? "" : ", ") + std::string(family->model_type);
  }
  throw Error(ErrorCode::unsupported, "model_type \"" + model_type + "\" (supported: " + known + ")", where);
}

// `head`: the class asked for; without it the one that architectures[0] names, the base model where there is none.
const Architecture& find_architecture(const Family& family, const Head* head, const Value& config,
                                      const std::string& where) {
  std::string name;
  if (const Value* names = config.find("architectures"); names != nullptr && names->is_array()) {
    if (!names->as_array().empty()) name = names->as_array().front().as_string();
  }
  std::string known;
  for (const Architecture& a : family.architectures) {
    if (head != nullptr ? a.head == *head : name.empty() ? a.head == Head::base : a.name == name) return a;
    known += (known.empty() ? "" : ", ") + std::string(a.name);
  }
  if (head != nullptr) {
    throw Error(
        ErrorCode::unsupported,
        "model_type \"" + std::string(family.model_type) + "\" has no class for this task (classes: " + known + ")",
        where);
  }
  throw Error(ErrorCode::unsupported, "architecture \"" + name + "\" (supported: " + known + ")", where);
}

}  // namespace

std::unique_ptr<PretrainedModel> Loader::load(const std::shared_ptr<const ModelFiles>& files, const Head* head,
                                              const LoadOptions& options) {
  const std::string where = files->where("config.json");
  Value config = parse_json(files->read_text("config.json", kMaxConfigBytes), where);
  if (!config.is_object()) throw Error(ErrorCode::corrupt_file, "expected a JSON object", where);
  if (options.config_overrides.is_object()) {
    for (const auto& [key, value] : options.config_overrides.as_object()) config.set(key, value);
  }
  const Value* model_type = config.find("model_type");
  if (model_type == nullptr || !model_type->is_string()) {
    throw Error(ErrorCode::invalid_argument, "model_type is missing or no string", where);
  }
  const Family& family = find_family(model_type->as_string(), where);
  const Architecture& architecture = find_architecture(family, head, config, where);

  std::unique_ptr<PretrainedModel> model = architecture.make(config, where);
  model->architecture_ = architecture.name;
  model->head_ = architecture.head;

  const std::shared_ptr<const WeightSource> weights = WeightSource::open(*files);
  Loader loader(*weights, model->base_model_prefix(), options.cancel);
  model->weights(loader);
  loader.report_unused(architecture.name);
  model->config_json_ = std::move(config);
  model->present_ = std::move(loader.present_);
  return model;
}

std::unique_ptr<PretrainedModel> PretrainedModel::from_files(std::shared_ptr<const ModelFiles> files,
                                                             const LoadOptions& options) {
  return Loader::load(files, nullptr, options);
}

std::unique_ptr<PretrainedModel> PretrainedModel::from_pretrained(const std::string& name, const LoadOptions& options) {
  return from_files(ModelFiles::from_path(find_model(name).string(), options.map_mode), options);
}

std::unique_ptr<PretrainedModel> load_model(std::shared_ptr<const ModelFiles> files, Head head,
                                            const LoadOptions& options) {
  return Loader::load(files, &head, options);
}

std::unique_ptr<PretrainedModel> load_model(const std::string& name, Head head, const LoadOptions& options) {
  return load_model(ModelFiles::from_path(find_model(name).string(), options.map_mode), head, options);
}

}  // namespace transformers
