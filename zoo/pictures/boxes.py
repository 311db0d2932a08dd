"""What the boxes of AVIF, HEIF, JPEG 2000, JPEG XL and WebP files hold and PIL does not tell.

Sources: ISO/IEC 14496-12 sections 4.2 and 8.11, 23008-12 section 6.5 and annex A (AVIF, HEIF);
15444-1 annex I (JP2); 18181-1 annex D (JPEG XL); RFC 9649 (WebP).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import IO

from zoo.pictures.metadata import Chunks

_XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_LARGEST = 1 << 26  # of a header


def read_boxes(stream: IO[bytes], *path: bytes) -> Iterator[bytes]:
    """Yield the contents of the boxes at `path`, e.g. `(b"jp2h", b"colr")`, of a file."""
    stream.seek(0)
    while len(head := stream.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        size = 8
        if length == 1:
            length, size = int.from_bytes(stream.read(8), "big"), 16
        if kind != path[0]:
            if length < size:
                return
            stream.seek(length - size, 1)
            continue
        content = stream.read(min(length - size, _LARGEST) if length >= size else _LARGEST)
        yield from _inside(content, path[1:])


def _inside(content: bytes, path: tuple[bytes, ...]) -> Iterator[bytes]:
    if not path:
        yield content
        return
    at = 0
    while at + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        if length < 8:
            return
        if kind == path[0]:
            # "meta" is a full box: version and flags stand before the boxes in it
            yield from _inside(content[at + 8 : at + length], path[1:])
        at += length


def avif_colour(stream: IO[bytes]) -> Chunks:
    """Return the colours that an AVIF or HEIF file tells by code points, as a cICP chunk."""
    for meta in read_boxes(stream, b"meta"):
        for data in _inside(meta[4:], (b"iprp", b"ipco", b"colr")):
            if data[:4] == b"nclx" and len(data) >= 10:
                primaries, transfer = struct.unpack_from(">HH", data, 4)
                if (primaries, transfer) not in ((1, 13), (2, 2), (1, 2), (2, 13)):  # sRGB
                    return ((b"cICP", bytes([primaries & 255, transfer & 255, 0, 1])),)
    return ()


def avif_bits(stream: IO[bytes]) -> int:
    """Return the bits a channel of an AVIF or HEIF file."""
    bits = 8
    for meta in read_boxes(stream, b"meta"):
        for data in _inside(meta[4:], (b"iprp", b"ipco", b"pixi")):
            bits = max(bits, *data[5:])
    return bits


def avif_exif(stream: IO[bytes]) -> bytes | None:
    """Return the EXIF of an AVIF or HEIF file as it is there, without prefix."""
    for meta in read_boxes(stream, b"meta"):
        for item in _inside(meta[4:], (b"iinf",)):
            for entry in _inside(item[6 if item[0] == 0 else 8 :], (b"infe",)):
                wide = entry[0] > 2
                if entry[0] >= 2 and entry[8 if wide else 6 :][2:6] == b"Exif":
                    number = int.from_bytes(entry[4 : 8 if wide else 6], "big")
                    for locations in _inside(meta[4:], (b"iloc",)):
                        data = _item(stream, locations, number)
                        return data[4 + int.from_bytes(data[:4], "big") :] or None
    return None


def _item(stream: IO[bytes], locations: bytes, wanted: int) -> bytes:
    """Return the data of an item of a file, b"" where they are not simply in the file."""
    table = io.BytesIO(locations)

    def number(size: int) -> int:
        return int.from_bytes(table.read(size), "big")

    version = number(1)
    number(3)  # flags
    (offset_size, length_size), (base_size, index_size) = (divmod(number(1), 16) for _ in "ab")
    for _ in range(number(4 if version == 2 else 2)):
        item = number(4 if version == 2 else 2)
        method = number(2) & 15 if version else 0
        number(2)  # data reference
        base, data = number(base_size), b""
        for _ in range(number(2)):
            number(index_size if version else 0)
            offset, length = number(offset_size), number(length_size)
            if item == wanted and method == 0:
                stream.seek(base + offset)
                data += stream.read(min(length, _LARGEST))
        if item == wanted:
            return data
    return b""


def jp2_profile(stream: IO[bytes]) -> bytes | None:
    """Return the ICC profile of a JPEG 2000 file."""
    for data in read_boxes(stream, b"jp2h", b"colr"):
        if data[:1] in (b"\2", b"\3"):
            return data[3:]
    return None


def jp2_xmp(stream: IO[bytes]) -> bytes | None:
    """Return the XMP packet of a JPEG 2000 file."""
    for data in read_boxes(stream, b"uuid"):
        if data.startswith(_XMP_UUID):
            return data[16:]
    return None


def jp2_bits(stream: IO[bytes]) -> int:
    """Return the bits a channel of a JPEG 2000 file or bare codestream."""
    for data in read_boxes(stream, b"jp2h", b"ihdr"):
        if data[10] != 255:
            return (data[10] & 127) + 1
    for data in read_boxes(stream, b"jp2h", b"bpcc"):
        return max((depth & 127) + 1 for depth in data)
    stream.seek(0)
    head = stream.read(42 + 3 * 16384)  # the marker SIZ is the first
    count = int.from_bytes(head[40:42], "big")
    return max(((depth & 127) + 1 for depth in head[42 : 42 + 3 * count : 3]), default=8)


def webp_is_lossless(stream: IO[bytes]) -> bool:
    """Return whether a WebP file is coded without loss."""
    stream.seek(12)
    while len(head := stream.read(8)) == 8:
        kind, length = struct.unpack("<4sI", head)
        if kind in (b"VP8L", b"VP8 "):
            return bool(kind == b"VP8L")
        stream.seek(length + length % 2, 1)
    return False


def jxl_size(stream: IO[bytes]) -> tuple[int, int]:
    """Return width and height of a JPEG XL file; (0, 0) if it is damaged."""
    stream.seek(0)
    code = stream.read(16)
    if not code.startswith(b"\xff\x0a"):
        code = next(read_boxes(stream, b"jxlc"), b"") or next(read_boxes(stream, b"jxlp"), b"")[4:]
    bits, at = int.from_bytes(code[2:18], "little"), 0

    def take(count: int) -> int:
        nonlocal at
        value = bits >> at & (1 << count) - 1
        at += count
        return value

    def side() -> int:
        return 8 * (take(5) + 1) if small else take((9, 13, 18, 30)[take(2)]) + 1

    if not code.startswith(b"\xff\x0a"):
        return 0, 0
    small = take(1)
    height = side()
    ratio = take(3)
    if not ratio:
        return side(), height
    top, bottom = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))[ratio - 1]
    return height * top // bottom, height
