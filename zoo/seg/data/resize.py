"""Resizing of images and masks, the same for training, measuring and predicting.

Images are resized bilinearly; to shrink, the triangle filter is widened (antialiasing), as in
`F.interpolate(mode="bilinear", antialias=True)`. Masks take the nearest pixel, by pixel centres
("nearest-exact"), so that classes never mix.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


def resize_image(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """`[h, w, 3]` uint8 to `[height, width, 3]`, `size` = (height, width)."""
    return _resize(pixels, size, Image.Resampling.BILINEAR)


def resize_mask(mask: Pixels, size: tuple[int, int]) -> Pixels:
    """`[h, w]` uint8 class numbers to `[height, width]`, `size` = (height, width)."""
    return _resize(mask, size, Image.Resampling.NEAREST)


def _resize(pixels: Pixels, size: tuple[int, int], method: Image.Resampling) -> Pixels:
    height, width = size
    if pixels.shape[:2] == size:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((width, height), method))
