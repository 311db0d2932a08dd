"""The super-resolution benchmark: enlarge low-resolution images, compare with originals on luma.

1. Crop the original at the right and bottom to a multiple of the scale. 2. Shrink it by MATLAB's
bicubic `imresize`, uint8. 3. Enlarge, clamp and round to uint8. 4. Take luma, BT.601 studio range,
not rounded (for `psnr_y_rounded`: to whole levels). 5. Crop `scale` pixels on each side. 6. Take
PSNR and SSIM per image, then the mean over images.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.errors import DataError
from zoo.pictures.files import list_images
from zoo.sr.data.pairs import Degradation, Pair, load_pair
from zoo.sr.measure.metrics import psnr_y, ssim_y

PROTOCOL = (
    "psnr_y (dB) and ssim_y: luma of uint8 images, not rounded (psnr_y_rounded: to whole levels, "
    "as MATLAB does for uint8); crop = scale; low resolution by MATLAB's bicubic imresize; "
    "per image, then mean"
)
METRICS = ("psnr_y", "psnr_y_rounded", "ssim_y")
SETS = ("Set5", "Set14", "B100")

# uint8 [H, W, 3] -> uint8 [scale·H, scale·W, 3]
Enlarge = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
# (result, original), both uint8 [H, W, 3] -> 0 for equal images
Distance = Callable[[NDArray[np.uint8], NDArray[np.uint8]], float]


def find_set(data: Path, name: str) -> Path:
    """The folder of a set: DATA/NAME, DATA/benchmark/NAME, or NAME itself.

    Raises:
        DataError: none exists.
    """
    for folder in (data / name, data / "benchmark" / name, Path(name)):
        if folder.is_dir():
            return folder
    several = [part.strip() for part in name.split(",")]
    if len(several) > 1:
        again = " ".join(f"--sets {part}" for part in several)
        raise DataError(f"{name} is no set: repeat the option for several, {again}.")
    raise DataError(
        f"The set {name} is in neither {data / name} nor {data / 'benchmark' / name},"
        " and is no folder."
    )


def benchmark_pairs(
    folder: Path, scale: int, *, degrade: Degradation | None = None
) -> Iterator[Pair]:
    """Originals with their low-resolution versions: by `degrade`, or from `LR_x{scale}/`, or else
    by `imresize`.
    """
    inputs = folder / f"LR_x{scale}"
    for file in list_images(folder, recursive=False):
        if degrade is not None:
            yield load_pair(file, scale=scale, degrade=degrade)
        else:
            yield load_pair(file, scale=scale, inputs=inputs if inputs.is_dir() else None)


def evaluate(
    enlarge: Enlarge,
    folder: Path,
    *,
    scale: int,
    degrade: Degradation | None = None,
    distances: Mapping[str, Distance] | None = None,
) -> dict[str, Any]:
    """Measures an enlargement on one benchmark set.

    Args:
        enlarge: from uint8 `[H, W, 3]` to uint8 `[scale·H, scale·W, 3]`.
        folder: originals, and their low-resolution files in `LR_x{scale}/` if there are any.
        scale: factor of the enlargement.
        degrade: makes the low-resolution image from the original, instead of the protocol.
        distances: further measures of a result and its original, by name.

    Returns:
        `{"psnr_y": dB, "psnr_y_rounded": dB, "ssim_y": in [-1, 1], …distances, "seconds": per
        image, "images": {name: the same}}`;
        the figures beside "images" are means over them. An image's name has no suffix, unless two
        files differ in nothing else.

    Raises:
        ImageError: the folder is missing or holds no image.
        DataError: a file is unreadable, or the two of a pair do not fit.
    """
    rows: dict[str, dict[str, float]] = {}
    distances = distances or {}
    for name, target, low in benchmark_pairs(folder, scale, degrade=degrade):
        start = time.perf_counter()
        result = enlarge(low)
        seconds = time.perf_counter() - start
        rows[name] = {
            "psnr_y": psnr_y(result, target, crop=scale),
            "psnr_y_rounded": psnr_y(result, target, crop=scale, rounded=True),
            "ssim_y": ssim_y(result, target, crop=scale),
            **{title: distance(result, target) for title, distance in distances.items()},
            "seconds": seconds,
        }
    means = {
        key: float(np.mean([row[key] for row in rows.values()]))
        for key in (*METRICS, *distances, "seconds")
    }
    names = told_apart([Path(name).stem for name in rows], list(rows))
    return {**means, "images": dict(zip(names, rows.values(), strict=True))}


def told_apart(short: Sequence[str], full: Sequence[str]) -> Sequence[str]:
    """The short names, or the full ones if two short ones are equal, so that no row is lost."""
    return short if len(set(short)) == len(short) else full
