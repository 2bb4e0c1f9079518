#!/usr/bin/env python3
"""Writes tests/data/models/<family>/<case>/ of the decoder-only families, as make_models.py and make_encoders.py do for encoders.

Usage: python tests/reference/make_decoders.py [--only GLOB]      (environment: tests/reference/README.md)

A case is what model_cases.py describes. Weights are stored in bfloat16 unless the case says otherwise: half the bytes,
and Hugging Face, told to load float32, widens them exactly.
"""
import json, os, shutil

import numpy as np
import torch
import transformers
from safetensors.torch import save_file

from model_cases import (FULL, HOLES, LEFT, LIMIT, MIXED, NAMED, OUT, RIGHT, SEED, SOME, labels, main, rng, write_json, write_weights)

GPT = dict(vocab_size=67, n_positions=40, n_embd=24, n_layer=2, n_head=3)
LLAMA = dict(vocab_size=67, hidden_size=24, intermediate_size=37, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             max_position_embeddings=48, pad_token_id=0)
OPT = dict(vocab_size=67, hidden_size=24, ffn_dim=37, num_hidden_layers=2, num_attention_heads=3, max_position_embeddings=40, word_embed_proj_dim=24)
NEOX = dict(vocab_size=67, hidden_size=24, intermediate_size=37, num_hidden_layers=2, num_attention_heads=3, max_position_embeddings=48)
GEMMA = {**LLAMA, "head_dim": 8}
BASES = {
    "gpt2": (GPT, "GPT2Config"), "openai_gpt": (GPT, "OpenAIGPTConfig"), "ctrl": ({**GPT, "dff": 37}, "CTRLConfig"),
    "llama": (LLAMA, "LlamaConfig"), "mistral": (LLAMA, "MistralConfig"), "qwen2": (LLAMA, "Qwen2Config"),
    "qwen3": ({**LLAMA, "head_dim": 8}, "Qwen3Config"), "gemma": (GEMMA, "GemmaConfig"), "gemma2": (GEMMA, "Gemma2Config"),
    "gemma3_text": (GEMMA, "Gemma3TextConfig"), "phi3": (LLAMA, "Phi3Config"), "opt": (OPT, "OPTConfig"), "gpt_neox": (NEOX, "GPTNeoXConfig"),
}
LONG = ["1" * 37, "." * 6 + "1" * 31]
TYPES = dict(segments=True)


def case(family, name, architecture, rows=SOME, config=None, **options):
    return dict(family=family, name=name, architecture=architecture, rows=rows, config={**BASES[family][0], **(config or {})}, **options)


def rope(kind, theta=10000.0, **more):
    return dict(rope_parameters=dict(rope_type=kind, rope_theta=theta, **more))


