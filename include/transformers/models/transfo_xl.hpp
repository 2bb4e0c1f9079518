// Transformer-XL: decoder with a memory of earlier segments, relative positions, words and softmax in clusters by rank.
// Paper: arXiv 1901.02860.  Reference: transformers/models/deprecated/transfo_xl/modeling_transfo_xl.py (4.57.6).
// Where it stands: models; one line in families.def registers it.
//
// The memory of mem_len tokens begins as zeros, which are attended to like tokens. Hugging Face keeps the layers'
// inputs and projects them again with every segment; here the cache keeps the projected keys and values: the same
// numbers. attention_mask is not looked at: Hugging Face's class takes none.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "transformers/models/decoder_heads.hpp"
#include "transformers/models/family.hpp"
#include "transformers/nn/cache.hpp"
#include "transformers/nn/embedding.hpp"
#include "transformers/nn/linear.hpp"
#include "transformers/nn/mlp.hpp"
#include "transformers/nn/norm.hpp"

namespace transformers::transfo_xl {

struct TransfoXLConfig : PretrainedConfig {
  int64_t vocab_size = 267735, hidden_size = 1024, d_embed = 1024, num_attention_heads = 16, d_head = 64;
  int64_t d_inner = 4096, div_val = 4, num_hidden_layers = 18, mem_len = 1600, clamp_len = 1000;
  std::vector<int64_t> cutoffs{20000, 40000, 200000};
  bool pre_lnorm = false, same_length = true, proj_share_all_but_first = true, untie_r = true;
  Value tie_projs;  // a bool for each cluster; absent: all but the first, if proj_share_all_but_first
  int64_t attn_type = 0, sample_softmax = -1;
  float layer_norm_epsilon = 1e-5f;

  void fields(FieldVisitor& f) {
    PretrainedConfig::fields(f);
    f("vocab_size", vocab_size);
    f("d_model", hidden_size);
    f("d_embed", d_embed);
    f("n_head", num_attention_heads);
    f("d_head", d_head);
    f("d_inner", d_inner);
    f("div_val", div_val);
    f("n_layer", num_hidden_layers);
    f("mem_len", mem_len);
    f("clamp_len", clamp_len);
    f("cutoffs", cutoffs);
    f("pre_lnorm", pre_lnorm);
    f("same_length", same_length);
    f("proj_share_all_but_first", proj_share_all_but_first);
    f("untie_r", untie_r);
    f("tie_projs", tie_projs);
    f("attn_type", attn_type);
    f("sample_softmax", sample_softmax);
    f("layer_norm_epsilon", layer_norm_epsilon);
    // Hugging Face's attribute_map: where a config has both spellings, these count.
    f("n_token", vocab_size);
    f("hidden_size", hidden_size);
    f("num_hidden_layers", num_hidden_layers);
    f("num_attention_heads", num_attention_heads);
  }

  void finish() {
    PretrainedConfig::finish();
    check_range("vocab_size", vocab_size, 1, kMaxDimension);
    check_range("d_model", hidden_size, 2, kMaxDimension);
    check_range("d_embed", d_embed, 1, kMaxDimension);
    check_range("n_head", num_attention_heads, 1, kMaxDimension);
    check_range("d_head", d_head, 1, kMaxDimension / num_attention_heads);
    check_range("d_inner", d_inner, 1, kMaxDimension);
    check_range("div_val", div_val, 1, d_embed);
    check_range("n_layer", num_hidden_layers, 0, kMaxLayers);
    check_range("mem_len", mem_len, 0, 65536);
    if (hidden_size % 2 != 0) throw Error(ErrorCode::invalid_argument, "d_model must be even", where);
    if (attn_type != 0) throw Error(ErrorCode::unsupported, "attn_type other than 0", where);
    if (sample_softmax > 0) throw Error(ErrorCode::unsupported, "sample_softmax", where);
    if (cutoffs.size() > 64) throw Error(ErrorCode::limit, "more than 64 cutoffs", where);
    int64_t last = 0;
    for (const int64_t cutoff : cutoffs) {
      if (cutoff <= last || cutoff >= vocab_size) {
        throw Error(ErrorCode::invalid_argument, "cutoffs must rise between 0 and vocab_size", where);
      }
      last = cutoff;
    }
    for (std::size_t i = 0; i < clusters(); ++i) check_range("d_embed / div_val^i", width(i), 1, d_embed);
    if (tie_projs.is_array() && tie_projs.as_array().size() != clusters()) {
      throw Error(ErrorCode::invalid_argument, "tie_projs must have an entry for each cluster", where);
    }
  }

