# Makes models/qa-en: finds the answer to an English question in a text.
#
# Where it stands: the model's whole history, from the weights of a public package to the directory that is shipped.
#   1. cut      all-MiniLM-L6-v2 with the word pieces that matter for English
#   2. train    spans of answers: a part of SQuAD 1.1's training questions, and QAMR's questions about single sentences
#   3. export   float16 weights, then `tcpp quantize`
# Usage: python qa_en.py DATA OUT [--work DIR] [--tcpp PROGRAM]
#   DATA holds squad-aqleaderboard/test-v1.1.json (44 articles of SQuAD 1.1's training set), qamr/ and xquad/.
# What is measured on: XQuAD's English questions. None of its paragraphs or articles is trained on; the recipe checks.
# Every step leaves its result in the work directory, and a run that was stopped goes on where it was.
# Sources: SQuAD, Rajpurkar et al. 2016, arXiv:1606.05250; QAMR, Michael et al. 2018, arXiv:1711.05885; XQuAD, Artetxe
#   et al. 2019, arXiv:1910.11856.
import json
import random
import re
import string
from collections import Counter
from pathlib import Path

import torch
import torch.nn.functional as F
from transformers import AutoModelForQuestionAnswering

from common import (SEED, batches, choose_pieces, cut_bert, export_bert, fit, log, minilm, options_of, pad, quantize,
                    tokenizer_of, word_counts, write_tokenizer)

PIECES = 10000
BATCH = 24
# A paragraph is cut to a window of so many tokens around its answer: training is twice as fast, and learns as well.
WINDOWS = (96, 128, 192)
DEV_ARTICLES = 2
# Batches of the first round, SQuAD and QAMR mixed, and of the second, SQuAD alone.
ROUNDS = (700, 180)
TRAINING = dict(rounds=2, lr=1.2e-4, warmup=0.08)
BRACKETS = {"-LRB-": "(", "-RRB-": ")", "-LSB-": "[", "-RSB-": "]", "-LCB-": "{", "-RCB-": "}", "``": '"', "''": '"'}


def read_squad(path):
    """{title: [(question, context, [(start, text)])]}"""
    out = {}
    for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
        out[article["title"]] = [
            (qa["question"].strip(), paragraph["context"], [(a["answer_start"], a["text"]) for a in qa["answers"]])
            for paragraph in article["paragraphs"] for qa in paragraph["qas"]]
    return out


def as_written(tokens):
    """(text, [(start, end) of each token]) of Penn Treebank tokens, spaced as people write."""
    text, spans = "", []
    opened = False
    glue = True
    for token in tokens:
        word = BRACKETS.get(token, token)
        closes = token == "''" or (token == '"' and opened)
        joined = closes or token in (",", ".", ";", ":", "?", "!", "%", "-RRB-", "-RSB-", "n't") or token.startswith("'")
        if text and not joined and not glue:
            text += " "
        spans.append((len(text), len(text) + len(word)))
        text += word
        glue = token in ("``", "-LRB-", "-LSB-", "$", "#") or (token == '"' and not opened)
        if word == '"':
            opened = not closes
    return text, spans


def read_qamr(folder, parts=("dev", "test")):
    """[(question, context, [(start, text)])]: questions whose answers, the writer's and both validators', overlap."""
    sentences = {}
    for line in (folder / "wiki-sentences.tsv").read_text(encoding="utf-8").split("\n"):
        if line:
            name, words = line.split("\t")
            sentences[name] = as_written(words.split(" "))
    out = set()
    for part in parts:
        for line in (folder / "filtered" / f"{part}.tsv").read_text(encoding="utf-8").split("\n"):
            if not line:
                continue
            fields = line.split("\t")
            said = [fields[6]] + [field.split(":", 1)[1] for field in fields[7:9]]
            if any(not re.fullmatch(r"[0-9 ]+", answer) for answer in said):
                continue
            answers = [tuple(int(i) for i in answer.split()) for answer in said]
            # The answer that most agree on, the shortest of equals.
            best = min(answers, key=lambda a: (-answers.count(a), len(a)))
            if list(best) != list(range(best[0], best[-1] + 1)):
                continue
            if not set(answers[0]) & set(answers[1]) & set(answers[2]):
                continue
            text, spans = sentences[fields[0]]
            start, end = spans[best[0]][0], spans[best[-1]][1]
            out.add((fields[5].strip(), text, ((start, text[start:end]),)))
    return sorted(out)


def encode(tokenizer, data):
    """[(question ids, context ids, first and last token of the answer in the context)]"""
    questions = tokenizer([row[0] for row in data], add_special_tokens=False)["input_ids"]
    known, out = {}, []
    for question, (_, context, answers) in zip(questions, data):
        if context not in known:
            row = tokenizer(context, add_special_tokens=False, return_offsets_mapping=True, truncation=False)
            known[context] = row["input_ids"], row["offset_mapping"]
        ids, offsets = known[context]
        start, text = answers[0]
        tokens = [i for i, (a, b) in enumerate(offsets) if a < start + len(text) and b > start]
        if tokens:
            out.append((question[:48], ids, tokens[0], tokens[-1]))
    return out


def windows(tokenizer, rows, seed):
    """[(ids, length of the question's part, first, last)]: [CLS] question [SEP] window [SEP], the answer inside."""
    rng = random.Random(seed)
    cls, sep = tokenizer.cls_token_id, tokenizer.sep_token_id
    out = []
    for question, ids, first, last in rows:
        size = max(rng.choice(WINDOWS), last - first + 1)
        low, high = max(0, last + 1 - size), min(first, max(0, len(ids) - size))
        start = rng.randint(min(low, high), high)
        head = [cls] + question + [sep]
        out.append((head + ids[start:start + size] + [sep], len(head), first - start + len(head),
                    last - start + len(head)))
    return out