# options: those of model_cases.py; positions (explicit position_ids up to that value), scale (of the embeddings' random
# values), pad (the id that fills "." and stands in the middle of row 0), whole (cannot be cut into calls: its angles
# depend on the length), rename (parts of tensors' names in the file), choices (sequences that
# make one row) and second (mc_token_ids), unseen (what is attended to is all pad), legacy (members of config.json added or, when None, removed, after spelling)
CASES = [
    case("gpt2", "model", "GPT2Model", MIXED),
    case("gpt2", "lm", "GPT2LMHeadModel", MIXED, spelling=4),
    case("gpt2", "lm-left", "GPT2LMHeadModel", LEFT, dict(n_inner=31, activation_function="relu"), note="positions count the padding"),
    case("gpt2", "lm-positions", "GPT2LMHeadModel", HOLES, dict(scale_attn_weights=False, layer_norm_epsilon=1e-3), positions=39),
    case("gpt2", "lm-inverse-layer", "GPT2LMHeadModel", RIGHT, dict(scale_attn_by_inverse_layer_idx=True, reorder_and_upcast_attn=True, n_layer=3), store="float32"),
    case("gpt2", "lm-types", "GPT2LMHeadModel", SOME, dict(activation_function="gelu"), segments=True, note="token types are looked up among the words"),
    case("gpt2", "lm-untied", "GPT2LMHeadModel", SOME, dict(tie_word_embeddings=False), store="float16"),
    case("gpt2", "lm-no-prefix", "GPT2LMHeadModel", SOME, prefix="strip", without=["lm_head."], stray={"h.0.attn.bias": (1, 1, 8, 8), "h.0.attn.masked_bias": (1,)},
         spelling=4, note="as the first checkpoints are: no `transformer.`, masks stored as buffers"),
    case("gpt2", "lm-embeds", "GPT2LMHeadModel", RIGHT, embeds=True),
    case("gpt2", "lm-long", "GPT2LMHeadModel", LONG),
    case("gpt2", "seqcls", "GPT2ForSequenceClassification", MIXED, dict(pad_token_id=0, **labels(3)), pad=0),
    case("gpt2", "seqcls-masked-last", "GPT2ForSequenceClassification", ["11111100", "00111100", "1101110."], dict(pad_token_id=5, **labels(2)), pad=5,
         note="the last token that is not pad is masked: it is read all the same"),
    case("gpt2", "seqcls-no-pad", "GPT2ForSequenceClassification", ["1111011"], labels(3)),
    case("gpt2", "tokencls", "GPT2ForTokenClassification", SOME, NAMED),
    case("gpt2", "qa", "GPT2ForQuestionAnswering", MIXED, labels(3), note="two columns whatever num_labels"),
    case("gpt2", "lm-leaky-relu", "GPT2LMHeadModel", RIGHT, dict(activation_function="leaky_relu", n_layer=1)),
    case("gpt2", "double-heads", "GPT2DoubleHeadsModel", FULL + FULL, dict(summary_activation="tanh"), mask=False, choices=3, second=[2, 0, 8, 4, 4, 1], whole=True,
         note="mc_token_ids names the token that the second head reads"),
    case("gpt2", "double-heads-last", "GPT2DoubleHeadsModel", FULL[:2], mask=False, choices=2, whole=True),

    case("llama", "model", "LlamaModel", MIXED),
    case("llama", "lm-relu2", "LlamaForCausalLM", RIGHT, dict(hidden_act="relu2", num_hidden_layers=1)),
    case("llama", "seqcls-unseen", "LlamaForSequenceClassification", ["0011..", "000011", "0.0111"], labels(3), pad=0, unseen=True,
         note="the token that is read stands before all that are attended to: Hugging Face averages the padded row"),
    case("llama", "lm", "LlamaForCausalLM", MIXED, spelling=4),
    case("llama", "lm-mha-biases", "LlamaForCausalLM", LEFT, dict(num_key_value_heads=4, attention_bias=True, mlp_bias=True, rms_norm_eps=1e-3), store="float32"),
    case("llama", "lm-one-kv-head", "LlamaForCausalLM", HOLES, dict(num_attention_heads=6, num_key_value_heads=1, hidden_act="gelu"), positions=47, spelling=4),
    case("llama", "lm-head-dim", "LlamaForCausalLM", RIGHT, dict(num_attention_heads=3, num_key_value_heads=3, head_dim=10, **rope("default", 500.0))),
    case("llama", "lm-tied", "LlamaForCausalLM", SOME, dict(tie_word_embeddings=True), without=["lm_head."], spelling=4, legacy=dict(num_key_value_heads=None, num_attention_heads=2),
         config_after=dict(num_attention_heads=2, num_key_value_heads=2, head_dim=12)),
    case("llama", "lm-linear", "LlamaForCausalLM", SOME, rope("linear", factor=2.5), spelling=4),
    case("llama", "lm-dynamic-short", "LlamaForCausalLM", SOME, rope("dynamic", factor=2.0), spelling=4),
    case("llama", "lm-dynamic-long", "LlamaForCausalLM", LONG, dict(max_position_embeddings=16, **rope("dynamic", factor=3.0)), whole=True),
    case("llama", "lm-yarn", "LlamaForCausalLM", LONG, dict(max_position_embeddings=64, **rope("yarn", factor=4.0, original_max_position_embeddings=16)), spelling=4),
    case("llama", "lm-yarn-options", "LlamaForCausalLM", HOLES, dict(max_position_embeddings=640, **rope("yarn", 300.0, factor=8.0, original_max_position_embeddings=80, beta_fast=16.0,
         beta_slow=2.0, mscale=0.8, mscale_all_dim=0.5, truncate=False)), positions=300),
    case("llama", "lm-yarn-attention-factor", "LlamaForCausalLM", RIGHT, dict(head_dim=16, **rope("yarn", factor=2.0, attention_factor=1.3)), positions=40),
    case("llama", "lm-llama3", "LlamaForCausalLM", SOME, dict(max_position_embeddings=512, head_dim=16, **rope("llama3", 500.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
         original_max_position_embeddings=32)), positions=400, spelling=4),
    case("llama", "lm-longrope", "LlamaForCausalLM", LONG, dict(max_position_embeddings=128, **rope("longrope", original_max_position_embeddings=32, short_factor=[1.0, 1.2, 1.5],
         long_factor=[1.5, 2.0, 4.0])), whole=True),
    case("llama", "seqcls", "LlamaForSequenceClassification", MIXED, labels(3), pad=0),
    case("llama", "seqcls-embeds", "LlamaForSequenceClassification", FULL, labels(2), embeds=True, mask=False),
    case("llama", "tokencls", "LlamaForTokenClassification", SOME, NAMED),
    case("llama", "qa", "LlamaForQuestionAnswering", SOME, note="the backbone is called `transformer`"),

    case("mistral", "lm", "MistralForCausalLM", MIXED, dict(sliding_window=3)),
    case("mistral", "lm-long", "MistralForCausalLM", LONG, dict(sliding_window=9, head_dim=10), spelling=4),
    case("mistral", "lm-no-window", "MistralForCausalLM", LEFT, dict(sliding_window=None, tie_word_embeddings=True)),
    case("mistral", "seqcls", "MistralForSequenceClassification", MIXED, dict(sliding_window=4, **labels(3)), pad=0),
    case("mistral", "seqcls-unseen", "MistralForSequenceClassification", ["1110000", "0011000", "1111111"], dict(sliding_window=2, **labels(2)), pad=66,
         note="the token that is read is masked, and no key is in its window"),
    case("mistral", "tokencls", "MistralForTokenClassification", SOME, labels(3)),
    case("mistral", "qa", "MistralForQuestionAnswering", SOME),

    case("qwen2", "lm", "Qwen2ForCausalLM", MIXED, spelling=4),
    case("qwen2", "lm-window", "Qwen2ForCausalLM", LONG, dict(num_hidden_layers=3, use_sliding_window=True, sliding_window=5, max_window_layers=1, tie_word_embeddings=True), spelling=4),
    case("qwen2", "lm-layer-types", "Qwen2ForCausalLM", SOME, dict(use_sliding_window=True, sliding_window=3, layer_types=["sliding_attention", "full_attention"])),
    case("qwen2", "seqcls", "Qwen2ForSequenceClassification", MIXED, labels(3), pad=0),
    case("qwen2", "tokencls", "Qwen2ForTokenClassification", SOME, labels(2)),
    case("qwen2", "qa", "Qwen2ForQuestionAnswering", RIGHT),
    case("qwen3", "lm", "Qwen3ForCausalLM", MIXED),
    case("qwen3", "lm-biases", "Qwen3ForCausalLM", LEFT, dict(attention_bias=True, head_dim=10, tie_word_embeddings=True), spelling=4),
    case("qwen3", "model-window", "Qwen3Model", LONG, dict(use_sliding_window=True, sliding_window=6, max_window_layers=1)),
    case("qwen3", "seqcls", "Qwen3ForSequenceClassification", SOME, labels(3), pad=0),
    case("qwen3", "qa", "Qwen3ForQuestionAnswering", SOME),

    case("gemma", "lm", "GemmaForCausalLM", MIXED, scale=0.2),
    case("gemma", "lm-gelu", "GemmaForCausalLM", LEFT, dict(num_key_value_heads=1, attention_bias=True), scale=0.2, spelling=4, legacy=dict(hidden_act="gelu"),
         note="hidden_act gelu stands for the tanh form"),
    case("gemma", "model-embeds", "GemmaModel", RIGHT, embeds=True, note="inputs_embeds are not scaled"),
    case("gemma", "seqcls", "GemmaForSequenceClassification", SOME, labels(3), scale=0.2, pad=0),
    case("gemma", "tokencls", "GemmaForTokenClassification", SOME, labels(3), scale=0.2),
    case("gemma", "model-bidirectional", "GemmaModel", RIGHT, dict(use_bidirectional_attention=True, num_hidden_layers=1), scale=0.2, note="eager attention is causal all the same"),
    case("gemma2", "lm", "Gemma2ForCausalLM", MIXED, dict(sliding_window=4, query_pre_attn_scalar=12, attn_logit_softcapping=2.0, final_logit_softcapping=3.0, num_hidden_layers=3), scale=0.2),
    case("gemma2", "lm-no-caps", "Gemma2ForCausalLM", LONG, dict(sliding_window=8, attn_logit_softcapping=None, final_logit_softcapping=None), scale=0.2, spelling=4),
    case("gemma2", "seqcls", "Gemma2ForSequenceClassification", SOME, labels(3), scale=0.2, pad=0),
    case("gemma2", "tokencls", "Gemma2ForTokenClassification", SOME, dict(hidden_activation="silu", **labels(2)), scale=0.2),
    case("gemma3_text", "lm", "Gemma3ForCausalLM", MIXED, dict(num_hidden_layers=3, sliding_window=4, query_pre_attn_scalar=10,
         layer_types=["sliding_attention", "full_attention", "sliding_attention"], rope_parameters={
             "full_attention": dict(rope_type="linear", factor=4.0, rope_theta=5000.0), "sliding_attention": dict(rope_type="default", rope_theta=300.0)}), scale=0.2),
    case("gemma3_text", "lm-4x", "Gemma3ForCausalLM", LONG, dict(num_hidden_layers=3, sliding_window=6, final_logit_softcapping=4.0, attn_logit_softcapping=5.0, attention_bias=True,
         layer_types=["sliding_attention", "full_attention", "sliding_attention"], rope_parameters={
             "full_attention": dict(rope_type="linear", factor=2.0, rope_theta=7000.0), "sliding_attention": dict(rope_type="default", rope_theta=200.0)}),
         scale=0.2, legacy=dict(layer_types=None, rope_parameters=None, sliding_window_pattern=2, rope_theta=7000.0, rope_local_base_freq=200.0, rope_scaling=dict(rope_type="linear", factor=2.0)),
         note="4.x: the pattern is a number, the two bases are fields"),
    case("gemma3_text", "model-defaults", "Gemma3TextModel", SOME, dict(num_hidden_layers=7, hidden_size=16, intermediate_size=17), scale=0.2,
         legacy=dict(layer_types=None, rope_parameters=None)),
    case("gemma3_text", "model-bidirectional", "Gemma3TextModel", MIXED, dict(use_bidirectional_attention=True, sliding_window=5,
         layer_types=["sliding_attention", "full_attention"]), scale=0.2, whole=True),
    case("gemma3_text", "seqcls", "Gemma3TextForSequenceClassification", SOME, labels(3), scale=0.2, pad=0),

    case("phi3", "lm", "Phi3ForCausalLM", MIXED, spelling=4),
    case("phi3", "lm-partial-window", "Phi3ForCausalLM", LONG, dict(hidden_size=40, sliding_window=7, **rope("default", partial_rotary_factor=0.5))),
    case("phi3", "lm-longrope", "Phi3ForCausalLM", LONG, dict(hidden_size=40, max_position_embeddings=96, original_max_position_embeddings=24, **rope("longrope", partial_rotary_factor=0.8,
         short_factor=[1.0, 1.1, 1.3, 2.0], long_factor=[1.0, 2.5, 3.0, 6.0])), spelling=4, whole=True),
    case("phi3", "lm-longrope-short", "Phi3ForCausalLM", SOME, dict(max_position_embeddings=96, original_max_position_embeddings=24, **rope("longrope", short_factor=[1.0, 1.1, 1.3],
         long_factor=[1.0, 2.5, 3.0]))),
    case("phi3", "seqcls", "Phi3ForSequenceClassification", SOME, labels(3), pad=0),
    case("phi3", "tokencls", "Phi3ForTokenClassification", SOME, labels(3)),

    case("opt", "model", "OPTModel", MIXED, pad=1),
    case("opt", "lm", "OPTForCausalLM", MIXED, pad=1, spelling=4, without=["lm_head."]),
    case("opt", "lm-after", "OPTForCausalLM", LEFT, dict(do_layer_norm_before=False, word_embed_proj_dim=18, activation_function="gelu"), pad=1, note="as the 350m model is"),
    case("opt", "lm-bare", "OPTForCausalLM", HOLES, dict(enable_bias=False, layer_norm_elementwise_affine=False, tie_word_embeddings=False), pad=1),
    case("opt", "lm-no-final-norm", "OPTForCausalLM", RIGHT, pad=1, legacy={"_remove_final_layer_norm": True}, config_after={"_remove_final_layer_norm": True}),
    case("opt", "lm-embeds", "OPTForCausalLM", SOME, dict(word_embed_proj_dim=16), embeds=True),
    case("opt", "lm-positions", "OPTForCausalLM", SOME, positions=37, pad=1),
    case("opt", "seqcls", "OPTForSequenceClassification", ["11111100", "00111100", "1101110."], dict(word_embed_proj_dim=18, **labels(3)), pad=1),
    case("opt", "qa", "OPTForQuestionAnswering", SOME, pad=1),

    case("gpt_neox", "model", "GPTNeoXModel", MIXED),
    case("gpt_neox", "lm", "GPTNeoXForCausalLM", MIXED, rope("default", partial_rotary_factor=0.25), legacy=dict(rope_parameters=None, rotary_pct=0.25, rotary_emb_base=10000),
         note="4.x: rotary_pct and rotary_emb_base; two columns of eight are turned"),
    case("gpt_neox", "lm-serial", "GPTNeoXForCausalLM", LEFT, dict(use_parallel_residual=False, attention_bias=False, tie_word_embeddings=True, hidden_act="relu", **rope("default", 500.0, partial_rotary_factor=1.0))),
    case("gpt_neox", "lm-linear", "GPTNeoXForCausalLM", HOLES, rope("linear", factor=3.0, partial_rotary_factor=0.8), positions=47),
    case("gpt_neox", "lm-embed-out", "GPTNeoXForCausalLM", RIGHT, rename={"lm_head.": "embed_out."}, note="the head's older name"),
    case("gpt_neox", "seqcls", "GPTNeoXForSequenceClassification", SOME, dict(pad_token_id=0, **labels(3)), pad=0),
    case("gpt_neox", "tokencls", "GPTNeoXForTokenClassification", SOME, labels(3)),
    case("gpt_neox", "qa", "GPTNeoXForQuestionAnswering", SOME),

    case("openai_gpt", "model", "OpenAIGPTModel", MIXED, skip_rows=[]),
    case("openai_gpt", "lm", "OpenAIGPTLMHeadModel", SOME, spelling=4),
    case("openai_gpt", "lm-types", "OpenAIGPTLMHeadModel", HOLES, dict(afn="swish"), segments=True, positions=39),
    case("openai_gpt", "lm-relu-embeds", "OpenAIGPTLMHeadModel", RIGHT, dict(afn="relu", layer_norm_epsilon=1e-3), embeds=True),
    case("openai_gpt", "double-heads", "OpenAIGPTDoubleHeadsModel", FULL[:2], mask=False, choices=2, second=[3, 5], whole=True),
    case("openai_gpt", "seqcls", "OpenAIGPTForSequenceClassification", SOME, dict(pad_token_id=0, **labels(3)), pad=0),

    case("ctrl", "model", "CTRLModel", MIXED, scale=0.2),
    case("ctrl", "lm", "CTRLLMHeadModel", SOME, scale=0.2, spelling=4),
    case("ctrl", "lm-odd-types", "CTRLLMHeadModel", LEFT, dict(n_embd=21, layer_norm_epsilon=1e-3), scale=0.2, segments=True),
    case("ctrl", "lm-embeds-positions", "CTRLLMHeadModel", RIGHT, embeds=True, positions=39, note="inputs_embeds are scaled here"),
    case("ctrl", "seqcls", "CTRLForSequenceClassification", SOME, dict(pad_token_id=0, **labels(3)), scale=0.2, pad=0),
]


