"""Exact tiled inference: a picture of any size through a network of limited receptive field.

Each tile is read with a halo: the pixels around it within the receptive field of its own pixels.
The output for the halo is discarded; the rest equals the result for the whole picture. The halo
ends at the picture's border, so that the network's padding takes effect there only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise, product
from typing import NamedTuple

from torch import Tensor

Read = Callable[[slice, slice], Tensor]
Write = Callable[[slice, slice, Tensor], None]
Progress = Callable[[float], None]

_SMALLEST = 32


class Span(NamedTuple):
    """A tile along one axis: it owns pixels start:stop and, with its halo, reads low:high."""

    start: int
    stop: int
    low: int
    high: int


def split(size: int, tile: int, halo: int) -> list[Span]:
    """Split `size` pixels into the fewest spans of at most `tile` pixels, nearly equal ones."""
    count = math.ceil(size / tile)
    edges = [size * i // count for i in range(count + 1)]
    return [Span(a, b, max(a - halo, 0), min(b + halo, size)) for a, b in pairwise(edges)]


def tile_for(height: int, width: int, *, halo: int, bytes_per_pixel: int, budget: int) -> int:
    """Return the largest tile side, but at least 32, whose activations fit into `budget` bytes.

    The activations include those of the halo.
    """
    pixels = budget // bytes_per_pixel
    if height * width <= pixels:
        return max(height, width)
    return max(math.isqrt(pixels) - 2 * halo, _SMALLEST)


def run_tiled(
    forward: Callable[[Tensor], Tensor],
    read: Read,
    write: Write,
    *,
    height: int,
    width: int,
    tile: int,
    halo: int,
    scale: int = 1,
    progress: Progress | None = None,
) -> None:
    """Run `forward` on a picture tile by tile; only one tile is in memory at a time.

    forward: maps `[C, h, w]` to `[C', scale·h, scale·w]`; its receptive field has radius `halo`.
    read: takes rows and columns of the input, returns them as a tensor `[C, h, w]`.
    write: takes rows and columns of the output, and the tensor that belongs there.
    progress: called after each tile with the fraction that is done, in (0, 1].
    """
    tiles = list(product(split(height, tile, halo), split(width, tile, halo)))
    for done, (y, x) in enumerate(tiles, start=1):
        output = forward(read(slice(y.low, y.high), slice(x.low, x.high)))
        rows, columns = (
            slice((span.start - span.low) * scale, (span.stop - span.low) * scale)
            for span in (y, x)
        )
        write(
            slice(y.start * scale, y.stop * scale),
            slice(x.start * scale, x.stop * scale),
            output[:, rows, columns],
        )
        if progress:
            progress(done / len(tiles))
