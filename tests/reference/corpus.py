"""The texts that the tokenizer references are made on: plain prose and everything that breaks a tokenizer.

Usage: from corpus import texts; texts() -> list of about 330 distinct strings (written to tests/data/tokenizers/corpus.jsonl)
Prose is from Mary Shelley, Frankenstein (1818), public domain; the rest was written for these tests.
"""

PROSE = [
    "It was on a dreary night of November that I beheld the accomplishment of my toils. With an anxiety that almost amounted to agony, I collected the instruments of life around me, that I might infuse a spark of being into the lifeless thing that lay at my feet. It was already one in the morning; the rain pattered dismally against the panes, and my candle was nearly burnt out, when, by the glimmer of the half-extinguished light, I saw the dull yellow eye of the creature open; it breathed hard, and a convulsive motion agitated its limbs.",
    "How can I describe my emotions at this catastrophe, or how delineate the wretch whom with such infinite pains and care I had endeavoured to form? His limbs were in proportion, and I had selected his features as beautiful. Beautiful! Great God! His yellow skin scarcely covered the work of muscles and arteries beneath; his hair was of a lustrous black, and flowing; his teeth of a pearly whiteness.",
    "Oh! No mortal could support the horror of that countenance. A mummy again endued with animation could not be so hideous as that wretch. I had gazed on him while unfinished; he was ugly then, but when those muscles and joints were rendered capable of motion, it became a thing such as even Dante could not have conceived.",
    "You will rejoice to hear that no disaster has accompanied the commencement of an enterprise which you have regarded with such evil forebodings. I arrived here yesterday, and my first task is to assure my dear sister of my welfare and increasing confidence in the success of my undertaking.",
    "I passed the night wretchedly. Sometimes my pulse beat so quickly and hardly that I felt the palpitation of every artery; at others, I nearly sank to the ground through languor and extreme weakness.",
    "St. Petersburgh, Dec. 11th, 17\u2014.\nTo Mrs. Saville, England.",
    "Farewell, my dear, excellent Margaret. Heaven shower down blessings on you, and save me, that I may again and again testify my gratitude for all your love and kindness.",
]

PLAIN = [
    "", " ", "  ", "     ", "a", "A", "Z", "7", ".", "the", "The", "hello", "hello world", "Hello, World!", " hello", "hello ", "  two  spaces  ",
    "I don't know; she's sure we've, they're, I'm, he'd, you'll, it's 'quoted' o'clock rock 'n' roll.",
    "unaffable unwanted running embeddings tokenization antidisestablishmentarianism",
    "The price rose 3.14% to $1,234.56 on 2024-02-29 at 12:30:59.", "one,two;three:four.five!six?seven", "e.g. i.e. etc. U.S.A. Ph.D. a.m. p.m. No. 5",
    "mail me at first.last+tag@example.co.uk or see https://example.org/a/b?c=d&e=f#g", "C:\\dir\\file.txt /usr/bin/env ~/.bashrc ../x",
    "def f(x: int) -> str:\n    return f\"{x!r}\"\n", "x = a[i]++ + --b * (c << 2) ^ ~d | e & f % g;", "<p class=\"a\">b &amp; c</p>", "{\"k\": [1, 2.5e-3, null, true]}",
    "CamelCase snake_case kebab-case SCREAMING_CASE dot.case", "abc123def 1st 2nd 3rd 4x4 h2o b2b", "0 00 007 1e10 0xDEADBEEF 1_000 \u00bd",
    "UPPER lower Title mIxEd", "a b c d e f g h i j k l m n o p q r s t u v w x y z", "no-space-between-hyphens well-known co-operate",
    "What is the capital of France?", "The capital of France is Paris.", "I love this movie, it was wonderful!", "I hate this. Worst film ever...",
    "line one\nline two", "a\tb\tc", "a\r\nb\rc", "\n", "\n\n\n", "\t", "trailing newline\n", "\n leading newline",
]

