"""Standard input and output, and pipes, as pictures: `zoo upscale - -o - --format png`."""

from __future__ import annotations

import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import BinaryIO

from zoo.errors import ImageError, InputError, ZooError

STREAM = Path("-")  # the standard input as a source, the standard output as a target
_MOST = 2**32  # bytes of a pipe; more is no picture
_CHUNK = 2**20
_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def kind_of(path: Path) -> str | None:
    """Return "a named pipe", "a socket" or "a device" for a path that is one, else None."""
    try:
        return _KINDS.get(stat.S_IFMT(path.stat().st_mode))
    except (OSError, ValueError):  # missing, say: reading it tells
        return None


def check_streams(inputs: list[Path], out: str) -> None:
    """Raise InputError for "-" beside others, and for a terminal as input or output."""
    if inputs.count(STREAM) > 1:
        raise InputError("- is the standard input, which can be read once.")
    if STREAM in inputs and sys.stdin.isatty():
        raise InputError("- is the standard input: pipe a picture into it, as in `zoo … < a.jpg`.")
    if out != str(STREAM):
        return
    if len(inputs) > 1 or inputs[0].is_dir():
        raise InputError("-o - takes one picture; name a folder for several.")
    if sys.stdout.isatty():
        raise InputError("-o - writes a picture to the standard output: redirect it to a file.")


def label(source: Path) -> str:
    """Return how messages name a source."""
    return "standard input" if source == STREAM else str(source)


@contextmanager
def as_file(source: Path) -> Iterator[Path]:
    """Yield a file that can be read more than once: the source itself, or a copy of a pipe.

    Raises ImageError for devices and sockets; errors name the source, not the copy.
    """
    kind = kind_of(source)
    if source != STREAM and kind is None:
        yield source
        return
    if kind not in (None, "a named pipe"):
        raise ImageError(f"{source}: it is {kind}, and no picture can be read from it.")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "input")
        if source == STREAM:
            _copy(sys.stdin.buffer, copy)
        else:
            with source.open("rb") as pipe:
                _copy(pipe, copy)
        try:
            yield copy
        except ZooError as error:
            raise type(error)(str(error).replace(str(copy), label(source))) from error


def _copy(stream: BinaryIO, target: Path) -> None:
    with target.open("wb") as file:
        while chunk := stream.read(_CHUNK):
            file.write(chunk)
            if file.tell() > _MOST:
                raise ImageError(f"more than {_MOST:,} bytes were piped in; that is no picture.")


@contextmanager
def reserved_output() -> Iterator[BinaryIO]:
    """Yield the standard output for a picture; what is printed goes to the standard error."""
    stream = sys.stdout.buffer
    with redirect_stdout(sys.stderr):
        yield stream


def send(file: Path, stream: BinaryIO) -> None:
    """Write a file to the standard output; raise ImageError if its reader went away."""
    try:
        with file.open("rb") as source:
            shutil.copyfileobj(source, stream)
        stream.flush()
    except OSError as error:
        raise ImageError(f"standard output: it can't be written to ({error.strerror}).") from error
