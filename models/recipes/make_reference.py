# What Hugging Face answers: runs a task's pipeline in float32 over the lines of a file.
#
# Where it stands: writes the expected answers that tests compare the library with.
# Usage: python make_reference.py TASK MODEL_DIR INPUT > OUT
#   TASK is text-classification, token-classification, zero-shot-classification, feature-extraction (an embedding of each
#   text, as sentence-transformers makes it: mean of the tokens, length 1), question-answering, text-generation, translation,
#   summarization or text2text-generation.
#   INPUT: *.tsv has a header line and the text in its first column, *.txt a text a line: OUT has {"text", ...the answer} a
#   line. calls.json of tests/data/pipelines/bundled-*: OUT is the same file with "want" in each of its calls.
#   A directory that `tcpp quantize` wrote is given to Hugging Face as the floats that its integers stand for.
# Source: transformers 5.23, pipelines/; 4.57.6 for those of the tasks that 5 has not (REMOVED);
#   attn_implementation="eager", one text at a time. Numbers are the shortest decimals that are the same float32.
import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers import AutoConfig, AutoTokenizer, pipeline

from common import as_floats

CLASSES = {"text-classification": "AutoModelForSequenceClassification",
           "zero-shot-classification": "AutoModelForSequenceClassification",
           "token-classification": "AutoModelForTokenClassification", "feature-extraction": "AutoModel",
           "question-answering": "AutoModelForQuestionAnswering", "text-generation": "AutoModelForCausalLM",
           "translation": "AutoModelForSeq2SeqLM", "summarization": "AutoModelForSeq2SeqLM",
           "text2text-generation": "AutoModelForSeq2SeqLM"}
REMOVED = ("question-answering", "translation", "summarization", "text2text-generation")


def load(task, path):
    model_class = getattr(transformers, CLASSES[task])
    config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    if config.pop("quantization_config", None) is None:
        return model_class.from_pretrained(path, dtype=torch.float32, attn_implementation="eager")
    config = AutoConfig.for_model(**config)
    model = model_class.from_config(config, attn_implementation="eager", torch_dtype=torch.float32)
    known, weights = model.state_dict(), as_floats(path)
    prefix = "" if any(name in known for name in weights) else model.base_model_prefix + "."
    missing, _ = model.load_state_dict({prefix + name: value for name, value in weights.items()}, strict=False)
    model.tie_weights()
    if missing := [name for name in missing if not name.startswith(("pooler.", "lm_head.")) and
                   "embed_tokens" not in name and "embed_positions" not in name]:
        sys.exit(f"make_reference.py: no {missing[0]} in {path}")
    if (path / "generation_config.json").exists():
        model.generation_config = transformers.GenerationConfig.from_pretrained(path)
    return model.eval()


def short(value):
    """Floats as the shortest decimal that is the same float32, at any depth; tensors as lists."""
    if isinstance(value, dict):
        return {key: short(item) for key, item in value.items()}
    if isinstance(value, torch.Tensor):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [short(item) for item in value]
    return float(str(np.float32(value))) if isinstance(value, (float, np.floating)) else value


def texts(path):
    lines = [line for line in path.read_text(encoding="utf-8").split("\n") if line]
    return [line.split("\t")[0] for line in lines[1:]] if path.suffix == ".tsv" else lines


def answer_calls(pipe, path):
    """The file with the pipeline's answer in each of its calls, a call a line."""
    file = json.loads(path.read_text(encoding="utf-8"))
    for call in file["calls"]:
        call["want"] = short(pipe(call["input"], **call["options"]))
    head = {name: value for name, value in file.items() if name != "calls"}
    lines = ",\n  ".join(json.dumps(call, ensure_ascii=False) for call in file["calls"])
    return json.dumps(head, ensure_ascii=False)[:-1] + ', "calls": [\n  ' + lines + "\n]}"


@torch.no_grad()
def embed(model, tokenizer, text):
    rows = tokenizer(text, return_tensors="pt", truncation=True, max_length=256)
    mean = model(**rows).last_hidden_state[0].mean(0)
    return torch.nn.functional.normalize(mean, dim=0).tolist()


def main():
    parser = argparse.ArgumentParser(description="Expected answers from Hugging Face.")
    parser.add_argument("task", choices=CLASSES)
    parser.add_argument("model", type=Path)
    parser.add_argument("input", type=Path)
    options = parser.parse_args()
    wanted = "4.57." if options.task in REMOVED else "5.23."
    if not transformers.__version__.startswith(wanted):
        sys.exit(f"make_reference.py: needs transformers {wanted}x, this is {transformers.__version__}")
    torch.manual_seed(0)
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    model, tokenizer = load(options.task, options.model), AutoTokenizer.from_pretrained(options.model)
    if options.task == "feature-extraction":
        answer = lambda text: {"embedding": embed(model, tokenizer, text)}
    else:
        pipe = pipeline(options.task, model=model, tokenizer=tokenizer, device="cpu")
        answer = lambda text: pipe(text)
    if options.input.suffix == ".json":
        print(answer_calls(pipe, options.input))
        return
    for text in texts(options.input):
        said = answer(text)
        said = said[0] if isinstance(said, list) else said
        print(json.dumps({"text": text, **short(said)}, ensure_ascii=False))


if __name__ == "__main__":
    main()
