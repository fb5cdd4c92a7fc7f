"""What a run that failed leaves in its directory."""

from pathlib import Path

FILE = "failure.txt"


def sentence(error: Exception) -> str:
    """The error in a line; a ValueError is a user's and speaks for itself."""
    text = " ".join(str(error).split("\n")[:1])
    if isinstance(error, ValueError) and text:
        return text
    return f"{type(error).__name__}: {text}".removesuffix(": ")


def write(directory: Path, text: str) -> None:
    """Leaves `text` as the failure of the run in `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / FILE).write_text(text, encoding="utf-8")


def forget(directory: Path) -> None:
    """Removes what an earlier try left."""
    (directory / FILE).unlink(missing_ok=True)
