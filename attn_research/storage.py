"""Atomic writes, folders with checksums, and the root of all caches."""

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from attn_research.errors import UserError

SUMS = "SHA256SUMS"  # checksums of the other files in a folder, in the format of `sha256sum`


class DamagedFileError(UserError):
    """A file is missing or does not match its checksum."""


def cache_root() -> Path:
    """Returns the folder of the compiled programs and the generated data.

    It is $ATTN_RESEARCH_CACHE, or attn-research in $XDG_CACHE_HOME, or ~/.cache/attn-research.
    """
    own, shared = os.environ.get("ATTN_RESEARCH_CACHE"), os.environ.get("XDG_CACHE_HOME")
    return Path(own) if own else Path(shared or Path.home() / ".cache") / "attn-research"


def write(path: str | Path, data: str | bytes, synced: bool = True) -> None:
    """Writes a file atomically, by rename: a reader sees the old file or the complete new one.

    Args:
      synced: waits until the file is on disk, so that this also holds after a crash of the machine.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = _draft(path)
    try:
        with _naming(path), draft.open("wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            if synced:
                os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    if synced:
        sync(path.parent)


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yields an empty folder to fill. When the context ends, the folder gets its checksums and is renamed to `path`.

    It replaces whatever is at `path`. After an exception in the context, `path` is unchanged.
    """
    draft = _draft(path)
    shutil.rmtree(draft, ignore_errors=True)
    try:
        with _naming(path):
            draft.mkdir(parents=True)
            yield draft
            seal(draft)
            _replace(draft, path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _replace(draft: Path, path: Path) -> None:
    try:
        draft.rename(path)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        remove(path)
        draft.rename(path)
    sync(path.parent)


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Adds the file name to an OSError, which lacks it if the disk is full."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def remove(path: Path) -> None:
    """Removes a file or folder. It is renamed first, so that no reader sees a part of it."""
    old = _draft(path.with_name(f"{path.name}.old"))
    with contextlib.suppress(FileNotFoundError):
        path.rename(old)
        shutil.rmtree(old) if old.is_dir() else old.unlink()


def seal(folder: Path, names: Sequence[str] | None = None) -> None:
    """Syncs the files `names` in a folder to disk and writes their checksums; by default those of all files."""
    names = sorted(path.name for path in folder.iterdir() if path.name != SUMS) if names is None else names
    lines = []
    for name in names:
        with (folder / name).open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {name}\n")
            os.fsync(file.fileno())
    write(folder / SUMS, "".join(lines))


def verify(folder: Path) -> None:
    """Checks every file in a folder against its checksum.

    Raises:
      DamagedFileError: a file is missing or differs from its checksum, or there are no checksums.
    """
    sums = _sums(folder)
    for name in sums:
        try:
            with (folder / name).open("rb") as file:
                _compare(hashlib.file_digest(file, "sha256").hexdigest(), sums, folder / name)
        except DamagedFileError:
            raise
        except (FileNotFoundError, ValueError, IsADirectoryError) as error:
            raise DamagedFileError(f"{folder / name} is missing") from error
    if not sums or {path.name for path in folder.iterdir()} != {SUMS, *sums}:
        raise DamagedFileError(f"{folder / SUMS} is missing or damaged")


def read(path: Path) -> bytes:
    """Returns the bytes of a file, checked against its checksum if its folder has one.

    Raises:
      DamagedFileError: the file is missing or differs from its checksum.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DamagedFileError(f"{path} is missing") from None
    _compare(hashlib.sha256(data).hexdigest(), _sums(path.parent), path)
    return data


def read_json(path: Path) -> Any:
    """Returns the value of a JSON file, checked as by `read`.

    Raises:
      DamagedFileError: the file is missing, differs from its checksum or is not JSON.
    """
    data = read(path)
    try:
        return json.loads(data)
    except ValueError as error:
        raise DamagedFileError(f"{path} is damaged: {error}") from error


def sync(folder: Path) -> None:
    """Syncs the entries of a folder to disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _draft(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}")


def _sums(folder: Path) -> dict[str, str]:
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return {}
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def _compare(digest: str, sums: dict[str, str], path: Path) -> None:
    if sums.get(path.name, digest) != digest:
        raise DamagedFileError(f"{path} is damaged: it does not match {path.parent / SUMS}")
