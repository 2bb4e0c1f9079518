// Loading: config.json -> family and class -> weights visited by name, checked, packed. Implements the from_...
// functions of models/pretrained_model.hpp and models/auto.hpp. Source: transformers/modeling_utils.py,
// from_pretrained: which names match which (5.23).
#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "models/pack.hpp"
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

bool ends_with_replace(std::string& name, std::string_view from, std::string_view to) {
  if (!name.ends_with(from)) return false;
  name.replace(name.size() - from.size(), from.size(), to);
  return true;
}

}  // namespace

// Fills a model's weights from a directory, each leaf as the visitor meets it.
class Loader final : public WeightVisitor {
 public:
  // `vocab_size`: a matrix with that many rows gives scores over the vocabulary. `of_decoder`: the model only decodes.
  Loader(const WeightSource& source, std::string_view base_model_prefix, WeightType dtype, int64_t vocab_size,
         bool of_decoder, const CancelToken& cancel)
      : source_(source),
        prefix_(std::string(base_model_prefix) + "."),
        dtype_(dtype),
        vocab_size_(vocab_size),
        of_decoder_(of_decoder),
        cancel_(cancel),
        memory_(source.total_bytes()) {}

  // The model that config.json asks for, without weights; `config` is what it says.
  static std::unique_ptr<PretrainedModel> make(const ModelFiles& files, const Head* head, const LoadOptions& options,
                                               Value& config);
  static std::unique_ptr<PretrainedModel> load(const std::shared_ptr<const ModelFiles>& files, const Head* head,
                                               const LoadOptions& options);

  // The tensors that `model` multiplies by.
  const std::map<std::string, MatrixUse>& list(PretrainedModel& model) {
    listing_ = true;
    model.weights(*this);
    listing_ = false;
    return matrices_;
  }

  // The tables that list() has met, [rows, columns].
  const std::map<std::string, Shape>& tables() const noexcept { return tables_; }

  // The weights of `model`, in two passes: what is a matrix must be known when tables are met.
  void fill(PretrainedModel& model) {
    list(model);
    model.weights(*this);
  }

  void matrix(std::span<const WeightPart> parts, PackedWeight& weight) override {
    if (listing_) {
      for (const WeightPart& part : parts) {
        const std::string name = first_known(part);
        if (name.empty()) continue;  // told apart in the second pass
        matrices_[name] = {.in_features = weight.in_features,
                           .turned = is_turned(part, name),
                           .role = role(weight.out_features),
                           .tied = tables_.contains(name)};
      }
      return;
    }
    const bool whole = parts.size() == 1 && parts.front().of == 0 && !parts.front().transposed;
    const std::string name = whole ? first_known(parts.front()) : std::string();
    if (const auto shared = shared_.find(name); shared != shared_.end() && !name.empty()) {
      weight = shared->second;
      return;
    }
    pack(find_matrix(parts, weight.in_features), weight);
  }

  void vector(std::span<const WeightPart> parts, std::vector<float>& values) override {
    if (listing_) return;
    std::vector<Tensor> sources;
    std::size_t size = 0;
    for (const WeightPart& part : parts) {
      sources.push_back(find(part, Shape{part.of > 0 ? part.of : part.rows}));
      if (part.of > 0) sources.back() = sources.back().slice(part.first, part.first + part.rows);
      size += static_cast<std::size_t>(part.rows);
    }
    values.resize(size);
    float* to = values.data();
    for (const Tensor& t : sources) {
      const Tensor wide = t.to_float32();
      std::memcpy(to, wide.raw(), wide.bytes());
      to += wide.size();
    }
  }

  void table(std::string_view name, int64_t rows, int64_t columns, Tensor& table) override {
    if (listing_) return;
    table = find({{std::string(name)}, rows}, Shape{rows, columns});
    if (table.dtype() != DType::f64) return;
    const Tensor wide = table;
    table = wide.to_float32();
    source_.release(wide);
  }