  int64_t longest_sequence() const noexcept { return std::numeric_limits<int32_t>::max(); }

  // Clusters of the vocabulary: cluster i holds the words [begin(i), begin(i + 1)), as vectors of width(i).
  std::size_t clusters() const noexcept { return cutoffs.size() + 1; }
  int64_t begin(std::size_t i) const { return i == 0 ? 0 : i > cutoffs.size() ? vocab_size : cutoffs[i - 1]; }
  int64_t width(std::size_t i) const {
    int64_t width = d_embed;
    for (; i > 0; --i) width /= div_val;
    return width;
  }
  // With div_val 1 all clusters share one table, and a projection only where its width is not d_model.
  bool one_table() const noexcept { return div_val == 1; }
  bool projected() const noexcept { return !one_table() || hidden_size != d_embed; }
  bool tied_projection(std::size_t i) const {
    if (tie_projs.is_array()) return tie_projs.as_array()[i].as_boolean();
    return proj_share_all_but_first && i > 0;
  }
};

// A layer alone in its tensor: no ".weight" in the name.
inline void unnamed_matrix(WeightVisitor& w, Linear& layer, std::vector<std::string> names, bool transposed = false) {
  const WeightPart part{.names = std::move(names), .rows = layer.out_features(), .transposed = transposed};
  layer.of_parts(w, {&part, 1}, {});
}

// Words by rank: frequent ones as wide vectors, rare ones as narrow ones, each brought to d_model.
class AdaptiveEmbedding {
 public:
  explicit AdaptiveEmbedding(const TransfoXLConfig& c)
      : config_(c), hidden_size_(c.hidden_size), scale_(std::sqrt(static_cast<float>(c.hidden_size))) {
    const std::size_t tables = c.one_table() ? 1 : c.clusters();
    for (std::size_t i = 0; i < tables; ++i) {
      const int64_t words = c.one_table() ? c.vocab_size : c.begin(i + 1) - c.begin(i);
      emb_layers_.emplace_back(words, c.width(i));
      if (c.projected()) emb_projs_.emplace_back(c.width(i), c.hidden_size, Linear::Bias::no);
    }
  }

  void weights(WeightVisitor& w) {
    w("emb_layers", emb_layers_);
    for (std::size_t i = 0; i < emb_projs_.size(); ++i) {
      unnamed_matrix(w, emb_projs_[i], {"emb_projs." + std::to_string(i)});
    }
  }

  int64_t embedding_dim() const noexcept { return hidden_size_; }

  // [tokens, d_model]
  void forward(std::span<const int32_t> ids, float* out, std::string_view ids_name) const {
    for (const int32_t id : ids) {
      if (id < 0 || id >= config_.vocab_size) {
        throw Error(ErrorCode::invalid_argument,
                    "id " + std::to_string(id) + " is outside the model's " + std::to_string(config_.vocab_size) +
                        " embeddings",
                    std::string(ids_name));
      }
    }
    const int64_t tokens = static_cast<int64_t>(ids.size());
    if (emb_projs_.empty()) {
      emb_layers_.front().forward(ids, out, ids_name);
    } else {
      for (std::size_t i = 0; i < emb_layers_.size(); ++i) embed_cluster(i, ids, out);
    }
    for (int64_t j = 0; j < tokens * hidden_size_; ++j) out[j] *= scale_;
  }

 private:
  void embed_cluster(std::size_t i, std::span<const int32_t> ids, float* out) const {
    const int64_t begin = config_.one_table() ? 0 : config_.begin(i);
    const int64_t end = config_.one_table() ? config_.vocab_size : config_.begin(i + 1);
    std::vector<int32_t> own;
    std::vector<std::size_t> rows;
    for (std::size_t t = 0; t < ids.size(); ++t) {
      if (ids[t] < begin || ids[t] >= end) continue;
      own.push_back(static_cast<int32_t>(ids[t] - begin));
      rows.push_back(t);
    }
    if (own.empty()) return;
    const int64_t count = static_cast<int64_t>(own.size());
    std::vector<float> narrow(own.size() * static_cast<std::size_t>(emb_layers_[i].embedding_dim()));
    std::vector<float> wide(own.size() * static_cast<std::size_t>(hidden_size_));
    emb_layers_[i].forward(own, narrow.data(), "input_ids");
    emb_projs_[i].forward(narrow.data(), count, wide.data());
    for (std::size_t r = 0; r < rows.size(); ++r) {
      std::copy_n(wide.data() + r * static_cast<std::size_t>(hidden_size_), hidden_size_,
                  out + rows[r] * static_cast<std::size_t>(hidden_size_));
    }
  }

