"""Atomic file writes: a file appears complete or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; rename it to `path` if the block succeeds.

    with replacing(Path("result.json")) as part:
        part.write_text(text)
    """
    part = path.with_name(f".{secrets.token_hex(8)}.part{path.suffix}")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


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
        if path.is_dir():
            return "it is a folder, and a file is to be written."
        if path.exists() and not overwrite:
            return "the file exists; overwrite=True (--overwrite) replaces it."
    except (OSError, ValueError) as error:  # a name that is too long or holds a zero byte
        return f"no file can have this name ({getattr(error, 'strerror', None) or error})."
    return None