def norm_of(family, name, x):
    """A norm's weight is about 1, Gemma's about 0; nothing stays at an initialisation constant."""
    if family.startswith("gemma") and name.endswith("weight"):
        return 0.2 * x
    return 0.2 * x + (1.0 if name.endswith("weight") else 0.0)


def random_weight(c, name, shape):
    x = rng(f"{c['family']}/{c['name']}", name).standard_normal(tuple(shape))
    parts = name.split(".")
    if any("norm" in p or p in ("ln_1", "ln_2", "ln_f") for p in parts[-2:]):
        x = norm_of(c["family"], name, x)
    elif any("emb" in p or p in ("wte", "wpe", "w") for p in parts[-2:]):
        x = c.get("scale", 0.5) * x
    elif name.endswith("bias"):
        x = 0.2 * x
    else:
        fan_in = shape[0] if c["family"] in ("gpt2", "openai_gpt") and parts[-2].startswith("c_") else shape[-1]
        x = x / np.sqrt(fan_in)
    return torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))


def state_dict(c, config):
    model = getattr(transformers, c.get("saved_from", c["architecture"]))(config)
    tied = set(getattr(model, "_tied_weights_keys", None) or {}) if config.tie_word_embeddings else set()
    weights = {k: random_weight(c, k, v.shape) for k, v in model.state_dict().items() if k not in tied}
    weights = {k: v for k, v in weights.items() if not any(k.startswith(w) for w in c.get("without", []))}
    if c.get("prefix") == "strip":
        weights = {k.removeprefix(model.base_model_prefix + "."): v for k, v in weights.items()}
    for old, new in c.get("rename", {}).items():
        weights = {k.replace(old, new): v for k, v in weights.items()}
    weights = {k: v.to(getattr(torch, c.get("store", "bfloat16"))).contiguous() for k, v in weights.items()}
    for k, shape in c.get("stray", {}).items():
        weights[k] = torch.ones(shape)
    return weights


