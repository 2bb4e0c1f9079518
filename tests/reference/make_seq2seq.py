#!/usr/bin/env python3
"""Writes tests/data/models/<family>/<case>/ for the encoder-decoders: tiny random checkpoints and Hugging Face's answers.

Usage: python tests/reference/make_seq2seq.py [--only GLOB]      (environment: tests/reference/README.md)

The same five files a case as model_cases.py writes, made the same way. The inputs may also hold decoder_input_ids,
decoder_attention_mask and decoder_inputs_embeds, and the expected values are under the names of Seq2SeqModelOutput.
"""
import argparse, fnmatch, json, os, shutil, sys

import numpy as np
import torch
import transformers
from safetensors.torch import save_file

from model_cases import LIMIT, NAMED, OUT, SEED, TRANSFORMERS, labels, rng, write_json

BART = dict(d_model=24, encoder_layers=1, decoder_layers=1, encoder_attention_heads=3, decoder_attention_heads=2,
            encoder_ffn_dim=31, decoder_ffn_dim=36, vocab_size=71, max_position_embeddings=26)
T5 = dict(d_model=22, d_kv=7, d_ff=33, num_layers=1, num_decoder_layers=1, num_heads=3, vocab_size=71,
          relative_attention_num_buckets=8, relative_attention_max_distance=10, decoder_start_token_id=0)
SIZES = {
    "bart": BART, "mbart": BART, "pegasus": BART,
    "marian": dict(BART, pad_token_id=70, decoder_start_token_id=70),
    "m2m_100": BART, "t5": T5, "mt5": T5, "umt5": T5,
}
# What 4.x and older tools left in config.json and Hugging Face does not read.
STALE = {
    "bart": dict(add_bias_logits=False, add_final_layer_norm=False, classif_dropout=0.0, normalize_before=False,
                 normalize_embedding=True, static_position_embeddings=False, gradient_checkpointing=False),
    "marian": dict(add_bias_logits=False, add_final_layer_norm=False, extra_pos_embeddings=0, normalize_before=False,
                   normalize_embedding=False, static_position_embeddings=True),
    "pegasus": dict(add_bias_logits=False, add_final_layer_norm=True, extra_pos_embeddings=1, normalize_before=True,
                    normalize_embedding=False, static_position_embeddings=True),
    "mbart": dict(add_final_layer_norm=True, normalize_before=True, normalize_embedding=True, static_position_embeddings=False),
    "m2m_100": dict(max_length=200, gradient_checkpointing=False), "t5": dict(n_positions=512, output_past=True),
    "mt5": dict(output_past=True, tokenizer_class="T5Tokenizer"), "umt5": dict(output_past=True, scalable_attention=True),
}

# Rows as in model_cases.py: 1 attended, 0 masked, "." masked and holding the pad id.
SOURCE = ["11111111111", "1111111....", "...11011101"]
SHORT = ["1111111", "11111..", "..10111"]
PLAIN = ["11111111", "11111111"]
TARGET = ["11111", "111..", ".1101"]
FULL_TARGET = ["1111", "1111", "1111"]
WIDE_TARGET = ["111111111", "1111111..", "..1110111"]


def case(family, name, architecture, source=SOURCE, target=TARGET, config=None, **options):
    return dict(family=family, name=name, architecture=architecture, source=source, target=target,
                config={**SIZES[family], **(config or {})}, **options)


def lm(family):
    return {"bart": "BartForConditionalGeneration", "mbart": "MBartForConditionalGeneration", "marian": "MarianMTModel",
            "pegasus": "PegasusForConditionalGeneration", "m2m_100": "M2M100ForConditionalGeneration",
            "t5": "T5ForConditionalGeneration", "mt5": "MT5ForConditionalGeneration", "umt5": "UMT5ForConditionalGeneration"}[family]


