// Implements tensor/batch.hpp, but for what only encoder-decoders need (pair_batch.cpp).
#include "transformers/tensor/batch.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "pair_batch.hpp"
#include "transformers/base/error.hpp"

namespace transformers {
namespace {

constexpr int64_t kMaxTokens = std::numeric_limits<int32_t>::max();

int32_t narrow(int64_t value, const char* what) {
  if (value < std::numeric_limits<int32_t>::min() || value > std::numeric_limits<int32_t>::max()) {
    throw Error(ErrorCode::invalid_argument, "id " + std::to_string(value) + " does not fit 32 bits", what);
  }
  return static_cast<int32_t>(value);
}

void check_length(std::span<const int64_t> values, int64_t length, const char* what) {
  if (!values.empty() && static_cast<int64_t>(values.size()) != length) {
    throw Error(ErrorCode::invalid_argument,
                "expected " + std::to_string(length) + " values as in input_ids, got " + std::to_string(values.size()),
                what);
  }
}

}  // namespace

// The column of the token that the head reads; -1 for a row without tokens.
int64_t BatchBuilder::pooled_column(const BatchRow& row, int64_t length) const {
  if (source_column_) return *source_column_;
  if (length == 0) return -1;
  const auto last_where = [&](auto matches) {
    for (int64_t column = length - 1; column >= 0; --column) {
      if (matches(row.input_ids[static_cast<std::size_t>(column)])) return column;
    }
    return int64_t{-1};
  };
  if (rules_.pooled == BatchRules::Pooled::last) {
    const int64_t column = row.pooled_column.value_or(length - 1);
    if (column < 0 || column >= length) {
      throw Error(ErrorCode::invalid_argument,
                  "token " + std::to_string(column) + " of a row of " + std::to_string(length), "mc_token_ids");
    }
    return column;
  }
  if (rules_.pooled == BatchRules::Pooled::last_not_pad) {
    if (!rules_.token_id || row.inputs_embeds != nullptr) return length - 1;
    return std::max<int64_t>(0, last_where([&](int64_t id) { return id != *rules_.token_id; }));
  }
  if (rules_.pooled == BatchRules::Pooled::before_pad) {
    if (!rules_.token_id || row.inputs_embeds != nullptr) return length - 1;
    const auto pad = std::find(row.input_ids.begin(), row.input_ids.end(), *rules_.token_id);
    return pad == row.input_ids.end() || pad == row.input_ids.begin() ? length - 1 : pad - row.input_ids.begin() - 1;
  }
  if (rules_.pooled == BatchRules::Pooled::last_equal) {
    check_argument(rules_.token_id && row.inputs_embeds == nullptr, "the head reads a token by its id: give input_ids");
    const int64_t column = last_where([&](int64_t id) { return id == *rules_.token_id; });
    if (column < 0) {
      throw Error(ErrorCode::invalid_argument,
                  "row " + std::to_string(batch_.batch_size()) + " has no token " + std::to_string(*rules_.token_id) +
                      ", which the head reads",
                  "input_ids");
    }
    return column;
  }
  return 0;
}

BatchBuilder::BatchBuilder(BatchRules rules, int64_t hidden_size, int64_t decoder_hidden_size)
    : rules_(rules), hidden_size_(hidden_size) {
  if (rules.decoder == BatchRules::Decoder::none) return;
  BatchRules source = rules;
  source.decoder = BatchRules::Decoder::none;
  source.pooled = BatchRules::Pooled::none;
  encoder_ = std::make_unique<BatchBuilder>(source, hidden_size);
  hidden_size_ = decoder_hidden_size;
}

void BatchBuilder::add(const BatchRow& row) {
  if (encoder_ != nullptr) return add_pair(row);
  check_argument(row.decoder_input_ids.empty() && row.decoder_inputs_embeds == nullptr &&
                     row.decoder_attention_mask.empty() && row.decoder_position_ids.empty() &&
                     row.encoder_outputs == nullptr,
                 "the model has no decoder beside an encoder: it takes no decoder inputs");
  add_row(row);
}

void BatchBuilder::add_row(const BatchRow& row) {
  const bool embeds = row.inputs_embeds != nullptr;
  const int64_t length = embeds ? row.length : static_cast<int64_t>(row.input_ids.size());
  check_length(row.attention_mask, length, "attention_mask");
  check_length(row.token_type_ids, length, "token_type_ids");
  check_length(row.position_ids, length, "position_ids");
  if (batch_.tokens() + length > kMaxTokens) {
    throw Error(ErrorCode::limit, "a batch holds at most " + std::to_string(kMaxTokens) + " tokens");
  }
  const bool types = !row.token_type_ids.empty();
  if (types) batch_.token_type_ids.resize(static_cast<std::size_t>(batch_.tokens()), 0);

  const auto is_key = [&](int64_t column) {
    return rules_.ignores_mask || row.attention_mask.empty() ||
           row.attention_mask[static_cast<std::size_t>(column)] != 0;
  };
  const bool cumulative = rules_.positions == BatchRules::Positions::cumulative && row.position_ids.empty();
  if (cumulative && !embeds) {
    cumulative_.clear();
    int64_t position = rules_.padding_idx;
    for (const int64_t id : row.input_ids) {
      cumulative_.push_back(narrow(id == rules_.padding_idx ? id : ++position, "position_ids"));
    }
  }
  const auto push = [&](int64_t column) {
    const std::size_t c = static_cast<std::size_t>(column);
    if (embeds) {
      embeds_.insert(embeds_.end(), row.inputs_embeds + column * hidden_size_,
                     row.inputs_embeds + (column + 1) * hidden_size_);
    } else {
      batch_.input_ids.push_back(narrow(row.input_ids[c], "input_ids"));
    }
    if (types) {
      batch_.token_type_ids.push_back(narrow(row.token_type_ids[c], "token_type_ids"));
    } else if (!batch_.token_type_ids.empty()) {
      batch_.token_type_ids.push_back(0);
    }
    int32_t position = static_cast<int32_t>(column);
    if (!row.position_ids.empty()) {
      position = narrow(row.position_ids[c], "position_ids");
    } else if (cumulative) {
      position = embeds ? narrow(column + rules_.first_position(), "position_ids") : cumulative_[c];
    } else if (rules_.positions == BatchRules::Positions::kept) {
      position = is_key(column) ? static_cast<int32_t>(batch_.columns.size()) - batch_.cu_seqlens.back() : -1;
    }
    batch_.position_ids.push_back(position);
    batch_.columns.push_back(static_cast<int32_t>(column));
  };

  const int32_t first_row = batch_.cu_seqlens.back();
  for (int64_t column = 0; column < length; ++column) {
    if (is_key(column)) push(column);
  }
  const int32_t key_end = static_cast<int32_t>(batch_.columns.size());
  if (rules_.pooled == BatchRules::Pooled::all) {
    for (int64_t column = 0; column < length; ++column) {
      if (!is_key(column)) push(column);
    }
  } else if (rules_.pooled == BatchRules::Pooled::first_key) {
    batch_.pooled_rows.push_back(key_end > first_row ? first_row : -1);
  } else if (rules_.pooled != BatchRules::Pooled::none) {
    const int64_t column = pooled_column(row, length);
    if (column >= 0 && !is_key(column)) {
      batch_.pooled_rows.push_back(key_end);
      push(column);
      for (int64_t other = 0; other < length && rules_.masked_together; ++other) {
        if (other != column && !is_key(other)) push(other);
      }
    } else {
      const auto kept = std::find(batch_.columns.begin() + first_row, batch_.columns.end(), column);
      batch_.pooled_rows.push_back(column < 0 ? -1 : static_cast<int32_t>(kept - batch_.columns.begin()));
    }
  }
  batch_.position_ids_given = batch_.position_ids_given || !row.position_ids.empty();
  batch_.lengths.push_back(static_cast<int32_t>(length));
  int64_t positions = rules_.positions == BatchRules::Positions::kept ? key_end - first_row : length;
  if (rules_.positions == BatchRules::Positions::cumulative && !embeds) {
    positions = length - std::count(row.input_ids.begin(), row.input_ids.end(), rules_.padding_idx);
  }
  batch_.position_lengths.push_back(static_cast<int32_t>(positions));
  batch_.key_lens.push_back(key_end - first_row);
  batch_.cu_seqlens.push_back(static_cast<int32_t>(batch_.columns.size()));
  batch_.padded_length = std::max(batch_.padded_length, length);
}

Batch BatchBuilder::finish() {
  if (hidden_size_ > 0) {
    batch_.inputs_embeds = Tensor::from<float>(DType::f32, {batch_.tokens(), hidden_size_}, embeds_);
  }
  embeds_.clear();
  if (encoder_ != nullptr) {
    Batch source = encoder_->finish();
    if (encoded_) source.encoder_outputs = std::exchange(source.inputs_embeds, {});
    if (has_source_) batch_.encoder = std::make_shared<const Batch>(std::move(source));
    has_source_ = encoded_ = false;
  }
  batch_.first_position = static_cast<int32_t>(rules_.first_position());
  Batch done = std::move(batch_);
  batch_ = Batch{};
  return done;
}

namespace {

// [batch, num_choices, ...] -> [batch * num_choices, ...]; others as they are, to be refused later.
Tensor merge_choices(const Tensor& t) {
  if (!t.defined() || t.rank() < 3) return t;
  Shape shape(t.shape().begin() + 1, t.shape().end());
  shape[0] = element_count({t.dim(0), t.dim(1)});
  return t.reshaped(std::move(shape));
}

Batch make_choices(const ModelInputs& inputs, BatchRules rules) {
  const bool embeds = inputs.inputs_embeds.defined();
  const Tensor& main = embeds ? inputs.inputs_embeds : inputs.input_ids;
  if (main.defined() && (main.rank() != (embeds ? 4u : 3u) || main.dim(1) == 0)) {
    throw Error(ErrorCode::invalid_argument,
                std::string("expected [batch, num_choices, seq") + (embeds ? ", hidden_size]" : "]") + ", got " +
                    to_string(main.shape()),
                embeds ? "inputs_embeds" : "input_ids");
  }
  rules.multiple_choice = false;
  Batch batch = make_batch({.input_ids = merge_choices(inputs.input_ids),
                            .attention_mask = merge_choices(inputs.attention_mask),
                            .token_type_ids = merge_choices(inputs.token_type_ids),
                            .position_ids = merge_choices(inputs.position_ids),
                            .inputs_embeds = merge_choices(inputs.inputs_embeds),
                            .mc_token_ids = inputs.mc_token_ids.defined() && inputs.mc_token_ids.rank() == 2
                                                ? inputs.mc_token_ids.reshaped({inputs.mc_token_ids.size(), 1})
                                                : inputs.mc_token_ids},
                           rules);
  batch.num_choices = main.dim(1);
  return batch;
}

}  // namespace

Batch make_batch(const ModelInputs& inputs, BatchRules rules) {
  if (rules.multiple_choice) return make_choices(inputs, rules);
  if (rules.decoder != BatchRules::Decoder::none) return make_pairs(inputs, rules);
  if (inputs.mc_token_ids.defined() && rules.pooled != BatchRules::Pooled::last) {
    throw Error(ErrorCode::invalid_argument, "the model has no head that reads one given token", "mc_token_ids");
  }
  const std::pair<const char*, const Tensor*> foreign[] = {{"decoder_input_ids", &inputs.decoder_input_ids},
                                                           {"decoder_attention_mask", &inputs.decoder_attention_mask},
                                                           {"decoder_inputs_embeds", &inputs.decoder_inputs_embeds},
                                                           {"encoder_outputs", &inputs.encoder_outputs}};
  for (const auto& [name, tensor] : foreign) {
    check_argument(!tensor->defined(), "the model has no decoder beside an encoder: it takes no such input", name);
  }
  const bool embeds = inputs.inputs_embeds.defined();
  if (embeds == inputs.input_ids.defined()) {
    throw Error(ErrorCode::invalid_argument, "give exactly one of input_ids and inputs_embeds");
  }
  const Tensor& main = embeds ? inputs.inputs_embeds : inputs.input_ids;
  const char* main_name = embeds ? "inputs_embeds" : "input_ids";
  if (main.rank() != (embeds ? 3u : 2u) || main.dtype() != (embeds ? DType::f32 : DType::i64)) {
    throw Error(ErrorCode::invalid_argument,
                std::string("expected ") + (embeds ? "float32 [batch, seq, hidden_size]" : "int64 [batch, seq]") +
                    ", got " + std::string(safetensors_name(main.dtype())) + " " + to_string(main.shape()),
                main_name);
  }
  const int64_t batch = main.dim(0), seq = main.dim(1);
  if (batch > kMaxBatchSequences) {
    throw Error(ErrorCode::limit, "a batch holds at most " + std::to_string(kMaxBatchSequences) + " sequences",
                main_name);
  }
  const auto columns = [&](const Tensor& t, int64_t i, const char* name, int64_t width) -> std::span<const int64_t> {
    if (!t.defined()) return {};
    const bool broadcast = t.rank() == 2 && t.dim(0) == 1;
    if (t.dtype() != DType::i64 || t.rank() != 2 || (t.dim(0) != batch && !broadcast) || t.dim(1) != width) {
      throw Error(ErrorCode::invalid_argument,
                  "expected int64 " + to_string(Shape{batch, width}) + ", got " +
                      std::string(safetensors_name(t.dtype())) + " " + to_string(t.shape()),
                  name);
    }
    return t.span<int64_t>().subspan(static_cast<std::size_t>((broadcast ? 0 : i) * width),
                                     static_cast<std::size_t>(width));
  };
  const auto row = [&](const Tensor& t, int64_t i, const char* name) { return columns(t, i, name, seq); };
  const bool by_pad =
      rules.pooled == BatchRules::Pooled::last_not_pad || rules.pooled == BatchRules::Pooled::before_pad;
  if (by_pad && !rules.token_id && batch > 1) {
    throw Error(
        ErrorCode::invalid_argument,
        "a batch of " + std::to_string(batch) + " rows needs a pad_token_id in config.json to find their last tokens",
        main_name);
  }
  const int64_t hidden_size = embeds ? main.dim(2) : 0;
  BatchBuilder builder(rules, hidden_size);
  for (int64_t i = 0; i < batch; ++i) {
    const std::span<const int64_t> read = columns(inputs.mc_token_ids, i, "mc_token_ids", 1);
    builder.add({.input_ids = embeds ? std::span<const int64_t>{} : row(inputs.input_ids, i, "input_ids"),
                 .inputs_embeds = embeds ? main.data<float>() + i * seq * hidden_size : nullptr,
                 .length = seq,
                 .attention_mask = row(inputs.attention_mask, i, "attention_mask"),
                 .token_type_ids = row(inputs.token_type_ids, i, "token_type_ids"),
                 .position_ids = row(inputs.position_ids, i, "position_ids"),
                 .pooled_column = read.empty() ? std::optional<int64_t>() : read.front()});
  }
  Batch out = builder.finish();
  out.padded_length = seq;
  return out;
}

}  // namespace transformers
