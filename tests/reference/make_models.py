#!/usr/bin/env python3
"""Writes tests/data/models/<family>/<case>/: tiny random checkpoints and what Hugging Face answers on them.

Usage: python tests/reference/make_models.py [--only GLOB]      (environment: tests/reference/README.md)

One case is one Hugging Face model directory plus one batch:
  config.json  model.safetensors (or shards + index)  inputs.safetensors  expected.safetensors  case.json
Weights and inputs come from numpy's frozen RandomState, keyed by the case and tensor name, so adding a case
never changes another. The checkpoint is written first, in the spelling the case asks for, and then loaded by
`from_pretrained(dtype=float32, attn_implementation="eager")`: the expected values are those of the files.
"""
import argparse, fnmatch, json, os, shutil, sys, zlib

import numpy as np
import torch
import transformers
from safetensors.torch import save_file

TRANSFORMERS = "5.23.0"
SEED = 20260523
OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data", "models")
LIMIT = 200_000  # bytes a case may take

BERT = dict(hidden_size=30, num_hidden_layers=1, num_attention_heads=3, intermediate_size=44, vocab_size=97,
            max_position_embeddings=40)
DISTILBERT = dict(dim=30, n_layers=1, n_heads=3, hidden_dim=44, vocab_size=97, max_position_embeddings=40)

# A batch is a list of rows; a row is its attention mask as a string: 1 attended, 0 masked, "." masked and holding
# the pad id. All rows have the same length. "mask": False leaves attention_mask out (then every row is all 1).
MIXED = ["11111111111", "1111111....", "....1111111", "11011101001", "0.11110110."]
SOME = ["11111111111", "111111.....", "...11110110"]
RIGHT = ["1111111", "11111..", "111....", "1......"]
LEFT = ["11111111", "..111111", ".......1"]
HOLES = ["1011101", "0110011", "1110111"]
FULL = ["111111111", "111111111", "111111111"]


def case(family, name, architecture, rows=MIXED, config=None, **options):
    base = BERT if family == "bert" else DISTILBERT
    return dict(family=family, name=name, architecture=architecture, rows=rows, config={**base, **(config or {})}, **options)


def bert(name, architecture, rows=MIXED, config=None, **options):
    return case("bert", name, architecture, rows, config, **options)


def distilbert(name, architecture, rows=MIXED, config=None, **options):
    return case("distilbert", name, architecture, rows, config, **options)


def labels(n):
    return dict(id2label={i: f"LABEL_{i}" for i in range(n)}, label2id={f"LABEL_{i}": i for i in range(n)})


NER = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
NAMED = dict(id2label=dict(enumerate(NER)), label2id={l: i for i, l in enumerate(NER)})

