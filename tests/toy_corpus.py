"""A tiny parallel corpus: the two languages translate word by word."""

import gzip
import json
import random

WORDS = {
    "hund": "dog", "Katze": "cat", "Mann": "man", "Frau": "woman", "läuft": "runs", "schläft": "sleeps",
    "rot": "red", "groß": "big", "und": "and", "ein": "a", "der": "the",
}  # fmt: skip
SIZES = {"train": 120, "dev": 12, "test": 9}


def make_pairs(name, size):
    """Returns `size` pairs of lines, the same in every process."""
    rng = random.Random(name)
    pairs = []
    for _ in range(size):
        words = rng.choices(list(WORDS), k=rng.randint(2, 6))
        pairs.append((" ".join(words).capitalize() + ".", " ".join(map(WORDS.get, words)).capitalize() + "."))
    return pairs


def corpus():
    """Returns `{split: pairs}`."""
    return {name: make_pairs(name, size) for name, size in SIZES.items()}


def write_text(folder, splits, compress=False):
    """Writes `folder`/train.de and so on."""
    for name, pairs in splits.items():
        for side, lines in zip(("de", "en"), zip(*pairs, strict=True), strict=True):
            text = "".join(line + "\n" for line in lines).encode()
            path = folder / (f"{name}.{side}" + (".gz" if compress else ""))
            path.write_bytes(gzip.compress(text) if compress else text)


def write_json(folder, splits):
    """Writes `folder`/train.jsonl and so on, with columns en and de, as a data set on the hub may have them."""
    for name, pairs in splits.items():
        lines = [json.dumps({"en": en, "de": de}, ensure_ascii=False) + "\n" for de, en in pairs]
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
