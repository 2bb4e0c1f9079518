# How good a bundled model is, through `tcpp`: runs its task over a public test set and compares with what people said.
#
# Where it stands: beside the recipes, whose readers of data sets it uses; the figures of the model cards are its.
# Usage: python measure.py WHAT MODEL DATA [--tcpp PROGRAM] [--work DIR] [--dtype DTYPE]
#   WHAT and DATA: sentiment, SST-2's validation set as test.tsv; ner, BTC's btc.test; qa, xquad.en.json; nli, the folder of
#   SNLI's dev.txt and test.txt, and zero-shot, AG News' test.csv with the columns text and label (both tell entailment by
#   the task's own pipelines); translation, the recipe's held_out.tsv; summarization, news_summary.csv (the columns text and
#   headlines) or a .jsonl of dialogue and summary.
# Sources: strict spans as in CoNLL-2003's evaluation; SQuAD's exact match and F1; sacreBLEU's 13a, cased, beam 4; ROUGE,
#   Lin 2004, aclanthology.org/W04-1013: F1 of words in lower case, no stems.
import argparse
import csv
import json
import re
import subprocess
from collections import Counter
from pathlib import Path


def answers(options, task, items, *flags):
    """What the program answers to each item, a text or an object of arguments."""
    plain = all(isinstance(item, str) for item in items)
    source = options.work / f"{options.what}-input.{'txt' if plain else 'jsonl'}"
    out = options.work / f"{options.what}-answers.jsonl"
    source.write_text("".join((item if plain else json.dumps(item, ensure_ascii=False)) + "\n" for item in items),
                      encoding="utf-8")
    command = [options.tcpp, "run", task, "--model", options.model, "--json", "--threads", options.threads, "--input",
               source, "--output", out, *(("--dtype", options.dtype) if options.dtype else ()), *flags]
    subprocess.run([str(word) for word in command], check=True)
    found = [json.loads(line) for line in out.read_text(encoding="utf-8").split("\n") if line]
    if len(found) != len(items):
        raise ValueError(f"{len(items)} items, {len(found)} answers")
    return found


def sentiment(options):
    import sentiment_en
    rows = sentiment_en.read_tsv(options.data)
    found = answers(options, "text-classification", [text for text, _ in rows])
    right = sum((said[0] if isinstance(said, list) else said)["label"] == ("NEGATIVE", "POSITIVE")[label]
                for said, (_, label) in zip(found, rows))
    return {"sentences": len(rows), "accuracy": right / len(rows)}


def ner(options):
    import ner_en
    sentences = ner_en.read_conll(options.data)
    found = answers(options, "token-classification", [" ".join(words) for words, _ in sentences],
                    "--aggregation-strategy", "first")
    right = told = there = 0
    for (words, labels), said in zip(sentences, found):
        gold = ner_en.spans_of(words, labels)
        spans = {(entity["start"], entity["end"], entity["entity_group"]) for entity in said}
        right, told, there = right + len(gold & spans), told + len(spans), there + len(gold)
    precision, recall = right / told, right / there
    return {"sentences": len(sentences), "spans": there, "precision": precision, "recall": recall,
            "f1": 2 * precision * recall / (precision + recall)}


def qa(options):
    import qa_en
    rows = [row for part in qa_en.read_squad(options.data).values() for row in part]
    found = answers(options, "question-answering",
                    [{"question": question, "context": context} for question, context, _ in rows])
    exact = total = 0.0
    for (_, _, gold), said in zip(rows, found):
        exact += max(qa_en.normal(said["answer"]) == qa_en.normal(text) for _, text in gold)
        total += max(qa_en.f1(said["answer"], text) for _, text in gold)
    return {"questions": len(rows), "exact": exact / len(rows), "f1": total / len(rows)}