# options: segments (give token_type_ids), positions (give explicit position_ids), embeds (inputs_embeds instead of
# input_ids), mask, store (dtype of the file), shards, prefix ("strip": no `bert.`), gamma (old LayerNorm names),
# stray (extra tensors), without (tensors left out of the file), saved_from (the class that wrote the file), tie and sinusoid
# (what those tensors hold), spelling (4 or 5: of config.json), bare (a config.json of sizes), drop_outputs, skip_rows, note.
CASES = [
    bert("model-mixed", "BertModel", config=dict(num_hidden_layers=2, vocab_size=151), segments=True, spelling=4),
    bert("model-no-mask", "BertModel", FULL, dict(hidden_size=24, intermediate_size=37, num_hidden_layers=3), mask=False, spelling=5,
         note="neither attention_mask nor token_type_ids is given"),
    bert("model-right", "BertModel", RIGHT, dict(hidden_size=40, num_attention_heads=5, intermediate_size=51, hidden_act="relu"), segments=True),
    bert("model-left", "BertModel", LEFT, dict(hidden_size=24, intermediate_size=51, vocab_size=113, hidden_act="gelu_new"),
         note="the pooler reads position 0, which two rows mask"),
    bert("model-holes", "BertModel", HOLES, dict(hidden_size=24, intermediate_size=37, num_hidden_layers=2, hidden_act="silu"), segments=True),
    bert("model-masked-row", "BertModel", ["111111", "......", "1111..", "000000"], dict(hidden_size=24, intermediate_size=37), segments=True,
         skip_rows=[1, 3], note="rows 1 and 3 are masked throughout: compared nowhere, must not be NaN"),
    bert("model-full-length", "BertModel", ["1" * 40, "0" * 20 + "1" * 20], dict(hidden_size=24, intermediate_size=37),
         note="as long as max_position_embeddings"),
    bert("model-one-token", "BertModel", ["1"], dict(hidden_size=24, intermediate_size=37, num_hidden_layers=2), mask=False),
    bert("model-position-ids", "BertModel", MIXED, dict(max_position_embeddings=70, hidden_size=24, intermediate_size=44), segments=True, positions=True),
    bert("model-inputs-embeds", "BertModel", MIXED, dict(hidden_size=24, intermediate_size=44), segments=True, embeds=True),
    bert("model-one-type", "BertModel", MIXED, dict(type_vocab_size=1, hidden_size=24, intermediate_size=37, layer_norm_eps=1e-3)),
    bert("model-one-head", "BertModel", LEFT, dict(hidden_size=64, num_attention_heads=1, intermediate_size=37), segments=True, note="head_dim 64"),
    bert("model-bf16", "BertModel", HOLES, dict(hidden_size=48, num_attention_heads=2, intermediate_size=44), segments=True, store="bfloat16", spelling=5,
         note="float32 arithmetic on the stored weights"),
    bert("model-fp16", "BertModel", MIXED, dict(num_hidden_layers=2), segments=True, store="float16", spelling=4, note="float32 arithmetic on the stored weights"),
    bert("model-no-pooler", "BertModel", MIXED, dict(hidden_size=24, intermediate_size=37), segments=True, without=["pooler."],
         drop_outputs=["pooler_output"], note="the checkpoint has no pooler; HF would make up a random one"),
    bert("model-gamma-beta", "BertModel", MIXED, dict(hidden_size=24, intermediate_size=37, num_hidden_layers=2), segments=True, gamma=True,
         stray={"embeddings.position_ids": (1, 40)}, spelling=4, note="LayerNorm.gamma/beta and a stray position_ids buffer"),
    bert("model-from-headed", "BertModel", MIXED, dict(hidden_size=24, intermediate_size=37), saved_from="BertForPreTraining", segments=True,
         note="written by BertForPreTraining: `bert.` prefix and unused cls.* tensors"),
    bert("model-sharded", "BertModel", MIXED, dict(hidden_size=24, intermediate_size=37), segments=True, shards=3, spelling=5),
    bert("model-bare-config", "BertModel", MIXED, dict(hidden_size=24, intermediate_size=37), segments=True,
         bare=True, note="config.json holds sizes only: defaults apply"),
    bert("seqcls-1", "BertForSequenceClassification", SOME, dict(hidden_size=24, intermediate_size=37, **labels(1)), segments=True, spelling=4),
    bert("seqcls-3", "BertForSequenceClassification", MIXED, labels(3), segments=True, spelling=5),
    bert("seqcls-5-left", "BertForSequenceClassification", LEFT, dict(hidden_size=40, num_attention_heads=5, intermediate_size=51, hidden_act="gelu_new", **labels(5))),
    bert("seqcls-no-prefix", "BertForSequenceClassification", RIGHT, dict(hidden_size=24, intermediate_size=37, **labels(3)), segments=True, prefix="strip",
         note="base weights carry no `bert.` prefix; 5.x loads them"),
    bert("seqcls-masked-row", "BertForSequenceClassification", ["11111", ".....", "111.."], dict(hidden_size=24, intermediate_size=37, **labels(3)), skip_rows=[1]),
    bert("tokencls-5", "BertForTokenClassification", SOME, NAMED, segments=True, spelling=4),
    bert("tokencls-1", "BertForTokenClassification", HOLES, dict(hidden_size=24, intermediate_size=37, hidden_act="silu", **labels(1))),
    bert("tokencls-no-mask", "BertForTokenClassification", FULL, dict(hidden_size=24, intermediate_size=37, **labels(3)), mask=False, segments=True),
    bert("qa", "BertForQuestionAnswering", SOME, dict(vocab_size=131, layer_norm_eps=1e-5), segments=True, spelling=5),
    bert("qa-right", "BertForQuestionAnswering", RIGHT, dict(hidden_size=24, intermediate_size=51, hidden_act="relu"), segments=True, gamma=True, spelling=4),
    bert("mlm-tied", "BertForMaskedLM", SOME, dict(vocab_size=103), segments=True, without=["cls.predictions.decoder."], spelling=5,
         note="decoder.weight and decoder.bias are not in the file"),
    bert("mlm-tied-repeated", "BertForMaskedLM", SOME, dict(hidden_size=24, intermediate_size=37, hidden_act="gelu_new"), segments=True, tie=True, spelling=4,
         note="the file repeats the tied tensors, as 4.x .bin files did"),
    bert("mlm-untied", "BertForMaskedLM", SOME, dict(hidden_size=24, intermediate_size=37, tie_word_embeddings=False), segments=True, spelling=5,
         note="decoder.bias counts, cls.predictions.bias is unused"),
    bert("mlm-tied-but-different", "BertForMaskedLM", RIGHT, dict(hidden_size=24, intermediate_size=37, hidden_act="relu"), segments=True, spelling=5,
         note="tie_word_embeddings is true, but the file holds a decoder of its own: 5.x keeps it"),
    bert("mlm-layernorm-eps", "BertForMaskedLM", LEFT, dict(hidden_size=24, intermediate_size=37, layer_norm_eps=1e-2), without=["cls.predictions.decoder."]),

    distilbert("model-mixed", "DistilBertModel", config=dict(n_layers=2, vocab_size=151), spelling=4),
    distilbert("model-no-mask", "DistilBertModel", FULL, dict(dim=24, hidden_dim=37, n_layers=2), mask=False, spelling=5),
    distilbert("model-left", "DistilBertModel", LEFT, dict(dim=40, n_heads=5, hidden_dim=51, activation="relu")),
    distilbert("model-masked-row", "DistilBertModel", ["111111", "......", "10110."], dict(dim=24, hidden_dim=37), skip_rows=[1],
               note="row 1 is masked throughout: compared nowhere, must not be NaN"),
    distilbert("model-sinusoidal", "DistilBertModel", MIXED, dict(dim=24, hidden_dim=37, sinusoidal_pos_embds=True), sinusoid=True,
               note="sinusoidal_pos_embds; the table is in the file, as 5.x writes it"),
    distilbert("model-position-ids", "DistilBertModel", MIXED, dict(max_position_embeddings=70, dim=24, hidden_dim=37), positions=True),
    distilbert("model-inputs-embeds", "DistilBertModel", RIGHT, dict(dim=24, hidden_dim=37, activation="gelu_new"), embeds=True),
    distilbert("model-from-headed", "DistilBertModel", MIXED, dict(dim=24, hidden_dim=37), saved_from="DistilBertForMaskedLM",
               note="written by DistilBertForMaskedLM: `distilbert.` prefix and unused vocab_* tensors"),
    distilbert("model-bare-config", "DistilBertModel", MIXED, dict(dim=24, hidden_dim=37),
               bare=True, note="config.json holds sizes only: defaults apply"),
    distilbert("model-bf16", "DistilBertModel", HOLES, dict(dim=64, n_heads=1, hidden_dim=51), store="bfloat16", spelling=5),
    distilbert("seqcls-1", "DistilBertForSequenceClassification", SOME, dict(dim=24, hidden_dim=37, **labels(1)), spelling=4),
    distilbert("seqcls-3", "DistilBertForSequenceClassification", MIXED, labels(3), spelling=5),
    distilbert("seqcls-5-fp16", "DistilBertForSequenceClassification", LEFT, dict(dim=40, n_heads=5, hidden_dim=51, activation="silu", **labels(5)), store="float16"),
    distilbert("seqcls-no-prefix", "DistilBertForSequenceClassification", HOLES, dict(dim=24, hidden_dim=37, **labels(3)), prefix="strip"),
    distilbert("tokencls-5", "DistilBertForTokenClassification", SOME, NAMED),
    distilbert("tokencls-3-no-mask", "DistilBertForTokenClassification", FULL, dict(dim=24, hidden_dim=37, **labels(3)), mask=False),
    distilbert("qa", "DistilBertForQuestionAnswering", SOME, dict(vocab_size=131), spelling=5),
    distilbert("mlm-tied", "DistilBertForMaskedLM", SOME, dict(vocab_size=103), without=["vocab_projector.weight"], spelling=5),
    distilbert("mlm-untied", "DistilBertForMaskedLM", RIGHT, dict(dim=24, hidden_dim=37, activation="relu", tie_word_embeddings=False), spelling=4),
    distilbert("mlm-gelu-new", "DistilBertForMaskedLM", HOLES, dict(dim=24, hidden_dim=37, activation="gelu_new"), without=["vocab_projector.weight"]),
]