  TransfoXLConfig config_;
  int64_t hidden_size_;
  float scale_;
  std::vector<Embedding> emb_layers_;
  std::vector<Linear> emb_projs_;  // none where the words are as wide as the layers
};

// What layers share in one pass. Scratch: normed [tokens, d_model], qkv [tokens, 3 * n_head * d_head], queries [tokens,
// n_head * d_head], bias [tokens, n_head, distances], relative [distances, n_head * d_head], ff FeedForward's.
struct Pass {
  const Batch& batch;
  Cache* cache;
  int64_t distances;             // 0 ... distances - 1, what lies further counts as the last
  const float* positions;        // [distances, d_model]
  std::vector<int32_t> buckets;  // of -(distances - 1) ... distances - 1
  std::vector<int32_t> first_keys;
  float *normed, *qkv, *queries, *bias, *relative, *ff;
  std::vector<std::byte> packed;  // one head of `relative` as the right side of a GEMM
};

struct DecoderLayer {
  Linear qkv_net, r_net, o_net;
  LayerNorm attention_layer_norm, ff_layer_norm;
  FeedForward core_net;
  std::vector<float> r_w_bias, r_r_bias;  // [n_head, d_head]
  Tensor r_w_table, r_r_table;            // as they were read, for saving
  int64_t n_head, d_head, d_model, mem_len, layer;
  bool pre_lnorm, same_length, untie_r;

  DecoderLayer(const TransfoXLConfig& c, int64_t layer_)
      : qkv_net(c.hidden_size, 3 * c.num_attention_heads * c.d_head, Linear::Bias::no),
        r_net(c.hidden_size, c.num_attention_heads * c.d_head, Linear::Bias::no),
        o_net(c.num_attention_heads * c.d_head, c.hidden_size, Linear::Bias::no),
        attention_layer_norm(c.hidden_size, c.layer_norm_epsilon),
        ff_layer_norm(c.hidden_size, c.layer_norm_epsilon),
        core_net(c.hidden_size, c.d_inner, Activation::relu),
        n_head(c.num_attention_heads),
        d_head(c.d_head),
        d_model(c.hidden_size),
        mem_len(c.mem_len),
        layer(layer_),
        pre_lnorm(c.pre_lnorm),
        same_length(c.same_length),
        untie_r(c.untie_r) {}

  void weights(WeightVisitor& w) {
    w("dec_attn.qkv_net", qkv_net);
    w("dec_attn.r_net", r_net);
    w("dec_attn.o_net", o_net);
    w("dec_attn.layer_norm", attention_layer_norm);
    bias(w, "r_w_bias", r_w_table, r_w_bias);
    bias(w, "r_r_bias", r_r_table, r_r_bias);
    core_net.weights(w, "pos_ff.CoreNet.0", "pos_ff.CoreNet.3");
    w("pos_ff.layer_norm", ff_layer_norm);
  }

  // hidden [tokens, d_model], in place.
  void forward(float* hidden, Pass& pass) const {
    const int64_t tokens = pass.batch.tokens();
    if (pre_lnorm) attention_layer_norm.forward(hidden, tokens, pass.normed);
    qkv_net.forward(pre_lnorm ? pass.normed : hidden, tokens, pass.qkv);
    attend(pass);
    o_net.forward(pass.queries, tokens, hidden, {.residual = hidden});
    if (!pre_lnorm) attention_layer_norm.forward(hidden, tokens, hidden);

    if (pre_lnorm) ff_layer_norm.forward(hidden, tokens, pass.normed);
    core_net.forward(pre_lnorm ? pass.normed : hidden, tokens, pass.ff, hidden, /*residual=*/hidden);
    if (!pre_lnorm) ff_layer_norm.forward(hidden, tokens, hidden);
  }

 private:
  // A layer's own, or with untie_r false the model's, which the file may hold under any of the layers that share it.
  void bias(WeightVisitor& w, std::string_view name, Tensor& table, std::vector<float>& values) {
    std::string found = "dec_attn." + std::string(name);
    if (!untie_r && !w.has(found)) {
      found = "/transformer." + std::string(name);
      for (int64_t i = 0; !w.has(found) && i < kMaxLayers; ++i) {
        const std::string other = "/transformer.layers." + std::to_string(i) + ".dec_attn." + std::string(name);
        if (w.has(other)) found = other;
      }
    }
    w.table(found, n_head, d_head, table);
    if (!table.defined()) return;  // only listed
    const Tensor wide = table.to_float32();
    values.assign(wide.data<float>(), wide.data<float>() + wide.size());
  }

