#!/usr/bin/env python3
"""Writes tests/data/pipelines/<case>/: a tiny model directory with its tokenizer, and calls.json: what HF's pipeline returns.

Usage: python tests/reference/make_pipelines.py [--only GLOB]    (environment: tests/reference/README.md)

calls.json: {"id", "task", "made_with", "tolerance", "calls": [{"input", "options", "want" | "error"}, ...]}.
Tasks: text-classification and feature-extraction (transformers), sentence-embeddings (sentence-transformers:
`want` is one vector for a string, a list of vectors for a list). All in float32, eager attention, on one thread.
"""
import argparse, fnmatch, json, os, shutil, sys

os.environ["RUST_BACKTRACE"] = "0"

import numpy as np
import sentence_transformers
import torch
import transformers
from model_cases import SEED, TRANSFORMERS, config_json, random_weight, write_json
from make_tokenizers import bert_normalizer, config as tokenizer_settings, tokenizer_json
from safetensors.torch import save_file

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data", "pipelines")
LONG = "how can I describe my emotions at this catastrophe, or how delineate the wretch whom with such infinite pains and care I had endeavoured to form? his limbs were in proportion, and I had selected his features as beautiful."
TEXTS = ["I love this movie, it was wonderful!", "I hate this.", "a", "", "caf\u00e9 \U0001f600 \u4e2d\u6587 e\u0301", "What is the capital of France?", "  spaces   around  "]

SIZES = {"bert": dict(hidden_size=18, num_hidden_layers=1, num_attention_heads=3, intermediate_size=22, max_position_embeddings=48),
         "distilbert": dict(dim=18, n_layers=2, n_heads=3, hidden_dim=22, max_position_embeddings=48)}


def names(*labels):
    return dict(id2label=dict(enumerate(labels)), label2id={l: i for i, l in enumerate(labels)})


def write_model(directory, family, architecture, lower=True, settings=None, **config):
    """config.json, model.safetensors, tokenizer.json, tokenizer_config.json; weights keyed by the directory's name."""
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    tokenizer = tokenizer_json(normalizer=bert_normalizer(lowercase=lower), pieces=120, share=40)
    write_json(os.path.join(directory, "tokenizer_config.json"), tokenizer_settings(**{"do_lower_case": lower, "model_max_length": 40, **(settings or {})}))
    with open(os.path.join(directory, "tokenizer.json"), "w", encoding="utf-8", newline="\n") as f:
        f.write(json.dumps(tokenizer, indent=0, ensure_ascii=False) + "\n")
    spec = {**SIZES[family], "vocab_size": len(tokenizer["model"]["vocab"]), **config}
    cls = transformers.BertConfig if family == "bert" else transformers.DistilBertConfig
    config = cls(**spec)
    written = config_json(dict(family=family, architecture=architecture, config=spec), config)
    if spec.get("problem_type"):
        written["problem_type"] = spec["problem_type"]
    write_json(os.path.join(directory, "config.json"), written)
    state = getattr(transformers, architecture)(config).state_dict()
    save_file({k: gain(k) * random_weight(os.path.basename(directory), k, v.shape) for k, v in sorted(state.items())}, os.path.join(directory, "model.safetensors"), {"format": "pt"})


def gain(name):
    """Louder than make_models: the answer must depend on the words, not only on [CLS] and the biases."""
    return next((g for part, g in (("word_embeddings", 3), ("query", 3), ("key.w", 3), ("q_lin", 3), ("k_lin.w", 3), ("value", 2), ("v_lin", 2), ("classifier.w", 4)) if part in name), 1)


