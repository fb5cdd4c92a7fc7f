"""BLEU, chrF and TER by sacrebleu: its counts of each item, its score of their sums, and its signature."""

import importlib.util
import math
import re
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np

from attn_research.errors import UserError
from attn_research.normal_form import normal

ORDERS = range(1, 7)  # of chrF: n-grams of 1 to 6 characters
BLEU_PARTS = ("output", "reference", *(f"right{n}" for n in range(1, 5)), *(f"written{n}" for n in range(1, 5)))
CHRF_PARTS = tuple(f"{kind}{n}" for n in ORDERS for kind in ("output", "reference", "right"))
TER_PARTS = ("edits", "reference")
LARGEST = 2**16 - 1  # count of an item in a record

# force: no warning about outputs that look tokenized, as many do early in training.
SCORERS: dict[str, tuple[str, dict[str, Any]]] = {
    "bleu": ("BLEU", {"force": True}),
    "bleu_lc": ("BLEU", {"force": True, "lowercase": True}),
    "chrf": ("CHRF", {}),
    "ter": ("TER", {}),
}

# BLEU's tokenizers, and for some the module that they need and the package that installs it.
TOKENIZERS = ("13a", "intl", "zh", "char", "none", "ja-mecab", "ko-mecab")
SPLIT_BY_TER = ("zh", "char", "ja-mecab")  # with these, TER's words are Chinese characters and runs of kana
PACKAGES = {"ja-mecab": ("MeCab", "sacrebleu[ja]"), "ko-mecab": ("mecab_ko", "sacrebleu[ko]")}

HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
# Kana, Thai, Lao, Tibetan, Burmese, Khmer: no spaces between words, and sacrebleu itself has no tokenizer for them.
UNSPACED = re.compile(r"[\u3040-\u30ff\uff66-\uff9f\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff]")


def choose_tokenizer(lines: Iterable[str]) -> str:
    """Returns BLEU's tokenizer for the script of most letters.

    It is `zh` for Chinese, `char` for Japanese, Thai, Lao, Tibetan, Burmese and Khmer, and `13a` for all others.
    """
    text = "".join(lines)
    han, unspaced = len(HAN.findall(text)), len(UNSPACED.findall(text))
    if 2 * (han + unspaced) <= sum(map(str.isalnum, text)):
        return "13a"
    return "char" if 10 * unspaced >= han else "zh"


def check_tokenizer(name: str) -> None:
    """Checks that the package of a tokenizer is installed.

    Raises:
      UserError: it is not; the message names the package and a tokenizer that needs none.
    """
    module, package = PACKAGES.get(name, ("sacrebleu", ""))
    if importlib.util.find_spec(module) is None:
        raise UserError(f"tokenize is {name!r}, which needs another package (pip install '{package}'); 'char' does not")


def _scorer(name: str, tokenize: str = "13a", lowercase: bool = False) -> Any:
    import sacrebleu.metrics

    kind, options = SCORERS[name]
    if kind == "TER":  # which ignores case by default
        options = options | dict.fromkeys(("normalized", "asian_support"), tokenize in SPLIT_BY_TER)
    elif lowercase:
        options = options | {"lowercase": True}
    if kind == "BLEU":
        options = options | {"tokenize": tokenize}
    return getattr(sacrebleu.metrics, kind)(**options)


def score_texts(
    outputs: Sequence[str], references: Sequence[Sequence[str]], tokenize: str = "13a", lowercase: bool = False
) -> tuple[dict[str, tuple[np.ndarray, ...]], dict[str, str]]:
    """Returns the parts of every metric and sacrebleu's signatures.

    Outputs and references are compared in composed form (NFC) and with single spaces.

    Args:
      outputs: n lines.
      references: the correct lines of each item, at least one.
      tokenize: BLEU's tokenizer.
      lowercase: whether the lines are lower-cased; the signatures record it.

    Returns:
      The parts, `{"bleu": ([n], ...), ...}`, with `exact`: 1 if the output equals one of the references. The
      signatures, `{"bleu": "nrefs:1|...", ...}`.
    """
    outputs, references = list(map(_normalize, outputs)), [list(map(_normalize, lines)) for lines in references]
    exact = [output in lines for output, lines in zip(outputs, references, strict=True)]
    items: dict[str, tuple[np.ndarray, ...]] = {"exact": (np.array(exact, int), np.ones(len(exact), int))}
    signatures = {}
    for name in SCORERS:
        scorer = _scorer(name, tokenize, lowercase)
        counts = np.array(scorer._extract_corpus_statistics(outputs, list(zip_longest(*references))))
        if name == "ter":
            counts = _scale_ter(counts, [len(lines) for lines in references])
        items[name] = tuple(counts.astype(int).T)
        signatures[name] = str(scorer.get_signature())
    return items, signatures


def _scale_ter(counts: np.ndarray, references: Sequence[int]) -> np.ndarray:
    """Returns TER's edits and mean reference lengths, [n 2], as whole numbers with the same ratio of sums.

    With one reference they are unchanged. Otherwise all are multiplied by a common multiple of the numbers of
    `references`. Where a record could not hold the products, the factor is smaller and the lengths are rounded.
    """
    limit = max(1, int(LARGEST // max(1, counts.max(initial=0))))
    return np.rint(counts * min(math.lcm(*references), limit))


def perfect_bleu(references: Sequence[Sequence[str]], tokenize: str) -> float:
    """Returns the BLEU of outputs that equal the first reference: 100, unless all lines are too short for 4-grams."""
    lines = [_normalize(lines[0]) for lines in references]
    return _scorer("bleu", tokenize).corpus_score(lines, [lines]).score


def _normalize(line: str) -> str:
    """Returns the line in normal form. `▁`, which marks a space in subwords, becomes a space."""
    return normal(line.replace("▁", " "))


def score_sums(name: str, *sums: np.ndarray) -> np.ndarray:
    """Returns a score, 0 to 100, from the parts that `score_texts` returns, summed over items."""
    scorer = _scorer(name)
    counts = np.stack(np.broadcast_arrays(*sums), axis=-1)
    return np.apply_along_axis(lambda row: scorer._compute_score_from_stats(row.tolist()).score, -1, counts)
