"""Boxes of AVIF, HEIF, JPEG 2000 and WebP files that PIL does not tell about.

Sources: ISO/IEC 14496-12 section 4.2, 23008-12 section 6.5 (AVIF, HEIF); 15444-1 annex I (JP2);
RFC 9649 (WebP).
"""

from __future__ import annotations

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