PUNCTUATION = [
    "!\"#$%&'()*+,-./", ":;<=>?@", "[\\]^_`", "{|}~", "$+<=>^`|~", "a$b+c<d=e>f^g`h|i~j", "...", "....!!!???", "--- -- - \u2013 \u2014 \u2015", "(((nested)))[[x]]{{y}}",
    "\u201cdouble\u201d \u2018single\u2019 \u201elow\u201c \u00abguillemets\u00bb \u2039s\u203a", "\u00bfqu\u00e9? \u00a1s\u00ed! \u2026", "\u3001\u3002\u300c\u300d\u300e\u300f\u3010\u3011\uff01\uff1f\uff0c",
    "\u00a3 \u20ac \u00a5 \u00a2 \u20b9 \u20bf", "\u00a9 \u00ae \u2122 \u00b0 \u00b1 \u00d7 \u00f7 \u00ac \u00a6 \u00a7 \u00b6 \u00b7 \u2022", "a\u00b4b a\u00a8b a\u00b8b a\u00afb a\u02c6b a\u02dcb", "\u2190\u2191\u2192\u2193 \u2200\u2203\u2208\u221e\u2248\u2260\u2264",
    "\u203fundertie \u2040 \u2054 \ufe33 \uff3f", "\u0964 \u0965 \u060c \u061b \u061f \u05be \u05f3 \u1362 \u2e3a \u2e3b", "don''t '' ''' `` ` \u2032 \u2033", "# ## [# ##ing ##", "@@ @user #tag", "_ __ _a_ a_b", "\u00aa \u00ba \u00b2 \u00b3 \u00b9 \u00bc",
    "\u2e2e\u2e2f\u2e30 \u10a7f \U0001f000 \U00010100 \U00010102", "a.b,c!d?e;f:g'h\"i(j)k", "*bold* **strong** ~~gone~~", "\u2010\u2011\u2012hyphens\u2010here",
]

SPECIALS = [
    "[MASK]", "[mask]", "[Mask]", "the [MASK] sat", "the[MASK]sat", "[MASK][MASK]", "[ MASK ]", " [MASK] ", "  [MASK]  .", "[CLS] already [SEP] there [SEP]", "[PAD] [UNK] [unused1] [unused99]", "[UNK]known",
    "[CLS", "SEP]", "[[SEP]]", "x[SEP]y", "<s> </s> <pad> <mask>", "[MASK]\u0301", "\u00e9[MASK]\u00e8",
    "left<lstrip>x  left  <lstrip>  x", "right<rstrip>x  right  <rstrip>  x", "both<both>x  both  <both>  x", "\t<lstrip>\n<rstrip>\n\n<both>\t",
    "word single sing singles wordsingle singleword single. (single) single-word SINGLE Single", "newtok NEWTOK NewTok xnewtokx newtoken new tok", "\u00dcn\u00eftok \u00fcn\u00eftok UNITOK unitok \u00dcN\u00cfTOK xunitok",
    "<special><special> a<special>b <SPECIAL>", "raw\u00c9 RAW\u00c9 raw\u00e9 Raw\u00c9", "two words here, two words there, twowords, TWO WORDS", "##ing \u4e2d<both>\u6587", "newtok<rstrip>  newtok<lstrip>single",
]

