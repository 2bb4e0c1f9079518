// Implements pipelines/feature_extraction.hpp.
#include "transformers/pipelines/feature_extraction.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "tokenizers/python_text.hpp"
#include "transformers/base/error.hpp"
#include "transformers/base/model_files.hpp"
#include "transformers/io/safetensors.hpp"
#include "transformers/io/weight_file.hpp"
#include "transformers/kernels/kernels.hpp"
#include "transformers/tokenizers/unicode.hpp"

namespace transformers {
namespace {

constexpr std::string_view kPoolings[] = {"none", "automatic",     "mean",          "cls",
                                          "max",  "mean_sqrt_len", "weighted_mean", "last_token"};

// sentence_transformers' keys in 1_Pooling/config.json, in the order in which several are concatenated.
struct PoolingKey {
  std::string_view flag;  // of the older form, "pooling_mode_cls_token": true
  std::string_view mode;  // of the newer form, "pooling_mode": "cls"
  Pooling pooling;
};
constexpr PoolingKey kPoolingKeys[] = {
    {"pooling_mode_cls_token", "cls", Pooling::cls},
    {"pooling_mode_max_tokens", "max", Pooling::max},
    {"pooling_mode_mean_tokens", "mean", Pooling::mean},
    {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", Pooling::mean_sqrt_len},
    {"pooling_mode_weightedmean_tokens", "weightedmean", Pooling::weighted_mean},
    {"pooling_mode_lasttoken", "lasttoken", Pooling::last_token},
};

}  // namespace

// sentence_transformers' Dense: activation(linear(embedding)), from a folder of the model with a config.json and
// weights of its own.
class SentenceDense {
 public:
  SentenceDense(const ModelFiles& files, const std::string& folder) {
    const std::string config_name = folder + "/config.json", where = files.where(config_name);
    files.check_inside(config_name);
    const Value config = parse_json(files.read_text(config_name), where);
    FieldReader reader(config, where);
    reader("in_features", in_features_);
    reader("out_features", out_features_);
    bool has_bias = true;
    reader("bias", has_bias);
    std::string function = "torch.nn.modules.activation.Tanh";
    reader("activation_function", function);
    activation_ = activation(function, where);
    std::string input = "sentence_embedding";
    std::optional<std::string> output;
    bool use_residual = false;
    reader("module_input_name", input);
    reader("module_output_name", output);
    reader("use_residual", use_residual);
    if (input != "sentence_embedding" || output.value_or(input) != input) {
      throw Error(ErrorCode::unsupported, "module Dense from " + quote(input) + " to " + quote(output.value_or(input)),
                  where);
    }
    constexpr int64_t kMost = int64_t{1} << 24;
    if (in_features_ < 1 || out_features_ < 1 || in_features_ > kMost || out_features_ > kMost) {
      throw Error(ErrorCode::invalid_argument,
                  "in_features and out_features must be between 1 and " + std::to_string(kMost), where);
    }
    const std::string safe = folder + "/model.safetensors", torch = folder + "/pytorch_model.bin";
    const auto weights = files.has(safe) ? open_safetensors_file(files.open(safe), files.where(safe))
                                         : open_torch_file(files.open(torch), files.where(torch));
    weight_ = matrix(*weights, "linear.weight");
    copies_ = use_residual && in_features_ == out_features_;
    if (use_residual && !copies_) residual_ = matrix(*weights, "residual.weight");
    if (has_bias) {
      const Tensor bias = find(*weights, "linear.bias", {out_features_});
      bias_.assign(bias.data<float>(), bias.data<float>() + out_features_);
    }
  }

  // One embedding. Error(invalid_argument) when it has another width.
  std::vector<float> operator()(const std::vector<float>& embedding) const {
    if (static_cast<int64_t>(embedding.size()) != in_features_) {
      throw Error(ErrorCode::invalid_argument, "module Dense takes embeddings of " + std::to_string(in_features_) +
                                                   " numbers, they have " + std::to_string(embedding.size()));
    }
    std::vector<float> out(static_cast<std::size_t>(out_features_));
    const auto product = [&](const std::vector<std::byte>& matrix, const float* residual, bool last) {
      gemm({.a = embedding.data(),
            .lda = in_features_,
            .m = 1,
            .b = {matrix.data(), DType::f32, out_features_, in_features_},
            .bias = last && !bias_.empty() ? bias_.data() : nullptr,
            .activation = last ? activation_ : Activation::none,
            .residual = residual,
            .ldr = out_features_,
            .c = out.data(),
            .ldc = out_features_});
    };
    if (!residual_.empty()) product(residual_, nullptr, false);
    product(weight_, copies_ ? embedding.data() : residual_.empty() ? nullptr : out.data(), true);
    return out;
  }

