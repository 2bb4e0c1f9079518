// Implements gguf_config and gguf_tensor_rules of base/gguf.hpp: what llama.cpp's converter did to a model, undone.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <utility>

#include "transformers/base/error.hpp"
#include "transformers/base/gguf.hpp"

namespace transformers {
namespace {

using Change = GgufTensorRule::Change;

// A module of the file and Hugging Face's name for it; those of a layer stand below "blk.N." and the layer's prefix.
struct Renaming {
  std::string_view gguf, name;
};

constexpr Renaming kLlamaModel[] = {
    {"token_embd", "model.embed_tokens"}, {"output_norm", "model.norm"}, {"output", "lm_head"}};
constexpr Renaming kLlamaLayer[] = {
    {"attn_norm", "input_layernorm"},    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},      {"attn_v", "self_attn.v_proj"},
    {"attn_output", "self_attn.o_proj"}, {"attn_q_norm", "self_attn.q_norm"},
    {"attn_k_norm", "self_attn.k_norm"}, {"ffn_norm", "post_attention_layernorm"},
    {"ffn_gate", "mlp.gate_proj"},       {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
};
constexpr Renaming kPhi3Layer[] = {
    {"attn_norm", "input_layernorm"},         {"attn_qkv", "self_attn.qkv_proj"}, {"attn_output", "self_attn.o_proj"},
    {"ffn_norm", "post_attention_layernorm"}, {"ffn_up", "mlp.gate_up_proj"},     {"ffn_down", "mlp.down_proj"},
};
constexpr Renaming kGemma2Layer[] = {
    {"attn_norm", "input_layernorm"},
    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},
    {"attn_v", "self_attn.v_proj"},
    {"attn_output", "self_attn.o_proj"},
    {"attn_q_norm", "self_attn.q_norm"},
    {"attn_k_norm", "self_attn.k_norm"},
    {"post_attention_norm", "post_attention_layernorm"},
    {"ffn_norm", "pre_feedforward_layernorm"},
    {"post_ffw_norm", "post_feedforward_layernorm"},
    {"ffn_gate", "mlp.gate_proj"},
    {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
};
constexpr Renaming kGpt2Model[] = {{"token_embd", "transformer.wte"},
                                   {"position_embd", "transformer.wpe"},
                                   {"output_norm", "transformer.ln_f"},
                                   {"output", "lm_head"}};
constexpr Renaming kGpt2Layer[] = {
    {"attn_norm", "ln_1"}, {"attn_qkv", "attn.c_attn"}, {"attn_output", "attn.c_proj"},
    {"ffn_norm", "ln_2"},  {"ffn_up", "mlp.c_fc"},      {"ffn_down", "mlp.c_proj"},
};

// What sets the architectures apart.
struct Architecture {
  std::string_view gguf, model_type, causal_lm;
  std::span<const Renaming> model, layer;
  std::string_view layers;  // "model.layers."
  bool permuted = false;    // rows of q and k, for llama.cpp's rotation of neighbours
  bool norms_plus_one = false;
};

constexpr Architecture kArchitectures[] = {
    {"llama", "llama", "LlamaForCausalLM", kLlamaModel, kLlamaLayer, "model.layers.", true, false},
    {"qwen2", "qwen2", "Qwen2ForCausalLM", kLlamaModel, kLlamaLayer, "model.layers."},
    {"qwen3", "qwen3", "Qwen3ForCausalLM", kLlamaModel, kLlamaLayer, "model.layers."},
    {"phi3", "phi3", "Phi3ForCausalLM", kLlamaModel, kPhi3Layer, "model.layers."},
    {"gemma", "gemma", "GemmaForCausalLM", kLlamaModel, kLlamaLayer, "model.layers.", false, true},
    {"gemma2", "gemma2", "Gemma2ForCausalLM", kLlamaModel, kGemma2Layer, "model.layers.", false, true},
    {"gemma3", "gemma3_text", "Gemma3ForCausalLM", kLlamaModel, kGemma2Layer, "model.layers.", false, true},
    {"gpt2", "gpt2", "GPT2LMHeadModel", kGpt2Model, kGpt2Layer, "transformer.h."},
};

const Architecture& architecture_of(const GgufFile& file) {
  const auto name = file.string("general.architecture");
  if (!name) throw Error(ErrorCode::corrupt_file, "gguf: key \"general.architecture\" is missing", file.name());
  std::string known;
  for (const Architecture& a : kArchitectures) {
    if (a.gguf == *name) return a;
    known += (known.empty() ? "" : ", ") + std::string(a.gguf);
  }
  throw Error(ErrorCode::unsupported, "gguf: architecture " + quote(*name) + " (supported: " + known + ")",
              file.name());
}

// The metadata of one file, and the config that grows out of them.
class ConfigBuilder {
 public:
  explicit ConfigBuilder(const GgufFile& file)
      : file_(file), architecture_(architecture_of(file)), prefix_(std::string(architecture_.gguf) + ".") {}