# options: mask and decoder_mask (False: not given), embeds and decoder_embeds (inputs_embeds in place of ids), ends (how many
# eos tokens each source row holds), pads (ids that are the pad token although attended), store, saved_from, untied (the
# file holds its own tensor for every tied one), repeat (it repeats the tied tensors), without (tensors left out), renamed
# (tensors under another name), strip (a prefix that the file leaves out), spelling, alias (config keys under other names),
# extra (more keys for config.json), skip_rows, note. A target of None gives no decoder inputs.
CASES = [
    case("bart", "model", "BartModel", config=dict(encoder_layers=2), spelling=4),
    case("bart", "model-shifted", "BartModel", SHORT, None, dict(activation_function="relu", scale_embedding=True), spelling=5,
         note="no decoder_input_ids: the source shifted right, without a decoder mask"),
    case("bart", "model-embeds", "BartModel", SHORT, FULL_TARGET, dict(scale_embedding=True), embeds=True, decoder_embeds=True,
         decoder_mask=False, note="inputs_embeds are not scaled"),
    case("bart", "model-masked-row", "BartModel", ["1111111", ".......", "1111..."], TARGET, skip_rows=[1]),
    case("bart", "model-untied", "BartModel", PLAIN, ["111111", "1111.."], dict(tie_word_embeddings=False), untied=True, mask=False,
         note="shared, encoder and decoder have tables of their own"),
    case("bart", "model-from-headed", "BartModel", SHORT, saved_from="BartForConditionalGeneration", store="bfloat16"),
    case("bart", "lm", lm("bart"), config=dict(decoder_layers=2, encoder_attention_heads=2, decoder_attention_heads=3), spelling=5),
    case("bart", "lm-scaled", lm("bart"), PLAIN, ["1111111", "11111.."], dict(scale_embedding=True, activation_function="gelu_new"), mask=False, spelling=4,
         store="float16"),
    case("bart", "lm-untied", lm("bart"), SHORT, FULL_TARGET, dict(tie_word_embeddings=False, d_model=18), untied=True, decoder_mask=False),
    case("bart", "lm-tied-but-different", lm("bart"), SHORT, WIDE_TARGET, dict(d_model=18), untied=True,
         note="tie_word_embeddings is true, but the file holds tensors of its own: 5.x keeps them"),
    case("bart", "lm-repeated", lm("bart"), SHORT, TARGET, dict(d_model=18, encoder_layers=2), repeat=True, without=["final_logits_bias"], spelling=4,
         note="as 4.x .bin files: tied tensors repeated; no final_logits_bias"),
    case("bart", "lm-shifted", lm("bart"), SHORT, None, dict(d_model=18, decoder_start_token_id=7)),
    case("bart", "lm-no-prefix", lm("bart"), SHORT, TARGET, dict(d_model=18), strip="model."),
    case("bart", "lm-aliases", lm("bart"), SHORT, TARGET, dict(d_model=18), spelling=4, alias=dict(d_model="hidden_size", encoder_layers="num_hidden_layers",
         encoder_attention_heads="num_attention_heads")),
    case("bart", "seqcls-3", "BartForSequenceClassification", SOURCE, None, dict(d_model=18), ends=1),
    case("bart", "seqcls-5", "BartForSequenceClassification", SHORT, None, dict(d_model=18, eos_token_id=9, **labels(5)), ends=2, spelling=4,
         note="two eos in each row: the last counts"),
    case("bart", "seqcls-1", "BartForSequenceClassification", SHORT, ["1111111", "11111..", "..10101"], dict(d_model=18, **labels(1)), ends=1,
         note="decoder inputs and a mask of their own; the pooled token may be masked"),
    case("bart", "qa", "BartForQuestionAnswering", SOURCE, None, dict(d_model=18), spelling=5),
    case("bart", "qa-target", "BartForQuestionAnswering", SHORT, WIDE_TARGET, dict(d_model=18, activation_function="silu")),
    case("bart", "causal", "BartForCausalLM", SOURCE, None, dict(d_model=18, decoder_layers=2)),

    case("mbart", "model", "MBartModel", config=dict(encoder_layers=2), spelling=5),
    case("mbart", "model-wrapped", "MBartModel", SHORT, None, dict(scale_embedding=True, d_model=18),
         note="no decoder_input_ids: the last token that is not padding moves to the front"),
    case("mbart", "lm", lm("mbart"), config=dict(decoder_layers=2, scale_embedding=True, activation_function="relu"), spelling=4),
    case("mbart", "lm-untied", lm("mbart"), SHORT, FULL_TARGET, dict(tie_word_embeddings=False, d_model=18), untied=True, decoder_mask=False),
    case("mbart", "lm-shifted", lm("mbart"), PLAIN, None, dict(d_model=18), mask=False, store="bfloat16"),
    case("mbart", "lm-embeds", lm("mbart"), SHORT, WIDE_TARGET, dict(d_model=18, scale_embedding=True), embeds=True, decoder_embeds=True),
    case("mbart", "seqcls-2", "MBartForSequenceClassification", SHORT, None, dict(d_model=18), ends=1),
    case("mbart", "qa", "MBartForQuestionAnswering", SHORT, None, dict(d_model=18)),
    case("mbart", "causal", "MBartForCausalLM", SHORT, None, dict(d_model=18, scale_embedding=True)),

    case("marian", "model", "MarianModel", config=dict(encoder_layers=2, scale_embedding=True), spelling=4),
    case("marian", "model-embeds", "MarianModel", SHORT, FULL_TARGET, dict(scale_embedding=True, d_model=18), embeds=True, decoder_embeds=True, decoder_mask=False,
         note="of inputs_embeds only the decoder's are scaled"),
    case("marian", "model-fp16", "MarianModel", SHORT, WIDE_TARGET, dict(activation_function="swish", d_model=18), store="float16"),
    case("marian", "lm", lm("marian"), config=dict(decoder_layers=2, activation_function="swish", scale_embedding=True), spelling=5),
    case("marian", "lm-own-positions", lm("marian"), SHORT, TARGET, dict(d_model=18), spelling=4, without=[], positions=True,
         note="the file holds position tables, as old ones do: they count"),
    case("marian", "lm-two-vocabularies", lm("marian"), SHORT, WIDE_TARGET, dict(d_model=18, share_encoder_decoder_embeddings=False, decoder_vocab_size=53,
         decoder_start_token_id=52, pad_token_id=52), spelling=4),
    case("marian", "lm-two-vocabularies-untied", lm("marian"), SHORT, TARGET, dict(d_model=18, share_encoder_decoder_embeddings=False, decoder_vocab_size=53,
         decoder_start_token_id=52, pad_token_id=52, tie_word_embeddings=False), untied=True),
    case("marian", "lm-untied", lm("marian"), PLAIN, ["11111", "111.."], dict(d_model=18, tie_word_embeddings=False), untied=True, mask=False),
    case("marian", "causal", "MarianForCausalLM", SHORT, None, dict(d_model=18, scale_embedding=True)),

    case("pegasus", "model", "PegasusModel", config=dict(encoder_layers=2), spelling=5),
    case("pegasus", "model-embeds", "PegasusModel", SHORT, TARGET, dict(scale_embedding=True, d_model=18), embeds=True, decoder_embeds=True),
    case("pegasus", "lm", lm("pegasus"), config=dict(decoder_layers=2, activation_function="relu", scale_embedding=True), spelling=4),
    case("pegasus", "lm-fp16", lm("pegasus"), SHORT, WIDE_TARGET, dict(d_model=18), store="float16"),
    case("pegasus", "lm-untied", lm("pegasus"), SHORT, FULL_TARGET, dict(d_model=18, tie_word_embeddings=False), untied=True, decoder_mask=False),
    case("pegasus", "causal", "PegasusForCausalLM", SHORT, None, dict(d_model=18)),

    case("m2m_100", "model", "M2M100Model", config=dict(encoder_layers=2), spelling=4),
    case("m2m_100", "model-embeds", "M2M100Model", SHORT, TARGET, dict(d_model=18), embeds=True, decoder_embeds=True),
    case("m2m_100", "lm", lm("m2m_100"), config=dict(decoder_layers=2, activation_function="gelu"), spelling=5),
    case("m2m_100", "lm-pads", lm("m2m_100"), PLAIN, ["1111111", "111111."], dict(d_model=18, scale_embedding=False), mask=False, pads=True,
         note="positions skip pad ids wherever they stand, attended or not"),
    case("m2m_100", "lm-long", lm("m2m_100"), SHORT, TARGET, dict(d_model=18, max_position_embeddings=4),
         note="longer than max_position_embeddings: the sinusoids go on"),
    case("m2m_100", "lm-untied", lm("m2m_100"), SHORT, FULL_TARGET, dict(d_model=18, tie_word_embeddings=False), untied=True, decoder_mask=False),
    case("m2m_100", "lm-odd", lm("m2m_100"), SHORT, TARGET, dict(d_model=15, encoder_attention_heads=3, decoder_attention_heads=5)),
    case("m2m_100", "lm-bf16", lm("m2m_100"), SHORT, WIDE_TARGET, dict(d_model=18), store="bfloat16"),

    case("t5", "model", "T5Model", config=dict(num_layers=2), spelling=4),
    case("t5", "model-embeds", "T5Model", SHORT, FULL_TARGET, dict(), embeds=True, decoder_embeds=True, decoder_mask=False),
    case("t5", "encoder", "T5EncoderModel", ["1" * 27, "1" * 20 + "." * 7, "." * 5 + "1101" * 5 + "11"], None, dict(num_layers=2), spelling=5,
         note="longer than relative_attention_max_distance"),
    case("t5", "encoder-from-headed", "T5EncoderModel", SHORT, None, saved_from="T5ForConditionalGeneration", store="bfloat16"),
    case("t5", "lm", lm("t5"), SOURCE, ["1" * 17, "1" * 13 + "...." , "...11011110111011"], dict(num_decoder_layers=2), spelling=5),
    case("t5", "lm-gated", lm("t5"), SHORT, TARGET, dict(feed_forward_proj="gated-gelu", tie_word_embeddings=False), untied=True, spelling=4,
         note="v1.1: gelu_new, a head of its own, no scaling"),
    case("t5", "lm-gated-silu", lm("t5"), SHORT, TARGET, dict(feed_forward_proj="gated-silu", d_kv=9), spelling=5),
    case("t5", "lm-tied-unscaled", lm("t5"), SHORT, TARGET, dict(tie_word_embeddings=False), spelling=4,
         note="tie_word_embeddings false in config.json, but no lm_head in the file: tied, and not scaled"),
    case("t5", "lm-untied-scaled", lm("t5"), SHORT, TARGET, dict(), untied=True, note="a head of its own, scaled all the same"),
    case("t5", "lm-repeated", lm("t5"), SHORT, TARGET, dict(layer_norm_epsilon=1e-3), repeat=True, spelling=4),
    case("t5", "lm-buckets", lm("t5"), SOURCE, WIDE_TARGET, dict(relative_attention_num_buckets=11, relative_attention_max_distance=6)),
    case("t5", "lm-shared-only-encoder", lm("t5"), SHORT, TARGET, renamed={"shared.weight": "encoder.embed_tokens.weight"},
         note="the table is in the file under encoder.embed_tokens alone"),
    case("t5", "lm-aliases", lm("t5"), SHORT, TARGET, dict(num_decoder_layers=None), spelling=4, alias=dict(d_model="hidden_size", num_heads="num_attention_heads", d_kv="head_dim",
         num_layers="num_hidden_layers"), extra=dict(num_layers=1)),
    case("t5", "seqcls-3", "T5ForSequenceClassification", SHORT, None, dict(**labels(3)), ends=1, spelling=5),
    case("t5", "seqcls-2-target", "T5ForSequenceClassification", SHORT, ["1111111", "11111..", "..10101"], dict(d_kv=8), ends=1, strip="transformer."),
    case("t5", "tokencls-5", "T5ForTokenClassification", SHORT, None, NAMED, spelling=4),
    case("t5", "qa", "T5ForQuestionAnswering", SHORT, None, dict(), spelling=5),
    case("t5", "qa-target", "T5ForQuestionAnswering", SHORT, TARGET, dict(feed_forward_proj="gated-relu")),

    case("mt5", "model", "MT5Model", SHORT, config=dict(num_layers=2)),
    case("mt5", "encoder", "MT5EncoderModel", SHORT, None),
    case("mt5", "lm", lm("mt5"), config=dict(tie_word_embeddings=False), untied=True, spelling=4, note="a head of its own, never scaled"),
    case("mt5", "lm-tied", lm("mt5"), SHORT, TARGET, spelling=5, note="tied and not scaled"),
    case("mt5", "seqcls-2", "MT5ForSequenceClassification", SHORT, None, ends=1),
    case("mt5", "tokencls-5", "MT5ForTokenClassification", SHORT, None, NAMED),
    case("mt5", "qa", "MT5ForQuestionAnswering", SHORT, None),

    case("umt5", "model", "UMT5Model", SHORT, config=dict(num_layers=2, num_decoder_layers=2)),
    case("umt5", "encoder", "UMT5EncoderModel", SOURCE, None, dict(num_layers=2)),
    case("umt5", "lm", lm("umt5"), SHORT, WIDE_TARGET, config=dict(tie_word_embeddings=False, num_layers=2, num_decoder_layers=2), untied=True, spelling=4,
         note="tie_word_embeddings false: 5.x scales all the same"),
    case("umt5", "lm-tied", lm("umt5"), SHORT, TARGET, dict(feed_forward_proj="relu"), spelling=5),
    case("umt5", "seqcls-2", "UMT5ForSequenceClassification", SHORT, None, ends=1),
    case("umt5", "tokencls-5", "UMT5ForTokenClassification", SHORT, None, NAMED),
    case("umt5", "qa", "UMT5ForQuestionAnswering", SHORT, None),
]


