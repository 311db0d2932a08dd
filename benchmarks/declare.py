"""Bring the declaration of weights in a source file up to date."""

from __future__ import annotations

import re
from pathlib import Path

from zoo.errors import OptionError


def declaring(name: str, folder: Path) -> Path:
    """The source file below a folder that declares weights; raises OptionError if none does."""
    for file in sorted(folder.rglob("*.py")):
        if _start(file.read_text(), name) is not None:
            return file
    raise OptionError(f"{name} is declared nowhere: write register_weights(Weights(...)) first.")


def declared(source: str, name: str, *, sha256: str, size: int, recipe: str) -> str:
    """The source in which `Weights(name=NAME, ...)` has these values and the next version.

    Raises:
        OptionError: the source declares no such weights.
    """
    start = _start(source, name)
    if start is None:
        raise OptionError(f"{name} is not declared here.")
    end = _end(source, start)
    block = source[start:end]
    block = re.sub(r'sha256="\w*"', f'sha256="{sha256}"', block)
    block = re.sub(r"size=[\d_]+", f"size={size:_}", block)
    version = re.search(r"version=(\d+)", block)
    if version:
        block = block.replace(version[0], f"version={int(version[1]) + 1}")
        block = re.sub(r'recipe="[^"]*"', f'recipe="{recipe}"', block)
    else:  # the first one goes without
        block = re.sub(r'recipe="[^"]*"', f'recipe="{recipe}", version=2', block)
    return source[:start] + block + source[end:]


def _start(source: str, name: str) -> int | None:
    """Where `Weights(name=NAME` begins, with a hash: an example has none."""
    found = re.search(
        rf'Weights\(\s*name="{re.escape(name)}",[^()]*sha256="[0-9a-f]{{64}}"', source
    )
    return found and found.start()


def _end(source: str, start: int) -> int:
    """Behind the bracket that closes the first one after `start`; none is in a string."""
    depth = 0
    for place in range(source.index("(", start), len(source)):
        depth += {"(": 1, ")": -1}.get(source[place], 0)
        if depth == 0:
            return place + 1
    raise OptionError("A bracket is open in the declaration.")
