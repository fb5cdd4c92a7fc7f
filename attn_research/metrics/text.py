"""BLEU and chrF by sacrebleu: what it counts in each item, its score of their sums, and its signature."""

import importlib.util
import re
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np

from attn_research.errors import UserError
from attn_research.normal_form import normal

ORDERS = range(1, 7)  # characters of an n-gram in chrF
BLEU_PARTS = ("output", "reference", *(f"right{n}" for n in range(1, 5)), *(f"written{n}" for n in range(1, 5)))
CHRF_PARTS = tuple(f"{what}{n}" for n in ORDERS for what in ("output", "reference", "right"))

# force: early in training many outputs do look as if nobody had put their words together.
SCORERS = {
    "bleu": ("BLEU", {"force": True}),
    "bleu_lc": ("BLEU", {"force": True, "lowercase": True}),
    "chrf": ("CHRF", {}),
}

# BLEU's tokenizers, and the module that one needs; what installs it.
TOKENIZERS = ("13a", "intl", "zh", "char", "none", "ja-mecab", "ko-mecab")
PACKAGES = {"ja-mecab": ("MeCab", "sacrebleu[ja]"), "ko-mecab": ("mecab_ko", "sacrebleu[ko]")}

HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
# Kana, Thai, Lao, Tibetan, Burmese, Khmer: no blanks between words, and no tokenizer of sacrebleu's own.
UNSPACED = re.compile(r"[\u3040-\u30ff\uff66-\uff9f\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff]")


def choose_tokenizer(lines: Iterable[str]) -> str:
    """BLEU's tokenizer for a language without blanks between words, by the script of most of its letters, else 13a.

    It is `zh` for Chinese, and `char` for Japanese, Thai, Lao, Tibetan, Burmese and Khmer.
    """
    text = "".join(lines)
    han, unspaced = len(HAN.findall(text)), len(UNSPACED.findall(text))
    if 2 * (han + unspaced) <= sum(map(str.isalnum, text)):
        return "13a"
    return "char" if 10 * unspaced >= han else "zh"


def check_tokenizer(name: str) -> None:
    """Refuses a tokenizer whose package is not installed.

    Raises:
      UserError: it names the package, and a tokenizer that needs none.
    """
    module, package = PACKAGES.get(name, ("sacrebleu", ""))
    if importlib.util.find_spec(module) is None:
        raise UserError(f"tokenize is {name!r}, which needs another package (pip install '{package}'); 'char' does not")


def _scorer(name: str, tokenize: str = "13a", lowercase: bool = False) -> Any:
    import sacrebleu.metrics

    kind, options = SCORERS[name]
    options = options | ({"tokenize": tokenize} if kind == "BLEU" else {}) | ({"lowercase": True} if lowercase else {})
    return getattr(sacrebleu.metrics, kind)(**options)


def score_texts(
    outputs: Sequence[str], references: Sequence[Sequence[str]], tokenize: str = "13a", lowercase: bool = False
) -> tuple[dict[str, tuple[np.ndarray, ...]], dict[str, str]]:
    """The parts of every score, `{"bleu": ([n], ...), ...}`, and sacrebleu's signatures, `{"bleu": "nrefs:1|..."}`.

    `exact` is among them: 1 where the output is one of the references, letter by letter. Outputs and references are
    compared in their normal form: composed (NFC), and with single blanks.

    Args:
      outputs: n lines.
      references: for each of them the right lines, at least one, as people wrote them.
      tokenize: BLEU's tokenizer.
      lowercase: whether both are in lower case, which the signatures then tell.
    """
    outputs, references = list(map(_plain, outputs)), [list(map(_plain, right)) for right in references]
    exact = [output in right for output, right in zip(outputs, references, strict=True)]
    items, signatures = {"exact": (np.array(exact, int), np.ones(len(exact), int))}, {}
    for name in SCORERS:
        scorer = _scorer(name, tokenize, lowercase)
        counts = scorer._extract_corpus_statistics(outputs, list(zip_longest(*references)))
        items[name] = tuple(np.array(counts, int).T)
        signatures[name] = str(scorer.get_signature())
    return items, signatures


def perfect_bleu(references: Sequence[Sequence[str]], tokenize: str) -> float:
    """BLEU of the first reference of every item as its output: 100, unless the lines are too short to have 4-grams."""
    lines = [_plain(right[0]) for right in references]
    return _scorer("bleu", tokenize).corpus_score(lines, [lines]).score


def _plain(line: str) -> str:
    """In normal form; `▁`, which stands for a blank in subwords, is one."""
    return normal(line.replace("▁", " "))


def finish(name: str, *sums: np.ndarray) -> np.ndarray:
    """The score, 0 to 100, of what `score_texts` counts, summed over items."""
    scorer = _scorer(name)
    counts = np.stack(np.broadcast_arrays(*sums), axis=-1)
    return np.apply_along_axis(lambda one: scorer._compute_score_from_stats(one.tolist()).score, -1, counts)
