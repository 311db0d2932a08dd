"""Names of results: the format that a result has, and the suffix that its file gets."""

from __future__ import annotations

from pathlib import PurePath
from typing import TypeVar

from zoo.errors import InputError, did_you_mean
from zoo.pictures.formats import FORMATS, SUFFIXES

AnyPath = TypeVar("AnyPath", bound=PurePath)


def parse_format(text: str) -> str:
    """Return the name in FORMATS for "jpg", ".JPG" or "jpeg"; raise InputError for unknown ones."""
    suffix = "." + text.lower().lstrip(".")
    name = SUFFIXES.get(suffix, text.upper())
    if name not in FORMATS or not FORMATS[name].writable:
        accepted = [known.lower() for known, format in FORMATS.items() if format.writable]
        raise InputError(
            f"zoo doesn't write {text!r} files, but {', '.join(accepted)}."
            f"{did_you_mean(text.lower(), accepted)}"
        )
    return name


def result_format(source: str, wanted: str | None) -> str:
    """Return the wanted format, else that of the source; PNG if zoo only reads that."""
    return wanted or (source if FORMATS[source].writable else "PNG")


def result_name(path: AnyPath, format: str) -> AnyPath:
    """Return a path with a suffix of a format; it stays if it has one. *.pbm becomes *.pgm."""
    named = SUFFIXES.get(path.suffix.lower())
    if named != format:
        stem = path.stem if named else path.name
        return path.with_name(stem + FORMATS[format].suffixes[0])
    if path.suffix.lower() == ".pbm":  # black and white alone; results have greys
        return path.with_suffix(".pgm")
    return path
