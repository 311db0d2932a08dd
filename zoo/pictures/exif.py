"""EXIF blocks: a prefix and a small TIFF without pixels. All but the orientation stays as it is."""

from __future__ import annotations

import io
import struct
from collections.abc import Collection, Iterator
from contextlib import suppress

from zoo.pictures.directories import Directory, Entry, Tiff, read_tiff, serialise

PREFIX = b"Exif\0\0"
ORIENTATION = 0x0112
# Tags that describe pixels, their layout and their colours in one TIFF file, not the photograph.
_LAYOUT_TAGS = {
    *range(0x00FE, 0x0108), 0x010A, 0x0111, *range(0x0115, 0x011A), 0x011C,
    *range(0x0120, 0x0126), 0x012D, *range(0x013D, 0x015C), *range(0x0200, 0x020A),
    *range(0x0211, 0x0215), 0x02BC, 0x80E3, 0x80E4, 0x80E5, 0x80E6, 0x83BB, 0x8649, 0x8773, 0x935C,
    0x830E, 0x8480, 0x8482, 0x85D8, 0x87AF, 0x87B0, 0x87B1, *range(0xC612, 0xC800),  # GeoTIFF, DNG
}  # fmt: skip
RESOLUTION_TAGS = {0x011A, 0x011B, 0x0128}


def descriptive(directory: Directory) -> Directory:
    """Return the entries that describe the photograph, not the pixels of the file it is in."""
    return {tag: entry for tag, entry in directory.items() if tag not in _LAYOUT_TAGS}


def block_of(tiff: Tiff, *, without: Collection[int] = ()) -> bytes | None:
    """Return the EXIF block of a TIFF file, in its byte order; None if it tells nothing."""
    directory = _classic(descriptive(tiff.directories[0]))
    directory = {tag: entry for tag, entry in directory.items() if tag not in without}
    if not directory:
        return None
    header = {"<": b"II*\0\x08\0\0\0", ">": b"MM\0*\0\0\0\x08"}[tiff.order]
    return PREFIX + header + serialise(directory, order=tiff.order, big=False, at=8)


def _classic(directory: Directory) -> Directory:
    """Return the entries that a TIFF of 32-bit offsets can hold."""
    return {
        tag: Entry(4, 1, _classic(entry.data)) if isinstance(entry.data, dict) else entry
        for tag, entry in directory.items()
        if isinstance(entry.data, dict) or entry.type not in (16, 17, 18)
    }


def read_block(block: bytes | None) -> Tiff | None:
    """Read the first directory of an EXIF block, with or without prefix; None if it is damaged."""
    try:
        tiff = read_tiff(io.BytesIO((block or b"").removeprefix(PREFIX)), first_only=True)
    except (ValueError, struct.error):
        return None
    return tiff if tiff.directories else None


def tells_resolution(block: bytes | None) -> bool:
    """Return whether an EXIF block tells a resolution."""
    tiff = read_block(block)
    return tiff is not None and tiff.directories[0].keys() >= RESOLUTION_TAGS


def exif_orientation(block: bytes | None) -> int | None:
    """Return the orientation that an EXIF block tells, 1..8, or None."""
    for _, order, kind, value in _orientations((block or b"").removeprefix(PREFIX)):
        number = struct.unpack_from(order + kind, value)[0]
        return number if number in range(1, 9) else None
    return None


def upright(block: bytes) -> bytes:
    """Return an EXIF block, with or without prefix, whose orientation says 1; all else the same.

    The result has the prefix.
    """
    body = bytearray(block.removeprefix(PREFIX))
    for at, order, kind, _ in _orientations(bytes(body)):
        struct.pack_into(order + kind, body, at + 8, 1)
    return PREFIX + bytes(body)


def without_orientation(block: bytes) -> bytes:
    """Return an EXIF block without its orientation entry; all else stays at its place."""
    body = bytearray(block.removeprefix(PREFIX))
    for at, order, _, _ in _orientations(bytes(body)):
        start = struct.unpack_from(order + "I", body, 4)[0]
        count = struct.unpack_from(order + "H", body, start)[0]
        end = start + 2 + 12 * count + 4  # behind the offset of the next directory
        body[at : end - 12] = body[at + 12 : end]
        struct.pack_into(order + "H", body, start, count - 1)
        break
    return PREFIX + bytes(body)


def _orientations(body: bytes) -> Iterator[tuple[int, str, str, bytes]]:
    """Yield place, byte order, kind of number and value of each orientation in a first directory.

    It should be one SHORT. Damaged blocks yield none.
    """
    order = {b"II": "<", b"MM": ">"}.get(body[:2], "<")
    with suppress(struct.error):
        start = struct.unpack_from(order + "I", body, 4)[0]
        for index in range(struct.unpack_from(order + "H", body, start)[0]):
            at = start + 2 + 12 * index
            tag, kind, _ = struct.unpack_from(order + "HHI", body, at)
            code = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}.get(kind)
            if tag == ORIENTATION and code:
                yield at, order, code, body[at + 8 : at + 12]
