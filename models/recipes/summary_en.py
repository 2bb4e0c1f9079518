# Makes models/summary-en: one sentence that says what a short English text is about, cut from a small flan-t5.
#
# Where it stands: the model's whole history, from the weights of a public package to the directory that is shipped.
#   1. texts    paragraphs of an encyclopedia, speeches, stories and a novel, each of at most WORDS words
#   2. cut      PIECES pieces of the vocabulary, the layers and the units of the feed-forward parts that matter most
#   3. heal     on a few sentences at a time: learns to answer with their main one, and to encode texts as the whole model does
#   4. learn    whole texts: their main sentence, without its side clauses
#   5. export   float16 weights, then `tcpp quantize`
# Usage: python summary_en.py TITLE DATA OUT [--work DIR] [--tcpp PROGRAM]
#   TITLE: the Hugging Face directory of the flan-t5-small inside the Python package traceforge-title-model, made from its ONNX
#   files; DATA holds squad-aqleaderboard/, squad-emptycity/, xquad/, tinystories/, gutenberg/ and nltk_data/.
# Every step leaves its result in the work directory, and a run that was stopped goes on where it was.
# Sources: T5, Raffel et al. 2020, arXiv:1910.10683; Flan, Chung et al. 2022, arXiv:2210.11416; main sentences as in PEGASUS,
#   Zhang et al. 2020, arXiv:1912.08777.
import copy
import itertools
import json
import random
import re
import zipfile
from collections import Counter

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import PreTrainedTokenizerFast, T5ForConditionalGeneration

from common import SEED, batches, fit, log, options_of, pad, quantize, word_counts, write_json

PIECES = 5500
ENCODER, DECODER, UNITS = 4, 2, 640
WORDS, WINDOW = 150, 60
PREFIX = "summarize: "
BATCH = 16
DEV = 100
HEAL_WINDOWS = 4160
HEAL = dict(rounds=1, lr=1e-3, warmup=0.03, end=0.4)
LEARN = dict(rounds=1, lr=4e-4, warmup=0.02)


# ---------------------------------------------------------------------------------------------------------- data


def sentences(text):
    """The sentences of a text; a full stop after an initial or a title does not end one."""
    out = []
    for part in re.split(r"(?<=[.!?])\s+(?=[\"“'(]?[A-Z0-9])", text):
        if out and re.search(r"(?:\b[A-Z]|\b(?:Mr|Mrs|Ms|Dr|St|No|vs|Jr|Sr|Gen|Col|Lt|Capt|Prof|Rev|c|ca))\.$", out[-1]):
            out[-1] += " " + part
        else:
            out.append(part)
    return out


def first_sentences(parts, words):
    """As many of the first sentences as have no more words than that."""
    out, count = [], 0
    for part in parts:
        count += len(part.split())
        if out and count > words:
            break
        out.append(part)
    return " ".join(out)


def contexts(path):
    data = json.loads(path.read_text(encoding="utf-8"))
    for article in data["data"] if isinstance(data, dict) else data:
        yield from (part["context"] for part in article["paragraphs"]) if "paragraphs" in article else [article["context"]]


def texts(data):
    """(paragraphs of the encyclopedia, everything else): texts of at most WORDS words, whole sentences."""
    never = set(contexts(data / "xquad/xquad.en.json"))
    wiki = [text for name in ("squad-aqleaderboard/test-v1.1.json", "squad-emptycity/train.json", "squad-emptycity/valid.json")
            for text in contexts(data / name) if text not in never]
    rest = []
    with zipfile.ZipFile(data / "nltk_data/state_union.zip") as speeches:
        for name in sorted(speeches.namelist()):
            if name.endswith(".txt"):
                rest += re.split(r"\n\s*\n|\n(?=\s)", speeches.read(name).decode("utf-8", "replace"))
    for file in sorted((data / "tinystories").glob("*gpt.txt")):
        rest += re.split(r"<\|endoftext\|>|\n{3,}", file.read_text(encoding="utf-8", errors="replace"))
    rest += re.split(r"\n\s*\n", (data / "gutenberg/frankenstein.txt").read_text(encoding="utf-8", errors="replace"))

    def ready(many):
        short = (first_sentences(sentences(" ".join(text.split())), WORDS) for text in many)
        return list(dict.fromkeys(text for text in short if 35 <= len(text.split()) <= WORDS and len(sentences(text)) > 1))

    wiki, rest = ready(wiki), ready(rest)
    rng = random.Random(SEED)
    rng.shuffle(wiki)
    rng.shuffle(rest)
    return wiki, rest[:2500]


def content(text):
    return [word for word in re.findall(r"[a-z0-9]+", text.lower()) if len(word) > 3 or word.isdigit()]


