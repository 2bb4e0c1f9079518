// Implements nn/rotary.hpp.
#include "transformers/nn/rotary.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "transformers/base/error.hpp"
#include "transformers/base/parallel.hpp"

namespace transformers {
namespace {

// A number of the parameters; null counts as absent.
std::optional<double> number(const Value& parameters, std::string_view name) {
  const Value* value = parameters.find(name);
  if (value == nullptr || value->is_null()) return std::nullopt;
  return value->as_number();
}

double required(const Value& parameters, std::string_view name, std::string_view type, const std::string& where) {
  const std::optional<double> value = number(parameters, name);
  if (!value || !std::isfinite(*value)) {
    throw Error(ErrorCode::invalid_argument,
                "rope_type \"" + std::string(type) + "\" needs the number \"" + std::string(name) + "\"", where);
  }
  return *value;
}

bool truthy(const Value& value) { return value.is_object() && !value.as_object().empty(); }

// As torch does it: the power in float32.
float power(float base, float exponent) {
  return static_cast<float>(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
}

}  // namespace

void RopeConfig::fields(FieldVisitor& f) {
  f("rope_parameters", rope_parameters, "rotary positions (5.x)");
  f("rope_scaling", rope_scaling, "how rotary positions are stretched (4.x)");
  f("rope_theta", rope_theta, "base of the rotary frequencies (4.x)");
  f("partial_rotary_factor", partial_rotary_factor, "share of a head that is turned");
  f("original_max_position_embeddings", original_max_position_embeddings, "length before stretching");
}

Value RopeConfig::parameters(float default_theta) const {
  Value out = truthy(rope_scaling) ? rope_scaling : truthy(rope_parameters) ? rope_parameters : Value(Value::Object{});
  const auto set_default = [&](std::string_view name, Value value) {
    if (out.find(name) == nullptr) out.set(std::string(name), std::move(value));
  };
  const Value* type = out.find("type");
  set_default("rope_type", type != nullptr ? *type : Value("default"));
  set_default("rope_theta", Value(rope_theta.value_or(default_theta)));
  if (partial_rotary_factor) set_default("partial_rotary_factor", Value(*partial_rotary_factor));
  if (original_max_position_embeddings) {
    out.set("original_max_position_embeddings", Value(*original_max_position_embeddings));
  }
  return out;
}

Value rope_parameters_of(const Value& rope_parameters, std::string_view kind, const Value& rope_scaling) {
  Value out;
  const Value* own = rope_parameters.is_object() ? rope_parameters.find(kind) : nullptr;
  if (own != nullptr && own->is_object()) {
    out = *own;
    const Value* truncate = rope_parameters.find("truncate");
    out.set("truncate", truncate != nullptr ? *truncate : Value());
  }
  if (rope_scaling.is_object()) {
    if (out.is_null()) out = Value::Object{};
    for (const auto& [name, value] : rope_scaling.as_object()) out.set(name, value);
  }
  return out;
}

RotaryEmbedding::RotaryEmbedding(const Value& parameters, int64_t head_dim, int64_t max_position_embeddings,
                                 const std::string& where)
    : max_position_embeddings_(max_position_embeddings) {
  const std::string type = parameters.at("rope_type").as_string();
  base_ = static_cast<float>(required(parameters, "rope_theta", type, where));
  const double share = number(parameters, "partial_rotary_factor").value_or(1.0);
  dim_ = static_cast<int64_t>(static_cast<double>(head_dim) * share);
  if (!(base_ > 0.0f) || dim_ < 1 || (dim_ + 1) / 2 * 2 > head_dim) {
    throw Error(
        ErrorCode::invalid_argument,
        "rotary positions of " + std::to_string(dim_) + " columns do not fit a head of " + std::to_string(head_dim),
        where);
  }
  inv_freq_ = default_inv_freq(base_);
  const std::size_t half = inv_freq_.size();
  const double original =
      number(parameters, "original_max_position_embeddings").value_or(static_cast<double>(max_position_embeddings));
  original_max_position_embeddings_ = static_cast<int64_t>(original);

  if (type == "default") return;
  if (type == "linear") {
    const float factor = static_cast<float>(required(parameters, "factor", type, where));
    for (float& f : inv_freq_) f /= factor;
  } else if (type == "dynamic") {
    kind_ = Kind::dynamic;
    factor_ = static_cast<float>(required(parameters, "factor", type, where));
    if (dim_ <= 2) throw Error(ErrorCode::invalid_argument, "rope_type \"dynamic\" needs heads wider than 2", where);
  } else if (type == "llama3") {
    const double factor = required(parameters, "factor", type, where);
    const double low = required(parameters, "low_freq_factor", type, where);
    const double high = required(parameters, "high_freq_factor", type, where);
    const float low_wavelength = static_cast<float>(original / low),
                high_wavelength = static_cast<float>(original / high);
    for (float& f : inv_freq_) {
      const float wavelength = static_cast<float>(2.0 * std::numbers::pi) / f;
      if (wavelength > low_wavelength) {
        f /= static_cast<float>(factor);
      } else if (!(wavelength < high_wavelength)) {
        const float smooth =
            (static_cast<float>(original) / wavelength - static_cast<float>(low)) / static_cast<float>(high - low);
        f = (1.0f - smooth) * f / static_cast<float>(factor) + smooth * f;
      }
    }
  } else if (type == "yarn") {
    const double factor =
        number(parameters, "factor").value_or(static_cast<double>(max_position_embeddings) / original);
    const auto mscale_of = [&](double mscale) { return factor <= 1.0 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0; };
    const double mscale = number(parameters, "mscale").value_or(0.0);
    const double mscale_all_dim = number(parameters, "mscale_all_dim").value_or(0.0);
    const bool both = mscale != 0.0 && mscale_all_dim != 0.0;
    attention_scaling_ =
        static_cast<float>(number(parameters, "attention_factor")
                               .value_or(both ? mscale_of(mscale) / mscale_of(mscale_all_dim) : mscale_of(1.0)));
    const auto or_default = [&](std::string_view name, double value) {
      const double found = number(parameters, name).value_or(0.0);
      return found != 0.0 ? found : value;
    };
    const auto turns_at = [&](double turns) {
      return static_cast<double>(dim_) * std::log(original / (turns * 2.0 * std::numbers::pi)) /
             (2.0 * std::log(static_cast<double>(base_)));
    };
    const Value* truncate = parameters.find("truncate");
    double low = turns_at(or_default("beta_fast", 32.0)), high = turns_at(or_default("beta_slow", 1.0));
    if (truncate == nullptr || truncate->is_null() || truncate->as_boolean())
      low = std::floor(low), high = std::ceil(high);
    low = std::max(low, 0.0), high = std::min(high, static_cast<double>(dim_ - 1));
    if (low == high) high += 0.001;
    for (std::size_t i = 0; i < half; ++i) {
      const float whole = 1.0f / inv_freq_[i];
      const float stretched = 1.0f / (static_cast<float>(factor) * whole);
      // The ramp has a step less than an odd dim has frequencies: of 3 columns, its one step is that of both.
      const float step = static_cast<float>(std::min(i, static_cast<std::size_t>(std::max<int64_t>(dim_ / 2 - 1, 0))));
      const float ramp = std::clamp((step - static_cast<float>(low)) / static_cast<float>(high - low), 0.0f, 1.0f);
      const float keep = 1.0f - ramp;
      inv_freq_[i] = stretched * (1.0f - keep) + inv_freq_[i] * keep;
    }
  } else if (type == "longrope") {
    kind_ = Kind::longrope;
    const double factor =
        number(parameters, "factor").value_or(static_cast<double>(max_position_embeddings) / original);
    attention_scaling_ =
        static_cast<float>(number(parameters, "attention_factor")
                               .value_or(factor <= 1.0 ? 1.0 : std::sqrt(1.0 + std::log(factor) / std::log(original))));
    const auto stretched = [&](std::string_view name) {
      const Value* list = parameters.find(name);
      const std::size_t count = list == nullptr || !list->is_array() ? 0 : list->as_array().size();
      if (count != half && count != 1) {  // one stands for all
        throw Error(
            ErrorCode::invalid_argument,
            "rope_type \"longrope\" needs " + std::to_string(half) + " numbers in \"" + std::string(name) + "\"",
            where);
      }
      std::vector<float> frequencies(half);
      for (std::size_t i = 0; i < half; ++i) {
        const float exponent = static_cast<float>(2 * i) / static_cast<float>(dim_);
        frequencies[i] =
            1.0f / (static_cast<float>(list->as_array()[count == 1 ? 0 : i].as_number()) * power(base_, exponent));
      }
      return frequencies;
    };
    inv_freq_ = stretched("short_factor");
    long_inv_freq_ = stretched("long_factor");
  } else {
    throw Error(ErrorCode::unsupported,
                "rope_type " + quote(type) + " (supported: default, linear, dynamic, yarn, longrope, llama3)", where);
  }
}

std::vector<float> RotaryEmbedding::default_inv_freq(float base) const {
  std::vector<float> frequencies(static_cast<std::size_t>((dim_ + 1) / 2));
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    frequencies[i] = 1.0f / power(base, static_cast<float>(2 * i) / static_cast<float>(dim_));
  }
  return frequencies;
}

void RotaryEmbedding::forward(const Batch& batch, const Cache* past_key_values, float* cos, float* sin) const {
  const int64_t half = rotary_dim() / 2;
  std::vector<float> own;
  for (int64_t s = 0; s < batch.batch_size(); ++s) {
    const std::size_t i = static_cast<std::size_t>(s);
    const int64_t begin = batch.cu_seqlens[i], end = batch.cu_seqlens[i + 1];
    const std::vector<float>* frequencies = &inv_freq_;
    if (kind_ != Kind::fixed && begin < end) {
      int64_t length = batch.lengths[i] + (past_key_values != nullptr ? past_key_values->next_column(s) : 0);
      if (batch.position_ids_given) {
        length = 1 + *std::max_element(batch.position_ids.begin() + begin, batch.position_ids.begin() + end);
      }
      if (kind_ == Kind::longrope && length > original_max_position_embeddings_) frequencies = &long_inv_freq_;
      if (kind_ == Kind::dynamic && length > max_position_embeddings_) {
        const float most = static_cast<float>(max_position_embeddings_), dim = static_cast<float>(dim_);
        const float stretch = factor_ * static_cast<float>(length) / most - (factor_ - 1.0f);
        own = default_inv_freq(base_ * power(stretch, dim / (dim - 2.0f)));
        frequencies = &own;
      }
    }
    constexpr int64_t kRun = 64;  // rows a task
    parallel_for((end - begin + kRun - 1) / kRun, [&](int64_t run) {
      for (int64_t t = begin + run * kRun; t < std::min(end, begin + (run + 1) * kRun); ++t) {
        const float position = static_cast<float>(batch.position_ids[static_cast<std::size_t>(t)]);
        for (int64_t j = 0; j < half; ++j) {
          const double angle = static_cast<double>(position * (*frequencies)[static_cast<std::size_t>(j)]);
          cos[t * half + j] = static_cast<float>(std::cos(angle)) * attention_scaling_;
          sin[t * half + j] = static_cast<float>(std::sin(angle)) * attention_scaling_;
        }
      }
    });
  }
}

}  // namespace transformers
