"""The one form in which lines of text are read, and in which outputs are compared with references."""

import unicodedata


def compose(line: str) -> str:
    """The line in Unicode's composed form (NFC), without blanks at its ends."""
    return unicodedata.normalize("NFC", line).strip()


def normal(line: str) -> str:
    """The line in composed form, without blanks at its ends and with single spaces for the blanks inside it.

    A blank is whatever `str.isspace` takes for one, such as a tab, a no-break space or a line separator.
    """
    return " ".join(compose(line).split())
