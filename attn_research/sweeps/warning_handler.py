"""Warnings of this package, handed to whoever shows them."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class _Handler(logging.Handler):
    def __init__(self, send: Callable[[str], None]):
        super().__init__(logging.WARNING)
        self.say = send

    def emit(self, record: logging.LogRecord) -> None:
        self.say(record.getMessage())


@contextmanager
def warnings_to(send: Callable[[str], None]) -> Iterator[None]:
    """Gives every warning of the package to `send` alone, whatever other libraries do to the root logger."""
    logger, handler = logging.getLogger("attn_research"), _Handler(send)
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = True