def main_sentence(text, first):
    """The sentence that shares most with the rest of its text, without what stands in brackets; '' if none will do.

    first: what it is worth to stand first, in units of the share.
    """
    parts = sentences(text)
    best, most = "", 0.0
    for i, part in enumerate(parts):
        if not 6 <= len(part.split()) <= 45 or not re.search(r"[.!?][\"”']?$", part):
            continue
        if part.count('"') % 2 or part.count("“") != part.count("”"):
            continue
        own, rest = Counter(content(part)), Counter(content(" ".join(parts[:i] + parts[i + 1:])))
        shared = sum((own & rest).values())
        score = 2 * shared / max(1, sum(own.values()) + sum(rest.values())) + (first if i == 0 else 0.0)
        if re.match(r"(?:He|She|It|They|This|These|That|His|Her|Their|Its|But|And|However)\b", part):
            score *= 0.6
        if score > most:
            best, most = part, score
    best = re.sub(r"\s*[\[(][^\])]*[\])]", "", best)
    best = re.sub(r"^(?:However|Moreover|Furthermore|In addition|Therefore|Thus|Nevertheless|Finally|Additionally),\s+", "",
                  best)
    return best[:1].upper() + best[1:]


RELATIVE = r",\s+(?:which|who|whose|whom|where|when)\b"
STARTS = r"(?:it|they|he|she|we|I|you|the|its|this|that|their|his|her|there|were|was|is|are|has|had|have|will)"
JOINS = r"(?:with|although|though|while|whereas|but|so|because|as well as|including|such as|(?:and|or) " + STARTS + ")"
SIDE_CLAUSES = (RELATIVE + r"[^,.;:]*,", RELATIVE + r"[^;]*(?=[.!?]$)",
                r"(?:;|\s+[-–—]|,\s+" + JOINS + r"\b)\s.*(?=[.!?]$)")


def shortened(sentence):
    """A sentence without the clauses that only add to it, where eight words are left."""
    for clause in SIDE_CLAUSES:
        short = re.sub(clause, "", sentence)
        if len(short.split()) >= 8 and short.count('"') % 2 == 0:
            sentence = short
    return sentence


def windows(many, rng):
    """[(a few sentences that follow each other, the main one of them)]"""
    out = []
    for text in many:
        parts = sentences(text)
        start = rng.randrange(max(1, len(parts) - 1))
        window = first_sentences(parts[start:], WINDOW)
        label = main_sentence(window, 0.12)
        if label and len(sentences(window)) > 1:
            out.append((window, label))
    return out


# ---------------------------------------------------------------------------------------------------- vocabulary


