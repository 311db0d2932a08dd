"""Compression by the codecs of the web."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from zoo.errors import InputError

Subsampling = Literal["4:4:4", "4:2:2", "4:2:0"]


def jpeg(
    image: NDArray[np.uint8], quality: int, *, subsampling: Subsampling = "4:2:0"
) -> NDArray[np.uint8]:
    """Compress `[H, W, 3]` uint8 as JPEG and decode it.

    quality: 1 to 100, on the scale of libjpeg. subsampling: resolution of the colours.
    Raises InputError for another quality or subsampling.
    """
    if subsampling not in get_args(Subsampling):
        raise InputError(
            f"subsampling={subsampling!r} is none of {', '.join(get_args(Subsampling))}."
        )
    return _through(image, "JPEG", quality, {"subsampling": subsampling})


def webp(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Compress `[H, W, 3]` uint8 as WebP and decode it; quality: 1 to 100."""
    return _through(image, "WEBP", quality, {"method": 0})  # the fastest


def jpeg_again(
    image: NDArray[np.uint8],
    first: int,
    second: int,
    *,
    shift: tuple[int, int],
    subsampling: Subsampling = "4:2:0",
) -> NDArray[np.uint8]:
    """Compress twice, as a picture that was saved, cropped and saved: blocks no longer meet.

    first, second: qualities. shift: rows and columns, 0 to 7, between the two grids of blocks.
    """
    top, left = shift
    if not (0 <= top < 8 and 0 <= left < 8):
        raise InputError(f"Blocks are shifted by 0 to 7 pixels, not by {shift}.")
    padded = np.pad(image, ((top, 0), (left, 0), (0, 0)), mode="edge")
    cropped = jpeg(padded, first, subsampling=subsampling)[top:, left:]
    return jpeg(cropped, second, subsampling=subsampling)


def _through(
    image: NDArray[np.uint8], format: str, quality: int, options: Mapping[str, Any]
) -> NDArray[np.uint8]:
    if not 1 <= quality <= 100:
        raise InputError(f"The quality is 1 to 100, not {quality}.")
    file = io.BytesIO()
    Image.fromarray(image).save(file, format, quality=quality, **options)
    return np.asarray(Image.open(file).convert("RGB"))
