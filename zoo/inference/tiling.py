"""Exact tiled inference: a picture of any size through a network of limited sight.

Each tile is read with a halo, the pixels around it that the network can see from inside. What the
network makes of the halo itself is thrown away, and the rest equals the result for the whole
picture. The halo ends at the picture's border, so that the network pads there and only there.
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
    """One side of a tile: it owns the pixels start:stop and is read with its halo, low:high."""

    start: int
    stop: int
    low: int
    high: int


def split(size: int, tile: int, halo: int) -> list[Span]:
    """Split a side into as few spans of at most `tile` pixels as possible, nearly equal ones."""
    count = math.ceil(size / tile)
    edges = [size * i // count for i in range(count + 1)]
    return [Span(a, b, max(a - halo, 0), min(b + halo, size)) for a, b in pairwise(edges)]


def tile_for(height: int, width: int, *, halo: int, bytes_per_pixel: int, budget: int) -> int:
    """Return the largest tile side whose activations, halo included, fit into `budget` bytes."""
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
    """Send a picture through `forward`, tile by tile; only one tile is in memory at a time.

    forward: `[C, h, w]` to `[C', scale·h, scale·w]`; an output pixel sees `halo` input pixels.
    read: rows and columns of the input to a tensor `[C, h, w]`.
    write: rows and columns of the output, and the tensor that belongs there.
    progress: called after each tile with the share that is done, in (0, 1].
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
