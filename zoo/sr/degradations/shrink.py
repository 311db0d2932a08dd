"""Shrinking by the kernels that programs and cameras use."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from zoo.errors import InputError
from zoo.sr.data.imresize import bicubic_downscale, crop_to_multiple

Method = Literal["matlab", "bicubic", "bilinear", "area", "lanczos", "nearest"]


def shrink(image: NDArray[np.uint8], scale: int, method: Method = "matlab") -> NDArray[np.uint8]:
    """Shrink `[H, W, 3]` uint8, cropped to a multiple of `scale`, by 1 / scale.

    method: "matlab" is the protocol's bicubic; "nearest" takes every `scale`-th pixel, without a
        filter; the others are Pillow's, with antialiasing.
    Raises InputError for another method.
    """
    if method not in get_args(Method):
        raise InputError(f"method={method!r} is none of {', '.join(get_args(Method))}.")
    if scale == 1:
        return image
    if method == "matlab":
        return bicubic_downscale(image, scale)
    image = crop_to_multiple(image, scale)
    if method == "nearest":
        return image[scale // 2 :: scale, scale // 2 :: scale]
    filters = {
        "bicubic": Image.Resampling.BICUBIC,
        "bilinear": Image.Resampling.BILINEAR,
        "area": Image.Resampling.BOX,
        "lanczos": Image.Resampling.LANCZOS,
    }
    height, width = image.shape[0] // scale, image.shape[1] // scale
    small = Image.fromarray(image).resize((width, height), filters[method])
    return np.asarray(small)
