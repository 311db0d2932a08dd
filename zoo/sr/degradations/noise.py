"""Noise of sensors: Gaussian, of photons, and correlated as a Bayer sensor's is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zoo.errors import InputError

# Bilinear demosaicking, as convolutions of the mosaic with zeros at the missing pixels.
_RED_BLUE = np.outer([1, 2, 1], [1, 2, 1]) / 4
_GREEN = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 4


def gaussian_noise(
    image: NDArray[np.uint8], sigma: float, rng: np.random.Generator, *, grey: bool = False
) -> NDArray[np.uint8]:
    """Add independent Gaussian noise to `[H, W, C]` uint8.

    sigma: standard deviation in levels of 0..255. grey: the same noise in all channels.
    Raises InputError for a negative sigma.
    """
    if not sigma >= 0:
        raise InputError(f"The noise's sigma is 0 or more levels of 255, not {sigma:g}.")
    height, width, channels = image.shape
    return _added(image, rng.normal(0, sigma, (height, width, 1 if grey else channels)))


def poisson_noise(
    image: NDArray[np.uint8], photons: float, rng: np.random.Generator, *, grey: bool = False
) -> NDArray[np.uint8]:
    """Replace `[H, W, C]` uint8 by counts of photons: the brighter, the noisier.

    photons: expected count for white; 100 is a dark scene. grey: the same noise in all channels,
    drawn for their mean.
    Raises InputError unless `photons` is above 0.
    """
    if not photons > 0:
        raise InputError(f"White is more than 0 photons, not {photons:g}.")
    light = image.mean(axis=2, keepdims=True) if grey else image.astype(np.float64)
    counted = rng.poisson(light / 255 * photons) / photons * 255
    return _added(image, counted - light)


def bayer_noise(
    image: NDArray[np.uint8], sigma: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Add Gaussian noise to `[H, W, 3]` uint8 as if at the pixels of a Bayer sensor (RGGB).

    Interpolation spreads it over neighbours and makes it coarser in red and blue than in green.
    sigma: as in `gaussian_noise`. Raises InputError for a negative sigma or other channels.
    """
    if not sigma >= 0:
        raise InputError(f"The noise's sigma is 0 or more levels of 255, not {sigma:g}.")
    if image.shape[2] != 3:
        raise InputError(f"A Bayer sensor makes 3 channels, not {image.shape[2]}.")
    height, width = image.shape[:2]
    row, column = np.indices((height + 2, width + 2)) % 2  # with a border to interpolate from
    mosaic = rng.normal(0, sigma, row.shape)
    places = (row + column == 0, row + column == 1, row + column == 2)
    kernels = (_RED_BLUE, _GREEN, _RED_BLUE)
    noise = [_convolve(mosaic * place, k) for place, k in zip(places, kernels, strict=True)]
    return _added(image, np.stack(noise, axis=2))


def _convolve(plane: NDArray[np.float64], kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convolve with a symmetric 3 × 3 kernel; the result lacks the border."""
    windows = np.lib.stride_tricks.sliding_window_view(plane, (3, 3))
    return np.asarray(np.einsum("hwij,ij->hw", windows, kernel))


def _added(image: NDArray[np.uint8], noise: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)