  void words(std::string_view name, int64_t rows, int64_t columns, Tensor& table, PackedWeight& packed) override {
    const WeightPart part{{std::string(name)}, rows};
    const std::string found = first_known(part);
    if (listing_) {
      if (!found.empty()) tables_[found] = {rows, columns};
      return;
    }
    const bool tied = matrices_.contains(found);
    if (!found.empty() && (tied || is_quantized(found))) {
      std::vector<MatrixPart> parts = find_matrix({&part, 1}, columns);
      PackedWeight weight{.out_features = rows, .in_features = columns, .format = {}, .bytes = nullptr};
      if (choose_format(parts, dtype_, role(rows)).kind == WeightFormat::Kind::integers) {
        pack(parts, weight);
        if (tied) shared_.emplace(found, weight);
        packed = std::move(weight);
        return;
      }
      if (is_quantized(found)) {  // floats are asked for
        table = Tensor::zeros(DType::f32, {rows, columns});
        rows_to_float(parts.front(), 0, rows, table.mutable_data<float>());
        source_.release(parts.front().weight);
        return;
      }
    }
    this->table(name, rows, columns, table);
  }

  bool has(std::string_view name) override {
    const std::string full = full_name(name);
    const bool found = !resolve(full).empty();
    if (found) present_.insert(full);
    return found;
  }

  // True when some weight is held as integers.
  bool packed_integers() const noexcept { return packed_integers_; }

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
  MatrixRole role(int64_t out_features) const { return {out_features == vocab_size_, of_decoder_}; }

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

  // The checkpoint's name for the first of a part's names that it has, or "".
  std::string first_known(const WeightPart& part) const {
    for (const std::string& name : part.names) {
      if (std::string found = resolve(full_name(name)); !found.empty()) return found;
    }
    return {};
  }

  // True where the file has [in_features, out_features]. GGUF keeps GPT-2's matrices as ours are.
  bool is_turned(const WeightPart& part, const std::string& name) const {
    const WeightFile::Entry* entry = source_.entry(name);
    return part.transposed && !(entry != nullptr && entry->transposed);
  }

  // True for integers that have their scales beside them.
  bool is_quantized(const std::string& name) const {
    const WeightFile::Entry* entry = source_.entry(name);
    return entry != nullptr && (entry->dtype == DType::i8 || entry->dtype == DType::u8) &&
           source_.contains(name + std::string(kScaleSuffix));
  }

  // The tensor of a part, its type and shape checked before its values are asked for, which may have to be put in order
  // first.
  Tensor find(const WeightPart& part, const Shape& expected) {
    cancel_.throw_if_cancelled();
    const std::string found = first_known(part);
    if (found.empty()) missing(full_name(part.names.front()), expected);
    const WeightFile::Entry& entry = *source_.entry(found);
    check_shape(found, expected);
    if (!is_floating(entry.dtype)) {
      throw Error(ErrorCode::unsupported,
                  "weights of type " + std::string(safetensors_name(entry.dtype)) +
                      " (supported: F64, F32, F16, BF16; I8 and U8 with scales)",
                  source_.where(found));
    }
    used_.insert(found);
    return *source_.find(found);
  }

  void check_shape(const std::string& name, const Shape& expected) const {
    const Shape& shape = source_.entry(name)->shape;
    if (shape == expected) return;
    throw Error(ErrorCode::invalid_argument,
                "shape mismatch: config.json asks for " + to_string(expected) + ", the file has " + to_string(shape),
                source_.where(name));
  }

  std::vector<MatrixPart> find_matrix(std::span<const WeightPart> parts, int64_t k) {
    std::vector<MatrixPart> found;
    for (const WeightPart& part : parts) {
      const int64_t rows = part.of > 0 ? part.of : part.rows;
      const std::string name = first_known(part);
      MatrixPart matrix{.k = k};
      if (is_quantized(name)) {
        // [out_features, in_features], also where floats would be transposed.
        const bool halves = source_.entry(name)->dtype == DType::u8;
        const std::string scales = name + std::string(kScaleSuffix);
        const WeightFormat stored = stored_integers(source_.entry(name)->dtype, source_.entry(scales)->dtype);
        const int64_t groups = stored.scales_of(k);
        const auto integers = [&](const std::string& tensor, DType dtype, Shape shape) {
          if (!source_.contains(tensor)) missing(tensor, shape);
          check_shape(tensor, shape);
          if (source_.entry(tensor)->dtype != dtype) {
            throw Error(ErrorCode::unsupported,
                        "expected " + std::string(safetensors_name(dtype)) + ", found " +
                            std::string(safetensors_name(source_.entry(tensor)->dtype)),
                        source_.where(tensor));
          }
          used_.insert(tensor);
          return *source_.find(tensor);
        };
        cancel_.throw_if_cancelled();
        matrix.weight = integers(name, halves ? DType::u8 : DType::i8, {rows, halves ? (k + 1) / 2 : k});
        matrix.scales = integers(scales, stored.half_scales ? DType::f16 : DType::f32, {rows, groups});
        if (halves) matrix.offsets = integers(name + std::string(kOffsetSuffix), DType::f16, {rows, groups});
      } else {
        const bool turned = is_turned(part, name);
        Shape expected = turned ? Shape{k, rows} : Shape{rows, k};
        if (part.taps > 0) expected = {rows, k / part.taps, part.taps};
        matrix.weight = find(part, expected);
        if (part.taps > 0) matrix.weight = matrix.weight.reshaped({rows, k});
        if (turned) {
          const Tensor stored = matrix.weight;
          matrix.weight = transpose(stored);
          source_.release(stored);
        }
      }
      if (part.of > 0) {
        const auto some = [&](Tensor& t) {
          if (t.defined()) t = t.slice(part.first, part.first + part.rows);
        };
        some(matrix.weight), some(matrix.scales), some(matrix.offsets);
      }
      found.push_back(std::move(matrix));
    }
    return found;
  }

