"""Segmentation of pictures, arrays and tensors of any size with any model that gives logits."""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import InputError
from zoo.inference.device import pick_precision
from zoo.inference.inputs import check_array, check_tensor
from zoo.inference.onnx_model import OnnxModel
from zoo.inference.openvino import in_runtime
from zoo.inference.placement import in_eval_mode, label_of, layout, place
from zoo.inference.rescue import NotFiniteError, finite, is_out_of_memory, wider
from zoo.pictures.channels import LUMA, channels_of
from zoo.pictures.cutouts import Kind, check_kind, cut_out, format_for, tint
from zoo.pictures.picture import Array, Picture, to_tensor
from zoo.sources import Name

DEFAULT_SIZE = 512  # pixels, for models without `image_size`
_SOFTNESS = 2.0  # a cutout's edge fades over this many logits on either side of the threshold


class Segmenter:
    """A segmentation model, set up once to run on many pictures.

    A picture is resized to a square of the training size, whatever its aspect ratio, and the logits
    are resized back to the picture's size, both bilinearly.

    model: a registered name ("unet34", "unet34.carvana"), a folder that `save_model` wrote,
        "hf-hub:org/repo@revision", an ONNX file that `export_model` wrote, or a module that takes
        `[N, C, S, S]`, grey, RGB or RGBA, and returns logits `[N, classes, S, S]`. Registered
        models are loaded once. A module runs in eval mode on its own device, or as a copy on
        `device`; it stays as it was. Files run on the CPU in fp32.
    threshold: probability in (0, 1) above which a pixel is foreground; for models of one class.
    tta: average the logits with those of the mirrored picture; twice the work.
    size: side of the square in pixels, from 32; by default the training size, or 512 if unknown.
    device, precision, runtime: see `zoo.Upscaler`.

    Raises InputError for the arguments, UnknownNameError and WeightsError for the model.
    """

    def __init__(
        self,
        model: Name | nn.Module = "dynamic_unet",
        *,
        threshold: float = 0.5,
        tta: bool = False,
        device: str | torch.device = "auto",
        precision: str = "auto",
        size: int | None = None,
        runtime: str = "torch",
    ) -> None:
        if not 0 < threshold < 1:
            raise InputError(f"threshold={threshold!r} is not a probability between 0 and 1.")
        if size is not None and (not isinstance(size, int) or size < 32):
            raise InputError(f"size={size} is no whole number of pixels from 32 up.")
        self.model, self.device = place(model, device)
        only = getattr(self.model, "precision", None)
        self.dtype = pick_precision(precision, self.device, only=only)
        if hasattr(self.model, "scale"):
            raise InputError(
                f"{label_of(model)} is no segmentation model: it enlarges pictures, as zoo.upscale"
                " does."
            )
        self.channels: int = getattr(self.model, "in_chans", 3)
        self.size = size or getattr(self.model, "image_size", None) or DEFAULT_SIZE
        if isinstance(self.model, OnnxModel):
            self.size = self.model.square(self.size, asked=size is not None)
        self.model = in_runtime(
            self.model,
            runtime,
            device=self.device,
            dtype=self.dtype,
            example=torch.rand(1, self.channels, self.size, self.size),
        )
        self.can_change_dtype = only is None and runtime == "torch"
        self.threshold = math.log(threshold / (1 - threshold))  # as a logit
        self.tta = tta

    def picture(self, picture: Picture, kind: Kind = "mask") -> Picture:
        """Segment a picture.

        "mask": grey uint8, 0 and 255, or class numbers for several classes; as PNG, unless the
            picture's own format is PNG, TIFF, BMP or PPM.
        "overlay": the picture with the object tinted; profile, EXIF, depth and format stay.
        "cutout": the picture, transparent outside the object (all classes but 0), with a soft
            edge; as PNG if the picture's own format has no alpha.

        Raises InputError for another kind, and for a mask of more than 256 classes.
        """
        check_kind(kind)
        return self.render(picture, self.picture_logits(picture), kind)

    def picture_logits(self, picture: Picture) -> Tensor:
        """Return the logits `[classes, H, W]`, float32, of a picture, with its alpha if needed."""
        simple = self.channels in (1, 3)
        return self.logits(picture.pixels if simple else channels_of(picture, self.channels))

    def render(self, picture: Picture, logits: Tensor, kind: Kind = "mask") -> Picture:
        """Return what `picture` does, from the logits `[classes, H, W]` of the picture."""
        check_kind(kind)
        if kind == "cutout":
            return cut_out(picture, self._opacity(logits))
        if len(logits) > 256:
            raise InputError(
                f"A mask of 8 bits holds 256 classes, not {len(logits)}; segment a tensor instead."
            )
        classes = self._classes(logits).cpu().numpy().astype(np.uint8)
        if kind == "overlay":
            return tint(picture, classes)
        levels = classes * 255 if len(logits) == 1 else classes
        return Picture(levels[..., None], format=format_for("mask", picture.format))

    def array(self, array: Array) -> Array:
        """Return the mask of an array: `[H, W]` uint8, 0 and 255 or class numbers.

        array: `[H, W]` (grey) or `[H, W, 1 | 3 | 4]` (grey, RGB, RGBA), uint8 or uint16.
        Raises InputError for other arrays.
        """
        channels = check_array(array)
        planes = array.reshape(*array.shape[:2], channels)
        alpha = planes[..., 3] if channels == 4 else None
        return self.picture(Picture(planes[..., :3], alpha)).pixels[..., 0]

    def tensor(self, tensor: Tensor) -> Tensor:
        """Return the mask of a tensor, in its dtype and on its device: 0 and 1 or class numbers.

        tensor: `[C, H, W]` or `[N, C, H, W]` float in [0, 1], C = 1 or 3; the mask has 1 channel.
        Raises InputError for other tensors.
        """
        check_tensor(tensor)
        images = tensor.detach() if tensor.ndim == 4 else tensor.detach()[None]
        masks = torch.stack([self._classes(self._logits(image.float())) for image in images])
        masks = masks[:, None].to(tensor.device, tensor.dtype)
        return masks if tensor.ndim == 4 else masks[0]

    def logits(self, pixels: Array) -> Tensor:
        """Return the logits `[classes, H, W]`, float32, of `[H, W, C]` uint8 or uint16.

        C is 1, 3 or what the model takes. Raises InputError for another number of channels.
        """
        return self._logits(to_tensor(pixels))

    def _logits(self, image: Tensor) -> Tensor:
        """Return the logits `[classes, H, W]` of an image `[C, H, W]` in [0, 1].

        Grey becomes RGB with equal channels. Colour becomes luma for a model that takes grey.
        """
        if len(image) != self.channels and {len(image), self.channels} != {1, 3}:
            raise InputError(f"This model takes {self.channels} channels, not {len(image)}.")
        image = image.to(self.device)[None]
        height, width = image.shape[2:]
        if image.shape[1] > self.channels:
            image = (image * image.new_tensor(LUMA).view(3, 1, 1)).sum(1, keepdim=True)
        square = _resize(image, (self.size, self.size)).expand(-1, self.channels, -1, -1)
        square = square.contiguous(memory_format=layout(self.device))
        return _resize(self._of_square(square), (height, width))[0]

    def _of_square(self, square: Tensor) -> Tensor:
        """Return the logits `[1, classes, S, S]`; in fp32 if the precision does not suffice."""
        model = in_eval_mode(self.model)
        while True:
            try:
                with (
                    torch.inference_mode(),
                    torch.autocast(
                        self.device.type, self.dtype, enabled=self.dtype != torch.float32
                    ),
                ):
                    logits = cast(Tensor, model(square)).float()
                    if self.tta:
                        logits = (logits + model(square.flip(3)).float().flip(3)) / 2
                    return finite(logits)
            except NotFiniteError:
                self.dtype = wider(self.dtype, can_change=self.can_change_dtype)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                raise InputError(
                    f"The memory of {self.device} does not suffice for a square of"
                    f" {square.shape[-1]} pixels; size= (--size) makes it smaller."
                ) from error

    def _classes(self, logits: Tensor) -> Tensor:
        """Return the class numbers `[H, W]`."""
        return logits.argmax(0) if len(logits) > 1 else (logits[0] > self.threshold).long()

    def _opacity(self, logits: Tensor) -> Array:
        """Return the opacity `[H, W]`, float32 in [0, 1], 0.5 on the edge of the object."""
        edge = logits[0] - self.threshold
        if len(logits) > 1:
            edge = logits[1:].logsumexp(0) - logits[0]
        opacity: Array = (edge / (2 * _SOFTNESS) + 0.5).clamp(0, 1).cpu().numpy()
        return opacity


def _resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize bilinearly with antialiasing, as the training data were."""
    if x.shape[2:] == size:
        return x
    return F.interpolate(x, size, mode="bilinear", antialias=True)
