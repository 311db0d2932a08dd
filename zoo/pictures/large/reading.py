"""From an image file to pixels in scratch files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from zoo.pictures.files import DEFAULT_MAX_PIXELS, reading
from zoo.pictures.large.filling import fill_large
from zoo.pictures.large.picture import LargePicture, new_large, without_memory
from zoo.pictures.picture import Array, Picture
from zoo.pictures.pillow import turned
from zoo.pictures.planes import strips
from zoo.pictures.reading import Description, open_picture
from zoo.pictures.sixteen_bit import require_pyvips

_ROWS = 64  # that are decoded at once
_ALL = slice(None)


def read_large(path: Path, folder: Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> LargePicture:
    """Read an image file into an upright picture whose pixels lie in a folder.

    The pixels and all else are those that `read_image` returns. Plain JPEG, PNG and TIFF files are
    decoded row by row. Others are decoded in memory, which can take several times their pixels.

    Raises what `read_image` raises, MissingDependencyError without pyvips, and ImageError if the
    folder can't hold the pixels.
    """
    with reading(path) as stream, open_picture(stream, path, max_pixels=max_pixels) as opened:
        if opened.description.streams:
            return _decode_in_strips(opened.description, path, folder)
        return _spill(opened.decode(), folder)


def _decode_in_strips(told: Description, path: Path, folder: Path) -> LargePicture:
    height, width, turn = told.height, told.width, told.header.orientation
    dtype = np.uint16 if told.bits == 16 else np.uint8
    pixel = Picture(
        np.zeros((1, 1, told.channels), dtype),
        np.zeros((1, 1), dtype) if told.has_alpha else None,
        told.header.profile,
        told.header.exif,
        told.format,
        told.header.metadata,
    )
    shape = (width, height) if turn > 4 else (height, width)
    picture = new_large(without_memory(pixel, *shape), folder)
    with picture.closed_if_failed():
        for top, block in _strips_of(path):
            place = _place(top, len(block), height, width, turn)
            picture.pixels[place] = turned(block[..., : told.channels], turn)
            if picture.alpha is not None:
                picture.alpha[place] = turned(block[..., told.channels :], turn)
        if picture.alpha is None:
            return picture
        fill_large(picture.pixels, picture.alpha)
        lowest = min(int(picture.alpha[rows, _ALL].min()) for rows in strips(picture.alpha))
        return replace(picture, about=without_memory(pixel, *shape, alpha=lowest))


def _strips_of(path: Path) -> Iterator[tuple[int, Array]]:
    """Strips `[rows, W, C]` from top to bottom, each with its first row's number."""
    vips = require_pyvips()
    source = vips.Source.new_from_file(str(path))
    image = vips.Image.new_from_source(source, "", access="sequential", fail_on="truncated")
    region = vips.Region.new(image)
    dtype = {"uchar": np.uint8, "ushort": np.uint16}[image.format]
    for top in range(0, image.height, _ROWS):
        rows = min(_ROWS, image.height - top)
        data = region.fetch(0, top, image.width, rows)
        yield top, np.frombuffer(data, dtype).reshape(rows, image.width, image.bands)


def _place(top: int, rows: int, height: int, width: int, orientation: int) -> tuple[slice, slice]:
    """Where rows of a file lie in the upright picture."""
    y, x = slice(top, top + rows), slice(0, width)
    if orientation > 4:
        (y, x), (height, width) = (x, y), (width, height)
    if orientation in (2, 3, 6, 7):
        x = slice(width - x.stop, width - x.start)
    if orientation in (3, 4, 7, 8):
        y = slice(height - y.stop, height - y.start)
    return y, x


def _spill(picture: Picture, folder: Path) -> LargePicture:
    """Move a picture from memory into scratch files."""
    lowest = None if picture.alpha is None else int(picture.alpha.min())
    about = without_memory(picture, *picture.pixels.shape[:2], alpha=lowest)
    large = new_large(about, folder)
    with large.closed_if_failed():
        for rows in strips(large.pixels):
            large.pixels[rows, :] = picture.pixels[rows]
        if large.alpha is not None and picture.alpha is not None:
            large.alpha[:, :] = picture.alpha[..., None]
    return large
