"""Compares `tcpp forward` with Hugging Face on random models: tiny checkpoints with random weights and random values for every
option of a family's config class, saved by save_pretrained, run on ragged batches with padding and holes.

  compare_random_models.py TCPP [--seed N] [--count N] [--only GLOB over model_type/class] [--keep DIR]
  PYTHONPATH=tf4 compare_random_models.py TCPP --only 'transfo-xl/*'        (transformers 4.57.6)

Prints one line for each model whose answers differ, or that is refused, with its seed (`--seed N --count 1` makes that model
again), and a summary for each class; exits with 1 when anything differed. Models that Hugging Face itself refuses are not counted.
"""
import argparse
import collections
import fnmatch
import functools
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import zlib

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file

TOLERANCE = 1e-4
WIDER = {"deberta-v2": 2e-4, "transfo-xl": 2e-4}
ACTIVATIONS = ["gelu", "gelu_10", "gelu_fast", "gelu_new", "gelu_python", "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_accurate",
               "hardswish", "laplace", "leaky_relu", "linear", "mish", "quick_gelu", "relu", "relu2", "relu6", "sigmoid", "silu",
               "swish", "tanh"]
COMMON = ["gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu"]


class Random(random.Random):
    def maybe(self, p=0.5):
        return self.random() < p

    def activation(self):
        return self.choice(ACTIVATIONS if self.maybe(0.4) else COMMON)

    def eps(self):
        return self.choice([1e-12, 1e-7, 1e-6, 1e-5, 1e-3])


# ---- a config of each family ---------------------------------------------------------------------------------------------------


def heads(r, even=False):
    n, width = r.choice([1, 2, 3, 4]), r.choice([4, 6, 8, 10] if even else [3, 4, 5, 8])
    return n, width


def bert(r):
    n, width = heads(r)
    return dict(vocab_size=r.randint(40, 90), hidden_size=n * width, num_hidden_layers=r.randint(1, 3), num_attention_heads=n,
                intermediate_size=r.randint(7, 40), hidden_act=r.activation(), max_position_embeddings=r.randint(20, 40),
                type_vocab_size=r.randint(1, 3), layer_norm_eps=r.eps(), pad_token_id=r.choice([0, 3]), tie_word_embeddings=r.maybe(0.7))


def bert_decoder(r):
    return dict(bert(r), is_decoder=r.maybe(0.4))


def roberta(r):
    return dict(bert_decoder(r), pad_token_id=r.choice([1, 3]))


def albert(r):
    c = dict(bert(r), embedding_size=r.choice([5, 8, 12]), num_hidden_layers=r.randint(1, 5))
    return dict(c, num_hidden_groups=r.randint(1, c["num_hidden_layers"]), inner_group_num=r.randint(1, 2))


def electra(r):
    return dict(bert_decoder(r), embedding_size=r.choice([5, 8, 12, 24]), summary_type=r.choice(["first", "last", "mean", "cls_index"]),
                summary_use_proj=r.maybe(), summary_activation=r.choice([None, "gelu", "tanh", "relu"]))


def mpnet(r):
    c = dict(bert(r), pad_token_id=1, relative_attention_num_buckets=32)
    del c["type_vocab_size"]
    return c


def distilbert(r):
    n, width = heads(r)
    return dict(vocab_size=r.randint(40, 90), max_position_embeddings=r.randint(20, 40), sinusoidal_pos_embds=r.maybe(0.3) and width % 2 == 0,
                n_layers=r.randint(1, 3), n_heads=n, dim=n * width, hidden_dim=r.randint(7, 40), activation=r.activation(),
                pad_token_id=0, tie_word_embeddings=r.maybe(0.7))


def deberta_v2(r):
    c = bert(r)
    types = [t for t in ("c2p", "p2c") if r.maybe(0.7)]
    c.update(type_vocab_size=r.choice([0, 0, 2]), relative_attention=r.maybe(0.8), pos_att_type=r.choice([types, "|".join(types)]) or None,
             max_relative_positions=r.choice([-1, 5, 9]), position_buckets=r.choice([-1, 4, 6, 8]), share_att_key=r.maybe(),
             position_biased_input=r.maybe(), norm_rel_ebd=r.choice(["none", "layer_norm", "layer_norm|x"]),
             pooler_hidden_act=r.activation(), legacy=r.maybe(0.7), layer_norm_eps=r.choice([1e-7, 1e-5]))
    if r.maybe(0.4):
        c.update(conv_kernel_size=r.choice([3, 5]), conv_act=r.choice(["tanh", "gelu", "relu"]), conv_groups=r.choice([1, 1, 2]))
    if r.maybe(0.3):
        c["embedding_size"] = r.choice([5, 8])
    if r.maybe(0.3):
        c["attention_head_size"] = r.choice([4, 6])
    if r.maybe(0.5):
        c["pooler_hidden_size"] = c["hidden_size"]
    return c


