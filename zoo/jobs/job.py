"""What is done with each of many pictures, and the sentence on one that failed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from zoo.errors import ZooError
from zoo.jobs.memory import Limits, Plan
from zoo.pictures.large.picture import LargePicture
from zoo.pictures.picture import Picture
from zoo.pictures.reading import Description

Report = Callable[[float], None]  # takes the fraction that is done

_NO_MEMORY = re.compile(r"out of memory|not enough memory|can't allocate memory", re.IGNORECASE)


class Large(NamedTuple):
    """What is done with pictures that are too large for the memory that may be taken."""

    work: Callable[[LargePicture, Report], LargePicture]
    limits: Limits


@dataclass(frozen=True)
class Place:
    """Where a job's network works.

    device, precision, runtime: see `zoo.Upscaler`.
    memory: bytes that the process is to stay within; None for what `limits` takes.
    processes: that do the same job on the same machine, and share its memory.
    """

    device: str = "auto"
    precision: str = "auto"
    runtime: str = "torch"
    memory: int | None = None
    processes: int = 1


@dataclass
class Job:
    """What is done with each picture.

    work: from a picture to its result.
    done: what the summary calls it ("enlarged").
    format: from the format of a picture to that of its result.
    like: from a picture to one that needs of a file what the result needs, for checks before work.
    scale: factor by which the result is larger.
    large: `work` on pictures in scratch files, and what may stay in memory; None if all may.
    memory_option: the command's option that saves memory, if there is one.
    hints: returns sentences on the results, which follow the summary.
    """

    work: Callable[[Picture, Report], Picture]
    done: str
    format: Callable[[str], str] = lambda format: format
    like: Callable[[Picture], Picture] = lambda picture: picture
    scale: int = 1
    large: Large | None = None
    memory_option: str = ""
    hints: Callable[[], list[str]] = list

    def plan(self, source: Description, format: str) -> Plan:
        """Return how a picture becomes a result in `format`; raises what `Limits.plan` does."""
        if self.large is None:
            return Plan(False, 0)
        return self.large.limits.plan(source, format, scale=self.scale)

    def result(self, picture: Picture | LargePicture, report: Report) -> Picture | LargePicture:
        """Return the result of a picture in the picture's format; a large picture is closed."""
        if isinstance(picture, Picture):
            return replace(self.work(picture, report), format=picture.format)
        assert self.large is not None
        try:
            return self.large.work(picture, report)
        finally:
            picture.close()

    def sentence(self, source: str, error: Exception) -> str:
        """Return what to say of an error, in one line that names the source."""
        if isinstance(error, ZooError):
            text = str(error)
        elif isinstance(error, MemoryError) or (
            isinstance(error, RuntimeError) and _NO_MEMORY.search(str(error).replace(source, ""))
        ):
            advice = f"; try a smaller {self.memory_option}" if self.memory_option else ""
            text = f"there is not enough memory for it{advice}."
        else:
            text = f"{type(error).__name__}: {error}".partition("\n")[0]
        return text if source in text else f"{source}: {text}"