 private:
  // The last part of a class of torch.
  static Activation activation(const std::string& function, const std::string& where) {
    constexpr std::pair<std::string_view, Activation> kFunctions[] = {
        {"Identity", Activation::none}, {"Tanh", Activation::tanh},   {"ReLU", Activation::relu},
        {"GELU", Activation::gelu},     {"SiLU", Activation::silu},   {"Sigmoid", Activation::sigmoid},
        {"Mish", Activation::mish},     {"ReLU6", Activation::relu6}, {"LeakyReLU", Activation::leaky_relu},
    };
    const std::string_view name = std::string_view(function).substr(function.rfind('.') + 1);
    for (const auto& [known, activation] : kFunctions) {
      if (known == name) return activation;
    }
    throw Error(ErrorCode::unsupported, "activation_function " + quote(function), where);
  }

  static Tensor find(const WeightFile& weights, std::string_view name, const Shape& shape) {
    for (std::size_t i = 0; i < weights.entries().size(); ++i) {
      const WeightFile::Entry& entry = weights.entries()[i];
      if (entry.name != name) continue;
      if (entry.shape != shape || !is_floating(entry.dtype)) {
        throw Error(ErrorCode::invalid_argument,
                    "expected numbers " + to_string(shape) + ", found " + std::string(safetensors_name(entry.dtype)) +
                        " " + to_string(entry.shape),
                    weights.name() + ": " + entry.name);
      }
      return weights.tensor(i).to_float32();
    }
    throw Error(ErrorCode::not_found, "tensor " + quote(name) + " is missing", weights.name());
  }

  std::vector<std::byte> matrix(const WeightFile& weights, std::string_view name) const {
    const Tensor weight = find(weights, name, {out_features_, in_features_});
    std::vector<std::byte> packed(packed_bytes(DType::f32, out_features_, in_features_));
    pack_rows(DType::f32, weight.raw(), in_features_, 0, out_features_, out_features_, in_features_, packed.data());
    return packed;
  }

