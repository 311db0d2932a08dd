"""Resizing of images and masks, the same for training, measuring and predicting.

Images are resized bilinearly; to shrink, the triangle filter is widened (antialiasing), as in
`F.interpolate(mode="bilinear", antialias=True)`. Masks take the nearest pixel, by pixel centres
("nearest-exact"), so that classes never mix.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from zoo.seg.data.masks import Mask

Pixels = NDArray[np.uint8]


def resize_image(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """`[h, w, C]` uint8 to `[height, width, C]`, `size` = (height, width).

    No channel sees another: PIL alone would take a fourth for alpha and weight colours by it.
    """
    if pixels.shape[:2] == size:
        return pixels
    height, width = size
    planes = [pixels] if pixels.shape[2] == 3 else list(np.moveaxis(pixels, 2, 0))
    resized = [
        Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR)
        for plane in planes
    ]
    return np.dstack([np.asarray(plane) for plane in resized])


def resize_mask(mask: Mask, size: tuple[int, int]) -> Mask:
    """`[h, w]` class numbers, uint8 or int32, to `[height, width]`, `size` = (height, width)."""
    if mask.shape == size:
        return mask
    height, width = size
    return np.asarray(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST))
