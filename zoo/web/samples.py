"""Small photographs for a visitor who has none at hand."""

from __future__ import annotations

from pathlib import Path

from zoo.errors import ZooError
from zoo.pictures.files import write_image
from zoo.pictures.picture import Picture
from zoo.pictures.samples import SAMPLES, sample
from zoo.sr.data.imresize import bicubic_downscale, crop_to_multiple

_SHRUNK = 2  # times, so that there is something to enlarge


def write_samples(folder: Path) -> list[Path]:
    """Write the samples as PNG files; none if scikit-image is missing or lacks them."""
    files = []
    for name in SAMPLES:
        try:
            pixels = sample(name)
        except ZooError:
            continue
        small = bicubic_downscale(crop_to_multiple(pixels, _SHRUNK), _SHRUNK)
        files.append(folder / f"{name}.png")
        write_image(Picture(small), files[-1])
    return files
