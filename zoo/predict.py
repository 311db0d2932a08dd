"""Enlarge or segment one photograph: a file, a PIL image, an array or a tensor.

large = zoo.upscale("photo.jpg", "srresnet_x4")  # a PIL image
mask = zoo.segment("car.jpg")  # a PIL image, 0 and 255
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, overload

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from zoo.errors import InputError
from zoo.inference.automatic import make_upscaler
from zoo.inference.segmenter import Segmenter
from zoo.inference.tiling import Progress
from zoo.pictures.files import read_image
from zoo.pictures.picture import Array, Picture
from zoo.pictures.pillow import check_pil, from_pil, to_pil
from zoo.sources import Name

File = str | os.PathLike[str]
Pixels = TypeVar("Pixels", Array, Tensor)


@overload
def upscale(
    image: File | Image.Image,
    model: Name | nn.Module = ...,
    *,
    tile: int | str | None = ...,
    precision: str = ...,
    tta: bool = ...,
    device: str | torch.device = ...,
    strength: float | None = ...,
    runtime: str = ...,
    progress: Progress | None = ...,
) -> Image.Image: ...
@overload
def upscale(
    image: Pixels,
    model: Name | nn.Module = ...,
    *,
    tile: int | str | None = ...,
    precision: str = ...,
    tta: bool = ...,
    device: str | torch.device = ...,
    strength: float | None = ...,
    runtime: str = ...,
    progress: Progress | None = ...,
) -> Pixels: ...
def upscale(
    image: File | Image.Image | Array | Tensor,
    model: Name | nn.Module = "srresnet_x4",
    *,
    tile: int | str | None = "auto",
    precision: str = "auto",
    tta: bool = False,
    device: str | torch.device = "auto",
    strength: float | None = None,
    runtime: str = "torch",
    progress: Progress | None = None,
) -> Any:
    """Enlarge a photograph with a super-resolution model.

    image: a path or a PIL image; the result is a PIL image. Or an array `[H, W]` or
        `[H, W, 1 | 3 | 4]`, uint8 or uint16; the result has the same layout and dtype. Or a float
        tensor `[C, H, W]` or `[N, C, H, W]`, C = 1 or 3, in [0, 1]; the result has the same layout,
        dtype and device and is clamped to [0, 1].
    model: see `zoo.Upscaler`; or "auto" or "srresnet_x2.auto", which takes what `zoo.suggest` says.
    progress: called with the fraction that is done, in (0, 1].
    The other arguments are those of `zoo.Upscaler`. Use that class for many pictures.

    Raises ImageError for files and pictures that are refused, InputError for arrays, tensors and
    arguments outside of the above, UnknownNameError and WeightsError for the model.
    """
    upscaler = make_upscaler(
        model,
        tile=tile,
        precision=precision,
        tta=tta,
        device=device,
        strength=strength,
        runtime=runtime,
    )

    def enlarge(picture: Picture) -> Picture:
        check_pil(picture)  # before the long work
        return upscaler.picture(picture, progress)

    return _to_its_kind(
        image,
        picture=enlarge,
        array=partial(upscaler.array, progress=progress),
        tensor=partial(upscaler.tensor, progress=progress),
    )


@overload
def segment(
    image: File | Image.Image,
    model: Name | nn.Module = ...,
    *,
    threshold: float = ...,
    tta: bool = ...,
    device: str | torch.device = ...,
    precision: str = ...,
    size: int | None = ...,
    runtime: str = ...,
) -> Image.Image: ...
@overload
def segment(
    image: Pixels,
    model: Name | nn.Module = ...,
    *,
    threshold: float = ...,
    tta: bool = ...,
    device: str | torch.device = ...,
    precision: str = ...,
    size: int | None = ...,
    runtime: str = ...,
) -> Pixels: ...
def segment(
    image: File | Image.Image | Array | Tensor,
    model: Name | nn.Module = "dynamic_unet",
    *,
    threshold: float = 0.5,
    tta: bool = False,
    device: str | torch.device = "auto",
    precision: str = "auto",
    size: int | None = None,
    runtime: str = "torch",
) -> Any:
    """Segment a photograph; return a mask of the same height and width.

    image: a path or a PIL image; the mask is a PIL image of mode L. Or an array `[H, W]` or
        `[H, W, 1 | 3 | 4]`, uint8 or uint16; the mask is `[H, W]` uint8. Both masks hold 0 and 255,
        or class numbers if the model has several classes. Or a float tensor `[C, H, W]` or
        `[N, C, H, W]`, C = 1 or 3, in [0, 1]; the mask is `[1, H, W]` or `[N, 1, H, W]` of the same
        dtype and device and holds 0 and 1, or class numbers.
    The other arguments are those of `zoo.Segmenter`. Use that class for many pictures, overlays and
    cutouts.

    Raises ImageError for files and pictures that are refused, InputError for arrays, tensors and
    arguments outside of the above, UnknownNameError and WeightsError for the model.
    """
    segmenter = Segmenter(
        model,
        threshold=threshold,
        tta=tta,
        device=device,
        precision=precision,
        size=size,
        runtime=runtime,
    )
    return _to_its_kind(
        image, picture=segmenter.picture, array=segmenter.array, tensor=segmenter.tensor
    )


def _to_its_kind(
    image: object,
    *,
    picture: Callable[[Picture], Picture],
    array: Callable[[Array], Array],
    tensor: Callable[[Tensor], Tensor],
) -> Any:
    """Call the function for the image's type; files and PIL images become PIL images."""
    if isinstance(image, str | os.PathLike):
        return to_pil(picture(read_image(image)))
    if isinstance(image, Image.Image):
        return to_pil(picture(from_pil(image)))
    if isinstance(image, np.ndarray):
        return array(image)
    if isinstance(image, Tensor):
        return tensor(image)
    raise InputError(
        "An image is a path, a PIL image, a uint8 array or a float tensor,"
        f" not a {type(image).__name__}."
    )