  Value build() {
    // llama.cpp has no architecture for Mistral; Hugging Face takes the file's name for it.
    const bool mistral = architecture_.gguf == "llama" && file_.string("general.name") == "mistral";
    set("model_type", mistral ? "mistral" : architecture_.model_type);
    set("architectures", Value::Array{mistral ? "MistralForCausalLM" : architecture_.causal_lm});
    if (integer("expert_count").value_or(0) > 0) {
      throw Error(ErrorCode::unsupported, "gguf: a mixture of experts (" + prefix_ + "expert_count)", file_.name());
    }
    if (architecture_.gguf == "gpt2") {
      gpt2();
    } else {
      decoder();
    }
    // The vocabulary is that of the tokenizer where nothing else says so.
    if (const auto size = integer("vocab_size")) {
      set("vocab_size", *size);
    } else if (const std::size_t tokens = file_.array_size("tokenizer.ggml.tokens"); tokens > 0) {
      set("vocab_size", static_cast<int64_t>(tokens));
    } else if (const auto* table = file_.find_tensor("token_embd.weight");
               table != nullptr && table->shape.size() == 2) {
      set("vocab_size", table->shape[0]);
    }
    set("tie_word_embeddings", file_.find_tensor("output.weight") == nullptr);
    constexpr std::pair<const char*, const char*> kIds[] = {{"bos_token_id", "tokenizer.ggml.bos_token_id"},
                                                            {"eos_token_id", "tokenizer.ggml.eos_token_id"},
                                                            {"pad_token_id", "tokenizer.ggml.padding_token_id"}};
    for (const auto& [name, key] : kIds) {
      if (const auto id = file_.integer(key)) set(name, *id);
    }
    return std::move(config_);
  }

 private:
  void gpt2() {
    need("n_layer", "block_count");
    need("n_positions", "context_length");
    need("n_embd", "embedding_length");
    need("n_head", "attention.head_count");
    copy("n_inner", "feed_forward_length");
    copy_number("layer_norm_epsilon", "attention.layer_norm_epsilon");
  }

  void decoder() {
    need("max_position_embeddings", "context_length");
    const int64_t layers = need("num_hidden_layers", "block_count");
    const int64_t hidden = need("hidden_size", "embedding_length");
    need("intermediate_size", "feed_forward_length");
    const int64_t heads = need("num_attention_heads", "attention.head_count");
    if (heads < 1) wrong("attention.head_count", heads);
    set("num_key_value_heads", integer("attention.head_count_kv").value_or(heads));
    copy_number("rms_norm_eps", "attention.layer_norm_rms_epsilon");
    copy_number("rope_theta", "rope.freq_base");
    const auto rotated = integer("rope.dimension_count");
    auto head_dim = integer("attention.key_length");
    if (!head_dim && architecture_.gguf == "llama") head_dim = rotated;
    if (head_dim) set("head_dim", *head_dim);
    if (const auto length = integer("attention.value_length"); length && *length != head_dim.value_or(hidden / heads)) {
      throw Error(ErrorCode::unsupported, "gguf: values of another size than keys", file_.name());
    }
    const bool windowed =
        architecture_.gguf == "phi3" || architecture_.gguf == "gemma2" || architecture_.gguf == "gemma3";
    if (const auto window = integer("attention.sliding_window"); windowed && window && *window > 0) {
      set("sliding_window", *window);
    }
    if (architecture_.gguf == "gemma2" || architecture_.gguf == "gemma3") {
      copy_number("attn_logit_softcapping", "attn_logit_softcapping");
      copy_number("final_logit_softcapping", "final_logit_softcapping");
      // The largest of both scale by the width of a head that hidden_size has room for, as nothing in the file says.
      if (layers == (architecture_.gguf == "gemma2" ? 46 : 62)) set("query_pre_attn_scalar", hidden / heads);
    }
    if (architecture_.gguf == "llama") {
      if (file_.find_tensor("blk.0.attn_q.bias") != nullptr) set("attention_bias", true);
      if (file_.find_tensor("blk.0.ffn_up.bias") != nullptr) set("mlp_bias", true);
    }
    const int64_t width = head_dim.value_or(hidden / heads);
    if (architecture_.gguf == "phi3" && rotated && width > 0 && *rotated != width) {
      set("partial_rotary_factor", static_cast<double>(*rotated) / static_cast<double>(width));
    }
    rotary(rotated.value_or(width));
  }

