"""A picture for docs/training.md: what each degradation does to a photograph, and a whole chain.

python benchmarks/degradations.py

The photograph ships inside scikit-image (public domain).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import skimage.data
import typer
from numpy.typing import NDArray
from PIL import Image

from zoo.errors import ZooError
from zoo.pictures.comparison import lay_out
from zoo.sr.degradations.blur import blur, disc_kernel, gaussian_kernel
from zoo.sr.degradations.compression import jpeg, jpeg_again, webp
from zoo.sr.degradations.noise import bayer_noise, gaussian_noise, poisson_noise
from zoo.sr.degradations.shrink import shrink
from zoo.store.atomic import replacing

FILE = Path(__file__).parents[1] / "docs" / "degradations.png"
FACE = slice(50, 170), slice(160, 280)  # rows and columns of the astronaut
SIDE = 240  # of a panel, in pixels

Pixels = NDArray[np.uint8]


def main(
    out: Annotated[Path, typer.Option(help="The picture.")] = FILE,
) -> None:
    """Draw OUT: a row for each kind of degradation, and one for a chain of four."""
    with replacing(out) as part:
        draw(skimage.data.astronaut()[FACE]).save(part, format="png")


def draw(image: Pixels) -> Image.Image:
    """A grid of named panels."""
    rows = [singles_of_lens_and_sensor(image), compressions_and_shrinking(image), chain(image)]
    panels = [[enlarged(pixels) for pixels in row.values()] for row in rows]
    return lay_out(panels, captions=[list(row) for row in rows])


def singles_of_lens_and_sensor(image: Pixels) -> dict[str, Pixels]:
    return {
        "blur, sigma 1.5": blur(image, gaussian_kernel(1.5)),
        "uneven blur, 3 and 0.7": blur(image, gaussian_kernel(3, 0.7, angle=np.pi / 4)),
        "defocus, radius 2.5": blur(image, disc_kernel(2.5)),
        "Gaussian noise, sigma 20": gaussian_noise(image, 20, generator()),
        "the same in grey": gaussian_noise(image, 20, generator(), grey=True),
        "200 photons for white": poisson_noise(image, 200, generator()),
        "Bayer sensor, sigma 25": bayer_noise(image, 25, generator()),
    }


def compressions_and_shrinking(image: Pixels) -> dict[str, Pixels]:
    return {
        "JPEG 30, 4:2:0": jpeg(image, 30),
        "JPEG 30, 4:4:4": jpeg(image, 30, subsampling="4:4:4"),
        "JPEG 20, moved, JPEG 80": jpeg_again(image, 20, 80, shift=(3, 5)),
        "WebP 20": webp(image, 20),
        "half, MATLAB's bicubic": shrink(image, 2),
        "half, area": shrink(image, 2, "area"),
        "half, every second pixel": shrink(image, 2, "nearest"),
    }


def chain(image: Pixels) -> dict[str, Pixels]:
    """The order of training: each panel degrades the one before."""
    blurred = blur(image, gaussian_kernel(1.2))
    small = shrink(blurred, 2, "bilinear")
    noisy = gaussian_noise(small, 10, generator())
    return {
        "a photograph": image,
        "1. blurred": blurred,
        "2. shrunk to half": small,
        "3. with noise": noisy,
        "4. as JPEG 60": jpeg(noisy, 60),
    }


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def enlarged(pixels: Pixels) -> Image.Image:
    """Drawn with square pixels."""
    return Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.NEAREST)


if __name__ == "__main__":
    try:
        typer.run(main)
    except ZooError as error:
        sys.exit(f"error: {error}")