SCRIPTS = [
    "na\u00efve caf\u00e9 r\u00e9sum\u00e9 fa\u00e7ade \u00c5ngstr\u00f6m co\u00f6perate jalape\u00f1o", "nai\u0308ve cafe\u0301 re\u0301sume\u0301 fac\u0327ade A\u030angstro\u0308m", "STRASSE Stra\u00dfe STRA\u1e9eE stra\u00dfe", "\u0130stanbul I\u015f\u0131k i\u0307 \u0131 I i \u0130", "\u1f48\u03b4\u03c5\u03c3\u03c3\u03b5\u03cd\u03c2 \u03a3\u03a3\u03a3 \u03c2\u03c3 \u039f\u0394\u039f\u03a3 \u039f\u0394\u039f\u03a3.", "\u01c4\u01c5\u01c6 \u01c7\u01c8\u01c9 \u01f1\u01f2\u01f3 \u0149 \u01f0",
    "\u0132\u0133 \u0152\u0153 \u00c6\u00e6 \u00d8\u00f8 \u00d0\u00f0 \u00de\u00fe \u0141\u0142 \u0126\u0127 \u014a\u014b", "Nguy\u1ec5n Th\u1ecb \u0110\u1eb7ng \u1ee9ng d\u1ee5ng", "\u0417\u0434\u0440\u0430\u0432\u0441\u0442\u0432\u0443\u0439, \u043c\u0438\u0440! \u0401\u0436 \u0439\u043e\u0442 \u0419\u041e\u0422", "\u0407\u0436\u0430\u043a \u0438 \u0452\u0430\u043a \u2116 5", "\u0393\u03b5\u03b9\u03ac \u03c3\u03bf\u03c5 \u03ba\u03cc\u03c3\u03bc\u03b5, \u03ac\u03ad\u03ae\u03af\u03cc\u03cd\u03ce",
    "\u0540\u0561\u0575\u0565\u0580\u0565\u0576 \u0587 \u0535\u0582", "\u10e5\u10d0\u10e0\u10d7\u10e3\u10da\u10d8 \u1c90\u1c91 \u10a0\u10a1", "\u13a0\u13b6\u13c6 \uab70\uab71 \u13f8", "\U00010400\U00010428 \U0001e900\U0001e922 \U000118a0\U000118c0", "\u2c00\u2c30 \u2c80\u2c81 \u1e9e \u2126 \u212a \u212b",
    "\u6211\u7231\u5317\u4eac\u5929\u5b89\u95e8", "\u4eca\u5929\u5929\u6c14\u5f88\u597d\uff0c\u6211\u4eec\u53bb\u516c\u56ed\u3002", "\u81fa\u7063\u7e41\u9ad4\u4e2d\u6587", "\u4e2d\u6587English\u6df7\u6392123\u6d4b\u8bd5", "\u65e5\u672c\u8a9e\u306e\u30c6\u30ad\u30b9\u30c8\u3001\u304b\u306a\u3068\u30ab\u30ca", "\u304c\u304e\u3050 \u304b\u3099\u304d\u3099 \u30ab\u309a \u30f4\u30a1\u30f4", "\uff76\uff9e\uff77\uff9e \uff8a\uff9f\uff8b\uff9f \uff71\uff72\uff73", "\u3007\u3005\u3006\u30f6 \u3021\u3038 \u2e80\u2f00",
    "\ud55c\uad6d\uc5b4 \ubb38\uc7a5\uc785\ub2c8\ub2e4.", "\u1112\u1161\u11ab\u1100\u116e\u11a8\u110b\u1165", "\uac00\uac01\ud7a3 \u1100\u1161 \u115f\u1160 \u3131\u314f \uffa1\uffc2", "\ua960\ud7b0\ud7cb \u1100\u1100\u1161",
    "\u0645\u0631\u062d\u0628\u0627 \u0628\u0643\u0645 \u0641\u064a \u0627\u0644\u0639\u0627\u0644\u0645\u060c \u0643\u064a\u0641\u061f", "\u0628\u0650\u0633\u0652\u0645\u0650 \u0671\u0644\u0644\u0651\u064e\u0647\u0650 \ufdf2 \ufdfa \ufefb", "\u0661\u0662\u0663 \u06f4\u06f5\u06f6 \u0640\u0640\u0640", "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd", "\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd \ufb1d \ufb2a \ufb4b", "\u0627\u0631\u062f\u0648 \u06a9\u06cc \u06c1\u06d2 \u0622\u067e \u0675",
    "\u0928\u092e\u0938\u094d\u0924\u0947 \u0926\u0941\u0928\u093f\u092f\u093e", "\u0915\u094d\u0937\u0924\u094d\u0930\u093f\u092f \u0958\u095f \u0902\u0903 \u093c", "\u09ac\u09be\u0982\u09b2\u09be \u09cb \u09c7\u09be \u09dc", "\u0ba4\u0bae\u0bbf\u0bb4\u0bcd \u0bca \u0bc6\u0bbe", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e0a\u0e32\u0e27\u0e42\u0e25\u0e01 \u0e01\u0e33", "\u0ea5\u0eb2\u0ea7 \u0eb3 \u0edc", "\u1019\u103c\u1014\u103a\u1019\u102c \u1026", "\u0f56\u0f7c\u0f51\u0f0b \u0f73 \u0f75 \u0f81 \u0f43",
    "\u1781\u17d2\u1798\u17c2\u179a \u17a3", "\u1230\u120b\u121d \u1362 \u1210", "\u12a0\u121b\u122d\u129b\u1361\u1270", "\u07a1\u07ac \u0710\u0712 \u0840", "\u16a0\u16a2\u16a6 \u1401\u1403 \u2801\u2803", "\ua000\ua001 \u1820\u1821 \u180e", "\U00013000\U00012000 \U00010330\U00010380",
]

