"""Generated cars in Kaggle's layout, for smoke tests of training and measuring."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def generate_cars(folder: Path, *, cars: int = 4, angles: int = 2) -> Path:
    """Writes `cars` × `angles` bright ellipses on noise, 96×64 pixels, with masks as GIF."""
    rng = np.random.default_rng(0)
    images, masks = folder / "train", folder / "train_masks"
    images.mkdir(parents=True)
    masks.mkdir()
    y, x = np.mgrid[-1:1:64j, -1:1:96j]
    for car in range(cars):
        paint = rng.integers(150, 256, 3)
        for angle in range(1, angles + 1):
            middle, radius = rng.uniform(-0.2, 0.2, 2), rng.uniform(0.4, 0.7, 2)
            inside = ((y - middle[0]) / radius[0]) ** 2 + ((x - middle[1]) / radius[1]) ** 2 < 1
            ground = rng.integers(0, 100, (64, 96, 3))
            pixels = np.where(inside[..., None], paint, ground).astype(np.uint8)
            name = f"car{car}_{angle:02}"
            Image.fromarray(pixels).save(images / f"{name}.jpg")
            Image.fromarray(inside.astype(np.uint8) * 255).save(masks / f"{name}_mask.gif")
    return folder
