"""Exact tiled inference: a picture of any size through a network of limited receptive field.

Each tile is read with a halo: the pixels around it within the receptive field of its own pixels.
The output for the halo is discarded; the rest equals the result for the whole picture. The halo
ends at the picture's border, so that the network's padding takes effect there only.

A network may run in two steps. What the first leaves for a tile, the second turns into the output
piece by piece, each with the small halo that this step needs. So tiles can be large, and little is
computed twice, though the second step takes far more memory per pixel than the first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise, product
from typing import Any, NamedTuple

from torch import Tensor

Begin = Callable[[Tensor], Any]
Finish = Callable[[Any, slice, slice], Tensor]
Read = Callable[[slice, slice], Tensor]
Write = Callable[[slice, slice, Tensor], None]
Progress = Callable[[float], None]

SMALLEST = 32  # side of the tiles that are made for any budget


class Span(NamedTuple):
    """A tile along one axis: it owns pixels start:stop and, with its halo, reads low:high."""

    start: int
    stop: int
    low: int
    high: int


def split(size: int, tile: int, halo: int, *, least: int = 1) -> list[Span]:
    """Split `size` pixels into the fewest spans of at most `tile` pixels, nearly equal ones.

    Each reads at least `least` pixels, or all that there are.
    """
    count = math.ceil(size / tile)
    edges = [size * i // count for i in range(count + 1)]
    spans = []
    for start, stop in pairwise(edges):
        low = max(min(start - halo, size - least), 0)
        spans.append(Span(start, stop, low, min(max(stop + halo, low + least), size)))
    return spans


def tile_for(height: int, width: int, *, halo: int, bytes_per_pixel: int, budget: int) -> int:
    """Return the largest tile side, but at least 32, whose activations fit into `budget` bytes.

    The activations include those of the halo.
    """
    pixels = budget // bytes_per_pixel
    if height * width <= pixels:
        return max(height, width)
    return max(math.isqrt(pixels) - 2 * halo, SMALLEST)


def run_tiled(
    begin: Begin,
    finish: Finish,
    read: Read,
    write: Write,
    *,
    height: int,
    width: int,
    tile: int,
    halo: int,
    scale: int = 1,
    piece: int | None = None,
    least: tuple[int, int] = (1, 1),
    progress: Progress | None = None,
) -> None:
    """Run a network on a picture tile by tile; only one tile is in memory at a time.

    begin: takes a tile `[C, h, w]`; what it returns goes to `finish`. The receptive field of both
        together has the radius `halo`.
    finish: takes that, and rows and columns of the tile; returns the output for these,
        `[C', scale·rows, scale·columns]`.
    read: takes rows and columns of the input, returns them as a tensor `[C, h, w]`.
    write: takes rows and columns of the output, and the tensor that belongs there.
    piece: side of what `finish` is asked for at once, in input pixels; None for a whole tile.
    least: height and width from which the network takes tiles; smaller ones read more of the
        picture, as far as it goes.
    progress: called now and then with the fraction that is done, in (0, 1].
    """
    rows_of = split(height, tile, halo, least=least[0])
    tiles = list(product(rows_of, split(width, tile, halo, least=least[1])))
    done = 0  # pixels
    for y, x in tiles:
        begun = begin(read(slice(y.low, y.high), slice(x.low, x.high)))
        for rows, columns in product(cut(y, piece or tile), cut(x, piece or tile)):
            output = finish(begun, moved(rows, -y.low), moved(columns, -x.low))
            write(scaled(rows, scale), scaled(columns, scale), output)
            done += (rows.stop - rows.start) * (columns.stop - columns.start)
            if progress:
                progress(done / (height * width))


def cut(span: Span, piece: int) -> list[slice]:
    """The pixels that a span owns, in the fewest slices of at most `piece` pixels."""
    return [
        slice(span.start + part.start, span.start + part.stop)
        for part in split(span.stop - span.start, piece, 0)
    ]


def moved(part: slice, by: int) -> slice:
    return slice(part.start + by, part.stop + by)


def scaled(part: slice, scale: int) -> slice:
    return slice(part.start * scale, part.stop * scale)


def grown(part: slice, halo: int, size: int) -> slice:
    """A slice with up to `halo` more on both sides, within 0..size."""
    return slice(max(part.start - halo, 0), min(part.stop + halo, size))
