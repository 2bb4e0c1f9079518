#!/usr/bin/env python3
"""Writes tests/data/models/<family>/gguf-<case>/: tiny random models as GGUF files, and what Hugging Face answers on them.

Usage: python tests/reference/make_gguf.py [--only GLOB]      (environment: tests/reference/README.md)

The file is written as llama.cpp's converter would write it: its names, rows of queries and keys in pairs (llama), 1 added to
norms (gemma), matrices of GPT-2 transposed; tensors of one type after another. The expected values are those of the same
file read by `from_pretrained(gguf_file=..., dtype=float32, attn_implementation="eager")`, or, where Hugging Face reads no
such file or less than is in it (`own`), those of a model given the dequantized weights by this script.
"""
import json, os, shutil

import gguf
import numpy as np
import torch
import transformers
from gguf import GGMLQuantizationType as T
from safetensors.torch import save_file

from model_cases import FULL, HOLES, LEFT, LIMIT, MIXED, OUT, RIGHT, SEED, SOME, main, rng, write_json
from make_decoders import expected_outputs, make_inputs

SMALL = dict(vocab_size=67, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             max_position_embeddings=48, rms_norm_eps=1e-5, pad_token_id=0, bos_token_id=1, eos_token_id=2)
WIDE = {**SMALL, "hidden_size": 256, "num_hidden_layers": 1, "num_attention_heads": 4, "head_dim": 16}  # K formats come in blocks of 256
GPT2 = dict(vocab_size=67, n_positions=40, n_ctx=40, n_embd=32, n_layer=2, n_head=4, bos_token_id=1, eos_token_id=2)


def case(family, name, arch, config, types, rows=SOME, **options):
    return dict(family=family, name="gguf-" + name, arch=arch, config=config, types=types, rows=rows, **options)


