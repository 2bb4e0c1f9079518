#!/usr/bin/env python3
"""Writes src/tokenizers/moses_tables.inc: what sacremoses takes every code point for, and its English abbreviations.

    python make_moses.py        with sacremoses 0.2.0
"""
import os

from sacremoses.corpus import NonbreakingPrefixes, Perluniprops
from sacremoses.indic import NUKTAS, VIRAMAS

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "src", "tokenizers", "moses_tables.inc")
NUMERIC = " #NUMERIC_ONLY#"


def main():
    of = Perluniprops().chars
    marks = set("".join(VIRAMAS + NUKTAS))
    sets = [set(of("IsAlpha")), set(of("IsAlpha")) | marks, set(of("IsAlnum")) | marks, set(of("IsN")), set(of("IsLower")), set(of("IsSc"))]
    runs = []
    for c in range(0x110000):
        flags = sum((chr(c) in s) << bit for bit, s in enumerate(sets))
        if flags != (runs[-1][1] if runs else 0):
            runs.append((c, flags))
    words = list(NonbreakingPrefixes().words("en"))
    with open(OUT, "w", encoding="ascii") as file:
        file.write("// Written by tests/reference/make_moses.py from sacremoses 0.2.0.\n")
        file.write("// Where a run of code points begins: 1 alpha, 2 alpha or a sign, 4 alnum or a sign, 8 number, 16 lower, 32 currency.\n")
        file.write("constexpr Run kRuns[] = {\n")
        for i in range(0, len(runs), 8):
            file.write("    " + " ".join("{0x%X, %d}," % run for run in runs[i:i + 8]) + "\n")
        file.write("};\n")
        for name, chosen in (("kAbbreviations", [w for w in words if not w.endswith(NUMERIC)]), ("kBeforeNumbers", [w[:-len(NUMERIC)] for w in words if w.endswith(NUMERIC)])):
            file.write(f"constexpr std::string_view {name}[] = {{\n")
            for i in range(0, len(chosen), 12):
                file.write("    " + " ".join(f'"{w}",' for w in sorted(chosen)[i:i + 12]) + "\n")
            file.write("};\n")


if __name__ == "__main__":
    main()
