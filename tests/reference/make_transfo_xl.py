#!/usr/bin/env python3
"""Writes tests/data/models/transfo_xl/<case>/: Transformer-XL, which only transformers 4 has, as shipped it does not run.

Usage: python tests/reference/make_transfo_xl.py [--only GLOB]     (environment of tests/reference/README.md, transformers 4.57.6)

One call is patched: `type_as(dtype=...)`, which no tensor has. A case is what model_cases.py describes.
"""
import json, os, shutil

import model_cases
import numpy as np
import torch
import transformers
from model_cases import LIMIT, OUT, SEED, labels, main, rng, write_json
from safetensors.torch import save_file
from transformers.models.deprecated import transfo_xl

TRANSFORMERS = "4.57.6"
BASE = dict(vocab_size=61, cutoffs=[20, 40], d_model=24, d_embed=24, n_head=3, d_head=7, d_inner=33, div_val=2, n_layer=2, mem_len=9, clamp_len=12,
            same_length=True, proj_share_all_but_first=True, pre_lnorm=False, untie_r=True, tie_word_embeddings=True)
ROWS = (3, 11)


def case(name, architecture, config=None, **options):
    return dict(family="transfo_xl", name=name, architecture=architecture, config={**BASE, **(config or {})}, **options)


# options: shape (batch, seq), embeds, pad (the id at some places of the input)
CASES = [
    case("model", "TransfoXLModel"),
    case("model-pre-lnorm", "TransfoXLModel", dict(pre_lnorm=True, same_length=False, clamp_len=-1)),
    case("model-embeds", "TransfoXLModel", dict(mem_len=40, clamp_len=5), embeds=True),
    case("lm", "TransfoXLLMHeadModel"),
    case("lm-long", "TransfoXLLMHeadModel", dict(mem_len=33, clamp_len=0), shape=(1, 45)),
    case("lm-one-table", "TransfoXLLMHeadModel", dict(div_val=1, d_embed=18)),
    case("lm-one-table-plain", "TransfoXLLMHeadModel", dict(div_val=1, tie_word_embeddings=False, same_length=False)),
    case("lm-untied", "TransfoXLLMHeadModel", dict(tie_word_embeddings=False, proj_share_all_but_first=False, div_val=3)),
    case("lm-no-clusters", "TransfoXLLMHeadModel", dict(cutoffs=[], d_embed=18, div_val=1)),
    case("lm-shared-biases", "TransfoXLLMHeadModel", dict(untie_r=False)),
    case("lm-no-memory", "TransfoXLLMHeadModel", dict(mem_len=0, same_length=False)),
    case("lm-no-memory-same-length", "TransfoXLLMHeadModel", dict(mem_len=0), whole=True),
    case("seqcls", "TransfoXLForSequenceClassification", dict(pad_token_id=0, **labels(3)), pad=0),
]


def to_type_as(tensor, other=None, dtype=None):
    return tensor.to(dtype) if dtype is not None else ORIGINAL(tensor, other)


ORIGINAL = torch.Tensor.type_as
torch.Tensor.type_as = to_type_as


def random_weight(c, name, shape):
    x = rng(f"transfo_xl/{c['name']}", name).standard_normal(tuple(shape))
    if "layer_norm" in name:
        x = 0.2 * x + (1.0 if name.endswith("weight") else 0.0)
    elif "emb_layers" in name or "out_layers" in name and name.endswith("weight"):
        x = 0.4 * x
    elif "bias" in name:
        x = 0.3 * x
    else:
        x = x / np.sqrt(shape[-1])
    return torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))


def make_case(c):
    directory = os.path.join(OUT, c["family"], c["name"])
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    config = transfo_xl.TransfoXLConfig(**c["config"])
    cls = getattr(transfo_xl, c["architecture"])
    model = cls(config)
    values = {}  # tied tensors once, under the first of their names
    names = {}
    for name, tensor in model.state_dict().items():
        if name.endswith("inv_freq"):
            continue
        values.setdefault(tensor.data_ptr(), random_weight(c, name, tensor.shape).to(torch.bfloat16))
        # The biases that layers share stand in .bin files under every name, and from_pretrained needs them all.
        keep = names.setdefault(tensor.data_ptr(), [name])
        if name.endswith(("r_r_bias", "r_w_bias")) and name not in keep:
            keep.append(name)
    file = {name: v.clone().contiguous() for p, v in values.items() for name in names[p]}
    save_file(file, os.path.join(directory, "model.safetensors"), {"format": "pt"})
    out = {k: v for k, v in json.loads(config.to_json_string(use_diff=False)).items() if k in {**c["config"], "tie_projs": 0, "model_type": 0}}
    out.update(architectures=[c["architecture"]], model_type="transfo-xl")
    if "id2label" not in c["config"]:
        out.pop("id2label", None)
    write_json(os.path.join(directory, "config.json"), dict(sorted(out.items())))

    model, info = cls.from_pretrained(directory, dtype=torch.float32, output_loading_info=True)
    loaded = {t.data_ptr() for n, t in model.state_dict().items() if n in file}
    missing = [k for k in info["missing_keys"] if model.state_dict()[k].data_ptr() not in loaded and not k.endswith("inv_freq")]
    assert not missing and not info["mismatched_keys"], (c["name"], info, missing)
    model.eval()

    key = f"transfo_xl/{c['name']}"
    batch, seq = c.get("shape", ROWS)
    ids = rng(key, "input_ids").randint(1, config.vocab_size, (batch, seq)).astype(np.int64)
    if "pad" in c:
        ids[0, seq - 3:], ids[1, 4], ids[2, 0] = c["pad"], c["pad"], c["pad"]
    inputs = {"input_ids": torch.from_numpy(ids)}
    if c.get("embeds"):
        inputs = {"inputs_embeds": torch.from_numpy((0.5 * rng(key, "inputs_embeds").standard_normal((batch, seq, config.d_model))).astype(np.float32))}
    with torch.no_grad():
        answer = model(**inputs, output_hidden_states=True)
    expected = {k: v for k, v in answer.items() if torch.is_tensor(v)}
    expected.update({f"hidden_states.{i}": h for i, h in enumerate(answer.hidden_states)})
    expected = {k: v.to(torch.float32).clone().contiguous() for k, v in expected.items()}
    save_file(inputs, os.path.join(directory, "inputs.safetensors"))
    save_file(expected, os.path.join(directory, "expected.safetensors"))
    meta = {
        "id": f"transfo_xl-{c['name']}", "kind": "forward", "model_dir": ".", "architecture": c["architecture"],
        "args": ["forward", "{model}", "--inputs", "{inputs}", "--output", "{output}", "--dtype", "fp32", "--output-hidden-states"],
        "tolerance": {"abs": 2e-4}, "masks": {}, "skip_rows": [],
        "made_with": f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}", "seed": SEED,
    }
    if c.get("whole") or not c["config"]["same_length"]:
        meta["whole"] = True  # what a token sees depends on where its segment begins
    write_json(os.path.join(directory, "case.json"), meta)
    size = sum(os.path.getsize(os.path.join(directory, f)) for f in os.listdir(directory))
    assert size < LIMIT, f"{c['name']}: {size} bytes"
    print(f"{meta['id']:34} {size:7} bytes  max |x| {max(float(v.abs().max()) for v in expected.values()):.2f}  {' '.join(k for k in expected if not k.startswith('hidden'))}")


if __name__ == "__main__":
    model_cases.TRANSFORMERS = TRANSFORMERS
    main(CASES, __doc__, make_case)
