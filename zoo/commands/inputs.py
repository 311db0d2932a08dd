"""The sources of a command: pictures by name and in folders, and what a folder leaves out."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from zoo.commands.streams import STREAM, kind_of
from zoo.errors import ImageError, InputError
from zoo.pictures.files import find_images, is_address
from zoo.pictures.formats import SUFFIXES

_NAMED = 5  # files, and kinds of files, that a summary names


def real(path: Path) -> Path:
    """Return a path without links; `Path.resolve` raises for links in a circle."""
    return Path(os.path.realpath(path))


class Sources:
    """The pictures of a command, and what its folders hold besides them.

    inputs: files and folders, or "-", the standard input.
    out: the folder of results; earlier results in it are no sources.

    files: (file, its path relative to the folder it was found in). A file by name is listed as it
        is; only reading it tells whether it is a picture.
    left_out: what was left out of the folders and why, "" if nothing was.

    Raises ImageError if there is no picture, and what `find_images` raises.
    """

    def __init__(self, inputs: list[Path], out: Path) -> None:
        out = real(out)
        nested = any(real(path) in out.parents for path in inputs)

        def is_result(file: Path) -> bool:
            return nested and out in real(file).parents

        self.files: list[tuple[Path, Path]] = []
        special: list[str] = []
        for file, relative in find_images(inputs):
            kind = None if file in inputs else kind_of(file)
            if kind is not None:  # reading it might never end
                special.append(f"{file.name}: {kind}")
            elif not is_result(file):
                self.files.append((file, Path("stdin") if file == STREAM else relative))
        unread = Counter(
            file.suffix.lower() or file.name
            for folder in inputs
            if folder.is_dir()
            for file in _others(folder)
            if not is_result(file)
        )
        kinds = [f"{count} {suffix}" for suffix, count in sorted(unread.items())]
        parts = [f"{_first(kinds)}: not kinds that zoo reads"] if kinds else []
        parts += [_first(special)] if special else []
        self.left_out = ""
        if parts:
            self.left_out = f"{sum(unread.values()) + len(special)} left out ({'; '.join(parts)})"
        if not self.files:
            what = "named pipes and devices" if special else f"earlier results in {out}"
            raise ImageError(f"{inputs[0]}: the only pictures are {what}.")


def local_paths(inputs: list[str], out: str) -> list[Path]:
    """Return the inputs as paths; raise InputError for an address such as s3://… among all."""
    for text in (*inputs, out):
        if is_address(text):
            raise InputError(f"{text}: addresses need --engine ray; else name files and folders.")
    return [Path(text) for text in inputs]


def _others(folder: Path) -> list[Path]:
    """The files of a folder and its subfolders whose kind zoo doesn't read, but hidden ones."""
    files = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files += [
            Path(parent, name)
            for name in names
            if not name.startswith(".") and Path(name).suffix.lower() not in SUFFIXES
        ]
    return files


def _first(names: list[str]) -> str:
    more = [f"and {len(names) - _NAMED} more"] if len(names) > _NAMED else []
    return ", ".join(names[:_NAMED] + more)
