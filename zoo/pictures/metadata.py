"""What a picture's file tells besides its pixels, colour profile and EXIF."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Chunks = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True)
class Metadata:
    """What a file tells besides its pixels, colour profile and EXIF.

    dpi: pixels per inch in x and y. Enlargement leaves it, so that prints grow.
    xmp: an XMP packet without an orientation, which has been applied.
    iptc: an IPTC-IIM record: captions and credits of the press.
    comment: the comment of a JPEG, JPEG 2000 or GIF file.
    text: PNG's text chunks as (kind, data), e.g. `(b"tEXt", b"Title\\0Sunset")`.
    colour: what the colours mean where no profile tells it, as PNG chunks (kind, data): cICP,
        gAMA, cHRM, sRGB, mDCV, cLLI. () means what the profile says, or sRGB.
    lossless: the file's pixels were coded without loss, so that WebP goes on without loss.
    compressed: a TIFF was compressed and stays so.
    quality: of a JPEG, 1..100 on libjpeg's scale.
    """

    dpi: tuple[float, float] | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    comment: bytes | None = None
    text: Chunks = ()
    colour: Chunks = ()
    lossless: bool = False
    compressed: bool = False
    quality: int | None = None


NOTHING = Metadata()

# Sum of the table for luma in the JPEG standard (annex K): quality 50 of libjpeg.
_STANDARD_SUM = 3688
_ORIENTATION = re.compile(rb"""(tiff:Orientation(?:\s*=\s*["']|\s*>\s*))([1-8])\b""")


def xmp_orientation(packet: bytes | None) -> int | None:
    """Return the orientation that an XMP packet tells, 1..8, or None."""
    found = _ORIENTATION.search(packet or b"")
    return int(found[2]) if found else None


def upright_xmp(packet: bytes) -> bytes:
    """Return an XMP packet whose orientation says 1, if it tells one; all else stays."""
    return _ORIENTATION.sub(rb"\g<1>1", packet)


def jpeg_quality(tables: Mapping[int, Sequence[int]]) -> int:
    """The quality that libjpeg calls these tables of quantization, 1..100.

    Other encoders have tables of their own; theirs is the quality with tables of the same sum.
    """
    percent = 100 * sum(tables[min(tables)]) / _STANDARD_SUM
    quality = 5000 / percent if percent > 100 else (200 - percent) / 2
    return min(max(round(quality), 1), 100)
