"""Damages files as a disk, a killed process or a user may do."""

import numpy as np


def flip(path, bit):
    """Flips one bit; `bit` is taken modulo the number of bits of the file."""
    data = bytearray(path.read_bytes())
    data[bit // 8 % len(data)] ^= 1 << bit % 8
    path.write_bytes(data)


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path):
    path.write_bytes(b"")


def delete(path):
    path.unlink()


def damages(path, flips, seed=0):
    """Returns functions that damage the file at `path`; `flips` of them flip a random bit."""
    bits = np.random.default_rng(seed).integers(0, 8 * path.stat().st_size, flips)
    return [cut, empty, delete, *(lambda path, bit=int(bit): flip(path, bit) for bit in bits)]


def contents(folder):
    """Returns all files below a folder with their bytes and modification times, and all folders."""
    return {
        path.relative_to(folder): (path.read_bytes(), path.stat().st_mtime_ns) if path.is_file() else None
        for path in folder.rglob("*")
    }
