# Makes models/ner-en: people, places and organizations in English text, capitals and all.
#
# Where it stands: the model's whole history, from the weights of a public package to the directory that is shipped.
#   1. pieces   the base reads lower case only. Its most useful word pieces are kept, and those that begin a word get a
#               copy with a capital, and in capitals where the training text has it: a cased vocabulary whose rows start
#               as lower-case row + a vector for "Capital" or "CAPITALS" that is learned; added up when it is exported
#   2. train    token classification on tweets (Broad Twitter Corpus, WNUT-17) and encyclopedia (CrossNER)
#   3. tune     on BTC's tweets alone, with "@ name" annotated as most of BTC does it (see `handles_alike`)
#   4. export   float16 weights, then `tcpp quantize`
# Usage: python ner_en.py DATA OUT [--work DIR] [--tcpp PROGRAM]
#   DATA holds btc/, wnut17/ and crossner/ as their authors publish them.
# Every step leaves its result in the work directory, and a run that was stopped goes on where it was.
# Sources: BTC, Derczynski et al. 2016, aclanthology.org/C16-1111; WNUT-17, Derczynski et al. 2017,
#   aclanthology.org/W17-4418; CrossNER, Liu et al. 2021, arXiv:2012.04373.
import random
import re
from collections import Counter
from pathlib import Path

import torch
import torch.nn.functional as F
from transformers import AutoModelForTokenClassification

from common import (SEED, batches, choose_pieces, cut_bert, export_bert, fit, log, minilm, options_of, pad, quantize,
                    tokenizer_of, word_counts, write_tokenizer)

LABELS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG"]
# Types of the other two data sets that are one of ours; what is not here is no entity.
KIND = {name: kind for kind, names in {
    "PER": "PER person politician writer musicalartist scientist researcher",
    "LOC": "LOC location country",
    "ORG": "ORG corporation group organisation politicalparty university band",
}.items() for name in names.split()}
LOWER_PIECES = 8000
BATCH = 32
MAX_TOKENS = 128
TRAINING = dict(rounds=3, lr=1.5e-4, warmup=0.1)
TUNING = dict(rounds=1, lr=8e-5, warmup=0.1)


def read_conll(path):
    """[(words, labels)] of a file with "word<TAB>label" a line and lines without a word between sentences."""
    out, words, labels = [], [], []
    for line in path.read_text(encoding="utf-8").split("\n") + [""]:
        fields = line.split("\t")
        if not fields[0].strip():
            if words:
                out.append((words, labels))
            words, labels = [], []
            continue
        kind = KIND.get(fields[1].strip()[2:])
        words.append(fields[0].strip())
        labels.append(f"{fields[1].strip()[0]}-{kind}" if kind else "O")
    return out


def handles_alike(words, labels):
    """The labels, "@" and the name behind it alike; "?" where BTC's annotators left both out.

    BTC splits "@name" in two and calls each an entity of its own, in its dev and test parts nearly always; in a third of
    the training part the sign, or both, are none. (WNUT-17 never counts them.)
    """
    labels = list(labels)
    for i, word in enumerate(words[:-1]):
        if word == "@" and labels[i] == "O":
            if labels[i + 1] in ("B-PER", "B-ORG"):
                labels[i] = labels[i + 1]
            elif labels[i + 1] == "O":
                labels[i] = labels[i + 1] = "?"
    return labels


def spans_of(words, labels):
    """{(start, end, kind)} in characters of " ".join(words), read strictly: every B- opens a new one."""
    out, at, open_span = [], 0, None
    for word, label in zip(words, labels):
        if label[0] == "I" and open_span and open_span[2] == label[2:]:
            open_span[1] = at + len(word)
        elif label != "O":
            open_span = [at, at + len(word), label[2:]]
            out.append(open_span)
        else:
            open_span = None
        at += len(word) + 1
    return {tuple(span) for span in out}


