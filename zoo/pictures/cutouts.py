"""Apply a mask to a picture: tint the object (overlay) or cut it out (cutout)."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, cast, get_args

import numpy as np

from zoo.errors import InputError, did_you_mean
from zoo.pictures.formats import FORMATS, WRITABLE
from zoo.pictures.picture import Array, Picture, fill_transparent

Kind = Literal["mask", "overlay", "cutout"]

_TINT = 0.5  # opacity of an overlay's colour
# RGB of classes 1, 2, ... in an overlay, repeated for more classes: Okabe and Ito's palette.
_COLOURS = ((0, 158, 115), (230, 159, 0), (86, 180, 233), (204, 121, 167), (213, 94, 0))


def check_kind(kind: str) -> Kind:
    """Return `kind`; raise InputError unless it is "mask", "overlay" or "cutout"."""
    if kind not in get_args(Kind):
        hint = did_you_mean(str(kind), get_args(Kind))
        raise InputError(f"{kind!r} is none of {', '.join(get_args(Kind))}.{hint}")
    return cast(Kind, kind)


def formats_of(kind: Kind) -> tuple[str, ...]:
    """Return the formats that can hold a result: lossless for a mask, with alpha for a cutout.

    The result is () for an overlay, which any format can hold.
    """
    if kind == "mask":
        return tuple(name for name in WRITABLE if FORMATS[name].lossless)
    return tuple(name for name in WRITABLE if FORMATS[name].alpha) if kind == "cutout" else ()


def format_for(kind: Kind, format: str) -> str:
    """Return `format` if it can hold a result of this kind, else "PNG"."""
    return format if kind == "overlay" or format in formats_of(kind) else "PNG"


def cut_out(picture: Picture, opacity: Array) -> Picture:
    """Return the picture with `opacity` as alpha; hidden pixels take the object's colours.

    opacity: `[H, W]` float in [0, 1]; the picture's own alpha stays where it is lower.
    """
    full = np.iinfo(picture.pixels.dtype).max
    alpha = np.rint(opacity * full).astype(picture.pixels.dtype)
    if picture.alpha is not None:
        alpha = np.minimum(alpha, picture.alpha)
    pixels = fill_transparent(picture.pixels, alpha)
    return replace(picture, pixels=pixels, alpha=alpha, format=format_for("cutout", picture.format))


def tint(picture: Picture, classes: Array) -> Picture:
    """Return the picture in RGB, with every class but 0 tinted in its own colour.

    classes: `[H, W]` class numbers.
    """
    grey = picture.pixels.shape[2] == 1
    pixels = picture.pixels.repeat(3 if grey else 1, axis=2)  # a copy
    full = np.iinfo(pixels.dtype).max
    for number in np.unique(classes[classes > 0]):
        inside = classes == number
        colour = np.asarray(_COLOURS[(number - 1) % len(_COLOURS)]) / 255 * full
        mixed = (1 - _TINT) * pixels[inside] + _TINT * colour
        pixels[inside] = np.rint(mixed).astype(pixels.dtype)
    profile = None if grey else picture.icc_profile  # a grey profile does not apply to RGB
    return replace(picture, pixels=pixels, icc_profile=profile)
