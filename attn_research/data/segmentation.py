"""Segmentations: a line of text to symbols, and symbols to a line."""

import bisect
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from attn_research import storage
from attn_research.data.vocab import UNKNOWN
from attn_research.errors import UserError
from attn_research.normal_form import compose, normal
from attn_research.storage import DamagedFileError

Units = Literal["words", "subwords"]

SPACE = "▁"  # marks the space before a word
END = "</s>"  # the last source symbol of systems that read one


class Segmentation(Protocol):
    """Converts lines to symbols and back."""

    def normalize(self, line: str) -> str:
        """Returns the line in the form that `split` reads and `join` writes."""

    def split(self, line: str) -> list[str]: ...

    def texts(self, line: str) -> list[str]:
        """Returns the part of the line that each symbol of `split` comes from."""

    def join(self, symbols: Sequence[str]) -> str: ...


@dataclass(frozen=True)
class Characters:
    """Every character of the normalized line is a symbol. With `names`, a name in <> is one symbol."""

    names: bool = True
    normalize: Callable[[str], str] = str

    def split(self, line: str) -> list[str]:
        line = self.normalize(line)
        return re.findall(r"<[^<>\s]+>|.", line, re.DOTALL) if self.names else list(line)

    def texts(self, line: str) -> list[str]:
        return self.split(line)

    def join(self, symbols: Sequence[str]) -> str:
        return "".join(symbols)


class Inflection:
    """The characters of a lemma, and each of its tags: `sing V;PST` is `s i n g <V> <PST>`. A lemma may have spaces."""

    def normalize(self, line: str) -> str:
        return normal(line)

    def split(self, line: str) -> list[str]:
        lemma, tags = self._parts(line)
        return [*lemma, *(f"<{tag}>" for tag in tags)]

    def texts(self, line: str) -> list[str]:
        lemma, tags = self._parts(line)
        return [*lemma, *tags]

    def join(self, symbols: Sequence[str]) -> str:
        tags = [symbol[1:-1] for symbol in symbols if len(symbol) > 1]
        return " ".join(["".join(symbols[: len(symbols) - len(tags)]), *([";".join(tags)] if tags else [])])

    def _parts(self, line: str) -> tuple[str, list[str]]:
        lemma, _, tags = self.normalize(line).rpartition(" ")
        return (lemma, tags.split(";")) if lemma else (tags, [])


class Words:
    """Spaces separate the symbols."""

    def normalize(self, line: str) -> str:
        return normal(line)

    def split(self, line: str) -> list[str]:
        return self.normalize(line).split()

    def texts(self, line: str) -> list[str]:
        return self.split(line)

    def join(self, symbols: Sequence[str]) -> str:
        return " ".join(symbols)


