"""Blur: kernels of lenses and of motion, and their application."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zoo.errors import InputError

Kernel = NDArray[np.float64]  # [k, k], k odd, of sum 1


def gaussian_kernel(sigma: float, other: float | None = None, angle: float = 0.0) -> Kernel:
    """A Gaussian with standard deviations `sigma` and `other` pixels along two orthogonal axes.

    other: by default `sigma`: the same in all directions.
    angle: of the first axis against the rows, in radians.

    Raises InputError for a deviation that is not above 0.
    """
    other = sigma if other is None else other
    if not (sigma > 0 and other > 0):
        raise InputError(f"A blur's sigma is above 0 pixels, not {min(sigma, other):g}.")
    x, y = _grid(3 * max(sigma, other))
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    return _normalised(np.exp(-0.5 * ((along / sigma) ** 2 + (across / other) ** 2)))


def disc_kernel(radius: float) -> Kernel:
    """A disc, as a lens out of focus makes it of a point; its rim is antialiased.

    radius: in pixels. Raises InputError unless it is above 0.
    """
    if not radius > 0:
        raise InputError(f"A disc's radius is above 0 pixels, not {radius:g}.")
    x, y = _grid(radius + 0.5)
    return _normalised(np.clip(radius + 0.5 - np.hypot(x, y), 0, 1))


def blur(image: NDArray[np.uint8], kernel: Kernel) -> NDArray[np.uint8]:
    """Convolve each channel of `[H, W, C]` uint8 with a kernel; borders are reflected."""
    edge = kernel.shape[0] // 2
    padded = np.pad(image, ((edge, edge), (edge, edge), (0, 0)), mode="symmetric")
    rows, columns = padded.shape[:2]
    # A product of spectra is a circular convolution; what wraps around falls into the padding.
    spectrum = np.fft.rfft2(kernel, (rows, columns))[..., None]
    blurred = np.fft.irfft2(
        np.fft.rfft2(padded, axes=(0, 1)) * spectrum, (rows, columns), axes=(0, 1)
    )
    inner = blurred[2 * edge :, 2 * edge :]
    return np.clip(np.rint(inner), 0, 255).astype(np.uint8)


def _grid(reach: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coordinates x and y of a kernel's pixels, from its centre."""
    line = np.arange(-np.ceil(reach), np.ceil(reach) + 1)
    x, y = np.meshgrid(line, line)
    return x, y


def _normalised(kernel: Kernel) -> Kernel:
    return np.asarray(kernel / kernel.sum())
