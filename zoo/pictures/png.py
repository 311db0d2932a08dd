"""The chunks of PNG files that are neither pixels nor known to PIL's writer.

Source: W3C, Portable Network Graphics, third edition, sections 5.3, 11.3 and 13.
"""

from __future__ import annotations

import shutil
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from zoo.pictures.exif import PREFIX
from zoo.pictures.metadata import Chunks
from zoo.pictures.picture import Picture
from zoo.store.atomic import replacing

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER_BYTES = 33  # signature and IHDR
_COLOUR = (b"cICP", b"mDCV", b"cLLI", b"sRGB", b"gAMA", b"cHRM")
_TEXT = (b"tEXt", b"zTXt", b"iTXt")
_XMP = b"XML:com.adobe.xmp\0"
_OTHERS_FIELD = (
    _XMP,
    b"Raw profile type exif\0",
)  # texts that Picture holds in fields of their own
_BLOCK = 1 << 24


def read_chunks(stream: IO[bytes]) -> tuple[Chunks, Chunks, bytes | None]:
    """Return the colour chunks that count and the text chunks, as (kind, data), and the EXIF.

    A profile in the file outranks gAMA, cHRM and sRGB, and cICP outranks a profile.
    """
    colour, text, exif, kinds = [], [], None, set()
    for kind, data in _chunks(stream, (*_COLOUR, *_TEXT, b"iCCP", b"eXIf")):
        kinds.add(kind)
        if kind in _COLOUR:
            colour.append((kind, data))
        elif kind in _TEXT and not data.startswith(_OTHERS_FIELD):
            text.append((kind, data))
        elif kind == b"eXIf":
            exif = data
    if b"iCCP" in kinds and b"cICP" not in kinds:
        colour = []
    return tuple(colour), tuple(text), exif


def _chunks(stream: IO[bytes], wanted: tuple[bytes, ...]) -> Iterator[tuple[bytes, bytes]]:
    stream.seek(len(SIGNATURE))
    while len(head := stream.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind not in wanted:
            stream.seek(length + 4, 1)
            continue
        data, check = stream.read(length), stream.read(4)
        if check == struct.pack(">I", zlib.crc32(kind + data)):
            yield kind, data


def insert_metadata(picture: Picture, path: Path) -> None:
    """Put all metadata of a picture into the PNG file of its pixels, behind the header.

    What the writer of the pixels put there is left out: libvips tells a resolution of its own.
    """
    extra = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in _metadata(picture)
    )
    with path.open("rb") as source:
        head = source.read(_HEADER_BYTES)
        start = _HEADER_BYTES
        while len(field := source.read(8)) == 8 and not field.endswith(b"IDAT"):
            start += int.from_bytes(field[:4], "big") + 12
            source.seek(start)
        if start == _HEADER_BYTES and not extra:
            return
        source.seek(start)
        with replacing(path) as part, part.open("wb") as target:
            target.write(head + extra)
            shutil.copyfileobj(source, target, _BLOCK)


def _metadata(picture: Picture) -> Iterator[tuple[bytes, bytes]]:
    more = picture.metadata
    yield from more.colour
    if picture.icc_profile:
        yield b"iCCP", b"ICC profile\0\0" + zlib.compress(picture.icc_profile)
    if more.dpi:
        x, y = (round(dots / 0.0254) for dots in more.dpi)  # per metre
        yield b"pHYs", struct.pack(">IIB", x, y, 1)
    if picture.exif:
        yield b"eXIf", picture.exif.removeprefix(PREFIX)
    if more.xmp:
        yield b"iTXt", _XMP + b"\0\0\0\0" + more.xmp
    yield from more.text
