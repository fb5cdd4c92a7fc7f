"""What a run that failed leaves in its directory."""

import contextlib
import tempfile
import traceback
from pathlib import Path

from attn_research.errors import UserError

FILE = "failure.txt"


def is_user_error(error: Exception) -> bool:
    """Whether this package itself says that the user did something wrong; a ValueError of a library does not."""
    return isinstance(error, UserError)


def write(directory: Path, text: str) -> Path | None:
    """Leaves `text` as the failure of the run in `directory`; None where it cannot be written."""
    with contextlib.suppress(OSError):
        directory.mkdir(parents=True, exist_ok=True)
        (directory / FILE).write_text(text, encoding="utf-8")
        return directory / FILE
    return None


def write_traceback() -> str:
    """Writes the traceback of the exception that is being handled to a new file, and returns the file's name."""
    with contextlib.suppress(OSError):
        with tempfile.NamedTemporaryFile(
            "w", prefix="attn-research-", suffix=".txt", encoding="utf-8", delete=False
        ) as file:
            file.write(traceback.format_exc())
        return file.name
    return "no file, since none can be written"


def remove(directory: Path) -> None:
    """Removes what an earlier try left."""
    (directory / FILE).unlink(missing_ok=True)