  // pass.qkv -> pass.queries, the context [tokens, n_head * d_head]: (q + r_w_bias) k^T + (q + r_r_bias) R^T by
  // distance.
  void attend(Pass& pass) const {
    const Batch& batch = pass.batch;
    const int64_t tokens = batch.tokens(), width = n_head * d_head, distances = pass.distances;
    const float scale = 1.0f / std::sqrt(static_cast<float>(d_head));

    // Every query against every distance, head by head.
    r_net.forward(pass.positions, distances, pass.relative);
    pass.packed.resize(packed_bytes(DType::f32, distances, d_head) + 64);
    void* const packed = aligned(pass.packed);
    for (int64_t t = 0; t < tokens; ++t) {
      for (int64_t i = 0; i < width; ++i) {
        pass.queries[t * width + i] = (pass.qkv[t * 3 * width + i] + r_r_bias[static_cast<std::size_t>(i)]) * scale;
      }
    }
    for (int64_t head = 0; head < n_head; ++head) {
      pack_rows(DType::f32, pass.relative + head * d_head, width, 0, distances, distances, d_head, packed);
      gemm({.a = pass.queries + head * d_head,
            .lda = width,
            .m = tokens,
            .b = {packed, DType::f32, distances, d_head},
            .c = pass.bias + head * distances,
            .ldc = n_head * distances});
    }
    for (int64_t t = 0; t < tokens; ++t) {
      for (int64_t i = 0; i < width; ++i) {
        pass.queries[t * width + i] = pass.qkv[t * 3 * width + i] + r_w_bias[static_cast<std::size_t>(i)];
      }
    }

    // What the memory begins with: the projections of a zero row.
    std::vector<float> zero(static_cast<std::size_t>(d_model), 0.0f), zero_qkv(static_cast<std::size_t>(3 * width));
    if (pre_lnorm) attention_layer_norm.forward(zero.data(), 1, zero.data());
    qkv_net.forward(zero.data(), 1, zero_qkv.data());
    AttentionArgs args{.query = pass.queries,
                       .key = pass.qkv + width,
                       .value = pass.qkv + 2 * width,
                       .query_stride = width,
                       .key_stride = 3 * width,
                       .value_stride = 3 * width,
                       .num_attention_heads = n_head,
                       .num_key_value_heads = n_head,
                       .head_dim = d_head,
                       .scale = scale,
                       .bf16 = qkv_net.rounds(),
                       .cu_seqlens = batch.cu_seqlens,
                       .causal = true,
                       // The first query of a segment sees the whole memory before it, one key more than a window of
                       // mem_len.
                       .sliding_window = mem_len + 1,
                       .first_keys = pass.first_keys,
                       .query_positions = batch.columns,
                       .max_distance = distances - 1,
                       .bias_buckets = pass.buckets,
                       .num_buckets = distances,
                       .query_bias = pass.bias,
                       .out = pass.queries,
                       .out_stride = width};
    KVView view;
    through_cache(*pass.cache, layer, batch, args, view, zero_qkv.data() + width, zero_qkv.data() + 2 * width);
    args.sliding_window = 0;
    if (same_length) {
      args.sliding_window = mem_len;
      if (mem_len == 0) {
        // Hugging Face's mask hides every key then, which leaves the mean over the segment.
        args.causal = false, args.scale = 0.0f, args.query_bias = nullptr;
      }
    }
    attention(args);
  }

  static void* aligned(std::vector<std::byte>& bytes) {
    const auto address = reinterpret_cast<uintptr_t>(bytes.data());
    return bytes.data() + (64 - address % 64) % 64;
  }
};

class TransfoXL {
 public:
  using Config = TransfoXLConfig;
  static constexpr std::string_view base_model_prefix = "transformer";
  static constexpr std::string_view embedding_name = "word_emb.emb_layers.0.weight";

  explicit TransfoXL(const TransfoXLConfig& c) : config_(c), word_emb_(c) {
    layers_.reserve(static_cast<std::size_t>(c.num_hidden_layers));
    for (int64_t i = 0; i < c.num_hidden_layers; ++i) layers_.emplace_back(c, i);
  }

