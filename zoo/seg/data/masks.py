"""Reading of mask files as class numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from zoo.errors import DataError, ZooError
from zoo.pictures.pillow import is_deep
from zoo.seg.data.bands import stored_bands
from zoo.seg.data.mask_values import MaskValuesError
from zoo.seg.void import VOID, void_label

BLACK_AND_WHITE = {(0, 0, 0), (255, 255, 255)}

Mask = NDArray[np.integer[Any]]


def read_mask(
    file: Path,
    *,
    classes: int = 1,
    ignore_index: int | None = None,
    threshold: float | None = None,
) -> Mask:
    """Reads a mask file as class numbers `[H, W]`, turned upright by its EXIF orientation.

    One class: 0 is background, 1 foreground; the file holds 0 and 1, or 0 and 255. A palette of
    black and white is read by its colours, as a viewer shows them; any other by its indices.
    More classes: the file holds the numbers 0 .. classes - 1 (a palette image its indices).
    RGB with equal channels counts as grey; alpha is ignored.

    Args:
        file: 8 or 16 bits deep.
        classes: up to 255 give uint8, more int32.
        ignore_index: the file's number for void pixels, see `zoo.seg.void.void_label`.
        threshold: of one class: brighter pixels, in the file's own levels, are foreground. For
            JPEGs and other masks of more than two levels, or other than the above.

    Returns:
        Void pixels are 255, or -1 where classes exceed 255.

    Raises:
        DataError: the file is unreadable or holds other values, which the message names
            (MaskValuesError).
    """
    try:
        with Image.open(file) as image:
            if getattr(image, "is_animated", False):
                raise DataError(f"{file} holds several frames, and a mask is a single picture.")
            if is_deep(image):  # PIL would cut the numbers to 8 bits
                levels = grey_of(stored_bands(file))
            else:
                upright = ImageOps.exif_transpose(image)
                levels = read_levels(upright, classes, as_shown=threshold is not None)
    except UnidentifiedImageError as error:
        if file.suffix.lower() not in (".tif", ".tiff"):
            raise DataError(f"{file} can't be read as a mask: it is no picture.") from error
        levels = grey_of(stored_bands(file))  # of a layout that PIL does not know
    except ZooError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"There is no mask {file}.") from error
    except Exception as error:  # a damaged file makes decoders raise almost anything
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise DataError(f"{file} can't be read as a mask: {reason}.") from error
    if levels is None:
        raise DataError(f"{file} is in colour; a mask is grey or has a palette.")
    return to_classes(
        levels, file, classes, ignored=void_label(classes, ignore_index), threshold=threshold
    )


def void_of(classes: int) -> int:
    """The number of void pixels in the masks that `read_mask` returns."""
    return VOID if classes <= VOID else -1


def read_levels(
    image: Image.Image, classes: int, *, as_shown: bool = False
) -> NDArray[np.generic] | None:
    """The numbers `[H, W]` that an image stores; None if its channels differ.

    as_shown: brightness instead of palette indices, also for colours.
    """
    if image.mode == "P":
        shown = image.convert("RGB").getcolors(2) if classes == 1 else None
        by_colour = shown is not None and {colour for _, colour in shown} <= BLACK_AND_WHITE
        return np.asarray(image.convert("L") if by_colour or as_shown else image)
    if len(image.getbands()) <= 2:  # grey of any depth, perhaps with alpha
        levels = np.asarray(image)
        return levels if levels.ndim == 2 else levels[..., 0]
    if as_shown:
        return np.asarray(image.convert("L"))
    return grey_of(np.asarray(image.convert("RGB")))


def grey_of(bands: NDArray[Any]) -> NDArray[np.generic] | None:
    """The grey `[H, W]` of `[H, W, C]`; None if its channels differ. Of 2 or 4, one is alpha."""
    colours = bands[..., :-1] if bands.shape[2] in (2, 4) else bands
    grey = colours[..., 0]
    return grey if (colours == grey[..., None]).all() else None


def to_classes(
    levels: NDArray[Any], file: Path, classes: int, *, ignored: int | None, threshold: float | None
) -> Mask:
    """Class numbers of stored levels; raises MaskValuesError for levels that are no class."""
    found = np.unique(levels).tolist()
    known = set(found) - {ignored}
    numbers: NDArray[Any]
    if threshold is not None:
        numbers = levels > threshold
    elif classes > 1 and known <= set(range(classes)):
        numbers = levels
    elif classes == 1 and (known <= {0, 1} or known <= {0, 255}):
        numbers = levels != 0
    else:
        raise MaskValuesError(file, found, classes)
    mask = numbers.astype(np.uint8 if classes <= VOID else np.int32)
    if ignored is not None:
        mask[levels == ignored] = void_of(classes)
    return mask