def rng(*key):
    return np.random.RandomState(zlib.crc32("/".join(map(str, (SEED,) + key)).encode()))


def is_layer_norm(name):
    return "layernorm" in name.lower().replace("_", "")


def random_weight(key, name, shape):
    """Nothing stays at an initialisation constant: a forgotten bias or LayerNorm weight must show."""
    x = rng(key, name).standard_normal(tuple(shape))
    if is_layer_norm(name):
        x = 0.2 * x + (1.0 if name.endswith("weight") else 0.0)
    elif "embeddings" in name:
        x = 0.5 * x
    elif name.endswith("bias"):
        x = 0.2 * x
    else:
        x = x / np.sqrt(shape[-1])
    return torch.from_numpy(x.astype(np.float32))


def state_dict(c, config):
    cls = getattr(transformers, c.get("saved_from", c["architecture"]))
    key = f"{c['family']}/{c['name']}"
    weights = {k: random_weight(key, k, v.shape) for k, v in cls(config).state_dict().items()}
    if c.get("tie"):
        weights["cls.predictions.decoder.weight"] = weights["bert.embeddings.word_embeddings.weight"].clone()
        weights["cls.predictions.decoder.bias"] = weights["cls.predictions.bias"].clone()
    if c.get("sinusoid"):
        k = "embeddings.position_embeddings.weight"
        weights[k] = cls(config).state_dict()[k].clone()
    weights = {k: v for k, v in weights.items() if not any(k.startswith(w) for w in c.get("without", []))}
    if c.get("prefix") == "strip":
        weights = {k.removeprefix(c["family"] + "."): v for k, v in weights.items()}
    if c.get("gamma"):
        weights = {k.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): v for k, v in weights.items()}
    weights = {k: v.to(getattr(torch, c.get("store", "float32"))).contiguous() for k, v in weights.items()}
    for k, shape in c.get("stray", {}).items():
        weights[k] = torch.arange(shape[-1]).expand(shape).contiguous()
    return weights