EMOJI = [
    "\U0001f600", "\U0001f600\U0001f603\U0001f604", "hi \U0001f44b\U0001f3fd!", "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 family", "\U0001f3f3\ufe0f\u200d\U0001f308 \U0001f3f4\u200d\u2620\ufe0f", "\U0001f1eb\U0001f1f7\U0001f1e9\U0001f1ea \U0001f1ef", "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "\u2764\ufe0f \u2764 \u2764\ufe0e \u263a\ufe0f", "1\ufe0f\u20e3 #\ufe0f\u20e3 \u24c2\ufe0f \u3030\ufe0f", "word\U0001f389inside\U0001f389word", "\U0001f9d1\U0001f3ff\u200d\U0001f680", "\U0001fae0\U0001faf6\U0001f6dc \U0001fae9", "\u231a\u23f0\u2614\u26a1\u2b50", "\U0001f100\U0001f110\U0001f170 \U0001f200\U0001f250",
]

COMPATIBILITY = [
    "\ufb00\ufb01\ufb02\ufb03\ufb04\ufb05\ufb06 \ufb13", "\u2460\u2461 \u2474 \u249c \u24b6\u24d0 \u3251", "\u2160\u2163 \u2170\u2178 \u216b", "\uff21\uff22\uff23 \uff41\uff42\uff43 \uff10\uff11 \uff01\uff5e", "\u3300 \u3371 \u338f \u33a1 \u32c0 \u3380", "\U0001d400\U0001d41a\U0001d7ce \U0001d504\U0001d51e \U0001d7d8", "\U0001d49c\u2130\u2131 \u210b \u2110 \u2115\u211d",
    "x\u00b2 y\u2083 \u2074\u207b\u00b9 \u02b0\u02b2 \u1d43", "\u00bd \u2153 \u215b \u2189 \u2044", "\u2024 \u2025 \u2026 \u2033 \u2034 \u2057", "\u017f\u0283 \u017f \u1e9b\u0323 \u1e69", "\u1e69 s\u0323\u0307 s\u0307\u0323", "\uf900\uf901 \uf92c \uf952 \ufa0e\ufa0f", "\U0002f800\U0002f801 \U0002fa1d", "\u212b \u00c5 A\u030a", "\u0344 \u0308\u0301 \u0374 \u037e \u0387 \u1fef",
    "\U0001d15e \U0001d160 \U0001d1bb", "\u2adc \u2329\u232a \u3008\u3009", "\u1e9a \u0f77 \u0e33 \u0eb3 \u2011", "\ufe30 \ufe50 \ufe64 \ufe68 \uffe0 \uffe6", "\u02d8 \u02db \u1fbd \u1ffe \u203e", "\ufe70 \ufe76 \ufefc \ufb50 \ufc5e \ufdfb",
]

MARKS = [
    "e\u0301", "\u0301", "\u0301e", " \u0301 ", "a\u0315\u0300\u05ae\u0301b", "a\u0323\u0302 \u1ead \u00e2\u0323", "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f\u0334\u0319 z\u0489algo\u0321\u0353", "a\u20dd b\u20e3 c\u0488 d\u20d0", "\u0903 k\u0903 \u093e\u0940", "o" + "\u0300\u0316" * 3, "x" + "\u0301" * 300, "\u0323" * 300 + "y", "a" + "\u0315\u0300\u05ae\u0301" * 60 + "b",
    "\u1dc0\u1dff\u20f0\ufe20\ufe2f", "e\u0301\u200de\u0301", "\u0e34\u0e48\u0e34 \u0eb8 \u0f71\u0f72", "\u3099\u309a \u302a", "n\u0303 N\u0303 \u00f1 \u00d1", "\u00e9\u0301\u0301 \u1ebf\u0301", "\U00011131\U00011127 \U0001112e \U0001d157\U0001d165", "i\u0307\u0301 j\u0307 \u012f\u0307",
]

