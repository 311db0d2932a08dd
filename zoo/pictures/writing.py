"""From a Picture to an image file, with all that its format can hold."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from zoo.errors import ImageError
from zoo.pictures.colour import grey_to_srgb, is_grey_profile, profile_of
from zoo.pictures.exif import PREFIX, without_orientation
from zoo.pictures.formats import FORMATS
from zoo.pictures.metadata import Metadata
from zoo.pictures.picture import Picture
from zoo.pictures.pillow import bare_image
from zoo.pictures.png import insert_metadata
from zoo.pictures.sixteen_bit import write_deep_png
from zoo.pictures.tiff import write_tiff


def write_picture(picture: Picture, path: Path, *, quality: int) -> None:
    """Write a picture that `check_format` accepts."""
    known = FORMATS[picture.format]
    if not known.alpha:
        picture = replace(picture, alpha=None)
    if picture.format != "PNG":
        picture = replace(picture, icc_profile=profile_of(picture))
    if not known.grey and picture.icc_profile and is_grey_profile(picture.icc_profile):
        pixels = grey_to_srgb(picture.pixels, picture.icc_profile)
        picture = replace(picture, pixels=pixels, icc_profile=None)
    if picture.format == "TIFF":
        write_tiff(picture, path)
    elif picture.format == "PNG":
        _write_png(picture, path)
    else:
        _write_by_pil(picture, path, quality)


def _write_png(picture: Picture, path: Path) -> None:
    planes = picture.pixels
    if planes.dtype == np.uint16 and (planes.shape[2] > 1 or picture.alpha is not None):
        if picture.alpha is not None:
            planes = np.concatenate([planes, picture.alpha[..., None]], axis=2)
        write_deep_png(planes, path)
    else:
        bare_image(picture).save(path, format="PNG")
    insert_metadata(picture, path)


def _write_by_pil(picture: Picture, path: Path, quality: int) -> None:
    format, more = picture.format, picture.metadata
    options: dict[str, Any] = {name: getattr(more, name) for name in ("dpi", "xmp", "comment")}
    if format in ("JPEG", "WEBP", "AVIF"):
        options |= {"quality": quality, "icc_profile": picture.icc_profile, "exif": picture.exif}
    if format in ("JPEG", "AVIF"):
        options["subsampling"] = "4:4:4"
    if format == "JPEG":  # PIL itself makes room for short comments alone
        options |= {"extra": _extra_markers(more), "comment": None}
    if format == "WEBP" and more.lossless:
        options |= {"lossless": True, "exact": True}
    if format == "AVIF" and picture.exif:
        # PIL would take an orientation out by writing the whole block anew
        options["exif"] = without_orientation(picture.exif).removeprefix(PREFIX)
    if format == "JPEG2000":
        options["no_jp2"] = path.suffix.lower() in (".j2k", ".j2c", ".jpc")
    image = bare_image(picture)
    if path.suffix.lower() == ".pbm":
        image = image.convert("1", dither=Image.Dither.NONE)
    kept = {name: value for name, value in options.items() if value is not None}
    image.save(path, format=format, **kept)


def check_suffix(picture: Picture, path: Path, *, scale: int = 1) -> None:
    """Raise ImageError if a name promises another kind of PPM file: .pbm bits, .pgm grey.

    scale: factor by which the picture is still to be enlarged, which turns bits into grey.
    """
    if picture.format != "PPM":
        return
    suffix, grey = path.suffix.lower(), picture.pixels.shape[2] == 1
    if suffix == ".pgm" and not grey:
        raise ImageError("a .pgm file holds grey, and the picture has colours; name it .ppm.")
    bits = grey and scale == 1 and np.isin(picture.pixels, (0, 255)).all()
    if suffix == ".pbm" and not bits:
        raise ImageError("a .pbm file holds black and white alone; name it .pgm or .ppm.")


def _extra_markers(metadata: Metadata) -> bytes:
    """Return JPEG's markers for a comment, and for an IPTC record in the manner of Photoshop."""
    markers = b""
    if record := metadata.iptc:
        resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(record)) + record
        markers = _marker(b"\xff\xed", b"Photoshop 3.0\0" + resource + b"\0" * (len(record) % 2))
    return markers + (_marker(b"\xff\xfe", metadata.comment) if metadata.comment else b"")


def _marker(code: bytes, content: bytes) -> bytes:
    return code + struct.pack(">H", 2 + len(content)) + content