DROPPED = ("output_attentions", "output_hidden_states", "return_dict", "chunk_size_feed_forward", "is_encoder_decoder", "problem_type")


def config_json(c, config):
    out = json.loads(config.to_json_string(use_diff=False))
    out = {k: v for k, v in out.items() if not k.startswith("_") and k not in DROPPED and (v is not None or k in c["config"])}
    out["architectures"], out["dtype"] = [c["architecture"]], c.get("store", "bfloat16")
    if c.get("spelling") == 4:
        out["torch_dtype"] = out.pop("dtype")
        out["transformers_version"] = "4.40.0"
        out.pop("layer_types", None)
        parameters = out.pop("rope_parameters", None)
        if parameters:
            out["rope_theta"] = parameters.pop("rope_theta")
            if "partial_rotary_factor" in parameters:
                out["partial_rotary_factor"] = parameters.pop("partial_rotary_factor")
            kind = parameters.pop("rope_type")
            if kind != "default":
                out["rope_scaling"] = {"rope_type" if kind == "llama3" else "type": kind, **parameters}
            else:
                out["rope_scaling"] = None
    if "id2label" not in c["config"]:
        out.pop("id2label", None), out.pop("label2id", None)
    for k, v in c.get("legacy", {}).items():
        out.pop(k, None) if v is None else out.update({k: v})
    return dict(sorted(out.items()))


