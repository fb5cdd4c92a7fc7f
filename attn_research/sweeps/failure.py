"""What a run that failed leaves in its directory."""

from pathlib import Path

from attn_research.errors import UserError

FILE = "failure.txt"


def is_users(error: Exception) -> bool:
    """Whether this package itself says that the user did something wrong; a ValueError of a library does not."""
    return isinstance(error, UserError)


def sentence(error: Exception) -> str:
    """The error in a line, with its type if it is not written for users."""
    text = str(error).split("\n")[0]
    return text if is_users(error) else f"{type(error).__name__}: {text}".removesuffix(": ")


def write(directory: Path, text: str) -> None:
    """Leaves `text` as the failure of the run in `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / FILE).write_text(text, encoding="utf-8")


def forget(directory: Path) -> None:
    """Removes what an earlier try left."""
    (directory / FILE).unlink(missing_ok=True)