  int64_t in_features_ = 0, out_features_ = 0;
  Activation activation_ = Activation::none;
  bool copies_ = false;  // the embedding is added to what it becomes
  std::vector<std::byte> weight_, residual_;
  std::vector<float> bias_;
};

void FeatureExtractionOptions::fields(FieldVisitor& f) {
  f.choice("pooling", pooling, kPoolings,
           "one embedding of the whole text; automatic: as the model's modules.json says, else mean");
  f("normalize", normalize, "scale the embedding to length 1; none: as modules.json says where pooling is automatic");
  truncation_field(f, truncation);
  f("max_length", max_length, "tokens to cut to, with truncation; none: the model's maximum");
}

FeatureExtraction::FeatureExtraction(const PipelineOptions& options)
    : EncoderPipeline(find_task("feature-extraction"), kHead, options), modules_(read_modules(*files())) {}

std::string_view FeatureExtraction::task() const noexcept { return "feature-extraction"; }

FeatureExtraction::SentenceModules FeatureExtraction::read_modules(const ModelFiles& files) {
  SentenceModules out;
  if (!files.has("modules.json")) return out;
  const std::string where = files.where("modules.json");
  const Value modules = parse_json(files.read_text("modules.json"), where);
  if (!modules.is_array()) throw Error(ErrorCode::corrupt_file, "expected an array of modules", where);
  for (const Value& module : modules.as_array()) {
    const std::string& type = module.at("type").as_string();
    const std::string name = type.substr(type.rfind('.') + 1);
    if (name == "Pooling") {
      const std::string file = module.at("path").as_string() + "/config.json";
      files.check_inside(file);
      const Value config = parse_json(files.read_text(file), files.where(file));
      out.pooling.clear();
      const Value* mode = config.find("pooling_mode");
      for (const PoolingKey& key : kPoolingKeys) {
        const Value* flag = config.find(key.flag);
        const bool chosen = (flag != nullptr && flag->is_boolean() && flag->as_boolean()) ||
                            (mode != nullptr && mode->is_string() && mode->as_string() == key.mode);
        if (chosen) out.pooling.push_back(key.pooling);
      }
      if (out.pooling.empty()) out.unsupported = "no pooling mode is known (" + files.where(file) + ")";
    } else if (name == "Dense") {
      if (out.normalize) out.unsupported = "module Dense behind Normalize (" + where + ")";
      out.dense.push_back(std::make_shared<const SentenceDense>(files, module.at("path").as_string()));
    } else if (name == "Normalize") {
      out.normalize = true;
    } else if (name != "Transformer") {
      out.unsupported = "module \"" + type + "\" (supported: Transformer, Pooling, Dense, Normalize) (" + where + ")";
    }
  }
  if (files.has("sentence_bert_config.json")) {
    const std::string place = files.where("sentence_bert_config.json");
    const Value config = parse_json(files.read_text("sentence_bert_config.json"), place);
    FieldReader reader(config, place);
    reader("max_seq_length", out.max_seq_length);
    reader("do_lower_case", out.lower_case);
  }
  return out;
}

std::vector<Features> FeatureExtraction::extract(std::span<const TextInput> inputs, const Options& options) const {
  const bool automatic = options.pooling == Pooling::automatic;
  if (automatic && !modules_.unsupported.empty()) throw Error(ErrorCode::unsupported, modules_.unsupported);
  const std::vector<Pooling> poolings = automatic                          ? modules_.pooling
                                        : options.pooling == Pooling::none ? std::vector<Pooling>{}
                                                                           : std::vector<Pooling>{options.pooling};
  const bool normalized = options.normalize.value_or(automatic && modules_.normalize);

  std::optional<int64_t> max_length = options.max_length;
  if (automatic && !max_length && modules_.max_seq_length) {
    max_length = std::min(*modules_.max_seq_length, model().longest_sequence());
  }
  std::vector<TextInput> lowered;
  if (automatic && modules_.lower_case) {
    for (const TextInput& input : inputs) lowered.emplace_back(python::lower(unicode::to_well_formed(input.text)));
    inputs = lowered;
  }
  const std::vector<Encoding> encodings = tokenize(inputs, {options.truncation, max_length});

  std::vector<Features> results(inputs.size());
  for_each_batch(encodings, options.control, [&](Which which, const Batch& batch, const ModelOutput& output) {
    for (int64_t i = 0; i < batch.batch_size(); ++i) {
      Features& features = results[which[static_cast<std::size_t>(i)]];
      const int64_t width = output.last_hidden_state->width;
      const std::span<const float> hidden = output.last_hidden_state->sequence(batch, i);
      const int64_t tokens = static_cast<int64_t>(hidden.size()) / width;
      if (poolings.empty()) {
        features = {{hidden.begin(), hidden.end()}, tokens, width};
      } else {
        features.rows = 1;
        features.width = width * static_cast<int64_t>(poolings.size());
        features.values.resize(static_cast<std::size_t>(features.width));
        for (std::size_t p = 0; p < poolings.size(); ++p) {
          pool(poolings[p], hidden.data(), tokens, width, features.values.data() + static_cast<int64_t>(p) * width);
        }
        for (const auto& dense : automatic ? modules_.dense : std::vector<std::shared_ptr<const SentenceDense>>{}) {
          features.values = (*dense)(features.values);
          features.width = static_cast<int64_t>(features.values.size());
        }
      }
      if (normalized) {
        for (int64_t r = 0; r < features.rows; ++r) {
          transformers::normalize(features.values.data() + r * features.width, features.width);
        }
      }
    }
  });
  return results;
}

Features FeatureExtraction::operator()(std::string_view text, const Options& options) const {
  const TextInput input(text);
  return std::move(extract({&input, 1}, options).front());
}

std::vector<Features> FeatureExtraction::operator()(std::initializer_list<std::string_view> texts,
                                                    const Options& options) const {
  return extract(std::vector<TextInput>(texts.begin(), texts.end()), options);
}

std::vector<Features> FeatureExtraction::operator()(std::span<const std::string> texts, const Options& options) const {
  return extract(std::vector<TextInput>(texts.begin(), texts.end()), options);
}

std::vector<std::vector<float>> FeatureExtraction::embed(std::span<const std::string> texts,
                                                         const CallControl& control) const {
  std::vector<std::vector<float>> embeddings;
  embeddings.reserve(texts.size());
  Options options;
  options.pooling = Pooling::automatic;
  options.truncation = true;
  options.control = control;
  for (Features& features : (*this)(texts, options)) embeddings.push_back(std::move(features.values));
  return embeddings;
}

std::vector<std::vector<float>> FeatureExtraction::embed(std::initializer_list<std::string_view> texts,
                                                         const CallControl& control) const {
  return embed(std::span<const std::string>(std::vector<std::string>(texts.begin(), texts.end())), control);
}

std::vector<float> FeatureExtraction::embed(std::string_view text, const CallControl& control) const {
  return std::move(embed({text}, control).front());
}

std::vector<Value> FeatureExtraction::run(std::span<const Value> inputs, const Value& options,
                                          const CallControl& control) const {
  Options typed;
  read_options(typed, options);
  typed.control = control;
  std::vector<TextInput> texts;
  texts.reserve(inputs.size());
  for (const Value& input : inputs) texts.emplace_back(input.as_string());

  std::vector<Value> answers;
  answers.reserve(inputs.size());
  for (const Features& features : extract(texts, typed)) {
    Value::Array rows;
    for (int64_t r = 0; r < features.rows; ++r) {
      const float* row = features.values.data() + r * features.width;
      rows.emplace_back(Value::Array(row, row + features.width));
    }
    // Tokens: [1][tokens][hidden_size]; pooled: [1][width].
    if (typed.pooling == Pooling::none) rows = Value::Array{Value(std::move(rows))};
    answers.emplace_back(std::move(rows));
  }
  return answers;
}

}  // namespace transformers
