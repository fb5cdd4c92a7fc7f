"""The Unicode normal form of text: of all lines that are read, and of outputs and references before scoring."""

import unicodedata


def compose(line: str) -> str:
    """Returns the line in composed form (NFC), without whitespace at its ends."""
    return unicodedata.normalize("NFC", line).strip()


def normal(line: str) -> str:
    """Returns the line in composed form, with single spaces between words and no whitespace at its ends.

    Whitespace is as in `str.isspace`: also a tab, a no-break space or a line separator.
    """
    return " ".join(compose(line).split())
