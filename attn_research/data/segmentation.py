"""How a line of text becomes symbols, and symbols a line again."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from attn_research.data.vocab import UNKNOWN
from attn_research.errors import UserError

MARK = "▁"  # stands for the space before a word


class Segmentation(Protocol):
    """Both ways between lines and symbols."""

    def split(self, line: str) -> list[str]: ...

    def join(self, symbols: Sequence[str]) -> str: ...


class Characters:
    """Every character is a symbol; names in <> are kept whole."""

    def split(self, line: str) -> list[str]:
        return re.findall(r"<[^<>\s]+>|.", line)

    def join(self, symbols: Sequence[str]) -> str:
        return "".join(symbols)


class Words:
    """What stands between spaces is a symbol."""

    def split(self, line: str) -> list[str]:
        return line.split()

    def join(self, symbols: Sequence[str]) -> str:
        return " ".join(symbols)


@dataclass(frozen=True)
class Pieces:
    """Words and punctuation marks, or the subwords of them, that a training split has; anything else is UNKNOWN.

    A symbol that follows a space begins with MARK, so that `join` gives back the line with its spaces made single, in
    Unicode's composed form and, if that was asked for, in lower case.
    """

    tokenizer: Any  # tokenizers.Tokenizer

    @classmethod
    def learn(
        cls, lines: Iterable[str], units: Literal["words", "subwords"], vocabulary: int, lowercase: bool
    ) -> "Pieces":
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
        tokenizer.normalizer, tokenizer.pre_tokenizer = _normalizer(lowercase), _words()
        size = vocabulary + 1  # UNKNOWN is one of the tokenizer's own, but none of ours
        tokenizer.train_from_iterator(lines, trainer(vocab_size=size, special_tokens=[UNKNOWN], show_progress=False))
        if tokenizer.get_vocab_size() > size:
            characters = tokenizer.get_vocab_size() - 1
            raise UserError(f"vocabulary is {vocabulary}, but the training split has {characters} characters already")
        return cls(tokenizer)

    def split(self, line: str) -> list[str]:
        return self.split_all([line])[0]

    def split_all(self, lines: Sequence[str]) -> list[list[str]]:
        """`split` of many lines at once, which is quicker."""
        return [encoding.tokens for encoding in self.tokenizer.encode_batch(lines)]

    def join(self, symbols: Sequence[str]) -> str:
        marked = (MARK + UNKNOWN if symbol == UNKNOWN else symbol for symbol in symbols)
        return " ".join("".join(marked).replace(MARK, " ").split())

    def save(self, path: str | Path) -> None:
        """Writes the `tokenizers` library's own JSON."""
        self.tokenizer.save(str(path))

    @classmethod
    def load(cls, path: str | Path) -> "Pieces":
        """Reads what `save` wrote."""
        from tokenizers import Tokenizer

        return cls(Tokenizer.from_file(str(path)))


def _normalizer(lowercase: bool) -> Any:
    from tokenizers import Regex, normalizers

    always = [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    return normalizers.Sequence([*always, *([normalizers.Lowercase()] if lowercase else [])])


def _words() -> Any:
    from tokenizers import pre_tokenizers

    return pre_tokenizers.Sequence([pre_tokenizers.Metaspace(MARK), pre_tokenizers.Punctuation("isolated")])