def encode(tokenizer, sentences):
    """[(ids, label of each token or -100)]: a word's first piece has its label, the others continue it."""
    texts = [" ".join(words) for words, _ in sentences]
    rows = tokenizer(texts, truncation=True, max_length=MAX_TOKENS, return_offsets_mapping=True)
    out = []
    for (words, labels), ids, offsets in zip(sentences, rows["input_ids"], rows["offset_mapping"]):
        starts, at = {}, 0
        owner = []
        for i, word in enumerate(words):
            starts[at] = i
            owner += [i] * (len(word) + 1)
            at += len(word) + 1
        marks, seen = [], set()
        for start, end in offsets:
            if start == end:
                marks.append(-100)
                continue
            word = owner[start]
            label = labels[word]
            if word in seen and label[0] == "B":
                label = "I" + label[1:]
            seen.add(word)
            marks.append(LABELS.index(label) if label != "?" else -100)
        out.append((ids, marks))
    return out


def predicted_spans(pieces, offsets, labels):
    """Hugging Face's aggregation_strategy="first" over the tokens of one text: a word's first piece speaks for it."""
    out = []
    last = None
    for piece, (start, end), label in zip(pieces, offsets, labels):
        if start == end:
            continue
        kind = label[2:] or "O"
        if last and (piece.startswith("##") or (last[2] == kind and label[0] != "B")):
            last[1] = end
        else:
            last = [start, end, kind]
            out.append(last)
    return {tuple(span) for span in out if span[2] != "O"}


@torch.no_grad()
def measure(model, tokenizer, sentences):
    """(precision, recall, F1) of strict spans."""
    model.eval()
    texts = [" ".join(words) for words, _ in sentences]
    right = told = there = 0
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    for start in range(0, len(order), 64):
        part = order[start:start + 64]
        rows = tokenizer([texts[i] for i in part], truncation=True, return_offsets_mapping=True)
        ids = pad(rows["input_ids"])
        answer = model(input_ids=ids, attention_mask=pad(rows["attention_mask"])).logits.argmax(-1).tolist()
        for i, offsets, labels in zip(part, rows["offset_mapping"], answer):
            pieces = tokenizer.convert_ids_to_tokens(ids[part.index(i)].tolist())
            found = predicted_spans(pieces, offsets, [LABELS[label] for label in labels])
            gold = spans_of(*sentences[i])
            right, told, there = right + len(found & gold), told + len(found), there + len(gold)
    precision, recall = right / max(told, 1), right / there
    return precision, recall, 2 * precision * recall / max(precision + recall, 1e-9)


# ---------------------------------------------------------------------------------------------------- vocabulary


def cased_pieces(tokenizer, texts):
    """([piece], [its lower-case id in the base], [0 as it is, 1 Capital, 2 CAPITALS])."""
    votes = word_counts([text.lower() for text in texts])
    kept = choose_pieces(tokenizer, votes, LOWER_PIECES)
    by_id = {i: piece for piece, i in tokenizer.get_vocab().items()}
    lower = {by_id[i]: i for i in kept}
    shouted = Counter()
    words = Counter(word for text in texts for word in re.findall(r"[A-Z]{2,}", text))
    for word, row in zip(words, tokenizer(list(words), add_special_tokens=False)["input_ids"]):
        for piece in row:
            shouted[by_id[piece]] += words[word]
    out = [(piece, i, 0) for piece, i in lower.items()]
    taken = set(lower)
    for piece, i in lower.items():
        letters = piece.removeprefix("##")
        if not re.fullmatch(r"[a-z]+", letters):
            continue
        first = letters[0].upper() + letters[1:]
        if piece == letters and first not in taken:
            taken.add(first)
            out.append((first, i, 1))
        loud = piece.replace(letters, letters.upper())
        if (len(letters) == 1 or shouted[piece] >= 2) and loud not in taken:
            taken.add(loud)
            out.append((loud, i, 2))
    return [list(column) for column in zip(*out)]


