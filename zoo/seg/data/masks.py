"""Reading of mask files as class numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from zoo.errors import DataError

BLACK_AND_WHITE = {(0, 0, 0), (255, 255, 255)}


def read_mask(file: Path, *, classes: int = 1) -> NDArray[np.uint8]:
    """Reads a mask file as uint8 `[H, W]`, turned upright by its EXIF orientation.

    One class: 0 is background, 1 foreground; the file holds 0 and 1, or 0 and 255. A palette of
    black and white is read by its colours, as a viewer shows them; any other by its indices.
    More classes: the file holds the numbers 0 .. classes - 1 (a palette image its indices).
    RGB with equal channels counts as grey; alpha is ignored.

    Raises:
        DataError: the file is unreadable or holds other values, which the message names.
    """
    try:
        with Image.open(file) as image:
            if getattr(image, "is_animated", False):
                raise DataError(f"{file} holds several frames, and a mask is a single picture.")
            levels = read_levels(ImageOps.exif_transpose(image), classes)
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"There is no mask {file}.") from error
    except Exception as error:  # a damaged file makes decoders raise almost anything
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise DataError(f"{file} can't be read as a mask: {reason}.") from error
    if levels is None:
        raise DataError(f"{file} is in colour; a mask is grey or has a palette.")
    return to_classes(levels, file, classes)


def read_levels(image: Image.Image, classes: int) -> NDArray[np.generic] | None:
    """The numbers `[H, W]` that an image stores; None if its channels differ."""
    if image.mode == "P":
        shown = image.convert("RGB").getcolors(2) if classes == 1 else None
        by_colour = shown is not None and {colour for _, colour in shown} <= BLACK_AND_WHITE
        return np.asarray(image.convert("L") if by_colour else image)
    if len(image.getbands()) <= 2:  # grey of any depth, perhaps with alpha
        levels = np.asarray(image)
        return levels if levels.ndim == 2 else levels[..., 0]
    red, green, blue = np.moveaxis(np.asarray(image.convert("RGB")), 2, 0)
    return red if np.array_equal(red, green) and np.array_equal(red, blue) else None


def to_classes(levels: NDArray[np.generic], file: Path, classes: int) -> NDArray[np.uint8]:
    """Class numbers of stored levels; raises DataError for levels that are no class."""
    values = np.unique(levels).tolist()
    if classes > 1 and set(values) <= set(range(classes)):
        return levels.astype(np.uint8)
    if classes == 1 and (set(values) <= {0, 1} or set(values) <= {0, 255}):
        return np.asarray(levels != 0, dtype=np.uint8)
    found = ", ".join(f"{value:g}" for value in values[:8])
    more = f" and {len(values) - 8} more" if len(values) > 8 else ""
    accepted = "0 and 1, or 0 and 255" if classes == 1 else f"the classes 0 to {classes - 1}"
    raise DataError(f"{file} holds the values {found}{more}; a mask here holds {accepted}.")
