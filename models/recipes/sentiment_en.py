# Makes models/sentiment-en: English sentiment, NEGATIVE or POSITIVE.
#
# Where it stands: the model's whole history, from the weights of a public package to the directory that is shipped.
#   1. cut      all-MiniLM-L6-v2 with the word pieces that matter for English
#   2. train    sequence classification on SST-2's training phrases
#   3. average  the weights of the round that is best on dev and of the last one, where the mean of both is better than either
#   4. export   float16 weights, then `tcpp quantize`, the table of words to 4 bits
# Usage: python sentiment_en.py DATA OUT [--work DIR] [--tcpp PROGRAM]
#   DATA holds SST-2 as train.tsv, dev.tsv (9 to 1 of GLUE's training set) and test.tsv (GLUE's validation set), each a header
#   line and "sentence<TAB>label" lines.
# Every step leaves its result in the work directory, and a run that was stopped goes on where it was.
# Sources: SST-2, Socher et al. 2013, aclanthology.org/D13-1170; MiniLM, Wang et al. 2020, arXiv:2002.10957.
import copy
import random
import re

import torch
import torch.nn.functional as F
from transformers import AutoModelForSequenceClassification

from common import (SEED, batches, choose_pieces, cut_bert, export_bert, fit, log, minilm, options_of, pad, quantize,
                    tokenizer_of, word_counts, write_tokenizer)

LABELS = ["NEGATIVE", "POSITIVE"]
PIECES = 12000
BATCH = 64
MAX_TOKENS = 160
TRAINING = dict(rounds=4, lr=1e-4, warmup=0.06)


def read_tsv(path):
    """The rows of a GLUE-style file as [(sentence, label)], header dropped."""
    rows = []
    for line in path.read_text(encoding="utf-8").split("\n")[1:]:
        if line:
            text, label = line.split("\t")
            rows.append((text.strip(), int(label)))
    return rows


def as_written(text):
    """SST-2's Penn Treebank spelling as people write it: "ca n't" -> "can't", "`` odd ''" -> '"odd"'.

    BERT splits "can't" into can ' t but "ca n't" into ca n ' t, so a model that has only seen the second is at a loss
    with everyday negation. Spaces before full stops and commas do not matter to BERT and stay.
    """
    text = re.sub(r"\b(\w+) n't\b", r"\1n't", text)
    return text.replace("`` ", '"').replace(" ''", '"')


def examples_of(data, turn):
    """[(text, label)]: what is longer than a word or two, a third of it in everyday spelling, and some paragraphs.

    SST-2's phrases are 9 words long on average. So that sentences and paragraphs are no surprise, phrases of up to three
    words are there in the first round only, and one text for every 32 is two to eight sentences of one label in a row.
    """
    rng = random.Random(SEED * 17 + turn)
    out = [(as_written(text) if rng.random() < 0.34 else text, label) for text, label in data
           if turn == 0 or len(text.split()) > 3]
    sentences = [[text for text, label in data if label == wanted and len(text.split()) > 9] for wanted in (0, 1)]
    for _ in range(len(out) // 32):
        label = rng.randrange(2)
        chosen = rng.sample(sentences[label], rng.randint(2, 8))
        out.append((" . ".join(as_written(text).rstrip(" .") for text in chosen) + " .", label))
    return out


def forward(model, rows):
    """Logits [rows, 2] of encoded rows."""
    return model(input_ids=pad(rows), attention_mask=pad([[1] * len(row) for row in rows])).logits


@torch.no_grad()
def accuracy(model, tokenizer, data):
    model.eval()
    rows = tokenizer([text for text, _ in data], truncation=True, max_length=512)["input_ids"]
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    right = 0
    for start in range(0, len(order), 128):
        part = order[start:start + 128]
        labels = torch.tensor([data[i][1] for i in part])
        right += (forward(model, [rows[i] for i in part]).argmax(-1) == labels).sum().item()
    return right / len(data)


def main():
    options = options_of("sentiment-en", data="directory with SST-2's train.tsv, dev.tsv and test.tsv")
    train, dev, test = (read_tsv(options.data / f"{part}.tsv") for part in ("train", "dev", "test"))
    known = {text for text, _ in test}
    train = [row for row in train if row[0] not in known]
    # The rounds are told apart by what looks most like a sentence.
    dev = [row for row in dev if len(row[0].split()) > 9]
    base, float_dir = minilm(), options.work / "model"
    full = tokenizer_of(base)
    rows = choose_pieces(full, word_counts([as_written(text) for text, _ in train]), PIECES)
    names = {i: piece for piece, i in full.get_vocab().items()}
    write_tokenizer(base, [names[i] for i in rows], float_dir)
    tokenizer = tokenizer_of(float_dir)
    model = cut_bert(AutoModelForSequenceClassification, base, rows, num_labels=2)

    def round_of(turn):
        texts = examples_of(train, turn)
        ids = tokenizer([text for text, _ in texts], truncation=True, max_length=MAX_TOKENS)["input_ids"]
        examples = [(row, label) for row, (_, label) in zip(ids, texts)]
        return examples, batches([len(row) for row in ids], BATCH, SEED + turn)

    def loss_of(part):
        return F.cross_entropy(forward(model, [row for row, _ in part]).float(),
                               torch.tensor([label for _, label in part]), label_smoothing=0.05)

    checkpoint = options.work / "sentiment.pt"
    best = fit(model, round_of, loss_of, lambda: accuracy(model, tokenizer, dev), **TRAINING, checkpoint=checkpoint)
    one, last = copy.deepcopy(model.state_dict()), torch.load(checkpoint)["model"]
    model.load_state_dict({name: (value + last[name]) / 2 if value.is_floating_point() else value
                           for name, value in one.items()})
    score = accuracy(model, tokenizer, dev)
    log(f"dev: best round {best:.4f}, mean of it and the last {score:.4f}")
    if score < best:
        model.load_state_dict(one)
    export_bert(model, float_dir, "BertForSequenceClassification", LABELS, "single_label_classification")
    trained = AutoModelForSequenceClassification.from_pretrained(float_dir, dtype=torch.float32,
                                                                 attn_implementation="eager")
    log(f"SST-2 validation set, float16: accuracy {accuracy(trained, tokenizer, test):.4f}")
    quantize(options.tcpp, float_dir, options.out, "q8", "q4")


if __name__ == "__main__":
    main()
