"""PSNR and SSIM on luma, by the protocol of the super-resolution literature."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from zoo.errors import InputError


def rgb_to_y(image: NDArray[np.uint8], *, rounded: bool = False) -> NDArray[np.float64]:
    """BT.601 luma in studio range: Y = 16 + (65.481 R + 128.553 G + 24.966 B) / 255.

    Args:
        image: `[H, W, 3]` uint8; `[H, W]` or `[H, W, 1]` counts as RGB with equal channels.
        rounded: whether to round to whole levels, as MATLAB's `rgb2ycbcr` does for uint8.

    Returns:
        `[H, W]` float64 in [16, 235].

    Raises:
        InputError: the image has another dtype or shape.
    """
    if image.ndim == 2:
        image = image[..., None]
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3):
        raise InputError(
            f"Luma is taken of uint8 [H, W, 3] or [H, W], not {image.dtype} {list(image.shape)}."
        )
    weights = np.array([65.481, 128.553, 24.966]) / 255
    y = 16 + np.broadcast_to(image, (*image.shape[:2], 3)) @ weights
    return np.floor(y + 0.5) if rounded else y


def luma_pair(
    result: NDArray[np.uint8], target: NDArray[np.uint8], crop: int, *, rounded: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Luma of both images without `crop` pixels on each side; errors as in `psnr_y`."""
    if result.shape[:2] != target.shape[:2]:
        raise InputError(f"Sizes differ: {result.shape[:2]} against {target.shape[:2]}.")
    if min(target.shape[:2]) <= 2 * crop:
        raise InputError(f"Nothing is left of {target.shape[:2]} after cropping {crop} pixels.")
    inside = slice(crop, -crop or None)
    y, reference = rgb_to_y(result, rounded=rounded), rgb_to_y(target, rounded=rounded)
    return y[inside, inside], reference[inside, inside]


def psnr_y(
    result: NDArray[np.uint8], target: NDArray[np.uint8], *, crop: int, rounded: bool = False
) -> float:
    """Peak signal-to-noise ratio in dB on luma, peak 255, without `crop` pixels on each side.

    The tables of EDSR, IMDN and SwinIR use unrounded luma. Older ones round it, as MATLAB does for
    uint8, which lowers the figures by up to 0.1 dB for very good results.

    Args:
        result, target: `[H, W, 3]` or `[H, W]`, uint8, of one size.
        crop: by the protocol, the scale.
        rounded: whether to round luma to whole levels first ("psnr_y_rounded" in results).

    Returns:
        dB; infinity for equal images.

    Raises:
        InputError: dtype or shape is another, the sizes differ, or the crop leaves nothing.
    """
    y, reference = luma_pair(result, target, crop, rounded=rounded)
    error = np.mean((y - reference) ** 2)
    return math.inf if error == 0 else float(10 * np.log10(255**2 / error))


def psnr_rgb(result: NDArray[np.uint8], target: NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio in dB on all channels and pixels, peak 255.

    For jobs that keep the size, such as denoising or colouring, in which luma is not all.

    Args:
        result, target: uint8, of one shape.

    Returns:
        dB; infinity for equal images.

    Raises:
        InputError: dtypes or shapes differ.
    """
    if result.dtype != np.uint8 or target.dtype != np.uint8 or result.shape != target.shape:
        raise InputError(
            "PSNR compares two uint8 images of one shape, not"
            f" {result.dtype} {list(result.shape)} and {target.dtype} {list(target.shape)}."
        )
    error = np.mean((result.astype(np.float64) - target) ** 2)
    return math.inf if error == 0 else float(10 * np.log10(255**2 / error))


def gaussian_mean(image: Tensor) -> Tensor:
    """Means under an 11×11 Gaussian window, σ = 1.5, valid region: `[H, W]` → `[H-10, W-10]`."""
    x = torch.arange(11, dtype=image.dtype) - 5
    window = torch.exp(-(x**2) / (2 * 1.5**2))
    window /= window.sum()
    rows = F.conv2d(image[None, None], window.view(1, 1, 11, 1))
    return F.conv2d(rows, window.view(1, 1, 1, 11))[0, 0]


def ssim_y(result: NDArray[np.uint8], target: NDArray[np.uint8], *, crop: int) -> float:
    """Structural similarity on luma (Wang et al. 2004): K = (0.01, 0.03), float64, valid region.

    Args and errors are as in `psnr_y`; the crop must leave at least 11 pixels a side.
    """
    a, b = (torch.from_numpy(y) for y in luma_pair(result, target, crop))
    if min(a.shape) < 11:
        raise InputError(f"SSIM needs 11 pixels a side after the crop, not {list(a.shape)}.")
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean_a, mean_b = gaussian_mean(a), gaussian_mean(b)
    var_a = gaussian_mean(a * a) - mean_a**2
    var_b = gaussian_mean(b * b) - mean_b**2
    covariance = gaussian_mean(a * b) - mean_a * mean_b
    similarity = ((2 * mean_a * mean_b + c1) * (2 * covariance + c2)) / (
        (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
    )
    return float(similarity.mean())