def write_tokenizer(source, many, out):
    """tokenizer.json of the pieces that English needs; returns their rows in the whole model's tables."""
    full = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    whole = PreTrainedTokenizerFast(tokenizer_file=str(source / "tokenizer.json"), unk_token="<unk>", pad_token="<pad>",
                                    eos_token="</s>")
    whole.backend_tokenizer.no_truncation()
    votes = word_counts(many, share=0.5)
    used = Counter()
    for word, weight in votes.items():
        for form, part in ((word, 0.75), (word.capitalize(), 0.25)):
            for piece in whole(form, add_special_tokens=False)["input_ids"]:
                used[piece] += weight * part
    pieces = full["model"]["vocab"]
    keep = {0, 1, 2} | {i for i, (piece, _) in enumerate(pieces) if len(piece.removeprefix("▁")) <= 1 and
                        all(ord(c) < 0x180 or 0x2010 <= ord(c) < 0x2100 or c == "▁" for c in piece)}
    for piece, _ in sorted(used.items(), key=lambda item: (-item[1], item[0])):
        if len(keep) >= PIECES:
            break
        keep.add(piece)
    rows = sorted(keep)
    full["model"]["vocab"] = [pieces[i] for i in rows]
    full["added_tokens"] = [token for token in full["added_tokens"] if token["id"] < 3]
    full["truncation"] = full["padding"] = None
    # What T5's own table of characters does to English, without the table.
    full["normalizer"] = {"type": "Sequence", "normalizers": [
        {"type": "Nmt"}, {"type": "NFKC"}, {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]}
    write_json(out / "tokenizer.json", full, indent=None)
    write_json(out / "tokenizer_config.json", {
        "clean_up_tokenization_spaces": False, "eos_token": "</s>", "model_max_length": 512, "pad_token": "<pad>",
        "tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "<unk>"})
    return rows


# ----------------------------------------------------------------------------------------------------------- cut


def with_rows(path, rows):
    """The whole model with the pieces given only."""
    model = T5ForConditionalGeneration.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()
    head = torch.nn.Linear(model.config.d_model, len(rows), bias=False)
    head.weight.data.copy_(model.lm_head.weight.detach()[rows])
    table = torch.nn.Embedding.from_pretrained(model.shared.weight.detach()[rows], freeze=False)
    model.set_input_embeddings(table)
    model.lm_head = head
    model.config.vocab_size = len(rows)
    return model


def batch_of(part):
    """(source ids, their mask, labels with -100 where there is none)"""
    source, labels = pad([s for s, _ in part]), pad([t for _, t in part], -100)
    return source, (source != 0).long(), labels


def loss_with(model, part):
    source, mask, labels = batch_of(part)
    return model(input_ids=source, attention_mask=mask, labels=labels, use_cache=False).loss


def keep_blocks(stack, kept):
    """Leaves these blocks of an encoder or decoder; the table of relative positions stays in the first."""
    bias = stack.block[0].layer[0].SelfAttention.relative_attention_bias
    stack.block = torch.nn.ModuleList([stack.block[i] for i in kept])
    for i, block in enumerate(stack.block):
        for layer in block.layer[:-1]:
            attention = getattr(layer, "SelfAttention", None) or layer.EncDecAttention
            attention.layer_idx = i
    first = stack.block[0].layer[0].SelfAttention
    first.has_relative_attention_bias, first.relative_attention_bias = True, bias
    stack.config.num_layers = len(kept)


def cut(whole, encoder, decoder, parts):
    """The blocks given, and of each feed-forward part the UNITS units that add most to the output."""
    model = copy.deepcopy(whole)
    keep_blocks(model.encoder, encoder)
    keep_blocks(model.decoder, decoder)
    model.config.num_layers, model.config.num_decoder_layers = len(encoder), len(decoder)
    inner = [block.layer[-1].DenseReluDense for stack in (model.encoder, model.decoder) for block in stack.block]
    sums = [torch.zeros(part.wo.in_features) for part in inner]
    def count(total):
        def hook(_, given, __):
            total.add_(given[0].abs().flatten(0, 1).sum(0))
        return hook

    hooks = [part.wo.register_forward_hook(count(total)) for part, total in zip(inner, sums)]
    with torch.no_grad():
        for part in parts:
            loss_with(model, part)
    for hook in hooks:
        hook.remove()
    for part, total in zip(inner, sums):
        best = (total * part.wo.weight.detach().norm(dim=0)).topk(UNITS).indices.sort().values
        for name in ("wi_0", "wi_1", "wo"):
            old = getattr(part, name).weight.detach()
            new = old[:, best] if name == "wo" else old[best]
            linear = torch.nn.Linear(new.shape[1], new.shape[0], bias=False)
            linear.weight.data.copy_(new)
            setattr(part, name, linear)
    model.config.d_ff = UNITS
    return model


@torch.no_grad()
def choose_blocks(whole, parts):
    """The encoder's blocks whose result is nearest the whole encoder's, then the decoder's of the least loss with it."""
    want = []
    for part in parts:
        source, mask, _ = batch_of(part)
        want.append((source, mask, whole.encoder(input_ids=source, attention_mask=mask).last_hidden_state))
    count = len(whole.encoder.block)
    found = []
    for between in itertools.combinations(range(1, count), ENCODER - 1):
        stack = copy.deepcopy(whole.encoder)
        keep_blocks(stack, (0, *between))
        near = sum(F.cosine_similarity(stack(input_ids=source, attention_mask=mask).last_hidden_state[mask.bool()],
                                       states[mask.bool()], dim=-1).mean().item() for source, mask, states in want)
        found.append((near / len(want), (0, *between)))
    encoder = max(found)
    found = []
    for kept in itertools.combinations(range(len(whole.decoder.block)), DECODER):
        model = copy.deepcopy(whole)
        keep_blocks(model.decoder, kept)
        model.config.num_decoder_layers = DECODER
        loss = 0.0
        for (_, mask, states), part in zip(want, parts):
            loss += model(encoder_outputs=(states,), attention_mask=mask, labels=batch_of(part)[2], use_cache=False).loss.item()
        found.append((loss / len(parts), kept))
    decoder = min(found)
    log(f"encoder blocks {encoder[1]}, cosine {encoder[0]:.3f}; decoder blocks {decoder[1]}, loss {decoder[0]:.3f}")
    return encoder[1], decoder[1]


# ----------------------------------------------------------------------------------------------------------- run


@torch.no_grad()
def dev_loss(model, rows, tokenizer, shown=4):
    model.eval()
    for i in range(shown):
        said = model.generate(input_ids=torch.tensor([rows[i][0]]), max_new_tokens=50, num_beams=1, do_sample=False)
        log(f"  {tokenizer.decode(said[0], skip_special_tokens=True)}")
    parts = [rows[i:i + BATCH] for i in range(0, len(rows), BATCH)]
    return sum(loss_with(model, part).item() for part in parts) / len(parts)


def encoded(tokenizer, pairs, rng):
    """[(source ids, label ids)]; one source in four has the prefix that T5 is used to. Labels hold no unknown piece."""
    sources = tokenizer([(PREFIX if rng.random() < 0.25 else "") + text for text, _ in pairs])["input_ids"]
    labels = tokenizer([label for _, label in pairs])["input_ids"]
    return [(s, t) for s, t in zip(sources, labels) if 2 not in t and len(s) <= 300 and len(t) <= 80]


def export(model, out):
    state = {name: value for name, value in model.state_dict().items() if "embed_tokens" not in name}
    save_file({name: value.to(torch.float16 if value.dim() > 1 else torch.float32).contiguous()
               for name, value in state.items()}, out / "model.safetensors", metadata={"format": "pt"})
    config = model.config.to_diff_dict()
    for name in ("_name_or_path", "transformers_version"):
        config.pop(name, None)
    write_json(out / "config.json", {"architectures": ["T5ForConditionalGeneration"], **config, "dtype": "float32",
                                     "tie_word_embeddings": False})
    write_json(out / "generation_config.json", {
        "decoder_start_token_id": 0, "early_stopping": True, "eos_token_id": 1, "max_new_tokens": 64,
        "no_repeat_ngram_size": 6, "num_beams": 4, "pad_token_id": 0})


def main():
    options = options_of("summary-en", title="the title model's directory", data="directory with the texts")
    float_dir = options.work / "model"
    wiki, rest = texts(options.data)
    dev, wiki_rest = wiki[:DEV], wiki[DEV:]
    log(f"{len(wiki)} paragraphs of the encyclopedia, {len(rest)} other texts")
    rows = write_tokenizer(options.title, wiki + rest, float_dir)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(float_dir)

    whole = with_rows(options.title, rows)
    rng = random.Random(SEED)
    window_rows = encoded(tokenizer, [pair for _ in range(3) for pair in windows(wiki_rest + rest, rng)], rng)
    rng.shuffle(window_rows)
    dev_rows = encoded(tokenizer, windows(dev, rng), rng)
    log(f"{len(rows)} pieces; {len(window_rows)} windows of {sum(len(s) for s, _ in window_rows) / len(window_rows):.0f} tokens")
    probe = [window_rows[i:i + 8] for i in range(0, 32, 8)]
    kept = options.work / "blocks.json"
    if not kept.exists():
        write_json(kept, choose_blocks(whole, probe))
    model = cut(whole, *json.loads(kept.read_text()), probe)
    log(f"loss of the whole model {dev_loss(whole, dev_rows, tokenizer, 2):.3f}, "
        f"cut {dev_loss(model, dev_rows, tokenizer, 1):.3f}; "
        f"{sum(p.numel() for p in model.parameters()):,} parameters")

    def heal_loss(part):
        source, mask, labels = batch_of(part)
        with torch.no_grad():
            want = whole.encoder(input_ids=source, attention_mask=mask).last_hidden_state[mask.bool()].float()
        states = model.encoder(input_ids=source, attention_mask=mask).last_hidden_state
        near = F.mse_loss(states[mask.bool()].float(), want) / want.square().mean()
        return near + model(encoder_outputs=(states,), attention_mask=mask, labels=labels, use_cache=False).loss

    healing = window_rows[:HEAL_WINDOWS]
    fit(model, lambda turn: (healing, batches([len(s) + len(t) for s, t in healing], BATCH, SEED + turn)), heal_loss,
        lambda: -dev_loss(model, dev_rows, tokenizer), **HEAL, checkpoint=options.work / "heal.pt")

    pairs = [(text, shortened(main_sentence(text, 0.08))) for text in dev + wiki_rest + rest]
    dev_rows = encoded(tokenizer, [pair for pair in pairs[:DEV] if pair[1]], rng)
    learning = encoded(tokenizer, [pair for pair in pairs[DEV:] if pair[1]], rng)
    fit(model, lambda turn: (learning, batches([len(s) + len(t) for s, t in learning], BATCH, SEED + turn)),
        lambda part: loss_with(model, part), lambda: -dev_loss(model, dev_rows, tokenizer), **LEARN,
        checkpoint=options.work / "learn.pt")
    export(model, float_dir)
    quantize(options.tcpp, float_dir, options.out, "q4", "q4")


if __name__ == "__main__":
    main()