  void weights(WeightVisitor& w) {
    w("word_emb", word_emb_);
    w("layers", layers_);
    // A buffer that Hugging Face saves: rounded, where the file is in 16 bits.
    const WeightPart rates{{"pos_emb.inv_freq"}, config_.hidden_size / 2};
    if (w.has(rates.names.front())) w.vector({&rates, 1}, rates_);
  }

  BatchRules batch_rules() const noexcept {
    BatchRules rules;
    rules.ignores_mask = true;
    return rules;
  }

  // [tokens, d_model]
  const float* forward(const Batch& batch, Workspace& ws, const ForwardOptions& options,
                       std::vector<OutputTensor>* hidden_states) const {
    const int64_t tokens = batch.tokens(), d_model = config_.hidden_size;
    const int64_t width = config_.num_attention_heads * config_.d_head;
    Cache own;
    Pass pass{.batch = batch,
              .cache = options.past_key_values != nullptr ? options.past_key_values : &own,
              .distances = 1,
              .positions = nullptr,
              .buckets = {},
              .first_keys = {},
              .normed = ws.floats(tokens * d_model),
              .qkv = ws.floats(tokens * 3 * width),
              .queries = ws.floats(tokens * width),
              .bias = nullptr,
              .relative = nullptr,
              .ff = ws.floats(layers_.empty() ? 0 : layers_.front().core_net.scratch_floats(tokens)),
              .packed = {}};
    pass.cache->begin(batch, config_.mem_len);
    for (int64_t i = 0; i < batch.batch_size(); ++i) {
      const std::size_t s = static_cast<std::size_t>(i);
      const int32_t rows = batch.key_lens[s], all = pass.cache->key_lens()[s];
      pass.distances = std::max<int64_t>(pass.distances, config_.mem_len + rows);
      pass.first_keys.push_back(static_cast<int32_t>(std::max<int64_t>(0, all - rows - config_.mem_len)));
    }
    if (config_.clamp_len > 0) pass.distances = std::min(pass.distances, config_.clamp_len + 1);
    pass.positions = positions(pass.distances, ws.floats(pass.distances * d_model));
    for (int64_t i = 1 - pass.distances; i < pass.distances; ++i) {
      pass.buckets.push_back(static_cast<int32_t>(std::max<int64_t>(0, -i)));
    }
    pass.bias = ws.floats(tokens * config_.num_attention_heads * pass.distances);
    pass.relative = ws.floats(pass.distances * width);

    float* hidden = ws.floats(tokens * d_model);
    embed_tokens(batch, word_emb_, hidden);
    record_hidden_state(hidden_states, hidden, tokens, d_model, ws);
    for (const DecoderLayer& layer : layers_) {
      layer.forward(hidden, pass);
      record_hidden_state(hidden_states, hidden, tokens, d_model, ws);
    }
    return hidden;
  }

 private:
  // Row d: sines, then cosines of the angles of distance d.
  const float* positions(int64_t distances, float* out) const {
    const int64_t d_model = config_.hidden_size, half = d_model / 2;
    for (int64_t i = 0; i < half; ++i) {
      const float exponent = static_cast<float>(2 * i) / static_cast<float>(d_model);
      const float rate = rates_.empty() ? 1.0f / static_cast<float>(std::pow(10000.0, static_cast<double>(exponent)))
                                        : rates_[static_cast<std::size_t>(i)];
      for (int64_t d = 0; d < distances; ++d) {
        const double angle = static_cast<double>(static_cast<float>(d) * rate);
        out[d * d_model + i] = static_cast<float>(std::sin(angle));
        out[d * d_model + half + i] = static_cast<float>(std::cos(angle));
      }
    }
    return out;
  }

  TransfoXLConfig config_;
  AdaptiveEmbedding word_emb_;
  std::vector<DecoderLayer> layers_;
  std::vector<float> rates_;  // of the positions, where the file has them
};

// Adaptive softmax: the first cluster's words and one entry for each further cluster, then the words within each.
class AdaptiveLanguageModel : public EncoderModel<TransfoXL> {
 public:
  explicit AdaptiveLanguageModel(TransfoXLConfig config) : EncoderModel(std::move(config)) {
    const TransfoXLConfig& c = config_;
    for (std::size_t i = 0; i < c.clusters(); ++i) {
      const int64_t words = c.begin(i + 1) - c.begin(i);
      const int64_t rest = i == 0 ? static_cast<int64_t>(c.clusters()) - 1 : 0;
      out_layers_.emplace_back(c.width(i), words + rest);
      if (c.projected()) out_projs_.emplace_back(c.hidden_size, c.width(i), Linear::Bias::no);
    }
  }