def nli(options):
    import nli_en
    rows = nli_en.split(options.data)[2]
    found = answers(options, "text-classification",
                    [{"text": premise, "text_pair": hypothesis} for premise, hypothesis, _ in rows])
    right = sum((said[0] if isinstance(said, list) else said)["label"] == nli_en.LABELS[label]
                for said, (_, _, label) in zip(found, rows))
    return {"pairs": len(rows), "accuracy": right / len(rows)}


def zero_shot(options):
    topics = ["world", "sports", "business", "technology"]
    with open(options.data, encoding="utf-8", newline="") as lines:
        rows = [(row["text"], int(row["label"])) for row in csv.DictReader(lines)][:1000]
    found = answers(options, "zero-shot-classification", [text for text, _ in rows],
                    "--candidate-labels", ",".join(topics), "--hypothesis-template", "This text is about {}.")
    right = sum(topics.index(said["labels"][0]) == label for said, (_, label) in zip(found, rows))
    return {"texts": len(rows), "accuracy": right / len(rows)}


def translation(options):
    import sacrebleu
    rows = [line.split("\t") for line in options.data.read_text(encoding="utf-8").split("\n") if line]
    found = answers(options, "translation", [row[0] for row in rows], "--num-beams", "4")
    said = [(answer[0] if isinstance(answer, list) else answer)["translation_text"] for answer in found]
    most = max(map(len, rows))
    several = [[row[i] if i < len(row) else None for row in rows] for i in range(1, most)]
    return {"sentences": len(rows), "bleu": sacrebleu.corpus_bleu(said, [[row[1] for row in rows]]).score,
            "bleu_all_references": sacrebleu.corpus_bleu(said, several).score}


def rouge(said, gold):
    """(ROUGE-1, ROUGE-L) of two texts."""
    said, gold = (re.findall(r"[a-z0-9]+", text.lower()) for text in (said, gold))
    row = [0] * (len(gold) + 1)  # lengths of the longest common subsequences with gold's beginnings
    for word in said:
        left = 0
        for i, other in enumerate(gold):
            left, row[i + 1] = row[i + 1], left + 1 if word == other else max(row[i], row[i + 1])
    shared = sum((Counter(said) & Counter(gold)).values())
    return [2 * count / max(1, len(said) + len(gold)) for count in (shared, row[-1])]


def summarization(options):
    if options.data.suffix == ".jsonl":
        found = [json.loads(line) for line in options.data.read_text(encoding="utf-8").split("\n") if line]
        rows = [(" ".join(row["dialogue"].split()), row.get("summary") or row["summary1"]) for row in found]
    else:
        with open(options.data, encoding="latin-1", newline="") as lines:
            rows = [(" ".join(row["text"].split()), row["headlines"]) for row in csv.DictReader(lines)]
    rows = rows[:500]
    said = [(answer[0] if isinstance(answer, list) else answer)["summary_text"]
            for answer in answers(options, "summarization", [text for text, _ in rows], "--truncation")]
    first = [re.split(r"(?<=[.!?])\s+", text)[0] for text, _ in rows]
    out = {"texts": len(rows), "words": sum(len(text.split()) for text in said) / len(said)}
    for name, texts in (("", said), ("_of_first_sentence", first)):
        scores = [rouge(text, gold) for text, (_, gold) in zip(texts, rows)]
        for i, kind in enumerate(("rouge1", "rougeL")):
            out[kind + name] = sum(score[i] for score in scores) / len(scores)
    return out


def main():
    measures = {"sentiment": sentiment, "ner": ner, "qa": qa, "nli": nli, "zero-shot": zero_shot,
                "translation": translation, "summarization": summarization}
    parser = argparse.ArgumentParser(description="Measures a bundled model through tcpp.")
    parser.add_argument("what", choices=measures)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--tcpp", default="tcpp", help="default: %(default)s")
    parser.add_argument("--work", type=Path, default=Path("measure-work"), help="default: %(default)s")
    parser.add_argument("--dtype", help="default: as stored")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    print(json.dumps({"model": options.model.name, "what": options.what, **measures[options.what](options)}))


if __name__ == "__main__":
    main()