class CasedEmbedding(torch.nn.Module):
    """The base's rows plus one learned vector for each way of writing."""

    def __init__(self, rows, kinds):
        super().__init__()
        self.weight = torch.nn.Parameter(rows.clone())
        torch.manual_seed(SEED)
        self.case = torch.nn.Parameter(torch.randn(3, rows.shape[1]) * 0.01)
        self.register_buffer("kinds", torch.tensor(kinds), persistent=False)
        self.register_buffer("cased", (torch.tensor(kinds) > 0).float().unsqueeze(1), persistent=False)

    def forward(self, ids):
        return F.embedding(ids, self.weight) + self.case[self.kinds[ids]] * F.embedding(ids, self.cased)

    def folded(self):
        return self.weight + self.case[self.kinds] * self.cased


def main():
    options = options_of("ner-en", data="directory with btc, wnut17 and crossner")
    data = options.data
    tweets = read_conll(data / "btc/btc.train")
    dev, test = read_conll(data / "btc/btc.dev"), read_conll(data / "btc/btc.test")
    others = read_conll(data / "wnut17/wnut17train.conll") + read_conll(data / "wnut17/emerging.dev.conll")
    for domain in ("ai", "literature", "music", "politics", "science"):
        for part in ("train", "dev", "test"):
            others += read_conll(data / "crossner" / domain / f"{part}.txt")
    log(f"{len(tweets)} tweets and {len(others)} other sentences to train on")

    base = minilm()
    pieces, rows, kinds = cased_pieces(tokenizer_of(base), [" ".join(words) for words, _ in tweets + others])
    log(f"{len(pieces)} pieces, {kinds.count(1)} with a capital, {kinds.count(2)} in capitals")
    float_dir = options.work / "model"
    write_tokenizer(base, pieces, float_dir, lower=False)
    tokenizer = tokenizer_of(float_dir)
    model = cut_bert(AutoModelForTokenClassification, base, rows, num_labels=len(LABELS))
    table = model.bert.embeddings.word_embeddings
    cased = CasedEmbedding(table.weight.detach(), kinds)
    model.bert.embeddings.word_embeddings = cased
    alike = encode(tokenizer, [(words, handles_alike(words, labels)) for words, labels in tweets])
    tweets, others = encode(tokenizer, tweets), encode(tokenizer, others)

    def round_of(turn):
        """All the tweets and half of the rest."""
        rng = random.Random(SEED + turn // 2)
        order = list(range(len(others)))
        rng.shuffle(order)
        half = len(order) // 2
        examples = tweets + [others[i] for i in (order[half:] if turn % 2 else order[:half])]
        return examples, batches([len(ids) for ids, _ in examples], BATCH, SEED * 3 + turn)

    def loss_of(part):
        ids, labels = pad([ids for ids, _ in part]), pad([marks for _, marks in part], -100)
        mask = pad([[1] * len(ids) for ids, _ in part])
        logits = model(input_ids=ids, attention_mask=mask).logits.float()
        return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), label_smoothing=0.05)

    def score_of():
        figures = measure(model, tokenizer, dev)
        log("dev precision %.4f recall %.4f F1 %.4f" % figures)
        return figures[2]

    case = "bert.embeddings.word_embeddings.case"
    fit(model, round_of, loss_of, score_of, **TRAINING, checkpoint=options.work / "ner.pt", fast=(case,))
    fit(model, lambda turn: (alike, batches([len(ids) for ids, _ in alike], BATCH, SEED * 5 + turn)), loss_of, score_of,
        **TUNING, checkpoint=options.work / "ner-tuned.pt", fast=(case,), fast_lr=1e-4)
    with torch.no_grad():
        table.weight.copy_(cased.folded())
    model.bert.embeddings.word_embeddings = table
    export_bert(model, float_dir, "BertForTokenClassification", LABELS)
    trained = AutoModelForTokenClassification.from_pretrained(float_dir, dtype=torch.float32,
                                                              attn_implementation="eager")
    log("BTC test, float16: precision %.4f recall %.4f F1 %.4f" % measure(trained, tokenizer, test))
    quantize(options.tcpp, float_dir, options.out, "q4", "q4")


if __name__ == "__main__":
    main()
