"""How a photograph was treated before: the quality of its JPEG, visible blocks, noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoo.pictures.picture import Array, Picture

_LUMA = (0.299, 0.587, 0.114)
SIDE = 2048  # of the part that is looked at, at the centre
_BLOCK = 8  # coefficients a side of the squares in which noise is measured


@dataclass(frozen=True)
class Condition:
    """What can be told of a photograph.

    quality: of its JPEG file, 1..100 on libjpeg's scale; None if it comes from no JPEG.
    blocks: how much the steps at the borders of blocks of 8 pixels stand out, everywhere in the
        photograph; below 0 without a JPEG in its past, above 0.05 with one of low quality.
    noise: standard deviation of luma noise in levels of 255, in the calmest tenth of the
        photograph. Texture everywhere looks like noise, too.
    """

    quality: int | None
    blocks: float
    noise: float


def condition(picture: Picture) -> Condition:
    """Look at the centre of a picture, at most 2,048 pixels wide and high."""
    luma = _luma(picture.pixels)
    return Condition(picture.metadata.quality, blocks(luma), noise(luma))


def blocks(luma: NDArray[np.float64]) -> float:
    """How far the borders of one grid of 8 × 8 blocks stand out from all other lines.

    The smaller one of both directions counts, for a fence has lines in one alone.
    """
    return min(_lines(luma), _lines(luma.T))


def noise(luma: NDArray[np.float64]) -> float:
    """Standard deviation of noise, from the finest diagonal detail in the calmest squares."""
    height, width = (length - length % 2 for length in luma.shape)
    a, b = luma[:height:2, :width:2], luma[:height:2, 1:width:2]
    c, d = luma[1:height:2, :width:2], luma[1:height:2, 1:width:2]
    detail, mean = _squares((a - b - c + d) / 2), _squares((a + b + c + d) / 4)
    if not len(detail):
        return 0.0
    exposed = (mean.min(axis=1) > 10) & (mean.max(axis=1) < 245)  # black and white clip the noise
    if exposed.sum() >= 8:
        detail = detail[exposed]
    return float(np.quantile(np.sqrt((detail**2).mean(axis=1)), 0.1))


def _luma(pixels: Array) -> NDArray[np.float64]:
    """Luma `[h, w]` in 0..255 of the centre."""
    height, width = pixels.shape[:2]
    top, left = (max(0, (length - SIDE) // 2) for length in (height, width))
    part = pixels[top : top + SIDE, left : left + SIDE]
    luma = part[..., 0].astype(float) if part.shape[2] == 1 else part @ np.array(_LUMA)
    return np.asarray(luma * (255 / np.iinfo(pixels.dtype).max))


def _lines(luma: NDArray[np.float64]) -> float:
    """How far one of the eight sets of every eighth column is ahead of the other seven.

    The smaller lead in four strips counts: what happens to lie there is not in all of them.
    """
    steps = np.abs(np.diff(luma, axis=1))
    if steps.shape[1] < 24 or len(steps) < 4:
        return 0.0
    excess = steps[:, 1:-1] - (steps[:, :-2] + steps[:, 2:]) / 2
    strips = np.array_split(excess, 4)
    means = np.array([[strip[:, phase::8].mean() for phase in range(8)] for strip in strips])
    leader = means.mean(axis=0).argmax()
    leads = means[:, leader] - np.delete(means, leader, axis=1).max(axis=1)
    return float(leads.min()) / (float(steps.mean()) + 0.1)


def _squares(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """The plane's squares of 8 × 8, as rows of 64."""
    rows, columns = (length // _BLOCK for length in plane.shape)
    cut = plane[: rows * _BLOCK, : columns * _BLOCK]
    squares = cut.reshape(rows, _BLOCK, columns, _BLOCK).transpose(0, 2, 1, 3)
    return np.asarray(squares.reshape(-1, _BLOCK * _BLOCK))
