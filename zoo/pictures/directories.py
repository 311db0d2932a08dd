"""The directories (IFDs) of TIFF files and EXIF blocks, read and written byte for byte.

Values are never decoded unless somebody asks for their numbers: what cameras write is often not
what the standard says.
Source: TIFF 6.0, section 2; BigTIFF; Exif 2.32, section 4.6.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import IO

_EXIF_IFD, _GPS_IFD, _INTEROP_IFD = 0x8769, 0x8825, 0xA005
_POINTERS = (_EXIF_IFD, _GPS_IFD, _INTEROP_IFD)
_POINTER_TYPES = (4, 13, 16, 18)  # LONG, IFD, LONG8, IFD8
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SIZES |= {16: 8, 17: 8, 18: 8, 129: 1}  # BigTIFF; UTF-8 of Exif 3.0
_MOST_ENTRIES, _MOST_DIRECTORIES = 4096, 65536  # more than any true file has


@dataclass(frozen=True)
class Entry:
    """One entry of a directory.

    data: `count` values of the TIFF type `type`, in the byte order of the block; for a pointer to
        a directory, the directory.
    """

    type: int
    count: int
    data: bytes | Directory

    def numbers(self, order: str) -> list[float]:
        """Return the values as numbers, rationals divided; [] for text and unknown types."""
        if isinstance(self.data, dict) or self.type not in (1, 3, 4, 5, 16):
            return []
        code = {1: "B", 3: "H", 4: "I", 5: "I", 16: "Q"}[self.type]
        count = self.count * (2 if self.type == 5 else 1)
        values = struct.unpack(f"{order}{count}{code}", self.data)
        if self.type != 5:
            return list(values)
        pairs = zip(values[::2], values[1::2], strict=True)
        return [top / bottom if bottom else 0.0 for top, bottom in pairs]


Directory = dict[int, Entry]


@dataclass(frozen=True)
class Tiff:
    """The header of a TIFF file: byte order "<" or ">", BigTIFF or not, directories in order.

    following: the place of the directory behind those, 0 if there is none.
    """

    order: str
    big: bool
    directories: list[Directory]
    following: int = 0


def read_tiff(stream: IO[bytes], *, first_only: bool = False) -> Tiff:
    """Read the directories of a TIFF file or an EXIF block without its prefix.

    Entries of unknown types or with values outside of the file are left out.
    Raises ValueError or struct.error if the header or a directory is damaged.
    """
    stream.seek(0, io.SEEK_END)
    size = stream.tell()
    stream.seek(0)
    head = stream.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None:
        raise ValueError("no TIFF header")
    big = struct.unpack(order + "H", head[2:4])[0] == 43
    offset = (
        struct.unpack(order + "Q", head[8:16])[0]
        if big
        else struct.unpack(order + "I", head[4:8])[0]
    )
    directories: list[Directory] = []
    seen: set[int] = set()
    while offset and offset not in seen and len(seen) < _MOST_DIRECTORIES:
        seen.add(offset)
        try:
            directory, offset = _read(stream, order, big, offset, size)
        except (ValueError, struct.error):
            if not directories:
                raise
            break  # e.g. a damaged thumbnail behind a good first directory
        directories.append(directory)
        if first_only:
            break
    return Tiff(order, big, directories, offset)


def _read(
    stream: IO[bytes], order: str, big: bool, offset: int, size: int, depth: int = 0
) -> tuple[Directory, int]:
    """Return the directory at `offset`, and the offset of the next one or 0."""
    field = "Q" if big else "I"
    width = struct.calcsize(field)
    stream.seek(offset)
    count = struct.unpack(order + ("Q" if big else "H"), stream.read(8 if big else 2))[0]
    if count > _MOST_ENTRIES:
        raise ValueError("a directory with too many entries")
    layout = struct.Struct(f"{order}HH{field}{width}s")
    table = stream.read(count * layout.size)
    following = stream.read(width)
    directory: Directory = {}
    for tag, kind, number, value in layout.iter_unpack(
        table[: len(table) // layout.size * layout.size]
    ):
        length = number * _SIZES.get(kind, size + 1)
        if length > size:
            continue
        place = struct.unpack(order + field, value)[0]
        if tag in _POINTERS and kind in _POINTER_TYPES and number == 1 and depth < 2:
            place = place if length == width else struct.unpack(order + "I", value[:4])[0]
            try:
                inner, _ = _read(stream, order, big, place, size, depth + 1)
                directory[tag] = Entry(kind, 1, inner)
            except (ValueError, struct.error):
                continue
        elif length <= width:
            directory[tag] = Entry(kind, number, value[:length])
        elif place + length <= size:
            stream.seek(place)
            directory[tag] = Entry(kind, number, stream.read(length))
    next_offset = struct.unpack(order + field, following)[0] if len(following) == width else 0
    return directory, next_offset


def serialise(directory: Directory, *, order: str, big: bool, at: int, following: int = 0) -> bytes:
    """Return a directory that is to stand at offset `at` of its file, its values behind it.

    following: the place of the next directory, 0 for none.
    """
    field = "Q" if big else "I"
    width = struct.calcsize(field)
    head = struct.pack(order + ("Q" if big else "H"), len(directory))
    tail_at = at + len(head) + len(directory) * (4 + 2 * width) + width
    table, tail = b"", b""
    for tag, entry in sorted(directory.items()):
        tail += b"\0" * (-(tail_at + len(tail)) % (8 if big else 2))
        place = struct.pack(order + field, tail_at + len(tail))
        kind, data = entry.type, entry.data
        if isinstance(data, dict):
            kind = 18 if big else 4
            value = place
            tail += serialise(data, order=order, big=big, at=tail_at + len(tail))
        elif len(data) <= width:
            value = data.ljust(width, b"\0")
        else:
            value = place
            tail += data
        table += struct.pack(order + "HH" + field, tag, kind, entry.count) + value
    return head + table + struct.pack(order + field, following) + tail
