"""The command line in this process, and small files for it."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoo.cli import main


@dataclass
class Result:
    status: int
    stdout: str
    stderr: str


def run(*arguments: object) -> Result:
    """`zoo ARGUMENTS`: the exit status and what it said."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as caught,
    ):
        main([str(argument) for argument in arguments])
    code = caught.value.code
    return Result(code if isinstance(code, int) else 0, out.getvalue(), err.getvalue())


@dataclass
class Piped:
    status: int
    stdout: bytes
    stderr: str


def piped(*arguments: object, stdin: bytes = b"", encoding: str = "utf-8") -> Piped:
    """`zoo ARGUMENTS` with bytes on its standard input and output, and streams of an encoding."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding) for _ in range(2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        patch.setattr("sys.stdout", out)
        patch.setattr("sys.stderr", err)
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        out.flush()
        err.flush()
    code = caught.value.code
    said = err.buffer.getvalue().decode(encoding)
    return Piped(code if isinstance(code, int) else 0, out.buffer.getvalue(), said)


def photograph(width: int = 12, height: int = 9, mode: str = "RGB", seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 4), np.uint8)
    return Image.fromarray(pixels).convert(mode)


def files(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