# types: of the matrices, one after another; norms and biases are F32, as llama.cpp keeps them. keys: metadata beyond the usual,
# tensors: tensors beyond the model's, own: see above (the config Hugging Face would have needed).
CASES = [
    case("llama", "f32", "llama", {**SMALL, "head_dim": 8, "num_hidden_layers": 1}, ["F32"], RIGHT),
    case("llama", "f16-bf16", "llama", {**SMALL, "head_dim": 8, "num_key_value_heads": 1}, ["F16", "BF16", "F32"], LEFT),
    case("llama", "32", "llama", {**SMALL, "head_dim": 8, "tie_word_embeddings": False, "rope_theta": 5000.0}, ["Q4_1", "Q4_0", "Q5_0", "Q5_1", "Q8_0"], MIXED, note="every format in blocks of 32"),
    case("llama", "k", "llama", WIDE, ["Q4_K", "Q6_K", "Q5_K"], ["11111", "111.."], note="every format in blocks of 256"),
    case("llama", "head-dim", "llama", {**SMALL, "head_dim": 32, "num_attention_heads": 2, "num_key_value_heads": 1}, ["Q8_0"], RIGHT),
    case("mistral", "name", "llama", {**SMALL, "head_dim": 8}, ["Q4_0"], SOME, keys={"general.name": "mistral"}, own={}, note="Mistral by the file's name"),
    case("gpt2", "f32", "gpt2", {**GPT2, "n_layer": 1}, ["F32"], RIGHT, own={}),
    case("gpt2", "q", "gpt2", {**GPT2, "tie_word_embeddings": False, "n_head": 2}, ["Q8_0", "Q4_1", "F16"], LEFT, own={}),
    case("qwen2", "q", "qwen2", SMALL, ["Q5_0", "Q8_0"], MIXED, note="biases of q, k and v"),
    case("qwen3", "q", "qwen3", {**SMALL, "head_dim": 128}, ["Q4_0", "Q8_0"], SOME),
    case("qwen3", "head-dim", "qwen3", {**SMALL, "head_dim": 32}, ["Q4_1"], HOLES, own={}, note="attention.key_length"),
    case("phi3", "q", "phi3", {**SMALL, "hidden_act": "silu"}, ["Q8_0", "Q5_1"], MIXED),
    case("phi3", "longrope", "phi3", {**SMALL, "original_max_position_embeddings": 24}, ["Q8_0"], SOME,
         factors=True, own={}, note="rope_factors_short and _long"),
    case("gemma", "q", "gemma", {**SMALL, "head_dim": 16}, ["Q8_0", "Q4_0"], MIXED, own={}),
    case("gemma2", "q", "gemma2", {**SMALL, "head_dim": 16, "sliding_window": 4}, ["Q8_0", "Q4_0"], MIXED),
    case("gemma3_text", "q", "gemma3", {**SMALL, "head_dim": 16, "sliding_window": 4, "num_hidden_layers": 6}, ["Q4_0", "Q8_0"], SOME),
    case("llama", "rope-freqs", "llama", {**SMALL, "head_dim": 8}, ["Q8_0"], MIXED, own=dict(rope_parameters=dict(
        rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16)),
         freqs=True, note="Llama 3's rotary frequencies, kept as factors"),
    case("llama", "rope-linear", "llama", {**SMALL, "head_dim": 8}, ["Q8_0"], MIXED, own=dict(rope_parameters=dict(rope_type="linear", rope_theta=10000.0, factor=4.0)),
         keys={"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 4.0}),
]

CLASSES = {"llama": ("LlamaConfig", "LlamaForCausalLM"), "mistral": ("MistralConfig", "MistralForCausalLM"), "gpt2": ("GPT2Config", "GPT2LMHeadModel"),
           "qwen2": ("Qwen2Config", "Qwen2ForCausalLM"), "qwen3": ("Qwen3Config", "Qwen3ForCausalLM"), "phi3": ("Phi3Config", "Phi3ForCausalLM"),
           "gemma": ("GemmaConfig", "GemmaForCausalLM"), "gemma2": ("Gemma2Config", "Gemma2ForCausalLM"), "gemma3_text": ("Gemma3TextConfig", "Gemma3ForCausalLM")}


def random_weight(key, name, shape, zero_centred):
    x = rng(key, name).standard_normal(tuple(shape))
    if "norm" in name or "ln_" in name:
        x = 0.2 * x + (0.0 if zero_centred or name.endswith("bias") else 1.0)
    elif name.endswith("bias"):
        x = 0.2 * x
    elif "embed" in name or "wte" in name or "wpe" in name:
        x = 0.5 * x
    else:
        x = x / np.sqrt(shape[-1])
    return x.astype(np.float32)


def random_k_blocks(key, name, fmt, rows, columns):
    """K formats have no quantizer in the package: random integers under scales that keep the numbers small."""
    random = rng(key, name, "blocks")
    size = gguf.GGML_QUANT_SIZES[T[fmt]][1]
    blocks = random.randint(0, 256, (rows, columns // 256, size)).astype(np.uint8)
    def halves(at, low, high):
        blocks[..., at:at + 2] = (low + (high - low) * random.random_sample(blocks.shape[:2])).astype("<f2")[..., None].view(np.uint8)
    if fmt == "Q6_K":
        halves(208, 3e-5, 6e-5)
    else:
        halves(0, 1.5e-4, 3e-4)
        halves(2, 1e-3, 2e-3)
    return blocks.reshape(rows, -1)


def permuted(x, heads):
    return x.reshape(heads, 2, x.shape[0] // heads // 2, *x.shape[1:]).swapaxes(1, 2).reshape(x.shape)


def unpermuted(x, heads):
    return x.reshape(heads, x.shape[0] // heads // 2, 2, *x.shape[1:]).swapaxes(1, 2).reshape(x.shape)


def write_keys(writer, c, config):
    arch, get = c["arch"], lambda name: getattr(config, name)
    u32 = lambda name, value: writer.add_uint32(f"{arch}.{name}", value)
    f32 = lambda name, value: writer.add_float32(f"{arch}.{name}", value)
    u32("context_length", get("max_position_embeddings")), u32("embedding_length", get("hidden_size"))
    u32("block_count", get("num_hidden_layers")), u32("attention.head_count", get("num_attention_heads"))
    if arch == "gpt2":
        u32("feed_forward_length", 4 * config.n_embd), f32("attention.layer_norm_epsilon", config.layer_norm_epsilon)
    else:
        u32("feed_forward_length", config.intermediate_size), u32("attention.head_count_kv", config.num_key_value_heads)
        f32("attention.layer_norm_rms_epsilon", config.rms_norm_eps)
        parameters = config.rope_parameters
        f32("rope.freq_base", (parameters.get("full_attention") or parameters)["rope_theta"])
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        u32("rope.dimension_count", width)
        if arch not in ("qwen2", "phi3"):
            u32("attention.key_length", width), u32("attention.value_length", width)
        if arch in ("gemma2", "gemma3"):
            u32("attention.sliding_window", config.sliding_window)
        if arch == "gemma2":
            f32("attn_logit_softcapping", config.attn_logit_softcapping), f32("final_logit_softcapping", config.final_logit_softcapping)
    if "original_max_position_embeddings" in c["config"]:
        u32("rope.scaling.original_context_length", c["config"]["original_max_position_embeddings"])
    writer.add_array("tokenizer.ggml.tokens", [f"t{i}" for i in range(config.vocab_size)])
    writer.add_uint32("tokenizer.ggml.bos_token_id", 1), writer.add_uint32("tokenizer.ggml.eos_token_id", 2), writer.add_uint32("tokenizer.ggml.padding_token_id", 0)
    for k, v in c.get("keys", {}).items():
        if k != "general.name":
            (writer.add_string if isinstance(v, str) else writer.add_float32)(k, v)


def llama3_factors(config, parameters):
    width = config.head_dim
    frequencies = 1.0 / parameters["rope_theta"] ** (torch.arange(0, width, 2, dtype=torch.int64).float() / width)
    out = []
    for f in frequencies:
        length = 2 * np.pi / f
        low, high = (parameters["original_max_position_embeddings"] / parameters[k] for k in ("low_freq_factor", "high_freq_factor"))
        if length < high:
            out.append(1.0)
        elif length > low:
            out.append(parameters["factor"])
        else:
            smooth = (parameters["original_max_position_embeddings"] / length - parameters["low_freq_factor"]) / (
                parameters["high_freq_factor"] - parameters["low_freq_factor"])
            out.append(1.0 / ((1.0 - smooth) / parameters["factor"] + smooth))
    return np.array(out, np.float32)


def make_case(c):
    directory = os.path.join(OUT, c["family"], c["name"])
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    config_class, model_class = (getattr(transformers, n) for n in CLASSES[c["family"]])
    key = f"{c['family']}/{c['name']}"
    given = {**c["config"], **c.get("own", {})}
    if c.get("factors"):
        half = given["hidden_size"] // given["num_attention_heads"] // 2
        given["rope_parameters"] = dict(rope_type="longrope", rope_theta=10000.0, short_factor=[1.0 + 0.25 * i for i in range(half)],
                                        long_factor=[2.0 + 0.5 * i for i in range(half)])
    if "rope_theta" in given:
        given["rope_parameters"] = dict(rope_type="default", rope_theta=given.pop("rope_theta"))
    config = config_class(**given)
    model = model_class(config)
    names = gguf.get_tensor_name_map(next(k for k, v in gguf.MODEL_ARCH_NAMES.items() if v == c["arch"]), config.num_hidden_layers)
    general = c.get("keys", {}).get("general.name", "tiny")
    path = os.path.join(directory, "model.gguf")
    writer = gguf.GGUFWriter(path, c["arch"])
    writer.add_name(general)
    write_keys(writer, c, config)
    values, matrices = {}, 0
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        base, suffix = name.rsplit(".", 1)
        stored = f"{names.get_name(base)}.{suffix}"
        shape = tuple(tensor.shape)
        turned = c["arch"] == "gpt2" and ".h." in name and len(shape) == 2
        if turned:
            shape = shape[::-1]
        plus_one = c["arch"].startswith("gemma") and "norm" in name
        heads = 0
        if c["arch"] == "llama" and (".q_proj." in name or ".k_proj." in name):
            heads = config.num_attention_heads if ".q_proj." in name else config.num_key_value_heads
        x = random_weight(key, name, shape, plus_one)
        if len(shape) == 1 or "wpe" in name:
            if plus_one:
                x = x + np.float32(1)
            writer.add_tensor(stored, x)
            values[name] = torch.from_numpy(x - np.float32(1) if plus_one else x)
            continue
        fmt = c["types"][matrices % len(c["types"])]
        matrices += 1
        if fmt[-1] == "K" and shape[1] % 256 != 0:
            fmt = "Q8_0"
        if heads:
            x = permuted(x, heads)
        if fmt[-1] == "K":
            data = random_k_blocks(key, name, fmt, *shape)
        elif fmt in ("F32", "F16"):
            data = x.astype(np.dtype({"F32": "f4", "F16": "f2"}[fmt]))
        else:
            data = gguf.quants.quantize(x, T[fmt])
        writer.add_tensor(stored, data, raw_dtype=None if fmt in ("F32", "F16") else T[fmt])
        back = gguf.quants.dequantize(data, T[fmt]).astype(np.float32) if fmt not in ("F32", "F16") else data.astype(np.float32)
        if heads:
            back = unpermuted(back, heads)
        values[name] = torch.from_numpy(np.ascontiguousarray(back.T if turned else back))
    if c.get("freqs"):
        writer.add_tensor("rope_freqs.weight", llama3_factors(config, given["rope_parameters"]))
    if c.get("factors"):
        for kind in ("long", "short"):
            writer.add_tensor(f"rope_factors_{kind}.weight", np.array(given["rope_parameters"][f"{kind}_factor"], np.float32))
    writer.write_header_to_file(), writer.write_kv_data_to_file(), writer.write_tensors_to_file(), writer.close()

    if "own" in c:
        model.config._attn_implementation = "eager"
        missing = model.load_state_dict(values, strict=False).missing_keys
        assert all(k.startswith("lm_head") for k in missing), missing
        model.tie_weights()
    else:
        model = model_class.from_pretrained(directory, gguf_file="model.gguf", dtype=torch.float32, attn_implementation="eager")
        for name, value in values.items():  # Hugging Face reads what this script wrote
            assert torch.equal(model.state_dict()[name], value), name
    model.eval()
    inputs = make_inputs(c, config)
    expected = expected_outputs(model, {k: v.clone() for k, v in inputs.items()})
    save_file(inputs, os.path.join(directory, "inputs.safetensors"))
    save_file(expected, os.path.join(directory, "expected.safetensors"))
    meta = {
        "id": f"{c['family']}-{c['name']}", "kind": "forward", "model_dir": ".", "architecture": CLASSES[c["family"]][1],
        "args": ["forward", "{model}", "--inputs", "{inputs}", "--output", "{output}", "--dtype", "fp32", "--output-hidden-states"],
        "tolerance": {"abs": 1e-4}, "masks": {k: "attention_mask" for k in expected}, "skip_rows": [],
        "made_with": f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}, gguf 0.19.0", "seed": SEED,
    }
    if "note" in c:
        meta["note"] = c["note"]
    write_json(os.path.join(directory, "case.json"), meta)
    size = sum(os.path.getsize(os.path.join(directory, f)) for f in os.listdir(directory))
    assert size < LIMIT, f"{c['name']}: {size} bytes"
    print(f"{meta['id']:34} {size:7} bytes  max |x| {max(float(v.abs().max()) for v in expected.values()):.2f}")


if __name__ == "__main__":
    main(CASES, __doc__, make_case)