def random_weight(key, name, shape):
    """Nothing stays at an initialisation constant: a forgotten bias or norm must show."""
    x = rng(key, name).standard_normal(tuple(shape))
    if "norm" in name:
        x = 0.2 * x + (1.0 if name.endswith("weight") else 0.0)
    elif name.endswith("bias"):
        x = 0.2 * x
    elif "shared" in name or "embed" in name or "relative_attention_bias" in name:
        x = 0.5 * x
    else:
        x = x / np.sqrt(shape[-1])
    return torch.from_numpy(x.astype(np.float32))


def key_of(c):
    return f"{c['family']}/{c['name']}"


def is_position_table(name):
    return "embed_positions.weight" in name


def state_dict(c, config):
    cls = getattr(transformers, c.get("saved_from", c["architecture"]))
    model = cls(config)
    tied = dict(getattr(model, "all_tied_weights_keys", {}))
    sinusoids = c["family"] in ("marian", "pegasus")
    weights = {}
    for name, tensor in model.state_dict().items():
        if sinusoids and is_position_table(name) and not c.get("positions"):
            continue
        if name in tied and not c.get("untied"):
            if not c.get("repeat"):
                continue
            name_of_values = tied[name]
        else:
            name_of_values = name
        weights[name] = random_weight(key_of(c), name_of_values, tensor.shape)
    weights = {k: v for k, v in weights.items() if k not in c.get("without", [])}
    weights = {c.get("renamed", {}).get(k, k): v for k, v in weights.items()}
    weights = {k.removeprefix(c.get("strip", "")): v for k, v in weights.items()}
    return {k: v.to(getattr(torch, c.get("store", "float32"))).contiguous() for k, v in weights.items()}