  // rope_scaling. Factors of single frequencies are tensors; Hugging Face's name for those is longrope.
  void rotary(int64_t dimensions) {
    const auto factors = [&](const char* name) -> std::optional<Value::Array> {
      const auto* info = file_.find_tensor(name);
      if (info == nullptr) return std::nullopt;
      const std::span<const std::byte> bytes = file_.file()->bytes();
      const std::size_t count = static_cast<std::size_t>(info->shape.empty() ? 0 : info->shape[0]);
      const std::size_t left = bytes.size() - file_.data_begin();
      if (info->type != 0 || info->shape.size() != 1 || dimensions <= 0 ||
          count != static_cast<std::size_t>(dimensions / 2) || info->offset > left ||
          count > (left - info->offset) / 4) {
        throw Error(ErrorCode::corrupt_file,
                    "gguf: expected " + std::to_string(dimensions / 2) + " F32 factors inside the file",
                    file_.name() + ": " + name);
      }
      Value::Array out;
      for (std::size_t i = 0; i < count; ++i) {
        float factor;
        std::memcpy(&factor, bytes.data() + file_.data_begin() + info->offset + i * 4, 4);
        if (!std::isfinite(factor))
          throw Error(ErrorCode::corrupt_file, "gguf: a factor that is no number", file_.name() + ": " + name);
        out.emplace_back(factor);
      }
      return out;
    };
    const auto type = file_.string(prefix_ + "rope.scaling.type");
    const auto factor = number("rope.scaling.factor");
    const auto original = integer("rope.scaling.original_context_length");
    Value scaling{Value::Object{}};
    if (auto all = factors("rope_freqs.weight")) {
      scaling.set("rope_type", "longrope");
      scaling.set("short_factor", *all);
      scaling.set("long_factor", std::move(*all));
      scaling.set("attention_factor", 1.0);
      scaling.set("original_max_position_embeddings", original.value_or(*integer("context_length")));
    } else if (auto long_factor = factors("rope_factors_long.weight")) {
      auto short_factor = factors("rope_factors_short.weight");
      if (!short_factor)
        throw Error(ErrorCode::corrupt_file, "gguf: rope_factors_short.weight is missing", file_.name());
      scaling.set("rope_type", "longrope");
      scaling.set("short_factor", std::move(*short_factor));
      scaling.set("long_factor", std::move(*long_factor));
      if (const auto attention = number("rope.scaling.attn_factor")) scaling.set("attention_factor", *attention);
      const int64_t before = original.value_or(*integer("context_length"));
      scaling.set("original_max_position_embeddings", before);
      set("original_max_position_embeddings", before);
    } else if (type == "linear" || type == "yarn") {
      if (!factor)
        throw Error(ErrorCode::corrupt_file, "gguf: key " + quote(prefix_ + "rope.scaling.factor") + " is missing",
                    file_.name());
      scaling.set("rope_type", *type);
      scaling.set("factor", *factor);
      if (type == "yarn") {
        if (original) scaling.set("original_max_position_embeddings", *original);
        if (const auto attention = number("rope.scaling.attn_factor")) scaling.set("attention_factor", *attention);
        if (const auto fast = number("rope.scaling.yarn_beta_fast")) scaling.set("beta_fast", *fast);
        if (const auto slow = number("rope.scaling.yarn_beta_slow")) scaling.set("beta_slow", *slow);
      }
    } else if (type && *type != "none") {
      throw Error(ErrorCode::unsupported, "gguf: rope.scaling.type " + quote(*type), file_.name());
    } else {
      return;
    }
    set("rope_scaling", std::move(scaling));
  }

  void set(std::string name, Value value) { config_.set(std::move(name), std::move(value)); }

