"""What the header of an image file tells besides its pixels."""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import IO, Any

from PIL import ExifTags, Image

from zoo.pictures import boxes
from zoo.pictures.exif import (
    block_of,
    exif_orientation,
    read_block,
    tells_resolution,
    upright,
)
from zoo.pictures.metadata import Metadata, jpeg_quality, upright_xmp, xmp_orientation
from zoo.pictures.png import read_chunks
from zoo.pictures.tiff import Page

_IPTC = 0x0404  # of Photoshop's resources


@dataclass(frozen=True)
class Header:
    """What a file tells besides its pixels.

    orientation: EXIF's 1..8, still to be applied; `exif` and `metadata` say 1 already.
    profile: the ICC profile in the file, of the colours in the file.
    """

    orientation: int
    profile: bytes | None
    exif: bytes | None
    metadata: Metadata


def read_header(image: Image.Image, stream: IO[bytes] | None = None) -> Header:
    """Read the header of a PIL image, and from its file what PIL does not tell.

    stream: the file that the image was opened from, else None. Its position is kept.
    What is damaged is left out, for it is no reason to refuse the photograph.
    """
    metadata = _metadata(image.info)
    profile = image.info.get("icc_profile") or None
    exif = _exif_of_info(image.info) or (_exif_in_memory(image) if stream is None else None)
    if image.format in ("JPEG", "MPO"):
        if not (image.info.get("jfif_unit") in (1, 2) or tells_resolution(exif)):
            metadata = replace(metadata, dpi=None)  # PIL has made one up
        if tables := getattr(image, "quantization", None):
            metadata = replace(metadata, quality=jpeg_quality(tables))
    orientation = read_orientation(image) if stream is None else None
    if stream is not None:
        position = stream.tell()
        with suppress(ValueError, IndexError, struct.error):
            if image.format == "TIFF":
                page = Page(stream)
                profile, exif, metadata = page.profile(), page.exif(), page.metadata()
            elif image.format == "PNG":
                colour, text, late_exif = read_chunks(stream)
                metadata = replace(metadata, colour=colour, text=text)
                exif = exif or late_exif
            elif image.format == "WEBP":
                metadata = replace(metadata, lossless=boxes.webp_is_lossless(stream))
            elif image.format in ("AVIF", "HEIF"):
                colour = () if profile else boxes.avif_colour(stream)
                metadata = replace(metadata, colour=colour)
                # Only the file's own turn counts. PIL writes EXIF anew where it tells another.
                orientation = exif_orientation(exif) or 1
                raw = boxes.avif_exif(stream)
                exif = raw if read_block(raw) else exif
            elif image.format == "JXL":
                orientation = 1  # has been applied, whatever EXIF tells
            elif image.format == "JPEG2000":
                profile, xmp = boxes.jp2_profile(stream), boxes.jp2_xmp(stream)
                metadata = replace(metadata, xmp=xmp)
        stream.seek(position)
    return make_header(profile, exif, metadata, orientation)


def make_header(
    profile: bytes | None, exif: bytes | None, metadata: Metadata, orientation: int | None = None
) -> Header:
    """Return a header of what a file tells as it is, with the orientation taken out.

    orientation: None for the one that EXIF or XMP tell.
    """
    told = orientation or exif_orientation(exif) or xmp_orientation(metadata.xmp) or 1
    if metadata.xmp:
        metadata = replace(metadata, xmp=upright_xmp(metadata.xmp))
    return Header(told, profile, upright(exif) if exif else None, metadata)


def read_orientation(image: Image.Image) -> int:
    """Return the orientation that PIL tells of an image, 1..8."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # a damaged EXIF block makes PIL raise almost anything
        return 1
    return orientation if orientation in range(1, 9) else 1


def _metadata(info: dict[Any, Any]) -> Metadata:
    dpi, xmp, comment = info.get("dpi"), info.get("xmp"), info.get("comment")
    if not (isinstance(dpi, tuple) and len(dpi) == 2 and min(dpi) > 0):
        dpi = None
    if not isinstance(comment, bytes) or comment.startswith(b"Created by OpenJPEG"):
        comment = None
    resources = info.get("photoshop")
    return Metadata(
        dpi=dpi and (float(dpi[0]), float(dpi[1])),
        xmp=xmp or None if isinstance(xmp, bytes) else None,
        iptc=resources.get(_IPTC) if isinstance(resources, dict) else None,
        comment=comment or None,
    )


def _exif_of_info(info: dict[Any, Any]) -> bytes | None:
    block = info.get("exif")
    if block is None and isinstance(text := info.get("Raw profile type exif"), str):
        with suppress(ValueError):  # ImageMagick's way in PNG files, before eXIf
            block = bytes.fromhex("".join(text.split("\n")[3:]))
    return block if isinstance(block, bytes) and read_block(block) else None


def _exif_in_memory(image: Image.Image) -> bytes | None:
    """Return the EXIF that somebody put into a PIL image, or of a TIFF that is loaded already."""
    with suppress(Exception):  # PIL raises almost anything for wrong types
        tiff = read_block(image.getexif().tobytes())
        return block_of(tiff) if tiff else None
    return None
