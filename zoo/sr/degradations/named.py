"""Degradations with a name, for benchmarks: the same image always gives the same result."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from zoo.sr.data.pairs import Degradation
from zoo.sr.degradations.blur import blur, gaussian_kernel
from zoo.sr.degradations.compression import jpeg
from zoo.sr.degradations.noise import gaussian_noise
from zoo.sr.degradations.shrink import shrink


def jpeg40(image: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """Shrunk as in the protocol, then JPEG of quality 40, 4:2:0."""
    return jpeg(shrink(image, scale), 40)


def jpeg75(image: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """Shrunk as in the protocol, then JPEG of quality 75, 4:2:0."""
    return jpeg(shrink(image, scale), 75)


def noise10(image: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """Shrunk as in the protocol, then Gaussian noise of sigma 10 in each channel."""
    return gaussian_noise(shrink(image, scale), 10, _generator(image))


def noise25(image: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """Shrunk as in the protocol, then Gaussian noise of sigma 25 in each channel."""
    return gaussian_noise(shrink(image, scale), 25, _generator(image))


def soft(image: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """Blurred by a Gaussian of sigma 0.6 pixels of the small image, then shrunk."""
    return shrink(blur(image, gaussian_kernel(0.6 * scale)), scale)


def mixed(image: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """Blurred (sigma 0.4), shrunk, noise of sigma 7, JPEG of quality 60, 4:2:0."""
    small = shrink(blur(image, gaussian_kernel(0.4 * scale)), scale)
    return jpeg(gaussian_noise(small, 7, _generator(image)), 60)


NAMED: dict[str, Degradation] = {
    "jpeg40": jpeg40,
    "jpeg75": jpeg75,
    "noise10": noise10,
    "noise25": noise25,
    "blur": soft,
    "mixed": mixed,
}


def _generator(image: NDArray[np.uint8]) -> np.random.Generator:
    """Seeded by the image itself, so that each has its own noise, and always the same."""
    return np.random.default_rng(zlib.crc32(np.ascontiguousarray(image).data))
