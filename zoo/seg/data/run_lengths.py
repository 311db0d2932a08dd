"""Masks as run lengths, in the convention of Kaggle's Carvana Image Masking Challenge.

"3 2 9 1" is two pixels from the third on and one pixel at the ninth. Pixels are counted from 1, row
by row from the top, each row from the left. (Other competitions count column by column: transpose.)
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from zoo.errors import DataError, InputError
from zoo.seg.data.tables import read_table

_MOST = 2**40  # for a start or a length; no image has as many pixels


def encode_runs(mask: NDArray[np.uint8]) -> str:
    """Encodes a mask `[H, W]`, 0 = background, all else foreground, as "start length start ..."."""
    inside = np.concatenate([[0], mask.ravel() != 0, [0]]).astype(np.int8)
    steps = np.diff(inside)
    starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    return " ".join(map(str, np.stack([starts + 1, ends - starts], axis=1).ravel()))


def decode_runs(text: str, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Decodes runs into a mask, uint8 `[H, W]` of 0 and 1; an empty text is an empty mask.

    Args:
        text: runs in order, as `encode_runs` writes them.
        shape: height and width.

    Raises:
        InputError: `text` holds no pairs of positive integers, or runs overlap or leave the image.
    """
    height, width = shape
    try:
        starts, lengths = np.array(text.split(), dtype=np.int64).reshape(-1, 2).T
    except (ValueError, OverflowError) as error:
        raise InputError("Runs are pairs of whole numbers, start and length.") from error
    if (np.abs([starts, lengths]) >= _MOST).any():  # their sum might wrap around
        raise InputError(f"Runs leave the image, which has {height * width:,} pixels.")
    starts = starts - 1
    ends = starts + lengths
    if (starts < 0).any() or (lengths < 1).any():
        raise InputError("Runs start at 1 or later and have at least one pixel.")
    if (starts[1:] < ends[:-1]).any():
        raise InputError("Runs overlap or are out of order.")
    if len(ends) and ends[-1] > height * width:
        raise InputError(
            f"The runs end at pixel {ends[-1]:,}, and {width} × {height} has {height * width:,}."
        )
    steps = np.zeros(height * width + 1, np.int8)
    steps[starts] += 1
    steps[ends] -= 1
    return steps[:-1].cumsum(dtype=np.uint8).reshape(height, width)


def read_runs(file: Path) -> dict[str, str]:
    """Reads `train_masks.csv` (columns img, rle_mask): runs by the image's name without suffix.

    Raises:
        DataError: the file can't be read, has other columns, or names an image twice or not at all.
    """
    runs: dict[str, str] = {}
    for row in read_table(file, ("img", "rle_mask")):
        image = PurePosixPath(row["img"].strip())
        if not image.name:
            raise DataError(f"{file} has a row without the name of an image.")
        key = image.with_suffix("").as_posix()
        if key in runs:
            raise DataError(f"{file} has two rows for {image}, and only one can count.")
        runs[key] = row["rle_mask"]
    return runs
