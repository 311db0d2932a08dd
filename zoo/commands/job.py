"""What a command does with each picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from zoo.commands.memory import Limits
from zoo.pictures.large.picture import LargePicture
from zoo.pictures.picture import Picture

Report = Callable[[float], None]  # takes the fraction that is done


class Large(NamedTuple):
    """What a command does with pictures that are too large for the memory that it may take."""

    work: Callable[[LargePicture, Report], LargePicture]
    limits: Limits


@dataclass
class Job:
    """What a command does with each picture.

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
