"""What each file format can hold when zoo writes it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zoo.errors import ImageError, did_you_mean
from zoo.pictures.picture import Picture
from zoo.pictures.sixteen_bit import require_pyvips


@dataclass(frozen=True)
class Format:
    """What one file format can hold.

    suffixes: the usual one first.
    deep: channel counts (1 grey, 3 RGB; alpha not counted) that can have 16 bits a channel.
    max_side: in pixels.
    """

    suffixes: tuple[str, ...]
    writable: bool = True
    alpha: bool = False
    profile: bool = False
    deep: tuple[int, ...] = ()
    max_side: int = 2**31 - 1
    max_bytes: int = 2**63  # of the uncompressed pixels


FORMATS = {
    "JPEG": Format((".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), profile=True, max_side=65_500),
    "PNG": Format((".png",), alpha=True, profile=True, deep=(1, 3)),
    "WEBP": Format((".webp",), alpha=True, profile=True, max_side=16_383),
    "TIFF": Format(
        (".tif", ".tiff"), alpha=True, profile=True, deep=(1, 3), max_bytes=2**32 - 2**22
    ),
    "BMP": Format((".bmp",), max_bytes=2**32 - 2**22),
    "GIF": Format((".gif",), writable=False),  # its 256 colours are too few for a photograph
    "PPM": Format((".ppm", ".pgm", ".pbm", ".pnm"), deep=(1,)),
}

# File name suffix, in lower case -> the name of its format.
SUFFIXES = {suffix: name for name, known in FORMATS.items() for suffix in known.suffixes}


def check_format(picture: Picture, *, scale: int = 1) -> None:
    """Raise ImageError if picture.format can't hold the picture, enlarged `scale` times.

    Raises MissingDependencyError if writing needs pyvips and it is missing.
    """
    name, pixels, alpha = picture.format, picture.pixels, picture.alpha
    writable = [known for known in FORMATS if FORMATS[known].writable]
    if name not in writable:
        hint = did_you_mean(name, writable)
        raise ImageError(f"zoo doesn't write {name} files, but {', '.join(writable)}.{hint}")
    known = FORMATS[name]
    height, width, channels = pixels.shape
    height, width = height * scale, width * scale
    deep = pixels.dtype == np.uint16
    if alpha is not None and not known.alpha and alpha.min() < np.iinfo(alpha.dtype).max:
        raise ImageError(f"{name} can't hold the picture's transparency; PNG, WEBP and TIFF can.")
    if picture.icc_profile and not known.profile:
        raise ImageError(f"{name} can't hold the picture's colour profile; PNG and TIFF can.")
    if deep and channels not in known.deep:
        raise ImageError(f"{name} can't hold the picture's 16 bits a channel; PNG and TIFF can.")
    if deep and name == "PNG" and (channels == 3 or alpha is not None):
        require_pyvips()
    if max(height, width) > known.max_side:
        raise ImageError(
            f"{name} ends at {known.max_side:,} pixels a side, and the picture would have "
            f"{width:,} × {height:,}; PNG has no such limit."
        )
    planes = channels + (alpha is not None)
    if height * width * planes * pixels.itemsize > known.max_bytes:
        raise ImageError(
            f"{name} ends at {known.max_bytes:,} bytes, and the picture would have "
            f"{width:,} × {height:,} pixels; PNG has no such limit."
        )
