#!/usr/bin/env python3
"""Writes src/tokenizers/unicode_tables.inc: what the `tokenizers` package takes every code point for; and
tests/data/tokenizers/unicode-digests.json: what it makes of every code point and of random strings, as digests.

Token ids must not depend on the Unicode version of the system, and the package mixes several (its normalization, its
categories and its regular expressions come from three libraries), so nothing is read from the Unicode database: every
table is found out by asking the package about all 1,112,064 code points. The tables are then checked: a model of the
normalization algorithm over them must give the package's answers for every code point and for random strings.

Usage: pip install tokenizers==0.23.3
       python3 tests/reference/make_unicode.py src/tokenizers/unicode_tables.inc tests/data/tokenizers/unicode-digests.json
"""
import functools
import json
import random
import sys

import tokenizers
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
BLOCK = 64

NFC, NFD, NFKC, NFKD = normalizers.NFC(), normalizers.NFD(), normalizers.NFKC(), normalizers.NFKD()

FLAGS = {
    "kWhitespace": 1 << 0,  # char::is_whitespace, and \s of the regular expressions
    "kRemove": 1 << 1,  # dropped by BertNormalizer's clean_text
    "kChinese": 1 << 2,  # set apart by BertNormalizer's handle_chinese_chars
    "kPunctuation": 1 << 3,  # split off by BertPreTokenizer and Punctuation
    "kNonspacing": 1 << 4,  # dropped by BertNormalizer's strip_accents (category Mn)
    "kMark": 1 << 5,  # dropped by StripAccents (category M)
    "kNumeric": 1 << 6,  # char::is_numeric
    "kWord": 1 << 7,  # \w of the regular expressions
    "kComposes": 1 << 8,  # may be the second of a pair that composes
}
CLASS_SHIFT = 9  # the rank of the canonical combining class stands above the flags


def bert(**on):
    return normalizers.BertNormalizer(**{**dict(clean_text=False, handle_chinese_chars=False, strip_accents=False,
                                                lowercase=False), **on})


def pieces(pre_tokenizer, text):
    return [p for p, _ in pre_tokenizer.pre_tokenize_str(text)]


def probe_flags():
    props = [0] * 0x110000
    clean, chinese, accents = bert(clean_text=True), bert(handle_chinese_chars=True), bert(strip_accents=True)
    strip_accents = normalizers.StripAccents()
    whitespace, split = pre_tokenizers.Whitespace(), pre_tokenizers.WhitespaceSplit()
    bert_punctuation, punctuation = pre_tokenizers.BertPreTokenizer(), pre_tokenizers.Punctuation()
    digits = pre_tokenizers.Digits(individual_digits=True)
    single_word = Tokenizer(models.WordLevel({"X": 0, "?": 1}, unk_token="?"))
    single_word.add_tokens([AddedToken("X", single_word=True, normalized=False)])
    strips = Tokenizer(models.WordLevel({"X": 0, "?": 1}, unk_token="?"))
    strips.add_tokens([AddedToken("X", lstrip=True, rstrip=True, normalized=False)])
    for c in CODE_POINTS:
        s = chr(c)
        is_space = pieces(split, "a" + s + "b") == ["a", "b"]
        cleaned = clean.normalize_str(s)
        removed = cleaned == ""
        if not removed:
            assert cleaned == (" " if is_space else s), hex(c)
        set_apart = chinese.normalize_str(s)
        assert set_apart in (s, " " + s + " "), hex(c)
        if is_space:
            is_punctuation = False
        else:
            is_punctuation = pieces(bert_punctuation, "a" + s + "b") == ["a", s, "b"]
            assert is_punctuation == (pieces(punctuation, "a" + s + "b") == ["a", s, "b"]), hex(c)
        if s not in "abX":
            words = pieces(whitespace, "a" + s + "b")
            assert (words == ["a", "b"]) == is_space, hex(c)
            is_word = words == ["a" + s + "b"]
            assert is_word == (len(single_word.encode(s + "X").ids) == 1), hex(c)
            assert is_word == (len(single_word.encode("X" + s).ids) == 1), hex(c)
            stripped = strips.encode(s + "X" + s)
            assert (stripped.offsets == [(0, 3)]) == is_space, hex(c)
        else:
            is_word = True
        nonspacing = NFD.normalize_str(s) == s and accents.normalize_str(s) == ""
        props[c] = (is_space * FLAGS["kWhitespace"] | removed * FLAGS["kRemove"]
                    | (set_apart != s) * FLAGS["kChinese"] | is_punctuation * FLAGS["kPunctuation"]
                    | nonspacing * FLAGS["kNonspacing"] | (strip_accents.normalize_str(s) == "") * FLAGS["kMark"]
                    | (pieces(digits, "a" + s + "b") == ["a", s, "b"]) * FLAGS["kNumeric"] | is_word * FLAGS["kWord"])
    return props


def probe_mapping(normalizer):
    return {c: m for c in CODE_POINTS if (m := normalizer.normalize_str(chr(c))) != chr(c)}


def is_hangul(c):
    return 0xAC00 <= c < 0xD7A4