@dataclass(frozen=True)
class LearnedSegmentation:
    """Words and punctuation marks, or subwords, learned from a training split. Anything else is UNKNOWN.

    A symbol after a space begins with SPACE. So `join` restores the line, with single spaces, in composed form (NFC)
    and, with `lowercase`, in lower case.
    """

    tokenizer: Any  # tokenizers.Tokenizer

    @classmethod
    def learn(
        cls, lines: Iterable[str], units: Units, vocabulary: int, lowercase: bool, min_count: int = 1
    ) -> "LearnedSegmentation":
        """Learns the `vocabulary` most frequent words of `lines`, or as many subwords by byte-pair encoding.

        Args:
          min_count: how often a word, or a pair of subwords to be merged, must occur.

        Raises:
          UserError: the lines have more distinct characters than `vocabulary`, too many for subwords.
        """
        from tokenizers import Tokenizer, models, trainers

        model, trainer = {
            "words": (models.WordLevel, trainers.WordLevelTrainer),
            "subwords": (models.BPE, trainers.BpeTrainer),
        }[units]
        tokenizer = Tokenizer(model(unk_token=UNKNOWN))
        tokenizer.normalizer, tokenizer.pre_tokenizer = _normalizer(lowercase), _pre_tokenizer()
        size = vocabulary + 1  # the tokenizer counts UNKNOWN, `vocabulary` does not
        options = {"vocab_size": size, "min_frequency": min_count, "special_tokens": [UNKNOWN]}
        tokenizer.train_from_iterator(lines, trainer(**options, show_progress=False))
        if tokenizer.get_vocab_size() > size:
            characters = tokenizer.get_vocab_size() - 1
            raise UserError(f"vocabulary is {vocabulary}, but the training split has {characters} characters already")
        return cls(tokenizer)

    def normalize(self, line: str) -> str:
        return normal(self.tokenizer.normalizer.normalize_str(line).replace(SPACE, " "))

    @property
    def lowercase(self) -> bool:
        """Whether lines are lower-cased."""
        return self.normalize("A") == "a"

    def split(self, line: str) -> list[str]:
        return self.split_all([line])[0]

    def texts(self, line: str) -> list[str]:
        return [line[start:end] for start, end in self.tokenizer.encode(line).offsets]

    def split_all(self, lines: Sequence[str]) -> list[list[str]]:
        """Splits many lines at once, which is faster."""
        return [encoding.tokens for encoding in self.tokenizer.encode_batch(lines)]

    def words_all(self, lines: Sequence[str]) -> list[list[int]]:
        """Returns the index of the word of each symbol, for many lines. Words are what spaces separate."""
        encodings = self.tokenizer.encode_batch(lines)
        return [_words(line, encoding.offsets) for line, encoding in zip(lines, encodings, strict=True)]

    def join(self, symbols: Sequence[str]) -> str:
        marked = (SPACE + UNKNOWN if symbol == UNKNOWN else symbol for symbol in symbols)
        return " ".join("".join(marked).replace(SPACE, " ").split())

    def save(self, path: str | Path) -> None:
        """Writes the JSON format of the `tokenizers` library."""
        storage.write(path, self.tokenizer.to_str(pretty=True))

    @classmethod
    def load(cls, path: str | Path) -> "LearnedSegmentation":
        """Reads a segmentation that `save` wrote.

        Raises:
          DamagedFileError: the file is missing or damaged.
        """
        from tokenizers import Tokenizer

        data = storage.read(Path(path))
        try:
            return cls(Tokenizer.from_str(data.decode()))
        except Exception as error:  # tokenizers raises no subclass
            raise DamagedFileError(f"{path} is damaged: {error}") from error


Joiner = Literal["none", "subword-nmt", "sentencepiece"]
JOINERS: dict[Joiner, Callable[[str], str]] = {
    "none": str,
    "subword-nmt": lambda line: f"{line} ".replace("@@ ", "").strip(),  # a@@ b
    "sentencepiece": lambda line: " ".join(line.replace(" ", "").replace(SPACE, " ").split()),  # ▁a b
}


@dataclass(frozen=True)
class Tokens:
    """Spaces separate the symbols of a line that another program has segmented. Unlike `Words`, changes no character.

    With `end`, a source ends in END. `joiner` says how symbols, if they are subwords, become words.
    """

    end: bool = False
    joiner: Joiner = "none"

    def normalize(self, line: str) -> str:
        return JOINERS[self.joiner](" ".join(line.split()))

    def split(self, line: str) -> list[str]:
        symbols = line.split()
        return [*symbols, END] if self.end and symbols else symbols

    def split_all(self, lines: Sequence[str]) -> list[list[str]]:
        return [self.split(line) for line in lines]

    def texts(self, line: str) -> list[str]:
        return self.split(line)

    def join(self, symbols: Sequence[str]) -> str:
        ends = self.end and symbols and symbols[-1] == END
        return self.normalize(" ".join(symbols[:-1] if ends else symbols))


# The segmentations by the traits `symbols` and `outputs` of a task.
SEGMENTATIONS: dict[str, Segmentation] = {
    "characters": Characters(),
    "composed": Characters(normalize=compose),
    "letters": Characters(names=False, normalize=normal),
    "inflection": Inflection(),
    "words": Words(),
    "tokens": Tokens(),
    "tokens and end": Tokens(end=True),
    **{joiner: Tokens(joiner=joiner) for joiner in JOINERS},
}


def _words(line: str, offsets: Sequence[tuple[int, int]]) -> list[int]:
    """Returns the word at the last character of each symbol. A space belongs to the word after it."""
    ends = [match.end() for match in re.finditer(r"\S+", line)]
    return [bisect.bisect_right(ends, end - 1) for _, end in offsets]


def _normalizer(lowercase: bool) -> Any:
    from tokenizers import Regex, normalizers

    steps = [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    return normalizers.Sequence([*steps, *([normalizers.Lowercase()] if lowercase else [])])


def _pre_tokenizer() -> Any:
    from tokenizers import pre_tokenizers

    return pre_tokenizers.Sequence([pre_tokenizers.Metaspace(SPACE), pre_tokenizers.Punctuation("isolated")])