def plain(x):
    """JSON-ready; floats in the shortest decimal that reads back to the same float32."""
    if isinstance(x, dict):
        return {k: plain(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [plain(v) for v in x]
    if isinstance(x, np.ndarray):
        return plain(x.tolist())
    return float(str(np.float32(x))) if isinstance(x, float) else x


def call(function, value, **options):
    row = {"input": value, "options": options}
    try:
        return {**row, "want": plain(function(value, **options))}
    except Exception as error:
        return {**row, "error": f"{type(error).__name__}: {str(error).splitlines()[0]}"}


def write_calls(directory, task, calls, note="", score=1e-4):
    meta = {"id": os.path.basename(directory), "task": task, "tolerance": {"score": score}, "seed": SEED,
            "made_with": f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}" + (f", sentence-transformers {sentence_transformers.__version__}" if task == "sentence-embeddings" else "")}
    if note:
        meta["note"] = note
    lines = ",\n".join(json.dumps(c) for c in calls)
    with open(os.path.join(directory, "calls.json"), "w", encoding="utf-8", newline="\n") as f:
        f.write(json.dumps(meta, indent=1)[:-2] + ',\n "calls": [\n' + lines + "\n]}\n")
    json.load(open(os.path.join(directory, "calls.json"), encoding="utf-8"))
    size = sum(os.path.getsize(os.path.join(d, f)) for d, _, files in os.walk(directory) for f in files)
    print(f"{meta['id']:34} {task:20} {len(calls):3} calls {sum('error' in c for c in calls)} errors {size:7} bytes")


# ---- text-classification -----------------------------------------------------------------------------------------

CLASSIFIERS = {
    "textcls-3": dict(family="bert", architecture="BertForSequenceClassification", **names("NEGATIVE", "NEUTRAL", "POSITIVE"), full=True),
    "textcls-2-default-labels": dict(family="distilbert", architecture="DistilBertForSequenceClassification", settings={"tokenizer_class": "DistilBertTokenizer"}),
    "textcls-1": dict(family="bert", architecture="BertForSequenceClassification", **names("relevance")),
    "textcls-1-regression": dict(family="bert", architecture="BertForSequenceClassification", problem_type="regression", **names("LABEL_0")),
    "textcls-3-regression": dict(family="bert", architecture="BertForSequenceClassification", problem_type="regression", **names("x", "y", "z")),
    "textcls-4-multi-label": dict(family="bert", architecture="BertForSequenceClassification", problem_type="multi_label_classification", **names("toxic", "tr\u00e8s bon", "5 \"stars\"", "\u4e2d")),
    "textcls-5-cased": dict(family="bert", architecture="BertForSequenceClassification", lower=False, problem_type="single_label_classification", **names("A", "B", "C", "D", "E")),
}


def make_classifier(name, full=False, **spec):
    directory = os.path.join(OUT, name)
    write_model(directory, **spec)
    pipe = transformers.pipeline("text-classification", model=directory, dtype=torch.float32, model_kwargs={"attn_implementation": "eager"}, device="cpu")
    calls = [call(pipe, t) for t in TEXTS]
    calls += [call(pipe, TEXTS[0], top_k=k) for k in (1, 2, 0, 99, None)]
    calls += [call(pipe, TEXTS[1], function_to_apply=f, **o) for f in ("none", "sigmoid", "softmax") for o in ({}, {"top_k": None})]
    calls += [call(pipe, {"text": TEXTS[5], "text_pair": "Paris."}), call(pipe, TEXTS[:3]), call(pipe, TEXTS[:2], top_k=2), call(pipe, LONG, truncation=True)]
    if full:
        calls += [call(pipe, [TEXTS[0]]), call(pipe, [TEXTS[0]], top_k=1), call(pipe, TEXTS[:2], top_k=None), call(pipe, {"text": TEXTS[0]}), call(pipe, {"text": TEXTS[0]}, top_k=None),
                  call(pipe, {"text": TEXTS[0], "text_pair": ""}), call(pipe, [{"text": TEXTS[0], "text_pair": "b"}, {"text": "c"}]), call(pipe, [{"text": "c"}], top_k=2), call(pipe, [[[TEXTS[0], "b"]]]), call(pipe, [["a", "b"]]),
                  call(pipe, TEXTS[0], function_to_apply="SoftMax"), call(pipe, TEXTS[0], function_to_apply="default"), call(pipe, TEXTS[0], function_to_apply="bogus"), call(pipe, TEXTS[:2], function_to_apply="sigmoid", top_k=3),
                  call(pipe, LONG), call(pipe, LONG, truncation=True, max_length=7), call(pipe, {"text": LONG, "text_pair": LONG}, truncation=True), call(pipe, {"text": LONG, "text_pair": "b"}, truncation="only_first"), call(pipe, TEXTS[:3], batch_size=2)]
    best = {c["want"][0]["label"] for c in calls[:len(TEXTS)]}
    assert len(best) > 1 or pipe.model.config.num_labels == 1, (name, best)
    write_calls(directory, "text-classification", calls)


# ---- feature-extraction ------------------------------------------------------------------------------------------

FEATURES = {
    "features-bert": dict(family="bert", architecture="BertModel", num_hidden_layers=2),
    "features-distilbert": dict(family="distilbert", architecture="DistilBertModel", settings={"tokenizer_class": "DistilBertTokenizer"}),
    "features-headed": dict(family="bert", architecture="BertForSequenceClassification", **names("a", "b", "c")),
}


def make_features(name, **spec):
    directory = os.path.join(OUT, name)
    write_model(directory, **spec)
    pipe = transformers.pipeline("feature-extraction", model=directory, dtype=torch.float32, model_kwargs={"attn_implementation": "eager"}, device="cpu")
    calls = [call(pipe, TEXTS[1]), call(pipe, ""), call(pipe, TEXTS[4]), call(pipe, ["a", "hello world"]), call(pipe, LONG, truncation=True, tokenize_kwargs={"max_length": 6}),
             call(pipe, LONG, tokenize_kwargs={"truncation": True, "max_length": 6}), call(pipe, "a", tokenize_kwargs={"add_special_tokens": False}), call(pipe, LONG), call(pipe, "a", truncation=True)]
    write_calls(directory, "feature-extraction", calls, score=2e-4, note="the pipeline loads the base model, whatever head the checkpoint has" if "For" in spec["architecture"] else "")


# ---- sentence embeddings -----------------------------------------------------------------------------------------

def legacy_pooling(*modes):
    return {"word_embedding_dimension": 18, **{f"pooling_mode_{m}": m in modes for m in ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens")}}


SENTENCES = {
    "sentences-mean-normalize": dict(pooling=legacy_pooling("mean_tokens"), normalize=True, limits={"max_seq_length": 24, "do_lower_case": False}),
    "sentences-cls": dict(pooling=legacy_pooling("cls_token"), limits={"max_seq_length": 12, "do_lower_case": False}),
    "sentences-max": dict(pooling=legacy_pooling("max_tokens"), normalize=True),
    "sentences-sqrt-len-lower": dict(pooling=legacy_pooling("mean_sqrt_len_tokens"), lower=False, limits={"max_seq_length": 20, "do_lower_case": True}),
    "sentences-cls-and-mean": dict(pooling=legacy_pooling("cls_token", "mean_tokens"), normalize=True, limits={"max_seq_length": 24}),
    "sentences-new-spelling": dict(pooling={"embedding_dimension": 18, "pooling_mode": "mean", "include_prompt": True}, normalize=True, new=True),
    "sentences-dense": dict(pooling=legacy_pooling("mean_tokens"), normalize=True, dense=[dict(in_features=18, out_features=30, bias=False, activation_function="torch.nn.modules.linear.Identity"),
                            dict(in_features=30, out_features=11, bias=True, activation_function="torch.nn.modules.activation.Tanh"), dict(in_features=11, out_features=11, bias=True,
                            activation_function="torch.nn.modules.activation.ReLU", use_residual=True)]),
    "sentences-no-pooling": dict(pooling=None, family="distilbert", architecture="DistilBertModel", settings={"tokenizer_class": "DistilBertTokenizer"}),
}


SIMILARITIES = {  # what config_sentence_transformers.json says, if there is one
    "similarity-cosine": dict(pooling=legacy_pooling("mean_tokens"), limits={"max_seq_length": 24}),
    "similarity-dot": dict(pooling=legacy_pooling("cls_token"), similarity="dot"),
}


def make_similarities(name, **spec):
    model = make_sentences(name, **spec)
    def similarity(value, similarity_fn_name=None):
        model.similarity_fn_name = similarity_fn_name or spec.get("similarity", "cosine")
        return model.similarity(model.encode(value["source_sentence"], show_progress_bar=False), model.encode(value["sentences"], show_progress_bar=False))[0].numpy()
    sentences = [TEXTS[1], "I like it.", "", LONG, TEXTS[4]]
    calls = [call(similarity, {"source_sentence": t, "sentences": sentences}) for t in TEXTS[:4]]
    calls += [call(similarity, {"source_sentence": TEXTS[0], "sentences": sentences[:3]}, similarity_fn_name=f) for f in ("cosine", "dot", "euclidean", "manhattan")]
    write_calls(os.path.join(OUT, name), "sentence-similarity", calls)


def make_sentences(name, pooling, similarity=None, normalize=False, limits=None, new=False, dense=(), family="bert", architecture="BertModel", **spec):
    directory = os.path.join(OUT, name)
    write_model(directory, family, architecture, **spec)
    kinds = ["base.modules.transformer.Transformer", "sentence_transformer.modules.pooling.Pooling", "sentence_transformer.modules.normalize.Normalize"] if new else ["models.Transformer", "models.Pooling", "models.Normalize"]
    paths = ["", "1_Pooling", "2_Normalize"][:3 if normalize else 2]
    if dense:
        kinds[2:2], paths[2:2] = ["models.Dense"] * len(dense), [f"{i + 2}_Dense" for i in range(len(dense))]
    for i, config in enumerate(dense):
        folder = os.path.join(directory, f"{i + 2}_Dense")
        os.makedirs(folder)
        write_json(os.path.join(folder, "config.json"), config)
        shapes = {"linear.weight": (config["out_features"], config["in_features"]), **({"linear.bias": (config["out_features"],)} if config["bias"] else {})}
        save_file({k: random_weight(f"{name}/{i}", k, shape) for k, shape in shapes.items()}, os.path.join(folder, "model.safetensors"), {"format": "pt"})
    if pooling:
        write_json(os.path.join(directory, "modules.json"), [{"idx": i, "name": str(i), "path": p, "type": f"sentence_transformers.{kinds[i]}"} for i, p in enumerate(paths)])
        os.makedirs(os.path.join(directory, "1_Pooling"))
        write_json(os.path.join(directory, "1_Pooling", "config.json"), pooling)
    if limits:
        write_json(os.path.join(directory, "sentence_bert_config.json"), limits)
    if similarity:
        write_json(os.path.join(directory, "config_sentence_transformers.json"), {"prompts": {}, "default_prompt_name": None, "similarity_fn_name": similarity})
    model = sentence_transformers.SentenceTransformer(directory, device="cpu", model_kwargs={"dtype": torch.float32, "attn_implementation": "eager"})
    embed = lambda texts, **options: model.encode(texts, show_progress_bar=False, **options)
    calls = [call(embed, t) for t in (*TEXTS, "UPPER and Lower", LONG)]
    calls += [call(embed, [TEXTS[0], "", LONG, "a", TEXTS[4]]), call(embed, TEXTS[:2], normalize_embeddings=True)]
    write_calls(directory, "sentence-embeddings", calls, note="no modules.json: sentence-transformers falls back to mean pooling" if not pooling else "")
    return model


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--only", default="*", help="glob over case names")
    only = ap.parse_args().only
    if transformers.__version__ != TRANSFORMERS:
        sys.exit(f"error: transformers {TRANSFORMERS} is pinned, found {transformers.__version__}")
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    for make, cases in ((make_classifier, CLASSIFIERS), (make_features, FEATURES), (make_sentences, SENTENCES), (make_similarities, SIMILARITIES)):
        for name, spec in cases.items():
            if fnmatch.fnmatch(name, only):
                make(name, **spec)


if __name__ == "__main__":
    main()