def combining_classes(nfd):
    """Ranks of the canonical combining classes: only their order matters."""
    # U+0345 has the highest class of all and U+0334 the lowest: a non-starter moves before the one or behind the other.
    high, low = chr(0x345), chr(0x334)
    marks = [c for c in CODE_POINTS if c not in nfd and (
        NFD.normalize_str("a" + high + chr(c)) == "a" + chr(c) + high or
        NFD.normalize_str("a" + chr(c) + low) == "a" + low + chr(c))]
    def order(a, b):
        if NFD.normalize_str("a" + chr(a) + chr(b)) != "a" + chr(a) + chr(b):
            return 1
        if NFD.normalize_str("a" + chr(b) + chr(a)) != "a" + chr(b) + chr(a):
            return -1
        return 0
    marks.sort(key=functools.cmp_to_key(order))
    ranks, rank = {}, 0
    for i, c in enumerate(marks):
        if i == 0 or order(marks[i - 1], c) < 0:
            rank += 1
        ranks[c] = rank
    return ranks


def compositions(nfd):
    pairs = {}
    for c, full in nfd.items():
        if is_hangul(c) or NFC.normalize_str(chr(c)) != chr(c):
            continue
        for i in reversed(range(len(full))):
            rest = NFC.normalize_str(full[:i] + full[i + 1:])
            if len(rest) == 1 and NFC.normalize_str(rest + full[i]) == chr(c):
                pairs[(ord(rest), ord(full[i]))] = c
                break
        else:
            raise AssertionError("no pair composes to U+%04X" % c)
    return pairs