def modernbert(r):
    n, width = heads(r, even=True)
    layers = r.randint(1, 4)
    c = dict(vocab_size=r.randint(40, 90), hidden_size=n * width, intermediate_size=r.randint(7, 40), num_hidden_layers=layers, num_attention_heads=n,
             hidden_activation=r.activation(), norm_eps=r.eps(), norm_bias=r.maybe(), pad_token_id=0, eos_token_id=1, bos_token_id=2, cls_token_id=2,
             sep_token_id=1, attention_bias=r.maybe(), local_attention=r.choice([2, 4, 6, 128]), mlp_bias=r.maybe(), decoder_bias=r.maybe(),
             classifier_pooling=r.choice(["cls", "mean"]), classifier_bias=r.maybe(), classifier_activation=r.activation(),
             max_position_embeddings=r.choice([32, 64]), sparse_prediction=r.maybe(0.2), tie_word_embeddings=r.maybe(0.7))
    if r.maybe(0.6):
        c["layer_types"] = [r.choice(["full_attention", "sliding_attention"]) for _ in range(layers)]
    if r.maybe(0.6):
        c["rope_parameters"] = {k: rope(r, width, c["max_position_embeddings"], partial=False) for k in ("full_attention", "sliding_attention")}
    return c


def rope(r, head_dim, positions, partial=True):
    kind = r.choice(["default", "default", "linear", "dynamic", "yarn", "longrope", "llama3"])
    p = dict(rope_type=kind, rope_theta=r.choice([100.0, 10000.0, 500000.0]))
    dim = head_dim
    if partial and r.maybe(0.3):
        p["partial_rotary_factor"] = r.choice([0.25, 0.5, 0.75])
        dim = int(head_dim * p["partial_rotary_factor"])
    if kind != "default":
        p["factor"] = r.choice([1.5, 2.0, 8.0])
    if kind in ("yarn", "longrope", "llama3"):
        p["original_max_position_embeddings"] = r.choice([8, 16, positions])
    if kind == "yarn":
        for key, value in dict(beta_fast=r.choice([8.0, 32.0]), beta_slow=r.choice([1.0, 2.0]), attention_factor=r.choice([0.7, 1.2]),
                               mscale=r.choice([0.7, 1.0]), mscale_all_dim=r.choice([0.5, 1.0]), truncate=r.maybe()).items():
            if r.maybe(0.3):
                p[key] = value
    if kind == "llama3":
        p.update(low_freq_factor=r.choice([1.0, 0.5]), high_freq_factor=r.choice([4.0, 2.0]))
    if kind == "longrope":
        p.update(short_factor=[round(r.uniform(1, 2), 2) for _ in range(dim // 2)], long_factor=[round(r.uniform(1, 6), 2) for _ in range(dim // 2)])
        if r.maybe(0.3):
            p["attention_factor"] = r.choice([0.7, 1.2])
    return p


def llama(r, partial=True):
    n, width = heads(r, even=True)
    kv = r.choice([k for k in (1, 2, 3, 4) if n % k == 0])
    c = dict(vocab_size=r.randint(40, 90), hidden_size=n * width, intermediate_size=r.randint(7, 40), num_hidden_layers=r.randint(1, 4),
             num_attention_heads=n, num_key_value_heads=kv, hidden_act=r.activation(), max_position_embeddings=r.choice([8, 16, 32]),
             rms_norm_eps=r.choice([1e-6, 1e-5, 1e-3]), pad_token_id=r.choice([None, 0, 5]), tie_word_embeddings=r.maybe())
    head_dim = width
    if r.maybe(0.4):
        head_dim = c["head_dim"] = r.choice([4, 6, 8, 12])
    if r.maybe(0.8):
        c["rope_parameters"] = rope(r, head_dim, c["max_position_embeddings"], partial)
    return c


def llama_biased(r):
    return dict(llama(r), attention_bias=r.maybe(), mlp_bias=r.maybe(), pretraining_tp=1)


def mistral(r):
    return dict(llama(r), sliding_window=r.choice([None, 2, 4, 100]))


def windowed(r, c):
    c = dict(c, use_sliding_window=r.maybe(), sliding_window=r.choice([None, 2, 4]), max_window_layers=r.randint(0, 3))
    if r.maybe(0.3):
        c["layer_types"] = [r.choice(["full_attention", "sliding_attention"]) for _ in range(c["num_hidden_layers"])]
    return c


def qwen2(r):
    return windowed(r, llama(r))


def qwen3(r):
    return windowed(r, dict(llama(r), attention_bias=r.maybe()))


def gemma(r):
    c = dict(llama(r), pad_token_id=r.choice([0, 5]), attention_bias=r.maybe(), use_bidirectional_attention=r.choice([None, None, True]))
    c.setdefault("head_dim", c["hidden_size"] // c["num_attention_heads"])
    return c


def gemma2(r):
    c = gemma(r)
    c["hidden_activation"] = c.pop("hidden_act")
    c.update(query_pre_attn_scalar=r.choice([4, 16, 11]), sliding_window=r.choice([2, 4, 4096]), final_logit_softcapping=r.choice([None, 5.0, 30.0]),
             attn_logit_softcapping=r.choice([None, 2.0, 50.0]))
    if r.maybe():
        c["layer_types"] = [r.choice(["full_attention", "sliding_attention"]) for _ in range(c["num_hidden_layers"])]
    return c


def gemma3(r):
    c = gemma2(r)
    if "rope_parameters" in c:
        c["rope_parameters"] = {k: rope(r, c["head_dim"], c["max_position_embeddings"]) for k in ("full_attention", "sliding_attention")}
    c["use_bidirectional_attention"] = r.maybe(0.2)
    return c


def phi3(r):
    c = llama(r, partial=False)
    c.pop("head_dim", None)
    width = c["hidden_size"] // c["num_attention_heads"]
    c.update(sliding_window=r.choice([None, 2, 4]), pad_token_id=r.choice([0, 5]), original_max_position_embeddings=r.choice([8, 16, 32]))
    if r.maybe(0.5):
        share = r.choice([0.5, 1.0])
        kind = r.choice(["default", "longrope"])
        p = c["rope_parameters"] = dict(rope_type=kind, rope_theta=10000.0, partial_rotary_factor=share)
        if kind == "longrope":
            half = int(width * share) // 2
            p.update(short_factor=[round(r.uniform(1, 2), 2) for _ in range(half)], long_factor=[round(r.uniform(1, 6), 2) for _ in range(half)])
    else:
        c.pop("rope_parameters", None)
    return c


def gpt2(r):
    n, width = heads(r)
    return dict(vocab_size=r.randint(40, 90), n_positions=r.randint(16, 40), n_embd=n * width, n_layer=r.randint(1, 3), n_head=n,
                n_inner=r.choice([None, 11, 30]), activation_function=r.activation(), layer_norm_epsilon=r.eps(), scale_attn_weights=r.maybe(0.7),
                scale_attn_by_inverse_layer_idx=r.maybe(), reorder_and_upcast_attn=r.maybe(0.3), add_cross_attention=r.maybe(0.2),
                pad_token_id=r.choice([None, 0, 7]), tie_word_embeddings=r.maybe(0.7), summary_activation=r.choice([None, "tanh"]))


def openai_gpt(r):
    n, width = heads(r)
    return dict(vocab_size=r.randint(40, 90), n_positions=r.randint(16, 40), n_embd=n * width, n_layer=r.randint(1, 3), n_head=n,
                afn=r.choice(["gelu", "relu", "silu", "swish"]), layer_norm_epsilon=r.eps(), pad_token_id=r.choice([None, 0, 7]), tie_word_embeddings=r.maybe(0.7), summary_activation=r.choice([None, "tanh"]))


def ctrl(r):
    n, width = heads(r, even=True)
    return dict(vocab_size=r.randint(40, 90), n_positions=r.randint(16, 40), n_embd=n * width, dff=r.randint(7, 40), n_layer=r.randint(1, 3), n_head=n,
                layer_norm_epsilon=r.eps(), pad_token_id=r.choice([None, 0, 7]), tie_word_embeddings=r.maybe(0.7))


def opt(r):
    n, width = heads(r)
    return dict(vocab_size=r.randint(40, 90), hidden_size=n * width, num_hidden_layers=r.randint(1, 3), ffn_dim=r.randint(7, 40), max_position_embeddings=r.randint(16, 40),
                do_layer_norm_before=r.maybe(), _remove_final_layer_norm=r.maybe(0.3), word_embed_proj_dim=r.choice([n * width, 7, 12]), num_attention_heads=n,
                activation_function=r.activation(), pad_token_id=r.choice([1, 4]), enable_bias=r.maybe(0.7), layer_norm_elementwise_affine=r.maybe(0.7),
                tie_word_embeddings=r.maybe(0.7))


def gpt_neox(r):
    n, width = heads(r, even=True)
    c = dict(vocab_size=r.randint(40, 90), hidden_size=n * width, num_hidden_layers=r.randint(1, 3), num_attention_heads=n, intermediate_size=r.randint(7, 40),
             hidden_act=r.activation(), max_position_embeddings=r.choice([8, 16, 32]), layer_norm_eps=r.eps(), use_parallel_residual=r.maybe(), attention_bias=r.maybe(),
             pad_token_id=r.choice([None, 0, 7]), tie_word_embeddings=r.maybe())
    if r.maybe(0.8):
        p = c["rope_parameters"] = rope(r, width, c["max_position_embeddings"], partial=False)
        if p["rope_type"] != "longrope":
            p["partial_rotary_factor"] = r.choice([0.25, 0.5, 1.0])
            if int(width * p["partial_rotary_factor"]) < 2:
                p["partial_rotary_factor"] = 1.0
        else:
            p["partial_rotary_factor"] = 1.0
    else:
        c["rope_parameters"] = dict(rope_type="default", rope_theta=10000.0, partial_rotary_factor=1.0)
    return c


def bart(r):
    n, m, width = r.choice([1, 2, 4]), r.choice([1, 2, 4]), r.choice([4, 8])
    return dict(vocab_size=r.randint(40, 90), max_position_embeddings=r.randint(20, 40), d_model=4 * width, encoder_layers=r.randint(1, 3), decoder_layers=r.randint(1, 3),
                encoder_attention_heads=n, decoder_attention_heads=m, encoder_ffn_dim=r.randint(7, 40), decoder_ffn_dim=r.randint(7, 40), activation_function=r.activation(),
                scale_embedding=r.maybe(), pad_token_id=r.choice([1, 3]), eos_token_id=2, bos_token_id=0, decoder_start_token_id=2, forced_eos_token_id=2,
                tie_word_embeddings=r.maybe(0.8))


def marian(r):
    c = dict(bart(r), share_encoder_decoder_embeddings=r.maybe(0.7))
    if not c["share_encoder_decoder_embeddings"] and r.maybe():
        c["decoder_vocab_size"] = r.randint(30, 60)
    return c


def t5(r):
    gated = r.maybe()
    name = r.choice(["gelu_new", "relu", "silu", "gelu"])
    return dict(vocab_size=r.randint(40, 90), d_model=r.choice([12, 20]), d_kv=r.choice([3, 4, 7]), d_ff=r.randint(7, 40), num_layers=r.randint(1, 3),
                num_decoder_layers=r.choice([None, 1, 2]), num_heads=r.randint(1, 4), relative_attention_num_buckets=r.choice([4, 8, 32]),
                relative_attention_max_distance=r.choice([17, 20, 128]), layer_norm_epsilon=r.choice([1e-6, 1e-5]),
                feed_forward_proj=("gated-" if gated else "") + (r.choice(["gelu", "silu", "relu"]) if gated else name), pad_token_id=0, eos_token_id=1,
                decoder_start_token_id=0, tie_word_embeddings=r.maybe(0.6))


def transfo_xl(r):
    n = r.randint(1, 3)
    d = r.choice([12, 18])
    cutoffs = r.choice([[], [20], [20, 40]])
    return dict(vocab_size=r.randint(50, 80), cutoffs=cutoffs, d_model=d, d_embed=r.choice([d, 10]), n_head=n, d_head=r.choice([4, 7]), d_inner=r.randint(7, 40),
                div_val=r.choice([1, 2]) if cutoffs else 1, n_layer=r.randint(1, 3), mem_len=r.choice([0, 4, 30]), clamp_len=r.choice([-1, 3, 12, 0]), same_length=r.maybe(),
                proj_share_all_but_first=r.maybe(), pre_lnorm=r.maybe(), untie_r=r.maybe(), tie_word_embeddings=r.maybe(), pad_token_id=r.choice([None, 0]), eos_token_id=0,
                layer_norm_epsilon=r.eps(), adaptive=True)


FAMILIES = {
    "bert": bert_decoder, "distilbert": distilbert, "roberta": roberta, "xlm-roberta": roberta, "camembert": roberta, "albert": albert, "electra": electra,
    "mpnet": mpnet, "deberta-v2": deberta_v2, "modernbert": modernbert, "openai-gpt": openai_gpt, "gpt2": gpt2, "ctrl": ctrl, "llama": llama_biased,
    "mistral": mistral, "qwen2": qwen2, "qwen3": qwen3, "gemma": gemma, "gemma2": gemma2, "gemma3_text": gemma3, "phi3": phi3, "opt": opt,
    "gpt_neox": gpt_neox, "bart": bart, "mbart": bart, "t5": t5, "mt5": t5, "umt5": t5, "marian": marian, "pegasus": bart, "m2m_100": bart,
}
ENCODER_DECODERS = {"bart", "mbart", "t5", "mt5", "umt5", "marian", "pegasus", "m2m_100"}
SEGMENTS = {"bert", "albert", "electra", "deberta-v2", "roberta", "xlm-roberta", "camembert"}
DECODERS = {"openai-gpt", "gpt2", "ctrl", "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "phi3", "opt", "gpt_neox"}
SIZES = re.compile("size|layer|head|dim|embd|d_model|d_kv|ffn|dff|d_ff|positions|cutoffs|inner|groups|model_type")
if transformers.__version__.startswith("4."):
    from transformers.models.deprecated import transfo_xl as module

    FAMILIES = {"transfo-xl": transfo_xl}
    TYPE_AS = torch.Tensor.type_as
    torch.Tensor.type_as = lambda tensor, other=None, dtype=None: tensor.to(dtype) if dtype is not None else TYPE_AS(tensor, other)
    for name in ("TransfoXLModel", "TransfoXLLMHeadModel", "TransfoXLForSequenceClassification"):
        setattr(transformers, name, getattr(module, name))
        getattr(module, name).config_class = module.TransfoXLConfig
NOT_MODELS = ("PreTrainedModel", "PretrainedModel", "PretrainedBartModel", "Layer", "RMSNorm", "Gemma3ForConditionalGeneration", "Gemma3Model",
              "Gemma3ForSequenceClassification")


@functools.cache
def classes(model_type):
    if model_type == "transfo-xl":
        return ["TransfoXLForSequenceClassification", "TransfoXLLMHeadModel", "TransfoXLModel"]
    module = transformers.AutoConfig.for_model(model_type).__class__.__module__.replace("configuration_", "modeling_")
    return sorted({n for n in sys.modules.get(module, __import__(module, fromlist=["x"])).__all__ if not n.endswith(NOT_MODELS)})


# ---- weights, files, inputs ----------------------------------------------------------------------------------------------------


def randomize(model, seed, zero_centred):
    with torch.no_grad():
        tensors = dict(model.named_parameters())
        tensors.update({k: v for k, v in model.state_dict().items() if k not in tensors and v.is_floating_point()})
        seen = set()
        for name, tensor in tensors.items():
            if tensor.data_ptr() in seen and tensor.numel() > 1 or name.endswith("inv_freq"):
                continue
            seen.add(tensor.data_ptr())
            x = np.random.RandomState(zlib.crc32(f"{seed}/{name}".encode())).standard_normal(tuple(tensor.shape))
            last = name.rsplit(".", 1)[-1]
            if tensor.dim() <= 1:
                x = 0.2 * x + (1.0 if last == "weight" and not zero_centred else 0.0)
            elif any(k in name for k in ("embed", "wte", "wpe", "shared", "relative_attention_bias", "emb_layers")):
                x = 0.5 * x
            else:
                x = x / np.sqrt(tensor.shape[-1])
            tensor.copy_(torch.from_numpy(np.asarray(x, dtype=np.float32)))


def edit_config(r, directory, model_type, bases):
    """Spellings of other versions, and fields left to their defaults."""
    path = os.path.join(directory, "config.json")
    c = json.load(open(path))
    if r.maybe(0.4):  # 4.x
        c["torch_dtype"] = c.pop("dtype", "float32")
        c["transformers_version"] = "4.40.0"
        p = c.get("rope_parameters")
        if p and "rope_type" in p:
            del c["rope_parameters"]
            c["rope_theta"] = p.pop("rope_theta", 10000.0)
            if "partial_rotary_factor" in p:
                c["partial_rotary_factor"] = p.pop("partial_rotary_factor")
            if model_type == "gpt_neox":
                c["rotary_emb_base"] = c.pop("rope_theta")
                c["rotary_pct"] = c.pop("partial_rotary_factor", 1.0)
            if p["rope_type"] != "default":
                if r.maybe():
                    p["type"] = p.pop("rope_type")
                c["rope_scaling"] = p
            elif r.maybe():
                c["rope_scaling"] = None
    if r.maybe(0.3):
        for k in [k for k in c if r.maybe(0.1) and not SIZES.search(k)]:
            del c[k]
    names = type(transformers.AutoConfig.for_model(model_type)).attribute_map
    for k, own in names.items():
        if own in c and k not in c and r.maybe(0.05):  # either spelling is read
            c[k] = c.pop(own)
    if bases and r.maybe(0.1):
        c["architectures"] = [r.choice(bases)]
    json.dump(c, open(path, "w"))
    return c.get("architectures", [None])[0]


def masks(r, batch, seq):
    kind = r.choice(["full", "right", "left", "holes", "mixed"])
    rows = []
    for _ in range(batch):
        k = r.choice(["full", "right", "left", "holes"]) if kind == "mixed" else kind
        n = r.randint(1, seq)
        row = [1] * seq
        if k == "right":
            row = [1] * n + [0] * (seq - n)
        elif k == "left":
            row = [0] * (seq - n) + [1] * n
        elif k == "holes":
            row = [int(r.maybe(0.7)) for _ in range(seq)]
            row[r.randrange(seq)] = 1
        rows.append(row)
    return torch.tensor(rows), kind


def random_ids(r, vocab, mask, config, pads=True):
    special = [i for i in (getattr(config, "eos_token_id", None), getattr(config, "decoder_start_token_id", None)) if isinstance(i, int)]
    ids = torch.tensor([[r.choice([i for i in range(vocab) if i not in special]) for _ in row] for row in mask])
    pad = getattr(config, "pad_token_id", None)
    if pad is not None and pads and r.maybe(0.8):
        ids[mask == 0] = pad
    return ids


def make_inputs(r, model_type, name, config):
    seq, batch = r.randint(3, 14), r.randint(1, 5)
    mask, kind = masks(r, batch, seq)
    inputs = {}
    causal_only = name.endswith("ForCausalLM") and model_type in ENCODER_DECODERS
    vocab = config.vocab_size
    if causal_only:
        vocab = getattr(config, "decoder_vocab_size", None) or vocab
    inputs["input_ids"] = random_ids(r, vocab, mask, config)
    if model_type in ENCODER_DECODERS and name.endswith("SequenceClassification"):
        for i in range(batch):
            kept = [j for j in range(seq) if mask[i, j]]
            inputs["input_ids"][i, kept[-1]] = config.eos_token_id
    elif r.maybe(0.1) and not (model_type == "mbart" or name.endswith("SequenceClassification")):
        table = config.hidden_size if not hasattr(config, "embedding_size") else config.embedding_size
        table = getattr(config, "word_embed_proj_dim", table)
        del inputs["input_ids"]
        inputs["inputs_embeds"] = torch.tensor(np.random.RandomState(r.randrange(2**31)).standard_normal((batch, seq, table)).astype(np.float32) * 0.5)
    if (kind != "full" or r.maybe()) and model_type != "transfo-xl":
        inputs["attention_mask"] = mask
    else:
        mask = torch.ones_like(mask)
    if model_type in SEGMENTS and r.maybe() and getattr(config, "type_vocab_size", 0):
        inputs["token_type_ids"] = torch.tensor([[r.randrange(config.type_vocab_size) for _ in range(seq)] for _ in range(batch)])
    if model_type in ("gpt2", "openai-gpt", "ctrl") and r.maybe(0.2) and "input_ids" in inputs:
        inputs["token_type_ids"] = torch.tensor([[r.randrange(config.vocab_size) for _ in range(seq)] for _ in range(batch)])
    if model_type not in ENCODER_DECODERS | {"distilbert", "transfo-xl"} and r.maybe(0.15):
        top = getattr(config, "max_position_embeddings", getattr(config, "n_positions", 30))
        inputs["position_ids"] = torch.tensor([[r.randrange(top) for _ in range(seq)] for _ in range(batch)])
        if "longrope" in str(config) or "dynamic" in str(config):  # by the longest row there, by each row's own here
            inputs["position_ids"] = inputs["position_ids"][:1].expand(batch, seq)
        if model_type == "opt":
            inputs["position_ids"] = torch.clamp(inputs["position_ids"], max=top - 1)
    if model_type in ENCODER_DECODERS and not causal_only and not name.endswith(("EncoderModel", "TokenClassification")):
        automatic = model_type in ("bart", "mbart", "t5", "mt5", "umt5") and "input_ids" in inputs and (
            name.endswith(("SequenceClassification", "QuestionAnswering")) or r.maybe(0.2) and model_type in ("bart", "mbart"))
        if not automatic:
            target = r.randint(1, 9)
            decoder_mask, kind = masks(r, batch, target)
            inputs["decoder_input_ids"] = random_ids(r, getattr(config, "decoder_vocab_size", None) or config.vocab_size, decoder_mask, config)
            if kind != "full":
                inputs["decoder_attention_mask"] = decoder_mask
    if name.endswith(("MultipleChoice", "DoubleHeadsModel")):
        choices = r.choice([n for n in (1, 2, 3, 4, 5) if batch % n == 0])
        inputs = {k: v.reshape(-1, choices, *v.shape[1:]) for k, v in inputs.items()}
        if model_type == "openai-gpt":
            inputs.pop("attention_mask", None)  # which Hugging Face forgets to reshape
        if name.endswith("DoubleHeadsModel") and r.maybe(0.7):
            inputs["mc_token_ids"] = torch.tensor([[r.randrange(seq) for _ in range(choices)] for _ in range(batch // choices)])
    return inputs


def outputs_of(model, inputs):
    out = model(**{k: v.clone() for k, v in inputs.items()}, output_hidden_states=True)  # CTRL scales inputs_embeds in place
    flat = {}
    for k, v in out.items():
        if torch.is_tensor(v):
            flat[k] = v
        elif k.endswith("hidden_states"):
            flat.update({f"{k}.{i}": h for i, h in enumerate(v)})
    return {k: v.to(torch.float32) for k, v in flat.items()}


def counted(name, key, value, inputs, seq2seq):
    """The positions of an output that count: those that are attended to; all of a pooled one."""
    source = inputs.get("attention_mask")
    target = inputs.get("decoder_attention_mask")
    only_source = not seq2seq or name.endswith(("EncoderModel", "TokenClassification", "ForCausalLM"))
    mask = source if only_source or key.startswith("encoder_") else target
    if mask is None or value.dim() < 2:
        return None
    if value.shape[:mask.dim()] != mask.shape:
        mask = mask.reshape(-1, mask.shape[-1])
    pooled = key in ("pooler_output", "seq_relationship_logits", "sop_logits", "mc_logits") or key == "logits" and name.endswith(
        ("SequenceClassification", "MultipleChoice", "NextSentencePrediction"))
    return None if pooled or value.shape[:2] != mask.shape and value.shape[:mask.dim()] != mask.shape else mask.bool()


# ---- one model -----------------------------------------------------------------------------------------------------------------


class Refused(Exception):
    """Hugging Face does not take it."""


def reference(r, seed, model_type, name, directory):
    settings = FAMILIES[model_type](r)
    if r.maybe(0.4):
        n = r.randint(1, 5)
        settings.update(id2label={i: f"L{i}" for i in range(n)}, label2id={f"L{i}": i for i in range(n)})
    if r.maybe(0.3) and name.endswith("SequenceClassification"):
        settings["problem_type"] = r.choice(["regression", "single_label_classification", "multi_label_classification"])
    if name.endswith("QuestionAnswering"):
        settings.pop("id2label", None), settings.pop("label2id", None)
    cls = getattr(transformers, name)
    try:
        config = cls.config_class(**settings)
        model = cls(config)
        randomize(model, seed, model_type.startswith("gemma"))
        store = r.choice([torch.float32] * 4 + [torch.float16, torch.bfloat16])
        model.to(store).save_pretrained(directory, max_shard_size=r.choice(["5GB", "5GB", "8KB"]), **({"safe_serialization": False} if model_type == "transfo-xl" else {}))
        if r.maybe(0.15) and model_type != "transfo-xl":
            for f in os.listdir(directory):
                if f.endswith(".safetensors") or f.endswith(".index.json"):
                    os.remove(os.path.join(directory, f))
            torch.save(model.state_dict(), os.path.join(directory, "pytorch_model.bin"), _use_new_zipfile_serialization=r.maybe())
        bases = [n for n in (name.split("For")[0] + "Model",) if hasattr(transformers, n) and n != name]
        if model_type != "transfo-xl":
            name = edit_config(r, directory, model_type, bases)
        if name is None:
            name = [n for n in classes(model_type) if n.endswith("Model") and "Encoder" not in n and "Head" not in n][0]
        cls = getattr(transformers, name)
        eager = {} if model_type == "transfo-xl" else dict(attn_implementation="eager")
        model, info = cls.from_pretrained(directory, dtype=torch.float32, output_loading_info=True, **eager)
        if model_type != "transfo-xl" and info["missing_keys"] or info["mismatched_keys"]:
            raise Refused(f"missing {sorted(info['missing_keys'])[:3]} mismatched {list(info['mismatched_keys'])[:3]}")
        model.eval()
        inputs = make_inputs(r, model_type, name, model.config)
        expected = outputs_of(model, inputs)
        doubled = {k: v.double() if v.is_floating_point() else v for k, v in inputs.items()}
        exact = expected if model_type == "transfo-xl" else outputs_of(model.double(), doubled)  # whose mask overflows
    except Exception as e:
        raise Refused(f"{type(e).__name__}: {e}") from e
    return name, inputs, expected, exact


def compare(tcpp, seed, only, keep):
    """(model_type/class, what was found, largest difference)"""
    r = Random(seed)
    model_type = r.choice([t for t in FAMILIES if fnmatch.filter([f"{t}/{n}" for n in classes(t)], only)])
    name = r.choice(fnmatch.filter([f"{model_type}/{n}" for n in classes(model_type)], only)).split("/")[1]
    directory = tempfile.mkdtemp(prefix="model-")
    try:
        try:
            name, inputs, expected, exact = reference(r, seed, model_type, name, directory)
        except Refused as e:
            return f"{model_type}/{name}", f"refused by Hugging Face: {str(e)[:300]}", None
        given, got = os.path.join(directory, "inputs.safetensors"), os.path.join(directory, "outputs.safetensors")
        save_file({k: v.contiguous() for k, v in inputs.items()}, given)
        run = subprocess.run([tcpp, "forward", directory, "--inputs", given, "--output", got, "--dtype", "fp32", "--output-hidden-states"], capture_output=True, text=True)
        if run.returncode:
            if keep:
                shutil.copytree(directory, os.path.join(keep, str(seed)), dirs_exist_ok=True)
            return f"{model_type}/{name}", f"tcpp: {run.stderr.strip()[:300]}", None
        ours = load_file(got)
        worst, problems = 0.0, []
        for key, want in expected.items():
            if key not in ours:
                problems.append(f"{key} is missing")
                continue
            mine, mask = ours.pop(key), counted(name, key, want, inputs, model_type in ENCODER_DECODERS)
            if mine.shape != want.shape:
                problems.append(f"{key} is {list(mine.shape)}, expected {list(want.shape)}")
                continue
            every = exact[key]
            if mask is not None:
                mine, want, every = mine[mask], want[mask], every[mask]
            if want.numel() == 0 or not torch.isfinite(want).all():
                continue
            scale = max(1.0, float(want.abs().max()) / 4)
            difference, noise = float((mine - want).abs().max()) / scale, float((every - want).abs().max()) / scale
            worst = max(worst, difference)
            if not difference <= max(WIDER.get(model_type, TOLERANCE), min(10 * noise, 1e-3)):
                problems.append(f"{key} differs by {difference:.1e} (noise {noise:.0e})")
        problems += [f"{key} is not Hugging Face's" for key in ours]
        if keep and problems:
            shutil.copytree(directory, os.path.join(keep, str(seed)), dirs_exist_ok=True)
            save_file({k: v.clone() for k, v in expected.items()}, os.path.join(keep, str(seed), "expected.safetensors"))
        return f"{model_type}/{name}", "; ".join(problems[:4]), worst
    finally:
        shutil.rmtree(directory)


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("tcpp")
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--count", type=int, default=200)
    ap.add_argument("--only", default="*", help="glob over model_type/class")
    ap.add_argument("--keep", help="directory for copies of the models that differ")
    args = ap.parse_args()
    transformers.logging.set_verbosity(50)
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    if args.keep:
        os.makedirs(args.keep, exist_ok=True)
    worst, refused, wrong = collections.defaultdict(lambda: [0, 0.0]), collections.Counter(), 0
    for seed in range(args.seed, args.seed + args.count):
        name, problem, difference = compare(args.tcpp, seed, args.only, args.keep)
        if problem.startswith("refused"):
            refused[name] += 1
            if args.count == 1:
                print(name, problem)
            continue
        if problem:
            wrong += 1
            print(f"{seed} {name}: {problem}", flush=True)
        worst[name][0] += 1
        worst[name][1] = max(worst[name][1], difference or 0.0)
    print(f"{sum(n for n, _ in worst.values())} models of {len(worst)} classes, {wrong} differ; {sum(refused.values())} refused by Hugging Face; "
          f"largest difference {max((d for _, d in worst.values()), default=0.0):.1e}")
    for name, (n, d) in sorted(worst.items()):
        print(f"  {name}: {n}, {d:.1e}" + (f", {refused[name]} refused" if refused[name] else ""))
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
