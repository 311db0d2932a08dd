"""Pixels in memory or in a file, and the strips of rows in which all of them can be seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from zoo.pictures.picture import Array

_STRIP = 2**22  # bytes
_ALL = slice(None)


class Planes(Protocol):
    """Pixels `[H, W, C]`: planes[rows, columns] reads a part, an assignment to it writes it."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def __getitem__(self, part: tuple[slice, slice], /) -> Any: ...
    def __setitem__(self, part: tuple[slice, slice], block: Array, /) -> None: ...


def strips(planes: Planes) -> Iterator[slice]:
    """Rows of at most 4 MB in turn, an even number of them, that together are all rows."""
    height, width, channels = planes.shape
    count = max(_STRIP // (width * channels * planes.dtype.itemsize) // 2 * 2, 2)
    for top in range(0, height, count):
        yield slice(top, min(top + count, height))


def is_grey(planes: Planes) -> bool:
    """Whether all channels are equal."""
    return all(
        bool((strip == strip[..., :1]).all())
        for strip in (planes[rows, _ALL] for rows in strips(planes))
    )
