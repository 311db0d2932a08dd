"""Reading of an image with its mask, as the network takes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoo.errors import DataError, InputError
from zoo.seg.data.bands import read_bands
from zoo.seg.data.folders import Pair, Runs
from zoo.seg.data.masks import Mask, read_mask, void_of
from zoo.seg.data.resize import resize_image, resize_mask
from zoo.seg.data.run_lengths import decode_runs
from zoo.seg.void import void_label

Loaded = tuple[NDArray[np.uint8], Mask]


@dataclass(frozen=True)
class Reading:
    """How images and masks are read.

    Args:
        classes: of the network; 1 for an object before its background.
        channels: of the network's images, see `read_bands`.
        allow_empty: whether a mask may hold no object (one class) or nothing but void pixels.
        ignore_index, mask_threshold: see `read_mask`.

    Raises:
        InputError: the values can't be, or not together.
    """

    classes: int = 1
    channels: int = 3
    allow_empty: bool = False
    ignore_index: int | None = None
    mask_threshold: float | None = None

    def __post_init__(self) -> None:
        if self.classes < 1 or self.channels < 1:
            raise InputError("There is at least one class and one channel.")
        if self.mask_threshold is not None and self.classes > 1:
            raise InputError(
                f"A mask threshold tells an object from its background: it does not go with "
                f"{self.classes} classes."
            )

    @property
    def void(self) -> int | None:
        """The number of void pixels in the masks that are read; None if no pixel is void."""
        has_void = void_label(self.classes, self.ignore_index) is not None
        return void_of(self.classes) if has_void else None


ONE_OBJECT = Reading()  # in RGB


def load_pair(pair: Pair, reading: Reading = ONE_OBJECT) -> Loaded:
    """Reads a pair: the image `[H, W, channels]` uint8 and class numbers `[H, W]`, see `read_mask`.

    Raises:
        DataError: a file is missing, unreadable, empty or of another size; it is named.
    """
    image = read_bands(pair.image, reading.channels)
    height, width = image.shape[:2]

    mask: Mask
    if isinstance(pair.mask, Runs):
        name = f"{pair.mask.table} ({pair.image.name})"
        try:
            mask = decode_runs(pair.mask.text, (height, width))
        except InputError as error:
            raise DataError(f"{name}: {error}") from error
    else:
        name = str(pair.mask)
        mask = read_mask(
            pair.mask,
            classes=reading.classes,
            ignore_index=reading.ignore_index,
            threshold=reading.mask_threshold,
        )
    if mask.shape != (height, width):
        raise DataError(
            f"{name} is {mask.shape[1]} × {mask.shape[0]}, "
            f"but its image {pair.image} is {width} × {height}."
        )
    if not reading.allow_empty:
        if reading.classes == 1 and not (mask == 1).any():
            raise DataError(f"{name} is empty; allow_empty accepts images without an object.")
        if reading.void is not None and (mask == reading.void).all():
            raise DataError(f"{name} holds void pixels only; allow_empty accepts that.")
    return image, mask


def load_resized(pair: Pair, size: int, reading: Reading = ONE_OBJECT) -> Loaded:
    """Like `load_pair`, but squashed to a square: `[channels, size, size]` and `[size, size]`."""
    image, mask = load_pair(pair, reading)
    square = (size, size)
    return resize_image(image, square).transpose(2, 0, 1), resize_mask(mask, square)
