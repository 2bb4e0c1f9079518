#!/usr/bin/env python3
"""Writes src/tokenizers/text_tables.inc: what the `tokenizers` package's regular expressions (Oniguruma), its
UnicodeScripts and its grapheme clusters (which Precompiled goes by) take every code point for.

As in make_unicode.py the package is asked about all code points, so that ids depend on no system's Unicode version. Only
which kind of grapheme extender, consonant or prefix a code point is comes from the `regex` module; that one attaches to
the letter before it is asked of the package.

Usage: pip install tokenizers==0.23.3 regex
       python3 tests/reference/make_text_tables.py src/tokenizers/text_tables.inc
"""
import base64
import json
import struct
import sys

import regex
import tokenizers
from tokenizers import Regex, Tokenizer, pre_tokenizers
from make_unicode import CODE_POINTS, two_stage

EVERYTHING = "".join(map(chr, CODE_POINTS))
REGEX_FLAGS = {"letter": r"\p{L}", "number": r"\p{N}", "space": r"\s", "mark": r"\p{M}", "upper": r"[\p{Lu}\p{Lt}]", "lower": r"\p{Ll}"}
CLUSTERS = ["Other", "CR", "LF", "Control", "Extend", "ZWJ", "SpacingMark", "Prepend", "Regional_Indicator", "L", "V", "T", "LV", "LVT", "Pictographic"]
CATEGORIES = "Cn Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co".split()
INDIC = ["None", "Consonant", "Linker", "Extend"]
CLUSTER_SHIFT, INDIC_SHIFT = len(REGEX_FLAGS), len(REGEX_FLAGS) + 4


def matched(pattern):
    """The code points that a regular expression of the package matches."""
    split = pre_tokenizers.Split(Regex(pattern), "removed")
    rest = {c for piece, _ in split.pre_tokenize_str(EVERYTHING) for c in piece}
    return {ord(c) for c in EVERYTHING if c not in rest}


def charsmap(key, value):
    """A precompiled_charsmap with one rule: a double array that knows one byte, and the text it stands for."""
    units = [0] * 256
    leaf = 255
    units[key] = key | 1 << 8 | (key ^ leaf) << 10
    units[leaf] = 1 << 31
    return base64.b64encode(struct.pack("<I256I", 1024, *units) + value + b"\0").decode()


def attached():
    """The code points that form one cluster with an "a" before them: the rule for "a" then takes them along."""
    tok = Tokenizer.from_str(json.dumps({"version": "1.0", "normalizer": {"type": "Precompiled", "precompiled_charsmap": charsmap(ord("a"), b"b")},
                                         "model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}}))
    return {c for c in CODE_POINTS if tok.normalizer.normalize_str("a" + chr(c)) == "b"}


def cluster_classes():
    classes = [0] * 0x110000
    for i, name in enumerate(CLUSTERS[1:-1], 1):
        for c in regex.findall(r"\p{Grapheme_Cluster_Break=%s}" % name, EVERYTHING):
            classes[ord(c)] = i
    for c in regex.findall(r"\p{Extended_Pictographic}", EVERYTHING):
        if classes[ord(c)] == 0:
            classes[ord(c)] = CLUSTERS.index("Pictographic")
    extenders = {CLUSTERS.index(n) for n in ("Extend", "ZWJ", "SpacingMark")}
    package = attached()
    changed = 0
    for c in CODE_POINTS:
        if (classes[c] in extenders) != (c in package):
            classes[c] = CLUSTERS.index("Extend") if c in package else 0
            changed += 1
    print("%d code points attach otherwise than the regex module knows" % changed)
    for i, name in enumerate(INDIC[1:], 1):
        for c in regex.findall(r"\p{Indic_Conjunct_Break=%s}" % name, EVERYTHING):
            classes[ord(c)] |= i << 4
    return classes


def scripts():
    """Numbers of the scripts: 0 fits any. Two code points have one script when no split comes between them."""
    split = pre_tokenizers.UnicodeScripts()
    def apart(a, b):
        # A letter before them, so that what is before the first change of script is not lost.
        return any(piece.startswith(b) for piece, _ in split.pre_tokenize_str(a + b)[-1:]) and len(split.pre_tokenize_str("a" + a + b)) > len(split.pre_tokenize_str("a" + a))
    any_script = {c for c in CODE_POINTS if not split.pre_tokenize_str(chr(c))}
    numbers, known = [0] * 0x110000, []
    last = None
    for c in CODE_POINTS:
        if c in any_script:
            continue
        ch = chr(c)
        if last is not None and not apart(chr(last), ch):
            numbers[c] = numbers[last]
        else:
            for i, example in enumerate(known, 1):
                if not apart(example, ch):
                    numbers[c] = i
                    break
            else:
                known.append(ch)
                numbers[c] = len(known)
        last = c
    print("%d scripts" % len(known))
    return numbers


def main():
    values = cluster_classes()
    values = [(v & 15) << CLUSTER_SHIFT | (v >> 4) << INDIC_SHIFT for v in values]
    for bit, pattern in enumerate(REGEX_FLAGS.values()):
        for c in matched(pattern):
            values[c] |= 1 << bit
    out = []
    two_stage("kText", values, "uint16_t", out)
    two_stage("kScript", scripts(), "uint8_t", out)
    categories = [0] * 0x110000
    for i, name in enumerate(CATEGORIES[1:], 1):
        for c in matched(r"\p{%s}" % name):
            categories[c] = i
    two_stage("kCategory", categories, "uint8_t", out)
    text = "\n".join(out) + "\n"
    with open(sys.argv[1], "w") as f:
        f.write("// Generated by tests/reference/make_text_tables.py from tokenizers %s; do not edit.\n"
                "// clang-format off\n" % tokenizers.__version__ + text + "// clang-format on\n")
    print("%d bytes" % len(text))


if __name__ == "__main__":
    main()
