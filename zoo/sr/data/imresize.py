"""MATLAB's bicubic `imresize`, the standard degradation of super-resolution benchmarks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zoo.errors import InputError


def cubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' cubic convolution kernel with a = −0.5 (MATLAB's; OpenCV and PyTorch take −0.75)."""
    x = np.abs(x)
    inner = 1.5 * x**3 - 2.5 * x**2 + 1
    outer = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, inner, np.where(x < 2, outer, 0.0))


def taps(length: int, size: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Indices and weights that resize a line of `length` pixels to `size`: both `[size, taps]`.

    When the line shrinks, the kernel is widened by the same factor (antialiasing). Beyond the ends
    the first and the last pixel are repeated.
    """
    scale = size / length
    stretch = max(1.0, 1 / scale)
    centre = (np.arange(size) + 0.5) / scale - 0.5
    first = np.floor(centre - 2 * stretch).astype(np.int64) + 1
    index = first[:, None] + np.arange(int(np.ceil(4 * stretch)) + 1)
    weight = cubic((centre[:, None] - index) / stretch)
    used = np.any(weight != 0, axis=0)
    index, weight = index[:, used], weight[:, used]
    return np.clip(index, 0, length - 1), weight / weight.sum(axis=1, keepdims=True)


def resize_rows(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    index, weight = taps(image.shape[0], size)
    result = np.zeros((size, *image.shape[1:]))
    for k in range(index.shape[1]):
        result += image[index[:, k]] * weight[:, k].reshape(-1, *[1] * (image.ndim - 1))
    return np.clip(np.floor(result + 0.5), 0, 255).astype(np.uint8)


def imresize(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resizes an image as MATLAB's bicubic `imresize` did when the benchmark files were made.

    Rows are resized first, then columns, each rounded (half up) to uint8. This reproduces the
    published low-resolution files of Set5 and Set14 bit for bit.

    Args:
        image: `[H, W]` or `[H, W, C]`, uint8.
        size: height and width of the result, at least 1.

    Returns:
        uint8 of shape `[*size]` or `[*size, C]`.

    Raises:
        InputError: the image has another dtype or number of dimensions, or a side is 0.
    """
    if image.dtype != np.uint8 or image.ndim not in (2, 3):
        raise InputError(
            f"imresize takes uint8 [H, W] or [H, W, C], not {image.dtype} {list(image.shape)}."
        )
    if min(*size, *image.shape) < 1:
        raise InputError(f"imresize can't make {size[0]}×{size[1]} from {list(image.shape)}.")
    rows = resize_rows(image, size[0])
    return np.ascontiguousarray(resize_rows(rows.swapaxes(0, 1), size[1]).swapaxes(0, 1))


def crop_to_multiple(image: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """Crops `[H, W, ...]` at the bottom and right until `scale` divides both sides."""
    height, width = (length - length % scale for length in image.shape[:2])
    return image[:height, :width]


def bicubic_downscale(image: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """The protocol's degradation: crop to a multiple of `scale`, then `imresize` by 1/scale."""
    image = crop_to_multiple(image, scale)
    return imresize(image, (image.shape[0] // scale, image.shape[1] // scale))


def bicubic_upscale(image: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """The protocol's baseline: `imresize` by `scale`."""
    return imresize(image, (image.shape[0] * scale, image.shape[1] * scale))
