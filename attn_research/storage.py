"""Files that are written whole or not at all, and folders whose files have checksums."""

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

SUMS = "SHA256SUMS"  # of the other files in a folder, in the format of the program sha256sum


class DamagedFileError(UserError):
    """A file is missing, or is not as it was written."""


def write(path: str | Path, data: str | bytes, synced: bool = True) -> None:
    """Writes a file by rename: a reader, or a machine that comes up again, finds the old file or the whole new one.

    Args:
      synced: whether it waits for the disk; without, a machine that comes up again may find anything.
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
    """Gives an empty folder to be filled; at the end it gets its checksums and is renamed to `path`.

    What is at `path` already is replaced. If the context is left by an exception, `path` stays as it was.
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
    """A full disk says nothing of the file that was written."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def remove(path: Path) -> None:
    """Removes a file or a folder; nobody sees a half of it under its name."""
    old = _draft(path.with_name(f"{path.name}.old"))
    with contextlib.suppress(FileNotFoundError):
        path.rename(old)
        shutil.rmtree(old) if old.is_dir() else old.unlink()


def seal(folder: Path, names: Sequence[str] | None = None) -> None:
    """Writes the checksums of the files `names` in a folder, all of them by default, when they are safe on disk."""
    names = sorted(path.name for path in folder.iterdir() if path.name != SUMS) if names is None else names
    lines = []
    for name in names:
        with (folder / name).open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {name}\n")
            os.fsync(file.fileno())
    write(folder / SUMS, "".join(lines))


def verify(folder: Path) -> None:
    """Compares every file in a folder with its checksum.

    Raises:
      DamagedFileError: a file is missing or differs, or there are no checksums.
    """
    sums = _sums(folder)
    for name in sums:
        try:
            with (folder / name).open("rb") as file:
                _compare(hashlib.file_digest(file, "sha256").hexdigest(), sums, folder / name)
        except (FileNotFoundError, ValueError, IsADirectoryError) as error:
            raise (
                error if isinstance(error, DamagedFileError) else DamagedFileError(f"{folder / name} is missing")
            ) from error
    if not sums or {path.name for path in folder.iterdir()} != {SUMS, *sums}:
        raise DamagedFileError(f"{folder / SUMS} is missing or damaged")


def read(path: Path) -> bytes:
    """The bytes of a file, compared with its checksum if its folder has one for it.

    Raises:
      DamagedFileError: it is missing or differs.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DamagedFileError(f"{path} is missing") from None
    _compare(hashlib.sha256(data).hexdigest(), _sums(path.parent), path)
    return data


def read_json(path: Path) -> Any:
    """The value in a JSON file that is compared as `read` does it.

    Raises:
      DamagedFileError: it is missing, differs or is no JSON.
    """
    data = read(path)
    try:
        return json.loads(data)
    except ValueError as error:
        raise DamagedFileError(f"{path} is damaged: {error}") from error


def sync(folder: Path) -> None:
    """Makes the names in a folder safe on disk."""
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
        raise DamagedFileError(f"{path} is damaged: it is not what {path.parent / SUMS} says")