class Model:
    """The normalization algorithm over the probed tables, as the C++ code runs it."""

    def __init__(self, nfd, nfkd, ranks, pairs):
        self.tables, self.ranks, self.pairs = {False: nfd, True: nfkd}, ranks, pairs

    def decompose(self, text, compatible):
        out = []
        for ch in text:
            c = ord(ch)
            if is_hangul(c):
                s = c - 0xAC00
                out += [0x1100 + s // 588, 0x1161 + s % 588 // 28] + ([0x11A7 + s % 28] if s % 28 else [])
            else:
                out += [ord(d) for d in self.tables[compatible].get(c, ch)]
        i = 0
        while i < len(out):
            j = i
            while j < len(out) and self.ranks.get(out[j], 0):
                j += 1
            out[i:j] = sorted(out[i:j], key=lambda c: self.ranks[c])
            i = j + 1
        return out

    def pair(self, a, b):
        if 0x1100 <= a < 0x1113 and 0x1161 <= b < 0x1176:
            return 0xAC00 + (a - 0x1100) * 588 + (b - 0x1161) * 28
        if is_hangul(a) and (a - 0xAC00) % 28 == 0 and 0x11A7 < b < 0x11C3:
            return a + b - 0x11A7
        return self.pairs.get((a, b))

    def compose(self, decomposed):
        out, starter, last = [], -1, 0
        for c in decomposed:
            rank = self.ranks.get(c, 0)
            if starter >= 0 and (last == 0 and len(out) == starter + 1 or last < rank):
                composed = self.pair(out[starter], c)
                if composed is not None:
                    out[starter] = composed
                    continue
            if rank == 0:
                starter, last = len(out), 0
            else:
                last = rank
            out.append(c)
        return out

    def normalize(self, text, form):
        decomposed = self.decompose(text, "K" in form)
        return "".join(map(chr, self.compose(decomposed) if form.endswith("C") else decomposed))


def check(model):
    forms = {"NFC": NFC, "NFD": NFD, "NFKC": NFKC, "NFKD": NFKD}
    for name, normalizer in forms.items():
        for c in CODE_POINTS:
            assert model.normalize(chr(c), name) == normalizer.normalize_str(chr(c)), (name, hex(c))
    rng = random.Random(1)
    marks, decomposing = list(model.ranks), list(model.tables[True])
    seconds = sorted({b for _, b in model.pairs})
    firsts = sorted({a for a, _ in model.pairs})
    hangul = list(range(0x1100, 0x1200)) + list(range(0xAC00, 0xAC60))
    pools = [marks, decomposing, seconds, firsts, hangul, list(range(0x20, 0x250)), CODE_POINTS]
    for _ in range(200000):
        text = "".join(chr(rng.choice(rng.choice(pools))) for _ in range(rng.randint(1, 8)))
        for name, normalizer in forms.items():
            assert model.normalize(text, name) == normalizer.normalize_str(text), (name, ascii(text))


def numbers(values, width=118):
    lines, line = [], ""
    for v in values:
        item = "%d," % v
        if len(line) + len(item) > width:
            lines.append(line)
            line = ""
        line += item
    return "\n".join(lines + [line])


def two_stage(name, values, kind, out):
    """values[code point] -> name##_index[block] and name##_blocks[index][offset]."""
    blocks, index = {}, []
    for start in range(0, 0x110000, BLOCK):
        block = tuple(values[start:start + BLOCK])
        index.append(blocks.setdefault(block, len(blocks)))
    # Everything from the last block that is not like the final one is left out of the index.
    while len(index) > 1 and index[-1] == index[-2]:
        index.pop()
    kind_of_index = "uint8_t" if len(blocks) <= 256 else "uint16_t"
    out.append("constexpr %s %sIndex[%d] = {\n%s};" % (kind_of_index, name, len(index), numbers(index)))
    out.append("constexpr %s %sBlocks[%d] = {\n%s};" % (
        kind, name, len(blocks) * BLOCK, numbers(v for b in blocks for v in b)))


def digest(texts):
    """FNV-1a, 64 bit, of the UTF-8 bytes of the texts, each followed by a line end."""
    h = 0xCBF29CE484222325
    for text in texts:
        for b in (text + "\n").encode():
            h = ((h ^ b) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return "%016x" % h


# Where the code points of random strings come from; unicode_test.cpp has the same list and the same generator.
RANGES = [(0x20, 0x24F), (0x300, 0x36F), (0x1100, 0x11FF), (0xAC00, 0xD7A3), (0x1E00, 0x1FFF), (0x900, 0xDFF),
          (0x3040, 0x30FF), (0x590, 0x6FF), (0xF900, 0xFAFF), (0x1D150, 0x1D1FF), (0x10000, 0x10FFFF)]


def random_strings(count):
    state = 1
    def draw(n):
        nonlocal state
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (state >> 33) % n
    out = []
    for _ in range(count):
        text = ""
        for _ in range(1 + draw(8)):
            low, high = RANGES[draw(len(RANGES))]
            text += chr(low + draw(high - low + 1))
        out.append(text)
    return out


def write_digests(path):
    forms = {"NFC": NFC, "NFD": NFD, "NFKC": NFKC, "NFKD": NFKD, "Lowercase": normalizers.Lowercase(),
             "StripAccents": normalizers.StripAccents(), "Nmt": normalizers.Nmt(), "BertNormalizer": bert(
                 clean_text=True, handle_chinese_chars=True, strip_accents=True, lowercase=True)}
    strings = random_strings(20000)
    out = {}
    for name, normalizer in forms.items():
        out[name] = {
            "code_points": [digest(normalizer.normalize_str(chr(c)) for c in range(start, start + 0x1000)
                                   if not 0xD800 <= c < 0xE000) for start in range(0, 0x110000, 0x1000)],
            "strings": digest(normalizer.normalize_str(s) for s in strings)}
    with open(path, "w") as f:
        json.dump({"made_with": "tokenizers " + tokenizers.__version__, "digests": out}, f, indent=0)
        f.write("\n")


def main():
    props = probe_flags()
    nfd, nfkd, lower = probe_mapping(NFD), probe_mapping(NFKD), probe_mapping(normalizers.Lowercase())
    ranks = combining_classes(nfd)
    pairs = compositions(nfd)
    assert max(ranks.values()) < 1 << 16 - CLASS_SHIFT
    check(Model(nfd, nfkd, ranks, pairs))
    for c, rank in ranks.items():
        props[c] |= rank << CLASS_SHIFT
    for _, b in pairs:
        props[b] |= FLAGS["kComposes"]
    for b in list(range(0x1161, 0x1176)) + list(range(0x11A8, 0x11C3)):
        props[b] |= FLAGS["kComposes"]

    pool, offsets = [0], {}

    def mapping(table):
        values = [0] * 0x110000
        for c, text in table.items():
            if is_hangul(c) and table is not lower:
                continue
            if text not in offsets:
                offsets[text] = len(pool)
                pool.extend([len(text)] + [ord(d) for d in text])
            values[c] = offsets[text]
        return values

    out = []
    out.append("constexpr int kBlockShift = %d;" % (BLOCK.bit_length() - 1))
    for name, bit in FLAGS.items():
        out.append("constexpr uint16_t %s = %d;" % (name, bit))
    out.append("constexpr int kTableClassShift = %d;" % CLASS_SHIFT)
    two_stage("kProperties", props, "uint16_t", out)
    tables = [("kLower", mapping(lower)), ("kCanonical", mapping(nfd)),
              ("kCompatible", mapping({c: t for c, t in nfkd.items() if nfd.get(c) != t}))]
    assert len(pool) < 1 << 16
    for name, values in tables:
        two_stage(name, values, "uint16_t", out)
    out.append("// A mapping is an offset into the pool, where the number of code points comes first; 0 is no mapping.")
    out.append("constexpr uint32_t kPool[%d] = {\n%s};" % (len(pool), numbers(pool)))
    out.append("// first, second, composed; sorted.")
    out.append("constexpr uint32_t kCompositions[%d][3] = {\n%s};" % (
        len(pairs), "\n".join("{%d,%d,%d}," % (a, b, c) for (a, b), c in sorted(pairs.items()))))
    text = "\n".join(out) + "\n"
    with open(sys.argv[1], "w") as f:
        f.write("// Generated by tests/reference/make_unicode.py from tokenizers %s; do not edit.\n"
                "// clang-format off\n" % tokenizers.__version__ + text + "// clang-format on\n")
    write_digests(sys.argv[2])
    print("%d bytes, %d combining classes, %d compositions" % (len(text), max(ranks.values()), len(pairs)))


if __name__ == "__main__":
    main()