def config_json(c, config):
    out = json.loads(config.to_json_string(use_diff=False))
    keep = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")
    out = {k: v for k, v in out.items() if not k.startswith("_") and (v is not None or k in keep)}
    for k in ("output_attentions", "output_hidden_states", "return_dict", "chunk_size_feed_forward", "problem_type"):
        out.pop(k, None)
    out["architectures"], out["dtype"] = [c["architecture"]], c.get("store", "float32")
    out["tie_word_embeddings"] = c["config"].get("tie_word_embeddings", True)
    if "decoder_start_token_id" not in c["config"] and out.get("decoder_start_token_id") is None:
        out.pop("decoder_start_token_id", None)
    if c.get("spelling") == 4:
        out["torch_dtype"] = out.pop("dtype")
        out.update(STALE[c["family"]], transformers_version="4.30.2", _name_or_path="tiny", num_beams=4)
        for k in ("scale_decoder_outputs", "dense_act_fn", "is_gated_act", "is_decoder"):
            out.pop(k, None)  # 5.x alone writes the first; the others follow from feed_forward_proj
    if "id2label" not in c["config"]:
        out.pop("id2label", None), out.pop("label2id", None)
    for k, other in c.get("alias", {}).items():
        out[other] = out.pop(k)
    out.update(c.get("extra", {}))
    return dict(sorted(out.items()))