def forward(model, part):
    """(start logits, end logits), each [rows, longest], of context tokens only."""
    lengths = [len(row[0]) for row in part]
    context = pad([[0] * row[1] + [1] * (n - row[1]) for row, n in zip(part, lengths)])
    answer = model(input_ids=pad([row[0] for row in part]), token_type_ids=context,
                   attention_mask=pad([[1] * n for n in lengths]))
    closed = (context == 0) * -1e4
    return answer.start_logits.float() + closed, answer.end_logits.float() + closed


# ------------------------------------------------------------------------------------------------------- measure


def normal(text):
    """As SQuAD's own measure reads an answer."""
    text = "".join(c for c in text.lower() if c not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


def f1(answer, gold):
    a, b = normal(answer), normal(gold)
    same = sum((Counter(a) & Counter(b)).values())
    return 2 * same / (len(a) + len(b)) if same else float(a == b)


@torch.no_grad()
def measure(model, tokenizer, data, longest=384, stride=128, answer_tokens=15):
    """(exact match, F1): the best span of at most 15 tokens, over windows of 384 tokens that overlap by 128."""
    model.eval()
    exact = total = 0.0
    pieces = []
    for i, (question, context, _) in enumerate(data):
        rows = tokenizer(question, context, truncation="only_second", max_length=longest, stride=stride,
                         return_overflowing_tokens=True, return_offsets_mapping=True)
        for k, ids in enumerate(rows["input_ids"]):
            pieces.append((ids, rows["token_type_ids"][k].index(1), i, rows["offset_mapping"][k]))
    pieces.sort(key=lambda piece: len(piece[0]))
    best = {}
    for begin in range(0, len(pieces), 16):
        part = pieces[begin:begin + 16]
        starts, ends = forward(model, part)
        for (ids, head, i, offsets), s, e in zip(part, starts, ends):
            n = len(ids) - 1  # without the last [SEP]
            s, e = s[head:n].softmax(-1), e[head:n].softmax(-1)
            table = torch.triu(s[:, None] * e[None, :]).tril(answer_tokens - 1)
            at = table.argmax().item()
            a, b = divmod(at, n - head)
            if i not in best or table[a, b] > best[i][0]:
                best[i] = (table[a, b].item(), data[i][1][offsets[a + head][0]:offsets[b + head][1]])
    for i, (_, _, answers) in enumerate(data):
        exact += max(normal(best[i][1]) == normal(text) for _, text in answers)
        total += max(f1(best[i][1], text) for _, text in answers)
    return exact / len(data), total / len(data)


def main():
    options = options_of("qa-en", data="directory with squad-aqleaderboard, qamr and xquad")
    articles = read_squad(options.data / "squad-aqleaderboard/test-v1.1.json")
    tested = read_squad(options.data / "xquad/xquad.en.json")
    test = [row for rows in tested.values() for row in rows]
    contexts = {context for _, context, _ in test}
    for title, rows in articles.items():
        if title in tested or any(context in contexts for _, context, _ in rows):
            raise ValueError(f"{title} is part of what is measured on")
    titles = sorted(articles)
    dev = [row for title in titles[:DEV_ARTICLES] for row in articles[title]]
    squad = [row for title in titles[DEV_ARTICLES:] for row in articles[title]]
    qamr = read_qamr(options.data / "qamr")
    log(f"{len(squad)} questions of SQuAD and {len(qamr)} of QAMR to train on, {len(dev)} left out")

    base, float_dir = minilm(), options.work / "model"
    full = tokenizer_of(base)
    texts = sorted({row[1] for row in squad + qamr}) + [row[0] for row in squad + qamr]
    rows = choose_pieces(full, word_counts(texts, share=0.4), PIECES)
    names = {i: piece for piece, i in full.get_vocab().items()}
    write_tokenizer(base, [names[i] for i in rows], float_dir)
    tokenizer = tokenizer_of(float_dir)
    tokenizer.model_max_length = 1 << 20  # paragraphs are cut here
    model = cut_bert(AutoModelForQuestionAnswering, base, rows)
    model.bert.embeddings.word_embeddings.weight.requires_grad_(False)
    squad, qamr = encode(tokenizer, squad), encode(tokenizer, qamr)
    mixed = random.Random(SEED).sample(qamr, len(qamr) // 2)

    def round_of(turn):
        """Batches of both, then SQuAD alone."""
        examples = windows(tokenizer, squad + (mixed if turn == 0 else []), SEED + turn)
        order = batches([len(row[0]) for row in examples], BATCH, SEED * 3 + turn)
        return examples, order[:ROUNDS[turn]]

    def loss_of(part):
        starts, ends = forward(model, part)
        return (F.cross_entropy(starts, torch.tensor([row[2] for row in part])) +
                F.cross_entropy(ends, torch.tensor([row[3] for row in part]))) / 2

    fit(model, round_of, loss_of, None, **TRAINING, checkpoint=options.work / "qa.pt")
    export_bert(model, float_dir, "BertForQuestionAnswering")
    trained = AutoModelForQuestionAnswering.from_pretrained(float_dir, dtype=torch.float32,
                                                            attn_implementation="eager")
    quantize(options.tcpp, float_dir, options.out, "q4", "q4")
    for name, part in (("two articles of SQuAD", dev), ("XQuAD en", test)):
        log("%s, float16: exact %.4f F1 %.4f" % (name, *measure(trained, tokenizer, part)))


if __name__ == "__main__":
    main()
