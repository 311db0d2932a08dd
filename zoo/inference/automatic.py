"""Choose between weights for clean and for treated photographs, picture by picture."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from zoo.errors import InputError
from zoo.inference.blending import CLEAN, TREATED, check_pair
from zoo.inference.inputs import check_array
from zoo.inference.tiling import Progress
from zoo.inference.upscaler import Upscaler
from zoo.pictures.condition import SIDE, condition
from zoo.pictures.files import read_image
from zoo.pictures.large.picture import LargePicture
from zoo.pictures.picture import Array, Picture
from zoo.pictures.pillow import from_pil
from zoo.sources import Name

AUTO = "auto"

# From here on a photograph counts as treated: where photographs that had no part in any training
# begin to gain by the weights for treated ones, in PSNR. See `zoo.pictures.condition.Condition`.
_QUALITY, _BLOCKS, _NOISE = 87, 0.05, 3.0


@dataclass(frozen=True)
class Suggestion:
    """Weights for a picture ("srresnet_x4.photo"), and why: "a JPEG of quality 50"."""

    model: str
    reason: str


def suggest(
    image: str | os.PathLike[str] | Image.Image | Array | Picture,
    *,
    architecture: str = "srresnet_x4",
) -> Suggestion:
    """Suggest weights for a photograph, from its JPEG tables, blocks of a JPEG, and noise.

    image: a path, a PIL image, or an array `[H, W]` or `[H, W, 1 | 3 | 4]`, uint8 or uint16.
        Arrays and converted PIL images tell nothing of the file.
    architecture: a model that has weights for clean photographs and for treated ones.

    Raises ImageError for files that are refused, InputError for other images, UnknownNameError for
    a model without the two.
    """
    check_pair(architecture, "A suggestion")
    found = condition(_picture(image))
    if found.quality is not None and found.quality < _QUALITY:
        return Suggestion(f"{architecture}.{TREATED}", f"a JPEG of quality {found.quality}")
    if found.blocks > _BLOCKS:
        return Suggestion(f"{architecture}.{TREATED}", "blocks of an earlier JPEG")
    if found.noise > _NOISE:
        return Suggestion(f"{architecture}.{TREATED}", f"noise of about {found.noise:.0f} levels")
    return Suggestion(f"{architecture}.{CLEAN}", "clean")


class AutoUpscaler:
    """An `Upscaler` that takes the suggested weights for each picture.

    model: "auto" for srresnet_x4, or "srresnet_x2.auto". The other arguments are those of
        `Upscaler`.
    made: the suggestions that were followed, in order.

    Raises what `Upscaler` and `suggest` raise.
    """

    def __init__(
        self,
        model: str = AUTO,
        *,
        tile: int | str | None = "auto",
        precision: str = "auto",
        tta: bool = False,
        device: str | torch.device = "auto",
        memory: int | None = None,
        runtime: str = "torch",
    ) -> None:
        self.architecture = model.removesuffix(AUTO).rstrip(".") or "srresnet_x4"
        check_pair(self.architecture, model)
        self.upscalers = {
            name: Upscaler(
                name,
                tile=tile,
                precision=precision,
                tta=tta,
                device=device,
                memory=memory,
                runtime=runtime,
            )
            for name in (f"{self.architecture}.{tag}" for tag in (CLEAN, TREATED))
        }
        first = next(iter(self.upscalers.values()))
        self.scale, self.device = first.scale, first.device
        self.made: list[Suggestion] = []

    def picture(self, picture: Picture, progress: Progress | None = None) -> Picture:
        """See `Upscaler.picture`."""
        return self._for(picture).picture(picture, progress)

    def large(self, picture: LargePicture, progress: Progress | None = None) -> LargePicture:
        """See `Upscaler.large`."""
        return self._for(picture.centre(SIDE)).large(picture, progress)

    def array(self, array: Array, progress: Progress | None = None) -> Array:
        """See `Upscaler.array`."""
        return self._for(array).array(array, progress)

    def tensor(self, tensor: Tensor, progress: Progress | None = None) -> Tensor:
        """Raise InputError: a choice needs a picture."""
        raise InputError(
            "'auto' looks at photographs, not at tensors: name the weights, such as"
            f" {self.architecture}.{TREATED}."
        )

    def _for(self, image: Picture | Array) -> Upscaler:
        suggestion = suggest(image, architecture=self.architecture)
        self.made.append(suggestion)
        return self.upscalers[suggestion.model]


def make_upscaler(
    model: Name | nn.Module,
    *,
    tile: int | str | None,
    precision: str,
    tta: bool,
    device: str | torch.device,
    strength: float | None,
    memory: int | None = None,
    runtime: str = "torch",
) -> Upscaler | AutoUpscaler:
    """Return an upscaler, one that chooses if the model's name ends in "auto".

    Raises what the two raise, and InputError for a strength beside "auto".
    """
    if not (isinstance(model, str) and (model == AUTO or model.endswith(f".{AUTO}"))):
        return Upscaler(
            model,
            tile=tile,
            precision=precision,
            tta=tta,
            device=device,
            strength=strength,
            memory=memory,
            runtime=runtime,
        )
    if strength is not None:
        raise InputError(f"strength has no meaning for {model!r}, which takes one of the two.")
    return AutoUpscaler(
        model,
        tile=tile,
        precision=precision,
        tta=tta,
        device=device,
        memory=memory,
        runtime=runtime,
    )


def _picture(image: Any) -> Picture:
    if isinstance(image, Picture):
        return image
    if isinstance(image, str | os.PathLike):
        return read_image(image)
    if isinstance(image, Image.Image):
        return from_pil(image)
    if isinstance(image, np.ndarray):
        channels = check_array(image)
        return Picture(image.reshape(*image.shape[:2], channels)[..., : min(channels, 3)])
    raise InputError(
        "A suggestion is for a path, a PIL image or a uint8 array,"
        f" not for a {type(image).__name__}: name the weights."
    )
