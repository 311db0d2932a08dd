"""The markers of JPEG files. Source: ITU-T T.81, annex B."""

from __future__ import annotations

from typing import IO

_APPLICATION, _COMMENT = range(0xE0, 0xF0), 0xFE


def end_of_markers(stream: IO[bytes]) -> int:
    """Return where the application's markers and comments of a JPEG end and its coding starts.

    The stream is left at its start.
    """
    end = 2
    stream.seek(end)
    while (field := stream.read(4))[1] in (*_APPLICATION, _COMMENT):
        end += 2 + int.from_bytes(field[2:], "big")
        stream.seek(end)
    stream.seek(0)
    return end
