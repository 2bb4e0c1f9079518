"""What the generators of model cases share: a case becomes a tiny random checkpoint and what Hugging Face answers on it.

Used by make_models.py, make_encoders.py ...: each has a list of cases and ends with `main(CASES, __doc__)`.

One case is one directory tests/data/models/<family>/<case>/, a Hugging Face model directory plus one batch:
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

# A batch is a list of rows; a row is its attention mask as a string: 1 attended, 0 masked, "." masked and holding
# the pad id. All rows have the same length. "mask": False leaves attention_mask out (then every row is all 1).
MIXED = ["11111111111", "1111111....", "....1111111", "11011101001", "0.11110110."]
SOME = ["11111111111", "111111.....", "...11110110"]
RIGHT = ["1111111", "11111..", "111....", "1......"]
LEFT = ["11111111", "..111111", ".......1"]
HOLES = ["1011101", "0110011", "1110111"]
FULL = ["111111111", "111111111", "111111111"]


def labels(n):
    return dict(id2label={i: f"LABEL_{i}" for i in range(n)}, label2id={f"LABEL_{i}": i for i in range(n)})


NER = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
NAMED = dict(id2label=dict(enumerate(NER)), label2id={l: i for i, l in enumerate(NER)})

# options: segments (give token_type_ids), positions (give explicit position_ids), embeds (inputs_embeds instead of
# input_ids), mask, store (dtype of the file), shards, prefix ("strip": no `bert.`), gamma (old LayerNorm names),
# stray (extra tensors), without (tensors left out of the file), saved_from (the class that wrote the file), tie and sinusoid
# (what those tensors hold), choices (sequences of a multiple choice), whole (cannot be cut into calls), tolerance, float64 (False: skip the check of the noise, the model computes softmax in float32 only), spelling (4 or 5: of config.json), bare (a config.json of sizes), drop_outputs, skip_rows, note.


def case(model_type, sizes, name, architecture, rows=MIXED, config=None, **options):
    """One case of a family: `sizes` is the family's small config, `config` what the case changes of it."""
    return dict(family=model_type.replace("-", "_"), model_type=model_type, sizes=sizes, name=name, architecture=architecture, rows=rows,
                config={**sizes, **(config or {})}, **options)


def rng(*key):
    return np.random.RandomState(zlib.crc32("/".join(map(str, (SEED,) + key)).encode()))


def is_layer_norm(name):
    return any(part.lower().endswith("norm") for part in name.split(".")[:-1])


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
        for target, source in cls._tied_weights_keys.items():
            weights[target] = weights[source].clone()
    if c.get("sinusoid"):
        k = "embeddings.position_embeddings.weight"
        weights[k] = cls(config).state_dict()[k].clone()
    weights = {k: v for k, v in weights.items() if not any(k.startswith(w) for w in c.get("without", []))}
    if c.get("prefix") == "strip":
        weights = {k.removeprefix(cls.base_model_prefix + "."): v for k, v in weights.items()}
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
    for k in [k for k, v in out.items() if k.startswith("_") or (v is None and k not in ("bos_token_id", "eos_token_id", "classifier_dropout", *c["config"]))]:
        del out[k]
    out = {k: v for k, v in out.items() if k not in ("output_attentions", "output_hidden_states", "return_dict", "chunk_size_feed_forward", "is_encoder_decoder", "problem_type") or k in c["config"]}
    out["architectures"], out["dtype"] = [c["architecture"]], c.get("store", "float32")
    if c.get("spelling") == 4:
        out["torch_dtype"] = out.pop("dtype")
        if c["family"] == "modernbert":
            del out["layer_types"], out["rope_parameters"]
            out.update(global_attn_every_n_layers=3, global_rope_theta=160000.0, local_rope_theta=10000.0)
        if isinstance(out.get("pos_att_type"), list):
            out["pos_att_type"] = "|".join(out["pos_att_type"])
        out.update(transformers_version="4.30.2", _name_or_path="tiny")
        if c["family"] == "distilbert":
            out.update(tie_weights_=True)
        else:
            out.update(position_embedding_type="absolute", gradient_checkpointing=False)
    if not any(k in c["config"] for k in ("id2label",)):
        out.pop("id2label", None), out.pop("label2id", None)
    if c.get("bare"):
        out = {k: out[k] for k in ("architectures", "model_type", *c["sizes"])}
    return dict(sorted(out.items()))


def make_inputs(c, config):
    key = f"{c['family']}/{c['name']}"
    rows = c["rows"]
    batch, seq = len(rows), len(rows[0])
    assert all(len(r) == seq for r in rows)
    ids = rng(key, "input_ids").randint(0, config.vocab_size, (batch, seq))
    mask = np.array([[ch == "1" for ch in r] for r in rows]).astype(np.int64)
    ids[np.array([[ch == "." for ch in r] for r in rows])] = config.pad_token_id
    ids[0, seq // 2] = config.pad_token_id  # an attended pad id is a token like any other
    inputs = {"input_ids": ids.astype(np.int64)}
    if c.get("embeds"):
        del inputs["input_ids"]
        inputs["inputs_embeds"] = (0.5 * rng(key, "inputs_embeds").standard_normal((batch, seq, getattr(config, "embedding_size", config.hidden_size)))).astype(np.float32)
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
    if c.get("choices"):
        inputs = {k: v.reshape(-1, c["choices"], *v.shape[1:]) for k, v in inputs.items()}
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
    config = transformers.AutoConfig.for_model(c["model_type"], **c["config"])
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
    assert noise < 2e-5 or not c.get("float64", True), (c["name"], noise)  # float32's own error must stay far below the tolerance
    skip = c.get("skip_rows", [])
    for k, v in expected.items():
        assert torch.isfinite(v[[i for i in range(len(v)) if i not in skip]]).all(), (c["name"], k)
    pooled = {"pooler_output", "seq_relationship_logits", "sop_logits"}
    if c["architecture"].endswith(("SequenceClassification", "MultipleChoice", "NextSentencePrediction")):
        pooled.add("logits")
    token_wise = [k for k in expected if k not in pooled]
    meta = {
        "id": f"{c['family']}-{c['name']}", "kind": "forward", "model_dir": ".", "architecture": c["architecture"],
        "args": ["forward", "{model}", "--inputs", "{inputs}", "--output", "{output}", "--dtype", "fp32", "--output-hidden-states"],
        "tolerance": {"abs": c.get("tolerance", 1e-4)},
        "masks": {k: "attention_mask" for k in token_wise} if "attention_mask" in inputs else {},
        "skip_rows": skip,
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
    print(f"{meta['id']:34} {size:7} bytes  max |x| {peak:.2f}  {' '.join(k for k in expected if not k.startswith('hidden'))}")


def main(cases, doc, make=make_case):
    ap = argparse.ArgumentParser(description=doc.splitlines()[0])
    ap.add_argument("--only", default="*", help="glob over <family>/<case>")
    only = ap.parse_args().only
    if transformers.__version__ != TRANSFORMERS:
        sys.exit(f"error: transformers {TRANSFORMERS} is pinned, found {transformers.__version__}")
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)  # the sums must not depend on the machine's cores
    for c in cases:
        if fnmatch.fnmatch(f"{c['family']}/{c['name']}", only):
            make(c)
