"""Atomic file writes: a file appears complete or not at all, and killed processes leave nothing.

Temporary files are locked while they are written. The lock ends with the process, so that the next
one can tell what a killed one left, and delete it.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

if sys.platform != "win32":  # where nobody can delete a file that is open
    import fcntl

_TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.(part|scratch)\b")
_swept: set[Path] = set()  # folders, by this process


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; rename it to `path` if the block succeeds.

    with replacing(Path("result.json")) as part:
        part.write_text(text)

    The file is on the disk before it gets its name, so that a power cut leaves no half of it.
    """
    part = temporary(path.parent, f"part{path.suffix}")
    try:
        with suppress(OSError):  # whoever writes the file meets this, too, and knows what to say
            part.touch(exist_ok=False)
        with locked(part) if part.exists() else nullcontext() as file:
            yield part
            if file is not None:
                os.fsync(file)
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def temporary(folder: Path, ending: str) -> Path:
    """Return a hidden path in a folder, to be locked while it is in use.

    ending: "part" or "scratch", with what follows. What killed processes left there goes.
    """
    sweep(folder)
    return folder / f".{secrets.token_hex(8)}.{ending}"


def sweep(folder: Path) -> None:
    """Delete the temporary files and folders in a folder that no process uses, once in a process.

    A file system without locks keeps them.
    """
    if folder in _swept or sys.platform == "win32":
        return
    _swept.add(folder)
    with suppress(OSError):
        for entry in list(os.scandir(folder)):
            if _TEMPORARY.match(entry.name):
                _delete_unused(Path(entry.path))


def lock(file: int) -> bool:
    """Lock an open file or folder until it is closed; False if somebody else has it."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextmanager
def locked(path: Path) -> Iterator[int | None]:
    """Lock a file or folder during the block; yield it open, or None on Windows."""
    if sys.platform == "win32":
        yield None
        return
    file = os.open(path, os.O_RDONLY)
    try:
        lock(file)
        yield file
    finally:
        os.close(file)


def _delete_unused(path: Path) -> None:
    with suppress(OSError):
        file = os.open(path, os.O_RDONLY)
        try:
            if not lock(file):
                return
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        finally:
            os.close(file)


def obstacle(path: Path, *, overwrite: bool) -> str | None:
    """Return why `path` can't or must not be written, as a sentence; None if it can be.

    Check it before long work, so that a missing folder costs no results.
    """
    # is_dir() raises where a folder above can't be entered; os.access does not.
    try:
        if not os.access(path.parent, os.F_OK) or not path.parent.is_dir():
            return f"the folder {path.parent} does not exist."
        if not os.access(path.parent, os.W_OK | os.X_OK):
            return f"the folder {path.parent} can't be written to."
        path.lstat()
        if path.is_dir():
            return "it is a folder, and a file is to be written."
        if not overwrite:
            return "the file exists; overwrite=True (--overwrite) replaces it."
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:  # a name that is too long or holds a zero byte
        return f"no file can have this name ({getattr(error, 'strerror', None) or error})."
    return None