def mask_of(rows, characters="1"):
    assert all(len(r) == len(rows[0]) for r in rows)
    return np.array([[ch in characters for ch in r] for r in rows]).astype(np.int64)


def random_ids(c, config, name, rows, vocab_size):
    pad, start, eos = config.pad_token_id, getattr(config, "decoder_start_token_id", None), config.eos_token_id
    special = {pad, eos, start} - {None}
    r = rng(key_of(c), name)
    ids = r.randint(0, vocab_size, (len(rows), len(rows[0])))
    ordinary = next(i for i in range(vocab_size) if i not in special)
    for i in special:
        ids[ids == i] = ordinary
    ids[mask_of(rows, ".") == 1] = pad
    if c.get("pads"):
        ids[0, 2] = ids[1, 0] = pad
    if name == "decoder_input_ids" and start is not None:
        ids[:, 0] = np.where(mask_of(rows)[:, 0] == 1, start, ids[:, 0])
    if name == "input_ids" and c.get("ends"):
        for i, row in enumerate(rows):
            attended = [j for j, ch in enumerate(row) if ch == "1"]
            ids[i, attended[-1]] = eos
            for j in attended[1:c["ends"]]:
                ids[i, j] = eos
    return torch.from_numpy(ids.astype(np.int64))


def make_inputs(c, config):
    inputs = {}
    source, target = c["source"], c["target"]
    causal = c["architecture"].endswith("ForCausalLM")
    source_vocabulary = getattr(config, "decoder_vocab_size", None) or config.vocab_size if causal else config.vocab_size

    def embeds(name, rows):
        return torch.from_numpy((0.5 * rng(key_of(c), name).standard_normal((len(rows), len(rows[0]), config.d_model))).astype(np.float32))

    if c.get("embeds"):
        inputs["inputs_embeds"] = embeds("inputs_embeds", source)
    else:
        inputs["input_ids"] = random_ids(c, config, "input_ids", source, source_vocabulary)
    if c.get("mask", True):
        inputs["attention_mask"] = torch.from_numpy(mask_of(source))
    if target is not None:
        assert len(target) == len(source)
        if c.get("decoder_embeds"):
            inputs["decoder_inputs_embeds"] = embeds("decoder_inputs_embeds", target)
        else:
            inputs["decoder_input_ids"] = random_ids(c, config, "decoder_input_ids", target,
                                                     getattr(config, "decoder_vocab_size", None) or config.vocab_size)
        if c.get("decoder_mask", True):
            inputs["decoder_attention_mask"] = torch.from_numpy(mask_of(target))
    return inputs


