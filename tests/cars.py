"""Small folders of images and masks for the tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def write_mask(file: Path, mask: np.ndarray, palette: list[int] | None = None) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(mask)
    if palette is not None:
        image = image.convert("P")
        image.putdata(mask.ravel().tolist())
        image.putpalette(palette)
    image.save(file)
    return file


def write_photo(file: Path, height: int = 12, width: int = 10, seed: int = 0) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file)
    return file


def write_cars(
    root: Path, cars: int = 2, views: int = 3, height: int = 12, width: int = 10
) -> Path:
    """Kaggle's layout in small; the mask of view i has i + 1 rows, from the top."""
    for car in range(cars):
        for view in range(views):
            name = f"{car:012x}_{view + 1:02}"
            write_photo(root / "train" / f"{name}.jpg", height, width, seed=views * car + view)
            mask = np.zeros((height, width), np.uint8)
            mask[: view + 1] = 1
            write_mask(root / "train_masks" / f"{name}_mask.gif", mask, [0, 0, 0, 255, 255, 255])
    return root
