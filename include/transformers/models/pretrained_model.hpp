// What it is: PretrainedModel, any model behind one interface, and how one is loaded from a directory.
// Where it stands: models; families implement it (bert.hpp ...), pipelines and `tcpp` use it.
// Usage: `auto model = PretrainedModel::from_pretrained("models/sentiment-en");  Workspace ws;
//         ModelOutput out = model->forward(make_batch(encoding, model->batch_rules()), ws);`
// Source: transformers/modeling_utils.py, PreTrainedModel (5.23).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "transformers/base/callbacks.hpp"
#include "transformers/base/export.hpp"
#include "transformers/base/platform.hpp"
#include "transformers/base/value.hpp"
#include "transformers/models/config.hpp"
#include "transformers/models/model_output.hpp"
#include "transformers/tensor/batch.hpp"
#include "transformers/tensor/workspace.hpp"

namespace transformers {

class Cache;
class ModelFiles;
class WeightVisitor;

// What a class of Hugging Face puts on top of the backbone.
enum class Head {
  base,                     // BertModel
  encoder,                  // the encoder of an encoder-decoder alone: T5EncoderModel
  sequence_classification,  // BertForSequenceClassification
  token_classification,
  question_answering,
  multiple_choice,
  masked_lm,
  causal_lm,
  seq2seq_lm,    // BartForConditionalGeneration, MarianMTModel
  double_heads,  // GPT2DoubleHeadsModel: causal_lm, and a score for each of several continuations
  next_sentence_prediction,
  pre_training,  // BertForPreTraining, ElectraForPreTraining (its discriminator)
};

struct LoadOptions {
  // Members that replace or add to those of config.json before it is read: {{"id2label", {...}}}.
  Value config_overrides = {};
  // What the weights are held as and multiplied in.
  WeightType dtype = WeightType::stored;
  MapMode map_mode = MapMode::automatic;
  CancelToken cancel = {};
};

struct ForwardOptions {
  bool output_hidden_states = false;
  // Decoders: the keys and values of earlier calls, which the batch's tokens come after; those of the batch are added.
  Cache* past_key_values = nullptr;
  // Encoder-decoders: what cross-attention needs of the sources. Empty, the encoder runs and it is filled; filled, the
  // batch need bring no source. One sequence for each of the batch: reorder_cache() gives beams their shares.
  Cache* cross_attention_cache = nullptr;
  // Language models: the rows of the batch whose logits are wanted, in this order. Empty: all.
  std::span<const int32_t> logits_to_keep = {};
};

// A model with its weights: immutable, const methods may be called concurrently, each call with a Workspace of its own.
class TCPP_API PretrainedModel {
 public:
  // A directory in Hugging Face layout, a .gguf file, or the name of a bundled model (see find_model). The class is the
  // one that config.json's architectures[0] names (the base model where it names none).
  // Error(unsupported) for a model_type or class that is not here, Error(not_found) for missing files or tensors, each
  // naming file and field or tensor.
  static std::unique_ptr<PretrainedModel> from_pretrained(const std::string& name, const LoadOptions& options = {});
  static std::unique_ptr<PretrainedModel> from_files(std::shared_ptr<const ModelFiles> files,
                                                     const LoadOptions& options = {});

  // What the weights of a model take once they are loaded as they are stored, in bytes; they are not read for it.
  // Errors as from_files, but for missing and misshapen tensors.
  static int64_t memory_bytes(const ModelFiles& files);

  virtual ~PretrainedModel();
  PretrainedModel(const PretrainedModel&) = delete;
  PretrainedModel& operator=(const PretrainedModel&) = delete;

  virtual const PretrainedConfig& config() const noexcept = 0;
  // Longest sequence the positions allow, in tokens; a length nothing reaches where positions are computed.
  virtual int64_t longest_sequence() const noexcept = 0;
  // What config.json says under this name, whether or not anything ends there; nothing where the family has no such
  // field.
  virtual std::optional<int64_t> max_position_embeddings() const noexcept = 0;
  virtual int64_t vocab_size() const noexcept = 0;
  // Whether forward takes past_key_values.
  virtual bool uses_cache() const noexcept { return false; }
  // What make_batch must know to drop padding without changing an answer.
  virtual BatchRules batch_rules() const noexcept = 0;

  // One forward pass over a packed batch. The output views `workspace`.
  // Error(invalid_argument) naming the input: an id outside its table, inputs_embeds of another width; Error(limit) for
  // a sequence beyond max_position_embeddings. When it throws, past_key_values is as it was.
  ModelOutput forward(const Batch& batch, Workspace& workspace, const ForwardOptions& options = {}) const;

  // Writes config.json and model.safetensors into `directory`, made where it is not there, for this library and Hugging
  // Face to load: the weights as they were read, integers as the float32 numbers they stand for. A weight tied to
  // another is written once. Error(io).
  void save_pretrained(const std::string& directory) const;

  // The weights under Hugging Face's names; see WeightVisitor.
  virtual void weights(WeightVisitor& w) = 0;
  virtual std::string_view base_model_prefix() const noexcept = 0;  // "bert"

  // The class of Hugging Face this is ("BertForMaskedLM"), and its head.
  std::string_view architecture() const noexcept { return architecture_; }
  Head head() const noexcept { return head_; }
  // What its weights are held as: never `stored`, unless a file's own blocks of integers.
  WeightType dtype() const noexcept { return dtype_; }

 protected:
  PretrainedModel() = default;
  virtual ModelOutput compute(const Batch& batch, Workspace& workspace, const ForwardOptions& options) const = 0;

 private:
  void check_length(const Batch& batch) const;

  friend class Loader;
  std::string_view architecture_;
  Head head_ = Head::base;
  WeightType dtype_ = WeightType::fp32;
  Value config_json_;                           // as it was read, overrides included
  std::set<std::string, std::less<>> present_;  // what WeightVisitor::has said yes to
};

}  // namespace transformers
