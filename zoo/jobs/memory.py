"""The option --memory: whether a picture is enlarged in memory, in strips, or not at all."""

from __future__ import annotations

import ctypes
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Condition
from typing import NamedTuple

import torch

from zoo.errors import ImageError, InputError, MissingDependencyError, did_you_mean
from zoo.inference.device import PROCESS, installed_memory, memory_budget
from zoo.pictures.formats import FORMATS
from zoo.pictures.large.writing import STRIP_FORMATS
from zoo.pictures.reading import Description
from zoo.pictures.sixteen_bit import require_pyvips

_UNITS = {"kB": 10**3, "MB": 10**6, "GB": 10**9}
# Memory while a picture is decoded in one piece, over that of its pixels.
_DECODING, _DECODING_BY_PLUGINS = 5, 8
_SMALL = 10**8  # bytes of a picture that stays in memory on the smallest machine
_MMAP_THRESHOLD = -3  # M_MMAP_THRESHOLD of malloc.h
_PLAIN = ("JPEG", "PNG", "TIFF", "BMP", "TGA", "PPM", "GIF", "JPEG2000")


def parse_memory(text: str) -> int:
    """Return the bytes of "2GB", "1.5 GB" or "800mb"; raise InputError for anything else."""
    sizes = {name.lower(): size for name, size in _UNITS.items()}
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(\w+)\s*", text, re.ASCII)
    unit = found[2] if found else ""
    if found and unit.lower() in sizes:
        return int(float(found[1]) * sizes[unit.lower()])
    near = did_you_mean(unit, _UNITS) if unit else ""
    raise InputError(
        f"--memory {text} is no number with one of {', '.join(_UNITS)}, as in 1.5GB.{near}"
    )


def return_what_is_freed() -> None:
    """Make glibc give freed tensors back at once; it would keep those below 32 MB for itself."""
    with suppress(AttributeError, OSError, TypeError):  # another C library
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, 2**20)


class Plan(NamedTuple):
    """How a picture is enlarged: in strips or not, and the bytes that it takes besides tiles."""

    in_strips: bool
    needed: int


@dataclass(frozen=True)
class Limits:
    """Bytes that the pictures at work may take together, besides Python, torch and the tiles.

    strips: a picture that needs more is enlarged in strips if it can be.
    refusal: a picture that needs more, and can't be enlarged in strips, is refused.
    """

    strips: int
    refusal: int

    def plan(self, source: Description, format: str, *, scale: int) -> Plan:
        """Plan a picture from the header of its file and the format of its result.

        Raises ImageError or MissingDependencyError if it doesn't fit.
        """
        plugins = source.format not in _PLAIN or (source.bits > 8 and not source.streams)
        decoding = source.nbytes * (_DECODING_BY_PLUGINS if plugins else _DECODING)
        known = FORMATS[format]
        result = source.nbytes * scale**2 * (1 if known.grey else 3 // source.channels)
        needed = max(decoding, source.nbytes + int(known.peak * result))
        if needed <= self.strips:
            return Plan(False, needed)
        reason = self._obstacle(source, format, decoding)
        if reason is None:
            return Plan(True, max(self.strips, 1))  # alone
        if needed <= self.refusal:
            return Plan(False, needed)
        height, width = source.height * scale, source.width * scale
        raise type(reason)(
            f"the result of {width:,} × {height:,} pixels would take about"
            f" {needed / 1e9:,.1f} GB of memory, and pictures have {self.refusal / 1e9:,.1f} GB"
            f" (--memory). {reason}"
        )

    def _obstacle(
        self, source: Description, format: str, decoding: int
    ) -> ImageError | MissingDependencyError | None:
        """Why a picture can't be enlarged in strips, and what would help."""
        if format not in STRIP_FORMATS:
            return ImageError(f"{format} can't be written in strips; JPEG, PNG and TIFF can.")
        if not source.streams and decoding > self.refusal:
            return ImageError(
                "Its file can't be read in strips; save it as plain PNG, TIFF or JPEG."
            )
        try:
            require_pyvips("Strips take less; they")
        except MissingDependencyError as error:
            return error
        return None


def limits(memory: int | None, device: torch.device, processes: int = 1) -> Limits:
    """Return what pictures may take, of the process's memory or of half of what is installed.

    Without a wish, a picture that can't be enlarged in strips may take all that is installed.
    processes: that share what is installed.
    """
    installed = (installed_memory() or 2**63) // processes
    others = PROCESS + (0 if device.type == "cuda" else memory_budget(device, memory))
    if memory is not None:
        return Limits(max(memory - others, 0), max(memory - others, 0))
    return Limits(max(installed // 2 - others, _SMALL), max(installed - others, _SMALL))


def check_disk(folder: Path, source: Description, scale: int) -> None:
    """Raise ImageError if the scratch files of a picture don't fit into a folder."""
    needed = source.nbytes * (1 + scale**2)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ImageError(
            f"its scratch files take {needed / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB are free in"
            f" {folder}."
        )


class Room:
    """Bytes for the pictures that are at work at the same time.

    One that finds too little waits until others are done; one that is alone never waits.
    """

    def __init__(self, size: int) -> None:
        self.size, self.taken, self.working = size, 0, 0
        self.changed = Condition()

    def take(self, needed: int) -> None:
        with self.changed:
            self.changed.wait_for(lambda: not self.working or self.taken + needed <= self.size)
            self.taken, self.working = self.taken + needed, self.working + 1

    def lift(self) -> None:
        """Let nobody wait any more."""
        with self.changed:
            self.size = 2**63
            self.changed.notify_all()

    def give_back(self, needed: int) -> None:
        with self.changed:
            self.taken, self.working = self.taken - needed, self.working - 1
            self.changed.notify_all()
