"""How a line of text becomes symbols, and symbols a line again."""

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

SPACE = "▁"  # stands for the space before a word


class Segmentation(Protocol):
    """Both ways between lines and symbols."""

    def normalize(self, line: str) -> str:
        """The line as `split` reads it and `join` writes it."""

    def split(self, line: str) -> list[str]: ...

    def texts(self, line: str) -> list[str]:
        """What stands in the line for each symbol of `split`."""

    def join(self, symbols: Sequence[str]) -> str: ...


@dataclass(frozen=True)
class Characters:
    """Every character of the line's normal form is a symbol; with `names`, a name in <> is kept whole."""

    names: bool = True
    normalize: Callable[[str], str] = str

    def split(self, line: str) -> list[str]:
        line = self.normalize(line)
        return re.findall(r"<[^<>\s]+>|.", line, re.DOTALL) if self.names else list(line)

    def texts(self, line: str) -> list[str]:
        return self.split(line)

    def join(self, symbols: Sequence[str]) -> str:
        return "".join(symbols)


class Words:
    """What stands between spaces is a symbol."""

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
    """Words and punctuation marks, or the subwords of them, that a training split has; anything else is UNKNOWN.

    A symbol that follows a space begins with SPACE, so that `join` gives back the line with its spaces made single, in
    Unicode's composed form and, if that was asked for, in lower case.
    """

    tokenizer: Any  # tokenizers.Tokenizer

    @classmethod
    def learn(
        cls, lines: Iterable[str], units: Literal["words", "subwords"], vocabulary: int, lowercase: bool
    ) -> "LearnedSegmentation":
        """The `vocabulary` most frequent words of `lines`, or as many subwords by byte-pair encoding.

        Raises:
          UserError: there are more characters than `vocabulary`, so that subwords cannot be made of them.
        """
        from tokenizers import Tokenizer, models, trainers

        model, trainer = {
            "words": (models.WordLevel, trainers.WordLevelTrainer),
            "subwords": (models.BPE, trainers.BpeTrainer),
        }[units]
        tokenizer = Tokenizer(model(unk_token=UNKNOWN))
        tokenizer.normalizer, tokenizer.pre_tokenizer = _normalizer(lowercase), _pre_tokenizer()
        size = vocabulary + 1  # UNKNOWN is one of the tokenizer's own, but none of ours
        tokenizer.train_from_iterator(lines, trainer(vocab_size=size, special_tokens=[UNKNOWN], show_progress=False))
        if tokenizer.get_vocab_size() > size:
            characters = tokenizer.get_vocab_size() - 1
            raise UserError(f"vocabulary is {vocabulary}, but the training split has {characters} characters already")
        return cls(tokenizer)

    def normalize(self, line: str) -> str:
        return normal(self.tokenizer.normalizer.normalize_str(line).replace(SPACE, " "))

    @property
    def lowercase(self) -> bool:
        """Whether lines are read and written in lower case."""
        return self.normalize("A") == "a"

    def split(self, line: str) -> list[str]:
        return self.split_all([line])[0]

    def texts(self, line: str) -> list[str]:
        return [line[start:end] for start, end in self.tokenizer.encode(line).offsets]

    def split_all(self, lines: Sequence[str]) -> list[list[str]]:
        """`split` of many lines at once, which is quicker."""
        return [encoding.tokens for encoding in self.tokenizer.encode_batch(lines)]

    def join(self, symbols: Sequence[str]) -> str:
        marked = (SPACE + UNKNOWN if symbol == UNKNOWN else symbol for symbol in symbols)
        return " ".join("".join(marked).replace(SPACE, " ").split())

    def save(self, path: str | Path) -> None:
        """Writes the `tokenizers` library's own JSON."""
        storage.write(path, self.tokenizer.to_str(pretty=True))

    @classmethod
    def load(cls, path: str | Path) -> "LearnedSegmentation":
        """Reads what `save` wrote.

        Raises:
          DamagedFileError: it is missing or differs.
        """
        from tokenizers import Tokenizer

        data = storage.read(Path(path))
        try:
            return cls(Tokenizer.from_str(data.decode()))
        except Exception as error:  # tokenizers raises this class itself
            raise DamagedFileError(f"{path} is damaged: {error}") from error


# How a line becomes source symbols, by the trait `symbols` of its task.
SEGMENTATIONS: dict[str, Segmentation] = {
    "characters": Characters(),
    "composed": Characters(normalize=compose),
    "letters": Characters(names=False, normalize=normal),
    "words": Words(),
}


def _normalizer(lowercase: bool) -> Any:
    from tokenizers import Regex, normalizers

    steps = [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    return normalizers.Sequence([*steps, *([normalizers.Lowercase()] if lowercase else [])])


def _pre_tokenizer() -> Any:
    from tokenizers import pre_tokenizers

    return pre_tokenizers.Sequence([pre_tokenizers.Metaspace(SPACE), pre_tokenizers.Punctuation("isolated")])
