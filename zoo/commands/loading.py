"""From a source to a picture in memory or in scratch files, checked for what its result needs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from zoo.commands.job import Job
from zoo.commands.memory import Room, check_disk
from zoo.commands.outputs import Outputs
from zoo.commands.streams import as_file
from zoo.pictures.files import check_output, read_description, read_image
from zoo.pictures.formats import FORMATS, SUFFIXES
from zoo.pictures.large.picture import LargePicture
from zoo.pictures.large.reading import read_large
from zoo.pictures.picture import Picture
from zoo.pictures.reading import Description


class Ready(NamedTuple):
    """A picture to work on, in the format of its result, where that goes, and what it takes."""

    picture: Picture | LargePicture
    target: Path
    needed: int = 0


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
            if self.job.large is None:
                return self._load(file, source, relative)
            told = read_description(file, max_pixels=self.max_pixels)
            format = self.outputs.format_of(self.job.format(told.format))
            plan = self.job.large.limits.plan(told, format, scale=self.job.scale)
            self.room.take(plan.needed)
            ready = None
            try:
                if plan.in_strips:
                    ready = self._load_large(file, source, relative, told)
                else:
                    ready = self._load(file, source, relative)
            finally:
                if ready is None:
                    self.room.give_back(plan.needed)
        return ready and ready._replace(needed=plan.needed)

    def _load(self, file: Path, source: Path, relative: Path) -> Ready | None:
        picture = read_image(file, max_pixels=self.max_pixels)
        target, format = self._target(source, relative, picture.format)
        if target is None:
            return None
        needed = replace(self.job.like(picture), format=format)
        check_output(needed, target, scale=self.job.scale, overwrite=self.outputs.overwrite)
        return Ready(replace(picture, format=format), target)

    def _load_large(
        self, file: Path, source: Path, relative: Path, told: Description
    ) -> Ready | None:
        """Decode a picture into scratch files beside its result."""
        target, format = self._target(source, relative, told.format)
        if target is None:
            return None
        check_disk(target.parent, told, self.job.scale)
        picture = read_large(file, target.parent, max_pixels=self.max_pixels).as_format(format)
        with picture.closed_if_failed():
            check_output(
                picture.about, target, scale=self.job.scale, overwrite=self.outputs.overwrite
            )
        return Ready(picture, target)

    def _target(self, source: Path, relative: Path, format: str) -> tuple[Path | None, str]:
        """Where the result of a source in this format goes, None if it is there; its format."""
        wanted = self.job.format(format)
        if self.scratch is not None:
            format = self.outputs.format_of(wanted)
            return self.scratch / f"output{FORMATS[format].suffixes[0]}", format
        target, format = self.outputs.target(source, relative, wanted)
        return (None if self.outputs.skips(source) and target.exists() else target), format
