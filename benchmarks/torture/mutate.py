"""Damage for files: bits, lengths, pieces, and words that readers stumble over."""

from __future__ import annotations

import random
import struct
import zlib

_NUMBERS = (0, 1, 2**7, 2**8 - 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1)
_LAYOUTS = ("B", "<H", ">H", "<I", ">I", "<Q", ">Q")
_WORDS = (
    b"-1", b"0", b"1e999", b"nan", b"null", b"true", b"[]", b"{}", b'""', b"99999999999999999999",
    b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\r\n", b"../../x", b"[" * 5000, b'{"a":' * 3000,
    b"&a *a", b"!!python/object:os.system", b"inf", b"\xc3\x28", b" " * 70_000,
)  # fmt: skip
_PNG = b"\x89PNG\r\n\x1a\n"


def mutated(seeds: list[bytes], random: random.Random) -> bytes:
    """Return one of the seeds with one to four kinds of damage; it may have none at all."""
    data = bytearray(random.choice(seeds))
    for _ in range(random.choice((1, 1, 2, 4))):
        random.choice(_DAMAGES)(data, random, seeds)
    if data.startswith(_PNG) and random.random() < 0.7:
        return _with_checksums(data)  # else most of them would be refused by a checksum
    return bytes(data)


def _flip(data: bytearray, random: random.Random, seeds: list[bytes]) -> None:
    for _ in range(random.choice((1, 3, 20))):
        if data:
            data[_place(data, random)] ^= 1 << random.randrange(8)


def _put_number(data: bytearray, random: random.Random, seeds: list[bytes]) -> None:
    layout = random.choice(_LAYOUTS)
    limit = 256 ** struct.calcsize(layout)
    packed = struct.pack(layout, random.choice(_NUMBERS) % limit)
    start = _place(data, random)
    data[start : start + len(packed)] = packed


def _put_word(data: bytearray, random: random.Random, seeds: list[bytes]) -> None:
    start = _place(data, random)
    data[start : start + random.choice((0, 1, 4, 12))] = random.choice(_WORDS)


def _cut(data: bytearray, random: random.Random, seeds: list[bytes]) -> None:
    del data[_place(data, random) :]


def _drop(data: bytearray, random: random.Random, seeds: list[bytes]) -> None:
    start = _place(data, random)
    del data[start : start + random.choice((1, 4, 16, 200))]


def _repeat(data: bytearray, random: random.Random, seeds: list[bytes]) -> None:
    start = _place(data, random)
    piece = data[start : start + random.choice((1, 4, 16, 200))]
    data[start:start] = piece * random.choice((1, 2, 30))


def _splice(data: bytearray, random: random.Random, seeds: list[bytes]) -> None:
    other = random.choice(seeds)
    start, end = _place(data, random), _place(other, random)
    data[start:] = other[end:]


_DAMAGES = (_flip, _put_number, _put_word, _cut, _drop, _repeat, _splice)


def _place(data: bytes | bytearray, random: random.Random) -> int:
    """Return a position; half of them lie in the first bytes, where headers are."""
    end = min(len(data), 64) if random.random() < 0.5 else len(data)
    return random.randrange(max(end, 1))


def _with_checksums(data: bytes | bytearray) -> bytes:
    """Return a PNG whose chunks have right checksums, as far as their lengths allow."""
    parts, at = [bytes(data[:8])], 8
    while at + 12 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        end = at + 8 + length
        if end + 4 > len(data):
            break
        checksum = struct.pack(">I", zlib.crc32(data[at + 4 : end]))
        parts.append(bytes(data[at:end]) + checksum)
        at = end + 4
    return b"".join((*parts, bytes(data[at:])))
