"""Bytes and arrays as text in a page."""

import base64
import zlib
from collections.abc import Sequence

import numpy as np


def pack(data: bytes) -> str:
    """Returns bytes as base64 of zlib."""
    return base64.b64encode(zlib.compress(data, 9)).decode()


def pack_integers(arrays: Sequence[np.ndarray]) -> tuple[str, float]:
    """Returns arrays, one after another, as packed little-endian int16, and the number that the integer 1 stands for.

    The largest number keeps four digits. Numbers that are not finite become 0.
    """
    numbers = np.concatenate([np.zeros(0), *(np.nan_to_num(a.ravel(), posinf=0.0, neginf=0.0) for a in arrays)])
    unit = float(f"{max(np.abs(numbers).max(initial=0.0), 1e-9) / 2**14:.4g}")
    return pack(np.round(numbers / unit).astype("<i2").tobytes()), unit