def write_weights(c, directory, weights):
    names = sorted(weights)
    n = c.get("shards", 0)
    if not n:
        save_file({k: weights[k] for k in names}, os.path.join(directory, "model.safetensors"), {"format": "pt"})
        return
    index = {"metadata": {"total_size": sum(v.nbytes for v in weights.values())}, "weight_map": {}}
    for i in range(n):
        file = f"model-{i + 1:05}-of-{n:05}.safetensors"
        part = names[i::n]  # interleaved, so that every layer needs every file
        save_file({k: weights[k] for k in part}, os.path.join(directory, file), {"format": "pt"})
        index["weight_map"].update({k: file for k in part})
    index["weight_map"] = dict(sorted(index["weight_map"].items()))
    write_json(os.path.join(directory, "model.safetensors.index.json"), index)


def write_json(path, value):
    with open(path, "w", encoding="utf-8", newline="\n") as f:
        f.write(json.dumps(value, indent=1, ensure_ascii=True) + "\n")


def config_json(c, config):
    out = json.loads(config.to_json_string(use_diff=False))
    for k in [k for k, v in out.items() if k.startswith("_") or (v is None and k not in ("bos_token_id", "eos_token_id", "classifier_dropout"))]:
        del out[k]
    out = {k: v for k, v in out.items() if k not in ("output_attentions", "output_hidden_states", "return_dict", "chunk_size_feed_forward", "is_encoder_decoder", "problem_type")}
    out["architectures"], out["dtype"] = [c["architecture"]], c.get("store", "float32")
    if c.get("spelling") == 4:
        out["torch_dtype"] = out.pop("dtype")
        out.update(transformers_version="4.30.2", _name_or_path="tiny")
        if c["family"] == "bert":
            out.update(position_embedding_type="absolute", gradient_checkpointing=False)
        else:
            out.update(tie_weights_=True)
    if not any(k in c["config"] for k in ("id2label",)):
        out.pop("id2label", None), out.pop("label2id", None)
    if c.get("bare"):
        out = {k: out[k] for k in ("architectures", "model_type", *(BERT if c["family"] == "bert" else DISTILBERT))}
    return dict(sorted(out.items()))


