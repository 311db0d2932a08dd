"""A photograph in memory: pixels, alpha and metadata, and conversion to and from tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.errors import InputError
from zoo.pictures.metadata import NOTHING, Metadata

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class Picture:
    """An upright photograph.

    pixels: `[H, W, C]`, C = 1 (grey) or 3 (RGB), uint8 or uint16, full range. In pictures that zoo
        reads, fully transparent pixels have the colour of their visible neighbourhood.
    alpha: `[H, W]` of the same dtype, 0 = transparent, not premultiplied; or None.
    icc_profile: the colour profile of the pixels; None means sRGB, or `metadata.colour`.
    exif: an EXIF block as in a JPEG, or None. Its orientation, which has been applied, says 1; all
        else is as it was in the file.
    format: the file format for reading and writing: "JPEG", "PNG", "WEBP", "TIFF", ...
    metadata: what else the file tells: resolution, XMP, texts, ...

    Raises InputError for arrays of another shape or dtype.
    """

    pixels: Array
    alpha: Array | None = None
    icc_profile: bytes | None = None
    exif: bytes | None = None
    format: str = "PNG"
    metadata: Metadata = NOTHING

    def __post_init__(self) -> None:
        _check_pixels(self.pixels)
        if self.pixels.shape[2] not in (1, 3):
            raise InputError(f"A picture has 1 or 3 channels, not {self.pixels.shape[2]}.")
        shape, dtype = self.pixels.shape[:2], self.pixels.dtype
        if self.alpha is not None and (self.alpha.shape != shape or self.alpha.dtype != dtype):
            raise InputError(
                f"The alpha plane of these pixels must be {list(shape)} of {dtype}, "
                f"not {list(self.alpha.shape)} of {self.alpha.dtype}."
            )


def to_tensor(pixels: Array) -> Tensor:
    """Convert `[H, W, C]` uint8 or uint16, full range, to `[C, H, W]` float32 in [0, 1].

    Raises InputError for another shape or dtype.
    """
    _check_pixels(pixels)
    planes = pixels.transpose(2, 0, 1).astype(np.float32, order="C")
    planes /= np.iinfo(pixels.dtype).max
    return torch.from_numpy(planes)


def to_pixels(tensor: Tensor, dtype: Any = np.uint8) -> Array:
    """Convert `[C, H, W]` float, clamped to [0, 1], to `[H, W, C]` uint8 or uint16, rounded.

    This is the exact inverse of `to_tensor`. Raises InputError for another shape or dtype, and for
    NaN or infinity.
    """
    if tensor.ndim != 3 or not tensor.is_floating_point() or np.dtype(dtype) not in ("u1", "u2"):
        raise InputError(
            f"A float tensor [C, H, W] becomes uint8 or uint16 pixels, "
            f"not {list(tensor.shape)} of {tensor.dtype} to {np.dtype(dtype)}."
        )
    if not bool(torch.isfinite(tensor).all()):
        raise InputError("The tensor holds NaN or infinity, which no pixel can show.")
    planes = tensor.detach().permute(1, 2, 0).float().clamp(0, 1)
    planes = planes.mul_(np.iinfo(dtype).max).round_()
    return planes.cpu().numpy().astype(dtype, order="C")


def fill_transparent(pixels: Array, alpha: Array) -> Array:
    """Give every fully transparent pixel the mean colour of its visible neighbourhood.

    pixels: `[H, W, C]`, alpha: `[H, W]`, returns `[H, W, C]`; visible pixels are untouched.
    Pixels under alpha 0 are often black, and a filter that mixes neighbours (enlargement, blur)
    would bleed them into the visible edge. Holes are filled from a copy of half the size, weighted
    by alpha, and its holes in the same way (pull-push: Gortler et al., The Lumigraph, 1996).
    """
    holes = alpha == 0
    if not holes.any() or holes.all():
        return pixels
    coarse = fill_transparent(*halve(pixels, alpha))
    return fill_from(pixels, holes, coarse)


def fill_from(pixels: Array, holes: Array, coarse: Array) -> Array:
    """Return `[H, W, C]` whose holes have the colour of a copy `[ceil(H/2), ceil(W/2), C]`."""
    height, width = holes.shape
    coarse = np.rint(coarse).astype(pixels.dtype)
    spread = coarse.repeat(2, axis=0)[:height].repeat(2, axis=1)[:, :width]
    return np.where(holes[..., None], spread, pixels)


def halve(colour: Array, weight: Array) -> tuple[Array, Array]:
    """Return the weighted mean colour `[ceil(H/2), ceil(W/2), C]` and weight of 2 × 2 blocks."""
    height, width = (weight.shape[0] + 1) // 2, (weight.shape[1] + 1) // 2
    colours = np.zeros((height, width, colour.shape[2]), np.float32)
    weights = np.zeros((height, width), np.float32)
    for corner in np.ndindex(2, 2):
        block = slice(corner[0], None, 2), slice(corner[1], None, 2)
        share = weight[block].astype(np.float32)
        rows, columns = share.shape
        colours[:rows, :columns] += colour[block] * share[..., None]
        weights[:rows, :columns] += share
    colours /= np.maximum(weights, np.finfo(np.float32).tiny)[..., None]
    return colours, weights


def _check_pixels(pixels: Array) -> None:
    if pixels.ndim != 3 or 0 in pixels.shape or pixels.dtype not in ("u1", "u2"):
        raise InputError(
            f"Pixels must be [H, W, C] of uint8 or uint16, "
            f"not {list(pixels.shape)} of {pixels.dtype}."
        )
