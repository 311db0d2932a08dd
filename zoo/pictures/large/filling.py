"""`fill_transparent` of zoo.pictures.picture for pixels in scratch files: the same pixels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from zoo.pictures.large.scratch import ScratchArray
from zoo.pictures.picture import Array, fill_from, fill_transparent, halve
from zoo.pictures.planes import strips

_ALL = slice(None)
_IN_MEMORY = 2**21  # pixels


def fill_large(pixels: ScratchArray, alpha: ScratchArray) -> None:
    """Give every fully transparent pixel the mean colour of its visible neighbourhood.

    pixels: `[H, W, C]`; alpha: `[H, W, 1]`.
    Raises ImageError if the disk can't hold smaller copies.
    """
    height, width, channels = pixels.shape
    if height * width <= _IN_MEMORY:
        pixels[:, :] = fill_transparent(pixels[:, :], alpha[:, :][..., 0])
        return
    holes = [(bool(hole.any()), bool(hole.all())) for hole in _holes(alpha)]
    if not any(some for some, _ in holes) or all(every for _, every in holes):
        return
    size = (height + 1) // 2, (width + 1) // 2
    coarse = ScratchArray(pixels.folder, (*size, channels), np.float32)
    weight = ScratchArray(pixels.folder, (*size, 1), np.float32)
    try:
        for rows in strips(pixels):  # an even number each
            half = slice(rows.start // 2, (rows.stop + 1) // 2)
            colours, weights = halve(pixels[rows, _ALL], alpha[rows, _ALL][..., 0])
            coarse[half, :], weight[half, :] = colours, weights[..., None]
        fill_large(coarse, weight)
        for rows in strips(pixels):
            half = slice(rows.start // 2, (rows.stop + 1) // 2)
            clear = alpha[rows, _ALL][..., 0] == 0
            pixels[rows, :] = fill_from(pixels[rows, _ALL], clear, coarse[half, _ALL])
    finally:
        coarse.close()
        weight.close()


def _holes(alpha: ScratchArray) -> Iterator[Array]:
    return (alpha[rows, _ALL] == 0 for rows in strips(alpha))
