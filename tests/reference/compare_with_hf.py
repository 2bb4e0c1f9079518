"""Compares tcpp with Hugging Face on a real model that is too large to commit: token ids and offsets exactly, embeddings
(the model's own pooling) or labels and scores within a tolerance.

  compare_with_hf.py embeddings  TCPP MODEL_DIR TEXTS.txt       TEXTS.txt: one text a line
  compare_with_hf.py labels      TCPP MODEL_DIR TEXTS.txt
"""
import json
import subprocess
import sys

import torch
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer


def run(*words):
    out = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in out.split("\n") if line]


def mean_embedding(model, tokenizer, text, max_length):
    inputs = tokenizer(text, return_tensors="pt", truncation=True, max_length=max_length)
    hidden = model(**inputs).last_hidden_state[0]
    return torch.nn.functional.normalize(hidden.mean(0), dim=0).tolist(), hidden.shape[0]


def main():
    what, tcpp, directory, path = sys.argv[1:5]
    texts = open(path, encoding="utf-8", newline="\n").read().rstrip("\n").split("\n")
    torch.set_grad_enabled(False)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    options = dict(dtype=torch.float32, attn_implementation="eager")

    wrong = 0
    for text, ours in zip(texts, run(tcpp, "tokenize", directory, "--input", path), strict=True):
        theirs = tokenizer(text, return_offsets_mapping=True)
        wrong += ours["ids"] != theirs["input_ids"] or ours["offsets"] != [list(o) for o in theirs["offset_mapping"]]
    print(f"tokens: {len(texts)} texts, {wrong} differ")

    worst = 0.0
    if what == "embeddings":
        model = AutoModel.from_pretrained(directory, **options).eval()
        answers = run(tcpp, "run", "feature-extraction", "--model", directory, "--pooling", "automatic", "--truncation",
                      "--json", "--input", path)
        lengths = []
        for text, ours in zip(texts, answers, strict=True):
            theirs, length = mean_embedding(model, tokenizer, text, 256)
            lengths.append(length)
            worst = max(worst, max(abs(a - b) for a, b in zip(ours[0], theirs, strict=True)))
        print(f"embeddings: {len(texts)} of {min(lengths)} to {max(lengths)} tokens, largest difference {worst:.2e}")
    else:
        model = AutoModelForSequenceClassification.from_pretrained(directory, **options).eval()
        answers = run(tcpp, "run", "text-classification", "--model", directory, "--json", "--input", path)
        for text, ours in zip(texts, answers, strict=True):
            scores = model(**tokenizer(text, return_tensors="pt")).logits[0].softmax(-1)
            wrong += model.config.id2label[int(scores.argmax())] != ours["label"]
            worst = max(worst, abs(float(scores.max()) - ours["score"]))
        print(f"labels: {len(texts)} texts, {wrong} differ, largest score difference {worst:.2e}")
    sys.exit(wrong > 0 or worst > 1e-5)


main()
