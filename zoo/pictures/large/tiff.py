"""Tiled TIFF files with a pyramid, from pixels in scratch files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from zoo.pictures.large.picture import LargePicture
from zoo.pictures.large.scratch import ScratchArray
from zoo.pictures.picture import Array
from zoo.pictures.planes import strips
from zoo.pictures.tiff import TILE, Level, write_tiff


def write_pyramid(picture: LargePicture, path: Path) -> None:
    """Write a TIFF of tiles: the picture, and its halves down to one that fits into a tile."""
    write_tiff(picture.about, path, levels=_levels(picture.planes))


def _levels(planes: list[ScratchArray]) -> Iterator[Level]:
    """The levels one by one: what is not the picture's own is made when it is asked for."""
    made: list[ScratchArray] = []
    try:
        while True:
            height, width = planes[0].shape[:2]
            yield Level((height, width, sum(each.shape[2] for each in planes)), _tiles(planes))
            if max(height, width) <= TILE:
                return
            planes, before = [_half(each) for each in planes], made
            made = planes
            for each in before:
                each.close()
    finally:
        for each in made:
            each.close()


def _tiles(planes: list[ScratchArray]) -> Iterator[Array]:
    """Tiles row by row; those at the border are filled up with copies of its last pixels."""
    height, width = planes[0].shape[:2]
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            part = slice(top, min(top + TILE, height)), slice(left, min(left + TILE, width))
            tile = np.concatenate([each[part] for each in planes], axis=2)
            missing = ((0, TILE - tile.shape[0]), (0, TILE - tile.shape[1]), (0, 0))
            tile = np.pad(tile, missing, mode="edge")
            yield tile if tile.shape[2] > 1 else tile[..., 0]


def _half(planes: ScratchArray) -> ScratchArray:
    """The rounded means of blocks of 2 × 2 pixels; a last odd row or column counts twice."""
    height, width, channels = planes.shape
    half = ScratchArray(
        planes.folder, ((height + 1) // 2, (width + 1) // 2, channels), planes.dtype
    )
    for rows in strips(planes):  # an even number each, but for the last
        block = planes[rows, slice(None)].astype(np.uint32)
        block = np.pad(block, ((0, len(block) % 2), (0, width % 2), (0, 0)), mode="edge")
        block = block[::2] + block[1::2]
        block = (block[:, ::2] + block[:, 1::2] + 2) // 4
        half[rows.start // 2 : rows.start // 2 + len(block), :] = block
    return half