  void weights(WeightVisitor& w) override {
    const TransfoXLConfig& c = config_;
    w(TransfoXL::base_model_prefix, backbone_);
    for (std::size_t i = 0; i < c.clusters(); ++i) {
      const std::string table = std::to_string(c.one_table() ? 0 : i);
      const std::string words = c.tie_word_embeddings ? "transformer.word_emb.emb_layers." + table + ".weight"
                                                      : "crit.out_layers." + table + ".weight";
      const int64_t rows = c.begin(i + 1) - c.begin(i);
      const int64_t first = c.one_table() ? c.begin(i) : 0, of = c.one_table() ? c.vocab_size : 0;
      std::vector<WeightPart> matrices{{{words}, rows, first, of}};
      std::vector<WeightPart> biases{{{"crit.out_layers." + table + ".bias"}, rows, first, of}};
      if (i == 0 && c.clusters() > 1) {
        matrices.push_back({{"crit.cluster_weight"}, static_cast<int64_t>(c.clusters()) - 1});
        biases.push_back({{"crit.cluster_bias"}, static_cast<int64_t>(c.clusters()) - 1});
      }
      out_layers_[i].of_parts(w, matrices, biases);
      if (!c.projected()) continue;
      const std::string own = "crit.out_projs." + std::to_string(i);
      unnamed_matrix(w, out_projs_[i], {c.tied_projection(i) ? "transformer.word_emb.emb_projs." + table : own},
                     /*transposed=*/true);
    }
  }

  using EncoderModel::forward;
  // The head alone: hidden [rows, d_model] -> log-probabilities [rows, vocab_size].
  const float* forward(const float* hidden, int64_t rows, Workspace& ws) const {
    const TransfoXLConfig& c = config_;
    float* scores = ws.floats(rows * c.vocab_size);
    float* projected = ws.floats(c.projected() ? rows * c.d_embed : 0);
    float* head = nullptr;
    const int64_t head_size = out_layers_.front().out_features();
    for (std::size_t i = 0; i < c.clusters(); ++i) {
      const int64_t size = out_layers_[i].out_features(), first = c.begin(i);
      float* logits = ws.floats(rows * size);
      const float* x = hidden;
      if (c.projected()) {
        out_projs_[i].forward(hidden, rows, projected);
        x = projected;
      }
      out_layers_[i].forward(x, rows, logits);
      log_softmax(logits, size, rows, size);
      const int64_t words = c.begin(i + 1) - first;
      for (int64_t r = 0; r < rows; ++r) {
        const float cluster = i == 0 ? 0.0f : head[r * head_size + c.begin(1) + static_cast<int64_t>(i) - 1];
        for (int64_t j = 0; j < words; ++j) scores[r * c.vocab_size + first + j] = cluster + logits[r * size + j];
      }
      if (i == 0) head = logits;
    }
    return scores;
  }

 protected:
  ModelOutput compute(const Batch& batch, Workspace& ws, const ForwardOptions& options) const override {
    ModelOutput out;
    const float* hidden = encode(batch, ws, options, out);
    out.logits = kept_output(hidden, *this, options.logits_to_keep, batch, ws);
    out.log_probabilities = true;
    return out;
  }

 private:
  std::vector<Linear> out_layers_, out_projs_;
};

// score(hidden) of the token before the first pad token.
class SequenceClassifier : public LastTokenClassifier<TransfoXL> {
 public:
  explicit SequenceClassifier(TransfoXLConfig config) : LastTokenClassifier(std::move(config)) {
    if (config_.d_embed != config_.hidden_size) {
      throw Error(ErrorCode::invalid_argument, "sequence classification needs d_embed equal to d_model", config_.where);
    }
  }
  BatchRules batch_rules() const noexcept override {
    BatchRules rules = LastTokenClassifier::batch_rules();
    rules.pooled = BatchRules::Pooled::before_pad;
    return rules;
  }
};

inline constexpr Architecture kArchitectures[] = {
    architecture<BaseModel<TransfoXL>>("TransfoXLModel", Head::base),
    architecture<AdaptiveLanguageModel>("TransfoXLLMHeadModel", Head::causal_lm),
    architecture<SequenceClassifier>("TransfoXLForSequenceClassification", Head::sequence_classification),
};
inline constexpr Family kFamily{"transfo-xl", kArchitectures};

}  // namespace transformers::transfo_xl
