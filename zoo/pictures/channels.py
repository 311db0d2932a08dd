"""The channels of a picture in the number that a network takes."""

from __future__ import annotations

import numpy as np

from zoo.errors import InputError
from zoo.pictures.picture import Array, Picture

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def channels_of(picture: Picture, channels: int) -> Array:
    """`[H, W, channels]` of the picture's dtype: grey (1), grey and alpha (2), RGB (3) or RGBA (4).

    Colour becomes luma, rounded; grey becomes three equal channels. Alpha is dropped, or opaque
    where the picture has none.

    Raises InputError for other numbers.
    """
    if not 1 <= channels <= 4:
        raise InputError(f"Pictures have 1 to 4 channels; this network takes {channels}.")
    pixels, alpha = picture.pixels, picture.alpha
    height, width, own = pixels.shape
    if channels > 2:
        pixels = np.broadcast_to(pixels, (height, width, 3))
    elif own == 3:
        pixels = np.rint(pixels @ np.array(LUMA)).astype(pixels.dtype)[..., None]
    if channels in (1, 3):
        return pixels
    if alpha is None:
        alpha = np.full((height, width), np.iinfo(pixels.dtype).max, pixels.dtype)
    return np.concatenate([pixels, alpha[..., None]], axis=2)