SPACES = [
    "a\u00a0b", "a\u1680b\u2000c\u2001d\u2002e\u2003f\u2004g", "a\u2005b\u2006c\u2007d\u2008e\u2009f\u200ag", "a\u202fb\u205fc\u3000d", "a\u2028b\u2029c", "a\u0085b", "a\x0bb\x0cc\x1cd\x1de\x1ef\x1fg", "a\u200bb\u200cc\u200dd\u2060e\ufefff", "\ufeffstart", "soft\u00adhyphen so\u00adft", "a\u180eb \u061c \u200e\u200f \u202a\u202e\u202c \u2066\u2069", "\u3000\u3000", "\u00a0", "\u2028", " \u00a0 \u3000 ", "tab\tmix \t \u2009 end ",
    "\r", "\r\n", "a\rb", "a \n\n b", "\u3164 \u115f \uffa0 \u17b4", "word\u2063\u2064word \u206a\u206f",
]

CONTROLS = [
    "nul\x00inside", "\x00", "\x00\x00a\x00", "a\x01b\x02c\x03", "bell\x07 esc\x1b[31mred\x1b[0m del\x7f", "c1\x80\x81\x90\x9f end", "\ufffd", "bad \ufffd char\ufffd\ufffd", "private \ue000 \uf8ff \U000f0000 \U0010fffd", "non \ufffe \uffff \U0001fffe \U0010ffff \ufdd0", "unassigned \u0378 \u05ff \u0e5c \u1fff \u2fe0 \U0001f8ff", "\u0378", "\ue000", "\ufff9a\ufffab\ufffb \ufffc", "\U000e0001\U000e0041\U000e007f", "\U000e0100\u845b\U000e0101 \u845b\ufe00", "\u1c89\u1c8a \ua7da\ua7db \u088f \U00010d50", "\U0002ebf0 \U00031350 \U00030000 \U000323b0",
    "\x08backspace \x0e\x0f shift", "mixed\x00\u0301\u200d\ufffd\u4e2d\x7f\U0001f600e\u0301",
]


def long_words():
    return ["a" * 99, "a" * 100, "a" * 101, "b" * 150, "the" * 60, "x" * 5000, "word " * 60, "\u00e9" * 100, "\u00e9" * 101, "e\u0301" * 55, "Donaudampfschifffahrtselektrizit\u00e4tenhauptbetriebswerkbauunterbeamtengesellschaft",
            "supercalifragilisticexpialidocious" * 5, "\u4e2d" * 120, "\u0e01" * 101, "1" * 120, "." * 130, "a-" * 70, "\U0001f600" * 101, "unbelievableunbelievableunbelievable", "ing" * 33, "\u00df" * 100 + " \u1e9e" * 3, "\u0130" * 99 + "x", "aaaaaaaaaaaa aaaaaaaaaaaaa aaaaaaaaaaa"]


def cjk_edges():
    """First and last code point of each range that BERT sets apart, and their neighbours outside (0x2B820 starts a range that tokenizers begins at 0x2B920)."""
    ranges = [(0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0x2B920, 0x2CEAF), (0x2F800, 0x2FA1F)]
    return [f"a{chr(c - 1)}b{chr(c)}c{chr(c + 1)}d" for c in dict.fromkeys(c for r in ranges for c in r)]


def case_pairs():
    """Letters whose lower case is special: several characters, or far away."""
    return ["".join(chr(c) + " " for c in range(a, b)).strip() for a, b in ((0xC0, 0xE0), (0x130, 0x150), (0x178, 0x190), (0x1C4, 0x1CD), (0x1F88, 0x1F90), (0x1FBC, 0x1FC0), (0x2160, 0x2164), (0xA640, 0xA644), (0x10C0, 0x10C8), (0x3D0, 0x3D8))]


def texts():
    groups = [PLAIN, PUNCTUATION, SPECIALS, SCRIPTS, EMOJI, COMPATIBILITY, MARKS, SPACES, CONTROLS, long_words(), cjk_edges(), case_pairs(), PROSE]
    return list(dict.fromkeys(t for g in groups for t in g))
