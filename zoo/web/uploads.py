"""Read a visitor's file within the limits; what is wrong with it is said without its folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.errors import InputError, ZooError
from zoo.pictures.files import DEFAULT_MAX_PIXELS, reading
from zoo.pictures.picture import Picture
from zoo.pictures.reading import open_picture
from zoo.web.limits import Limits


def read_upload(path: str | None, limits: Limits, *, scale: int = 1) -> Picture:
    """Read a photograph that is to be enlarged `scale` times.

    Raises InputError without a file, ImageError for a file that is gone, too large or refused,
    MissingDependencyError for a format that needs a package.
    """
    if not path:
        raise InputError("Choose a photograph first.")
    file = Path(path)
    most = max(limits.pixels, DEFAULT_MAX_PIXELS)  # up to there the page has its own sentence
    with without_folder(file), reading(file) as stream:
        limits.check_bytes(os.fstat(stream.fileno()).st_size)
        with open_picture(stream, file, max_pixels=most) as opened:
            told = opened.description
            limits.check_pixels(told.width, told.height, scale=scale)
            return opened.decode()


@contextmanager
def without_folder(file: Path) -> Iterator[None]:
    """Let messages name a file alone: where it lies on this computer is nobody's business."""
    try:
        yield
    except ZooError as error:
        raise type(error)(str(error).replace(f"{file.parent}{os.sep}", "")) from error
