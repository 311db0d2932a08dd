"""What the browser shows of a picture: 8 bits, at most as large as a screen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from zoo.pictures.comparison import Part
from zoo.pictures.files import write_image
from zoo.pictures.picture import Array, Picture

SCREEN = 1600  # pixels of the longer side
Size = tuple[int, int]  # width, height


def screen_size(picture: Picture, most: int = SCREEN) -> Size:
    """Return the width and height at which a picture is shown; no picture is enlarged for it."""
    height, width = picture.pixels.shape[:2]
    factor = min(1.0, most / max(height, width))
    return max(1, round(width * factor)), max(1, round(height * factor))


def view(picture: Picture, size: Size, part: Part | None = None) -> Picture:
    """Return a picture, or the square `part` of it, resampled to `size` in 8 bits.

    Its profile stays; the rest of its metadata has no use on a screen.
    """
    top, left, side = part or (0, 0, 0)
    box = (left, top, left + side, top + side) if part else None
    pixels = _resize(picture.pixels, size, box)
    alpha = None if picture.alpha is None else _resize(picture.alpha[..., None], size, box)[..., 0]
    return replace(picture, pixels=pixels, alpha=alpha, exif=None, format="WEBP")


def save(picture: Picture, file: Path) -> Path:
    """Write a view as lossy WebP, or without loss if it is to be PNG; return its file."""
    write_image(picture, file, overwrite=True)
    return file


def _resize(pixels: Array, size: Size, box: tuple[int, int, int, int] | None) -> Array:
    """Resize `[H, W, C]`, C = 1 or 3, to 8 bits, bicubically."""
    if pixels.dtype == np.uint16:
        pixels = np.rint(pixels / 257).astype(np.uint8)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    resized = np.asarray(image.resize(size, Image.Resampling.BICUBIC, box))
    return resized.reshape(*resized.shape[:2], pixels.shape[2])