  [[noreturn]] void missing(const std::string& name, const Shape& expected) const {
    const std::string nearest = source_.nearest(name);
    throw Error(ErrorCode::not_found,
                "tensor \"" + name + "\" " + to_string(expected) + " is missing" +
                    (nearest.empty() ? "" : "; the nearest name is \"" + nearest + "\""),
                source_.where(name));
  }

  void pack(const std::vector<MatrixPart>& parts, PackedWeight& weight) {
    weight.format = choose_format(parts, dtype_, role(weight.out_features));
    weight.bytes = pack_parts(parts, weight, source_, memory_);
    packed_integers_ = packed_integers_ || weight.format.kind == WeightFormat::Kind::integers;
  }

  const WeightSource& source_;
  std::string prefix_;
  WeightType dtype_;
  int64_t vocab_size_;
  bool of_decoder_;
  const CancelToken& cancel_;
  PackedMemory memory_;
  std::set<std::string, std::less<>> used_, present_;
  bool listing_ = false, packed_integers_ = false;
  std::map<std::string, MatrixUse> matrices_;  // by the checkpoint's names
  std::map<std::string, Shape> tables_;
  std::map<std::string, PackedWeight> shared_;  // of tables: matrices that are packed already
};

namespace {

bool only_decodes(const PretrainedModel& model) {
  return model.uses_cache() && model.batch_rules().decoder == BatchRules::Decoder::none;
}

// What config.json's quantization_config says that `tcpp quantize` has made of the weights. Error(unsupported) for the
// methods of others.
std::optional<WeightType> quantization_of(const Value& config, const std::string& where) {
  const Value* quantization = config.find("quantization_config");
  if (quantization == nullptr || quantization->is_null()) return std::nullopt;
  const auto text = [&](const char* key) {
    const Value* value = quantization->is_object() ? quantization->find(key) : nullptr;
    return value != nullptr && value->is_string() ? value->as_string() : std::string();
  };
  if (text("quant_method") != kQuantMethod) {
    throw Error(ErrorCode::unsupported,
                "quantization_config: quant_method \"" + text("quant_method") +
                    "\" (supported: " + std::string(kQuantMethod) + ", which tcpp quantize writes)",
                where);
  }
  const std::optional<WeightType> type = weight_type_from(text("dtype"));
  if (!type) {
    throw Error(ErrorCode::unsupported,
                "quantization_config: dtype \"" + text("dtype") + "\" (supported: bf16, q8, q4)", where);
  }
  return type;
}

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

std::unique_ptr<PretrainedModel> Loader::make(const ModelFiles& files, const Head* head, const LoadOptions& options,
                                              Value& config) {
  const std::string where = files.where("config.json");
  config = parse_json(files.read_text("config.json", kMaxConfigBytes), where);
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
  return model;
}

MatrixList list_matrices(const ModelFiles& files) {
  MatrixList list;
  const std::unique_ptr<PretrainedModel> model = Loader::make(files, nullptr, {}, list.config);
  list.quantized = quantization_of(list.config, files.where("config.json")).has_value();
  list.weights = WeightSource::open(files);
  const CancelToken never;
  Loader loader(*list.weights, model->base_model_prefix(), WeightType::stored, model->vocab_size(),
                only_decodes(*model), never);
  list.matrices = loader.list(*model);
  for (const auto& [name, shape] : loader.tables()) {
    if (shape[0] == model->vocab_size()) list.words.emplace(name, shape[1]);
  }
  return list;
}

int64_t PretrainedModel::memory_bytes(const ModelFiles& files) {
  const MatrixList list = list_matrices(files);
  int64_t bytes = 0;
  for (const std::string& name : list.weights->names()) {
    const WeightFile::Entry& entry = *list.weights->entry(name);
    const int64_t size = element_count(entry.shape);
    const bool integers = entry.dtype == DType::i8 || entry.dtype == DType::u8;
    const auto use = list.matrices.find(name);
    if (use == list.matrices.end()) {
      if (is_floating(entry.dtype) && !name.ends_with(kScaleSuffix) && !name.ends_with(kOffsetSuffix)) {
        const bool wide = entry.dtype == DType::f64 || entry.shape.size() == 1;
        bytes += static_cast<int64_t>(dtype_bytes(wide ? DType::f32 : entry.dtype, size));
      } else if (integers) {  // a table of words that is only looked up, if anything
        for (const std::string_view suffix : {kScaleSuffix, kOffsetSuffix}) {
          const WeightFile::Entry* of_groups = list.weights->entry(name + std::string(suffix));
          if (of_groups == nullptr) continue;
          bytes += static_cast<int64_t>(dtype_bytes(of_groups->dtype, element_count(of_groups->shape)));
          if (suffix == kScaleSuffix) bytes += size;
        }
      }
      continue;
    }
    const int64_t k = use->second.in_features, rows = integers ? entry.shape.front() : size / std::max<int64_t>(k, 1);
    const WeightFile::Entry* scales = list.weights->entry(name + std::string(kScaleSuffix));
    const WeightFormat format = integers ? stored_integers(entry.dtype, scales ? scales->dtype : DType::f16)
                                : entry.dtype == DType::f64 ? WeightFormat(DType::f32)
                                                            : WeightFormat(entry.dtype);
    bytes += static_cast<int64_t>(packed_bytes(format, rows, k));
    // A table of words that is also the head is packed once when it is integers, else looked up where it is.
    if (use->second.tied && format.kind != WeightFormat::Kind::integers) {
      bytes += static_cast<int64_t>(dtype_bytes(entry.dtype == DType::f64 ? DType::f32 : entry.dtype, size));
    }
  }
  return bytes;
}

std::unique_ptr<PretrainedModel> Loader::load(const std::shared_ptr<const ModelFiles>& files, const Head* head,
                                              const LoadOptions& options) {
  Value config;
  std::unique_ptr<PretrainedModel> model = make(*files, head, options, config);
  const std::shared_ptr<const WeightSource> weights = WeightSource::open(*files);
  const std::optional<WeightType> quantized = quantization_of(config, files->where("config.json"));
  // Integers are there in the files: asking for q8 or q4 again would round what is kept more precise.
  const WeightType wanted =
      options.dtype == WeightType::stored && quantized == WeightType::bf16 ? *quantized : options.dtype;
  const ParallelScope scope;  // hundreds of matrices, each packed in a fraction of a millisecond
  Loader loader(*weights, model->base_model_prefix(), wanted, model->vocab_size(), only_decodes(*model),
                options.cancel);
  loader.fill(*model);
  model->dtype_ = options.dtype != WeightType::stored ? options.dtype
                  : quantized                         ? *quantized
                  : loader.packed_integers()          ? WeightType::stored
                                                      : WeightType::fp32;
  loader.report_unused(model->architecture());
  model->config_json_ = std::move(config);
  model->present_ = std::move(loader.present_);
  return model;
}

std::unique_ptr<PretrainedModel> PretrainedModel::from_files(std::shared_ptr<const ModelFiles> files,
                                                             const LoadOptions& options) {
  return Loader::load(files, nullptr, options);
}

std::unique_ptr<PretrainedModel> PretrainedModel::from_pretrained(const std::string& name, const LoadOptions& options) {
  return from_files(ModelFiles::from_path(find_model(name), options.map_mode), options);
}

std::unique_ptr<PretrainedModel> load_model(std::shared_ptr<const ModelFiles> files, Head head,
                                            const LoadOptions& options) {
  return Loader::load(files, &head, options);
}

std::unique_ptr<PretrainedModel> load_model(const std::string& name, Head head, const LoadOptions& options) {
  return load_model(ModelFiles::from_path(find_model(name), options.map_mode), head, options);
}

}  // namespace transformers
