"""Parts of pictures for comparisons."""

from __future__ import annotations

import numpy as np

from zoo.pictures.comparison import Part
from zoo.pictures.picture import Array, Picture
from zoo.sr.data.imresize import bicubic_upscale

_MARGIN = 4  # pixels around a part that bicubic enlargement needs


def cut(pixels: Array, part: Part, scale: int = 1) -> Array:
    """Return a part of `[H, W, C]`; of a picture enlarged by `scale`, what that part became."""
    top, left, side = (number * scale for number in part)
    return pixels[top : top + side, left : left + side]


def bicubic(small: Array, part: Part, scale: int) -> Array:
    """Return a part of `[H, W, 3]` enlarged bicubically, as the whole picture would be."""
    top, left, side = part
    y, x = max(top - _MARGIN, 0), max(left - _MARGIN, 0)
    around = small[y : top + side + _MARGIN, x : left + side + _MARGIN]
    return cut(bicubic_upscale(around, scale), (top - y, left - x, side), scale)


def rgb8(picture: Picture) -> Array:
    """Return a picture's colours as uint8 `[H, W, 3]`, without alpha."""
    pixels = picture.pixels
    if pixels.dtype == np.uint16:
        pixels = np.rint(pixels / 257).astype(np.uint8)
    return pixels.repeat(3 // pixels.shape[2], axis=2)
