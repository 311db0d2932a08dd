"""Spectral measures of an image: the energy of fine detail, and the power of a grid pattern.

Both use luma `[H, W]` under a Hann window, so that the image's borders have no effect.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zoo.errors import InputError

_RING = 2, 6  # distance of a frequency's neighbourhood, in steps of the spectrum
_FLOOR = 1e-9  # added to powers, so that an empty image has no peaks


def power(luma: NDArray[np.float64]) -> NDArray[np.float64]:
    """Power spectrum `[H, W]`, frequency 0 in the corner."""
    if luma.ndim != 2 or min(luma.shape) < 32:
        raise InputError(
            f"A spectrum needs luma [H, W] of 32 pixels a side or more, not {list(luma.shape)}."
        )
    window = np.hanning(luma.shape[0])[:, None] * np.hanning(luma.shape[1])
    mean = (luma * window).sum() / window.sum()
    spectrum: NDArray[np.float64] = np.abs(np.fft.fft2((luma - mean) * window)) ** 2
    return spectrum


def top_octave(luma: NDArray[np.float64]) -> float:
    """Energy of the finest detail: of waves 2 to 4 pixels long, in any direction.

    Args:
        luma: `[H, W]`, 32 pixels a side or more.
    """
    rows, columns = (np.fft.fftfreq(length) for length in luma.shape)
    frequency = np.hypot(rows[:, None], columns)  # in cycles per pixel
    band = (frequency >= 0.25) & (frequency <= 0.5)
    return float(power(luma)[band].sum() / luma.size)


def grid_power(luma: NDArray[np.float64], scale: int, *, relative: bool = True) -> float:
    """How much a pattern that repeats every `scale` pixels stands out; 1 is not at all.

    The geometric mean over the grid's frequencies, multiples of 1 / scale cycles per pixel in each
    direction, of their power relative to that of their neighbourhood. A checkerboard of period 2
    or 4 has peaks there of many times their neighbourhood.

    Args:
        luma: `[H, W]`, 32 pixels a side or more; cropped to a multiple of `scale`.
        scale: 2 or more.
        relative: whether to divide by the neighbourhood's power.
    """
    height, width = (length - length % scale for length in luma.shape)
    spectrum = power(luma[:height, :width])
    near, far = _RING
    offsets = np.arange(-far, far + 1)
    distance = np.hypot(offsets[:, None], offsets)
    peak, ring = distance <= 1, (distance > near) & (distance <= far)  # Hann widens a line to ±1
    powers = []
    for i in range(scale):
        for j in range(scale):
            if i or j:
                rows = (i * height // scale + offsets) % height
                columns = (j * width // scale + offsets) % width
                patch = spectrum[np.ix_(rows, columns)]
                around = patch[ring].mean() + _FLOOR if relative else 1.0
                powers.append((patch[peak].mean() + _FLOOR) / around)
    return float(np.exp(np.mean(np.log(powers))))
