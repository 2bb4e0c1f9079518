# Makes models/embedding-en: all-MiniLM-L6-v2 without the word pieces of other scripts, and with 8-bit weights.
#
# Where it stands: from the weights of a public package to the directory that is shipped; nothing is trained.
# Usage: python embedding_en.py OUT [--work DIR] [--tcpp PROGRAM] [--measure STSB]
#   STSB: sts-test.csv, with which the result is compared with the whole model: cosine between their embeddings, and the
#   rank correlation of each with what people said.
# Sources: Sentence-BERT, Reimers and Gurevych 2019, arXiv:1908.10084; STS-B, Cer et al. 2017, arXiv:1708.00055.
import argparse
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel
from transformers import logging as hf_logging

from common import SPECIALS, cut_bert, export_bert, log, minilm, quantize, tokenizer_of, write_tokenizer

# What sentence-transformers, and automatic pooling, read beside the model.
SENTENCE_FILES = ("modules.json", "sentence_bert_config.json", "1_Pooling/config.json")


def latin(piece):
    """Whether text in Latin letters can need it: no other script's letters, none of the vocabulary's unused places."""
    letters = piece.removeprefix("##")
    return not piece.startswith("[unused") and all(ord(c) < 0x250 or 0x2000 <= ord(c) < 0x2E80 for c in letters)


def embeddings(tcpp, model, texts, work):
    """[texts, width] by the program."""
    source, out = work / "texts.txt", work / "embeddings.jsonl"
    source.write_text("".join(text + "\n" for text in texts), encoding="utf-8")
    subprocess.run([str(tcpp), "run", "feature-extraction", "--model", str(model), "--pooling", "automatic", "--json",
                    "--input", str(source), "--output", str(out)], check=True)
    return np.array([json.loads(line)[0] for line in out.read_text().split("\n") if line])


def spearman(a, b):
    def ranks(x):
        order = np.argsort(x, kind="stable")
        out = np.empty(len(x))
        out[order] = np.arange(len(x))
        for value in np.unique(x):  # equal values share their mean rank
            out[x == value] = out[x == value].mean()
        return out

    return np.corrcoef(ranks(np.asarray(a)), ranks(np.asarray(b)))[0, 1]


def measure(tcpp, whole, cut, stsb, work):
    rows = [line.split("\t") for line in stsb.read_text(encoding="utf-8").split("\n") if line]
    said = [float(row[4]) for row in rows]
    texts = [row[5] for row in rows] + [row[6] for row in rows]
    found = []
    for name, model in (("whole", whole), ("cut", cut)):
        vectors = embeddings(tcpp, model, texts, work)
        first, second = vectors[:len(rows)], vectors[len(rows):]
        log(f"{name}, {vectors.shape[1]} wide: STS-B Spearman {spearman((first * second).sum(1), said):.4f}")
        found.append(vectors)
    cosine = (found[0] * found[1]).sum(1)
    log(f"cosine with the whole model: mean {cosine.mean():.4f}, median {np.median(cosine):.4f}, "
        f"5th percentile {np.percentile(cosine, 5):.4f}, least {cosine.min():.4f}")


def main():
    parser = argparse.ArgumentParser(description="Makes models/embedding-en.")
    parser.add_argument("out", type=Path, help="directory to write the model to")
    parser.add_argument("--work", type=Path, default=Path("embedding-en-work"), help="default: %(default)s")
    parser.add_argument("--tcpp", default="tcpp", help="the program that quantizes (default: %(default)s)")
    parser.add_argument("--measure", type=Path, help="STS-B's sts-test.csv")
    options = parser.parse_args()
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()
    base, float_dir = minilm(), options.work / "model"
    vocab = tokenizer_of(base).get_vocab()
    pieces = [piece for piece in sorted(vocab, key=vocab.get) if piece in SPECIALS or latin(piece)]
    rows = [vocab[piece] for piece in pieces]
    write_tokenizer(base, pieces, float_dir)
    export_bert(cut_bert(AutoModel, base, rows, add_pooling_layer=False), float_dir, "BertModel")
    for name in SENTENCE_FILES:
        (float_dir / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(base / name, float_dir / name)
    quantize(options.tcpp, float_dir, options.out, "q8")
    if options.measure:
        measure(options.tcpp, base, options.out, options.measure, options.work)


if __name__ == "__main__":
    main()
