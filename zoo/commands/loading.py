"""From a source to a picture, checked for what its result needs, and the place of the result."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from zoo.commands.outputs import Outputs
from zoo.commands.streams import as_file
from zoo.jobs.files import load
from zoo.jobs.job import Job
from zoo.jobs.memory import Room
from zoo.pictures.files import read_description
from zoo.pictures.formats import FORMATS, SUFFIXES
from zoo.pictures.large.picture import LargePicture
from zoo.pictures.picture import Picture


class Ready(NamedTuple):
    """A picture to work on, in the format of its result, where that goes, and what it takes."""

    picture: Picture | LargePicture
    target: Path
    needed: int


class Loader:
    """Reads sources.

    room: for the pictures at work; a source waits for its share, which is given back after its
        result is written.
    scratch: the folder of a result that goes to the standard output, else None.
    """

    def __init__(
        self, outputs: Outputs, job: Job, room: Room, *, max_pixels: int, scratch: Path | None
    ) -> None:
        self.outputs, self.job, self.room = outputs, job, room
        self.max_pixels, self.scratch = max_pixels, scratch

    def _is_present(self, source: Path, relative: Path) -> bool:
        """Whether a result is there already, judged by the source's name; files appear whole."""
        format = SUFFIXES.get(source.suffix.lower())
        if not self.outputs.skips(source) or self.scratch is not None or format is None:
            return False
        return self.outputs.target(source, relative, self.job.format(format))[0].exists()

    def read(self, source: Path, relative: Path) -> Ready | None:
        """Read a source and check that its result can be written; None if it is there already."""
        if self._is_present(source, relative):
            return None
        with as_file(source) as file:
            told = read_description(file, max_pixels=self.max_pixels)
            format = self.outputs.format_of(self.job.format(told.format))
            plan = self.job.plan(told, format)
            self.room.take(plan.needed)
            ready = None
            try:
                target = self._target(source, relative, told.format)
                if target is not None:
                    picture = load(
                        self.job,
                        file,
                        target,
                        format,
                        strips_of=told if plan.in_strips else None,
                        max_pixels=self.max_pixels,
                        overwrite=self.outputs.overwrite,
                    )
                    ready = Ready(picture, target, plan.needed)
            finally:
                if ready is None:
                    self.room.give_back(plan.needed)
        return ready

    def _target(self, source: Path, relative: Path, format: str) -> Path | None:
        """Where the result of a source in this format goes, None if it is there."""
        wanted = self.job.format(format)
        if self.scratch is not None:
            format = self.outputs.format_of(wanted)
            return self.scratch / f"output{FORMATS[format].suffixes[0]}"
        target, _ = self.outputs.target(source, relative, wanted)
        return None if self.outputs.skips(source) and target.exists() else target
