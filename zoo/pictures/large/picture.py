"""A photograph in scratch files, with its metadata in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from zoo.pictures.large.scratch import ScratchArray
from zoo.pictures.picture import Picture


@dataclass(frozen=True, eq=False)
class LargePicture:
    """An upright photograph whose pixels lie in scratch files.

    pixels, alpha: as those of a `Picture`, but alpha is `[H, W, 1]`.
    about: its metadata and format, with pixels of the same shape that take no memory: one value
        everywhere, in alpha the lowest of the photograph.
    """

    pixels: ScratchArray
    alpha: ScratchArray | None
    about: Picture

    @property
    def planes(self) -> list[ScratchArray]:
        return [self.pixels] if self.alpha is None else [self.pixels, self.alpha]

    def as_format(self, format: str) -> LargePicture:
        """Return the same picture, to be written in another format."""
        return replace(self, about=replace(self.about, format=format))

    def centre(self, side: int) -> Picture:
        """Return what lies at the centre, at most `side` pixels wide and high, in memory."""
        top, left = (max(0, (length - side) // 2) for length in self.pixels.shape[:2])
        part = self.pixels[top : top + side, left : left + side]
        return replace(self.about, pixels=part, alpha=None)

    def close(self) -> None:
        """Remove the scratch files."""
        for array in self.planes:
            array.close()

    @contextmanager
    def closed_if_failed(self) -> Iterator[None]:
        """Remove the scratch files if the block raises anything."""
        try:
            yield
        except BaseException:
            self.close()
            raise


def new_large(about: Picture, folder: Path) -> LargePicture:
    """Return a picture of zeros in scratch files of a folder, with the shapes and metadata given.

    Raises ImageError if the folder can't hold it.
    """
    height, width, channels = about.pixels.shape
    pixels = ScratchArray(folder, (height, width, channels), about.pixels.dtype)
    alpha = None
    if about.alpha is not None:
        alpha = ScratchArray(folder, (height, width, 1), about.alpha.dtype)
    return LargePicture(pixels, alpha, about)


def without_memory(about: Picture, height: int, width: int, *, alpha: int | None = None) -> Picture:
    """Return a picture of one colour, of the same kind and metadata, whose size takes no memory.

    alpha: everywhere, where the picture has alpha; None for that of its first pixel.
    """
    pixels = np.broadcast_to(about.pixels[0, 0], (height, width, about.pixels.shape[2]))
    if about.alpha is None:
        return replace(about, pixels=pixels)
    value = about.alpha[0, 0] if alpha is None else about.alpha.dtype.type(alpha)
    return replace(about, pixels=pixels, alpha=np.broadcast_to(value, (height, width)))