def make_inputs(c, config):
    key = f"{c['family']}/{c['name']}"
    rows = c["rows"]
    batch, seq = len(rows), len(rows[0])
    assert all(len(r) == seq for r in rows)
    pad = c.get("pad", 0)
    ids = rng(key, "input_ids").randint(1 if pad == 0 else 0, config.vocab_size, (batch, seq))
    ids[np.array([[ch == "." for ch in r] for r in rows])] = pad
    if batch > 1:
        ids[0, seq // 2] = pad  # an attended pad id is a token like any other
    mask = np.array([[ch == "1" for ch in r] for r in rows]).astype(np.int64)
    inputs = {"input_ids": ids.astype(np.int64)}
    if c.get("embeds"):
        width = getattr(config, "word_embed_proj_dim", None) or config.hidden_size
        inputs = {"inputs_embeds": (0.5 * rng(key, "inputs_embeds").standard_normal((batch, seq, width))).astype(np.float32)}
    if c.get("mask", True):
        inputs["attention_mask"] = mask
    if c.get("segments"):
        inputs["token_type_ids"] = np.array([[int(j >= 3 + i) * 7 for j in range(seq)] for i in range(batch)], np.int64)
    if c.get("unseen"):
        inputs["input_ids"] = np.where(mask == 1, pad, inputs["input_ids"])
    if c.get("choices"):
        inputs = {k: v.reshape(-1, c["choices"], *v.shape[1:]) for k, v in inputs.items()}
        if c.get("second"):
            inputs["mc_token_ids"] = np.array(c["second"], np.int64).reshape(-1, c["choices"])
    if c.get("positions"):
        r = rng(key, "position_ids")
        inputs["position_ids"] = np.sort(np.stack([r.permutation(c["positions"])[:seq] for _ in rows]).astype(np.int64), axis=1)
    return {k: torch.from_numpy(v) for k, v in inputs.items()}


def expected_outputs(model, inputs):
    with torch.no_grad():
        out = model(**inputs, output_hidden_states=True)
    flat = {k: v for k, v in out.items() if torch.is_tensor(v)}
    flat.update({f"hidden_states.{i}": h for i, h in enumerate(out.hidden_states)})
    return {k: v.to(torch.float32).clone() for k, v in flat.items()}


def make_case(c):
    directory = os.path.join(OUT, c["family"], c["name"])
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    config = getattr(transformers, BASES[c["family"]][1])(**{**c["config"], **c.get("config_after", {})})
    write_json(os.path.join(directory, "config.json"), config_json(c, config))
    write_weights(c, directory, state_dict(c, config))

    cls = getattr(transformers, c["architecture"])
    model, info = cls.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    missing = [k for k in info["missing_keys"] if not any(k.startswith(w) for w in c.get("without", []))]
    assert not missing and not info["mismatched_keys"], (c["name"], info)
    model.eval()

    inputs = make_inputs(c, config)
    expected = expected_outputs(model, {k: v.clone() for k, v in inputs.items()})
    save_file(inputs, os.path.join(directory, "inputs.safetensors"))
    save_file(expected, os.path.join(directory, "expected.safetensors"))
    double = {k: v.double() if v.is_floating_point() else v.clone() for k, v in inputs.items()}
    noise = 0.0
    if not c["config"].get("reorder_and_upcast_attn"):  # which insists on float32
        # (float64's mask overflows where a whole row is hidden: no verdict on those)
        noise = max(float((v - expected[k]).abs().nan_to_num(0).max()) for k, v in expected_outputs(model.double(), double).items())
    assert noise < 4e-5, (c["name"], noise)  # float32's own error must stay far below the tolerance
    pooled = {"logits"} if c["architecture"].endswith("SequenceClassification") else set()
    meta = {
        "id": f"{c['family']}-{c['name']}", "kind": "forward", "model_dir": ".", "architecture": c["architecture"],
        "args": ["forward", "{model}", "--inputs", "{inputs}", "--output", "{output}", "--dtype", "fp32", "--output-hidden-states"],
        "tolerance": {"abs": 1e-4},
        "masks": {k: "attention_mask" for k in expected if k not in pooled} if "attention_mask" in inputs else {},
        "skip_rows": c.get("skip_rows", []),
        "made_with": f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}", "seed": SEED,
    }
    if c.get("whole"):
        meta["whole"] = True
    if "note" in c:
        meta["note"] = c["note"]
    write_json(os.path.join(directory, "case.json"), meta)
    size = sum(os.path.getsize(os.path.join(directory, f)) for f in os.listdir(directory))
    assert size < LIMIT, f"{c['name']}: {size} bytes"
    peak = max(float(v.abs().max()) for v in expected.values())
    print(f"{meta['id']:34} {size:7} bytes  max |x| {peak:.2f}  noise {noise:.1e}  {' '.join(k for k in expected if not k.startswith('hidden'))}")


if __name__ == "__main__":
    main(CASES, __doc__, make_case)