def expected_outputs(model, inputs):
    with torch.no_grad():
        out = model(**inputs, output_hidden_states=True, use_cache=False) if not model.__class__.__name__.endswith(
            ("EncoderModel", "TokenClassification")) else model(**inputs, output_hidden_states=True)
    flat = {}
    for k, v in out.items():
        if torch.is_tensor(v):
            flat[k] = v
        elif k.endswith("hidden_states"):
            flat.update({f"{k}.{i}": h for i, h in enumerate(v)})
    return {k: v.to(torch.float32).clone() for k, v in flat.items()}


def mask_names(expected, inputs, architecture):
    """Which mask says where an output counts."""
    only_source = architecture.endswith(("EncoderModel", "TokenClassification", "ForCausalLM"))
    names = {}
    for k in expected:
        if k == "logits" and architecture.endswith("SequenceClassification"):
            continue
        mask = "attention_mask" if only_source or k.startswith("encoder_") else "decoder_attention_mask"
        if mask in inputs:
            names[k] = mask
    return names


def make_case(c):
    directory = os.path.join(OUT, c["family"], c["name"])
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    cls = getattr(transformers, c["architecture"])
    config = cls.config_class(**c["config"])
    write_json(os.path.join(directory, "config.json"), config_json(c, config))
    weights = state_dict(c, config)
    save_file({k: weights[k] for k in sorted(weights)}, os.path.join(directory, "model.safetensors"), {"format": "pt"})

    model, info = cls.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    missing = [k for k in info["missing_keys"] if k not in c.get("without", []) and not is_position_table(k)]
    assert not missing and not info["mismatched_keys"], (key_of(c), info)
    assert not info["unexpected_keys"] or c.get("saved_from"), (key_of(c), info)
    model.eval()
    for k, v in c["config"].items():  # config.json must say what the case says
        if k not in ("tie_word_embeddings", "num_decoder_layers"):
            assert getattr(model.config, k) == v, (key_of(c), k, getattr(model.config, k), v)

    inputs = make_inputs(c, model.config)
    expected = expected_outputs(model, inputs)
    save_file(inputs, os.path.join(directory, "inputs.safetensors"))
    save_file(expected, os.path.join(directory, "expected.safetensors"))
    doubled = {k: v.double() if v.is_floating_point() else v for k, v in inputs.items()}
    noise = max(float((v - expected[k]).abs().max()) for k, v in expected_outputs(model.double(), doubled).items())
    assert noise < 2e-5, (key_of(c), noise)  # float32's own error must stay far below the tolerance
    skip = c.get("skip_rows", [])
    batch = len(c["source"])
    for k, v in expected.items():
        assert torch.isfinite(v[[i for i in range(batch) if i not in skip]]).all(), (key_of(c), k)
    meta = {
        "id": f"{c['family']}-{c['name']}", "kind": "forward", "model_dir": ".", "architecture": c["architecture"],
        "args": ["forward", "{model}", "--inputs", "{inputs}", "--output", "{output}", "--dtype", "fp32", "--output-hidden-states"],
        "tolerance": {"abs": 2e-4},
        "masks": mask_names(expected, inputs, c["architecture"]),
        "skip_rows": skip,
        "made_with": f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}", "seed": SEED,
    }
    if "note" in c:
        meta["note"] = c["note"]
    write_json(os.path.join(directory, "case.json"), meta)
    size = sum(os.path.getsize(os.path.join(directory, f)) for f in os.listdir(directory))
    assert size < LIMIT, f"{c['name']}: {size} bytes"
    peak = max(float(v.abs().max()) for v in expected.values())
    print(f"{meta['id']:34} {size:7} bytes  max |x| {peak:.2f}  noise {noise:.1e}  {' '.join(k for k in expected if not k.endswith(tuple('123456789')))}")


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--only", default="*", help="glob over <family>/<case>")
    only = ap.parse_args().only
    if transformers.__version__ != TRANSFORMERS:
        sys.exit(f"error: transformers {TRANSFORMERS} is pinned, found {transformers.__version__}")
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)  # the sums must not depend on the machine's cores
    for c in CASES:
        if fnmatch.fnmatch(key_of(c), only):
            make_case(c)


if __name__ == "__main__":
    main()