  // Counts per layer are allowed where all are the same.
  std::optional<int64_t> integer(const std::string& key) const {
    const std::string full = prefix_ + key;
    if (!file_.is_array(full)) return file_.integer(full);
    const std::vector<int64_t> values = file_.integers(full);
    if (values.empty() || std::ranges::adjacent_find(values, std::not_equal_to<>()) != values.end()) {
      throw Error(ErrorCode::unsupported, "gguf: key " + quote(full) + " differs from layer to layer", file_.name());
    }
    return values.front();
  }
  std::optional<double> number(const std::string& key) const { return file_.number(prefix_ + key); }

  int64_t need(const char* name, const std::string& key) {
    const auto value = integer(key);
    if (!value) throw Error(ErrorCode::corrupt_file, "gguf: key " + quote(prefix_ + key) + " is missing", file_.name());
    if (*value < 0) wrong(key, *value);
    set(name, *value);
    return *value;
  }
  void copy(const char* name, const std::string& key) {
    if (const auto value = integer(key)) set(name, *value);
  }
  void copy_number(const char* name, const std::string& key) {
    const auto value = number(key);
    if (!value) return;
    if (!std::isfinite(*value))
      throw Error(ErrorCode::corrupt_file, "gguf: key " + quote(prefix_ + key) + " is no finite number", file_.name());
    set(name, *value);
  }
  [[noreturn]] void wrong(const std::string& key, int64_t value) const {
    throw Error(ErrorCode::corrupt_file, "gguf: key " + quote(prefix_ + key) + " is " + std::to_string(value),
                file_.name());
  }

  const GgufFile& file_;
  const Architecture& architecture_;
  std::string prefix_;
  Value config_{Value::Object{}};
};

const Renaming* find_renaming(std::span<const Renaming> renamings, std::string_view name) {
  const auto found = std::ranges::find(renamings, name, &Renaming::gguf);
  return found != renamings.end() ? &*found : nullptr;
}

}  // namespace

Value gguf_config(const GgufFile& file) { return ConfigBuilder(file).build(); }

std::vector<GgufTensorRule> gguf_tensor_rules(const GgufFile& file) {
  const Architecture& architecture = architecture_of(file);
  const Value config = gguf_config(file);
  const auto heads = [&](const char* name) {
    const Value* value = config.find(name);
    return value != nullptr ? value->as_integer() : 0;
  };
  const int64_t query_heads = heads("num_attention_heads"), key_heads = heads("num_key_value_heads");
  std::vector<GgufTensorRule> rules;
  for (const GgufFile::TensorInfo& tensor : file.tensors()) {
    // "blk.0.attn_q.weight": the layer's prefix, the module, the parameter.
    GgufTensorRule rule{std::string(tensor.name), Change::none, 0};
    std::string_view module = tensor.name;
    const std::size_t dot = module.rfind('.');
    const std::string_view parameter = dot == module.npos ? std::string_view() : module.substr(dot);
    module = module.substr(0, dot);
    std::string prefix;
    std::span<const Renaming> renamings = architecture.model;
    if (module.starts_with("blk.")) {
      const std::size_t end = module.find('.', 4);
      const std::string_view layer = module.substr(4, end == module.npos ? 0 : end - 4);
      if (!layer.empty() && layer.find_first_not_of("0123456789") == layer.npos) {
        prefix = std::string(architecture.layers) + std::string(layer) + ".";
        module = module.substr(end + 1);
        renamings = architecture.layer;
      }
    }
    if (const Renaming* renaming = find_renaming(renamings, module); renaming != nullptr && !parameter.empty()) {
      rule.name = prefix + std::string(renaming->name) + std::string(parameter);
      if (architecture.permuted && (module == "attn_q" || module == "attn_k")) {
        rule.change = Change::unpermute;
        rule.heads = module == "attn_q" ? query_heads : key_heads;
        if (rule.heads < 1 || tensor.shape.empty() || tensor.shape[0] % (2 * rule.heads) != 0) {
          throw Error(ErrorCode::corrupt_file, "gguf: " + std::to_string(rule.heads) + " heads do not divide its rows",
                      file.name() + ": " + std::string(tensor.name));
        }
      } else if (architecture.norms_plus_one && module.ends_with("norm") && parameter == ".weight") {
        rule.change = Change::subtract_one;
      } else if (architecture.gguf == "gpt2" && parameter == ".weight" &&
                 (module == "attn_qkv" || module == "attn_output" || module == "ffn_up" || module == "ffn_down")) {
        rule.change = Change::transposed;
      }
    }
    rules.push_back(std::move(rule));
  }
  return rules;
}

}  // namespace transformers
