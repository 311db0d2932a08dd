"""From pixels in scratch files to an image file: JPEG, PNG or TIFF, with all that it can hold."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from zoo.pictures.files import writing
from zoo.pictures.jpeg import end_of_markers
from zoo.pictures.large.picture import LargePicture
from zoo.pictures.large.scratch import ScratchArray
from zoo.pictures.large.tiff import write_pyramid
from zoo.pictures.picture import Picture
from zoo.pictures.png import insert_metadata
from zoo.pictures.sixteen_bit import require_pyvips
from zoo.pictures.writing import write_picture
from zoo.store.atomic import replacing

STRIP_FORMATS = ("JPEG", "PNG", "TIFF")
_BLOCK = 2**24  # bytes


def write_large(
    picture: LargePicture, path: Path, *, quality: int = 95, overwrite: bool = False
) -> None:
    """Write a picture as JPEG, PNG or TIFF; the file appears complete or not at all.

    Pixels and metadata are those that `write_image` writes. TIFF is tiled, with a pyramid.
    Raises what `write_image` raises.
    """
    about = picture.about
    with writing(about, path, quality=quality, overwrite=overwrite) as part:
        if about.format == "TIFF":
            write_pyramid(picture, part)
        elif about.format == "PNG":
            image = _open(picture.pixels)
            if picture.alpha is not None:
                image = image.bandjoin(_open(picture.alpha))
            image.pngsave(str(part), compression=6, filter="all", keep="none")
            insert_metadata(about, part)
        else:
            image = _open(picture.pixels)
            image.jpegsave(str(part), Q=quality, subsample_mode="off", keep="none")
            _insert_markers(about, part, quality)


def _open(array: ScratchArray) -> Any:
    """An image of pyvips that is read once, from top to bottom."""
    vips = require_pyvips()
    source = vips.Source.new_from_file(str(array.path))
    return vips.Image.new_from_source(source, "", access="sequential")


def _insert_markers(about: Picture, path: Path, quality: int) -> None:
    """Give a JPEG the markers that `write_picture` gives to a small one with the same metadata."""
    small = replace(about, pixels=np.zeros_like(about.pixels[:1, :1]), alpha=None)
    with replacing(path) as part:
        write_picture(small, part, quality=quality)
        with part.open("rb") as told:
            head = told.read(end_of_markers(told))
        with path.open("rb") as source, part.open("wb") as target:
            target.write(head)
            source.seek(end_of_markers(source))
            shutil.copyfileobj(source, target, _BLOCK)
