# Makes models/nli-en: does one English sentence follow from another; what zero-shot-classification asks.
#
# Where it stands: the model's whole history, from the weights of a public package to the directory that is shipped.
#   1. cut      all-MiniLM-L6-v2 with the word pieces that matter for English
#   2. train    sequence classification of pairs on SNLI's development file and two thirds of its test file
#   3. export   float16 weights, then `tcpp quantize`
# Usage: python nli_en.py SNLI OUT [--work DIR] [--tcpp PROGRAM]
#   SNLI holds dev.txt and test.txt, "premise<TAB>hypothesis<TAB>label" a line, 0 entailment, 1 neutral, 2 contradiction.
# What is measured on: the pairs of test.txt from line HELD_OUT on whose premise was not trained on.
# Every step leaves its result in the work directory, and a run that was stopped goes on where it was.
# Sources: SNLI, Bowman et al. 2015, arXiv:1508.05326; zero-shot by entailment, Yin et al. 2019, arXiv:1909.00161.
import random
from pathlib import Path

import torch
import torch.nn.functional as F
from transformers import AutoModelForSequenceClassification

from common import (SEED, batches, choose_pieces, cut_bert, export_bert, fit, log, minilm, options_of, pad, quantize,
                    tokenizer_of, word_counts, write_tokenizer)

LABELS = ["entailment", "neutral", "contradiction"]
HELD_OUT = 6600
DEV = 900
PIECES = 9000
BATCH = 32
TRAINING = dict(rounds=3, lr=1.2e-4, warmup=0.1)


def read(path):
    """[(premise, hypothesis, label)]"""
    rows = []
    for line in path.read_text(encoding="utf-8").split("\n"):
        if line:
            premise, hypothesis, label = line.split("\t")
            rows.append((premise.strip(), hypothesis.strip(), int(label)))
    return rows


def split(folder):
    """(training, dev, held out): no premise is in two of them."""
    first, second = read(folder / "dev.txt"), read(folder / "test.txt")
    train = first + second[:HELD_OUT]
    known = {premise for premise, _, _ in train}
    held_out = [row for row in second[HELD_OUT:] if row[0] not in known]
    dev_premises = {premise for premise, _, _ in first[-DEV:]}
    return ([row for row in train if row[0] not in dev_premises], [row for row in train if row[0] in dev_premises],
            held_out)


def encode(tokenizer, data):
    """[(ids, token types, label)]"""
    rows = tokenizer([p for p, _, _ in data], [h for _, h, _ in data], truncation="only_first", max_length=256)
    return [(ids, types, label) for ids, types, (_, _, label) in
            zip(rows["input_ids"], rows["token_type_ids"], data)]


def forward(model, part):
    """Logits [rows, 3]."""
    return model(input_ids=pad([row[0] for row in part]), token_type_ids=pad([row[1] for row in part]),
                 attention_mask=pad([[1] * len(row[0]) for row in part])).logits


@torch.no_grad()
def accuracy(model, rows):
    model.eval()
    order = sorted(rows, key=lambda row: len(row[0]))
    right = 0
    for start in range(0, len(order), 64):
        part = order[start:start + 64]
        right += (forward(model, part).argmax(-1) == torch.tensor([row[2] for row in part])).sum().item()
    return right / len(rows)


def main():
    options = options_of("nli-en", data="directory with SNLI's dev.txt and test.txt")
    train, dev, held_out = split(options.data)
    log(f"{len(train)} pairs to train on, {len(dev)} to choose by, {len(held_out)} held out")
    base, float_dir = minilm(), options.work / "model"
    full = tokenizer_of(base)
    votes = word_counts([text for premise, hypothesis, _ in train for text in (premise, hypothesis)], share=0.3)
    rows = choose_pieces(full, votes, PIECES)
    names = {i: piece for piece, i in full.get_vocab().items()}
    write_tokenizer(base, [names[i] for i in rows], float_dir)
    tokenizer = tokenizer_of(float_dir)
    model = cut_bert(AutoModelForSequenceClassification, base, rows, num_labels=3)
    model.bert.embeddings.word_embeddings.weight.requires_grad_(False)
    train, dev, held_out = encode(tokenizer, train), encode(tokenizer, dev), encode(tokenizer, held_out)

    def round_of(turn):
        return train, batches([len(row[0]) for row in train], BATCH, SEED + turn)

    def loss_of(part):
        return F.cross_entropy(forward(model, part).float(), torch.tensor([row[2] for row in part]),
                               label_smoothing=0.05)

    fit(model, round_of, loss_of, lambda: accuracy(model, dev), **TRAINING, checkpoint=options.work / "nli.pt")
    export_bert(model, float_dir, "BertForSequenceClassification", LABELS, "single_label_classification")
    trained = AutoModelForSequenceClassification.from_pretrained(float_dir, dtype=torch.float32,
                                                                 attn_implementation="eager")
    log(f"SNLI held out, float16: accuracy {accuracy(trained, held_out):.4f}")
    quantize(options.tcpp, float_dir, options.out, "q4", "q4")


if __name__ == "__main__":
    main()