def make_inputs(c, config):
    key = f"{c['family']}/{c['name']}"
    rows = c["rows"]
    batch, seq = len(rows), len(rows[0])
    assert all(len(r) == seq for r in rows) and seq <= config.max_position_embeddings
    ids = rng(key, "input_ids").randint(0, config.vocab_size, (batch, seq))
    mask = np.array([[ch == "1" for ch in r] for r in rows]).astype(np.int64)
    ids[np.array([[ch == "." for ch in r] for r in rows])] = 0
    ids[0, seq // 2] = 0  # an attended pad id is a token like any other
    inputs = {"input_ids": ids.astype(np.int64)}
    if c.get("embeds"):
        del inputs["input_ids"]
        inputs["inputs_embeds"] = (0.5 * rng(key, "inputs_embeds").standard_normal((batch, seq, config.hidden_size))).astype(np.float32)
    if c.get("mask", True):
        inputs["attention_mask"] = mask
    else:
        assert mask.all()
    if c.get("segments"):
        types = [[int(j >= 3 + i) for j in range(seq)] for i in range(batch)]
        types[0][1] = 1  # not only one switch
        inputs["token_type_ids"] = np.array(types, np.int64) * mask
    if c.get("positions"):
        r = rng(key, "position_ids")
        inputs["position_ids"] = np.stack([r.permutation(config.max_position_embeddings)[:seq] for _ in rows]).astype(np.int64)
    return {k: torch.from_numpy(v) for k, v in inputs.items()}


def expected_outputs(c, model, inputs):
    with torch.no_grad():
        out = model(**inputs, output_hidden_states=True)
    flat = {k: v for k, v in out.items() if torch.is_tensor(v) and k not in c.get("drop_outputs", [])}
    flat.update({f"hidden_states.{i}": h for i, h in enumerate(out.hidden_states)})
    return {k: v.to(torch.float32).clone() for k, v in flat.items()}


def check_loading(c, info):
    """HF must have taken every weight it needs from the file, but for what the case leaves out on purpose."""
    missing = [k for k in info["missing_keys"] if not any(k.startswith(w) for w in c.get("without", []))]
    assert not missing and not info["mismatched_keys"], (c["name"], info)
    if info["unexpected_keys"]:
        assert c.get("saved_from") or c.get("stray"), (c["name"], info)


def make_case(c):
    directory = os.path.join(OUT, c["family"], c["name"])
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    config = (transformers.BertConfig if c["family"] == "bert" else transformers.DistilBertConfig)(**c["config"])
    write_json(os.path.join(directory, "config.json"), config_json(c, config))
    write_weights(c, directory, state_dict(c, config))

    cls = getattr(transformers, c["architecture"])
    model, info = cls.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    check_loading(c, info)
    model.eval()
    for k, v in c["config"].items():  # what was left out of config.json must be HF's default
        assert getattr(model.config, k) == v, (c["name"], k)

    inputs = make_inputs(c, config)
    expected = expected_outputs(c, model, inputs)
    save_file(inputs, os.path.join(directory, "inputs.safetensors"))
    save_file(expected, os.path.join(directory, "expected.safetensors"))
    noise = max(float((v - expected[k]).abs().max()) for k, v in expected_outputs(c, model.double(), {
        k: v.double() if v.is_floating_point() else v for k, v in inputs.items()}).items())
    assert noise < 2e-5, (c["name"], noise)  # float32's own error must stay far below the tolerance
    shape = next(iter(inputs.values())).shape[:2]
    skip = c.get("skip_rows", [])
    for k, v in expected.items():
        assert torch.isfinite(v[[i for i in range(shape[0]) if i not in skip]]).all(), (c["name"], k)
    pooled = {"pooler_output"} | ({"logits"} if c["architecture"].endswith("SequenceClassification") else set())
    token_wise = [k for k in expected if k not in pooled]
    meta = {
        "id": f"{c['family']}-{c['name']}", "kind": "forward", "model_dir": ".", "architecture": c["architecture"],
        "args": ["forward", "{model}", "--inputs", "{inputs}", "--output", "{output}", "--dtype", "fp32", "--output-hidden-states"],
        "tolerance": {"abs": 2e-4},
        "masks": {k: "attention_mask" for k in token_wise} if "attention_mask" in inputs else {},
        "skip_rows": skip,
        "made_with": f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}", "seed": SEED,
    }
    if "note" in c:
        meta["note"] = c["note"]
    write_json(os.path.join(directory, "case.json"), meta)
    size = sum(os.path.getsize(os.path.join(directory, f)) for f in os.listdir(directory))
    assert size < LIMIT, f"{c['name']}: {size} bytes"
    peak = max(float(v.abs().max()) for v in expected.values())
    print(f"{meta['id']:34} {size:7} bytes  max |x| {peak:.2f}  {' '.join(k for k in expected if not k.startswith('hidden'))}")


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
        if fnmatch.fnmatch(f"{c['family']}/{c['name']}", only):
            make_case(c)


if __name__ == "__main__":
    main()
